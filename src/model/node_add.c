/* The sum of its inputs, element by element. */
#include "node.h"
#include <string.h>

static hel_status shape(hel_node *n, const hel_graph *g)
{
	hel_status st = HEL_OK;
	TRY(hel_node_arity(n, 1, HEL_MAX_NODES));
	TRY(hel_node_alike(n, g));
	n->width = hel_input_width(n, g, 0);
done:
	return st;
}

static void evaluate(const hel_record_pass *p, const hel_node *n, double *value)
{
	memset(value, 0, n->width * sizeof *value);
	for (size_t i = 0; i < n->inputs; i++)
		for (size_t k = 0; k < n->width; k++)
			value[k] += p->value[n->input[i]][k];
}

static void forward(const hel_network *p, const hel_node *n, float *value)
{
	const size_t count = p->count * n->width;
	memcpy(value, p->value[n->input[0]], count * sizeof *value);
	for (size_t i = 1; i < n->inputs; i++) {
		const float *x = p->value[n->input[i]];
		for (size_t k = 0; k < count; k++)
			value[k] += x[k];
	}
}

static void backward(const hel_network *p, const hel_node *n, const float *value,
		     const float *delta)
{
	(void)value;
	for (size_t i = 0; i < n->inputs; i++) {
		float *to = p->delta[n->input[i]];
		for (size_t k = 0; to && k < p->count * n->width; k++)
			to[k] += delta[k];
	}
}

const hel_node_type hel_node_add = {shape, evaluate, forward, backward, NULL, NULL, {NULL}};
