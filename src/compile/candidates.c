/* Ways to pack one stage: which slot bits of its sources become diagonals, which folds, and where
 * outputs stand. */
#include "candidates.h"
#include <math.h>
#include <string.h>

#define MAX_COMBINATIONS 65536 /* of computed sources' states */
#define MAX_PLACE_BITS 8
#define MAX_CHUNKS 512 /* fresh ciphertexts per source */

static hel_status consider(candidates *f, const candidate *c)
{
	hel_status st = HEL_OK;
	if (f->count == f->room) {
		const size_t room = f->room ? 2 * f->room : 256;
		candidate *more;
		TRY_ALLOC(more, hel_alloc(room, sizeof *more));
		if (f->count)
			memcpy(more, f->at, f->count * sizeof *more);
		hel_free(f->at);
		f->at = more;
		f->room = room;
	}
	f->at[f->count] = *c;
	f->at[f->count].number = f->count;
	f->count++;
done:
	return st;
}

/* Diagonal bits that give fresh sources room beside the folds: right below them. */
static uint32_t extra_bits(const planner *p, const hel_stage *s, uint32_t folds)
{
	const uint32_t conjugate = folds & conjugate_bit(p);
	uint32_t extra = 0;
	folds &= all_bits(p);
	while (hel_stage_fresh_count(s, conjugate | folds | extra) > 8) {
		uint32_t next = folds | extra ? (((folds | extra) & -(folds | extra)) >> 1) : 1;
		if (!folds)
			next = extra + 1;
		if (!next || next > all_bits(p))
			break;
		extra |= next;
	}
	return extra;
}

/* All bits below the highest of a mask. */
static uint32_t below_top(uint32_t mask)
{
	return mask ? (1u << (31 - __builtin_clz(mask))) - 1 : 0;
}

/* Every computed source but the main one has few diagonals. */
static bool fits_beside(const planner *p, const hel_stage *s, const candidate *c,
			const hel_stage_source *const *from, size_t computed)
{
	bool fits = true;
	for (size_t k = 0; k < computed; k++)
		fits &= !hel_stage_matrices(s, from[k]) || k == c->main ||
			popcount(hel_diagonals_beside(c, k)) <= p->beside;
	return fits;
}

/* Ways to place the outputs among the slot bits that are not summed over. Bits that number nothing
 * may be summed over as well, with weights in one copy only: that makes a vector that is right
 * somewhere right everywhere. */
static hel_status place_outputs(candidates *f, planner *p, size_t stage, const candidate *from)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	const hel_stage_source *sources[HEL_MAX_PARENTS];
	const size_t computed = hel_stage_computed(s, sources);
	const unsigned j = hel_log2_ceil(s->rows);
	const unsigned level = hel_stage_level(p->s, stage) + (s->map == HEL_MAP_ONES);
	const uint32_t open = all_bits(p) & ~from->folds;
	/* the bit above a run of folds absorbs their carry */
	const uint32_t guarded = open & ~(from->folds << 1);
	uint32_t choices[3 + 32] = {lowest(open, j), highest(open, j), highest(guarded, j)};
	size_t count = 3;
	for (unsigned at = 0; s->in_a_row && at + j <= p->log_slots; at++)
		choices[count++] = ((1u << j) - 1) << at;
	for (int spread = 0; spread < (computed && s->map != HEL_MAP_ONES ? 2 : 1); spread++)
		for (size_t i = 0; i < count; i++) {
			candidate c = *from;
			bool again = popcount(choices[i]) != j || (choices[i] & ~open);
			for (size_t k = 0; k < i; k++)
				again |= choices[k] == choices[i];
			c.out = choices[i];
			c.spread = spread;
			if (spread)
				c.folds |= open & ~c.out & ~c.diagonals;
			c.likely_complete = !(c.folds & all_bits(p) & below_top(c.out));
			/* what is in a row is right all over, or in half of all copies */
			again |= s->in_a_row && c.out & (c.folds << 1);
			if (again || (spread && c.folds == from->folds) ||
			    !fits_beside(p, s, &c, sources, computed))
				continue;
			if (computed && hel_stage_fresh_count(s, 1))
				c.extra = extra_bits(p, s, c.folds);
			c.own = hel_price_stage(&c, &p->price, s, level);
			c.value += c.own;
			c.inputs += hel_fresh_inputs(s, &c);
			TRY(consider(f, &c));
		}
done:
	return st;
}

/* A stage that starts from the client's ciphertexts alone: their layout is free. Elements stand at
 * the top slot bits, so that folds run around the whole vector and end right in every slot. */
static hel_status fresh_candidates(candidates *f, planner *p, size_t stage)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	const unsigned j = hel_log2_ceil(s->rows), c = p->log_slots;
	size_t widest = 1;
	for (size_t k = 0; k < s->sources; k++)
		widest = HEL_MAX(widest, s->source[k].width);
	const unsigned most = HEL_MIN(hel_log2_ceil(widest), c);
	const unsigned both = hel_stage_is_real(s); /* parts of a slot may hold elements */
	for (unsigned complex = 0; complex <= both; complex++)
		for (unsigned bits = 0; bits + complex <= most; bits++) {
			if (hel_stage_fresh_count(s, (1u << (bits + complex)) - 1) > MAX_CHUNKS)
				continue;
			const uint32_t field = highest(all_bits(p), bits);
			const unsigned least = bits + j > c ? bits + j - c : 0;
			for (unsigned a = least; a <= bits; a++) {
				candidate k = {.diagonals = lowest(field, a)};
				k.folds = (field & ~k.diagonals) | (complex ? conjugate_bit(p) : 0);
				TRY(place_outputs(f, p, stage, &k));
			}
		}
done:
	return st;
}

/* Takes blocks over, for candidates to borrow. */
static hel_status own_blocks(planner *p, hel_blocks *blocks)
{
	hel_status st = HEL_OK;
	if (p->ways == p->room) {
		hel_blocks **more;
		p->room = p->room ? 2 * p->room : 64;
		TRY_ALLOC(more, hel_alloc(p->room, sizeof *more));
		if (p->ways)
			memcpy(more, p->blocks, p->ways * sizeof *more);
		hel_free(p->blocks);
		p->blocks = more;
	}
	p->blocks[p->ways++] = blocks;
	blocks = NULL;
done:
	hel_blocks_free(blocks);
	return st;
}

/* One packing of blocks: conjugates are added here or by the next layer. */
static hel_status consider_blocks(candidates *f, planner *p, size_t stage, hel_blocks_shape shape)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	hel_blocks *blocks;
	TRY(hel_blocks_new(&blocks, p->s, p->log_slots, shape));
	if (!blocks)
		goto done;
	TRY(own_blocks(p, blocks));
	const uint32_t out = (1u << (blocks->log_outputs + shape.log_blocks)) - 1;
	candidate c = {.blocks = blocks, .out = out, .inputs = blocks->inputs};
	c.diagonals = out & ~((1u << shape.log_blocks) - 1);
	for (int here = hel_blocks_is_complex(blocks); here >= 0; here--) {
		c.folds = (all_bits(p) & ~out) | (here ? conjugate_bit(p) : 0);
		c.conjugated = here;
		c.value = hel_price_lookup(&c, &p->price, s, hel_stage_level(p->s, stage));
		c.own = c.value;
		TRY(consider(f, &c));
	}
done:
	return st;
}

/* The number of blocks, of places in them and of selections. */
static hel_status lookup_candidates(candidates *f, planner *p, size_t stage)
{
	hel_status st = HEL_OK;
	static const uint8_t selections[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};
	const bool selected = p->s->stage[stage].then == HEL_THEN_SELECT;
	const unsigned dim = hel_log2_ceil(p->s->dim);
	for (unsigned b = hel_log2_ceil(p->s->model->schema->table_count); b <= p->log_slots; b++)
		for (unsigned places = 0; places <= (selected ? MAX_PLACE_BITS : 0); places++)
			for (size_t i = 0; i < (selected ? HEL_ARRAY_LEN(selections) : 1); i++)
				for (int complex = 0; complex < 2; complex++)
					if (b + dim + places <= p->log_slots)
						TRY(consider_blocks(
						    f, p, stage,
						    (hel_blocks_shape){
							.log_blocks = b,
							.log_places = places,
							.selections = selected ? selections[i] : 0,
							.complex = complex}));
done:
	return st;
}

/* All splits of the main source's slot bits into diagonals and folds. */
static hel_status split_field(candidates *f, planner *p, size_t stage, candidate c)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	const uint32_t conjugate = c.folds, main = c.field[c.main];
	const unsigned k = popcount(main);
	for (unsigned a = 0; a <= k; a++)
		for (int low = 0; low < (a > 0 && a < k ? 2 : 1); low++) {
			if (s->map == HEL_MAP_ONES && a)
				continue;
			c.diagonals = low ? highest(main, a) : lowest(main, a);
			c.folds = (main & ~c.diagonals) | conjugate;
			TRY(place_outputs(f, p, stage, &c));
		}
done:
	return st;
}

bool hel_candidates_combine(candidate *c, const planner *p, const hel_stage_source *const *from,
			    size_t sources)
{
	for (size_t k = 0; k < sources; k++) {
		const state *x = state_at(p, from[k]->stage, c->parent[k]);
		c->value += x->value;
		c->inputs += x->inputs;
	}
	for (size_t i = 0; sources > 1 && i < p->s->count; i++) {
		int chosen = -1;
		for (size_t k = 0; k < sources; k++) {
			const int other = state_at(p, from[k]->stage, c->parent[k])->chosen[i];
			if (other < 0)
				continue;
			if (chosen >= 0 && other != chosen)
				return false;
			if (chosen >= 0) {
				c->value -= state_at(p, (int)i, other)->own;
				c->inputs -= state_at(p, (int)i, other)->own_inputs;
			}
			chosen = other;
		}
	}
	return true;
}

/* At most `most` of a stage's states, the cheapest of each kind in turn. */
static size_t shortlist(int16_t *out, const planner *p, int stage, size_t most)
{
	const size_t count = p->count[stage];
	size_t n = 0;
	if (count <= most) {
		for (size_t i = 0; i < count; i++)
			out[n++] = (int16_t)i;
		return n;
	}
	bool taken[HEL_MAX_STATES] = {false};
	for (unsigned kind = 0; n < most; kind = (kind + 1) % 4)
		for (size_t i = 0; i < count; i++) {
			const state *x = state_at(p, stage, (int)i);
			if (taken[i] || (x->complete | 2u * x->packing.imaginary) != kind)
				continue;
			taken[i] = true;
			out[n++] = (int16_t)i;
			break;
		}
	return n;
}

static hel_status computed_candidates(candidates *f, planner *p, size_t stage)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	const hel_stage_source *from[HEL_MAX_PARENTS];
	const size_t sources = hel_stage_computed(s, from);
	const size_t most = (size_t)pow(MAX_COMBINATIONS, 1 / (double)sources);
	int16_t list[HEL_MAX_PARENTS][HEL_MAX_STATES];
	size_t length[HEL_MAX_PARENTS], all = 1;
	const bool real = hel_stage_is_real(s);
	for (size_t k = 0; k < sources; k++) {
		length[k] = shortlist(list[k], p, from[k]->stage, most);
		all *= length[k];
	}
	for (size_t i = 0; i < all; i++) {
		candidate c = {.after_complete = true};
		bool imaginary = false;
		for (size_t k = sources, rest = i; k-- > 0; rest /= length[k])
			c.parent[k] = list[k][rest % length[k]];
		for (size_t k = 0; k < sources; k++) {
			const state *before = state_at(p, from[k]->stage, c.parent[k]);
			c.field[k] = (hel_layout_mask(&before->packing.out) & all_bits(p)) |
				     before->packing.again;
			imaginary |= before->packing.imaginary;
			c.after_complete &= before->complete;
			if (!hel_stage_matrices(s, from[c.main]) ||
			    (hel_stage_matrices(s, from[k]) &&
			     popcount(c.field[k]) > popcount(c.field[c.main])))
				c.main = k;
		}
		if ((imaginary && (!real || s->map == HEL_MAP_ONES)) ||
		    !hel_candidates_combine(&c, p, from, sources))
			continue;
		c.folds = imaginary ? conjugate_bit(p) : 0;
		TRY(split_field(f, p, stage, c));
	}
done:
	return st;
}

/* What is refreshed stands where it stands. */
static hel_status refreshed_candidates(candidates *f, planner *p, size_t stage)
{
	hel_status st = HEL_OK;
	const int from = p->s->stage[stage].source[0].stage;
	for (size_t i = 0; i < p->count[from]; i++) {
		const state *before = state_at(p, from, (int)i);
		TRY(consider(f, &(candidate){.value = before->value,
					     .inputs = before->inputs,
					     .parent = {(int16_t)i},
					     .fold_radix = 1,
					     .likely_complete = true,
					     .after_complete = true}));
	}
done:
	return st;
}

hel_status hel_candidates_find(candidates *out, planner *p, size_t stage)
{
	const hel_stage *s = &p->s->stage[stage];
	out->count = 0;
	return s->map == HEL_MAP_TABLES	   ? lookup_candidates(out, p, stage)
	       : s->map == HEL_MAP_REFRESH ? refreshed_candidates(out, p, stage)
	       : hel_stage_is_computed(s)  ? computed_candidates(out, p, stage)
					   : fresh_candidates(out, p, stage);
}

void hel_candidates_clear(candidates *c)
{
	hel_free(c->at);
	memset(c, 0, sizeof *c);
}
