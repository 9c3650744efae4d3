/* hash.h -- values of hashed tables: known by fingerprints, the others by digits of a hash. */
#ifndef HEL_FEATURES_HASH_H
#define HEL_FEATURES_HASH_H

#include "schema.h"

/** 32 bits of a category's text: what training knows of a value of a hashed table. 0 is missing. */
uint32_t hel_value_hash(const char *text, size_t size);
/** What names a value of a hashed table: its hash; of an id's row, that row plus 1. 0 is missing.
 */
uint32_t hel_value_code(const hel_table_field *t, const char *text, size_t size);
/** The t->digits entries of one value of hashed table number `table`, counted from `first`; by its
 *  code. */
void hel_table_hots(uint32_t *hots, const hel_schema *s, size_t table, uint32_t first,
		    uint32_t hash);
/** Makes values of hashed table number `table` known. Two that share a fingerprint share a row,
 * unless `apart`: then fingerprints get longer, up to 32 bits. */
HEL_CHECKED hel_status hel_table_know(hel_schema *s, size_t table, const uint32_t *hash,
				      uint32_t count, bool apart);
/** Makes values of hashed table number `table` known by their bucket, below `buckets`. Of two that
 *  share a fingerprint one counts. */
HEL_CHECKED hel_status hel_table_rate(hel_schema *s, size_t table, const uint32_t *hash,
				      const uint8_t *bucket, uint32_t count, uint32_t buckets);
/** Sorts the t->rated fingerprints with their buckets; of those that are equal the lowest bucket
 * stays. *twice: how many went. */
HEL_CHECKED hel_status hel_table_sort_rated(hel_table_field *t, uint32_t *twice);
/** The fingerprint under which a value of hashed table number `table` is known. */
uint32_t hel_value_print(const hel_schema *s, size_t table, uint32_t hash);

#endif
