/** @file params.h
 *  Parameters of RNS-CKKS, checked; and encoding, which needs nothing else. ckks.h explains words.
 */
#ifndef HELRM_PARAMS_H
#define HELRM_PARAMS_H

#include <helrm/status.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hel_params hel_params; /**< ring degree, moduli, scales: checked */
typedef struct hel_pt hel_pt;	      /**< an encoded vector */

/** The content of one slot. */
typedef struct hel_complex {
	double re; /**< real part */
	double im; /**< imaginary part */
} hel_complex;

/** @name Parameters
 *  @{ */

/** Levels that are alike. A level that multiplies, at scale S with primes of product q, leads to
 *  scale S^2 / q; one that passes only meets plaintexts, which are made at scale q, and leads to
 *  scale S. */
typedef struct hel_level_run {
	uint8_t levels; /**< how many, 1 or more */
	uint8_t primes; /**< in the group of each: 1 or 2 */
	uint8_t pass;	/**< 1: they pass, 0: they multiply */
} hel_level_run;

/** Runs that a spec may have. */
#define HEL_MAX_RUNS 10

/** What to ask of hel_params_new(). */
typedef struct hel_params_spec {
	uint8_t log_n;		  /**< ring degree N = 2^log_n, 2^(log_n - 1) slots; 12 to 17 */
	uint8_t levels;		  /**< rescalings a fresh ciphertext at the top allows */
	uint8_t primes_per_level; /**< 1 (scale about 2^30) or 2 (about 2^58) */
	uint8_t scale_bits; /**< wanted log2 of the scale: 25..30, or 50..60 with two primes */
	uint8_t alpha;	    /**< primes in one key-switching digit */
	uint8_t special;    /**< special primes; alpha of them or more; of 30 bits, or as many as N
			       leaves room for, 23 at least */
	uint8_t base; /**< primes of level 0; 0: one more than a level, for 2^28 of head room at 30
			 bits; 1, with one-prime levels of at most 28 bits: 2^(29 - scale_bits) */
	uint8_t trim; /**< with runs: all primes lie near 2^(scale_bits - trim / 16); else 0 */
	uint8_t runs; /**< 0: all levels are alike. Else level 0 is one prime (`base` is 1), these
			 runs lie above it, and primes_per_level is the largest of theirs. Scales
			 then differ between levels, from 2^scale_bits at level 0 to at most
			 twice as many bits: what the primes of the groups divide out */
	hel_level_run run[HEL_MAX_RUNS]; /**< from level 1 upwards */
} hel_params_spec;

/** Checked parameters. Deterministic: equal specs give equal primes everywhere.
 *  - Shape: levels + 1 groups of primes_per_level primes, one more for level 0 (unless `base` says
 *    otherwise), and the special ones, all below 2^30.
 *  - Cost: milliseconds to a second, by N and the number of primes; tables of 16 N bytes a prime.
 *  - Source: (2), (30), (31).
 *  @retval HEL_ESECURITY log2(QP) is above the 128-bit bound for N.
 *  @retval HEL_EPARAMS   the spec is out of range or there are not enough primes. */
HEL_API HEL_CHECKED hel_status hel_params_new(hel_params **out, const hel_params_spec *spec);
/** The same without the security check and from log_n = 4, for tests only: NOT SECURE.
 *  - Cost: as hel_params_new().
 *  @retval HEL_EPARAMS the spec is out of range or there are not enough primes. */
HEL_API HEL_CHECKED hel_status hel_params_new_insecure_test(hel_params **out,
							    const hel_params_spec *spec);
/** Frees parameters, after all that was made with them. */
HEL_API void hel_params_free(hel_params *params);

/** The spec that these parameters were made from. */
HEL_API hel_params_spec hel_params_get_spec(const hel_params *params);
/** Slots of a plaintext or ciphertext: N / 2. */
HEL_API size_t hel_params_slots(const hel_params *params);
/** The scale of values at a level.
 *  - Errors: 0 for a level that does not exist.
 *  - Source: (2). */
HEL_API double hel_params_scale(const hel_params *params, unsigned level);
/** Limbs of a ciphertext at a level.
 *  - Errors: 0 for a level that does not exist. */
HEL_API size_t hel_params_limbs(const hel_params *params, unsigned level);
/** log2 of all primes together, special ones included. */
HEL_API double hel_params_log_qp(const hel_params *params);
/** The largest log2(QP) that is 128-bit secure at N = 2^log_n.
 *  - Errors: 0 where no bound is known.
 *  - Source: (30). */
HEL_API double hel_security_limit(unsigned log_n);

/** @}
 *  @name Encoding
 *  @{ */

/** What a plaintext is for. */
typedef enum hel_pt_use {
	HEL_FOR_ADD, /**< to encrypt or to add */
	HEL_FOR_MUL, /**< to multiply a ciphertext with */
} hel_pt_use;

/** Encodes all slots.
 *  - Shape: hel_params_slots() numbers.
 *  - Level, scale: `level` and its scale S; to multiply at a level that passes: its primes'
 *    product.
 *  - Error: rounding, sqrt(N / 24) / S.
 *  - Cost: one FFT of N / 2 complex numbers, L NTTs. Its time does not depend on the numbers; that
 *    they do not fit is revealed.
 *  - Source: (3), (4), (23).
 *  @retval HEL_ELEVEL there is no such level.
 *  @retval HEL_ERANGE a value is not finite or too large for the scale. */
HEL_API HEL_CHECKED hel_status hel_encode(hel_pt **out, const hel_params *params,
					  const hel_complex *slots, unsigned level, hel_pt_use use);
/** Wipes and frees.
 *  - Cost: one pass. */
HEL_API void hel_pt_free(hel_pt *pt);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
