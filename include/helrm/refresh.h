/** @file refresh.h
 *  Refreshing ("bootstrapping"): a ciphertext that has no levels left becomes one that has, without
 * a secret key. What ckks.h says holds here, too.
 *
 *  Order: hel_refresh_params(), hel_params_new(), hel_refresher_new(), hel_keys_generate() with
 *  hel_refresher_keys() among the requests, hel_refresh(). examples/refresh.c does all of it.
 *  - n real values, a power of two, repeated over all slots, within a range that is fixed
 * beforehand;
 *  - N = 2^15, 128-bit security: what is left are hel_refresh_params()' levels but four;
 *  - security rests on more than elsewhere: SECURITY.md, "Refreshing".
 */
#ifndef HELRM_REFRESH_H
#define HELRM_REFRESH_H

#include <helrm/ckks.h>
#include <helrm/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hel_refresher hel_refresher; /**< constants of a refresh; never changes */

/** Parameters with `levels` levels of one prime and, above them, the nine that a refresh takes, of
 *  13 primes and scales from 2^37 to 2^50.
 *  - Shape: levels + 14 primes in the chain, all near 2^29.9, and 5 to 7 special ones. The fewer
 *    levels, the fewer digits (5 to 3) and so the faster a refresh and the smaller its keys.
 *  - Source: (31).
 *  @retval HEL_EPARAMS levels is not 6 to 10, or log_n not 9 to 15; below 15 only
 *          hel_params_new_insecure_test() takes them. */
HEL_API HEL_CHECKED hel_status hel_refresh_params(hel_params_spec *out, unsigned log_n,
						  unsigned levels);

/** What a refresh of n = 2^log_values values of at most `range` in size multiplies with.
 *  - Shape: about 4 sqrt(n) weights in memory, 150 MB for n = 512 at N = 2^15.
 *  - Cost: as many encodings.
 *  @retval HEL_EPARAMS the parameters are not those of hel_refresh_params().
 *  @retval HEL_EINVAL  log_values is not 3 to log_n - 1, or range not between 2^-20 and 2^20. */
HEL_API HEL_CHECKED hel_status hel_refresher_new(hel_refresher **out, const hel_params *params,
						 unsigned log_values, double range, hel_pool *pool);
/** Frees. */
HEL_API void hel_refresher_free(hel_refresher *refresher);
/** The keys that a refresh uses, in memory of the refresher; returns how many. Others may be asked
 * for beside them, but for none twice. */
HEL_API size_t hel_refresher_keys(const hel_refresher *refresher, const hel_key_request **requests);
/** What hel_refresh() is predicted to be off by: the standard deviation of a value that lies
 * anywhere in the range.
 *  - Source: (38). */
HEL_API double hel_refresher_error(const hel_refresher *refresher);

/** out = a, with levels. Slots repeat with period n and are real: imaginary parts must be 0.
 *  - Level: 2 or more of a; of out, the levels of hel_refresh_params() less four. Scale: its
 * level's.
 *  - Error: hel_refresher_error(), 2^-16.2 of the range for 512 values at N = 2^15. WARNING: what
 * is beyond the range comes back as some other number within it, without an error. All slots are
 *    wrong with a probability of 2^-58 for each value.
 *  - Cost: for 512 values 60 key switches, most at the upper levels; bench/results/refresh.json.
 *  - Source: (32) to (38).
 *  @retval HEL_EPARAMS the arguments have different parameters.
 *  @retval HEL_ELEVEL  a is below level 2.
 *  @retval HEL_ESCALE  a is a product: rescale first.
 *  @retval HEL_EKEY    a key of hel_refresher_keys() is missing. */
HEL_API HEL_CHECKED hel_status hel_refresh(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					   const hel_refresher *refresher);

#ifdef __cplusplus
}
#endif
#endif
