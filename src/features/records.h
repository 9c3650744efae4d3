/* records.h -- records out of text: a client's, and data sets that fit into memory. */
#ifndef HEL_FEATURES_RECORDS_H
#define HEL_FEATURES_RECORDS_H

#include "dataset.h"

#define HEL_WHERE_MAX 160

/** One value of a category or bag; where its text is among all texts. */
typedef struct hel_entry {
	size_t text;
	double weight;
} hel_entry;

/** The entries of one cell: none when it is missing. */
typedef struct hel_span {
	size_t first, count;
} hel_span;

/** What is said of a record, bits of hel_records.state. */
typedef enum hel_record_state {
	HEL_RECORD_UNREADABLE = 1, /* all of it counts as missing */
	HEL_RECORD_CUT = 2,	   /* a bag had more entries, or larger weights, than it may */
} hel_record_state;

/** Raw rows: dense values (NaN = missing), categories and bags as texts, labels 0 or 1. */
typedef struct hel_records {
	size_t count, dense, tables;
	double *value;	/* [count][dense] */
	hel_span *cell; /* [count][tables] */
	uint8_t *label; /* [count] */
	uint8_t *state; /* [count] */
	hel_entry *entry;
	size_t entries;
	char *text; /* zero-ended texts */
	size_t texts;
	bool labelled;
	char unlabelled[HEL_WHERE_MAX]; /* "file:line" of the first row without a label */
	char unreadable[HEL_WHERE_MAX]; /* why the first unreadable record is */
	const hel_dataset
	    *set; /* whose columns they have, kept, where somebody must know; or NULL */
} hel_records;

/** Reads published files or records to score, one after the other; "-" is standard input, pipes are
 *  fine. Cells as in cells.h; a file that starts with '{' or '[' is JSON: one object, an array, or
 *  an object in each line.
 *  @retval HEL_EDATA names file, line or record, column, what was found and what was expected. */
HEL_CHECKED hel_status hel_records_read(hel_records *out, const hel_dataset *set,
					const char *const *paths, size_t count);
/** The same from memory; `name` stands for the file in messages. */
HEL_CHECKED hel_status hel_records_parse(hel_records *out, const hel_dataset *set, const char *name,
					 const char *text, size_t size);
/** The same for a description that others wrote, so that what a record holds does not decide
 * whether it is taken: what is not as described is an unreadable record, not an error. At least
 * `least` records, the last ones unreadable if need be.
 *  @retval HEL_EINVAL `least` is more than a text of this size can hold, and than 65,536.
 *  @retval HEL_ENOMEM nothing else. */
HEL_CHECKED hel_status hel_records_take(hel_records *out, const hel_dataset *set, const char *name,
					const char *text, size_t size, size_t least);
/** Whether its first row has as many cells, or the names, that a record of this data set has. */
bool hel_records_look_like(const hel_dataset *set, const char *text, size_t size);
/** How many records a text would hold for anyone: its lines that are not blank, or its JSON
 * objects. A header counts.
 *  @retval HEL_EDATA it is no text, or holds none. */
HEL_CHECKED hel_status hel_records_count(size_t *out, const char *name, const char *text,
					 size_t size);
/** Names the records: equal for equal values, whatever they were read from. */
void hel_records_stamp(uint8_t out[HEL_HASH_BYTES], const hel_records *r);
void hel_records_clear(hel_records *r);

static inline hel_span hel_records_cell(const hel_records *r, size_t row, size_t table)
{
	return r->cell[row * r->tables + table];
}
/** Entry k of all. */
static inline const char *hel_records_text(const hel_records *r, size_t k)
{
	return r->text + r->entry[k].text;
}
/** The first text of a cell, "" when it is missing. */
static inline const char *hel_records_category(const hel_records *r, size_t row, size_t table)
{
	const hel_span s = hel_records_cell(r, row, table);
	return s.count ? hel_records_text(r, s.first) : "";
}

#endif
