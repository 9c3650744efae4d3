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

/** A chain (model/chain.h) with the same scores: tables side by side where several nodes read one,
 *  one layer of squares, their sum. *squares is the layer's width: the form's rank.
 *  Cost: an eigendecomposition as wide as what enters.
 *  @retval HEL_EUNSUPPORTED names the node that multiplies products, or that is no polynomial. */
HEL_CHECKED hel_status hel_one_squaring(hel_dlrm **out, size_t *squares, const hel_dlrm *m);

#endif
