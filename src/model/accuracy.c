#include "accuracy.h"
#include "network.h"
#include "ranking.h"
#include <math.h>
#include <string.h>

#define JUDGED_BLOCKS ((size_t)16) /* in memory at a time, of HEL_BLOCK_ROWS rows */

hel_status hel_metrics_of(hel_metrics *out, const double *logits, const uint8_t *labels,
			  size_t count)
{
	hel_status st = HEL_OK;
	hel_ranked *s = NULL;
	double right = 0, loss = 0, positives = 0, ranks = 0;
	if (!count)
		FAIL(HEL_EINVAL, "no scores to judge");
	TRY(hel_rank(&s, logits, labels, count));
	for (size_t i = 0; i < count; i++) {
		right += (logits[i] > 0) == (labels[i] != 0);
		loss += hel_log_loss(logits[i], labels[i]);
		positives += labels[i];
	}
	/* Mann-Whitney with average ranks for ties */
	for (size_t i = 0, j; i < count; i = j) {
		j = i + hel_rank_ties(s, count, i);
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

void hel_scores_clear(hel_scores *s)
{
	hel_free(s->logit);
	hel_free(s->label);
	*s = (hel_scores){0};
}

hel_status hel_scores_of_part(hel_scores *out, const hel_dlrm *m, const hel_cache *cache,
			      const hel_split *split, hel_part part, hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_samples s = {0};
	hel_scores r = {0};
	hel_listed *listed = NULL;
	const size_t blocks = hel_cache_blocks(cache);
	size_t block[JUDGED_BLOCKS], all = 0;
	for (uint64_t row = 0; row < hel_cache_rows(cache); row++)
		all += hel_split_of(split, row) == part;
	if (!all)
		FAIL(HEL_EINVAL, "no row is held out");
	TRY(hel_listed_new(&listed, m->schema, cache));
	TRY_ALLOC(r.logit, hel_alloc(all, sizeof *r.logit));
	TRY_ALLOC(r.label, hel_alloc(all, 1));
	for (size_t first = 0; first < blocks; first += JUDGED_BLOCKS) {
		const size_t n = HEL_MIN(JUDGED_BLOCKS, blocks - first);
		for (size_t i = 0; i < n; i++)
			block[i] = first + i;
		TRY(hel_samples_load(&s, m->schema, cache, listed, split, part, block, n, pool));
		TRY(hel_dlrm_logits(r.logit + r.count, m, &s, pool));
		memcpy(r.label + r.count, s.label, s.count);
		r.far += s.far;
		r.count += s.count;
		hel_samples_clear(&s);
	}
	*out = r;
	r = (hel_scores){0};
done:
	hel_listed_free(listed);
	hel_samples_clear(&s);
	hel_scores_clear(&r);
	return st;
}

hel_status hel_metrics_of_part(hel_metrics *out, uint64_t *rows, const hel_dlrm *m,
			       const hel_cache *cache, const hel_split *split, hel_part part,
			       hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_scores s = {0};
	TRY(hel_scores_of_part(&s, m, cache, split, part, pool));
	TRY(hel_metrics_of(out, s.logit, s.label, s.count));
	out->far = s.far;
	if (rows)
		*rows = s.count;
done:
	hel_scores_clear(&s);
	return st;
}

hel_status hel_auc_placements(double *placement, const double *logits, const uint8_t *labels,
			      size_t count)
{
	hel_status st = HEL_OK;
	hel_ranked *s = NULL;
	size_t total[2] = {0, 0}, below[2] = {0, 0};
	TRY(hel_rank(&s, logits, labels, count));
	for (size_t i = 0; i < count; i++)
		total[labels[i]]++;
	for (size_t i = 0, j; i < count; i = j) {
		size_t tied[2] = {0, 0};
		j = i + hel_rank_ties(s, count, i);
		for (size_t k = i; k < j; k++)
			tied[s[k].label]++;
		for (size_t k = i; k < j; k++) {
			const unsigned other = !s[k].label;
			const double lower = (double)below[other] + 0.5 * (double)tied[other];
			const double all = (double)total[other];
			placement[s[k].index] = s[k].label ? lower / all : 1 - lower / all;
		}
		below[0] += tied[0];
		below[1] += tied[1];
	}
done:
	hel_free(s);
	return st;
}

hel_auc_text hel_auc_says(double auc)
{
	hel_auc_text text = {"undefined"};
	if (isfinite(auc))
		snprintf(text.at, sizeof text.at, "%.4f", auc);
	return text;
}

hel_auc_text hel_accuracy_says(const hel_metrics *m)
{
	return hel_auc_says(isfinite(m->auc) ? m->accuracy : NAN);
}

/* DeLong's variance: that of the placements' mean in each class. */
double hel_auc_error(const double *a, const double *b, const uint8_t *labels, size_t count)
{
	double sum[2] = {0, 0}, squares[2] = {0, 0}, n[2] = {0, 0}, variance = 0;
	for (size_t i = 0; i < count; i++) {
		const double v = a[i] - (b ? b[i] : 0);
		sum[labels[i]] += v;
		squares[labels[i]] += v * v;
		n[labels[i]]++;
	}
	for (int c = 0; c < 2; c++)
		variance += (squares[c] - sum[c] * sum[c] / n[c]) / (n[c] - 1) / n[c];
	return sqrt(fmax(variance, 0));
}
