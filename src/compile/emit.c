#include "emit.h"
#include "circuit/refresh.h"
#include "emit_lookup.h"
#include "features/coding.h"
#include "pairs.h"
#include <math.h>
#include <string.h>

/* A stage's result, rescaled and dropped to a level. */
static hel_status stage_at(emitter *e, uint32_t *value, size_t stage, unsigned level)
{
	hel_status st = HEL_OK;
	if (e->open[stage]) {
		e->b.value = e->result[stage];
		TRY(hel_emit_unary(&e->b, HEL_OP_RESCALE));
		e->result[stage] = e->b.value;
		e->open[stage] = false;
	}
	*value = e->result[stage];
	if (hel_stage_end(e->s, stage) > level) {
		TRY(hel_emit_affine(&e->b, *value, 1, 0, level + 1));
		*value = e->b.value;
	}
done:
	return st;
}

/* What a stage reads, at its level: a value for each packed source. */
static hel_status add_sources(emitter *e, uint32_t *value, size_t stage, unsigned level)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &e->s->stage[stage];
	const hel_packing *k = &e->plan->packing[stage];
	for (size_t i = 0; i < k->sources; i++) {
		const hel_packing_source *from = &k->source[i];
		const hel_stage_source *whole = &s->source[from->source];
		if (!from->fresh) {
			TRY(stage_at(e, &value[i], (size_t)whole->stage, level));
			continue;
		}
		TRY(hel_emit_input(&e->b, (hel_input){.level = (uint8_t)level,
						      .first = whole->first + from->offset,
						      .layout = from->layout}));
		value[i] = e->b.value;
	}
done:
	return st;
}

/* One factor's product; rotations and weights come from the packing's slot maps. */
static hel_status add_linear(emitter *e, size_t stage, hel_transform *packed, size_t most,
			     const uint32_t *value)
{
	hel_status st = HEL_OK;
	const hel_packing *k = &e->plan->packing[stage];
	hel_op op = {.kind = HEL_OP_LINEAR};
	size_t last = 0;
	for (size_t i = 0; i < k->sources; i++)
		last = packed->source[i].matrix ? i : last;
	TRY_ALLOC(op.term, hel_alloc(most, sizeof *op.term));
	for (size_t i = 0; i < k->sources; i++)
		if (packed->source[i].matrix)
			TRY(hel_emitter_terms(e, &op, packed, k, i, value[i], i == last));
	st = hel_emit_op(&e->b, op); /* takes the terms over, or frees them */
	op.term = NULL;
done:
	hel_free(op.term);
	return st;
}

static hel_status add_bias(emitter *e, size_t stage, size_t factor, double scale)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &e->s->stage[stage];
	const hel_packing *k = &e->plan->packing[stage];
	bool any = false;
	uint32_t index;
	if (!s->bias[factor])
		return HEL_OK;
	for (size_t q = 0; q < e->b.slots; q++) {
		int32_t row = k->result[q];
		if (k->blocks && row >= 0)
			row = hel_blocks_column(k->blocks, (size_t)row);
		const hel_complex b = row < 0 ? (hel_complex){0, 0} : s->bias[factor][row];
		e->b.vector[q] = (hel_complex){scale * b.re, scale * b.im};
		any |= e->b.vector[q].re != 0 || e->b.vector[q].im != 0;
	}
	if (!any)
		return HEL_OK;
	TRY(hel_program_add_vector(e->b.p, e->b.vector, hel_emitter_log_slots(e), &index));
	TRY(hel_emit_op(&e->b,
			(hel_op){.kind = HEL_OP_ADD_PLAIN, .value = e->b.value, .index = index}));
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
	value[0] = e->b.value;
	for (size_t i = 0; i < schedule->count; i++) {
		const hel_poly_step *step = &schedule->step[i];
		if (step->product) {
			TRY(hel_emit_op(&e->b, (hel_op){.kind = HEL_OP_MUL,
							.value = value[step->a],
							.index = value[step->b]}));
			value[i + 1] = e->b.value;
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
		st = hel_emit_op(&e->b, op); /* takes the arrays over, or frees them */
		op = (hel_op){0};
		TRY(st);
		TRY(hel_emit_unary(&e->b, HEL_OP_RESCALE));
		value[i + 1] = e->b.value;
	}
done:
	hel_op_clear(&op);
	hel_schedule_free(schedule);
	hel_free(value);
	return st;
}

/* The sines of a stage's coefficients, at the level where the polynomial begins. */
static hel_status add_refresh(emitter *e, size_t stage, unsigned level)
{
	hel_status st = HEL_OK;
	hel_op op = {.kind = HEL_OP_REFRESH, .index = e->s->log_refreshed};
	TRY(stage_at(e, &op.value, (size_t)e->s->stage[stage].source[0].stage, 0));
	TRY_ALLOC(op.factor, hel_alloc(2, sizeof *op.factor));
	op.factor[0] = hel_refresh_unit(e->params);
	op.factor[1] = e->s->stage[stage].polynomial->turn;
	TRY(hel_emit_op(&e->b, op)); /* takes the factor over, or frees it */
	if (hel_refresh_levels(&e->params->spec) > level)
		TRY(hel_emit_affine(&e->b, e->b.value, 1, 0, level + 1));
done:
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
	if (k->blocks)
		fresh = k->blocks->inputs;
	hel_layout_describe(out, sizeof out, &k->out);
	const int babies = 1 << __builtin_popcount(k->baby_bits);
	const int giants = 1 << __builtin_popcount(k->giant_bits);
	int n = snprintf(text, sizeof text, "%s: %zu -> %zu%s", s->name, width, s->rows,
			 s->then == HEL_THEN_SQUARE ? ", squared" : "");
	if (s->then == HEL_THEN_PRODUCT)
		n += snprintf(text + n, sizeof text - (size_t)n, ", %s",
			      s->factors > 1 ? "three times" : "two times");
	if (s->then == HEL_THEN_POLYNOMIAL)
		n += snprintf(text + n, sizeof text - (size_t)n,
			      ", polynomial of degree %u over +-%.3g", s->polynomial->degree,
			      s->polynomial->range);
	if (s->map == HEL_MAP_REFRESH)
		n += snprintf(text + n, sizeof text - (size_t)n, " (1/%.1f turn)",
			      1 / s->polynomial->turn);
	if (fresh)
		n += snprintf(text + n, sizeof text - (size_t)n, "; %zu fresh input%s%s", fresh,
			      fresh > 1 ? "s" : "",
			      hel_layout_is_complex(&k->source[k->sources - 1].layout)
				  ? ", imaginary parts used"
				  : "");
	if (k->blocks)
		n += hel_describe_blocks(text + n, sizeof text - (size_t)n, k->blocks);
	if (s->then == HEL_THEN_COEFFICIENTS)
		n += snprintf(text + n, sizeof text - (size_t)n, " complex, to coefficients");
	if (!hel_stage_multiplies(s))
		n += snprintf(text + n, sizeof text - (size_t)n, "; no product");
	else if (k->meets)
		n += snprintf(text + n, sizeof text - (size_t)n, "; one product of ciphertexts");
	else if (k->scatter)
		n += snprintf(text + n, sizeof text - (size_t)n, "; %zu rotations%s",
			      k->scatter->count,
			      s->map == HEL_MAP_PAIRS ? ", one product of ciphertexts" : "");
	else
		n += snprintf(text + n, sizeof text - (size_t)n, "; %d x %d diagonals", babies,
			      giants);
	snprintf(text + n, sizeof text - (size_t)n, ", %d folds; out: %s",
		 __builtin_popcount(k->folds), out);
	e->b.layer = (uint16_t)e->b.p->layers;
	return hel_program_add_layer(e->b.p, text);
}

static hel_status fold(emitter *e, size_t stage)
{
	const hel_packing *k = &e->plan->packing[stage];
	return hel_emit_fold(&e->b, k->folds, k->fold_radix);
}

/* One factor: an affine map, rescaled. */
static hel_status add_factor(emitter *e, size_t stage, hel_transform *packed, size_t most,
			     const uint32_t *value, size_t factor)
{
	hel_status st = HEL_OK;
	const hel_packing *k = &e->plan->packing[stage];
	hel_transform_factor(packed, &e->s->stage[stage], k, factor);
	/* a product to which its conjugate is added is twice itself */
	packed->t.scale = k->conjugated && !factor ? M_SQRT1_2 : 1;
	TRY(add_linear(e, stage, packed, most, value));
	TRY(fold(e, stage));
	TRY(hel_emit_unary(&e->b, HEL_OP_RESCALE));
	TRY(add_bias(e, stage, factor, packed->t.scale));
done:
	return st;
}

/* The affine map, its square, and the product with a second one. Products are rescaled by who
 * reads them: those of a sum are first added up. */
static hel_status add_factors(emitter *e, size_t stage, unsigned level)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &e->s->stage[stage];
	const hel_packing *k = &e->plan->packing[stage];
	hel_transform *packed = NULL;
	uint32_t *value = NULL;
	size_t most;
	TRY_ALLOC(value, hel_alloc(k->sources, sizeof *value));
	TRY(add_sources(e, value, stage, level));
	TRY(hel_emitter_transform(&packed, e, stage, &most));
	TRY(add_factor(e, stage, packed, most, value, 0));
	if (hel_stage_is_product(s))
		TRY(hel_emit_unary(&e->b, HEL_OP_SQUARE));
	if (s->factors > 1) {
		TRY(hel_emit_unary(&e->b, HEL_OP_RESCALE));
		const uint32_t product = e->b.value;
		TRY(add_factor(e, stage, packed, most, value, 1));
		TRY(hel_emit_affine(&e->b, e->b.value, 1, 0, level - 1));
		TRY(hel_emit_op(
		    &e->b, (hel_op){.kind = HEL_OP_MUL, .value = product, .index = e->b.value}));
	}
	if (k->conjugated)
		TRY(hel_emit_fold(&e->b, 1u << hel_emitter_log_slots(e), 1));
done:
	hel_transform_free(packed);
	hel_free(value);
	return st;
}

static hel_status add_stage(emitter *e, size_t i)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &e->s->stage[i];
	const unsigned level = hel_stage_level(e->s, i);
	TRY(add_layer(e, i));
	if (s->map == HEL_MAP_MATRIX)
		TRY(add_factors(e, i, level));
	else if (s->map == HEL_MAP_TABLES)
		TRY(hel_emit_embeddings(e, i, level));
	else if (s->map == HEL_MAP_REFRESH)
		TRY(add_refresh(e, i, level));
	else if (s->map == HEL_MAP_ONES)
		e->b.value = e->result[s->source[0].stage];
	else {
		uint32_t value[2] = {0, 0};
		for (size_t k = 0; k < s->sources; k++)
			TRY(stage_at(e, &value[k], (size_t)s->source[k].stage, level));
		TRY(hel_pairs_emit(e, i, value, level));
	}
	if (s->map == HEL_MAP_TABLES || s->map == HEL_MAP_ONES) {
		TRY(fold(e, i));
		TRY(hel_emit_unary(&e->b, HEL_OP_RESCALE));
		TRY(add_bias(e, i, 0, 1));
	}
	if (s->then == HEL_THEN_POLYNOMIAL)
		TRY(add_polynomial(e, s, level - hel_stage_multiplies(s)));
	e->result[i] = e->b.value;
	e->open[i] = hel_stage_is_product(s);
done:
	return st;
}

hel_status hel_emit(hel_program **out, const hel_stages *s, const hel_plan *plan,
		    const hel_params *params)
{
	hel_status st = HEL_OK;
	emitter e = {.s = s, .plan = plan, .params = params};
	e.b.slots = (size_t)1 << hel_emitter_log_slots(&e);
	TRY_ALLOC(e.b.p, hel_alloc(1, sizeof *e.b.p));
	TRY_ALLOC(e.b.p->manifest, hel_alloc(1, sizeof *e.b.p->manifest));
	TRY_ALLOC(e.b.vector, hel_alloc(e.b.slots, sizeof *e.b.vector));
	TRY_ALLOC(e.result, hel_alloc(s->count, sizeof *e.result));
	TRY_ALLOC(e.open, hel_alloc(s->count, sizeof *e.open));
	for (size_t i = 0; i < s->count; i++)
		TRY(add_stage(&e, i));
	e.b.p->manifest->features =
	    (uint32_t)hel_features_width(hel_plan_schema(plan, s), s->degree);
	*out = e.b.p;
	e.b.p = NULL;
done:
	hel_free(e.b.vector);
	hel_free(e.result);
	hel_free(e.open);
	hel_program_free(e.b.p);
	return st;
}
