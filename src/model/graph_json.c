#include "graph.h"
#include "node.h"
#include <string.h>

static hel_status kind_of(hel_node *n, const json_t *o)
{
	const char *kind = json_string_value(json_object_get(o, "kind"));
	n->kind = 0;
	while (kind && n->kind < HEL_NODE_KINDS && strcmp(kind, hel_node_kind_name(n->kind)) != 0)
		n->kind++;
	if (kind && n->kind < HEL_NODE_KINDS)
		return HEL_OK;
#define X(kind, name) ", " name
	static const char known[] = HEL_NODE_LIST(X);
#undef X
	return hel_fail(HEL_EFORMAT, "node '%s' is of kind '%.40s'; known are %s", n->name,
			kind ? kind : "", known + 2);
}

static hel_status name_of(hel_node *n, size_t number, const json_t *o)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	if (!name || !name[0] || strlen(name) >= sizeof n->name)
		return hel_fail(HEL_EFORMAT, "node %zu: 'name' must be a text of 1 to %d bytes",
				number, HEL_NODE_NAME_MAX - 1);
	snprintf(n->name, sizeof n->name, "%s", name);
	return HEL_OK;
}

static hel_status check_keys(const hel_node *n, const json_t *o)
{
	const hel_node_type *type = hel_node_type_of(n->kind);
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)o, key, value)
	{
		bool known = strcmp(key, "name") == 0 || strcmp(key, "kind") == 0 ||
			     strcmp(key, "inputs") == 0;
		for (size_t i = 0; i < HEL_ARRAY_LEN(type->keys) && type->keys[i]; i++)
			known |= strcmp(key, type->keys[i]) == 0;
		if (!known)
			return hel_node_fail(n, "unknown key '%.40s'", key);
	}
	return HEL_OK;
}

/* Inputs are found among the nodes before: a graph written so has no cycles. */
static hel_status inputs_of(hel_node *n, const json_t *o, const json_t *numbers)
{
	hel_status st = HEL_OK;
	const json_t *inputs = json_object_get(o, "inputs");
	if (inputs && (!json_is_array(inputs) || json_array_size(inputs) > HEL_MAX_NODES))
		return hel_node_fail(n, "'inputs' must be an array of at most %d names",
				     HEL_MAX_NODES);
	n->inputs = json_array_size(inputs);
	TRY_ALLOC(n->input, hel_alloc(n->inputs, sizeof *n->input));
	for (size_t i = 0; i < n->inputs; i++) {
		const char *name = json_string_value(json_array_get(inputs, i));
		const json_t *number = name ? json_object_get(numbers, name) : NULL;
		if (!number)
			TRY(hel_node_fail(n,
					  "there is no node '%.40s' before it (missing, or a "
					  "cycle)",
					  name ? name : ""));
		n->input[i] = (uint32_t)json_integer_value(number);
	}
done:
	return st;
}

static hel_status read_node(hel_graph *g, const json_t *o, json_t *numbers)
{
	hel_status st = HEL_OK;
	hel_node n = {0};
	if (!json_is_object(o))
		FAIL(HEL_EFORMAT, "node %zu is not an object", g->nodes);
	TRY(name_of(&n, g->nodes, o));
	TRY(kind_of(&n, o));
	TRY(check_keys(&n, o));
	TRY(inputs_of(&n, o, numbers));
	const hel_node_type *type = hel_node_type_of(n.kind);
	if (type->read)
		TRY(type->read(&n, o, g->schema));
	TRY(hel_graph_add(g, &n));
	json_object_set_new(numbers, n.name, json_integer((json_int_t)g->nodes - 1));
done:
	hel_free(n.input);
	return st;
}

static hel_status read_graph(hel_graph **out, const json_t *array, const hel_schema *schema,
			     bool vector)
{
	hel_status st = HEL_OK;
	hel_graph *g = NULL;
	json_t *numbers = json_object();
	if (!json_is_array(array))
		FAIL(HEL_EFORMAT, "'graph' must be an array of nodes");
	if (json_array_size(array) > HEL_MAX_NODES)
		FAIL(HEL_ELIMIT, "a graph of %zu nodes, at most %d are possible",
		     json_array_size(array), HEL_MAX_NODES);
	TRY(hel_graph_new(&g, schema));
	g->vector = vector;
	for (size_t i = 0; i < json_array_size(array); i++)
		TRY(read_node(g, json_array_get(array, i), numbers));
	TRY(hel_graph_check(g));
	*out = g;
	g = NULL;
done:
	hel_graph_free(g);
	json_decref(numbers);
	return st;
}

hel_status hel_graph_read(hel_graph **out, const json_t *array, const hel_schema *schema)
{
	return read_graph(out, array, schema, false);
}

hel_status hel_graph_read_vector(hel_graph **out, const json_t *array, const hel_schema *schema)
{
	return read_graph(out, array, schema, true);
}

json_t *hel_graph_write(const hel_graph *g)
{
	json_t *array = json_array();
	for (size_t i = 0; i < g->nodes; i++) {
		const hel_node *n = &g->node[i];
		const hel_node_type *type = hel_node_type_of(n->kind);
		json_t *o =
		    json_pack("{s:s, s:s}", "name", n->name, "kind", hel_node_kind_name(n->kind));
		json_t *inputs = json_array();
		for (size_t k = 0; k < n->inputs; k++)
			json_array_append_new(inputs, json_string(g->node[n->input[k]].name));
		json_object_set_new(o, "inputs", inputs);
		if (type->write)
			type->write(o, n, g->schema);
		json_array_append_new(array, o);
	}
	return array;
}
