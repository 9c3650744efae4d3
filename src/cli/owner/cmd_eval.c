/* eval: a model against labels, in the clear; and against another model on the same rows. */
#include "base/temporary.h"
#include "cli/report.h"
#include "data.h"
#include "model/model_file.h"
#include "model/network.h"
#include "model/recalibrate.h"
#include "model/reliability.h"
#include "reliability_plot.h"
#include <math.h>
#include <string.h>

#define NORMAL_95 1.959964 /* standard errors around a mean that hold it 95 times in 100 */

/* A model and what it says of the rows. */
typedef struct judged {
	hel_dlrm *m;
	hel_scores scores;
	hel_metrics metrics;
	double *placement; /* see hel_auc_placements */
	size_t unknown;	   /* categories */
	bool same;	   /* it was trained on these rows */
} judged;

static void judged_clear(judged *j)
{
	hel_dlrm_free(j->m);
	hel_scores_clear(&j->scores);
	hel_free(j->placement);
}

static bool trained_on(const hel_dlrm *m, const uint8_t stamp[HEL_HASH_BYTES])
{
	return m->stamped && memcmp(m->trained_on, stamp, HEL_HASH_BYTES) == 0;
}

/* --- scores ------------------------------------------------------------------------------- */

/* The rows that the first model held out; another one must have held out the same. */
static hel_status held_out_part(hel_split *out, const judged *j, size_t models)
{
	const hel_split split = hel_dlrm_split(&j->m->config);
	if (!split.test)
		return hel_fail(HEL_EINVAL, "this model was trained on all rows: none is held out");
	for (size_t i = 0; i < models; i++) {
		const hel_split its = hel_dlrm_split(&j[i].m->config);
		if (!j[i].same)
			return hel_fail(HEL_EINVAL,
					"--held-out is for the rows that the model was trained on; "
					"%s: leave it out, and all rows are scored",
					j[i].m->stamped
					    ? "these are others"
					    : "this model does not say which those were");
		if (its.test != split.test || its.seed != split.seed)
			return hel_fail(HEL_EINVAL,
					"the two models held out different rows (training.seed, "
					"training.test): there are none that neither was "
					"trained on");
	}
	*out = split;
	return HEL_OK;
}

static hel_status score_rows(judged *j, size_t models, const hel_args *args, json_t *out,
			     const hel_dataset *set)
{
	hel_status st = HEL_OK;
	hel_cache *cache = NULL;
	hel_temporary temporary = {.lock = -1};
	hel_split split = {0};
	const bool held_out = hel_arg(args, "held-out") != NULL;
	if (held_out && !hel_dlrm_split(&j->m->config).test)
		TRY(held_out_part(&split, j, models)); /* known before a row is read */
	if (!hel_arg(args, "cache"))
		TRY(hel_temporary_open(&temporary));
	TRY(hel_cli_cache(&cache, args, out, set,
			  temporary.file ? temporary.file : hel_arg(args, "cache")));
	for (size_t i = 0; i < models; i++)
		j[i].same = trained_on(j[i].m, hel_cache_stamp(cache));
	if (held_out)
		TRY(held_out_part(&split, j, models));
	for (size_t i = 0; i < models; i++)
		TRY(hel_scores_of_part(&j[i].scores, j[i].m, cache, &split,
				       held_out ? HEL_TEST : HEL_TRAIN, args->pool));
done:
	hel_cache_free(cache);
	hel_temporary_close(&temporary);
	return st;
}

static hel_status score_records(judged *j, size_t models, const hel_args *args,
				const hel_dataset *set)
{
	hel_status st = HEL_OK;
	hel_records records = {0};
	hel_samples samples = {0};
	uint8_t stamp[HEL_HASH_BYTES];
	TRY(hel_cli_records(&records, args, "data", set, true));
	hel_records_stamp(stamp, &records);
	for (size_t i = 0; i < models; i++) {
		hel_scores *s = &j[i].scores;
		TRY(hel_samples_new(&samples, j[i].m->schema, &records, NULL, records.count,
				    HEL_UNKNOWN_IS_MISSING));
		TRY_ALLOC(s->logit, hel_alloc(samples.count, sizeof *s->logit));
		TRY_ALLOC(s->label, hel_alloc(samples.count, 1));
		TRY(hel_cli_logits(s->logit, j[i].m, &samples));
		memcpy(s->label, samples.label, samples.count);
		s->count = samples.count;
		s->far = samples.far;
		j[i].unknown = samples.unknown;
		j[i].same = trained_on(j[i].m, stamp);
		hel_samples_clear(&samples);
	}
done:
	hel_records_clear(&records);
	hel_samples_clear(&samples);
	return st;
}

static hel_status judge(judged *j)
{
	hel_status st = HEL_OK;
	const hel_scores *s = &j->scores;
	TRY(hel_metrics_of(&j->metrics, s->logit, s->label, s->count));
	TRY_ALLOC(j->placement, hel_alloc(s->count, sizeof *j->placement));
	TRY(hel_auc_placements(j->placement, s->logit, s->label, s->count));
done:
	return st;
}

/* --- what it says ------------------------------------------------------------------------- */

static json_t *interval(double mean, double error)
{
	return json_pack("[f, f]", mean - NORMAL_95 * error, mean + NORMAL_95 * error);
}

static void say_auc_interval(const hel_args *args, json_t *report, const judged *j)
{
	const double auc = j->metrics.auc,
		     error = hel_auc_error(j->placement, NULL, j->scores.label, j->scores.count);
	if (!isfinite(error)) /* one row of a class has no spread */
		return;
	const double low = fmax(auc - NORMAL_95 * error, 0),
		     high = fmin(auc + NORMAL_95 * error, 1);
	hel_say(args, "AUC within %.4f .. %.4f, 95 times in 100 (DeLong)\n", low, high);
	json_object_update_new(
	    report, json_pack("{s:f, s:[f, f]}", "auc_error", error, "auc_interval", low, high));
}

static hel_status say_reliability(const hel_args *args, json_t *report, const judged *j)
{
	hel_status st = HEL_OK;
	hel_reliability r;
	char *svg = NULL;
	TRY(hel_reliability_of(&r, j->scores.logit, j->scores.label, j->scores.count));
	hel_say(args,
		"                     this model   guessing the base rate %.4f\n"
		"  log loss           %10.4f   %10.4f\n"
		"  Brier score        %10.4f   %10.4f\n"
		"  accuracy           %10.4f   %10.4f\n"
		"  calibration error  %10.4f\n",
		r.base_rate, j->metrics.log_loss, r.guess_log_loss, r.brier, r.guess_brier,
		j->metrics.accuracy, r.guess_accuracy, r.calibration_error);
	json_object_update_new(report, json_pack("{s:f, s:f, s:f, s:{s:f, s:f, s:f}}", "base_rate",
						 r.base_rate, "brier", r.brier, "calibration_error",
						 r.calibration_error, "guessing", "log_loss",
						 r.guess_log_loss, "brier", r.guess_brier,
						 "accuracy", r.guess_accuracy));
	if (hel_arg(args, "plot")) {
		TRY(hel_reliability_svg(&svg, &r));
		TRY(hel_file_write(hel_arg(args, "plot"), svg, strlen(svg), 0644));
	}
done:
	hel_free(svg);
	return st;
}

/* A copy of the model whose scale and shift fit these rows, and what that would do for rows like
 * them: each of ten parts is rescaled as the others say. */
static hel_status recalibrate(const hel_args *args, json_t *report, judged *j)
{
	hel_status st = HEL_OK;
	const hel_scores *s = &j->scores;
	double *other = NULL;
	hel_metrics metrics;
	hel_reliability before, after;
	hel_rescaling r;
	TRY_ALLOC(other, hel_alloc(s->count, sizeof *other));
	TRY(hel_rescaling_cross(other, s->logit, s->label, s->count));
	TRY(hel_metrics_of(&metrics, other, s->label, s->count));
	TRY(hel_reliability_of(&before, s->logit, s->label, s->count));
	TRY(hel_reliability_of(&after, other, s->label, s->count));
	TRY(hel_rescaling_fit(&r, s->logit, s->label, s->count));
	TRY(hel_dlrm_rescale(j->m, r));
	TRY(hel_dlrm_save(j->m, hel_arg(args, "recalibrate")));
	hel_say(args,
		"recalibrated: %.4f x logit %+.4f; by nine tenths of the rows for the last one:\n"
		"  log loss           %10.4f   was %.4f\n"
		"  Brier score        %10.4f   was %.4f\n"
		"  calibration error  %10.4f   was %.4f\n"
		"written to %s\n",
		r.scale, r.shift, metrics.log_loss, j->metrics.log_loss, after.brier, before.brier,
		after.calibration_error, before.calibration_error, hel_arg(args, "recalibrate"));
	json_object_set_new(report, "recalibrated",
			    json_pack("{s:f, s:f, s:f, s:f, s:f}", "scale", r.scale, "shift",
				      r.shift, "log_loss", metrics.log_loss, "brier", after.brier,
				      "calibration_error", after.calibration_error));
done:
	hel_free(other);
	return st;
}

/* Rows are the same, so that most of what chance does to both cancels. */
static json_t *compare(const hel_args *args, const judged *one, const judged *other)
{
	const size_t n = one->scores.count;
	double sum = 0, squares = 0;
	for (size_t i = 0; i < n; i++) {
		const double d = hel_log_loss(one->scores.logit[i], one->scores.label[i]) -
				 hel_log_loss(other->scores.logit[i], other->scores.label[i]);
		sum += d;
		squares += d * d;
	}
	const double loss = sum / (double)n,
		     loss_error =
			 n > 1 ? sqrt(fmax(squares - sum * loss, 0) / (double)(n - 1) / (double)n)
			       : NAN,
		     auc = one->metrics.auc - other->metrics.auc,
		     auc_error =
			 hel_auc_error(one->placement, other->placement, one->scores.label, n);
	json_t *out = json_object();
	if (isfinite(auc_error)) {
		hel_say(args, "  AUC better by      %+10.4f +- %.4f (95 times in 100)\n", auc,
			NORMAL_95 * auc_error);
		json_object_update_new(
		    out, json_pack("{s:f, s:f, s:o}", "auc_difference", auc, "auc_difference_error",
				   auc_error, "auc_difference_interval", interval(auc, auc_error)));
	}
	if (isfinite(loss_error)) {
		hel_say(args, "  log loss less by   %+10.4f +- %.4f\n", -loss,
			NORMAL_95 * loss_error);
		json_object_update_new(out, json_pack("{s:f, s:f}", "log_loss_difference", loss,
						      "log_loss_difference_error", loss_error));
	}
	return out;
}

static void say_against(const hel_args *args, json_t *report, const judged *j)
{
	const judged *other = &j[1];
	json_t *against = hel_report_metrics(args, hel_arg(args, "against"), &other->metrics,
					     other->scores.count);
	json_object_update_new(against, compare(args, j, other));
	json_object_set_new(report, "against", against);
	if (other->same && !hel_arg(args, "held-out"))
		hel_say(args, "warning: %s was trained on these rows\n", hel_arg(args, "against"));
}

static hel_status say(const hel_args *args, json_t *report, const char *what, const judged *j,
		      size_t models)
{
	hel_status st = HEL_OK;
	json_object_update_new(report,
			       hel_report_metrics(args, what, &j->metrics, j->scores.count));
	if (isfinite(j->metrics.auc)) { /* of one class, guessing knows all */
		say_auc_interval(args, report, j);
		TRY(say_reliability(args, report, j));
	} else if (hel_arg(args, "plot")) {
		FAIL(HEL_EDATA, "--plot: all rows have one label");
	}
	if (models > 1)
		say_against(args, report, j);
done:
	return st;
}

static hel_status run_eval(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	judged j[2] = {{0}};
	json_t *report = out;
	const char *what = "evaluated";
	const size_t models = hel_arg(args, "against") ? 2 : 1;
	TRY(hel_dlrm_load(&j[0].m, hel_arg(args, "model")));
	if (models > 1)
		TRY(hel_dlrm_load(&j[1].m, hel_arg(args, "against")));
	const char *dataset = j[0].m->schema->dataset;
	if (models > 1 && strcmp(dataset, j[1].m->schema->dataset) != 0)
		FAIL(HEL_EINVAL, "%.200s reads rows of '%s', the model those of '%s'",
		     hel_arg(args, "against"), j[1].m->schema->dataset, dataset);
	const hel_dataset *set = j[0].m->schema->set;
	if (!set->small) {
		TRY(score_rows(j, models, args, out, set));
		what = hel_arg(args, "held-out") ? "test" : what;
		report = json_object();
		json_object_set_new(out, what, report);
	} else {
		TRY(score_records(j, models, args, set));
	}
	for (size_t i = 0; i < models; i++)
		TRY(judge(&j[i]));
	TRY(say(args, report, what, j, models));
	hel_report_far(args, out, j->scores.far);
	/* What a model scores on the rows that it was trained on says little about others. */
	if (!hel_arg(args, "held-out")) {
		json_object_set_new(out, "trained_on", json_boolean(j->same));
		if (j->same)
			hel_say(args, "warning: the model was trained on these rows; others tell "
				      "how good it is\n");
	}
	if (hel_arg(args, "recalibrate"))
		TRY(recalibrate(args, report, j));
	if (j->unknown)
		hel_say(args, "%zu categories unknown, taken as missing\n", j->unknown);
	if (set->small)
		json_object_set_new(out, "unknown_categories",
				    json_integer((json_int_t)j->unknown));
done:
	judged_clear(&j[0]);
	judged_clear(&j[1]);
	return st;
}

const hel_command hel_command_eval = {
    .name = "eval",
    .summary = "Judge a model on labelled data, in the clear",
    .option =
	{HEL_MODEL_OPTION,
	 HEL_DATA_OPTION,
	 {"against", "DIR", "another model, compared row by row", false, false},
	 {"held-out", NULL, "only the rows that training left out (criteo)", false, false},
	 {"plot", "FILE", "a calibration plot, as SVG", false, false},
	 {"recalibrate", "DIR",
	  "a copy of the model, its scores scaled and shifted to be probabilities of these rows",
	  false, false},
	 HEL_ROWS_OPTIONS},
    .run = run_eval,
};
