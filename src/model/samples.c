#include "samples.h"
#include "features/hash.h"
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

typedef struct loading {
	hel_samples *out;
	const hel_schema *schema;
	const hel_cache *cache;
	const hel_split *split;
	unsigned parts;
	const size_t *block, *first; /* which blocks, and where their rows go */
	size_t *far;		     /* values far out, per block */
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

static hel_status load_block(void *arg, size_t i)
{
	hel_status st = HEL_OK;
	loading *l = arg;
	hel_samples *s = l->out;
	const hel_schema *schema = l->schema;
	hel_block b;
	uint32_t *row = NULL;
	size_t rows = 0, hot = 0;
	TRY(hel_block_init(&b, hel_cache_dataset(l->cache), HEL_BLOCK_ROWS));
	TRY(hel_cache_read(l->cache, l->block[i], &b));
	TRY_ALLOC(row, hel_alloc(HEL_BLOCK_ROWS, sizeof *row));
	for (uint32_t k = 0; k < b.count; k++)
		if (hel_split_of(l->split, (uint64_t)l->block[i] * HEL_BLOCK_ROWS + k) & l->parts)
			row[rows++] = k;
	const size_t at = l->first[i];
	for (size_t k = 0; k < rows; k++)
		s->label[at + k] = b.label[row[k]];
	for (size_t c = 0; c < s->dense; c++)
		for (size_t k = 0; k < rows; k++) {
			const double v = (double)b.value[c * b.count + row[k]];
			l->far[i] += hel_dense_is_far(schema, c, v);
			s->value[(at + k) * s->dense + c] = hel_dense_apply(schema, c, v);
		}
	uint32_t first = 0;
	for (size_t t = 0; t < schema->table_count; t++) {
		for (size_t k = 0; k < rows; k++)
			hel_table_hots(s->hot + (at + k) * s->hots + hot, schema, t, first,
				       b.hash[t * b.count + row[k]]);
		first += (uint32_t)hel_table_width(&schema->table[t]);
		hot += schema->table[t].digits;
	}
done:
	hel_free(row);
	hel_block_clear(&b);
	return st;
}

hel_status hel_samples_load(hel_samples *out, const hel_schema *schema, const hel_cache *cache,
			    const hel_split *split, unsigned parts, const size_t *blocks,
			    size_t count, hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_samples s = {0};
	size_t *first = NULL, rows = 0;
	TRY_ALLOC(first, hel_alloc(3 * count, sizeof *first));
	size_t *block = first + count;
	loading l = {&s, schema, cache, split, parts, block, first, first + 2 * count};
	for (size_t i = 0; i < count; i++) {
		block[i] = blocks ? blocks[i] : i;
		first[i] = rows;
		rows += rows_in(&l, block[i]);
	}
	TRY(hel_samples_reserve(&s, schema, rows));
	TRY(hel_pool_try(pool, count, load_block, &l));
	s.count = rows;
	for (size_t i = 0; i < count; i++)
		s.far += l.far[i];
	*out = s;
	s = (hel_samples){0};
done:
	hel_samples_clear(&s);
	hel_free(first);
	return st;
}
