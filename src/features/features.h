/* features.h -- from a raw record to the numbers a model sees.
 *
 * dataset: how published files look. schema: what was learned on the training
 * split (means, deviations, vocabularies) and which one-hot entries a category
 * becomes. Trainer and client share both, so that they cannot disagree.
 * rows.h: millions of rows, for training.
 */
#ifndef HEL_FEATURES_H
#define HEL_FEATURES_H

#include "base/base.h"

#define HEL_VALUE_MAX 16 /* bytes of one category's text, zero included */
#define HEL_NAME_MAX 64	 /* bytes of a column name, zero included */
#define HEL_MAX_DENSE 1024
#define HEL_MAX_TABLES 1024
#define HEL_MAX_DIGITS 32
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
	char separator; /* of cells; rows end with a line */
	bool log_dense; /* dense values enter as ln(1 + max(x, 0)), missing ones as 0 */
	bool hashed;	/* categories are opaque codes: a schema keeps fingerprints, not texts */
	/* Writes `rows` synthetic rows as the published files look. */
	void (*synthesise)(FILE *out, size_t rows, hel_prng *g);
} hel_dataset;

const hel_dataset *hel_dataset_by_name(const char *name);
/** Names of all data sets, for messages. */
const char *hel_dataset_names(void);
extern const hel_dataset hel_dataset_heart, hel_dataset_criteo;

/** Raw rows: dense values (NaN = missing), categories as text ("" = missing), labels 0 or 1. */
typedef struct hel_records {
	size_t count, dense, tables;
	double *value;			 /* [count][dense] */
	char (*category)[HEL_VALUE_MAX]; /* [count * tables] */
	uint8_t *label;			 /* [count] */
	bool labelled;
} hel_records;

/** Reads published files or records to score, one after the other.
 *  Rows of cells with a header name their columns in any order; without one they have the published
 *  order, the label optional. A file that starts with '{' or '[' is JSON: one object or an array.
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

/** How a table's entries travel. What the server makes of them is the same sum of rows; which one a
 *  model is compiled with changes levels, time and the size of queries, never the model. */
#define HEL_CODING_LIST(X)                                                                         \
	X(HEL_CODING_ONE_HOT, "onehot") /* as they are: one number each */                         \
	X(HEL_CODING_GRID, "grid")	/* two short one-hots, whose product is the long one */    \
	X(HEL_CODING_POWERS,                                                                       \
	  "powers") /* a root of unity for each digit: the server takes powers */                  \
	X(HEL_CODING_ROOTS,                                                                        \
	  "roots") /* a root of unity for each entry: the server tests equality */                 \
	X(HEL_CODING_CODED, "coded") /* a difference for each entry: the server tests equality */

typedef enum hel_coding {
#define X(coding, name) coding,
	HEL_CODING_LIST(X)
#undef X
	    HEL_CODINGS
} hel_coding;

const char *hel_coding_name(hel_coding coding);
/** HEL_CODINGS when unknown. */
hel_coding hel_coding_by_name(const char *name);

#define HEL_CODE_ORDER_MAX 64

/** How the values of one column become one-hot entries.
 *
 *  Row 0 stands for a missing value, row i + 1 for known value i (in sorted order).
 *  Texts: a value that is not known counts as missing. base 0: one-hot over all rows; otherwise the
 *  row's number is written in `digits` digits of that base, each one-hot (HE-LRM).
 *  Hashed: known values are kept as fingerprints of `print_bits` bits. All others, the tail, share
 *  one row after them (base 0, digits 1), or are the sum of one row from each of `digits` groups of
 *  `base` rows, chosen by the digits of the value's hash. */
typedef struct hel_table_field {
	char name[HEL_NAME_MAX];
	uint32_t values;
	char (*value)[HEL_VALUE_MAX]; /* sorted; NULL when hashed */
	bool hashed;
	uint8_t print_bits;
	uint32_t *print; /* sorted; NULL unless hashed */
	uint32_t base, digits;
	hel_coding coding;
	/* GRID: entry e is number e mod coding_size of the low one-hot, e / coding_size of the high
	 * one. Other codes: the order of their roots, the base of their differences. */
	uint32_t coding_size;
} hel_table_field;

#define HEL_SALT_BYTES 16

typedef struct hel_schema {
	char dataset[HEL_NAME_MAX];
	double clip;		      /* standardised dense values are cut to [-clip, clip] */
	uint8_t salt[HEL_SALT_BYTES]; /* of fingerprints: public, another one for every model */
	size_t dense_count, table_count;
	hel_dense_field *dense;
	hel_table_field *table;
} hel_schema;

/** Learns from the rows listed in `rows` (NULL: all). base as in hel_table_field, for all tables.
 */
HEL_CHECKED hel_status hel_schema_fit(hel_schema **out, const hel_dataset *set,
				      const hel_records *records, const size_t *rows, size_t count,
				      double clip, uint32_t base);
/** All fields zero: to be filled in. */
HEL_CHECKED hel_status hel_schema_new(hel_schema **out, size_t dense, size_t tables);
void hel_schema_free(hel_schema *s);
/** How many digits of a base number `rows` rows. */
uint32_t hel_digits_for(uint64_t rows, uint32_t base);
/** JSON text, zero-ended; the caller frees it with hel_free. */
HEL_CHECKED hel_status hel_schema_to_json(char **out, const hel_schema *s);
HEL_CHECKED hel_status hel_schema_from_json(hel_schema **out, const char *text, size_t size);

/** One-hot entries of one table, and of all. */
size_t hel_table_width(const hel_table_field *t);
size_t hel_schema_onehots(const hel_schema *s);
/** How many entries can be 1 at once: one per table or digit. */
size_t hel_schema_hots(const hel_schema *s);
/** The digits' entries: those that place number `place` of a table may name, so that at most one
 *  of them is 1. */
typedef struct hel_digit {
	uint32_t first, width;
} hel_digit;
hel_digit hel_table_digit(const hel_table_field *t, uint32_t place);
/** Roots of unity that tell apart all entries of any digit, and that there is none: the smallest
 *  order for a table. */
uint32_t hel_table_order(const hel_table_field *t);
/** Whether a coding of this size can carry the table. */
bool hel_table_can_be(const hel_table_field *t, hel_coding coding, uint32_t size);

/** Fills the place of an entry that is not there: a known value of a table whose tail has digits.
 */
#define HEL_NO_HOT UINT32_MAX

/** 32 bits of a category's text: what training knows of a value of a hashed table. 0 is missing. */
uint32_t hel_value_hash(const char *text, size_t size);
/** The t->digits entries of one value of hashed table number `table`, counted from `first`. */
void hel_table_hots(uint32_t *hots, const hel_schema *s, size_t table, uint32_t first,
		    uint32_t hash);
/** Makes values of hashed table number `table` known. Two that share a fingerprint share a row,
 * unless `apart`: then fingerprints get longer, up to 32 bits. */
HEL_CHECKED hel_status hel_table_know(hel_schema *s, size_t table, const uint32_t *hash,
				      uint32_t count, bool apart);
/** The fingerprint under which a value of hashed table number `table` is known. */
uint32_t hel_value_print(const hel_schema *s, size_t table, uint32_t hash);
/** A random record within the schema's ranges, as numbers: for checks. */
void hel_schema_random(const hel_schema *s, hel_prng *g, double *dense, uint32_t *hots);

/** One dense column's standardised, clipped value; NaN is missing and becomes the mean. */
double hel_dense_apply(const hel_schema *s, size_t column, double v);

typedef enum hel_unknown { HEL_UNKNOWN_IS_ERROR, HEL_UNKNOWN_IS_MISSING } hel_unknown;

/** Standardised, clipped dense values, and the positions of the ones among all one-hot entries
 *  (or HEL_NO_HOT). *unknown counts categories outside the vocabulary; may be NULL.
 *  @retval HEL_EDATA an unknown category under HEL_UNKNOWN_IS_ERROR. */
HEL_CHECKED hel_status hel_schema_apply(const hel_schema *s, const hel_records *records, size_t row,
					hel_unknown policy, double *dense, uint32_t *hots,
					size_t *unknown);

/** Features of one table, by its coding: ONE_HOT and CODED one for each entry, GRID the low one-hot
 *  before the high one, POWERS cosine and sine for each digit, ROOTS for each entry. */
size_t hel_table_features(const hel_table_field *t);
/** The client's feature vector: dense values; with degree 2 all products x_i x_j, i <= j, in
 *  lexicographic order; then those of all tables; then, if any is GRID, a 1. */
size_t hel_features_width(const hel_schema *s, unsigned degree);
/** Where those of the first table begin. */
size_t hel_features_dense(const hel_schema *s, unsigned degree);
size_t hel_monomials(size_t dense);
/** What a feature vector can be: |feature i| <= range[i], and of the features of one group
 * (group[i]; HEL_NO_GROUP; HEL_COSINE: none, and the next feature is the sine of the same
 * angle) at most one is not 0. Returns the number of groups. */
uint32_t hel_features_ranges(double *range, uint32_t *group, const hel_schema *s, unsigned degree);
void hel_features_fill(double *out, const hel_schema *s, const double *dense, const uint32_t *hots,
		       unsigned degree);

#endif
