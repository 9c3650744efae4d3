/* features.h -- from a raw record to the numbers a model sees.
 *
 * dataset: how published files look. schema: what was learned on the training
 * split (means, deviations, vocabularies) and how categories are written as
 * digits. Trainer and client share both, so that they cannot disagree.
 */
#ifndef HEL_FEATURES_H
#define HEL_FEATURES_H

#include "base/base.h"

#define HEL_VALUE_MAX 16 /* bytes of one category's text, zero included */
#define HEL_NAME_MAX 64	 /* bytes of a column name, zero included */
#define HEL_MAX_DENSE 1024
#define HEL_MAX_TABLES 1024
#define HEL_MAX_VOCABULARY (1u << 24)
#define HEL_SCHEMA_TEXT_MAX (64u << 20)

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
	/* Writes `rows` synthetic rows as the published files look. */
	void (*synthesise)(FILE *out, size_t rows, hel_prng *g);
} hel_dataset;

const hel_dataset *hel_dataset_by_name(const char *name);
/** Names of all data sets, for messages. */
const char *hel_dataset_names(void);
extern const hel_dataset hel_dataset_heart;

/** Raw rows: dense values (NaN = missing), categories as text ("" = missing), labels 0 or 1. */
typedef struct hel_records {
	size_t count, dense, tables;
	double *value;			 /* [count][dense] */
	char (*category)[HEL_VALUE_MAX]; /* [count * tables] */
	uint8_t *label;			 /* [count] */
	bool labelled;
} hel_records;

/** Reads published files or records to score, one after the other.
 *  CSV with a header names its columns in any order; without one it has the published order, the
 *  label last and optional. A file that starts with '{' or '[' is JSON: one object or an array.
 *  @retval HEL_EDATA names file, line, column, what was found and what was expected. */
HEL_CHECKED hel_status hel_records_read(hel_records *out, const hel_dataset *set,
					const char *const *paths, size_t count);
/** The same from memory; `name` stands for the file in messages. */
HEL_CHECKED hel_status hel_records_parse(hel_records *out, const hel_dataset *set, const char *name,
					 const char *text, size_t size);
void hel_records_clear(hel_records *r);

typedef struct hel_dense_field {
	char name[HEL_NAME_MAX];
	double mean, deviation;
} hel_dense_field;

/** Row 0 stands for a missing value, row i + 1 for value[i]. base 0: one-hot over all rows.
 *  Otherwise the row number is written in `digits` digits of that base, each one-hot (HE-LRM). */
typedef struct hel_table_field {
	char name[HEL_NAME_MAX];
	uint32_t values;
	char (*value)[HEL_VALUE_MAX]; /* sorted */
	uint32_t base, digits;
} hel_table_field;

typedef struct hel_schema {
	char dataset[HEL_NAME_MAX];
	double clip; /* standardised dense values are cut to [-clip, clip] */
	size_t dense_count, table_count;
	hel_dense_field *dense;
	hel_table_field *table;
} hel_schema;

/** Learns from the rows listed in `rows` (NULL: all). base as in hel_table_field, for all tables.
 */
HEL_CHECKED hel_status hel_schema_fit(hel_schema **out, const hel_dataset *set,
				      const hel_records *records, const size_t *rows, size_t count,
				      double clip, uint32_t base);
void hel_schema_free(hel_schema *s);
/** JSON text, zero-ended; the caller frees it with hel_free. */
HEL_CHECKED hel_status hel_schema_to_json(char **out, const hel_schema *s);
HEL_CHECKED hel_status hel_schema_from_json(hel_schema **out, const char *text, size_t size);

/** One-hot entries of one table, and of all. */
size_t hel_table_width(const hel_table_field *t);
size_t hel_schema_onehots(const hel_schema *s);
/** Entries that are 1 in every one-hot vector of the schema: one per table or digit. */
size_t hel_schema_hots(const hel_schema *s);

typedef enum hel_unknown { HEL_UNKNOWN_IS_ERROR, HEL_UNKNOWN_IS_MISSING } hel_unknown;

/** Standardised, clipped dense values, and the positions of the ones among all one-hot entries.
 *  *unknown counts categories outside the vocabulary; may be NULL.
 *  @retval HEL_EDATA an unknown category under HEL_UNKNOWN_IS_ERROR. */
HEL_CHECKED hel_status hel_schema_apply(const hel_schema *s, const hel_records *records, size_t row,
					hel_unknown policy, double *dense, uint32_t *hots,
					size_t *unknown);

/** The client's feature vector: dense values; with degree 2 all products x_i x_j, i <= j, in
 *  lexicographic order; then all one-hot entries. */
size_t hel_features_width(size_t dense, size_t onehots, unsigned degree);
size_t hel_monomials(size_t dense);
void hel_features_fill(double *out, const hel_schema *s, const double *dense, const uint32_t *hots,
		       unsigned degree);

#endif
