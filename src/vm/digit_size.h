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

#endif
