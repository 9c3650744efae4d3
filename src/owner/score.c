/* Scores in the clear, and how good they are. */
#include "model/accuracy.h"
#include "model/reliability.h"
#include "owner_inside.h"
#include <math.h>
#include <string.h>

#define BLOCK 64 /* records that a thread takes at once */

typedef struct scoring {
	double *logit;
	const hel_dlrm *m;
	const hel_samples *s;
	hel_watching *watching;
	atomic_size_t done;
} scoring;

static hel_status score_block(void *arg, size_t block)
{
	hel_status st = HEL_OK;
	scoring *j = arg;
	const hel_samples *s = j->s;
	const size_t end = HEL_MIN((block + 1) * BLOCK, s->count);
	TRY(hel_watching_step(j->watching, (double)j->done / (double)s->count));
	for (size_t i = block * BLOCK; i < end; i++) {
		st = hel_dlrm_logit(&j->logit[i], j->m, s->value + i * s->dense,
				    s->hot + i * s->hots);
		if (st == HEL_ERANGE) {
			j->logit[i] = NAN;
			st = HEL_OK;
		}
		TRY(st);
	}
	j->done += end - block * BLOCK;
done:
	return st;
}

hel_status hel_owner_logits(double *logit, const hel_dlrm *m, const hel_samples *s, hel_pool *pool,
			    hel_watching *watching)
{
	scoring j = {.logit = logit, .m = m, .s = s, .watching = watching};
	return hel_pool_try(pool, (s->count + BLOCK - 1) / BLOCK, score_block, &j);
}

hel_status hel_recommender_score(double *logits, hel_score_notes *notes, const hel_recommender *r,
				 const hel_records *records, hel_pool *pool, const hel_watch *watch)
{
	hel_status st = HEL_OK;
	hel_samples samples = {0};
	double *logit = NULL;
	hel_watching watching;
	hel_watching_begin(&watching, watch);
	TRY(hel_owner_samples(&samples, r->m, records, false, HEL_UNKNOWN_IS_ERROR));
	TRY_ALLOC(logit, hel_alloc(samples.count, sizeof *logit));
	TRY(hel_owner_logits(logit, r->m, &samples, pool, &watching));
	memcpy(logits, logit, samples.count * sizeof *logit);
	if (notes)
		*notes = (hel_score_notes){samples.unknown, samples.far};
done:
	hel_free(logit);
	hel_samples_clear(&samples);
	return st;
}

static hel_status judgement(json_t **out, const double *logit, const hel_samples *s)
{
	hel_status st = HEL_OK;
	hel_metrics metrics;
	hel_reliability r;
	double *placement = NULL;
	TRY(hel_metrics_of(&metrics, logit, s->label, s->count));
	TRY(hel_reliability_of(&r, logit, s->label, s->count));
	TRY_ALLOC(placement, hel_alloc(s->count, sizeof *placement));
	TRY(hel_auc_placements(placement, logit, s->label, s->count));
	const bool both = isfinite(metrics.auc); /* who says the only class is always right */
	*out = json_pack("{s:I, s:o, s:o, s:o, s:f, s:f, s:f, s:f}", "rows", (json_int_t)s->count,
			 "accuracy", hel_owner_number(both ? metrics.accuracy : NAN), "auc",
			 hel_owner_number(metrics.auc), "auc_error",
			 hel_owner_number(hel_auc_error(placement, NULL, s->label, s->count)),
			 "log_loss", metrics.log_loss, "base_rate", r.base_rate, "brier", r.brier,
			 "calibration_error", r.calibration_error);
done:
	hel_free(placement);
	return st;
}

hel_status hel_recommender_judge(uint8_t **json, size_t *size, const hel_recommender *r,
				 const hel_records *records, hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_samples samples = {0};
	double *logit = NULL;
	json_t *said = NULL;
	uint8_t stamp[HEL_HASH_BYTES];
	TRY(hel_owner_samples(&samples, r->m, records, true, HEL_UNKNOWN_IS_MISSING));
	if (!samples.count)
		FAIL(HEL_EDATA, "there are no records to judge by");
	TRY_ALLOC(logit, hel_alloc(samples.count, sizeof *logit));
	TRY(hel_owner_logits(logit, r->m, &samples, pool, NULL));
	TRY(judgement(&said, logit, &samples));
	hel_records_stamp(stamp, records);
	json_object_set_new(
	    said, "trained_on",
	    json_boolean(r->m->stamped && memcmp(r->m->trained_on, stamp, sizeof stamp) == 0));
	TRY(hel_owner_text(json, size, said));
done:
	hel_free(logit);
	hel_samples_clear(&samples);
	return st;
}
