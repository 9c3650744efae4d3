/* cache.h -- the rows of files in checked binary blocks, read from the second pass on. */
#ifndef HEL_FEATURES_CACHE_H
#define HEL_FEATURES_CACHE_H

#include "scan.h"

/** A file of checked blocks. Any number of threads may read one. */
typedef struct hel_cache hel_cache;

/** Opens `path` when it was made from these files as they are now (sizes, times, both ends and the
 *  middle tell), otherwise makes it (again).
 *  report->rows and malformed are those of the cache; *made tells whether files were read. */
HEL_CHECKED hel_status hel_cache_open(hel_cache **out, hel_scan_report *report, bool *made,
				      const char *path, const hel_dataset *set,
				      const char *const *paths, size_t count,
				      uint64_t max_malformed, hel_pool *pool);
void hel_cache_free(hel_cache *c);
const hel_dataset *hel_cache_dataset(const hel_cache *c);
/** Texts of listed columns. */
const hel_dictionary *hel_cache_dictionary(const hel_cache *c);
uint64_t hel_cache_rows(const hel_cache *c);
size_t hel_cache_blocks(const hel_cache *c);
/** From now on only the first `rows` rows are there, rounded up to whole blocks; UINT64_MAX: all of
 *  them again. */
void hel_cache_limit(hel_cache *c, uint64_t rows);
/** Names the rows: equal for equal rows in equal order, whatever they were read from. */
const uint8_t *hel_cache_stamp(const hel_cache *c);
/** Block i, checked; b was made for HEL_BLOCK_ROWS rows. */
HEL_CHECKED hel_status hel_cache_read(const hel_cache *c, size_t i, hel_block *b);
/** One word's column of block i, unchecked: after all blocks were read once. */
HEL_CHECKED hel_status hel_cache_read_hashes(const hel_cache *c, size_t i, size_t table,
					     uint32_t *hash, size_t *count);

#endif
