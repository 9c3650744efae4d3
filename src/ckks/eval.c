#include "ckks.h"
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

/* (d0, d1, d2) = (a0 b0, a0 b1 + a1 b0, a1 b1), limb by limb. */
typedef struct tensor_job {
	const hel_params *params;
	const hel_ct *a, *b;
	uint32_t *d[3], *m; /* m: two limbs of work for each limb */
} tensor_job;

static void tensor_limb(void *arg, size_t i)
{
	const tensor_job *j = arg;
	const size_t n = j->params->ring.n;
	const hel_kernels *k = j->params->ring.k;
	const hel_prime *const *at = j->params->ring.at + i;
	const uint32_t *a0 = j->a->part[0] + i * n, *a1 = j->a->part[1] + i * n;
	const uint32_t *b0 = j->b->part[0] + i * n, *b1 = j->b->part[1] + i * n;
	uint32_t *m0 = j->m + 2 * i * n, *m1 = m0 + n, *d1 = j->d[1] + i * n;
	k->to_mont(m0, a0, at, 1);
	k->to_mont(m1, a1, at, 1);
	k->mont_mul(j->d[0] + i * n, b0, m0, at, 1);
	k->mont_mul(j->d[2] + i * n, b1, m1, at, 1);
	k->mont_mul(d1, b1, m0, at, 1);
	if (j->a == j->b)
		k->add(d1, d1, d1, at, 1);
	else
		k->mont_mac(d1, b0, m1, at, 1);
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
		hel_ks_finish(ev, out->part, add, NULL, acc, p->limbs[level], work);
	out->level = level - rescale;
	out->scale = rescale ? scale / p->divisor[level] : scale;
}

static hel_status multiply(const hel_eval *ev, hel_ct *out, const hel_ct *a, const hel_ct *b,
			   bool rescale)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	uint32_t *scratch = NULL;
	TRY(same_place(ev, out, a, b));
	TRY(can_multiply(ev, a));
	TRY(can_multiply(ev, b));
	const size_t limbs = p->limbs[a->level], words = limbs * p->ring.n;
	const hel_switch_key *key = hel_keys_find(ev->keys, HEL_RELINEARISE, a->level);
	if (!key) {
		st = HEL_EKEY;
		goto done;
	}
	TRY_ALLOC(scratch,
		  hel_scratch_take(ev->scratch, 4 * (5 * words + hel_extended_words(p, limbs) +
						     hel_ks_scratch_words(ev, limbs))));
	tensor_job t = {
	    p, a, b, {scratch, scratch + words, scratch + 2 * words}, scratch + 3 * words};
	uint32_t *acc = scratch + 5 * words, *work = acc + hel_extended_words(p, limbs);
	hel_pool_for(ev->pool, limbs, tensor_limb, &t);
	hel_ks_apply(ev, acc, t.d[2], &key, 1, true, false, limbs, work);
	finish_product(ev, out, (const uint32_t *const[2]){t.d[0], t.d[1]}, acc, a->level,
		       a->scale * b->scale, rescale, work);
done:
	hel_scratch_give(ev->scratch, scratch);
	return st;
}

hel_status hel_eval_mul(const hel_eval *ev, hel_ct *out, const hel_ct *a, const hel_ct *b)
{
	return multiply(ev, out, a, b, false);
}

hel_status hel_eval_mul_rescale(const hel_eval *ev, hel_ct *out, const hel_ct *a, const hel_ct *b)
{
	return multiply(ev, out, a, b, true);
}

static hel_status is_product(const hel_eval *ev, const hel_ct *a)
{
	const double scale = ev->params->scale[a->level];
	if (a->level == 0)
		return hel_fail(HEL_ELEVEL, "no level is left to rescale into");
	if (!(fabs(a->scale / (scale * scale) - 1) < 1e-6))
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
	const size_t n = p->ring.n, limbs = p->limbs[a->level - 1], tail = bc->count * n;
	TRY_ALLOC(scratch, hel_scratch_take(ev->scratch,
					    4 * (2 * tail + hel_ring_mod_down_words(
								&p->ring, bc->count, ev->pool))));
	hel_mod_down_part parts[2];
	for (size_t i = 0; i < 2; i++) {
		memcpy(scratch + i * tail, a->part[i] + limbs * n, tail * sizeof *scratch);
		parts[i] =
		    (hel_mod_down_part){out->part[i], a->part[i], scratch + i * tail, NULL, NULL};
	}
	hel_ring_mod_down(&p->ring, bc, parts, 2, limbs, scratch + 2 * tail, ev->pool);
	out->scale = a->scale / p->divisor[a->level];
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

/* What rotations of one ciphertext need: accumulators, work space, a sum of both halves. */
typedef struct hoist {
	uint32_t *acc, *work, *sum[2];
} hoist;

static hel_status hoist_begin(const hel_eval *ev, hoist *h, const hel_ct *a, size_t accumulators)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	const size_t limbs = p->limbs[a->level], words = limbs * p->ring.n;
	const size_t acc = accumulators * hel_extended_words(p, limbs);
	const size_t work = hel_ks_scratch_words(ev, limbs);
	TRY_ALLOC(h->acc, hel_scratch_take(ev->scratch, 4 * (acc + work + 2 * words)));
	h->work = h->acc + acc;
	h->sum[0] = h->work + work;
	h->sum[1] = h->sum[0] + words;
done:
	return st;
}

/* out = phi(a): a's first half moved, and what the key made of its second half; out may be a. */
static void hoist_finish(const hel_eval *ev, const hoist *h, uint32_t *acc, hel_ct *out,
			 const hel_ct *a, const hel_switch_key *key)
{
	const size_t limbs = ev->params->limbs[a->level];
	const uint32_t *first = a->part[0];
	if (out == a) { /* a limb cannot be moved onto itself */
		memcpy(h->sum[0], first, limbs * ev->params->ring.n * sizeof *first);
		first = h->sum[0];
	}
	hel_ks_finish(ev, out->part, (const uint32_t *const[2]){first, NULL}, &key->permutation,
		      acc, limbs, h->work);
	out->level = a->level;
	out->scale = a->scale;
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
	hel_ks_apply(ev, h.acc, a->part[1], &key, 1, true, false, ev->params->limbs[a->level],
		     h.work);
	hoist_finish(ev, &h, h.acc, out, a, key);
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

/* The keys of all rotations, NULL for those by nothing; before any work. The caller frees *keys. */
static hel_status find_rotations(const hel_switch_key ***keys, const hel_eval *ev,
				 const long *steps, size_t count, unsigned level)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(*keys, hel_scratch_take(ev->scratch, count * sizeof **keys));
	for (size_t i = 0; i < count; i++) {
		uint32_t galois = hel_galois_of_rotation(ev->params, steps[i]);
		(*keys)[i] = galois == 1 ? NULL : hel_keys_find(ev->keys, galois, level);
		if (galois != 1 && !(*keys)[i]) {
			st = HEL_EKEY;
			break;
		}
	}
done:
	return st;
}

hel_status hel_eval_rotate_hoisted(const hel_eval *ev, hel_ct *const *out, const hel_ct *a,
				   const long *steps, size_t count)
{
	hel_status st = HEL_OK;
	hoist h = {0};
	const hel_switch_key **keys = NULL;
	for (size_t i = 0; i < count; i++) {
		TRY(same_params(ev, out[i], a));
		if (out[i] == a)
			FAIL(HEL_EINVAL, "a hoisted rotation cannot overwrite its input");
	}
	TRY(find_rotations(&keys, ev, steps, count, a->level));
	const size_t limbs = ev->params->limbs[a->level];
	size_t moving = 0;
	for (size_t i = 0; i < count; i++)
		moving += keys[i] != NULL;
	TRY(hoist_begin(ev, &h, a, moving));
	moving = 0;
	for (size_t i = 0; i < count; i++) /* keys to the front, in order */
		if (keys[i])
			keys[moving++] = keys[i];
		else
			hel_ct_copy(out[i], a);
	hel_ks_apply(ev, h.acc, a->part[1], keys, moving, false, false, limbs, h.work);
	for (size_t i = 0, k = 0; i < count; i++)
		if (hel_galois_of_rotation(ev->params, steps[i]) != 1) {
			hoist_finish(ev, &h, h.acc + k * hel_extended_words(ev->params, limbs),
				     out[i], a, keys[k]);
			k++;
		}
done:
	hel_scratch_give(ev->scratch, h.acc);
	hel_scratch_give(ev->scratch, keys);
	return st;
}

/* The part of a sum of rotations that needs no key: moved first halves, and a itself. */
typedef struct sum_job {
	const hel_params *params;
	const hel_ct *a;
	uint32_t *sum[2], *work; /* work: one limb for each limb */
	const hel_switch_key *const *key;
	size_t count;
} sum_job;

static void sum_limb(void *arg, size_t i)
{
	const sum_job *j = arg;
	const size_t n = j->params->ring.n, at = i * n;
	const hel_kernels *k = j->params->ring.k;
	const hel_prime *const *prime = j->params->ring.at + i;
	for (int half = 0; half < 2; half++)
		memset(j->sum[half] + at, 0, n * sizeof *j->sum[half]);
	for (size_t r = 0; r < j->count; r++)
		if (j->key[r]) {
			k->permute(j->work + at, j->a->part[0] + at, &j->key[r]->permutation,
				   (uint32_t)n, 1);
			k->add(j->sum[0] + at, j->sum[0] + at, j->work + at, prime, 1);
		} else
			for (int half = 0; half < 2; half++)
				k->add(j->sum[half] + at, j->sum[half] + at, j->a->part[half] + at,
				       prime, 1);
}

static hel_status rotate_sum(const hel_eval *ev, hel_ct *out, const hel_ct *a, const long *steps,
			     size_t count, bool rescale)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	hoist h = {0};
	const hel_switch_key **keys = NULL;
	TRY(same_params(ev, out, a));
	if (!count)
		FAIL(HEL_EINVAL, "a sum of no rotations");
	if (rescale)
		TRY(is_product(ev, a));
	TRY(find_rotations(&keys, ev, steps, count, a->level));
	TRY(hoist_begin(ev, &h, a, 1));
	const size_t limbs = p->limbs[a->level];
	sum_job j = {p, a, {h.sum[0], h.sum[1]}, h.work, keys, count};
	hel_pool_for(ev->pool, limbs, sum_limb, &j);
	size_t moving = 0;
	for (size_t i = 0; i < count; i++)
		if (keys[i])
			keys[moving++] = keys[i];
	if (moving) {
		hel_ks_apply(ev, h.acc, a->part[1], keys, moving, true, false, limbs, h.work);
		finish_product(ev, out, (const uint32_t *const[2]){h.sum[0], h.sum[1]}, h.acc,
			       a->level, a->scale, rescale, h.work);
		goto done;
	}
	/* nothing but copies of a */
	const hel_ct sum = {
	    .params = p, .level = a->level, .scale = a->scale, .part = {h.sum[0], h.sum[1]}};
	if (rescale)
		TRY(hel_eval_rescale(ev, out, &sum));
	else
		hel_ct_copy(out, &sum);
done:
	hel_scratch_give(ev->scratch, h.acc);
	hel_scratch_give(ev->scratch, keys);
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
