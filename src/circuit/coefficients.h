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

/** One of the matrices: its steps, and their weights encoded for one level. */
typedef struct hel_fft {
	hel_linear_term *term; /* `in` is filled in when it is applied */
	size_t count;
	size_t babies, giants; /* steps are baby units plus babies times giant units */
	long unit;
} hel_fft;

/** How copies of values differ once they are back in slots. */
typedef enum hel_copies {
	HEL_COPIES_ALIKE,
	HEL_COPIES_SKEWED, /* by their highest bits: hel_fft_skewed */
} hel_copies;

/** The four: two from slots to coefficients, two back. All entries have modulus 1 or 0. */
typedef enum hel_fft_kind {
	HEL_TO_COEFFICIENTS_NEAR, /* real slots; rotations by less than sqrt(m), then by 0 and m,
				     summed */
	HEL_TO_COEFFICIENTS_FAR,  /* multiples of about sqrt(m); its slots are those of the
				     polynomial */
	HEL_TO_SLOTS_FAR,	  /* the polynomial's slots, times m */
	HEL_TO_SLOTS_NEAR,	  /* the slots are the sum of this and its conjugate */
} hel_fft_kind; /* between the last two slots are turned by sqrt(m), so that no step is negative */

/** The matrix's steps, without weights.
 *  @retval HEL_EINVAL n is not 8 to N / 2. */
HEL_CHECKED hel_status hel_fft_init(hel_fft *t, const hel_params *p, hel_fft_kind kind,
				    unsigned log_values);
/** Encodes `factor` times the matrix at `level`; `scale` is the weights'. copies: of the two back
 * to slots; the others take copies that are alike. Cost: about 2 sqrt(m) encodings; as many
 * plaintexts stay in memory. */
HEL_CHECKED hel_status hel_fft_encode(hel_fft *t, const hel_params *p, hel_fft_kind kind,
				      unsigned log_values, hel_copies copies, unsigned level,
				      double factor, double scale, hel_pool *pool);
void hel_fft_clear(hel_fft *t);
/** out = the matrix times `in`, one of the two to coefficients: hel_linear_apply. */
HEL_CHECKED hel_status hel_fft_apply(const hel_eval *ev, hel_ct *out, const hel_fft *t,
				     const hel_ct *in);
/** out = the matrix times `in`, one of the two back to slots, or that plus its conjugate; rescaled.
 *  out may be in. Level: -1, of weights and in. Error: as of hel_linear_apply, rounded once.
 *  Cost: babies - 1 inner products with keys from one decomposition; for each further giant step
 *  half a ModDown and a key switch without one, and so for the conjugate; one division.
 *  @retval HEL_ELEVEL, HEL_ESCALE in is not what the weights were made for.
 *  @retval HEL_EKEY no key for a baby step, for the giant unit (babies units), for conjugation. */
HEL_CHECKED hel_status hel_fft_to_slots(const hel_eval *ev, hel_ct *out, const hel_fft *t,
					const hel_ct *in, bool conjugate);
/** Where y_j of n stands in slots, and which one stands in a slot. */
size_t hel_fft_value(unsigned log_values, size_t slot);
/** Of copies that are skewed, the slot below n that a slot is alike to: copy c, told apart by as
 *  many of the highest slot bits as there are, is turned by c of as many equal parts of m. A
 * product with a matrix then needs only rotations within a part, and sums over copies. */
size_t hel_fft_skewed(unsigned log_values, unsigned log_slots, size_t slot);
/** How many slot bits, the highest, number copies that are skewed. */
unsigned hel_fft_skew_bits(unsigned log_values, unsigned log_slots);

#endif
