/* What polynomials in place of activations cost, degree by degree. */
#include "model/model_file.h"
#include "owner_inside.h"
#include <math.h>
#include <string.h>

static json_t *accuracy_of(const hel_metrics *m)
{
	return hel_owner_number(isfinite(m->auc) ? m->accuracy : NAN);
}

static json_t *degree_json(unsigned degree, const hel_fidelity *f)
{
	return json_pack("{s:i, s:o, s:o, s:f, s:f, s:f, s:I}", "degree", (int)degree, "auc",
			 hel_owner_number(f->fitted.auc), "accuracy", accuracy_of(&f->fitted),
			 "distance", f->distance, "largest_change", f->largest, "bits", f->bits,
			 "decisions_differ", (json_int_t)f->differ);
}

hel_status hel_recommender_approximate(uint8_t **json, size_t *size, const hel_recommender *r,
				       const char *fit, const hel_records *records, hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	hel_samples samples = {0};
	hel_fidelity *row = NULL;
	json_t *rows = json_array();
	const hel_activation_kind kind = r->m->config.activation.kind;
	const bool chebyshev = fit && strcmp(fit, "chebyshev") == 0;
	if (fit && !chebyshev && strcmp(fit, "poly") != 0)
		FAIL(HEL_EINVAL, "fit=%.40s: expected poly (least squares) or chebyshev", fit);
	if (kind == HEL_ACT_SQUARE || kind == HEL_ACT_QUADRATIC || r->m->polynomials_trained)
		FAIL(HEL_EINVAL, "this model's activations are polynomials as it was trained");
	TRY(hel_owner_samples(&samples, r->m, records, true, HEL_UNKNOWN_IS_MISSING));
	TRY(hel_dlrm_copy(&m, r->m));
	TRY_ALLOC(row, hel_alloc(HEL_MAX_APPROXIMATION - 1, sizeof *row));
	TRY(hel_activations_compare(row, m, chebyshev ? HEL_INTERPOLATION : HEL_LEAST_SQUARES,
				    &samples, pool));
	for (unsigned d = 2; d <= HEL_MAX_APPROXIMATION; d++)
		json_array_append_new(rows, degree_json(d, &row[d - 2]));
	TRY(hel_owner_text(json, size,
			   json_pack("{s:s, s:I, s:o, s:o, s:f, s:O}", "activation",
				     hel_activation_name(kind), "rows", (json_int_t)row->rows,
				     "auc", hel_owner_number(row->trained.auc), "accuracy",
				     accuracy_of(&row->trained), "spread", row->spread, "degrees",
				     rows)));
done:
	json_decref(rows);
	hel_free(row);
	hel_samples_clear(&samples);
	hel_dlrm_free(m);
	return st;
}
