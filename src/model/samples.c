#include "samples.h"
#include "features/hash.h"
#include "features/rates.h"
#include <string.h>

void hel_samples_clear(hel_samples *s)
{
	hel_free(s->value);
	hel_free(s->hot);
	hel_free(s->label);
	memset(s, 0, sizeof *s);
}

hel_status hel_samples_reserve(hel_samples *out, const hel_schema *schema, size_t count)
{
	hel_status st = HEL_OK;
	hel_samples s = {.dense = schema->dense_count, .hots = hel_schema_hots(schema)};
	TRY_ALLOC(s.value, hel_alloc(count * s.dense, sizeof *s.value));
	TRY_ALLOC(s.hot, hel_alloc(count * s.hots, sizeof *s.hot));
	TRY_ALLOC(s.label, hel_alloc(count, 1));
	*out = s;
	s = (hel_samples){0};
done:
	hel_samples_clear(&s);
	return st;
}

hel_status hel_samples_new(hel_samples *out, const hel_schema *schema, const hel_records *records,
			   const size_t *rows, size_t count, hel_unknown policy)
{
	hel_status st = HEL_OK;
	hel_samples s = {0};
	TRY(hel_samples_reserve(&s, schema, count));
	for (; s.count < count; s.count++) {
		const size_t i = s.count, row = rows ? rows[i] : i;
		TRY(hel_schema_apply(schema, records, row, policy, s.value + i * s.dense,
				     s.hot + i * s.hots, &s.unknown));
		s.label[i] = records->label[row];
		for (size_t c = 0; c < s.dense; c++)
			s.far += hel_dense_is_far(schema, c, records->value[row * s.dense + c]);
	}
	*out = s;
	s = (hel_samples){0};
done:
	hel_samples_clear(&s);
	return st;
}

/* --- from a cache ------------------------------------------------------------------------ */

struct hel_listed {
	size_t tables;
	uint32_t **row; /* per listed table: the row of each number in the dictionary */
};

typedef struct loading {
	hel_samples *out;
	const hel_schema *schema;
	const hel_cache *cache;
	const hel_split *split;
	unsigned parts;
	const size_t *block, *first; /* which blocks, and where their rows go */
	size_t *far;		     /* values far out, per block */
	size_t *unknown;	     /* values of listed columns that are not known, per block */
	const hel_listed *listed;
} loading;

static size_t rows_in(const loading *l, size_t block)
{
	const uint64_t begin = (uint64_t)block * HEL_BLOCK_ROWS,
		       end = HEL_MIN(begin + HEL_BLOCK_ROWS, hel_cache_rows(l->cache));
	size_t n = 0;
	for (uint64_t row = begin; row < end; row++)
		n += (hel_split_of(l->split, row) & l->parts) != 0;
	return n;
}

/* A row of a block that is loaded. Those that are trained on see the rates of other folds; the
 * others, as clients do, those of all: HEL_FOLDS. */
typedef struct chosen_row {
	uint32_t row;
	unsigned fold;
} chosen_row;

/* How many; `row` has room for a block. */
static size_t choose_rows(chosen_row *row, const loading *l, size_t block, size_t count)
{
	size_t rows = 0;
	for (uint32_t k = 0; k < count; k++) {
		const uint64_t number = (uint64_t)l->block[block] * HEL_BLOCK_ROWS + k;
		const hel_part part = hel_split_of(l->split, number);
		const bool apart = l->schema->folds && part == HEL_TRAIN;
		if (part & l->parts)
			row[rows++] = (chosen_row){k, apart ? hel_fold_of(number) : HEL_FOLDS};
	}
	return rows;
}

/* The places of the value that a word names, and whether it is known. */
static bool word_hots(uint32_t *hots, const loading *l, size_t table, uint32_t first, uint32_t word,
		      unsigned fold)
{
	const hel_table_field *t = &l->schema->table[table];
	if (t->hashed && fold < HEL_FOLDS) {
		hel_table_hots_in_fold(hots, l->schema, table, first, word, fold);
		return true;
	}
	if (t->hashed) {
		hel_table_hots(hots, l->schema, table, first, word);
		return true;
	}
	const uint32_t row = word ? l->listed->row[table][word] : 0;
	hel_table_spread(hots, t, first, row);
	return row || !word;
}

/* A row of a block as the words of one table's bag. */
static void load_bag(uint32_t *hots, const loading *l, size_t block, const hel_block *b,
		     const hel_column *c, uint32_t first, chosen_row r)
{
	const hel_table_field *t = &l->schema->table[c->nth];
	float weight[HEL_MAX_BAG];
	uint32_t count = 0;
	for (; count < t->bag.limit; count++) {
		const uint32_t word = b->hash[(c->word + count) * b->count + r.row];
		if (!word)
			break;
		l->unknown[block] +=
		    !word_hots(hots + (size_t)count * t->digits, l, c->nth, first, word, r.fold);
		weight[count] =
		    t->bag.weighted
			? hel_word_weight(
			      b->hash[(c->word + t->bag.limit + count) * b->count + r.row])
			: 1;
	}
	hel_bag_close(hots, t, first, weight, count);
}

static void load_tables(const loading *l, size_t block, const hel_block *b, const chosen_row *row,
			size_t rows)
{
	const hel_schema *schema = l->schema;
	hel_samples *s = l->out;
	const size_t at = l->first[block];
	uint32_t first = 0;
	for (size_t t = 0, hot = 0; t < schema->table_count; t++) {
		const hel_column *c =
		    hel_dataset_nth(hel_cache_dataset(l->cache), HEL_CATEGORICAL, t);
		for (size_t k = 0; k < rows; k++) {
			uint32_t *hots = s->hot + (at + k) * s->hots + hot;
			if (c->bag.limit)
				load_bag(hots, l, block, b, c, first, row[k]);
			else
				l->unknown[block] += !word_hots(
				    hots, l, t, first, b->hash[c->word * b->count + row[k].row],
				    row[k].fold);
		}
		first += (uint32_t)hel_table_width(&schema->table[t]);
		hot += hel_table_words(&schema->table[t]);
	}
}

static hel_status load_block(void *arg, size_t i)
{
	hel_status st = HEL_OK;
	loading *l = arg;
	hel_samples *s = l->out;
	const hel_schema *schema = l->schema;
	hel_block b;
	chosen_row *row = NULL;
	TRY(hel_block_init(&b, hel_cache_dataset(l->cache), HEL_BLOCK_ROWS));
	TRY(hel_cache_read(l->cache, l->block[i], &b));
	TRY_ALLOC(row, hel_alloc(HEL_BLOCK_ROWS, sizeof *row));
	const size_t at = l->first[i], rows = choose_rows(row, l, i, b.count);
	for (size_t k = 0; k < rows; k++)
		s->label[at + k] = b.label[row[k].row];
	for (size_t c = 0; c < s->dense; c++)
		for (size_t k = 0; k < rows; k++) {
			const double v = (double)b.value[c * b.count + row[k].row];
			l->far[i] += hel_dense_is_far(schema, c, v);
			s->value[(at + k) * s->dense + c] = hel_dense_apply(schema, c, v);
		}
	load_tables(l, i, &b, row, rows);
done:
	hel_free(row);
	hel_block_clear(&b);
	return st;
}

void hel_listed_free(hel_listed *l)
{
	if (!l)
		return;
	for (size_t t = 0; l->row && t < l->tables; t++)
		hel_free(l->row[t]);
	hel_free(l->row);
	hel_free(l);
}

hel_status hel_listed_new(hel_listed **out, const hel_schema *schema, const hel_cache *cache)
{
	hel_status st = HEL_OK;
	hel_listed *l = NULL;
	const hel_dictionary *d = hel_cache_dictionary(cache);
	TRY(hel_schema_fits(schema, hel_cache_dataset(cache)));
	TRY_ALLOC(l, hel_alloc(1, sizeof *l));
	l->tables = schema->table_count;
	TRY_ALLOC(l->row, hel_alloc(HEL_MAX(l->tables, 1), sizeof *l->row));
	for (size_t t = 0; t < l->tables; t++) {
		const hel_table_field *f = &schema->table[t];
		if (f->hashed)
			continue;
		const uint32_t count = hel_dictionary_count(d, t);
		TRY_ALLOC(l->row[t], hel_alloc((size_t)count + 1, sizeof **l->row));
		for (uint32_t i = 1; i <= count; i++)
			l->row[t][i] = hel_table_row(f, hel_dictionary_text(d, t, i));
	}
	*out = l;
	l = NULL;
done:
	hel_listed_free(l);
	return st;
}

hel_status hel_samples_load(hel_samples *out, const hel_schema *schema, const hel_cache *cache,
			    const hel_listed *listed, const hel_split *split, unsigned parts,
			    const size_t *blocks, size_t count, hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_samples s = {0};
	size_t *first = NULL, rows = 0;
	hel_listed *own = NULL;
	loading l = {.out = &s, .schema = schema, .cache = cache, .split = split, .parts = parts};
	if (!listed)
		TRY(hel_listed_new(&own, schema, cache));
	l.listed = listed ? listed : own;
	TRY_ALLOC(first, hel_alloc(4 * count, sizeof *first));
	size_t *block = first + count;
	l.block = block;
	l.first = first;
	l.far = first + 2 * count;
	l.unknown = first + 3 * count;
	for (size_t i = 0; i < count; i++) {
		block[i] = blocks ? blocks[i] : i;
		first[i] = rows;
		rows += rows_in(&l, block[i]);
	}
	TRY(hel_samples_reserve(&s, schema, rows));
	TRY(hel_pool_try(pool, count, load_block, &l));
	s.count = rows;
	for (size_t i = 0; i < count; i++)
		s.far += l.far[i], s.unknown += l.unknown[i];
	*out = s;
	s = (hel_samples){0};
done:
	hel_listed_free(own);
	hel_samples_clear(&s);
	hel_free(first);
	return st;
}
