/* circuit.h -- matrix-vector products on packed ciphertexts.
 *
 * weights.c: what a product must multiply with, derived from slot maps. Pure
 * arithmetic, no keys.
 * linear.c: the product itself: hoisted baby steps, giant steps in the
 * extended basis, one ModDown.
 */
#ifndef HEL_CIRCUIT_H
#define HEL_CIRCUIT_H

#include "ckks/ckks.h"
#include "prog/prog.h"

/** One packed vector entering a linear transform. map[slot] is the element the slot holds,
 *  HEL_SLOT_ZERO or HEL_SLOT_ANY (anything: gets weight 0). It is rotated by every number whose
 *  bits lie in `diagonals` (hel_subset_sums).
 *
 *  Its matrix is dense, or a diagonal of blocks: row r and element e then meet only where
 *  r mod 2^log_blocks = e >> log_piece, and the matrix is [width][rows >> log_blocks]. */
typedef struct hel_linear_source {
	const int32_t *map;
	const int32_t *imaginary; /* elements in imaginary parts; NULL: there are none */
	size_t width;
	const hel_complex *matrix; /* [rows][stride] */
	size_t stride;		   /* 0: width */
	const int32_t *column; /* of each element, negative: it does not matter; NULL: its number */
	bool blocks;
	uint8_t log_blocks, log_piece;
	uint32_t diagonals;
} hel_linear_source;

/** y = sum_k matrix_k x_k. Slot p multiplies what it sees after each rotation with the entry of
 *  (target[p], element seen); then the slots are summed over all folds: v += rot(v, 2^bit) for each
 *  bit of `folds` in turn. Outputs from `rows` on are zero. The bit `slots` stands for adding the
 *  conjugate: weights are halved and conjugated for imaginary parts, so that the real part of the
 *  sum is what it would be if all elements stood in slots of their own. Without that fold,
 * imaginary parts of the result hold anything. Matrices must be real where elements are complex or
 * there is that fold. */
typedef struct hel_linear {
	size_t slots, rows, sources;
	const hel_linear_source *source;
	uint32_t folds;
	const int32_t *target; /* per slot: the output it computes */
	double scale;	       /* of all weights; 0: 1 */
} hel_linear;

/** Where the result is right: result[slot] is the output the slot ends with, HEL_SLOT_ZERO or
 *  HEL_SLOT_ANY. Measured, not argued: runs the transform once over Z/2^64 with the random matrix
 *  u[row] * v[column] on the all-ones vector. Sums of distinct products u v are equal only when
 *  their terms are, up to a probability of about 2^-60 a slot (Schwartz 1980).
 *  Cost: slots * (diagonal and fold bits) additions. */
HEL_CHECKED hel_status hel_linear_check(int32_t *result, const hel_linear *t);

/** The slot values to multiply with, for one source, baby and giant step (their sum is one of its
 *  rotations; the product is rotated by the giant step afterwards); false when all are 0. */
bool hel_linear_weights(hel_complex *out, const hel_linear *t, size_t source, int32_t baby,
			int32_t giant);

typedef struct hel_linear_term {
	const hel_ct *in;
	const hel_pt *weight; /* HEL_FOR_MUL at in's level */
	long baby, giant;
} hel_linear_term;

/** out = sum over terms of rot(weight * rot(in, baby), giant). Scale: squared. Level: unchanged.
 *  Cost: per distinct input one decomposition and one hoisted rotation per distinct baby != 0; per
 *  giant != 0 one decomposition; one ModDown. out must not be an input.
 *  @retval HEL_ELEVEL, HEL_ESCALE terms of different levels or scales.
 *  @retval HEL_EKEY   a rotation has no key. */
HEL_CHECKED hel_status hel_linear_apply(const hel_eval *ev, hel_ct *out,
					const hel_linear_term *terms, size_t count);

#endif
