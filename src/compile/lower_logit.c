/* The last layer: weights that move into products, and what that saves. */
#include "lowering.h"
#include <complex.h>
#include <math.h>
#include <string.h>

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
	hel_status st = hel_expression_copy(out, e);
	for (size_t k = 0; st == HEL_OK && k < out->parts; k++)
		if (out->part[k].of == of) {
			hel_free(out->part[k].matrix);
			out->part[k--] = out->part[--out->parts];
		}
	return st;
}

/* sum_i w_i x_i^2: those with positive and with negative weights, as real and imaginary parts of
 * complex squares, where that makes half of them. */
static hel_status push_paired_squares(bool *done, hel_lowering *l, const hel_expression *x,
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
	*done = x->rows >= HEL_FEWEST_PAIRED && hel_log2_ceil(rows) < hel_log2_ceil(x->rows);
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
	TRY(hel_lower_stage(l, (hel_maps){.real = &part[0], .imaginary = &part[1]}, name,
			    HEL_THEN_PRODUCT, &stage));
done:
	hel_free(matrix);
	hel_expression_clear(&part[0]);
	hel_expression_clear(&part[1]);
	return st;
}

/* sum_i w_i x_i^2: the weights' roots move into the squares. */
static hel_status push_weighted_squares(hel_lowering *l, const hel_expression *x,
					const double *weight, const char *name)
{
	hel_status st = HEL_OK;
	hel_stage *last = NULL;
	bool paired;
	TRY(push_paired_squares(&paired, l, x, weight, name));
	if (paired)
		goto done;
	TRY(hel_lower_stage(l, (hel_maps){.real = x}, name, HEL_THEN_SQUARE, &last));
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

/* The sum of w x^2, or of w u v (w u v s), and what remains, as one stage and the sum of its rows:
 * of all slots, where the way says so. */
static hel_status sum_of_products(hel_lowering *l, hel_expression *factor, size_t factors,
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
		TRY(hel_lower_balance(l, factor, factors));
		TRY(hel_lower_product(l, &factor[0], &factor[1], factors > 2 ? &factor[2] : NULL,
				      names[0]));
	}
	TRY(hel_lower_value(&e, l, 1, 0));
	TRY(hel_expression_gather(&all, &e, e.rows));
	all.bias[0] = rest->parts ? 0 : rest->bias[0];
	TRY(hel_lower_stage(l, (hel_maps){.real = &all}, names[1], HEL_THEN_NOTHING, &sum));
	if (l->s->way.sum) {
		sum->map = HEL_MAP_ONES;
		l->s->used.sum = true;
	}
done:
	hel_free(weight);
	hel_expression_clear(&e);
	hel_expression_clear(&all);
	return st;
}

/* The logit through its last stage, whose weights are e's. */
static hel_status end_in_sum(hel_lowering *l, const hel_expression *e, const char *name)
{
	hel_status st = HEL_OK;
	const size_t last = l->s->count - 1;
	const size_t factors = l->s->stage[last].then == HEL_THEN_SQUARE ? 1 : 2;
	const hel_map_part *part = hel_expression_part(e, (int)last);
	double *weight = NULL;
	char product[HEL_NAME_MAX];
	hel_expression factor[2] = {{0}}, rest = {0};
	snprintf(product, sizeof product, "%s", l->s->stage[last].name);
	TRY_ALLOC(weight, hel_alloc(l->s->stage[last].rows, sizeof *weight));
	memcpy(weight, part->matrix, part->width * sizeof *weight);
	TRY(rest_of(&rest, e, (int)last));
	for (size_t f = 0; f < factors; f++)
		TRY(hel_expression_copy(&factor[f], &l->kept[last][f]));
	hel_lower_pop(l);
	TRY(sum_of_products(l, factor, factors, weight, &rest, (const char *[]){product, name}));
done:
	hel_free(weight);
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
static bool is_cubic(const hel_lowering *l, const hel_expression *e, size_t *side)
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

static hel_status end_in_cubic(hel_lowering *l, const hel_expression *e, size_t side,
			       const char *name)
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
		TRY(hel_expression_copy(&factor[k], &l->kept[last - 1][k]));
	hel_lower_pop(l);
	hel_lower_pop(l);
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
hel_status hel_lower_logit(hel_lowering *l, hel_expression *e, const char *name)
{
	hel_status st = HEL_OK;
	hel_stages *s = l->s;
	const int last = (int)s->count - 1;
	size_t side;
	hel_stage *stage;
	if (!e->parts)
		FAIL(HEL_EUNSUPPORTED, "the model's score is the same for every record");
	if (s->way.unit > 0)
		hel_expression_scale(e, &(double){1 / s->way.unit});
	if (is_cubic(l, e, &side))
		TRY(end_in_cubic(l, e, side, name));
	else if (s->way.sum && last >= 0 && l->kept[last][0].rows && hel_expression_part(e, last))
		TRY(end_in_sum(l, e, name));
	else
		TRY(hel_lower_stage(l, (hel_maps){.real = e}, name, HEL_THEN_NOTHING, &stage));
done:
	return st;
}

static hel_complex turned(hel_complex w, hel_complex t)
{
	return (hel_complex){w.re * t.re - w.im * t.im, w.re * t.im + w.im * t.re};
}

/* As many rows as slot bits number. */
static hel_status pad(hel_expression *out, const hel_expression *e)
{
	hel_status st = HEL_OK;
	const size_t rows = (size_t)1 << hel_log2_ceil(e->rows);
	double *weight = NULL;
	TRY_ALLOC(weight, hel_alloc(rows * e->rows, sizeof *weight));
	for (size_t r = 0; r < e->rows; r++)
		weight[r * e->rows + r] = 1;
	TRY(hel_expression_map(out, e, weight, rows));
done:
	hel_free(weight);
	return st;
}

hel_status hel_lower_vector(hel_lowering *l, hel_expression *e, const char *name)
{
	hel_status st = HEL_OK;
	hel_expression all = {0};
	hel_stage *s;
	if (!e->parts)
		FAIL(HEL_EUNSUPPORTED, "the model's score is the same for every record");
	TRY(pad(&all, e));
	TRY(hel_lower_stage(l, (hel_maps){.real = &all}, name, HEL_THEN_NOTHING, &s));
	s->in_a_row = s->in_turn = true;
	for (size_t r = 0; r < e->rows; r++) {
		const hel_complex t = l->s->way.turn[r];
		for (size_t k = 0; k < s->sources; k++) {
			hel_stage_source *from = &s->source[k];
			for (size_t c = 0; from->matrix[0] && c < from->width; c++)
				from->matrix[0][r * from->width + c] =
				    turned(from->matrix[0][r * from->width + c], t);
		}
		s->bias[0][r] = turned(s->bias[0][r], t);
	}
done:
	hel_expression_clear(&all);
	return st;
}
