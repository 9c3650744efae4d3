/* Packing by dynamic programming: a state is the layout one stage ends in. */
#include "plan.h"
#include "check.h"
#include "pairs.h"
#include <string.h>

#define MOST_BESIDE 8 /* of several sources, or where nothing else is right */

/* A sum without weights adds garbage, too: only complete layouts may enter. */
static void drop_incomplete(planner *p, size_t stage)
{
	state *states = p->states + stage * HEL_MAX_STATES;
	size_t kept = 0;
	for (size_t i = 0; i < p->count[stage]; i++) {
		if (!states[i].complete) {
			hel_packing_clear(&states[i].packing);
			continue;
		}
		state moved = states[i];
		memset(&states[i], 0, sizeof states[i]);
		moved.chosen[stage] = (int16_t)kept;
		states[kept++] = moved;
	}
	p->count[stage] = kept;
}

/* What the chosen state and the best other one come to. */
static hel_plan_note note_of(const planner *p, size_t stage, int chosen)
{
	const state *x = state_at(p, (int)stage, chosen), *other = NULL;
	hel_plan_note note = {.value = x->own, .up_to_here = x->value};
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

/* Moves the packings of all states that the last one stands on. */
static void follow(hel_plan *plan, planner *p)
{
	const int16_t *chosen = state_at(p, (int)plan->count - 1, 0)->chosen;
	for (size_t i = 0; i < plan->count; i++) {
		state *x = state_at(p, (int)i, chosen[i]);
		plan->note[i] = note_of(p, i, chosen[i]);
		plan->packing[i] = x->packing;
		memset(&x->packing, 0, sizeof x->packing);
		for (size_t k = 0; k < p->ways; k++)
			if (p->blocks[k] == plan->packing[i].blocks)
				p->blocks[k] = NULL; /* the plan's from here on */
	}
}

static hel_status plan_stage(planner *p, candidates *found, size_t i)
{
	hel_status st = HEL_OK;
	const hel_stage *s = &p->s->stage[i];
	const hel_stage_source *from[HEL_MAX_PARENTS];
	if (s->rows > (size_t)1 << p->log_slots)
		FAIL(HEL_EUNSUPPORTED,
		     "layer %s has %zu outputs, a ciphertext of N = 2^%u %u slots", s->name,
		     s->rows, p->params->spec.log_n, 1u << p->log_slots);
	if (s->map == HEL_MAP_ONES)
		drop_incomplete(p, i - 1);
	if (s->map >= HEL_MAP_PLACE)
		TRY(hel_pairs_plan(p, i));
	p->beside = hel_stage_computed(s, from) > 2 ? MOST_BESIDE : HEL_BESIDE;
	for (; s->map < HEL_MAP_PLACE && !p->count[i] && p->beside <= MOST_BESIDE;
	     p->beside += MOST_BESIDE - HEL_BESIDE) {
		TRY(hel_candidates_find(found, p, i));
		TRY(hel_check_candidates(p, found, i));
	}
	if (!p->count[i])
		FAIL(HEL_EUNSUPPORTED, "layer %s finds no packing at N = 2^%u", s->name,
		     p->params->spec.log_n);
done:
	return st;
}

/* Forgets all states. */
static void clear_states(planner *p)
{
	for (size_t i = 0; p->states && i < p->s->count * HEL_MAX_STATES; i++)
		hel_packing_clear(&p->states[i].packing);
	for (size_t i = 0; p->count && i < p->s->count; i++)
		p->count[i] = 0;
	for (size_t i = 0; i < p->ways; i++)
		hel_blocks_free(p->blocks[i]);
	p->ways = 0;
}

static hel_status planner_init(planner *p)
{
	hel_status st = HEL_OK;
	const size_t count = p->s->count;
	TRY_ALLOC(p->states, hel_alloc(count * HEL_MAX_STATES, sizeof *p->states));
	TRY_ALLOC(p->chosen, hel_alloc(count * count * HEL_MAX_STATES, sizeof *p->chosen));
	TRY_ALLOC(p->count, hel_alloc(count, sizeof *p->count));
	TRY_ALLOC(p->readers, hel_alloc(count, sizeof *p->readers));
	TRY_ALLOC(p->scratch, hel_alloc((size_t)1 << p->log_slots, sizeof *p->scratch));
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < p->s->stage[i].sources; k++)
			if (p->s->stage[i].source[k].stage >= 0)
				p->readers[p->s->stage[i].source[k].stage]++;
done:
	return st;
}

static void planner_clear(planner *p)
{
	clear_states(p);
	hel_free(p->blocks);
	hel_free(p->states);
	hel_free(p->chosen);
	hel_free(p->count);
	hel_free(p->readers);
	hel_free(p->scratch);
}

/* All stages. Where readers of one stage find no state of it that all can read, it is to have only
 * one. */
static hel_status plan_all(planner *p)
{
	hel_status st = HEL_OK;
	candidates found = {0};
	bool shared = false;
	for (size_t i = 0; i < p->s->count; i++)
		shared |= p->readers[i] > 1;
	p->shared_states = HEL_SHARED_STATES;
	for (;;) {
		for (size_t i = 0; st == HEL_OK && i < p->s->count; i++)
			st = plan_stage(p, &found, i);
		if (st != HEL_EUNSUPPORTED || !shared || p->shared_states == 1)
			break;
		clear_states(p);
		p->shared_states = 1;
		st = HEL_OK;
	}
	hel_candidates_clear(&found);
	return st;
}

hel_status hel_plan_new(hel_plan **out, const hel_stages *s, const hel_params *params,
			unsigned log_batch, const hel_objective *objective,
			const hel_cost_model *machine, hel_verdicts *verdicts)
{
	hel_status st = HEL_OK;
	hel_plan *plan = NULL;
	planner p = {.price = hel_pricing_of(s, params, objective, machine),
		     .s = s,
		     .params = params,
		     .verdicts = verdicts,
		     .log_slots = params->spec.log_n - 1u - log_batch};
	if (log_batch + HEL_MIN_LOG_SLOTS + 1 > params->spec.log_n)
		FAIL(HEL_EUNSUPPORTED, "2^%u records do not fit the slots of N = 2^%u", log_batch,
		     params->spec.log_n);
	if (hel_stages_levels(s) > params->spec.levels)
		FAIL(HEL_ELEVEL, "%u levels needed, %u given", hel_stages_levels(s),
		     params->spec.levels);
	TRY(planner_init(&p));
	TRY_ALLOC(plan, hel_alloc(1, sizeof *plan));
	plan->count = s->count;
	plan->log_batch = log_batch;
	TRY_ALLOC(plan->packing, hel_alloc(s->count, sizeof *plan->packing));
	TRY_ALLOC(plan->note, hel_alloc(s->count, sizeof *plan->note));
	TRY(plan_all(&p));
	const state *best = state_at(&p, (int)s->count - 1, 0); /* the cheapest came first */
	plan->value = best->value;
	plan->inputs = best->inputs;
	follow(plan, &p);
	TRY(hel_price_polynomials(&plan->value, &p.price));
	*out = plan;
	plan = NULL;
done:
	planner_clear(&p);
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
		hel_packing_clear(&plan->packing[i]);
	}
	hel_free(plan->packing);
	hel_free(plan->note);
	hel_free(plan);
}
