/* predict: scores in the clear. */
#include "cli/report.h"
#include "data.h"
#include <helrm/owner.h>
#include <math.h>

/* How many have a score. */
static size_t tell(const hel_args *args, json_t *rows, const double *logit, size_t count)
{
	size_t scored = 0;
	hel_say(args, "row  logit       probability\n");
	for (size_t i = 0; i < count; i++) {
		if (isnan(logit[i])) {
			hel_say(args,
				"%-4zu the score is not finite: the model's weights are "
				"too large\n",
				i + 1);
			json_array_append_new(rows,
					      json_pack("{s:n, s:n}", "logit", "probability"));
			continue;
		}
		scored++;
		const double p = 1 / (1 + exp(-logit[i]));
		hel_say(args, "%-4zu %+.6f   %.6f\n", i + 1, logit[i], p);
		json_array_append_new(rows,
				      json_pack("{s:f, s:f}", "logit", logit[i], "probability", p));
	}
	return scored;
}

static hel_status run_predict(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_recommender *r = NULL;
	hel_records *records = NULL;
	hel_score_notes notes;
	double *logit = NULL;
	size_t paths;
	const char *const *path = hel_arg_all(args, "input", &paths);
	json_t *rows = json_array();
	json_object_set_new(out, "predictions", rows);
	TRY(hel_recommender_open(&r, hel_arg(args, "model")));
	TRY(hel_records_of_files(&records, r, path, paths));
	const size_t count = hel_records_rows(records);
	TRY_ALLOC(logit, hel_alloc(count, sizeof *logit));
	TRY(hel_recommender_score(logit, &notes, r, records, args->pool, NULL));
	const size_t scored = tell(args, rows, logit, count);
	hel_report_far(args, out, notes.far);
	if (notes.unknown)
		hel_say(args, "%zu categories unknown, taken as missing\n", notes.unknown);
	json_object_set_new(out, "unknown_categories", json_integer((json_int_t)notes.unknown));
	if (!scored)
		FAIL(HEL_ERANGE, "no row has a finite score: the model's weights are too large");
done:
	hel_free(logit);
	hel_records_free(records);
	hel_recommender_free(r);
	return st;
}

const hel_command hel_command_predict = {
    .name = "predict",
    .summary = "Score records in the clear",
    .option = {HEL_MODEL_OPTION,
	       {"input", "FILE", "records: csv or json; '-' is standard input", true, false}},
    .run = run_predict,
};
