/* Packing by dynamic programming: a state is the layout one stage ends in. */
#include "plan.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STATES 128	/* kept per stage, a quarter of each kind */
#define MAX_ALIKE 2	/* of them with one layout */
#define MAX_CHECKS 1000 /* candidates of each kind tried per stage; more until one is right */
#define MAX_TRIES 16	/* of them with one layout */
#define TOO_DEAR 4	/* times the cheapest: not tried once something is right everywhere */
#define MAX_LAYOUTS 512
#define KINDS 8 /* spread (of lookups: conjugates added), LIKELY_COMPLETE, AFTER_COMPLETE */
#define LIKELY_COMPLETE 2u
#define AFTER_COMPLETE 4u
#define MAX_BESIDE 4 /* diagonal bits of a second computed source */
#define MAX_PLACE_BITS 8
#define MAX_CHUNKS 512 /* fresh ciphertexts per source */

static hel_layout layout_of(uint32_t mask, unsigned log_slots, size_t width)
{
	hel_layout l = {.log_slots = (uint8_t)log_slots, .width = (uint32_t)width};
	for (uint8_t b = 0; b <= log_slots; b++) /* imaginary parts last */
		if (mask >> b & 1)
			l.position[l.bits++] = b;
	return l;
}

typedef struct state {
	double value;
	size_t inputs;
	int parent[2];
	bool complete; /* no slot of the result holds garbage */
	hel_packing packing;
} state;

typedef struct candidates {
	candidate *at;
	size_t count, room;
} candidates;

typedef struct planner {
	pricing price;
	const hel_stages *s;
	const hel_params *params;
	unsigned log_slots;
	state *states;	     /* [stage][MAX_STATES] */
	size_t *count;	     /* per stage */
	candidates found;    /* of the stage that is being planned */
	hel_blocks **blocks; /* of all ways that were considered */
	size_t ways, room;
	int32_t *scratch;
} planner;

static void packing_clear(hel_packing *k)
{
	hel_free(k->result);
	hel_free(k->source);
	memset(k, 0, sizeof *k);
}

static uint32_t all_bits(const planner *p)
{
	return (1u << p->log_slots) - 1;
}

static uint32_t conjugate_bit(const planner *p)
{
	return 1u << p->log_slots;
}

static state *state_at(const planner *p, int stage, int index)
{
	return p->states + (size_t)stage * MAX_STATES + index;
}

/* The packing a candidate's computed source has. */
static const hel_packing *parent_packing(const planner *p, const hel_stage *s, const candidate *c,
					 size_t source)
{
	size_t n = 0;
	for (size_t k = 0; k < source; k++)
		n += s->source[k].stage >= 0;
	return &state_at(p, s->source[source].stage, c->parent[n])->packing;
}

/* Packs a fresh source into ciphertexts over the index bits of `mask`. */
static void add_fresh(hel_packing *k, const planner *p, const hel_stage *s, size_t source,
		      uint32_t mask, uint32_t diagonals, bool giants)
{
	const size_t width = s->source[source].width, room = (size_t)1 << popcount(mask);
	for (size_t at = 0; at < width; at += room)
		k->source[k->sources++] = (hel_packed_source){
		    .source = source,
		    .fresh = true,
		    .offset = (uint32_t)at,
		    .layout = layout_of(mask, p->log_slots, HEL_MIN(room, width - at)),
		    .diagonals = diagonals,
		    .giants = giants,
		};
}

static void add_lookups(hel_packing *k, const candidate *c)
{
	for (size_t i = 0; i < c->blocks->sources; i++)
		k->source[k->sources++] = (hel_packed_source){
		    .fresh = true,
		    .offset = (uint32_t)i,
		    .layout = hel_blocks_layout(c->blocks, i, false),
		    .diagonals = c->diagonals,
		    .giants = true,
		};
}

/* The main computed source takes the candidate's diagonals, another what the folds leave. */
static void add_computed(hel_packing *k, const planner *p, const hel_stage *s, const candidate *c,
			 size_t source, size_t number)
{
	const uint32_t field = hel_layout_mask(&parent_packing(p, s, c, source)->out);
	k->source[k->sources++] = (hel_packed_source){
	    .source = source, .diagonals = field & ~c->folds, .giants = number == c->main};
}

/* Builds the candidate's transform and measures where it is right. */
static hel_status try_candidate(hel_packing *k, const planner *p, size_t stage, const candidate *c)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	const size_t slots = (size_t)1 << p->log_slots;
	const hel_packing *parent[2] = {NULL, NULL};
	hel_packed *packed = NULL;
	memset(k, 0, sizeof *k);
	const size_t fresh = c->blocks ? c->blocks->sources : hel_fresh_inputs(s, c);
	TRY_ALLOC(k->source, hel_alloc(fresh + 2, sizeof *k->source));
	TRY_ALLOC(k->result, hel_alloc(slots, sizeof *k->result));
	k->blocks = c->blocks;
	k->rows = c->blocks ? (size_t)1 << (c->blocks->shape.log_blocks + c->blocks->log_outputs)
			    : s->rows;
	k->out = layout_of(c->out, p->log_slots, k->rows);
	k->folds = c->folds;
	k->baby_bits = c->baby_bits;
	k->giant_bits = c->diagonals & ~c->baby_bits;
	k->fold_radix = c->fold_radix;
	k->imaginary =
	    c->blocks && hel_blocks_is_complex(c->blocks) && !(c->folds & conjugate_bit(p));
	for (size_t i = 0, computed = 0; i < s->sources; i++)
		if (s->source[i].stage >= 0) {
			add_computed(k, p, s, c, i, computed++);
			parent[i] = parent_packing(p, s, c, i);
		} else if (c->blocks)
			add_lookups(k, c);
		else
			add_fresh(k, p, s, i, c->folds | hel_fresh_diagonals(s, c),
				  hel_fresh_diagonals(s, c), !hel_is_computed(s));
	TRY(hel_packed_new(&packed, s, k, parent, p->log_slots));
	TRY(hel_linear_check(k->result, &packed->t));
	for (size_t q = 0; s->polynomial && q < slots; q++)
		if (k->result[q] == HEL_SLOT_ZERO) /* p(0) is not */
			k->result[q] = HEL_SLOT_ANY;
done:
	hel_packed_free(packed);
	if (st != HEL_OK)
		packing_clear(k);
	return st;
}

/* All outputs somewhere; the last stage: its one output everywhere, so that no slot of the result
 * holds anything else. */
static bool acceptable(const planner *p, size_t stage, const hel_packing *k, bool *complete)
{
	const size_t slots = (size_t)1 << p->log_slots;
	uint8_t *seen = (uint8_t *)p->scratch;
	size_t found = 0;
	memset(seen, 0, k->rows);
	*complete = true;
	bool everywhere = true;
	for (size_t q = 0; q < slots; q++) {
		int32_t e = k->result[q];
		*complete &= e != HEL_SLOT_ANY;
		everywhere &= e == 0;
		if (e >= 0 && !seen[e]) {
			seen[e] = 1;
			found++;
		}
	}
	return found == k->rows && (everywhere || stage + 1 < p->s->count);
}

/* Keeps a packing unless it is no better than those that are kept: candidates come cheapest first.
 * Complete layouts (right in every slot) have places of their own, for sums need them, and no
 * layout may take all places. */
static bool keep(planner *p, size_t stage, hel_packing *k, bool complete, const candidate *c)
{
	const size_t bytes = sizeof(int32_t) << p->log_slots;
	size_t rivals = 0, alike = 0;
	for (size_t i = 0; i < p->count[stage]; i++) {
		const state *x = state_at(p, (int)stage, (int)i);
		if (x->complete != complete || x->packing.imaginary != k->imaginary)
			continue;
		rivals++;
		alike += hel_layout_mask(&x->packing.out) == c->out;
		if (memcmp(x->packing.result, k->result, bytes) == 0)
			return false;
	}
	if (rivals >= MAX_STATES / 4 || alike >= MAX_ALIKE)
		return false;
	*state_at(p, (int)stage, (int)p->count[stage]++) = (state){
	    .value = c->value,
	    .inputs = c->inputs,
	    .parent = {c->parent[0], c->parent[1]},
	    .complete = complete,
	    .packing = *k,
	};
	return true;
}

static int cheaper(const void *a, const void *b)
{
	const candidate *x = a, *y = b;
	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return x->number < y->number ? -1 : 1; /* deterministic */
}

/* How many candidates of each kind, and of each kind and layout, were checked; how many results of
 * either class are kept. */
typedef struct tries {
	size_t kind[KINDS], kept[2];
	struct {
		uint32_t out;
		uint16_t kind, count;
	} layout[MAX_LAYOUTS];
	size_t layouts;
} tries;

/* Counts one more, unless there were enough like it. */
static bool worth_trying(tries *t, const candidate *c)
{
	size_t i = 0;
	/* lookups are right as they are built: no more are tried than are kept */
	const size_t most = c->blocks ? MAX_ALIKE : MAX_TRIES;
	while (i < t->layouts && (t->layout[i].out != c->out || t->layout[i].kind != c->kind))
		i++;
	if (t->kind[c->kind] >= MAX_CHECKS || i == MAX_LAYOUTS ||
	    (i < t->layouts && t->layout[i].count >= most) ||
	    t->kept[(c->kind & LIKELY_COMPLETE) != 0] >= MAX_STATES / 4)
		return false;
	if (i == t->layouts) {
		t->layout[i].out = c->out;
		t->layout[i].kind = (uint16_t)c->kind;
		t->layout[i].count = 0;
		t->layouts++;
	}
	t->layout[i].count++;
	t->kind[c->kind]++;
	return true;
}

/* Whether the result of the last stage holds several sums with errors of their own, by which a
 * client can tell that values outgrew the modulus (bounds.c). */
static bool tells_overflow(const planner *p, const candidate *c)
{
	return (1u << popcount((c->folds & all_bits(p)) | c->diagonals)) * HEL_INDEPENDENT_SUMS <=
	       1u << p->log_slots;
}

/* Checks candidates, the cheapest first, until there are enough. last: of the last stage, only
 * those that tell overflows. */
static hel_status check_candidates(planner *p, size_t stage, bool last)
{
	hel_status st = HEL_OK;
	const candidates *f = &p->found;
	tries t = {.layouts = 0};
	for (size_t i = 0; i < f->count; i++) {
		const candidate *c = &f->at[i];
		hel_packing k;
		bool complete;
		if (p->count[stage] == MAX_STATES ||
		    (t.kept[true] && c->value > TOO_DEAR * f->at[0].value))
			break;
		if (last && !tells_overflow(p, c))
			continue;
		if (!worth_trying(&t, c) && p->count[stage])
			continue;
		TRY(try_candidate(&k, p, stage, c));
		if (!acceptable(p, stage, &k, &complete) || !keep(p, stage, &k, complete, c))
			packing_clear(&k);
		else if (stage + 1 == p->s->count && p->count[stage] == 2)
			break; /* the best, and the runner-up */
		else
			t.kept[complete]++;
	}
done:
	return st;
}

static hel_status choose(planner *p, size_t stage)
{
	hel_status st = HEL_OK;
	const bool last = stage + 1 == p->s->count;
	qsort(p->found.at, p->found.count, sizeof *p->found.at, cheaper);
	TRY(check_candidates(p, stage, last));
	if (!p->count[stage])
		TRY(check_candidates(p, stage, false));
done:
	return st;
}

static hel_status consider(planner *p, const candidate *c)
{
	hel_status st = HEL_OK;
	candidates *f = &p->found;
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
	while (hel_fresh_count(s, conjugate | folds | extra) > 8) {
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

/* Ways to place the outputs among the slot bits that are not summed over. other: the slot bits of a
 * second computed source. Bits that number nothing may be summed over as well, with weights in one
 * copy only: that makes a vector that is right somewhere right everywhere. */
static hel_status place_outputs(planner *p, size_t stage, const candidate *from, uint32_t other)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	const unsigned j = hel_log2_ceil(s->rows);
	const unsigned level = hel_stage_level(p->s, stage) + s->plain_sum;
	const uint32_t open = all_bits(p) & ~from->folds;
	/* the bit above a run of folds absorbs their carry */
	const uint32_t guarded = open & ~(from->folds << 1);
	const uint32_t choices[] = {lowest(open, j), highest(open, j), highest(guarded, j)};
	for (int spread = 0; spread < (hel_is_computed(s) && !s->plain_sum ? 2 : 1); spread++)
		for (size_t i = 0; i < HEL_ARRAY_LEN(choices); i++) {
			candidate c = *from;
			bool again = popcount(choices[i]) != j;
			for (size_t k = 0; k < i; k++)
				again |= choices[k] == choices[i];
			c.out = choices[i];
			c.kind = from->kind + (unsigned)spread;
			if (spread)
				c.folds |= open & ~c.out & ~c.diagonals;
			/* folds that end above all outputs are likely right everywhere */
			c.kind |=
			    (c.folds & all_bits(p) & below_top(c.out)) == 0 ? LIKELY_COMPLETE : 0;
			if (again || (spread && c.folds == from->folds) ||
			    popcount(other & ~c.folds) > MAX_BESIDE)
				continue;
			if (hel_is_computed(s) && hel_fresh_count(s, 1))
				c.extra = extra_bits(p, s, c.folds);
			c.value += hel_price_stage(&c, &p->price, s, level, other & ~c.folds);
			c.inputs += hel_fresh_inputs(s, &c);
			TRY(consider(p, &c));
		}
done:
	return st;
}

/* A stage that starts from the client's ciphertexts alone: their layout is free. Elements stand at
 * the top slot bits, so that folds run around the whole vector and end right in every slot. */
static hel_status plan_fresh(planner *p, size_t stage)
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
			if (hel_fresh_count(s, (1u << (bits + complex)) - 1) > MAX_CHUNKS)
				continue;
			const uint32_t field = highest(all_bits(p), bits);
			const unsigned least = bits + j > c ? bits + j - c : 0;
			for (unsigned a = least; a <= bits; a++) {
				candidate k = {.diagonals = lowest(field, a)};
				k.folds = (field & ~k.diagonals) | (complex ? conjugate_bit(p) : 0);
				TRY(place_outputs(p, stage, &k, 0));
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
static hel_status consider_blocks(planner *p, size_t stage, hel_blocks_shape shape)
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
		c.kind = (unsigned)here; /* each has tries of its own */
		c.value = hel_price_lookup(&c, &p->price, s, hel_stage_level(p->s, stage));
		TRY(consider(p, &c));
	}
done:
	return st;
}

/* The number of blocks, of places in them and of selections. */
static hel_status plan_lookup(planner *p, size_t stage)
{
	hel_status st = HEL_OK;
	static const uint8_t selections[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};
	const bool selected = p->s->stage[stage].selected;
	const hel_dlrm *m = p->s->model;
	const unsigned dim = hel_log2_ceil(m->config.embedding_dim);
	for (unsigned b = hel_log2_ceil(m->schema->table_count); b <= p->log_slots; b++)
		for (unsigned places = 0; places <= (selected ? MAX_PLACE_BITS : 0); places++)
			for (size_t i = 0; i < (selected ? HEL_ARRAY_LEN(selections) : 1); i++)
				for (int complex = 0; complex < 2; complex++)
					if (b + dim + places <= p->log_slots)
						TRY(consider_blocks(
						    p, stage,
						    (hel_blocks_shape){
							.log_blocks = b,
							.log_places = places,
							.selections = selected ? selections[i] : 0,
							.complex = complex}));
done:
	return st;
}

/* All splits of the main source's slot bits into diagonals and folds. */
static hel_status split_field(planner *p, size_t stage, candidate c, uint32_t main, uint32_t other)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	const uint32_t conjugate = c.folds;
	const unsigned k = popcount(main);
	for (unsigned a = 0; a <= k; a++)
		for (int low = 0; low < (a > 0 && a < k ? 2 : 1); low++) {
			if (s->plain_sum && a)
				continue;
			c.diagonals = low ? highest(main, a) : lowest(main, a);
			c.folds = (main & ~c.diagonals) | conjugate;
			TRY(place_outputs(p, stage, &c, other));
		}
done:
	return st;
}

static hel_status plan_computed(planner *p, size_t stage)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	const hel_stage_source *from[2] = {NULL, NULL};
	const size_t sources = hel_computed_sources(s, from);
	const size_t first = p->count[from[0]->stage];
	const size_t second = sources > 1 ? p->count[from[1]->stage] : 1;
	const bool real = hel_stage_is_real(s);
	for (size_t i = 0; i < first * second; i++) {
		candidate c = {.parent = {(int)(i / second), (int)(i % second)}};
		uint32_t field[2] = {0, 0};
		bool imaginary = false;
		c.kind = AFTER_COMPLETE;
		for (size_t k = 0; k < sources; k++) {
			const state *before = state_at(p, from[k]->stage, c.parent[k]);
			field[k] = hel_layout_mask(&before->packing.out);
			imaginary |= before->packing.imaginary;
			c.kind = before->complete ? c.kind : 0;
			c.value += before->value;
			c.inputs += before->inputs;
		}
		if (imaginary && (!real || s->plain_sum))
			continue;
		c.folds = imaginary ? conjugate_bit(p) : 0;
		c.main = popcount(field[1]) > popcount(field[0]);
		TRY(split_field(p, stage, c, field[c.main], field[!c.main]));
	}
done:
	return st;
}

/* A sum without weights adds garbage, too: only complete layouts may enter. */
static void drop_incomplete(planner *p, size_t stage)
{
	state *states = p->states + stage * MAX_STATES;
	size_t kept = 0;
	for (size_t i = 0; i < p->count[stage]; i++) {
		if (!states[i].complete) {
			packing_clear(&states[i].packing);
			continue;
		}
		state moved = states[i];
		memset(&states[i], 0, sizeof states[i]);
		states[kept++] = moved;
	}
	p->count[stage] = kept;
}

/* What the chosen state and the best other one come to. */
static hel_plan_note note_of(const planner *p, size_t stage, int chosen)
{
	const state *x = state_at(p, (int)stage, chosen), *other = NULL;
	const hel_stage_source *from[2];
	const size_t sources = hel_computed_sources(&p->s->stage[stage], from);
	hel_plan_note note = {.value = x->value, .up_to_here = x->value};
	for (size_t k = 0; k < sources; k++)
		note.value -= state_at(p, from[k]->stage, x->parent[k])->value;
	for (size_t i = 0; i < p->count[stage]; i++) {
		const state *y = state_at(p, (int)stage, (int)i);
		if (y != x && (!other || y->value < other->value))
			other = y;
	}
	if (!other)
		return note;
	note.has_runner_up = true;
	note.runner_up = other->value;
	note.out = hel_layout_mask(&other->packing.out);
	note.folds = other->packing.folds;
	note.baby_bits = other->packing.baby_bits;
	note.giant_bits = other->packing.giant_bits;
	note.inputs = other->inputs;
	return note;
}

/* Moves the chosen states' packings, from the last stage back. */
static void follow(hel_plan *plan, planner *p, size_t stage, int index)
{
	state *x = state_at(p, (int)stage, index);
	const hel_stage_source *from[2];
	const size_t sources = hel_computed_sources(&p->s->stage[stage], from);
	plan->note[stage] = note_of(p, stage, index);
	plan->packing[stage] = x->packing;
	memset(&x->packing, 0, sizeof x->packing);
	for (size_t i = 0; i < p->ways; i++)
		if (p->blocks[i] == plan->packing[stage].blocks)
			p->blocks[i] = NULL; /* the plan's from here on */
	for (size_t k = 0; k < sources; k++)
		follow(plan, p, (size_t)from[k]->stage, x->parent[k]);
}

static hel_status plan_stage(planner *p, size_t i)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[i];
	if (s->rows > (size_t)1 << p->log_slots)
		FAIL(HEL_EUNSUPPORTED,
		     "layer %s has %zu outputs, a ciphertext of N = 2^%u %u slots", s->name,
		     s->rows, p->params->spec.log_n, 1u << p->log_slots);
	if (s->plain_sum)
		drop_incomplete(p, i - 1);
	p->found.count = 0;
	TRY(s->lookup		 ? plan_lookup(p, i)
	    : hel_is_computed(s) ? plan_computed(p, i)
				 : plan_fresh(p, i));
	TRY(choose(p, i));
	if (!p->count[i])
		FAIL(HEL_EUNSUPPORTED, "layer %s finds no packing at N = 2^%u", s->name,
		     p->params->spec.log_n);
done:
	return st;
}

hel_status hel_plan_new(hel_plan **out, const hel_stages *s, const hel_params *params,
			unsigned log_batch, const hel_objective *objective,
			const hel_cost_model *machine)
{
	hel_status st = HEL_OK;
	hel_plan *plan = NULL;
	planner p = {.price = hel_pricing_of(s, params, objective, machine),
		     .s = s,
		     .params = params,
		     .log_slots = params->spec.log_n - 1u - log_batch};
	if (log_batch + HEL_MIN_LOG_SLOTS + 1 > params->spec.log_n)
		FAIL(HEL_EUNSUPPORTED, "2^%u records do not fit the slots of N = 2^%u", log_batch,
		     params->spec.log_n);
	TRY_ALLOC(p.states, hel_alloc(s->count * MAX_STATES, sizeof *p.states));
	TRY_ALLOC(p.count, hel_alloc(s->count, sizeof *p.count));
	TRY_ALLOC(p.scratch, hel_alloc((size_t)1 << p.log_slots, sizeof *p.scratch));
	TRY_ALLOC(plan, hel_alloc(1, sizeof *plan));
	plan->count = s->count;
	plan->log_batch = log_batch;
	TRY_ALLOC(plan->packing, hel_alloc(s->count, sizeof *plan->packing));
	TRY_ALLOC(plan->note, hel_alloc(s->count, sizeof *plan->note));
	if (hel_stages_levels(s) > params->spec.levels)
		FAIL(HEL_ELEVEL, "%u levels needed, %u given", hel_stages_levels(s),
		     params->spec.levels);
	for (size_t i = 0; i < s->count; i++)
		TRY(plan_stage(&p, i));
	const state *best = state_at(&p, (int)s->count - 1, 0); /* the cheapest came first */
	plan->value = best->value;
	plan->inputs = best->inputs;
	follow(plan, &p, s->count - 1, 0);
	TRY(hel_price_polynomials(&plan->value, &p.price));
	*out = plan;
	plan = NULL;
done:
	for (size_t i = 0; p.states && i < s->count * MAX_STATES; i++)
		packing_clear(&p.states[i].packing);
	for (size_t i = 0; i < p.ways; i++)
		hel_blocks_free(p.blocks[i]);
	hel_free(p.blocks);
	hel_free(p.found.at);
	hel_free(p.states);
	hel_free(p.count);
	hel_free(p.scratch);
	hel_plan_free(plan);
	return st;
}

const hel_schema *hel_plan_schema(const hel_plan *plan, const hel_stages *s)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->packing[i].blocks)
			return &plan->packing[i].blocks->schema;
	return s->model->schema;
}

void hel_plan_free(hel_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; plan->packing && i < plan->count; i++) {
		hel_blocks_free(plan->packing[i].blocks);
		packing_clear(&plan->packing[i]);
	}
	hel_free(plan->packing);
	hel_free(plan->note);
	hel_free(plan);
}
