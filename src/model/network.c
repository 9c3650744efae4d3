#include "network.h"
#include "node.h"
#include <cblas.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#define SCORE_ROWS 128 /* of one task */
#define ALIGNED 16     /* floats */

#define BLAS_BYTES ((size_t)128 << 20) /* OpenBLAS's work space for each thread that calls it */

static bool blas_has_room;

/* Threads of our own run networks side by side. OpenBLAS asks for its work space again and again
 * when it gets none, for ever: whether there is room for it is tried here, before. */
static void prepare_blas(void)
{
	openblas_set_num_threads(1);
	const size_t size = (size_t)openblas_get_num_procs() * BLAS_BYTES;
	void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	blas_has_room = p != MAP_FAILED;
	if (blas_has_room)
		munmap(p, size);
}

/* Nodes whose value depends on weights. */
static void mark_learned(bool *learned, const hel_dlrm *m)
{
	for (size_t i = 0; i < m->graph->nodes; i++) {
		const hel_node *n = &m->graph->node[i];
		learned[i] = n->rows[0] > 0;
		for (size_t k = 0; k < n->inputs; k++)
			learned[i] |= learned[n->input[k]];
	}
}

static size_t floats_of(const hel_network *n, size_t node)
{
	const size_t floats = n->rows * n->m->graph->node[node].width;
	return (floats + ALIGNED - 1) / ALIGNED * ALIGNED;
}

hel_status hel_network_init(hel_network *n, const hel_dlrm *m, size_t rows, bool trains)
{
	hel_status st = HEL_OK;
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const size_t nodes = m->graph->nodes;
	bool *learned = NULL;
	*n = (hel_network){.m = m, .rows = rows};
	pthread_once(&once, prepare_blas);
	if (!blas_has_room)
		FAIL(HEL_ENOMEM,
		     "out of memory: OpenBLAS needs %zu MB of address space (ulimit -v)",
		     (size_t)openblas_get_num_procs() * (BLAS_BYTES >> 20));
	TRY_ALLOC(learned, hel_alloc(nodes, sizeof *learned));
	TRY_ALLOC(n->value, hel_alloc(2 * nodes, sizeof *n->value));
	n->delta = n->value + nodes;
	mark_learned(learned, m);
	for (size_t i = 0; i < nodes; i++)
		n->deltas += floats_of(n, i);
	n->floats = n->deltas;
	for (size_t i = 0; trains && i < nodes; i++)
		n->floats += learned[i] ? floats_of(n, i) : 0;
	TRY_ALLOC(n->buffers, hel_alloc(n->floats, sizeof *n->buffers));
	if (trains)
		TRY_ALLOC(n->gradient, hel_alloc(m->dense, sizeof *n->gradient));
	float *value = n->buffers, *delta = n->buffers + n->deltas;
	for (size_t i = 0; i < nodes; i++) {
		n->value[i] = value;
		n->delta[i] = trains && learned[i] ? delta : NULL;
		value += floats_of(n, i);
		delta += n->delta[i] ? floats_of(n, i) : 0;
	}
done:
	hel_free(learned);
	if (st != HEL_OK)
		hel_network_clear(n);
	return st;
}

void hel_network_clear(hel_network *n)
{
	hel_free(n->value);
	hel_free(n->buffers);
	hel_free(n->gradient);
	n->value = NULL;
	n->buffers = n->gradient = NULL;
}

void hel_network_forward(hel_network *n, const hel_samples *s, const uint32_t *row, size_t count)
{
	const hel_graph *g = n->m->graph;
	n->samples = s;
	n->row = row;
	n->count = count;
	for (size_t i = 0; i < g->nodes; i++)
		hel_node_type_of(g->node[i].kind)->forward(n, &g->node[i], n->value[i]);
}

const float *hel_network_logits(const hel_network *n)
{
	return n->value[n->m->graph->nodes - 1];
}

double hel_log_loss(double logit, double label)
{
	return fmax(logit, 0) - logit * label + log1p(exp(-fabs(logit)));
}

void hel_network_backward(hel_network *n, size_t batch)
{
	const hel_graph *g = n->m->graph;
	const float *logit = hel_network_logits(n);
	float *delta = n->delta[g->nodes - 1];
	n->loss = 0;
	memset(n->buffers + n->deltas, 0, (n->floats - n->deltas) * sizeof *n->buffers);
	for (size_t i = 0; i < n->count; i++) {
		const double z = (double)logit[i], y = n->samples->label[n->row[i]];
		n->loss += hel_log_loss(z, y);
		if (delta)
			delta[i] = (float)((1 / (1 + exp(-z)) - y) / (double)batch);
	}
	for (size_t i = g->nodes; i-- > 0;)
		if (n->delta[i])
			hel_node_type_of(g->node[i].kind)
			    ->backward(n, &g->node[i], n->value[i], n->delta[i]);
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
		j->logits[first + i] = (double)hel_network_logits(&n)[i];
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
