/* predict: scores in the clear. */
#include "cli/report.h"
#include "data.h"
#include "model/model_file.h"
#include <math.h>

static hel_status run_predict(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	hel_samples samples = {0};
	double logit;
	size_t scored = 0;
	json_t *rows = json_array();
	json_object_set_new(out, "predictions", rows);
	TRY(hel_cli_model_and_samples(&m, &samples, NULL, args, "input", false,
				      HEL_UNKNOWN_IS_ERROR));
	hel_say(args, "row  logit       probability\n");
	for (size_t i = 0; i < samples.count; i++) {
		st = hel_dlrm_logit(&logit, m, samples.value + i * samples.dense,
				    samples.hot + i * samples.hots);
		if (st == HEL_ERANGE) {
			hel_say(args, "%-4zu %s\n", i + 1, hel_error_detail());
			json_array_append_new(rows,
					      json_pack("{s:n, s:n}", "logit", "probability"));
			continue;
		}
		TRY(st);
		scored++;
		double p = 1 / (1 + exp(-logit));
		hel_say(args, "%-4zu %+.6f   %.6f\n", i + 1, logit, p);
		json_array_append_new(rows,
				      json_pack("{s:f, s:f}", "logit", logit, "probability", p));
	}
	hel_report_far(args, out, samples.far);
	if (samples.unknown)
		hel_say(args, "%zu categories unknown, taken as missing\n", samples.unknown);
	json_object_set_new(out, "unknown_categories", json_integer((json_int_t)samples.unknown));
	st = HEL_OK;
	if (!scored)
		FAIL(HEL_ERANGE, "no row has a finite score: the model's weights are too large");
done:
	hel_dlrm_free(m);
	hel_samples_clear(&samples);
	return st;
}

const hel_command hel_command_predict = {
    .name = "predict",
    .summary = "Score records in the clear",
    .option = {HEL_MODEL_OPTION,
	       {"input", "FILE", "records: csv or json; '-' is standard input", true, false}},
    .run = run_predict,
};
