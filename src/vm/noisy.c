/* Errors by simulation: they are correlated (folds add copies of one error, repeated rotations add
 * the same one), so that adding up variances would predict too much in one place and too little in
 * another. Linear ops pass errors on as they pass on values; each op adds its own. */
#include "noisy.h"
#include "clear.h"
#include "refresh_op.h"
#include "vm.h"
#include <math.h>
#include <string.h>

typedef struct noisy_value {
	hel_complex *clean, *noisy;
} noisy_value;

typedef struct noise_machine {
	hel_machine base;
	const hel_program *p;
	const hel_params *params;
	const unsigned *level;
	const bool *product;
	const hel_complex *const *in;
	const hel_complex **clean, **noisy;	     /* of each op */
	double *added;				     /* per slot: the variance an op adds */
	hel_noise *noise;			     /* sums of squares */
	double refreshed[HEL_MAX_LOG_REFRESHED + 1]; /* the variance that a refresh adds */
	size_t slots;
	uint64_t random;
} noise_machine;

static void free_value(hel_machine *m, void *value)
{
	noisy_value *v = value;
	(void)m;
	if (v)
		hel_free(v->clean);
	hel_free(v);
}

/* Variance 1, nearly Gaussian: the sum of four uniform numbers. */
static double draw(uint64_t *state)
{
	const uint64_t x = hel_mix(*state);
	*state += 0x9e3779b97f4a7c15u; /* the step of splitmix64 */
	const double sum =
	    (double)((x & 0xffff) + (x >> 16 & 0xffff) + (x >> 32 & 0xffff) + (x >> 48));
	return (sum - 2 * 65535) / (65536 / sqrt(3)); /* check: variance of the sum 4 * 2^32/12 */
}

static double square(hel_complex v)
{
	return v.re * v.re + v.im * v.im;
}

static void linear_variance(noise_machine *n, const hel_op *op, size_t limbs, double scale)
{
	const double baby = hel_noise_switch(n->params, limbs, scale);
	const double giant = hel_noise_switch(n->params, limbs, scale * scale);
	const double rounding = hel_noise_encoding(n->params, scale);
	for (uint32_t k = 0; k < op->terms; k++) {
		const hel_term *t = &op->term[k];
		const hel_vector *v = &n->p->vector[t->vector];
		hel_term_run run = {0};
		for (size_t i = 0; i < n->slots; i += run.count) {
			run = hel_term_run_at(t, v, i, n->slots);
			const hel_complex *x = n->noisy[t->value] + run.source;
			double *added = n->added + i;
			for (size_t j = 0; j < run.count; j++)
				added[j] += rounding * square(x[j]) + (t->giant ? giant : 0);
			for (size_t j = 0; t->baby && j < run.count; j++)
				added[j] += baby * square(hel_vector_at(v, run.vector + j));
		}
	}
}

/* The variance that the op itself adds to each slot, at its result's scale. */
static void own_variance(noise_machine *n, const hel_op *op, size_t index)
{
	const hel_params *p = n->params;
	const unsigned level = n->level[index];
	const size_t limbs = p->limbs[level];
	const double scale = p->scale[level], result = n->product[index] ? scale * scale : scale;
	double all = 0;
	memset(n->added, 0, n->slots * sizeof *n->added);
	switch (op->kind) {
	case HEL_OP_INPUT:
		/* whoever encrypts: under the public key errors are larger */
		all = hel_noise_encryption_public(p, scale) + hel_noise_encoding(p, scale);
		break;
	case HEL_OP_LINEAR:
		linear_variance(n, op, limbs, scale);
		break;
	case HEL_OP_ROTATE_SUM:
		for (uint32_t k = 0; k < op->steps; k++)
			all += op->step[k] ? hel_noise_switch(p, limbs, result) : 0;
		break;
	case HEL_OP_WEIGHTED_SUM: /* each factor is rounded at the term's scale */
		for (uint32_t k = 0; k < op->terms; k++)
			for (size_t i = 0; i < n->slots; i++)
				n->added[i] +=
				    square(n->noisy[op->term[k].value][i]) / 12 / (scale * scale);
		break;
	case HEL_OP_SQUARE:
	case HEL_OP_MUL:
		all = hel_noise_switch(p, limbs, result);
		break;
	case HEL_OP_RESCALE:
		all = hel_noise_rescale(p, p->scale[level - 1]);
		break;
	case HEL_OP_ADD_PLAIN:
		all = hel_noise_encoding(p, scale);
		break;
	case HEL_OP_REFRESH: /* errors of coefficients pass through the sine */
		all = n->refreshed[op->index];
		break;
	case HEL_OP_KINDS:
		break;
	}
	for (size_t i = 0; i < n->slots; i++)
		n->added[i] += all;
}

static hel_status find_refreshed(noise_machine *n)
{
	hel_status st = HEL_OK;
	hel_refresher *r = NULL;
	for (uint32_t i = 0; i < n->p->ops; i++) {
		const hel_op *op = &n->p->op[i];
		if (op->kind != HEL_OP_REFRESH || n->refreshed[op->index] > 0)
			continue;
		TRY(hel_refresher_sketch(&r, n->params, op->index));
		const double real = hel_refresh_sine_error(r, 0);
		n->refreshed[op->index] = 2 * real * real;
		hel_refresher_free(r);
		r = NULL;
	}
done:
	return st;
}

static hel_status run_op(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	noise_machine *n = (noise_machine *)(void *)m;
	const size_t index = (size_t)(op - n->p->op);
	noisy_value *v;
	TRY_ALLOC(v, hel_alloc(1, sizeof *v));
	*out = v;
	TRY_ALLOC(v->clean, hel_alloc(2 * n->slots, sizeof *v->clean));
	v->noisy = v->clean + n->slots;
	n->clean[index] = v->clean;
	n->noisy[index] = v->noisy;
	hel_clear_op(v->clean, n->p, op, n->clean, n->in);
	hel_clear_op(v->noisy, n->p, op, n->noisy, n->in);
	own_variance(n, op, index);
	double slots = 0, score = 0;
	for (size_t i = 0; i < n->slots; i++) {
		const double deviation = sqrt(n->added[i] / 2);
		v->noisy[i].re += deviation * draw(&n->random);
		v->noisy[i].im += deviation * draw(&n->random);
		const double error = v->noisy[i].re - v->clean[i].re;
		slots += error * error;
		score += error;
	}
	n->noise[index].slot += slots / (double)n->slots;
	n->noise[index].score += score * score / (double)(n->slots * n->slots);
done:
	return st;
}

hel_status hel_noise_run(hel_noise *noise, const hel_program *p, const hel_params *params,
			 const unsigned *level, const bool *product, const double *features,
			 size_t count)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = p->manifest;
	const size_t slots = (size_t)1 << hel_manifest_log_slots(m);
	hel_complex *block = NULL;
	const hel_complex **in = NULL;
	void *result = NULL;
	noise_machine n = {
	    .base = {.run = run_op, .free_value = free_value},
	    .p = p,
	    .params = params,
	    .level = level,
	    .product = product,
	    .noise = noise,
	    .slots = slots,
	};
	memset(noise, 0, p->ops * sizeof *noise);
	TRY_ALLOC(block, hel_alloc(m->inputs * slots, sizeof *block));
	TRY_ALLOC(in, hel_alloc(m->inputs, sizeof *in));
	TRY_ALLOC(n.clean, hel_alloc(2 * p->ops, sizeof *n.clean));
	n.noisy = n.clean + p->ops;
	TRY_ALLOC(n.added, hel_alloc(slots, sizeof *n.added));
	n.in = in;
	TRY(find_refreshed(&n));
	for (size_t k = 0; k < count; k++) {
		for (uint32_t i = 0; i < m->inputs; i++) {
			hel_input_fill(block + i * slots, &m->input[i], features + k * m->features);
			in[i] = block + i * slots;
		}
		TRY(hel_vm_run(&n.base, p, &result));
		free_value(&n.base, result);
	}
	for (size_t i = 0; count && i < p->ops; i++) {
		noise[i].slot = sqrt(noise[i].slot / (double)count);
		noise[i].score = sqrt(noise[i].score / (double)count);
	}
done:
	hel_free(block);
	hel_free(in);
	hel_free(n.clean);
	hel_free(n.added);
	return st;
}
