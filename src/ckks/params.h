/* params.h -- what follows from parameters. */
#ifndef HEL_CKKS_PARAMS_H
#define HEL_CKKS_PARAMS_H

#include "objects.h"

size_t hel_params_digits_at(const hel_params *p, size_t limbs);
/** log2 of the largest product of one digit's primes, and of the special primes. */
double hel_params_log_digit(const hel_params *p);
double hel_params_log_special(const hel_params *p);
/** The Galois element of a rotation by steps mod 2^log_slots, and a conjugation as well for steps
 *  of 2^log_slots and more. */
uint32_t hel_galois_of_step(const hel_params *p, int32_t step);

#endif
