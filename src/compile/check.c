/* Candidates are tried on random numbers (hel_linear_check), which shows in which slots they are
 * right: measured, not argued. */
#include "check.h"
#include "base/random.h"
#include "refreshed.h"
#include "transform.h"
#include "verdicts.h"
#include <stdlib.h>
#include <string.h>

#define MAX_ALIKE 2	/* kept with one layout */
#define MAX_CHECKS 1000 /* candidates of each kind tried per stage; more until one is right */
#define MAX_TRIES 16	/* of them with one layout */
#define TOO_DEAR 4	/* times the cheapest: not tried once something is right everywhere */
#define MAX_LAYOUTS 512

/* The result's slots show errors of this many sums where a packing is found that does. */
#define INDEPENDENT_SUMS 8

/* The state a candidate's computed source is in. */
static const state *parent_of(const planner *p, const hel_stage *s, const candidate *c,
			      size_t source)
{
	size_t n = 0;
	for (size_t k = 0; k < source; k++)
		n += s->source[k].stage >= 0;
	return state_at(p, s->source[source].stage, c->parent[n]);
}

/* Imaginary parts of its result hold garbage. */
static bool is_imaginary(const planner *p, size_t stage, const candidate *c)
{
	return (c->blocks && hel_blocks_is_complex(c->blocks) && !(c->folds & conjugate_bit(p))) ||
	       p->s->stage[stage].then == HEL_THEN_PRODUCT;
}

/* Packs a fresh source into ciphertexts over the index bits of `mask`. */
static void add_fresh(hel_packing *k, const planner *p, const hel_stage *s, size_t source,
		      uint32_t mask, uint32_t diagonals, bool giants)
{
	const size_t width = s->source[source].width, room = (size_t)1 << popcount(mask);
	for (size_t at = 0; at < width; at += room)
		k->source[k->sources++] = (hel_packing_source){
		    .source = source,
		    .fresh = true,
		    .offset = (uint32_t)at,
		    .layout = hel_packing_layout(mask, p->log_slots, HEL_MIN(room, width - at)),
		    .diagonals = diagonals,
		    .giants = giants,
		};
}

static void add_lookups(hel_packing *k, const candidate *c)
{
	for (size_t i = 0; i < c->blocks->sources; i++)
		k->source[k->sources++] = (hel_packing_source){
		    .fresh = true,
		    .offset = (uint32_t)i,
		    .layout = hel_blocks_layout(c->blocks, i, false),
		    .diagonals = c->diagonals,
		    .giants = true,
		};
}

/* The main computed source takes the candidate's diagonals, another what the folds leave. number:
 * among the computed ones. */
static void add_computed(hel_packing *k, const candidate *c, size_t source, size_t number)
{
	k->source[k->sources++] = (hel_packing_source){.source = source,
						       .diagonals = hel_diagonals_beside(c, number),
						       .giants = hel_shares_giants(c, number)};
}

/* A bit below all that number elements in all slots without which a result is right; 0: there is
 * none. */
static uint32_t right_without(const hel_packing *k, unsigned log_slots)
{
	const uint32_t out = hel_layout_mask(&k->out);
	uint32_t bits = (out & -out) - 1, wrong = 0;
	for (uint32_t q = 0; q < 1u << log_slots; q++)
		if (k->result[q] == HEL_SLOT_ANY) {
			bits &= q;
			wrong = 1;
		}
	return wrong ? bits & -bits : 0;
}

/* Builds the candidate's transform and measures where it is right. */
static hel_status try_candidate(hel_packing *k, const planner *p, size_t stage, const candidate *c)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	const size_t slots = (size_t)1 << p->log_slots;
	const hel_packing *parent[HEL_MAX_SOURCES] = {NULL};
	hel_transform *packed = NULL;
	if (s->map == HEL_MAP_REFRESH)
		return hel_refreshed_packing(k, s->rows, p->s->log_refreshed, p->log_slots);
	memset(k, 0, sizeof *k);
	const size_t fresh = c->blocks ? c->blocks->sources : hel_fresh_inputs(s, c);
	TRY_ALLOC(k->source, hel_alloc(fresh + HEL_MAX_PARENTS, sizeof *k->source));
	TRY_ALLOC(k->result, hel_alloc_raw(slots, sizeof *k->result));
	k->blocks = c->blocks;
	k->rows = c->blocks ? (size_t)1 << (c->blocks->shape.log_blocks + c->blocks->log_outputs)
			    : s->rows;
	k->out = hel_packing_layout(c->out, p->log_slots, k->rows);
	k->folds = c->folds;
	k->baby_bits = c->baby_bits;
	k->giant_bits = c->diagonals & ~c->baby_bits;
	k->fold_radix = c->fold_radix;
	k->imaginary = is_imaginary(p, stage, c);
	for (size_t i = 0, computed = 0; i < s->sources; i++)
		if (s->source[i].stage >= 0) {
			add_computed(k, c, i, computed++);
			parent[i] = &parent_of(p, s, c, i)->packing;
		} else if (c->blocks)
			add_lookups(k, c);
		else
			add_fresh(k, p, s, i, c->folds | hel_fresh_diagonals(s, c),
				  hel_fresh_diagonals(s, c), !hel_stage_is_computed(s));
	TRY(hel_transform_new(&packed, s, k, parent, p->log_slots));
	TRY(hel_linear_check(k->result, &packed->t));
	for (size_t q = 0; s->then == HEL_THEN_POLYNOMIAL && q < slots; q++)
		if (k->result[q] == HEL_SLOT_ZERO) /* p(0) is not */
			k->result[q] = HEL_SLOT_ANY;
	if (s->in_a_row)
		k->again = right_without(k, p->log_slots);
done:
	hel_transform_free(packed);
	if (st != HEL_OK)
		hel_packing_clear(k);
	return st;
}

static hel_verdict judge(const planner *p, const hel_stage *s, const hel_packing *k)
{
	const size_t slots = (size_t)1 << p->log_slots;
	/* what slots hold: anything, zero, the elements */
	uint8_t *held = (uint8_t *)p->scratch, *element = held - HEL_SLOT_ANY;
	size_t found = 0;
	memset(held, 0, k->rows + (size_t)-HEL_SLOT_ANY);
	for (size_t q = 0; q < slots; q++)
		element[k->result[q]] = 1;
	for (size_t e = 0; e < k->rows; e++)
		found += element[e];
	hel_verdict v = {.outputs = found == k->rows, .complete = !element[HEL_SLOT_ANY]};
	if (s->in_a_row) /* for who meets it in some bits of its own */
		v.outputs &= v.complete || k->again;
	v.everywhere = v.complete && !element[HEL_SLOT_ZERO] && found == element[0];
	v.result = v.outputs ? hel_digest(k->result, slots) : 0;
	return v;
}

/* All that the verdict on a candidate depends on; 0 of lookups, which are few. */
static uint64_t key_of(const planner *p, size_t stage, const candidate *c)
{
	const hel_stage *s = &p->s->stage[stage];
	if (c->blocks || s->map == HEL_MAP_REFRESH)
		return 0;
	uint64_t key = hel_mix(p->log_slots | (uint64_t)s->rows << 8);
	key = hel_mix(key ^ (c->out | (uint64_t)c->folds << 32));
	key = hel_mix(
	    key ^ (s->sources << 2 | (size_t)s->in_a_row << 1 | (s->then == HEL_THEN_POLYNOMIAL)));
	for (size_t i = 0, computed = 0; i < s->sources; i++) {
		const state *x = s->source[i].stage < 0 ? NULL : parent_of(p, s, c, i);
		const uint32_t diagonals =
		    x ? hel_diagonals_beside(c, computed++) : hel_fresh_diagonals(s, c);
		const uint32_t mask = x ? hel_layout_mask(&x->packing.out) : c->folds | diagonals;
		key = hel_mix(key ^ (x ? x->result ^ hel_mix(x->columns) : s->source[i].width));
		key = hel_mix(key ^ (x ? x->packing.rows : SIZE_MAX));
		key = hel_mix(key ^ (diagonals | (uint64_t)mask << 32));
	}
	return key;
}

static size_t most_states(const planner *p, size_t stage)
{
	return p->readers[stage] > 1 && !p->s->stage[stage].in_a_row ? p->shared_states
								     : HEL_MAX_STATES;
}

/* Which numbers the next stage takes an output for. */
static uint64_t columns_of(const hel_blocks *b, size_t rows)
{
	uint64_t all = 1;
	for (size_t e = 0; e < rows; e++)
		all = hel_mix(all ^ (uint32_t)hel_blocks_column(b, e));
	return all;
}

/* The state that a candidate's result is, with all that it stands on. */
static void add_state(planner *p, size_t stage, const hel_packing *k, const hel_verdict *v,
		      const candidate *c)
{
	const hel_stage_source *from[HEL_MAX_PARENTS];
	const size_t sources = hel_stage_computed(&p->s->stage[stage], from);
	const size_t index = p->count[stage]++, stages = p->s->count;
	int16_t *chosen = p->chosen + (stage * HEL_MAX_STATES + index) * stages;
	size_t before = 0;
	for (size_t i = 0; i < stages; i++) {
		chosen[i] = i == stage ? (int16_t)index : -1;
		for (size_t n = 0; n < sources; n++)
			chosen[i] = HEL_MAX(chosen[i],
					    state_at(p, from[n]->stage, c->parent[n])->chosen[i]);
		before +=
		    i != stage && chosen[i] >= 0 ? state_at(p, (int)i, chosen[i])->own_inputs : 0;
	}
	*state_at(p, (int)stage, (int)index) = (state){
	    .value = c->value,
	    .own = c->own,
	    .inputs = c->inputs,
	    .own_inputs = c->inputs - before,
	    .chosen = chosen,
	    .complete = v->complete,
	    .result = v->result,
	    .columns = c->blocks ? columns_of(c->blocks, k->rows) : 0,
	    .packing = *k,
	};
}

void hel_planner_keep(planner *p, size_t stage, const hel_packing *k, const candidate *c)
{
	const size_t slots = (size_t)1 << p->log_slots;
	hel_verdict v = {.outputs = true, .complete = true, .result = hel_digest(k->result, slots)};
	for (size_t q = 0; q < slots; q++)
		v.complete &= k->result[q] != HEL_SLOT_ANY;
	add_state(p, stage, k, &v, c);
}

/* The result that a refresh and items take: all rows in turn, over all slots. */
static uint64_t repeated(const planner *p, size_t stage)
{
	const size_t slots = (size_t)1 << p->log_slots, rows = p->s->stage[stage].rows;
	for (size_t q = 0; q < slots; q++)
		p->scratch[q] = (int32_t)(q & (rows - 1));
	return hel_digest(p->scratch, slots);
}

/* Whether a packing is of use: all outputs somewhere; the last stage: its one output everywhere, so
 * that no slot of the result holds anything else. And whether it is better than those that are
 * kept: candidates come cheapest first. Complete layouts (right in every slot) have places of their
 * own, for sums need them, and no layout may take all places. */
static bool worth_keeping(const planner *p, size_t stage, const hel_verdict *v, const candidate *c,
			  bool imaginary)
{
	const size_t most = most_states(p, stage);
	size_t rivals = 0, alike = 0;
	const hel_stage *s = &p->s->stage[stage];
	const bool last = stage + 1 == p->s->count;
	if (!v->outputs || (last && !s->in_turn && !v->everywhere))
		return false;
	if (most == 1 && imaginary) /* not all can read it */
		return false;
	if ((s->then == HEL_THEN_COEFFICIENTS || s->in_turn) && v->result != repeated(p, stage))
		return false;
	for (size_t i = 0; i < p->count[stage]; i++) {
		const state *x = state_at(p, (int)stage, (int)i);
		if (x->complete != v->complete || x->packing.imaginary != imaginary)
			continue;
		rivals++;
		alike += hel_layout_mask(&x->packing.out) == c->out;
		if (x->result == v->result)
			return false;
	}
	return rivals < HEL_MAX(most / 4, 1) && alike < MAX_ALIKE && p->count[stage] < most;
}

/* The same with the conjugate of a product added, which leaves no garbage in imaginary parts. */
static hel_status add_conjugated(planner *p, size_t stage, const hel_packing *k,
				 const hel_verdict *v, candidate c)
{
	hel_status st = HEL_OK;
	const unsigned level = hel_stage_end(p->s, stage) + 1;
	const double more = hel_price_conjugate(&p->price, level);
	hel_packing copy = *k;
	copy.source = NULL;
	copy.result = NULL;
	copy.imaginary = false;
	copy.conjugated = true;
	c.own += more;
	c.value += more;
	TRY_ALLOC(copy.source, hel_alloc(k->sources, sizeof *copy.source));
	TRY_ALLOC(copy.result, hel_alloc_raw((size_t)1 << p->log_slots, sizeof *copy.result));
	memcpy(copy.source, k->source, k->sources * sizeof *copy.source);
	memcpy(copy.result, k->result, sizeof *copy.result << p->log_slots);
	add_state(p, stage, &copy, v, &c);
	copy = (hel_packing){0};
done:
	hel_packing_clear(&copy);
	return st;
}

/* Tries a candidate, unless one like it was tried before and is of no use here. */
static hel_status check_one(bool *kept, hel_verdict *v, planner *p, size_t stage,
			    const candidate *c)
{
	hel_status st = HEL_OK;
	hel_packing k = {0};
	const bool product = p->s->stage[stage].then == HEL_THEN_PRODUCT;
	const bool imaginary = is_imaginary(p, stage, c);
	const uint64_t key = key_of(p, stage, c);
	const bool known = key && hel_verdicts_find(v, p->verdicts, key);
	*kept = false;
	if (known && !worth_keeping(p, stage, v, c, imaginary) &&
	    !(product && worth_keeping(p, stage, v, c, false)))
		goto done;
	TRY(try_candidate(&k, p, stage, c));
	*v = judge(p, &p->s->stage[stage], &k);
	if (key && !known)
		TRY(hel_verdicts_add(p->verdicts, key, v));
	if (product && worth_keeping(p, stage, v, c, false))
		TRY(add_conjugated(p, stage, &k, v, *c));
	if (worth_keeping(p, stage, v, c, imaginary)) {
		add_state(p, stage, &k, v, c);
		k = (hel_packing){0};
		*kept = true;
	}
done:
	hel_packing_clear(&k);
	return st;
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
	size_t kind[HEL_CANDIDATE_KINDS], kept[2];
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
	const unsigned kind = hel_candidate_kind(c);
	while (i < t->layouts && (t->layout[i].out != c->out || t->layout[i].kind != kind))
		i++;
	if (t->kind[kind] >= MAX_CHECKS || i == MAX_LAYOUTS ||
	    (i < t->layouts && t->layout[i].count >= most) ||
	    t->kept[c->likely_complete] >= HEL_MAX_STATES / 4)
		return false;
	if (i == t->layouts) {
		t->layout[i].out = c->out;
		t->layout[i].kind = (uint16_t)kind;
		t->layout[i].count = 0;
		t->layouts++;
	}
	t->layout[i].count++;
	t->kind[kind]++;
	return true;
}

/* Whether the result of the last stage holds several sums with errors of their own, by which a
 * client can tell that values outgrew the modulus (bounds.c). */
static bool tells_overflow(const planner *p, const candidate *c)
{
	return (1u << popcount((c->folds & all_bits(p)) | c->diagonals)) * INDEPENDENT_SUMS <=
	       1u << p->log_slots;
}

/* One after the other. last: of the last stage, only those that tell overflows. */
static hel_status check_all(planner *p, const candidates *f, size_t stage, bool last)
{
	hel_status st = HEL_OK;
	tries t = {.layouts = 0};
	for (size_t i = 0; i < f->count; i++) {
		const candidate *c = &f->at[i];
		hel_verdict v;
		bool kept;
		if (p->count[stage] == most_states(p, stage) ||
		    (t.kept[true] && c->value > TOO_DEAR * f->at[0].value))
			break;
		if (last && !tells_overflow(p, c))
			continue;
		if (!worth_trying(&t, c) && p->count[stage])
			continue;
		TRY(check_one(&kept, &v, p, stage, c));
		if (kept && stage + 1 == p->s->count && p->count[stage] == 2)
			break; /* the best, and the runner-up */
		t.kept[v.complete] += kept;
	}
done:
	return st;
}

hel_status hel_check_candidates(planner *p, candidates *found, size_t stage)
{
	hel_status st = HEL_OK;
	const bool last = stage + 1 == p->s->count;
	if (found->count)
		qsort(found->at, found->count, sizeof *found->at, cheaper);
	TRY(check_all(p, found, stage, last));
	if (!p->count[stage])
		TRY(check_all(p, found, stage, false));
done:
	return st;
}
