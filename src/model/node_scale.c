/* Its input times a constant. */
#include "node.h"
#include <math.h>

static hel_status shape(hel_node *n, const hel_graph *g)
{
	hel_status st = HEL_OK;
	TRY(hel_node_arity(n, 1, 1));
	if (!(fabs(n->factor) <= 1e6))
		TRY(hel_node_fail(n, "'factor' must be a number from -10^6 to 10^6"));
	n->width = hel_input_width(n, g, 0);
done:
	return st;
}

static void evaluate(const hel_record_pass *p, const hel_node *n, double *value)
{
	for (size_t k = 0; k < n->width; k++)
		value[k] = n->factor * p->value[n->input[0]][k];
}

static void forward(const hel_network *p, const hel_node *n, float *value)
{
	const float *x = p->value[n->input[0]], factor = (float)n->factor;
	for (size_t k = 0; k < p->count * n->width; k++)
		value[k] = factor * x[k];
}

static void backward(const hel_network *p, const hel_node *n, const float *value,
		     const float *delta)
{
	(void)value;
	float *to = p->delta[n->input[0]];
	const float factor = (float)n->factor;
	for (size_t k = 0; to && k < p->count * n->width; k++)
		to[k] += factor * delta[k];
}

static hel_status read(hel_node *n, const json_t *o, const hel_schema *s)
{
	(void)s;
	const json_t *factor = json_object_get(o, "factor");
	n->factor = json_is_number(factor) ? json_number_value(factor) : NAN;
	return HEL_OK;
}

static void write(json_t *o, const hel_node *n, const hel_schema *s)
{
	(void)s;
	json_object_set_new(o, "factor", json_real(n->factor));
}

const hel_node_type hel_node_scale = {shape, evaluate, forward, backward, read, write, {"factor"}};
