#include "intervals.h"
#include "features/coding.h"
#include "model/node.h"
#include <math.h>

#define POINTS 4096 /* at which an activation is looked at */

typedef struct interval {
	double low, high;
} interval;

typedef struct analysis {
	const hel_dlrm *m;
	const double *range;
	double *largest;
	double *feature;  /* of the record's dense values and entries */
	uint32_t *group;  /* of entries, of which one is 1 */
	interval **value; /* per node */
} analysis;

static interval sum(interval a, interval b)
{
	return (interval){a.low + b.low, a.high + b.high};
}

static interval times(interval a, double f)
{
	return f < 0 ? (interval){f * a.high, f * a.low} : (interval){f * a.low, f * a.high};
}

static interval product(interval a, interval b)
{
	const double x[] = {a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high};
	return (interval){fmin(fmin(x[0], x[1]), fmin(x[2], x[3])),
			  fmax(fmax(x[0], x[1]), fmax(x[2], x[3]))};
}

/* At most one row of each group of a table's entries. */
static void embed(const analysis *a, const hel_node *n, interval *out)
{
	const float *row = hel_node_tensor(a->m, n, 0);
	const size_t dense = hel_features_dense(a->m->schema, 1);
	const uint32_t *group = a->group + dense + n->entry;
	for (size_t k = 0; k < n->width; k++) {
		interval all = {0, 0};
		for (size_t first = 0, next; first < n->rows[0]; first = next) {
			interval one = {0, 0};
			for (next = first; next < n->rows[0] && group[next] == group[first];
			     next++) {
				one.low = fmin(one.low, (double)row[next * n->width + k]);
				one.high = fmax(one.high, (double)row[next * n->width + k]);
			}
			all = sum(all, one);
		}
		out[k] = all;
	}
}

static void linear(const analysis *a, const hel_node *n, const interval *in, size_t width,
		   interval *out)
{
	const float *w = hel_node_tensor(a->m, n, 0),
		    *b = n->bias ? hel_node_tensor(a->m, n, 1) : NULL;
	for (size_t r = 0; r < n->width; r++) {
		out[r] = b ? (interval){(double)b[r], (double)b[r]} : (interval){0, 0};
		for (size_t c = 0; c < width; c++)
			out[r] = sum(out[r], times(in[c], (double)w[r * width + c]));
	}
}

/* What an activation makes of what may enter it, or of all that passes it. */
static void activation(const analysis *a, const hel_node *n, const interval *in, interval *out)
{
	const double range = a->range[n->activated];
	double *largest = &a->largest[n->activated];
	for (size_t k = 0; k < n->width; k++) {
		const double low = fmax(in[k].low, -range), high = fmin(in[k].high, range);
		*largest = fmax(*largest, fmax(fabs(in[k].low), fabs(in[k].high)));
		out[k] = (interval){INFINITY, -INFINITY};
		for (int i = 0; i <= POINTS; i++) {
			const double x = low + (high - low) * i / POINTS;
			const double y = hel_activate(n->activation, x);
			out[k].low = fmin(out[k].low, y);
			out[k].high = fmax(out[k].high, y);
		}
		/* a polynomial in its place strays a little */
		const double slack = 0.02 * range;
		out[k] = sum(out[k], (interval){-slack, slack});
	}
}

static void dot(const analysis *a, const hel_node *n, size_t width, interval *out)
{
	size_t at = 0;
	for (size_t i = 0; i < n->inputs; i++)
		for (size_t j = n->upper ? i + !n->self : 0;
		     j < (n->upper ? n->inputs : i + n->self); j++, at++) {
			out[at] = (interval){0, 0};
			for (size_t k = 0; k < width; k++)
				out[at] = sum(out[at], product(a->value[n->input[i]][k],
							       a->value[n->input[j]][k]));
		}
}

static void evaluate(const analysis *a, const hel_node *n, interval *out)
{
	const hel_graph *g = a->m->graph;
	const interval *in = n->inputs ? a->value[n->input[0]] : NULL;
	const size_t width = n->inputs ? hel_input_width(n, g, 0) : 0;
	size_t at = 0;
	switch (n->kind) {
	case HEL_NODE_DENSE:
		for (size_t k = 0; k < n->width; k++)
			out[k] = (interval){-a->feature[k], a->feature[k]};
		break;
	case HEL_NODE_EMBED:
		embed(a, n, out);
		break;
	case HEL_NODE_LINEAR:
		linear(a, n, in, width, out);
		break;
	case HEL_NODE_CONCAT:
		for (size_t i = 0; i < n->inputs; i++)
			for (size_t k = 0; k < hel_input_width(n, g, i); k++)
				out[at++] = a->value[n->input[i]][k];
		break;
	case HEL_NODE_ADD:
		for (size_t k = 0; k < n->width; k++) {
			out[k] = in[k];
			for (size_t i = 1; i < n->inputs; i++)
				out[k] = sum(out[k], a->value[n->input[i]][k]);
		}
		break;
	case HEL_NODE_MULTIPLY:
		for (size_t k = 0; k < n->width; k++)
			out[k] = product(in[k], a->value[n->input[1]][k]);
		break;
	case HEL_NODE_SCALE:
		for (size_t k = 0; k < n->width; k++)
			out[k] = times(in[k], n->factor);
		break;
	case HEL_NODE_ACTIVATION:
		activation(a, n, in, out);
		break;
	case HEL_NODE_DOT:
		dot(a, n, width, out);
		break;
	case HEL_NODE_KINDS:
		break;
	}
}

hel_status hel_intervals_entering(double *largest, const hel_dlrm *m, const double *range)
{
	hel_status st = HEL_OK;
	const hel_graph *g = m->graph;
	const size_t width = hel_features_width(m->schema, 1);
	analysis a = {.m = m, .range = range, .largest = largest};
	TRY_ALLOC(a.feature, hel_alloc(width, sizeof *a.feature));
	TRY_ALLOC(a.group, hel_alloc(width, sizeof *a.group));
	TRY_ALLOC(a.value, hel_alloc(g->nodes, sizeof(*a.value)));
	hel_features_ranges(a.feature, a.group, m->schema, 1);
	for (size_t i = 0; i < g->activated; i++)
		largest[i] = 0;
	for (size_t i = 0; i < g->nodes; i++) {
		TRY_ALLOC(a.value[i], hel_alloc(g->node[i].width, sizeof(interval)));
		evaluate(&a, &g->node[i], a.value[i]);
	}
done:
	for (size_t i = 0; a.value && i < g->nodes; i++)
		hel_free(a.value[i]);
	hel_free(a.value);
	hel_free(a.feature);
	hel_free(a.group);
	return st;
}
