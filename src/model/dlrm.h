/* dlrm.h -- a recommendation model: a graph, its weights, and the schema of the records it scores.
 */
#ifndef HEL_DLRM_H
#define HEL_DLRM_H

#include "chain.h"
#include "graph.h"
#include "model_config.h"

#define HEL_MAX_PARAMETERS ((size_t)1 << 31)

typedef struct hel_tensor {
	char name[HEL_NAME_MAX]; /* as in facebookresearch/dlrm state dicts */
	size_t rows,
	    columns;   /* weights: [out][in]; tables: [one-hot entry][dim]; biases: one column */
	size_t offset; /* into the flat parameter vector */
	bool table, bias;
	size_t dense; /* into the vector of all but tables */
} hel_tensor;

/** All parameters stand in one vector; tensors name its parts. */
typedef struct hel_dlrm {
	hel_dlrm_config config;
	hel_schema *schema; /* owned */
	hel_graph *graph;   /* owned */
	hel_chain chain;
	size_t tensors, parameters, dense; /* dense: parameters of all but tables */
	hel_tensor *tensor;		   /* of every node, in order: weight, bias */
	float *parameter;
	hel_approximation *approximation; /* per activation node, in order; NULL: none */
	bool polynomials_trained; /* they are what the model was trained with, not fitted to it */
	bool stamped;		  /* trained_on names the rows it was trained on */
	uint8_t trained_on[HEL_HASH_BYTES];
} hel_dlrm;

/** A model with all weights 0 and at most `limit` of them; takes over the schema. */
HEL_CHECKED hel_status hel_dlrm_new_zero(hel_dlrm **out, const hel_dlrm_config *config,
					 hel_schema *schema, size_t limit);
/** A model with random weights (facebookresearch initialisation); takes over the schema. */
HEL_CHECKED hel_status hel_dlrm_new(hel_dlrm **out, const hel_dlrm_config *config,
				    hel_schema *schema, uint64_t seed);
/** A model of this graph, with all weights 0; takes over graph and schema. */
HEL_CHECKED hel_status hel_dlrm_of_graph(hel_dlrm **out, const hel_dlrm_config *config,
					 hel_graph *graph, hel_schema *schema, size_t limit);
void hel_dlrm_free(hel_dlrm *m);
/** Whether the graph is a chain, as the compiler takes it.
 *  @retval HEL_EUNSUPPORTED names the node that is none of it. */
HEL_CHECKED hel_status hel_dlrm_is_chain(const hel_dlrm *m);
/* Of a whole chain: */
const hel_tensor *hel_dlrm_bottom(const hel_dlrm *m, size_t layer, bool bias);
const hel_tensor *hel_dlrm_table(const hel_dlrm *m, size_t table);
const hel_tensor *hel_dlrm_top(const hel_dlrm *m, size_t layer, bool bias);
static inline const float *hel_tensor_data(const hel_dlrm *m, const hel_tensor *t)
{
	return m->parameter + t->offset;
}
/** Width of the bottom tower's output: the number of dense features when it has no layer. */
size_t hel_dlrm_bottom_width(const hel_dlrm *m);

/** The logit of one record in double precision, node by node: the reference of all others. */
HEL_CHECKED hel_status hel_dlrm_logit(double *out, const hel_dlrm *m, const double *dense,
				      const uint32_t *hots);

/** The value of the last node, all of it, which need not be a logit.
 *  @retval HEL_ERANGE a number is not finite. */
HEL_CHECKED hel_status hel_dlrm_vector(double *out, const hel_dlrm *m, const double *dense,
				       const uint32_t *hots);

/** Sees what enters each activation: its number among those nodes, and the value. */
typedef void hel_observer(void *arg, size_t activation, double x);
/** hel_dlrm_logit with an observer; NULL for none. */
HEL_CHECKED hel_status hel_dlrm_observe(double *out, const hel_dlrm *m, const double *dense,
					const uint32_t *hots, hel_observer *observer, void *arg);
/** How many nodes are activations. */
size_t hel_dlrm_activated(const hel_dlrm *m);

#endif
