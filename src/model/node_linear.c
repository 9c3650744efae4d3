/* W x + b */
#include "node.h"
#include <cblas.h>
#include <string.h>

#define ROWS 8 /* of which products are summed side by side: one sum waits for itself */

static hel_status shape(hel_node *n, const hel_graph *g)
{
	hel_status st = HEL_OK;
	TRY(hel_node_arity(n, 1, 1));
	if (!n->width || n->width > HEL_MAX_WIDTH)
		TRY(hel_node_fail(n, "'width' must be a whole number from 1 to %d", HEL_MAX_WIDTH));
	if (!hel_input_width(n, g, 0))
		TRY(hel_node_fail(n,
				  "its input is empty: without dense columns, no layers over them "
				  "(\"bottom\": [])"));
	n->rows[0] = n->width;
	n->columns[0] = hel_input_width(n, g, 0);
	n->rows[1] = n->bias ? n->width : 0;
	n->columns[1] = 1;
done:
	return st;
}

static void evaluate(const hel_record_pass *p, const hel_node *n, double *value)
{
	const float *w = hel_node_tensor(p->m, n, 0),
		    *b = n->bias ? hel_node_tensor(p->m, n, 1) : NULL;
	const double *x = p->value[n->input[0]];
	const size_t in = n->columns[0];
	for (size_t i = 0; i < n->width; i++)
		value[i] = b ? (double)b[i] : 0;
	size_t i = 0;
	for (; i + ROWS <= n->width; i += ROWS) {
		double sum[ROWS];
		memcpy(sum, value + i, sizeof sum);
		for (size_t j = 0; j < in; j++)
			for (size_t k = 0; k < ROWS; k++)
				sum[k] += (double)w[(i + k) * in + j] * x[j];
		memcpy(value + i, sum, sizeof sum);
	}
	for (; i < n->width; i++)
		for (size_t j = 0; j < in; j++)
			value[i] += (double)w[i * in + j] * x[j];
}

static void forward(const hel_network *p, const hel_node *n, float *value)
{
	const size_t out = n->width, in = n->columns[0], stride = HEL_MAX(in, 1);
	const float *bias = n->bias ? hel_node_tensor(p->m, n, 1) : NULL;
	for (size_t i = 0; bias && i < p->count; i++)
		memcpy(value + i * out, bias, out * sizeof *bias);
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)p->count, (int)out, (int)in, 1,
		    p->value[n->input[0]], (int)stride, hel_node_tensor(p->m, n, 0), (int)stride,
		    bias ? 1 : 0, value, (int)out);
}

static void backward(const hel_network *p, const hel_node *n, const float *value,
		     const float *delta)
{
	(void)value;
	const size_t out = n->width, in = n->columns[0], stride = HEL_MAX(in, 1);
	const hel_tensor *t = &p->m->tensor[n->tensor];
	const float *x = p->value[n->input[0]];
	float *back = p->delta[n->input[0]];
	if (n->bias) {
		float *bias = p->gradient + t[1].dense;
		memset(bias, 0, out * sizeof *bias);
		for (size_t i = 0; i < p->count; i++)
			for (size_t k = 0; k < out; k++)
				bias[k] += delta[i * out + k];
	}
	cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)out, (int)in, (int)p->count, 1,
		    delta, (int)out, x, (int)stride, 0, p->gradient + t[0].dense, (int)stride);
	if (back)
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)p->count, (int)in,
			    (int)out, 1, delta, (int)out, hel_node_tensor(p->m, n, 0), (int)stride,
			    1, back, (int)stride);
}

static hel_status read(hel_node *n, const json_t *o, const hel_schema *s)
{
	(void)s;
	const json_int_t width = json_integer_value(json_object_get(o, "width"));
	const json_t *bias = json_object_get(o, "bias");
	n->width = width > 0 ? (size_t)width : 0;
	n->bias = !bias || json_is_true(bias);
	if (bias && !json_is_boolean(bias))
		return hel_node_fail(n, "'bias' must be true or false");
	return HEL_OK;
}

static void write(json_t *o, const hel_node *n, const hel_schema *s)
{
	(void)s;
	json_object_set_new(o, "width", json_integer((json_int_t)n->width));
	json_object_set_new(o, "bias", json_boolean(n->bias));
}

const hel_node_type hel_node_linear = {shape, evaluate, forward,	  backward,
				       read,  write,	{"width", "bias"}};
