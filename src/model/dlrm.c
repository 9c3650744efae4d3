#include "dlrm.h"
#include "architectures.h"
#include "node.h"
#include <math.h>
#include <string.h>

static hel_status name_tensor(hel_dlrm *m, const hel_node *n, size_t which, size_t limit)
{
	hel_tensor *t = &m->tensor[m->tensors++];
	*t = (hel_tensor){.rows = n->rows[which],
			  .columns = n->columns[which],
			  .table = n->kind == HEL_NODE_EMBED,
			  .bias = which == 1,
			  .offset = m->parameters,
			  .dense = m->dense};
	snprintf(t->name, sizeof t->name, "%s.%s", n->name, t->bias ? "bias" : "weight");
	m->parameters += t->rows * t->columns;
	m->dense += t->table ? 0 : t->rows * t->columns;
	if (m->parameters > limit)
		return hel_fail(HEL_ELIMIT,
				"a model of %zu parameters where at most %zu are possible",
				m->parameters, limit);
	return HEL_OK;
}

static hel_status name_tensors(hel_dlrm *m, size_t limit)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(m->tensor, hel_alloc(2 * m->graph->nodes, sizeof *m->tensor));
	for (size_t i = 0; i < m->graph->nodes; i++) {
		hel_node *n = &m->graph->node[i];
		n->tensor = m->tensors;
		for (size_t k = 0; k < 2; k++)
			if (n->rows[k])
				TRY(name_tensor(m, n, k, limit));
	}
done:
	return st;
}

size_t hel_dlrm_activated(const hel_dlrm *m)
{
	return m->graph->activated;
}

size_t hel_dlrm_bottom_width(const hel_dlrm *m)
{
	return m->chain.bottom_layers
		   ? m->graph->node[m->chain.bottom[m->chain.bottom_layers - 1]].width
		   : m->schema->dense_count;
}

static void initialise(hel_dlrm *m, uint64_t seed)
{
	uint8_t bytes[HEL_SEED_BYTES] = {0};
	hel_prng g;
	memcpy(bytes, &seed, sizeof seed);
	hel_prng_init(&g, bytes, 0);
	for (size_t i = 0; i < m->tensors; i++) {
		const hel_tensor *t = &m->tensor[i];
		float *p = m->parameter + t->offset;
		for (size_t k = 0; k < t->rows * t->columns; k++) {
			double v;
			if (t->table &&
			    t->columns == 1) /* a weight per entry: logistic regression */
				v = 0;
			else if (t->table) /* U(-1/sqrt(rows), 1/sqrt(rows)) */
				v = (2 * hel_prng_unit(&g) - 1) / sqrt((double)t->rows);
			else if (t->bias) /* N(0, 1/out) */
				v = hel_prng_normal(&g) / sqrt((double)t->rows);
			else /* N(0, 2/(in + out)) */
				v = hel_prng_normal(&g) * sqrt(2 / (double)(t->rows + t->columns));
			p[k] = (float)v;
		}
	}
}

hel_status hel_dlrm_new(hel_dlrm **out, const hel_dlrm_config *config, hel_schema *schema,
			uint64_t seed)
{
	hel_status st = hel_dlrm_new_zero(out, config, schema, HEL_MAX_PARAMETERS);
	if (st == HEL_OK)
		initialise(*out, seed);
	return st;
}

/* What the graph says of itself where it is a chain: configurations and graphs agree. */
static void describe_chain(hel_dlrm *m)
{
	const hel_chain *k = &m->chain;
	hel_dlrm_config *c = &m->config;
	if (!k->whole)
		return;
	c->embedding_dim = m->schema->table_count ? k->embedding_dim : c->embedding_dim;
	c->bottom_layers = k->bottom_layers;
	c->top_layers = k->top_layers;
	for (size_t i = 0; i < k->bottom_layers; i++)
		c->bottom[i] = (uint32_t)m->graph->node[k->bottom[i]].width;
	for (size_t i = 0; i < k->top_layers; i++)
		c->top[i] = (uint32_t)m->graph->node[k->top[i]].width;
	c->bottom_last_activation =
	    k->bottom_layers ? k->bottom_last_activation : c->bottom_last_activation;
	if (m->graph->activated)
		c->activation = k->activation;
}

hel_status hel_dlrm_of_graph(hel_dlrm **out, const hel_dlrm_config *config, hel_graph *graph,
			     hel_schema *schema, size_t limit)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	TRY_ALLOC(m, hel_alloc(1, sizeof *m));
	m->config = *config;
	m->graph = graph;
	TRY(name_tensors(m, limit));
	TRY_ALLOC(m->parameter, hel_alloc(m->parameters, sizeof *m->parameter));
	TRY(hel_chain_init(&m->chain, graph));
	m->schema = schema;
	describe_chain(m);
	*out = m;
	m = NULL;
done:
	if (m)
		m->graph = NULL; /* still the caller's */
	hel_dlrm_free(m);
	return st;
}

hel_status hel_dlrm_new_zero(hel_dlrm **out, const hel_dlrm_config *config, hel_schema *schema,
			     size_t limit)
{
	hel_status st = HEL_OK;
	hel_graph *graph = NULL;
	TRY(hel_architecture_build(&graph, config, schema));
	TRY(hel_dlrm_of_graph(out, config, graph, schema, limit));
	graph = NULL;
done:
	hel_graph_free(graph);
	return st;
}

void hel_dlrm_free(hel_dlrm *m)
{
	if (!m)
		return;
	hel_schema_free(m->schema);
	hel_graph_free(m->graph);
	hel_chain_clear(&m->chain);
	hel_free(m->tensor);
	hel_free(m->parameter);
	hel_free(m->approximation);
	hel_free(m);
}

hel_status hel_dlrm_is_chain(const hel_dlrm *m)
{
	return m->chain.whole ? HEL_OK : hel_fail(HEL_EUNSUPPORTED, "%s", m->chain.refusal);
}

const hel_tensor *hel_dlrm_bottom(const hel_dlrm *m, size_t layer, bool bias)
{
	return &m->tensor[m->graph->node[m->chain.bottom[layer]].tensor + bias];
}

const hel_tensor *hel_dlrm_table(const hel_dlrm *m, size_t table)
{
	return &m->tensor[m->graph->node[m->chain.table[table]].tensor];
}

const hel_tensor *hel_dlrm_top(const hel_dlrm *m, size_t layer, bool bias)
{
	return &m->tensor[m->graph->node[m->chain.top[layer]].tensor + bias];
}

hel_status hel_dlrm_logit(double *out, const hel_dlrm *m, const double *dense, const uint32_t *hots)
{
	return hel_dlrm_observe(out, m, dense, hots, NULL, NULL);
}

/* All nodes; `size` numbers of the last one. */
static hel_status evaluate(double *out, size_t size, const hel_dlrm *m, hel_record_pass p)
{
	hel_status st = HEL_OK;
	const hel_graph *g = m->graph;
	double *values = NULL;
	TRY_ALLOC(p.value, hel_alloc(g->nodes, sizeof *p.value));
	TRY_ALLOC(values, hel_alloc(g->width, sizeof *values));
	for (size_t i = 0, at = 0; i < g->nodes; at += g->node[i++].width) {
		p.value[i] = values + at;
		hel_node_type_of(g->node[i].kind)->evaluate(&p, &g->node[i], p.value[i]);
	}
	const double *last = p.value[g->nodes - 1];
	for (size_t i = 0; i < size; i++)
		if (!isfinite(last[i]))
			FAIL(HEL_ERANGE,
			     "the score is not finite: the model's weights are too large");
	memcpy(out, last, size * sizeof *out);
done:
	hel_free(values);
	hel_free(p.value);
	return st;
}

hel_status hel_dlrm_observe(double *out, const hel_dlrm *m, const double *dense,
			    const uint32_t *hots, hel_observer *observer, void *arg)
{
	return evaluate(out, 1, m, (hel_record_pass){m, dense, hots, NULL, observer, arg});
}

hel_status hel_dlrm_vector(double *out, const hel_dlrm *m, const double *dense,
			   const uint32_t *hots)
{
	return evaluate(out, m->graph->node[m->graph->nodes - 1].width, m,
			(hel_record_pass){m, dense, hots, NULL, NULL, NULL});
}
