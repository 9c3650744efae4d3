/* The product of two nodes, element by element. */
#include "node.h"

static hel_status shape(hel_node *n, const hel_graph *g)
{
	hel_status st = HEL_OK;
	TRY(hel_node_arity(n, 2, 2));
	TRY(hel_node_alike(n, g));
	n->width = hel_input_width(n, g, 0);
done:
	return st;
}

static void evaluate(const hel_record_pass *p, const hel_node *n, double *value)
{
	for (size_t k = 0; k < n->width; k++)
		value[k] = p->value[n->input[0]][k] * p->value[n->input[1]][k];
}

static void forward(const hel_network *p, const hel_node *n, float *value)
{
	const float *x = p->value[n->input[0]], *y = p->value[n->input[1]];
	for (size_t k = 0; k < p->count * n->width; k++)
		value[k] = x[k] * y[k];
}

static void backward(const hel_network *p, const hel_node *n, const float *value,
		     const float *delta)
{
	(void)value;
	for (size_t i = 0; i < 2; i++) {
		float *to = p->delta[n->input[i]];
		const float *other = p->value[n->input[1 - i]];
		for (size_t k = 0; to && k < p->count * n->width; k++)
			to[k] += delta[k] * other[k];
	}
}

const hel_node_type hel_node_multiply = {shape, evaluate, forward, backward, NULL, NULL, {NULL}};
