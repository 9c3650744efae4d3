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
	uint32_t *readers;     /* per node: how many read it */
	uint32_t *absorbed;    /* per node: of an addition, the product that it is already in */
	int lookup;	       /* the stage, or -1 */
	double *mean, *spread; /* of all tables' rows, place by place */
	/* per stage: what it multiplies, or squares */
	hel_expression kept[HEL_MAX_STAGES][2];
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

static hel_status measure_tables(lowering *l)
{
	hel_status st = HEL_OK;
	const size_t dim = l->s->dim, tables = l->m->schema->table_count;
	TRY_ALLOC(l->mean, hel_alloc(dim * tables, sizeof *l->mean));
	TRY_ALLOC(l->spread, hel_alloc(dim * tables, sizeof *l->spread));
	for (size_t t = 0; t < tables; t++) {
		const hel_table_field *field = &l->m->schema->table[t];
		/* each of a table's places names one of its rows */
		const double rows = (double)hel_table_width(field) / field->digits;
		double *mean = l->mean + t * dim, *spread = l->spread + t * dim;
		for (size_t i = 0; i < hel_table_width(field) * dim; i++) {
			const double x = (double)l->s->table[t][i];
			mean[i % dim] += x / rows;
			spread[i % dim] += x * x / rows;
		}
		for (size_t d = 0; d < dim; d++)
			spread[d] = sqrt(spread[d]);
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

/* One part of a map, its real or imaginary part, multiplied out where it is of tables that are
 * fused. */
static hel_status fill_matrix(const lowering *l, hel_stage *stage, size_t factor, bool imaginary,
			      const hel_map_part *p)
{
	hel_status st = HEL_OK;
	const hel_stage_source x = source_of(l, p);
	hel_stage_source *y = place_of(stage, &x);
	const size_t dim = l->s->dim, tables = l->m->schema->table_count;
	hel_complex **matrix = &y->matrix[factor];
	if (!*matrix)
		TRY_ALLOC(*matrix, hel_alloc(stage->rows * y->width, sizeof **matrix));
	for (size_t r = 0; r < stage->rows; r++) {
		/* real numbers, two to a complex one */
		double *to = &(*matrix + r * y->width + x.first - y->first)->re + imaginary;
		const double *from = p->matrix + r * p->width;
		if (p->of != HEL_OF_TABLES || !l->s->way.fuse) {
			for (size_t c = 0; c < p->width; c++)
				to[2 * c] = from[c];
			continue;
		}
		for (size_t t = 0; t < tables; t++, from += dim) {
			const size_t entries = hel_table_width(&l->m->schema->table[t]);
			const float *row = l->s->table[t];
			for (size_t i = 0; i < entries; i++, to += 2, row += dim)
				for (size_t k = 0; k < dim; k++)
					*to += from[k] * (double)row[k];
		}
	}
done:
	return st;
}

/* Affine maps that become a stage; all have as many rows. */
typedef struct maps {
	const hel_expression *real, *imaginary, *second; /* the latter two: NULL: none */
} maps;

static const hel_expression *map_of(const maps *m, size_t number)
{
	return number == 0 ? m->real : number == 1 ? m->imaginary : m->second;
}

static hel_status check_fused(const lowering *l, const maps *m)
{
	size_t rows = l->s->dim * l->m->schema->table_count;
	bool tables = false;
	for (size_t n = 0; n < 3; n++) {
		const hel_expression *e = map_of(m, n);
		rows += e ? e->rows : 0;
		for (size_t k = 0; e && k < e->parts; k++)
			if (e->part[k].of == HEL_OF_TABLES)
				tables = true;
			else
				rows += e->part[k].width;
	}
	if (l->s->way.fuse && tables && hel_schema_onehots(l->m->schema) * rows > MAX_FUSED)
		return hel_fail(HEL_ELIMIT, "tables of %zu entries are too large to multiply out",
				hel_schema_onehots(l->m->schema));
	return HEL_OK;
}

static hel_status copy(hel_expression *out, const hel_expression *e)
{
	return hel_expression_sum(out, &e, 1, 1);
}

static void clear_kept(lowering *l, size_t stage)
{
	for (size_t f = 0; f < 2; f++)
		hel_expression_clear(&l->kept[stage][f]);
}

/* Takes the latest stage back, which nobody reads any more. */
static void pop_stage(lowering *l)
{
	clear_kept(l, --l->s->count);
	hel_stage_clear(&l->s->stage[l->s->count]);
}

/* Whether tables are looked up before it, once. */
static hel_status look_up(lowering *l, const maps *m)
{
	hel_status st = HEL_OK;
	for (size_t n = 0; n < 3; n++) {
		const hel_expression *e = map_of(m, n);
		if (!e || !hel_expression_part(e, HEL_OF_TABLES))
			continue;
		l->s->used.fuse |= l->s->way.fuse;
		if (!l->s->way.fuse && l->lookup < 0)
			TRY(push_lookup(l));
	}
done:
	return st;
}

/* A stage of its own: `then` of a map. */
static hel_status push_stage(lowering *l, maps m, const char *name, hel_stage_then then,
			     hel_stage **out)
{
	hel_status st = HEL_OK;
	hel_stage *stage = NULL;
	size_t parts = 0, computed = 0;
	TRY(check_fused(l, &m));
	TRY(look_up(l, &m));
	for (size_t n = 0; n < 3; n++)
		parts += map_of(&m, n) ? map_of(&m, n)->parts : 0;
	TRY(new_stage(&stage, l, name, m.real->rows, m.second ? 2 : 1, parts));
	stage->then = then;
	for (size_t n = 0; n < 3; n++)
		for (size_t k = 0; map_of(&m, n) && k < map_of(&m, n)->parts; k++) {
			const hel_stage_source x = source_of(l, &map_of(&m, n)->part[k]);
			declare_source(stage, &x);
		}
	for (size_t k = 0; k < stage->sources; k++)
		computed += stage->source[k].stage >= 0;
	if (computed > HEL_MAX_PARENTS)
		FAIL(HEL_EUNSUPPORTED,
		     "layer %s reads %zu products, at most %d are possible: put a layer between "
		     "them",
		     name, computed, HEL_MAX_PARENTS);
	for (size_t n = 0; n < 3; n++) {
		const hel_expression *e = map_of(&m, n);
		hel_complex **bias = &stage->bias[n == 2];
		if (!e)
			continue;
		for (size_t k = 0; k < e->parts; k++)
			TRY(fill_matrix(l, stage, n == 2, n == 1, &e->part[k]));
		if (!*bias)
			TRY_ALLOC(*bias, hel_alloc(e->rows, sizeof **bias));
		for (size_t r = 0; r < e->rows; r++)
			*(n == 1 ? &(*bias)[r].im : &(*bias)[r].re) = e->bias[r];
	}
	*out = stage;
done:
	return st;
}

/* About how large a row's values are: of tables, over all rows alike; of others, as if they were
 * standardised. */
static void sizes_of(double *size, const lowering *l, const hel_expression *e)
{
	for (size_t r = 0; r < e->rows; r++) {
		double square = 0, mean = e->bias[r];
		for (size_t k = 0; k < e->parts; k++) {
			const double *w = e->part[k].matrix + r * e->part[k].width;
			const bool tables = e->part[k].of == HEL_OF_TABLES;
			for (size_t c = 0; c < e->part[k].width; c++) {
				const double spread = tables ? l->spread[c] : 1;
				mean += tables ? w[c] * l->mean[c] : 0;
				square += w[c] * w[c] * spread * spread;
			}
		}
		size[r] = sqrt(square + mean * mean);
	}
}

/* Powers of two for the rows of factors, whose product is 1 in each row: so that all are about as
 * large, and errors of one are not multiplied by another much larger one. */
static hel_status balance(const lowering *l, hel_expression *factor, size_t factors)
{
	hel_status st = HEL_OK;
	const size_t rows = factor[0].rows;
	double *size = NULL;
	TRY_ALLOC(size, hel_alloc(factors * rows, sizeof *size));
	for (size_t f = 0; f < factors; f++)
		sizes_of(size + f * rows, l, &factor[f]);
	for (size_t r = 0; r < rows; r++) {
		int exponent[3], sum = 0;
		bool zero = false;
		for (size_t f = 0; f < factors; f++) {
			zero |= !(size[f * rows + r] > 0);
			exponent[f] = zero ? 0 : ilogb(size[f * rows + r]);
			sum += exponent[f];
		}
		const int each = (int)floor(sum / (double)factors);
		for (size_t f = 0; f < factors; f++) {
			/* the last takes what the division leaves */
			const int wanted = f + 1 < factors ? each : sum - each * ((int)factors - 1);
			size[f * rows + r] = zero ? 1 : ldexp(1, wanted - exponent[f]);
		}
	}
	for (size_t f = 0; f < factors; f++)
		hel_expression_scale(&factor[f], size + f * rows);
done:
	hel_free(size);
	return st;
}

/* u v, times `second` unless that is NULL. */
static hel_status push_product(lowering *l, const hel_expression *u, const hel_expression *v,
			       const hel_expression *second, const char *name)
{
	hel_status st = HEL_OK;
	hel_expression minus = {0}, real = {0}, imaginary = {0};
	hel_stage *stage;
	TRY(hel_expression_sum(&minus, &u, 1, -1));
	TRY(hel_expression_sum(&real, (const hel_expression *const[]){u, v}, 2, 0.5));
	TRY(hel_expression_sum(&imaginary, (const hel_expression *const[]){v, &minus}, 2, 0.5));
	TRY(push_stage(l, (maps){&real, &imaginary, second}, name, HEL_THEN_PRODUCT, &stage));
	TRY(copy(&l->kept[l->s->count - 1][0], u));
	TRY(copy(&l->kept[l->s->count - 1][1], v));
done:
	hel_expression_clear(&minus);
	hel_expression_clear(&real);
	hel_expression_clear(&imaginary);
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
		TRY(push_stage(l, (maps){.real = x}, name, HEL_THEN_SQUARE, &stage));
		TRY(copy(&l->kept[l->s->count - 1][0], x));
		TRY(stage_value(out, l, a, -b * b / (4 * a)));
	} else {
		for (size_t i = 0; i < x->rows; i++)
			x->bias[i] = a * x->bias[i] * x->bias[i] - b * b / (4 * a);
		TRY(copy(out, x));
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
		return copy(out, x);
	}
	TRY_ALLOC(factor, hel_alloc(x->rows, sizeof *factor));
	for (size_t i = 0; i < x->rows; i++)
		factor[i] = 1 / p->range;
	hel_expression_scale(x, factor);
	TRY(push_stage(l, (maps){.real = x}, name, HEL_THEN_POLYNOMIAL, &stage));
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
	const size_t constant = !pair[1].parts;
	if (pair[0].parts && pair[1].parts) {
		TRY(balance(l, pair, 2));
		TRY(push_product(l, &pair[0], &pair[1], NULL, name));
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
	TRY(copy(&x, in));
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

/* x y + x = x (y + 1): where a sum of a product and one of its factors is all that reads it, the
 * sum is the product. */
static void absorb_residual(lowering *l, uint32_t i, hel_expression pair[2])
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

static hel_status lower_multiply(hel_expression *out, lowering *l, uint32_t i,
				 const hel_expression *const *in)
{
	hel_status st = HEL_OK;
	const hel_node *n = &l->g->node[i];
	hel_expression pair[2] = {{0}};
	for (size_t f = 0; f < 2; f++)
		TRY(copy(&pair[f], in[f]));
	absorb_residual(l, i, pair);
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
		if (l->absorbed[i])
			return copy(out, &l->value[l->absorbed[i]]);
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

/* A row more for each factor. */
static hel_status add_rows(hel_expression *e, const hel_expression *row)
{
	hel_status st = HEL_OK;
	hel_expression both = {0};
	TRY(hel_expression_join(&both, (const hel_expression *const[]){e, row}, 2));
	hel_expression_clear(e);
	*e = both;
done:
	return st;
}

/* What remains of the logit beside the last stage, as rows of that stage: h = h 1, or, of squares,
 * ((h + 1) / 2)^2 - ((h - 1) / 2)^2. Nothing where nothing remains. */
static hel_status rest_as_rows(hel_expression *factor, size_t factors, const hel_expression *rest)
{
	hel_status st = HEL_OK;
	hel_expression one = {0}, half = {0};
	if (!rest->parts)
		return HEL_OK;
	TRY(hel_expression_constant(&one, 1));
	if (factors > 1) {
		TRY(add_rows(&factor[0], rest));
		for (size_t f = 1; f < factors; f++)
			TRY(add_rows(&factor[f], &one));
		goto done;
	}
	for (int minus = 0; minus < 2; minus++) {
		hel_expression_clear(&half);
		one.bias[0] = minus ? -1 : 1;
		TRY(hel_expression_sum(&half, (const hel_expression *const[]){rest, &one}, 2, 0.5));
		TRY(add_rows(&factor[0], &half));
	}
done:
	hel_expression_clear(&one);
	hel_expression_clear(&half);
	return st;
}

/* e without its map of stage `of`, and without its bias where other parts remain, which take it. */
static hel_status rest_of(hel_expression *out, const hel_expression *e, int of)
{
	hel_status st = copy(out, e);
	for (size_t k = 0; st == HEL_OK && k < out->parts; k++)
		if (out->part[k].of == of) {
			hel_free(out->part[k].matrix);
			out->part[k--] = out->part[--out->parts];
		}
	return st;
}

#define FEWEST_PAIRED 64 /* squares; of fewer a layer has one diagonal in any case */

/* sum_i w_i x_i^2: those with positive and with negative weights, as real and imaginary parts of
 * complex squares, where that makes half of them. */
static hel_status push_paired_squares(bool *done, lowering *l, const hel_expression *x,
				      const double *weight, const char *name)
{
	hel_status st = HEL_OK;
	size_t count[2] = {0, 0};
	double *matrix = NULL;
	hel_expression part[2] = {{0}};
	hel_stage *stage;
	for (size_t i = 0; i < x->rows; i++)
		count[weight[i] < 0]++;
	const size_t rows = HEL_MAX(count[0], count[1]);
	*done = x->rows >= FEWEST_PAIRED && hel_log2_ceil(rows) < hel_log2_ceil(x->rows);
	if (!*done)
		goto done;
	TRY_ALLOC(matrix, hel_alloc(2 * rows * x->rows, sizeof *matrix));
	count[0] = count[1] = 0;
	for (size_t i = 0; i < x->rows; i++) {
		const size_t negative = weight[i] < 0;
		matrix[(negative * rows + count[negative]++) * x->rows + i] = sqrt(fabs(weight[i]));
	}
	for (size_t k = 0; k < 2; k++)
		TRY(hel_expression_map(&part[k], x, matrix + k * rows * x->rows, rows));
	TRY(push_stage(l, (maps){.real = &part[0], .imaginary = &part[1]}, name, HEL_THEN_PRODUCT,
		       &stage));
done:
	hel_free(matrix);
	hel_expression_clear(&part[0]);
	hel_expression_clear(&part[1]);
	return st;
}

/* sum_i w_i x_i^2: the weights' roots move into the squares. */
static hel_status push_weighted_squares(lowering *l, const hel_expression *x, const double *weight,
					const char *name)
{
	hel_status st = HEL_OK;
	hel_stage *last = NULL;
	bool paired;
	TRY(push_paired_squares(&paired, l, x, weight, name));
	if (paired)
		goto done;
	TRY(push_stage(l, (maps){.real = x}, name, HEL_THEN_SQUARE, &last));
	for (size_t r = 0; r < last->rows; r++) {
		const double complex root = csqrt(weight[r]);
		const hel_complex f = {creal(root), cimag(root)};
		for (size_t k = 0; k < last->sources; k++)
			for (size_t c = 0; c < last->source[k].width; c++) {
				hel_complex *w =
				    &last->source[k].matrix[0][r * last->source[k].width + c];
				*w = (hel_complex){w->re * f.re, w->re * f.im};
			}
		hel_complex *bias = &last->bias[0][r];
		*bias = (hel_complex){bias->re * f.re, bias->re * f.im};
	}
done:
	return st;
}

/* The sum of w x^2, or of w u v (w u v s), and what remains, as one stage and the sum of all its
 * slots. */
static hel_status sum_of_products(lowering *l, hel_expression *factor, size_t factors,
				  const double *given, const hel_expression *rest,
				  const char *names[2])
{
	hel_status st = HEL_OK;
	const size_t rows = factor[0].rows;
	double *weight = NULL;
	hel_expression e = {0}, all = {0};
	hel_stage *sum;
	TRY_ALLOC(weight, hel_alloc(rows + 2, sizeof *weight));
	memcpy(weight, given, rows * sizeof *weight);
	weight[rows] = 1;
	weight[rows + 1] = -1; /* of squares */
	TRY(rest_as_rows(factor, factors, rest));
	if (factors == 1)
		TRY(push_weighted_squares(l, factor, weight, names[0]));
	else {
		for (size_t r = rows; r < factor[0].rows; r++)
			weight[r] = 1;
		hel_expression_scale(&factor[0], weight);
		TRY(balance(l, factor, factors));
		TRY(push_product(l, &factor[0], &factor[1], factors > 2 ? &factor[2] : NULL,
				 names[0]));
	}
	TRY(stage_value(&e, l, 1, 0));
	TRY(hel_expression_gather(&all, &e, e.rows));
	all.bias[0] = rest->parts ? 0 : rest->bias[0];
	TRY(push_stage(l, (maps){.real = &all}, names[1], HEL_THEN_NOTHING, &sum));
	sum->map = HEL_MAP_ONES;
	l->s->used.sum = true;
done:
	hel_free(weight);
	hel_expression_clear(&e);
	hel_expression_clear(&all);
	return st;
}

/* The logit through its last stage, whose weights are e's. */
static hel_status end_in_sum(lowering *l, const hel_expression *e, const char *name)
{
	hel_status st = HEL_OK;
	const size_t last = l->s->count - 1;
	const size_t factors = l->s->stage[last].then == HEL_THEN_SQUARE ? 1 : 2;
	char product[HEL_NAME_MAX];
	hel_expression factor[2] = {{0}}, rest = {0};
	snprintf(product, sizeof product, "%s", l->s->stage[last].name);
	TRY(rest_of(&rest, e, (int)last));
	for (size_t f = 0; f < factors; f++)
		TRY(copy(&factor[f], &l->kept[last][f]));
	pop_stage(l);
	TRY(sum_of_products(l, factor, factors, hel_expression_part(e, (int)last)->matrix, &rest,
			    (const char *[]){product, name}));
done:
	hel_expression_clear(&factor[0]);
	hel_expression_clear(&factor[1]);
	hel_expression_clear(&rest);
	return st;
}

static bool of_record(const hel_expression *e)
{
	bool record = true;
	for (size_t k = 0; k < e->parts; k++)
		record &= e->part[k].of < 0;
	return record;
}

/* Whether the logit is sum_i w_i x_i (R y + r)_i + c y + h, where y is a product and y's factors, x
 * and h are affine in the record. Then it is sum_j y_j (R^T w x + c)_j + h + sum_i w_i r_i x_i: a
 * product of three maps of the record, and a level less. *side: which factor x is. */
static bool is_cubic(const lowering *l, const hel_expression *e, size_t *side)
{
	const int last = (int)l->s->count - 1;
	if (last < 1 || !hel_expression_part(e, last))
		return false;
	const hel_stage *z = &l->s->stage[last], *y = z - 1;
	if (z->then != HEL_THEN_PRODUCT || y->then != HEL_THEN_PRODUCT ||
	    !of_record(&l->kept[last - 1][0]) || !of_record(&l->kept[last - 1][1]))
		return false;
	for (size_t k = 0; k < e->parts; k++)
		if (e->part[k].of >= 0 && e->part[k].of < last - 1)
			return false;
	for (*side = 0; *side < 2; ++*side) {
		const hel_expression *x = &l->kept[last][*side], *f = &l->kept[last][!*side];
		if (of_record(x) && f->parts == 1 && f->part[0].of == last - 1)
			return true;
	}
	return false;
}

static hel_status end_in_cubic(lowering *l, const hel_expression *e, size_t side, const char *name)
{
	hel_status st = HEL_OK;
	const int last = (int)l->s->count - 1;
	const hel_expression *x = &l->kept[last][side], *f = &l->kept[last][!side];
	const double *w = hel_expression_part(e, last)->matrix;
	const hel_map_part *c = hel_expression_part(e, last - 1);
	const size_t n = x->rows, m = f->part[0].width;
	double *weight = NULL, *ones = NULL;
	char product[HEL_NAME_MAX];
	hel_expression factor[3] = {{0}}, record = {0}, linear = {0}, rest = {0};
	snprintf(product, sizeof product, "%s", l->s->stage[last].name);
	TRY_ALLOC(weight, hel_alloc((m + 1) * n, sizeof *weight));
	TRY_ALLOC(ones, hel_alloc(m, sizeof *ones));
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < m; j++)
			weight[j * n + i] = w[i] * f->part[0].matrix[i * m + j];
		weight[m * n + i] = w[i] * f->bias[i];
	}
	TRY(hel_expression_map(&factor[2], x, weight, m));
	for (size_t j = 0; j < m; j++) {
		factor[2].bias[j] += c ? c->matrix[j] : 0;
		ones[j] = 1;
	}
	TRY(hel_expression_map(&linear, x, weight + m * n, 1));
	TRY(rest_of(&record, e, last));
	TRY(rest_of(&rest, &record, last - 1));
	hel_expression_clear(&record);
	TRY(hel_expression_sum(&record, (const hel_expression *const[]){&rest, &linear}, 2, 1));
	for (size_t k = 0; k < 2; k++)
		TRY(copy(&factor[k], &l->kept[last - 1][k]));
	pop_stage(l);
	pop_stage(l);
	TRY(sum_of_products(l, factor, 3, ones, &record, (const char *[]){product, name}));
done:
	hel_free(weight);
	hel_free(ones);
	for (size_t k = 0; k < 3; k++)
		hel_expression_clear(&factor[k]);
	hel_expression_clear(&record);
	hel_expression_clear(&linear);
	hel_expression_clear(&rest);
	return st;
}

/* The logit itself. */
static hel_status lower_logit(lowering *l, hel_expression *e)
{
	hel_status st = HEL_OK;
	hel_stages *s = l->s;
	const int last = (int)s->count - 1;
	size_t side;
	char name[HEL_NAME_MAX];
	hel_stage *stage;
	name_of(name, l, (uint32_t)l->g->nodes - 1);
	if (!e->parts)
		FAIL(HEL_EUNSUPPORTED, "the model's score is the same for every record");
	if (s->way.unit > 0)
		hel_expression_scale(e, &(double){1 / s->way.unit});
	if (s->way.sum && is_cubic(l, e, &side))
		TRY(end_in_cubic(l, e, side, name));
	else if (s->way.sum && last >= 0 && hel_stage_is_product(&s->stage[last]) &&
		 hel_expression_part(e, last))
		TRY(end_in_sum(l, e, name));
	else
		TRY(push_stage(l, (maps){.real = e}, name, HEL_THEN_NOTHING, &stage));
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
	TRY_ALLOC(l->readers, hel_alloc(g->nodes, sizeof *l->readers));
	TRY_ALLOC(l->absorbed, hel_alloc(g->nodes, sizeof *l->absorbed));
	TRY(place_tables(l));
	TRY(fill_tables(l));
	TRY(measure_tables(l));
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
	TRY(lower_logit(l, &l->value[g->nodes - 1]));
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
		clear_kept(l, i);
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
	lowering *l = NULL;
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	s->model = m;
	s->way = way;
	TRY_ALLOC(s->coding, hel_alloc(m->schema->table_count + 1, sizeof *s->coding));
	TRY_ALLOC(s->order, hel_alloc(m->schema->table_count + 1, sizeof *s->order));
	choose_codings(s);
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
