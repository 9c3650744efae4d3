#include "circuit.h"
#include <string.h>

/* Weights read side by side: of 64, caches lose lines before they are used (three times slower). */
#define STREAMS ((size_t)12)

/* A rotated input, shared by all terms that need it. */
typedef struct rotation {
	const hel_ct *in;
	long baby;
	hel_ct *ct; /* NULL for baby 0 */
} rotation;

typedef struct linear_run {
	const hel_eval *ev;
	const hel_linear_term *term;
	size_t count, limbs;
	rotation *rotation;
	size_t rotations;
	const uint32_t **row; /* pointers for one inner product in each limb */
	uint32_t *scratch;
} linear_run;

static hel_status check_terms(const hel_eval *ev, const hel_ct *out, const hel_linear_term *t,
			      size_t count)
{
	if (!count)
		return hel_fail(HEL_EINVAL, "a linear transform without terms");
	for (size_t i = 0; i < count; i++) {
		if (t[i].in->params != ev->params || t[i].weight->params != ev->params ||
		    out->params != ev->params)
			return hel_fail(HEL_EPARAMS, "linear transform over different parameters");
		if (t[i].weight->use != HEL_FOR_MUL || t[i].in == out)
			return hel_fail(HEL_EINVAL,
					"a weight not made to multiply, or output = input");
		if (t[i].in->level != t[0].in->level || t[i].weight->level != t[0].in->level ||
		    t[0].in->level == 0)
			return hel_fail(HEL_ELEVEL, "linear transform: levels %u and %u, weight %u",
					t[0].in->level, t[i].in->level, t[i].weight->level);
		if (t[i].in->scale != t[0].in->scale || t[i].weight->scale != t[0].weight->scale)
			return hel_fail(HEL_ESCALE, "linear transform: scales differ");
		for (int k = 0; k < 2; k++) {
			uint32_t galois =
			    hel_galois_of_rotation(ev->params, k ? t[i].giant : t[i].baby);
			if (galois != 1 && !hel_keys_find(ev->keys, galois, t[i].in->level))
				return HEL_EKEY;
		}
	}
	return HEL_OK;
}

/* All baby steps of one input from one decomposition. */
static hel_status rotate_input(linear_run *r, const hel_ct *in)
{
	hel_status st = HEL_OK;
	long *steps = NULL;
	hel_ct **outs = NULL;
	size_t n = 0;
	TRY_ALLOC(steps, hel_alloc(r->count, sizeof *steps));
	TRY_ALLOC(outs, hel_alloc(r->count, sizeof *outs));
	for (size_t i = 0; i < r->count; i++) {
		if (r->term[i].in != in)
			continue;
		size_t k = 0;
		while (k < r->rotations &&
		       !(r->rotation[k].in == in && r->rotation[k].baby == r->term[i].baby))
			k++;
		if (k < r->rotations)
			continue;
		rotation *new = &r->rotation[r->rotations++];
		*new = (rotation){.in = in, .baby = r->term[i].baby};
		if (!new->baby)
			continue;
		TRY(hel_ct_take(&new->ct, r->ev));
		steps[n] = new->baby;
		outs[n++] = new->ct;
	}
	if (n)
		TRY(hel_eval_rotate_hoisted(r->ev, outs, in, steps, n));
done:
	hel_free(steps);
	hel_free(outs);
	return st;
}

static const hel_ct *rotated_input(const linear_run *r, const hel_linear_term *t)
{
	if (!t->baby)
		return t->in;
	size_t k = 0;
	while (r->rotation[k].in != t->in || r->rotation[k].baby != t->baby)
		k++;
	return r->rotation[k].ct;
}

typedef struct group_job {
	const linear_run *run;
	uint32_t *out[2]; /* the inner product of one giant step */
	bool add;	  /* to what is there */
	const hel_ct **in;
	const hel_pt **weight;
	size_t terms;
} group_job;

/* One limb of one giant step's inner product, both halves: weights are read once. */
static void group_limb(void *arg, size_t i)
{
	const group_job *j = arg;
	const hel_ring *ring = &j->run->ev->params->ring;
	const size_t at = i * ring->n;
	const uint32_t **weight = j->run->row + 3 * i * j->run->count;
	const uint32_t **first = weight + j->run->count, **second = first + j->run->count;
	for (size_t t = 0; t < j->terms; t++) {
		weight[t] = j->weight[t]->data + at;
		first[t] = j->in[t]->part[0] + at;
		second[t] = j->in[t]->part[1] + at;
	}
	for (size_t t = 0; t < j->terms; t += STREAMS) {
		const hel_key_terms terms = {
		    weight + t, first + t, second + t, HEL_MIN(STREAMS, j->terms - t), NULL, 0};
		ring->k->key_product(j->out[0] + at, j->out[1] + at, &terms, NULL, j->add || t,
				     ring->at[i]);
	}
}

hel_status hel_linear_apply(const hel_eval *ev, hel_ct *out, const hel_linear_term *terms,
			    size_t count)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	linear_run r = {.ev = ev, .term = terms, .count = count};
	group_job job = {.run = &r};
	bool *done_term = NULL;
	TRY(check_terms(ev, out, terms, count));
	const unsigned level = terms[0].in->level;
	const double scale = terms[0].in->scale * terms[0].weight->scale;
	const size_t n = p->ring.n, limbs = p->limbs[level], words = limbs * n;
	const size_t extended = hel_extended_words(p, limbs);
	TRY_ALLOC(r.rotation, hel_alloc(count, sizeof *r.rotation));
	TRY_ALLOC(r.row, hel_alloc(3 * limbs * count, sizeof *r.row));
	TRY_ALLOC(job.in, hel_alloc(count, sizeof *job.in));
	TRY_ALLOC(job.weight, hel_alloc(count, sizeof *job.weight));
	TRY_ALLOC(done_term, hel_alloc(count, sizeof *done_term));
	TRY_ALLOC(r.scratch, hel_scratch_take(ev->scratch, 4 * (4 * words + extended +
								hel_ks_scratch_words(ev, limbs))));
	for (size_t i = 0; i < count; i++) {
		size_t k = 0;
		while (k < r.rotations && r.rotation[k].in != terms[i].in)
			k++;
		if (k == r.rotations)
			TRY(rotate_input(&r, terms[i].in));
	}

	uint32_t *still[2] = {r.scratch, r.scratch + words}; /* the giant step of 0 */
	uint32_t *moving[2] = {r.scratch + 2 * words, r.scratch + 3 * words};
	uint32_t *acc = r.scratch + 4 * words, *work = acc + extended;
	bool switched = false, stood = false;
	for (size_t first = 0; first < count; first++) {
		if (done_term[first])
			continue;
		const long giant = terms[first].giant;
		job.terms = 0;
		for (size_t i = first; i < count; i++)
			if (terms[i].giant == giant) {
				job.in[job.terms] = rotated_input(&r, &terms[i]);
				job.weight[job.terms++] = terms[i].weight;
				done_term[i] = true;
			}
		const uint32_t galois = hel_galois_of_rotation(p, giant);
		const bool stands = galois == 1;
		memcpy(job.out, stands ? still : moving, sizeof job.out);
		job.add = stands && stood;
		hel_pool_for(ev->pool, limbs, group_limb, &job);
		if (stands) {
			stood = true;
			continue;
		}
		const hel_switch_key *key = hel_keys_find(ev->keys, galois, level);
		hel_ks_apply(ev, acc, moving[0], moving[1], &key, 1,
			     switched ? HEL_KS_SUM | HEL_KS_ADD : HEL_KS_SUM, limbs, work);
		switched = true;
	}
	if (switched)
		hel_ks_finish(ev, out->part,
			      stood ? (const uint32_t *const[2]){still[0], still[1]} : NULL, acc,
			      limbs, work);
	else
		for (int half = 0; half < 2; half++)
			memcpy(out->part[half], still[half], words * sizeof *still[half]);
	out->level = level;
	out->scale = scale;
done:
	for (size_t i = 0; i < r.rotations; i++)
		hel_ct_free(r.rotation[i].ct);
	hel_free(r.rotation);
	hel_free(r.row);
	hel_free(job.in);
	hel_free(job.weight);
	hel_free(done_term);
	hel_scratch_give(ev->scratch, r.scratch);
	return st;
}
