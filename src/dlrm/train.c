#include "dlrm.h"
#include <cblas.h>
#include <math.h>
#include <string.h>

void hel_samples_clear(hel_samples *s)
{
	hel_free(s->value);
	hel_free(s->hot);
	hel_free(s->label);
	memset(s, 0, sizeof *s);
}

hel_status hel_samples_new(hel_samples *out, const hel_schema *schema, const hel_records *records,
			   const size_t *rows, size_t count, hel_unknown policy)
{
	hel_status st = HEL_OK;
	hel_samples s = {
	    .count = count, .dense = schema->dense_count, .hots = hel_schema_hots(schema)};
	TRY_ALLOC(s.value, hel_alloc(count * s.dense, sizeof *s.value));
	TRY_ALLOC(s.hot, hel_alloc(count * s.hots, sizeof *s.hot));
	TRY_ALLOC(s.label, hel_alloc(count, 1));
	for (size_t i = 0; i < count; i++) {
		size_t row = rows ? rows[i] : i;
		TRY(hel_schema_apply(schema, records, row, policy, s.value + i * s.dense,
				     s.hot + i * s.hots, &s.unknown));
		s.label[i] = records->label[row];
	}
	*out = s;
	s = (hel_samples){0};
done:
	hel_samples_clear(&s);
	return st;
}

/* One mini-batch's buffers. Tower layer i reads in[i] and writes pre[i] (before the activation). */
typedef struct tower {
	size_t layers;
	const hel_tensor *weight[HEL_MAX_LAYERS], *bias[HEL_MAX_LAYERS];
	bool activated[HEL_MAX_LAYERS];
	float *in[HEL_MAX_LAYERS + 1], *pre[HEL_MAX_LAYERS]; /* [batch][width] */
} tower;

typedef struct trainer {
	hel_dlrm *m;
	const hel_samples *samples;
	size_t batch, widest, first_table[HEL_MAX_TABLES];
	tower bottom, top;
	float *buffers, *delta, *delta_next; /* [batch][widest] */
	float *gradient, *moment, *square;   /* like parameters */
	uint32_t *order;
	hel_prng g;
} trainer;

static float *carve(float **at, size_t count)
{
	float *p = *at;
	*at += count;
	return p;
}

static void plan_tower(trainer *t, tower *w, size_t layers, bool top, float **at)
{
	const hel_dlrm *m = t->m;
	w->layers = layers;
	for (size_t i = 0; i < layers; i++) {
		w->weight[i] = top ? hel_dlrm_top(m, i, false) : hel_dlrm_bottom(m, i, false);
		w->bias[i] = top ? hel_dlrm_top(m, i, true) : hel_dlrm_bottom(m, i, true);
		w->activated[i] = i + 1 < layers || (!top && m->config.bottom_last_activation);
		w->in[i] = carve(at, t->batch * t->widest);
		w->pre[i] = carve(at, t->batch * t->widest);
	}
	w->in[layers] = carve(at, t->batch * t->widest);
}

static hel_status trainer_init(trainer *t, hel_dlrm *m, const hel_samples *samples)
{
	hel_status st = HEL_OK;
	const hel_dlrm_config *c = &m->config;
	*t = (trainer){.m = m,
		       .samples = samples,
		       .batch = HEL_MIN((size_t)c->training.batch, samples->count)};
	t->widest = HEL_MAX(m->schema->dense_count, 1);
	for (size_t i = 0; i < m->tensors; i++)
		if (strncmp(m->tensor[i].name, "emb_l", 5) != 0)
			t->widest =
			    HEL_MAX(t->widest, HEL_MAX(m->tensor[i].rows, m->tensor[i].columns));
	const size_t rows = 2 * (c->bottom_layers + c->top_layers) + 4;
	TRY_ALLOC(t->buffers, hel_alloc(rows * t->batch * t->widest, sizeof(float)));
	TRY_ALLOC(t->gradient, hel_alloc(3 * m->parameters, sizeof(float)));
	TRY_ALLOC(t->order, hel_alloc(samples->count, sizeof *t->order));
	t->moment = t->gradient + m->parameters;
	t->square = t->moment + m->parameters;
	float *at = t->buffers;
	plan_tower(t, &t->bottom, c->bottom_layers, false, &at);
	plan_tower(t, &t->top, c->top_layers, true, &at);
	t->delta = carve(&at, t->batch * t->widest);
	t->delta_next = carve(&at, t->batch * t->widest);
	for (size_t i = 0, first = 0; i < m->schema->table_count; i++) {
		t->first_table[i] = first;
		first += hel_table_width(&m->schema->table[i]);
	}
	uint8_t seed[HEL_SEED_BYTES] = {0};
	memcpy(seed, &c->training.seed, sizeof c->training.seed);
	hel_prng_init(&t->g, seed, 1);
	for (size_t i = 0; i < samples->count; i++)
		t->order[i] = (uint32_t)i;
done:
	return st;
}

static void trainer_clear(trainer *t)
{
	hel_free(t->buffers);
	hel_free(t->gradient);
	hel_free(t->order);
}

static void tower_forward(const trainer *t, tower *w, size_t count)
{
	for (size_t i = 0; i < w->layers; i++) {
		const size_t out = w->weight[i]->rows, in = w->weight[i]->columns;
		const float *bias = hel_tensor_data(t->m, w->bias[i]);
		for (size_t s = 0; s < count; s++)
			memcpy(w->pre[i] + s * out, bias, out * sizeof *bias);
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count, (int)out, (int)in,
			    1, w->in[i], (int)in, hel_tensor_data(t->m, w->weight[i]), (int)in, 1,
			    w->pre[i], (int)out);
		for (size_t k = 0; k < count * out; k++)
			w->in[i + 1][k] =
			    w->activated[i]
				? (float)hel_activate(t->m->config.activation, w->pre[i][k])
				: w->pre[i][k];
	}
}

/* t->delta: the gradient of the tower's output; after it, of its input. */
static void tower_backward(trainer *t, tower *w, size_t count)
{
	for (size_t i = w->layers; i-- > 0;) {
		const size_t out = w->weight[i]->rows, in = w->weight[i]->columns;
		if (w->activated[i])
			for (size_t k = 0; k < count * out; k++)
				t->delta[k] *= (float)hel_activate_slope(t->m->config.activation,
									 (double)w->pre[i][k]);
		float *bias = t->gradient + w->bias[i]->offset;
		for (size_t s = 0; s < count; s++)
			for (size_t k = 0; k < out; k++)
				bias[k] += t->delta[s * out + k];
		cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)out, (int)in, (int)count,
			    1, t->delta, (int)out, w->in[i], (int)in, 1,
			    t->gradient + w->weight[i]->offset, (int)in);
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)count, (int)in,
			    (int)out, 1, t->delta, (int)out, hel_tensor_data(t->m, w->weight[i]),
			    (int)in, 0, t->delta_next, (int)in);
		float *swap = t->delta;
		t->delta = t->delta_next;
		t->delta_next = swap;
	}
}

/* Adds every hot row of `values` (shaped like the parameters) to its table.s place in a
 * concatenated row; backward, the other way round. */
static void for_tables(const trainer *t, const uint32_t *hots, float *concatenated, float *values,
		       bool backward)
{
	const hel_schema *schema = t->m->schema;
	const size_t dim = t->m->config.embedding_dim;
	float *at = concatenated + hel_dlrm_bottom_width(t->m);
	for (size_t i = 0; i < schema->table_count; i++, at += dim)
		for (uint32_t d = 0; d < schema->table[i].digits; d++) {
			float *row = values + hel_dlrm_table(t->m, i)->offset +
				     (*hots++ - t->first_table[i]) * dim;
			for (size_t k = 0; k < dim; k++)
				if (backward)
					row[k] += at[k];
				else
					at[k] += row[k];
		}
}

static double batch_gradient(trainer *t, const uint32_t *rows, size_t count)
{
	const hel_samples *s = t->samples;
	const size_t bottom = hel_dlrm_bottom_width(t->m);
	const size_t width = t->top.weight[0]->columns;
	float *first = t->bottom.in[0];
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < s->dense; k++)
			first[i * s->dense + k] = (float)s->value[rows[i] * s->dense + k];
	tower_forward(t, &t->bottom, count);
	for (size_t i = 0; i < count; i++) {
		float *to = t->top.in[0] + i * width;
		memset(to, 0, width * sizeof *to);
		memcpy(to, t->bottom.in[t->bottom.layers] + i * bottom, bottom * sizeof *to);
		for_tables(t, s->hot + rows[i] * s->hots, to, t->m->parameter, false);
	}
	tower_forward(t, &t->top, count);
	double loss = 0;
	memset(t->gradient, 0, t->m->parameters * sizeof *t->gradient);
	for (size_t i = 0; i < count; i++) {
		double z = t->top.in[t->top.layers][i], y = s->label[rows[i]];
		loss += (fmax(z, 0) - z * y + log1p(exp(-fabs(z)))) / (double)count;
		t->delta[i] = (float)((1 / (1 + exp(-z)) - y) / (double)count);
	}
	tower_backward(t, &t->top, count);
	for (size_t i = 0; i < count; i++)
		for_tables(t, s->hot + rows[i] * s->hots, t->delta + i * width, t->gradient, true);
	for (size_t i = 0; i < count; i++)
		memcpy(t->delta_next + i * bottom, t->delta + i * width, bottom * sizeof *t->delta);
	float *swap = t->delta;
	t->delta = t->delta_next;
	t->delta_next = swap;
	tower_backward(t, &t->bottom, count);
	return loss;
}

/* AdamW (Loshchilov, Hutter 2019): beta 0.9, 0.999; decay of weights and tables, not of biases. */
static void step(trainer *t, size_t number, size_t total)
{
	const hel_training *c = &t->m->config.training;
	double norm = cblas_snrm2((int)t->m->parameters, t->gradient, 1);
	float shrink = norm > c->gradient_clip ? (float)(c->gradient_clip / norm) : 1;
	double rate = c->rate * (1 - (double)number / (double)total);
	if (number < c->warmup)
		rate *= (double)(number + 1) / c->warmup;
	const double fix1 = 1 - pow(0.9, (double)number + 1),
		     fix2 = 1 - pow(0.999, (double)number + 1);
	const float step_size = (float)(rate / fix1), fix = (float)(1 / sqrt(fix2));
	for (size_t i = 0; i < t->m->tensors; i++) {
		const hel_tensor *x = &t->m->tensor[i];
		const float decay =
		    strstr(x->name, ".bias") ? 1 : (float)(1 - rate * c->weight_decay);
		for (size_t k = x->offset; k < x->offset + x->rows * x->columns; k++) {
			float g = t->gradient[k] * shrink;
			t->moment[k] = 0.9f * t->moment[k] + 0.1f * g;
			t->square[k] = 0.999f * t->square[k] + 0.001f * g * g;
			t->m->parameter[k] =
			    t->m->parameter[k] * decay -
			    step_size * t->moment[k] / (sqrtf(t->square[k]) * fix + 1e-8f);
		}
	}
}

hel_status hel_dlrm_train(hel_dlrm *m, const hel_samples *samples, hel_progress *progress)
{
	hel_status st = HEL_OK;
	trainer t = {0};
	const hel_training *c = &m->config.training;
	if (!samples->count || !c->batch)
		FAIL(HEL_EINVAL, "nothing to train on");
	TRY(trainer_init(&t, m, samples));
	const size_t batches = (samples->count + t.batch - 1) / t.batch,
		     total = batches * c->epochs;
	for (size_t number = 0; number < total; number++) {
		const size_t b = number % batches, first = b * t.batch;
		for (size_t i = samples->count; b == 0 && i > 1; i--) { /* Fisher-Yates */
			size_t j = (size_t)(((u128)hel_prng_u64(&t.g) * i) >> 64);
			uint32_t swap = t.order[i - 1];
			t.order[i - 1] = t.order[j];
			t.order[j] = swap;
		}
		double loss =
		    batch_gradient(&t, t.order + first, HEL_MIN(t.batch, samples->count - first));
		if (!isfinite(loss))
			FAIL(HEL_ERANGE,
			     "training diverged at step %zu: lower the rate or the "
			     "activation's steepness",
			     number);
		step(&t, number, total);
		if (progress)
			hel_progress_step(progress, (double)(number + 1) / (double)total);
	}
done:
	trainer_clear(&t);
	return st;
}
