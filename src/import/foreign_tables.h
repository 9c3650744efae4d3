/* foreign_tables.h -- tables of vectors out of a checkpoint, however their rows are kept. */
#ifndef HEL_FOREIGN_TABLES_H
#define HEL_FOREIGN_TABLES_H

#include "checkpoint.h"
#include "import_config.h"

/** Row i is, with c = second->rows, q = first[i div c] and r = second[i mod c]: */
typedef enum hel_table_form {
	HEL_TABLE_FULL, /* first[i] */
	HEL_TABLE_MULT, /* q * r, element by element: quotient-remainder tables */
	HEL_TABLE_ADD,	/* q + r */
	HEL_TABLE_CONCAT,
	HEL_TABLE_PROJECTED /* second first[i], of mixed dimensions */
} hel_table_form;

typedef struct hel_foreign_table {
	char name[HEL_NAME_MAX]; /* for messages */
	hel_table_form form;
	hel_stored *first, *second;
	hel_stored *pooling; /* weighted pooling: a factor for each row; NULL: none */
	size_t begin, count; /* the rows of `first` that are its own: FULL only */
	size_t width;
	float *matrix; /* `second` in single precision, owned; NULL while it is not needed */
} hel_foreign_table;

/** A table that has this tensor's rows [begin, begin + count). */
HEL_CHECKED hel_status hel_table_full(hel_foreign_table *t, hel_stored *weight, size_t begin,
				      size_t count);
/** NAME.weight; NAME.weight_q and NAME.weight_r (as MULT: config or shapes say which);
 * NAME.embs.weight and NAME.proj.weight.
 *  @retval HEL_EFORMAT there is none of them. */
HEL_CHECKED hel_status hel_table_find(hel_foreign_table *t, const hel_checkpoint *c,
				      const char *name);
/** How many rows it has: from *least to *most, since quotient-remainder tables do not tell. */
void hel_table_rows(size_t *least, size_t *most, const hel_foreign_table *t);
/** What stands for value i. */
HEL_CHECKED hel_status hel_table_read(float *out, hel_foreign_table *t, size_t i);
void hel_table_clear(hel_foreign_table *t);

#endif
