#include "ranking.h"
#include <stdlib.h>

static int by_logit(const void *a, const void *b)
{
	const double x = ((const hel_ranked *)a)->logit, y = ((const hel_ranked *)b)->logit;
	return (x > y) - (x < y);
}

hel_status hel_rank(hel_ranked **out, const double *logits, const uint8_t *labels, size_t count)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(*out, hel_alloc(HEL_MAX(count, 1), sizeof **out));
	for (size_t i = 0; i < count; i++)
		(*out)[i] = (hel_ranked){logits[i], labels[i], i};
	qsort(*out, count, sizeof **out, by_logit);
done:
	return st;
}

size_t hel_rank_ties(const hel_ranked *r, size_t count, size_t first)
{
	size_t end = first + 1;
	while (end < count && r[end].logit == r[first].logit)
		end++;
	return end - first;
}
