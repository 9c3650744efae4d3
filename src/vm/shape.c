/* The dry run: what a program needs and what it may do to its values. Bounds hold for every record
 * and every slot, unless measured ones are given; errors are predicted by noisy.c. */
#include "shape.h"
#include "ckks/primes.h"
#include "onehot.h"
#include "refresh_op.h"
#include "weight.h"
#include <math.h>
#include <string.h>

/* Points at which functions of a real value are followed, from 0 to its largest bound, closest
 * there, where polynomials turn fastest: of degree 255 they miss less than 1 % of a peak. The bound
 * of one at |x| <= b is its largest value there. Sums and products of functions of one value would
 * otherwise be bounded as if they were independent: T_8 of [-1, 1] by 723. */
#define CURVE 2048

static shape_machine *self(hel_machine *m)
{
	return (shape_machine *)(void *)m;
}

static void free_value(hel_machine *m, void *value)
{
	(void)m;
	shape_value *v = value;
	if (v) {
		hel_free(v->bound);
		hel_free(v->curve);
		hel_free(v->feature);
		hel_onehots_free(v->onehots);
	}
	hel_free(v);
}

static hel_status new_value(shape_machine *s, const hel_op *op, shape_value **out, unsigned level,
			    bool product)
{
	hel_status st = HEL_OK;
	shape_value *v = NULL;
	TRY_ALLOC(v, hel_alloc(1, sizeof *v));
	v->level = level;
	v->product = product;
	v->root = (size_t)(op - s->p->op);
	TRY_ALLOC(v->bound, hel_alloc(s->slots, sizeof *v->bound));
	*out = v;
	v = NULL;
done:
	free_value(&s->base, v);
	return st;
}

static double scale_of(const shape_machine *s, const shape_value *v)
{
	double scale = s->params->scale[v->level];
	return v->product ? scale * scale : scale;
}

/* The value fits its modulus with the error on top. Measured bounds replace proved ones. */
static hel_status check_value(const shape_machine *s, const hel_op *op, shape_value *v)
{
	double bound = 0, log_q = 0;
	for (size_t p = 0; p < s->slots; p++) {
		if (s->ranges->measured)
			v->bound[p] = s->ranges->measured[op - s->p->op];
		bound = HEL_MAX(bound, v->bound[p]);
	}
	for (size_t i = 0; i < s->params->limbs[v->level]; i++)
		log_q += log2(s->params->ring.prime[i].q);
	hel_shape_layer *layer = &s->out->layer[op->layer];
	layer->level_out = v->level;
	if (s->modular[op - s->p->op]) /* only its coefficients count, and only where they end */
		return HEL_OK;
	layer->bound = bound;
	/* errors are far below 1; and after a refresh level 0 has no room for more */
	const double slack = s->params->spec.runs ? 0x1p-8 : 1;
	const double need = log2(bound + slack) + log2(scale_of(s, v)) + 1;
	s->out->head_room = fmin(s->out->head_room, log_q - need);
	if (!s->ranges->measured && !(need < log_q))
		return hel_fail(HEL_ERANGE,
				"values up to %.3g need %.0f bits, the modulus has %.0f; lower the "
				"clip range or the weights (more weight decay)",
				bound, need, log_q);
	return HEL_OK;
}

static uint32_t galois_of(const shape_machine *s, int32_t step)
{
	return hel_galois_of_step(s->params, hel_manifest_step(s->p->manifest, step));
}

static hel_status require(shape_machine *s, uint32_t galois, unsigned level)
{
	hel_shape *o = s->out;
	if (galois == 1)
		return HEL_OK;
	for (uint32_t i = 0; i < o->keys; i++)
		if (o->key[i].galois == galois) {
			o->key[i].level = HEL_MAX(o->key[i].level, level);
			return HEL_OK;
		}
	if (o->keys == HEL_MAX_KEYS)
		return hel_fail(HEL_ELIMIT, "more than %d evaluation keys", HEL_MAX_KEYS);
	o->key[o->keys++] = (hel_key_request){galois, level};
	return HEL_OK;
}

static void charge(shape_machine *s, const hel_op *op, hel_cost c, double times)
{
	hel_cost_add(&s->out->cost, c, times);
	hel_cost_add(&s->out->layer[op->layer].cost, c, times);
}

static hel_fusion fusion_of(const shape_machine *s, const hel_op *op)
{
	return s->fusion[op - s->p->op];
}

/* The end of a key switch, with the rescale after it where one op does both. */
static void charge_finish(shape_machine *s, const hel_op *op, unsigned level)
{
	charge(s, op,
	       fusion_of(s, op) == HEL_DIVIDES
		   ? hel_cost_finish_rescaled(&s->params->spec, level)
		   : hel_cost_finish(&s->params->spec, s->params->limbs[level]),
	       1);
}

static hel_status run_input(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	shape_machine *s = self(m);
	const hel_input *in = &s->p->manifest->input[op->index];
	shape_value *v;
	TRY(new_value(s, op, &v, in->level, false));
	*out = v;
	v->is_complex = hel_layout_is_complex(&in->layout);
	TRY_ALLOC(v->feature, hel_alloc(2 * s->slots, sizeof *v->feature));
	for (size_t p = 0; p < 2 * s->slots; p++) {
		v->feature[p] = hel_input_at(in, p);
		if (v->feature[p] >= 0)
			v->bound[p & (s->slots - 1)] =
			    hypot(v->bound[p & (s->slots - 1)], s->ranges->feature[v->feature[p]]);
	}
	for (size_t p = 0; p < s->slots; p++)
		if (holds_root(s, v, p))
			v->bound[p] = s->ranges->feature[v->feature[p]];
	s->out->layer[op->layer].level_in = in->level;
	const size_t limbs = s->params->limbs[in->level];
	hel_cost_add(&s->out->cost, hel_cost_read(&s->params->spec, limbs), 1);
	charge(s, op, hel_cost_copy(&s->params->spec, limbs), 1);
	TRY(check_value(s, op, v));
done:
	return st;
}

/* A level to multiply in, and an operand that was rescaled. */
static hel_status can_multiply(const shape_value *x)
{
	if (x->product)
		return hel_fail(HEL_ESCALE, "a product must be rescaled before it is multiplied");
	if (x->level == 0)
		return hel_fail(HEL_ELEVEL, "no level is left: one more is needed here");
	return HEL_OK;
}

/* Each (value, baby) pair and each giant counts once. */
static hel_status charge_linear(shape_machine *s, const hel_op *op, unsigned level)
{
	hel_status st = HEL_OK;
	const size_t limbs = s->params->limbs[level];
	unsigned switches = 0, groups = 0, values = 0;
	bool giants = false;
	for (uint32_t k = 0; k < op->terms; k++) {
		const hel_term *t = &op->term[k];
		bool new_value = t->baby != 0, new_baby = true, new_giant = true;
		for (uint32_t i = 0; i < k; i++) {
			new_value &= !(op->term[i].value == t->value && op->term[i].baby != 0);
			new_baby &= !(op->term[i].value == t->value && op->term[i].baby == t->baby);
			new_giant &= op->term[i].giant != t->giant;
		}
		groups += new_giant;
		values += new_baby;
		new_giant &= t->giant != 0;
		new_baby &= t->baby != 0;
		if (new_value)
			charge(s, op, hel_cost_decompose(&s->params->spec, limbs), 1);
		if (new_baby) {
			charge(s, op, hel_cost_product(&s->params->spec, limbs), 1);
			charge(s, op, hel_cost_finish(&s->params->spec, limbs), 1);
		}
		if (new_giant) {
			charge(s, op, hel_cost_decompose(&s->params->spec, limbs), 1);
			charge(s, op, hel_cost_product(&s->params->spec, limbs), 1);
			giants = true;
		}
		switches += new_baby + new_giant;
		TRY(require(s, galois_of(s, t->baby), level));
		TRY(require(s, galois_of(s, t->giant), level));
	}
	charge(s, op, hel_cost_sum(&s->params->spec, limbs, op->terms, values, groups), 1);
	charge(s, op,
	       giants ? hel_cost_finish(&s->params->spec, limbs)
		      : hel_cost_copy(&s->params->spec, limbs),
	       1);
	s->out->layer[op->layer].key_switches += switches;
	s->out->layer[op->layer].weights += op->terms;
done:
	return st;
}

static hel_status run_linear(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	shape_machine *s = self(m);
	const shape_value *first = m->value[op->term[0].value];
	shape_value *v;
	TRY(can_multiply(first));
	TRY(new_value(s, op, &v, first->level, true));
	*out = v;
	const size_t mask = s->slots - 1;
	for (uint32_t k = 0; k < op->terms; k++) {
		const hel_term *t = &op->term[k];
		const shape_value *x = m->value[t->value];
		v->is_complex |= x->is_complex || s->p->vector[t->vector].is_complex;
		if (x->level != v->level || x->product)
			FAIL(HEL_ELEVEL, "values of levels %u and %u meet", x->level, v->level);
		for (size_t p = 0; p < s->slots; p++) {
			size_t q = (size_t)((int64_t)p + t->giant) & mask;
			size_t r = (size_t)((int64_t)q + t->baby) & mask;
			hel_complex w = hel_vector_at(&s->p->vector[t->vector], q);
			v->bound[p] += hypot(w.re, w.im) * x->bound[r];
		}
	}
	TRY(hel_onehots_linear(s, v, op));
	TRY(charge_linear(s, op, v->level));
	s->out->layer[op->layer].level_in = v->level;
	TRY(check_value(s, op, v));
done:
	return st;
}

/* One decomposition for all; what stands still joins times P, or is added where nothing moves. */
static void charge_rotate_sum(shape_machine *s, const hel_op *op, unsigned level)
{
	const hel_params_spec *spec = &s->params->spec;
	const size_t limbs = s->params->limbs[level];
	unsigned moving = 0;
	for (uint32_t k = 0; k < op->steps; k++)
		moving += op->step[k] != 0;
	const unsigned still = op->steps - moving - (moving == 0);
	charge(s, op, hel_cost_weighted_sum(spec, limbs, still), 1);
	s->out->layer[op->layer].key_switches += moving;
	if (!moving) {
		charge(s, op,
		       fusion_of(s, op) == HEL_DIVIDES ? hel_cost_rescale(spec, level)
						       : hel_cost_copy(spec, limbs),
		       1);
		return;
	}
	charge(s, op, hel_cost_decompose(spec, limbs), 1);
	charge(s, op, hel_cost_product(spec, limbs), moving);
	charge_finish(s, op, level);
}

/* Whether the second half of the rotations are the conjugates of the first: a field of slot bits
 * with the imaginary one (hel_subset_sums). Then imaginary parts cancel. */
static bool adds_conjugates(const hel_op *op, size_t slots)
{
	const uint32_t half = op->steps / 2;
	bool all = op->steps % 2 == 0;
	for (uint32_t k = 0; all && k < half; k++)
		all = !hel_step_conjugates(op->step[k], slots) &&
		      op->step[k + half] == op->step[k] + (int32_t)slots;
	return all;
}

static hel_status run_rotate_sum(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	shape_machine *s = self(m);
	const shape_value *x = m->value[op->value];
	shape_value *v;
	TRY(new_value(s, op, &v, x->level, x->product));
	*out = v;
	v->is_complex = x->is_complex && !adds_conjugates(op, s->slots);
	for (uint32_t k = 0; k < op->steps; k++) {
		for (size_t p = 0; p < s->slots; p++) {
			size_t q = (size_t)((int64_t)p + op->step[k]) & (s->slots - 1);
			v->bound[p] += x->bound[q];
		}
		if (op->step[k])
			TRY(require(s, galois_of(s, op->step[k]), x->level));
	}
	charge_rotate_sum(s, op, x->level);
	TRY(hel_onehots_rotate_sum(s, v, x, op));
	TRY(check_value(s, op, v));
done:
	return st;
}

/* One product of ciphertexts: its key, its cost. */
static hel_status charge_product(shape_machine *s, const hel_op *op, unsigned level)
{
	const hel_fusion fusion = fusion_of(s, op);
	if (fusion == HEL_DEFERRED) /* by the sum that makes it */
		return require(s, HEL_RELINEARISE, level);
	if (fusion == HEL_DIVIDES)
		charge(s, op, hel_cost_multiply_rescaled(&s->params->spec, level, false), 1);
	else
		charge(s, op, hel_cost_multiply(&s->params->spec, level), 1);
	s->out->layer[op->layer].key_switches++;
	return require(s, HEL_RELINEARISE, level);
}

static double largest(const double *v, size_t count)
{
	double most = 0;
	for (size_t i = 0; i < count; i++)
		most = HEL_MAX(most, v[i]);
	return most;
}

/* The bounds of a curve's root, kept beyond the root's own life. */
static hel_status root_bounds(double **out, shape_machine *s, const shape_value *x)
{
	hel_status st = HEL_OK;
	double **kept = &s->bound[x->root];
	if (!*kept) { /* only the root itself gets here first */
		TRY_ALLOC(*kept, hel_alloc(s->slots, sizeof **kept));
		memcpy(*kept, x->bound, s->slots * sizeof **kept);
	}
	*out = *kept;
done:
	return st;
}

static double point(const shape_value *x, double most, int k, int sign)
{
	return x->curve ? x->curve[k][sign]
			: (sign ? -1 : 1) * most * sin(M_PI / 2 * k / (CURVE - 1));
}

/* Bounds of v = constant + sum of factor[i] * x[i], or their product (factor NULL), all functions
 * of one root. */
static hel_status follow_curve(shape_machine *s, shape_value *v, const shape_value *const *x,
			       const double *factor, size_t count)
{
	hel_status st = HEL_OK;
	double *bounds = NULL, *highest = NULL;
	TRY(root_bounds(&bounds, s, x[0]));
	const double most = largest(bounds, s->slots);
	TRY_ALLOC(v->curve, hel_alloc(CURVE, sizeof *v->curve));
	TRY_ALLOC(highest, hel_alloc(CURVE, sizeof *highest));
	v->root = x[0]->root;
	for (int k = 0; k < CURVE; k++) {
		for (int sign = 0; sign < 2; sign++) {
			double y = factor ? factor[count] : 1;
			for (size_t i = 0; i < count; i++)
				y = factor ? y + factor[i] * point(x[i], most, k, sign)
					   : y * point(x[i], most, k, sign);
			v->curve[k][sign] = y;
			highest[k] = HEL_MAX(highest[k], fabs(y));
		}
		highest[k] = HEL_MAX(highest[k], k ? highest[k - 1] : 0);
	}
	for (size_t p = 0; p < s->slots; p++) {
		const double at = most > 0 ? asin(HEL_MIN(bounds[p] / most, 1)) * 2 / M_PI : 0;
		const int k = (int)ceil(at * (CURVE - 1) + 1e-9);
		v->bound[p] = 1.01 * highest[HEL_MIN(k, CURVE - 1)]; /* between two points */
	}
done:
	hel_free(highest);
	return st;
}

static bool same_root(const shape_value *a, const shape_value *b)
{
	return a->root == b->root && !a->is_complex && !b->is_complex;
}

static hel_status run_square(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	shape_machine *s = self(m);
	const shape_value *x = m->value[op->value];
	shape_value *v;
	TRY(can_multiply(x));
	TRY(new_value(s, op, &v, x->level, true));
	*out = v;
	v->is_complex = x->is_complex;
	if (!x->is_complex)
		TRY(follow_curve(s, v, (const shape_value *const[]){x, x}, NULL, 2));
	for (size_t p = 0; p < s->slots; p++) /* sharper than between two points */
		v->bound[p] = x->bound[p] * x->bound[p];
	TRY(charge_product(s, op, x->level));
	TRY(check_value(s, op, v));
done:
	return st;
}

static hel_status run_mul(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	shape_machine *s = self(m);
	const shape_value *const x[2] = {m->value[op->value], m->value[op->index]};
	shape_value *v;
	TRY(can_multiply(x[0]));
	TRY(can_multiply(x[1]));
	if (x[0]->level != x[1]->level)
		FAIL(HEL_ELEVEL, "values of levels %u and %u meet", x[0]->level, x[1]->level);
	TRY(new_value(s, op, &v, x[0]->level, true));
	*out = v;
	v->is_complex = x[0]->is_complex || x[1]->is_complex;
	if (same_root(x[0], x[1]))
		TRY(follow_curve(s, v, x, NULL, 2));
	else
		for (size_t p = 0; p < s->slots; p++)
			v->bound[p] = x[0]->bound[p] * x[1]->bound[p];
	TRY(charge_product(s, op, v->level));
	TRY(check_value(s, op, v));
done:
	return st;
}

/* Its products are no terms, or are doubled before. */
static void charge_weighted_sum(shape_machine *s, const hel_op *op)
{
	const hel_params_spec *spec = &s->params->spec;
	const unsigned level = op->index;
	size_t made = 0;
	double terms = op->terms;
	for (uint32_t k = 0; fusion_of(s, op) == HEL_MAKES && k < op->terms; k++)
		if (hel_vm_is_made(s->fusion, op, k)) {
			terms -= op->factor[k] == 2 ? 0 : 1;
			made++;
		}
	charge(s, op, hel_cost_weighted_sum(spec, s->params->limbs[level], terms), 1);
	if (made) {
		charge(s, op, hel_cost_products_rescaled(spec, level, made), 1);
		s->out->layer[op->layer].key_switches++;
	}
}

static hel_status run_weighted_sum(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	shape_machine *s = self(m);
	const shape_value **x = NULL;
	shape_value *v;
	bool one_root = true;
	if (!op->index || op->index > s->params->spec.levels)
		FAIL(HEL_ELEVEL, "no level is left: one more is needed here");
	TRY(new_value(s, op, &v, op->index, true));
	*out = v;
	TRY_ALLOC(x, hel_alloc(op->terms, sizeof *x));
	for (uint32_t k = 0; k < op->terms; k++) {
		x[k] = m->value[op->term[k].value];
		if (x[k]->level < op->index || (x[k]->product && x[k]->level != op->index))
			FAIL(HEL_ELEVEL, "a term of level %u in a sum at level %u", x[k]->level,
			     op->index);
		if (x[k]->product && rint(op->factor[k]) != op->factor[k])
			FAIL(HEL_ESCALE, "a product enters a sum with factor %g, no integer",
			     op->factor[k]);
		one_root &= same_root(x[k], x[0]);
		v->is_complex |= x[k]->is_complex;
	}
	if (one_root)
		TRY(follow_curve(s, v, x, op->factor, op->terms));
	for (size_t p = 0; !one_root && p < s->slots; p++) {
		v->bound[p] = fabs(op->factor[op->terms]);
		for (uint32_t k = 0; k < op->terms; k++)
			v->bound[p] += fabs(op->factor[k]) * x[k]->bound[p];
	}
	charge_weighted_sum(s, op);
	TRY(check_value(s, op, v));
done:
	hel_free(x);
	return st;
}

/* A curve passes on to a value that holds the same numbers. */
static hel_status pass_curve(shape_value *v, const shape_value *x)
{
	hel_status st = HEL_OK;
	v->is_complex = x->is_complex;
	if (!x->curve)
		goto done;
	TRY_ALLOC(v->curve, hel_alloc(CURVE, sizeof *v->curve));
	memcpy(v->curve, x->curve, CURVE * sizeof *v->curve);
	v->root = x->root;
done:
	return st;
}

static hel_status run_rescale(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	shape_machine *s = self(m);
	const shape_value *x = m->value[op->value];
	shape_value *v;
	if (!x->product)
		FAIL(HEL_ESCALE, "only a product can be rescaled");
	TRY(new_value(s, op, &v, x->level - 1, false));
	*out = v;
	memcpy(v->bound, x->bound, s->slots * sizeof *v->bound);
	TRY(pass_curve(v, x));
	TRY(hel_onehots_pass(s, v, x, NULL));
	if (fusion_of(s, op) != HEL_DIVIDED)
		charge(s, op, hel_cost_rescale(&s->params->spec, x->level), 1);
	TRY(check_value(s, op, v));
done:
	return st;
}

static hel_status run_add_plain(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	shape_machine *s = self(m);
	const shape_value *x = m->value[op->value];
	shape_value *v;
	if (x->product)
		FAIL(HEL_ESCALE, "a product must be rescaled before a vector is added");
	TRY(new_value(s, op, &v, x->level, false));
	*out = v;
	v->is_complex = x->is_complex || s->p->vector[op->index].is_complex;
	for (size_t p = 0; p < s->slots; p++) {
		hel_complex w = hel_vector_at(&s->p->vector[op->index], p);
		v->bound[p] = x->bound[p] + hypot(w.re, w.im);
	}
	TRY(hel_onehots_pass(s, v, x, &s->p->vector[op->index]));
	charge(s, op, hel_cost_add_plain(&s->params->spec, s->params->limbs[x->level]), 1);
	TRY(check_value(s, op, v));
done:
	return st;
}

static hel_status run_refresh(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	shape_machine *s = self(m);
	const shape_value *x = m->value[op->value];
	hel_refresher *r = NULL;
	hel_cost cost;
	const hel_key_request *request;
	shape_value *v;
	TRY(hel_refresh_op_check(op, s->params));
	if (x->level || x->product)
		FAIL(HEL_ELEVEL, "a refresh of a value of level %u%s, expected 0", x->level,
		     x->product ? ", not rescaled" : "");
	TRY(new_value(s, op, &v, hel_refresh_levels(&s->params->spec), false));
	*out = v;
	if (!s->ranges->measured)
		FAIL(HEL_ERANGE, "what a refresh takes cannot be proved to lie in its range");
	for (size_t p = 0; p < s->slots; p++)
		v->bound[p] = hel_refresh_gain(op->factor[1]);
	TRY(hel_refresher_sketch(&r, s->params, op->index));
	const size_t count = hel_refresher_keys(r, &request);
	for (size_t i = 0; i < count; i++)
		TRY(require(s, request[i].galois, request[i].level));
	TRY(hel_refresh_op_cost(&cost, r));
	charge(s, op, cost, 1);
	s->out->layer[op->layer].key_switches += (unsigned)count;
	TRY(check_value(s, op, v));
done:
	hel_refresher_free(r);
	return st;
}

/* Values that are read by linear ops which end in refreshes: of theirs only coefficients matter,
 * and all are right modulo the modulus. */
static hel_status find_modular(bool *modular, const hel_program *p)
{
	hel_status st = HEL_OK;
	bool *read;
	TRY_ALLOC(read, hel_alloc(p->ops, sizeof *read));
	memset(modular, true, p->ops * sizeof *modular);
	for (size_t i = p->ops; i-- > 0;) { /* readers come first */
		const hel_op *op = &p->op[i];
		const bool passes = op->kind == HEL_OP_ROTATE_SUM || op->kind == HEL_OP_RESCALE ||
				    op->kind == HEL_OP_ADD_PLAIN;
		modular[i] &= read[i];
		for (uint32_t k = 0; k < hel_op_operands(op); k++) {
			const uint32_t from = hel_op_operand(op, k);
			read[from] = true;
			modular[from] &= op->kind == HEL_OP_REFRESH || (passes && modular[i]);
		}
	}
done:
	hel_free(read);
	return st;
}

static hel_status run_op(hel_machine *m, const hel_op *op, void **out)
{
	static const hel_machine_op run[HEL_OP_KINDS] = {
	    [HEL_OP_REFRESH] = run_refresh,
	    [HEL_OP_INPUT] = run_input,
	    [HEL_OP_LINEAR] = run_linear,
	    [HEL_OP_ROTATE_SUM] = run_rotate_sum,
	    [HEL_OP_SQUARE] = run_square,
	    [HEL_OP_RESCALE] = run_rescale,
	    [HEL_OP_ADD_PLAIN] = run_add_plain,
	    [HEL_OP_MUL] = run_mul,
	    [HEL_OP_WEIGHTED_SUM] = run_weighted_sum,
	};
	shape_machine *s = self(m);
	if (fusion_of(s, op) != HEL_DIVIDED && fusion_of(s, op) != HEL_DEFERRED)
		charge(s, op, (hel_cost){.ops = 1}, 1);
	return run[op->kind](m, op, out);
}

/* Errors of the result, and the layers' shares. */
static hel_status predict_errors(const shape_machine *s, const hel_noise_gains *gains)
{
	hel_status st = HEL_OK;
	const hel_program *p = s->p;
	hel_noise *noise = NULL;
	TRY_ALLOC(noise, hel_alloc(p->ops, sizeof *noise));
	TRY(hel_noise_predict(&s->out->noise, noise, gains, p, s->params));
	for (size_t i = 0; i < p->ops; i++) {
		hel_noise *layer = &s->out->layer[p->op[i].layer].noise;
		layer->score = hypot(layer->score, noise[i].score);
		layer->contributed = hypot(layer->contributed, noise[i].contributed);
		layer->slot = hypot(layer->slot, noise[i].slot);
	}
done:
	hel_free(noise);
	return st;
}

hel_status hel_shape_run(hel_shape *out, const hel_program *p, const hel_params *params,
			 const hel_ranges *ranges, const hel_noise_gains *gains)
{
	hel_status st = HEL_OK;
	void *value = NULL;
	shape_machine s = {
	    .base = {.run = run_op, .free_value = free_value},
	    .p = p,
	    .params = params,
	    .ranges = ranges,
	    .out = out,
	    .slots = (size_t)1 << hel_manifest_log_slots(p->manifest),
	};
	memset(out, 0, sizeof *out);
	out->head_room = INFINITY;
	TRY_ALLOC(out->key, hel_alloc(HEL_MAX_KEYS, sizeof *out->key));
	TRY_ALLOC(out->layer, hel_alloc(p->layers, sizeof *out->layer));
	TRY_ALLOC(s.bound, hel_alloc(p->ops, sizeof *s.bound));
	TRY_ALLOC(s.fusion, hel_alloc(p->ops, sizeof *s.fusion));
	TRY_ALLOC(s.modular, hel_alloc(p->ops, sizeof *s.modular));
	TRY(hel_vm_find_fused(s.fusion, p));
	TRY(find_modular(s.modular, p));
	TRY(hel_vm_run(&s.base, p, &value));
	const shape_value *v = value;
	/* a user's vector without constant is multiplied once more */
	const unsigned end = p->manifest->items.any && !p->manifest->items.common;
	if (v->level != end || v->product)
		FAIL(HEL_ELEVEL, "the result ends at level %u%s, expected %u", v->level,
		     v->product ? ", not rescaled" : "", end);
	hel_cost_add(&out->cost, hel_cost_write(&params->spec, params->limbs[0]), 1);
	out->bound = largest(v->bound, s.slots);
	if (gains)
		TRY(predict_errors(&s, gains));
done:
	free_value(&s.base, value);
	hel_free(s.fusion);
	hel_free(s.modular);
	for (uint32_t i = 0; s.bound && i < p->ops; i++)
		hel_free(s.bound[i]);
	hel_free(s.bound);
	if (st != HEL_OK)
		hel_shape_clear(out);
	return st;
}

void hel_shape_clear(hel_shape *s)
{
	hel_free(s->key);
	hel_free(s->layer);
	memset(s, 0, sizeof *s);
}
