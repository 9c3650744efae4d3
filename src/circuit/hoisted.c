/* Double hoisting [BMTH21, section 4]: baby steps stay extended, P times the rotated values modulo
 * QP, so that none is divided by P. Giant steps are multiples of one and taken one after the other
 * (Horner), so that one key serves all; of what they rotate only the half that a key meets is
 * divided. Numbers in parentheses are equations of docs/cryptography.md. */
#include "hoisted.h"
#include "ckks/keyswitch.h"
#include "ckks/params.h"
#include <math.h>
#include <string.h>

#define STREAMS ((size_t)12) /* weights read side by side, as in linear.c */

hel_status hel_extended_take(hel_extended *x, const hel_eval *ev, unsigned level, size_t babies)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	const size_t limbs = p->limbs[level], words = hel_extended_words(p, limbs);
	const size_t half = limbs * p->ring.n;
	*x = (hel_extended){.ev = ev, .level = level, .limbs = limbs, .words = words};
	x->rows = limbs + p->ring.special;
	const size_t all = (babies + 2) * words + half + hel_ks_scratch_words(ev, limbs);
	TRY_ALLOC(x->memory, hel_scratch_take(ev->scratch, 4 * all));
	x->pair = x->memory;
	x->acc = x->pair + words;
	x->next = x->acc + words;
	x->baby = x->next + words;
	x->half = x->baby + (babies - 1) * words;
	x->work = x->half + half;
done:
	return st;
}

void hel_extended_give(hel_extended *x)
{
	if (x->ev)
		hel_scratch_give(x->ev->scratch, x->memory);
	*x = (hel_extended){0};
}

/* The half of a pair that a key meets, divided by P. */
static const uint32_t *divided(const hel_extended *x, const uint32_t *pair)
{
	hel_ks_finish_half(x->ev, x->half, pair + x->rows * x->ev->params->ring.n, x->limbs,
			   x->work);
	return x->half;
}

typedef struct add_job {
	const hel_extended *x;
	uint32_t *to;
	const uint32_t *from;
} add_job;

static void add_limb(void *arg, size_t i)
{
	const add_job *j = arg;
	const hel_ring *ring = &j->x->ev->params->ring;
	const size_t prime = hel_prime_of_limb(j->x->ev->params, j->x->limbs, i);
	for (size_t half = 0; half < 2; half++) {
		const size_t at = (half * j->x->rows + i) * ring->n;
		ring->k->add(j->to + at, j->to + at, j->from + at, ring->at + prime, 1);
	}
}

static void swap(uint32_t **a, uint32_t **b)
{
	uint32_t *c = *a;
	*a = *b;
	*b = c;
}

/* *pair += what keys make of it; it changes places with next. */
static void add_moved(hel_extended *x, uint32_t **pair, const hel_switch_key *const *key,
		      size_t count)
{
	hel_ks_apply(x->ev, x->next, *pair, divided(x, *pair), key, count,
		     HEL_KS_SUM | HEL_KS_EXTENDED, x->limbs, x->work);
	add_job j = {x, x->next, *pair};
	hel_pool_for(x->ev->pool, x->rows, add_limb, &j);
	swap(pair, &x->next);
}

static hel_status find_rotation(const hel_switch_key **key, const hel_extended *x, long step)
{
	*key = hel_keys_find(x->ev->keys, hel_galois_of_rotation(x->ev->params, step), x->level);
	return *key ? HEL_OK : HEL_EKEY;
}

hel_status hel_extended_add_rotations(hel_extended *x, const long *steps, size_t count)
{
	hel_status st = HEL_OK;
	const hel_switch_key **key = NULL;
	TRY_ALLOC(key, hel_alloc(count, sizeof *key));
	for (size_t i = 0; i < count; i++)
		TRY(find_rotation(&key[i], x, steps[i]));
	add_moved(x, &x->pair, key, count);
done:
	hel_free(key);
	return st;
}

typedef struct transform_keys {
	const hel_switch_key **baby; /* [babies - 1] */
	const hel_switch_key *giant, *conjugate;
} transform_keys;

/* All that a transform needs, before any work. */
static hel_status find_keys(transform_keys *k, const hel_extended *x, const hel_fft *t,
			    bool conjugate)
{
	hel_status st = HEL_OK;
	const hel_eval *ev = x->ev;
	TRY_ALLOC(k->baby, hel_alloc(t->babies, sizeof *k->baby));
	for (size_t i = 1; i < t->babies; i++)
		TRY(find_rotation(&k->baby[i - 1], x, (long)i * t->unit));
	if (t->giants > 1)
		TRY(find_rotation(&k->giant, x, (long)t->babies * t->unit));
	if (!conjugate)
		goto done;
	k->conjugate = hel_keys_find(ev->keys, hel_galois_of_conjugation(ev->params), x->level);
	st = k->conjugate ? HEL_OK : HEL_EKEY;
done:
	return st;
}

typedef struct group_job {
	const hel_extended *x;
	const hel_fft *t;
	size_t giant;
	bool add; /* to what acc holds */
} group_job;

/* One limb of the inner product of weights and baby steps that one giant step moves. */
static void group_limb(void *arg, size_t i)
{
	const group_job *j = arg;
	const hel_extended *x = j->x;
	const hel_params *p = x->ev->params;
	const size_t n = p->ring.n, prime = hel_prime_of_limb(p, x->limbs, i);
	uint32_t *b = x->acc + i * n, *a = b + x->rows * n;
	const uint32_t *weight[STREAMS], *first[STREAMS], *second[STREAMS];
	hel_key_terms terms = {weight, first, second, 0, NULL, 0};
	bool add = j->add;
	for (size_t k = 0; k < j->t->count; k++) {
		const hel_linear_term *term = &j->t->term[k];
		const size_t baby = (size_t)(term->baby / j->t->unit);
		if (term->giant != (long)(j->giant * j->t->babies) * j->t->unit)
			continue;
		weight[terms.count] = term->weight->data + i * n;
		first[terms.count] = (baby ? x->baby + (baby - 1) * x->words : x->pair) + i * n;
		second[terms.count] = first[terms.count] + x->rows * n;
		if (++terms.count < STREAMS)
			continue;
		p->ring.k->key_product(b, a, &terms, NULL, add, p->ring.at[prime]);
		terms.count = 0;
		add = true;
	}
	if (terms.count)
		p->ring.k->key_product(b, a, &terms, NULL, add, p->ring.at[prime]);
}

/* acc = the transform of the pair, whose second half over P is c. */
static void transform(hel_extended *x, const hel_fft *t, const transform_keys *k, const uint32_t *c)
{
	hel_ks_apply(x->ev, x->baby, x->pair, c, k->baby, t->babies - 1, HEL_KS_EXTENDED, x->limbs,
		     x->work);
	for (size_t g = t->giants; g-- > 0;) {
		const bool first = g + 1 == t->giants;
		if (!first) {
			hel_ks_apply(x->ev, x->next, x->acc, divided(x, x->acc), &k->giant, 1,
				     HEL_KS_SUM | HEL_KS_EXTENDED, x->limbs, x->work);
			swap(&x->acc, &x->next);
		}
		group_job j = {x, t, g, !first};
		hel_pool_for(x->ev->pool, x->rows, group_limb, &j);
	}
}

static void finish(hel_ct *out, hel_extended *x)
{
	hel_ks_finish_rescaled(x->ev, out->part, NULL, x->acc, x->level, x->work);
	out->level = x->level - 1;
	out->scale = x->ev->params->scale[x->level - 1];
}

static hel_status check(const hel_params *p, const hel_ct *out, const hel_fft *t, unsigned level,
			double scale)
{
	const hel_pt *w = t->term[0].weight;
	if (out->params != p || w->params != p)
		return hel_fail(HEL_EPARAMS, "a transform over different parameters");
	if (level != w->level || !level)
		return hel_fail(HEL_ELEVEL, "a transform at level %u, weights at %u", level,
				w->level);
	if (!(fabs(scale * w->scale / (p->scale[level - 1] * p->divisor[level]) - 1) < 1e-6))
		return hel_fail(HEL_ESCALE, "scale 2^%.3f times weights' 2^%.3f is no product's",
				log2(scale), log2(w->scale));
	return HEL_OK;
}

hel_status hel_extended_to_slots(hel_ct *out, hel_extended *x, const hel_fft *t, double scale)
{
	hel_status st = HEL_OK;
	transform_keys k = {NULL};
	TRY(check(x->ev->params, out, t, x->level, scale));
	TRY(find_keys(&k, x, t, false));
	transform(x, t, &k, divided(x, x->pair));
	finish(out, x);
done:
	hel_free(k.baby);
	return st;
}

hel_status hel_fft_to_slots(const hel_eval *ev, hel_ct *out, const hel_fft *t, const hel_ct *in,
			    bool conjugate)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	hel_extended x = {0};
	transform_keys k = {NULL};
	if (in->params != p)
		FAIL(HEL_EPARAMS, "a transform over different parameters");
	TRY(check(p, out, t, in->level, in->scale));
	TRY(hel_extended_take(&x, ev, in->level, t->babies));
	TRY(find_keys(&k, &x, t, conjugate));
	for (size_t half = 0; half < 2; half++) {
		uint32_t *to = x.pair + half * x.rows * p->ring.n;
		p->ring.k->scale(to, in->part[half], p->special.product, p->ring.at, x.limbs);
		memset(to + x.limbs * p->ring.n, 0, p->ring.special * p->ring.n * sizeof *to);
	}
	transform(&x, t, &k, in->part[1]);
	if (conjugate)
		add_moved(&x, &x.acc, &k.conjugate, 1);
	finish(out, &x);
done:
	hel_extended_give(&x);
	hel_free(k.baby);
	return st;
}
