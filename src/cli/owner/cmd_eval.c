/* eval: a model against labels, in the clear. */
#include "base/temporary.h"
#include "cli/report.h"
#include "data.h"
#include "model/model_file.h"
#include <math.h>

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
	TRY(hel_metrics_of_part(&metrics, &rows, m, cache, &split, held_out ? HEL_TEST : HEL_TRAIN,
				args->pool));
	const char *what = held_out ? "test" : "evaluated";
	json_object_set_new(out, what, hel_report_metrics(args, what, &metrics, rows));
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
	TRY(hel_cli_model_and_samples(&m, &samples, args, "data", true, HEL_UNKNOWN_IS_MISSING));
	TRY_ALLOC(logits, hel_alloc(samples.count, sizeof *logits));
	TRY(hel_cli_logits(logits, m, &samples));
	TRY(hel_metrics_of(&metrics, logits, samples.label, samples.count));
	json_object_update_new(out, hel_report_metrics(args, "evaluated", &metrics, samples.count));
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
