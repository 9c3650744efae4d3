/* schema.h -- what was learned on the training part: means, deviations, vocabularies; and which
 * one-hot entries a record becomes. Trainer and client share it, so that they cannot disagree.
 */
#ifndef HEL_FEATURES_SCHEMA_H
#define HEL_FEATURES_SCHEMA_H

#include "records.h"
#include <string.h>

#define HEL_MAX_DIGITS 32
#define HEL_MAX_BUCKETS 64
#define HEL_MAX_VOCABULARY (1u << 24)
#define HEL_SCHEMA_TEXT_MAX (64u << 20)

typedef struct hel_dense_field {
	char name[HEL_NAME_MAX];
	double mean, deviation;
	double low, high; /* values are cut to this before anything else; infinite: they are not */
	double least, most; /* about what was learned from (hel_dense_saw); infinite: not known */
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

/** How the values of one column become entries: one-hot ones, of a bag counts or weights.
 *
 *  Row 0 stands for a missing value, row i + 1 for known value i (in sorted order).
 *  Texts: a value that is not known counts as missing. base 0: one-hot over all rows; otherwise the
 *  row's number is written in `digits` digits of that base, each one-hot (HE-LRM).
 *  Hashed: known values are kept as fingerprints of `print_bits` bits. All others, the tail, share
 *  one row after them (base 0, digits 1), or are the sum of one row from each of `digits` groups of
 *  `base` rows, chosen by the digits of the value's hash.
 *  Or those of the tail that were seen often enough are known, too, by the bucket of about their
 *  click rate: one of `buckets` rows after the known ones; all others share the row behind.
 *  Ids (modulo) are hashed, too: no value is known, and id mod base chooses one of `base` rows.
 *  A bag names up to `bag.limit` values at once, and the missing value's row when it is empty. */
typedef struct hel_table_field {
	char name[HEL_NAME_MAX];
	uint32_t values;
	const char **value; /* sorted; NULL when hashed; see hel_table_list */
	char *text;	    /* what they point into */
	bool hashed, modulo;
	hel_bag bag; /* as the column says; limit 0: not a bag */
	uint8_t print_bits;
	uint32_t *print; /* sorted; NULL unless hashed */
	uint8_t rate_bits;
	uint32_t buckets, rated; /* values known by their bucket, by fingerprints of rate_bits */
	uint32_t *rated_print;	 /* sorted */
	uint8_t *bucket;	 /* of each */
	uint32_t base, digits;
	uint32_t moved; /* tables of another part that stood before it: its values are salted as
			 * if they still did */
	hel_coding coding;
	/* GRID: entry e is number e mod coding_size of the low one-hot, e / coding_size of the high
	 * one. Other codes: the order of their roots, the base of their differences. */
	uint32_t coding_size;
} hel_table_field;

#define HEL_SALT_BYTES 16

struct hel_fold_rates;

typedef struct hel_schema {
	char dataset[HEL_NAME_MAX];
	const hel_dataset *set;	      /* kept; NULL: of no data set that is known */
	double clip;		      /* standardised dense values are cut to [-clip, clip] */
	uint8_t salt[HEL_SALT_BYTES]; /* of fingerprints: public, another one for every model */
	size_t dense_count, table_count;
	hel_dense_field *dense;
	hel_table_field *table;
	struct hel_fold_rates *folds; /* while it trains (rates.h); never written */
} hel_schema;

/** Learns from the rows listed in `rows` (NULL: all). base as in hel_table_field, for all tables.
 */
HEL_CHECKED hel_status hel_schema_fit(hel_schema **out, const hel_dataset *set,
				      const hel_records *records, const size_t *rows, size_t count,
				      double clip, uint32_t base);
/** To be filled in: all fields zero, no dense value cut. */
HEL_CHECKED hel_status hel_schema_new(hel_schema **out, size_t dense, size_t tables);
/** The same with a data set's columns: names, bags and ids, and nothing learned; keeps the set. */
HEL_CHECKED hel_status hel_schema_of(hel_schema **out, const hel_dataset *set);
/** Whether it is one of this data set's columns, so that any of its records can be applied.
 *  @retval HEL_EFORMAT names the first column that is not. */
HEL_CHECKED hel_status hel_schema_fits(const hel_schema *s, const hel_dataset *set);
/** Lists the values of a table that is not hashed: copies, sorted, each once. */
HEL_CHECKED hel_status hel_table_list(hel_table_field *t, const char *const *text, size_t count);
void hel_schema_free(hel_schema *s);
/** How many digits of a base number `rows` rows. */
uint32_t hel_digits_for(uint64_t rows, uint32_t base);
/** JSON text, zero-ended; the caller frees it with hel_free. */
HEL_CHECKED hel_status hel_schema_to_json(char **out, const hel_schema *s);
HEL_CHECKED hel_status hel_schema_from_json(hel_schema **out, const char *text, size_t size);
/** One of its own, with all that a file would hold. */
HEL_CHECKED hel_status hel_schema_copy(hel_schema **out, const hel_schema *s);
/** The same as hel_schema_from_json from a value of a larger text. */
HEL_CHECKED hel_status hel_schema_from_value(hel_schema **out, const hel_json_value *value);

/** One-hot entries of one table, and of all. */
size_t hel_table_width(const hel_table_field *t);
size_t hel_schema_onehots(const hel_schema *s);
/** A record's entries as 32-bit words, table by table: hel_table_places positions among all entries
 *  of all tables (or HEL_NO_HOT), and behind those of a bag as many weights, the bits of floats.
 *  Without bags: how many entries can be 1 at once, one per table or digit. */
size_t hel_schema_hots(const hel_schema *s);
/** Entries that a table's part can name at once: its digits, those of each value of a bag. */
static inline size_t hel_table_places(const hel_table_field *t)
{
	return (size_t)t->digits * HEL_MAX(t->bag.limit, 1u);
}
static inline size_t hel_table_words(const hel_table_field *t)
{
	return hel_table_places(t) * (t->bag.limit ? 2 : 1);
}
static inline float hel_word_weight(uint32_t word)
{
	float w;
	memcpy(&w, &word, sizeof w);
	return w;
}
/** Fills the place of an entry that is not there: a known value of a table whose tail has digits,
 *  a bag with fewer values. */
#define HEL_NO_HOT UINT32_MAX
/** The most that |entries| of one place of a bag add up to, 1 where there is no bag. */
double hel_bag_reach(const hel_bag *b);
/** The places of row `number` of a table that is not hashed; `first` is the table's first entry. */
void hel_table_spread(uint32_t *hots, const hel_table_field *t, uint32_t first, uint32_t number);
/** Completes a bag's words once `count` values have their places, and weight[i] is that of value i:
 *  what of pooling is left to do. */
void hel_bag_close(uint32_t *words, const hel_table_field *t, uint32_t first, const float *weight,
		   uint32_t count);

/** A random record within the schema's ranges, as numbers: for checks. */
void hel_schema_random(const hel_schema *s, hel_prng *g, double *dense, uint32_t *hots);

/** Whether records can have such a mean and deviation. Beyond, a model's numbers drown or overflow,
 *  and a client would refuse them. */
bool hel_dense_is_plausible(const hel_dense_field *d);
/** Keeps the range of values learned from, rounded outward to quarters of a deviation: manifests
 *  are public, and the oldest patient's age is nobody's business. */
void hel_dense_saw(hel_dense_field *d, double least, double most);
/** Beyond so many deviations a value is far outside what was learned from, and counted. */
#define HEL_FAR 10
/** Whether one dense column's value is, before it is clipped; a missing one never. */
bool hel_dense_is_far(const hel_schema *s, size_t column, double v);
/** One dense column's standardised, clipped value; NaN is missing and becomes the mean. */
double hel_dense_apply(const hel_schema *s, size_t column, double v);

typedef enum hel_unknown { HEL_UNKNOWN_IS_ERROR, HEL_UNKNOWN_IS_MISSING } hel_unknown;

/** The row of a text in a table that is not hashed; 0 when it is missing or not known. */
uint32_t hel_table_row(const hel_table_field *t, const char *text);
/** Standardised, clipped dense values, and the record's words (hel_schema_hots). *unknown counts
 * categories outside the vocabulary; may be NULL.
 *  @retval HEL_EDATA an unknown category under HEL_UNKNOWN_IS_ERROR. */
HEL_CHECKED hel_status hel_schema_apply(const hel_schema *s, const hel_records *records, size_t row,
					hel_unknown policy, double *dense, uint32_t *hots,
					size_t *unknown);

#endif
