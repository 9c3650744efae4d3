/** @file eval.h
 *  Arithmetic on ciphertexts, slot by slot. ckks.h explains words; rotate.h moves slots.
 */
#ifndef HELRM_EVAL_H
#define HELRM_EVAL_H

#include <helrm/ciphertext.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hel_eval hel_eval; /**< params + keys + threads + scratch */

/** @name Evaluation
 *  All of them may return HEL_EPARAMS: the arguments have different parameters.
 *  @{ */

/** An evaluator, which any number of threads may use. Borrows params, keys (NULL for none) and
 *  pool (NULL: the calling thread) until it is freed.
 *  - Cost: scratch memory grows with use and is kept.
 *  @retval HEL_EPARAMS keys of other parameters. */
HEL_API HEL_CHECKED hel_status hel_eval_new(hel_eval **out, const hel_params *params,
					    const hel_keys *keys, hel_pool *pool);
/** Frees the evaluator and its scratch memory. */
HEL_API void hel_eval_free(hel_eval *ev);

/** out = a + b.
 *  - Level, scale: those of a and b, which must be equal; products may be added.
 *  - Error: variances add.
 *  - Cost: 2 L passes.
 *  - Source: (10).
 *  @retval HEL_ELEVEL, HEL_ESCALE they differ. */
HEL_API HEL_CHECKED hel_status hel_eval_add(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					    const hel_ct *b);
/** out = a - b.
 *  - Level, scale: those of a and b, which must be equal; products may be subtracted.
 *  - Error: variances add.
 *  - Cost: 2 L passes.
 *  - Source: (10).
 *  @retval HEL_ELEVEL, HEL_ESCALE they differ. */
HEL_API HEL_CHECKED hel_status hel_eval_sub(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					    const hel_ct *b);
/** out = a + p, p made with HEL_FOR_ADD at a's level.
 *  - Level, scale: a's; a must not be a product.
 *  - Error: the encoding's.
 *  - Cost: L passes.
 *  - Source: (10).
 *  @retval HEL_ELEVEL, HEL_ESCALE they differ.
 *  @retval HEL_EINVAL p was made with HEL_FOR_MUL. */
HEL_API HEL_CHECKED hel_status hel_eval_add_plain(const hel_eval *ev, hel_ct *out, const hel_ct *a,
						  const hel_pt *p);
/** out = a p slot by slot, p made with HEL_FOR_MUL at a's level.
 *  - Level: a's. Scale: the product of both.
 *  - Error: a's times |p|, the encoding's times |a|.
 *  - Cost: 2 L products.
 *  - Source: (11), (28).
 *  @retval HEL_ELEVEL they differ, or level 0, which cannot hold a product.
 *  @retval HEL_ESCALE a is a product: rescale first.
 *  @retval HEL_EINVAL p was made with HEL_FOR_ADD. */
HEL_API HEL_CHECKED hel_status hel_eval_mul_plain(const hel_eval *ev, hel_ct *out, const hel_ct *a,
						  const hel_pt *p);
/** out = a b slot by slot, relinearised, not rescaled.
 *  - Level: that of a and b, which must be equal. Scale: the product of both.
 *  - Error: a's times |b|, b's times |a|, a key switch at the product's scale.
 *  - Cost: one key switch and 6 L products.
 *  - Source: (17), (28).
 *  @retval HEL_EKEY   no relinearisation key at this level.
 *  @retval HEL_ELEVEL they differ, or level 0, which cannot hold a product.
 *  @retval HEL_ESCALE a or b is a product: rescale first. */
HEL_API HEL_CHECKED hel_status hel_eval_mul(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					    const hel_ct *b);
/** hel_eval_mul() and hel_eval_rescale() with one division and one rounding less.
 *  - Level: -1. Scale: that level's.
 *  - Error: as both, with one rounding less.
 *  - Cost: one key switch; about a sixth less than the two calls.
 *  - Source: (17), (21).
 *  @retval HEL_EKEY, HEL_ELEVEL, HEL_ESCALE as hel_eval_mul(). */
HEL_API HEL_CHECKED hel_status hel_eval_mul_rescale(const hel_eval *ev, hel_ct *out,
						    const hel_ct *a, const hel_ct *b);
/** Divides a product by the level's primes.
 *  - Level: -1. Scale: that level's.
 *  - Error: N / 6 / S.
 *  - Cost: 2 L NTTs.
 *  - Source: (14), (26).
 *  @retval HEL_ELEVEL a is at level 0.
 *  @retval HEL_ESCALE a is not a product. */
HEL_API HEL_CHECKED hel_status hel_eval_rescale(const hel_eval *ev, hel_ct *out, const hel_ct *a);
/** Brings a to a lower level and exactly that level's scale.
 *  - Level, scale: `level` and its scale.
 *  - Error and cost: one rescaling; nothing when a is there already.
 *  - Source: (22).
 *  @retval HEL_ELEVEL a is below that level.
 *  @retval HEL_ESCALE a is a product: rescale first. */
HEL_API HEL_CHECKED hel_status hel_eval_drop(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					     unsigned level);
/** A term of hel_eval_weighted_sum(). */
typedef struct hel_sum_term {
	const hel_ct *a; /**< the value */
	double factor;	 /**< what to multiply it with */
} hel_sum_term;

/** out = constant + sum of factor * a: to be rescaled next. Terms stand at `level` or above, at
 * their level's scale, or are products at `level` (their factors must be integers); out is none of
 * them. Scales differ between levels; factors absorb that exactly.
 *  - Level, scale: `level` and a product's scale there.
 *  - Error: that of rounding each factor, |a| / sqrt(12) / S; a's times the factor.
 *  - Cost: 2 L products by a number for each term.
 *  - Source: (11).
 *  @retval HEL_ELEVEL level 0, or a term below `level`.
 *  @retval HEL_ESCALE a term that is neither.
 *  @retval HEL_ERANGE a factor beyond the modulus. */
HEL_API HEL_CHECKED hel_status hel_eval_weighted_sum(const hel_eval *ev, hel_ct *out,
						     unsigned level, const hel_sum_term *terms,
						     size_t count, double constant);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
