/* network.h -- many samples through a model in single precision: what training
 * and bulk scoring share.
 */
#ifndef HEL_NETWORK_H
#define HEL_NETWORK_H

#include "dlrm.h"
#include "samples.h"

/* Tower layer i reads in[i] and writes pre[i] (before the activation). */
typedef struct hel_tower {
	size_t layers;
	const hel_tensor *weight[HEL_MAX_LAYERS], *bias[HEL_MAX_LAYERS];
	bool activated[HEL_MAX_LAYERS];
	float *in[HEL_MAX_LAYERS + 1], *pre[HEL_MAX_LAYERS]; /* [rows][width] */
} hel_tower;

/** Buffers for up to `rows` samples. The gradient covers the two towers' parameters, bottom first;
 *  `delta` is that of the concatenated row (top.in[0]) after hel_network_backward. */
typedef struct hel_network {
	const hel_dlrm *m;
	size_t rows;
	hel_tower bottom, top;
	float *buffers, *delta, *delta_next; /* [rows][widest] */
	float *input_delta;		     /* [rows][width of the concatenated row] */
	float *gradient;		     /* NULL for scoring */
	double loss;
} hel_network;

HEL_CHECKED hel_status hel_network_init(hel_network *n, const hel_dlrm *m, size_t rows,
					bool trains);
void hel_network_clear(hel_network *n);

/** Samples rows[0..count) of s; logits in n->top.in[n->top.layers]. */
void hel_network_forward(hel_network *n, const hel_samples *s, const uint32_t *rows, size_t count);
/** After forward: adds nothing, sets n->gradient, n->input_delta and n->loss (a sum); gradients are
 *  divided by `batch`. */
void hel_network_backward(hel_network *n, const hel_samples *s, const uint32_t *rows, size_t count,
			  size_t batch);

/** Logits of all samples, in single precision. */
HEL_CHECKED hel_status hel_dlrm_logits(double *logits, const hel_dlrm *m,
				       const hel_samples *samples, hel_pool *pool);

/** Parameters of the towers, and where they stand in the flat vector. */
size_t hel_dense_parameters(const hel_dlrm *m);
/** First parameter of the tables, and how many there are. */
size_t hel_tables_offset(const hel_dlrm *m);
size_t hel_tables_parameters(const hel_dlrm *m);

#endif
