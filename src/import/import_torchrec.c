/* TorchRec's DLRM and DLRM_DCN (torchrec/models/dlrm.py): sparse_arch, dense_arch, inter_arch,
 * over_arch. Pairs are those above the diagonal; an activation follows every layer of an MLP, the
 * dense one's last included.
 */
#include "importer.h"
#include "sequential.h"
#include <string.h>

#define TABLES "sparse_arch.embedding_bag_collection.embedding_bags."

static const char *reason(const char *name)
{
	if (strncmp(name, "inter_arch.interaction_branch", 29) == 0)
		return "DLRM_Projection is not; DLRM and DLRM_DCN are";
	if (strstr(name, "crossnet"))
		return "LowRankCrossNet (W_kernels, V_kernels, bias) and CrossNet (kernels, bias) "
		       "are, other cross networks are not";
	if (strstr(name, "_activation_fn"))
		return "a normalisation of each sample (swish_layernorm) is no polynomial; train "
		       "with relu or sigmoid";
	return NULL;
}

/* --- cross layers ------------------------------------------------------------------------ */

static hel_status cross_layer(hel_importer *im, size_t i, size_t width, bool *there)
{
	hel_status st = HEL_OK;
	char name[HEL_NAME_MAX];
	hel_stored *v = hel_checkpoint_find(&im->file, "inter_arch.crossnet.V_kernels.%zu", i),
		   *w = hel_checkpoint_find(&im->file, "inter_arch.crossnet.W_kernels.%zu", i),
		   *full = hel_checkpoint_find(&im->file, "inter_arch.crossnet.kernels.%zu", i),
		   *bias = hel_checkpoint_find(&im->file, "inter_arch.crossnet.bias.%zu", i);
	*there = v || w || full;
	if (!*there)
		goto done;
	snprintf(name, sizeof name, "inter_arch.crossnet, layer %zu,", i);
	if (!full && (!v || !w))
		FAIL(HEL_EFORMAT, "%s has only one of V_kernels and W_kernels", name);
	if (!full)
		TRY(hel_tower_push(&im->cross, name, v, NULL));
	TRY(hel_tower_push(&im->cross, name, full ? full : w, bias));
	const hel_step *step = &im->cross.step[im->cross.count - 1];
	const hel_layer *l = &step->layer, *first = full ? l : &step[-1].layer;
	if (full && l->columns == 1)
		FAIL(HEL_EUNSUPPORTED,
		     "%s has a vector (VectorCrossNet: DCN's first version), which is not "
		     "supported; LowRankCrossNet and CrossNet are",
		     name);
	if (first->columns != width || l->rows != width || (!full && first->rows != l->columns))
		FAIL(HEL_EFORMAT, "%s does not fit %zu elements: the dense and the tables' vectors",
		     name, width);
done:
	return st;
}

static hel_status cross_layers(hel_importer *im, size_t width, size_t *count)
{
	hel_status st = HEL_OK;
	bool there = true;
	for (*count = 0; *count <= HEL_MAX_CROSS_LAYERS; ++*count) {
		TRY(cross_layer(im, *count, width, &there));
		if (!there)
			break;
	}
	if (there)
		FAIL(HEL_ELIMIT, "more than %d cross layers", HEL_MAX_CROSS_LAYERS);
done:
	return st;
}

/* --- the graph ---------------------------------------------------------------------------- */

static uint32_t build_cross(hel_importer *im, uint32_t x0, size_t layers)
{
	uint32_t x = x0, affine[2];
	const hel_step *s = im->cross.step;
	for (size_t i = 0; i < layers; i++) {
		const bool low_rank = im->cross.count == 2 * layers;
		x = hel_build_cross(&im->b, x0, x, i, low_rank ? s->layer.rows : 0, affine);
		for (size_t k = 0; k < 1U + low_rank; k++, s++)
			im->source[affine[k]] = (hel_source){.layer = &s->layer};
	}
	return x;
}

static void build(hel_importer *im, size_t cross, bool dot)
{
	hel_builder *b = &im->b;
	const bool last = im->config.bottom_last_activation != HEL_NO;
	hel_group in = hel_group_of(
	    hel_importer_tower(im, hel_build_dense(b), &im->bottom, last, "dense_arch"));
	for (size_t i = 0; i < im->tables; i++)
		hel_group_join(
		    &in, hel_importer_embed(im, im->order[i], &im->table[im->order[i]], "emb"));
	if (dot) {
		const hel_node pairs = {.kind = HEL_NODE_DOT,
					.upper = im->config.order != HEL_ORDER_LOWER};
		in = hel_group_of_two(in.node[0], hel_build(b, pairs, &in, "pairs"));
	}
	uint32_t x = hel_build_gather(b, HEL_NODE_CONCAT, &in, "interaction");
	x = build_cross(im, x, cross);
	hel_importer_tower(im, x, &im->top, false, "over_arch");
}

static hel_status check_widths(const hel_importer *im, size_t width)
{
	for (size_t i = 0; i < im->tables; i++)
		if (im->table[i].width != width)
			return hel_fail(HEL_EFORMAT,
					"table '%s' has dimension %zu, the dense part gives %zu",
					im->table[i].name, im->table[i].width, width);
	return HEL_OK;
}

static hel_status check_towers(const hel_importer *im)
{
	if (!im->bottom.count || !im->top.count)
		return hel_fail(HEL_EFORMAT, "weights: no layer '%s'",
				im->bottom.count ? "over_arch.model.1.weight"
						 : "dense_arch.model._mlp.0._linear.weight");
	if (hel_tower_inputs(&im->bottom) != hel_importer_dense(im))
		return hel_fail(
		    HEL_EFORMAT, "%s takes %zu inputs, the schema has %zu dense columns",
		    im->bottom.step[0].name, hel_tower_inputs(&im->bottom), hel_importer_dense(im));
	return HEL_OK;
}

static hel_status import(hel_importer *im)
{
	hel_status st = HEL_OK;
	size_t cross;
	TRY(hel_tower_read(&im->bottom, &im->file, &im->config, "dense_arch.model._mlp", "._linear",
			   true));
	TRY(hel_tower_read(&im->top, &im->file, &im->config, "over_arch.model.0._mlp", "._linear",
			   true));
	TRY(hel_tower_append(&im->top, &im->file, "over_arch.model.1"));
	TRY(check_towers(im));
	TRY(hel_importer_named_tables(im, TABLES, true));
	const size_t width = hel_tower_outputs(&im->bottom), takes = hel_tower_inputs(&im->top),
		     cat = (im->tables + 1) * width,
		     dot = width + im->tables * (im->tables + 1) / 2;
	TRY(check_widths(im, width));
	TRY(cross_layers(im, cat, &cross));
	const bool pairs = !cross && takes == dot && im->config.interaction != HEL_INTERACTION_CAT;
	if (!pairs && takes != cat)
		FAIL(HEL_EFORMAT,
		     "%s takes %zu inputs: %s of %zu elements and %zu tables gives %zu",
		     im->top.step[0].name, takes, cross ? "the cross network" : "dot", width,
		     im->tables, cross ? cat : dot);
	TRY(hel_importer_one_logit(im, &im->top));
	TRY(hel_importer_columns(im));
	if (cross)
		hel_importer_say(im, "interaction: %zu cross layers (DLRM_DCN)", cross);
	else
		hel_importer_say(im, "interaction: %s",
				 pairs ? im->config.order == HEL_ORDER_LOWER
					     ? "dot, pairs below the diagonal"
					     : "dot, pairs above the diagonal"
				       : "cat");
	build(im, cross, pairs);
	hel_importer_tell(im);
done:
	return st;
}

const hel_form hel_form_torchrec = {
    .name = "TorchRec",
    .roots = {"sparse_arch.", "dense_arch.", "inter_arch.", "over_arch."},
    .parts = {"sparse_arch.embedding_bag_collection.embedding_bags.", "dense_arch.model._mlp.",
	      "inter_arch.crossnet.", "over_arch.model."},
    .import = import,
    .reason = reason,
};
