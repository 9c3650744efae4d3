#include "normalisation.h"
#include <math.h>

void hel_normalisation_clear(hel_normalisation *n)
{
	hel_free(n->scale);
	hel_free(n->shift);
	*n = (hel_normalisation){0};
}

static hel_status read_vector(float *out, const hel_checkpoint *c, const char *name,
			      const char *part, size_t width, float otherwise)
{
	hel_status st = HEL_OK;
	hel_stored *t = hel_checkpoint_find(c, "%s.%s", name, part);
	for (size_t i = 0; i < width; i++)
		out[i] = otherwise;
	if (t) {
		TRY(hel_stored_vector(t, width));
		TRY(hel_stored_rows(out, t, 0, width));
	}
done:
	return st;
}

hel_status hel_normalisation_read(hel_normalisation *n, const hel_checkpoint *c, const char *name,
				  double eps)
{
	hel_status st = HEL_OK;
	hel_stored *mean = hel_checkpoint_find(c, "%s.running_mean", name),
		   *variance = hel_checkpoint_find(c, "%s.running_var", name),
		   *steps = hel_checkpoint_find(c, "%s.num_batches_tracked", name);
	float *m = NULL, *v = NULL;
	if (!mean || !variance)
		FAIL(HEL_EUNSUPPORTED,
		     "'%s.weight' is a vector without running_mean and running_var: LayerNorm or "
		     "another hel_normalisation of each sample, which no polynomial is; train with "
		     "BatchNorm1d or none",
		     name);
	n->width = mean->rows;
	if (steps)
		steps->taken = true;
	TRY_ALLOC(n->scale, hel_alloc(n->width, sizeof(float)));
	TRY_ALLOC(n->shift, hel_alloc(n->width, sizeof(float)));
	TRY_ALLOC(m, hel_alloc(n->width, sizeof(float)));
	TRY_ALLOC(v, hel_alloc(n->width, sizeof(float)));
	TRY(read_vector(n->scale, c, name, "weight", n->width, 1));
	TRY(read_vector(n->shift, c, name, "bias", n->width, 0));
	TRY(read_vector(m, c, name, "running_mean", n->width, 0));
	TRY(read_vector(v, c, name, "running_var", n->width, 1));
	for (size_t i = 0; i < n->width; i++) {
		if (v[i] < 0)
			FAIL(HEL_EFORMAT, "weights: '%s.running_var' holds %g", name, (double)v[i]);
		const double scale = (double)n->scale[i] / sqrt((double)v[i] + eps);
		n->shift[i] = (float)((double)n->shift[i] - scale * (double)m[i]);
		n->scale[i] = (float)scale;
	}
done:
	hel_free(m);
	hel_free(v);
	return st;
}

static hel_status check_width(const hel_normalisation *n, const char *name, size_t width)
{
	return n->width == width
		   ? HEL_OK
		   : hel_fail(HEL_EFORMAT,
			      "'%s' normalises %zu elements, the layer beside it has %zu", name,
			      n->width, width);
}

static void fold_behind(hel_layer *l, const hel_normalisation *n)
{
	for (size_t r = 0; r < l->rows; r++) {
		l->bias[r] = n->scale[r] * l->bias[r] + n->shift[r];
		for (size_t k = 0; k < l->columns; k++)
			l->weight[r * l->columns + k] *= n->scale[r];
	}
}

hel_status hel_normalisation_fold_before(hel_layer *l, const hel_normalisation *n, const char *name)
{
	const hel_status st = check_width(n, name, l->columns);
	if (st != HEL_OK)
		return st;
	for (size_t r = 0; r < l->rows; r++) {
		double bias = (double)l->bias[r];
		for (size_t k = 0; k < l->columns; k++) {
			float *w = &l->weight[r * l->columns + k];
			bias += (double)*w * (double)n->shift[k];
			*w *= n->scale[k];
		}
		l->bias[r] = (float)bias;
	}
	return HEL_OK;
}

hel_status hel_step_normalise(hel_tower *t, size_t step, const hel_checkpoint *c,
			      const hel_import_config *config, const char *name)
{
	hel_status st = HEL_OK;
	hel_normalisation n = {0};
	TRY(hel_normalisation_read(&n, c, name, config->batchnorm_eps));
	TRY(check_width(&n, name, t->step[step].layer.rows));
	fold_behind(&t->step[step].layer, &n);
	t->folded++;
done:
	hel_normalisation_clear(&n);
	return st;
}

/* PReLU: with one slope it is a leaky relu. */
hel_status hel_step_slope(hel_tower *t, size_t step, const hel_checkpoint *c, const char *name)
{
	hel_status st = HEL_OK;
	hel_stored *weight = hel_checkpoint_find(c, "%s.weight", name);
	float slope;
	if (!weight)
		goto done;
	if (weight->rows != 1 || weight->columns != 1)
		FAIL(HEL_EUNSUPPORTED,
		     "'%s.weight' is a vector of %zu: a PReLU of one slope is supported (a leaky "
		     "relu), not of one per element, nor a hel_normalisation of each sample",
		     name, weight->rows);
	TRY(hel_stored_vector(weight, 1));
	TRY(hel_stored_rows(&slope, weight, 0, 1));
	if (fabsf(slope) > 1000)
		FAIL(HEL_EFORMAT, "weights: '%s.weight' is a slope of %g", name, (double)slope);
	t->step[step].after = HEL_AFTER_OWN;
	t->step[step].activation = (hel_activation){HEL_ACT_LEAKY_RELU, (double)slope, 0};
	t->learned++;
done:
	return st;
}
