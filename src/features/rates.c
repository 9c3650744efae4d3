#include "rates.h"
#include "hash.h"
#include <stdlib.h>
#include <string.h>

#define SMOOTHING 10.0 /* rows of the mean rate that every value is given */

unsigned hel_fold_of(uint64_t row)
{
	return (unsigned)(hel_mix(row ^ 0x666f6c64) % HEL_FOLDS);
}

void hel_fold_rates_free(hel_fold_rates *f)
{
	if (!f)
		return;
	for (size_t t = 0; f->table && t < f->tables; t++) {
		hel_free(f->table[t].hash);
		hel_free(f->table[t].bucket);
	}
	hel_free(f->table);
	hel_free(f);
}

/* --- rates and their borders ------------------------------------------------------------- */

typedef struct ranked {
	double rate;
	uint64_t rows;
} ranked;

static int by_rate(const void *a, const void *b)
{
	const ranked *x = a, *y = b;
	return (x->rate > y->rate) - (x->rate < y->rate);
}

/* Over all folds but `without`; HEL_FOLDS: over all. */
static ranked rate_of(const hel_rated *v, unsigned without, double mean)
{
	uint64_t rows = 0, clicks = 0;
	for (unsigned f = 0; f < HEL_FOLDS; f++) {
		rows += f == without ? 0 : v->rows[f];
		clicks += f == without ? 0 : v->clicks[f];
	}
	return (ranked){((double)clicks + SMOOTHING * mean) / ((double)rows + SMOOTHING), rows};
}

/* The lowest rate of each bucket but the first; equal rates stay together. Returns how many. */
static uint32_t find_borders(double border[HEL_MAX_BUCKETS], ranked *r, size_t count,
			     uint32_t buckets)
{
	uint64_t all = 0, below = 0;
	uint32_t found = 0;
	qsort(r, count, sizeof *r, by_rate);
	for (size_t i = 0; i < count; i++)
		all += r[i].rows;
	for (size_t i = 1; i < count && found + 1 < buckets; i++) {
		below += r[i - 1].rows;
		if (r[i].rate > r[i - 1].rate && below * buckets >= all * (found + 1))
			border[found++] = r[i].rate;
	}
	return found;
}

static uint8_t bucket_of(const double *border, uint32_t borders, double rate)
{
	uint8_t b = 0;
	while (b < borders && rate >= border[b])
		b++;
	return b;
}

/* --- learning ------------------------------------------------------------------------------ */

static hel_status fold_table(struct hel_fold_table *to, const hel_rated *value, size_t count,
			     const double *border, uint32_t borders, double mean,
			     uint32_t min_count)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(to->hash, hel_alloc(HEL_MAX(count, 1), sizeof *to->hash));
	TRY_ALLOC(to->bucket, hel_alloc(HEL_MAX(count, 1), sizeof *to->bucket));
	to->count = count;
	for (size_t i = 0; i < count; i++) {
		to->hash[i] = value[i].hash;
		for (unsigned f = 0; f < HEL_FOLDS; f++) {
			const ranked r = rate_of(&value[i], f, mean);
			to->bucket[i][f] = r.rows < min_count ? HEL_MAX_BUCKETS
							      : bucket_of(border, borders, r.rate);
		}
	}
done:
	return st;
}

hel_status hel_rates_learn(hel_schema *s, size_t table, const hel_rated *value, size_t count,
			   uint32_t buckets, double mean, uint32_t min_count)
{
	hel_status st = HEL_OK;
	ranked *r = NULL;
	uint32_t *hash = NULL;
	uint8_t *bucket = NULL;
	double border[HEL_MAX_BUCKETS];
	TRY_ALLOC(r, hel_alloc(HEL_MAX(count, 1), sizeof *r));
	TRY_ALLOC(hash, hel_alloc(HEL_MAX(count, 1), sizeof *hash));
	TRY_ALLOC(bucket, hel_alloc(HEL_MAX(count, 1), 1));
	for (size_t i = 0; i < count; i++)
		r[i] = rate_of(&value[i], HEL_FOLDS, mean);
	const uint32_t borders = find_borders(border, r, count, buckets);
	for (size_t i = 0; i < count; i++) {
		hash[i] = value[i].hash;
		bucket[i] = bucket_of(border, borders, rate_of(&value[i], HEL_FOLDS, mean).rate);
	}
	TRY(hel_table_rate(s, table, hash, bucket, (uint32_t)count, borders + 1));
	TRY(fold_table(&s->folds->table[table], value, count, border, borders, mean, min_count));
done:
	hel_free(r);
	hel_free(hash);
	hel_free(bucket);
	return st;
}

/* --- use ----------------------------------------------------------------------------------- */

static int by_hash(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

void hel_table_hots_in_fold(uint32_t *hots, const hel_schema *s, size_t table, uint32_t first,
			    uint32_t hash, unsigned fold)
{
	const hel_table_field *t = &s->table[table];
	hel_table_hots(hots, s, table, first, hash);
	if (!s->folds || !t->buckets || hots[0] <= first + t->values)
		return; /* missing, or with a row of its own */
	const struct hel_fold_table *f = &s->folds->table[table];
	const uint32_t *at = bsearch(&hash, f->hash, f->count, sizeof *f->hash, by_hash);
	const uint32_t bucket = at ? f->bucket[at - f->hash][fold] : HEL_MAX_BUCKETS;
	hots[0] = first + 1 + t->values + HEL_MIN(bucket, t->buckets);
}
