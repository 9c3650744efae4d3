#include "layers.h"
#include <string.h>

void hel_layer_clear(hel_layer *l)
{
	hel_free(l->weight);
	hel_free(l->bias);
	*l = (hel_layer){0};
}

void hel_tower_clear(hel_tower *t)
{
	for (size_t i = 0; i < t->count; i++)
		hel_layer_clear(&t->step[i].layer);
	t->count = 0;
}

size_t hel_tower_inputs(const hel_tower *t)
{
	return t->count ? t->step[0].layer.columns : 0;
}

size_t hel_tower_outputs(const hel_tower *t)
{
	return t->count ? t->step[t->count - 1].layer.rows : 0;
}

/* --- one layer ------------------------------------------------------------------------ */

hel_status hel_layer_read(hel_layer *l, hel_tower *t, const char *name, hel_stored *weight,
			  hel_stored *bias)
{
	hel_status st = HEL_OK;
	if (!weight)
		FAIL(HEL_EFORMAT, "weights: tensor '%s.weight' is missing", name);
	TRY(hel_stored_matrix(weight));
	if (weight->rows > HEL_MAX_WIDTH || weight->columns > HEL_MAX_NODE_WIDTH)
		FAIL(HEL_ELIMIT,
		     "'%s' is a layer of %zu inputs and %zu outputs, at most %zu and %d are "
		     "supported",
		     name, weight->columns, weight->rows, HEL_MAX_NODE_WIDTH, HEL_MAX_WIDTH);
	*l = (hel_layer){.rows = weight->rows, .columns = weight->columns};
	TRY_ALLOC(l->weight, hel_alloc_raw(l->rows * l->columns, sizeof(float)));
	TRY_ALLOC(l->bias, hel_alloc(l->rows, sizeof(float)));
	TRY(hel_stored_rows(l->weight, weight, 0, l->rows));
	t->no_bias += !bias;
	if (bias) {
		TRY(hel_stored_vector(bias, l->rows));
		TRY(hel_stored_rows(l->bias, bias, 0, l->rows));
	}
done:
	return st;
}

hel_status hel_layer_multiply_out(hel_layer *a, hel_layer *b)
{
	hel_status st = HEL_OK;
	hel_layer out = {.rows = b->rows, .columns = a->columns};
	double *sum = NULL;
	TRY_ALLOC(sum, hel_alloc(out.columns, sizeof *sum));
	TRY_ALLOC(out.weight, hel_alloc(out.rows * out.columns, sizeof(float)));
	TRY_ALLOC(out.bias, hel_alloc(out.rows, sizeof(float)));
	for (size_t r = 0; r < out.rows; r++) {
		double bias = (double)b->bias[r];
		memset(sum, 0, out.columns * sizeof *sum);
		for (size_t k = 0; k < a->rows; k++) {
			const double w = (double)b->weight[r * b->columns + k];
			bias += w * (double)a->bias[k];
			for (size_t i = 0; i < out.columns; i++)
				sum[i] += w * (double)a->weight[k * a->columns + i];
		}
		out.bias[r] = (float)bias;
		for (size_t i = 0; i < out.columns; i++)
			out.weight[r * out.columns + i] = (float)sum[i];
	}
	hel_layer_clear(a);
	hel_layer_clear(b);
	*a = out;
	out = (hel_layer){0};
done:
	hel_free(sum);
	hel_layer_clear(&out);
	return st;
}

hel_status hel_tower_push(hel_tower *t, const char *name, hel_stored *weight, hel_stored *bias)
{
	hel_status st = HEL_OK;
	hel_step s = {0};
	if (t->count == HEL_MAX_FOREIGN_LAYERS)
		FAIL(HEL_ELIMIT, "'%s': at most %d layers are supported", name,
		     HEL_MAX_FOREIGN_LAYERS);
	TRY(hel_layer_read(&s.layer, t, name, weight, bias));
	snprintf(s.name, sizeof s.name, "%s", name);
	t->step[t->count++] = s;
	s.layer = (hel_layer){0};
done:
	hel_layer_clear(&s.layer);
	return st;
}

hel_status hel_tower_append(hel_tower *t, const hel_checkpoint *c, const char *name)
{
	hel_status st = HEL_OK;
	const size_t gives = hel_tower_outputs(t);
	TRY(hel_tower_push(t, name, hel_checkpoint_find(c, "%s.weight", name),
			   hel_checkpoint_find(c, "%s.bias", name)));
	const hel_layer *l = &t->step[t->count - 1].layer;
	if (gives && l->columns != gives)
		FAIL(HEL_EFORMAT, "%s takes %zu inputs, the layer before gives %zu", name,
		     l->columns, gives);
done:
	return st;
}
