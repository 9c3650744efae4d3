#include "network.h"
#include <cblas.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#define SCORE_ROWS 128 /* of one task */

size_t hel_tables_offset(const hel_dlrm *m)
{
	return hel_dlrm_table(m, 0)->offset; /* without tables: the top tower's first weight */
}

size_t hel_tables_parameters(const hel_dlrm *m)
{
	return hel_dlrm_top(m, 0, false)->offset - hel_tables_offset(m);
}

size_t hel_dense_parameters(const hel_dlrm *m)
{
	return m->parameters - hel_tables_parameters(m);
}

/* A tower's place in the gradient: the tables are left out. */
static size_t gradient_offset(const hel_dlrm *m, const hel_tensor *t)
{
	return t->offset < hel_tables_offset(m) ? t->offset : t->offset - hel_tables_parameters(m);
}

static float *carve(float **at, size_t count)
{
	float *p = *at;
	*at += count;
	return p;
}

static void plan_tower(hel_network *n, hel_tower *w, size_t layers, bool top, size_t widest,
		       float **at)
{
	const hel_dlrm *m = n->m;
	w->layers = layers;
	for (size_t i = 0; i < layers; i++) {
		w->weight[i] = top ? hel_dlrm_top(m, i, false) : hel_dlrm_bottom(m, i, false);
		w->bias[i] = top ? hel_dlrm_top(m, i, true) : hel_dlrm_bottom(m, i, true);
		w->activated[i] = i + 1 < layers || (!top && m->config.bottom_last_activation);
		w->in[i] = carve(at, n->rows * widest);
		w->pre[i] = carve(at, n->rows * widest);
	}
	w->in[layers] = carve(at, n->rows * widest);
}

/* Threads of our own run networks side by side. */
static void one_blas_thread(void)
{
	openblas_set_num_threads(1);
}

hel_status hel_network_init(hel_network *n, const hel_dlrm *m, size_t rows, bool trains)
{
	hel_status st = HEL_OK;
	const hel_dlrm_config *c = &m->config;
	*n = (hel_network){.m = m, .rows = rows};
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, one_blas_thread);
	size_t widest = HEL_MAX(m->schema->dense_count, 1);
	for (size_t i = 0; i < m->tensors; i++)
		if (strncmp(m->tensor[i].name, "emb_l", 5) != 0)
			widest = HEL_MAX(widest, HEL_MAX(m->tensor[i].rows, m->tensor[i].columns));
	const size_t buffers = 2 * (c->bottom_layers + c->top_layers) + 5;
	TRY_ALLOC(n->buffers, hel_alloc(buffers * rows * widest, sizeof(float)));
	if (trains)
		TRY_ALLOC(n->gradient, hel_alloc(hel_dense_parameters(m), sizeof(float)));
	float *at = n->buffers;
	plan_tower(n, &n->bottom, c->bottom_layers, false, widest, &at);
	plan_tower(n, &n->top, c->top_layers, true, widest, &at);
	n->delta = carve(&at, rows * widest);
	n->delta_next = carve(&at, rows * widest);
	n->input_delta = carve(&at, rows * widest);
done:
	if (st != HEL_OK)
		hel_network_clear(n);
	return st;
}

void hel_network_clear(hel_network *n)
{
	hel_free(n->buffers);
	hel_free(n->gradient);
	n->buffers = n->gradient = NULL;
}

/* One loop per frequent kind, so that it is vectorised. */
static void activate(float *y, const float *x, size_t count, hel_activation act)
{
	const float a = act.kind == HEL_ACT_SQUARE ? 1 : (float)act.a,
		    b = act.kind == HEL_ACT_SQUARE ? 0 : (float)act.b;
	if (act.kind == HEL_ACT_RELU)
		for (size_t k = 0; k < count; k++)
			y[k] = x[k] > 0 ? x[k] : 0;
	else if (act.kind == HEL_ACT_SQUARE || act.kind == HEL_ACT_QUADRATIC)
		for (size_t k = 0; k < count; k++)
			y[k] = (a * x[k] + b) * x[k];
	else
		for (size_t k = 0; k < count; k++)
			y[k] = (float)hel_activate(act, (double)x[k]);
}

/* delta *= slope(x) */
static void activate_back(float *delta, const float *x, size_t count, hel_activation act)
{
	const float a = act.kind == HEL_ACT_SQUARE ? 1 : (float)act.a,
		    b = act.kind == HEL_ACT_SQUARE ? 0 : (float)act.b;
	if (act.kind == HEL_ACT_RELU)
		for (size_t k = 0; k < count; k++)
			delta[k] = x[k] > 0 ? delta[k] : 0;
	else if (act.kind == HEL_ACT_SQUARE || act.kind == HEL_ACT_QUADRATIC)
		for (size_t k = 0; k < count; k++)
			delta[k] *= 2 * a * x[k] + b;
	else
		for (size_t k = 0; k < count; k++)
			delta[k] *= (float)hel_activate_slope(act, (double)x[k]);
}

/* The polynomial in the place of a layer's activation: for scoring; training takes the activation.
 */
static const hel_approximation *approximation_of(const hel_network *n, const hel_tower *w,
						 size_t layer)
{
	if (!n->m->approximation || n->gradient)
		return NULL;
	const size_t bottom =
	    n->bottom.layers ? n->bottom.layers - 1 + n->m->config.bottom_last_activation : 0;
	return &n->m->approximation[w == &n->top ? bottom + layer : layer];
}

static void tower_forward(const hel_network *n, hel_tower *w, size_t count)
{
	for (size_t i = 0; i < w->layers; i++) {
		const size_t out = w->weight[i]->rows, in = w->weight[i]->columns;
		const float *bias = hel_tensor_data(n->m, w->bias[i]);
		for (size_t s = 0; s < count; s++)
			memcpy(w->pre[i] + s * out, bias, out * sizeof *bias);
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count, (int)out, (int)in,
			    1, w->in[i], (int)in, hel_tensor_data(n->m, w->weight[i]), (int)in, 1,
			    w->pre[i], (int)out);
		const hel_approximation *fitted = approximation_of(n, w, i);
		if (w->activated[i] && fitted)
			for (size_t k = 0; k < count * out; k++)
				w->in[i + 1][k] =
				    (float)hel_approximation_at(fitted, (double)w->pre[i][k]);
		else if (w->activated[i])
			activate(w->in[i + 1], w->pre[i], count * out, n->m->config.activation);
		else
			memcpy(w->in[i + 1], w->pre[i], count * out * sizeof(float));
	}
}

/* n->delta: the gradient of the tower's output; after it, of its input where that is wanted. */
static void tower_backward(hel_network *n, hel_tower *w, size_t count, bool input)
{
	for (size_t i = w->layers; i-- > 0;) {
		const size_t out = w->weight[i]->rows, in = w->weight[i]->columns;
		if (w->activated[i])
			activate_back(n->delta, w->pre[i], count * out, n->m->config.activation);
		float *bias = n->gradient + gradient_offset(n->m, w->bias[i]);
		memset(bias, 0, out * sizeof *bias);
		for (size_t s = 0; s < count; s++)
			for (size_t k = 0; k < out; k++)
				bias[k] += n->delta[s * out + k];
		cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)out, (int)in, (int)count,
			    1, n->delta, (int)out, w->in[i], (int)in, 0,
			    n->gradient + gradient_offset(n->m, w->weight[i]), (int)in);
		if (i == 0 && !input)
			break;
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)count, (int)in,
			    (int)out, 1, n->delta, (int)out, hel_tensor_data(n->m, w->weight[i]),
			    (int)in, 0, n->delta_next, (int)in);
		float *swap = n->delta;
		n->delta = n->delta_next;
		n->delta_next = swap;
	}
}

/* The sums of hot rows behind the bottom tower's output. */
static void look_up(float *at, const hel_dlrm *m, const uint32_t *hots)
{
	const size_t dim = m->config.embedding_dim;
	const float *rows = m->parameter + hel_tables_offset(m);
	for (size_t t = 0; t < m->schema->table_count; t++, at += dim)
		for (uint32_t d = 0; d < m->schema->table[t].digits; d++, hots++)
			for (size_t k = 0; *hots != HEL_NO_HOT && k < dim; k++)
				at[k] += rows[*hots * dim + k];
}

void hel_network_forward(hel_network *n, const hel_samples *s, const uint32_t *rows, size_t count)
{
	const size_t bottom = hel_dlrm_bottom_width(n->m), width = n->top.weight[0]->columns;
	float *first = n->bottom.in[0];
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < s->dense; k++)
			first[i * s->dense + k] = (float)s->value[rows[i] * s->dense + k];
	tower_forward(n, &n->bottom, count);
	for (size_t i = 0; i < count; i++) {
		float *to = n->top.in[0] + i * width;
		memcpy(to, n->bottom.in[n->bottom.layers] + i * bottom, bottom * sizeof *to);
		memset(to + bottom, 0, (width - bottom) * sizeof *to);
		look_up(to + bottom, n->m, s->hot + rows[i] * s->hots);
	}
	tower_forward(n, &n->top, count);
}

void hel_network_backward(hel_network *n, const hel_samples *s, const uint32_t *rows, size_t count,
			  size_t batch)
{
	const size_t bottom = hel_dlrm_bottom_width(n->m), width = n->top.weight[0]->columns;
	n->loss = 0;
	for (size_t i = 0; i < count; i++) {
		const double z = (double)n->top.in[n->top.layers][i], y = s->label[rows[i]];
		n->loss += fmax(z, 0) - z * y + log1p(exp(-fabs(z)));
		n->delta[i] = (float)((1 / (1 + exp(-z)) - y) / (double)batch);
	}
	tower_backward(n, &n->top, count, true);
	memcpy(n->input_delta, n->delta, count * width * sizeof *n->delta);
	for (size_t i = 0; i < count; i++)
		memcpy(n->delta + i * bottom, n->input_delta + i * width, bottom * sizeof(float));
	tower_backward(n, &n->bottom, count, false);
}

/* --- scoring ------------------------------------------------------------------------- */

typedef struct scoring {
	const hel_dlrm *m;
	const hel_samples *samples;
	double *logits;
} scoring;

static hel_status score(void *arg, size_t task)
{
	hel_status st = HEL_OK;
	const scoring *j = arg;
	hel_network n = {0};
	uint32_t rows[SCORE_ROWS] = {0};
	const size_t first = task * SCORE_ROWS,
		     count = HEL_MIN(j->samples->count - first, (size_t)SCORE_ROWS);
	TRY(hel_network_init(&n, j->m, count, false));
	for (size_t i = 0; i < count; i++)
		rows[i] = (uint32_t)(first + i);
	hel_network_forward(&n, j->samples, rows, count);
	for (size_t i = 0; i < count; i++) {
		j->logits[first + i] = (double)n.top.in[n.top.layers][i];
		if (!isfinite(j->logits[first + i]))
			FAIL(HEL_ERANGE,
			     "the score is not finite: the model's weights are too large");
	}
done:
	hel_network_clear(&n);
	return st;
}

hel_status hel_dlrm_logits(double *logits, const hel_dlrm *m, const hel_samples *samples,
			   hel_pool *pool)
{
	scoring j = {m, samples, logits};
	return hel_pool_try(pool, (samples->count + SCORE_ROWS - 1) / SCORE_ROWS, score, &j);
}
