#include "chain.h"
#include <stdarg.h>
#include <string.h>

enum { NOBODY = UINT32_MAX, SEVERAL = UINT32_MAX - 1 };

/* What is known on the way. */
typedef struct walk {
	hel_chain *c;
	const hel_graph *g;
	uint32_t *reader; /* per node; NOBODY, SEVERAL */
	size_t activations;
} walk;

static bool refuse(walk *w, const hel_node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool refuse(walk *w, const hel_node *n, const char *format, ...)
{
	char why[128];
	va_list args;
	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
	snprintf(w->c->refusal, sizeof w->c->refusal,
		 "node '%s' (%s): %s; programs are made of layers over the dense values, one "
		 "vector per table, their concatenation, and layers",
		 n->name, hel_node_kind_name(n->kind), why);
	return false;
}

static bool same(hel_activation a, hel_activation b)
{
	return a.kind == b.kind && a.a == b.a && a.b == b.b;
}

/* From node *at on: layers and their activations, up to what is neither. */
static bool tower(walk *w, uint32_t *at, uint32_t *layer, size_t *layers, bool *ends_activated)
{
	*layers = 0;
	*ends_activated = false;
	for (uint32_t next = w->reader[*at]; next != NOBODY; next = w->reader[*at]) {
		if (next == SEVERAL)
			return refuse(w, &w->g->node[*at], "several nodes read it");
		const hel_node *n = &w->g->node[next];
		if (n->kind != HEL_NODE_LINEAR && n->kind != HEL_NODE_ACTIVATION)
			break;
		if (n->kind == HEL_NODE_LINEAR) {
			if (*layers && !*ends_activated)
				return refuse(w, n, "no activation stands before it");
			if (*layers == HEL_MAX_LAYERS)
				return refuse(w, n, "more than %d layers", HEL_MAX_LAYERS);
			if (!n->bias)
				return refuse(w, n, "it has no bias");
			layer[(*layers)++] = next;
			*ends_activated = false;
		} else {
			if (!*layers || *ends_activated)
				return refuse(w, n, "no layer stands before it");
			if (w->activations++ && !same(n->activation, w->c->activation))
				return refuse(w, n, "another activation than that before it");
			w->c->activation = n->activation;
			*ends_activated = true;
		}
		*at = next;
	}
	return true;
}

/* [the bottom tower's output,] every table's vector, in order. */
static bool interaction(walk *w, uint32_t concat, uint32_t bottom)
{
	const hel_node *n = &w->g->node[concat];
	const size_t tables = w->g->schema->table_count, first = bottom != NOBODY;
	if (n->kind != HEL_NODE_CONCAT)
		return refuse(w, n, "expected the concatenation");
	if (n->inputs != first + tables || (first && n->input[0] != bottom))
		return refuse(w, n,
			      "its inputs are not the layers' output and one vector per table");
	for (size_t t = 0; t < tables; t++) {
		const hel_node *e = &w->g->node[n->input[first + t]];
		if (e->kind != HEL_NODE_EMBED || e->table != t)
			return refuse(w, e, "expected the vector of table %s",
				      w->g->schema->table[t].name);
		if (w->reader[n->input[first + t]] == SEVERAL)
			return refuse(w, e, "several nodes read it");
		if (t && e->width != w->c->embedding_dim)
			return refuse(w, e, "its width is not that of the other tables");
		w->c->embedding_dim = (uint32_t)e->width;
		w->c->table[t] = n->input[first + t];
	}
	return true;
}

static bool follow(walk *w)
{
	const hel_graph *g = w->g;
	uint32_t at = 0;
	bool activated = false;
	for (size_t i = 0; i < g->nodes; i++)
		if (g->node[i].kind >= HEL_NODE_ADD && g->node[i].kind != HEL_NODE_ACTIVATION)
			return refuse(w, &g->node[i], "programs have no such nodes yet");
	while (at < g->nodes && g->node[at].kind != HEL_NODE_DENSE)
		at++;
	if (at == g->nodes && g->schema->dense_count)
		return refuse(w, &g->node[0], "no node reads the dense values");
	const bool dense = at < g->nodes;
	if (dense && !tower(w, &at, w->c->bottom, &w->c->bottom_layers, &activated))
		return false;
	w->c->bottom_last_activation = activated;
	const uint32_t concat = w->reader[dense ? at : 0];
	if (concat == NOBODY || concat == SEVERAL)
		return refuse(w, &g->node[dense ? at : 0], "no concatenation follows");
	if (!interaction(w, concat, dense ? at : NOBODY))
		return false;
	at = concat;
	if (!tower(w, &at, w->c->top, &w->c->top_layers, &activated))
		return false;
	if (at + 1 != g->nodes || !w->c->top_layers)
		return refuse(w, &g->node[g->nodes - 1], "it is not the last layer after them");
	return activated ? refuse(w, &g->node[at], "an activation of the logit") : true;
}

hel_status hel_chain_init(hel_chain *c, const hel_graph *g)
{
	hel_status st = HEL_OK;
	walk w = {.c = c, .g = g};
	*c = (hel_chain){0};
	TRY_ALLOC(w.reader, hel_alloc(g->nodes, sizeof *w.reader));
	TRY_ALLOC(c->table, hel_alloc(g->schema->table_count, sizeof *c->table));
	memset(w.reader, 0xff, g->nodes * sizeof *w.reader);
	for (uint32_t i = 0; i < g->nodes; i++)
		for (size_t k = 0; k < g->node[i].inputs; k++) {
			uint32_t *reader = &w.reader[g->node[i].input[k]];
			*reader = *reader == NOBODY ? i : SEVERAL;
		}
	c->whole = follow(&w);
done:
	hel_free(w.reader);
	return st;
}

void hel_chain_clear(hel_chain *c)
{
	hel_free(c->table);
	c->table = NULL;
}
