#include "factorization.h"

/* Whether the pairs' products are part of it. */
static hel_status decide(bool *pairs, const hel_importer *im, const hel_factorization *f)
{
	const hel_architecture said = im->config.architecture;
	const bool deep = im->top.count, unsaid = said == HEL_ARCHITECTURES;
	*pairs = unsaid ? !deep : said == HEL_ARCHITECTURE_DEEPFM || said == HEL_ARCHITECTURE_FM;
	if (!f->has_wide && unsaid && deep)
		return HEL_OK; /* layers over vectors, and nothing beside them */
	if (unsaid && deep)
		return hel_fail(
		    HEL_EUNSUPPORTED,
		    "DeepFM and wide-and-deep networks have the same tensors, and these fit "
		    "both: --config must say \"architecture\": \"deepfm\" or \"wide-deep\"");
	if (!unsaid &&
	    (deep ? said != HEL_ARCHITECTURE_DEEPFM && said != HEL_ARCHITECTURE_WIDE_DEEP &&
			said != HEL_ARCHITECTURE_MLP
		  : said != HEL_ARCHITECTURE_FM))
		return hel_fail(HEL_EFORMAT,
				"import config: 'architecture' is \"%s\", the weights are %s",
				hel_architecture_name(said),
				deep ? "of \"deepfm\", \"wide-deep\" or \"mlp\"" : "of \"fm\"");
	return HEL_OK;
}

static hel_status check_shapes(const hel_importer *im, const hel_factorization *f, bool pairs)
{
	size_t sum = f->dense_count;
	for (size_t i = 0; i < im->tables; i++) {
		sum += im->table[i].width;
		if (pairs && im->table[i].width != im->table[0].width)
			return hel_fail(HEL_EFORMAT,
					"'%s' has dimension %zu, '%s' %zu: their product has none",
					im->table[i].name, im->table[i].width, im->table[0].name,
					im->table[0].width);
	}
	if (!im->tables)
		return hel_fail(HEL_EFORMAT, "weights: no tables of vectors");
	if (im->top.count && hel_tower_inputs(&im->top) != sum)
		return hel_fail(HEL_EFORMAT, "%s takes %zu inputs, the vectors are %zu",
				im->top.step[0].name, hel_tower_inputs(&im->top), sum);
	return HEL_OK;
}

/* One element, plus the bias of all. */
static hel_status read_bias(hel_importer *im, hel_stored *bias)
{
	static const float one = 1;
	hel_stored weight = {.name = "logit",
			     .type = "F32",
			     .element = HEL_F32,
			     .dimensions = 2,
			     .rows = 1,
			     .columns = 1,
			     .stride = {1, 1},
			     .data = (const uint8_t *)&one};
	return hel_tower_push(&im->cross, "the logit", &weight, bias);
}

static void build(hel_importer *im, const hel_factorization *f, bool pairs)
{
	hel_builder *b = &im->b;
	hel_group sum = {0}, vectors = {0}, deep;
	const uint32_t dense = f->dense || f->dense_count ? hel_build_dense(b) : 0;
	if (f->dense)
		hel_group_join(&sum, hel_importer_linear(im, dense, f->dense, "wide.dense"));
	for (uint32_t t = 0; f->has_wide && t < im->tables; t++)
		hel_group_join(&sum, hel_importer_embed(im, t, &im->wide[t], "wide"));
	for (size_t i = 0; i < im->tables && (pairs || im->top.count); i++)
		hel_group_join(&vectors, hel_importer_embed(im, im->order[i],
							    &im->table[im->order[i]], "emb"));
	if (pairs)
		hel_group_join(&sum, hel_build_fm(b, &vectors));
	deep = vectors;
	if (f->dense_count)
		hel_group_join(&deep, dense);
	if (im->top.count)
		hel_group_join(&sum,
			       hel_importer_tower(
				   im, hel_build_gather(b, HEL_NODE_CONCAT, &deep, "interaction"),
				   &im->top, false, "deep"));
	hel_importer_linear(im, hel_build_gather(b, HEL_NODE_ADD, &sum, "sum"),
			    &im->cross.step[0].layer, "logit");
}

hel_status hel_importer_factorization(hel_importer *im, const hel_factorization *f)
{
	hel_status st = HEL_OK;
	bool pairs;
	TRY(decide(&pairs, im, f));
	TRY(check_shapes(im, f, pairs));
	if (im->top.count)
		TRY(hel_importer_one_logit(im, &im->top));
	TRY(read_bias(im, f->bias));
	TRY(hel_importer_columns(im));
	hel_importer_say(im, "%s%s%s%s", f->has_wide ? "a weight per value" : "vectors",
			 pairs ? ", products of all pairs of vectors" : "",
			 im->top.count ? ", layers over the vectors" : "",
			 im->config.architecture == HEL_ARCHITECTURES ? " (assumed)" : "");
	if (im->top.count)
		hel_importer_tell(im);
	build(im, f, pairs);
done:
	return st;
}
