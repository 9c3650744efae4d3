#include "dlrm.h"
#include <math.h>
#include <string.h>

static void name_tensor(hel_dlrm *m, const char *name, size_t rows, size_t columns)
{
	hel_tensor *t = &m->tensor[m->tensors++];
	snprintf(t->name, sizeof t->name, "%s", name);
	t->rows = rows;
	t->columns = columns;
	t->offset = m->parameters;
	m->parameters += rows * columns;
}

/* nn.Sequential counts activations as layers: weights stand at 0, 2, 4, ... */
static size_t name_tower(hel_dlrm *m, const char *tower, const uint32_t *widths, size_t layers,
			 size_t in)
{
	char name[HEL_NAME_MAX];
	for (size_t i = 0; i < layers; i++) {
		snprintf(name, sizeof name, "%s.%zu.weight", tower, 2 * i);
		name_tensor(m, name, widths[i], in);
		snprintf(name, sizeof name, "%s.%zu.bias", tower, 2 * i);
		name_tensor(m, name, widths[i], 1);
		in = widths[i];
	}
	return in;
}

size_t hel_dlrm_bottom_width(const hel_dlrm *m)
{
	return m->config.bottom_layers ? m->config.bottom[m->config.bottom_layers - 1]
				       : m->schema->dense_count;
}

size_t hel_dlrm_activated(const hel_dlrm *m)
{
	const hel_dlrm_config *c = &m->config;
	const size_t bottom = c->bottom_layers - (c->bottom_layers && !c->bottom_last_activation);
	return bottom + (c->top_layers ? c->top_layers - 1 : 0);
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
		const bool table = strncmp(t->name, "emb_l", 5) == 0,
			   bias = t->columns == 1 && !table && strstr(t->name, ".bias");
		for (size_t k = 0; k < t->rows * t->columns; k++) {
			double v;
			if (table) /* U(-1/sqrt(rows), 1/sqrt(rows)) */
				v = (2 * hel_prng_unit(&g) - 1) / sqrt((double)t->rows);
			else if (bias) /* N(0, 1/out) */
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

hel_status hel_dlrm_new_zero(hel_dlrm **out, const hel_dlrm_config *config, hel_schema *schema,
			     size_t limit)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	char name[HEL_NAME_MAX];
	TRY_ALLOC(m, hel_alloc(1, sizeof *m));
	m->config = *config;
	if (!config->top_layers || config->top[config->top_layers - 1] != 1)
		FAIL(HEL_EINVAL, "the top tower must end in one output");
	if (schema->table_count && !config->embedding_dim)
		FAIL(HEL_EINVAL, "embedding_dim must be positive");
	const size_t tensors =
	    2 * (config->bottom_layers + config->top_layers) + schema->table_count;
	TRY_ALLOC(m->tensor, hel_alloc(tensors, sizeof *m->tensor));
	size_t width =
	    name_tower(m, "bot_l", config->bottom, config->bottom_layers, schema->dense_count);
	for (size_t i = 0; i < schema->table_count; i++) {
		snprintf(name, sizeof name, "emb_l.%zu.weight", i);
		name_tensor(m, name, hel_table_width(&schema->table[i]), config->embedding_dim);
	}
	width += schema->table_count * config->embedding_dim;
	name_tower(m, "top_l", config->top, config->top_layers, width);
	if (m->parameters > limit)
		FAIL(HEL_ELIMIT, "a model of %zu parameters where at most %zu are possible",
		     m->parameters, limit);
	TRY_ALLOC(m->parameter, hel_alloc(m->parameters, sizeof *m->parameter));
	m->schema = schema;
	*out = m;
	m = NULL;
done:
	hel_dlrm_free(m);
	return st;
}

void hel_dlrm_free(hel_dlrm *m)
{
	if (!m)
		return;
	hel_schema_free(m->schema);
	hel_free(m->tensor);
	hel_free(m->parameter);
	hel_free(m->approximation);
	hel_free(m);
}

const hel_tensor *hel_dlrm_bottom(const hel_dlrm *m, size_t layer, bool bias)
{
	return &m->tensor[2 * layer + bias];
}

const hel_tensor *hel_dlrm_table(const hel_dlrm *m, size_t table)
{
	return &m->tensor[2 * m->config.bottom_layers + table];
}

const hel_tensor *hel_dlrm_top(const hel_dlrm *m, size_t layer, bool bias)
{
	return &m->tensor[2 * m->config.bottom_layers + m->schema->table_count + 2 * layer + bias];
}

/* Where the activations stand in the walk, and who watches. */
typedef struct watch {
	hel_observer *observer;
	void *arg;
	size_t next; /* activation */
} watch;

/* y = act(W x + b) */
static void layer(double *y, const hel_dlrm *m, const hel_tensor *w, const hel_tensor *b,
		  const double *x, bool activated, watch *o)
{
	const float *weight = hel_tensor_data(m, w), *bias = hel_tensor_data(m, b);
	for (size_t i = 0; i < w->rows; i++) {
		double sum = bias[i];
		for (size_t j = 0; j < w->columns; j++)
			sum += (double)weight[i * w->columns + j] * x[j];
		if (activated && o->observer)
			o->observer(o->arg, o->next, sum);
		y[i] = !activated	  ? sum
		       : m->approximation ? hel_approximation_at(&m->approximation[o->next], sum)
					  : hel_activate(m->config.activation, sum);
	}
	o->next += activated;
}

hel_status hel_dlrm_logit(double *out, const hel_dlrm *m, const double *dense, const uint32_t *hots)
{
	return hel_dlrm_observe(out, m, dense, hots, NULL, NULL);
}

hel_status hel_dlrm_observe(double *out, const hel_dlrm *m, const double *dense,
			    const uint32_t *hots, hel_observer *observer, void *arg)
{
	hel_status st = HEL_OK;
	watch o = {observer, arg, 0};
	const hel_dlrm_config *c = &m->config;
	const size_t dim = c->embedding_dim, tables = m->schema->table_count;
	size_t widest = HEL_MAX(m->schema->dense_count, hel_dlrm_bottom_width(m) + tables * dim);
	for (size_t i = 0; i < m->tensors; i++)
		widest = HEL_MAX(widest, m->tensor[i].columns == 1 ? m->tensor[i].rows : 0);
	double *start = NULL;
	TRY_ALLOC(start, hel_alloc(2 * widest, sizeof *start));
	double *x = start, *y = x + widest;
	memcpy(x, dense, m->schema->dense_count * sizeof *x);
	for (size_t i = 0; i < c->bottom_layers; i++) {
		layer(y, m, hel_dlrm_bottom(m, i, false), hel_dlrm_bottom(m, i, true), x,
		      i + 1 < c->bottom_layers || c->bottom_last_activation, &o);
		double *t = x;
		x = y;
		y = t;
	}
	double *at = x + hel_dlrm_bottom_width(m);
	memset(at, 0, tables * dim * sizeof *at);
	const hel_schema *s = m->schema;
	for (size_t t = 0, first = 0; t < tables;
	     first += hel_table_width(&s->table[t++]), at += dim)
		for (uint32_t d = 0; d < s->table[t].digits; d++, hots++) {
			if (*hots == HEL_NO_HOT)
				continue;
			const float *row =
			    hel_tensor_data(m, hel_dlrm_table(m, t)) + (*hots - first) * dim;
			for (size_t k = 0; k < dim; k++)
				at[k] += (double)row[k];
		}
	for (size_t i = 0; i < c->top_layers; i++) {
		layer(y, m, hel_dlrm_top(m, i, false), hel_dlrm_top(m, i, true), x,
		      i + 1 < c->top_layers, &o);
		double *t = x;
		x = y;
		y = t;
	}
	if (!isfinite(x[0]))
		FAIL(HEL_ERANGE, "the score is not finite: the model's weights are too large");
	*out = x[0];
done:
	hel_free(start);
	return st;
}
