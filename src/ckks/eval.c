#include "eval.h"
#include "encoder.h"
#include "keyswitch.h"
#include "params.h"
#include "primes.h"
#include <math.h>
#include <string.h>

hel_status hel_eval_new(hel_eval **out, const hel_params *params, const hel_keys *keys,
			hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_eval *ev = NULL;
	if (keys && keys->params != params)
		FAIL(HEL_EPARAMS, "keys and evaluator have different parameters");
	TRY_ALLOC(ev, hel_alloc(1, sizeof *ev));
	*ev = (hel_eval){.params = params, .keys = keys, .pool = pool};
	TRY_ALLOC(ev->scratch, hel_scratch_new());
	*out = ev;
	ev = NULL;
done:
	hel_eval_free(ev);
	return st;
}

void hel_eval_free(hel_eval *ev)
{
	if (!ev)
		return;
	hel_scratch_free(ev->scratch);
	hel_free(ev);
}

static hel_status same_params(const hel_eval *ev, const hel_ct *out, const hel_ct *a)
{
	return out->params == ev->params && a->params == ev->params
		   ? HEL_OK
		   : hel_fail(HEL_EPARAMS, "ciphertext and evaluator have different parameters");
}

static hel_status same_place(const hel_eval *ev, const hel_ct *out, const hel_ct *a,
			     const hel_ct *b)
{
	hel_status st = HEL_OK;
	TRY(same_params(ev, out, a));
	TRY(same_params(ev, out, b));
	if (a->level != b->level)
		FAIL(HEL_ELEVEL, "levels %u and %u differ; drop one to the other", a->level,
		     b->level);
done:
	return st;
}

static hel_status same_scale(double a, double b)
{
	return a == b ? HEL_OK
		      : hel_fail(HEL_ESCALE, "scales 2^%.6f and 2^%.6f differ; rescale first",
				 log2(a), log2(b));
}

typedef void (*pointwise)(uint32_t *, const uint32_t *, const uint32_t *, const hel_prime *const *,
			  size_t);

static hel_status add_or_sub(const hel_eval *ev, hel_ct *out, const hel_ct *a, const hel_ct *b,
			     pointwise kernel)
{
	hel_status st = HEL_OK;
	TRY(same_place(ev, out, a, b));
	TRY(same_scale(a->scale, b->scale));
	for (int i = 0; i < 2; i++)
		kernel(out->part[i], a->part[i], b->part[i], ev->params->ring.at,
		       ev->params->limbs[a->level]);
	out->level = a->level;
	out->scale = a->scale;
done:
	return st;
}

hel_status hel_eval_add(const hel_eval *ev, hel_ct *out, const hel_ct *a, const hel_ct *b)
{
	return add_or_sub(ev, out, a, b, ev->params->ring.k->add);
}

hel_status hel_eval_sub(const hel_eval *ev, hel_ct *out, const hel_ct *a, const hel_ct *b)
{
	return add_or_sub(ev, out, a, b, ev->params->ring.k->sub);
}

static hel_status plain_fits(const hel_eval *ev, const hel_ct *out, const hel_ct *a,
			     const hel_pt *p, hel_pt_use use)
{
	hel_status st = HEL_OK;
	TRY(same_params(ev, out, a));
	if (p->params != ev->params)
		FAIL(HEL_EPARAMS, "plaintext and evaluator have different parameters");
	if (p->use != use)
		FAIL(HEL_EINVAL, "the plaintext was encoded for another use");
	if (p->level != a->level)
		FAIL(HEL_ELEVEL, "plaintext of level %u, ciphertext of level %u", p->level,
		     a->level);
done:
	return st;
}

hel_status hel_eval_add_plain(const hel_eval *ev, hel_ct *out, const hel_ct *a, const hel_pt *p)
{
	hel_status st = HEL_OK;
	TRY(plain_fits(ev, out, a, p, HEL_FOR_ADD));
	TRY(same_scale(a->scale, p->scale));
	hel_ct_copy(out, a);
	ev->params->ring.k->add(out->part[0], out->part[0], p->data, ev->params->ring.at,
				ev->params->limbs[a->level]);
done:
	return st;
}

/* A product of a product would not fit: only values at their level's scale are multiplied. */
static hel_status can_multiply(const hel_eval *ev, const hel_ct *a)
{
	if (a->level == 0)
		return hel_fail(HEL_ELEVEL, "level 0 cannot hold a product");
	return same_scale(a->scale, ev->params->scale[a->level]);
}

hel_status hel_eval_mul_plain(const hel_eval *ev, hel_ct *out, const hel_ct *a, const hel_pt *p)
{
	hel_status st = HEL_OK;
	TRY(plain_fits(ev, out, a, p, HEL_FOR_MUL));
	TRY(can_multiply(ev, a));
	for (int i = 0; i < 2; i++)
		ev->params->ring.k->mont_mul(out->part[i], a->part[i], p->data, ev->params->ring.at,
					     ev->params->limbs[a->level]);
	out->level = a->level;
	out->scale = a->scale * p->scale;
done:
	return st;
}

/* (d0, d1, d2) = the sum of (a0 b0, a0 b1 + a1 b0, a1 b1), limb by limb. */
typedef struct tensor_job {
	const hel_params *params;
	const hel_product_term *product;
	size_t count;
	const hel_ct *plus;	  /* joins (d0, d1), may be NULL */
	uint32_t *d[3], *more[3]; /* more: of each product but the first */
} tensor_job;

static void tensor_limb(void *arg, size_t i)
{
	const tensor_job *j = arg;
	const hel_ring *ring = &j->params->ring;
	const size_t at = i * ring->n;
	uint32_t *const d[3] = {j->d[0] + at, j->d[1] + at, j->d[2] + at};
	for (size_t k = 0; k < j->count; k++) {
		const hel_product_term *t = &j->product[k];
		const uint32_t *const a[2] = {t->a->part[0] + at, t->a->part[1] + at};
		const uint32_t *const b[2] = {t->b->part[0] + at, t->b->part[1] + at};
		uint32_t *const more[3] = {j->more[0] + at, j->more[1] + at, j->more[2] + at};
		ring->k->tensor(k ? more : d, a, b, ring->at[i]);
		for (size_t part = 0; k && part < 3; part++)
			ring->k->add(d[part], d[part], more[part], ring->at + i, 1);
	}
	for (size_t half = 0; j->plus && half < 2; half++)
		ring->k->add(d[half], d[half], j->plus->part[half] + at, ring->at + i, 1);
}

/* Where levels hand their scale on, it comes back bit for bit. */
static double rescaled(const hel_params *p, double scale, unsigned level)
{
	return hel_spec_passes(&p->spec, level) ? p->scale[level - 1] : scale / p->divisor[level];
}

/* What a key switch leaves in `acc`, with what needs none, as a ciphertext at a product's scale, or
 * rescaled with it. */
static void finish_product(const hel_eval *ev, hel_ct *out, const uint32_t *const add[2],
			   uint32_t *acc, unsigned level, double scale, bool rescale,
			   uint32_t *work)
{
	const hel_params *p = ev->params;
	if (rescale)
		hel_ks_finish_rescaled(ev, out->part, add, acc, level, work);
	else
		hel_ks_finish(ev, out->part, add, acc, p->limbs[level], work);
	out->level = level - rescale;
	out->scale = rescale ? rescaled(p, scale, level) : scale;
}

static hel_status can_multiply_all(const hel_eval *ev, const hel_ct *out, const hel_product_term *t,
				   size_t count, const hel_ct *plus)
{
	hel_status st = HEL_OK;
	for (size_t k = 0; k < count; k++) {
		TRY(same_place(ev, out, t[k].a, t[k].b));
		TRY(same_place(ev, out, t->a, t[k].a));
		TRY(can_multiply(ev, t[k].a));
		TRY(can_multiply(ev, t[k].b));
	}
	if (plus) {
		TRY(same_place(ev, out, t->a, plus));
		TRY(same_scale(t->a->scale * t->b->scale, plus->scale));
	}
done:
	return st;
}

/* Factors count as 1. */
static hel_status multiply(const hel_eval *ev, hel_ct *out, const hel_product_term *product,
			   size_t count, const hel_ct *plus, bool rescale)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	uint32_t *scratch = NULL;
	TRY(can_multiply_all(ev, out, product, count, plus));
	const unsigned level = product->a->level;
	const double scale = product->a->scale * product->b->scale;
	const size_t limbs = p->limbs[level], words = limbs * p->ring.n;
	const size_t extended = hel_extended_words(p, limbs);
	/* other products' tensors stand where the key switch works later */
	const size_t rest = HEL_MAX(extended + hel_ks_scratch_words(ev, limbs), 3 * words);
	const hel_switch_key *key = hel_keys_find(ev->keys, HEL_RELINEARISE, level);
	if (!key) {
		st = HEL_EKEY;
		goto done;
	}
	TRY_ALLOC(scratch, hel_scratch_take(ev->scratch, 4 * (3 * words + rest)));
	uint32_t *acc = scratch + 3 * words, *work = acc + extended;
	tensor_job t = {.params = p, .product = product, .count = count, .plus = plus};
	for (size_t i = 0; i < 3; i++) {
		t.d[i] = scratch + i * words;
		t.more[i] = acc + i * words;
	}
	hel_pool_for(ev->pool, limbs, tensor_limb, &t);
	hel_ks_apply(ev, acc, NULL, t.d[2], &key, 1, HEL_KS_SUM, limbs, work);
	finish_product(ev, out, (const uint32_t *const[2]){t.d[0], t.d[1]}, acc, level, scale,
		       rescale, work);
done:
	hel_scratch_give(ev->scratch, scratch);
	return st;
}

hel_status hel_eval_mul(const hel_eval *ev, hel_ct *out, const hel_ct *a, const hel_ct *b)
{
	return multiply(ev, out, &(hel_product_term){a, b, 1}, 1, NULL, false);
}

hel_status hel_eval_mul_rescale(const hel_eval *ev, hel_ct *out, const hel_ct *a, const hel_ct *b)
{
	return multiply(ev, out, &(hel_product_term){a, b, 1}, 1, NULL, true);
}

hel_status hel_eval_mul_add_rescale(const hel_eval *ev, hel_ct *out,
				    const hel_product_term *product, size_t count,
				    const hel_ct *plus)
{
	hel_status st = HEL_OK;
	hel_product_term *term = NULL;
	hel_ct **twice = NULL;
	if (!count)
		FAIL(HEL_EINVAL, "a sum of products without a product");
	TRY_ALLOC(term, hel_alloc(count, sizeof *term));
	TRY_ALLOC(twice, hel_alloc(count, sizeof *twice));
	for (size_t k = 0; k < count; k++) {
		term[k] = product[k];
		if (term[k].factor != 1 && term[k].factor != 2)
			FAIL(HEL_EINVAL, "a product in a sum with factor %g, expected 1 or 2",
			     term[k].factor);
		if (term[k].factor == 1)
			continue;
		TRY(hel_ct_take(&twice[k], ev));
		TRY(hel_eval_add(ev, twice[k], term[k].a, term[k].a));
		term[k].a = twice[k];
	}
	TRY(multiply(ev, out, term, count, plus, true));
done:
	for (size_t k = 0; twice && k < count; k++)
		hel_ct_free(twice[k]);
	hel_free(twice);
	hel_free(term);
	return st;
}

static hel_status is_product(const hel_eval *ev, const hel_ct *a)
{
	const hel_params *p = ev->params;
	if (a->level == 0)
		return hel_fail(HEL_ELEVEL, "no level is left to rescale into");
	const double wanted = p->scale[a->level - 1] * p->divisor[a->level];
	if (!(fabs(a->scale / wanted - 1) < 1e-6))
		return hel_fail(HEL_ESCALE, "scale 2^%.3f is no product's at level %u",
				log2(a->scale), a->level);
	return HEL_OK;
}

hel_status hel_eval_rescale(const hel_eval *ev, hel_ct *out, const hel_ct *a)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	uint32_t *scratch = NULL;
	TRY(same_params(ev, out, a));
	TRY(is_product(ev, a));
	const hel_bconv *bc = &p->rescale[a->level];
	const size_t n = p->ring.n, limbs = p->limbs[a->level - 1];
	TRY_ALLOC(scratch, hel_scratch_take(ev->scratch, 4 * hel_ring_mod_down_words(
								 &p->ring, bc->count, ev->pool)));
	hel_mod_down_part parts[2];
	for (size_t i = 0; i < 2; i++)
		parts[i] = (hel_mod_down_part){out->part[i], a->part[i], a->part[i] + limbs * n,
					       NULL, NULL};
	hel_ring_mod_down(&p->ring, bc, parts, 2, limbs, scratch, ev->pool);
	out->scale = rescaled(p, a->scale, a->level);
	out->level = a->level - 1;
done:
	hel_scratch_give(ev->scratch, scratch);
	return st;
}

hel_status hel_eval_drop(const hel_eval *ev, hel_ct *out, const hel_ct *a, unsigned level)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	TRY(same_params(ev, out, a));
	if (level > a->level)
		FAIL(HEL_ELEVEL, "cannot raise level %u to %u", a->level, level);
	TRY(same_scale(a->scale, p->scale[a->level]));
	if (level == a->level) {
		hel_ct_copy(out, a);
		goto done;
	}
	/* A constant corrects the scale while the last level's primes are divided out. */
	const double constant = p->scale[level] * p->divisor[level + 1] / a->scale;
	const uint64_t c = (uint64_t)llrint(constant);
	hel_factor f[HEL_MAX_PRIMES];
	const size_t limbs = p->limbs[level + 1];
	for (size_t l = 0; l < limbs; l++)
		f[l] = hel_factor_of((uint32_t)(c % p->ring.prime[l].q), p->ring.prime[l].q);
	hel_ct middle = *out; /* out's buffers, written only once nothing but memory can fail */
	uint32_t *scratch;
	const size_t words = limbs * p->ring.n;
	TRY_ALLOC(scratch, hel_scratch_take(ev->scratch, 8 * words));
	for (int i = 0; i < 2; i++) {
		middle.part[i] = scratch + (size_t)i * words;
		p->ring.k->scale(middle.part[i], a->part[i], f, p->ring.at, limbs);
	}
	middle.level = level + 1;
	middle.scale = p->scale[level] * p->divisor[level + 1];
	st = hel_eval_rescale(ev, out, &middle);
	if (st == HEL_OK)
		out->scale = p->scale[level];
	hel_scratch_give(ev->scratch, scratch);
done:
	return st;
}

/* What rotations of one ciphertext need: accumulators and work space. */
typedef struct hoist {
	uint32_t *acc, *work;
} hoist;

static hel_status hoist_begin(const hel_eval *ev, hoist *h, const hel_ct *a, size_t accumulators)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	const size_t limbs = p->limbs[a->level];
	const size_t acc = accumulators * hel_extended_words(p, limbs);
	TRY_ALLOC(h->acc,
		  hel_scratch_take(ev->scratch, 4 * (acc + hel_ks_scratch_words(ev, limbs))));
	h->work = h->acc + acc;
done:
	return st;
}

static hel_status apply_galois(const hel_eval *ev, hel_ct *out, const hel_ct *a, uint32_t galois)
{
	hel_status st = HEL_OK;
	hoist h = {0};
	TRY(same_params(ev, out, a));
	if (galois == 1) {
		hel_ct_copy(out, a);
		goto done;
	}
	const hel_switch_key *key = hel_keys_find(ev->keys, galois, a->level);
	if (!key) {
		st = HEL_EKEY;
		goto done;
	}
	TRY(hoist_begin(ev, &h, a, 1));
	hel_ks_apply(ev, h.acc, a->part[0], a->part[1], &key, 1, HEL_KS_SUM,
		     ev->params->limbs[a->level], h.work);
	finish_product(ev, out, NULL, h.acc, a->level, a->scale, false, h.work);
done:
	hel_scratch_give(ev->scratch, h.acc);
	return st;
}

hel_status hel_eval_rotate(const hel_eval *ev, hel_ct *out, const hel_ct *a, long steps)
{
	return apply_galois(ev, out, a, hel_galois_of_rotation(ev->params, steps));
}

hel_status hel_eval_conjugate(const hel_eval *ev, hel_ct *out, const hel_ct *a)
{
	return apply_galois(ev, out, a, hel_galois_of_conjugation(ev->params));
}

/* The Galois elements of rotations. The caller gives *galois back to the scratch. */
static hel_status rotations(uint32_t **galois, const hel_eval *ev, const long *steps, size_t count)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(*galois, hel_scratch_take(ev->scratch, count * sizeof **galois));
	for (size_t i = 0; i < count; i++)
		(*galois)[i] = hel_galois_of_rotation(ev->params, steps[i]);
done:
	return st;
}

/* All keys, NULL for moves by nothing; before any work. The caller gives *keys back. */
static hel_status find_keys(const hel_switch_key ***keys, const hel_eval *ev,
			    const uint32_t *galois, size_t count, unsigned level)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(*keys, hel_scratch_take(ev->scratch, count * sizeof **keys));
	for (size_t i = 0; i < count; i++) {
		(*keys)[i] = galois[i] == 1 ? NULL : hel_keys_find(ev->keys, galois[i], level);
		if (galois[i] != 1 && !(*keys)[i]) {
			st = HEL_EKEY;
			break;
		}
	}
done:
	return st;
}

/* Keys to the front, in order; returns how many rotations move anything. */
static size_t keys_to_front(const hel_switch_key **keys, size_t count)
{
	size_t moving = 0;
	for (size_t i = 0; i < count; i++)
		if (keys[i])
			keys[moving++] = keys[i];
	return moving;
}

hel_status hel_eval_rotate_hoisted(const hel_eval *ev, hel_ct *const *out, const hel_ct *a,
				   const long *steps, size_t count)
{
	hel_status st = HEL_OK;
	hoist h = {0};
	uint32_t *galois = NULL;
	const hel_switch_key **keys = NULL;
	for (size_t i = 0; i < count; i++) {
		TRY(same_params(ev, out[i], a));
		if (out[i] == a)
			FAIL(HEL_EINVAL, "a hoisted rotation cannot overwrite its input");
	}
	TRY(rotations(&galois, ev, steps, count));
	TRY(find_keys(&keys, ev, galois, count, a->level));
	const size_t limbs = ev->params->limbs[a->level];
	const size_t words = hel_extended_words(ev->params, limbs);
	const size_t moving = keys_to_front(keys, count);
	TRY(hoist_begin(ev, &h, a, moving));
	hel_ks_apply(ev, h.acc, a->part[0], a->part[1], keys, moving, HEL_KS_EACH, limbs, h.work);
	for (size_t i = 0, k = 0; i < count; i++)
		if (galois[i] == 1)
			hel_ct_copy(out[i], a);
		else
			finish_product(ev, out[i], NULL, h.acc + k++ * words, a->level, a->scale,
				       false, h.work);
done:
	hel_scratch_give(ev->scratch, h.acc);
	hel_scratch_give(ev->scratch, keys);
	hel_scratch_give(ev->scratch, galois);
	return st;
}

/* out = times * a, rescaled or not: a sum of rotations by nothing. */
static hel_status add_repeatedly(const hel_eval *ev, hel_ct *out, const hel_ct *a, size_t times,
				 bool rescale)
{
	hel_status st = HEL_OK;
	hel_ct *sum = NULL;
	TRY(hel_ct_take(&sum, ev));
	hel_ct_copy(sum, a);
	for (size_t i = 1; i < times; i++)
		TRY(hel_eval_add(ev, sum, sum, a));
	if (rescale)
		TRY(hel_eval_rescale(ev, out, sum));
	else
		hel_ct_copy(out, sum);
done:
	hel_ct_free(sum);
	return st;
}

hel_status hel_eval_galois_sum(const hel_eval *ev, hel_ct *out, const hel_ct *a,
			       const uint32_t *galois, size_t count, bool rescale)
{
	hel_status st = HEL_OK;
	const size_t limbs = ev->params->limbs[a->level];
	hoist h = {0};
	const hel_switch_key **keys = NULL;
	TRY(same_params(ev, out, a));
	if (!count)
		FAIL(HEL_EINVAL, "a sum of no rotations");
	if (rescale)
		TRY(is_product(ev, a));
	TRY(find_keys(&keys, ev, galois, count, a->level));
	const size_t moving = keys_to_front(keys, count);
	if (!moving) {
		TRY(add_repeatedly(ev, out, a, count, rescale));
		goto done;
	}
	TRY(hoist_begin(ev, &h, a, 1));
	hel_ks_apply(ev, h.acc, a->part[0], a->part[1], keys, moving, HEL_KS_SUM, limbs, h.work);
	for (size_t i = moving; i < count; i++)
		hel_ks_add(ev, h.acc, (const uint32_t *const[2]){a->part[0], a->part[1]}, limbs);
	finish_product(ev, out, NULL, h.acc, a->level, a->scale, rescale, h.work);
done:
	hel_scratch_give(ev->scratch, h.acc);
	hel_scratch_give(ev->scratch, keys);
	return st;
}

static hel_status rotate_sum(const hel_eval *ev, hel_ct *out, const hel_ct *a, const long *steps,
			     size_t count, bool rescale)
{
	uint32_t *galois = NULL;
	hel_status st = rotations(&galois, ev, steps, count);
	if (st == HEL_OK)
		st = hel_eval_galois_sum(ev, out, a, galois, count, rescale);
	hel_scratch_give(ev->scratch, galois);
	return st;
}

hel_status hel_eval_rotate_sum(const hel_eval *ev, hel_ct *out, const hel_ct *a, const long *steps,
			       size_t count)
{
	return rotate_sum(ev, out, a, steps, count, false);
}

hel_status hel_eval_rotate_sum_rescale(const hel_eval *ev, hel_ct *out, const hel_ct *a,
				       const long *steps, size_t count)
{
	return rotate_sum(ev, out, a, steps, count, true);
}
