/* records.h -- records out of text: a client's, and data sets that fit into memory. */
#ifndef HEL_FEATURES_RECORDS_H
#define HEL_FEATURES_RECORDS_H

#include "dataset.h"

#define HEL_WHERE_MAX 160

/** Raw rows: dense values (NaN = missing), categories as text ("" = missing), labels 0 or 1. */
typedef struct hel_records {
	size_t count, dense, tables;
	double *value;			 /* [count][dense] */
	char (*category)[HEL_VALUE_MAX]; /* [count * tables] */
	uint8_t *label;			 /* [count] */
	bool labelled;
	char unlabelled[HEL_WHERE_MAX]; /* "file:line" of the first row without a label */
} hel_records;

/** Reads published files or records to score, one after the other; "-" is standard input, pipes are
 *  fine. Cells as in cells.h; a file that starts with '{' or '[' is JSON: one object or an array.
 *  @retval HEL_EDATA names file, line or record, column, what was found and what was expected. */
HEL_CHECKED hel_status hel_records_read(hel_records *out, const hel_dataset *set,
					const char *const *paths, size_t count);
/** The same from memory; `name` stands for the file in messages. */
HEL_CHECKED hel_status hel_records_parse(hel_records *out, const hel_dataset *set, const char *name,
					 const char *text, size_t size);
/** Names the records: equal for equal values, whatever they were read from. */
void hel_records_stamp(uint8_t out[HEL_HASH_BYTES], const hel_records *r);
void hel_records_clear(hel_records *r);

#endif
