/* scan.h -- published files as a stream of rows: memory does not grow with their number. */
#ifndef HEL_FEATURES_SCAN_H
#define HEL_FEATURES_SCAN_H

#include "dictionary.h"

#define HEL_BLOCK_ROWS 8192

/** Rows by column: value[column][row], NaN = missing; hash[word][row], 0 = missing. A category is
 * one word, what tells its values apart: number in the dictionary when listed, hel_value_code
 * otherwise. A bag is `limit` of them, then, with weights, as many bits of floats. */
typedef struct hel_block {
	size_t count, dense, words; /* count is the stride, too */
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

/** Reads files (plain or gz, cells or an object of JSON in each line, one after the other) and
 * hands out their rows in order, in blocks of HEL_BLOCK_ROWS and a last shorter one; adds texts of
 * listed columns to the dictionary, which may be NULL where none is listed. Rows that do not have
 * the published form are counted and left out.
 *  @retval HEL_EDATA more malformed rows than `max_malformed`; names the first ones. */
HEL_CHECKED hel_status hel_scan(hel_scan_report *report, hel_dictionary *dictionary,
				const hel_dataset *set, const char *const *paths, size_t count,
				uint64_t max_malformed, hel_pool *pool, hel_progress *progress,
				hel_status (*take)(void *arg, const hel_block *block), void *arg);

#endif
