#include "dlrm.h"
#include <math.h>
#include <stdlib.h>

typedef struct scored {
	double logit;
	uint8_t label;
} scored;

static int by_logit(const void *a, const void *b)
{
	double x = ((const scored *)a)->logit, y = ((const scored *)b)->logit;
	return (x > y) - (x < y);
}

hel_status hel_metrics_of(hel_metrics *out, const double *logits, const uint8_t *labels,
			  size_t count)
{
	hel_status st = HEL_OK;
	scored *s = NULL;
	double right = 0, loss = 0, positives = 0, ranks = 0;
	if (!count)
		FAIL(HEL_EINVAL, "no scores to judge");
	TRY_ALLOC(s, hel_alloc(count, sizeof *s));
	for (size_t i = 0; i < count; i++) {
		double z = logits[i], y = labels[i];
		s[i] = (scored){z, labels[i]};
		right += (z > 0) == (labels[i] != 0);
		loss += fmax(z, 0) - z * y + log1p(exp(-fabs(z)));
		positives += y;
	}
	/* Mann-Whitney with average ranks for ties */
	qsort(s, count, sizeof *s, by_logit);
	for (size_t i = 0, j; i < count; i = j) {
		for (j = i; j < count && s[j].logit == s[i].logit; j++)
			;
		for (size_t k = i; k < j; k++)
			ranks += s[k].label ? (double)(i + j + 1) / 2 : 0;
	}
	double negatives = (double)count - positives;
	*out = (hel_metrics){.accuracy = right / (double)count,
			     .log_loss = loss / (double)count,
			     .auc = (ranks - positives * (positives + 1) / 2) /
				    (positives * negatives)};
done:
	hel_free(s);
	return st;
}
