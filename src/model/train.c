/* Adam for the towers, and for tables as if every row took part in every step.
 *
 * A batch touches few rows of large tables, but Adam moves all of them: moments fade and momentum
 * carries on. A row catches up on all steps it has missed when it is next read. Without gradients
 * momentum fades by r = 0.9 / sqrt(0.999) per step, so that a row missing steps s .. e - 1 moves by
 * m / sqrt(v) times the sum of r^(i-s+1) w(i), with the known weights w of rate and bias
 * correction: that is T(s) - r^(e-s) T(e) with T(s) = r (w(s) + T(s+1)); weight
 * decay d(s) makes that factor r / d(s), and the first T is decayed to e. So sparse steps end where
 * dense ones do.
 *
 * Work is cut by the batch alone, never by the number of threads: results do not depend on it. */
#include "train.h"
#include "ensemble.h"
#include <cblas.h>
#include <math.h>
#include <string.h>

#define SHARD_ROWS ((size_t)64)
#define MAX_SHARDS ((size_t)16)
#define CHUNK ((size_t)16384) /* parameters of the towers per task */
#define LEAST_DECAY 0.95 /* of one step, in sums of momentum: above r, so that they are finite */
#define BETA1 0.9
#define BETA2 0.999
#define FADE (BETA1 / 0.99949987493746) /* beta1 / sqrt(beta2) */
#define EPSILON 1e-8f
#define ADAGRAD_EPSILON 1e-8f
#define FADED 512 /* missed steps after which momentum is nothing */
#define MAX_TRAINING_STEPS (1u << 30)
#define NO_SLOT UINT32_MAX

/* The rows of one embed node's table that a batch touches. */
typedef struct touched {
	const hel_node *node;
	size_t index, rows, dim; /* of the node in the graph; of its table */
	size_t entry, number;	 /* its first row among all nodes' rows, and number among theirs */
	uint32_t *row;		 /* [slots] */
	float *gradient;	 /* [slots][dim] */
	size_t slots;
	double norm; /* squared */
} touched;

struct hel_trainer {
	hel_dlrm *m;
	hel_pool *pool;
	uint64_t number, total;
	size_t chunks, shards, shard_rows;
	size_t tables, entries, numbers; /* embed nodes; their rows; their parameters */
	hel_network shard[MAX_SHARDS];
	touched *table;
	uint32_t *slot, *seen;		    /* per row: its slot; steps it has done */
	float *moment, *square;		    /* all but tables */
	float *table_moment, *table_square; /* tables; Adagrad has no moment */
	double *norm;			    /* [chunk], squared */
	double *decay;			    /* [total + 1]: log of all decay so far, or NULL */
	float *step_size, *fix;		    /* [total]: Adam's step and bias correction */
	double *drift;			    /* [total + 1]: T */
	double fade[FADED];
	float fade1[FADED], fade2[FADED];
	/* of the step being made */
	const hel_samples *samples;
	const uint32_t *rows;
	size_t count;
	float shrink;
};

void hel_trainer_free(hel_trainer *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < MAX_SHARDS; i++)
		hel_network_clear(&t->shard[i]);
	for (size_t i = 0; t->table && i < t->tables; i++) {
		hel_free(t->table[i].row);
		hel_free(t->table[i].gradient);
	}
	hel_free(t->table);
	hel_free(t->slot);
	hel_free(t->moment);
	hel_free(t->table_moment);
	hel_free(t->table_square);
	hel_free(t->norm);
	hel_free(t->decay);
	hel_free(t->step_size);
	hel_free(t->drift);
	hel_free(t);
}

static double rate_of(const hel_trainer *t, uint64_t number)
{
	const hel_training *c = &t->m->config.training;
	double rate = c->rate * (1 - (double)number / (double)t->total);
	if (number < c->warmup)
		rate *= (double)(number + 1) / c->warmup;
	return rate;
}

static double decay_of(const hel_trainer *t, uint64_t number)
{
	return 1 - rate_of(t, number) * t->m->config.training.weight_decay;
}

static void prepare_steps(hel_trainer *t)
{
	for (uint64_t i = 0; i < t->total; i++) {
		const double n = (double)i + 1;
		t->step_size[i] = (float)(rate_of(t, i) / (1 - pow(BETA1, n)));
		t->fix[i] = (float)(1 / sqrt(1 - pow(BETA2, n)));
	}
	for (uint64_t i = t->total; i-- > 0;)
		t->drift[i] = FADE / HEL_MAX(decay_of(t, i), LEAST_DECAY) *
			      ((double)t->step_size[i] / (double)t->fix[i] + t->drift[i + 1]);
	for (int j = 0; j < FADED; j++) {
		t->fade[j] = pow(FADE, j);
		t->fade1[j] = (float)pow(BETA1, j);
		t->fade2[j] = (float)pow(BETA2, j);
	}
}

static hel_status new_tables(hel_trainer *t)
{
	hel_status st = HEL_OK;
	const hel_graph *g = t->m->graph;
	TRY_ALLOC(t->table, hel_alloc(g->nodes, sizeof *t->table));
	for (size_t i = 0; i < g->nodes; i++) {
		const hel_node *n = &g->node[i];
		if (n->kind != HEL_NODE_EMBED)
			continue;
		touched *x = &t->table[t->tables++];
		*x = (touched){.node = n,
			       .index = i,
			       .rows = n->rows[0],
			       .dim = n->width,
			       .entry = t->entries,
			       .number = t->numbers};
		const size_t most =
		    HEL_MIN(x->rows, (size_t)t->m->config.training.batch * n->places);
		TRY_ALLOC(x->row, hel_alloc(most, sizeof *x->row));
		TRY_ALLOC(x->gradient, hel_alloc(most * x->dim, sizeof *x->gradient));
		t->entries += x->rows;
		t->numbers += x->rows * x->dim;
	}
	TRY_ALLOC(t->slot, hel_alloc(2 * t->entries, sizeof *t->slot));
	t->seen = t->slot + t->entries;
	memset(t->slot, 0xff, t->entries * sizeof *t->slot);
	if (!t->m->config.training.adagrad)
		TRY_ALLOC(t->table_moment, hel_alloc(t->numbers, sizeof(float)));
	TRY_ALLOC(t->table_square, hel_alloc(t->numbers, sizeof(float)));
done:
	return st;
}

static hel_status new_steps(hel_trainer *t)
{
	hel_status st = HEL_OK;
	const size_t total = (size_t)t->total;
	TRY_ALLOC(t->drift, hel_alloc(total + 1, sizeof *t->drift));
	TRY_ALLOC(t->step_size, hel_alloc(2 * total, sizeof *t->step_size));
	t->fix = t->step_size + total;
	if (t->m->config.training.weight_decay > 0) {
		TRY_ALLOC(t->decay, hel_alloc(total + 1, sizeof *t->decay));
		for (uint64_t i = 0; i < total; i++)
			t->decay[i + 1] = t->decay[i] + log(fmax(decay_of(t, i), 1e-30));
	}
	prepare_steps(t);
done:
	return st;
}

hel_status hel_trainer_new(hel_trainer **out, hel_dlrm *m, uint64_t total, hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_trainer *t = NULL;
	const size_t batch = m->config.training.batch;
	if (total > MAX_TRAINING_STEPS)
		FAIL(HEL_ELIMIT, "%llu training steps, at most %u are possible: larger batches",
		     (unsigned long long)total, MAX_TRAINING_STEPS);
	TRY_ALLOC(t, hel_alloc(1, sizeof *t));
	t->m = m;
	t->pool = pool;
	t->total = total;
	t->chunks = (m->dense + CHUNK - 1) / CHUNK;
	t->shard_rows = HEL_MAX(SHARD_ROWS, (batch + MAX_SHARDS - 1) / MAX_SHARDS);
	t->shards = (batch + t->shard_rows - 1) / t->shard_rows;
	for (size_t i = 0; i < t->shards; i++)
		TRY(hel_network_init(&t->shard[i], m, HEL_MIN(t->shard_rows, batch), true));
	TRY(new_tables(t));
	TRY_ALLOC(t->moment, hel_alloc(2 * m->dense, sizeof *t->moment));
	t->square = t->moment + m->dense;
	TRY_ALLOC(t->norm, hel_alloc(t->chunks, sizeof *t->norm));
	TRY(new_steps(t));
	*out = t;
	t = NULL;
done:
	hel_trainer_free(t);
	return st;
}

bool hel_trainer_sound(const hel_trainer *t)
{
	bool sound = t->number <= t->total;
	for (size_t i = 0; sound && i < t->entries; i++)
		sound = t->seen[i] <= t->number;
	return sound;
}

uint64_t hel_trainer_number(const hel_trainer *t)
{
	return t->number;
}

/* --- tables ----------------------------------------------------------------------------- */

/* A row's place among the parameters, its moments. */
static float *row_of(const hel_trainer *t, const touched *x, size_t row)
{
	return t->m->parameter + t->m->tensor[x->node->tensor].offset + row * x->dim;
}

/* Brings a row to where all steps so far would have brought it. */
static void catch_up(hel_trainer *t, const touched *x, size_t row)
{
	uint32_t *at = &t->seen[x->entry + row];
	const uint64_t seen = *at, missed = t->number - seen;
	const size_t j = (size_t)HEL_MIN(missed, (uint64_t)(FADED - 1)),
		     number = x->number + row * x->dim;
	float *p = row_of(t, x, row);
	if (!missed)
		return;
	*at = (uint32_t)t->number;
	const double decay = t->decay ? exp(t->decay[t->number] - t->decay[seen]) : 1;
	for (size_t k = 0; t->decay && k < x->dim; k++)
		p[k] *= (float)decay;
	if (!t->table_moment || !seen)
		return; /* a row that was never touched has no momentum */
	float *m = t->table_moment + number, *v = t->table_square + number;
	const float fade = t->fade1[j],
		    fade2 = missed < FADED ? t->fade2[j] : (float)pow(BETA2, (double)missed);
	const float drift = (float)(decay * t->drift[seen] - t->fade[j] * t->drift[t->number]);
	for (size_t k = 0; k < x->dim; k++) {
		p[k] -= drift * m[k] / (sqrtf(v[k]) + EPSILON);
		m[k] *= fade;
		v[k] *= fade2;
	}
}

/* Place d of sample i of the batch: a row of the table, or HEL_NO_HOT. */
static uint32_t row_at(const hel_trainer *t, const touched *x, size_t i, size_t d)
{
	const hel_samples *s = t->samples;
	const uint32_t hot = s->hot[t->rows[i] * s->hots + x->node->place + d];
	return hot == HEL_NO_HOT ? hot : hot - x->node->entry;
}

static float weight_at(const hel_trainer *t, const touched *x, size_t i, size_t d)
{
	const hel_samples *s = t->samples;
	const hel_node *n = x->node;
	return hel_word_weight(s->hot[t->rows[i] * s->hots + n->place + n->places + d]);
}

/* Gives the rows of a table that the batch reads a slot each, and brings them up to date. */
static void gather_table(void *arg, size_t table)
{
	hel_trainer *t = arg;
	touched *x = &t->table[table];
	x->slots = 0;
	for (size_t i = 0; i < t->count; i++)
		for (size_t d = 0; d < x->node->places; d++) {
			const uint32_t row = row_at(t, x, i, d);
			if (row == HEL_NO_HOT || t->slot[x->entry + row] != NO_SLOT)
				continue;
			t->slot[x->entry + row] = (uint32_t)x->slots;
			x->row[x->slots++] = row;
			catch_up(t, x, row);
		}
}

/* Sums the gradients of every touched row, in the order of the samples. */
static void sum_table(void *arg, size_t table)
{
	hel_trainer *t = arg;
	touched *x = &t->table[table];
	memset(x->gradient, 0, x->slots * x->dim * sizeof *x->gradient);
	for (size_t i = 0; i < t->count; i++) {
		const float *delta =
		    t->shard[i / t->shard_rows].delta[x->index] + i % t->shard_rows * x->dim;
		for (size_t d = 0; d < x->node->places; d++) {
			const uint32_t row = row_at(t, x, i, d);
			if (row == HEL_NO_HOT)
				continue;
			float *to = x->gradient + t->slot[x->entry + row] * x->dim;
			const float w = x->node->weighted ? weight_at(t, x, i, d) : 1;
			for (size_t k = 0; k < x->dim; k++)
				to[k] += w * delta[k];
		}
	}
	x->norm = 0;
	for (size_t k = 0; k < x->slots * x->dim; k++)
		x->norm += (double)x->gradient[k] * (double)x->gradient[k];
}

static void step_table(hel_trainer *t, touched *x)
{
	const float rate = (float)rate_of(t, t->number), step_size = t->step_size[t->number],
		    fix = t->fix[t->number];
	const float decay = (float)decay_of(t, t->number);
	for (size_t i = 0; i < x->slots; i++) {
		const size_t row = x->row[i], number = x->number + row * x->dim;
		float *p = row_of(t, x, row), *v = t->table_square + number;
		const float *g = x->gradient + i * x->dim;
		for (size_t k = 0; k < x->dim; k++) {
			const float h = g[k] * t->shrink;
			if (t->table_moment) {
				float *m = t->table_moment + number;
				m[k] = 0.9f * m[k] + 0.1f * h;
				v[k] = 0.999f * v[k] + 0.001f * h * h;
				p[k] =
				    p[k] * decay - step_size * m[k] / (sqrtf(v[k]) * fix + EPSILON);
			} else {
				v[k] += h * h;
				p[k] = p[k] * decay - rate * h / (sqrtf(v[k]) + ADAGRAD_EPSILON);
			}
		}
		t->seen[x->entry + row] = (uint32_t)t->number + 1;
		t->slot[x->entry + row] = NO_SLOT;
	}
}

static void settle_table(void *arg, size_t table)
{
	hel_trainer *t = arg;
	for (size_t row = 0; row < t->table[table].rows; row++)
		catch_up(t, &t->table[table], row);
}

void hel_trainer_settle(hel_trainer *t)
{
	hel_pool_for(t->pool, t->tables, settle_table, t);
}

/* --- all but tables -----------------------------------------------------------------------------
 */

static void run_shard(void *arg, size_t i)
{
	hel_trainer *t = arg;
	const size_t first = i * t->shard_rows, count = HEL_MIN(t->shard_rows, t->count - first);
	hel_network_forward(&t->shard[i], t->samples, t->rows + first, count);
	hel_network_backward(&t->shard[i], t->count);
}

static size_t shards_of(const hel_trainer *t)
{
	return (t->count + t->shard_rows - 1) / t->shard_rows;
}

/* Sums one chunk of all shards' gradients into the first one's. */
static void sum_chunk(void *arg, size_t chunk)
{
	hel_trainer *t = arg;
	const size_t begin = chunk * CHUNK, end = HEL_MIN(begin + CHUNK, t->m->dense);
	float *sum = t->shard[0].gradient;
	for (size_t s = 1; s < shards_of(t); s++)
		for (size_t k = begin; k < end; k++)
			sum[k] += t->shard[s].gradient[k];
	const double norm = (double)cblas_snrm2((int)(end - begin), sum + begin, 1);
	t->norm[chunk] = norm * norm;
}

/* AdamW (Loshchilov, Hutter 2019): decay of weights, not of biases. */
static void step_chunk(hel_trainer *t, size_t chunk)
{
	const size_t begin = chunk * CHUNK, end = HEL_MIN(begin + CHUNK, t->m->dense);
	const float weight_decay = (float)decay_of(t, t->number),
		    step_size = t->step_size[t->number], fix = t->fix[t->number];
	for (size_t i = 0; i < t->m->tensors; i++) {
		const hel_tensor *x = &t->m->tensor[i];
		if (x->table)
			continue;
		const size_t at = x->dense;
		const size_t from = HEL_MAX(at, begin),
			     to = HEL_MIN(at + x->rows * x->columns, end);
		const float decay = x->bias ? 1 : weight_decay;
		float *p = t->m->parameter + (x->offset - at);
		for (size_t k = from; k < to; k++) {
			const float g = t->shard[0].gradient[k] * t->shrink;
			t->moment[k] = 0.9f * t->moment[k] + 0.1f * g;
			t->square[k] = 0.999f * t->square[k] + 0.001f * g * g;
			p[k] = p[k] * decay -
			       step_size * t->moment[k] / (sqrtf(t->square[k]) * fix + EPSILON);
		}
	}
}

/* --- a step ------------------------------------------------------------------------------- */

static void sum_all(void *arg, size_t i)
{
	hel_trainer *t = arg;
	if (i < t->chunks)
		sum_chunk(t, i);
	else
		sum_table(t, i - t->chunks);
}

static void step_all(void *arg, size_t i)
{
	hel_trainer *t = arg;
	if (i < t->chunks)
		step_chunk(t, i);
	else
		step_table(t, &t->table[i - t->chunks]);
}

/* Gradients of the batch, in the first shard and in the tables' slots; the mean loss. */
static double batch_gradient(hel_trainer *t, const hel_samples *s, const uint32_t *rows,
			     size_t count)
{
	const size_t tables = t->tables;
	double loss = 0;
	t->samples = s;
	t->rows = rows;
	t->count = count;
	hel_pool_for(t->pool, tables, gather_table, t);
	hel_pool_for(t->pool, shards_of(t), run_shard, t);
	hel_pool_for(t->pool, t->chunks + tables, sum_all, t);
	for (size_t i = 0; i < shards_of(t); i++)
		loss += t->shard[i].loss;
	return loss / (double)count;
}

hel_status hel_trainer_step(hel_trainer *t, const hel_samples *s, const uint32_t *rows,
			    size_t count, double *loss)
{
	const size_t tables = t->tables;
	*loss = batch_gradient(t, s, rows, count);
	if (!isfinite(*loss))
		return hel_fail(HEL_ERANGE,
				"training diverged at step %llu: lower the rate or the "
				"activation's steepness",
				(unsigned long long)t->number);
	double norm = 0;
	for (size_t i = 0; i < t->chunks; i++)
		norm += t->norm[i];
	for (size_t i = 0; i < tables; i++)
		norm += t->table[i].norm;
	norm = sqrt(norm);
	const double clip = t->m->config.training.gradient_clip;
	t->shrink = norm > clip ? (float)(clip / norm) : 1;
	hel_pool_for(t->pool, t->chunks + tables, step_all, t);
	t->number++;
	return HEL_OK;
}

hel_status hel_trainer_state(hel_trainer *t,
			     hel_status (*part)(void *arg, void *bytes, size_t size), void *arg)
{
	hel_status st = HEL_OK;
	const size_t table = t->numbers * sizeof(float);
	TRY(part(arg, &t->number, sizeof t->number));
	TRY(part(arg, t->m->parameter, t->m->parameters * sizeof(float)));
	TRY(part(arg, t->moment, 2 * t->m->dense * sizeof(float)));
	if (t->table_moment)
		TRY(part(arg, t->table_moment, table));
	TRY(part(arg, t->table_square, table));
	TRY(part(arg, t->seen, t->entries * sizeof *t->seen));
done:
	return st;
}

/* --- training in memory ------------------------------------------------------------------- */

static hel_status train_one(hel_dlrm *m, const hel_samples *samples, hel_progress *progress,
			    double begin, double share)
{
	hel_status st = HEL_OK;
	hel_trainer *t = NULL;
	uint32_t *order = NULL;
	uint8_t seed[HEL_SEED_BYTES] = {0};
	hel_prng g;
	const hel_training *c = &m->config.training;
	if (!samples->count || !c->batch)
		FAIL(HEL_EINVAL, "nothing to train on");
	const size_t batches = (samples->count + c->batch - 1) / c->batch,
		     total = batches * c->epochs;
	TRY(hel_trainer_new(&t, m, total, NULL));
	TRY_ALLOC(order, hel_alloc(samples->count, sizeof *order));
	for (size_t i = 0; i < samples->count; i++)
		order[i] = (uint32_t)i;
	memcpy(seed, &c->seed, sizeof c->seed);
	hel_prng_init(&g, seed, 1);
	for (size_t number = 0; number < total; number++) {
		const size_t first = number % batches * c->batch;
		double loss;
		TRY(hel_progress_check(progress));
		if (first == 0)
			hel_shuffle(order, samples->count, &g);
		TRY(hel_trainer_step(t, samples, order + first,
				     HEL_MIN((size_t)c->batch, samples->count - first), &loss));
		if (progress)
			hel_progress_step(progress,
					  begin + share * (double)(number + 1) / (double)total);
	}
	hel_trainer_settle(t);
done:
	hel_trainer_free(t);
	hel_free(order);
	return st;
}

hel_status hel_dlrm_train(hel_dlrm *m, const hel_samples *samples, hel_progress *progress)
{
	hel_status st = HEL_OK;
	hel_dlrm *member = NULL;
	const uint32_t members = m->config.members;
	if (members <= 1)
		return train_one(m, samples, progress, 0, 1);
	for (uint32_t k = 0; k < members; k++) {
		TRY(hel_ensemble_member(&member, m, k));
		TRY(train_one(member, samples, progress, (double)k / members, 1.0 / members));
		hel_ensemble_take(m, member, k);
		member = NULL;
	}
done:
	hel_ensemble_leave(member);
	return st;
}
