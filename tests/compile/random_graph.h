/* random_graph.h -- random graphs of all kinds of nodes. */
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

/* How often what a node computes was multiplied. */
static inline unsigned multiplied(const hel_graph *g, uint32_t node)
{
	const hel_node *n = &g->node[node];
	unsigned most = 0;
	for (size_t i = 0; i < n->inputs; i++)
		most = HEL_MAX(most, multiplied(g, n->input[i]));
	return most + (n->kind == HEL_NODE_MULTIPLY || n->kind == HEL_NODE_DOT ||
		       n->kind == HEL_NODE_ACTIVATION);
}

/* A node with elements that was multiplied less than `depth` times. */
static inline uint32_t any_node(hel_prng *r, const hel_graph *g, unsigned depth)
{
	for (;;) {
		const uint32_t i = between(r, 0, (uint32_t)g->nodes - 1);
		if (g->node[i].width && multiplied(g, i) < depth)
			return i;
	}
}

/* An affine map of what is there: of `width`. */
static inline uint32_t put_affine(hel_prng *r, hel_graph *g, size_t width, unsigned depth)
{
	uint32_t in[3];
	const uint32_t count = between(r, 1, 3);
	for (size_t i = 0; i < count; i++) {
		const uint32_t from = any_node(r, g, depth);
		in[i] = g->node[from].width == width && between(r, 0, 1)
			    ? from
			    : put_linear(r, g, from, width);
	}
	if (between(r, 0, 1))
		in[0] = put_node(g, (hel_node){.kind = HEL_NODE_SCALE, .factor = -0.5}, in, 1);
	return put_node(g, (hel_node){.kind = HEL_NODE_ADD}, in, count);
}

/* A product, square or function of affine maps. */
static inline uint32_t put_product(hel_prng *r, hel_graph *g, hel_activation_kind activation,
				   unsigned depth)
{
	const hel_node_kind kind[] = {HEL_NODE_MULTIPLY, HEL_NODE_DOT, HEL_NODE_ACTIVATION};
	hel_node n = {.kind = kind[between(r, 0, 2)],
		      .self = between(r, 0, 1),
		      .upper = between(r, 0, 1),
		      .activation = {activation, -0.3, 0.7}};
	const size_t width = between(r, 1, 5), inputs = n.kind == HEL_NODE_ACTIVATION ? 1
							: n.kind == HEL_NODE_MULTIPLY
							    ? 2
							    : between(r, 2 - n.self, 4);
	uint32_t in[4];
	for (size_t i = 0; i < inputs; i++)
		in[i] = put_affine(r, g, width, depth);
	return put_node(g, n, in, inputs);
}

/* All that nobody reads, concatenated. */
static inline uint32_t join_loose(hel_graph *g)
{
	uint32_t loose[256];
	size_t count = 0;
	for (uint32_t i = 0; i < g->nodes; i++) {
		bool read = false;
		for (size_t k = 0; k < g->nodes; k++)
			for (size_t j = 0; j < g->node[k].inputs; j++)
				read |= g->node[k].input[j] == i;
		if (!read)
			loose[count++] = i;
	}
	return put_node(g, (hel_node){.kind = HEL_NODE_CONCAT}, loose, count);
}

/** Over the record that a random DLRM reads, multiplied at most `depth` times. */
static inline hel_dlrm *random_graph(hel_prng *r, model_size most, hel_activation_kind activation,
				     unsigned depth)
{
	hel_dlrm *m = random_model(r, most, HEL_ACT_QUADRATIC), *out;
	hel_dlrm_config c = m->config;
	hel_schema *s;
	hel_graph *g;
	char *text;
	assert_ok(hel_schema_to_json(&text, m->schema));
	assert_ok(hel_schema_from_json(&s, text, strlen(text)));
	hel_free(text);
	assert_ok(hel_graph_new(&g, s));
	put_node(g, (hel_node){.kind = HEL_NODE_DENSE}, NULL, 0);
	for (uint32_t t = 0; t < s->table_count; t++)
		for (uint32_t copy = between(r, 1, 2); copy > 0; copy--) {
			const hel_node n = {
			    .kind = HEL_NODE_EMBED, .table = t, .width = between(r, 1, most.dim)};
			put_node(g, n, NULL, 0);
		}
	for (uint32_t i = between(r, 1, 5); i > 0; i--)
		put_product(r, g, activation, depth);
	put_linear(r, g, put_linear(r, g, join_loose(g), between(r, 1, 9)), 1);
	assert_ok(hel_graph_check(g));
	c.architecture = HEL_ARCHITECTURE_GRAPH;
	c.activation.kind = activation;
	assert_ok(hel_dlrm_of_graph(&out, &c, g, s, HEL_MAX_PARAMETERS));
	for (size_t i = 0; i < out->tensors; i++) {
		const hel_tensor *t = &out->tensor[i];
		const double scale = t->table || t->bias ? 0.3 : 1 / sqrt((double)t->columns + 1);
		for (size_t k = 0; k < t->rows * t->columns; k++)
			out->parameter[t->offset + k] = (float)(scale * hel_prng_normal(r));
	}
	if (activation != HEL_ACT_SQUARE && activation != HEL_ACT_QUADRATIC &&
	    hel_dlrm_activated(out)) {
		hel_samples x = random_samples(r, out->schema);
		assert_ok(hel_dlrm_approximate(out, &x, 3, HEL_LEAST_SQUARES, 2));
		hel_samples_clear(&x);
	}
	hel_dlrm_free(m);
	return out;
}

#endif
