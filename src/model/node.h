/* node.h -- the kinds of nodes: one file and one row of the table each. */
#ifndef HEL_NODE_H
#define HEL_NODE_H

#include "network.h"

/** One record in double precision. */
typedef struct hel_record_pass {
	const hel_dlrm *m;
	const double *dense;
	const uint32_t *hots;
	double **value; /* per node */
	hel_observer *observer;
	void *arg;
} hel_record_pass;

/** What a kind of node is. Passes fill or add to what stands at the node's number. */
typedef struct hel_node_type {
	/* The width, and the sizes of the tensors, from the inputs' widths and the parameters. */
	hel_status (*shape)(hel_node *n, const hel_graph *g);
	void (*evaluate)(const hel_record_pass *p, const hel_node *n, double *value);
	void (*forward)(const hel_network *p, const hel_node *n, float *value);
	/* Adds to the deltas of those inputs that have one; sets its tensors' gradient. */
	void (*backward)(const hel_network *p, const hel_node *n, const float *value,
			 const float *delta);
	/* Parameters in JSON; NULL: none. */
	hel_status (*read)(hel_node *n, const json_t *o, const hel_schema *s);
	void (*write)(json_t *o, const hel_node *n, const hel_schema *s);
	const char *keys[3]; /* that read knows */
} hel_node_type;

extern const hel_node_type hel_node_dense, hel_node_embed, hel_node_linear, hel_node_concat,
    hel_node_add, hel_node_multiply, hel_node_activation, hel_node_dot, hel_node_scale;

const hel_node_type *hel_node_type_of(hel_node_kind kind);

/* --- check_node.c: for those files ------------------------------------------- */

/** "node 'NAME' (KIND): " before the detail. */
hel_status hel_node_fail(const hel_node *n, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Between `least` and `most` inputs. */
HEL_CHECKED hel_status hel_node_arity(const hel_node *n, size_t least, size_t most);
/** All inputs are as wide as the first. */
HEL_CHECKED hel_status hel_node_alike(const hel_node *n, const hel_graph *g);
static inline size_t hel_input_width(const hel_node *n, const hel_graph *g, size_t i)
{
	return g->node[n->input[i]].width;
}
static inline const float *hel_node_tensor(const hel_dlrm *m, const hel_node *n, size_t i)
{
	return hel_tensor_data(m, &m->tensor[n->tensor + i]);
}

#endif
