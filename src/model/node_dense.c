/* The record's dense values. */
#include "node.h"
#include <string.h>

static hel_status shape(hel_node *n, const hel_graph *g)
{
	n->width = g->schema->dense_count;
	return hel_node_arity(n, 0, 0);
}

static void evaluate(const hel_record_pass *p, const hel_node *n, double *value)
{
	memcpy(value, p->dense, n->width * sizeof *value);
}

static void forward(const hel_network *p, const hel_node *n, float *value)
{
	const hel_samples *s = p->samples;
	for (size_t i = 0; i < p->count; i++)
		for (size_t k = 0; k < n->width; k++)
			value[i * n->width + k] = (float)s->value[p->row[i] * s->dense + k];
}

static void backward(const hel_network *p, const hel_node *n, const float *value,
		     const float *delta)
{
	(void)p, (void)n, (void)value, (void)delta;
}

const hel_node_type hel_node_dense = {shape, evaluate, forward, backward, NULL, NULL, {NULL}};
