/* network.h -- many samples through a model in single precision: what training
 * and bulk scoring share.
 */
#ifndef HEL_NETWORK_H
#define HEL_NETWORK_H

#include "dlrm.h"
#include "samples.h"

/** Buffers for up to `rows` samples; one of the two passes is under way. */
typedef struct hel_network {
	const hel_dlrm *m;
	size_t rows;
	float **value;	/* per node: [rows][width] */
	float **delta;	/* of the loss by the value; NULL where no weights stand before */
	float *buffers; /* all of them */
	size_t deltas;	/* where the deltas begin, in floats */
	size_t floats;
	float *gradient; /* of all parameters but tables; NULL for scoring */
	const hel_samples *samples;
	const uint32_t *row; /* [count] */
	size_t count;
	double loss;
} hel_network;

HEL_CHECKED hel_status hel_network_init(hel_network *n, const hel_dlrm *m, size_t rows,
					bool trains);
void hel_network_clear(hel_network *n);

/** Samples row[0..count) of s. */
void hel_network_forward(hel_network *n, const hel_samples *s, const uint32_t *row, size_t count);
/** Logits after forward. */
const float *hel_network_logits(const hel_network *n);
/** After forward: sets n->gradient, n->delta and n->loss (a sum); gradients are divided by `batch`.
 *  The tables' follow from the deltas of embed nodes. */
void hel_network_backward(hel_network *n, size_t batch);

/** What is trained on: minus the logarithm of the probability that a logit gives a label of 0 or 1.
 */
double hel_log_loss(double logit, double label);

/** Logits of all samples, in single precision. */
HEL_CHECKED hel_status hel_dlrm_logits(double *logits, const hel_dlrm *m,
				       const hel_samples *samples, hel_pool *pool);

#endif
