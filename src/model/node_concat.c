/* Its inputs one after the other. */
#include "node.h"
#include <string.h>

static hel_status shape(hel_node *n, const hel_graph *g)
{
	n->width = 0;
	for (size_t i = 0; i < n->inputs; i++)
		n->width += hel_input_width(n, g, i);
	return hel_node_arity(n, 1, HEL_MAX_NODES);
}

static void evaluate(const hel_record_pass *p, const hel_node *n, double *value)
{
	for (size_t i = 0; i < n->inputs; i++) {
		const size_t width = hel_input_width(n, p->m->graph, i);
		memcpy(value, p->value[n->input[i]], width * sizeof *value);
		value += width;
	}
}

static void forward(const hel_network *p, const hel_node *n, float *value)
{
	for (size_t i = 0; i < n->inputs; i++) {
		const size_t width = hel_input_width(n, p->m->graph, i);
		const float *from = p->value[n->input[i]];
		for (size_t r = 0; r < p->count; r++)
			memcpy(value + r * n->width, from + r * width, width * sizeof *value);
		value += width;
	}
}

static void backward(const hel_network *p, const hel_node *n, const float *value,
		     const float *delta)
{
	(void)value;
	for (size_t i = 0; i < n->inputs; i++) {
		const size_t width = hel_input_width(n, p->m->graph, i);
		float *to = p->delta[n->input[i]];
		for (size_t r = 0; to && r < p->count; r++)
			for (size_t k = 0; k < width; k++)
				to[r * width + k] += delta[r * n->width + k];
		delta += width;
	}
}

const hel_node_type hel_node_concat = {shape, evaluate, forward, backward, NULL, NULL, {NULL}};
