/* lookup.h -- rows of tables looked up by encrypted indices: every known way, side by side.
 *
 * A method is two things that do not know each other: what the client sends and how the server
 * turns that into one-hot slots (coded.c, powers.c; nothing to do for one-hot inputs), and the
 * product with the table (product.c), which all methods share. methods.c lists them, lanes.c says
 * where everything stands, client_side.c what is sent and read, smallest.c which ring it takes.
 *
 * Read in this order: hel_lookup_spec, hel_lane_packing, hel_lookup.
 */
#ifndef HEL_LOOKUP_H
#define HEL_LOOKUP_H

#include "vm/shape.h"

/* --- what is asked for ------------------------------------------------------- */

typedef enum hel_lookup_method {
	HEL_LOOKUP_FULL,   /* one-hot over all rows */
	HEL_LOOKUP_DIGITS, /* one-hot digits: HE-LRM */
	HEL_LOOKUP_CODED,  /* digits as numbers, indicators by squarings: [KPLC24]'s recipe */
	HEL_LOOKUP_ROOTS,  /* the same with digits as roots of unity: exact and shallower */
	HEL_LOOKUP_POWERS, /* one root of unity per digit, its powers, a transformed table: [IVE] */
	HEL_LOOKUP_GRID,   /* two short one-hots, one scans, the other selects */
	HEL_LOOKUP_METHODS
} hel_lookup_method;

const char *hel_lookup_name(hel_lookup_method method);
/** @retval HEL_EINVAL unknown; names all. */
HEL_CHECKED hel_status hel_lookup_method_parse(hel_lookup_method *out, const char *name);
/** Looks rows up as they are; the others look up sums of code rows, for which a model is trained.
 */
bool hel_lookup_keeps_rows(hel_lookup_method method);

/** rows x dim numbers. For methods of digits a codebook: digits * base rows, and the vector of a
 *  code is the sum of row i * base + digit i over all i. */
typedef struct hel_table {
	size_t rows, dim;
	const float *value; /* borrowed */
} hel_table;

#define HEL_LOOKUP_BASE_MIN 2
#define HEL_LOOKUP_BASE_MAX 64
#define HEL_LOOKUP_DIGITS_MAX 64
#define HEL_LOOKUP_TABLES_MAX 4096
#define HEL_LOOKUP_BATCH_MAX 32768
#define HEL_LOOKUP_DIM_MAX 65536

typedef struct hel_lookup_spec {
	hel_lookup_method method;
	size_t tables; /* of equal dim */
	const hel_table *table;
	unsigned base, digits; /* of a code; FULL and GRID take neither */
	size_t batch;	       /* lookups in every table in one request */
	unsigned log_n;	       /* 0: the smallest ring that is secure and precise enough */
	unsigned wanted_bits;  /* of precision, relative to the largest output; 0: 15 */
	double norm;	       /* of hel_lookup_norm for these tables or more; 0: to be found */
} hel_lookup_spec;

/* --- tables.c: tables out of foreign files --------------------------------------- */

/** A row a line, numbers apart by blanks, tabs or commas; empty lines are skipped. The caller frees
 *  *value.
 *  @retval HEL_EDATA, HEL_ELIMIT names the line. */
HEL_CHECKED hel_status hel_table_from_text(float **value, size_t *rows, size_t *dim,
					   const char *text, size_t size);

/** A NumPy array of two dimensions in a file's bytes, which it points into. */
typedef struct hel_npy {
	size_t rows, dim;
	bool wide; /* doubles instead of floats, little-endian */
	const uint8_t *data;
} hel_npy;

/** @retval HEL_EFORMAT, HEL_EUNSUPPORTED, HEL_ELIMIT, HEL_ETRUNC what is wrong with it. */
HEL_CHECKED hel_status hel_npy_open(hel_npy *out, const uint8_t *bytes, size_t size);
/** Copies all numbers; the caller frees *value.
 *  @retval HEL_EDATA one is not finite. */
HEL_CHECKED hel_status hel_npy_read(float **value, const hel_npy *npy);

/* --- lanes.c: where everything stands ------------------------------------------ */

/** A lane is the low bits of the slot number: one query into one table, or into a range of its
 *  rows. Above them stand columns (outputs), above those folds, above those copies:
 *
 *      slot = copy | fold h | column k | lane b
 *
 *  A ciphertext of one-hot entries holds entry h * turns + (k mod turns) of its lane; rotations by
 *  whole lanes bring all `turns` of them past each column, and sums over h the rest. */
typedef struct hel_lane_packing {
	unsigned log_slots, lane_bits, column_bits, fold_bits, turn_bits;
	size_t sources; /* ciphertexts of entries */
	size_t results; /* ciphertexts of outputs: columns [r, r + 1) << column_bits */
	size_t
	    select; /* GRID: rows of a lane are this many times 2^select_bits times the entries */
	unsigned select_bits;
	size_t babies;	/* rotations of inputs; of sums turns / babies */
	bool sums_only; /* babies is 1: sums have a product's scale, at which errors are small */
	bool pairs;	/* a slot holds two outputs: real and imaginary part */
} hel_lane_packing;

typedef struct hel_lane {
	uint32_t query, table;
	size_t first; /* the first row of its range */
} hel_lane;

typedef struct hel_lookup {
	hel_lookup_spec spec;
	const struct hel_method *method; /* of the spec */
	hel_lane_packing packing;
	size_t lanes;
	hel_lane *lane; /* sorted by query, table, first */
	double norm;	/* outputs are divided by it, and so lie in [-0.9, 0.9] */
	hel_params *params;
	bool part; /* params belong to another one */
	hel_program *program;
	uint32_t *result; /* ops, packing.results of them */
	hel_shape shape;
	double bits; /* predicted precision: mean |error|, relative to norm */
} hel_lookup;

/* --- client_side.c: what is sent, and what comes back ------------------------------- */

/** For FULL and GRID: no lookup; the output is 0. */
#define HEL_LOOKUP_NONE UINT32_MAX

/** Numbers in one code: digits, or 1 for an index. */
size_t hel_lookup_code_width(const hel_lookup_spec *s);
/** The digits of an index in base `base`, lowest first.
 *  @retval HEL_EDATA it has more. */
HEL_CHECKED hel_status hel_lookup_code(uint32_t *code, const hel_lookup_spec *s, uint64_t index);

/** What to encrypt: the manifest's features for codes [batch][tables][code_width].
 *  @retval HEL_EDATA a row or digit that does not exist; names it. */
HEL_CHECKED hel_status hel_lookup_fill(double *features, const hel_lookup *l, const uint32_t *code);
/** One output vector out of the slots of all results. */
void hel_lookup_read(double *out, const hel_lookup *l, const hel_complex *const *result,
		     size_t query, size_t table, const uint32_t *code);
/** The same from the table itself. code: of this query and table. */
void hel_lookup_truth(double *out, const hel_lookup_spec *s, size_t table, const uint32_t *code);

/* --- smallest.c: the smallest ring ---------------------------------------------------- */

/** What outputs are divided by so that they lie in [-0.9, 0.9], whatever the codes.
 *  @retval HEL_EDATA a table holds numbers that are not finite. */
HEL_CHECKED hel_status hel_lookup_norm(double *out, const hel_lookup_spec *s);

/** Builds the program of a method for the smallest ring that is secure, holds it and reaches the
 *  wanted precision. The tables are borrowed.
 *  @retval HEL_EUNSUPPORTED nothing fits; says what each ring lacks.
 *  @retval HEL_EINVAL the spec is inconsistent; says how. */
HEL_CHECKED hel_status hel_lookup_new(hel_lookup **out, const hel_lookup_spec *spec);
void hel_lookup_free(hel_lookup *l);
/** The same for other rows, e.g. another part of tables too large for one program: parameters
 * (those of `like`, which must outlive it), packing, keys and norm are shared, so that results of
 * all parts may be added up. For FULL and GRID.
 *  @retval HEL_EINVAL the rows do not fit the packing, or numbers are larger. */
HEL_CHECKED hel_status hel_lookup_like(hel_lookup **out, const hel_lookup *like,
				       const hel_table *table);

#endif
