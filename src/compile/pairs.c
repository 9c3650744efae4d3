#include "pairs.h"
#include "check.h"
#include <string.h>

/* The bits of a number that a mask names, side by side. */
static uint32_t gather_bits(uint32_t x, uint32_t mask)
{
	uint32_t r = 0;
	for (unsigned n = 0; mask; mask &= mask - 1)
		r |= (x & (mask & -mask) ? 1u : 0u) << n++;
	return r;
}

static unsigned log_rows(const hel_stage *s)
{
	return hel_log2_ceil(s->places);
}

/* Where the element of a block belongs: its table's place. */
static int32_t place_of_element(const hel_stage *s, const hel_blocks *b, size_t element)
{
	const int32_t column = hel_blocks_column(b, element);
	for (size_t k = 0; column >= 0 && k < s->places; k++)
		if (s->place[k] == (uint32_t)column / b->dim)
			return (int32_t)(((uint32_t)column % b->dim) << log_rows(s) | k);
	return -1;
}

/* What goes where. */
typedef struct maps {
	int32_t *to, *column; /* to: imaginary parts behind real ones */
	size_t elements, parts;
	uint32_t out, folds, again; /* slot bits; again: in which slots are alike for the folds */
} maps;

static bool place_fits(const hel_stage *s, const hel_packing *before)
{
	const hel_blocks *b = before->blocks;
	return !before->imaginary && !b->shape.log_places && !b->shape.selections &&
	       b->shape.log_blocks >= log_rows(s);
}

static void map_place(maps *m, const planner *p, const hel_stage *s, const hel_packing *before)
{
	const hel_blocks *b = before->blocks;
	const unsigned low = log_rows(s), at = b->shape.log_blocks;
	m->elements = before->rows;
	m->parts = 1;
	m->out = ((1u << low) - 1) | ((1u << b->log_dim) - 1) << at;
	for (size_t e = 0; e < m->elements; e++)
		m->column[e] = place_of_element(s, b, e);
	for (uint32_t q = 0; q < 1u << p->log_slots; q++) {
		const uint32_t row = q & ((1u << low) - 1), d = q >> at & ((1u << b->log_dim) - 1);
		m->to[q] = row < s->places && d < b->dim ? (int32_t)(d << low | row) : -1;
	}
}

/* A fold over bits below others runs on into the slots behind its own: it is right where those are
 * a copy of its own. Nothing stands above the highest bits. */
static uint32_t bit_above(const planner *p, uint32_t folds)
{
	return (folds + (folds & -folds)) & all_bits(p) & ~folds;
}

static void map_pairs(maps *m, const planner *p, const hel_stage *s, const hel_packing *before,
		      size_t parts)
{
	const unsigned low = log_rows(s), shifts = (unsigned)(s->rows >> low);
	const uint32_t field = hel_layout_mask(&before->out), rows = (1u << low) - 1;
	const uint32_t places = (uint32_t)s->places, slots = 1u << p->log_slots;
	m->elements = before->rows;
	m->parts = parts;
	m->folds = field & ~rows;
	m->again = bit_above(p, m->folds);
	const uint32_t copies =
	    highest(all_bits(p) & ~field & ~m->again, hel_log2_ceil((shifts + parts - 1) / parts));
	m->out = rows | copies | (parts > 1 ? slots : 0);
	if (copies < m->folds) /* all that stands above is alike */
		m->again = 0;
	for (uint32_t e = 0; e < m->elements; e++)
		m->column[e] = (e & rows) < places ? (int32_t)e : -1;
	for (uint32_t q = 0; q < parts * slots; q++) {
		const uint32_t row = q & rows, copy = gather_bits(q, m->out & ~rows),
			       d = gather_bits(q, m->folds);
		const uint32_t shifted = (row + copy + !s->self) % places;
		m->to[q] = row < places && copy < shifts ? (int32_t)(d << low | shifted) : -1;
	}
}

/* Whether copies have room for all shifts: half of them may stand in imaginary parts. */
static bool pairs_fit(const planner *p, const hel_stage *s, const hel_packing *before, size_t parts)
{
	const uint32_t field = hel_layout_mask(&before->out);
	const uint32_t copies =
	    all_bits(p) & ~field & ~bit_above(p, field & ~((1u << log_rows(s)) - 1));
	return s->rows <= parts << (popcount(copies) + log_rows(s)) &&
	       (parts == 1 || s->rows >> log_rows(s) > 1);
}

/* One state of the source, read; pairs: with as many parts of slots. */
static hel_status plan_one(planner *p, size_t stage, int16_t parent, maps *m, size_t parts)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	const state *x = state_at(p, s->source[0].stage, parent);
	const size_t slots = (size_t)1 << p->log_slots;
	const bool place = s->map == HEL_MAP_PLACE;
	hel_packing k = {.rows = s->rows, .imaginary = parts > 1};
	if (!x->complete ||
	    !(place ? place_fits(s, &x->packing) : pairs_fit(p, s, &x->packing, parts)))
		return HEL_OK;
	*m = (maps){.to = m->to, .column = m->column};
	if (place)
		map_place(m, p, s, &x->packing);
	else
		map_pairs(m, p, s, &x->packing, parts);
	st = hel_scatter_new(&k.scatter, x->packing.result, m->to, parts, slots, m->column,
			     m->elements);
	if (st == HEL_EUNSUPPORTED)
		return HEL_OK;
	TRY(st);
	k.out = hel_packing_layout(m->out, p->log_slots, s->rows);
	k.folds = m->folds;
	TRY_ALLOC(k.result, hel_alloc(slots, sizeof *k.result));
	hel_layout_map(k.result, &k.out, false);
	k.again = m->again;
	for (size_t q = 0; q < slots; q++)
		if (q & k.again)
			k.result[q] = HEL_SLOT_ANY;
	candidate c = {.folds = m->folds, .out = m->out, .parent = {parent}};
	c.own = hel_price_scatter(k.scatter, &c, &p->price, hel_stage_level(p->s, stage));
	c.value = x->value + c.own;
	c.inputs = x->inputs;
	k.fold_radix = c.fold_radix;
	hel_planner_keep(p, stage, &k, &c);
	k = (hel_packing){0};
done:
	hel_packing_clear(&k);
	return st;
}

/* Whether a vector is right where sums over all its numbers begin: anywhere, or in slots without
 * the bit that they leave as it is. */
static bool can_meet(const state *x, uint32_t numbers)
{
	const hel_packing *k = &x->packing;
	return hel_layout_mask(&k->out) == numbers && !k->imaginary &&
	       (x->complete || (k->again && k->again < numbers));
}

/* Where a vector in a row meets the same bits of places. */
static hel_status plan_meeting(planner *p, size_t stage)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	const hel_stage_source *const from[] = {&s->source[0], &s->source[1]};
	hel_packing k = {.rows = s->rows, .meets = true};
	for (size_t i = 0; i < p->count[from[0]->stage] * p->count[from[1]->stage]; i++) {
		candidate c = {.parent = {(int16_t)(i / p->count[from[1]->stage]),
					  (int16_t)(i % p->count[from[1]->stage])}};
		const state *x = state_at(p, from[0]->stage, c.parent[0]),
			    *y = state_at(p, from[1]->stage, c.parent[1]);
		const uint32_t field = hel_layout_mask(&y->packing.out);
		c.folds = field & ~((1u << log_rows(s)) - 1);
		c.out = field & ~c.folds;
		if (!can_meet(x, c.folds) || p->count[stage] == HEL_SHARED_STATES ||
		    !hel_candidates_combine(&c, p, from, 2))
			continue;
		k.out = hel_packing_layout(c.out, p->log_slots, s->rows);
		k.folds = c.folds;
		k.again = x->packing.again;
		TRY_ALLOC(k.result, hel_alloc((size_t)1 << p->log_slots, sizeof *k.result));
		hel_layout_map(k.result, &k.out, false);
		for (size_t q = 0; q < (size_t)1 << p->log_slots; q++)
			if (q & k.again)
				k.result[q] = HEL_SLOT_ANY;
		c.own = hel_price_meet(&c, &p->price, hel_stage_level(p->s, stage));
		c.value += c.own;
		k.fold_radix = c.fold_radix;
		hel_planner_keep(p, stage, &k, &c);
		k.result = NULL;
	}
done:
	hel_packing_clear(&k);
	return st;
}

hel_status hel_pairs_plan(planner *p, size_t stage)
{
	hel_status st = HEL_OK;
	const int before = p->s->stage[stage].source[0].stage;
	const size_t slots = (size_t)1 << p->log_slots;
	maps m = {0};
	if (p->s->stage[stage].map == HEL_MAP_MEET)
		return plan_meeting(p, stage);
	const size_t most = p->s->stage[stage].map == HEL_MAP_PAIRS ? 2 : 1;
	TRY_ALLOC(m.to, hel_alloc(most * slots, sizeof *m.to));
	TRY_ALLOC(m.column, hel_alloc(slots, sizeof *m.column));
	for (size_t i = 0; i < p->count[before] && p->count[stage] < HEL_SHARED_STATES; i++)
		for (size_t parts = 1; parts <= most; parts++)
			TRY(plan_one(p, stage, (int16_t)i, &m, parts));
done:
	hel_free(m.to);
	hel_free(m.column);
	return st;
}

/* --- ops ------------------------------------------------------------------------------------ */

static hel_status emit_scatter(emitter *e, const hel_scatter *s, uint32_t value)
{
	hel_status st = HEL_OK;
	hel_op op = {.kind = HEL_OP_LINEAR};
	TRY_ALLOC(op.term, hel_alloc(s->count, sizeof *op.term));
	for (size_t k = 0; k < s->count; k++) {
		const int32_t baby = s->rotation[k] & (s->giant - 1);
		hel_term *t = &op.term[op.terms++];
		*t = (hel_term){.value = value, .baby = baby, .giant = s->rotation[k] - baby};
		/* multiplied before the giant step */
		for (size_t p = 0; p < s->slots; p++)
			e->b.vector[(p + (size_t)t->giant) & (s->slots - 1)] =
			    (hel_complex){s->taken[k * s->slots + p] & HEL_TAKEN_REAL ? 1 : 0,
					  s->taken[k * s->slots + p] & HEL_TAKEN_IMAGINARY ? 1 : 0};
		TRY(hel_program_add_vector(e->b.p, e->b.vector, hel_emitter_log_slots(e),
					   &t->vector));
	}
	st = hel_emit_op(&e->b, op); /* takes the terms over, or frees them */
	op.term = NULL;
	TRY(st);
	TRY(hel_emit_unary(&e->b, HEL_OP_RESCALE));
done:
	hel_free(op.term);
	return st;
}

/* Value + bias, times places, summed. */
static hel_status emit_meeting(emitter *e, size_t stage, const uint32_t *value)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &e->s->stage[stage];
	const hel_packing *k = &e->plan->packing[stage];
	const hel_layout vector =
	    hel_packing_layout(k->folds, (unsigned)hel_emitter_log_slots(e), s->source[0].width);
	uint32_t index;
	for (size_t p = 0; p < e->b.slots; p++) {
		const int32_t d = hel_layout_at(&vector, p);
		e->b.vector[p] = d < 0 ? (hel_complex){0, 0} : s->bias[0][d];
	}
	TRY(hel_program_add_vector(e->b.p, e->b.vector, hel_emitter_log_slots(e), &index));
	TRY(hel_emit_op(&e->b,
			(hel_op){.kind = HEL_OP_ADD_PLAIN, .value = value[0], .index = index}));
	TRY(hel_emit_op(&e->b,
			(hel_op){.kind = HEL_OP_MUL, .value = e->b.value, .index = value[1]}));
	TRY(hel_emit_fold(&e->b, k->folds, k->fold_radix));
done:
	return st;
}

hel_status hel_pairs_emit(emitter *e, size_t stage, const uint32_t *value, unsigned level)
{
	hel_status st = HEL_OK;
	const hel_packing *k = &e->plan->packing[stage];
	if (k->meets)
		return emit_meeting(e, stage, value);
	TRY(emit_scatter(e, k->scatter, value[0]));
	if (e->s->stage[stage].map == HEL_MAP_PLACE)
		goto done;
	const uint32_t shifted = e->b.value;
	TRY(hel_emit_affine(&e->b, value[0], 1, 0, level));
	TRY(hel_emit_op(&e->b,
			(hel_op){.kind = HEL_OP_MUL, .value = shifted, .index = e->b.value}));
	TRY(hel_emit_fold(&e->b, k->folds, k->fold_radix));
	TRY(hel_emit_unary(&e->b, HEL_OP_RESCALE));
done:
	return st;
}
