/* The private side as a model of the vector, the public one of the weights that it meets. */
#include "side_copy.h"
#include <cblas.h>
#include <math.h>

hel_status hel_private_model(hel_dlrm **out, const hel_splitting *s, const hel_side *part)
{
	hel_status st = HEL_OK;
	hel_copying *c = NULL;
	uint32_t all, last;
	TRY_ALLOC(c, hel_alloc(1, sizeof *c));
	*c = (hel_copying){.s = s, .side = HEL_PRIVATE};
	TRY(hel_copying_begin(c, part));
	TRY(hel_copying_gather(&all, c));
	TRY(hel_copying_add(&last, c,
			    (hel_node){.kind = HEL_NODE_LINEAR, .width = s->rows, .bias = true},
			    &all, 1, "items.vector"));
	TRY(hel_copying_finish(out, c));
	for (size_t i = 0; i < s->rows * s->u; i++)
		hel_tensor_of(*out, last, false)[i] = (float)s->left[i];
	for (size_t i = 0; i < s->rows; i++)
		hel_tensor_of(*out, last, true)[i] = (float)s->shift[i];
done:
	hel_copying_clear(c);
	return st;
}

/* g(p): its own squares by eigenvectors; what is linear; and what completing squares of u left. */
typedef struct public_part {
	double *vector, *value, *linear, constant;
} public_part;

static hel_status public_terms(public_part *x, const hel_splitting *s)
{
	hel_status st = HEL_OK;
	const size_t last = s->form.inputs - 1, n = s->p;
	TRY_ALLOC(x->vector, hel_alloc(n * n + 1, sizeof *x->vector));
	TRY_ALLOC(x->value, hel_alloc(n + 1, sizeof *x->value));
	TRY_ALLOC(x->linear, hel_alloc(n + 1, sizeof *x->linear));
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k++)
			x->vector[i * n + k] = hel_form_at(s, s->u + i, s->u + k);
		x->linear[i] = 2 * hel_form_at(s, s->u + i, last);
	}
	x->constant = hel_form_at(s, last, last);
	for (size_t r = 0; r < s->rows; r++) {
		x->constant -= s->squares ? s->sign[r] * s->shift[r] * s->shift[r] : 0;
		cblas_daxpy((int)n, -s->shift[r], s->right + r * n, 1, x->linear, 1);
	}
	TRY(hel_eigenvectors(x->value, x->vector, NULL, n));
done:
	return st;
}

static void public_weights(float *w, float *bias, const hel_splitting *s, const public_part *x,
			   size_t squares, const double *sign)
{
	const size_t width = s->p + squares;
	for (size_t k = 0; k < s->p; k++)
		w[k] = (float)x->linear[k];
	for (size_t k = 0; k < squares; k++)
		w[s->p + k] = (float)sign[k];
	bias[0] = (float)x->constant;
	for (size_t r = 0; r < s->rows; r++) {
		for (size_t k = 0; k < s->p; k++)
			w[(1 + r) * width + k] = (float)s->right[r * s->p + k];
		/* a linear row without squares has nothing to multiply: its weight is 1 */
		bias[1 + r] = !s->squares && s->sign[r] == 0 ? 1 : 0;
	}
}

hel_status hel_public_model(hel_dlrm **out, const hel_splitting *s, const hel_side *part)
{
	hel_status st = HEL_OK;
	hel_copying *c = NULL;
	public_part x = {0};
	double *sign = NULL;
	uint32_t all, form = 0, square = 0, last;
	size_t squares = 0;
	TRY_ALLOC(c, hel_alloc(1, sizeof *c));
	*c = (hel_copying){.s = s, .side = HEL_PUBLIC};
	TRY(public_terms(&x, s));
	TRY_ALLOC(sign, hel_alloc(s->p + 1, sizeof *sign));
	const double most = fmax(fabs(x.value[0]), fabs(x.value[s->p - 1]));
	for (size_t i = 0; i < s->p; i++)
		squares += fabs(x.value[i]) > HEL_ROUNDING * most;
	TRY(hel_copying_begin(c, part));
	TRY(hel_copying_gather(&all, c));
	if (squares) {
		const uint32_t both[2] = {all, (uint32_t)c->graph->nodes + 1};
		TRY(hel_copying_add(&form, c, (hel_node){.kind = HEL_NODE_LINEAR, .width = squares},
				    &all, 1, "items.form"));
		TRY(hel_copying_add(
		    &square, c,
		    (hel_node){.kind = HEL_NODE_ACTIVATION, .activation = {HEL_ACT_SQUARE, 0, 0}},
		    &form, 1, "items.square"));
		TRY(hel_copying_add(&all, c, (hel_node){.kind = HEL_NODE_CONCAT}, both, 2,
				    "items.both"));
	}
	TRY(hel_copying_add(&last, c,
			    (hel_node){.kind = HEL_NODE_LINEAR, .width = 1 + s->rows, .bias = true},
			    &all, 1, "items.weights"));
	TRY(hel_copying_finish(out, c));
	for (size_t i = 0, k = 0; i < s->p; i++) {
		if (!(fabs(x.value[i]) > HEL_ROUNDING * most))
			continue;
		sign[k] = x.value[i] > 0 ? 1 : -1;
		for (size_t j = 0; j < s->p; j++)
			hel_tensor_of(*out, form, false)[k * s->p + j] =
			    (float)(sqrt(fabs(x.value[i])) * x.vector[i * s->p + j]);
		k++;
	}
	public_weights(hel_tensor_of(*out, last, false), hel_tensor_of(*out, last, true), s, &x,
		       squares, sign);
done:
	hel_copying_clear(c);
	hel_free(x.vector);
	hel_free(x.value);
	hel_free(x.linear);
	hel_free(sign);
	return st;
}
