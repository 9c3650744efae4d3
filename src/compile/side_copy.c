/* The nodes of one side as a model of its own. */
#include "side_copy.h"
#include <string.h>

static bool is_copied(const hel_copying *c, size_t i)
{
	const bool mixed = c->s->g->node[i].kind == HEL_NODE_DENSE && c->s->side[i] == HEL_JOINT;
	if (c->select) /* a joint model: dense values and what is public are selected */
		return c->s->side[i] != HEL_PUBLIC && c->s->g->node[i].kind != HEL_NODE_DENSE;
	return c->s->side[i] == c->side || mixed;
}

static hel_status copy_nodes(hel_copying *c)
{
	hel_status st = HEL_OK;
	uint32_t input[HEL_MAX_NODES];
	for (uint32_t i = 0; i < c->s->g->nodes; i++) {
		if (c->select)
			TRY(c->select(c, i));
		if (!is_copied(c, i))
			continue;
		hel_node n = c->s->g->node[i];
		for (size_t k = 0; k < n.inputs; k++)
			input[k] = c->number[n.input[k]];
		n.input = input;
		n.tensor = n.activated = 0;
		n.place = n.places = n.entry = 0;
		memset(n.rows, 0, sizeof n.rows);
		memset(n.columns, 0, sizeof n.columns);
		if (n.kind == HEL_NODE_DENSE)
			n.width = c->part->schema->dense_count;
		for (uint32_t t = 0; n.kind == HEL_NODE_EMBED && t < c->part->schema->table_count;
		     t++)
			if (c->part->table[t] == c->s->g->node[i].table)
				n.table = t;
		TRY(hel_graph_add(c->graph, &n));
		c->number[i] = (uint32_t)c->graph->nodes - 1;
		if (c->s->form.place[i])
			c->entering[c->count++] = c->number[i];
	}
done:
	return st;
}

hel_status hel_copying_add(uint32_t *number, hel_copying *c, hel_node n, const uint32_t *input,
			   size_t inputs, const char *name)
{
	hel_status st = HEL_OK;
	uint32_t copy[HEL_MAX_NODES];
	if (inputs)
		memcpy(copy, input, inputs * sizeof *copy);
	n.input = copy;
	n.inputs = inputs;
	snprintf(n.name, sizeof n.name, "%s", name);
	TRY(hel_graph_add(c->graph, &n));
	*number = (uint32_t)c->graph->nodes - 1;
done:
	return st;
}

hel_status hel_copying_gather(uint32_t *number, hel_copying *c)
{
	hel_status st = HEL_OK;
	*number = c->entering[0];
	if (c->count > 1)
		TRY(hel_copying_add(number, c, (hel_node){.kind = HEL_NODE_CONCAT}, c->entering,
				    c->count, "items.enter"));
done:
	return st;
}

float *hel_tensor_of(hel_dlrm *m, uint32_t node, bool bias)
{
	return m->parameter + m->tensor[m->graph->node[node].tensor + bias].offset;
}

static void copy_weights(hel_dlrm *to, const hel_copying *c)
{
	for (size_t i = 0; i < c->s->g->nodes; i++) {
		const hel_node *n = &c->s->g->node[i];
		for (size_t k = 0; is_copied(c, i) && k < 2 && n->rows[k]; k++) {
			const hel_tensor *t = &c->s->m->tensor[n->tensor + k];
			memcpy(hel_tensor_of(to, c->number[i], k), hel_tensor_data(c->s->m, t),
			       t->rows * t->columns * sizeof(float));
		}
	}
}

/* Polynomials of the activations that are copied, in their order. */
static hel_status copy_approximations(hel_dlrm *to, const hel_copying *c)
{
	hel_status st = HEL_OK;
	if (!c->s->m->approximation)
		goto done;
	TRY_ALLOC(to->approximation,
		  hel_alloc(hel_dlrm_activated(to) + 1, sizeof *to->approximation));
	for (size_t i = 0; i < c->s->g->nodes; i++)
		if (is_copied(c, i) && c->s->g->node[i].kind == HEL_NODE_ACTIVATION)
			to->approximation[to->graph->node[c->number[i]].activated] =
			    c->s->m->approximation[c->s->g->node[i].activated];
done:
	return st;
}

hel_status hel_copying_begin(hel_copying *c, const hel_side *part)
{
	hel_status st = HEL_OK;
	c->part = part;
	TRY_ALLOC(c->number, hel_alloc(c->s->g->nodes, sizeof *c->number));
	TRY(hel_graph_new(&c->graph, part->schema));
	c->graph->vector = !c->select;
	TRY(copy_nodes(c));
done:
	return st;
}

hel_status hel_copying_finish(hel_dlrm **out, hel_copying *c)
{
	hel_status st = HEL_OK;
	hel_schema *schema = NULL;
	hel_dlrm *m = NULL;
	hel_dlrm_config config = c->s->m->config;
	config.architecture = HEL_ARCHITECTURE_GRAPH;
	config.members = 1;
	TRY(hel_schema_copy(&schema, c->part->schema));
	c->graph->schema = schema;
	TRY(hel_dlrm_of_graph(&m, &config, c->graph, schema, HEL_MAX_PARAMETERS));
	schema = NULL;
	c->graph = NULL;
	m->config = config; /* a chain would describe itself, whose last layer is no logit */
	copy_weights(m, c);
	TRY(copy_approximations(m, c));
	*out = m;
	m = NULL;
done:
	hel_dlrm_free(m);
	hel_schema_free(schema);
	return st;
}

void hel_copying_clear(hel_copying *c)
{
	if (!c)
		return;
	hel_graph_free(c->graph);
	hel_free(c->number);
	hel_free(c);
}
