#include "foreign_tables.h"
#include <string.h>

static hel_status check_width(const hel_stored *t)
{
	return t->columns <= 4096
		   ? HEL_OK
		   : hel_fail(HEL_ELIMIT, "'%.80s' has dimension %zu, at most 4096 are supported",
			      t->name, t->columns);
}

hel_status hel_table_full(hel_foreign_table *t, hel_stored *weight, size_t begin, size_t count)
{
	hel_status st = HEL_OK;
	TRY(hel_stored_matrix(weight));
	TRY(check_width(weight));
	t->form = HEL_TABLE_FULL;
	t->first = weight;
	t->begin = begin;
	t->count = count;
	t->width = weight->columns;
done:
	return st;
}

static hel_status quotients(hel_foreign_table *t, hel_stored *q, hel_stored *r)
{
	hel_status st = HEL_OK;
	if (!q || !r)
		FAIL(HEL_EFORMAT, "weights: '%.60s' has only one of 'weight_q' and 'weight_r'",
		     t->name);
	TRY(hel_stored_matrix(q));
	TRY(hel_stored_matrix(r));
	TRY(check_width(q));
	TRY(check_width(r));
	t->form = HEL_TABLE_MULT;
	t->first = q;
	t->second = r;
	t->width = q->columns;
	t->count = q->rows;
done:
	return st;
}

/* nn.Identity stands where the dimension is the common one. */
static hel_status projected(hel_foreign_table *t, hel_stored *embs, hel_stored *proj)
{
	hel_status st = HEL_OK;
	TRY(hel_table_full(t, embs, 0, embs->rows));
	if (!proj)
		goto done;
	TRY(hel_stored_matrix(proj));
	if (proj->columns != embs->columns || proj->rows > 4096)
		FAIL(HEL_EFORMAT, "weights: '%.80s' is %zu x %zu: it does not project %zu elements",
		     proj->name, proj->rows, proj->columns, embs->columns);
	t->form = HEL_TABLE_PROJECTED;
	t->second = proj;
	t->width = proj->rows;
done:
	return st;
}

hel_status hel_table_find(hel_foreign_table *t, const hel_checkpoint *c, const char *name)
{
	*t = (hel_foreign_table){0};
	snprintf(t->name, sizeof t->name, "%s", name);
	hel_stored *full = hel_checkpoint_find(c, "%s.weight", name),
		   *q = hel_checkpoint_find(c, "%s.weight_q", name),
		   *r = hel_checkpoint_find(c, "%s.weight_r", name),
		   *embs = hel_checkpoint_find(c, "%s.embs.weight", name);
	if (full)
		return hel_table_full(t, full, 0, full->rows);
	if (q || r)
		return quotients(t, q, r);
	if (embs)
		return projected(t, embs, hel_checkpoint_find(c, "%s.proj.weight", name));
	return hel_fail(HEL_EFORMAT, "weights: tensor '%s.weight' is missing", name);
}

void hel_table_rows(size_t *least, size_t *most, const hel_foreign_table *t)
{
	*least = *most = t->count;
	if (t->form == HEL_TABLE_MULT || t->form == HEL_TABLE_ADD || t->form == HEL_TABLE_CONCAT) {
		*least = (t->first->rows - 1) * t->second->rows + 1;
		*most = t->first->rows * t->second->rows;
	}
	if (t->pooling)
		*least = *most = t->pooling->rows;
}

static void combine(float *out, const hel_foreign_table *t, const float *q, const float *r)
{
	for (size_t k = 0; k < t->width; k++)
		if (t->form == HEL_TABLE_CONCAT)
			out[k] = k < t->first->columns ? q[k] : r[k - t->first->columns];
		else
			out[k] = t->form == HEL_TABLE_MULT ? q[k] * r[k] : q[k] + r[k];
}

static void project(float *out, const hel_foreign_table *t, const float *x)
{
	const size_t n = t->first->columns;
	for (size_t i = 0; i < t->width; i++) {
		double sum = 0;
		for (size_t k = 0; k < n; k++)
			sum += (double)t->matrix[i * n + k] * (double)x[k];
		out[i] = (float)sum;
	}
}

/* Factors of weighted pooling meet both of a quotient-remainder table's rows. */
static hel_status scaled_row(float *out, const hel_foreign_table *t, size_t row, size_t i)
{
	hel_status st = HEL_OK;
	float factor;
	TRY(hel_stored_rows(out, t->first, t->begin + row, 1));
	if (t->pooling) {
		TRY(hel_stored_rows(&factor, t->pooling, i, 1));
		for (size_t k = 0; k < t->first->columns; k++)
			out[k] *= factor;
	}
done:
	return st;
}

hel_status hel_table_read(float *out, hel_foreign_table *t, size_t i)
{
	hel_status st = HEL_OK;
	float x[4096], factor = 1;
	if (t->form == HEL_TABLE_FULL)
		return scaled_row(out, t, i, i);
	if (!t->matrix) {
		const size_t count = t->second->rows * t->second->columns;
		TRY_ALLOC(t->matrix, hel_alloc_raw(count, sizeof(float)));
		TRY(hel_stored_rows(t->matrix, t->second, 0, t->second->rows));
	}
	if (t->form == HEL_TABLE_PROJECTED) {
		TRY(scaled_row(x, t, i, i));
		project(out, t, x);
		goto done;
	}
	const size_t c = t->second->rows, n = t->second->columns;
	float r[4096];
	TRY(scaled_row(x, t, i / c, i));
	if (t->pooling)
		TRY(hel_stored_rows(&factor, t->pooling, i, 1));
	for (size_t k = 0; k < n; k++)
		r[k] = factor * t->matrix[i % c * n + k];
	combine(out, t, x, r);
done:
	return st;
}

void hel_table_clear(hel_foreign_table *t)
{
	hel_free(t->matrix);
	t->matrix = NULL;
}
