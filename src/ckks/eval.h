/* eval.h -- operations that the public header does not have, and their results. */
#ifndef HEL_CKKS_EVAL_H
#define HEL_CKKS_EVAL_H

#include "objects.h"

/** hel_eval_rotate_sum (or its _rescale) for any Galois elements. */
HEL_CHECKED hel_status hel_eval_galois_sum(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					   const uint32_t *galois, size_t count, bool rescale);

/** One of several products of a sum; factor is 1 or 2. */
typedef struct hel_product_term {
	const hel_ct *a, *b;
	double factor;
} hel_product_term;

/** hel_eval_mul_rescale() of the sum of factor a b, one or more, and plus, which stands at their
 *  level and at a product's scale: still one key switch, one division and one rounding, (21).
 *  @retval HEL_EINVAL a factor is not 1 or 2. */
HEL_CHECKED hel_status hel_eval_mul_add_rescale(const hel_eval *ev, hel_ct *out,
						const hel_product_term *product, size_t count,
						const hel_ct *plus);

/** A ciphertext in the evaluator's scratch, contents undefined, for results of operations; must be
 *  freed before the evaluator. */
HEL_CHECKED hel_status hel_ct_take(hel_ct **out, const hel_eval *ev);
void hel_ct_copy(hel_ct *out, const hel_ct *ct);

#endif
