#include "noisy.h"
#include "clear.h"
#include "refresh_op.h"
#include <math.h>
#include <string.h>

#define SLOT_RECORDS 4 /* that errors of single slots are estimated on: they are nearly alike */

typedef struct noise_run {
	const hel_program *p;
	const hel_params *params;
	const unsigned *level;
	const bool *product;
	const hel_complex *const *in;
	hel_complex **value;  /* of each op; after the forward run only what the way back needs */
	hel_complex **turn;   /* of each op: by what the result turns with its slots */
	hel_complex *rotated; /* the same for a rotated value within a linear op */
	double *variance;     /* of the result, by each op */
	size_t *last;	      /* op that reads a value last */
	bool *kept;	      /* its value is multiplied with something */
	double refreshed[HEL_MAX_LOG_REFRESHED + 1]; /* the variance that a refresh adds */
	size_t slots;
} noise_run;

/* --- forward ------------------------------------------------------------------------- */

static bool multiplies(const hel_op *op)
{
	return op->kind == HEL_OP_LINEAR || op->kind == HEL_OP_SQUARE || op->kind == HEL_OP_MUL ||
	       op->kind == HEL_OP_WEIGHTED_SUM || op->kind == HEL_OP_REFRESH;
}

static void find_readers(noise_run *n)
{
	for (size_t i = 0; i < n->p->ops; i++)
		for (uint32_t k = 0; k < hel_op_operands(&n->p->op[i]); k++) {
			const size_t from = hel_op_operand(&n->p->op[i], k);
			n->last[from] = i;
			n->kept[from] |= multiplies(&n->p->op[i]);
		}
}

static hel_status run_forward(noise_run *n)
{
	hel_status st = HEL_OK;
	for (size_t i = 0; i < n->p->ops; i++) {
		const hel_op *op = &n->p->op[i];
		TRY_ALLOC(n->value[i], hel_alloc(n->slots, sizeof **n->value));
		hel_clear_op(n->value[i], n->p, op, (const hel_complex *const *)n->value, n->in);
		for (uint32_t k = 0; k < hel_op_operands(op); k++) {
			const size_t from = hel_op_operand(op, k);
			if (n->last[from] == i && !n->kept[from]) {
				hel_free(n->value[from]);
				n->value[from] = NULL;
			}
		}
	}
done:
	return st;
}

/* --- back ---------------------------------------------------------------------------- */

static double square(hel_complex v)
{
	return v.re * v.re + v.im * v.im;
}

static hel_complex times(hel_complex a, hel_complex b)
{
	return (hel_complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static void add_to(hel_complex *a, hel_complex b)
{
	a->re += b.re;
	a->im += b.im;
}

static double squares(const hel_complex *v, size_t slots)
{
	double sum = 0;
	for (size_t i = 0; i < slots; i++)
		sum += square(v[i]);
	return sum;
}

static hel_status make_turn(noise_run *n, size_t op)
{
	hel_status st = HEL_OK;
	if (!n->turn[op])
		TRY_ALLOC(n->turn[op], hel_alloc(n->slots, sizeof **n->turn));
done:
	return st;
}

/* What a term adds to the rotated value's turn; returns sum |turn|^2 |value|^2. */
static double turn_term(const noise_run *n, const hel_term *t, const hel_complex *turn)
{
	const hel_vector *v = &n->p->vector[t->vector];
	const size_t mask = n->slots - 1;
	double sum = 0;
	hel_term_run run = {0};
	for (size_t i = 0; i < n->slots; i += run.count) {
		run = hel_term_run_at(t, v, i, n->slots);
		const hel_complex *x = n->value[t->value] + run.source;
		hel_complex *out = n->rotated + ((size_t)((int64_t)i + t->giant) & mask);
		const float *w = v->value + (v->is_complex ? 2 : 1) * run.vector;
		for (size_t j = 0; j < run.count; j++) {
			const hel_complex g = turn[i + j];
			sum += square(g) * square(x[j]);
			if (v->is_complex)
				add_to(&out[j], times(g, (hel_complex){w[2 * j], w[2 * j + 1]}));
			else
				add_to(&out[j], (hel_complex){g.re * w[j], g.im * w[j]});
		}
	}
	return sum;
}

static bool same_rotated(const hel_term *a, const hel_term *b)
{
	return a->value == b->value && a->baby == b->baby;
}

/* Each rotated value has one error, however many terms take it; so has each giant step. */
static double back_linear(noise_run *n, const hel_op *op, const hel_complex *turn, size_t limbs,
			  double scale)
{
	const double rounding = hel_noise_encoding(n->params, scale);
	const double baby = hel_noise_switch(n->params, limbs, 1, scale);
	double variance = 0;
	size_t giants = 0;
	for (uint32_t k = 0; k < op->terms; k++) {
		const hel_term *t = &op->term[k];
		bool new_rotated = true, new_giant = t->giant != 0;
		for (uint32_t i = 0; i < k; i++) {
			new_rotated &= !same_rotated(&op->term[i], t);
			new_giant &= op->term[i].giant != t->giant;
		}
		giants += new_giant;
		if (!new_rotated)
			continue;
		memset(n->rotated, 0, n->slots * sizeof *n->rotated);
		for (uint32_t i = k; i < op->terms; i++)
			if (same_rotated(&op->term[i], t))
				variance += rounding * turn_term(n, &op->term[i], turn);
		for (size_t i = 0; i < n->slots; i++)
			add_to(&n->turn[t->value][(size_t)((int64_t)i + t->baby) & (n->slots - 1)],
			       n->rotated[i]);
		variance += t->baby ? baby * squares(n->rotated, n->slots) : 0;
	}
	if (giants)
		variance += hel_noise_switch(n->params, limbs, giants, scale * scale) *
			    squares(turn, n->slots);
	return variance;
}

static void back_rotate_sum(noise_run *n, const hel_op *op, const hel_complex *turn)
{
	for (uint32_t k = 0; k < op->steps; k++) {
		const double sign = hel_step_conjugates(op->step[k], n->slots) ? -1 : 1;
		for (size_t i = 0; i < n->slots; i++)
			add_to(&n->turn[op->value]
				       [(size_t)((int64_t)i + op->step[k]) & (n->slots - 1)],
			       (hel_complex){turn[i].re, sign * turn[i].im});
	}
}

/* Each factor is rounded at the term's scale. */
static double back_weighted_sum(noise_run *n, const hel_op *op, const hel_complex *turn,
				double scale)
{
	double sum = 0;
	for (uint32_t k = 0; k < op->terms; k++) {
		const hel_complex *x = n->value[op->term[k].value];
		hel_complex *out = n->turn[op->term[k].value];
		for (size_t i = 0; i < n->slots; i++) {
			sum += square(turn[i]) * square(x[i]);
			add_to(&out[i], (hel_complex){op->factor[k] * turn[i].re,
						      op->factor[k] * turn[i].im});
		}
	}
	return sum / 12 / (scale * scale);
}

/* d(a b) = b da + a db, and the same twice for a square. */
static void back_product(noise_run *n, const hel_op *op, const hel_complex *turn)
{
	const size_t a = op->value, b = op->kind == HEL_OP_MUL ? op->index : op->value;
	for (size_t i = 0; i < n->slots; i++) {
		add_to(&n->turn[a][i], times(turn[i], n->value[b][i]));
		add_to(&n->turn[b][i], times(turn[i], n->value[a][i]));
	}
}

static void pass_back(noise_run *n, const hel_op *op, const hel_complex *turn)
{
	for (size_t i = 0; i < n->slots; i++)
		add_to(&n->turn[op->value][i], turn[i]);
}

static size_t moving_steps(const hel_op *op)
{
	size_t moving = 0;
	for (uint32_t k = 0; k < op->steps; k++)
		moving += op->step[k] != 0;
	return moving;
}

/* Hands an op's turn on to what it reads; returns the variance that it adds to the result itself,
 * real and imaginary parts together. */
static double back_op(noise_run *n, size_t index)
{
	const hel_params *p = n->params;
	const hel_op *op = &n->p->op[index];
	const hel_complex *turn = n->turn[index];
	const unsigned level = n->level[index];
	const size_t limbs = p->limbs[level], moving = moving_steps(op);
	const double scale = p->scale[level], result = n->product[index] ? scale * scale : scale;
	double each = 0; /* slot */
	switch (op->kind) {
	case HEL_OP_INPUT:
		each = hel_noise_encryption(p, scale) + hel_noise_encoding(p, scale);
		break;
	case HEL_OP_LINEAR:
		return back_linear(n, op, turn, limbs, scale);
	case HEL_OP_ROTATE_SUM:
		back_rotate_sum(n, op, turn);
		each = moving ? hel_noise_switch(p, limbs, moving, result) : 0;
		break;
	case HEL_OP_WEIGHTED_SUM:
		return back_weighted_sum(n, op, turn, scale);
	case HEL_OP_SQUARE:
	case HEL_OP_MUL:
		back_product(n, op, turn);
		each = hel_noise_switch(p, limbs, 1, result);
		break;
	case HEL_OP_RESCALE:
		pass_back(n, op, turn);
		each = hel_noise_rescale(p, p->scale[level - 1]);
		break;
	case HEL_OP_ADD_PLAIN:
		pass_back(n, op, turn);
		each = hel_noise_encoding(p, scale);
		break;
	case HEL_OP_REFRESH: /* errors of coefficients pass through the sine */
		hel_refresh_op_back(n->turn[op->value], op, n->value[op->value], turn, n->slots);
		each = n->refreshed[op->index];
		break;
	case HEL_OP_KINDS:
		break;
	}
	return each * squares(turn, n->slots);
}

/* From the turn of the last op: the variance of the result's real part by each op. */
static hel_status run_back(noise_run *n)
{
	hel_status st = HEL_OK;
	for (size_t i = n->p->ops; i-- > 0;) {
		const hel_op *op = &n->p->op[i];
		n->variance[i] = 0;
		if (!n->turn[i]) /* nothing reads it */
			continue;
		for (uint32_t k = 0; k < hel_op_operands(op); k++)
			TRY(make_turn(n, hel_op_operand(op, k)));
		n->variance[i] = back_op(n, i) / 2;
		hel_free(n->turn[i]);
		n->turn[i] = NULL;
	}
done:
	return st;
}

/* --- all records ----------------------------------------------------------------------- */

/* An input's variance under the public key, which is larger. */
static double contributed(const noise_run *n, size_t op)
{
	const hel_params *p = n->params;
	const double scale = p->scale[n->level[op]], encoding = hel_noise_encoding(p, scale);
	return n->p->op[op].kind != HEL_OP_INPUT
		   ? n->variance[op]
		   : n->variance[op] * (hel_noise_encryption_public(p, scale) + encoding) /
			 (hel_noise_encryption(p, scale) + encoding);
}

static hel_status add_score(hel_noise *all, hel_noise *op, noise_run *n)
{
	hel_status st = HEL_OK;
	double sum = 0, public = 0;
	const size_t last = n->p->ops - 1;
	TRY(make_turn(n, last));
	for (size_t i = 0; i < n->slots; i++)
		n->turn[last][i] = (hel_complex){1 / (double)n->slots, 0};
	TRY(run_back(n));
	for (size_t i = 0; i <= last; i++) {
		op[i].score += n->variance[i];
		op[i].contributed += contributed(n, i);
		sum += n->variance[i];
		public += contributed(n, i);
	}
	all->score += sqrt(sum);
	all->contributed += sqrt(public);
done:
	return st;
}

/* A sum of all slots with random signs has the variance of a slot, times their number, in the mean
 * [Hutchinson's trace]. */
static hel_status add_slots(hel_noise *all, hel_noise *op, noise_run *n, uint64_t random)
{
	hel_status st = HEL_OK;
	const size_t last = n->p->ops - 1;
	const double size = 1 / sqrt((double)n->slots);
	TRY(make_turn(n, last));
	for (size_t i = 0; i < n->slots; i++)
		n->turn[last][i] = (hel_complex){hel_mix(random + i) & 1 ? size : -size, 0};
	TRY(run_back(n));
	for (size_t i = 0; i <= last; i++) {
		op[i].slot += n->variance[i];
		all->slot += n->variance[i];
	}
done:
	return st;
}

static hel_status find_refreshed(noise_run *n)
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

static void clear_values(noise_run *n)
{
	for (size_t i = 0; i < n->p->ops; i++) {
		hel_free(n->value[i]);
		hel_free(n->turn[i]);
		n->value[i] = n->turn[i] = NULL;
	}
}

static hel_status noise_run_new(noise_run *n)
{
	hel_status st = HEL_OK;
	const size_t ops = n->p->ops;
	TRY_ALLOC(n->value, hel_alloc(ops, sizeof *n->value));
	TRY_ALLOC(n->turn, hel_alloc(ops, sizeof *n->turn));
	TRY_ALLOC(n->rotated, hel_alloc(n->slots, sizeof *n->rotated));
	TRY_ALLOC(n->variance, hel_alloc(ops, sizeof *n->variance));
	TRY_ALLOC(n->last, hel_alloc(ops, sizeof *n->last));
	TRY_ALLOC(n->kept, hel_alloc(ops, sizeof *n->kept));
	find_readers(n);
	TRY(find_refreshed(n));
done:
	return st;
}

static void noise_run_free(noise_run *n)
{
	if (n->value && n->turn)
		clear_values(n);
	hel_free(n->value);
	hel_free(n->turn);
	hel_free(n->rotated);
	hel_free(n->variance);
	hel_free(n->last);
	hel_free(n->kept);
}

static void to_deviations(hel_noise *all, hel_noise *op, size_t ops, size_t count)
{
	const double records = (double)count, some = (double)HEL_MIN(count, SLOT_RECORDS);
	all->score /= records;
	all->contributed /= records;
	all->slot = sqrt(all->slot / some);
	for (size_t i = 0; i < ops; i++) {
		op[i].score = sqrt(op[i].score / records);
		op[i].contributed = sqrt(op[i].contributed / records);
		op[i].slot = sqrt(op[i].slot / some);
	}
}

hel_status hel_noise_run(hel_noise *all, hel_noise *op, const hel_program *p,
			 const hel_params *params, const unsigned *level, const bool *product,
			 const double *features, size_t count)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = p->manifest;
	const size_t slots = (size_t)1 << hel_manifest_log_slots(m);
	hel_complex *block = NULL;
	const hel_complex **in = NULL;
	noise_run n = {
	    .p = p, .params = params, .level = level, .product = product, .slots = slots};
	memset(all, 0, sizeof *all);
	memset(op, 0, p->ops * sizeof *op);
	TRY_ALLOC(block, hel_alloc(m->inputs * slots, sizeof *block));
	TRY_ALLOC(in, hel_alloc(m->inputs, sizeof *in));
	TRY(noise_run_new(&n));
	n.in = in;
	for (size_t k = 0; k < count; k++) {
		for (uint32_t i = 0; i < m->inputs; i++) {
			hel_input_fill(block + i * slots, &m->input[i], features + k * m->features);
			in[i] = block + i * slots;
		}
		TRY(run_forward(&n));
		TRY(add_score(all, op, &n));
		if (k < SLOT_RECORDS)
			TRY(add_slots(all, op, &n, k * slots));
		clear_values(&n);
	}
	if (count)
		to_deviations(all, op, p->ops, count);
done:
	noise_run_free(&n);
	hel_free(block);
	hel_free(in);
	return st;
}
