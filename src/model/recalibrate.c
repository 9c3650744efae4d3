#include "recalibrate.h"
#include <math.h>
#include <string.h>

#define STEPS 50
#define PARTS ((size_t)10)

/* --- fitting ------------------------------------------------------------------------------ */

/* Every tenth row but those of `without` (PARTS: none is left out), from `first` on. */
typedef struct judged {
	const double *logit;
	const uint8_t *label;
	size_t count, without;
	double target[2]; /* of each label */
	double mean;	  /* of logits: the shift is of their distance to it, or steps zigzag */
} judged;

static bool is_used(const judged *j, size_t i)
{
	return j->without == PARTS || i % PARTS != j->without;
}

static double loss_of(const judged *j, hel_rescaling r)
{
	double loss = 0;
	for (size_t i = 0; i < j->count; i++) {
		if (!is_used(j, i))
			continue;
		const double z = r.scale * (j->logit[i] - j->mean) + r.shift;
		loss += fmax(z, 0) + log1p(exp(-fabs(z))) - j->target[j->label[i]] * z;
	}
	return loss;
}

/* The step that Newton would take from r. */
static hel_rescaling newton_step(const judged *j, hel_rescaling r)
{
	double a = 1e-12, ab = 0, b = 1e-12, down_a = 0, down_b = 0;
	for (size_t i = 0; i < j->count; i++) {
		if (!is_used(j, i))
			continue;
		const double z = j->logit[i] - j->mean, p = 1 / (1 + exp(-(r.scale * z + r.shift))),
			     off = p - j->target[j->label[i]], w = p * (1 - p);
		a += w * z * z;
		ab += w * z;
		b += w;
		down_a += off * z;
		down_b += off;
	}
	const double determinant = a * b - ab * ab;
	return (hel_rescaling){-(b * down_a - ab * down_b) / determinant,
			       -(a * down_b - ab * down_a) / determinant};
}

static hel_status fit(hel_rescaling *out, judged *j)
{
	double rows[2] = {0, 0}, sum = 0;
	for (size_t i = 0; i < j->count; i++)
		if (is_used(j, i)) {
			rows[j->label[i]]++;
			sum += j->logit[i];
		}
	if (!(rows[0] > 0 && rows[1] > 0))
		return hel_fail(HEL_EDATA, "calibration: all rows are of one class");
	j->mean = sum / (rows[0] + rows[1]);
	j->target[0] = 1 / (rows[0] + 2);
	j->target[1] = (rows[1] + 1) / (rows[1] + 2);
	hel_rescaling r = {1, 0};
	double loss = loss_of(j, r);
	for (int step = 0; step < STEPS; step++) {
		hel_rescaling by = newton_step(j, r), next;
		double better = INFINITY;
		for (int halved = 0; halved < STEPS; halved++) {
			next = (hel_rescaling){r.scale + by.scale, r.shift + by.shift};
			better = loss_of(j, next);
			if (better <= loss)
				break;
			by.scale /= 2;
			by.shift /= 2;
		}
		if (!(better < loss))
			break;
		r = next;
		loss = better;
	}
	if (!isfinite(loss) || !(r.scale > 0))
		return hel_fail(HEL_EDATA,
				"calibration: these rows are scored the wrong way round, or "
				"not at all: no scale above 0 helps");
	*out = (hel_rescaling){r.scale, r.shift - r.scale * j->mean};
	return HEL_OK;
}

hel_status hel_rescaling_fit(hel_rescaling *out, const double *logits, const uint8_t *labels,
			     size_t count)
{
	judged j = {.logit = logits, .label = labels, .count = count, .without = PARTS};
	return fit(out, &j);
}

hel_status hel_rescaling_cross(double *out, const double *logits, const uint8_t *labels,
			       size_t count)
{
	hel_status st = HEL_OK;
	hel_rescaling r[PARTS];
	for (size_t part = 0; part < PARTS; part++) {
		judged j = {.logit = logits, .label = labels, .count = count, .without = part};
		TRY(fit(&r[part], &j));
	}
	for (size_t i = 0; i < count; i++)
		out[i] = r[i % PARTS].scale * logits[i] + r[i % PARTS].shift;
done:
	return st;
}

/* --- folding ------------------------------------------------------------------------------ */

static size_t readers_of(const hel_graph *g, uint32_t node)
{
	size_t n = 0;
	for (size_t i = 0; i < g->nodes; i++)
		for (size_t k = 0; k < g->node[i].inputs; k++)
			n += g->node[i].input[k] == node;
	return n;
}

/* Whether the weights of a node, or of those it adds up, can take a factor: nobody else reads them.
 */
static bool takes_scale(const hel_graph *g, uint32_t node)
{
	const hel_node *n = &g->node[node];
	if (node + 1 < g->nodes && readers_of(g, node) != 1)
		return false;
	if (n->kind == HEL_NODE_ADD) {
		for (size_t k = 0; k < n->inputs; k++)
			if (!takes_scale(g, n->input[k]))
				return false;
		return true;
	}
	return n->kind == HEL_NODE_LINEAR || n->kind == HEL_NODE_SCALE || n->kind == HEL_NODE_EMBED;
}

/* The same for a constant; of a sum, how many of its inputs can. */
static size_t takes_shift(const hel_graph *g, uint32_t node)
{
	const hel_node *n = &g->node[node];
	if (node + 1 < g->nodes && readers_of(g, node) != 1)
		return 0;
	if (n->kind == HEL_NODE_SCALE)
		return n->factor != 0 ? takes_shift(g, n->input[0]) : 0;
	size_t able = n->kind == HEL_NODE_LINEAR && n->bias;
	for (size_t k = 0; k < n->inputs && n->kind == HEL_NODE_ADD; k++)
		able += takes_shift(g, n->input[k]) > 0;
	return able;
}

static void multiply(float *w, size_t count, double by)
{
	for (size_t i = 0; i < count; i++)
		w[i] = (float)(by * (double)w[i]);
}

static void scale(hel_dlrm *m, uint32_t node, double by)
{
	hel_node *n = &m->graph->node[node];
	if (n->kind == HEL_NODE_SCALE)
		n->factor *= by;
	for (size_t k = 0; k < n->inputs && n->kind == HEL_NODE_ADD; k++)
		scale(m, n->input[k], by);
	for (size_t k = 0; k < 2 && (n->kind == HEL_NODE_LINEAR || n->kind == HEL_NODE_EMBED); k++)
		if (n->rows[k]) {
			const hel_tensor *t = &m->tensor[n->tensor + k];
			multiply(m->parameter + t->offset, t->rows * t->columns, by);
		}
}

/* Evenly over all that can: an ensemble's members stay alike. */
static void shift(hel_dlrm *m, uint32_t node, double by)
{
	const hel_graph *g = m->graph;
	const hel_node *n = &g->node[node];
	if (n->kind == HEL_NODE_SCALE)
		shift(m, n->input[0], by / n->factor);
	if (n->kind == HEL_NODE_LINEAR) {
		float *bias = m->parameter + m->tensor[n->tensor + 1].offset;
		for (size_t i = 0; i < n->rows[1]; i++)
			bias[i] = (float)((double)bias[i] + by);
	}
	const size_t able = takes_shift(g, node);
	for (size_t k = 0; k < n->inputs && n->kind == HEL_NODE_ADD; k++)
		if (takes_shift(g, n->input[k]))
			shift(m, n->input[k], by / (double)able);
}

hel_status hel_dlrm_rescale(hel_dlrm *m, hel_rescaling r)
{
	const uint32_t logit = (uint32_t)m->graph->nodes - 1;
	if (!takes_scale(m->graph, logit) || !takes_shift(m->graph, logit))
		return hel_fail(HEL_EUNSUPPORTED,
				"the logit, node %s, is no sum of layers with a bias: there are no "
				"weights that a scale and a shift could go into",
				m->graph->node[logit].name);
	scale(m, logit, r.scale);
	shift(m, logit, r.shift);
	return HEL_OK;
}
