#include "reliability.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>

typedef struct scored {
	double logit;
	uint8_t label;
} scored;

static int by_logit(const void *a, const void *b)
{
	const double x = ((const scored *)a)->logit, y = ((const scored *)b)->logit;
	return (x > y) - (x < y);
}

static double probability_of(double logit)
{
	return 1 / (1 + exp(-logit));
}

/* Equal scores stay together: which of them come first says nothing about the model. */
static void fill_bins(hel_reliability *r, const scored *s, size_t count)
{
	for (size_t first = 0, end; first < count; first = end) {
		hel_reliability_bin b = {0};
		end = HEL_MAX((r->bins + 1) * count / HEL_RELIABILITY_BINS, first + 1);
		while (end < count && s[end].logit == s[end - 1].logit)
			end++;
		for (size_t i = first; i < end; i++) {
			b.predicted += probability_of(s[i].logit);
			b.observed += s[i].label;
		}
		b.rows = end - first;
		r->calibration_error += fabs(b.predicted - b.observed) / (double)count;
		b.predicted /= (double)b.rows;
		b.observed /= (double)b.rows;
		r->bin[r->bins++] = b;
	}
}

static double entropy(double p)
{
	return p > 0 && p < 1 ? -p * log(p) - (1 - p) * log1p(-p) : 0;
}

hel_status hel_reliability_of(hel_reliability *out, const double *logits, const uint8_t *labels,
			      size_t count)
{
	hel_status st = HEL_OK;
	scored *s = NULL;
	hel_reliability r = {0};
	if (!count)
		FAIL(HEL_EINVAL, "no scores to judge");
	TRY_ALLOC(s, hel_alloc(count, sizeof *s));
	for (size_t i = 0; i < count; i++) {
		const double off = probability_of(logits[i]) - labels[i];
		s[i] = (scored){logits[i], labels[i]};
		r.base_rate += labels[i] / (double)count;
		r.brier += off * off / (double)count;
	}
	qsort(s, count, sizeof *s, by_logit);
	fill_bins(&r, s, count);
	r.guess_log_loss = entropy(r.base_rate);
	r.guess_brier = r.base_rate * (1 - r.base_rate);
	r.guess_accuracy = fmax(r.base_rate, 1 - r.base_rate);
	*out = r;
done:
	hel_free(s);
	return st;
}
