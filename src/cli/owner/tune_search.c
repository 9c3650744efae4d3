/* Successive halving: all trials on few rows, the better ones on more, the best on all of them and
 * with several seeds [K. Jamieson, A. Talwalkar 2016]. Better is what buys more AUC than anything
 * that is as quick. */
#include "compile/compile.h"
#include "model/accuracy.h"
#include "model/ensemble.h"
#include "model/fit.h"
#include "model/front.h"
#include "tune.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define AS_QUICK 1.05 /* times as long: prices are not that exact */
#define REFERENCE_SEEDS ((size_t)2)
#define COMPILED_MAX 65536	   /* wider models take the compiler minutes and gigabytes */
#define FEW_ROWS ((uint64_t)65536) /* fewer teach networks too little to compare them */

/* The share of the rows is 1 / part; how many trials are gone on with. */
static const struct rung {
	uint64_t part, seeds;
	size_t keep;
} rungs[] = {{12, 1, 12}, {4, 2, 5}, {1, HEL_TUNE_SEEDS, 0}};

#define LAST (HEL_ARRAY_LEN(rungs) - 1)

typedef struct job {
	hel_trial *trial;
	size_t seed;
} job;

/* The trainings of one rung, side by side. */
typedef struct crew {
	hel_tuning *t;
	job *job;
	size_t jobs, done;
	uint8_t *label;
	size_t held_out;
	hel_progress *progress;
	hel_status status;
} crew;

static void forget(hel_trial *x)
{
	for (size_t s = 0; s < HEL_TUNE_SEEDS; s++) {
		hel_free(x->logit[s]);
		hel_free(x->weight[s]);
		x->logit[s] = NULL;
		x->weight[s] = NULL;
	}
	x->trained = 0;
}

/* What it is worth to nobody is no error: it is left out, and told of. */
static bool is_reason(hel_status st)
{
	return st == HEL_EUNSUPPORTED || st == HEL_ERANGE || st == HEL_ELIMIT;
}

/* --- one training ---------------------------------------------------------------------------- */

static hel_status predict_seconds(const hel_tuning *t, hel_trial *x, const hel_dlrm *m)
{
	const hel_compile_options options = {.name = "trial", .machine = &t->machine};
	const size_t entries = hel_schema_onehots(m->schema);
	x->seconds = INFINITY;
	if (entries > COMPILED_MAX) {
		snprintf(x->why, sizeof x->why,
			 "%zu one-hot entries; tune compiles models of at most %d", entries,
			 COMPILED_MAX);
		return HEL_OK;
	}
	hel_status st = hel_compile_value(&x->seconds, m, &options);
	if (is_reason(st)) {
		x->seconds = INFINITY;
		snprintf(x->why, sizeof x->why, "%s", hel_error_detail());
		st = HEL_OK;
	} else if (st == HEL_OK && !isfinite(x->seconds))
		snprintf(x->why, sizeof x->why, "it fits no ring");
	return st;
}

static hel_status train_one(void *arg, size_t i)
{
	hel_status st = HEL_OK;
	crew *c = arg;
	const hel_tuning *t = c->t;
	hel_trial *x = c->job[i].trial;
	const size_t s = c->job[i].seed;
	hel_dlrm *m = NULL;
	hel_scores scores = {0};
	hel_fit_report report;
	hel_metrics metrics;
	const hel_fit_options options = {.quiet = true};
	const hel_dlrm_config own = hel_ensemble_config(&x->config, (uint32_t)s);
	TRY(hel_dlrm_new(&m, &own, t->plan[x->plan].schema, own.training.seed));
	TRY(hel_dlrm_fit(&report, m, t->cache, &t->split, &options));
	TRY(hel_scores_of_part(&scores, m, t->cache, &t->split, HEL_TEST, NULL));
	TRY(hel_metrics_of(&metrics, scores.logit, scores.label, scores.count));
	if (!isfinite(metrics.auc))
		FAIL(HEL_EDATA, "the held-out rows have one class only: more rows are needed");
	if (s == 0 && !x->reference && x->rung < LAST)
		TRY(predict_seconds(t, x, m));
	if (x->rows == t->rows) {
		TRY_ALLOC(x->weight[s], hel_alloc(m->parameters, sizeof **x->weight));
		memcpy(x->weight[s], m->parameter, m->parameters * sizeof **x->weight);
	}
	x->auc[s] = metrics.auc;
	x->logit[s] = scores.logit;
	scores.logit = NULL;
	if (i == 0) { /* the same rows for all */
		c->label = scores.label;
		c->held_out = scores.count;
		scores.label = NULL;
	}
	hel_progress_note(
	    c->progress,
	    (double)__atomic_add_fetch(&c->done, 1, __ATOMIC_RELAXED) / (double)c->jobs, x->name);
done:
	if (is_reason(st)) { /* it cannot be trained: others can */
		snprintf(x->why, sizeof x->why, "%s", hel_error_detail());
		st = HEL_OK;
	} else if (st != HEL_OK) {
		char detail[400];
		snprintf(detail, sizeof detail, "%s", hel_error_detail());
		st = hel_fail(st, "%s: %s", x->name, detail);
	}
	hel_ensemble_leave(m);
	hel_scores_clear(&scores);
	return st;
}

/* --- one rung ------------------------------------------------------------------------------- */

/* Plans that some trial of this rung is under; one that cannot be leaves its reason. */
static hel_status learn_plans(hel_tuning *t, unsigned rung)
{
	hel_status st = HEL_OK;
	for (size_t p = 0; p < t->plans; p++) {
		hel_tune_plan *plan = &t->plan[p];
		bool used = false;
		for (size_t i = 0; i < t->trials; i++)
			used |= t->trial[i].plan == p && t->trial[i].rung == rung;
		hel_schema_free(plan->schema);
		plan->schema = NULL;
		if (!used)
			continue;
		st = hel_schema_learn(&plan->schema, t->cache, &t->split, &plan->plan, t->base.clip,
				      t->args->pool);
		if (st == HEL_EUNSUPPORTED || st == HEL_ELIMIT)
			snprintf(plan->why, sizeof plan->why, "%s", hel_error_detail());
		else
			TRY(st);
		st = HEL_OK;
	}
done:
	return st;
}

/* Of two plans that come to the same tables one is enough. */
static hel_status find_twins(hel_tuning *t)
{
	hel_status st = HEL_OK;
	char **text = NULL;
	TRY_ALLOC(text, hel_alloc(HEL_MAX(t->plans, 1), sizeof *text));
	for (size_t p = 0; p < t->plans; p++) {
		hel_tune_plan *plan = &t->plan[p];
		if (!plan->schema)
			continue;
		TRY(hel_schema_to_json(&text[p], plan->schema));
		for (size_t q = 0; q < p; q++)
			if (text[q] && !*t->plan[q].why && strcmp(text[p], text[q]) == 0)
				snprintf(plan->why, sizeof plan->why, "the tables of '%s'",
					 t->plan[q].name);
	}
done:
	for (size_t p = 0; text && p < t->plans; p++)
		hel_free(text[p]);
	hel_free(text);
	return st;
}

/* A trial under a plan that cannot be has ended. */
static void end_hopeless(hel_tuning *t, unsigned rung)
{
	for (size_t i = 0; i < t->trials; i++) {
		hel_trial *x = &t->trial[i];
		const hel_tune_plan *plan = &t->plan[x->plan];
		if (x->rung == rung && *plan->why) {
			snprintf(x->why, sizeof x->why, "%s", plan->why);
			forget(x);
		}
	}
}

/* A line to compare with need not be as sure. */
static size_t seeds_of(const hel_trial *x, size_t seeds)
{
	return x->reference ? HEL_MIN(seeds, REFERENCE_SEEDS) : seeds;
}

static hel_status train_rung(hel_tuning *t, unsigned rung, uint64_t rows, size_t seeds,
			     hel_progress *progress)
{
	hel_status st = HEL_OK;
	crew c = {.t = t, .progress = progress};
	hel_cache_limit(t->cache, rows);
	rows = hel_cache_rows(t->cache);
	TRY(learn_plans(t, rung));
	if (rung == 0)
		TRY(find_twins(t));
	end_hopeless(t, rung);
	TRY_ALLOC(c.job, hel_alloc(t->trials * seeds, sizeof *c.job));
	for (size_t i = 0; i < t->trials; i++) {
		hel_trial *x = &t->trial[i];
		if (x->rung != rung || *x->why)
			continue;
		if (x->rows != rows) /* otherwise those of the rung before are the same */
			forget(x);
		x->rows = rows;
		for (size_t s = x->trained; s < seeds_of(x, seeds); s++)
			c.job[c.jobs++] = (job){x, s};
	}
	TRY(hel_pool_try(t->args->pool, c.jobs, train_one, &c));
	for (size_t i = 0; i < t->trials; i++) {
		hel_trial *x = &t->trial[i];
		if (x->rung != rung || *x->why)
			continue;
		x->trained = seeds_of(x, seeds);
		x->mean = 0;
		for (size_t s = 0; s < x->trained; s++)
			x->mean += x->auc[s] / (double)x->trained;
	}
	if (c.jobs) {
		hel_free(t->label);
		t->label = c.label;
		t->held_out = c.held_out;
		c.label = NULL;
	}
done:
	hel_free(c.label);
	hel_free(c.job);
	return st;
}

typedef struct ranked {
	hel_trial *trial;
	double gain;
} ranked;

static int by_gain(const void *a, const void *b)
{
	const ranked *x = a, *y = b;
	if (x->gain != y->gain)
		return x->gain < y->gain ? 1 : -1;
	return (x->trial > y->trial) - (x->trial < y->trial);
}

/* The next rung is for those that gain most over all that are as quick, and for references. */
static hel_status promote(hel_tuning *t, unsigned rung, unsigned next, size_t keep)
{
	hel_status st = HEL_OK;
	hel_choice *choice = NULL;
	ranked *r = NULL;
	size_t n = 0;
	TRY_ALLOC(choice, hel_alloc(t->trials, sizeof *choice));
	TRY_ALLOC(r, hel_alloc(t->trials, sizeof *r));
	for (size_t i = 0; i < t->trials; i++) {
		const hel_trial *x = &t->trial[i];
		choice[i] = (hel_choice){x->seconds, x->mean,
					 x->rung == rung && x->trained && isfinite(x->seconds)};
	}
	for (size_t i = 0; i < t->trials; i++)
		if (choice[i].possible)
			r[n++] =
			    (ranked){&t->trial[i], hel_front_gain(choice, t->trials, i, AS_QUICK)};
	qsort(r, n, sizeof *r, by_gain);
	for (size_t i = 0; i < n; i++)
		if (i < keep)
			r[i].trial->rung = next;
		else
			forget(r[i].trial);
done:
	hel_free(choice);
	hel_free(r);
	return st;
}

static size_t alive(const hel_tuning *t, unsigned rung)
{
	size_t n = 0;
	for (size_t i = 0; i < t->trials; i++)
		n += t->trial[i].rung == rung && !t->trial[i].reference;
	return n;
}

bool hel_tune_is_final(const hel_trial *x)
{
	return x->rung == LAST && x->trained && !*x->why;
}

/* --- the last ones -------------------------------------------------------------------------- */

static hel_status model_of(hel_dlrm **out, const hel_tuning *t, const hel_candidate *c)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	const hel_trial *x = c->trial;
	TRY(hel_dlrm_new_zero(&m, &c->config, t->plan[x->plan].schema, HEL_MAX_PARAMETERS));
	const size_t one = m->parameters / c->config.members;
	for (uint32_t k = 0; k < c->config.members; k++)
		memcpy(m->parameter + k * one, x->weight[k], one * sizeof *m->parameter);
	*out = m;
	m = NULL;
done:
	hel_ensemble_leave(m);
	return st;
}

static hel_status compile_one(const hel_tuning *t, hel_candidate *c)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	hel_program *p = NULL;
	hel_compile_report r = {0};
	const hel_compile_options options = {.name = "candidate", .machine = &t->machine};
	c->onehots = hel_schema_onehots(t->plan[c->trial->plan].schema);
	if (c->trial->reference)
		FAIL(HEL_EUNSUPPORTED, "a reference");
	if (c->onehots > COMPILED_MAX)
		FAIL(HEL_EUNSUPPORTED, "%zu one-hot entries; tune compiles models of at most %d",
		     c->onehots, COMPILED_MAX);
	TRY(model_of(&m, t, c));
	TRY(hel_compile(&p, &r, m, &options));
	c->compiled = true;
	c->levels = p->manifest->params.levels;
	c->log_n = p->manifest->params.log_n;
	c->bits = p->manifest->bits;
	c->query_bytes = r.query_bytes;
	c->key_bytes = r.key_bytes;
	c->seconds = r.seconds;
done:
	if (is_reason(st)) {
		snprintf(c->why, sizeof c->why, "%s", hel_error_detail());
		st = HEL_OK;
	}
	hel_compile_report_clear(&r);
	hel_program_free(p);
	hel_ensemble_leave(m);
	return st;
}

/* Ensembles of so many of a trial's trainings as there are whole ones; their mean. */
static hel_status judge(const hel_tuning *t, hel_candidate *c)
{
	hel_status st = HEL_OK;
	const hel_trial *x = c->trial;
	const size_t members = c->config.members, groups = x->trained / members, rows = t->held_out;
	double *logit = NULL, *placement = NULL;
	hel_metrics metrics;
	TRY_ALLOC(logit, hel_alloc(rows, sizeof *logit));
	TRY_ALLOC(placement, hel_alloc(rows, sizeof *placement));
	TRY_ALLOC(c->placement, hel_alloc(rows, sizeof *c->placement));
	for (size_t g = 0; g < groups; g++) {
		memset(logit, 0, rows * sizeof *logit);
		for (size_t k = 0; k < members; k++)
			for (size_t i = 0; i < rows; i++)
				logit[i] += x->logit[g * members + k][i] / (double)members;
		TRY(hel_metrics_of(&metrics, logit, t->label, rows));
		TRY(hel_auc_placements(placement, logit, t->label, rows));
		for (size_t i = 0; i < rows; i++)
			c->placement[i] += placement[i] / (double)groups;
		c->auc += metrics.auc / (double)groups;
		c->log_loss += metrics.log_loss / (double)groups;
	}
done:
	hel_free(logit);
	hel_free(placement);
	return st;
}

static hel_status finish_one(void *arg, size_t i)
{
	hel_status st = HEL_OK;
	hel_tuning *t = arg;
	TRY(judge(t, &t->candidate[i]));
	TRY(compile_one(t, &t->candidate[i]));
done:
	return st;
}

/* Of a mean over seeds, or of the difference of two trials with the same seeds. */
static double seed_error(const hel_trial *a, const hel_trial *b)
{
	const size_t n = b ? HEL_MIN(a->trained, b->trained) : a->trained;
	double sum = 0, squares = 0;
	for (size_t s = 0; s < n; s++) {
		const double v = a->auc[s] - (b ? b->auc[s] : 0);
		sum += v;
		squares += v * v;
	}
	return n > 1 ? sqrt(fmax(squares - sum * sum / (double)n, 0) / (double)(n * (n - 1))) : 0;
}

static void compare(hel_tuning *t)
{
	const hel_candidate *best = NULL;
	hel_choice choice[HEL_TUNE_MOST];
	for (size_t i = 0; i < t->count; i++) {
		const hel_candidate *c = &t->candidate[i];
		choice[i] = (hel_choice){c->seconds, c->auc, c->compiled};
		if (c->compiled && (!best || c->auc > best->auc))
			best = c;
	}
	for (size_t i = 0; i < t->count; i++) {
		hel_candidate *c = &t->candidate[i];
		c->auc_error = hypot(hel_auc_error(c->placement, NULL, t->label, t->held_out),
				     seed_error(c->trial, NULL));
		c->front = hel_on_front(choice, t->count, i);
		if (!best)
			continue;
		c->behind = best->auc - c->auc;
		c->behind_error =
		    hypot(hel_auc_error(best->placement, c->placement, t->label, t->held_out),
			  seed_error(best->trial, c->trial));
	}
}

static int by_time(const void *a, const void *b)
{
	const hel_candidate *x = a, *y = b;
	if (x->trial->reference != y->trial->reference)
		return x->trial->reference ? 1 : -1;
	if (x->compiled != y->compiled)
		return x->compiled ? -1 : 1;
	if (x->compiled && x->seconds != y->seconds)
		return x->seconds < y->seconds ? -1 : 1;
	return strcmp(x->name, y->name);
}

static hel_status finish(hel_tuning *t)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(t->candidate, hel_alloc(t->trials * t->members, sizeof *t->candidate));
	for (size_t i = 0; i < t->trials; i++) {
		const hel_trial *x = &t->trial[i];
		for (size_t k = 0; k < t->members && hel_tune_is_final(x); k++) {
			const size_t members = x->reference ? 1 : t->member[k];
			if (x->reference && k)
				break;
			hel_candidate *c = &t->candidate[t->count++];
			*c = (hel_candidate){.trial = x, .config = x->config};
			c->config.members = (uint32_t)members;
			snprintf(c->name, sizeof c->name, "%s", x->name);
			if (members > 1)
				snprintf(c->name, sizeof c->name, "%s; %zu members", x->name,
					 members);
		}
	}
	if (t->count > HEL_TUNE_MOST)
		FAIL(HEL_ELIMIT, "more than %d candidates", HEL_TUNE_MOST);
	TRY(hel_pool_try(t->args->pool, t->count, finish_one, t));
	qsort(t->candidate, t->count, sizeof *t->candidate, by_time);
	compare(t);
done:
	return st;
}

/* --- all of it ------------------------------------------------------------------------------ */

static uint64_t rows_of(const hel_tuning *t, size_t rung)
{
	return HEL_MAX(t->rows / rungs[rung].part, HEL_MIN(t->rows, FEW_ROWS));
}

/* References wait for the end. */
static hel_status climb(hel_tuning *t, hel_progress *progress)
{
	hel_status st = HEL_OK;
	unsigned rung = 0;
	for (size_t i = 0; i < t->trials; i++)
		t->trial[i].rung = t->trial[i].reference ? LAST : 0;
	for (unsigned next; rung < LAST; rung = next) {
		next = rung + 1;
		const size_t n = alive(t, rung);
		const hel_progress_span part =
		    hel_progress_within(progress, rung / 3.0, (rung + 1) / 3.0);
		if (rung == 0 || n > rungs[rung].keep)
			TRY(train_rung(t, rung, rows_of(t, rung),
				       (size_t)HEL_MIN(t->seeds, rungs[rung].seeds), progress));
		TRY(promote(t, rung, next, n > rungs[rung].keep ? rungs[rung].keep : n));
		hel_progress_leave(progress, part);
	}
	(void)hel_progress_within(progress, 2 / 3.0, 0.95);
	TRY(train_rung(t, LAST, t->rows, (size_t)t->seeds, progress));
done:
	return st;
}

hel_status hel_tune_search(hel_tuning *t)
{
	hel_status st = HEL_OK;
	hel_progress progress;
	hel_progress_begin(&progress, "tuning");
	st = climb(t, &progress);
	if (st == HEL_OK)
		st = finish(t);
	hel_progress_end(&progress);
	return st;
}

/* The knee of the front up to the quickest candidate that is as good as the best one within a
 * standard error [L. Breiman et al. 1984]: beyond it, what is bought may be chance. */
const hel_candidate *hel_tune_choose(const hel_tuning *t)
{
	hel_choice choice[HEL_TUNE_MOST];
	double enough = INFINITY;
	for (size_t i = 0; i < t->count; i++) {
		const hel_candidate *c = &t->candidate[i];
		choice[i] = (hel_choice){c->seconds, c->auc, c->compiled};
		if (c->compiled && c->behind <= c->behind_error)
			enough = fmin(enough, c->seconds);
	}
	if (t->within < 0)
		for (size_t i = 0; i < t->count; i++)
			choice[i].possible &= choice[i].seconds <= enough;
	const size_t which = t->within < 0 ? hel_front_knee(choice, t->count)
					   : hel_quickest_within(choice, t->count, t->within);
	return which < t->count ? &t->candidate[which] : NULL;
}

void hel_tune_clear(hel_tuning *t)
{
	for (size_t i = 0; i < t->count; i++)
		hel_free(t->candidate[i].placement);
	for (size_t i = 0; i < t->trials; i++)
		forget(&t->trial[i]);
	for (size_t p = 0; p < t->plans; p++)
		hel_schema_free(t->plan[p].schema);
	hel_free(t->candidate);
	hel_free(t->trial);
	hel_free(t->plan);
	hel_free(t->label);
}
