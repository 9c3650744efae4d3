/* cells.h -- the one grammar of records in text: what a line, a cell, a number, a category, a
 * bag and a label are (docs/data.md). scan.c reads millions of rows by it, records.c those of a
 * client, pytorch.c what a schema lists, so that none of them sees another value than the others.
 */
#ifndef HEL_FEATURES_CELLS_H
#define HEL_FEATURES_CELLS_H

#include "dataset.h"

#define HEL_REASON_MAX 256 /* bytes of what is wrong with a row, zero included */

/** Part of a text that someone else owns. */
typedef struct hel_cell {
	const char *at;
	size_t size;
} hel_cell;

/** How the rows of one file stand: which column each of its cells is. */
typedef struct hel_row_form {
	const hel_dataset *set;
	size_t cells;			  /* of every row */
	uint16_t column[HEL_MAX_COLUMNS]; /* number of each cell's column in the data set */
	bool header;			  /* the row that it was learned from is a header */
	bool labelled;			  /* there is a column of labels */
} hel_row_form;

/** Steps over a byte order mark. NULL, or the encoding of a text that is not read: "UTF-16". */
const char *hel_skip_mark(const char **text, size_t *size);
/** The text without blanks at both ends. */
hel_cell hel_cell_of(const char *text, size_t size);
/** Nothing but blanks, and no separator: not a row. */
bool hel_line_is_blank(const char *line, const char *end, char separator);

/** Cuts [line, end) into at most HEL_MAX_COLUMNS cells. Blanks around a cell are not part of it;
 * one that starts with a quote ends with one, and two quotes in it are one (RFC 4180, but a line
 * break is never part of a cell). Quotes are taken out in place. false leaves the reason. */
bool hel_split_line(hel_cell *cell, size_t *count, char *line, char *end, char separator,
		    char reason[HEL_REASON_MAX]);

/** The form that the first row of a file decides: a header names all columns but the label, in any
 *  order; other rows stand in the published order and may end before a label that comes last.
 *  false leaves the reason. */
bool hel_row_form_of(hel_row_form *out, const hel_dataset *set, const hel_cell *cell, size_t count,
		     char reason[HEL_REASON_MAX]);
/** Whether a later row has as many cells; false leaves the reason. */
bool hel_row_fits(const hel_row_form *form, size_t count, char reason[HEL_REASON_MAX]);

/** What a row is made of, as it is read; columns in the order of the row. */
typedef struct hel_row_sink {
	void *arg;
	void (*dense)(void *arg, const hel_column *c, double v); /* NaN when missing */
	/* A value of a category or bag as canonical text, not empty; none when missing. false
	 * leaves the reason and ends the row. */
	bool (*entry)(void *arg, const hel_column *c, const char *text, size_t size, double weight,
		      char reason[HEL_REASON_MAX]);
	void (*label)(void *arg, uint8_t label);	  /* 0 or 1; none when missing */
	void (*left_out)(void *arg, const hel_column *c); /* entries of a bag were cut; or NULL */
} hel_row_sink;

/** Missing are: nothing, '?', and what the data set lists. Both return false for a row that is
 *  malformed, and leave the reason. */
bool hel_read_cells(const hel_row_sink *sink, const hel_row_form *form, const hel_cell *cell,
		    char reason[HEL_REASON_MAX]);
/** The same of an object whose members are named as the columns are. */
bool hel_read_object(const hel_row_sink *sink, const hel_dataset *set, const hel_json_value *object,
		     char reason[HEL_REASON_MAX]);

/** A finite number. */
bool hel_cell_number(double *out, hel_cell cell);
/** What a value of JSON that is neither array nor object would be as a cell; NULL: missing. */
hel_cell hel_value_cell(char number[40], const hel_json_value *v);
/** One value of a category or bag: its canonical text, "" when missing. */
bool hel_cell_category(char out[HEL_VALUE_MAX], const hel_dataset *set, const hel_column *c,
		       hel_cell cell, char reason[HEL_REASON_MAX]);

#endif
