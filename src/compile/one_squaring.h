/* one_squaring.h -- graphs in which a record is multiplied once: as a network of one squaring.
 *
 * Such a logit is a quadratic form in what enters, [dense values, rows of tables, 1]. Its
 * eigenvectors are the layer before the squaring, the signs of its eigenvalues the one after it.
 * So fm, wide-deep with one activation, one cross layer of dcn, all pairs' products under a linear
 * top, and linear two towers cost what the concatenation DLRM with one activation does.
 */
#ifndef HEL_ONE_SQUARING_H
#define HEL_ONE_SQUARING_H

#include "model/dlrm.h"
#include "model/samples.h"

typedef struct hel_squares {
	size_t rank;  /* squares that the form takes */
	size_t kept;  /* of them, the layer's width */
	double error; /* mean |difference| of logits on records for those that are not kept */
} hel_squares;

/** A chain (model/chain.h) with the same scores: tables side by side where several nodes read one,
 *  one layer of squares, their sum.
 *  Cost: an eigendecomposition as wide as what enters.
 *  @retval HEL_EUNSUPPORTED names the node that multiplies products, or that is no polynomial. */
HEL_CHECKED hel_status hel_one_squaring(hel_dlrm **out, hel_squares *squares, const hel_dlrm *m);

/** With the fewest squares, half of a power of two of either sign at most, that change logits by at
 *  most `error` on average; *out stays NULL where only all do. So squares pair up as halves of as
 *  many complex ones (lower_logit.c). Those kept say most of the form on records: the eigenvectors
 *  in the metric of their second moments, those of the given ones and, for a little, of random
 *  ones, so that no row of a table is forgotten; with weights fitted to the logits of records. The
 *  error is measured on given records (random ones where there are none) that had no part in
 *  either. */
HEL_CHECKED hel_status hel_fewer_squares(hel_dlrm **out, hel_squares *squares, const hel_dlrm *m,
					 const hel_samples *given, double error);

#endif
