/* tune: what do depth, width, activation and compression cost, and what do they buy? */
#include "cli/calibration_option.h"
#include "compile/compile.h"
#include "model/accuracy.h"
#include "model/fit.h"
#include "model/network.h"
#include "tune.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CANDIDATES 64
#define BUDGET 16384	   /* one-hot entries under which networks are compared */
#define COMPILED_MAX 65536 /* wider models take the compiler minutes and gigabytes */

/* Built-in candidates: configurations by name, on top of the base configuration. */
static const char builtin[] =
    "{\"networks\": {"
    "\"13-16, 432-32-1, one squaring\": {\"bottom\": [16], \"top\": [32, 1]},"
    "\"13-16, 432-128-1, one squaring\": {\"bottom\": [16], \"top\": [128, 1]},"
    "\"13-64-16, 432-128-1\": {\"bottom\": [64, 16], \"top\": [128, 1],"
    "  \"training\": {\"rate\": 3e-3}},"
    "\"13-64-16, 432-128-1, relu\": {\"bottom\": [64, 16], \"top\": [128, 1],"
    "  \"activation\": {\"kind\": \"relu\"}, \"training\": {\"rate\": 3e-3}}},"
    "\"plans\": {"
    "\"full tables\": {\"embedding\": \"full\", \"max_onehot\": 0},"
    "\"8192 entries, frequent\": {\"embedding\": \"full\", \"max_onehot\": 8192},"
    "\"8192 entries, frequent+digits(4)\":"
    "  {\"embedding\": \"frequent(all)+digits(4)\", \"max_onehot\": 8192},"
    "\"4096 entries, frequent\": {\"embedding\": \"full\", \"max_onehot\": 4096},"
    "\"digits(16)\": {\"embedding\": \"digits(16)\", \"max_onehot\": 0}}}";

typedef struct tuning {
	const hel_args *args;
	const hel_dataset *set;
	hel_calibration machine;
	hel_cache *cache;
	hel_dlrm_config base;
	hel_split split;
	uint64_t seeds;
	double within;
	hel_candidate candidate[MAX_CANDIDATES];
	size_t count, planned;
	size_t held_out;
	uint8_t *label; /* of held-out rows */
} tuning;

/* --- one candidate -------------------------------------------------------------------------- */

/* Predicts what the model costs; relu and what fits no ring leave the reason. */
static hel_status predict_cost(const tuning *t, hel_candidate *c, const hel_dlrm *m)
{
	hel_program *p = NULL;
	hel_compile_report r = {0};
	const hel_compile_options options = {.name = "candidate", .machine = &t->machine.model};
	if (c->onehots > COMPILED_MAX) {
		snprintf(c->why, sizeof c->why,
			 "%zu one-hot entries; tune compiles models of at most %d", c->onehots,
			 COMPILED_MAX);
		return HEL_OK;
	}
	hel_status st = hel_compile(&p, &r, m, &options);
	if (st == HEL_OK) {
		c->compiled = true;
		c->levels = p->manifest->params.levels;
		c->log_n = p->manifest->params.log_n;
		c->query_bytes = r.query_bytes;
		c->key_bytes = r.key_bytes;
		c->seconds = r.seconds;
	} else if (st == HEL_EUNSUPPORTED || st == HEL_ERANGE) {
		snprintf(c->why, sizeof c->why, "%s", hel_error_detail());
		st = HEL_OK;
	}
	hel_compile_report_clear(&r);
	hel_program_free(p);
	return st;
}

/* Trains with one seed and adds what the held-out rows say. */
static hel_status run_seed(tuning *t, hel_candidate *c, const hel_schema *learned, uint64_t seed,
			   double *auc)
{
	hel_status st = HEL_OK;
	hel_schema *schema = NULL;
	hel_dlrm *m = NULL;
	hel_samples test = {0};
	double *logits = NULL;
	char *text = NULL;
	hel_fit_report report;
	hel_metrics metrics;
	hel_dlrm_config config = c->config;
	const hel_fit_options options = {.pool = t->args->pool, .quiet = true};
	config.training.seed = t->split.seed + seed;
	TRY(hel_schema_to_json(&text, learned));
	TRY(hel_schema_from_json(&schema, text, strlen(text)));
	TRY(hel_dlrm_new(&m, &config, schema, config.training.seed));
	schema = NULL;
	TRY(hel_dlrm_fit(&report, m, t->cache, &t->split, &options));
	TRY(hel_samples_load(&test, m->schema, t->cache, &t->split, HEL_TEST, NULL,
			     hel_cache_blocks(t->cache), t->args->pool));
	TRY_ALLOC(logits, hel_alloc(2 * test.count, sizeof *logits));
	double *placement = logits + test.count;
	TRY(hel_dlrm_logits(logits, m, &test, t->args->pool));
	TRY(hel_metrics_of(&metrics, logits, test.label, test.count));
	if (!isfinite(metrics.auc))
		FAIL(HEL_EDATA, "the held-out rows have one class only: more rows are needed");
	TRY(hel_auc_placements(placement, logits, test.label, test.count));
	if (!t->label) {
		TRY_ALLOC(t->label, hel_alloc(test.count, 1));
		memcpy(t->label, test.label, test.count);
		t->held_out = test.count;
	}
	if (!c->placement)
		TRY_ALLOC(c->placement, hel_alloc(test.count, sizeof *c->placement));
	for (size_t i = 0; i < test.count; i++)
		c->placement[i] += placement[i] / (double)t->seeds;
	c->auc += metrics.auc / (double)t->seeds;
	c->log_loss += metrics.log_loss / (double)t->seeds;
	*auc = metrics.auc;
	if (seed == 0)
		TRY(predict_cost(t, c, m));
done:
	hel_free(text);
	hel_free(logits);
	hel_samples_clear(&test);
	hel_schema_free(schema);
	hel_dlrm_free(m);
	return st;
}

static hel_status run_candidate(tuning *t, hel_candidate *c, hel_progress *progress)
{
	hel_status st = HEL_OK;
	hel_schema *schema = NULL;
	double auc[64], variance = 0;
	TRY(hel_schema_learn(&schema, t->cache, &t->split, &c->config.plan, c->config.clip,
			     t->args->pool));
	c->onehots = hel_schema_onehots(schema);
	for (uint64_t s = 0; s < t->seeds; s++) {
		TRY(run_seed(t, c, schema, s, &auc[s]));
		hel_progress_note(
		    progress,
		    ((double)(c - t->candidate) + (double)(s + 1) / (double)t->seeds) /
			(double)t->planned,
		    c->name);
	}
	for (uint64_t s = 0; s < t->seeds; s++)
		variance += (auc[s] - c->auc) * (auc[s] - c->auc);
	if (t->seeds > 1)
		variance /= (double)(t->seeds * (t->seeds - 1));
	const double rows = hel_auc_error(c->placement, NULL, t->label, t->held_out);
	c->auc_error = sqrt(rows * rows + variance);
done:
	hel_schema_free(schema);
	return st;
}

/* --- choosing ----------------------------------------------------------------------------------
 */

static const hel_candidate *best_of(const tuning *t)
{
	const hel_candidate *best = t->candidate;
	for (const hel_candidate *c = t->candidate; c < t->candidate + t->count; c++)
		best = c->auc > best->auc ? c : best;
	return best;
}

/* The quickest one whose AUC is near enough to the best; NULL when none can be compiled. */
static const hel_candidate *choose(tuning *t)
{
	const hel_candidate *best = best_of(t), *chosen = NULL;
	for (hel_candidate *c = t->candidate; c < t->candidate + t->count; c++) {
		c->behind = best->auc - c->auc;
		c->behind_error =
		    hel_auc_error(best->placement, c->placement, t->label, t->held_out);
		c->front = c->compiled;
		for (const hel_candidate *o = t->candidate; o < t->candidate + t->count; o++)
			if (o->compiled && o->auc >= c->auc && o->seconds <= c->seconds &&
			    (o->auc > c->auc || o->seconds < c->seconds))
				c->front = false;
		if (c->compiled && c->behind <= t->within &&
		    (!chosen || c->seconds < chosen->seconds))
			chosen = c;
	}
	return chosen;
}

/* --- candidates ----------------------------------------------------------------------------------
 */

static hel_status add(tuning *t, const hel_dlrm_config *base, const char *name,
		      const json_t *changes)
{
	hel_status st = HEL_OK;
	char *text = NULL;
	if (t->count == MAX_CANDIDATES)
		FAIL(HEL_ELIMIT, "more than %d candidates", MAX_CANDIDATES);
	hel_candidate *c = &t->candidate[t->count];
	*c = (hel_candidate){.config = *base};
	if (!hel_is_text(name) || strlen(name) >= sizeof c->name)
		FAIL(HEL_EFORMAT, "a candidate's name must be a text of at most %zu bytes",
		     sizeof c->name - 1);
	snprintf(c->name, sizeof c->name, "%s", name);
	TRY_ALLOC(text, json_dumps(changes, JSON_ENCODE_ANY));
	TRY(hel_dlrm_config_update(&c->config, text, strlen(text)));
	t->count++;
done:
	free(text);
	return st;
}

static hel_status run_list(tuning *t, const hel_dlrm_config *base, json_t *list,
			   hel_progress *progress)
{
	hel_status st = HEL_OK;
	const char *name;
	json_t *changes;
	json_object_foreach(list, name, changes)
	{
		TRY(add(t, base, name, changes));
		TRY(run_candidate(t, &t->candidate[t->count - 1], progress));
	}
done:
	return st;
}

/* Networks first, under the base plan and a budget; then plans, for the network chosen among them.
 */
static hel_status run_all(tuning *t, json_t *candidates)
{
	hel_status st = HEL_OK;
	json_t *networks = json_object_get(candidates, "networks"),
	       *plans = json_object_get(candidates, "plans");
	hel_progress progress;
	if (!json_is_object(candidates) || (networks && !json_is_object(networks)) ||
	    (plans && !json_is_object(plans)) ||
	    !(json_object_size(networks) + json_object_size(plans)))
		FAIL(HEL_EFORMAT, "candidates: expected {\"networks\": {NAME: CONFIG, ...}, "
				  "\"plans\": {NAME: CONFIG, ...}}");
	t->planned = json_object_size(networks) + json_object_size(plans);
	hel_progress_begin(&progress, "tuning");
	st = run_list(t, &t->base, networks, &progress);
	if (st == HEL_OK) {
		const hel_candidate *network = t->count ? choose(t) : NULL;
		const hel_dlrm_config config = network ? network->config : t->base;
		st = run_list(t, &config, plans, &progress);
	}
	hel_progress_end(&progress);
done:
	return st;
}

/* --- the command
 * ----------------------------------------------------------------------------------- */

static hel_status write_files(tuning *t, json_t *out, const hel_candidate *chosen)
{
	hel_status st = HEL_OK;
	char path[HEL_PATH_MAX], *text = NULL, *svg = NULL, *config = NULL;
	const char *dir = hel_arg(t->args, "out");
	TRY(hel_tune_svg(&svg, t->candidate, t->count, chosen));
	TRY(hel_path(path, dir, "tune.svg"));
	TRY(hel_file_write(path, svg, strlen(svg), 0644));
	TRY_ALLOC(text, json_dumps(out, JSON_INDENT(1) | JSON_REAL_PRECISION(6)));
	TRY(hel_path(path, dir, "tune.json"));
	TRY(hel_file_write(path, text, strlen(text), 0644));
	if (chosen) {
		TRY(hel_dlrm_config_to_json(&config, &chosen->config));
		TRY(hel_path(path, dir, "config.json"));
		TRY(hel_file_write(path, config, strlen(config), 0644));
	}
done:
	free(text);
	hel_free(svg);
	hel_free(config);
	return st;
}

static hel_status read_within(double *out, const hel_args *args)
{
	const char *text = hel_arg(args, "within");
	char *end = NULL;
	*out = text ? strtod(text, &end) : 0.005;
	if (text && (end == text || *end || !(*out >= 0 && *out < 1)))
		return hel_fail(HEL_EINVAL, "--within is '%s', expected a number from 0 to 1",
				text);
	return HEL_OK;
}

static hel_status run_tune(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	tuning *t = NULL;
	uint8_t *text = NULL;
	size_t size;
	json_t *candidates = NULL;
	json_error_t error;
	char path[HEL_PATH_MAX];
	uint64_t rows;
	TRY_ALLOC(t, hel_alloc(1, sizeof *t));
	t->args = args;
	TRY(hel_cli_dataset(&t->set, args, "criteo"));
	if (t->set->small)
		FAIL(HEL_EUNSUPPORTED,
		     "tune is for data sets read as a stream; compare networks for "
		     "'%s' with 'train --cv'",
		     t->set->name);
	TRY(hel_cli_calibration(&t->machine, args, out));
	TRY(hel_arg_number(&t->seeds, args, "seeds", 1, 64, 2));
	TRY(hel_arg_number(&rows, args, "rows", 1000, UINT64_MAX, 1000000));
	TRY(read_within(&t->within, args));
	TRY(hel_cli_config(&t->base, args, t->set));
	if (!t->base.plan.max_onehot)
		t->base.plan.max_onehot = BUDGET;
	t->split = hel_dlrm_split(&t->base);
	if (!t->split.test)
		FAIL(HEL_EINVAL, "tune judges on held-out rows: training.test must not be 0");
	if (hel_arg(args, "candidates"))
		TRY(hel_arg_file(&text, &size, args, "candidates"));
	candidates = text ? json_loadb((const char *)text, size, JSON_REJECT_DUPLICATES, &error)
			  : json_loads(builtin, 0, &error);
	if (!candidates)
		FAIL(HEL_EFORMAT, "candidates, line %d: %s", error.line, error.text);
	TRY(hel_dir_make(hel_arg(args, "out")));
	TRY(hel_path(path, hel_arg(args, "out"), "rows.cache"));
	TRY(hel_cli_cache(&t->cache, args, out, t->set,
			  hel_arg(args, "cache") ? hel_arg(args, "cache") : path));
	hel_cache_limit(t->cache, rows);
	TRY(run_all(t, candidates));
	const hel_candidate *chosen = choose(t);
	hel_tune_table(args, t->candidate, t->count, chosen);
	json_object_set_new(out, "candidates", hel_tune_json(t->candidate, t->count, chosen));
	json_object_set_new(out, "held_out_rows", json_integer((json_int_t)t->held_out));
	json_object_set_new(out, "rows_used", json_integer((json_int_t)hel_cache_rows(t->cache)));
	json_object_set_new(out, "seeds", json_integer((json_int_t)t->seeds));
	json_object_set_new(out, "within", json_real(t->within));
	TRY(write_files(t, out, chosen));
	if (chosen)
		hel_say(args,
			"recommended: %s: the quickest within %.4f AUC of the best (%s)\n"
			"written: %s/config.json, tune.json, tune.svg\n",
			chosen->name, t->within, best_of(t)->name, hel_arg(args, "out"));
	else
		hel_say(args,
			"no candidate within %.4f AUC of the best can be evaluated encrypted\n",
			t->within);
	if (!hel_arg(args, "cache"))
		remove(path);
done:
	if (t) {
		for (size_t i = 0; i < MAX_CANDIDATES; i++)
			hel_free(t->candidate[i].placement);
		hel_free(t->label);
		hel_cache_free(t->cache);
		hel_dataset_drop(t->set);
	}
	hel_free(t);
	hel_free(text);
	json_decref(candidates);
	return st;
}

const hel_command hel_command_tune = {
    .name = "tune",
    .summary = "Compare networks and embedding compression: AUC against encrypted cost",
    .option = {{"dataset", "NAME|FILE", "data set (default criteo) or columns.json", false, false},
	       {"data", "FILE", "published data files", true, true},
	       {"out", "DIR", "where config.json, tune.json and tune.svg go", true, false},
	       {"config", "FILE", "what candidates change (JSON); default: the data set's", false,
		false},
	       {"candidates", "FILE", "networks and plans to try (JSON); default: built in", false,
		false},
	       {"seeds", "N", "trainings per candidate (default 2)", false, false},
	       {"rows", "N", "of the data, from the start (default 1000000)", false, false},
	       {"within", "AUC", "how far from the best the choice may be (default 0.005)", false,
		false},
	       {"seed", "N", "of the split and the first training", false, false},
	       {"cache", "FILE", "keep the rows in binary for the next run", false, false},
	       {"max-malformed", "N", "rows that may be left out (default 0)", false, false},
	       HEL_CALIBRATION_OPTION},
    .run = run_tune,
};
