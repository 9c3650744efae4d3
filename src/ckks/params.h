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

/* Levels that a refresh takes, from the top: to slots, then the sine. */
enum { HEL_REFRESH_TRANSFORMS = 2, HEL_REFRESH_SINES = 7 };
/* Levels that it may leave, and the one secure ring that holds all that. */
enum { HEL_REFRESH_LEVELS_MIN = 6, HEL_REFRESH_LEVELS_MAX = 10, HEL_REFRESH_LOG_N = 15 };
/** The levels that refreshed values have, of hel_refresh_params()' parameters; 0 of all others. */
unsigned hel_refresh_levels(const hel_params_spec *spec);

#endif
