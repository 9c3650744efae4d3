#include "report.h"
#include <math.h>

json_t *hel_report_score(const hel_args *args, const hel_score *score)
{
	char right[80] = "beyond what its precision is known for";
	if (score->bits > 0)
		snprintf(right, sizeof right, "at least %.1f bits are right", score->bits);
	hel_say(args, "logit %+.6f, probability %.6f (%s)\n", score->logit, score->probability,
		right);
	return json_pack("{s:f, s:f, s:f}", "logit", score->logit, "probability",
			 score->probability, "bits", score->bits);
}

json_t *hel_report_auc(double auc)
{
	return isfinite(auc) ? json_real(auc) : json_null();
}

json_t *hel_report_accuracy(const hel_metrics *m)
{
	return isfinite(m->auc) ? json_real(m->accuracy) : json_null();
}

json_t *hel_report_metrics(const hel_args *args, const char *what, const hel_metrics *m,
			   uint64_t rows)
{
	const bool both = isfinite(m->auc); /* who always says the only class is always right */
	if (both)
		hel_say(args, "%s: %llu rows, accuracy %.4f, AUC %.4f, log loss %.4f\n", what,
			(unsigned long long)rows, m->accuracy, m->auc, m->log_loss);
	else
		hel_say(args, "%s: %llu rows, one class: AUC undefined, log loss %.4f\n", what,
			(unsigned long long)rows, m->log_loss);
	return json_pack("{s:I, s:o, s:o, s:f}", "rows", (json_int_t)rows, "accuracy",
			 hel_report_accuracy(m), "auc", hel_report_auc(m->auc), "log_loss",
			 m->log_loss);
}

void hel_report_far(const hel_args *args, json_t *out, uint64_t far)
{
	json_object_set_new(out, "far_values", json_integer((json_int_t)far));
	if (far)
		hel_say(args,
			"%llu dense value%s more than %d deviations from what was trained on\n",
			(unsigned long long)far, far == 1 ? " lies" : "s lie", HEL_FAR);
}

double hel_report_number(const json_t *o, const char *name)
{
	return json_number_value(json_object_get(o, name));
}

hel_auc_text hel_report_rate(const json_t *o, const char *name)
{
	hel_auc_text out = {"undefined"};
	const json_t *v = json_object_get(o, name);
	if (json_is_number(v))
		snprintf(out.at, sizeof out.at, "%.4f", json_number_value(v));
	return out;
}
