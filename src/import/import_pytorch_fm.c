/* rixwew/pytorch-fm: embedding.embedding (one table of all fields, one after the other), linear.fc,
 * linear.bias, mlp.mlp. There are no dense values.
 */
#include "factorization.h"
#include "sequential.h"
#include <string.h>

static const char *reason(const char *name)
{
	(void)name;
	return "no part of pytorch-fm's FactorizationMachineModel, WideAndDeepModel, "
	       "DeepFactorizationMachineModel or FactorizationSupportedNeuralNetworkModel; its "
	       "other "
	       "models are not supported";
}

/* Rows of a field begin where those of the fields before it end. */
static hel_status cut(hel_foreign_table *out, const hel_importer *im, hel_stored *all)
{
	hel_status st = HEL_OK;
	size_t begin = 0;
	for (size_t i = 0; i < im->tables; i++) {
		const size_t rows = hel_importer_column_rows(im, i);
		if (begin + rows > all->rows)
			FAIL(
			    HEL_EFORMAT,
			    "'%s' has %zu rows, the schema's first %zu tables have %zu values: the "
			    "fields stand one after the other",
			    all->name, all->rows, i + 1, begin + rows);
		TRY(hel_table_full(&out[i], all, begin, rows));
		snprintf(out[i].name, sizeof out[i].name, "field %zu", i);
		begin += rows;
	}
	if (begin != all->rows)
		FAIL(HEL_EFORMAT, "'%s' has %zu rows, the schema's tables have %zu values",
		     all->name, all->rows, begin);
done:
	return st;
}

static hel_status import(hel_importer *im)
{
	hel_status st = HEL_OK;
	hel_stored *vectors = hel_checkpoint_find(&im->file, "embedding.embedding.weight"),
		   *weights = hel_checkpoint_find(&im->file, "linear.fc.weight");
	const hel_factorization f = {.bias = hel_checkpoint_find(&im->file, "linear.bias"),
				     .has_wide = weights != NULL};
	im->tables = im->set->tables;
	if (!vectors)
		FAIL(HEL_EFORMAT, "weights: tensor 'embedding.embedding.weight' is missing");
	TRY(cut(im->table, im, vectors));
	if (weights)
		TRY(cut(im->wide, im, weights));
	if (weights && weights->columns != 1)
		FAIL(HEL_EFORMAT, "'linear.fc.weight' gives %zu outputs, expected one",
		     weights->columns);
	for (uint32_t i = 0; i < im->tables; i++)
		im->order[i] = i;
	TRY(hel_tower_read(&im->top, &im->file, &im->config, "mlp.mlp", "", false));
	TRY(hel_importer_factorization(im, &f));
done:
	return st;
}

const hel_form hel_form_pytorch_fm = {
    .name = "pytorch-fm",
    .roots = {"embedding.embedding.", "linear.fc.", "mlp.mlp."},
    .parts = {"embedding.embedding.weight", "linear.fc.weight", "linear.bias", "mlp.mlp."},
    .import = import,
    .reason = reason,
};
