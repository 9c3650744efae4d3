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

#define HEL_MAX_DIGITS 64

/** All ways that may fit the ring, cheapest first, for levels of one prime: scales of 2^26 to 2^30
 *  with digits of any size and one more special prime than they have, or none. Primes smaller than
 *  the special ones leave digits small against these, so that key switches cost hardly any
 *  precision, where rescalings cost more; and they leave room for special primes, which makes
 *  digits fewer. Returns how many. */
size_t hel_digits_list(hel_digits out[HEL_MAX_DIGITS], const hel_params_spec *chain,
		       const hel_cost_model *machine);

#endif
