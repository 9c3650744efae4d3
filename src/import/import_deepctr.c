/* DeepCTR-Torch's DeepFM (and WDL, which has the same tensors): embedding_dict.NAME, linear_model,
 * dnn, dnn_linear, out.bias. An activation follows every layer of dnn; the layers read the vectors,
 * then the dense values.
 */
#include "factorization.h"
#include "normalisation.h"
#include "sequential.h"
#include <string.h>

#define VECTORS "embedding_dict."
#define WEIGHTS "linear_model.embedding_dict."

static const char *reason(const char *name)
{
	if (strncmp(name, "dnn.activation_layers", 21) == 0)
		return "'dice' is a normalisation of its own; train with relu, prelu, sigmoid or "
		       "tanh";
	if (strncmp(name, WEIGHTS, strlen(WEIGHTS)) == 0)
		return "no 'embedding_dict' is of this feature: linear_feature_columns and "
		       "dnn_feature_columns must be the same";
	return "no part of DeepFM or WDL, as DeepCTR-Torch names theirs; its other models are not "
	       "supported";
}

/* A weight for every value of every table. */
static hel_status find_weights(hel_importer *im)
{
	hel_status st = HEL_OK;
	for (size_t i = 0; i < im->tables; i++) {
		hel_foreign_table *t = &im->wide[i];
		const char *name = im->table[i].name;
		hel_stored *weight = hel_checkpoint_find(&im->file, WEIGHTS "%s.weight", name);
		if (!weight)
			FAIL(HEL_EFORMAT, "weights: tensor '" WEIGHTS "%s.weight' is missing",
			     name);
		TRY(hel_table_full(t, weight, 0, weight->rows));
		snprintf(t->name, sizeof t->name, "%s", name);
		if (t->width != 1 || t->count != im->table[i].count)
			FAIL(HEL_EFORMAT, "'" WEIGHTS "%s.weight' is not %zu x 1", name,
			     im->table[i].count);
	}
done:
	return st;
}

static hel_status find_layers(hel_importer *im)
{
	hel_status st = HEL_OK;
	char name[HEL_NAME_MAX];
	hel_tower *t = &im->top;
	TRY(hel_tower_read(t, &im->file, &im->config, "dnn.linears", "", true));
	for (size_t i = 0; i < t->count; i++) {
		snprintf(name, sizeof name, "dnn.bn.%zu", i);
		if (hel_checkpoint_has(&im->file, "dnn.bn."))
			TRY(hel_step_normalise(t, i, &im->file, &im->config, name));
		snprintf(name, sizeof name, "dnn.activation_layers.%zu", i);
		TRY(hel_step_slope(t, i, &im->file, name));
	}
	if (t->count)
		TRY(hel_tower_append(t, &im->file, "dnn_linear"));
done:
	return st;
}

/* linear_model.weight is a column. */
static hel_status find_dense(hel_importer *im, hel_factorization *f)
{
	hel_status st = HEL_OK;
	hel_stored *weight = hel_checkpoint_find(&im->file, "linear_model.weight");
	size_t vectors = 0;
	if (weight) {
		const hel_stored row = hel_stored_transposed(weight);
		hel_stored copy = row;
		TRY(hel_tower_push(&im->bottom, "linear_model", &copy, NULL));
		weight->taken = true;
		f->dense = &im->bottom.step[0].layer;
		if (f->dense->rows != 1 || f->dense->columns != hel_importer_dense(im))
			FAIL(HEL_EFORMAT,
			     "'linear_model.weight' is for %zu dense values, the schema has %zu",
			     f->dense->columns, hel_importer_dense(im));
	}
	for (size_t i = 0; i < im->tables; i++)
		vectors += im->table[i].width;
	f->dense_count =
	    im->top.count && hel_tower_inputs(&im->top) == vectors + hel_importer_dense(im)
		? hel_importer_dense(im)
		: 0;
done:
	im->bottom.no_bias = 0;
	return st;
}

static hel_status import(hel_importer *im)
{
	hel_status st = HEL_OK;
	hel_factorization f = {.bias = hel_checkpoint_find(&im->file, "out.bias"),
			       .has_wide = true};
	TRY(find_layers(im));
	TRY(hel_importer_named_tables(im, VECTORS, im->top.count != 0));
	TRY(find_weights(im));
	TRY(find_dense(im, &f));
	TRY(hel_importer_factorization(im, &f));
done:
	return st;
}

const hel_form hel_form_deepctr = {
    .name = "DeepCTR-Torch",
    .roots = {"embedding_dict.", "linear_model."},
    .parts = {"embedding_dict.", "linear_model.", "dnn.linears.", "dnn.bn.",
	      "dnn.activation_layers.", "dnn_linear.", "out.bias"},
    .import = import,
    .reason = reason,
};
