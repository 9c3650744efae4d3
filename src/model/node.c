#include "node.h"
#include <stdarg.h>

static const hel_node_type *const types[HEL_NODE_KINDS] = {
    [HEL_NODE_DENSE] = &hel_node_dense,
    [HEL_NODE_EMBED] = &hel_node_embed,
    [HEL_NODE_LINEAR] = &hel_node_linear,
    [HEL_NODE_CONCAT] = &hel_node_concat,
    [HEL_NODE_ADD] = &hel_node_add,
    [HEL_NODE_MULTIPLY] = &hel_node_multiply,
    [HEL_NODE_ACTIVATION] = &hel_node_activation,
    [HEL_NODE_DOT] = &hel_node_dot,
    [HEL_NODE_SCALE] = &hel_node_scale,
};

const hel_node_type *hel_node_type_of(hel_node_kind kind)
{
	return types[kind];
}

const char *hel_node_kind_name(hel_node_kind kind)
{
	static const char *const names[HEL_NODE_KINDS] = {
#define X(kind, name) name,
	    HEL_NODE_LIST(X)
#undef X
	};
	return kind < HEL_NODE_KINDS ? names[kind] : "?";
}

hel_status hel_node_fail(const hel_node *n, const char *format, ...)
{
	char detail[160];
	va_list args;
	va_start(args, format);
	vsnprintf(detail, sizeof detail, format, args);
	va_end(args);
	return hel_fail(HEL_EFORMAT, "node '%s' (%s): %s", n->name, hel_node_kind_name(n->kind),
			detail);
}

hel_status hel_node_arity(const hel_node *n, size_t least, size_t most)
{
	if (n->inputs >= least && n->inputs <= most)
		return HEL_OK;
	if (least == most)
		return hel_node_fail(n, "%zu inputs, expected %zu", n->inputs, least);
	return hel_node_fail(n, "%zu inputs, expected at least %zu", n->inputs, least);
}

hel_status hel_node_alike(const hel_node *n, const hel_graph *g)
{
	for (size_t i = 1; i < n->inputs; i++)
		if (hel_input_width(n, g, i) != hel_input_width(n, g, 0))
			return hel_node_fail(n, "'%s' is %zu wide, '%s' %zu; expected one width",
					     g->node[n->input[0]].name, hel_input_width(n, g, 0),
					     g->node[n->input[i]].name, hel_input_width(n, g, i));
	return HEL_OK;
}
