/* synthetic.h -- what generators of look-alikes share: skewed values, and a model that is known. */
#ifndef HEL_FEATURES_SYNTHETIC_H
#define HEL_FEATURES_SYNTHETIC_H

#include "base/base.h"
#include <math.h>

static inline double unit(uint64_t *state)
{
	return (double)(hel_mix((*state)++) >> 11) * 0x1p-53;
}

/** A rank from 0, Zipf's law of exponent 1.1: the inverse of its continuous distribution. */
static inline uint32_t zipf(uint64_t *state, uint32_t values)
{
	const double s = 1.1, top = pow((double)values + 1, 1 - s) - 1;
	const uint32_t rank = (uint32_t)(pow(1 + unit(state) * top, 1 / (1 - s)) - 1);
	return HEL_MIN(rank, values - 1);
}

/** What value `rank` of a table adds to the logit: known, because it is a hash. */
static inline double effect(size_t table, uint32_t rank)
{
	uint64_t state = hel_mix((uint64_t)table << 32 | rank);
	/* near normal: the sum of four uniform numbers */
	double sum = unit(&state) + unit(&state) + unit(&state) + unit(&state) - 2;
	return 0.45 * sum;
}

#endif
