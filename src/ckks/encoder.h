/* encoder.h -- vectors of slots to polynomials and back. */
#ifndef HEL_CKKS_ENCODER_H
#define HEL_CKKS_ENCODER_H

#include "objects.h"

/** N real coefficients, unscaled, to slots. */
HEL_CHECKED hel_status hel_embed(const hel_params *p, hel_complex *slots,
				 const double *coefficients);
/** What every coefficient of an encoding, which is at most the largest slot times the scale, must
 *  stay below: half the modulus, and what two words hold. */
double hel_encode_limit(const hel_params *p, unsigned level);
/** Encodes at any scale into memory of the caller, limbs of the level times N words, undefined on
 *  failure; limbs on the pool. */
HEL_CHECKED hel_status hel_encode_into(uint32_t *data, const hel_params *p,
				       const hel_complex *slots, unsigned level, double scale,
				       hel_pt_use use, hel_pool *pool);
/** The same into memory of its own. */
HEL_CHECKED hel_status hel_encode_at(hel_pt **out, const hel_params *p, const hel_complex *slots,
				     unsigned level, double scale, hel_pt_use use, hel_pool *pool);
/** The same modulo the special primes, too, to multiply extended pairs with. */
HEL_CHECKED hel_status hel_encode_extended(hel_pt **out, const hel_params *p,
					   const hel_complex *slots, unsigned level, double scale,
					   hel_pool *pool);

#endif
