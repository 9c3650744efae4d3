/* hoisted.h -- ciphertexts that stay extended between rotations: P times what they hold, modulo QP.
 */
#ifndef HEL_HOISTED_H
#define HEL_HOISTED_H

#include "coefficients.h"

/** An extended pair, and room to work on it, in the evaluator's scratch. */
typedef struct hel_extended {
	const hel_eval *ev;
	unsigned level;
	size_t limbs, rows, words; /* of the chain; with special ones; of a pair */
	uint32_t *pair;		   /* the value */
	uint32_t *acc, *next;	   /* two pairs more */
	uint32_t *half;		   /* one half without special limbs */
	uint32_t *baby;		   /* [babies - 1] pairs */
	uint32_t *memory, *work;
} hel_extended;

/** Room for one, and for transforms of so many baby steps; contents undefined. */
HEL_CHECKED hel_status hel_extended_take(hel_extended *x, const hel_eval *ev, unsigned level,
					 size_t babies);
void hel_extended_give(hel_extended *x);
/** The value plus what rotations make of it. Cost: half a ModDown, one decomposition, an inner
 *  product with each key.
 *  @retval HEL_EKEY one of them has no key. */
HEL_CHECKED hel_status hel_extended_add_rotations(hel_extended *x, const long *steps, size_t count);
/** hel_fft_to_slots() of the value, of this scale; x is spent. */
HEL_CHECKED hel_status hel_extended_to_slots(hel_ct *out, hel_extended *x, const hel_fft *t,
					     double scale);

#endif
