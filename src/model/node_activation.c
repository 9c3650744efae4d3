/* A function of each element, or the polynomial that was fitted in its place. */
#include "node.h"

static hel_status shape(hel_node *n, const hel_graph *g)
{
	hel_status st = HEL_OK;
	TRY(hel_node_arity(n, 1, 1));
	n->width = hel_input_width(n, g, 0);
	n->activated = g->activated;
done:
	return st;
}

static void evaluate(const hel_record_pass *p, const hel_node *n, double *value)
{
	const double *x = p->value[n->input[0]];
	const hel_approximation *fitted = p->m->approximation;
	for (size_t k = 0; k < n->width; k++) {
		if (p->observer)
			p->observer(p->arg, n->activated, x[k]);
		value[k] = fitted ? hel_approximation_at(&fitted[n->activated], x[k])
				  : hel_activate(n->activation, x[k]);
	}
}

/* One loop per frequent kind, so that it is vectorised. */
static void activate(float *y, const float *x, size_t count, hel_activation act)
{
	const float a = act.kind == HEL_ACT_SQUARE ? 1 : (float)act.a,
		    b = act.kind == HEL_ACT_SQUARE ? 0 : (float)act.b;
	if (act.kind == HEL_ACT_RELU)
		for (size_t k = 0; k < count; k++)
			y[k] = x[k] > 0 ? x[k] : 0;
	else if (act.kind == HEL_ACT_SQUARE || act.kind == HEL_ACT_QUADRATIC)
		for (size_t k = 0; k < count; k++)
			y[k] = (a * x[k] + b) * x[k];
	else
		for (size_t k = 0; k < count; k++)
			y[k] = (float)hel_activate(act, (double)x[k]);
}

/* to += delta slope(x) */
static void activate_back(float *to, const float *delta, const float *x, size_t count,
			  hel_activation act)
{
	const float a = act.kind == HEL_ACT_SQUARE ? 1 : (float)act.a,
		    b = act.kind == HEL_ACT_SQUARE ? 0 : (float)act.b;
	if (act.kind == HEL_ACT_RELU)
		for (size_t k = 0; k < count; k++)
			to[k] += x[k] > 0 ? delta[k] : 0;
	else if (act.kind == HEL_ACT_SQUARE || act.kind == HEL_ACT_QUADRATIC)
		for (size_t k = 0; k < count; k++)
			to[k] += delta[k] * (2 * a * x[k] + b);
	else
		for (size_t k = 0; k < count; k++)
			to[k] += delta[k] * (float)hel_activate_slope(act, (double)x[k]);
}

static void forward(const hel_network *p, const hel_node *n, float *value)
{
	const size_t count = p->count * n->width;
	const float *x = p->value[n->input[0]];
	const hel_approximation *fitted = p->gradient ? NULL : p->m->approximation;
	if (!fitted) /* training takes the activation */
		activate(value, x, count, n->activation);
	for (size_t k = 0; fitted && k < count; k++)
		value[k] = (float)hel_approximation_at(&fitted[n->activated], (double)x[k]);
}

static void backward(const hel_network *p, const hel_node *n, const float *value,
		     const float *delta)
{
	(void)value;
	float *to = p->delta[n->input[0]];
	if (to)
		activate_back(to, delta, p->value[n->input[0]], p->count * n->width, n->activation);
}

static hel_status read(hel_node *n, const json_t *o, const hel_schema *s)
{
	(void)s;
	hel_activation act = {HEL_ACT_KINDS, 0, 0};
	if (hel_activation_read(&act, json_object_get(o, "activation")) != HEL_OK ||
	    act.kind == HEL_ACT_KINDS)
		return hel_node_fail(n,
				     "'activation' must be an object of kind, a (not 0 for "
				     "quadratic) and b; kinds are %s",
				     hel_activation_names());
	n->activation = act;
	return HEL_OK;
}

static void write(json_t *o, const hel_node *n, const hel_schema *s)
{
	(void)s;
	json_object_set_new(o, "activation", hel_activation_write(n->activation));
}

const hel_node_type hel_node_activation = {shape, evaluate, forward,	   backward,
					   read,  write,    {"activation"}};
