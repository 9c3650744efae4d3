/* The meaning of every op, on plain slot vectors. */
#include "clear.h"
#include "refresh_op.h"
#include "vm.h"
#include <math.h>
#include <string.h>

static hel_complex times(hel_complex a, hel_complex b)
{
	return (hel_complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static hel_complex plus(hel_complex a, hel_complex b)
{
	return (hel_complex){a.re + b.re, a.im + b.im};
}

/* out += vector * x, slot by slot; apart from the rest, because most of a compilation is spent
 * here. */
static void add_real(hel_complex *restrict out, const float *restrict vector,
		     const hel_complex *restrict x, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		out[i].re += (double)vector[i] * x[i].re;
		out[i].im += (double)vector[i] * x[i].im;
	}
}

static void add_complex(hel_complex *restrict out, const float *restrict vector,
			const hel_complex *restrict x, size_t count)
{
	for (size_t i = 0; i < count; i++)
		out[i] = plus(out[i], times((hel_complex){vector[2 * i], vector[2 * i + 1]}, x[i]));
}

#define TILE ((size_t)2048) /* slots summed up at once: they stay in a core's first cache */

/* One term, in the slots from `first` to before `end`. */
static void add_term(hel_complex *out, const hel_term *t, const hel_vector *v, const hel_complex *x,
		     size_t first, size_t end, size_t slots)
{
	hel_term_run run = {0};
	for (size_t i = first; i < end; i += run.count) {
		run = hel_term_run_at(t, v, i, slots);
		run.count = HEL_MIN(run.count, end - i);
		if (v->is_complex)
			add_complex(out + i, v->value + 2 * run.vector, x + run.source, run.count);
		else
			add_real(out + i, v->value + run.vector, x + run.source, run.count);
	}
}

static void clear_linear(hel_complex *out, const hel_program *p, const hel_op *op,
			 const hel_complex *const *value, size_t slots)
{
	memset(out, 0, slots * sizeof *out);
	for (size_t i = 0; i < slots; i += TILE)
		for (uint32_t k = 0; k < op->terms; k++) {
			const hel_term *t = &op->term[k];
			add_term(out, t, &p->vector[t->vector], value[t->value], i,
				 HEL_MIN(i + TILE, slots), slots);
		}
}

static void clear_rotate_sum(hel_complex *out, const hel_op *op, const hel_complex *x, size_t slots)
{
	memset(out, 0, slots * sizeof *out);
	for (uint32_t k = 0; k < op->steps; k++) {
		const double sign = hel_step_conjugates(op->step[k], slots) ? -1 : 1;
		for (size_t i = 0; i < slots; i++) {
			hel_complex v = x[(size_t)((int64_t)i + op->step[k]) & (slots - 1)];
			out[i] = plus(out[i], (hel_complex){v.re, sign * v.im});
		}
	}
}

static void clear_weighted_sum(hel_complex *out, const hel_op *op, const hel_complex *const *value,
			       size_t slots)
{
	for (size_t i = 0; i < slots; i++)
		out[i] = (hel_complex){op->factor[op->terms], 0};
	for (uint32_t k = 0; k < op->terms; k++) {
		const hel_complex *x = value[op->term[k].value];
		for (size_t i = 0; i < slots; i++) {
			out[i].re += op->factor[k] * x[i].re;
			out[i].im += op->factor[k] * x[i].im;
		}
	}
}

void hel_clear_op(hel_complex *out, const hel_program *p, const hel_op *op,
		  const hel_complex *const *value, const hel_complex *const *in)
{
	const size_t slots = (size_t)1 << hel_manifest_log_slots(p->manifest);
	const hel_complex *x =
	    op->kind == HEL_OP_INPUT ? in[op->index] : value[hel_op_operand(op, 0)];
	switch (op->kind) {
	case HEL_OP_LINEAR:
		clear_linear(out, p, op, value, slots);
		break;
	case HEL_OP_ROTATE_SUM:
		clear_rotate_sum(out, op, x, slots);
		break;
	case HEL_OP_SQUARE:
		for (size_t i = 0; i < slots; i++)
			out[i] = times(x[i], x[i]);
		break;
	case HEL_OP_ADD_PLAIN:
		for (size_t i = 0; i < slots; i++)
			out[i] = plus(x[i], hel_vector_at(&p->vector[op->index], i));
		break;
	case HEL_OP_MUL:
		for (size_t i = 0; i < slots; i++)
			out[i] = times(x[i], value[op->index][i]);
		break;
	case HEL_OP_WEIGHTED_SUM:
		clear_weighted_sum(out, op, value, slots);
		break;
	case HEL_OP_REFRESH:
		hel_refresh_op_clear(out, op, x, slots);
		break;
	case HEL_OP_INPUT:
	case HEL_OP_RESCALE:
	case HEL_OP_KINDS:
		memcpy(out, x, slots * sizeof *out);
		break;
	}
}

typedef struct clear_machine {
	hel_machine base;
	const hel_program *p;
	const hel_complex *const *in;
	double *largest; /* see hel_clear_measure; may be NULL */
	size_t slots;
} clear_machine;

static void free_value(hel_machine *m, void *value)
{
	(void)m;
	hel_free(value);
}

/* hypot takes longer than most ops: it is asked only of what squares leave open. */
static void see_largest(double *largest, const hel_complex *v, size_t slots)
{
	const double nearly = 1 - 1e-9;
	double square = *largest * *largest * nearly;
	for (size_t i = 0; i < slots; i++)
		if (!(v[i].re * v[i].re + v[i].im * v[i].im <= square)) {
			*largest = HEL_MAX(*largest, hypot(v[i].re, v[i].im));
			square = *largest * *largest * nearly;
		}
}

/* What goes beyond the range is measured, or an error: ciphertexts would not tell it from what is
 * within. */
static hel_status run_refresh(const clear_machine *c, const hel_op *op, hel_complex *out)
{
	const double most = hel_refresh_op_clear(out, op, c->base.value[op->value], c->slots);
	if (c->largest)
		c->largest[op - c->p->op] = HEL_MAX(c->largest[op - c->p->op], most);
	else if (!(most <= 1 + 1e-6))
		return hel_fail(HEL_ERANGE,
				"a value reaches %.3g times the range of its refresh: a record "
				"unlike those that the range was learned from",
				most);
	return HEL_OK;
}

static hel_status run_op(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	const clear_machine *c = (const clear_machine *)(const void *)m;
	TRY_ALLOC(*out, hel_alloc_raw(c->slots, sizeof(hel_complex)));
	if (op->kind == HEL_OP_REFRESH)
		TRY(run_refresh(c, op, *out));
	else
		hel_clear_op(*out, c->p, op, (const hel_complex *const *)m->value, c->in);
	if (c->largest)
		see_largest(&c->largest[op - c->p->op], *out, c->slots);
done:
	return st;
}

static hel_status run_many(hel_complex *const *result, double *largest, const hel_program *p,
			   const uint32_t *op, size_t count, const hel_complex *const *slots)
{
	hel_status st = HEL_OK;
	clear_machine c = {
	    .base = {.run = run_op, .free_value = free_value},
	    .p = p,
	    .in = slots,
	    .largest = largest,
	    .slots = (size_t)1 << hel_manifest_log_slots(p->manifest),
	};
	void **value = NULL;
	TRY_ALLOC(value, hel_alloc(count, sizeof *value));
	TRY(hel_vm_run_many(&c.base, p, op, count, value));
	for (size_t i = 0; i < count; i++) {
		memcpy(result[i], value[i], c.slots * sizeof **result);
		hel_free(value[i]);
	}
done:
	hel_free(value);
	return st;
}

static hel_status run(hel_complex *result, double *largest, const hel_program *p,
		      const hel_complex *const *slots)
{
	return run_many(&result, largest, p, &(uint32_t){p->ops - 1}, 1, slots);
}

hel_status hel_clear_run_many(hel_complex *const *result, const hel_program *p, const uint32_t *op,
			      size_t count, const hel_complex *const *slots)
{
	return run_many(result, NULL, p, op, count, slots);
}

hel_status hel_clear_run(hel_complex *result, const hel_program *p, const hel_complex *const *slots)
{
	return run(result, NULL, p, slots);
}

/* Slots of all inputs, and room for a result behind them; to be freed together. */
static hel_status inputs_new(hel_complex **block, const hel_complex ***in, const hel_manifest *m)
{
	hel_status st = HEL_OK;
	const size_t slots = (size_t)1 << hel_manifest_log_slots(m);
	TRY_ALLOC(*block, hel_alloc((m->inputs + 1) * slots, sizeof **block));
	TRY_ALLOC(*in, hel_alloc(m->inputs + 1, sizeof **in));
	for (uint32_t i = 0; i <= m->inputs; i++)
		(*in)[i] = *block + i * slots;
done:
	return st;
}

static void fill_inputs(hel_complex *block, const hel_manifest *m, const double *features)
{
	const size_t slots = (size_t)1 << hel_manifest_log_slots(m);
	for (uint32_t i = 0; i < m->inputs; i++)
		hel_input_fill(block + i * slots, &m->input[i], features);
}

hel_status hel_clear_measure(double *largest, const hel_program *p, const double *features,
			     size_t count)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = p->manifest;
	hel_complex *block = NULL;
	const hel_complex **in = NULL;
	TRY(inputs_new(&block, &in, m));
	hel_complex *result = block + ((size_t)m->inputs << hel_manifest_log_slots(m));
	for (size_t k = 0; k < count; k++) {
		fill_inputs(block, m, features + k * m->features);
		TRY(run(result, largest, p, in));
	}
done:
	hel_free(block);
	hel_free(in);
	return st;
}

hel_status hel_clear_run_features(double *logit, const hel_program *p, const double *features)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = p->manifest;
	const size_t slots = (size_t)1 << hel_manifest_log_slots(m);
	hel_complex *block = NULL;
	const hel_complex **in = NULL;
	TRY(inputs_new(&block, &in, m));
	fill_inputs(block, m, features);
	hel_complex *result = block + m->inputs * slots;
	TRY(hel_clear_run(result, p, in));
	double sum = 0;
	for (size_t i = 0; i < slots; i++)
		sum += result[i].re;
	*logit = sum / (double)slots; /* what the client decodes */
	for (size_t i = 0; i < slots; i++)
		if (!(fabs(result[i].re - *logit) + fabs(result[i].im) < 1e-6 * (1 + fabs(*logit))))
			FAIL(HEL_ERANGE, "slot %zu of the result holds %g%+gi, the others %g", i,
			     result[i].re, result[i].im, *logit);
done:
	hel_free(block);
	hel_free(in);
	return st;
}
