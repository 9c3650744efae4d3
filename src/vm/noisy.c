#include "noisy.h"
#include "clear.h"
#include "refresh_op.h"
#include "weight.h"
#include <math.h>
#include <string.h>

#define SLOT_RECORDS 4 /* that errors of single slots are estimated on: they are nearly alike */

/* By how much variances of an op's own errors grow until the result: sums over slots. */
typedef struct gain {
	double result;	 /* of errors of its value */
	double rounded;	 /* of errors of weights: times the values that they meet */
	double rotated;	 /* of errors of values that are rotated before they meet weights */
	size_t switches; /* key switches in `result` */
} gain;

struct hel_noise_gains {
	size_t records, some; /* with gains of scores, of single slots */
	gain *score, *slot;   /* [record][op] */
};

typedef struct noise_run {
	const hel_program *p;
	const hel_complex *const *in;
	hel_complex **value;  /* of each op; after the forward run only what the way back needs */
	hel_complex **turn;   /* of each op: by what the result turns with its slots */
	hel_complex *rotated; /* the same for a rotated value within a linear op */
	size_t *last;	      /* op that reads a value last */
	bool *kept;	      /* its value is multiplied with something */
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
static void back_linear(gain *g, noise_run *n, const hel_op *op, const hel_complex *turn)
{
	for (uint32_t k = 0; k < op->terms; k++) {
		const hel_term *t = &op->term[k];
		bool new_rotated = true, new_giant = t->giant != 0;
		for (uint32_t i = 0; i < k; i++) {
			new_rotated &= !same_rotated(&op->term[i], t);
			new_giant &= op->term[i].giant != t->giant;
		}
		g->switches += new_giant;
		if (!new_rotated)
			continue;
		memset(n->rotated, 0, n->slots * sizeof *n->rotated);
		for (uint32_t i = k; i < op->terms; i++)
			if (same_rotated(&op->term[i], t))
				g->rounded += turn_term(n, &op->term[i], turn);
		for (size_t i = 0; i < n->slots; i++)
			add_to(&n->turn[t->value][(size_t)((int64_t)i + t->baby) & (n->slots - 1)],
			       n->rotated[i]);
		g->rotated += t->baby ? squares(n->rotated, n->slots) : 0;
	}
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

static void back_weighted_sum(gain *g, noise_run *n, const hel_op *op, const hel_complex *turn)
{
	for (uint32_t k = 0; k < op->terms; k++) {
		const hel_complex *x = n->value[op->term[k].value];
		hel_complex *out = n->turn[op->term[k].value];
		for (size_t i = 0; i < n->slots; i++) {
			g->rounded += square(turn[i]) * square(x[i]);
			add_to(&out[i], (hel_complex){op->factor[k] * turn[i].re,
						      op->factor[k] * turn[i].im});
		}
	}
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

/* Hands an op's turn on to what it reads. */
static void back_op(gain *g, noise_run *n, size_t index)
{
	const hel_op *op = &n->p->op[index];
	const hel_complex *turn = n->turn[index];
	g->result = squares(turn, n->slots);
	switch (op->kind) {
	case HEL_OP_LINEAR:
		back_linear(g, n, op, turn);
		break;
	case HEL_OP_ROTATE_SUM:
		back_rotate_sum(n, op, turn);
		g->switches = moving_steps(op);
		break;
	case HEL_OP_WEIGHTED_SUM:
		back_weighted_sum(g, n, op, turn);
		break;
	case HEL_OP_SQUARE:
	case HEL_OP_MUL:
		back_product(n, op, turn);
		g->switches = 1;
		break;
	case HEL_OP_RESCALE:
	case HEL_OP_ADD_PLAIN:
		pass_back(n, op, turn);
		break;
	case HEL_OP_REFRESH: /* errors of coefficients pass through the sine */
		hel_refresh_op_back(n->turn[op->value], op, n->value[op->value], turn, n->slots);
		break;
	case HEL_OP_INPUT:
	case HEL_OP_KINDS:
		break;
	}
}

/* From the turn of the last op: the gains of each. */
static hel_status run_back(gain *g, noise_run *n)
{
	hel_status st = HEL_OK;
	for (size_t i = n->p->ops; i-- > 0;) {
		const hel_op *op = &n->p->op[i];
		if (!n->turn[i]) /* nothing reads it */
			continue;
		for (uint32_t k = 0; k < hel_op_operands(op); k++)
			TRY(make_turn(n, hel_op_operand(op, k)));
		back_op(&g[i], n, i);
		hel_free(n->turn[i]);
		n->turn[i] = NULL;
	}
done:
	return st;
}

/* The mean over slots. */
static hel_status gains_of_score(gain *g, noise_run *n)
{
	hel_status st = HEL_OK;
	const size_t last = n->p->ops - 1;
	TRY(make_turn(n, last));
	for (size_t i = 0; i < n->slots; i++)
		n->turn[last][i] = (hel_complex){1 / (double)n->slots, 0};
	TRY(run_back(g, n));
done:
	return st;
}

/* A sum of all slots with random signs has the variance of a slot, times their number, in the mean
 * [Hutchinson's trace]. */
static hel_status gains_of_slot(gain *g, noise_run *n, uint64_t random)
{
	hel_status st = HEL_OK;
	const size_t last = n->p->ops - 1;
	const double size = 1 / sqrt((double)n->slots);
	TRY(make_turn(n, last));
	for (size_t i = 0; i < n->slots; i++)
		n->turn[last][i] = (hel_complex){hel_mix(random + i) & 1 ? size : -size, 0};
	TRY(run_back(g, n));
done:
	return st;
}

/* --- all records ----------------------------------------------------------------------- */

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
	TRY_ALLOC(n->last, hel_alloc(ops, sizeof *n->last));
	TRY_ALLOC(n->kept, hel_alloc(ops, sizeof *n->kept));
	find_readers(n);
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
	hel_free(n->last);
	hel_free(n->kept);
}

void hel_noise_gains_free(hel_noise_gains *g)
{
	if (g) {
		hel_free(g->score);
		hel_free(g->slot);
	}
	hel_free(g);
}

hel_status hel_noise_gains_new(hel_noise_gains **out, const hel_program *p, const double *features,
			       size_t count)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = p->manifest;
	const size_t slots = (size_t)1 << hel_manifest_log_slots(m);
	hel_noise_gains *g = NULL;
	hel_complex *block = NULL;
	const hel_complex **in = NULL;
	noise_run n = {.p = p, .slots = slots};
	TRY_ALLOC(g, hel_alloc(1, sizeof *g));
	g->records = count;
	g->some = HEL_MIN(count, SLOT_RECORDS);
	TRY_ALLOC(g->score, hel_alloc(g->records * p->ops, sizeof *g->score));
	TRY_ALLOC(g->slot, hel_alloc(g->some * p->ops, sizeof *g->slot));
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
		TRY(gains_of_score(g->score + k * p->ops, &n));
		if (k < g->some)
			TRY(gains_of_slot(g->slot + k * p->ops, &n, k * slots));
		clear_values(&n);
	}
	*out = g;
	g = NULL;
done:
	hel_noise_gains_free(g);
	noise_run_free(&n);
	hel_free(block);
	hel_free(in);
	return st;
}

/* --- with parameters ---------------------------------------------------------------------- */

/* The variances of one op's errors: those that its gains multiply. */
typedef struct own {
	double result, contributed, each_switch, rounded, rotated;
} own;

static hel_status refreshed_variance(double *out, const hel_op *op, const hel_params *params)
{
	hel_status st = HEL_OK;
	hel_refresher *r = NULL;
	TRY(hel_refresher_sketch(&r, params, op->index));
	const double real = hel_refresh_sine_error(r, hel_refresh_gain(op->factor[1]), 0);
	*out = 2 * real * real;
done:
	hel_refresher_free(r);
	return st;
}

/* level: of the op's result; product: it is at a product's scale. */
static hel_status own_variance(own *v, const hel_op *op, const hel_params *p, unsigned level,
			       bool product)
{
	hel_status st = HEL_OK;
	const size_t limbs = p->limbs[level];
	const double scale = p->scale[level], result = product ? scale * scale : scale;
	*v = (own){.result = 0};
	/* a division after the switches, and what each adds to it */
	const double division = hel_noise_switch(p, limbs, 0, result);
	v->each_switch = hel_noise_switch(p, limbs, 1, result) - division;
	switch (op->kind) {
	case HEL_OP_INPUT:
		v->result = hel_noise_encryption(p, scale) + hel_noise_encoding(p, scale);
		v->contributed =
		    hel_noise_encryption_public(p, scale) + hel_noise_encoding(p, scale);
		return st;
	case HEL_OP_LINEAR:
		v->rounded = hel_noise_encoding(p, scale);
		v->rotated = hel_noise_switch(p, limbs, 1, scale);
		v->result = division;
		break;
	case HEL_OP_WEIGHTED_SUM: /* each factor is rounded at the term's scale */
		v->rounded = 1 / (12 * scale * scale);
		break;
	case HEL_OP_ROTATE_SUM:
		v->result = moving_steps(op) ? division : 0;
		break;
	case HEL_OP_SQUARE:
	case HEL_OP_MUL:
		v->result = division;
		break;
	case HEL_OP_RESCALE:
		v->result = hel_noise_rescale(p, scale);
		break;
	case HEL_OP_ADD_PLAIN:
		v->result = hel_noise_encoding(p, scale);
		break;
	case HEL_OP_REFRESH:
		TRY(refreshed_variance(&v->result, op, p));
		break;
	case HEL_OP_KINDS:
		break;
	}
	v->contributed = v->result;
done:
	return st;
}

/* Of the result's real part, by one op. */
static double variance_by(const gain *g, const own *v, double of_result)
{
	return (g->result * (of_result + (double)g->switches * v->each_switch) +
		g->rounded * v->rounded + g->rotated * v->rotated) /
	       2;
}

static void predict_scores(hel_noise *all, hel_noise *op, const hel_noise_gains *g, const own *v,
			   size_t ops)
{
	const double records = (double)g->records;
	for (size_t k = 0; k < g->records; k++) {
		double sum = 0, public = 0;
		for (size_t i = 0; i < ops; i++) {
			const gain *x = &g->score[k * ops + i];
			const double score = variance_by(x, &v[i], v[i].result);
			const double contributed = variance_by(x, &v[i], v[i].contributed);
			op[i].score += score / records;
			op[i].contributed += contributed / records;
			sum += score;
			public += contributed;
		}
		all->score += sqrt(sum) / records;
		all->contributed += sqrt(public) / records;
	}
}

static void predict_slots(hel_noise *all, hel_noise *op, const hel_noise_gains *g, const own *v,
			  size_t ops)
{
	for (size_t k = 0; k < g->some; k++)
		for (size_t i = 0; i < ops; i++) {
			const double slot = variance_by(&g->slot[k * ops + i], &v[i], v[i].result) /
					    (double)g->some;
			op[i].slot += slot;
			all->slot += slot;
		}
}

static bool is_product(const bool *product, const hel_op *op)
{
	return op->kind == HEL_OP_LINEAR || op->kind == HEL_OP_WEIGHTED_SUM ||
	       op->kind == HEL_OP_SQUARE || op->kind == HEL_OP_MUL ||
	       (op->kind == HEL_OP_ROTATE_SUM && product[op->value]);
}

hel_status hel_noise_predict(hel_noise *all, hel_noise *op, const hel_noise_gains *g,
			     const hel_program *p, const hel_params *params)
{
	hel_status st = HEL_OK;
	unsigned *level = NULL;
	bool *product = NULL;
	hel_noise *by = NULL;
	own *v = NULL;
	memset(all, 0, sizeof *all);
	TRY_ALLOC(level, hel_alloc(p->ops, sizeof *level));
	TRY_ALLOC(product, hel_alloc(p->ops, sizeof *product));
	TRY_ALLOC(by, hel_alloc(p->ops, sizeof *by));
	TRY_ALLOC(v, hel_alloc(p->ops, sizeof *v));
	hel_op_levels(level, p);
	for (size_t i = 0; i < p->ops; i++) {
		product[i] = is_product(product, &p->op[i]);
		TRY(own_variance(&v[i], &p->op[i], params, level[i], product[i]));
	}
	predict_scores(all, by, g, v, p->ops);
	predict_slots(all, by, g, v, p->ops);
	all->slot = sqrt(all->slot);
	for (size_t i = 0; op && i < p->ops; i++)
		op[i] = (hel_noise){sqrt(by[i].score), sqrt(by[i].contributed), sqrt(by[i].slot)};
done:
	hel_free(level);
	hel_free(product);
	hel_free(by);
	hel_free(v);
	return st;
}
