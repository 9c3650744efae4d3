/* train: small data sets in memory; those read as a stream in train_rows.c. */
#include "cli/report.h"
#include "data.h"
#include "model/cross_validation.h"
#include "model/model_file.h"
#include "model/train.h"
#include "train_rows.h"
#include <math.h>

static void report_cv(const hel_args *args, json_t *out, const char *key, const char *what,
		      const hel_cv_result *r)
{
	char auc[32] = "undefined      "; /* where a fold holds one class */
	if (isfinite(r->auc))
		snprintf(auc, sizeof auc, "%.3f +- %.3f", r->auc, r->auc_error);
	hel_say(args, "  %-34s %.3f +- %.3f   %s   %.3f\n", what, r->accuracy, r->accuracy_error,
		auc, r->log_loss);
	json_object_set_new(out, key,
			    json_pack("{s:f, s:f, s:o, s:o, s:f}", "accuracy", r->accuracy,
				      "accuracy_error", r->accuracy_error, "auc",
				      hel_report_auc(r->auc), "auc_error",
				      hel_report_auc(r->auc_error), "log_loss", r->log_loss));
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
					    "max-malformed", "checkpoint-every", "resume",
					    "refit"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(names); i++)
		if (hel_arg(args, names[i]))
			return hel_fail(HEL_EINVAL,
					"--%s is for data sets read as a stream; '%s' is not one",
					names[i], set->name);
	return HEL_OK;
}

/* A model of one class would say it whatever it is asked. */
static hel_status refuse_one_class(const hel_records *r)
{
	size_t positive = 0;
	for (size_t i = 0; i < r->count; i++)
		positive += r->label[i];
	if (positive && positive < r->count)
		return HEL_OK;
	return hel_fail(
	    HEL_EDATA, "all %zu rows are of the %s class: there is nothing to learn from one class",
	    r->count, positive ? "positive" : "negative");
}

static hel_status run_train(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	const hel_dataset *set = NULL;
	hel_records records = {0};
	hel_samples samples = {0};
	hel_schema *schema = NULL;
	hel_dlrm *m = NULL;
	double *logits = NULL;
	hel_metrics metrics;
	hel_progress progress;
	hel_dlrm_config config;
	uint32_t base;
	TRY(hel_cli_dataset(&set, args, "heart"));
	TRY(hel_cli_config(&config, args, set));
	if (!set->small) {
		st = hel_cli_train_rows(args, out, set, &config);
		goto done;
	}
	TRY(refuse_stream_options(args, set));
	TRY(hel_dlrm_text_base(&base, &config));
	TRY(hel_cli_records(&records, args, "data", set, true));
	TRY(refuse_one_class(&records));
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
	TRY(hel_cli_logits(logits, m, &samples));
	TRY(hel_metrics_of(&metrics, logits, samples.label, samples.count));
	hel_records_stamp(m->trained_on, &records);
	m->stamped = true;
	TRY(hel_dlrm_save(m, hel_arg(args, "out")));
	json_object_update_new(
	    out, hel_report_metrics(args, "trained on all rows", &metrics, samples.count));
	hel_report_far(args, out, samples.far);
	hel_say(args, "%zu parameters, written to %s\n", m->parameters, hel_arg(args, "out"));
	if (*set->credit)
		hel_say(args, "The published data of this form: %s\n", set->credit);
	json_object_set_new(out, "parameters", json_integer((json_int_t)m->parameters));
done:
	hel_free(logits);
	hel_dlrm_free(m);
	hel_schema_free(schema);
	hel_samples_clear(&samples);
	hel_records_clear(&records);
	hel_dataset_drop(set);
	return st;
}

const hel_command hel_command_train = {
    .name = "train",
    .summary = "Train a model on data files",
    .option =
	{HEL_DATASET_OPTION,
	 HEL_DATA_OPTION,
	 {"out", "DIR", "where the model goes", true, false},
	 {"config", "FILE", "network and training (JSON); default: the co-designed one", false,
	  false},
	 {"architecture", "NAME", HEL_ARCHITECTURE_NAMES " (default: the config's)", false, false},
	 {"members", "M", "networks of M seeds, whose mean is the model (default 1)", false, false},
	 {"cv", "FOLDS", "cross-validate first, beside relu and logistic regression", false, false},
	 {"seeds", "N", "seeds of the cross-validation (default 1)", false, false},
	 {"embedding", "KIND", "of large tables, e.g. 'frequent(all)+digits(16)'", false, false},
	 {"threshold", "N", "tables with more values are large", false, false},
	 {"max-onehot", "N", "most one-hot entries of all tables together", false, false},
	 {"seed", "N", "of the split, the weights and the order of rows", false, false},
	 HEL_ROWS_OPTIONS,
	 {"refit", NULL, "then train on all rows, those that judged among them", false, false},
	 {"checkpoint-every", "S", "seconds between checkpoints (default 60)", false, false},
	 {"resume", NULL, "go on where a killed training left off", false, false}},
    .run = run_train,
};
