/* propose.h -- a description of columns out of files, read once as a stream. */
#ifndef HEL_FEATURES_PROPOSE_H
#define HEL_FEATURES_PROPOSE_H

#include "column_stats.h"

typedef struct hel_proposal {
	hel_dataset *set;
	hel_column_report *column; /* [set->columns] */
	uint64_t rows, left_out;   /* malformed ones */
	char first_left_out[160];
} hel_proposal;

/** Reads files (cells or an object of JSON in each line, plain or gz) and proposes what their
 * columns are. label: a name of the first row, or of JSON's members; without a header the label's
 * number from 1, and columns are called c1, c2 ... Memory is bounded: about 30 kB a column.
 *  @retval HEL_EDATA there is no such column, or it is no label. */
HEL_CHECKED hel_status hel_propose(hel_proposal *out, const char *name, const char *label,
				   const char *const *paths, size_t count, hel_progress *progress);
void hel_proposal_clear(hel_proposal *p);

#endif
