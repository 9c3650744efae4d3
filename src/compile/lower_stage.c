/* Affine maps that become stages: their sources, matrices, products. */
#include "features/coding.h"
#include "lowering.h"
#include <math.h>
#include <string.h>

#define MAX_FUSED (1u << 24) /* entries of a map from all tables' entries */

/* Where a part of an expression comes from. */
static hel_stage_source source_of(const hel_lowering *l, const hel_map_part *p)
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
static hel_status fill_matrix(const hel_lowering *l, hel_stage *stage, size_t factor,
			      bool imaginary, const hel_map_part *p)
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

static const hel_expression *map_of(const hel_maps *m, size_t number)
{
	return number == 0 ? m->real : number == 1 ? m->imaginary : m->second;
}

static hel_status check_fused(const hel_lowering *l, const hel_maps *m)
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

void hel_lower_forget(hel_lowering *l, size_t stage)
{
	for (size_t f = 0; f < 2; f++)
		hel_expression_clear(&l->kept[stage][f]);
}

/* Takes the latest stage back, which nobody reads any more. */
void hel_lower_pop(hel_lowering *l)
{
	hel_lower_forget(l, --l->s->count);
	hel_stage_clear(&l->s->stage[l->s->count]);
	for (size_t i = 0; i < l->g->nodes; i++)
		if (l->s->node_stage[i] == (int)l->s->count)
			l->s->node_stage[i] = HEL_STAGE_PENDING;
}

/* Whether tables are looked up before it, once. */
static hel_status look_up(hel_lowering *l, const hel_maps *m)
{
	hel_status st = HEL_OK;
	for (size_t n = 0; n < 3; n++) {
		const hel_expression *e = map_of(m, n);
		if (!e || !hel_expression_part(e, HEL_OF_TABLES))
			continue;
		l->s->used.fuse |= l->s->way.fuse;
		if (!l->s->way.fuse && l->lookup < 0)
			TRY(hel_lower_lookup(l));
	}
done:
	return st;
}

/* A stage of its own: `then` of a map. */
hel_status hel_lower_stage(hel_lowering *l, hel_maps m, const char *name, hel_stage_then then,
			   hel_stage **out)
{
	hel_status st = HEL_OK;
	hel_stage *stage = NULL;
	size_t parts = 0, computed = 0;
	TRY(check_fused(l, &m));
	TRY(look_up(l, &m));
	for (size_t n = 0; n < 3; n++)
		parts += map_of(&m, n) ? map_of(&m, n)->parts : 0;
	TRY(hel_stages_add(&stage, l->s, name, m.real->rows, m.second ? 2 : 1, parts));
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

/* The latest stage's rows, each times a, plus b. */
hel_status hel_lower_value(hel_expression *out, const hel_lowering *l, double a, double b)
{
	const size_t last = l->s->count - 1, rows = l->s->stage[last].rows;
	return hel_expression_of(out, (int)last, rows, 0, rows, a, b);
}

/* About how large a row's values are: of tables, over all rows alike; of others, as if they were
 * standardised. */
static void sizes_of(double *size, const hel_lowering *l, const hel_expression *e)
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
hel_status hel_lower_balance(const hel_lowering *l, hel_expression *factor, size_t factors)
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
hel_status hel_lower_product(hel_lowering *l, const hel_expression *u, const hel_expression *v,
			     const hel_expression *second, const char *name)
{
	hel_status st = HEL_OK;
	hel_expression minus = {0}, real = {0}, imaginary = {0};
	hel_stage *stage;
	TRY(hel_expression_sum(&minus, &u, 1, -1));
	TRY(hel_expression_sum(&real, (const hel_expression *const[]){u, v}, 2, 0.5));
	TRY(hel_expression_sum(&imaginary, (const hel_expression *const[]){v, &minus}, 2, 0.5));
	TRY(hel_lower_stage(l, (hel_maps){.real = &real, .imaginary = &imaginary, .second = second},
			    name, HEL_THEN_PRODUCT, &stage));
	TRY(hel_expression_copy(&l->kept[l->s->count - 1][0], u));
	TRY(hel_expression_copy(&l->kept[l->s->count - 1][1], v));
done:
	hel_expression_clear(&minus);
	hel_expression_clear(&real);
	hel_expression_clear(&imaginary);
	return st;
}

/* a x^2 + b x = a (x + b/2a)^2 - b^2/4a; x is used up. */
#define MOST_JOINED ((size_t)1 << 15) /* numbers of a map of one stage that grows sideways */

static bool of_record(const hel_expression *e)
{
	bool record = e->parts > 0;
	for (size_t k = 0; k < e->parts; k++)
		record &= e->part[k].of < 0;
	return record;
}

/* Squares of what another stage squares, too, stand beside them in its ciphertext: of the record,
 * or of one stage where the map that has zeros for the others is small. Returns the stage, or -1.
 */
static int find_squares(const hel_lowering *l, const hel_expression *x)
{
	for (size_t i = 0; i < l->s->count; i++) {
		const hel_expression *y = &l->kept[i][0];
		const hel_stage *s = &l->s->stage[i];
		if (s->then != HEL_THEN_SQUARE || s->in_a_row || !y->rows)
			continue;
		if (of_record(x) && of_record(y) &&
		    (l->s->way.fuse || !hel_expression_part(x, HEL_OF_TABLES) ||
		     (l->lookup >= 0 && l->lookup < (int)i)))
			return (int)i;
		if (x->parts == 1 && y->parts == 1 && x->part[0].of >= 0 &&
		    x->part[0].of == y->part[0].of &&
		    (x->rows + y->rows) * x->part[0].width <= MOST_JOINED)
			return (int)i;
	}
	return -1;
}

/* More squares behind those of a stage. */
static hel_status join_squares(hel_lowering *l, size_t at, const hel_expression *x)
{
	hel_status st = HEL_OK;
	hel_expression both = {0};
	hel_stage *stage;
	char name[HEL_NAME_MAX];
	snprintf(name, sizeof name, "%s", l->s->stage[at].name);
	TRY(hel_expression_join(&both, (const hel_expression *const[]){&l->kept[at][0], x}, 2));
	TRY(hel_lower_stage(l, (hel_maps){.real = &both}, name, HEL_THEN_SQUARE, &stage));
	hel_stage_clear(&l->s->stage[at]);
	l->s->stage[at] = *stage;
	memset(stage, 0, sizeof *stage);
	l->s->count--;
	hel_expression_clear(&l->kept[at][0]);
	l->kept[at][0] = both;
	both = (hel_expression){0};
done:
	hel_expression_clear(&both);
	return st;
}

hel_status hel_lower_square(hel_expression *out, hel_lowering *l, hel_expression *x,
			    hel_activation act, const char *name)
{
	hel_status st = HEL_OK;
	hel_stage *stage;
	double a, b;
	hel_quadratic_of(act, &a, &b);
	if (a == 0)
		return hel_expression_sum(out, (const hel_expression *const[]){x}, 1, b);
	for (size_t i = 0; i < x->rows; i++)
		x->bias[i] += b / (2 * a);
	const int beside = find_squares(l, x);
	if (beside >= 0) {
		const size_t before = l->s->stage[beside].rows;
		TRY(join_squares(l, (size_t)beside, x));
		TRY(hel_expression_of(out, beside, before + x->rows, before, x->rows, a,
				      -b * b / (4 * a)));
	} else if (x->parts) {
		TRY(hel_lower_stage(l, (hel_maps){.real = x}, name, HEL_THEN_SQUARE, &stage));
		TRY(hel_expression_copy(&l->kept[l->s->count - 1][0], x));
		TRY(hel_lower_value(out, l, a, -b * b / (4 * a)));
	} else {
		for (size_t i = 0; i < x->rows; i++)
			x->bias[i] = a * x->bias[i] * x->bias[i] - b * b / (4 * a);
		TRY(hel_expression_copy(out, x));
	}
done:
	return st;
}

/* x y, element by element; both are used up. */
hel_status hel_lower_multiply(hel_expression *out, hel_lowering *l, hel_expression pair[2],
			      const char *name)
{
	hel_status st = HEL_OK;
	const size_t constant = !pair[1].parts;
	if (pair[0].parts && pair[1].parts) {
		TRY(hel_lower_balance(l, pair, 2));
		TRY(hel_lower_product(l, &pair[0], &pair[1], NULL, name));
		TRY(hel_lower_value(out, l, 1, 0));
	} else {
		hel_expression_scale(&pair[!constant], pair[constant].bias);
		TRY(hel_expression_sum(out, (const hel_expression *const[]){&pair[!constant]}, 1,
				       1));
	}
done:
	return st;
}

hel_status hel_lower_pairs(hel_expression *out, hel_lowering *l, const hel_expression *all,
			   const uint32_t *first, const uint32_t *second, size_t pairs, size_t dim,
			   const char *name)
{
	hel_status st = HEL_OK;
	hel_expression pair[2] = {{0}}, products = {0};
	uint32_t *row = NULL;
	TRY_ALLOC(row, hel_alloc(pairs * dim, sizeof *row));
	for (size_t f = 0; f < 2; f++) {
		for (size_t i = 0; i < pairs * dim; i++)
			row[i] = (uint32_t)((f ? second : first)[i / dim] * dim + i % dim);
		TRY(hel_expression_pick(&pair[f], all, row, pairs * dim));
	}
	TRY(hel_lower_multiply(&products, l, pair, name));
	TRY(hel_expression_gather(out, &products, dim));
done:
	hel_free(row);
	hel_expression_clear(&pair[0]);
	hel_expression_clear(&pair[1]);
	hel_expression_clear(&products);
	return st;
}
