/* expression.h -- affine maps of what stands: dense values, rows of tables, stages' values. */
#ifndef HEL_EXPRESSION_H
#define HEL_EXPRESSION_H

#include "base/base.h"

/* What a part is a map of: a stage from 0 on, or */
enum { HEL_OF_DENSE = -1, HEL_OF_TABLES = -2 };

typedef struct hel_map_part {
	int of;
	size_t width;
	double *matrix; /* [rows][width]; of a stage that grows, of its first rows */
} hel_map_part;

/** sum of parts + bias. Without parts: a constant. */
typedef struct hel_expression {
	size_t rows, parts;
	hel_map_part *part;
	double *bias;
} hel_expression;

/* Outputs are new expressions; on errors they stay as they were.
 *  @retval HEL_ELIMIT a matrix of more than 2^26 numbers. */

void hel_expression_clear(hel_expression *e);
/** Elements [first, first + rows) of `of`, which has `width`, times scale, plus bias. */
HEL_CHECKED hel_status hel_expression_of(hel_expression *out, int of, size_t width, size_t first,
					 size_t rows, double scale, double bias);
HEL_CHECKED hel_status hel_expression_copy(hel_expression *out, const hel_expression *e);
/** weight times e, plus bias unless that is NULL; weight: [rows][e->rows]. */
HEL_CHECKED hel_status hel_expression_layer(hel_expression *out, const hel_expression *e,
					    const float *weight, const float *bias, size_t rows);
/** weight times e; weight: [rows][e->rows]. */
HEL_CHECKED hel_status hel_expression_map(hel_expression *out, const hel_expression *e,
					  const double *weight, size_t rows);
/** One row, the same for every record. */
HEL_CHECKED hel_status hel_expression_constant(hel_expression *out, double value);
/** One after the other. */
HEL_CHECKED hel_status hel_expression_join(hel_expression *out, const hel_expression *const *e,
					   size_t count);
/** factor times the sum. */
HEL_CHECKED hel_status hel_expression_sum(hel_expression *out, const hel_expression *const *e,
					  size_t count, double factor);
/** Row i is row[i] of e. */
HEL_CHECKED hel_status hel_expression_pick(hel_expression *out, const hel_expression *e,
					   const uint32_t *row, size_t rows);
/** Row i is the sum of rows [i * count, (i + 1) * count) of e. */
HEL_CHECKED hel_status hel_expression_gather(hel_expression *out, const hel_expression *e,
					     size_t count);
/** Row i times factor[i], in place. */
void hel_expression_scale(hel_expression *e, const double *factor);
/** The part of e that is a map of `of`, or NULL. */
hel_map_part *hel_expression_part(const hel_expression *e, int of);

#endif
