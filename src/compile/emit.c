#include "compile.h"
#include "lookup/codes.h"
#include <math.h>
#include <string.h>

typedef struct emitter {
	const hel_stages *s;
	const hel_plan *plan;
	const hel_params *params;
	hel_program *p;
	size_t slots;
	uint32_t value;	  /* the latest */
	uint32_t *result; /* of each stage */
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

/* The next input of the program; takes its pieces over. */
static hel_status add_input(emitter *e, hel_input in)
{
	hel_manifest *m = e->p->manifest;
	m->input[m->inputs] = in;
	return add_op(e, (hel_op){.kind = HEL_OP_INPUT, .index = m->inputs++});
}

/* The terms of one packed source; value: the op it comes from. */
static hel_status add_terms(emitter *e, hel_op *op, const hel_packed *packed, const hel_packing *k,
			    size_t source, uint32_t value)
{
	hel_status st = HEL_OK;
	const hel_packed_source *from = &k->source[source];
	const uint32_t bits = from->giants ? k->baby_bits : from->diagonals;
	const uint32_t giant_bits = from->giants ? k->giant_bits : 0;
	int32_t *baby = NULL, *giant = NULL;
	TRY_ALLOC(baby, hel_alloc((size_t)1 << __builtin_popcount(bits), sizeof *baby));
	TRY_ALLOC(giant, hel_alloc((size_t)1 << __builtin_popcount(giant_bits), sizeof *giant));
	const size_t babies = hel_subset_sums(baby, bits),
		     giants = hel_subset_sums(giant, giant_bits);
	for (size_t g = 0; g < giants; g++)
		for (size_t b = 0; b < babies; b++) {
			hel_term *term = &op->term[op->terms];
			*term = (hel_term){.value = value, .baby = baby[b], .giant = giant[g]};
			/* a product with zeros is left out, unless nothing else remains */
			if (!hel_linear_weights(e->vector, &packed->t, source, baby[b], giant[g]) &&
			    (op->terms || source + 1 < k->sources || b + 1 < babies ||
			     g + 1 < giants))
				continue;
			TRY(hel_program_add_vector(e->p, e->vector, log_slots(e), &term->vector));
			op->terms++;
		}
done:
	hel_free(baby);
	hel_free(giant);
	return st;
}

/* What both kinds of product are made of. */
static hel_status packed_of(hel_packed **out, const emitter *e, size_t stage, size_t *most)
{
	const hel_stage *s = &e->s->stage[stage];
	const hel_packing *k = &e->plan->packing[stage];
	const hel_packing *parent[2] = {NULL, NULL};
	*most = 0;
	for (size_t i = 0; i < k->sources; i++)
		*most += (size_t)1 << __builtin_popcount(k->source[i].diagonals);
	for (size_t i = 0; i < s->sources; i++)
		if (s->source[i].stage >= 0)
			parent[i] = &e->plan->packing[s->source[i].stage];
	return hel_packed_new(out, s, k, parent, log_slots(e));
}

/* One stage's product; rotations and weights come from the packing's slot maps. */
static hel_status add_linear(emitter *e, size_t stage, unsigned level)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &e->s->stage[stage];
	const hel_packing *k = &e->plan->packing[stage];
	hel_packed *packed = NULL;
	hel_op op = {.kind = HEL_OP_LINEAR};
	size_t most;
	TRY(packed_of(&packed, e, stage, &most));
	TRY_ALLOC(op.term, hel_alloc(most, sizeof *op.term));
	for (size_t i = 0; i < k->sources; i++) {
		const hel_packed_source *from = &k->source[i];
		const int before = s->source[from->source].stage;
		if (from->fresh)
			TRY(add_input(
			    e, (hel_input){.level = (uint8_t)level,
					   .first = s->source[from->source].first + from->offset,
					   .layout = from->layout}));
		TRY(add_terms(e, &op, packed, k, i, from->fresh ? e->value : e->result[before]));
	}
	st = add_op(e, op); /* takes the terms over, or frees them */
	op.term = NULL;
done:
	hel_free(op.term);
	hel_packed_free(packed);
	return st;
}

/* --- lookups --------------------------------------------------------------------- */

/* Features before those of a table; one beyond the last: the constant's. */
static uint32_t table_first(const emitter *e, const hel_blocks *b, size_t table)
{
	size_t first = hel_features_dense(&b->schema, e->s->degree);
	for (size_t t = 0; t < table; t++)
		first += hel_table_features(&b->schema.table[t]);
	return (uint32_t)first;
}

/* An input of a piece for each block. */
static hel_status begin_pieces(hel_input *in, const hel_blocks *b, unsigned level,
			       const hel_layout *layout)
{
	hel_status st = HEL_OK;
	*in = (hel_input){.level = (uint8_t)level, .layout = *layout};
	TRY_ALLOC(in->piece, hel_alloc(b->used, sizeof *in->piece));
	in->pieces = (uint32_t)b->used;
	in->log_piece = (uint8_t)hel_log2_ceil(layout->width / b->used);
done:
	return st;
}

/* The ciphertext of a source's codes. */
static hel_status add_code_input(emitter *e, const hel_blocks *b, size_t source, unsigned level)
{
	hel_status st = HEL_OK;
	hel_input in = {0};
	const hel_layout layout = hel_blocks_layout(b, source, true);
	/* each entry's root has two parts */
	const uint32_t parts = hel_blocks_source(b, source).codes->coding == HEL_BY_ROOTS ? 2 : 1;
	TRY(begin_pieces(&in, b, level, &layout));
	for (size_t i = 0; i < b->used; i++) {
		const hel_piece rows = hel_blocks_rows(b, source, i);
		if (rows.width)
			in.piece[i] =
			    (hel_piece){table_first(e, b, b->table[i]) + parts * rows.first,
					parts * rows.width};
	}
	TRY(add_input(e, in));
done:
	return st;
}

/* The high one-hots of one selection; 1 for tables that have none. */
static hel_status add_selector(emitter *e, const hel_blocks *b, size_t selection, unsigned level)
{
	hel_status st = HEL_OK;
	hel_input in = {0};
	const hel_layout layout = hel_blocks_selector(b);
	const uint32_t constant = table_first(e, b, b->schema.table_count);
	TRY(begin_pieces(&in, b, level, &layout));
	for (size_t i = 0; i < b->used; i++) {
		const hel_table_field *t = &b->schema.table[b->table[i]];
		if (t->coding == HEL_BY_GRID) {
			in.piece[i] = hel_blocks_highs(b, selection, i);
			in.piece[i].first +=
			    in.piece[i].width ? table_first(e, b, b->table[i]) + t->coding_size : 0;
		} else if (!selection)
			in.piece[i] = (hel_piece){constant, 1};
	}
	TRY(add_input(e, in));
done:
	return st;
}

/* value[source] for all sources, at `level`: inputs, and what the server makes of their codes. */
static hel_status add_codes(emitter *e, const hel_blocks *b, uint32_t *value, unsigned level)
{
	hel_status st = HEL_OK;
	uint8_t *number = NULL;
	TRY_ALLOC(number, hel_alloc(e->slots, 1));
	for (size_t i = 0; i < b->sources; i += hel_blocks_source(b, i).codes->powers) {
		const hel_block_codes *k = hel_blocks_source(b, i).codes;
		const uint32_t order = hel_blocks_order(b, k->coding);
		const unsigned levels = hel_code_levels(k->coding, order);
		hel_builder code = {
		    .p = e->p, .slots = e->slots, .layer = e->layer, .vector = e->vector};
		TRY(add_code_input(e, b, i, level + levels));
		value[i] = code.value = e->value;
		if (k->coding == HEL_BY_POWERS)
			TRY(hel_emit_powers(&code, value + i, k->powers, level));
		else if (k->coding == HEL_BY_ROOTS) {
			hel_blocks_numbers(number, b, i);
			TRY(hel_emit_geometric(&code, hel_log2_ceil(order), number,
					       level + levels));
			value[i] = code.value;
		} else if (k->coding == HEL_BY_CODED) {
			TRY(hel_emit_indicator(&code, order, level + levels));
			value[i] = code.value;
		}
	}
done:
	hel_free(number);
	return st;
}

/* All sources times the tables' weights of one selection. */
static hel_status add_lookup_sum(emitter *e, size_t stage, hel_packed *packed, size_t most,
				 const uint32_t *value, size_t selection)
{
	hel_status st = HEL_OK;
	const hel_packing *k = &e->plan->packing[stage];
	hel_op op = {.kind = HEL_OP_LINEAR};
	TRY_ALLOC(op.term, hel_alloc(most, sizeof *op.term));
	for (size_t i = 0; i < k->sources; i++) {
		TRY(hel_packed_lookup(packed, k, e->s->model, i, selection));
		TRY(add_terms(e, &op, packed, k, i, value[i]));
	}
	st = add_op(e, op); /* takes the terms over, or frees them */
	op.term = NULL;
done:
	hel_free(op.term);
	return st;
}

/* All embedding vectors, not rescaled. level: of the product with the tables. */
static hel_status add_lookup(emitter *e, size_t stage, unsigned level)
{
	hel_status st = HEL_OK;
	const hel_blocks *b = e->plan->packing[stage].blocks;
	const size_t selections = b->shape.selections;
	hel_packed *packed = NULL;
	uint32_t *value = NULL;
	hel_op sum = {.kind = HEL_OP_WEIGHTED_SUM, .index = level - 1};
	size_t most;
	TRY(packed_of(&packed, e, stage, &most));
	TRY_ALLOC(value, hel_alloc(b->sources, sizeof *value));
	TRY_ALLOC(sum.term, hel_alloc(selections + 1, sizeof *sum.term));
	TRY_ALLOC(sum.factor, hel_alloc(selections + 1, sizeof *sum.factor));
	TRY(add_codes(e, b, value, level));
	if (!selections)
		TRY(add_lookup_sum(e, stage, packed, most, value, 0));
	for (size_t i = 0; i < selections; i++) {
		TRY(add_lookup_sum(e, stage, packed, most, value, i));
		TRY(add_unary(e, HEL_OP_RESCALE));
		const uint32_t looked_up = e->value;
		TRY(add_selector(e, b, i, level - 1));
		TRY(add_op(e, (hel_op){.kind = HEL_OP_MUL, .value = looked_up, .index = e->value}));
		sum.term[sum.terms].value = e->value;
		sum.factor[sum.terms++] = 1;
	}
	if (selections > 1) {
		st = add_op(e, sum); /* takes the arrays over, or frees them */
		sum = (hel_op){0};
	}
done:
	hel_op_clear(&sum);
	hel_free(value);
	hel_packed_free(packed);
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
	const hel_packing *k = &e->plan->packing[stage];
	bool any = false;
	uint32_t index;
	if (!s->bias)
		return HEL_OK;
	for (size_t q = 0; q < e->slots; q++) {
		int32_t row = k->result[q];
		if (k->blocks && row >= 0)
			row = hel_blocks_column(k->blocks, (size_t)row);
		e->vector[q] = row < 0 ? (hel_complex){0, 0} : s->bias[row];
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

/* How many tables travel as what. */
static int describe_blocks(char *out, size_t size, const hel_blocks *b)
{
	int n = snprintf(out, size, "; %zu blocks of %u", b->used, 1u << b->codes[0].log_piece);
	if (b->shape.selections)
		n += snprintf(out + n, size - (size_t)n, ", %u places, %zu selection%s",
			      1u << b->shape.log_places, b->shape.selections,
			      b->shape.selections > 1 ? "s" : "");
	for (hel_coding c = HEL_BY_GRID; c < HEL_CODINGS; c++) {
		size_t tables = 0;
		for (size_t i = 0; i < b->schema.table_count; i++)
			tables += b->schema.table[i].coding == c;
		if (tables)
			n += snprintf(out + n, size - (size_t)n, ", %zu by %s", tables,
				      hel_coding_name(c));
	}
	return n;
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
			 s->square ? ", squared" : "");
	if (s->polynomial)
		n += snprintf(text + n, sizeof text - (size_t)n,
			      ", polynomial of degree %u over +-%.3g", s->polynomial->degree,
			      s->polynomial->range);
	if (fresh)
		n += snprintf(text + n, sizeof text - (size_t)n, "; %zu fresh input%s%s", fresh,
			      fresh > 1 ? "s" : "",
			      hel_layout_is_complex(&k->source[k->sources - 1].layout)
				  ? ", imaginary parts used"
				  : "");
	if (k->blocks)
		n += describe_blocks(text + n, sizeof text - (size_t)n, k->blocks);
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

/* A square is rescaled by who reads it: the products of a sum are first added up. */
static hel_status rescale_squares(emitter *e, const hel_stage *s)
{
	hel_status st = HEL_OK;
	for (size_t k = 0; k < s->sources; k++) {
		const int from = s->source[k].stage;
		if (from < 0 || !e->s->stage[from].square)
			continue;
		e->value = e->result[from];
		if (!s->plain_sum)
			TRY(add_unary(e, HEL_OP_RESCALE));
		e->result[from] = e->value;
	}
done:
	return st;
}

static hel_status add_stage(emitter *e, size_t i)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &e->s->stage[i];
	const unsigned level = hel_stage_level(e->s, i);
	TRY(add_layer(e, i));
	TRY(rescale_squares(e, s));
	if (s->lookup)
		TRY(add_lookup(e, i, level));
	else if (!s->plain_sum)
		TRY(add_linear(e, i, level));
	TRY(add_folds(e, &e->plan->packing[i]));
	TRY(add_unary(e, HEL_OP_RESCALE));
	TRY(add_bias(e, i));
	if (s->polynomial)
		TRY(add_polynomial(e, s, level - 1));
	if (s->square)
		TRY(add_unary(e, HEL_OP_SQUARE));
	e->result[i] = e->value;
done:
	return st;
}

const hel_schema *hel_plan_schema(const hel_plan *plan, const hel_stages *s)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->packing[i].blocks)
			return &plan->packing[i].blocks->schema;
	return s->model->schema;
}

hel_status hel_emit(hel_program **out, const hel_stages *s, const hel_plan *plan,
		    const hel_params *params)
{
	hel_status st = HEL_OK;
	emitter e = {.s = s, .plan = plan, .params = params};
	e.slots = (size_t)1 << log_slots(&e);
	TRY_ALLOC(e.p, hel_alloc(1, sizeof *e.p));
	TRY_ALLOC(e.p->manifest, hel_alloc(1, sizeof *e.p->manifest));
	TRY_ALLOC(e.p->manifest->input, hel_alloc(plan->inputs, sizeof *e.p->manifest->input));
	TRY_ALLOC(e.vector, hel_alloc(e.slots, sizeof *e.vector));
	TRY_ALLOC(e.result, hel_alloc(s->count, sizeof *e.result));
	for (size_t i = 0; i < s->count; i++)
		TRY(add_stage(&e, i));
	e.p->manifest->features = (uint32_t)hel_features_width(hel_plan_schema(plan, s), s->degree);
	*out = e.p;
	e.p = NULL;
done:
	hel_free(e.vector);
	hel_free(e.result);
	hel_program_free(e.p);
	return st;
}
