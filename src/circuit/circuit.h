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
 *  HEL_SLOT_ZERO or HEL_SLOT_ANY (anything: gets weight 0). */
typedef struct hel_linear_source {
	const int32_t *map;
	size_t width;
	const hel_complex *matrix; /* [rows][width] */
	const int32_t *baby;
	size_t babies;
	bool giants; /* takes part in all giant steps, or in the first (0) alone */
} hel_linear_source;

/** y = sum_k matrix_k x_k. Slot p multiplies what it sees after each rotation baby + giant with
 *  the entry of (target[p], element seen); then the slots are summed over all folds (slot-number
 *  steps: v += rot(v, fold) for each in turn). Outputs from `rows` on are zero. */
typedef struct hel_linear {
	size_t slots, rows, sources, giants, folds;
	const hel_linear_source *source;
	const int32_t *giant; /* giant[0] == 0 */
	const int32_t *fold;
	const int32_t *target; /* per slot: the output it computes */
} hel_linear;

/** Where the result is right: result[slot] is the output the slot ends with, HEL_SLOT_ZERO or
 *  HEL_SLOT_ANY. Measured, not argued: runs the transform once over Z/2^64 with a random dense
 *  matrix and random contents in HEL_SLOT_ANY slots; wrong with probability about 2^-64 a slot.
 *  Cost: slots * rotations multiplications. */
HEL_CHECKED hel_status hel_linear_check(int32_t *result, const hel_linear *t);

/** The slot values to multiply with, for one source, baby and giant step; false when all are 0. */
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
