/* method.h -- what the methods of lookup share while they write their programs. Internal. */
#ifndef HEL_LOOKUP_METHOD_H
#define HEL_LOOKUP_METHOD_H

#include "circuit/circuit.h"
#include "lookup.h"
#include "prog/codes.h"

/** A program that is being written. */
typedef struct hel_draft {
	hel_builder b;
	hel_lookup *l;
	const hel_params *params;
	size_t selecting;	/* GRID: the sum that is being made */
	hel_complex *transform; /* POWERS: the tables in the basis of powers */
} hel_draft;

/** What a method is. Entries are what one lane sends: one-hot entries, or one number per digit. */
typedef struct hel_method {
	const char *name;
	bool keeps_rows;
	bool complex_input;
	unsigned (*levels)(const hel_lookup_spec *s); /* all, the table's product included */
	/* log_slots is set; picks the rest. False: too few slots. */
	bool (*pack)(hel_lane_packing *packing, const hel_lookup_spec *s, const hel_params *params);
	hel_status (*emit)(hel_draft *d);
	void (*fill)(double *features, const hel_lookup *l, size_t lane, const uint32_t *code);
	/* Of every feature. NULL: they are one-hot, so that the norm bounds all values, and a base
	 * of one prime holds them. */
	double (*bound)(const hel_lookup_spec *s);
} hel_method;

/* --- methods.c ------------------------------------------------------------- */

extern const hel_method hel_method_full, hel_method_digits, hel_method_coded, hel_method_roots,
    hel_method_powers, hel_method_grid;
const hel_method *hel_method_of(hel_lookup_method method);

/* --- lanes.c -------------------------------------------------------------- */

/** Columns a table needs. */
size_t hel_lanes_columns(const hel_lane_packing *packing, const hel_lookup_spec *s);
/** One lane for each query and table, columns as far as they fit, folds for the rest. */
bool hel_lanes_by_table(hel_lane_packing *packing, const hel_lookup_spec *s, size_t entries);
/** Lanes for ranges of `rows` rows each: how many all queries take together. */
size_t hel_lanes_ranges(const hel_lookup_spec *s, size_t rows);
/** Rows in the range of one lane of FULL or GRID. */
size_t hel_lanes_lane_rows(const hel_lane_packing *packing);
/** The cheapest number of rotated inputs for `values` inputs and `sums` sums. */
size_t hel_lanes_babies(const hel_lane_packing *packing, const hel_params *params, unsigned level,
			size_t values, size_t sums);
/** Elements of one input ciphertext, and the number of one of them among its features. */
size_t hel_lanes_width(const hel_lane_packing *packing, bool complex_input);
size_t hel_lanes_feature(const hel_lane_packing *packing, bool complex_input, size_t source,
			 size_t entry, size_t lane);

/* --- product.c --------------------------------------------------------------- */

/** All inputs of a packing's entries; value[source]. */
HEL_CHECKED hel_status hel_emit_inputs(hel_draft *d, uint32_t *value, unsigned level);
/** value + conjugate(value), or that conjugate alone. */
HEL_CHECKED hel_status hel_emit_conjugate(hel_draft *d, uint32_t value);

/** What value number `value` multiplies in column `column` (of all results) of a lane where it
 *  holds entry `entry`. */
typedef hel_complex (*hel_weight)(const hel_draft *d, size_t value, size_t entry, size_t column,
				  size_t lane);

/** One result: value[0..count) times the table, not rescaled. first: its first column. */
HEL_CHECKED hel_status hel_emit_product(hel_draft *d, const uint32_t *value, size_t count,
					size_t first, hel_weight weight);
/** Sums over the packing's folds, and adds the conjugate when `conjugate`. */
HEL_CHECKED hel_status hel_emit_folds(hel_draft *d, unsigned level, bool conjugate);
/** All results: product, folds, rescaling. Level 1. */
HEL_CHECKED hel_status hel_emit_results(hel_draft *d, const uint32_t *value, size_t count,
					hel_weight weight, bool conjugate);

/** All of a method whose entries the client sends: a layer, its inputs, their products. */
HEL_CHECKED hel_status hel_emit_lookup(hel_draft *d, const char *text, hel_weight weight);
/** Rows of the longest table. */
size_t hel_lookup_most_rows(const hel_lookup_spec *s);

/** Outputs 2 column and 2 column + 1 of a row, divided by the norm; or one alone. */
hel_complex hel_table_pair(const hel_lookup *l, size_t table, size_t row, size_t column);

#endif
