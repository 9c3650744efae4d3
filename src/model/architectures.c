/* Builders of graphs. The first failure sticks, so that they read as the architecture does. */
#include "architectures.h"
#include <stdarg.h>
#include <string.h>

typedef struct builder {
	hel_graph *g;
	const hel_dlrm_config *c;
	hel_status status;
} builder;

/* Node numbers, to be read together. */
typedef struct group {
	size_t count;
	uint32_t node[HEL_MAX_TABLES + 4];
} group;

static void join(group *to, uint32_t node)
{
	to->node[to->count++] = node;
}

static uint32_t put(builder *b, hel_node n, const group *inputs, const char *name, ...)
{
	va_list args;
	va_start(args, name);
	vsnprintf(n.name, sizeof n.name, name, args);
	va_end(args);
	if (inputs) {
		n.inputs = inputs->count;
		n.input = (uint32_t *)inputs->node;
	}
	if (b->status == HEL_OK)
		b->status = hel_graph_add(b->g, &n);
	return b->status == HEL_OK ? (uint32_t)b->g->nodes - 1 : 0;
}

static group one(uint32_t a)
{
	return (group){1, {a}};
}

static group two(uint32_t a, uint32_t b)
{
	return (group){2, {a, b}};
}

static uint32_t dense(builder *b)
{
	return put(b, (hel_node){.kind = HEL_NODE_DENSE}, NULL, "dense");
}

static uint32_t embed(builder *b, uint32_t table, size_t width, const char *prefix)
{
	return put(b, (hel_node){.kind = HEL_NODE_EMBED, .table = table, .width = width}, NULL,
		   "%s.%u", prefix, table);
}

static uint32_t linear(builder *b, uint32_t x, size_t width, bool bias, const char *name)
{
	const group in = one(x);
	return put(b, (hel_node){.kind = HEL_NODE_LINEAR, .width = width, .bias = bias}, &in, "%s",
		   name);
}

static uint32_t gather(builder *b, hel_node_kind kind, const group *in, const char *name)
{
	return put(b, (hel_node){.kind = kind}, in, "%s", name);
}

static uint32_t scaled(builder *b, uint32_t x, double factor, const char *name)
{
	const group in = one(x);
	return put(b, (hel_node){.kind = HEL_NODE_SCALE, .factor = factor}, &in, "%s", name);
}

/* Layers with the activation after each, but for the last one where it is left out. nn.Sequential
 * counts activations as layers: weights stand at 0, 2, 4, ... */
static uint32_t tower(builder *b, uint32_t x, const uint32_t *widths, size_t layers, bool last,
		      const char *name)
{
	const hel_node act = {.kind = HEL_NODE_ACTIVATION, .activation = b->c->activation};
	for (size_t i = 0; i < layers; i++) {
		group in = one(x);
		x = put(b, (hel_node){.kind = HEL_NODE_LINEAR, .width = widths[i], .bias = true},
			&in, "%s.%zu", name, 2 * i);
		in = one(x);
		if (i + 1 < layers || last)
			x = put(b, act, &in, "%s.%zu", name, 2 * i + 1);
	}
	return x;
}

static uint32_t bottom(builder *b)
{
	const hel_dlrm_config *c = b->c;
	return tower(b, dense(b), c->bottom, c->bottom_layers, c->bottom_last_activation, "bot_l");
}

static uint32_t top(builder *b, uint32_t x)
{
	return tower(b, x, b->c->top, b->c->top_layers, false, "top_l");
}

static void embed_all(builder *b, group *to, size_t width, const char *prefix)
{
	for (uint32_t t = 0; t < b->g->schema->table_count; t++)
		join(to, embed(b, t, width, prefix));
}

/* The bottom tower's output, then every table's vector. */
static group fields(builder *b)
{
	group f = one(bottom(b));
	embed_all(b, &f, b->c->embedding_dim, "emb_l");
	return f;
}

/* Naumov et al. 2019 */
static void dlrm(builder *b)
{
	group in = fields(b);
	const hel_node pairs = {.kind = HEL_NODE_DOT, .self = b->c->interaction_self};
	if (b->c->interaction_dot)
		in = two(in.node[0], put(b, pairs, &in, "pairs"));
	top(b, gather(b, HEL_NODE_CONCAT, &in, "interaction"));
}

static void mlp(builder *b)
{
	group in = one(dense(b));
	embed_all(b, &in, b->c->embedding_dim, "emb_l");
	top(b, gather(b, HEL_NODE_CONCAT, &in, "interaction"));
}

/* DCN-v2 (Wang et al. 2021): x' = x0 * (W x + b) + x, W in full or of low rank. */
static uint32_t cross(builder *b, uint32_t x0, uint32_t x, size_t layer)
{
	const size_t width = b->status == HEL_OK ? b->g->node[x0].width : 1;
	char name[HEL_NODE_NAME_MAX];
	uint32_t y = x;
	if (b->c->cross_rank) {
		snprintf(name, sizeof name, "cross.%zu.V", layer);
		y = linear(b, y, b->c->cross_rank, false, name);
	}
	snprintf(name, sizeof name, "cross.%zu.%s", layer, b->c->cross_rank ? "U" : "W");
	y = linear(b, y, width, true, name);
	group in = two(x0, y);
	snprintf(name, sizeof name, "cross.%zu.product", layer);
	in = two(gather(b, HEL_NODE_MULTIPLY, &in, name), x);
	snprintf(name, sizeof name, "cross.%zu", layer);
	return gather(b, HEL_NODE_ADD, &in, name);
}

static void dcn(builder *b)
{
	const hel_dlrm_config *c = b->c;
	const group in = fields(b);
	const uint32_t x0 = gather(b, HEL_NODE_CONCAT, &in, "interaction");
	uint32_t x = x0;
	for (size_t i = 0; i < c->cross_layers; i++)
		x = cross(b, x0, x, i);
	if (c->cross_parallel) {
		const uint32_t deep = tower(b, x0, c->top, c->top_layers - 1, true, "top_l");
		const group both = two(x, deep);
		linear(b, gather(b, HEL_NODE_CONCAT, &both, "both"), 1, true, "logit");
	} else
		top(b, x);
}

/* One weight per dense value and per entry of a table. */
static group wide(builder *b, uint32_t values)
{
	group sum = one(linear(b, values, 1, true, "wide.dense"));
	embed_all(b, &sum, 1, "wide");
	return sum;
}

/* Cheng et al. 2016 */
static void wide_deep(builder *b)
{
	const uint32_t values = dense(b);
	const hel_dlrm_config *c = b->c;
	group sum = wide(b, values);
	group in =
	    one(tower(b, values, c->bottom, c->bottom_layers, c->bottom_last_activation, "bot_l"));
	embed_all(b, &in, c->embedding_dim, "emb_l");
	join(&sum, top(b, gather(b, HEL_NODE_CONCAT, &in, "interaction")));
	gather(b, HEL_NODE_ADD, &sum, "logit");
}

/* Rendle 2010: all pairs' products are half of the sum's square less the sum of squares. */
static uint32_t pairs_of(builder *b, const group *vectors)
{
	const hel_node square = {.kind = HEL_NODE_DOT, .self = true};
	group in = one(gather(b, HEL_NODE_ADD, vectors, "fm.sum"));
	const uint32_t of_sum = put(b, square, &in, "fm.square_of_sum");
	in = one(gather(b, HEL_NODE_CONCAT, vectors, "fm.vectors"));
	const uint32_t squares = put(b, square, &in, "fm.sum_of_squares");
	in = two(of_sum, scaled(b, squares, -1, "fm.minus"));
	return scaled(b, gather(b, HEL_NODE_ADD, &in, "fm.difference"), 0.5, "fm.pairs");
}

/* All dense values together are one field: a vector linear in them. */
static group fm_terms(builder *b, group *vectors)
{
	const uint32_t values = dense(b);
	group sum = wide(b, values);
	*vectors = one(linear(b, values, b->c->embedding_dim, false, "emb_dense"));
	embed_all(b, vectors, b->c->embedding_dim, "emb_l");
	join(&sum, pairs_of(b, vectors));
	return sum;
}

static void fm(builder *b)
{
	group vectors, sum = fm_terms(b, &vectors);
	gather(b, HEL_NODE_ADD, &sum, "logit");
}

/* Guo et al. 2017 */
static void deepfm(builder *b)
{
	group vectors, sum = fm_terms(b, &vectors);
	join(&sum, top(b, gather(b, HEL_NODE_CONCAT, &vectors, "interaction")));
	gather(b, HEL_NODE_ADD, &sum, "logit");
}

static bool is_item(const builder *b, uint32_t table)
{
	const hel_dlrm_config *c = b->c;
	const hel_schema *s = b->g->schema;
	for (size_t i = 0; i < c->item_columns; i++)
		if (strcmp(c->item_column[i], s->table[table].name) == 0)
			return true;
	return !c->item_columns && table >= s->table_count / 2;
}

/* A user's vector times an item's; dense values are the user's. */
static void two_tower(builder *b)
{
	const hel_dlrm_config *c = b->c;
	const hel_schema *s = b->g->schema;
	group user = one(bottom(b)), item = {0};
	for (uint32_t t = 0; t < s->table_count; t++)
		join(is_item(b, t) ? &item : &user, embed(b, t, c->embedding_dim, "emb_l"));
	uint32_t u = gather(b, HEL_NODE_CONCAT, &user, "user"),
		 i = gather(b, HEL_NODE_CONCAT, &item, "item");
	u = tower(b, u, c->top, c->top_layers - 1, false, "user");
	i = tower(b, i, c->top, c->top_layers - 1, false, "item");
	const group in = two(u, i);
	linear(b, put(b, (hel_node){.kind = HEL_NODE_DOT}, &in, "match"), 1, true, "logit");
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
	TRY(hel_graph_new(&b.g, schema));
	builders[c->architecture](&b);
	TRY(b.status);
	TRY(hel_graph_check(b.g));
	*out = b.g;
	b.g = NULL;
done:
	hel_graph_free(b.g);
	return st;
}
