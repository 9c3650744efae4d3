/* The products of all pairs of its inputs, as vectors: row by row of their Gram matrix, below the
 * diagonal (facebookresearch/dlrm) or above it (TorchRec), with it or without. */
#include "node.h"
#include <string.h>

static hel_status shape(hel_node *n, const hel_graph *g)
{
	hel_status st = HEL_OK;
	TRY(hel_node_arity(n, n->self ? 1 : 2, HEL_MAX_NODES));
	TRY(hel_node_alike(n, g));
	n->width = n->self ? n->inputs * (n->inputs + 1) / 2 : n->inputs * (n->inputs - 1) / 2;
done:
	return st;
}

/* The columns of row i that are wanted. */
static void columns_of(const hel_node *n, size_t i, size_t *first, size_t *end)
{
	*first = n->upper ? i + !n->self : 0;
	*end = n->upper ? n->inputs : i + n->self;
}

static void evaluate(const hel_record_pass *p, const hel_node *n, double *value)
{
	const size_t dim = hel_input_width(n, p->m->graph, 0);
	for (size_t i = 0, first, end; i < n->inputs; i++) {
		columns_of(n, i, &first, &end);
		for (size_t j = first; j < end; j++, value++) {
			*value = 0;
			for (size_t k = 0; k < dim; k++)
				*value += p->value[n->input[i]][k] * p->value[n->input[j]][k];
		}
	}
}

static float product(const float *x, const float *y, size_t dim)
{
	float sum[8] = {0}; /* side by side, so that it is vectorised */
	size_t k = 0;
	for (; k + 8 <= dim; k += 8)
		for (size_t l = 0; l < 8; l++)
			sum[l] += x[k + l] * y[k + l];
	for (; k < dim; k++)
		sum[0] += x[k] * y[k];
	return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

static void forward(const hel_network *p, const hel_node *n, float *value)
{
	const size_t dim = hel_input_width(n, p->m->graph, 0);
	for (size_t r = 0; r < p->count; r++)
		for (size_t i = 0, first, end; i < n->inputs; i++) {
			columns_of(n, i, &first, &end);
			const float *x = p->value[n->input[i]] + r * dim;
			for (size_t j = first; j < end; j++)
				*value++ = product(x, p->value[n->input[j]] + r * dim, dim);
		}
}

static void backward(const hel_network *p, const hel_node *n, const float *value,
		     const float *delta)
{
	(void)value;
	const size_t dim = hel_input_width(n, p->m->graph, 0);
	for (size_t r = 0; r < p->count; r++)
		for (size_t i = 0, first, end; i < n->inputs; i++) {
			columns_of(n, i, &first, &end);
			const float *x = p->value[n->input[i]] + r * dim;
			float *to = p->delta[n->input[i]];
			for (size_t j = first; j < end; j++, delta++) {
				const float *y = p->value[n->input[j]] + r * dim;
				float *other = p->delta[n->input[j]];
				for (size_t k = 0; to && k < dim; k++)
					to[r * dim + k] += *delta * y[k];
				for (size_t k = 0; other && k < dim; k++)
					other[r * dim + k] += *delta * x[k];
			}
		}
}

static hel_status read(hel_node *n, const json_t *o, const hel_schema *s)
{
	(void)s;
	const json_t *self = json_object_get(o, "self");
	const char *order = json_string_value(json_object_get(o, "order"));
	n->self = json_is_true(self);
	n->upper = order && strcmp(order, "upper") == 0;
	if (self && !json_is_boolean(self))
		return hel_node_fail(n, "'self' must be true or false");
	if (!order || (!n->upper && strcmp(order, "lower") != 0))
		return hel_node_fail(n, "'order' must be \"lower\" or \"upper\"");
	return HEL_OK;
}

static void write(json_t *o, const hel_node *n, const hel_schema *s)
{
	(void)s;
	json_object_set_new(o, "self", json_boolean(n->self));
	json_object_set_new(o, "order", json_string(n->upper ? "upper" : "lower"));
}

const hel_node_type hel_node_dot = {shape, evaluate, forward,	       backward,
				    read,  write,    {"self", "order"}};
