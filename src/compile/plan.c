/* Packing by dynamic programming: a state is the layout one stage ends in. */
#include "compile.h"
#include <math.h>
#include <string.h>

#define MAX_STATES 24  /* kept per stage */
#define MAX_CHUNKS 512 /* fresh ciphertexts per source */
/* What one more limb of a fresh ciphertext costs: unpacking, checking, expanding its seed, and
 * the client's upload, which is the scarcer good. Per coefficient. */
#define INPUT_SECONDS (0.25e-3 / 8192)

static unsigned bits_for(size_t count)
{
	unsigned bits = 0;
	while ((size_t)1 << bits < count)
		bits++;
	return bits;
}

static unsigned popcount(uint32_t mask)
{
	return (unsigned)__builtin_popcount(mask);
}

/* The lowest, or highest, `count` bits of a mask. */
static uint32_t lowest(uint32_t mask, unsigned count)
{
	uint32_t r = 0;
	for (; count && mask; count--) {
		uint32_t bit = mask & -mask;
		r |= bit;
		mask ^= bit;
	}
	return r;
}

static uint32_t highest(uint32_t mask, unsigned count)
{
	return mask ^ lowest(mask, popcount(mask) - HEL_MIN(count, popcount(mask)));
}

static hel_layout layout_of(uint32_t mask, unsigned log_slots, size_t width)
{
	hel_layout l = {.log_slots = (uint8_t)log_slots, .width = (uint32_t)width};
	for (uint8_t b = 0; b < log_slots; b++)
		if (mask >> b & 1)
			l.position[l.bits++] = b;
	return l;
}

static uint32_t layout_mask(const hel_layout *l)
{
	uint32_t mask = 0;
	for (unsigned j = 0; j < l->bits; j++)
		mask |= 1u << l->position[j];
	return mask;
}

/* One way to pack a stage, before it is checked. */
typedef struct candidate {
	uint32_t folds, diagonals, out; /* slot bits; diagonals of the main source */
	uint32_t extra;			/* diagonal bits of fresh sources beside a computed one */
	double seconds;
	uint32_t baby_bits;
	unsigned fold_radix;
} candidate;

typedef struct state {
	double seconds;
	size_t inputs;
	int parent;    /* in the previous stage's states */
	bool complete; /* no slot of the result holds garbage */
	hel_packing packing;
} state;

typedef struct planner {
	const hel_stages *s;
	const hel_params *params;
	unsigned log_slots;
	state *states; /* [stage][MAX_STATES] */
	size_t *count; /* per stage */
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

static const hel_stage_source *computed_source(const hel_stage *s)
{
	for (size_t k = 0; k < s->sources; k++)
		if (s->source[k].stage >= 0)
			return &s->source[k];
	return NULL;
}

/* How many ciphertexts a fresh source takes with `bits` index bits each. */
static size_t chunks_for(size_t width, unsigned bits)
{
	return (width + ((size_t)1 << bits) - 1) >> bits;
}

static size_t fresh_count(const hel_stage *s, uint32_t mask)
{
	size_t n = 0;
	for (size_t k = 0; k < s->sources; k++)
		if (s->source[k].stage < 0)
			n += chunks_for(s->source[k].width, popcount(mask));
	return n;
}

/* The diagonal bits of a candidate's fresh sources, and how many ciphertexts they take. */
static uint32_t fresh_diagonals(const hel_stage *s, const candidate *c)
{
	return computed_source(s) ? c->extra : c->diagonals;
}

static size_t fresh_inputs(const hel_stage *s, const candidate *c)
{
	return fresh_count(s, c->folds | fresh_diagonals(s, c));
}

/* Fills in the cheapest baby/giant split, the fold radix and the time. */
static void price(candidate *c, const planner *p, const hel_stage *s, unsigned level)
{
	const hel_params *params = p->params;
	const size_t limbs = params->limbs[level];
	const hel_cost decompose = hel_cost_decompose(&params->spec, limbs);
	const hel_cost product = hel_cost_product(&params->spec, limbs);
	const hel_cost finish = hel_cost_finish(&params->spec, limbs);
	const size_t fresh = fresh_inputs(s, c);
	const size_t main = computed_source(s) ? 1 : fresh;
	const unsigned a = popcount(c->diagonals);
	double best = INFINITY;
	for (unsigned b1 = 0; b1 <= a && !s->plain_sum; b1++) {
		const double babies = exp2(b1) - 1, giants = exp2(a - b1) - 1;
		hel_cost cost = {0};
		if (b1)
			hel_cost_add(&cost, decompose, (double)main);
		hel_cost_add(&cost, product, babies * (double)main + giants);
		hel_cost_add(&cost, finish, babies * (double)main + (giants > 0));
		hel_cost_add(&cost, decompose, giants);
		double seconds = hel_cost_seconds(&params->spec, cost);
		if (seconds < best) {
			best = seconds;
			c->baby_bits = lowest(c->diagonals, b1);
		}
	}
	hel_cost rest = {0};
	double terms = (double)main * exp2(a);
	if (computed_source(s) && fresh) {
		const double babies = exp2(popcount(c->extra)) - 1;
		hel_cost_add(&rest, decompose, babies > 0 ? (double)fresh : 0);
		hel_cost_add(&rest, product, babies * (double)fresh);
		hel_cost_add(&rest, finish, babies * (double)fresh);
		terms += (double)fresh * (babies + 1);
	}
	rest.products += terms * 1.2 * (double)limbs;
	double fold_best = 0;
	const unsigned f = popcount(c->folds);
	for (unsigned radix = 1; radix <= 2; radix++) {
		hel_cost cost = {0};
		for (unsigned done = 0; done < f; done += radix) {
			hel_cost_add(&cost, decompose, 1);
			hel_cost_add(&cost, product, exp2(HEL_MIN(radix, f - done)) - 1);
			hel_cost_add(&cost, finish, 1);
		}
		double seconds = hel_cost_seconds(&params->spec, cost);
		if (radix == 1 || seconds < fold_best) {
			fold_best = seconds;
			c->fold_radix = radix;
		}
	}
	c->seconds = (s->plain_sum ? 0 : best + hel_cost_seconds(&params->spec, rest)) + fold_best +
		     INPUT_SECONDS * (double)(fresh * limbs * params->ring.n);
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

/* Builds the candidate's transform and measures where it is right. before: the computed source. */
static hel_status try_candidate(hel_packing *k, const planner *p, size_t stage, const candidate *c,
				const hel_packing *before)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	const size_t slots = (size_t)1 << p->log_slots;
	hel_linear_source *source = NULL;
	int32_t *maps = NULL;
	memset(k, 0, sizeof *k);
	const size_t sources = fresh_inputs(s, c) + 1;
	TRY_ALLOC(k->source, hel_alloc(sources, sizeof *k->source));
	TRY_ALLOC(k->result, hel_alloc(slots, sizeof *k->result));
	TRY_ALLOC(source, hel_alloc(sources, sizeof *source));
	k->out = layout_of(c->out, p->log_slots, s->rows);
	k->folds = c->folds;
	k->baby_bits = c->baby_bits;
	k->giant_bits = c->diagonals & ~c->baby_bits;
	k->fold_radix = c->fold_radix;
	for (size_t i = 0; i < s->sources; i++)
		if (s->source[i].stage >= 0)
			k->source[k->sources++] = (hel_packed_source){
			    .source = i, .diagonals = c->diagonals, .giants = true};
		else
			add_fresh(k, p, s, i, c->folds | fresh_diagonals(s, c),
				  fresh_diagonals(s, c), !computed_source(s));

	TRY_ALLOC(maps, hel_alloc((k->sources + 1) * slots, sizeof *maps));
	int32_t *target = maps + k->sources * slots;
	const hel_linear t = {.slots = slots,
			      .rows = s->rows,
			      .sources = k->sources,
			      .source = source,
			      .folds = c->folds,
			      .target = target};
	for (size_t q = 0; q < slots; q++)
		target[q] = hel_layout_at(&k->out, q);
	for (size_t i = 0; i < k->sources; i++) {
		const hel_packed_source *from = &k->source[i];
		int32_t *map = maps + i * slots;
		for (size_t q = 0; q < slots; q++)
			map[q] = from->fresh ? hel_layout_at(&from->layout, q) : before->result[q];
		source[i] = (hel_linear_source){
		    .map = map,
		    .width = from->fresh ? from->layout.width : s->source[from->source].width,
		    .diagonals = from->diagonals,
		};
	}
	TRY(hel_linear_check(k->result, &t));
	for (size_t q = 0; s->polynomial && q < slots; q++)
		if (k->result[q] == HEL_SLOT_ZERO) /* p(0) is not */
			k->result[q] = HEL_SLOT_ANY;
done:
	hel_free(source);
	hel_free(maps);
	if (st != HEL_OK)
		packing_clear(k);
	return st;
}

/* All outputs somewhere; the last stage: its one output everywhere, so that no slot of the result
 * holds anything else. */
static bool acceptable(const planner *p, size_t stage, const hel_packing *k, bool *complete)
{
	const size_t slots = (size_t)1 << p->log_slots, rows = p->s->stage[stage].rows;
	uint8_t *seen = (uint8_t *)p->scratch;
	size_t found = 0;
	memset(seen, 0, rows);
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
	return found == rows && (everywhere || stage + 1 < p->s->count);
}

/* Keeps a packing when it is among the cheapest of its class and the cheapest with its result.
 * Complete layouts (right in every slot) have places of their own: sums need them. */
static void keep(planner *p, size_t stage, hel_packing *k, bool complete, double seconds,
		 size_t inputs, int parent)
{
	state *states = p->states + stage * MAX_STATES, *slot = NULL, *worst = NULL;
	const size_t bytes = sizeof(int32_t) << p->log_slots;
	size_t rivals = 0;
	for (size_t i = 0; i < p->count[stage]; i++) {
		if (states[i].complete != complete)
			continue;
		rivals++;
		if (memcmp(states[i].packing.result, k->result, bytes) == 0)
			slot = &states[i];
		if (!worst || states[i].seconds > worst->seconds)
			worst = &states[i];
	}
	if (!slot && rivals < MAX_STATES / 2)
		slot = &states[p->count[stage]++];
	else {
		if (!slot)
			slot = worst;
		if (slot->seconds <= seconds) {
			packing_clear(k);
			return;
		}
		packing_clear(&slot->packing);
	}
	*slot = (state){.seconds = seconds,
			.inputs = inputs,
			.parent = parent,
			.complete = complete,
			.packing = *k};
	memset(k, 0, sizeof *k);
}

static hel_status consider(planner *p, size_t stage, candidate *c, int parent)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	const state *before = parent >= 0 ? p->states + (stage - 1) * MAX_STATES + parent : NULL;
	hel_packing k;
	bool complete;
	TRY(try_candidate(&k, p, stage, c, before ? &before->packing : NULL));
	if (acceptable(p, stage, &k, &complete))
		keep(p, stage, &k, complete, c->seconds + (before ? before->seconds : 0),
		     fresh_inputs(s, c) + (before ? before->inputs : 0), parent);
	else
		packing_clear(&k);
done:
	return st;
}

/* Three ways to place the outputs among the slot bits that are not summed over. */
static hel_status place_outputs(planner *p, size_t stage, candidate c, unsigned level, int parent)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	const unsigned j = bits_for(s->rows);
	const uint32_t open = all_bits(p) & ~c.folds;
	/* the bit above a run of folds absorbs their carry */
	const uint32_t guarded = open & ~(c.folds << 1);
	const uint32_t choices[] = {lowest(open, j), highest(open, j), highest(guarded, j)};
	price(&c, p, s, level);
	for (size_t i = 0; i < HEL_ARRAY_LEN(choices); i++) {
		bool again = false;
		for (size_t k = 0; k < i; k++)
			again |= choices[k] == choices[i];
		c.out = choices[i];
		if (!again && popcount(c.out) == j)
			TRY(consider(p, stage, &c, parent));
	}
done:
	return st;
}

/* A stage that starts from the client's ciphertexts alone: their layout is free. Elements stand at
 * the top slot bits, so that folds run around the whole vector and end right in every slot. */
static hel_status plan_fresh(planner *p, size_t stage, unsigned level)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	const unsigned j = bits_for(s->rows), c = p->log_slots;
	size_t widest = 1;
	for (size_t k = 0; k < s->sources; k++)
		widest = HEL_MAX(widest, s->source[k].width);
	const unsigned most = HEL_MIN(bits_for(widest), c);
	for (unsigned bits = 0; bits <= most; bits++) {
		if (fresh_count(s, (1u << bits) - 1) > MAX_CHUNKS)
			continue;
		const uint32_t field = highest(all_bits(p), bits);
		const unsigned least = bits + j > c ? bits + j - c : 0;
		for (unsigned a = least; a <= bits; a++) {
			candidate k = {.diagonals = lowest(field, a)};
			k.folds = field & ~k.diagonals;
			TRY(place_outputs(p, stage, k, level, -1));
		}
	}
done:
	return st;
}

/* Diagonal bits that give fresh sources room beside the folds: right below them. */
static uint32_t extra_bits(const planner *p, const hel_stage *s, uint32_t folds)
{
	uint32_t extra = 0;
	while (fresh_count(s, folds | extra) > 8) {
		uint32_t next = folds | extra ? (((folds | extra) & -(folds | extra)) >> 1) : 1;
		if (!folds)
			next = extra + 1;
		if (!next || next > all_bits(p))
			break;
		extra |= next;
	}
	return extra;
}

static hel_status plan_computed(planner *p, size_t stage, unsigned level)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[stage];
	for (int parent = 0; parent < (int)p->count[stage - 1]; parent++) {
		const state *before = p->states + (stage - 1) * MAX_STATES + parent;
		const uint32_t field = layout_mask(&before->packing.out);
		const unsigned k = popcount(field);
		for (unsigned a = 0; a <= k; a++)
			for (int low = 0; low < (a > 0 && a < k ? 2 : 1); low++) {
				candidate c = {.diagonals =
						   low ? highest(field, a) : lowest(field, a)};
				c.folds = field & ~c.diagonals;
				if (s->plain_sum && a)
					continue;
				if (s->sources > 1)
					c.extra = extra_bits(p, s, c.folds);
				TRY(place_outputs(p, stage, c, level, parent));
			}
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

/* Polynomials cost the same in every packing. top: the first stage's level. */
static hel_status polynomial_seconds(double *seconds, const planner *p, unsigned level)
{
	hel_status st = HEL_OK;
	const hel_params_spec *spec = &p->params->spec;
	for (size_t i = 0; i < p->s->count; i++) {
		const hel_stage *s = &p->s->stage[i];
		hel_schedule *schedule = NULL;
		if (s->polynomial) {
			const hel_polynomial poly = hel_stage_polynomial(s);
			TRY(hel_schedule_new(&schedule, &poly));
		}
		for (size_t k = 0; schedule && k < schedule->count; k++) {
			const unsigned at = level - 1 - schedule->step[k].depth;
			hel_cost cost = {0};
			if (schedule->step[k].product) {
				hel_cost_add(&cost, hel_cost_decompose(spec, at + 2), 1);
				hel_cost_add(&cost, hel_cost_product(spec, at + 2), 1);
				hel_cost_add(&cost, hel_cost_finish(spec, at + 2), 1);
			} else
				hel_cost_add(&cost, hel_cost_rescale(spec, at), 1);
			*seconds += hel_cost_seconds(spec, cost);
		}
		hel_schedule_free(schedule);
		level -= hel_stage_levels(s);
	}
done:
	return st;
}

static void follow(hel_plan *plan, planner *p, size_t best)
{
	plan->seconds = p->states[(p->s->count - 1) * MAX_STATES + best].seconds;
	plan->inputs = p->states[(p->s->count - 1) * MAX_STATES + best].inputs;
	for (size_t stage = p->s->count; stage-- > 0;) {
		state *x = p->states + stage * MAX_STATES + best;
		plan->packing[stage] = x->packing;
		memset(&x->packing, 0, sizeof x->packing);
		best = (size_t)HEL_MAX(x->parent, 0);
	}
}

hel_status hel_plan_new(hel_plan **out, const hel_stages *s, const hel_params *params,
			unsigned log_batch)
{
	hel_status st = HEL_OK;
	hel_plan *plan = NULL;
	planner p = {.s = s, .params = params, .log_slots = params->spec.log_n - 1u - log_batch};
	unsigned level = hel_stages_levels(s);
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
	if (level > params->spec.levels)
		FAIL(HEL_ELEVEL, "%u levels needed, %u given", level, params->spec.levels);
	for (size_t i = 0; i < s->count; i++) {
		if (s->stage[i].rows > (size_t)1 << p.log_slots)
			FAIL(HEL_EUNSUPPORTED,
			     "layer %s has %zu outputs, a record in a ciphertext of N = 2^%u %u "
			     "slots",
			     s->stage[i].name, s->stage[i].rows, params->spec.log_n,
			     1u << p.log_slots);
		if (s->stage[i].plain_sum)
			drop_incomplete(&p, i - 1);
		/* a sum runs on the product of the square before it, one level higher */
		TRY(computed_source(&s->stage[i])
			? plan_computed(&p, i, level + s->stage[i].plain_sum)
			: plan_fresh(&p, i, level));
		if (!p.count[i])
			FAIL(HEL_EUNSUPPORTED, "layer %s finds no packing at N = 2^%u",
			     s->stage[i].name, params->spec.log_n);
		level -= hel_stage_levels(&s->stage[i]);
	}
	const state *last = p.states + (s->count - 1) * MAX_STATES;
	size_t best = 0;
	for (size_t i = 1; i < p.count[s->count - 1]; i++)
		if (last[i].seconds < last[best].seconds)
			best = i;
	follow(plan, &p, best);
	TRY(polynomial_seconds(&plan->seconds, &p, hel_stages_levels(s)));
	*out = plan;
	plan = NULL;
done:
	for (size_t i = 0; p.states && i < s->count * MAX_STATES; i++)
		packing_clear(&p.states[i].packing);
	hel_free(p.states);
	hel_free(p.count);
	hel_free(p.scratch);
	hel_plan_free(plan);
	return st;
}

void hel_plan_free(hel_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; plan->packing && i < plan->count; i++)
		packing_clear(&plan->packing[i]);
	hel_free(plan->packing);
	hel_free(plan);
}
