/* column_stats.h -- what the cells of one column look like, in bounded memory; and what kind of
 * column that makes it.
 */
#ifndef HEL_FEATURES_COLUMN_STATS_H
#define HEL_FEATURES_COLUMN_STATS_H

#include "cells.h"

#define HEL_MARKERS 10 /* texts that often stand for a missing value */

typedef struct hel_column_stats hel_column_stats;

/** What is said of a column beside its kind. */
typedef struct hel_column_report {
	uint64_t rows, missing;
	double distinct;  /* estimated, about 1 % */
	double low, high; /* of numbers */
	uint32_t entries; /* of a bag at most */
	char why[96];
} hel_column_report;

HEL_CHECKED hel_status hel_column_stats_new(hel_column_stats **out);
void hel_column_stats_free(hel_column_stats *s);
void hel_column_stats_cell(hel_column_stats *s, hel_cell cell);
/** A value of JSON; NULL: it is not there. */
void hel_column_stats_value(hel_column_stats *s, const hel_json_value *v);
/** Marker k, and whether any cell was it. */
const char *hel_column_marker(const hel_column_stats *s, unsigned k, bool *seen);
/** Sets all of c but its name; label: it is the label.
 *  @retval HEL_EDATA it cannot be the label. */
HEL_CHECKED hel_status hel_column_stats_kind(hel_column *c, hel_column_report *report,
					     const hel_column_stats *s, bool label);

#endif
