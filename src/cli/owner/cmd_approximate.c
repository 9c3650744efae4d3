/* approximate: what polynomials in place of activations cost, degree by degree, without compiling.
 */
#include "cli/report.h"
#include "data.h"
#include <helrm/owner.h>

static void tell(const hel_args *args, const json_t *r)
{
	size_t i;
	const json_t *row;
	hel_say(args,
		"%s by polynomials, %.0f records: as trained AUC %s, accuracy %s, spread "
		"of logits %.3g\n"
		"degree     AUC  accuracy  distance    largest    bits  decisions that differ\n",
		json_string_value(json_object_get(r, "activation")), hel_report_number(r, "rows"),
		hel_report_rate(r, "auc").at, hel_report_rate(r, "accuracy").at,
		hel_report_number(r, "spread"));
	json_array_foreach(json_object_get(r, "degrees"), i, row)
	    hel_say(args, "%6.0f  %-6s  %-6s  %9.3g  %9.3g  %6.1f  %.0f\n",
		    hel_report_number(row, "degree"), hel_report_rate(row, "auc").at,
		    hel_report_rate(row, "accuracy").at, hel_report_number(row, "distance"),
		    hel_report_number(row, "largest_change"), hel_report_number(row, "bits"),
		    hel_report_number(row, "decisions_differ"));
}

static hel_status run_approximate(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_recommender *r = NULL;
	hel_records *records = NULL;
	uint8_t *text = NULL;
	size_t size, paths;
	const char *const *path = hel_arg_all(args, "data", &paths);
	TRY(hel_recommender_open(&r, hel_arg(args, "model")));
	TRY(hel_records_of_files(&records, r, path, paths));
	TRY(hel_recommender_approximate(&text, &size, r, hel_arg(args, "fit"), records,
					args->pool));
	json_t *report = json_loads((const char *)text, 0, NULL);
	tell(args, report);
	json_object_update_new(out, report);
done:
	hel_bytes_free(text, 0);
	hel_records_free(records);
	hel_recommender_free(r);
	return st;
}

const hel_command hel_command_approximate = {
    .name = "approximate",
    .summary = "What polynomials in place of activations would cost, degree by degree",
    .option = {HEL_MODEL_OPTION,
	       HEL_DATA_OPTION,
	       {"fit", "KIND", "poly: least squares (default), or chebyshev: interpolation", false,
		false}},
    .run = run_approximate,
};
