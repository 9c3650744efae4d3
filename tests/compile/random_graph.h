/* random_graph.h -- random graphs in which a record is multiplied once. */
#ifndef HEL_RANDOM_GRAPH_H
#define HEL_RANDOM_GRAPH_H

#include "random_model.h"

static inline uint32_t put_node(hel_graph *g, hel_node n, const uint32_t *input, size_t inputs)
{
	snprintf(n.name, sizeof n.name, "n%zu", g->nodes);
	n.input = (uint32_t *)input;
	n.inputs = inputs;
	assert_ok(hel_graph_add(g, &n));
	return (uint32_t)g->nodes - 1;
}

static inline uint32_t put_linear(hel_prng *r, hel_graph *g, uint32_t x, size_t width)
{
	return put_node(
	    g, (hel_node){.kind = HEL_NODE_LINEAR, .width = width, .bias = between(r, 0, 1)}, &x,
	    1);
}

/* An affine map of the record: of `width`, from what is there. */
static inline uint32_t put_affine(hel_prng *r, hel_graph *g, uint32_t affine, size_t width)
{
	uint32_t in[3];
	for (size_t i = 0; i < 3; i++)
		in[i] = put_linear(r, g, between(r, 0, affine - 1), width);
	if (between(r, 0, 1))
		in[0] = put_node(g, (hel_node){.kind = HEL_NODE_SCALE, .factor = -0.5}, in, 1);
	return put_node(g, (hel_node){.kind = HEL_NODE_ADD}, in, 3);
}

/* A product or square of affine maps. */
static inline uint32_t put_product(hel_prng *r, hel_graph *g, uint32_t affine)
{
	const hel_node_kind kind[] = {HEL_NODE_MULTIPLY, HEL_NODE_DOT, HEL_NODE_ACTIVATION};
	hel_node n = {.kind = kind[between(r, 0, 2)],
		      .self = between(r, 0, 1),
		      .upper = between(r, 0, 1),
		      .activation = {HEL_ACT_QUADRATIC, -0.3, 0.7}};
	const size_t width = between(r, 1, 5), inputs = n.kind == HEL_NODE_ACTIVATION ? 1
							: n.kind == HEL_NODE_MULTIPLY
							    ? 2
							    : between(r, 2, 4);
	uint32_t in[4];
	for (size_t i = 0; i < inputs; i++)
		in[i] = put_affine(r, g, affine, width);
	return put_node(g, n, in, inputs);
}

/** Over the record that a random DLRM reads. */
static inline hel_dlrm *random_graph(hel_prng *r, model_size most)
{
	hel_dlrm *m = random_model(r, most, HEL_ACT_QUADRATIC), *out;
	hel_dlrm_config c = m->config;
	hel_schema *s;
	hel_graph *g;
	char *text;
	uint32_t part[64];
	size_t parts = 0;
	assert_ok(hel_schema_to_json(&text, m->schema));
	assert_ok(hel_schema_from_json(&s, text, strlen(text)));
	hel_free(text);
	assert_ok(hel_graph_new(&g, s));
	part[parts++] = put_node(g, (hel_node){.kind = HEL_NODE_DENSE}, NULL, 0);
	for (uint32_t t = 0; t < s->table_count; t++)
		for (uint32_t copy = between(r, 1, 2); copy > 0; copy--) {
			const hel_node n = {
			    .kind = HEL_NODE_EMBED, .table = t, .width = between(r, 1, most.dim)};
			part[parts++] = put_node(g, n, NULL, 0);
		}
	const uint32_t affine = (uint32_t)g->nodes;
	for (uint32_t i = between(r, 1, 4); i > 0; i--)
		part[parts++] = put_product(r, g, affine);
	const uint32_t all = put_node(g, (hel_node){.kind = HEL_NODE_CONCAT}, part, parts);
	put_linear(r, g, put_linear(r, g, all, between(r, 1, 9)), 1);
	assert_ok(hel_graph_check(g));
	c.architecture = HEL_ARCHITECTURE_GRAPH;
	assert_ok(hel_dlrm_of_graph(&out, &c, g, s, HEL_MAX_PARAMETERS));
	for (size_t i = 0; i < out->tensors; i++) {
		const hel_tensor *t = &out->tensor[i];
		const double scale = t->table || t->bias ? 0.3 : 1 / sqrt((double)t->columns + 1);
		for (size_t k = 0; k < t->rows * t->columns; k++)
			out->parameter[t->offset + k] = (float)(scale * hel_prng_normal(r));
	}
	hel_dlrm_free(m);
	return out;
}

#endif
