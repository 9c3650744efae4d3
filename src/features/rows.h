/* rows.h -- millions of rows: reading published files as a stream, keeping them
 * in a checked binary cache, and learning a schema from the training part.
 *
 * Memory does not grow with the number of rows; the vocabulary's does with the
 * number of distinct values, one table at a time per thread.
 */
#ifndef HEL_ROWS_H
#define HEL_ROWS_H

#include "features.h"

#define HEL_BLOCK_ROWS 8192
#define HEL_ALL_VALUES UINT32_MAX
#define HEL_MAX_OWN (1u << 24)
#define HEL_MAX_BASE (1u << 20)

/* --- embedding kinds (embedding.c) ------------------------------------------ */

/** Which rows a table gets: `own` most frequent values have one of their own (HEL_ALL_VALUES: all),
 *  the tail is one shared row (base 0) or the sum of `digits` of `base` rows each (0: as many as
 *  the number of values asks for; 1: plain hashing). */
typedef struct hel_embedding {
	uint32_t own, base, digits;
} hel_embedding;

/** full, hash(m), digits(base), digits(base,count), frequent(K), frequent(K)+digits(base),
 * frequent(K)+hash(m). */
HEL_CHECKED hel_status hel_embedding_parse(hel_embedding *out, const char *text);
void hel_embedding_describe(char *out, size_t size, hel_embedding e);

#define HEL_MAX_EXCEPTIONS 64

/** The choice for all tables: `kind` for those with more than `threshold` values, full for the
 *  others, except where a table is named. Values seen fewer than `min_count` times never have a row
 *  of their own. With max_onehot, own rows of tables over the threshold go to the values seen most
 *  often, over all these tables, until that many one-hot entries are used; where that is too
 * little, those of all tables do. */
typedef struct hel_embedding_plan {
	hel_embedding kind;
	uint32_t threshold, min_count, max_onehot;
	size_t exceptions;
	struct {
		char table[HEL_NAME_MAX];
		hel_embedding kind;
	} exception[HEL_MAX_EXCEPTIONS];
} hel_embedding_plan;

hel_embedding_plan hel_embedding_plan_default(void);
hel_embedding hel_embedding_of(const hel_embedding_plan *plan, const char *table, uint64_t values);

/* --- reading (scan.c) --------------------------------------------------------- */

/** Rows by column: value[column][row], NaN = missing; hash[column][row], 0 = missing. */
typedef struct hel_block {
	size_t count, dense, tables; /* count is the stride, too */
	uint8_t *label;
	float *value;
	uint32_t *hash;
} hel_block;

HEL_CHECKED hel_status hel_block_init(hel_block *b, const hel_dataset *set, size_t rows);
void hel_block_clear(hel_block *b);

#define HEL_MALFORMED_SHOWN 5

typedef struct hel_scan_report {
	uint64_t rows, malformed;
	char shown[HEL_MALFORMED_SHOWN][160]; /* "file:line: reason", the first ones */
} hel_scan_report;

/** Reads published files (plain or gz, one after the other) and hands out their rows in order, in
 *  blocks of HEL_BLOCK_ROWS and a last shorter one. Rows that do not have the published form are
 *  counted and left out.
 *  @retval HEL_EDATA more malformed rows than `max_malformed`; names the first ones. */
HEL_CHECKED hel_status hel_scan(hel_scan_report *report, const hel_dataset *set,
				const char *const *paths, size_t count, uint64_t max_malformed,
				hel_pool *pool, hel_progress *progress,
				hel_status (*take)(void *arg, const hel_block *block), void *arg);

/* --- the cache (cache.c) -------------------------------------------------------- */

/** A file of checked blocks. Any number of threads may read one. */
typedef struct hel_cache hel_cache;

/** Opens `path` when it was made from these files as they are now, otherwise makes it (again).
 *  report->rows and malformed are those of the cache; *made tells whether files were read. */
HEL_CHECKED hel_status hel_cache_open(hel_cache **out, hel_scan_report *report, bool *made,
				      const char *path, const hel_dataset *set,
				      const char *const *paths, size_t count,
				      uint64_t max_malformed, hel_pool *pool);
void hel_cache_free(hel_cache *c);
const hel_dataset *hel_cache_dataset(const hel_cache *c);
uint64_t hel_cache_rows(const hel_cache *c);
size_t hel_cache_blocks(const hel_cache *c);
/** From now on only the first `rows` rows are there, rounded up to whole blocks. */
void hel_cache_limit(hel_cache *c, uint64_t rows);
/** Names the rows: equal for equal files. */
const uint8_t *hel_cache_stamp(const hel_cache *c);
/** Block i, checked; b was made for HEL_BLOCK_ROWS rows. */
HEL_CHECKED hel_status hel_cache_read(const hel_cache *c, size_t i, hel_block *b);
/** One column's hashes of block i, unchecked: after all blocks were read once. */
HEL_CHECKED hel_status hel_cache_read_hashes(const hel_cache *c, size_t i, size_t table,
					     uint32_t *hash, size_t *count);

/* --- parts (learn.c) -------------------------------------------------------------- */

typedef enum hel_part { HEL_TRAIN = 1, HEL_VALIDATION = 2, HEL_TEST = 4 } hel_part;

/** Who gets which row: by the row's number and a seed alone. */
typedef struct hel_split {
	uint64_t seed;
	uint32_t test;	   /* one row in `test`; 0: none */
	double validation; /* share of the others */
} hel_split;

hel_part hel_split_of(const hel_split *s, uint64_t row);

/** Learns means, deviations and vocabularies from the training part.
 *  @retval HEL_EUNSUPPORTED max_onehot cannot be met; says what the least is. */
HEL_CHECKED hel_status hel_schema_learn(hel_schema **out, const hel_cache *c,
					const hel_split *split, const hel_embedding_plan *plan,
					double clip, hel_pool *pool);

#endif
