/* coefficients.h -- slots to coefficients and back, on ciphertexts.
 *
 * n real numbers (a power of two) stand in slots that repeat with period n, or in the coefficients
 * of a polynomial in X^(N / n), whose slots repeat with period m = n / 2: (3) in the ring of degree
 * n. The FFT between them is cut into two sparse matrices, each a sum of a few diagonals. None
 * reverses bits: in slots, y_rev(p) stands at p < m and y_(m + rev(p)) at m + p, rev over the bits
 * of m.
 */
#ifndef HEL_COEFFICIENTS_H
#define HEL_COEFFICIENTS_H

#include "circuit.h"

/** One of the matrices, encoded for one level. */
typedef struct hel_transform {
	hel_linear_term *term; /* `in` is filled in when it is applied */
	size_t count;
} hel_transform;

/** The four: two from slots to coefficients, two back. All entries have modulus 1 or 0. */
typedef enum hel_transform_kind {
	HEL_TO_COEFFICIENTS_NEAR, /* real slots; rotations by less than sqrt(m), then by 0 and m,
				     summed */
	HEL_TO_COEFFICIENTS_FAR,  /* multiples of about sqrt(m); its slots are those of the
				     polynomial */
	HEL_TO_SLOTS_FAR,	  /* the polynomial's slots, times m */
	HEL_TO_SLOTS_NEAR,	  /* the slots are the sum of this and its conjugate */
} hel_transform_kind;

/** Encodes `factor` times the matrix at `level`; `scale` is the weights'.
 *  Cost: about 2 sqrt(m) encodings; as many plaintexts stay in memory.
 *  @retval HEL_EINVAL n is not 8 to N / 2. */
HEL_CHECKED hel_status hel_transform_init(hel_transform *t, const hel_params *p,
					  hel_transform_kind kind, unsigned log_values,
					  unsigned level, double factor, double scale,
					  hel_pool *pool);
void hel_transform_clear(hel_transform *t);
/** out = the matrix times `in`: hel_linear_apply. */
HEL_CHECKED hel_status hel_transform_apply(const hel_eval *ev, hel_ct *out, const hel_transform *t,
					   const hel_ct *in);
/** Where y_j of n stands in slots, and which one stands in a slot. */
size_t hel_transform_value(unsigned log_values, size_t slot);

#endif
