#include "graph_builder.h"
#include <stdarg.h>
#include <string.h>

void hel_group_join(hel_group *to, uint32_t node)
{
	to->node[to->count++] = node;
}

hel_group hel_group_of(uint32_t a)
{
	return (hel_group){1, {a}};
}

hel_group hel_group_of_two(uint32_t a, uint32_t b)
{
	return (hel_group){2, {a, b}};
}

uint32_t hel_build(hel_builder *b, hel_node n, const hel_group *inputs, const char *name, ...)
{
	va_list args;
	const size_t before = strlen(b->prefix);
	memcpy(n.name, b->prefix, before);
	va_start(args, name);
	vsnprintf(n.name + before, sizeof n.name - before, name, args);
	va_end(args);
	if (inputs) {
		n.inputs = inputs->count;
		n.input = (uint32_t *)inputs->node;
	}
	if (b->status == HEL_OK)
		b->status = hel_graph_add(b->g, &n);
	return b->status == HEL_OK ? (uint32_t)b->g->nodes - 1 : 0;
}

uint32_t hel_build_dense(hel_builder *b)
{
	return hel_build(b, (hel_node){.kind = HEL_NODE_DENSE}, NULL, "dense");
}

uint32_t hel_build_embed(hel_builder *b, uint32_t table, size_t width, const char *prefix)
{
	return hel_build(b, (hel_node){.kind = HEL_NODE_EMBED, .table = table, .width = width},
			 NULL, "%s.%u", prefix, table);
}

uint32_t hel_build_linear(hel_builder *b, uint32_t x, size_t width, bool bias, const char *name)
{
	const hel_group in = hel_group_of(x);
	return hel_build(b, (hel_node){.kind = HEL_NODE_LINEAR, .width = width, .bias = bias}, &in,
			 "%s", name);
}

uint32_t hel_build_activation(hel_builder *b, uint32_t x, hel_activation act, const char *name)
{
	const hel_group in = hel_group_of(x);
	return hel_build(b, (hel_node){.kind = HEL_NODE_ACTIVATION, .activation = act}, &in, "%s",
			 name);
}

uint32_t hel_build_gather(hel_builder *b, hel_node_kind kind, const hel_group *in, const char *name)
{
	return hel_build(b, (hel_node){.kind = kind}, in, "%s", name);
}

uint32_t hel_build_scale(hel_builder *b, uint32_t x, double factor, const char *name)
{
	const hel_group in = hel_group_of(x);
	return hel_build(b, (hel_node){.kind = HEL_NODE_SCALE, .factor = factor}, &in, "%s", name);
}

uint32_t hel_build_fm(hel_builder *b, const hel_group *vectors)
{
	const hel_node square = {.kind = HEL_NODE_DOT, .self = true};
	hel_group in = hel_group_of(hel_build_gather(b, HEL_NODE_ADD, vectors, "fm.sum"));
	const uint32_t of_sum = hel_build(b, square, &in, "fm.square_of_sum");
	in = hel_group_of(hel_build_gather(b, HEL_NODE_CONCAT, vectors, "fm.vectors"));
	const uint32_t squares = hel_build(b, square, &in, "fm.sum_of_squares");
	in = hel_group_of_two(of_sum, hel_build_scale(b, squares, -1, "fm.minus"));
	return hel_build_scale(b, hel_build_gather(b, HEL_NODE_ADD, &in, "fm.difference"), 0.5,
			       "fm.pairs");
}

uint32_t hel_build_cross(hel_builder *b, uint32_t x0, uint32_t x, size_t layer, size_t rank,
			 uint32_t affine[2])
{
	const size_t width = b->status == HEL_OK ? b->g->node[x0].width : 1;
	char name[HEL_NODE_NAME_MAX];
	uint32_t y = x, number[2] = {0};
	size_t n = 0;
	if (rank) {
		snprintf(name, sizeof name, "cross.%zu.V", layer);
		number[n++] = y = hel_build_linear(b, y, rank, false, name);
	}
	snprintf(name, sizeof name, "cross.%zu.%s", layer, rank ? "U" : "W");
	number[n] = y = hel_build_linear(b, y, width, true, name);
	for (size_t i = 0; affine && i < 2; i++)
		affine[i] = number[i];
	hel_group in = hel_group_of_two(x0, y);
	snprintf(name, sizeof name, "cross.%zu.product", layer);
	in = hel_group_of_two(hel_build_gather(b, HEL_NODE_MULTIPLY, &in, name), x);
	snprintf(name, sizeof name, "cross.%zu", layer);
	return hel_build_gather(b, HEL_NODE_ADD, &in, name);
}
