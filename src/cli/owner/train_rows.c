/* Training and judging on data sets read as a stream (criteo). */
#include "train_rows.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

hel_status hel_cli_config(hel_dlrm_config *out, const hel_args *args, const hel_dataset *set)
{
	hel_status st = HEL_OK;
	uint8_t *text = NULL;
	size_t size;
	uint64_t threshold, most, seed;
	hel_dlrm_config c = hel_dlrm_config_for(set);
	if (hel_arg(args, "config")) {
		TRY(hel_arg_file(&text, &size, args, "config"));
		TRY(hel_dlrm_config_update(&c, (const char *)text, size));
	}
	if (hel_arg(args, "embedding"))
		TRY(hel_embedding_parse(&c.plan.kind, hel_arg(args, "embedding")));
	TRY(hel_arg_number(&threshold, args, "threshold", 0, 1000000000, c.plan.threshold));
	TRY(hel_arg_number(&most, args, "max-onehot", 1, 1 << 26, c.plan.max_onehot));
	TRY(hel_arg_number(&seed, args, "seed", 0, (uint64_t)9e15, c.training.seed));
	c.plan.threshold = (uint32_t)threshold;
	c.plan.max_onehot = (uint32_t)most;
	c.training.seed = seed;
	*out = c;
done:
	hel_free(text);
	return st;
}

hel_status hel_cli_cache(hel_cache **out, const hel_args *args, json_t *report,
			 const hel_dataset *set, const char *path)
{
	hel_status st = HEL_OK;
	size_t count;
	uint64_t most;
	hel_scan_report scan;
	bool made;
	const char *const *paths = hel_arg_all(args, "data", &count);
	TRY(hel_arg_number(&most, args, "max-malformed", 0, UINT64_MAX, 0));
	const double start = hel_clock();
	TRY(hel_cache_open(out, &scan, &made, path, set, paths, count, most, args->pool));
	const double rate = (double)scan.rows / fmax(hel_clock() - start, 1e-9);
	if (made)
		hel_say(args, "%llu rows read, %.0f per second", (unsigned long long)scan.rows,
			rate);
	else
		hel_say(args, "%llu rows in the cache %s", (unsigned long long)scan.rows, path);
	hel_say(args, ", %llu malformed left out\n", (unsigned long long)scan.malformed);
	for (size_t i = 0; made && i < HEL_MIN(scan.malformed, (uint64_t)HEL_MALFORMED_SHOWN); i++)
		hel_say(args, "  %s\n", scan.shown[i]);
	json_object_set_new(report, "rows", json_integer((json_int_t)scan.rows));
	json_object_set_new(report, "malformed", json_integer((json_int_t)scan.malformed));
	if (made)
		json_object_set_new(report, "rows_per_second", json_real(rate));
done:
	return st;
}

static void report_part(const hel_args *args, json_t *out, const char *what, const hel_metrics *m,
			uint64_t rows)
{
	hel_say(args, "%s: %llu rows, AUC %.4f, log loss %.4f, accuracy %.4f\n", what,
		(unsigned long long)rows, m->auc, m->log_loss, m->accuracy);
	json_object_set_new(out, what,
			    json_pack("{s:I, s:o, s:f, s:f}", "rows", (json_int_t)rows, "auc",
				      isfinite(m->auc) ? json_real(m->auc) : json_null(),
				      "log_loss", m->log_loss, "accuracy", m->accuracy));
}

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
	char path[4096], checkpoint[4096];
	const char *dir = hel_arg(args, "out");
	const hel_split split = hel_dlrm_split(config);
	if (hel_arg(args, "cv"))
		FAIL(HEL_EINVAL,
		     "--cv is for small data sets; '%s' holds one row in %u out "
		     "(training.test in the config)",
		     set->name, config->training.test);
	TRY(hel_arg_number(&every, args, "checkpoint-every", 1, 1000000, 60));
	TRY(hel_dir_make(dir));
	snprintf(path, sizeof path, "%s/rows.cache", dir);
	snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint", dir);
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
	TRY(hel_dlrm_save(m, dir));
	if (split.test) {
		TRY(hel_metrics_of_part(&metrics, &rows, m, cache, &split, HEL_TEST, args->pool));
		report_part(args, out, "test", &metrics, rows);
	}
	unlink(checkpoint); /* done: neither is needed again */
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

hel_status hel_cli_eval_rows(const hel_args *args, json_t *out, const hel_dlrm *m,
			     const hel_dataset *set)
{
	hel_status st = HEL_OK;
	hel_cache *cache = NULL;
	hel_metrics metrics;
	uint64_t rows;
	char path[64] = "";
	const bool held_out = hel_arg(args, "held-out") != NULL;
	const hel_split all = {0}, split = held_out ? hel_dlrm_split(&m->config) : all;
	if (held_out && !split.test)
		FAIL(HEL_EINVAL, "this model was trained on all rows: none is held out");
	if (!hel_arg(args, "cache")) {
		const char *dir = getenv("TMPDIR");
		snprintf(path, sizeof path, "%.40s/helrm.XXXXXX", dir ? dir : "/tmp");
		const int fd = mkstemp(path);
		if (fd < 0)
			FAIL(HEL_EIO, "cannot create a temporary file %s; see --cache", path);
		close(fd);
	}
	TRY(hel_cli_cache(&cache, args, out, set, *path ? path : hel_arg(args, "cache")));
	TRY(hel_metrics_of_part(&metrics, &rows, m, cache, &split, held_out ? HEL_TEST : HEL_TRAIN,
				args->pool));
	report_part(args, out, held_out ? "test" : "evaluated", &metrics, rows);
done:
	if (*path)
		unlink(path);
	hel_cache_free(cache);
	return st;
}

static hel_status run_scan(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_cache *cache = NULL;
	const char *name = hel_arg(args, "dataset");
	const hel_dataset *set = hel_dataset_by_name(name ? name : "criteo");
	if (!set)
		FAIL(HEL_EINVAL, "%s", hel_error_detail());
	if (!set->hashed)
		FAIL(HEL_EUNSUPPORTED, "scan is for data sets read as a stream; 'train' reads '%s'",
		     set->name);
	TRY(hel_cli_cache(&cache, args, out, set, hel_arg(args, "cache")));
	hel_say(args, "peak memory %.0f MB\n", (double)hel_peak_rss() / 1e6);
	json_object_set_new(out, "peak_rss_bytes", json_integer((json_int_t)hel_peak_rss()));
done:
	hel_cache_free(cache);
	return st;
}

const hel_command hel_command_scan = {
    .name = "scan",
    .summary = "Read published files once: count rows, find malformed ones, keep them in binary",
    .option = {{"dataset", "NAME", "data set (default criteo)", false, false},
	       {"data", "FILE", "published data files, plain or gz", true, true},
	       {"cache", "FILE", "where the rows go, for --cache of train, tune and eval", true,
		false},
	       {"max-malformed", "N", "rows that may be left out (default 0)", false, false}},
    .run = run_scan,
};
