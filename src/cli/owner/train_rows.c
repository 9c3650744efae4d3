/* Training on data sets read as a stream (all but small ones). */
#include "train_rows.h"
#include "base/temporary.h"
#include "cli/report.h"
#include "model/fit.h"
#include "model/model_file.h"
#include "model/recalibrate.h"
#include <math.h>
#include <string.h>
#include <unistd.h>

static void report_tables(const hel_args *args, json_t *out, const hel_dlrm *m)
{
	const hel_schema *s = m->schema;
	size_t known = 0, rated = 0;
	for (size_t t = 0; t < s->table_count; t++) {
		known += s->table[t].values;
		rated += s->table[t].rated;
	}
	hel_say(args,
		"%zu tables: %zu one-hot entries, %zu values with rows of their own; %zu "
		"parameters\n",
		s->table_count, hel_schema_onehots(s), known, m->parameters);
	json_object_set_new(out, "onehots", json_integer((json_int_t)hel_schema_onehots(s)));
	if (rated)
		hel_say(args,
			"the manifest will tell coarse click rates of %zu more values to who knows "
			"them: see SECURITY.md\n",
			rated);
	json_object_set_new(out, "rated_values", json_integer((json_int_t)rated));
	json_object_set_new(out, "known_values", json_integer((json_int_t)known));
	json_object_set_new(out, "parameters", json_integer((json_int_t)m->parameters));
}

static void report_fit(const hel_args *args, json_t *out, const hel_fit_report *r)
{
	const double rate = (double)r->rows / fmax(r->seconds, 1e-9);
	if (r->resumed)
		hel_say(args, "resumed after step %llu\n", (unsigned long long)r->resumed);
	hel_say(args, "trained %llu steps%s, %.0f rows/s, loss %.4f\n",
		(unsigned long long)r->steps, r->stopped ? " (stopped early)" : "", rate, r->loss);
	json_object_set_new(out, "steps", json_integer((json_int_t)r->steps));
	json_object_set_new(out, "trained_rows_per_second", json_real(rate));
	json_object_set_new(out, "training_seconds", json_real(r->seconds));
	json_object_set_new(out, "training_loss", json_real(r->loss));
	json_object_set_new(out, "stopped_early", json_boolean(r->stopped));
	if (isfinite(r->best_auc))
		json_object_set_new(out, "validation_auc", json_real(r->best_auc));
}

/* A training and its files. */
typedef struct training {
	const hel_args *args;
	hel_cache *cache;
	const hel_dlrm_config *config;
	hel_split split;
	char checkpoint[HEL_PATH_MAX];
	hel_fit_options options;
	hel_rescaling rescaling; /* of the model's logits; scale 0: none */
} training;

static hel_status train_model(hel_dlrm **out, hel_fit_report *report, const training *t,
			      json_t *json)
{
	hel_status st = HEL_OK;
	hel_schema *schema = NULL;
	hel_dlrm *m = NULL;
	TRY(hel_schema_learn(&schema, t->cache, &t->split, &t->config->plan, t->config->clip,
			     t->args->pool));
	TRY(hel_dlrm_new(&m, t->config, schema, t->config->training.seed));
	schema = NULL;
	report_tables(t->args, json, m);
	TRY(hel_dlrm_fit(report, m, t->cache, &t->split, &t->options));
	report_fit(t->args, json, report);
	memcpy(m->trained_on, hel_cache_stamp(t->cache), sizeof m->trained_on);
	m->stamped = true;
	if (t->rescaling.scale > 0)
		TRY(hel_dlrm_rescale(m, t->rescaling));
	TRY(hel_dlrm_save(m, hel_arg(t->args, "out")));
	*out = m;
	m = NULL;
done:
	hel_schema_free(schema);
	hel_dlrm_free(m);
	return st;
}

/* The held-out rows judge, and with --calibrate say what a logit is worth: the model takes that in.
 */
static hel_status judge(training *t, json_t *out, hel_dlrm *m)
{
	hel_status st = HEL_OK;
	hel_scores s = {0};
	hel_metrics metrics;
	if (!t->split.test)
		goto done;
	TRY(hel_scores_of_part(&s, m, t->cache, &t->split, HEL_TEST, t->args->pool));
	TRY(hel_metrics_of(&metrics, s.logit, s.label, s.count));
	json_object_set_new(out, "test", hel_report_metrics(t->args, "test", &metrics, s.count));
	hel_report_far(t->args, out, s.far);
	if (!hel_arg(t->args, "calibrate"))
		goto done;
	TRY(hel_rescaling_fit(&t->rescaling, s.logit, s.label, s.count));
	for (size_t i = 0; i < s.count; i++)
		s.logit[i] = t->rescaling.scale * s.logit[i] + t->rescaling.shift;
	TRY(hel_metrics_of(&metrics, s.logit, s.label, s.count));
	TRY(hel_dlrm_rescale(m, t->rescaling));
	TRY(hel_dlrm_save(m, hel_arg(t->args, "out")));
	hel_say(t->args, "calibrated on these rows: %.4f x logit %+.4f, log loss %.4f\n",
		t->rescaling.scale, t->rescaling.shift, metrics.log_loss);
	json_object_set_new(out, "calibrated",
			    json_pack("{s:f, s:f, s:f}", "scale", t->rescaling.scale, "shift",
				      t->rescaling.shift, "log_loss", metrics.log_loss));
done:
	hel_scores_clear(&s);
	return st;
}

/* The same on all rows, as many of the planned steps as served best: what was held out has judged,
 * and now teaches. The model says that it held nothing out. */
static hel_status refit(const training *judged, json_t *out, double share)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	hel_fit_report report;
	hel_dlrm_config config = *judged->config;
	training t = *judged;
	json_t *json = json_object();
	json_object_set_new(out, "refit", json);
	config.training.test = 0;
	config.training.validation = 0;
	t.config = &config;
	t.split = (hel_split){0};
	TRY(hel_path(t.checkpoint, hel_arg(t.args, "out"), "checkpoint.all"));
	t.options.checkpoint = t.checkpoint;
	t.options.share = share;
	t.options.resume = t.options.resume && hel_fit_begun(t.checkpoint, &config);
	hel_say(t.args, "once more on all rows, %.0f %% of the steps\n", 100 * share);
	TRY(train_model(&m, &report, &t, json));
	hel_fit_forget(t.checkpoint, &config);
done:
	hel_dlrm_free(m);
	return st;
}

static hel_status refuse_small(const hel_args *args, const hel_dataset *set,
			       const hel_dlrm_config *config)
{
	if (hel_arg(args, "cv"))
		return hel_fail(HEL_EINVAL,
				"--cv is for small data sets; '%s' holds one row in %u out "
				"(training.test in the config)",
				set->name, config->training.test);
	if (hel_arg(args, "refit") && !config->training.test)
		return hel_fail(HEL_EINVAL, "--refit: the config holds no rows out "
					    "(training.test): there is nothing to add");
	if (hel_arg(args, "calibrate") && !config->training.test)
		return hel_fail(HEL_EINVAL, "--calibrate: the config holds no rows out "
					    "(training.test) that could say what scores are worth");
	return HEL_OK;
}

hel_status hel_cli_train_rows(const hel_args *args, json_t *out, const hel_dataset *set,
			      const hel_dlrm_config *config)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	hel_fit_report report;
	uint64_t every;
	char path[HEL_PATH_MAX];
	const char *dir = hel_arg(args, "out");
	training t = {
	    .args = args, .config = config, .split = hel_dlrm_split(config), .rescaling = {1, 0}};
	TRY(refuse_small(args, set, config));
	TRY(hel_arg_number(&every, args, "checkpoint-every", 1, 1000000, 60));
	TRY(hel_dir_make(dir));
	TRY(hel_path(path, dir, "rows.cache"));
	TRY(hel_path(t.checkpoint, dir, "checkpoint"));
	hel_partial_sweep(t.checkpoint);
	if (!hel_arg(args, "resume"))
		TRY(hel_fit_begin(t.checkpoint, config));
	TRY(hel_cli_cache(&t.cache, args, out, set,
			  hel_arg(args, "cache") ? hel_arg(args, "cache") : path));
	t.options = (hel_fit_options){.checkpoint = t.checkpoint,
				      .interval = (double)every,
				      .resume = hel_arg(args, "resume") != NULL,
				      .keep = hel_arg(args, "refit") != NULL,
				      .pool = args->pool};
	TRY(train_model(&m, &report, &t, out));
	TRY(judge(&t, out, m));
	if (hel_arg(args, "refit"))
		TRY(refit(&t, out, report.best_share));
	hel_fit_forget(t.checkpoint, config); /* done: neither is needed again */
	if (!hel_arg(args, "cache"))
		unlink(path);
	hel_say(args, "written to %s\n", dir);
	if (*set->credit)
		hel_say(args, "The published data of this form: %s\n", set->credit);
	json_object_set_new(out, "peak_rss_bytes", json_integer((json_int_t)hel_peak_rss()));
done:
	if (st != HEL_OK && *t.checkpoint)
		hel_fit_abandon(t.checkpoint);
	hel_cache_free(t.cache);
	hel_dlrm_free(m);
	return st;
}
