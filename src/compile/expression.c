#include "expression.h"
#include "base/fail.h"
#include <string.h>

#define MOST_NUMBERS ((size_t)1 << 26) /* of one matrix */

void hel_expression_clear(hel_expression *e)
{
	for (size_t k = 0; k < e->parts; k++)
		hel_free(e->part[k].matrix);
	hel_free(e->part);
	hel_free(e->bias);
	memset(e, 0, sizeof *e);
}

hel_map_part *hel_expression_part(const hel_expression *e, int of)
{
	for (size_t k = 0; k < e->parts; k++)
		if (e->part[k].of == of)
			return &e->part[k];
	return NULL;
}

/* Room for `parts` parts, none there yet. */
static hel_status begin(hel_expression *e, size_t rows, size_t parts)
{
	hel_status st = HEL_OK;
	*e = (hel_expression){.rows = rows};
	TRY_ALLOC(e->part, hel_alloc(parts, sizeof *e->part));
	TRY_ALLOC(e->bias, hel_alloc(rows, sizeof *e->bias));
done:
	return st;
}

static hel_status add_part(hel_expression *e, int of, size_t width)
{
	hel_status st = HEL_OK;
	double *matrix;
	if (width && e->rows > MOST_NUMBERS / width)
		FAIL(HEL_ELIMIT,
		     "a map of %zu values to %zu is too large to multiply out (at most %zu "
		     "numbers): make it narrower",
		     width, e->rows, MOST_NUMBERS);
	TRY_ALLOC(matrix, hel_alloc(e->rows * width, sizeof *matrix));
	e->part[e->parts++] = (hel_map_part){of, width, matrix};
done:
	return st;
}

/* Zeros for all parts of several expressions, each as wide as the widest. */
static hel_status begin_like(hel_expression *out, const hel_expression *const *e, size_t count,
			     size_t rows)
{
	hel_status st = HEL_OK;
	size_t parts = 0;
	for (size_t i = 0; i < count; i++)
		parts += e[i]->parts;
	TRY(begin(out, rows, parts));
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < e[i]->parts; k++) {
			const int of = e[i]->part[k].of;
			size_t width = 0;
			for (size_t j = 0; j < count; j++) {
				const hel_map_part *p = hel_expression_part(e[j], of);
				width = p ? HEL_MAX(width, p->width) : width;
			}
			if (!hel_expression_part(out, of))
				TRY(add_part(out, of, width));
		}
done:
	return st;
}

/* Row `to` of out += factor times row `from` of e, whose parts out has. */
static void add_row(hel_expression *out, size_t to, const hel_expression *e, size_t from,
		    double factor)
{
	out->bias[to] += factor * e->bias[from];
	for (size_t k = 0; k < e->parts; k++) {
		const hel_map_part *p = &e->part[k], *q = hel_expression_part(out, p->of);
		const double *x = p->matrix + from * p->width;
		double *y = q->matrix + to * q->width;
		for (size_t c = 0; c < p->width; c++)
			y[c] += factor * x[c];
	}
}

hel_status hel_expression_of(hel_expression *out, int of, size_t width, size_t first, size_t rows,
			     double scale, double bias)
{
	hel_status st = HEL_OK;
	hel_expression e = {0};
	TRY(begin(&e, rows, 1));
	if (width)
		TRY(add_part(&e, of, width));
	for (size_t i = 0; i < rows; i++) {
		e.part[0].matrix[i * width + first + i] = scale;
		e.bias[i] = bias;
	}
	*out = e;
	e = (hel_expression){0};
done:
	hel_expression_clear(&e);
	return st;
}

hel_status hel_expression_layer(hel_expression *out, const hel_expression *in, const float *weight,
				const float *bias, size_t rows)
{
	hel_status st = HEL_OK;
	hel_expression e = {0};
	uint32_t *used = NULL;
	TRY(begin_like(&e, &in, 1, rows));
	for (size_t i = 0; i < rows; i++) {
		e.bias[i] = bias ? (double)bias[i] : 0;
		for (size_t j = 0; j < in->rows; j++)
			e.bias[i] += (double)weight[i * in->rows + j] * in->bias[j];
	}
	for (size_t k = 0; k < in->parts; k++) {
		const size_t width = in->part[k].width;
		hel_free(used);
		TRY_ALLOC(used, hel_alloc(width, sizeof *used));
		for (size_t j = 0; j < in->rows; j++) {
			/* rows of selections are mostly zeros */
			const double *from = in->part[k].matrix + j * width;
			size_t count = 0;
			for (uint32_t c = 0; c < width; c++)
				if (from[c] != 0)
					used[count++] = c;
			for (size_t i = 0; i < rows; i++) {
				const double f = (double)weight[i * in->rows + j];
				double *to = e.part[k].matrix + i * width;
				for (size_t c = 0; c < count; c++)
					to[used[c]] += f * from[used[c]];
			}
		}
	}
	*out = e;
	e = (hel_expression){0};
done:
	hel_free(used);
	hel_expression_clear(&e);
	return st;
}

hel_status hel_expression_map(hel_expression *out, const hel_expression *in, const double *weight,
			      size_t rows)
{
	hel_status st = HEL_OK;
	hel_expression e = {0};
	TRY(begin_like(&e, &in, 1, rows));
	for (size_t i = 0; i < rows; i++)
		for (size_t j = 0; j < in->rows; j++)
			if (weight[i * in->rows + j] != 0)
				add_row(&e, i, in, j, weight[i * in->rows + j]);
	*out = e;
	e = (hel_expression){0};
done:
	hel_expression_clear(&e);
	return st;
}

hel_status hel_expression_constant(hel_expression *out, double value)
{
	hel_status st = HEL_OK;
	hel_expression e = {0};
	TRY(begin(&e, 1, 0));
	e.bias[0] = value;
	*out = e;
	e = (hel_expression){0};
done:
	hel_expression_clear(&e);
	return st;
}

hel_status hel_expression_join(hel_expression *out, const hel_expression *const *in, size_t count)
{
	hel_status st = HEL_OK;
	hel_expression e = {0};
	size_t rows = 0, at = 0;
	for (size_t i = 0; i < count; i++)
		rows += in[i]->rows;
	TRY(begin_like(&e, in, count, rows));
	for (size_t i = 0; i < count; i++)
		for (size_t r = 0; r < in[i]->rows; r++)
			add_row(&e, at++, in[i], r, 1);
	*out = e;
	e = (hel_expression){0};
done:
	hel_expression_clear(&e);
	return st;
}

hel_status hel_expression_sum(hel_expression *out, const hel_expression *const *in, size_t count,
			      double factor)
{
	hel_status st = HEL_OK;
	hel_expression e = {0};
	TRY(begin_like(&e, in, count, in[0]->rows));
	for (size_t i = 0; i < count; i++)
		for (size_t r = 0; r < e.rows; r++)
			add_row(&e, r, in[i], r, factor);
	*out = e;
	e = (hel_expression){0};
done:
	hel_expression_clear(&e);
	return st;
}

hel_status hel_expression_pick(hel_expression *out, const hel_expression *in, const uint32_t *row,
			       size_t rows)
{
	hel_status st = HEL_OK;
	hel_expression e = {0};
	TRY(begin_like(&e, &in, 1, rows));
	for (size_t r = 0; r < rows; r++)
		add_row(&e, r, in, row[r], 1);
	*out = e;
	e = (hel_expression){0};
done:
	hel_expression_clear(&e);
	return st;
}

hel_status hel_expression_gather(hel_expression *out, const hel_expression *in, size_t count)
{
	hel_status st = HEL_OK;
	hel_expression e = {0};
	TRY(begin_like(&e, &in, 1, in->rows / count));
	for (size_t r = 0; r < in->rows; r++)
		add_row(&e, r / count, in, r, 1);
	*out = e;
	e = (hel_expression){0};
done:
	hel_expression_clear(&e);
	return st;
}

void hel_expression_scale(hel_expression *e, const double *factor)
{
	for (size_t i = 0; i < e->rows; i++)
		e->bias[i] *= factor[i];
	for (size_t k = 0; k < e->parts; k++)
		for (size_t i = 0; i < e->rows * e->part[k].width; i++)
			e->part[k].matrix[i] *= factor[i / e->part[k].width];
}

hel_status hel_expression_copy(hel_expression *out, const hel_expression *e)
{
	return hel_expression_sum(out, &e, 1, 1);
}
