#include "compile.h"
#include "bounds.h"
#include "codings.h"
#include "emit.h"
#include "features/coding.h"
#include "one_squaring.h"
#include "refreshed.h"
#include "scales.h"
#include "search.h"
#include "vm/encrypted.h"
#include <math.h>
#include <string.h>

/* Result coefficients that are sent: two for each score, the others prove that nothing else is
 * there. */
#define SAMPLES 256u
#define SAMPLES_PER_RECORD 8u /* at least */
#define MAX_ATTEMPTS 5	      /* to keep within limits */
#define WANTED_BITS 12.5

/* Why nothing fits, layer by layer. */
static hel_status explain(const search_options *o)
{
	const hel_dlrm *m = o->model;
	const unsigned log_batch = o->log_batch, max_log_n = o->max_log_n;
	hel_status st = HEL_OK;
	hel_stages *s = NULL;
	char text[320] = "";
	const char *widest = "";
	size_t rows = 0;
	hel_way way = {.monomials = true,
		       .fuse = !hel_coding_is_wanted(o->coding, m->schema->table_count),
		       .sum = true,
		       .coding = o->coding,
		       .turn = o->turn};
	st = hel_stages_new(&s, m, way);
	if (st == HEL_ELIMIT) {
		way.fuse = false;
		st = hel_stages_new(&s, m, way);
	}
	TRY(st);
	for (size_t i = 0; i < s->count; i++) {
		size_t n = strlen(text);
		snprintf(text + n, sizeof text - n, "%s%s %u", i ? ", " : "", s->stage[i].name,
			 hel_stage_levels(&s->stage[i]));
		if (s->stage[i].rows > rows) {
			rows = s->stage[i].rows;
			widest = s->stage[i].name;
		}
	}
	const size_t n = strlen(text);
	if (s->code_levels)
		snprintf(text + n, sizeof text - n, ", codes of tables %u", s->code_levels);
	const double room = hel_security_limit(max_log_n);
	char share[48] = "";
	if (log_batch)
		snprintf(share, sizeof share, " for each of %u records", 1u << log_batch);
	st = hel_fail(
	    HEL_EUNSUPPORTED,
	    "the model needs %u levels (%s) and %zu slots (layer %s); a ring of N = 2^%u holds "
	    "%.0f levels and %u slots%s: remove a layer, make it narrower, or allow a larger "
	    "ring%s",
	    hel_stages_levels(s), text, rows, widest, max_log_n,
	    fmax(0, floor(room / SHORT_SCALE_BITS) - 3), 1u << (max_log_n - 1 - log_batch), share,
	    log_batch ? " or a smaller batch" : "");
done:
	hel_stages_free(s);
	return st;
}

/* What a manifest says of the plan. */
static hel_status begin_manifest(hel_program *p, const choice *c, double spread,
				 const hel_compile_options *o)
{
	hel_status st = HEL_OK;
	hel_manifest *manifest = p->manifest;
	TRY_ALLOC(manifest->model, hel_strdup(o->name ? o->name : "model"));
	const hel_schema *schema = hel_plan_schema(c->plan, c->stages);
	TRY(hel_schema_to_json(&manifest->schema, schema));
	manifest->samples = HEL_MAX(SAMPLES, SAMPLES_PER_RECORD << manifest->log_batch);
	manifest->unit = c->way.unit;
	manifest->spread = spread;
done:
	return st;
}

/* And of the dry run. */
static hel_status fill_manifest(hel_program *p, hel_compile_report *r, const choice *c,
				const hel_precision *precision, const hel_compile_options *o)
{
	hel_status st = HEL_OK;
	hel_manifest *manifest = p->manifest;
	TRY(hel_dry_run(&r->shape, &manifest->measured, p, c->params, precision,
			hel_plan_schema(c->plan, c->stages), o->records, o->proved_only,
			o->progress));
	const double unit = manifest->unit, mean = sqrt(2 / M_PI) * unit; /* |error|, Gaussian */
	manifest->bits = log2(manifest->spread / (mean * r->shape.noise.score));
	manifest->bits_contributed = log2(manifest->spread / (mean * r->shape.noise.contributed));
	manifest->bits_model = manifest->bits;
	/* of a model whose logits are all 0, what errors leave */
	manifest->bound = fmax(r->shape.bound, 4 * r->shape.noise.contributed) * unit;
	manifest->largest = manifest->bound;
	manifest->bound *= manifest->measured ? hel_score_limits_of(c->params).margin : 1;
	manifest->keys = r->shape.keys;
	TRY_ALLOC(manifest->key, hel_alloc(manifest->keys, sizeof *manifest->key));
	memcpy(manifest->key, r->shape.key, manifest->keys * sizeof *manifest->key);
	r->log_qp = c->params->log_qp;
	r->log_qp_limit = hel_security_limit(c->params->spec.log_n);
	r->machine = hel_cost_model_for(o->machine, hel_cost_bytes(r->shape.cost));
	r->seconds = hel_cost_seconds(&r->machine, r->shape.cost);
done:
	return st;
}

const char *hel_goal_name(hel_goal goal)
{
	static const char *const name[] = {
#define X(goal, name) name,
	    HEL_GOAL_LIST(X)
#undef X
	};
	return name[goal];
}

/* An upload is the scarcer good; keys are sent once. The server's own work on an upload (unpacking,
 * checking, expanding its seed) is 2 ns a byte. */
static hel_objective objective_of(hel_goal goal)
{
	switch (goal) {
	case HEL_KEYS:
		return (hel_objective){1e-8, 8e-9, 1e-11};
	case HEL_QUERY:
		return (hel_objective){1e-10, 1e-6, 1e-11};
	case HEL_THROUGHPUT:
		return (hel_objective){0, 2e-9, 0};
	case HEL_LATENCY:
	case HEL_GOALS:
		break;
	}
	return (hel_objective){1e-10, 8e-9, 1e-11};
}

/* The program and what it shows of itself: bytes of keys, queries, weights and runs. */
static hel_status draft(hel_program **out, hel_compile_report *r, const choice *c)
{
	hel_status st = HEL_OK;
	hel_program *p = NULL;
	size_t weights, run;
	TRY(hel_emit(&p, c->stages, c->plan, c->params));
	hel_manifest *m = p->manifest;
	m->params = c->params->spec;
	m->degree = (uint8_t)c->stages->degree;
	m->log_batch = (uint8_t)c->plan->log_batch;
	bool fits = m->inputs <= HEL_MAX_INPUTS && p->ops <= HEL_MAX_OPS &&
		    p->vectors <= HEL_MAX_VECTORS && m->features <= HEL_MAX_FEATURES;
	for (uint32_t i = 0; i < p->ops; i++)
		fits &= p->op[i].terms <= HEL_MAX_TERMS_PER_OP && p->op[i].steps <= HEL_MAX_STEPS;
	if (!fits)
		FAIL(HEL_EUNSUPPORTED, "the program would exceed the limits of its file format");
	for (uint32_t i = 0; i < m->inputs; i++)
		r->query_bytes += c->params->limbs[m->input[i].level] *
				  hel_packed_size(c->params->ring.n, HEL_PRIME_BITS);
	TRY(hel_key_bytes(&r->key_bytes, p, c->params));
	TRY(hel_ckks_weight_bytes(&weights, p, c->params));
	TRY(hel_ckks_run_bytes(&run, p, c->params, 1));
	r->memory_bytes = weights + run;
	*out = p;
	p = NULL;
done:
	hel_program_free(p);
	return st;
}

static double wanted_bits(double asked)
{
	return asked > 0 ? asked : WANTED_BITS;
}

/* The program again, for other parameters. */
static hel_status draft_again(hel_program **p, hel_compile_report *report, const search *found,
			      const hel_compile_options *o)
{
	hel_status st = HEL_OK;
	hel_program_free(*p);
	*p = NULL;
	hel_compile_report_clear(report);
	TRY(draft(p, report, &found->best));
	TRY(begin_manifest(*p, &found->best, found->spread, o));
done:
	return st;
}

/* The dry run, with scales and digits for the bits that are wanted; where those exceed a limit, or
 * values do not fit them, with what was planned. */
static hel_status run_scaled(hel_program **p, hel_compile_report *report, search *found,
			     const hel_precision *precision, const hel_compile_options *o)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = (*p)->manifest;
	const hel_params_spec planned = found->best.params->spec;
	bool scaled;
	TRY(hel_choose_scales(&scaled, &found->best, *p, precision,
			      wanted_bits(o->bits) - HEL_BITS_SHORT, m->spread / m->unit,
			      o->max_key_bytes, o->digits_rank, o->machine));
	if (scaled)
		TRY(draft_again(p, report, found, o));
	st = o->max_memory_bytes && report->memory_bytes > o->max_memory_bytes
		 ? HEL_ERANGE
		 : fill_manifest(*p, report, &found->best, precision, o);
	if (st != HEL_ERANGE || !scaled)
		goto done;
	hel_params_free(found->best.params);
	found->best.params = NULL;
	TRY(hel_params_new(&found->best.params, &planned));
	TRY(draft_again(p, report, found, o));
	TRY(fill_manifest(*p, report, &found->best, precision, o));
done:
	return st;
}

/* What a dry run adds: bounds, precision; and the plan in words. */
static hel_status finish(hel_program **p, hel_compile_report *report, search *found,
			 const hel_dlrm *m, const hel_compile_options *options)
{
	hel_status st = HEL_OK;
	const choice *c = &found->best;
	hel_precision precision = {NULL};
	TRY(begin_manifest(*p, c, found->spread, options));
	TRY(hel_precision_new(&precision, *p, m, hel_plan_schema(c->plan, c->stages),
			      options->records));
	TRY(run_scaled(p, report, found, &precision, options));
	TRY(hel_plan_explain(&(*p)->plan, c->stages, c->plan, c->params,
			     hel_goal_name(options->goal), found->seen, found->count));
done:
	hel_precision_clear(&precision);
	return st;
}

/* Raises what a byte is worth where a limit is exceeded; false when none is. */
static bool tighten(hel_objective *o, const hel_compile_report *r, const hel_compile_options *limit)
{
	const struct {
		size_t is, most;
		double *worth;
	} checks[] = {
	    {r->key_bytes, limit->max_key_bytes, &o->key_byte},
	    {r->query_bytes, limit->max_query_bytes, &o->query_byte},
	    {r->memory_bytes, limit->max_memory_bytes, &o->memory_byte},
	};
	bool exceeded = false;
	for (size_t i = 0; i < HEL_ARRAY_LEN(checks); i++)
		if (checks[i].most && checks[i].is > checks[i].most) {
			*checks[i].worth = fmax(4 * *checks[i].worth, 1e-9);
			exceeded = true;
		}
	return exceeded;
}

/* The stages again, for other polynomials: what is planned does not depend on them. */
static hel_status stage_again(choice *c, const hel_dlrm *m)
{
	hel_status st = HEL_OK;
	hel_stages *s = NULL;
	TRY(hel_stages_new(&s, m, c->way));
	if (s->log_refreshed)
		hel_refreshed_use(s, c->params);
	hel_stages_free(c->stages);
	c->stages = s;
done:
	return st;
}

/* Dry runs until bounds are proved, or the model's polynomials have no more to give. */
static hel_status finish_proved(hel_program **p, hel_compile_report *report, search *found,
				const hel_dlrm *m, const hel_compile_options *options)
{
	hel_status st = finish(p, report, found, m, options);
	bool more = true;
	while (st == HEL_ERANGE && options->widen) {
		TRY(options->widen(options->widen_arg, &more));
		if (!more)
			return HEL_ERANGE; /* in the dry run's words */
		hel_program_free(*p);
		*p = NULL;
		hel_compile_report_clear(report);
		TRY(stage_again(&found->best, m));
		TRY(draft(p, report, &found->best));
		st = finish(p, report, found, m, options);
	}
done:
	return st;
}

/* The program for what was found. *over: it exceeds a limit, for which the objective was raised; a
 * dry run, which takes longer than all before, is made of what keeps within limits. */
static hel_status build(hel_program **out, bool *over, hel_compile_report *report, search *found,
			const hel_dlrm *m, const hel_compile_options *options,
			hel_objective *objective)
{
	hel_status st = HEL_OK;
	hel_program *p = NULL;
	TRY(draft(&p, report, &found->best));
	*over = tighten(objective, report, options);
	if (!*over)
		TRY(finish_proved(&p, report, found, m, options));
	*out = p;
	p = NULL;
done:
	hel_program_free(p);
	return st;
}

/* Forgets what was found. */
static void start_over(search *found, hel_compile_report *report)
{
	hel_choice_clear(&found->best);
	found->count = 0;
	hel_compile_report_clear(report);
}

/* Logits in this range are left as they are; others are counted in a power of two near their
 * spread, so that errors are small against them and the modulus holds them. */
#define LEAST_SPREAD 0x1p-3
#define MOST_SPREAD 0x1p6
#define MOST_LOGIT 0x1p8

/* After refreshes level 0 is one prime as large as its scale: the largest logit is the 2^-7th part
 * of what it holds, errors of a coefficient, 2^-24, are still small. */
#define REFRESHED_LOGIT 0x1p-7

static double refreshed_unit(double largest)
{
	return exp2(ceil(log2(fmax(largest, 0x1p-20) / REFRESHED_LOGIT)));
}

static bool is_refreshed(const hel_dlrm *m)
{
	bool any = false;
	for (size_t i = 0; m->approximation && i < hel_dlrm_activated(m); i++)
		any |= m->approximation[i].turn > 0;
	return any;
}

static double unit_of(double spread, double largest)
{
	const bool fine = spread >= LEAST_SPREAD && spread <= MOST_SPREAD;
	const double unit = fine || !(largest > 0) ? 1 : exp2(round(log2(spread)));
	return largest / unit > MOST_LOGIT ? exp2(ceil(log2(largest / MOST_LOGIT))) : unit;
}

/* What is searched for a batch. */
static search_options search_for(const hel_dlrm *m, const hel_compile_options *o)
{
	return (search_options){.model = m,
				.objective = objective_of(o->goal),
				.machine = o->machine ? o->machine : hel_cost_model_default(),
				.max_log_n = o->max_log_n ? o->max_log_n : HEL_LOG_N_MAX,
				.log_batch = o->log_batch,
				.scale_bits = SHORT_SCALE_BITS,
				.no_monomials = o->no_monomials,
				.no_fusion = o->no_fusion,
				.coding = o->coding,
				.pool = o->pool,
				.progress = o->progress};
}

#define PLANNING_SHARE 0.6 /* of an attempt's time */
#define NEXT_SHARE 0.6	   /* of what remains, for what may not be the last of its kind */

static hel_progress_span one_more(hel_progress *progress, unsigned number)
{
	return hel_progress_within(progress, 1 - pow(1 - NEXT_SHARE, number),
				   1 - pow(1 - NEXT_SHARE, number + 1));
}

/* The best choice, after as many better ones as are to be left. */
static hel_status search_ranked(search *found, hel_compile_report *report,
				const hel_compile_options *options, search_options *so)
{
	hel_status st = HEL_OK;
	so->floor = 0;
	TRY(hel_search(found, so));
	for (unsigned i = 0; i < options->plan_rank && found->best.plan; i++) {
		so->floor = found->best.plan->value;
		start_over(found, report);
		TRY(hel_search(found, so));
		if (!found->best.plan)
			FAIL(HEL_EUNSUPPORTED, "there are %u plans, %u are to be left", i + 1,
			     options->plan_rank);
	}
done:
	return st;
}

/* The best program within the limits, for which the objective is raised; *out stays NULL when
 * nothing fits. */
static hel_status compile_with(hel_program **out, hel_compile_report *report,
			       const hel_compile_options *options, search_options *so)
{
	hel_status st = HEL_OK;
	search found = {.spread = so->spread};
	hel_program *p = NULL;
	*out = NULL;
	so->one_hot = false;
	for (unsigned attempts = 0, tries = 0;;) {
		bool over = false;
		const hel_progress_span all = one_more(so->progress, tries++);
		const hel_progress_span this = hel_progress_within(so->progress, 0, PLANNING_SHARE);
		TRY(search_ranked(&found, report, options, so));
		hel_progress_leave(so->progress, this);
		if (!found.best.plan)
			goto done;
		hel_progress_within(so->progress, PLANNING_SHARE, 1);
		st = build(&p, &over, report, &found, so->model, options, &so->objective);
		hel_progress_leave(so->progress, all);
		if ((st == HEL_ERANGE || st == HEL_EUNSUPPORTED) &&
		    (found.best.way.grid || found.best.way.powers)) {
			/* bounds of one-hot entries are closer, and were not asked to be left */
			start_over(&found, report);
			so->one_hot = true;
			continue;
		}
		TRY(st);
		if (!over)
			break;
		if (attempts++ == MAX_ATTEMPTS)
			FAIL(
			    HEL_ELIMIT,
			    "no plan was found within the limits; the closest has keys of %.1f MB, "
			    "queries of %.3f MB and needs %.0f MB of memory",
			    (double)report->key_bytes / 1e6, (double)report->query_bytes / 1e6,
			    (double)report->memory_bytes / 1e6);
		start_over(&found, report);
		hel_program_free(p);
		p = NULL;
	}
	*out = p;
	p = NULL;
done:
	hel_choice_clear(&found.best);
	hel_program_free(p);
	if (st != HEL_OK)
		hel_compile_report_clear(report);
	return st;
}

static hel_status set_unit(search_options *so, const hel_dlrm *m, const hel_samples *records)
{
	hel_status st = HEL_OK;
	double largest;
	TRY(hel_logit_spread(&so->spread, &largest, m, records));
	so->unit = is_refreshed(m) ? refreshed_unit(largest) : unit_of(so->spread, largest);
done:
	return st;
}

hel_status hel_compile_value(double *value, const hel_dlrm *m, const hel_compile_options *options)
{
	hel_status st = HEL_OK;
	search_options so = search_for(m, options);
	search found = {0};
	if (so.log_batch == HEL_ANY_BATCH)
		so.log_batch = 0;
	TRY(set_unit(&so, m, options->records));
	TRY(hel_verdicts_new(&so.verdicts));
	TRY(hel_search(&found, &so));
	*value = found.best.plan ? found.best.plan->value : INFINITY;
done:
	hel_choice_clear(&found.best);
	hel_verdicts_free(so.verdicts);
	return st;
}

static hel_status check_bits(const hel_manifest *m, double asked, const hel_samples *given)
{
	if (m->bits >= wanted_bits(asked) - HEL_BITS_SHORT)
		return HEL_OK;
	return hel_fail(
	    HEL_ELIMIT,
	    "%.1f bits of the score are right, %.1f are wanted, and no ring, digits or keys "
	    "of this compiler give this model more: %sfewer layers or polynomials of a lower "
	    "degree lose less; --bits %.1f asks for what there is, --accept-loss goes on",
	    m->bits, wanted_bits(asked),
	    given && given->count
		? ""
		: "for typical records (--data) it may be more than for random ones; ",
	    floor(10 * m->bits) / 10);
}

/* Compiles in one way, and takes that over where it is better: faster and precise enough, or, where
 * nothing is, more precise. */
static hel_status try_one(hel_program **p, hel_compile_report *report,
			  const hel_compile_options *options, search_options *so)
{
	hel_status st = HEL_OK;
	hel_program *q = NULL;
	hel_compile_report other = {0};
	const double wanted = wanted_bits(options->bits) - HEL_BITS_SHORT,
		     bits = *p ? (*p)->manifest->bits : -INFINITY;
	TRY(compile_with(&q, &other, options, so));
	if (q && (bits < wanted ? q->manifest->bits > bits
				: q->manifest->bits >= wanted && other.seconds < report->seconds)) {
		hel_program *swap = *p;
		*p = q;
		q = swap;
		hel_compile_report_clear(report);
		*report = other;
		other = (hel_compile_report){0};
	}
done:
	hel_program_free(q);
	hel_compile_report_clear(&other);
	return st;
}

/* What is planned with, and looked at in turn until a score is precise enough. Short levels leave
 * room for long digits, and fit small rings; their scale, up to that of full ones, is chosen for
 * what is planned (scales.h). Precise keys need the most room. */
static const struct {
	unsigned scale_bits;
	bool precise;
} levels[] = {{SHORT_SCALE_BITS, false}, {SCALE_BITS, false}, {SCALE_BITS, true}};

/* The best program for one batch size, precise enough where that is possible. */
static hel_status compile_batch(hel_program **out, hel_compile_report *report, const hel_dlrm *m,
				const hel_compile_options *options)
{
	hel_status st = HEL_OK;
	search_options so = search_for(m, options);
	hel_program *p = NULL;
	/* those of a refresh are chosen by other rules */
	const unsigned ways = is_refreshed(m) ? 1 : HEL_ARRAY_LEN(levels);
	bool enough = false;
	memset(report, 0, sizeof *report);
	TRY(set_unit(&so, m, options->records));
	TRY(hel_verdicts_new(&so.verdicts));
	for (unsigned i = 0; i < ways && !enough; i++) {
		const hel_progress_span all = one_more(options->progress, i);
		so.objective = objective_of(options->goal);
		so.scale_bits = levels[i].scale_bits;
		so.precise = levels[i].precise;
		st = try_one(&p, report, options, &so);
		hel_progress_leave(options->progress, all);
		/* what does not fit in one way fits in another */
		if (st != HEL_ELIMIT && st != HEL_ERANGE && st != HEL_EUNSUPPORTED)
			TRY(st);
		enough = p && p->manifest->bits >= wanted_bits(options->bits) - HEL_BITS_SHORT;
	}
	if (!p && st == HEL_OK)
		st = explain(&so);
	if (!p)
		goto done;
	st = HEL_OK;
	if (!options->accept_loss)
		TRY(check_bits(p->manifest, options->bits, options->records));
	*out = p;
	p = NULL;
done:
	hel_verdicts_free(so.verdicts);
	hel_program_free(p);
	if (st != HEL_OK)
		hel_compile_report_clear(report);
	return st;
}

/* The batch of which a record costs least: larger ones as long as they help. */
static hel_status compile_any_batch(hel_program **out, hel_compile_report *report,
				    const hel_dlrm *m, hel_compile_options options)
{
	hel_status st = HEL_OK;
	hel_program *best = NULL, *p = NULL;
	hel_compile_report r = {0};
	for (options.log_batch = 0; options.log_batch <= HEL_MAX_LOG_BATCH; options.log_batch++) {
		const hel_progress_span all = one_more(options.progress, options.log_batch);
		st = compile_batch(&p, &r, m, &options);
		hel_progress_leave(options.progress, all);
		if (best && (st == HEL_EUNSUPPORTED || st == HEL_ELIMIT || st == HEL_ERANGE)) {
			st = HEL_OK;
			break;
		}
		TRY(st);
		if (best && r.seconds >= 2 * report->seconds) /* twice the records */
			break;
		hel_program_free(best);
		hel_compile_report_clear(report);
		best = p;
		*report = r;
		p = NULL;
		r = (hel_compile_report){0};
	}
	*out = best;
	best = NULL;
done:
	hel_program_free(best);
	hel_program_free(p);
	hel_compile_report_clear(&r);
	if (st != HEL_OK)
		hel_compile_report_clear(report);
	return st;
}

/* Whether every table can travel as it must. */
static hel_status check_codings(const hel_dlrm *m, const hel_compile_options *o)
{
	hel_status st = HEL_OK;
	for (size_t i = 0; o->coding && i < m->schema->table_count; i++) {
		const hel_table_field *t = &m->schema->table[i];
		const uint32_t order = hel_table_order(t);
		const hel_coding c = o->coding[i];
		const hel_code *code = c == HEL_CODINGS ? NULL : hel_code_of(c);
		if (code && c != HEL_CODING_ONE_HOT && t->bag.limit)
			FAIL(HEL_EUNSUPPORTED,
			     "table %s is a bag: %s is of one value at a time, bags travel as "
			     "counts "
			     "or weights (onehot)",
			     t->name, hel_coding_name(c));
		if (code && code->selects && t->digits > 1)
			FAIL(HEL_EUNSUPPORTED,
			     "table %s: %s takes one entry at a time, the table adds up %u rows",
			     t->name, hel_coding_name(c), t->digits);
		if (code && code->max_order && order > code->max_order)
			FAIL(HEL_EUNSUPPORTED,
			     "table %s: %s tells apart at most %u rows, %s has %u; train it with "
			     "%sdigits (an \"embedding\" of \"digits(16)\", say), or use %s",
			     t->name, hel_coding_name(c), code->max_order,
			     t->digits > 1 ? "a digit, none included," : "the table", order,
			     t->digits > 1 ? "shorter " : "", t->digits > 1 ? "onehot" : "grid");
	}
done:
	return st;
}

/* A chain. */
static hel_status compile_chain(hel_program **out, hel_compile_report *report, const hel_dlrm *m,
				const hel_compile_options *options)
{
	const hel_status st = check_codings(m, options);
	if (st != HEL_OK)
		return st;
	if (options->log_batch == HEL_ANY_BATCH)
		return compile_any_batch(out, report, m, *options);
	if (options->log_batch > HEL_MAX_LOG_BATCH)
		return hel_fail(HEL_EINVAL, "2^%u records in a query, at most 2^%d are possible",
				options->log_batch, HEL_MAX_LOG_BATCH);
	return compile_batch(out, report, m, options);
}

/* Of the errors that are wanted, what may come of squares that are left out. */
#define CUT_SHARE 0.9

/* The errors of squares that are left out are the program's, too. */
static void add_errors(hel_manifest *m, double error)
{
	const double left_out = error / m->spread;
	m->bits = -log2(hypot(exp2(-m->bits), left_out));
	m->bits_contributed = -log2(hypot(exp2(-m->bits_contributed), left_out));
	m->bits_model = m->bits;
}

/* Fewer squares than the form takes, where the bits that are wanted allow it; *out stays NULL where
 * they do not. */
static hel_status compile_fewer(hel_program **out, hel_compile_report *report, const hel_dlrm *m,
				const hel_compile_options *given)
{
	hel_status st = HEL_OK;
	hel_compile_options options = *given;
	hel_dlrm *fewer = NULL;
	hel_squares squares;
	double spread, largest;
	TRY(hel_logit_spread(&spread, &largest, m, given->records));
	const double error = spread * exp2(-wanted_bits(given->bits));
	TRY(hel_fewer_squares(&fewer, &squares, m, given->records, CUT_SHARE * error));
	if (!fewer)
		goto done;
	/* what is left for those of ciphertexts: independent errors add up by squares */
	const double cut = squares.error / error;
	options.bits = wanted_bits(given->bits) - log2(1 - cut * cut) / 2;
	st = compile_chain(out, report, fewer, &options);
	report->squares = squares;
	if (st == HEL_OK)
		add_errors((*out)->manifest, squares.error);
	else if (st == HEL_ELIMIT || st == HEL_ERANGE || st == HEL_EUNSUPPORTED)
		st = HEL_OK; /* all squares may do */
done:
	hel_dlrm_free(fewer);
	return st;
}

hel_status hel_compile(hel_program **out, hel_compile_report *report, const hel_dlrm *m,
		       const hel_compile_options *given)
{
	hel_status st = HEL_OK;
	hel_compile_options options = *given;
	hel_dlrm *squared = NULL;
	hel_squares squares = {0};
	*out = NULL;
	memset(report, 0, sizeof *report);
	if (!options.machine)
		options.machine = hel_cost_model_default();
	if (!m->chain.whole)
		st = hel_one_squaring(&squared, &squares, m);
	if (st != HEL_EUNSUPPORTED) /* it multiplies more than once: stage by stage */
		TRY(st);
	st = HEL_OK;
	if (squared)
		TRY(compile_fewer(out, report, m, &options));
	if (!*out) {
		TRY(compile_chain(out, report, squared ? squared : m, &options));
		report->squares = squares;
	}
	report->squares.rank = squares.rank;
	report->wanted_bits = wanted_bits(options.bits);
done:
	hel_dlrm_free(squared);
	return st;
}

void hel_compile_report_clear(hel_compile_report *r)
{
	hel_shape_clear(&r->shape);
	memset(r, 0, sizeof *r);
}
