/* What a model knows of the data: means, deviations and the values that get rows of their own,
 * all from the training part. */
#include "learn.h"
#include "hash.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

hel_part hel_split_of(const hel_split *s, uint64_t row)
{
	const uint64_t a = hel_mix(hel_mix(s->seed) ^ row), b = hel_mix(a);
	if (s->test && (uint64_t)(((u128)a * s->test) >> 64) == 0)
		return HEL_TEST;
	return (double)(b >> 11) * 0x1p-53 < s->validation ? HEL_VALIDATION : HEL_TRAIN;
}

/* --- counting ------------------------------------------------------------------------- */

typedef struct counted {
	uint32_t hash, count;
} counted;

/* Open addressing; hash 0 is an empty place, which no value has. */
typedef struct tally {
	counted *place;
	size_t capacity, used;
	uint64_t once; /* values seen fewer than min_count times, dropped after counting */
} tally;

static counted *place_of(const tally *t, uint32_t hash)
{
	size_t i = (size_t)(hel_mix(hash) & (t->capacity - 1));
	while (t->place[i].hash && t->place[i].hash != hash)
		i = (i + 1) & (t->capacity - 1);
	return &t->place[i];
}

static hel_status tally_grow(tally *t)
{
	hel_status st = HEL_OK;
	tally bigger = {.capacity = t->capacity ? 2 * t->capacity : 1024, .used = t->used};
	TRY_ALLOC(bigger.place, hel_alloc(bigger.capacity, sizeof *bigger.place));
	for (size_t i = 0; i < t->capacity; i++)
		if (t->place[i].hash)
			*place_of(&bigger, t->place[i].hash) = t->place[i];
	hel_free(t->place);
	*t = bigger;
done:
	return st;
}

static hel_status tally_add(tally *t, uint32_t hash)
{
	hel_status st = HEL_OK;
	if (!hash)
		return HEL_OK;
	if (4 * t->used >= 3 * t->capacity)
		TRY(tally_grow(t));
	counted *c = place_of(t, hash);
	t->used += !c->hash;
	c->hash = hash;
	c->count += c->count < UINT32_MAX;
done:
	return st;
}

/* Most frequent first; the hash decides between equals, so that the order has no chance in it. */
static int by_count(const void *a, const void *b)
{
	const counted *x = a, *y = b;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return (x->hash > y->hash) - (x->hash < y->hash);
}

/* Keeps the values seen min_count times, sorted; the room is given back. */
static hel_status tally_sort(tally *t, uint32_t min_count)
{
	hel_status st = HEL_OK;
	size_t kept = 0;
	counted *fit = NULL;
	for (size_t i = 0; i < t->capacity; i++)
		if (t->place[i].hash && t->place[i].count >= min_count)
			t->place[kept++] = t->place[i];
	TRY_ALLOC(fit, hel_alloc(HEL_MAX(kept, 1), sizeof *fit));
	if (kept)
		memcpy(fit, t->place, kept * sizeof *fit);
	qsort(fit, kept, sizeof *fit, by_count);
	hel_free(t->place);
	t->once = t->used - kept;
	*t = (tally){.place = fit, .capacity = kept, .used = kept, .once = t->once};
done:
	return st;
}

typedef struct learner {
	const hel_cache *cache;
	const hel_split *split;
	const hel_embedding_plan *plan;
	hel_schema *schema;
	bool all;	     /* the budget is too small to spare tables up to the threshold */
	tally *tally;	     /* [table], sorted */
	uint32_t *own;	     /* [table]: values with rows of their own */
	hel_embedding *kind; /* [table] */
	double *sums;	     /* [block][dense][3]: count, sum, sum of squares */
	size_t (*labels)[2]; /* [block]: rows of each class */
} learner;

static hel_status count_table(void *arg, size_t table)
{
	hel_status st = HEL_OK;
	learner *l = arg;
	uint32_t *hash = NULL;
	tally *t = &l->tally[table];
	TRY_ALLOC(hash, hel_alloc(HEL_BLOCK_ROWS, sizeof *hash));
	for (size_t b = 0; b < hel_cache_blocks(l->cache); b++) {
		size_t count;
		TRY(hel_cache_read_hashes(l->cache, b, table, hash, &count));
		for (size_t i = 0; i < count; i++)
			if (hel_split_of(l->split, (uint64_t)b * HEL_BLOCK_ROWS + i) == HEL_TRAIN)
				TRY(tally_add(t, hash[i]));
	}
	TRY(tally_sort(t, l->plan->min_count));
done:
	hel_free(hash);
	return st;
}

/* Sums of one block, and the check of its bytes that count_table relies on. */
static hel_status sum_block(void *arg, size_t block)
{
	hel_status st = HEL_OK;
	learner *l = arg;
	hel_block b;
	TRY(hel_block_init(&b, hel_cache_dataset(l->cache), HEL_BLOCK_ROWS));
	TRY(hel_cache_read(l->cache, block, &b));
	double *sums = l->sums + block * b.dense * 3;
	for (size_t i = 0; i < b.count; i++) {
		if (hel_split_of(l->split, (uint64_t)block * HEL_BLOCK_ROWS + i) != HEL_TRAIN)
			continue;
		l->labels[block][b.label[i]]++;
		for (size_t k = 0; k < b.dense; k++) {
			const double v = (double)b.value[k * b.count + i];
			if (isnan(v))
				continue;
			sums[3 * k]++;
			sums[3 * k + 1] += v;
			sums[3 * k + 2] += v * v;
		}
	}
done:
	hel_block_clear(&b);
	return st;
}

static hel_status learn_dense(learner *l)
{
	for (size_t k = 0; k < l->schema->dense_count; k++) {
		double n = 0, sum = 0, squares = 0;
		for (size_t b = 0; b < hel_cache_blocks(l->cache); b++) {
			const double *s = l->sums + (b * l->schema->dense_count + k) * 3;
			n += s[0];
			sum += s[1];
			squares += s[2];
		}
		hel_dense_field *d = &l->schema->dense[k];
		d->mean = n > 0 ? sum / n : 0;
		const double variance = n > 0 ? squares / n - d->mean * d->mean : 0;
		d->deviation = variance > 1e-12 ? sqrt(variance) : 1;
		if (!isfinite(variance) || !hel_dense_is_plausible(d))
			return hel_fail(HEL_EDATA, "the values of %s are too large", d->name);
	}
	return HEL_OK;
}

/* --- who gets a row ------------------------------------------------------------------------ */

static bool is_large(const learner *l, size_t t)
{
	return l->all || l->tally[t].used + l->tally[t].once > l->plan->threshold;
}

/* How many of a table's values were seen at least `count` times. */
static uint32_t seen(const tally *t, uint32_t count)
{
	size_t low = 0, high = t->used;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		if (t->place[middle].count >= count)
			low = middle + 1;
		else
			high = middle;
	}
	return (uint32_t)low;
}

/* Sets own rows, and in tables over the threshold only for values seen `count` times; the width. */
static size_t choose(learner *l, uint32_t count)
{
	size_t width = 0;
	for (size_t t = 0; t < l->schema->table_count; t++) {
		hel_table_field *f = &l->schema->table[t];
		const uint32_t most = seen(&l->tally[t], is_large(l, t) ? count : 0);
		l->own[t] = HEL_MIN(most, HEL_MIN(l->kind[t].own, HEL_MAX_OWN - 1));
		const uint64_t tail = l->tally[t].used + l->tally[t].once - l->own[t];
		f->base = l->kind[t].base;
		f->digits = !f->base		? 1
			    : l->kind[t].digits ? l->kind[t].digits
						: hel_digits_for(HEL_MAX(tail, 1), f->base);
		width += (size_t)l->own[t] + 1 + (f->base ? (size_t)f->base * f->digits : 1);
	}
	return width;
}

/* The lowest count that keeps within the budget. */
static hel_status choose_within(learner *l)
{
	const uint32_t budget = l->plan->max_onehot;
	uint32_t low = l->plan->min_count, high = UINT32_MAX;
	if (!budget || choose(l, low) <= budget)
		return HEL_OK;
	size_t least = choose(l, high);
	if (least > budget) {
		l->all = true;
		least = choose(l, high);
	}
	if (least > budget)
		return hel_fail(
		    HEL_EUNSUPPORTED,
		    "%u one-hot entries are too few: missing values and tails alone take "
		    "%zu; choose shared tails or a smaller base",
		    budget, least);
	while (high - low > 1) {
		const uint32_t middle = low + (high - low) / 2;
		if (choose(l, middle) <= budget)
			high = middle;
		else
			low = middle;
	}
	choose(l, high);
	return HEL_OK;
}

static hel_status keep_known(learner *l, size_t t)
{
	hel_status st = HEL_OK;
	uint32_t *hash = NULL;
	TRY_ALLOC(hash, hel_alloc(l->own[t], sizeof *hash));
	for (uint32_t i = 0; i < l->own[t]; i++)
		hash[i] = l->tally[t].place[i].hash;
	TRY(hel_table_know(l->schema, t, hash, l->own[t], false));
done:
	hel_free(hash);
	return st;
}

static void name_fields(hel_schema *s, const hel_dataset *set, uint64_t seed)
{
	size_t dense = 0, table = 0;
	uint8_t hash[HEL_HASH_BYTES], bytes[8 + 16] = "salt";
	snprintf(s->dataset, sizeof s->dataset, "%s", set->name);
	for (size_t i = 0; i < set->columns; i++)
		if (set->column[i].kind == HEL_DENSE)
			snprintf(s->dense[dense++].name, HEL_NAME_MAX, "%s", set->column[i].name);
		else if (set->column[i].kind == HEL_CATEGORICAL)
			snprintf(s->table[table++].name, HEL_NAME_MAX, "%s", set->column[i].name);
	memcpy(bytes + 16, &seed, sizeof seed);
	hel_hash(hash, bytes, sizeof bytes);
	memcpy(s->salt, hash, sizeof s->salt);
}

static hel_status check_exceptions(const hel_embedding_plan *plan, const hel_schema *s)
{
	for (size_t i = 0; i < plan->exceptions; i++) {
		size_t t = 0;
		while (t < s->table_count && strcmp(plan->exception[i].table, s->table[t].name))
			t++;
		if (t == s->table_count)
			return hel_fail(HEL_EINVAL, "data set '%s' has no table '%s'", s->dataset,
					plan->exception[i].table);
	}
	return HEL_OK;
}

/* A model of one class would say it whatever it is asked. */
static hel_status check_labels(const learner *l)
{
	size_t rows[2] = {0, 0};
	for (size_t b = 0; b < hel_cache_blocks(l->cache); b++)
		for (int k = 0; k < 2; k++)
			rows[k] += l->labels[b][k];
	if (rows[0] && rows[1])
		return HEL_OK;
	return hel_fail(HEL_EDATA,
			"all %zu rows of the training part have the label %d: there is nothing to "
			"learn from one class",
			rows[0] + rows[1], rows[1] > 0);
}

hel_status hel_schema_learn(hel_schema **out, const hel_cache *c, const hel_split *split,
			    const hel_embedding_plan *plan, double clip, hel_pool *pool)
{
	hel_status st = HEL_OK;
	learner l = {.cache = c, .split = split, .plan = plan};
	hel_block b = {0};
	const hel_dataset *set = hel_cache_dataset(c);
	TRY(hel_block_init(&b, set, 1));
	const size_t tables = b.tables, blocks = hel_cache_blocks(c);
	TRY(hel_schema_new(&l.schema, b.dense, tables));
	TRY_ALLOC(l.tally, hel_alloc(tables, sizeof *l.tally));
	TRY_ALLOC(l.own, hel_alloc(tables, sizeof *l.own));
	TRY_ALLOC(l.kind, hel_alloc(tables, sizeof *l.kind));
	TRY_ALLOC(l.sums, hel_alloc(blocks * b.dense * 3, sizeof *l.sums));
	TRY_ALLOC(l.labels, hel_alloc(blocks, sizeof *l.labels));
	l.schema->clip = clip;
	name_fields(l.schema, set, split->seed);
	TRY(check_exceptions(plan, l.schema));
	TRY(hel_pool_try(pool, blocks, sum_block, &l));
	TRY(check_labels(&l));
	TRY(learn_dense(&l));
	TRY(hel_pool_try(pool, tables, count_table, &l));
	for (size_t t = 0; t < tables; t++)
		l.kind[t] = hel_embedding_of(plan, l.schema->table[t].name,
					     l.tally[t].used + l.tally[t].once);
	choose(&l, plan->min_count);
	TRY(choose_within(&l));
	for (size_t t = 0; t < tables; t++)
		TRY(keep_known(&l, t));
	*out = l.schema;
	l.schema = NULL;
done:
	for (size_t t = 0; l.tally && t < b.tables; t++)
		hel_free(l.tally[t].place);
	hel_free(l.tally);
	hel_free(l.own);
	hel_free(l.kind);
	hel_free(l.sums);
	hel_free(l.labels);
	hel_block_clear(&b);
	hel_schema_free(l.schema);
	return st;
}
