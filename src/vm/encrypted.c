#include "encrypted.h"
#include "circuit/circuit.h"
#include "circuit/refresh.h"
#include "vm.h"
#include "weight.h"
#include <string.h>
#include <unistd.h>

#define REFRESH_VALUES 40 /* of a refresh at once: steps of its sine, rotated inputs before */
#define MANY_TERMS 4096	  /* beyond, counting would take long: every one as if it were distinct */

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
	hel_op_levels(level, p);
	for (size_t i = 0; i < p->ops; i++) {
		const bool refresh = p->op[i].kind == HEL_OP_REFRESH;
		if (refresh) /* it works at the top */
			level[i] = params->spec.levels;
		const size_t turns = refresh ? REFRESH_VALUES : rotations(&p->op[i]);
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
	hel_op_time *times;
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

static void timed(hel_machine *m, size_t op, double start, double seconds)
{
	if (self(m)->times)
		self(m)->times[op] = (hel_op_time){start, seconds, (uint32_t)gettid()};
}

static hel_status new_ct(hel_machine *m, void **out)
{
	hel_ct *ct = NULL;
	hel_status st = hel_ct_take(&ct, self(m)->ev);
	*out = ct;
	return st;
}

static const hel_pt *weight_of(hel_machine *m, const hel_op *op, uint32_t k)
{
	const hel_loaded *l = self(m)->l;
	return &l->weight[l->of[l->first[op - l->p->op] + k]].pt;
}

static hel_fusion fusion_of(hel_machine *m, const hel_op *op)
{
	const hel_loaded *l = self(m)->l;
	return l->fusion[op - l->p->op];
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
	const hel_manifest *mf = self(m)->l->p->manifest;
	TRY(new_ct(m, out));
	TRY_ALLOC(terms, hel_alloc(op->terms, sizeof *terms));
	for (uint32_t k = 0; k < op->terms; k++)
		terms[k] = (hel_linear_term){.in = m->value[op->term[k].value],
					     .weight = weight_of(m, op, k),
					     .baby = hel_manifest_step(mf, op->term[k].baby),
					     .giant = hel_manifest_step(mf, op->term[k].giant)};
	TRY(hel_linear_apply(self(m)->ev, *out, terms, op->terms));
done:
	hel_free(terms);
	return st;
}

static hel_status run_rotate_sum(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	uint32_t *galois = NULL;
	const hel_manifest *mf = self(m)->l->p->manifest;
	TRY(new_ct(m, out));
	TRY_ALLOC(galois, hel_alloc(op->steps, sizeof *galois));
	for (uint32_t k = 0; k < op->steps; k++)
		galois[k] =
		    hel_galois_of_step(self(m)->ev->params, hel_manifest_step(mf, op->step[k]));
	TRY(hel_eval_galois_sum(self(m)->ev, *out, m->value[op->value], galois, op->steps,
				fusion_of(m, op) == HEL_DIVIDES));
done:
	hel_free(galois);
	return st;
}

static hel_status run_product(hel_machine *m, const hel_op *op, void **out)
{
	const hel_fusion fusion = fusion_of(m, op);
	const hel_ct *a = m->value[hel_op_operand(op, 0)],
		     *b = m->value[hel_op_operand(op, hel_op_operands(op) - 1)];
	if (fusion == HEL_DEFERRED) {
		*out = NULL;
		return HEL_OK;
	}
	const hel_status st = new_ct(m, out);
	if (st != HEL_OK)
		return st;
	return (fusion == HEL_DIVIDES ? hel_eval_mul_rescale : hel_eval_mul)(self(m)->ev, *out, a,
									     b);
}

/* What a product that a sum makes is of. */
static hel_product_term product_term(hel_machine *m, const hel_op *sum, uint32_t term)
{
	const hel_op *op = &self(m)->l->p->op[sum->term[term].value];
	return (hel_product_term){m->value[hel_op_operand(op, 0)],
				  m->value[hel_op_operand(op, hel_op_operands(op) - 1)],
				  sum->factor[term]};
}

static hel_status run_weighted_sum(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	const hel_eval *ev = self(m)->ev;
	const bool makes = fusion_of(m, op) == HEL_MAKES;
	hel_sum_term *terms = NULL;
	hel_product_term *products = NULL;
	hel_ct *plus = NULL;
	size_t count = 0, made = 0;
	TRY(new_ct(m, out));
	TRY_ALLOC(terms, hel_alloc(op->terms, sizeof *terms));
	TRY_ALLOC(products, hel_alloc(op->terms, sizeof *products));
	for (uint32_t k = 0; k < op->terms; k++)
		if (makes && hel_vm_is_made(self(m)->l->fusion, op, k))
			products[made++] = product_term(m, op, k);
		else
			terms[count++] = (hel_sum_term){m->value[op->term[k].value], op->factor[k]};
	if (makes)
		TRY(hel_ct_take(&plus, ev));
	TRY(hel_eval_weighted_sum(ev, makes ? plus : *out, op->index, terms, count,
				  op->factor[op->terms]));
	if (makes)
		TRY(hel_eval_mul_add_rescale(ev, *out, products, made, plus));
done:
	hel_ct_free(plus);
	hel_free(products);
	hel_free(terms);
	return st;
}

static hel_status run_rescale(hel_machine *m, const hel_op *op, void **out)
{
	if (fusion_of(m, op) == HEL_DIVIDED) { /* the value passes on */
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
	return st == HEL_OK
		   ? hel_eval_add_plain(self(m)->ev, *out, m->value[op->value], weight_of(m, op, 0))
		   : st;
}

static hel_status run_refresh(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = new_ct(m, out);
	return st == HEL_OK ? hel_refresh_sine(self(m)->ev, *out, m->value[op->value],
					       self(m)->l->refresher[op->index],
					       hel_refresh_gain(op->factor[1]))
			    : st;
}

static hel_status run_op(hel_machine *m, const hel_op *op, void **out)
{
	static const hel_machine_op run[HEL_OP_KINDS] = {
	    [HEL_OP_REFRESH] = run_refresh,
	    [HEL_OP_INPUT] = run_input,
	    [HEL_OP_LINEAR] = run_linear,
	    [HEL_OP_ROTATE_SUM] = run_rotate_sum,
	    [HEL_OP_SQUARE] = run_product,
	    [HEL_OP_RESCALE] = run_rescale,
	    [HEL_OP_ADD_PLAIN] = run_add_plain,
	    [HEL_OP_MUL] = run_product,
	    [HEL_OP_WEIGHTED_SUM] = run_weighted_sum,
	};
	return run[op->kind](m, op, out);
}

hel_status hel_ckks_run(hel_ct **result, const hel_loaded *l, const hel_eval *ev,
			const hel_ct *const *in, hel_op_time *times)
{
	return hel_ckks_run_many(result, &(uint32_t){l->p->ops - 1}, 1, l, ev, in, times);
}

hel_status hel_ckks_run_many(hel_ct **result, const uint32_t *op, size_t count, const hel_loaded *l,
			     const hel_eval *ev, const hel_ct *const *in, hel_op_time *times)
{
	hel_status st = HEL_OK;
	void **value = NULL;
	ckks_machine c = {
	    .base = {.run = run_op, .free_value = free_value, .timed = timed, .pool = ev->pool},
	    .l = l,
	    .ev = ev,
	    .in = in,
	    .times = times,
	};
	c.base.stop = ev->stop;
	c.base.watching = ev->watching;
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
