/* approximate: what polynomials in place of activations cost, degree by degree, without compiling.
 */
#include "cli/report.h"
#include "compile/activations.h"
#include "data.h"
#include <string.h>

static json_t *row_json(const hel_args *args, unsigned degree, const hel_fidelity *f)
{
	hel_say(args, "%6u  %-6s  %-6s  %9.3g  %9.3g  %6.1f  %zu\n", degree,
		hel_auc_says(f->fitted.auc).at, hel_accuracy_says(&f->fitted).at, f->distance,
		f->largest, f->bits, f->differ);
	return json_pack("{s:i, s:o, s:o, s:f, s:f, s:f, s:I}", "degree", (int)degree, "auc",
			 hel_report_auc(f->fitted.auc), "accuracy", hel_report_accuracy(&f->fitted),
			 "distance", f->distance, "largest_change", f->largest, "bits", f->bits,
			 "decisions_differ", (json_int_t)f->differ);
}

static hel_status run_approximate(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	hel_samples samples = {0};
	hel_fidelity *row = NULL;
	json_t *rows = json_array();
	const char *fit = hel_arg(args, "fit");
	if (fit && strcmp(fit, "poly") != 0 && strcmp(fit, "chebyshev") != 0)
		FAIL(HEL_EINVAL, "--fit %s: expected poly (least squares) or chebyshev", fit);
	TRY(hel_cli_model_and_samples(&m, &samples, NULL, args, "data", true,
				      HEL_UNKNOWN_IS_MISSING));
	const hel_activation_kind kind = m->config.activation.kind;
	if (kind == HEL_ACT_SQUARE || kind == HEL_ACT_QUADRATIC || m->polynomials_trained)
		FAIL(HEL_EINVAL, "this model's activations are polynomials as it was trained");
	TRY_ALLOC(row, hel_alloc(HEL_MAX_APPROXIMATION - 1, sizeof *row));
	TRY(hel_activations_compare(row, m,
				    fit && *fit == 'c' ? HEL_INTERPOLATION : HEL_LEAST_SQUARES,
				    &samples, args->pool));
	hel_say(args,
		"%s by polynomials, %zu records: as trained AUC %s, accuracy %s, spread "
		"of logits %.3g\n"
		"degree     AUC  accuracy  distance    largest    bits  decisions that differ\n",
		hel_activation_name(kind), row->rows, hel_auc_says(row->trained.auc).at,
		hel_accuracy_says(&row->trained).at, row->spread);
	for (unsigned d = 2; d <= HEL_MAX_APPROXIMATION; d++)
		json_array_append_new(rows, row_json(args, d, &row[d - 2]));
	json_object_update_new(out,
			       json_pack("{s:s, s:I, s:o, s:o, s:f, s:O}", "activation",
					 hel_activation_name(kind), "rows", (json_int_t)row->rows,
					 "auc", hel_report_auc(row->trained.auc), "accuracy",
					 hel_report_accuracy(&row->trained), "spread", row->spread,
					 "degrees", rows));
done:
	json_decref(rows);
	hel_free(row);
	hel_samples_clear(&samples);
	hel_dlrm_free(m);
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
