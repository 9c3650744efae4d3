/* The meaning of every op, on plain slot vectors. */
#include "vm.h"
#include <math.h>
#include <string.h>

typedef struct clear_machine {
	hel_machine base;
	const hel_program *p;
	const hel_complex *const *in;
	size_t slots;
} clear_machine;

static clear_machine *self(hel_machine *m)
{
	return (clear_machine *)(void *)m;
}

static hel_status new_value(clear_machine *c, void **out)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(*out, hel_alloc(c->slots, sizeof(hel_complex)));
done:
	return st;
}

static void free_value(hel_machine *m, void *value)
{
	(void)m;
	hel_free(value);
}

static hel_complex times(hel_complex a, hel_complex b)
{
	return (hel_complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static hel_status run_input(hel_machine *m, const hel_op *op, void **out)
{
	clear_machine *c = self(m);
	hel_status st = new_value(c, out);
	if (st == HEL_OK)
		memcpy(*out, c->in[op->index], c->slots * sizeof(hel_complex));
	return st;
}

static hel_status run_linear(hel_machine *m, const hel_op *op, void **out)
{
	clear_machine *c = self(m);
	hel_status st = new_value(c, out);
	hel_complex *r = *out;
	const size_t mask = c->slots - 1;
	for (uint32_t k = 0; st == HEL_OK && k < op->terms; k++) {
		const hel_term *t = &op->term[k];
		const hel_complex *x = m->value[t->value];
		for (size_t p = 0; p < c->slots; p++) {
			size_t q = (size_t)((int64_t)p + t->giant) & mask;
			size_t s = (size_t)((int64_t)q + t->baby) & mask;
			hel_complex y = times(hel_vector_at(&c->p->vector[t->vector], q), x[s]);
			r[p].re += y.re;
			r[p].im += y.im;
		}
	}
	return st;
}

static hel_status run_rotate_sum(hel_machine *m, const hel_op *op, void **out)
{
	clear_machine *c = self(m);
	hel_status st = new_value(c, out);
	hel_complex *r = *out;
	const hel_complex *x = m->value[op->value];
	for (uint32_t k = 0; st == HEL_OK && k < op->steps; k++)
		for (size_t p = 0; p < c->slots; p++) {
			size_t q = (size_t)((int64_t)p + op->step[k]) & (c->slots - 1);
			r[p].re += x[q].re;
			r[p].im += x[q].im;
		}
	return st;
}

static hel_status run_square(hel_machine *m, const hel_op *op, void **out)
{
	clear_machine *c = self(m);
	hel_status st = new_value(c, out);
	const hel_complex *x = m->value[op->value];
	for (size_t p = 0; st == HEL_OK && p < c->slots; p++)
		((hel_complex *)*out)[p] = times(x[p], x[p]);
	return st;
}

static hel_status run_rescale(hel_machine *m, const hel_op *op, void **out)
{
	clear_machine *c = self(m);
	hel_status st = new_value(c, out);
	if (st == HEL_OK)
		memcpy(*out, m->value[op->value], c->slots * sizeof(hel_complex));
	return st;
}

static hel_status run_add_plain(hel_machine *m, const hel_op *op, void **out)
{
	clear_machine *c = self(m);
	hel_status st = run_rescale(m, op, out); /* a copy */
	for (size_t p = 0; st == HEL_OK && p < c->slots; p++) {
		hel_complex v = hel_vector_at(&c->p->vector[op->index], p);
		((hel_complex *)*out)[p].re += v.re;
		((hel_complex *)*out)[p].im += v.im;
	}
	return st;
}

hel_status hel_clear_run(hel_complex *result, const hel_program *p, const hel_complex *const *slots)
{
	clear_machine c = {
	    .base = {.run = {[HEL_OP_INPUT] = run_input,
			     [HEL_OP_LINEAR] = run_linear,
			     [HEL_OP_ROTATE_SUM] = run_rotate_sum,
			     [HEL_OP_SQUARE] = run_square,
			     [HEL_OP_RESCALE] = run_rescale,
			     [HEL_OP_ADD_PLAIN] = run_add_plain},
		     .free_value = free_value},
	    .p = p,
	    .in = slots,
	    .slots = (size_t)1 << (p->manifest->params.log_n - 1),
	};
	void *value = NULL;
	hel_status st = hel_vm_run(&c.base, p, &value);
	if (st == HEL_OK)
		memcpy(result, value, c.slots * sizeof *result);
	hel_free(value);
	return st;
}

hel_status hel_clear_run_features(double *logit, const hel_program *p, const double *features)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = p->manifest;
	const size_t slots = (size_t)1 << (m->params.log_n - 1);
	hel_complex *block = NULL;
	const hel_complex **in = NULL;
	TRY_ALLOC(block, hel_alloc((m->inputs + 1) * slots, sizeof *block));
	TRY_ALLOC(in, hel_alloc(m->inputs, sizeof *in));
	for (uint32_t i = 0; i < m->inputs; i++) {
		hel_input_fill(block + i * slots, &m->input[i], features);
		in[i] = block + i * slots;
	}
	hel_complex *result = block + m->inputs * slots;
	TRY(hel_clear_run(result, p, in));
	double sum = 0;
	for (size_t i = 0; i < slots; i++)
		sum += result[i].re;
	*logit = sum / (double)slots; /* what coefficient 0 of the result holds */
	for (size_t i = 0; i < slots; i++)
		if (!(fabs(result[i].re - *logit) + fabs(result[i].im) < 1e-6 * (1 + fabs(*logit))))
			FAIL(HEL_ERANGE, "slot %zu of the result holds %g%+gi, the others %g", i,
			     result[i].re, result[i].im, *logit);
done:
	hel_free(block);
	hel_free(in);
	return st;
}
