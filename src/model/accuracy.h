/* accuracy.h -- how good scores are, and how sure that is. */
#ifndef HEL_ACCURACY_H
#define HEL_ACCURACY_H

#include "dlrm.h"
#include "features/learn.h"
#include "samples.h"

typedef struct hel_metrics {
	double accuracy, auc, log_loss;
	uint64_t far; /* of a part of a cache: dense values far outside what was trained on */
} hel_metrics;

/** Labels 0/1 against logits. auc is NaN when one class is absent. */
HEL_CHECKED hel_status hel_metrics_of(hel_metrics *out, const double *logits, const uint8_t *labels,
				      size_t count);
/** What a model says of rows, beside what happened. */
typedef struct hel_scores {
	double *logit;	/* [count] */
	uint8_t *label; /* [count] */
	size_t count;
	uint64_t far; /* dense values far outside what was trained on */
} hel_scores;

/** Those of a part of a cache, in the order of its rows, a few blocks in memory at a time.
 *  @retval HEL_EINVAL no row belongs to the part. */
HEL_CHECKED hel_status hel_scores_of_part(hel_scores *out, const hel_dlrm *m,
					  const hel_cache *cache, const hel_split *split,
					  hel_part part, hel_pool *pool);
void hel_scores_clear(hel_scores *s);
/** hel_metrics_of() for a part of a cache; *rows is its size, may be NULL. */
HEL_CHECKED hel_status hel_metrics_of_part(hel_metrics *out, uint64_t *rows, const hel_dlrm *m,
					   const hel_cache *cache, const hel_split *split,
					   hel_part part, hel_pool *pool);

/** An AUC for people: four digits, or "undefined". */
typedef struct hel_auc_text {
	char at[16];
} hel_auc_text;
hel_auc_text hel_auc_says(double auc);
/** An accuracy, which says as little of one class: who always names it is always right. */
hel_auc_text hel_accuracy_says(const hel_metrics *m);

/** What one sample contributes to the AUC: the share of the other class it is ranked right against
 *  (DeLong, DeLong, Clarke-Pearson 1988), in [count]. */
HEL_CHECKED hel_status hel_auc_placements(double *placement, const double *logits,
					  const uint8_t *labels, size_t count);
/** Standard error of an AUC, or with b of the difference of two on the same samples. */
double hel_auc_error(const double *a, const double *b, const uint8_t *labels, size_t count);

#endif
