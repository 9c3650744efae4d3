#include "attempt.h"
#include "bounds.h"
#include "emit.h"
#include "features/coding.h"
#include "limits.h"
#include "refreshed.h"
#include "scales.h"
#include "vm/encrypted.h"
#include <math.h>
#include <string.h>

/* Result coefficients that are sent: two for each score, the others prove that nothing else is
 * there. */
#define SAMPLES 256u
#define SAMPLES_PER_RECORD 8u /* at least */
#define PLANNING_SHARE 0.6    /* of an attempt's time */

void hel_compile_report_clear(hel_compile_report *r)
{
	hel_shape_clear(&r->shape);
	memset(r, 0, sizeof *r);
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
hel_objective hel_objective_of(hel_goal goal)
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
			      hel_wanted_bits(o->bits) - HEL_BITS_SHORT, m->spread / m->unit,
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
	*over = hel_limits_tighten(objective, report, options);
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

hel_status hel_attempt(hel_program **out, hel_compile_report *report,
		       const hel_compile_options *options, search_options *so)
{
	hel_status st = HEL_OK;
	search found = {.spread = so->spread};
	hel_program *p = NULL;
	*out = NULL;
	so->one_hot = false;
	for (unsigned attempts = 0, tries = 0;;) {
		bool over = false;
		const hel_progress_span all = hel_one_more(so->progress, tries++);
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
		if (attempts++ == HEL_LIMITS_ATTEMPTS)
			TRY(hel_limits_unmet(report));
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
