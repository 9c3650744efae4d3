/* From a graph to stages, node by node. */
#include "features/coding.h"
#include "lowering.h"
#include "model/node.h"
#include "refreshed.h"
#include <math.h>
#include <string.h>

static bool is_quadratic(const hel_dlrm *m, const hel_node *n)
{
	return !m->approximation && n->kind == HEL_NODE_ACTIVATION &&
	       (n->activation.kind == HEL_ACT_SQUARE || n->activation.kind == HEL_ACT_QUADRATIC);
}

/* p of a refreshed x: a stage that ends in coefficients, and one that refreshes them. */
static hel_status refreshed(hel_expression *out, hel_lowering *l, hel_expression *x,
			    const hel_approximation *p, const char *name)
{
	hel_status st = HEL_OK;
	hel_stage *stage;
	char text[HEL_NAME_MAX];
	TRY(hel_lower_stage(l, (hel_maps){.real = x}, name, HEL_THEN_NOTHING, &stage));
	TRY(hel_refreshed_coefficients(stage, l->s->log_refreshed, p->turn / p->range));
	const size_t values = stage->rows;
	snprintf(text, sizeof text, "%.40s, refreshed", name);
	TRY(hel_stages_add(&stage, l->s, text, x->rows, 1, 1));
	stage->map = HEL_MAP_REFRESH;
	stage->then = HEL_THEN_POLYNOMIAL;
	stage->polynomial = p;
	stage->sources = 1;
	stage->source[0] = (hel_stage_source){.stage = (int)l->s->count - 2, .width = values};
	TRY(hel_lower_value(out, l, 1, 0));
done:
	return st;
}

/* p(x) by a polynomial over the range: the stage computes x / range. */
static hel_status polynomial(hel_expression *out, hel_lowering *l, hel_expression *x,
			     const hel_approximation *p, const char *name)
{
	hel_status st = HEL_OK;
	hel_stage *stage;
	double *factor = NULL;
	if (!x->parts) {
		for (size_t i = 0; i < x->rows; i++)
			x->bias[i] = hel_approximation_at(p, x->bias[i]);
		return hel_expression_copy(out, x);
	}
	if (p->turn > 0)
		return refreshed(out, l, x, p, name);
	TRY_ALLOC(factor, hel_alloc(x->rows, sizeof *factor));
	for (size_t i = 0; i < x->rows; i++)
		factor[i] = 1 / p->range;
	hel_expression_scale(x, factor);
	TRY(hel_lower_stage(l, (hel_maps){.real = x}, name, HEL_THEN_POLYNOMIAL, &stage));
	stage->polynomial = p;
	TRY(hel_lower_value(out, l, 1, 0));
done:
	hel_free(factor);
	return st;
}

/* act(x) where x is affine in the dense values: affine in them and their products. */
static hel_status expand_monomials(hel_expression *x, hel_activation act)
{
	hel_status st = HEL_OK;
	double a, b, *matrix = NULL;
	hel_quadratic_of(act, &a, &b);
	const size_t d = x->part[0].width, width = d + hel_monomials(d);
	TRY_ALLOC(matrix, hel_alloc(x->rows * width, sizeof *matrix));
	for (size_t r = 0; r < x->rows; r++) {
		const double *w = x->part[0].matrix + r * d;
		double *to = matrix + r * width, *products = to + d;
		const double bias = x->bias[r];
		for (size_t i = 0; i < d; i++) {
			to[i] = (2 * a * bias + b) * w[i];
			for (size_t j = i; j < d; j++)
				*products++ = (i == j ? 1 : 2) * a * w[i] * w[j];
		}
		x->bias[r] = a * bias * bias + b * bias;
	}
	hel_free(x->part[0].matrix);
	x->part[0].matrix = matrix;
	x->part[0].width = width;
done:
	return st;
}

/* What a node's layer is called. The DLRM's layers are counted without their activations. */
static void name_of(char name[HEL_NAME_MAX], const hel_lowering *l, uint32_t node)
{
	const hel_chain *c = &l->m->chain;
	const hel_node *n = &l->g->node[node];
	if (n->kind == HEL_NODE_ACTIVATION && l->g->node[n->input[0]].kind == HEL_NODE_LINEAR)
		node = n->input[0];
	snprintf(name, HEL_NAME_MAX, "%s", l->g->node[node].name);
	for (size_t i = 0; c->whole && i < c->bottom_layers; i++)
		if (c->bottom[i] == node)
			snprintf(name, HEL_NAME_MAX, "bot_l.%zu", i);
	for (size_t i = 0; c->whole && i < c->top_layers; i++)
		if (c->top[i] == node)
			snprintf(name, HEL_NAME_MAX, "top_l.%zu", i);
}

static hel_status lower_activation(hel_expression *out, hel_lowering *l, uint32_t i)
{
	hel_status st = HEL_OK;
	const hel_node *n = &l->g->node[i];
	const hel_expression *in = &l->value[n->input[0]];
	char name[HEL_NAME_MAX];
	hel_expression x = {0};
	name_of(name, l, i);
	if (in->parts && !l->m->approximation && !is_quadratic(l->m, n)) {
		const char *kind = hel_activation_name(n->activation.kind);
		FAIL(HEL_EUNSUPPORTED,
		     "layer %s: %s cannot be evaluated on ciphertexts; compile with "
		     "--activation %s=poly:7 --data FILE, or train with \"activation\": "
		     "{\"kind\": \"quadratic\", \"a\": 0.1, \"b\": 0.5} in the config",
		     name, kind, kind);
	}
	TRY(hel_expression_copy(&x, in));
	if (l->m->approximation)
		TRY(polynomial(out, l, &x, &l->m->approximation[n->activated], name));
	else if (l->s->degree == 2 && x.parts == 1 && x.part[0].of == HEL_OF_DENSE &&
		 x.part[0].width == l->m->schema->dense_count) {
		TRY(expand_monomials(&x, n->activation));
		*out = x;
		x = (hel_expression){0};
	} else
		TRY(hel_lower_square(out, l, &x, n->activation, name));
done:
	hel_expression_clear(&x);
	return st;
}

/* The inputs of each pair of a dot node, in order. */
static hel_status list_pairs(uint32_t **out, const hel_node *n)
{
	hel_status st = HEL_OK;
	size_t at = 0;
	uint32_t *pair;
	TRY_ALLOC(pair, hel_alloc(2 * n->width, sizeof *pair));
	for (uint32_t a = 0; a < n->inputs; a++)
		for (uint32_t b = n->upper ? a + !n->self : 0;
		     b < (n->upper ? n->inputs : a + n->self); b++, at++) {
			pair[at] = a;
			pair[n->width + at] = b;
		}
	*out = pair;
done:
	return st;
}

/* All pairs' products, a row for each element of each pair; the sums over those are affine. */
static hel_status lower_dot(hel_expression *out, hel_lowering *l, uint32_t i,
			    const hel_expression *const *in)
{
	hel_status st = HEL_OK;
	const hel_node *n = &l->g->node[i];
	hel_expression all = {0}, products = {0};
	uint32_t *pair = NULL;
	bool packed = false;
	TRY(list_pairs(&pair, n));
	TRY(hel_lower_packed_dot(&packed, out, l, i, in, pair));
	if (packed)
		goto done;
	TRY(hel_expression_join(&all, in, n->inputs));
	if (n->self && n->inputs == 1) {
		TRY(hel_lower_square(&products, l, &all, (hel_activation){HEL_ACT_SQUARE, 0, 0},
				     n->name));
		TRY(hel_expression_gather(out, &products, in[0]->rows));
	} else
		TRY(hel_lower_pairs(out, l, &all, pair, pair + n->width, n->width, in[0]->rows,
				    n->name));
done:
	hel_free(pair);
	hel_expression_clear(&all);
	hel_expression_clear(&products);
	return st;
}

/* x y + x = x (y + 1): where a sum of a product and one of its factors is all that reads it, the
 * sum is the product. */
static void absorb_residual(hel_lowering *l, uint32_t i, hel_expression pair[2])
{
	const hel_node *n = &l->g->node[i], *sum = &l->g->node[l->reader[i]];
	if (l->readers[i] != 1 || sum->kind != HEL_NODE_ADD || sum->inputs != 2 ||
	    n->input[0] == n->input[1])
		return;
	const uint32_t other = sum->input[sum->input[0] == i];
	for (size_t f = 0; f < 2; f++)
		if (n->input[f] == other) {
			for (size_t r = 0; r < pair[!f].rows; r++)
				pair[!f].bias[r] += 1;
			l->absorbed[l->reader[i]] = i;
			return;
		}
}

static hel_status lower_multiply(hel_expression *out, hel_lowering *l, uint32_t i,
				 const hel_expression *const *in)
{
	hel_status st = HEL_OK;
	const hel_node *n = &l->g->node[i];
	hel_expression pair[2] = {{0}};
	for (size_t f = 0; f < 2; f++)
		TRY(hel_expression_copy(&pair[f], in[f]));
	absorb_residual(l, i, pair);
	if (n->input[0] == n->input[1])
		TRY(hel_lower_square(out, l, pair, (hel_activation){HEL_ACT_SQUARE, 0, 0},
				     n->name));
	else
		TRY(hel_lower_multiply(out, l, pair, n->name));
done:
	hel_expression_clear(&pair[0]);
	hel_expression_clear(&pair[1]);
	return st;
}

static hel_status lower_node(hel_expression *out, hel_lowering *l, uint32_t i,
			     const hel_expression *const *in)
{
	const hel_node *n = &l->g->node[i];
	const size_t dim = l->s->dim, tables = l->m->schema->table_count;
	switch (n->kind) {
	case HEL_NODE_DENSE:
		return hel_expression_of(out, HEL_OF_DENSE, n->width, 0, n->width, 1, 0);
	case HEL_NODE_EMBED:
		return hel_expression_of(out, HEL_OF_TABLES, dim * tables,
					 n->table * dim + l->column[i], n->width, 1, 0);
	case HEL_NODE_LINEAR:
		return hel_expression_layer(out, in[0], hel_node_tensor(l->m, n, 0),
					    n->bias ? hel_node_tensor(l->m, n, 1) : NULL, n->width);
	case HEL_NODE_CONCAT:
		return hel_expression_join(out, in, n->inputs);
	case HEL_NODE_ADD:
		if (l->absorbed[i])
			return hel_expression_copy(out, &l->value[l->absorbed[i]]);
		return hel_expression_sum(out, in, n->inputs, 1);
	case HEL_NODE_SCALE:
		return hel_expression_sum(out, in, 1, n->factor);
	case HEL_NODE_MULTIPLY:
		return lower_multiply(out, l, i, in);
	case HEL_NODE_ACTIVATION:
		return lower_activation(out, l, i);
	case HEL_NODE_DOT:
	case HEL_NODE_KINDS: /* there are no others */
		break;
	}
	return lower_dot(out, l, i, in);
}

/* Stages that grew after others had read them: those have no use for the new rows. */
static hel_status widen_sources(hel_stages *s)
{
	hel_status st = HEL_OK;
	hel_complex *wide = NULL;
	for (size_t i = 0; i < s->count; i++) {
		hel_stage *x = &s->stage[i];
		for (size_t k = 0; k < x->sources; k++) {
			hel_stage_source *from = &x->source[k];
			const size_t old = from->width;
			if (from->stage < 0 || s->stage[from->stage].rows == old ||
			    x->map >= HEL_MAP_PLACE)
				continue;
			from->width = s->stage[from->stage].rows;
			for (size_t f = 0; f < x->factors; f++) {
				if (!from->matrix[f])
					continue;
				TRY_ALLOC(wide, hel_alloc(x->rows * from->width, sizeof *wide));
				for (size_t r = 0; r < x->rows; r++)
					memcpy(wide + r * from->width, from->matrix[f] + r * old,
					       old * sizeof *wide);
				hel_free(from->matrix[f]);
				from->matrix[f] = wide;
				wide = NULL;
			}
		}
	}
done:
	return st;
}

/* Values are read from the last level back. */
static void count_levels(hel_stages *s)
{
	for (size_t i = s->count; i-- > 0;) {
		hel_stage *x = &s->stage[i];
		x->level += hel_stage_levels(x) + x->in_turn;
		if (x->map == HEL_MAP_REFRESH) /* from level 0 */
			continue;
		for (size_t k = 0; k < x->sources; k++)
			if (x->source[k].stage >= 0) {
				hel_stage *y = &s->stage[x->source[k].stage];
				y->level = HEL_MAX(y->level, x->level);
			}
	}
}

/* A square of what is affine in the dense values alone. */
static bool can_expand(const hel_dlrm *m)
{
	bool plain[HEL_MAX_NODES];
	for (size_t i = 0; i < m->graph->nodes && m->schema->dense_count; i++) {
		const hel_node *n = &m->graph->node[i];
		bool from = n->inputs > 0;
		for (size_t k = 0; k < n->inputs; k++)
			from &= plain[n->input[k]];
		if (from && is_quadratic(m, n))
			return true;
		plain[i] = n->kind == HEL_NODE_DENSE ||
			   (from && n->kind != HEL_NODE_ACTIVATION &&
			    n->kind != HEL_NODE_MULTIPLY && n->kind != HEL_NODE_DOT);
	}
	return false;
}

static bool multiplies(const hel_dlrm *m)
{
	bool any = false;
	for (size_t i = 0; i < m->graph->nodes; i++) {
		const hel_node *n = &m->graph->node[i];
		any |=
		    n->kind == HEL_NODE_MULTIPLY || n->kind == HEL_NODE_DOT || is_quadratic(m, n);
	}
	return any;
}

bool hel_way_differs(const hel_dlrm *m, hel_way way)
{
	return (!way.monomials || can_expand(m)) && (!way.sum || multiplies(m)) &&
	       (!way.fuse || m->schema->table_count);
}

/* The inputs' values, to be read together. */
static hel_status lower_from(hel_lowering *l, uint32_t i)
{
	hel_status st = HEL_OK;
	const hel_node *n = &l->g->node[i];
	const hel_expression **in = NULL;
	TRY_ALLOC(in, hel_alloc(n->inputs, sizeof(*in)));
	for (size_t k = 0; k < n->inputs; k++)
		in[k] = &l->value[n->input[k]];
	l->s->node = i;
	st = lower_node(&l->value[i], l, i, in);
	if (st == HEL_ELIMIT) {
		char why[200];
		snprintf(why, sizeof why, "%s", hel_error_detail());
		FAIL(st, "node '%s' (%s): %s", n->name, hel_node_kind_name(n->kind), why);
	}
	TRY(st);
	if (hel_node_multiplies(n->kind) && l->value[i].parts && l->value[i].part[0].of >= 0)
		l->s->node_stage[i] = l->value[i].part[0].of;
	for (size_t k = 0; k < n->inputs; k++)
		if (l->reader[n->input[k]] == i)
			hel_expression_clear(&l->value[n->input[k]]);
done:
	hel_free(in);
	return st;
}

/* All refreshes are of one size: they share weights and keys. */
static hel_status size_refreshes(hel_lowering *l)
{
	hel_status st = HEL_OK;
	for (size_t i = 0; l->m->approximation && i < l->g->nodes; i++) {
		const hel_node *n = &l->g->node[i];
		unsigned size;
		if (n->kind != HEL_NODE_ACTIVATION || !(l->m->approximation[n->activated].turn > 0))
			continue;
		TRY(hel_refreshed_size(&size, n->width, n->name));
		l->s->log_refreshed = HEL_MAX(l->s->log_refreshed, size);
	}
done:
	return st;
}

static hel_status lower(hel_lowering *l)
{
	hel_status st = HEL_OK;
	const hel_graph *g = l->g;
	char name[HEL_NAME_MAX];
	TRY(size_refreshes(l));
	TRY_ALLOC(l->value, hel_alloc(g->nodes, sizeof *l->value));
	TRY_ALLOC(l->reader, hel_alloc(g->nodes, sizeof *l->reader));
	TRY_ALLOC(l->column, hel_alloc(g->nodes, sizeof *l->column));
	TRY_ALLOC(l->readers, hel_alloc(g->nodes, sizeof *l->readers));
	TRY_ALLOC(l->absorbed, hel_alloc(g->nodes, sizeof *l->absorbed));
	TRY(hel_lower_place_tables(l));
	TRY(hel_lower_fill_tables(l));
	TRY(hel_lower_measure_tables(l));
	for (uint32_t i = 0; i < g->nodes; i++)
		for (size_t k = 0; k < g->node[i].inputs; k++) {
			l->reader[g->node[i].input[k]] = i;
			l->readers[g->node[i].input[k]]++;
		}
	/* decided first, because it moves the one-hot entries */
	l->s->used.monomials = l->s->way.monomials && can_expand(l->m);
	l->s->degree = l->s->used.monomials ? 2 : 1;
	for (uint32_t i = 0; i < g->nodes; i++)
		TRY(lower_from(l, i));
	name_of(name, l, (uint32_t)g->nodes - 1);
	TRY((l->s->way.turn ? hel_lower_vector : hel_lower_logit)(l, &l->value[g->nodes - 1],
								  name));
	TRY(widen_sources(l->s));
	count_levels(l->s);
done:
	for (size_t i = 0; l->value && i < g->nodes; i++)
		hel_expression_clear(&l->value[i]);
	hel_free(l->value);
	hel_free(l->reader);
	hel_free(l->column);
	hel_free(l->readers);
	hel_free(l->absorbed);
	hel_free(l->mean);
	hel_free(l->spread);
	for (size_t i = 0; i < HEL_MAX_STAGES; i++)
		hel_lower_forget(l, i);
	return st;
}

hel_status hel_stages_new(hel_stages **out, const hel_dlrm *m, hel_way way)
{
	hel_status st = HEL_OK;
	hel_stages *s = NULL;
	hel_lowering *l = NULL;
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	s->model = m;
	s->way = way;
	TRY_ALLOC(s->coding, hel_alloc(m->schema->table_count + 1, sizeof *s->coding));
	TRY_ALLOC(s->order, hel_alloc(m->schema->table_count + 1, sizeof *s->order));
	hel_lower_codings(s);
	TRY_ALLOC(s->node_stage, hel_alloc(m->graph->nodes, sizeof *s->node_stage));
	for (size_t i = 0; i < m->graph->nodes; i++)
		s->node_stage[i] = HEL_MULTIPLIED_OUT;
	TRY_ALLOC(s->stage, hel_alloc(HEL_MAX_STAGES, sizeof *s->stage));
	TRY_ALLOC(l, hel_alloc(1, sizeof *l));
	l->s = s;
	l->m = m;
	l->g = m->graph;
	l->lookup = -1;
	TRY(lower(l));
	*out = s;
	s = NULL;
done:
	hel_free(l);
	hel_stages_free(s);
	return st;
}
