/* rates.h -- tails of tables in buckets by click rate: `rates(B)`.
 *
 * A value without a row of its own shares one with values of about its rate, smoothed towards the
 * mean of all rows: (clicks + 10 mean) / (rows + 10). A training row must not see its own label in
 * the rate of its value, or the model learns to read labels there and fails on others: rows are
 * dealt to folds, and a row's bucket follows from the rows of the other folds. What a client is
 * given is the rate over all of them.
 */
#ifndef HEL_FEATURES_RATES_H
#define HEL_FEATURES_RATES_H

#include "schema.h"

#define HEL_FOLDS 5

/** Rows of one value, by fold. */
typedef struct hel_rated {
	uint32_t hash, rows[HEL_FOLDS], clicks[HEL_FOLDS];
} hel_rated;

/** For a training: the buckets of every table's tail as each fold is to see them. */
typedef struct hel_fold_rates {
	size_t tables;
	struct hel_fold_table {
		size_t count;
		uint32_t *hash;		      /* sorted */
		uint8_t (*bucket)[HEL_FOLDS]; /* HEL_MAX_BUCKETS: the rest's row */
	} * table;
} hel_fold_rates;

/** Which fold a row belongs to: by its number alone. */
unsigned hel_fold_of(uint64_t row);
/** Fills s->table[table]'s buckets and s->folds from the tail's values, which are sorted by hash,
 * and the mean of all labels. At most `buckets`, of equally many rows; values that other folds saw
 * fewer than `min_count` times are in those as the rest is. */
HEL_CHECKED hel_status hel_rates_learn(hel_schema *s, size_t table, const hel_rated *value,
				       size_t count, uint32_t buckets, double mean,
				       uint32_t min_count);
/** hel_table_hots() for a row of the training part. */
void hel_table_hots_in_fold(uint32_t *hots, const hel_schema *s, size_t table, uint32_t first,
			    uint32_t hash, unsigned fold);
void hel_fold_rates_free(hel_fold_rates *f);

#endif
