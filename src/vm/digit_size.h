/* digit_size.h -- how many primes a key-switching digit has. */
#ifndef HEL_VM_DIGIT_SIZE_H
#define HEL_VM_DIGIT_SIZE_H

#include "cost.h"

/** Parameters with the chain's ring and levels (all but alpha and special) and the digit size whose
 *  key switches are cheapest over all levels; *out stays NULL when the ring is too small. precise:
 * one special prime more than a digit has, so that a key switch costs no more precision than a
 * rescaling. */
HEL_CHECKED hel_status hel_choose_digits(hel_params **out, const hel_params_spec *chain,
					 bool precise, const hel_cost_model *machine);

/** One way to switch keys. */
typedef struct hel_digits {
	hel_params_spec spec;
	double seconds; /* of one key switch at every level, by which ways compare */
} hel_digits;

#define HEL_DIGIT_SCALES 5 /* of 2^26 to 2^30 */
#define HEL_DIGIT_SIZES 3
#define HEL_DIGIT_WAYS (2 * HEL_DIGIT_SCALES * HEL_DIGIT_SIZES)

/** Ways that may fit the ring, cheapest first, for levels of one prime: scales of 2^26 to 2^30,
 * with as many special primes as a digit has or one more, with digits of the cheapest sizes. Primes
 * smaller than the special ones leave digits small against these, so that key switches cost hardly
 * any precision, where rescalings cost more; and they leave room for special primes, which makes
 *  digits fewer. Returns how many. */
size_t hel_digits_list(hel_digits out[HEL_DIGIT_WAYS], const hel_params_spec *chain,
		       const hel_cost_model *machine);

#endif
