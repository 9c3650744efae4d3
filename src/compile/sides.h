/* sides.h -- a model of private and public columns as two: one of what a user hides, one of items.
 *
 * Where private and public values meet once (in a product, or in the sum that one is squared of),
 * the logit is f(u) + g(p) + sum_j a_j(u) b_j(p), exactly: a quadratic form in the values that
 * meet, u of private nodes and p of public ones, whose mixed part has few rows. The towers before
 * may do what they like: the public one is computed in the clear, the private one under encryption.
 */
#ifndef HEL_SIDES_H
#define HEL_SIDES_H

#include "model/dlrm.h"
#include "side.h"

typedef struct hel_sides {
	/* Models whose last node is a vector: a(u); and g(p), then b(p). */
	hel_dlrm *private, *public;
	hel_side hidden, open; /* their columns; schemas are copies */
	size_t rows;	       /* of a and b */
	/* squares: f(u) = sum_j sign[j] a_j(u)^2. Otherwise f is among a, with b = 1. */
	bool squares;
	double *sign;
} hel_sides;

/** Which columns are public: by number.
 *  @retval HEL_EINVAL nothing is left to hide, or nothing that could be shared.
 *  @retval HEL_EUNSUPPORTED private and public values meet more than once, or in what is no
 *  polynomial; names the node. */
HEL_CHECKED hel_status hel_sides_new(hel_sides *out, const hel_dlrm *m, const bool *dense,
				     const bool *table);
void hel_sides_clear(hel_sides *s);

#endif
