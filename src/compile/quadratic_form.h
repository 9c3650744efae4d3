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
	/* Where other nodes enter: per node its elements' coordinates, or NULL; and whether only
	 * nodes that enter need it, so that it is not looked at. NULL: dense values and rows enter.
	 */
	uint32_t **place;
	bool *before;
	double **map;	/* per node: [width][inputs], NULL where it is no affine map */
	double **slope; /* per node: the logit's derivative by its value, of those without map */
	double *matrix; /* [inputs][inputs], symmetric: on and above the diagonal */
} hel_quadratic_form;

/** Borrows the model.
 *  @retval HEL_EUNSUPPORTED names the node that multiplies products, or that is no polynomial. */
HEL_CHECKED hel_status hel_quadratic_form_new(hel_quadratic_form *out, const hel_dlrm *m);
/** The same in what enters where out->place, out->before and out->inputs say, which are the form's
 *  from here on, on failure, too. */
HEL_CHECKED hel_status hel_quadratic_form_of(hel_quadratic_form *out, const hel_dlrm *m);
void hel_quadratic_form_clear(hel_quadratic_form *f);

/** A symmetric matrix, of which only what is above the diagonal is read, becomes its eigenvectors,
 * a row each, in the metric of moments (overwritten; NULL: of all directions alike): it is the sum
 * of value_k vector_k vector_k^T. value: ascending.
 *  @retval HEL_ERANGE its numbers are too large. */
HEL_CHECKED hel_status hel_eigenvectors(double *value, double *matrix, double *moments,
					size_t size);

#endif
