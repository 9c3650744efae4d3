#include "stages.h"
#include "codings.h"
#include "expression.h"
#include "features/coding.h"
#include "model/node.h"
#include <complex.h>
#include <math.h>
#include <string.h>

#define MAX_FUSED (1u << 24) /* entries of a map from all tables' entries */

/* A graph on its way to stages: what each node is as an affine map of stages and of the record. */
typedef struct lowering {
	hel_stages *s;
	const hel_dlrm *m;
	const hel_graph *g;
	hel_expression *value; /* per node; empty once all that read it have */
	uint32_t *reader;      /* per node: the last that reads it */
	uint32_t *column;      /* per node: an embed node's first place in its table's rows */
	int lookup;	       /* the stage, or -1 */
} lowering;

/* --- tables ------------------------------------------------------------------------------- */

/* Rows of tables that several nodes read stand side by side. */
static hel_status place_tables(lowering *l)
{
	hel_status st = HEL_OK;
	hel_stages *s = l->s;
	const size_t tables = l->m->schema->table_count;
	uint32_t *used = NULL;
	TRY_ALLOC(used, hel_alloc(tables, sizeof *used));
	s->dim = 1;
	for (size_t i = 0; i < l->g->nodes; i++) {
		const hel_node *n = &l->g->node[i];
		if (n->kind != HEL_NODE_EMBED)
			continue;
		l->column[i] = used[n->table];
		used[n->table] += (uint32_t)n->width;
		s->dim = HEL_MAX(s->dim, used[n->table]);
	}
done:
	hel_free(used);
	return st;
}

/* The model's rows where one node reads a table in full width, else rows of our own. */
static hel_status fill_tables(lowering *l)
{
	hel_status st = HEL_OK;
	hel_stages *s = l->s;
	const hel_schema *schema = l->m->schema;
	size_t room = 0;
	float *own;
	TRY_ALLOC(s->table, hel_alloc(schema->table_count, sizeof *s->table));
	for (size_t i = 0; i < l->g->nodes; i++) {
		const hel_node *n = &l->g->node[i];
		if (n->kind == HEL_NODE_EMBED && n->width == s->dim)
			s->table[n->table] = hel_node_tensor(l->m, n, 0);
	}
	for (size_t t = 0; t < schema->table_count; t++)
		room += s->table[t] ? 0 : hel_table_width(&schema->table[t]) * s->dim;
	TRY_ALLOC(s->rows, hel_alloc(room, sizeof *s->rows));
	own = s->rows;
	for (size_t t = 0; t < schema->table_count; t++) {
		if (s->table[t])
			continue;
		s->table[t] = own;
		for (size_t i = 0; i < l->g->nodes; i++) {
			const hel_node *n = &l->g->node[i];
			if (n->kind != HEL_NODE_EMBED || n->table != t)
				continue;
			for (size_t r = 0; r < n->rows[0]; r++)
				memcpy(own + r * s->dim + l->column[i],
				       hel_node_tensor(l->m, n, 0) + r * n->width,
				       n->width * sizeof *own);
		}
		own += hel_table_width(&schema->table[t]) * s->dim;
	}
done:
	return st;
}

/* What codes leave to constants: powers of a root the mean over all numbers of each digit. */
static hel_status lookup_constants(hel_stage *lookup, const hel_stages *s)
{
	hel_status st = HEL_OK;
	const hel_schema *schema = s->model->schema;
	for (size_t t = 0; t < schema->table_count; t++) {
		const size_t rows = hel_table_width(&schema->table[t]);
		const double left = hel_code_of(s->coding[t])->constant(s->order[t]);
		if (left == 0)
			continue;
		if (!lookup->bias[0])
			TRY_ALLOC(lookup->bias[0],
				  hel_alloc(lookup->rows, sizeof *lookup->bias[0]));
		for (size_t i = 0; i < rows * s->dim; i++)
			lookup->bias[0][t * s->dim + i % s->dim].re +=
			    left * (double)s->table[t][i];
	}
done:
	return st;
}

/* --- stages --------------------------------------------------------------------------------- */

static hel_status new_stage(hel_stage **out, lowering *l, const char *name, size_t rows,
			    size_t factors, size_t sources)
{
	hel_status st = HEL_OK;
	hel_stage *stage = *out = &l->s->stage[l->s->count];
	if (l->s->count == HEL_MAX_STAGES)
		FAIL(HEL_EUNSUPPORTED, "layer %s: a program of more than %d layers", name,
		     HEL_MAX_STAGES);
	TRY_ALLOC(stage->source, hel_alloc(sources, sizeof *stage->source));
	snprintf(stage->name, sizeof stage->name, "%s", name);
	stage->rows = rows;
	stage->factors = factors;
	l->s->count++;
done:
	return st;
}

/* All embedding vectors, one after the other. */
static hel_status push_lookup(lowering *l)
{
	hel_status st = HEL_OK;
	const hel_schema *schema = l->m->schema;
	hel_stage *stage = NULL;
	TRY(new_stage(&stage, l, "embeddings", l->s->dim * schema->table_count, 1, 1));
	l->lookup = (int)l->s->count - 1;
	stage->map = HEL_MAP_TABLES;
	stage->sources = 1;
	stage->source[0] =
	    (hel_stage_source){.stage = HEL_FROM_FEATURES, .width = hel_schema_onehots(schema)};
	for (size_t t = 0; t < schema->table_count; t++)
		if (hel_code_of(l->s->coding[t])->selects)
			stage->then = HEL_THEN_SELECT;
	TRY(lookup_constants(stage, l->s));
done:
	return st;
}

/* Where a part of an expression comes from. */
static hel_stage_source source_of(const lowering *l, const hel_map_part *p)
{
	const hel_schema *schema = l->m->schema;
	const size_t dense = hel_features_dense(schema, l->s->degree);
	if (p->of >= 0)
		return (hel_stage_source){.stage = p->of, .width = p->width};
	if (p->of == HEL_OF_DENSE)
		return (hel_stage_source){.stage = HEL_FROM_FEATURES, .width = p->width};
	if (!l->s->way.fuse)
		return (hel_stage_source){.stage = l->lookup, .width = p->width};
	return (hel_stage_source){.stage = HEL_FROM_FEATURES,
				  .first = (uint32_t)dense,
				  .width = hel_schema_onehots(schema)};
}

/* The source of a stage that holds another one's columns, or is to. Dense values and the entries
 * right behind them are one source. */
static hel_stage_source *place_of(hel_stage *stage, const hel_stage_source *x)
{
	for (size_t k = 0; k < stage->sources; k++) {
		hel_stage_source *y = &stage->source[k];
		if (y->stage == x->stage && (x->stage >= 0 || (x->first <= y->first + y->width &&
							       y->first <= x->first + x->width)))
			return y;
	}
	return NULL;
}

static void declare_source(hel_stage *stage, const hel_stage_source *x)
{
	hel_stage_source *y = place_of(stage, x);
	if (!y) {
		stage->source[stage->sources++] = *x;
		return;
	}
	const size_t end = HEL_MAX(x->first + x->width, y->first + y->width);
	y->first = HEL_MIN(x->first, y->first);
	y->width = end - y->first;
}

/* One part of factor f, multiplied out where it is of tables that are fused. */
static hel_status fill_matrix(const lowering *l, hel_stage *stage, size_t f, const hel_map_part *p)
{
	hel_status st = HEL_OK;
	const hel_stage_source x = source_of(l, p);
	hel_stage_source *y = place_of(stage, &x);
	const size_t dim = l->s->dim, tables = l->m->schema->table_count;
	if (!y->matrix[f])
		TRY_ALLOC(y->matrix[f], hel_alloc(stage->rows * y->width, sizeof(hel_complex)));
	for (size_t r = 0; r < stage->rows; r++) {
		hel_complex *to = y->matrix[f] + r * y->width + x.first - y->first;
		const double *from = p->matrix + r * p->width;
		if (p->of != HEL_OF_TABLES || !l->s->way.fuse) {
			for (size_t c = 0; c < p->width; c++)
				to[c].re = from[c];
			continue;
		}
		for (size_t t = 0; t < tables; t++, from += dim) {
			const size_t entries = hel_table_width(&l->m->schema->table[t]);
			const float *row = l->s->table[t];
			for (size_t i = 0; i < entries; i++, to++, row += dim)
				for (size_t k = 0; k < dim; k++)
					to->re += from[k] * (double)row[k];
		}
	}
done:
	return st;
}

static hel_status check_fused(const lowering *l, const hel_expression *e, size_t factors)
{
	size_t rows = l->s->dim * l->m->schema->table_count;
	bool tables = false;
	for (size_t f = 0; f < factors; f++) {
		rows += e[f].rows;
		for (size_t k = 0; k < e[f].parts; k++)
			if (e[f].part[k].of == HEL_OF_TABLES)
				tables = true;
			else
				rows += e[f].part[k].width;
	}
	if (l->s->way.fuse && tables && hel_schema_onehots(l->m->schema) * rows > MAX_FUSED)
		return hel_fail(HEL_ELIMIT, "tables of %zu entries are too large to multiply out",
				hel_schema_onehots(l->m->schema));
	return HEL_OK;
}

/* A stage of its own: a product of expressions, or what follows one. */
static hel_status push_stage(lowering *l, const hel_expression *e, size_t factors, const char *name,
			     hel_stage_then then, hel_stage **out)
{
	hel_status st = HEL_OK;
	const hel_stage_source *from[HEL_MAX_PARENTS];
	hel_stage *stage = NULL;
	size_t parts = 0, computed = 0;
	TRY(check_fused(l, e, factors));
	for (size_t f = 0; f < factors; f++) {
		parts += e[f].parts;
		if (hel_expression_part(&e[f], HEL_OF_TABLES)) {
			l->s->used.fuse |= l->s->way.fuse;
			if (!l->s->way.fuse && l->lookup < 0)
				TRY(push_lookup(l));
		}
	}
	TRY(new_stage(&stage, l, name, e[0].rows, factors, parts));
	stage->then = then;
	for (size_t f = 0; f < factors; f++)
		for (size_t k = 0; k < e[f].parts; k++) {
			const hel_stage_source x = source_of(l, &e[f].part[k]);
			declare_source(stage, &x);
		}
	for (size_t k = 0; k < stage->sources; k++)
		computed += stage->source[k].stage >= 0;
	if (computed > HEL_ARRAY_LEN(from))
		FAIL(HEL_EUNSUPPORTED,
		     "layer %s reads %zu products, at most %zu are possible: put a layer between "
		     "them",
		     name, computed, HEL_ARRAY_LEN(from));
	for (size_t f = 0; f < factors; f++) {
		for (size_t k = 0; k < e[f].parts; k++)
			TRY(fill_matrix(l, stage, f, &e[f].part[k]));
		TRY_ALLOC(stage->bias[f], hel_alloc(e[f].rows, sizeof *stage->bias[f]));
		for (size_t r = 0; r < e[f].rows; r++)
			stage->bias[f][r].re = e[f].bias[r];
	}
	*out = stage;
done:
	return st;
}

/* --- what multiplies ------------------------------------------------------------------------ */

static bool is_quadratic(const hel_dlrm *m, const hel_node *n)
{
	return !m->approximation && n->kind == HEL_NODE_ACTIVATION &&
	       (n->activation.kind == HEL_ACT_SQUARE || n->activation.kind == HEL_ACT_QUADRATIC);
}

static void quadratic_of(hel_activation act, double *a, double *b)
{
	*a = act.kind == HEL_ACT_SQUARE ? 1 : act.a;
	*b = act.kind == HEL_ACT_SQUARE ? 0 : act.b;
}

/* The latest stage's rows, each times a, plus b. */
static hel_status stage_value(hel_expression *out, const lowering *l, double a, double b)
{
	const size_t last = l->s->count - 1, rows = l->s->stage[last].rows;
	return hel_expression_of(out, (int)last, rows, 0, rows, a, b);
}

/* a x^2 + b x = a (x + b/2a)^2 - b^2/4a; x is used up. */
static hel_status square(hel_expression *out, lowering *l, hel_expression *x, hel_activation act,
			 const char *name)
{
	hel_status st = HEL_OK;
	hel_stage *stage;
	double a, b;
	quadratic_of(act, &a, &b);
	if (a == 0)
		return hel_expression_sum(out, (const hel_expression *const[]){x}, 1, b);
	for (size_t i = 0; i < x->rows; i++)
		x->bias[i] += b / (2 * a);
	if (x->parts) {
		TRY(push_stage(l, x, 1, name, HEL_THEN_SQUARE, &stage));
		TRY(stage_value(out, l, a, -b * b / (4 * a)));
	} else {
		for (size_t i = 0; i < x->rows; i++)
			x->bias[i] = a * x->bias[i] * x->bias[i] - b * b / (4 * a);
		TRY(hel_expression_sum(out, (const hel_expression *const[]){x}, 1, 1));
	}
done:
	return st;
}

/* p(x) by a polynomial over the range: the stage computes x / range. */
static hel_status polynomial(hel_expression *out, lowering *l, hel_expression *x,
			     const hel_approximation *p, const char *name)
{
	hel_status st = HEL_OK;
	hel_stage *stage;
	double *factor = NULL;
	if (!x->parts) {
		for (size_t i = 0; i < x->rows; i++)
			x->bias[i] = hel_approximation_at(p, x->bias[i]);
		return hel_expression_sum(out, (const hel_expression *const[]){x}, 1, 1);
	}
	TRY_ALLOC(factor, hel_alloc(x->rows, sizeof *factor));
	for (size_t i = 0; i < x->rows; i++)
		factor[i] = 1 / p->range;
	hel_expression_scale(x, factor);
	TRY(push_stage(l, x, 1, name, HEL_THEN_POLYNOMIAL, &stage));
	stage->polynomial = p;
	TRY(stage_value(out, l, 1, 0));
done:
	hel_free(factor);
	return st;
}

/* act(x) where x is affine in the dense values: affine in them and their products. */
static hel_status expand_monomials(hel_expression *x, hel_activation act)
{
	hel_status st = HEL_OK;
	double a, b, *matrix = NULL;
	quadratic_of(act, &a, &b);
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

/* x y, element by element; both are used up. */
static hel_status product(hel_expression *out, lowering *l, hel_expression pair[2],
			  const char *name)
{
	hel_status st = HEL_OK;
	hel_stage *stage;
	const size_t constant = !pair[1].parts;
	if (pair[0].parts && pair[1].parts) {
		TRY(push_stage(l, pair, 2, name, HEL_THEN_PRODUCT, &stage));
		TRY(stage_value(out, l, 1, 0));
	} else {
		hel_expression_scale(&pair[!constant], pair[constant].bias);
		TRY(hel_expression_sum(out, (const hel_expression *const[]){&pair[!constant]}, 1,
				       1));
	}
done:
	return st;
}

/* --- nodes ----------------------------------------------------------------------------------- */

/* What a node's layer is called. The DLRM's layers are counted without their activations. */
static void name_of(char name[HEL_NAME_MAX], const lowering *l, uint32_t node)
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

static hel_status lower_activation(hel_expression *out, lowering *l, uint32_t i)
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
	TRY(hel_expression_sum(&x, &in, 1, 1));
	if (l->m->approximation)
		TRY(polynomial(out, l, &x, &l->m->approximation[n->activated], name));
	else if (l->s->degree == 2 && x.parts == 1 && x.part[0].of == HEL_OF_DENSE &&
		 x.part[0].width == l->m->schema->dense_count) {
		TRY(expand_monomials(&x, n->activation));
		*out = x;
		x = (hel_expression){0};
	} else
		TRY(square(out, l, &x, n->activation, name));
done:
	hel_expression_clear(&x);
	return st;
}

/* All pairs' products, a row for each element of each pair; the sums over those are affine. */
static hel_status lower_dot(hel_expression *out, lowering *l, uint32_t i,
			    const hel_expression *const *in)
{
	hel_status st = HEL_OK;
	const hel_node *n = &l->g->node[i];
	const size_t dim = in[0]->rows, rows = n->width * dim;
	hel_expression all = {0}, pair[2] = {{0}}, products = {0};
	uint32_t *row = NULL;
	size_t at = 0;
	TRY(hel_expression_join(&all, in, n->inputs));
	if (n->self && n->inputs == 1) {
		TRY(square(&products, l, &all, (hel_activation){HEL_ACT_SQUARE, 0, 0}, n->name));
	} else {
		TRY_ALLOC(row, hel_alloc(2 * rows, sizeof *row));
		for (size_t a = 0; a < n->inputs; a++)
			for (size_t b = n->upper ? a + !n->self : 0;
			     b < (n->upper ? n->inputs : a + n->self); b++)
				for (size_t k = 0; k < dim; k++, at++) {
					row[at] = (uint32_t)(a * dim + k);
					row[rows + at] = (uint32_t)(b * dim + k);
				}
		for (size_t f = 0; f < 2; f++)
			TRY(hel_expression_pick(&pair[f], &all, row + f * rows, rows));
		TRY(product(&products, l, pair, n->name));
	}
	TRY(hel_expression_gather(out, &products, dim));
done:
	hel_free(row);
	hel_expression_clear(&all);
	hel_expression_clear(&pair[0]);
	hel_expression_clear(&pair[1]);
	hel_expression_clear(&products);
	return st;
}

static hel_status lower_multiply(hel_expression *out, lowering *l, uint32_t i,
				 const hel_expression *const *in)
{
	hel_status st = HEL_OK;
	const hel_node *n = &l->g->node[i];
	hel_expression pair[2] = {{0}};
	for (size_t f = 0; f < 2; f++)
		TRY(hel_expression_sum(&pair[f], &in[f], 1, 1));
	if (n->input[0] == n->input[1])
		TRY(square(out, l, pair, (hel_activation){HEL_ACT_SQUARE, 0, 0}, n->name));
	else
		TRY(product(out, l, pair, n->name));
done:
	hel_expression_clear(&pair[0]);
	hel_expression_clear(&pair[1]);
	return st;
}

static hel_status lower_node(hel_expression *out, lowering *l, uint32_t i,
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

/* --- the whole graph ---------------------------------------------------------------------------
 */

/* The last layer after squares or products: its weights move into them. */
static hel_status sum_of_products(lowering *l, hel_expression *e, const char *name)
{
	hel_status st = HEL_OK;
	hel_stages *s = l->s;
	hel_stage *last = &s->stage[s->count - 1], *sum;
	for (size_t r = 0; r < last->rows; r++) {
		const double weight = e->part[0].matrix[r];
		const double complex root = last->then == HEL_THEN_SQUARE ? csqrt(weight) : weight;
		const hel_complex f = {creal(root), cimag(root)};
		for (size_t k = 0; k < last->sources; k++)
			for (size_t c = 0; last->source[k].matrix[0] && c < last->source[k].width;
			     c++) {
				hel_complex *w =
				    &last->source[k].matrix[0][r * last->source[k].width + c];
				*w = (hel_complex){w->re * f.re, w->re * f.im};
			}
		hel_complex *bias = &last->bias[0][r];
		*bias = (hel_complex){bias->re * f.re, bias->re * f.im};
		e->part[0].matrix[r] = 1;
	}
	TRY(push_stage(l, e, 1, name, HEL_THEN_NOTHING, &sum));
	sum->map = HEL_MAP_ONES;
	s->used.sum = true;
done:
	return st;
}

/* The logit itself. */
static hel_status lower_logit(lowering *l, hel_expression *e)
{
	hel_status st = HEL_OK;
	hel_stages *s = l->s;
	const int last = (int)s->count - 1;
	char name[HEL_NAME_MAX];
	hel_stage *stage;
	name_of(name, l, (uint32_t)l->g->nodes - 1);
	if (!e->parts)
		FAIL(HEL_EUNSUPPORTED, "the model's score is the same for every record");
	if (s->way.unit > 0)
		hel_expression_scale(e, &(double){1 / s->way.unit});
	if (s->way.sum && e->parts == 1 && e->part[0].of == last && last >= 0 &&
	    hel_stage_is_product(&s->stage[last]))
		TRY(sum_of_products(l, e, name));
	else
		TRY(push_stage(l, e, 1, name, HEL_THEN_NOTHING, &stage));
done:
	return st;
}

/* Values are read from the last level back. */
static void count_levels(hel_stages *s)
{
	for (size_t i = s->count; i-- > 0;) {
		hel_stage *x = &s->stage[i];
		x->level += hel_stage_levels(x);
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
static hel_status lower_from(lowering *l, uint32_t i)
{
	hel_status st = HEL_OK;
	const hel_node *n = &l->g->node[i];
	const hel_expression **in = NULL;
	TRY_ALLOC(in, hel_alloc(n->inputs, sizeof(*in)));
	for (size_t k = 0; k < n->inputs; k++)
		in[k] = &l->value[n->input[k]];
	st = lower_node(&l->value[i], l, i, in);
	if (st == HEL_ELIMIT) {
		char why[200];
		snprintf(why, sizeof why, "%s", hel_error_detail());
		FAIL(st, "node '%s' (%s): %s", n->name, hel_node_kind_name(n->kind), why);
	}
	for (size_t k = 0; k < n->inputs; k++)
		if (l->reader[n->input[k]] == i)
			hel_expression_clear(&l->value[n->input[k]]);
done:
	hel_free(in);
	return st;
}

static hel_status lower(lowering *l)
{
	hel_status st = HEL_OK;
	const hel_graph *g = l->g;
	TRY_ALLOC(l->value, hel_alloc(g->nodes, sizeof *l->value));
	TRY_ALLOC(l->reader, hel_alloc(g->nodes, sizeof *l->reader));
	TRY_ALLOC(l->column, hel_alloc(g->nodes, sizeof *l->column));
	TRY(place_tables(l));
	TRY(fill_tables(l));
	for (uint32_t i = 0; i < g->nodes; i++)
		for (size_t k = 0; k < g->node[i].inputs; k++)
			l->reader[g->node[i].input[k]] = i;
	/* decided first, because it moves the one-hot entries */
	l->s->used.monomials = l->s->way.monomials && can_expand(l->m);
	l->s->degree = l->s->used.monomials ? 2 : 1;
	for (uint32_t i = 0; i < g->nodes; i++)
		TRY(lower_from(l, i));
	TRY(lower_logit(l, &l->value[g->nodes - 1]));
	count_levels(l->s);
done:
	for (size_t i = 0; l->value && i < g->nodes; i++)
		hel_expression_clear(&l->value[i]);
	hel_free(l->value);
	hel_free(l->reader);
	hel_free(l->column);
	return st;
}

/* How each table travels: as it must, or as the way says. */
static void choose_coding(hel_coding *coding, uint32_t *order, const hel_table_field *t,
			  const hel_way *way, hel_coding wanted)
{
	*order = hel_table_order(t);
	*coding = wanted;
	if (wanted == HEL_CODINGS && way->powers && *order <= way->powers &&
	    hel_table_can_be(t, HEL_CODING_POWERS, *order))
		*coding = HEL_CODING_POWERS;
	else if (wanted == HEL_CODINGS)
		*coding = way->grid && hel_table_can_be(t, HEL_CODING_GRID, 1) ? HEL_CODING_GRID
									       : HEL_CODING_ONE_HOT;
}

/* Equality is tested in a whole ciphertext at once: all tables share its order. */
static void choose_codings(hel_stages *s)
{
	const hel_schema *schema = s->model->schema;
	uint32_t most[HEL_CODINGS] = {0};
	for (size_t i = 0; i < schema->table_count; i++) {
		choose_coding(&s->coding[i], &s->order[i], &schema->table[i], &s->way,
			      s->way.coding ? s->way.coding[i] : HEL_CODINGS);
		most[s->coding[i]] = HEL_MAX(most[s->coding[i]], s->order[i]);
	}
	for (hel_coding c = 0; c < HEL_CODINGS; c++) {
		const hel_code *code = hel_code_of(c);
		if (!most[c])
			continue;
		most[c] = code->power_of_two ? 1u << hel_log2_ceil(most[c]) : most[c];
		s->code_levels = HEL_MAX(s->code_levels, code->levels(most[c]));
	}
	for (size_t i = 0; i < schema->table_count; i++)
		if (hel_code_of(s->coding[i])->equal_order)
			s->order[i] = most[s->coding[i]];
}

hel_status hel_stages_new(hel_stages **out, const hel_dlrm *m, hel_way way)
{
	hel_status st = HEL_OK;
	hel_stages *s = NULL;
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	s->model = m;
	s->way = way;
	TRY_ALLOC(s->coding, hel_alloc(m->schema->table_count + 1, sizeof *s->coding));
	TRY_ALLOC(s->order, hel_alloc(m->schema->table_count + 1, sizeof *s->order));
	choose_codings(s);
	TRY_ALLOC(s->stage, hel_alloc(HEL_MAX_STAGES, sizeof *s->stage));
	lowering l = {.s = s, .m = m, .g = m->graph, .lookup = -1};
	TRY(lower(&l));
	*out = s;
	s = NULL;
done:
	hel_stages_free(s);
	return st;
}

void hel_stages_free(hel_stages *s)
{
	if (!s)
		return;
	for (size_t i = 0; s->stage && i < s->count; i++)
		hel_stage_clear(&s->stage[i]);
	hel_free(s->stage);
	hel_free(s->coding);
	hel_free(s->order);
	hel_free(s->table);
	hel_free(s->rows);
	hel_free(s);
}

unsigned hel_stages_levels(const hel_stages *s)
{
	unsigned levels = 0;
	for (size_t i = 0; i < s->count; i++)
		levels =
		    HEL_MAX(levels, hel_stage_level(s, i) +
					(s->stage[i].map == HEL_MAP_TABLES ? s->code_levels : 0));
	return levels;
}
