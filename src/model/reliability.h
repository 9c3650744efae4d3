/* reliability.h -- whether scores mean what they say as probabilities. */
#ifndef HEL_RELIABILITY_H
#define HEL_RELIABILITY_H

#include "base/base.h"

#define HEL_RELIABILITY_BINS ((size_t)15)

/** Rows next to each other by score: what was predicted of them, and what happened. */
typedef struct hel_reliability_bin {
	double predicted, observed; /* means of probabilities and of labels */
	size_t rows;
} hel_reliability_bin;

typedef struct hel_reliability {
	double base_rate;		    /* share of labels that are 1 */
	double brier;			    /* mean of (probability - label)^2 [Brier 1950] */
	double calibration_error;	    /* mean over rows of |predicted - observed| of their bin
					     * [Naeini, Cooper, Hauskrecht 2015] */
	double guess_log_loss, guess_brier; /* of who says the base rate to all */
	double guess_accuracy;		    /* of who says the more frequent class to all */
	size_t bins;			    /* as many as there are distinct scores for */
	hel_reliability_bin bin[HEL_RELIABILITY_BINS]; /* equally many rows each, but for ties */
} hel_reliability;

/** Labels 0/1 against logits, count > 0. Time: a sort. */
HEL_CHECKED hel_status hel_reliability_of(hel_reliability *out, const double *logits,
					  const uint8_t *labels, size_t count);

#endif
