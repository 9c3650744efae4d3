#include "compile.h"
#include <math.h>
#include <string.h>

typedef struct emitter {
	const hel_stages *s;
	const hel_plan *plan;
	const hel_params *params;
	hel_program *p;
	size_t slots;
	uint32_t value; /* the latest */
	uint16_t layer;
	hel_complex *vector;
} emitter;

/* Of one record. */
static unsigned log_slots(const emitter *e)
{
	return e->params->spec.log_n - 1u - e->plan->log_batch;
}

static hel_status add_op(emitter *e, hel_op op)
{
	op.layer = e->layer;
	hel_status st = hel_program_add_op(e->p, &op);
	if (st != HEL_OK)
		hel_op_clear(&op);
	else
		e->value = e->p->ops - 1;
	return st;
}

static hel_status add_unary(emitter *e, hel_op_kind kind)
{
	return add_op(e, (hel_op){.kind = kind, .value = e->value});
}

static hel_status add_input(emitter *e, const hel_packed_source *from, const hel_stage *s,
			    unsigned level)
{
	hel_manifest *m = e->p->manifest;
	m->input[m->inputs] = (hel_input){
	    .level = (uint8_t)level,
	    .first = s->source[from->source].first + from->offset,
	    .layout = from->layout,
	};
	return add_op(e, (hel_op){.kind = HEL_OP_INPUT, .index = m->inputs++});
}

/* The terms of one stage's product; rotations and weights come from the packing's slot maps. */
static hel_status add_linear(emitter *e, size_t stage, unsigned level)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &e->s->stage[stage];
	const hel_packing *k = &e->plan->packing[stage];
	const size_t babies = (size_t)1 << __builtin_popcount(k->baby_bits);
	const size_t giants = (size_t)1 << __builtin_popcount(k->giant_bits);
	size_t most = 0;
	for (size_t i = 0; i < k->sources; i++)
		most += k->source[i].giants
			    ? babies * giants
			    : (size_t)1 << __builtin_popcount(k->source[i].diagonals);
	int32_t *target = NULL, *map = NULL, *giant = NULL, *baby = NULL;
	hel_complex *matrix = NULL;
	hel_op op = {.kind = HEL_OP_LINEAR};
	const uint32_t before = e->value;
	TRY_ALLOC(target, hel_alloc(e->slots, sizeof *target));
	TRY_ALLOC(map, hel_alloc(e->slots, sizeof *map));
	TRY_ALLOC(giant, hel_alloc(giants, sizeof *giant));
	TRY_ALLOC(op.term, hel_alloc(most, sizeof *op.term));
	hel_subset_sums(giant, k->giant_bits);
	for (size_t q = 0; q < e->slots; q++)
		target[q] = hel_layout_at(&k->out, q);
	for (size_t i = 0; i < k->sources; i++) {
		const hel_packed_source *from = &k->source[i];
		const hel_stage_source *whole = &s->source[from->source];
		uint32_t value = before;
		if (from->fresh) {
			TRY(add_input(e, from, s, level));
			value = e->value;
		}
		const size_t width = from->fresh ? from->layout.width : whole->width;
		TRY_ALLOC(matrix, hel_alloc(s->rows * width, sizeof *matrix));
		for (size_t r = 0; r < s->rows; r++)
			memcpy(matrix + r * width, whole->matrix + r * whole->width + from->offset,
			       width * sizeof *matrix);
		for (size_t q = 0; q < e->slots; q++)
			map[q] = from->fresh ? hel_layout_at(&from->layout, q)
					     : e->plan->packing[stage - 1].result[q];
		const uint32_t bits = from->giants ? k->baby_bits : from->diagonals;
		TRY_ALLOC(baby, hel_alloc((size_t)1 << __builtin_popcount(bits), sizeof *baby));
		const hel_linear_source source = {
		    .map = map, .width = width, .matrix = matrix, .diagonals = from->diagonals};
		const size_t steps = hel_subset_sums(baby, bits);
		const hel_linear t = {.slots = e->slots,
				      .rows = s->rows,
				      .sources = 1,
				      .source = &source,
				      .target = target};
		for (size_t g = 0; g < (from->giants ? giants : 1); g++)
			for (size_t b = 0; b < steps; b++) {
				hel_term *term = &op.term[op.terms];
				*term =
				    (hel_term){.value = value, .baby = baby[b], .giant = giant[g]};
				/* a product with zeros is left out, unless nothing else remains */
				if (!hel_linear_weights(e->vector, &t, 0, baby[b], giant[g]) &&
				    (op.terms || i + 1 < k->sources || b + 1 < steps))
					continue;
				TRY(hel_program_add_vector(e->p, e->vector, log_slots(e),
							   &term->vector));
				op.terms++;
			}
		hel_free(matrix);
		hel_free(baby);
		matrix = NULL;
		baby = NULL;
	}
	st = add_op(e, op); /* takes the terms over, or frees them */
	op.term = NULL;
done:
	hel_free(op.term);
	hel_free(matrix);
	hel_free(baby);
	hel_free(target);
	hel_free(map);
	hel_free(giant);
	return st;
}

static hel_status add_folds(emitter *e, const hel_packing *k)
{
	hel_status st = HEL_OK;
	for (uint32_t left = k->folds; left;) {
		uint32_t group = 0;
		for (unsigned i = 0; i < k->fold_radix && left; i++) {
			group |= left & -left;
			left &= left - 1;
		}
		hel_op op = {.kind = HEL_OP_ROTATE_SUM, .value = e->value};
		TRY_ALLOC(op.step,
			  hel_alloc((size_t)1 << __builtin_popcount(group), sizeof *op.step));
		op.steps = (uint32_t)hel_subset_sums(op.step, group);
		TRY(add_op(e, op));
	}
done:
	return st;
}

static hel_status add_bias(emitter *e, size_t stage)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &e->s->stage[stage];
	const int32_t *result = e->plan->packing[stage].result;
	bool any = false;
	uint32_t index;
	for (size_t q = 0; q < e->slots; q++) {
		e->vector[q] = result[q] < 0 ? (hel_complex){0, 0} : s->bias[result[q]];
		any |= e->vector[q].re != 0 || e->vector[q].im != 0;
	}
	if (!any)
		return HEL_OK;
	TRY(hel_program_add_vector(e->p, e->vector, log_slots(e), &index));
	TRY(add_op(e, (hel_op){.kind = HEL_OP_ADD_PLAIN, .value = e->value, .index = index}));
done:
	return st;
}

/* The steps of a schedule, one op for each and a rescaling after each sum. level: of its input. */
static hel_status add_polynomial(emitter *e, const hel_stage *s, unsigned level)
{
	hel_status st = HEL_OK;
	const hel_polynomial p = hel_stage_polynomial(s);
	hel_schedule *schedule = NULL;
	uint32_t *value = NULL;
	hel_op op = {0};
	TRY(hel_schedule_new(&schedule, &p));
	TRY_ALLOC(value, hel_alloc(schedule->count + 1, sizeof *value));
	value[0] = e->value;
	for (size_t i = 0; i < schedule->count; i++) {
		const hel_poly_step *step = &schedule->step[i];
		if (step->product) {
			TRY(add_op(e, (hel_op){.kind = HEL_OP_MUL,
					       .value = value[step->a],
					       .index = value[step->b]}));
			value[i + 1] = e->value;
			continue;
		}
		op = (hel_op){.kind = HEL_OP_WEIGHTED_SUM,
			      .index = level - step->depth,
			      .terms = (uint32_t)step->terms};
		TRY_ALLOC(op.term, hel_alloc(step->terms, sizeof *op.term));
		TRY_ALLOC(op.factor, hel_alloc(step->terms + 1, sizeof *op.factor));
		for (size_t k = 0; k < step->terms; k++) {
			op.term[k].value = value[step->term[k].value];
			op.factor[k] = step->term[k].factor;
		}
		op.factor[step->terms] = step->constant;
		st = add_op(e, op); /* takes the arrays over, or frees them */
		op = (hel_op){0};
		TRY(st);
		TRY(add_unary(e, HEL_OP_RESCALE));
		value[i + 1] = e->value;
	}
done:
	hel_op_clear(&op);
	hel_schedule_free(schedule);
	hel_free(value);
	return st;
}

static hel_status add_layer(emitter *e, size_t stage)
{
	const hel_stage *s = &e->s->stage[stage];
	const hel_packing *k = &e->plan->packing[stage];
	char text[600], out[200];
	size_t fresh = 0, width = 0;
	for (size_t i = 0; i < s->sources; i++)
		width += s->source[i].width;
	for (size_t i = 0; i < k->sources; i++)
		fresh += k->source[i].fresh;
	hel_layout_describe(out, sizeof out, &k->out);
	const int babies = 1 << __builtin_popcount(k->baby_bits);
	const int giants = 1 << __builtin_popcount(k->giant_bits);
	int n = snprintf(text, sizeof text, "%s: %zu -> %zu%s", s->name, width, s->rows,
			 s->square ? ", squared" : "");
	if (s->polynomial)
		n += snprintf(text + n, sizeof text - (size_t)n,
			      ", polynomial of degree %u over +-%.3g", s->polynomial->degree,
			      s->polynomial->range);
	if (fresh)
		n += snprintf(text + n, sizeof text - (size_t)n, "; %zu fresh input%s (%s)", fresh,
			      fresh > 1 ? "s" : "", "encrypted at this level");
	if (s->plain_sum)
		n += snprintf(text + n, sizeof text - (size_t)n, "; no product");
	else
		n += snprintf(text + n, sizeof text - (size_t)n, "; %d x %d diagonals", babies,
			      giants);
	snprintf(text + n, sizeof text - (size_t)n, ", %d folds; out: %s",
		 __builtin_popcount(k->folds), out);
	e->layer = (uint16_t)e->p->layers;
	return hel_program_add_layer(e->p, text);
}

hel_status hel_emit(hel_program **out, const hel_stages *s, const hel_plan *plan,
		    const hel_params *params)
{
	hel_status st = HEL_OK;
	emitter e = {.s = s, .plan = plan, .params = params};
	e.slots = (size_t)1 << log_slots(&e);
	unsigned level = hel_stages_levels(s);
	bool pending = false; /* a square that still has to be rescaled */
	TRY_ALLOC(e.p, hel_alloc(1, sizeof *e.p));
	TRY_ALLOC(e.p->manifest, hel_alloc(1, sizeof *e.p->manifest));
	TRY_ALLOC(e.p->manifest->input, hel_alloc(plan->inputs, sizeof *e.p->manifest->input));
	TRY_ALLOC(e.vector, hel_alloc(e.slots, sizeof *e.vector));
	for (size_t i = 0; i < s->count; i++) {
		TRY(add_layer(&e, i));
		if (!s->stage[i].plain_sum) {
			if (pending)
				TRY(add_unary(&e, HEL_OP_RESCALE));
			TRY(add_linear(&e, i, level));
		}
		TRY(add_folds(&e, &plan->packing[i]));
		TRY(add_unary(&e, HEL_OP_RESCALE));
		TRY(add_bias(&e, i));
		if (s->stage[i].polynomial)
			TRY(add_polynomial(&e, &s->stage[i], level - 1));
		pending = s->stage[i].square;
		if (pending)
			TRY(add_unary(&e, HEL_OP_SQUARE));
		level -= hel_stage_levels(&s->stage[i]);
	}
	*out = e.p;
	e.p = NULL;
done:
	hel_free(e.vector);
	hel_program_free(e.p);
	return st;
}
