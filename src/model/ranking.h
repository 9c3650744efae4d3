/* ranking.h -- scores from the least to the largest, each with what happened. */
#ifndef HEL_RANKING_H
#define HEL_RANKING_H

#include "base/base.h"

typedef struct hel_ranked {
	double logit;
	uint8_t label;
	size_t index; /* among those that were given */
} hel_ranked;

/** Sorts; *out has `count` of them and is for hel_free(). */
HEL_CHECKED hel_status hel_rank(hel_ranked **out, const double *logits, const uint8_t *labels,
				size_t count);
/** How many from number `first` on have the score of that one. */
size_t hel_rank_ties(const hel_ranked *r, size_t count, size_t first);

#endif
