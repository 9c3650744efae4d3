/* Builders of graphs by name. */
#include "architectures.h"
#include "graph_builder.h"
#include <string.h>

typedef struct builder {
	hel_builder b;
	const hel_dlrm_config *c;
} builder;

/* Layers with the activation after each, but for the last one where it is left out. nn.Sequential
 * counts activations as layers: weights stand at 0, 2, 4, ... */
static uint32_t tower(builder *b, uint32_t x, const uint32_t *widths, size_t layers, bool last,
		      const char *name)
{
	const hel_node act = {.kind = HEL_NODE_ACTIVATION, .activation = b->c->activation};
	for (size_t i = 0; i < layers; i++) {
		hel_group in = hel_group_of(x);
		x = hel_build(&b->b,
			      (hel_node){.kind = HEL_NODE_LINEAR, .width = widths[i], .bias = true},
			      &in, "%s.%zu", name, 2 * i);
		in = hel_group_of(x);
		if (i + 1 < layers || last)
			x = hel_build(&b->b, act, &in, "%s.%zu", name, 2 * i + 1);
	}
	return x;
}

static uint32_t bottom(builder *b)
{
	const hel_dlrm_config *c = b->c;
	return tower(b, hel_build_dense(&b->b), c->bottom, c->bottom_layers,
		     c->bottom_last_activation, "bot_l");
}

static uint32_t top(builder *b, uint32_t x)
{
	return tower(b, x, b->c->top, b->c->top_layers, false, "top_l");
}

static void embed_all(builder *b, hel_group *to, size_t width, const char *prefix)
{
	for (uint32_t t = 0; t < b->b.g->schema->table_count; t++)
		hel_group_join(to, hel_build_embed(&b->b, t, width, prefix));
}

/* The bottom tower's output, then every table's vector. */
static hel_group fields(builder *b)
{
	hel_group f = hel_group_of(bottom(b));
	embed_all(b, &f, b->c->embedding_dim, "emb_l");
	return f;
}

/* Naumov et al. 2019 */
static void dlrm(builder *b)
{
	hel_group in = fields(b);
	const hel_node pairs = {.kind = HEL_NODE_DOT, .self = b->c->interaction_self};
	if (b->c->interaction_dot)
		in = hel_group_of_two(in.node[0], hel_build(&b->b, pairs, &in, "pairs"));
	top(b, hel_build_gather(&b->b, HEL_NODE_CONCAT, &in, "interaction"));
}

static void mlp(builder *b)
{
	hel_group in = hel_group_of(hel_build_dense(&b->b));
	embed_all(b, &in, b->c->embedding_dim, "emb_l");
	top(b, hel_build_gather(&b->b, HEL_NODE_CONCAT, &in, "interaction"));
}

static void dcn(builder *b)
{
	const hel_dlrm_config *c = b->c;
	const hel_group in = fields(b);
	const uint32_t x0 = hel_build_gather(&b->b, HEL_NODE_CONCAT, &in, "interaction");
	uint32_t x = x0;
	for (size_t i = 0; i < c->cross_layers; i++)
		x = hel_build_cross(&b->b, x0, x, i, c->cross_rank, NULL);
	if (c->cross_parallel) {
		const uint32_t deep = tower(b, x0, c->top, c->top_layers - 1, true, "top_l");
		const hel_group both = hel_group_of_two(x, deep);
		hel_build_linear(&b->b, hel_build_gather(&b->b, HEL_NODE_CONCAT, &both, "both"), 1,
				 true, "logit");
	} else
		top(b, x);
}

/* One weight per dense value and per entry of a table. */
static hel_group wide(builder *b, uint32_t values)
{
	hel_group sum = hel_group_of(hel_build_linear(&b->b, values, 1, true, "wide.dense"));
	embed_all(b, &sum, 1, "wide");
	return sum;
}

/* Cheng et al. 2016 */
static void wide_deep(builder *b)
{
	const uint32_t values = hel_build_dense(&b->b);
	const hel_dlrm_config *c = b->c;
	hel_group sum = wide(b, values);
	hel_group in = hel_group_of(
	    tower(b, values, c->bottom, c->bottom_layers, c->bottom_last_activation, "bot_l"));
	embed_all(b, &in, c->embedding_dim, "emb_l");
	hel_group_join(&sum, top(b, hel_build_gather(&b->b, HEL_NODE_CONCAT, &in, "interaction")));
	hel_build_gather(&b->b, HEL_NODE_ADD, &sum, "logit");
}

/* All dense values together are one field: a vector linear in them. */
static hel_group fm_terms(builder *b, hel_group *vectors)
{
	const uint32_t values = hel_build_dense(&b->b);
	hel_group sum = wide(b, values);
	*vectors =
	    hel_group_of(hel_build_linear(&b->b, values, b->c->embedding_dim, false, "emb_dense"));
	embed_all(b, vectors, b->c->embedding_dim, "emb_l");
	hel_group_join(&sum, hel_build_fm(&b->b, vectors));
	return sum;
}

static void fm(builder *b)
{
	hel_group vectors, sum = fm_terms(b, &vectors);
	hel_build_gather(&b->b, HEL_NODE_ADD, &sum, "logit");
}

/* Guo et al. 2017 */
static void deepfm(builder *b)
{
	hel_group vectors, sum = fm_terms(b, &vectors);
	hel_group_join(&sum,
		       top(b, hel_build_gather(&b->b, HEL_NODE_CONCAT, &vectors, "interaction")));
	hel_build_gather(&b->b, HEL_NODE_ADD, &sum, "logit");
}

static bool is_item(const builder *b, uint32_t table)
{
	const hel_dlrm_config *c = b->c;
	const hel_schema *s = b->b.g->schema;
	for (size_t i = 0; i < c->item_columns; i++)
		if (strcmp(c->item_column[i], s->table[table].name) == 0)
			return true;
	return !c->item_columns && table >= s->table_count / 2;
}

/* A user's vector times an item's; dense values are the user's. */
static void two_tower(builder *b)
{
	const hel_dlrm_config *c = b->c;
	const hel_schema *s = b->b.g->schema;
	hel_group user = hel_group_of(bottom(b)), item = {0};
	for (uint32_t t = 0; t < s->table_count; t++)
		hel_group_join(is_item(b, t) ? &item : &user,
			       hel_build_embed(&b->b, t, c->embedding_dim, "emb_l"));
	uint32_t u = hel_build_gather(&b->b, HEL_NODE_CONCAT, &user, "user"),
		 i = hel_build_gather(&b->b, HEL_NODE_CONCAT, &item, "item");
	u = tower(b, u, c->top, c->top_layers - 1, false, "user");
	i = tower(b, i, c->top, c->top_layers - 1, false, "item");
	const hel_group in = hel_group_of_two(u, i);
	hel_build_linear(&b->b, hel_build(&b->b, (hel_node){.kind = HEL_NODE_DOT}, &in, "match"), 1,
			 true, "logit");
}

static void (*const builders[HEL_ARCHITECTURES])(builder *) = {
    [HEL_ARCHITECTURE_DLRM] = dlrm,
    [HEL_ARCHITECTURE_DCN] = dcn,
    [HEL_ARCHITECTURE_FM] = fm,
    [HEL_ARCHITECTURE_DEEPFM] = deepfm,
    [HEL_ARCHITECTURE_WIDE_DEEP] = wide_deep,
    [HEL_ARCHITECTURE_TWO_TOWER] = two_tower,
    [HEL_ARCHITECTURE_MLP] = mlp,
};

/* The mean of members beside each other, which share inputs and nothing else. */
static void ensemble(builder *b)
{
	hel_group logits = {0};
	for (uint32_t k = 0; k < b->c->members; k++) {
		snprintf(b->b.prefix, sizeof b->b.prefix, "m%u.", k);
		builders[b->c->architecture](b);
		hel_group_join(&logits, (uint32_t)b->b.g->nodes - 1);
	}
	b->b.prefix[0] = 0;
	hel_build_scale(&b->b, hel_build_gather(&b->b, HEL_NODE_ADD, &logits, "sum"),
			1 / (double)b->c->members, "logit");
}

static hel_status check_columns(const hel_dlrm_config *c, const hel_schema *s)
{
	for (size_t i = 0; i < c->item_columns; i++) {
		size_t t = 0;
		while (t < s->table_count && strcmp(c->item_column[i], s->table[t].name) != 0)
			t++;
		if (t == s->table_count)
			return hel_fail(HEL_EFORMAT,
					"item_columns: there is no categorical column '%s'",
					c->item_column[i]);
	}
	return HEL_OK;
}

hel_status hel_architecture_build(hel_graph **out, const hel_dlrm_config *c,
				  const hel_schema *schema)
{
	hel_status st = HEL_OK;
	builder b = {.c = c};
	if (!c->top_layers || c->top[c->top_layers - 1] != 1)
		FAIL(HEL_EINVAL, "the top tower must end in one output");
	if (!builders[c->architecture])
		FAIL(HEL_EINVAL, "a graph of its own has no builder");
	TRY(check_columns(c, schema));
	TRY(hel_graph_new(&b.b.g, schema));
	if (c->members > 1)
		ensemble(&b);
	else
		builders[c->architecture](&b);
	TRY(b.b.status);
	TRY(hel_graph_check(b.b.g));
	*out = b.b.g;
	b.b.g = NULL;
done:
	hel_graph_free(b.b.g);
	return st;
}
