/* train: small data sets in memory; those read as a stream in train_rows.c. */
#include "cli/report.h"
#include "data.h"
#include "model/cross_validation.h"
#include "model/model_file.h"
#include "owner/owner_inside.h"
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
					    "refit",	     "calibrate"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(names); i++)
		if (hel_arg(args, names[i]))
			return hel_fail(HEL_EINVAL,
					"--%s is for data sets read as a stream; '%s' is not one",
					names[i], set->name);
	return HEL_OK;
}

/* Who says nothing of the network or its tables gets those that are co-designed with encryption. */
static hel_status choose_config(hel_dlrm_config *c, const hel_args *args, const hel_dataset *set)
{
	static const char *const names[] = {"config",	 "architecture", "members",
					    "embedding", "threshold",	 "max-onehot"};
	hel_status st = HEL_OK;
	const hel_dlrm_config best = hel_dlrm_config_codesigned(set);
	bool said = false;
	for (size_t i = 0; i < HEL_ARRAY_LEN(names); i++)
		said |= hel_arg(args, names[i]) != NULL;
	TRY(hel_cli_config(c, args, set));
	if (!said) {
		const uint64_t seed = c->training.seed;
		*c = best;
		c->training.seed = seed;
	}
done:
	return st;
}

static hel_status run_train(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	const hel_dataset *set = NULL;
	hel_records records = {0};
	hel_dlrm *m = NULL;
	hel_metrics metrics;
	size_t far;
	hel_dlrm_config config;
	TRY(hel_cli_dataset(&set, args, "heart"));
	TRY(choose_config(&config, args, set));
	if (!set->small) {
		st = hel_cli_train_rows(args, out, set, &config);
		goto done;
	}
	TRY(refuse_stream_options(args, set));
	TRY(hel_cli_records(&records, args, "data", set, true));
	TRY(hel_owner_check_classes(&records));
	TRY(cross_validate(args, out, set, &records, &config));
	TRY(hel_owner_learn(&m, &metrics, &far, &config, set, &records, args->pool, NULL));
	TRY(hel_dlrm_save(m, hel_arg(args, "out")));
	json_object_update_new(
	    out, hel_report_metrics(args, "trained on all rows", &metrics, records.count));
	hel_report_far(args, out, far);
	hel_say(args, "%zu parameters, written to %s\n", m->parameters, hel_arg(args, "out"));
	if (*set->credit)
		hel_say(args, "The published data of this form: %s\n", set->credit);
	json_object_set_new(out, "parameters", json_integer((json_int_t)m->parameters));
done:
	hel_dlrm_free(m);
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
	 {"config", "FILE",
	  "network and training (JSON); without a word on either: the co-designed one", false,
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
	 {"calibrate", NULL, "scale and shift scores to be probabilities of held-out rows", false,
	  false},
	 {"checkpoint-every", "S", "seconds between checkpoints (default 60)", false, false},
	 {"resume", NULL, "go on where a killed training left off", false, false}},
    .run = run_train,
};
