/* Training on data sets read as a stream (criteo). */
#include "train_rows.h"
#include "base/temporary.h"
#include "cli/report.h"
#include "model/fit.h"
#include "model/model_file.h"
#include <math.h>
#include <string.h>
#include <unistd.h>

static void report_tables(const hel_args *args, json_t *out, const hel_dlrm *m)
{
	const hel_schema *s = m->schema;
	size_t known = 0;
	for (size_t t = 0; t < s->table_count; t++)
		known += s->table[t].values;
	hel_say(args,
		"%zu tables: %zu one-hot entries, %zu values with rows of their own; %zu "
		"parameters\n",
		s->table_count, hel_schema_onehots(s), known, m->parameters);
	json_object_set_new(out, "onehots", json_integer((json_int_t)hel_schema_onehots(s)));
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

hel_status hel_cli_train_rows(const hel_args *args, json_t *out, const hel_dataset *set,
			      const hel_dlrm_config *config)
{
	hel_status st = HEL_OK;
	hel_cache *cache = NULL;
	hel_schema *schema = NULL;
	hel_dlrm *m = NULL;
	hel_fit_report report;
	hel_metrics metrics;
	uint64_t every, rows;
	char path[HEL_PATH_MAX], checkpoint[HEL_PATH_MAX];
	const char *dir = hel_arg(args, "out");
	const hel_split split = hel_dlrm_split(config);
	if (hel_arg(args, "cv"))
		FAIL(HEL_EINVAL,
		     "--cv is for small data sets; '%s' holds one row in %u out "
		     "(training.test in the config)",
		     set->name, config->training.test);
	TRY(hel_arg_number(&every, args, "checkpoint-every", 1, 1000000, 60));
	TRY(hel_dir_make(dir));
	TRY(hel_path(path, dir, "rows.cache"));
	TRY(hel_path(checkpoint, dir, "checkpoint"));
	hel_partial_sweep(checkpoint);
	TRY(hel_cli_cache(&cache, args, out, set,
			  hel_arg(args, "cache") ? hel_arg(args, "cache") : path));
	TRY(hel_schema_learn(&schema, cache, &split, &config->plan, config->clip, args->pool));
	TRY(hel_dlrm_new(&m, config, schema, config->training.seed));
	schema = NULL;
	report_tables(args, out, m);
	const hel_fit_options options = {.checkpoint = checkpoint,
					 .interval = (double)every,
					 .resume = hel_arg(args, "resume") != NULL,
					 .pool = args->pool};
	TRY(hel_dlrm_fit(&report, m, cache, &split, &options));
	report_fit(args, out, &report);
	memcpy(m->trained_on, hel_cache_stamp(cache), sizeof m->trained_on);
	m->stamped = true;
	TRY(hel_dlrm_save(m, dir));
	if (split.test) {
		TRY(hel_metrics_of_part(&metrics, &rows, m, cache, &split, HEL_TEST, args->pool));
		json_object_set_new(out, "test", hel_report_metrics(args, "test", &metrics, rows));
		hel_report_far(args, out, metrics.far);
	}
	hel_fit_forget(checkpoint, config); /* done: neither is needed again */
	if (!hel_arg(args, "cache"))
		unlink(path);
	hel_say(args, "written to %s\nThe published data of this form: %s\n", dir, set->credit);
	json_object_set_new(out, "peak_rss_bytes", json_integer((json_int_t)hel_peak_rss()));
done:
	hel_cache_free(cache);
	hel_schema_free(schema);
	hel_dlrm_free(m);
	return st;
}
