/* eval.h -- operations that the public header does not have, and their results. */
#ifndef HEL_CKKS_EVAL_H
#define HEL_CKKS_EVAL_H

#include "objects.h"

/** hel_eval_rotate_sum (or its _rescale) for any Galois elements. */
HEL_CHECKED hel_status hel_eval_galois_sum(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					   const uint32_t *galois, size_t count, bool rescale);

/** hel_eval_mul_rescale() of factor a b + plus, which stands at a's level and at a product's scale:
 *  still one division and one rounding, (21).
 *  @retval HEL_EINVAL factor is not 1 or 2. */
HEL_CHECKED hel_status hel_eval_mul_add_rescale(const hel_eval *ev, hel_ct *out, const hel_ct *a,
						const hel_ct *b, double factor, const hel_ct *plus);

/** A ciphertext in the evaluator's scratch, contents undefined, for results of operations; must be
 *  freed before the evaluator. */
HEL_CHECKED hel_status hel_ct_take(hel_ct **out, const hel_eval *ev);
void hel_ct_copy(hel_ct *out, const hel_ct *ct);

#endif
