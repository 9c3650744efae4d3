/** @file rotate.h
 *  Rotations and conjugation of slots. ckks.h explains words.
 */
#ifndef HELRM_ROTATE_H
#define HELRM_ROTATE_H

#include <helrm/eval.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @name Rotations
 *  All of them may return HEL_EPARAMS: the arguments have different parameters.
 *  @{ */

/** Rotates the slots left by `steps` (negative: right): slot i of out is slot i + steps of a.
 *  - Level, scale: a's; products may be rotated.
 *  - Error: one key switch.
 *  - Cost: one key switch: about d (L + k) + L forward and L + 2 k inverse NTTs.
 *  - Source: (16), (18), (27).
 *  @retval HEL_EKEY no key for this rotation at this level. */
HEL_API HEL_CHECKED hel_status hel_eval_rotate(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					       long steps);
/** Conjugates every slot.
 *  - Level, scale: a's; products may be conjugated.
 *  - Error and cost: one key switch.
 *  - Source: (16), (18), (27).
 *  @retval HEL_EKEY no key for conjugation at this level. */
HEL_API HEL_CHECKED hel_status hel_eval_conjugate(const hel_eval *ev, hel_ct *out, const hel_ct *a);
/** out[i] = a rotated by steps[i]: one decomposition for all (hoisting). out[i] must be distinct
 *  and none of them a.
 *  - Level, scale: a's.
 *  - Error: one key switch each.
 *  - Cost: one decomposition; two inner products and one ModDown for each rotation.
 *  - Source: (19), (27).
 *  @retval HEL_EKEY   no key for one of the rotations at this level.
 *  @retval HEL_EINVAL an output is a. */
HEL_API HEL_CHECKED hel_status hel_eval_rotate_hoisted(const hel_eval *ev, hel_ct *const *out,
						       const hel_ct *a, const long *steps,
						       size_t count);
/** out = sum of a rotated by each of `steps`. A step of 0 stands for a itself.
 *  - Level, scale: a's; a may be a product.
 *  - Error: variances of a's copies and of count key switches but one rounding add.
 *  - Cost: one decomposition, two inner products for each step, one ModDown.
 *  - Source: (20), (27).
 *  @retval HEL_EKEY   no key for one of the rotations at this level.
 *  @retval HEL_EINVAL no steps. */
HEL_API HEL_CHECKED hel_status hel_eval_rotate_sum(const hel_eval *ev, hel_ct *out, const hel_ct *a,
						   const long *steps, size_t count);
/** hel_eval_rotate_sum() of a product and hel_eval_rescale() with one division.
 *  - Level: -1. Scale: that level's.
 *  - Error: as both, with one rounding less.
 *  - Cost: as hel_eval_rotate_sum() and a little more.
 *  - Source: (20), (21).
 *  @retval HEL_EKEY, HEL_EINVAL as hel_eval_rotate_sum().
 *  @retval HEL_ELEVEL, HEL_ESCALE as hel_eval_rescale(). */
HEL_API HEL_CHECKED hel_status hel_eval_rotate_sum_rescale(const hel_eval *ev, hel_ct *out,
							   const hel_ct *a, const long *steps,
							   size_t count);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
