/* Rings from small to large, ways to write the model, codings of its tables: what is planned, and
 * the best of it. */
#include "search.h"
#include "circuit/refresh.h"
#include "features/coding.h"
#include "refreshed.h"
#include "vm/digit_size.h"
#include <math.h>
#include <stdatomic.h>
#include <string.h>

void hel_choice_clear(choice *c)
{
	hel_plan_free(c->plan);
	hel_params_free(c->params);
	hel_stages_free(c->stages);
	memset(c, 0, sizeof *c);
}

/* Otherwise another way is the same. */
static bool uses_all(const hel_stages *s)
{
	return (!s->way.monomials || s->used.monomials) && (!s->way.fuse || s->used.fuse) &&
	       (!s->way.sum || s->used.sum);
}

/* As many levels as the stages take; *out stays NULL where that is too many. */
static hel_status level_params(hel_params **out, const search_options *o, unsigned log_n,
			       hel_stages *s)
{
	const unsigned levels = hel_stages_levels(s);
	const hel_params_spec chain = {.log_n = (uint8_t)log_n,
				       .levels = (uint8_t)levels,
				       .primes_per_level = 1,
				       /* of items, where scores of one prime are precise enough */
				       .base = o->turn && o->scale_bits <= 28,
				       .scale_bits = (uint8_t)o->scale_bits};
	return levels > HEL_MAX_LEVELS ? HEL_OK
				       : hel_choose_digits(out, &chain, o->precise, o->machine);
}

/* Those of a refresh that leaves as many levels as are needed after one. */
static hel_status refresh_params(hel_params **out, const search_options *o, unsigned log_n,
				 hel_stages *s)
{
	hel_status st = HEL_OK;
	hel_params_spec spec;
	const unsigned levels = HEL_MAX(hel_refreshed_level(s), (unsigned)HEL_REFRESH_LEVELS_MIN);
	if (log_n != HEL_REFRESH_LOG_N || o->log_batch || levels > HEL_REFRESH_LEVELS_MAX)
		goto done;
	TRY(hel_refresh_params(&spec, log_n, levels));
	if (hel_stages_levels(s) > spec.levels)
		goto done;
	TRY(hel_params_new(out, &spec));
	hel_refreshed_use(s, *out);
done:
	return st;
}

/* One ring and one way to write the model; no plan where it does not fit. */
static hel_status try_way(choice *out, const search_options *o, unsigned log_n, hel_way way)
{
	hel_status st = HEL_OK;
	choice c = {.way = way};
	st = hel_stages_new(&c.stages, o->model, way);
	if (st == HEL_ELIMIT && way.fuse) { /* it would never be the cheapest */
		st = HEL_OK;
		goto done;
	}
	TRY(st);
	if (!uses_all(c.stages))
		goto done;
	TRY((c.stages->log_refreshed ? refresh_params : level_params)(&c.params, o, log_n,
								      c.stages));
	if (!c.params)
		goto done;
	st = hel_plan_new(&c.plan, c.stages, c.params, o->log_batch, &o->objective, o->machine,
			  o->verdicts);
	if (st == HEL_EUNSUPPORTED) {
		st = HEL_OK;
		goto done;
	}
	TRY(st);
	*out = c;
	c = (choice){0};
done:
	hel_choice_clear(&c);
	return st;
}

/* Upload is worth looking at other codings from this share of a plan's value on. */
#define UPLOAD_SHARE 0.3

/* Ways for tables' entries to travel: one-hot, and those that take fewer ciphertexts. */
static const struct {
	bool grid;
	uint32_t powers;
} travels[] = {{false, 0},  {true, 0},	{false, 8},  {true, 8},
	       {false, 24}, {true, 24}, {false, 64}, {true, 64}};

#define EXACT_WAYS 8u	/* for each of them */
#define EXACT_SHARE 0.3 /* of a ring's time, where the others are tried */
#define WAYS (EXACT_WAYS * HEL_ARRAY_LEN(travels))

typedef struct ways_job {
	const search_options *options;
	unsigned log_n;
	size_t first, count; /* ways */
	atomic_size_t tried;
	choice choice[WAYS];
} ways_job;

bool hel_coding_is_wanted(const hel_coding *coding, size_t tables)
{
	for (size_t i = 0; coding && i < tables; i++)
		if (coding[i] != HEL_CODINGS && coding[i] != HEL_CODING_ONE_HOT)
			return true;
	return false;
}

/* Whether one way for entries to travel may differ from those before it: it has more tables by
 * powers, and some that GRID may carry. */
static bool differs(const ways_job *j, size_t way)
{
	const hel_schema *s = j->options->model->schema;
	const uint32_t most = travels[way].powers, before = way < 2 ? 0 : travels[way - 2].powers;
	bool more = !most, grid = !travels[way].grid;
	for (size_t i = 0; i < s->table_count; i++) {
		const uint32_t order = hel_table_order(&s->table[i]);
		const bool open = !s->table[i].bag.limit &&
				  (!j->options->coding || j->options->coding[i] == HEL_CODINGS);
		more |= open && order <= most && order > before;
		grid |= open && s->table[i].digits == 1;
	}
	return more && grid;
}

static hel_status plan_way(ways_job *j, size_t i)
{
	const size_t tables = j->options->model->schema->table_count;
	const hel_way way = {.monomials = i & 1,
			     .fuse = !(i & 2),
			     .sum = !(i & 4),
			     .grid = travels[i / EXACT_WAYS].grid,
			     .powers = travels[i / EXACT_WAYS].powers,
			     .coding = j->options->coding,
			     .unit = j->options->unit,
			     .turn = j->options->turn};
	const bool coded = i >= EXACT_WAYS || hel_coding_is_wanted(j->options->coding, tables);
	if ((way.monomials && j->options->no_monomials) || !differs(j, i / EXACT_WAYS) ||
	    !hel_way_differs(j->options->model, way) ||
	    (way.fuse && (j->options->no_fusion || coded)))
		return HEL_OK;
	return try_way(&j->choice[i], j->options, j->log_n, way);
}

static hel_status plan_next(void *arg, size_t number)
{
	ways_job *j = arg;
	hel_status st = hel_progress_check(j->options->progress);
	if (st == HEL_OK)
		st = plan_way(j, j->first + number);
	hel_progress_step(j->options->progress,
			  (double)(atomic_fetch_add(&j->tried, 1) + 1) / (double)j->count);
	return st;
}

/* Plans some of the ways, as a part of all work on a ring. */
static hel_status plan_ways(ways_job *j, size_t first, size_t count, double from, double to)
{
	j->first = first;
	j->count = count;
	j->tried = 0;
	hel_progress *progress = j->options->progress;
	const hel_progress_span ring = hel_progress_within(progress, from, to);
	const hel_status st = hel_pool_try(j->options->pool, count, plan_next, j);
	hel_progress_leave(progress, ring);
	return st;
}

/* What an upload is worth as a share of the best plan; all of it when there is none. */
static double upload_share(const choice *best, const hel_objective *objective)
{
	if (!best->plan)
		return 1;
	const hel_params *p = best->params;
	const double bytes = (double)best->plan->inputs * (double)p->limbs[p->spec.levels] *
			     (double)hel_packed_size(p->ring.n, HEL_PRIME_BITS);
	return best->plan->inputs > 1 ? bytes * objective->query_byte / best->plan->value : 0;
}

/* Takes over what is better than the best. */
static bool keep_best(search *found, ways_job *j)
{
	const double floor = j->options->floor;
	choice *best = &found->best;
	bool fits = false;
	for (size_t i = 0; i < WAYS; i++) {
		choice *c = &j->choice[i];
		if (c->plan) {
			fits = true;
			if (found->count < HEL_MAX_ALTERNATIVES)
				found->seen[found->count++] = (hel_alternative){
				    c->way, c->params->spec, c->plan->value, c->plan->inputs};
		}
		if (c->plan && c->plan->value > floor &&
		    (!best->plan || c->plan->value < best->plan->value)) {
			hel_choice_clear(best);
			*best = *c;
			*c = (choice){0};
		}
		hel_choice_clear(c);
	}
	return fits;
}

/* Tries one ring and all ways to write the model; replaces *best when one is better. */
static hel_status try_ring(search *found, const search_options *o, unsigned log_n, bool *fits)
{
	hel_status st = HEL_OK;
	ways_job *j = NULL;
	TRY_ALLOC(j, hel_alloc(1, sizeof *j));
	*j = (ways_job){.options = o, .log_n = log_n};
	TRY(plan_ways(j, 0, EXACT_WAYS, 0, EXACT_SHARE));
	*fits = keep_best(found, j);
	if (o->model->schema->table_count && !o->one_hot &&
	    upload_share(&found->best, &o->objective) > UPLOAD_SHARE) {
		TRY(plan_ways(j, EXACT_WAYS, WAYS - EXACT_WAYS, EXACT_SHARE, 1));
		*fits |= keep_best(found, j);
	}
done:
	for (size_t i = 0; j && i < WAYS; i++)
		hel_choice_clear(&j->choice[i]);
	hel_free(j);
	return st;
}

#define FIRST_SHARE 0.35 /* of a search's time, for the smallest ring that fits */

hel_status hel_search(search *found, const search_options *o)
{
	hel_status st = HEL_OK;
	for (unsigned log_n = 12, rings = 0; log_n <= o->max_log_n && rings < 2; log_n++) {
		bool fits = false;
		/* rings that do not fit take no time, the last one twice that of the one before */
		const hel_progress_span all = hel_progress_within(
		    o->progress, rings ? FIRST_SHARE : 0, rings ? 1 : FIRST_SHARE);
		TRY(try_ring(found, o, log_n, &fits));
		if (fits)
			hel_progress_leave(o->progress, all);
		rings += fits; /* the smallest ring that fits, and the next in case it needs less */
	}
done:
	return st;
}
