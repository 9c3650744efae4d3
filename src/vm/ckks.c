#include "circuit/circuit.h"
#include "vm.h"
#include "weight_file.h"
#include <string.h>

struct hel_loaded {
	const hel_program *p;
	const hel_params *params;
	hel_pt ***weight; /* [op][term], or [op][0] for add_plain */
	bool *fused;	  /* [op]: a rescale done by the op before it, or that op */
	size_t bytes;
	hel_weight_file *file; /* where all weights' data is; NULL: in memory */
};

/* The level each op's weights are multiplied or added at. */
static void op_levels(unsigned *level, const hel_program *p)
{
	for (size_t i = 0; i < p->ops; i++) {
		const hel_op *op = &p->op[i];
		level[i] = op->kind == HEL_OP_INPUT	     ? p->manifest->input[op->index].level
			   : op->kind == HEL_OP_WEIGHTED_SUM ? op->index
							     : level[hel_op_operand(op, 0)];
		/* below level 0 the run itself reports it */
		if (op->kind == HEL_OP_RESCALE && level[i])
			level[i]--;
	}
}

/* A product or a sum of rotations whose only reader is a rescale divides for it, too. */
static void find_fused(bool *fused, const hel_program *p)
{
	for (size_t i = 0; i < p->ops; i++) {
		size_t readers = 0, rescale = 0;
		const hel_op_kind kind = p->op[i].kind;
		if (kind != HEL_OP_SQUARE && kind != HEL_OP_MUL && kind != HEL_OP_ROTATE_SUM)
			continue;
		for (size_t k = i + 1; k < p->ops; k++) {
			const hel_op *op = &p->op[k];
			bool reads = false;
			for (uint32_t t = 0; t < hel_op_operands(op); t++)
				reads |= hel_op_operand(op, t) == i;
			readers += reads;
			rescale = reads && op->kind == HEL_OP_RESCALE ? k : rescale;
		}
		if (readers == 1 && rescale)
			fused[i] = fused[rescale] = true;
	}
}

typedef struct encode_job {
	hel_loaded *l;
	const unsigned *level;
	size_t *offset; /* of each op in the file */
} encode_job;

static hel_status encode_vector(hel_pt **out, const hel_loaded *l, uint32_t vector, unsigned level,
				hel_pt_use use)
{
	hel_status st = HEL_OK;
	const size_t slots = hel_params_slots(l->params);
	hel_complex *full = NULL;
	TRY_ALLOC(full, hel_alloc(slots, sizeof *full));
	for (size_t i = 0; i < slots; i++)
		full[i] = hel_vector_at(&l->p->vector[vector], i);
	TRY(hel_encode(out, l->params, full, level, use));
done:
	hel_free(full);
	return st;
}

/* Plaintexts of an op. */
static size_t weights_in(const hel_op *op)
{
	return op->kind == HEL_OP_LINEAR ? op->terms : op->kind == HEL_OP_ADD_PLAIN;
}

static size_t weight_bytes(const hel_params *params, unsigned level)
{
	return 4 * params->limbs[level] * params->ring.n;
}

static hel_status encode_op(void *arg, size_t i)
{
	const encode_job *j = arg;
	const hel_op *op = &j->l->p->op[i];
	hel_status st = HEL_OK;
	const size_t count = weights_in(op);
	if (!count)
		goto done;
	TRY_ALLOC(j->l->weight[i], hel_alloc(count, sizeof *j->l->weight[i]));
	for (size_t k = 0; k < count; k++) {
		TRY(encode_vector(&j->l->weight[i][k], j->l,
				  op->terms ? op->term[k].vector : op->index, j->level[i],
				  op->terms ? HEL_FOR_MUL : HEL_FOR_ADD));
		if (j->l->file)
			hel_weight_file_move(j->l->file, j->l->weight[i][k],
					     j->offset[i] +
						 k * weight_bytes(j->l->params, j->level[i]));
	}
done:
	return st;
}

hel_status hel_ckks_weight_bytes(size_t *out, const hel_program *p, const hel_params *params)
{
	hel_status st = HEL_OK;
	unsigned *level = NULL;
	size_t bytes = 0;
	TRY_ALLOC(level, hel_alloc(p->ops, sizeof *level));
	op_levels(level, p);
	for (size_t i = 0; i < p->ops; i++)
		bytes += weights_in(&p->op[i]) * weight_bytes(params, level[i]);
	*out = bytes;
done:
	hel_free(level);
	return st;
}

hel_status hel_loaded_new(hel_loaded **out, const hel_program *p, const hel_params *params,
			  hel_pool *pool)
{
	return hel_loaded_new_on_disk(out, p, params, pool, NULL);
}

hel_status hel_loaded_new_on_disk(hel_loaded **out, const hel_program *p, const hel_params *params,
				  hel_pool *pool, const char *path)
{
	hel_status st = HEL_OK;
	hel_loaded *l = NULL;
	unsigned *level = NULL;
	size_t *offset = NULL;
	TRY_ALLOC(l, hel_alloc(1, sizeof *l));
	l->p = p;
	l->params = params;
	TRY_ALLOC(l->weight, hel_alloc(p->ops, sizeof *l->weight));
	TRY_ALLOC(l->fused, hel_alloc(p->ops, sizeof *l->fused));
	TRY_ALLOC(level, hel_alloc(p->ops, sizeof *level));
	find_fused(l->fused, p);
	op_levels(level, p);
	TRY(hel_ckks_weight_bytes(&l->bytes, p, params));
	TRY_ALLOC(offset, hel_alloc(p->ops + 1, sizeof *offset));
	for (size_t i = 0; i < p->ops; i++)
		offset[i + 1] = offset[i] + weights_in(&p->op[i]) * weight_bytes(params, level[i]);
	if (path)
		TRY(hel_weight_file_new(&l->file, path, l->bytes));
	encode_job j = {l, level, offset};
	TRY(hel_pool_try(pool, p->ops, encode_op, &j));
	hel_loaded_release(l);
	*out = l;
	l = NULL;
done:
	hel_free(level);
	hel_free(offset);
	hel_loaded_free(l);
	return st;
}

void hel_loaded_prefetch(const hel_loaded *l)
{
	if (l->file)
		hel_weight_file_prefetch(l->file);
}

void hel_loaded_release(const hel_loaded *l)
{
	if (l->file)
		hel_weight_file_release(l->file);
}

void hel_loaded_free(hel_loaded *l)
{
	if (!l)
		return;
	for (size_t i = 0; l->weight && i < l->p->ops; i++) {
		for (size_t k = 0; l->weight[i] && k < weights_in(&l->p->op[i]); k++) {
			if (l->file && l->weight[i][k])
				hel_weight_file_forget(l->file, l->weight[i][k]);
			hel_pt_free(l->weight[i][k]);
		}
		hel_free(l->weight[i]);
	}
	hel_weight_file_free(l->file);
	hel_free(l->weight);
	hel_free(l->fused);
	hel_free(l);
}

size_t hel_loaded_bytes(const hel_loaded *l)
{
	return l->bytes;
}

#define MANY_TERMS 4096 /* beyond, counting would take long: every one as if it were distinct */

/* Distinct rotated inputs of a linear op, at most. */
static size_t rotations(const hel_op *op)
{
	size_t count = 0;
	for (uint32_t i = 0; i < op->terms; i++) {
		uint32_t k = op->terms > MANY_TERMS ? i : 0;
		while (k < i && (op->term[k].value != op->term[i].value ||
				 op->term[k].baby != op->term[i].baby))
			k++;
		count += k == i && op->term[i].baby;
	}
	return count;
}

hel_status hel_ckks_run_bytes(size_t *out, const hel_program *p, const hel_params *params,
			      unsigned threads)
{
	hel_status st = HEL_OK;
	size_t values, rotated = 0, scratch = 0, hoisted = 0;
	bool seen[HEL_MAX_LEVELS + 1] = {false};
	unsigned *level = NULL;
	TRY_ALLOC(level, hel_alloc(p->ops, sizeof *level));
	TRY(hel_vm_peak_values(&values, p));
	op_levels(level, p);
	for (size_t i = 0; i < p->ops; i++) {
		const size_t turns = rotations(&p->op[i]);
		rotated = HEL_MAX(rotated, turns);
		/* one accumulator for each, until ModDown */
		hoisted =
		    HEL_MAX(hoisted, turns * hel_extended_words(params, params->limbs[level[i]]));
		if (seen[level[i]])
			continue;
		seen[level[i]] = true;
		/* scratch is kept per size: that of a multiplication and of a linear op */
		const size_t limbs = params->limbs[level[i]], words = limbs * params->ring.n;
		const size_t digits = hel_params_digits_at(params, limbs);
		const size_t work = (2 * limbs + (digits + 2) * (threads + 1) + 8) * params->ring.n;
		scratch += 2 * (6 * words + hel_extended_words(params, limbs) + work);
	}
	/* inputs are held twice: as they came and as values */
	const size_t cts = values + rotated + p->manifest->inputs + 2;
	*out = 4 * (cts * 2 * params->ring.chain * params->ring.n + scratch + hoisted);
done:
	hel_free(level);
	return st;
}

typedef struct ckks_machine {
	hel_machine base;
	const hel_loaded *l;
	const hel_eval *ev;
	const hel_ct *const *in;
	double *seconds;
} ckks_machine;

static ckks_machine *self(hel_machine *m)
{
	return (ckks_machine *)(void *)m;
}

static void free_value(hel_machine *m, void *value)
{
	(void)m;
	hel_ct_free(value);
}

static void timed(hel_machine *m, size_t op, double seconds)
{
	if (self(m)->seconds)
		self(m)->seconds[op] = seconds;
}

static hel_status new_ct(hel_machine *m, void **out)
{
	hel_ct *ct = NULL;
	hel_status st = hel_ct_take(&ct, self(m)->ev);
	*out = ct;
	return st;
}

static hel_pt *const *weights_of(hel_machine *m, const hel_op *op)
{
	const hel_loaded *l = self(m)->l;
	return l->weight[op - l->p->op];
}

static bool is_fused(hel_machine *m, const hel_op *op)
{
	const hel_loaded *l = self(m)->l;
	return l->fused[op - l->p->op];
}

static hel_status run_input(hel_machine *m, const hel_op *op, void **out)
{
	const hel_ct *in = self(m)->in[op->index];
	const unsigned level = self(m)->l->p->manifest->input[op->index].level;
	if (in->level != level)
		return hel_fail(HEL_ELEVEL, "input %u has level %u, expected %u", op->index,
				in->level, level);
	hel_status st = new_ct(m, out);
	if (st == HEL_OK)
		hel_ct_copy(*out, in);
	return st;
}

static hel_status run_linear(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	hel_linear_term *terms = NULL;
	TRY(new_ct(m, out));
	TRY_ALLOC(terms, hel_alloc(op->terms, sizeof *terms));
	for (uint32_t k = 0; k < op->terms; k++)
		terms[k] = (hel_linear_term){.in = m->value[op->term[k].value],
					     .weight = weights_of(m, op)[k],
					     .baby = op->term[k].baby,
					     .giant = op->term[k].giant};
	TRY(hel_linear_apply(self(m)->ev, *out, terms, op->terms));
done:
	hel_free(terms);
	return st;
}

static hel_status run_rotate_sum(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	uint32_t *galois = NULL;
	TRY(new_ct(m, out));
	TRY_ALLOC(galois, hel_alloc(op->steps, sizeof *galois));
	for (uint32_t k = 0; k < op->steps; k++)
		galois[k] = hel_galois_of_step(self(m)->ev->params, op->step[k]);
	TRY(hel_eval_galois_sum(self(m)->ev, *out, m->value[op->value], galois, op->steps,
				is_fused(m, op)));
done:
	hel_free(galois);
	return st;
}

static hel_status run_square(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = new_ct(m, out);
	const hel_ct *x = m->value[op->value];
	if (st != HEL_OK)
		return st;
	return (is_fused(m, op) ? hel_eval_mul_rescale : hel_eval_mul)(self(m)->ev, *out, x, x);
}

static hel_status run_mul(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = new_ct(m, out);
	if (st != HEL_OK)
		return st;
	return (is_fused(m, op) ? hel_eval_mul_rescale : hel_eval_mul)(
	    self(m)->ev, *out, m->value[op->value], m->value[op->index]);
}

static hel_status run_weighted_sum(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	hel_sum_term *terms = NULL;
	TRY(new_ct(m, out));
	TRY_ALLOC(terms, hel_alloc(op->terms, sizeof *terms));
	for (uint32_t k = 0; k < op->terms; k++)
		terms[k] = (hel_sum_term){m->value[op->term[k].value], op->factor[k]};
	TRY(hel_eval_weighted_sum(self(m)->ev, *out, op->index, terms, op->terms,
				  op->factor[op->terms]));
done:
	hel_free(terms);
	return st;
}

static hel_status run_rescale(hel_machine *m, const hel_op *op, void **out)
{
	if (is_fused(m, op)) { /* done already: the value passes on */
		*out = m->value[op->value];
		m->value[op->value] = NULL;
		return HEL_OK;
	}
	hel_status st = new_ct(m, out);
	return st == HEL_OK ? hel_eval_rescale(self(m)->ev, *out, m->value[op->value]) : st;
}

static hel_status run_add_plain(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = new_ct(m, out);
	return st == HEL_OK ? hel_eval_add_plain(self(m)->ev, *out, m->value[op->value],
						 weights_of(m, op)[0])
			    : st;
}

static hel_status run_op(hel_machine *m, const hel_op *op, void **out)
{
	static const hel_machine_op run[HEL_OP_KINDS] = {
	    [HEL_OP_INPUT] = run_input,
	    [HEL_OP_LINEAR] = run_linear,
	    [HEL_OP_ROTATE_SUM] = run_rotate_sum,
	    [HEL_OP_SQUARE] = run_square,
	    [HEL_OP_RESCALE] = run_rescale,
	    [HEL_OP_ADD_PLAIN] = run_add_plain,
	    [HEL_OP_MUL] = run_mul,
	    [HEL_OP_WEIGHTED_SUM] = run_weighted_sum,
	};
	return run[op->kind](m, op, out);
}

hel_status hel_ckks_run(hel_ct **result, const hel_loaded *l, const hel_eval *ev,
			const hel_ct *const *in, double *op_seconds)
{
	return hel_ckks_run_many(result, &(uint32_t){l->p->ops - 1}, 1, l, ev, in, op_seconds);
}

hel_status hel_ckks_run_many(hel_ct **result, const uint32_t *op, size_t count, const hel_loaded *l,
			     const hel_eval *ev, const hel_ct *const *in, double *op_seconds)
{
	hel_status st = HEL_OK;
	void **value = NULL;
	ckks_machine c = {
	    .base = {.run = run_op, .free_value = free_value, .timed = timed, .pool = ev->pool},
	    .l = l,
	    .ev = ev,
	    .in = in,
	    .seconds = op_seconds,
	};
	c.base.stop = ev->stop;
	const hel_manifest *m = l->p->manifest;
	for (uint32_t i = 0; i < m->keys; i++)
		if (!hel_keys_find(ev->keys, m->key[i].galois, m->key[i].level)) {
			st = HEL_EKEY;
			goto done;
		}
	TRY_ALLOC(value, hel_alloc(count, sizeof *value));
	TRY(hel_vm_run_many(&c.base, l->p, op, count, value));
	for (size_t i = 0; i < count; i++)
		result[i] = value[i];
done:
	hel_free(value);
	return st;
}
