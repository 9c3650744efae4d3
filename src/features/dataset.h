/* dataset.h -- what a published data set looks like: columns, separators, what means missing. */
#ifndef HEL_FEATURES_DATASET_H
#define HEL_FEATURES_DATASET_H

#include "base/base.h"

#define HEL_VALUE_MAX 16 /* bytes of one category's text, zero included */
#define HEL_NAME_MAX 64	 /* bytes of a column name, zero included */
#define HEL_MAX_DENSE 1024
#define HEL_MAX_TABLES 1024

#define HEL_DATASET_LIST(X) X(heart) X(criteo)

typedef enum hel_column_kind { HEL_DENSE, HEL_CATEGORICAL, HEL_LABEL } hel_column_kind;

typedef struct hel_column {
	const char *name;
	hel_column_kind kind;
	bool zero_is_missing; /* a published 0 that cannot be a measurement */
} hel_column;

/** A published data set: its columns in file order and a generator of look-alikes. */
typedef struct hel_dataset {
	const char *name, *credit;
	const hel_column *column;
	size_t columns;
	char separator; /* of cells; rows end with a line */
	bool log_dense; /* dense values enter as ln(1 + max(x, 0)), missing ones as 0 */
	bool hashed;	/* categories are opaque codes: a schema keeps fingerprints, not texts */
	bool whole;	/* dense values are whole numbers */
	double
	    missing; /* what the authors wrote for a value that is not there; 0: nothing special */
	unsigned label_most; /* labels are whole numbers up to it; above 0 is the positive class */
	/* Writes `rows` synthetic rows as the published files look. */
	void (*synthesise)(FILE *out, size_t rows, hel_prng *g);
} hel_dataset;

const hel_dataset *hel_dataset_by_name(const char *name);
/** All of them, from 0; NULL behind the last. */
const hel_dataset *hel_dataset_number(size_t number);
/** Names of all data sets, for messages. */
const char *hel_dataset_names(void);
#define X(name) extern const hel_dataset hel_dataset_##name;
HEL_DATASET_LIST(X)
#undef X

#endif
