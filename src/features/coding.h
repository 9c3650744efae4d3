/* coding.h -- the feature vector: how the entries of each table travel. */
#ifndef HEL_FEATURES_CODING_H
#define HEL_FEATURES_CODING_H

#include "schema.h"

#define HEL_CODE_ORDER_MAX 64

const char *hel_coding_name(hel_coding coding);
/** HEL_CODINGS when unknown. */
hel_coding hel_coding_by_name(const char *name);

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

/** Features of one table, by its coding: ONE_HOT and CODED one for each entry, GRID the low one-hot
 *  before the high one, POWERS cosine and sine for each digit, ROOTS for each entry. */
size_t hel_table_features(const hel_table_field *t);
/** The client's feature vector: dense values; with degree 2 all products x_i x_j, i <= j, in
 *  lexicographic order; then those of all tables; then, if any is GRID, a 1. */
uint64_t hel_features_width(const hel_schema *s, unsigned degree);
/** Where those of the first table begin. */
size_t hel_features_dense(const hel_schema *s, unsigned degree);
size_t hel_monomials(size_t dense);
/** What a feature vector can be: |feature i| <= range[i], and of one group (group[i]; HEL_NO_GROUP;
 * HEL_COSINE: none, and the next feature is the sine of the same angle) |feature i| / range[i] add
 * up to at most 1: one entry is 1, or those of a bag share its reach. Returns the number of groups.
 */
uint32_t hel_features_ranges(double *range, uint32_t *group, const hel_schema *s, unsigned degree);
void hel_features_fill(double *out, const hel_schema *s, const double *dense, const uint32_t *hots,
		       unsigned degree);

#endif
