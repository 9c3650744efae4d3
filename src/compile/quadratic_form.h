/* quadratic_form.h -- the logit of a graph that multiplies a record once, as a quadratic form.
 * Internal: one_squaring.h makes a network of it.
 */
#ifndef HEL_QUADRATIC_FORM_H
#define HEL_QUADRATIC_FORM_H

#include "model/dlrm.h"

/** x^T matrix x, where x is what enters: dense values, `dim` places per table, and a 1. */
typedef struct hel_quadratic_form {
	const hel_dlrm *m;
	const hel_graph *g;
	size_t dim, inputs; /* with the 1 */
	size_t *column;	    /* per node: an embed node's first place within its table's */
	double **map;	    /* per node: [width][inputs], NULL where it is no affine map */
	double **slope; /* per node: the logit's derivative by its value, of those without map */
	double *matrix; /* [inputs][inputs], symmetric: on and above the diagonal */
} hel_quadratic_form;

/** Borrows the model.
 *  @retval HEL_EUNSUPPORTED names the node that multiplies products, or that is no polynomial. */
HEL_CHECKED hel_status hel_quadratic_form_new(hel_quadratic_form *out, const hel_dlrm *m);
void hel_quadratic_form_clear(hel_quadratic_form *f);

#endif
