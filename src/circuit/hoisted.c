/* Double hoisting [BMTH21, section 4]: baby steps stay extended, P times the rotated values modulo
 * QP, so that none is divided by P. Giant steps are multiples of one and taken one after the other
 * (Horner), so that one key serves all; of what they rotate only the half that a key meets is
 * divided. Numbers in parentheses are equations of docs/cryptography.md. */
#include "ckks/eval.h"
#include "ckks/keyswitch.h"
#include "ckks/params.h"
#include "coefficients.h"
#include <math.h>
#include <string.h>

#define STREAMS ((size_t)12) /* weights read side by side, as in linear.c */

typedef struct hoisted_run {
	const hel_eval *ev;
	const hel_fft *t;
	size_t limbs, rows, words;   /* of the chain; with special ones; of an extended pair */
	uint32_t *baby;		     /* [babies] extended pairs */
	uint32_t *acc, *next, *half; /* an extended pair each; one half without special limbs */
	uint32_t *work;
} hoisted_run;

static hel_status check(const hel_eval *ev, const hel_ct *out, const hel_fft *t, const hel_ct *in)
{
	const hel_pt *w = t->term[0].weight;
	if (in->params != ev->params || out->params != ev->params || w->params != ev->params)
		return hel_fail(HEL_EPARAMS, "a transform over different parameters");
	if (in->level != w->level || !in->level)
		return hel_fail(HEL_ELEVEL, "a transform at level %u, weights at %u", in->level,
				w->level);
	const double product = ev->params->scale[in->level - 1] * ev->params->divisor[in->level];
	if (!(fabs(in->scale * w->scale / product - 1) < 1e-6))
		return hel_fail(HEL_ESCALE, "scale 2^%.3f times weights' 2^%.3f is no product's",
				log2(in->scale), log2(w->scale));
	return HEL_OK;
}

/* P times all rotations by baby steps. */
static hel_status make_babies(const hoisted_run *r, const hel_ct *in)
{
	hel_status st = HEL_OK;
	const hel_params *p = r->ev->params;
	const size_t n = p->ring.n, count = r->t->babies - 1;
	const hel_switch_key **key = NULL;
	TRY_ALLOC(key, hel_alloc(count + 1, sizeof *key));
	for (size_t i = 0; i < count; i++) {
		const long step = (long)(i + 1) * r->t->unit;
		key[i] = hel_keys_find(r->ev->keys, hel_galois_of_rotation(p, step), in->level);
		if (!key[i]) {
			st = HEL_EKEY;
			goto done;
		}
	}
	for (size_t half = 0; half < 2; half++) {
		uint32_t *still = r->baby + half * r->rows * n;
		p->ring.k->scale(still, in->part[half], p->special.product, p->ring.at, r->limbs);
		memset(still + r->limbs * n, 0, (r->rows - r->limbs) * n * sizeof *still);
	}
	hel_ks_apply(r->ev, r->baby + r->words, in->part[0], in->part[1], key, count, false, false,
		     r->limbs, r->work);
done:
	hel_free(key);
	return st;
}

typedef struct group_job {
	const hoisted_run *run;
	uint32_t *out;
	size_t giant;
	bool add; /* to what is there */
} group_job;

/* One limb of the inner product of weights and baby steps that one giant step moves. */
static void group_limb(void *arg, size_t i)
{
	const group_job *j = arg;
	const hoisted_run *r = j->run;
	const hel_params *p = r->ev->params;
	const size_t n = p->ring.n, prime = hel_prime_of_limb(p, r->limbs, i);
	uint32_t *b = j->out + i * n, *a = b + r->rows * n;
	const uint32_t *weight[STREAMS], *first[STREAMS], *second[STREAMS];
	hel_key_terms terms = {weight, first, second, 0, NULL, 0};
	bool add = j->add;
	for (size_t t = 0; t < r->t->count; t++) {
		const hel_linear_term *term = &r->t->term[t];
		if (term->giant != (long)(j->giant * r->t->babies) * r->t->unit)
			continue;
		weight[terms.count] = term->weight->data + i * n;
		first[terms.count] = r->baby + (size_t)(term->baby / r->t->unit) * r->words + i * n;
		second[terms.count] = first[terms.count] + r->rows * n;
		if (++terms.count < STREAMS)
			continue;
		p->ring.k->key_product(b, a, &terms, NULL, add, p->ring.at[prime]);
		terms.count = 0;
		add = true;
	}
	if (terms.count)
		p->ring.k->key_product(b, a, &terms, NULL, add, p->ring.at[prime]);
}

static void add_group(const hoisted_run *r, uint32_t *out, size_t giant, bool add)
{
	group_job j = {r, out, giant, add};
	hel_pool_for(r->ev->pool, r->rows, group_limb, &j);
}

/* next = acc moved by a key; they change places. */
static void move(hoisted_run *r, const hel_switch_key *key)
{
	uint32_t *acc = r->acc, *c = acc + r->rows * r->ev->params->ring.n;
	hel_ks_finish_half(r->ev, r->half, c, r->limbs, r->work);
	hel_ks_apply_extended(r->ev, r->next, acc, r->half, key, r->limbs, r->work);
	r->acc = r->next;
	r->next = acc;
}

static void add_limb(void *arg, size_t i)
{
	const hoisted_run *r = arg;
	const hel_ring *ring = &r->ev->params->ring;
	const size_t prime = hel_prime_of_limb(r->ev->params, r->limbs, i);
	for (size_t half = 0; half < 2; half++) {
		const size_t at = (half * r->rows + i) * ring->n;
		ring->k->add(r->acc + at, r->acc + at, r->next + at, ring->at + prime, 1);
	}
}

hel_status hel_fft_to_slots(const hel_eval *ev, hel_ct *out, const hel_fft *t, const hel_ct *in,
			    bool conjugate)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	hoisted_run r = {.ev = ev, .t = t};
	const hel_switch_key *giant = NULL, *conj = NULL;
	TRY(check(ev, out, t, in));
	const unsigned level = in->level;
	const long step = (long)t->babies * t->unit;
	if (t->giants > 1)
		giant = hel_keys_find(ev->keys, hel_galois_of_rotation(p, step), level);
	if (conjugate)
		conj = hel_keys_find(ev->keys, hel_galois_of_conjugation(p), level);
	if ((t->giants > 1 && !giant) || (conjugate && !conj)) {
		st = HEL_EKEY;
		goto done;
	}
	r.limbs = p->limbs[level];
	r.rows = r.limbs + p->ring.special;
	r.words = hel_extended_words(p, r.limbs);
	const size_t all = (t->babies + 2) * r.words + r.limbs * p->ring.n;
	TRY_ALLOC(r.baby,
		  hel_scratch_take(ev->scratch, 4 * (all + hel_ks_scratch_words(ev, r.limbs))));
	r.acc = r.baby + t->babies * r.words;
	r.next = r.acc + r.words;
	r.half = r.next + r.words;
	r.work = r.baby + all;
	TRY(make_babies(&r, in));
	add_group(&r, r.acc, t->giants - 1, false);
	for (size_t g = t->giants - 1; g-- > 0;) {
		move(&r, giant);
		add_group(&r, r.acc, g, true);
	}
	if (conjugate) {
		move(&r, conj);
		hel_pool_for(ev->pool, r.rows, add_limb, &r);
	}
	hel_ks_finish_rescaled(ev, out->part, NULL, r.acc, level, r.work);
	out->level = level - 1;
	out->scale = p->scale[level - 1];
done:
	hel_scratch_give(ev->scratch, r.baby);
	return st;
}
