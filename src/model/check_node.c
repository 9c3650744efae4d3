/* What the shapes of all kinds of nodes check, and how they say what is wrong. */
#include "node.h"
#include <stdarg.h>

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
