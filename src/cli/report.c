#include "report.h"
#include <math.h>

json_t *hel_report_score(const hel_args *args, const hel_score *score)
{
	hel_say(args, "logit %+.6f, probability %.6f (at least %.1f bits are right)\n",
		score->logit, score->probability, score->bits);
	return json_pack("{s:f, s:f, s:f}", "logit", score->logit, "probability",
			 score->probability, "bits", score->bits);
}

json_t *hel_report_auc(double auc)
{
	return isfinite(auc) ? json_real(auc) : json_null();
}

json_t *hel_report_metrics(const hel_args *args, const char *what, const hel_metrics *m,
			   uint64_t rows)
{
	char auc[32] = "undefined (one class only)";
	if (isfinite(m->auc))
		snprintf(auc, sizeof auc, "%.4f", m->auc);
	hel_say(args, "%s: %llu rows, accuracy %.4f, AUC %s, log loss %.4f\n", what,
		(unsigned long long)rows, m->accuracy, auc, m->log_loss);
	return json_pack("{s:I, s:f, s:o, s:f}", "rows", (json_int_t)rows, "accuracy", m->accuracy,
			 "auc", hel_report_auc(m->auc), "log_loss", m->log_loss);
}
