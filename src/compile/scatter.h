/* scatter.h -- elements brought to the slots where they are wanted, by as few rotations as a greedy
 * choice finds.
 */
#ifndef HEL_SCATTER_H
#define HEL_SCATTER_H

#include "base/base.h"

#define HEL_TAKEN_REAL 1
#define HEL_TAKEN_IMAGINARY 2

/** out[p] = sum over rotations k of in[p + rotation[k]], times what taken[k][p] says: 1, i, both.
 */
typedef struct hel_scatter {
	size_t slots, count;
	int32_t *rotation; /* 0 to slots - 1 */
	uint8_t *taken;	   /* [count][slots] */
	int32_t giant;	   /* giant steps are multiples of it, a power of two */
} hel_scatter;

/** from[q]: the element that a slot holds, negative for none. Slot p is to hold the sum of all
 *  elements e with column[e] = to[p] >= 0, and 0 where to[p] < 0; its imaginary part the same by
 *  to[slots + p], where there are two parts.
 *  @retval HEL_EUNSUPPORTED an element stands nowhere, or it takes more than 256 rotations. */
HEL_CHECKED hel_status hel_scatter_new(hel_scatter **out, const int32_t *from, const int32_t *to,
				       size_t parts, size_t slots, const int32_t *column,
				       size_t elements);
void hel_scatter_free(hel_scatter *s);
/** How many distinct steps other than 0 there are with this giant step. */
void hel_scatter_steps(size_t *babies, size_t *giants, const hel_scatter *s, int32_t giant);

#endif
