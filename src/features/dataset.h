/* dataset.h -- what a table of records looks like: its columns, and what their cells mean. A data
 * set is a description, in JSON (docs/data.md), read by dataset_file.c: a built-in one by its name,
 * or anybody's. A model and a manifest carry theirs (hel_schema), so that whoever has either needs
 * no file. Immutable once read; any number of threads may use one.
 */
#ifndef HEL_FEATURES_DATASET_H
#define HEL_FEATURES_DATASET_H

#include "base/base.h"
#include "base/json.h"

#define HEL_VALUE_MAX 256    /* bytes of one category's text, zero included */
#define HEL_CODE_TEXT_MAX 16 /* of a code's (HEL_FORM_CODE) */
#define HEL_NAME_MAX 64	     /* bytes of a column name, zero included */
#define HEL_MAX_DENSE 1024
#define HEL_MAX_TABLES 1024
#define HEL_MAX_COLUMNS 4096		/* those that are ignored included */
#define HEL_MAX_MODULO ((1u << 24) - 1) /* rows of a table of ids */
#define HEL_MAX_BAG 1024		/* entries of one bag */
#define HEL_MAX_BAGS (1u << 16)		/* of all bags of a record */
#define HEL_MAX_BAG_WEIGHT 1e6
#define HEL_MAX_MISSING 16

/** Those that are compiled in, and have a generator of look-alikes. */
#define HEL_DATASET_LIST(X) X(heart) X(criteo) X(movies) X(clicks)

/** Which values a category can have. */
#define HEL_VALUES_LIST(X)                                                                         \
	X(HEL_LISTED, "listed") /* the schema lists their texts; others count as missing */        \
	X(HEL_HASHED, "hashed") /* the schema keeps fingerprints; others share rows, by a hash */  \
	X(HEL_MODULO, "modulo") /* whole numbers: row id mod `modulo`, nothing is learned */

/** What of a category's text tells values apart. */
#define HEL_FORM_LIST(X)                                                                           \
	X(HEL_FORM_EXACT, "exact")   /* all of it, up to HEL_VALUE_MAX - 1 bytes of UTF-8 */       \
	X(HEL_FORM_NUMBER, "number") /* of numbers what they are: "3.0" is "3"; words stay */      \
	X(HEL_FORM_CODE,                                                                           \
	  "code") /* all of it, up to HEL_CODE_TEXT_MAX - 1 visible ASCII characters */

/** What becomes of a bag's entries. */
#define HEL_POOLING_LIST(X)                                                                        \
	X(HEL_POOL_SUM, "sum")	 /* each adds its row, times its weight */                         \
	X(HEL_POOL_MEAN, "mean") /* the same, divided by the number of entries */                  \
	X(HEL_POOL_MAX, "max")	 /* a row that several name counts once, with the largest weight */

#define X(value, name) value,
typedef enum hel_values { HEL_VALUES_LIST(X) HEL_VALUES } hel_values;
typedef enum hel_text_form { HEL_FORM_LIST(X) HEL_FORMS } hel_text_form;
typedef enum hel_pooling { HEL_POOLING_LIST(X) HEL_POOLINGS } hel_pooling;
#undef X

typedef enum hel_column_kind { HEL_DENSE, HEL_CATEGORICAL, HEL_LABEL, HEL_IGNORED } hel_column_kind;

/** Several values in one cell. */
typedef struct hel_bag {
	uint32_t limit; /* entries of one record at most; 0: a category, not a bag */
	char separator; /* of entries; 0: a cell is a JSON array */
	bool weighted;	/* entries are VALUE:WEIGHT */
	bool refuse;	/* more entries or larger weights are an error; otherwise they are cut */
	hel_pooling pooling;
	double most; /* |weight| of one entry, 1 where there are none */
} hel_bag;

typedef struct hel_column {
	char name[HEL_NAME_MAX];
	hel_column_kind kind;
	uint16_t nth;  /* among those of its kind */
	uint32_t word; /* where its values begin among those of a row that is read as a stream */
	bool public;   /* of items, which the server knows: the default of compile --public */
	/* dense: x, or with `log` ln(max(x, least) + plus) in single precision */
	bool whole;	      /* only whole numbers */
	bool zero_is_missing; /* a published 0 that cannot be a measurement */
	bool log;
	double plus, least;
	bool fills;	  /* what is missing counts as `fill`; otherwise as the mean */
	double fill;	  /* before the logarithm */
	double low, high; /* quantiles of the training part that values are cut to; 0 and 1: none */
	/* category, bag */
	hel_values values;
	hel_text_form form;
	uint32_t modulo;
	bool hexadecimal; /* ids are */
	hel_bag bag;
	/* label: the positive class are whole numbers above 0, at most `most`; with `threshold`
	 * numbers above `above`; with `words` the text `positive` */
	unsigned most;
	bool threshold, words;
	double above;
	char positive[HEL_NAME_MAX], negative[HEL_NAME_MAX];
} hel_column;

typedef struct hel_dataset {
	char name[HEL_NAME_MAX], credit[256];
	hel_column *column; /* in file order */
	size_t columns, dense, tables;
	size_t words;	/* of a row's categories and bags, read as a stream (scan.h) */
	char separator; /* of cells; rows end with a line */
	bool small;	/* held in memory and cross-validated; others are read as a stream */
	/* what stands for a value that is not there, beside nothing and '?' */
	size_t missing_texts, missing_numbers;
	char missing_text[HEL_MAX_MISSING][HEL_NAME_MAX];
	double missing_number[HEL_MAX_MISSING];
	/* built-in ones only: writes `rows` rows as the published files look */
	void (*synthesise)(FILE *out, size_t rows, hel_prng *g);
	bool implied; /* its name says all: models and manifests carry no more */
	unsigned long uses;
} hel_dataset;

/** A description as text.
 *  @retval HEL_EFORMAT "columns, column 'age': ..." */
HEL_CHECKED hel_status hel_dataset_from_json(hel_dataset **out, const char *text, size_t size);
HEL_CHECKED hel_status hel_dataset_from_value(hel_dataset **out, const hel_json_value *root);
/** The same description, indented; the caller frees it with hel_free. */
HEL_CHECKED hel_status hel_dataset_to_json(char **out, const hel_dataset *set);
void hel_dataset_put(hel_json_writer *j, const char *name, const hel_dataset *set);
/** Another owner; each drops it once. Both take NULL; neither does anything to a built-in one. */
const hel_dataset *hel_dataset_keep(const hel_dataset *set);
void hel_dataset_drop(const hel_dataset *set);

/** A built-in one, NULL when there is none of this name or no memory. */
const hel_dataset *hel_dataset_by_name(const char *name);
/** All of them, from 0; NULL behind the last. */
const hel_dataset *hel_dataset_number(size_t number);
/** Their names, for messages. */
const char *hel_dataset_names(void);

/** NULL when there is none. */
const hel_column *hel_dataset_column(const hel_dataset *set, const char *name);
/** Number `nth` of the columns of a kind. */
const hel_column *hel_dataset_nth(const hel_dataset *set, hel_column_kind kind, size_t nth);
static inline bool hel_column_is_hashed(const hel_column *c)
{
	return c->values != HEL_LISTED;
}
/** What a dense value as records hold it was in the file. */
double hel_column_raw(const hel_column *c, double v);
/** As descriptions write them. */
const char *hel_values_name(hel_values v);

/** What is compiled in of a data set. */
typedef struct hel_builtin {
	const char *text; /* its description */
	void (*synthesise)(FILE *out, size_t rows, hel_prng *g);
	bool implied;
} hel_builtin;
#define X(name) extern const hel_builtin hel_builtin_##name;
HEL_DATASET_LIST(X)
#undef X

#endif
