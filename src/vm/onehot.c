/* Bounds that know groups: of the features of one group |feature| / range add up to at most 1 (one
 * entry of a table is 1; those of a bag share its reach), so that in a linear function of a record
 * a group adds what its largest weight allows, not all its weights together: the function is
 * largest where one of them has it all.
 *
 * Followed from a linear op on inputs through rotations, per slot and group: the largest |weight|
 * with which one sight of one feature enters. A slot may see a feature several times (copies of it
 * stand in several slots); how often at most follows from the rotations alone.
 *
 * Where imaginary parts are used, the same for the real part alone: that is what remains once
 * conjugates are added, and with a + bi the weight of two features, each of them enters with a or b
 * then and not with |a + bi|. */
#include "onehot.h"
#include <math.h>
#include <string.h>

#define MOST_WEIGHTS ((size_t)1 << 25) /* slots * groups of a value; beyond it: not followed */

enum { ABSOLUTE, REAL, PARTS };

struct hel_onehots {
	const hel_op *linear; /* where its inputs and their rotations stand */
	double *times;	      /* per rotation: how often the linear op's result entered under it */
	bool complex;	      /* if not, the absolute value is that of the real part */
	double *rest[PARTS];  /* per slot: bound of all that belongs to no group */
	float *most[PARTS];   /* [slot][group] */
};

void hel_onehots_free(hel_onehots *h)
{
	if (!h)
		return;
	hel_free(h->times);
	hel_free(h->most[ABSOLUTE]);
	hel_free(h);
}

static hel_status onehots_new(hel_onehots **out, const shape_machine *s, const hel_op *linear,
			      bool complex)
{
	hel_status st = HEL_OK;
	hel_onehots *h = NULL;
	const size_t parts = complex ? PARTS : 1, weights = s->slots * s->ranges->groups;
	TRY_ALLOC(h, hel_alloc(1, sizeof *h));
	h->linear = linear;
	h->complex = complex;
	TRY_ALLOC(h->times, hel_alloc((1 + parts) * s->slots, sizeof *h->times));
	TRY_ALLOC(h->most[ABSOLUTE], hel_alloc(parts * weights, sizeof **h->most));
	h->rest[ABSOLUTE] = h->times + s->slots;
	h->rest[REAL] = h->rest[ABSOLUTE] + (complex ? s->slots : 0);
	h->most[REAL] = h->most[ABSOLUTE] + (complex ? weights : 0);
	*out = h;
	h = NULL;
done:
	hel_onehots_free(h);
	return st;
}

static float rounded_up(double w)
{
	const float f = (float)w;
	return (double)f < w ? nextafterf(f, INFINITY) : f;
}

static size_t moved(const shape_machine *s, size_t slot, int64_t by)
{
	return (size_t)((int64_t)slot + by) & (s->slots - 1);
}

/* seen[feature] += how often a slot sees it at most in the input of op `value`. A slot p sees the
 * input's slots p + d, for each rotation d of the linear op's terms and of what followed. An
 * element stands in slots that differ in the bits its layout leaves free: what those show is added
 * up for every place the element may have relative to p. count: room for two numbers a slot. */
static void add_sights(double *seen, double *count, const shape_machine *s, const hel_onehots *h,
		       uint32_t value)
{
	const hel_input *in = &s->p->manifest->input[s->p->op[value].index];
	double *sum = count + s->slots, most = 0;
	size_t copies = s->slots - 1;
	for (unsigned j = 0; j < in->layout.bits; j++)
		copies &= ~((size_t)1 << in->layout.position[j]);
	memset(count, 0, s->slots * sizeof *count);
	for (uint32_t k = 0; k < h->linear->terms; k++) {
		const hel_term *t = &h->linear->term[k];
		for (size_t d = 0; t->value == value && d < s->slots; d++)
			count[moved(s, d, (int64_t)t->baby + t->giant)] += h->times[d];
	}
	for (size_t left = copies; left; left &= left - 1) {
		for (size_t d = 0; d < s->slots; d++)
			sum[d] = count[d] + count[moved(s, d, (int64_t)(left & -left))];
		memcpy(count, sum, s->slots * sizeof *count);
	}
	for (size_t d = 0; d < s->slots; d++)
		most = HEL_MAX(most, count[d]);
	for (size_t slot = 0; slot < 2 * s->slots; slot++) {
		const int32_t feature = slot & copies ? HEL_SLOT_ZERO : hel_input_at(in, slot);
		if (feature >= 0)
			seen[feature] += most;
	}
}

static bool is_input(const shape_machine *s, uint32_t value)
{
	return s->p->op[value].kind == HEL_OP_INPUT;
}

/* times[group]: how often a slot sees one feature of it at most. */
static hel_status group_sights(double *times, const shape_machine *s, const hel_onehots *h)
{
	hel_status st = HEL_OK;
	double *count = NULL, *seen = NULL;
	const uint32_t features = s->p->manifest->features;
	TRY_ALLOC(count, hel_alloc(2 * s->slots, sizeof *count));
	TRY_ALLOC(seen, hel_alloc(features, sizeof *seen));
	for (uint32_t k = 0; k < h->linear->terms; k++) {
		const uint32_t value = h->linear->term[k].value;
		bool first = is_input(s, value);
		for (uint32_t i = 0; first && i < k; i++)
			first = h->linear->term[i].value != value;
		if (first)
			add_sights(seen, count, s, h, value);
	}
	for (uint32_t f = 0; f < features; f++) {
		const uint32_t group = s->ranges->group[f];
		if (group < s->ranges->groups)
			times[group] = HEL_MAX(times[group], seen[f]);
	}
done:
	hel_free(count);
	hel_free(seen);
	return st;
}

/* The smaller of two bounds holds. */
static hel_status lower_bound(const shape_machine *s, shape_value *v)
{
	hel_status st = HEL_OK;
	const hel_onehots *h = v->onehots;
	const uint32_t groups = s->ranges->groups;
	double *times = NULL;
	TRY_ALLOC(times, hel_alloc(groups, sizeof *times));
	TRY(group_sights(times, s, h));
	for (size_t p = 0; p < s->slots; p++) {
		double sum = h->rest[ABSOLUTE][p];
		for (uint32_t g = 0; g < groups; g++)
			sum += times[g] * (double)h->most[ABSOLUTE][p * groups + g];
		v->bound[p] = fmin(v->bound[p], sum);
	}
done:
	hel_free(times);
	return st;
}

/* One sight of a feature. */
static void see_part(const shape_machine *s, hel_onehots *h, int part, size_t slot, int32_t feature,
		     double weight)
{
	if (feature < 0)
		return;
	const double w = weight * s->ranges->feature[feature];
	const uint32_t group = s->ranges->group[feature];
	if (group >= s->ranges->groups) {
		h->rest[part][slot] += w;
		return;
	}
	float *most = &h->most[part][slot * s->ranges->groups + group];
	*most = fmaxf(*most, rounded_up(w));
}

/* real: what the real part shows of it. */
static void see(const shape_machine *s, hel_onehots *h, size_t slot, int32_t feature,
		double absolute, double real)
{
	see_part(s, h, ABSOLUTE, slot, feature, absolute);
	if (h->complex)
		see_part(s, h, REAL, slot, feature, fabs(real));
}

hel_status hel_onehots_linear(const shape_machine *s, shape_value *v, const hel_op *op)
{
	hel_status st = HEL_OK;
	bool fresh = false;
	for (uint32_t k = 0; k < op->terms; k++)
		fresh |= is_input(s, op->term[k].value);
	if (!fresh || !s->ranges->groups || s->ranges->groups > MOST_WEIGHTS / s->slots)
		goto done;
	TRY(onehots_new(&v->onehots, s, op, v->is_complex));
	hel_onehots *h = v->onehots;
	h->times[0] = 1;
	for (uint32_t k = 0; k < op->terms; k++) {
		const hel_term *t = &op->term[k];
		const shape_value *x = s->base.value[t->value];
		for (size_t p = 0; p < s->slots; p++) {
			const size_t q = moved(s, p, t->giant), r = moved(s, q, t->baby);
			const hel_complex c = hel_vector_at(&s->p->vector[t->vector], q);
			const double w = hypot(c.re, c.im);
			/* the parts of a root reach their ranges in turn */
			if (!x->feature || holds_root(s, x, r)) {
				for (int part = 0; part <= h->complex; part++)
					h->rest[part][p] += w * x->bound[r];
				continue;
			}
			see(s, h, p, x->feature[r], w, c.re);
			see(s, h, p, x->feature[r + s->slots], w, c.im);
		}
	}
	TRY(lower_bound(s, v));
done:
	return st;
}

static void sum_part(const shape_machine *s, hel_onehots *h, int part, const hel_onehots *from,
		     int from_part, const hel_op *op)
{
	const uint32_t groups = s->ranges->groups;
	for (uint32_t k = 0; k < op->steps; k++)
		for (size_t p = 0; p < s->slots; p++) {
			const size_t q = moved(s, p, op->step[k]);
			const float *seen = &from->most[from_part][q * groups];
			float *most = &h->most[part][p * groups];
			h->rest[part][p] += from->rest[from_part][q];
			for (uint32_t g = 0; g < groups; g++)
				most[g] = HEL_MAX(most[g], seen[g]);
		}
}

hel_status hel_onehots_rotate_sum(const shape_machine *s, shape_value *v, const shape_value *x,
				  const hel_op *op)
{
	hel_status st = HEL_OK;
	const hel_onehots *from = x->onehots;
	if (!from)
		goto done;
	TRY(onehots_new(&v->onehots, s, from->linear, v->is_complex));
	hel_onehots *h = v->onehots;
	for (uint32_t k = 0; k < op->steps; k++)
		for (size_t p = 0; p < s->slots; p++)
			/* a rotation by p becomes one by p + step */
			h->times[moved(s, p, op->step[k])] += from->times[p];
	for (int part = 0; part <= h->complex; part++)
		/* of a value that becomes real, the real part */
		sum_part(s, h, part, from, h->complex ? part : REAL, op);
	TRY(lower_bound(s, v));
done:
	return st;
}

hel_status hel_onehots_pass(const shape_machine *s, shape_value *v, const shape_value *x,
			    const hel_vector *added)
{
	hel_status st = HEL_OK;
	const hel_onehots *from = x->onehots;
	if (!from)
		goto done;
	TRY(onehots_new(&v->onehots, s, from->linear, v->is_complex));
	hel_onehots *h = v->onehots;
	memcpy(h->times, from->times, s->slots * sizeof *h->times);
	for (int part = 0; part <= h->complex; part++) {
		const double *rest = from->rest[part];
		memcpy(h->rest[part], rest, s->slots * sizeof *rest);
		memcpy(h->most[part], from->most[part],
		       s->slots * s->ranges->groups * sizeof **h->most);
		for (size_t p = 0; added && p < s->slots; p++) {
			const hel_complex w = hel_vector_at(added, p);
			h->rest[part][p] += part == REAL ? fabs(w.re) : hypot(w.re, w.im);
		}
	}
done:
	return st;
}
