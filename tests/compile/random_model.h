/* random_model.h -- random DLRMs of any shape, as training would leave them. */
#ifndef HEL_RANDOM_MODEL_H
#define HEL_RANDOM_MODEL_H

#include "../features/vocabulary.h"
#include "../testing.h"
#include "features/hash.h"
#include "model/approximation.h"
#include "model/dlrm.h"
#include <math.h>

/** The most of everything. */
typedef struct model_size {
	uint32_t layers; /* per tower */
	uint32_t width, tables, rows, dim, dense;
} model_size;

#define RANDOM_SAMPLES 64

static inline uint32_t between(hel_prng *g, uint32_t low, uint32_t high)
{
	return low + (uint32_t)(hel_prng_u64(g) % (high - low + 1));
}

/* Every compression kind: known values with a row each, or none (hashing); all others share a row,
 * or hash into rows of one to three digits. */
static inline void hash_table(hel_prng *g, hel_schema *s, size_t table, uint32_t rows)
{
	hel_table_field *t = &s->table[table];
	const uint32_t count = between(g, 0, 2) ? between(g, 0, rows) : 0;
	uint32_t *hash = hel_alloc(count, sizeof *hash);
	for (uint32_t i = 0; i < count; i++)
		hash[i] = 1 + i;
	t->base = between(g, 0, 2) ? between(g, 1, HEL_MIN(rows, 200)) : 0;
	t->digits = t->base ? between(g, 1, 3) : 1;
	assert_ok(hel_table_know(s, table, hash, count, true));
	hel_free(hash);
}

/* Texts, with a row each or written in digits. */
static inline void text_table(hel_prng *g, hel_table_field *t, uint32_t rows)
{
	list_values(t, between(g, 1, rows - 1), "%08u");
	t->base = between(g, 0, 1) ? between(g, 2, 2 + rows / 20) : 0;
	t->digits = t->base ? hel_digits_for(t->values + 1, t->base) : 1;
}

/** A schema with any number of columns, as if learned. */
static inline hel_schema *random_schema(hel_prng *g, size_t dense, size_t tables, uint32_t rows)
{
	hel_schema *s;
	assert_ok(hel_schema_new(&s, dense, tables));
	s->clip = 3;
	for (size_t i = 0; i < dense; i++) {
		snprintf(s->dense[i].name, HEL_NAME_MAX, "d%zu", i);
		s->dense[i].deviation = 1;
	}
	const bool hashed = between(g, 0, 1);
	strcpy(s->dataset, hashed ? "criteo" : "heart");
	for (size_t i = 0; i < tables; i++) {
		snprintf(s->table[i].name, HEL_NAME_MAX, "t%zu", i);
		if (hashed)
			hash_table(g, s, i, rows);
		else
			text_table(g, &s->table[i], rows);
	}
	return s;
}

static inline hel_samples random_samples(hel_prng *g, const hel_schema *s)
{
	hel_samples x;
	assert_ok(hel_samples_reserve(&x, s, RANDOM_SAMPLES));
	for (; x.count < RANDOM_SAMPLES; x.count++)
		hel_schema_random(s, g, x.value + x.count * x.dense, x.hot + x.count * x.hots);
	return x;
}

typedef struct square_sum {
	size_t activation;
	double sum, count;
} square_sum;

static inline void add_square(void *arg, size_t activation, double x)
{
	square_sum *s = arg;
	if (activation == s->activation) {
		s->sum += x * x;
		s->count++;
	}
}

static inline void scale_tensor(hel_dlrm *m, const hel_tensor *t, double factor)
{
	for (size_t i = 0; i < t->rows * t->columns; i++)
		m->parameter[t->offset + i] *= (float)factor;
}

/** As training leaves a model: values of order one in every layer, on records like the samples
 *  (Mishkin, Matas 2016), and embeddings that matter. */
static inline void settle(hel_dlrm *m, const hel_samples *x)
{
	const hel_dlrm_config *c = &m->config;
	double logit;
	for (size_t t = 0; t < m->schema->table_count; t++)
		scale_tensor(m, hel_dlrm_table(m, t),
			     sqrt((double)hel_table_width(&m->schema->table[t])) / 2);
	const size_t activated = hel_dlrm_activated(m), bottom = activated + 1 - c->top_layers;
	for (size_t a = 0; a < activated; a++) {
		square_sum s = {.activation = a};
		for (size_t i = 0; i < x->count; i++)
			assert_ok(hel_dlrm_observe(&logit, m, x->value + i * x->dense,
						   x->hot + i * x->hots, add_square, &s));
		const double factor = 0.7 / sqrt(s.sum / s.count + 1e-12);
		const bool top = a >= bottom;
		const size_t layer = top ? a - bottom : a;
		for (int bias = 0; bias < 2; bias++)
			scale_tensor(
			    m, top ? hel_dlrm_top(m, layer, bias) : hel_dlrm_bottom(m, layer, bias),
			    factor);
	}
}

static inline hel_activation random_activation(hel_prng *g, hel_activation_kind kind)
{
	hel_activation act = {.kind = kind};
	if (kind == HEL_ACT_QUADRATIC) {
		act.a = between(g, 0, 1) ? 0.1 : -0.2;
		act.b = 0.5;
	}
	return act;
}

static inline uint32_t random_tower(hel_prng *g, uint32_t *width, uint32_t layers, uint32_t widest)
{
	for (uint32_t i = 0; i < layers; i++)
		width[i] = between(g, 1, widest);
	return layers;
}

/** What ciphertexts cannot take is replaced by a polynomial. */
static inline hel_dlrm *random_model(hel_prng *g, model_size most, hel_activation_kind kind)
{
	static const unsigned degrees[] = {2, 3, 5, 7};
	hel_dlrm_config c = hel_dlrm_config_default();
	const size_t dense = between(g, 0, most.dense);
	const size_t tables = between(g, dense ? 0 : 1, most.tables);
	hel_dlrm *m;
	c.embedding_dim = between(g, 1, most.dim);
	c.bottom_layers =
	    dense ? random_tower(g, c.bottom, between(g, 0, most.layers), most.width) : 0;
	c.top_layers = random_tower(g, c.top, between(g, 1, most.layers), most.width);
	c.top[c.top_layers - 1] = 1;
	c.bottom_last_activation = between(g, 0, 1);
	c.activation = random_activation(g, kind);
	assert_ok(
	    hel_dlrm_new(&m, &c, random_schema(g, dense, tables, most.rows), hel_prng_u64(g)));
	hel_samples x = random_samples(g, m->schema);
	settle(m, &x);
	if (kind != HEL_ACT_SQUARE && kind != HEL_ACT_QUADRATIC)
		assert_ok(hel_dlrm_approximate(
		    m, &x, degrees[between(g, 0, 3)],
		    between(g, 0, 1) ? HEL_LEAST_SQUARES : HEL_INTERPOLATION, 2));
	hel_samples_clear(&x);
	return m;
}

static inline void describe_model(const hel_dlrm *m)
{
	const hel_dlrm_config *c = &m->config;
	char bottom[200] = "", top[200] = "";
	for (size_t i = 0, n = 0; i < c->bottom_layers; i++)
		n += (size_t)snprintf(bottom + n, sizeof bottom - n, "-%u", c->bottom[i]);
	for (size_t i = 0, n = 0; i < c->top_layers; i++)
		n += (size_t)snprintf(top + n, sizeof top - n, "-%u", c->top[i]);
	print_message("bottom %zu%s%s, %zu tables (%zu entries, dim %u), top%s, %s",
		      m->schema->dense_count, bottom, c->bottom_last_activation ? " activated" : "",
		      m->schema->table_count, hel_schema_onehots(m->schema), c->embedding_dim, top,
		      hel_activation_name(c->activation.kind));
	if (m->approximation && hel_dlrm_activated(m))
		print_message(" by degree %u", m->approximation->degree);
	print_message(":\n");
}

#endif
