/* eval: a model against labels, in the clear. */
#include "base/temporary.h"
#include "cli/report.h"
#include "data.h"
#include "model/model_file.h"
#include <math.h>
#include <string.h>

/* What a model scores on the rows that it was trained on says little about others. */
static void warn_trained_on(const hel_args *args, json_t *out, bool same)
{
	json_object_set_new(out, "trained_on", json_boolean(same));
	if (same)
		hel_say(
		    args,
		    "warning: the model was trained on these rows; others tell how good it is\n");
}

static bool trained_on(const hel_dlrm *m, const uint8_t stamp[HEL_HASH_BYTES])
{
	return m->stamped && memcmp(m->trained_on, stamp, HEL_HASH_BYTES) == 0;
}

static hel_status eval_rows(const hel_args *args, json_t *out, const hel_dlrm *m,
			    const hel_dataset *set)
{
	hel_status st = HEL_OK;
	hel_cache *cache = NULL;
	hel_metrics metrics;
	uint64_t rows;
	hel_temporary temporary = {.lock = -1};
	const bool held_out = hel_arg(args, "held-out") != NULL;
	const hel_split all = {0}, split = held_out ? hel_dlrm_split(&m->config) : all;
	if (held_out && !split.test)
		FAIL(HEL_EINVAL, "this model was trained on all rows: none is held out");
	if (!hel_arg(args, "cache"))
		TRY(hel_temporary_open(&temporary));
	TRY(hel_cli_cache(&cache, args, out, set,
			  temporary.file ? temporary.file : hel_arg(args, "cache")));
	const bool same = trained_on(m, hel_cache_stamp(cache));
	if (held_out && !same)
		FAIL(HEL_EINVAL,
		     "--held-out is for the rows that the model was trained on; %s: leave it out, "
		     "and all "
		     "rows are scored",
		     m->stamped ? "these are others" : "this model does not say which those were");
	TRY(hel_metrics_of_part(&metrics, &rows, m, cache, &split, held_out ? HEL_TEST : HEL_TRAIN,
				args->pool));
	const char *what = held_out ? "test" : "evaluated";
	json_object_set_new(out, what, hel_report_metrics(args, what, &metrics, rows));
	hel_report_far(args, out, metrics.far);
	if (!held_out)
		warn_trained_on(args, out, same);
done:
	hel_cache_free(cache);
	hel_temporary_close(&temporary);
	return st;
}

static hel_status run_eval(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	hel_samples samples = {0};
	uint8_t stamp[HEL_HASH_BYTES];
	double *logits = NULL;
	hel_metrics metrics;
	TRY(hel_dlrm_load(&m, hel_arg(args, "model")));
	const hel_dataset *set = hel_dataset_by_name(m->schema->dataset);
	if (set && set->hashed) {
		st = eval_rows(args, out, m, set);
		goto done;
	}
	hel_dlrm_free(m);
	m = NULL;
	TRY(hel_cli_model_and_samples(&m, &samples, stamp, args, "data", true,
				      HEL_UNKNOWN_IS_MISSING));
	TRY_ALLOC(logits, hel_alloc(samples.count, sizeof *logits));
	TRY(hel_cli_logits(logits, m, &samples));
	TRY(hel_metrics_of(&metrics, logits, samples.label, samples.count));
	json_object_update_new(out, hel_report_metrics(args, "evaluated", &metrics, samples.count));
	hel_report_far(args, out, samples.far);
	warn_trained_on(args, out, trained_on(m, stamp));
	if (samples.unknown)
		hel_say(args, "%zu categories unknown, taken as missing\n", samples.unknown);
	json_object_set_new(out, "unknown_categories", json_integer((json_int_t)samples.unknown));
done:
	hel_free(logits);
	hel_dlrm_free(m);
	hel_samples_clear(&samples);
	return st;
}

const hel_command hel_command_eval = {
    .name = "eval",
    .summary = "Judge a model on labelled data, in the clear",
    .option = {HEL_MODEL_OPTION,
	       HEL_DATA_OPTION,
	       {"held-out", NULL, "only the rows that training left out (criteo)", false, false},
	       HEL_ROWS_OPTIONS},
    .run = run_eval,
};
