/* train, eval, predict, synth: the model in the clear. */
#include "dlrm/dlrm.h"
#include "train_rows.h"
#include <math.h>
#include <string.h>

#define DATASET_OPTION                                                                             \
	{                                                                                          \
		"dataset", "NAME", "data set: heart (default) or criteo", false, false             \
	}
#define DATA_OPTION                                                                                \
	{                                                                                          \
		"data", "FILE", "published data files", true, true                                 \
	}
#define CACHE_OPTIONS                                                                              \
	{"cache", "FILE", "keep the rows in binary for the next run", false, false},               \
	{                                                                                          \
		"max-malformed", "N", "rows that may be left out (default 0)", false, false        \
	}
#define MODEL_OPTION                                                                               \
	{                                                                                          \
		"model", "DIR", "a trained model", true, false                                     \
	}

static hel_status dataset_of(const hel_dataset **out, const hel_args *args)
{
	const char *name = hel_arg(args, "dataset");
	*out = hel_dataset_by_name(name ? name : "heart");
	return *out ? HEL_OK : HEL_EINVAL;
}

static hel_status read_data(hel_records *out, const hel_args *args, const char *option,
			    const hel_dataset *set, bool labelled)
{
	size_t count;
	const char *const *paths = hel_arg_all(args, option, &count);
	hel_status st = hel_records_read(out, set, paths, count);
	if (st == HEL_OK && labelled && !out->labelled) {
		hel_records_clear(out);
		st = hel_fail(HEL_EDATA, "%s: a row has no label", paths[0]);
	}
	return st;
}

static hel_status logits_of(double *out, const hel_dlrm *m, const hel_samples *s)
{
	hel_status st = HEL_OK;
	for (size_t i = 0; i < s->count; i++)
		TRY(hel_dlrm_logit(&out[i], m, s->value + i * s->dense, s->hot + i * s->hots));
done:
	return st;
}

static void report_metrics(const hel_args *args, json_t *out, const char *what,
			   const hel_metrics *m, size_t rows, size_t unknown)
{
	char auc[32] = "undefined (one class only)";
	if (isfinite(m->auc))
		snprintf(auc, sizeof auc, "%.3f", m->auc);
	hel_say(args, "%s: %zu rows, accuracy %.3f, AUC %s, log loss %.3f%s\n", what, rows,
		m->accuracy, auc, m->log_loss,
		unknown ? " (some categories unknown, taken as missing)" : "");
	json_object_set_new(out, "rows", json_integer((json_int_t)rows));
	json_object_set_new(out, "accuracy", json_real(m->accuracy));
	json_object_set_new(out, "auc", isfinite(m->auc) ? json_real(m->auc) : json_null());
	json_object_set_new(out, "log_loss", json_real(m->log_loss));
	json_object_set_new(out, "unknown_categories", json_integer((json_int_t)unknown));
}

static void report_cv(const hel_args *args, json_t *out, const char *key, const char *what,
		      const hel_cv_result *r)
{
	hel_say(args, "  %-34s %.3f +- %.3f   %.3f +- %.3f   %.3f\n", what, r->accuracy,
		r->accuracy_error, r->auc, r->auc_error, r->log_loss);
	json_object_set_new(out, key,
			    json_pack("{s:f, s:f, s:f, s:f, s:f}", "accuracy", r->accuracy,
				      "accuracy_error", r->accuracy_error, "auc", r->auc,
				      "auc_error", r->auc_error, "log_loss", r->log_loss));
}

static hel_status cross_validate(const hel_args *args, json_t *out, const hel_dataset *set,
				 const hel_records *records, const hel_dlrm_config *config)
{
	hel_status st = HEL_OK;
	uint64_t folds, seeds;
	hel_cv_report report;
	TRY(hel_arg_number(&folds, args, "cv", 2, 1000, 0));
	TRY(hel_arg_number(&seeds, args, "seeds", 1, 10000, 1));
	if (!folds)
		goto done;
	TRY(hel_cross_validate(&report, set, records, config, folds, seeds, args->pool));
	hel_say(
	    args,
	    "%zu-fold cross-validation, %zu seeds   accuracy          AUC               log loss\n",
	    (size_t)folds, (size_t)seeds);
	json_t *cv = json_object();
	json_object_set_new(out, "cross_validation", cv);
	json_object_set_new(cv, "runs", json_integer((json_int_t)report.runs));
	report_cv(args, cv, "model", "this model", &report.model);
	report_cv(args, cv, "relu", "same shape, relu", &report.relu);
	report_cv(args, cv, "logistic", "logistic regression", &report.logistic);
done:
	return st;
}

/* What only makes sense for rows read as a stream is not ignored. */
static hel_status refuse_stream_options(const hel_args *args, const hel_dataset *set)
{
	static const char *const names[] = {"threshold",     "max-onehot",	 "cache",
					    "max-malformed", "checkpoint-every", "resume"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(names); i++)
		if (hel_arg(args, names[i]))
			return hel_fail(HEL_EINVAL,
					"--%s is for data sets read as a stream; '%s' is not one",
					names[i], set->name);
	return HEL_OK;
}

static hel_status run_train(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	const hel_dataset *set;
	hel_records records = {0};
	hel_samples samples = {0};
	hel_schema *schema = NULL;
	hel_dlrm *m = NULL;
	double *logits = NULL;
	hel_metrics metrics;
	hel_progress progress;
	hel_dlrm_config config;
	uint32_t base;
	TRY(dataset_of(&set, args));
	TRY(hel_cli_config(&config, args, set));
	if (set->hashed) {
		st = hel_cli_train_rows(args, out, set, &config);
		goto done;
	}
	TRY(refuse_stream_options(args, set));
	TRY(hel_dlrm_text_base(&base, &config));
	TRY(read_data(&records, args, "data", set, true));
	TRY(cross_validate(args, out, set, &records, &config));
	TRY(hel_schema_fit(&schema, set, &records, NULL, records.count, config.clip, base));
	TRY(hel_samples_new(&samples, schema, &records, NULL, records.count, HEL_UNKNOWN_IS_ERROR));
	TRY(hel_dlrm_new(&m, &config, schema, config.training.seed));
	schema = NULL;
	hel_progress_begin(&progress, "training");
	st = hel_dlrm_train(m, &samples, &progress);
	hel_progress_end(&progress);
	TRY(st);
	TRY_ALLOC(logits, hel_alloc(samples.count, sizeof *logits));
	TRY(logits_of(logits, m, &samples));
	TRY(hel_metrics_of(&metrics, logits, samples.label, samples.count));
	TRY(hel_dlrm_save(m, hel_arg(args, "out")));
	report_metrics(args, out, "trained on all rows", &metrics, samples.count, 0);
	hel_say(args, "%zu parameters, written to %s\nThe published data of this form: %s\n",
		m->parameters, hel_arg(args, "out"), set->credit);
	json_object_set_new(out, "parameters", json_integer((json_int_t)m->parameters));
done:
	hel_free(logits);
	hel_dlrm_free(m);
	hel_schema_free(schema);
	hel_samples_clear(&samples);
	hel_records_clear(&records);
	return st;
}

const hel_command hel_command_train = {
    .name = "train",
    .summary = "Train a model on published data files",
    .option = {DATASET_OPTION,
	       DATA_OPTION,
	       {"out", "DIR", "where the model goes", true, false},
	       {"config", "FILE", "network and training (JSON); default: the co-designed one",
		false, false},
	       {"cv", "FOLDS", "cross-validate first, beside relu and logistic regression", false,
		false},
	       {"seeds", "N", "seeds of the cross-validation (default 1)", false, false},
	       {"embedding", "KIND", "of large tables, e.g. 'frequent(all)+digits(16)'", false,
		false},
	       {"threshold", "N", "tables with more values are large", false, false},
	       {"max-onehot", "N", "most one-hot entries of all tables together", false, false},
	       {"seed", "N", "of the split, the weights and the order of rows", false, false},
	       CACHE_OPTIONS,
	       {"checkpoint-every", "S", "seconds between checkpoints (default 60)", false, false},
	       {"resume", NULL, "go on where a killed training left off", false, false}},
    .run = run_train,
};

/* Model and applied records for eval and predict. */
static hel_status load_both(hel_dlrm **m, hel_samples *samples, const hel_args *args,
			    const char *option, bool labelled, hel_unknown policy)
{
	hel_status st = HEL_OK;
	hel_records records = {0};
	TRY(hel_dlrm_load(m, hel_arg(args, "model")));
	const hel_dataset *set = hel_dataset_by_name((*m)->schema->dataset);
	if (!set) {
		st = HEL_EFORMAT;
		goto done;
	}
	TRY(read_data(&records, args, option, set, labelled));
	TRY(hel_samples_new(samples, (*m)->schema, &records, NULL, records.count, policy));
done:
	hel_records_clear(&records);
	return st;
}

static hel_status run_eval(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	hel_samples samples = {0};
	double *logits = NULL;
	hel_metrics metrics;
	TRY(hel_dlrm_load(&m, hel_arg(args, "model")));
	const hel_dataset *set = hel_dataset_by_name(m->schema->dataset);
	if (set && set->hashed) {
		st = hel_cli_eval_rows(args, out, m, set);
		goto done;
	}
	hel_dlrm_free(m);
	m = NULL;
	TRY(load_both(&m, &samples, args, "data", true, HEL_UNKNOWN_IS_MISSING));
	TRY_ALLOC(logits, hel_alloc(samples.count, sizeof *logits));
	TRY(logits_of(logits, m, &samples));
	TRY(hel_metrics_of(&metrics, logits, samples.label, samples.count));
	report_metrics(args, out, "evaluated", &metrics, samples.count, samples.unknown);
done:
	hel_free(logits);
	hel_dlrm_free(m);
	hel_samples_clear(&samples);
	return st;
}

const hel_command hel_command_eval = {
    .name = "eval",
    .summary = "Judge a model on labelled data, in the clear",
    .option = {MODEL_OPTION,
	       DATA_OPTION,
	       {"held-out", NULL, "only the rows that training left out (criteo)", false, false},
	       CACHE_OPTIONS},
    .run = run_eval,
};

static hel_status run_predict(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	hel_samples samples = {0};
	double logit;
	json_t *rows = json_array();
	json_object_set_new(out, "predictions", rows);
	TRY(load_both(&m, &samples, args, "input", false, HEL_UNKNOWN_IS_ERROR));
	hel_say(args, "row  logit       probability\n");
	for (size_t i = 0; i < samples.count; i++) {
		TRY(hel_dlrm_logit(&logit, m, samples.value + i * samples.dense,
				   samples.hot + i * samples.hots));
		double p = 1 / (1 + exp(-logit));
		hel_say(args, "%-4zu %+.6f   %.6f\n", i + 1, logit, p);
		json_array_append_new(rows,
				      json_pack("{s:f, s:f}", "logit", logit, "probability", p));
	}
done:
	hel_dlrm_free(m);
	hel_samples_clear(&samples);
	return st;
}

const hel_command hel_command_predict = {
    .name = "predict",
    .summary = "Score records in the clear",
    .option = {MODEL_OPTION, {"input", "FILE", "records: csv or json", true, false}},
    .run = run_predict,
};

static ssize_t write_to_stream(void *stream, const char *bytes, size_t size)
{
	return hel_stream_write(stream, bytes, size) == HEL_OK ? (ssize_t)size : 0;
}

static hel_status run_synth(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	const hel_dataset *set;
	uint64_t rows, seed;
	uint8_t bytes[HEL_SEED_BYTES] = {0};
	hel_prng g;
	hel_stream *stream = NULL;
	FILE *f = NULL;
	TRY(dataset_of(&set, args));
	TRY(hel_arg_number(&rows, args, "rows", 1, 10000000000, 303));
	TRY(hel_arg_number(&seed, args, "seed", 0, UINT64_MAX, 1));
	memcpy(bytes, &seed, sizeof seed);
	hel_prng_init(&g, bytes, 3);
	TRY(hel_stream_new(&stream, hel_arg(args, "out")));
	const cookie_io_functions_t io = {.write = write_to_stream};
	TRY_ALLOC(f, fopencookie(stream, "w", io));
	set->synthesise(f, rows, &g);
	const bool failed = ferror(f) | fclose(f);
	f = NULL;
	if (failed)
		FAIL(HEL_EIO, "cannot write %s: is the disk full?", hel_arg(args, "out"));
	TRY(hel_stream_finish(stream, NULL, 0));
	hel_say(args, "%zu synthetic %s rows written to %s\n", (size_t)rows, set->name,
		hel_arg(args, "out"));
	json_object_set_new(out, "rows", json_integer((json_int_t)rows));
done:
	if (f)
		fclose(f);
	hel_stream_free(stream);
	return st;
}

const hel_command hel_command_synth = {
    .name = "synth",
    .summary = "Write a synthetic data file that looks like the published ones",
    .option = {DATASET_OPTION,
	       {"out", "FILE", "where it goes", true, false},
	       {"rows", "N", "how many (default 303)", false, false},
	       {"seed", "N", "same seed, same file (default 1)", false, false}},
    .run = run_synth,
};
