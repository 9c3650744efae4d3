#include "reliability.h"
#include "ranking.h"
#include <math.h>

static double probability_of(double logit)
{
	return 1 / (1 + exp(-logit));
}

/* Equal scores stay together: which of them come first says nothing about the model. */
static void fill_bins(hel_reliability *r, const hel_ranked *s, size_t count)
{
	for (size_t first = 0, end; first < count; first = end) {
		hel_reliability_bin b = {0};
		end = HEL_MAX((r->bins + 1) * count / HEL_RELIABILITY_BINS, first + 1);
		end += hel_rank_ties(s, count, end - 1) - 1;
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
	hel_ranked *s = NULL;
	hel_reliability r = {0};
	if (!count)
		FAIL(HEL_EINVAL, "no scores to judge");
	TRY(hel_rank(&s, logits, labels, count));
	for (size_t i = 0; i < count; i++) {
		const double off = probability_of(logits[i]) - labels[i];
		r.base_rate += labels[i] / (double)count;
		r.brier += off * off / (double)count;
	}
	fill_bins(&r, s, count);
	r.guess_log_loss = entropy(r.base_rate);
	r.guess_brier = r.base_rate * (1 - r.base_rate);
	r.guess_accuracy = fmax(r.base_rate, 1 - r.base_rate);
	*out = r;
done:
	hel_free(s);
	return st;
}
