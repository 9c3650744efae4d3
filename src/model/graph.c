#include "graph.h"
#include "node.h"
#include <string.h>

hel_status hel_graph_new(hel_graph **out, const hel_schema *schema)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(*out, hel_alloc(1, sizeof **out));
	(*out)->schema = schema;
done:
	return st;
}

void hel_graph_free(hel_graph *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->nodes; i++)
		hel_free(g->node[i].input);
	hel_free(g->node);
	hel_free(g);
}

static hel_status make_room(hel_graph *g)
{
	hel_status st = HEL_OK;
	hel_node *more = NULL;
	if (g->nodes < g->room)
		return st;
	g->room = HEL_MAX(2 * g->room, (size_t)64);
	TRY_ALLOC(more, hel_alloc(g->room, sizeof *more));
	if (g->nodes)
		memcpy(more, g->node, g->nodes * sizeof *more);
	hel_free(g->node);
	g->node = more;
done:
	return st;
}

static hel_status check_new(const hel_node *n, const hel_graph *g)
{
	if (g->nodes >= HEL_MAX_NODES)
		return hel_fail(HEL_ELIMIT, "a graph of more than %d nodes", HEL_MAX_NODES);
	if (!n->name[0])
		return hel_fail(HEL_EFORMAT, "node %zu has no name", g->nodes);
	for (size_t i = 0; i < g->nodes; i++)
		if (strcmp(g->node[i].name, n->name) == 0)
			return hel_fail(HEL_EFORMAT, "two nodes are called '%s'", n->name);
	for (size_t i = 0; i < n->inputs; i++)
		if (n->input[i] >= g->nodes)
			return hel_node_fail(n, "input %u does not stand before it", n->input[i]);
	return HEL_OK;
}

hel_status hel_graph_add(hel_graph *g, const hel_node *given)
{
	hel_status st = HEL_OK;
	hel_node n = *given;
	uint32_t *input = NULL;
	TRY(check_new(&n, g));
	TRY(make_room(g));
	TRY_ALLOC(input, hel_alloc(n.inputs, sizeof *input));
	if (n.inputs)
		memcpy(input, n.input, n.inputs * sizeof *input);
	n.input = input;
	TRY(hel_node_type_of(n.kind)->shape(&n, g));
	if (n.width > HEL_MAX_NODE_WIDTH || g->width + n.width > HEL_MAX_GRAPH_WIDTH)
		FAIL(HEL_ELIMIT, "node '%s' (%s) has %zu elements: too many", n.name,
		     hel_node_kind_name(n.kind), n.width);
	g->width += n.width;
	g->activated += n.kind == HEL_NODE_ACTIVATION;
	g->node[g->nodes++] = n;
	input = NULL;
done:
	hel_free(input);
	return st;
}

hel_status hel_graph_check(const hel_graph *g)
{
	hel_status st = HEL_OK;
	bool *read = NULL;
	if (!g->nodes)
		FAIL(HEL_EFORMAT, "a graph without nodes");
	TRY_ALLOC(read, hel_alloc(g->nodes, sizeof *read));
	for (size_t i = 0; i < g->nodes; i++)
		for (size_t k = 0; k < g->node[i].inputs; k++)
			read[g->node[i].input[k]] = true;
	for (size_t i = 0; i + 1 < g->nodes; i++)
		if (!read[i])
			TRY(hel_node_fail(&g->node[i], "no node reads it"));
	if (!g->vector && g->node[g->nodes - 1].width != 1)
		TRY(hel_node_fail(&g->node[g->nodes - 1],
				  "the last node is the logit: expected 1 element, found %zu",
				  g->node[g->nodes - 1].width));
done:
	hel_free(read);
	return st;
}
