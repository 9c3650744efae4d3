/* primes.h -- the primes and scales of levels, as a spec asks for them. */
#ifndef HEL_CKKS_PRIMES_H
#define HEL_CKKS_PRIMES_H

#include "objects.h"

HEL_CHECKED hel_status hel_spec_check(const hel_params_spec *s);
/** Primes of a level's group, those of level 0 included. */
size_t hel_spec_primes(const hel_params_spec *s, unsigned level);
/** Whether a level >= 1 hands its scale on (hel_level_run). */
bool hel_spec_passes(const hel_params_spec *s, unsigned level);
/** Bits of special primes where a chain leaves `room` bits and the largest digit has `digit`: 30,
 * or as many as fit; 0 where none do. */
double hel_special_bits(const hel_params_spec *s, double room, double digit);
/** Fills primes (chain, then special), p->scale and p->divisor; spec and limbs are there. */
HEL_CHECKED hel_status hel_choose_primes(hel_params *p, uint32_t *primes);

#endif
