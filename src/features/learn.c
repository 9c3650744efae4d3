/* What a model knows of the data: means, deviations and the values that get rows of their own,
 * all from the training part. */
#include "learn.h"
#include "hash.h"
#include "rates.h"
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

/* Of a column's values in a block's rows to train on. */
typedef struct dense_sums {
	double count, sum, squares, least, most;
} dense_sums;

typedef struct learner {
	const hel_cache *cache;
	const hel_split *split;
	const hel_embedding_plan *plan;
	hel_schema *schema;
	bool all;	     /* tables up to the threshold are rationed, too */
	tally *tally;	     /* [table], sorted */
	uint32_t *own;	     /* [table]: values with rows of their own */
	hel_embedding *kind; /* [table] */
	dense_sums *sums;    /* [block][dense] */
	size_t (*labels)[2]; /* [block]: rows of each class */
	uint32_t *buckets;   /* [table]: of the tail */
	uint8_t *clicked;    /* a bit for each row of the cache */
	double mean;	     /* of the training part's labels */
} learner;

static hel_status count_word(learner *l, tally *t, size_t word, uint32_t *hash)
{
	hel_status st = HEL_OK;
	for (size_t b = 0; b < hel_cache_blocks(l->cache); b++) {
		size_t count;
		TRY(hel_cache_read_hashes(l->cache, b, word, hash, &count));
		for (size_t i = 0; i < count; i++)
			if (hel_split_of(l->split, (uint64_t)b * HEL_BLOCK_ROWS + i) == HEL_TRAIN)
				TRY(tally_add(t, hash[i]));
	}
done:
	return st;
}

static const hel_column *column_of(const learner *l, size_t table)
{
	return hel_dataset_nth(hel_cache_dataset(l->cache), HEL_CATEGORICAL, table);
}

static hel_status count_table(void *arg, size_t table)
{
	hel_status st = HEL_OK;
	learner *l = arg;
	uint32_t *hash = NULL;
	tally *t = &l->tally[table];
	const hel_column *c = column_of(l, table);
	if (c->values == HEL_MODULO)
		goto done;
	TRY_ALLOC(hash, hel_alloc(HEL_BLOCK_ROWS, sizeof *hash));
	for (size_t k = 0; k < HEL_MAX(c->bag.limit, 1u); k++)
		TRY(count_word(l, t, c->word + k, hash));
	TRY(tally_sort(t, l->plan->min_count));
done:
	hel_free(hash);
	return st;
}

/* --- dense columns ------------------------------------------------------------------------ */

#define BINS 65536 /* of 16 bits of a float's place in the order of all floats */

/* Orders bits of floats as their values are. */
static uint32_t order_of(uint32_t bits)
{
	return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static double value_of(uint32_t order)
{
	return (double)hel_word_weight(order >> 31 ? order & 0x7fffffffu : ~order);
}

/* How many of the training part's values have these high bits, by their low ones; with `high` BINS:
 * by their high ones. */
static hel_status fill_bins(uint64_t *bin, const learner *l, size_t column, uint32_t high)
{
	hel_status st = HEL_OK;
	uint32_t *bits = NULL;
	size_t count;
	const size_t word = hel_cache_dataset(l->cache)->words + column;
	memset(bin, 0, BINS * sizeof *bin);
	TRY_ALLOC(bits, hel_alloc(HEL_BLOCK_ROWS, sizeof *bits));
	for (size_t b = 0; b < hel_cache_blocks(l->cache); b++) {
		TRY(hel_cache_read_hashes(l->cache, b, word, bits, &count));
		for (size_t i = 0; i < count; i++) {
			const uint32_t order = order_of(bits[i]);
			if (!isnan(hel_word_weight(bits[i])) &&
			    hel_split_of(l->split, (uint64_t)b * HEL_BLOCK_ROWS + i) == HEL_TRAIN &&
			    (high == BINS || order >> 16 == high))
				bin[high == BINS ? order >> 16 : order & 0xffff]++;
		}
	}
done:
	hel_free(bits);
	return st;
}

/* The bin of value number *rank, which becomes its number in there. */
static uint32_t bin_of(const uint64_t *bin, uint64_t *rank)
{
	uint32_t i = 0;
	while (i + 1 < BINS && *rank >= bin[i])
		*rank -= bin[i++];
	return i;
}

static hel_status find_quantile(double *out, uint64_t *bin, const learner *l, size_t column,
				double share)
{
	hel_status st = HEL_OK;
	uint64_t all = 0;
	TRY(fill_bins(bin, l, column, BINS));
	for (size_t i = 0; i < BINS; i++)
		all += bin[i];
	if (!all)
		goto done;
	const double at = share * (double)(all - 1);
	uint64_t rank = (uint64_t)(share < 0.5 ? floor(at) : ceil(at));
	const uint32_t high = bin_of(bin, &rank);
	TRY(fill_bins(bin, l, column, high));
	*out = value_of(high << 16 | bin_of(bin, &rank));
done:
	return st;
}

static hel_status find_quantiles(void *arg, size_t column)
{
	hel_status st = HEL_OK;
	const learner *l = arg;
	uint64_t *bin = NULL;
	hel_dense_field *d = &l->schema->dense[column];
	const hel_column *c = hel_dataset_nth(hel_cache_dataset(l->cache), HEL_DENSE, column);
	if (c->low <= 0 && c->high >= 1)
		goto done;
	TRY_ALLOC(bin, hel_alloc_raw(BINS, sizeof *bin));
	TRY(find_quantile(&d->low, bin, l, column, c->low));
	TRY(find_quantile(&d->high, bin, l, column, c->high));
done:
	hel_free(bin);
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
	dense_sums *sums = l->sums + block * b.dense;
	for (size_t i = 0; i < b.count; i++) {
		const uint64_t row = (uint64_t)block * HEL_BLOCK_ROWS + i;
		if (hel_split_of(l->split, row) != HEL_TRAIN)
			continue;
		l->labels[block][b.label[i]]++;
		l->clicked[row / 8] |= (uint8_t)(b.label[i] << row % 8);
		for (size_t k = 0; k < b.dense; k++) {
			const hel_dense_field *d = &l->schema->dense[k];
			double v = (double)b.value[k * b.count + i];
			if (isnan(v))
				continue;
			v = fmin(fmax(v, d->low), d->high);
			sums[k].least = sums[k].count > 0 ? fmin(sums[k].least, v) : v;
			sums[k].most = sums[k].count > 0 ? fmax(sums[k].most, v) : v;
			sums[k].count++;
			sums[k].sum += v;
			sums[k].squares += v * v;
		}
	}
done:
	hel_block_clear(&b);
	return st;
}

static hel_status learn_dense(learner *l)
{
	for (size_t k = 0; k < l->schema->dense_count; k++) {
		double n = 0, sum = 0, squares = 0, least = INFINITY, most = -INFINITY;
		for (size_t b = 0; b < hel_cache_blocks(l->cache); b++) {
			const dense_sums *s = l->sums + b * l->schema->dense_count + k;
			n += s->count;
			sum += s->sum;
			squares += s->squares;
			least = s->count > 0 ? fmin(least, s->least) : least;
			most = s->count > 0 ? fmax(most, s->most) : most;
		}
		hel_dense_field *d = &l->schema->dense[k];
		d->mean = n > 0 ? sum / n : 0;
		const double variance = n > 0 ? squares / n - d->mean * d->mean : 0;
		d->deviation = variance > 1e-12 ? sqrt(variance) : 1;
		if (!isfinite(variance) || !hel_dense_is_plausible(d))
			return hel_fail(HEL_EDATA, "the values of %s are too large", d->name);
		hel_dense_saw(d, least, most);
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
		if (f->modulo) {
			width += hel_table_width(f);
			continue;
		}
		f->base = l->kind[t].base;
		f->digits = !f->base		? 1
			    : l->kind[t].digits ? l->kind[t].digits
						: hel_digits_for(HEL_MAX(tail, 1), f->base);
		if (!f->hashed) { /* no tail; digits are of the row's number */
			f->digits = f->base ? hel_digits_for((uint64_t)l->own[t] + 1, f->base) : 1;
			width += f->base ? (size_t)f->base * f->digits : (size_t)l->own[t] + 1;
			continue;
		}
		const size_t rated = l->tally[t].used - l->own[t];
		l->buckets[t] = (uint32_t)HEL_MIN(rated, (size_t)l->kind[t].buckets);
		width += (size_t)l->own[t] + l->buckets[t] + 1 +
			 (f->base ? (size_t)f->base * f->digits : 1);
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
	l->all = true;
	const size_t least = choose(l, high);
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

static hel_status keep_hashes(learner *l, size_t t)
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

static hel_status keep_texts(learner *l, size_t t)
{
	hel_status st = HEL_OK;
	const char **text = NULL;
	const hel_dictionary *d = hel_cache_dictionary(l->cache);
	TRY_ALLOC(text, hel_alloc(HEL_MAX(l->own[t], 1u), sizeof *text));
	for (uint32_t i = 0; i < l->own[t]; i++)
		text[i] = hel_dictionary_text(d, t, l->tally[t].place[i].hash);
	TRY(hel_table_list(&l->schema->table[t], text, l->own[t]));
done:
	hel_free(text);
	return st;
}

/* --- rates of the others -------------------------------------------------------------------- */

#define RATED_BYTES                                                                                \
	((size_t)16 << 20) /* of all fingerprints: a manifest is sent and read whole               \
			    */

/* Where a tail's values stand, by their hashes: open addressing, place 0 is empty. */
typedef struct tail {
	hel_rated *value; /* sorted by hash */
	size_t count, capacity;
	uint32_t *place; /* number + 1 */
} tail;

static int by_value(const void *a, const void *b)
{
	const hel_rated *x = a, *y = b;
	return (x->hash > y->hash) - (x->hash < y->hash);
}

static uint32_t *tail_place(const tail *t, uint32_t hash)
{
	size_t i = (size_t)(hel_mix(hash) & (t->capacity - 1));
	while (t->place[i] && t->value[t->place[i] - 1].hash != hash)
		i = (i + 1) & (t->capacity - 1);
	return &t->place[i];
}

static hel_status tail_of(tail *out, const learner *l, size_t table)
{
	hel_status st = HEL_OK;
	const tally *all = &l->tally[table];
	tail t = {.count = all->used - l->own[table], .capacity = 16};
	while (t.capacity < 2 * t.count)
		t.capacity *= 2;
	TRY_ALLOC(t.value, hel_alloc(HEL_MAX(t.count, 1), sizeof *t.value));
	TRY_ALLOC(t.place, hel_alloc(t.capacity, sizeof *t.place));
	for (size_t i = 0; i < t.count; i++)
		t.value[i].hash = all->place[l->own[table] + i].hash;
	qsort(t.value, t.count, sizeof *t.value, by_value);
	for (size_t i = 0; i < t.count; i++)
		*tail_place(&t, t.value[i].hash) = (uint32_t)i + 1;
	*out = t;
	t = (tail){0};
done:
	hel_free(t.value);
	hel_free(t.place);
	return st;
}

static hel_status rate_word(const learner *l, const tail *t, size_t word, uint32_t *hash)
{
	hel_status st = HEL_OK;
	for (size_t b = 0; b < hel_cache_blocks(l->cache); b++) {
		size_t count;
		TRY(hel_cache_read_hashes(l->cache, b, word, hash, &count));
		for (size_t i = 0; i < count; i++) {
			const uint64_t row = (uint64_t)b * HEL_BLOCK_ROWS + i;
			const uint32_t at = hash[i] ? *tail_place(t, hash[i]) : 0;
			if (!at || hel_split_of(l->split, row) != HEL_TRAIN)
				continue;
			hel_rated *v = &t->value[at - 1];
			v->rows[hel_fold_of(row)]++;
			v->clicks[hel_fold_of(row)] += l->clicked[row / 8] >> row % 8 & 1;
		}
	}
done:
	return st;
}

static hel_status rate_table(void *arg, size_t table)
{
	hel_status st = HEL_OK;
	learner *l = arg;
	uint32_t *hash = NULL;
	tail t = {0};
	const hel_column *c = column_of(l, table);
	if (!l->buckets[table])
		goto done;
	TRY(tail_of(&t, l, table));
	TRY_ALLOC(hash, hel_alloc(HEL_BLOCK_ROWS, sizeof *hash));
	for (size_t k = 0; k < HEL_MAX(c->bag.limit, 1u); k++)
		TRY(rate_word(l, &t, c->word + k, hash));
	TRY(hel_rates_learn(l->schema, table, t.value, t.count, l->buckets[table], l->mean,
			    l->plan->min_count));
done:
	hel_free(hash);
	hel_free(t.value);
	hel_free(t.place);
	return st;
}

static hel_status learn_rates(learner *l, hel_pool *pool)
{
	hel_status st = HEL_OK;
	const size_t tables = l->schema->table_count;
	hel_fold_rates *folds = NULL;
	size_t rated = 0;
	for (size_t t = 0; t < tables; t++)
		rated += l->buckets[t] ? l->tally[t].used - l->own[t] : 0;
	if (!rated)
		goto done;
	if (rated * sizeof(uint32_t) > RATED_BYTES)
		FAIL(
		    HEL_ELIMIT,
		    "rates of %zu values would make a manifest of %zu MB: raise min_count, so that "
		    "fewer are kept apart",
		    rated, rated * sizeof(uint32_t) * 4 / 3 >> 20);
	TRY_ALLOC(folds, hel_alloc(1, sizeof *folds));
	l->schema->folds = folds;
	TRY_ALLOC(folds->table, hel_alloc(tables, sizeof *folds->table));
	folds->tables = tables;
	TRY(hel_pool_try(pool, tables, rate_table, l));
done:
	return st;
}

static hel_status keep_known(learner *l, size_t t)
{
	const hel_table_field *f = &l->schema->table[t];
	return f->modulo ? HEL_OK : f->hashed ? keep_hashes(l, t) : keep_texts(l, t);
}

/* Tails are of hashed values: a list has none. */
static hel_status check_kind(const learner *l, size_t t)
{
	const hel_table_field *f = &l->schema->table[t];
	const hel_embedding k = l->kind[t];
	char text[64];
	const bool shares = k.buckets ? k.own != HEL_ALL_VALUES
				      : k.base && (k.digits || (k.own != HEL_ALL_VALUES && k.own));
	if (f->hashed || !shares)
		return HEL_OK;
	hel_embedding_describe(text, sizeof text, k);
	return hel_fail(HEL_EINVAL,
			"%s lists its values, and '%s' shares rows between hashed ones: full, "
			"frequent(N), digits(BASE), or \"values\": \"hashed\" in its column",
			f->name, text);
}

static void salt(hel_schema *s, uint64_t seed)
{
	uint8_t hash[HEL_HASH_BYTES], bytes[8 + 16] = "salt";
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
static hel_status learn_labels(learner *l)
{
	size_t rows[2] = {0, 0};
	for (size_t b = 0; b < hel_cache_blocks(l->cache); b++)
		for (int k = 0; k < 2; k++)
			rows[k] += l->labels[b][k];
	l->mean = (double)rows[1] / (double)(rows[0] + rows[1]);
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
	const hel_dataset *set = hel_cache_dataset(c);
	const size_t tables = set->tables, blocks = hel_cache_blocks(c);
	TRY(hel_schema_of(&l.schema, set));
	TRY_ALLOC(l.tally, hel_alloc(tables, sizeof *l.tally));
	TRY_ALLOC(l.own, hel_alloc(tables, sizeof *l.own));
	TRY_ALLOC(l.kind, hel_alloc(tables, sizeof *l.kind));
	TRY_ALLOC(l.sums, hel_alloc(blocks * set->dense, sizeof *l.sums));
	TRY_ALLOC(l.labels, hel_alloc(blocks, sizeof *l.labels));
	TRY_ALLOC(l.buckets, hel_alloc(tables, sizeof *l.buckets));
	TRY_ALLOC(l.clicked, hel_alloc(blocks * (HEL_BLOCK_ROWS / 8), 1));
	l.schema->clip = clip;
	salt(l.schema, split->seed);
	TRY(check_exceptions(plan, l.schema));
	TRY(hel_pool_try(pool, set->dense, find_quantiles, &l));
	TRY(hel_pool_try(pool, blocks, sum_block, &l));
	TRY(learn_labels(&l));
	TRY(learn_dense(&l));
	TRY(hel_pool_try(pool, tables, count_table, &l));
	for (size_t t = 0; t < tables; t++)
		l.kind[t] = hel_embedding_of(plan, l.schema->table[t].name,
					     l.tally[t].used + l.tally[t].once);
	for (size_t t = 0; t < tables; t++) {
		TRY(check_kind(&l, t));
		if (!l.schema->table[t].hashed && !l.kind[t].own) /* digits are of all rows */
			l.kind[t].own = HEL_ALL_VALUES;
		if (!l.schema->table[t].hashed || l.schema->table[t].modulo)
			l.kind[t].buckets = 0;
	}
	l.all = plan->kind.buckets > 0; /* a tail that keeps its rates loses little anywhere */
	choose(&l, plan->min_count);
	TRY(choose_within(&l));
	for (size_t t = 0; t < tables; t++)
		TRY(keep_known(&l, t));
	TRY(learn_rates(&l, pool));
	*out = l.schema;
	l.schema = NULL;
done:
	for (size_t t = 0; l.tally && t < tables; t++)
		hel_free(l.tally[t].place);
	hel_free(l.tally);
	hel_free(l.own);
	hel_free(l.kind);
	hel_free(l.sums);
	hel_free(l.labels);
	hel_free(l.buckets);
	hel_free(l.clicked);
	hel_schema_free(l.schema);
	return st;
}
