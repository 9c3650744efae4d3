#include "sides.h"
#include "side_copy.h"
#include <cblas.h>
#include <math.h>
#include <string.h>

/* Squares that are so small would have to be multiplied with large weights. */
#define FAINT 1e-5

/* --- who is on which side ------------------------------------------------------------------- */

static void find_sides(hel_splitting *s)
{
	const hel_schema *schema = s->m->schema;
	for (size_t i = 0; i < s->g->nodes; i++) {
		const hel_node *n = &s->g->node[i];
		if (n->kind == HEL_NODE_DENSE)
			for (size_t k = 0; k < schema->dense_count; k++)
				s->side[i] |= s->dense[k] ? HEL_PUBLIC : HEL_PRIVATE;
		if (n->kind == HEL_NODE_EMBED)
			s->side[i] = s->table[n->table] ? HEL_PUBLIC : HEL_PRIVATE;
		for (size_t k = 0; k < n->inputs; k++)
			s->side[i] |= s->side[n->input[k]];
	}
}

static hel_status check_sides(const hel_splitting *s)
{
	const uint8_t all = s->side[s->g->nodes - 1];
	return !(all & HEL_PRIVATE)
		   ? hel_fail(HEL_EINVAL, "--public leaves nothing to hide: every "
					  "column that the score depends on is public")
	       : !(all & HEL_PUBLIC)
		   ? hel_fail(HEL_EINVAL, "nothing is shared: the score depends on no public "
					  "column; name some with --public")
		   : HEL_OK;
}

/* Nodes of one side that meet the other one enter the form; a dense node of both column by column.
 * First those of one side, then those of the other. */
static hel_status place_side(hel_splitting *s, uint8_t side, size_t *next)
{
	hel_status st = HEL_OK;
	hel_quadratic_form *f = &s->form;
	for (size_t i = 0; i < s->g->nodes; i++) {
		const hel_node *n = &s->g->node[i];
		const bool both = n->kind == HEL_NODE_DENSE && s->side[i] == HEL_JOINT;
		if (!f->before[i] && (s->side[i] == side || both)) {
			if (!f->place[i])
				TRY_ALLOC(f->place[i], hel_alloc(n->width + 1, sizeof **f->place));
			for (size_t r = 0; r < n->width; r++)
				if (!both || (s->dense[r] ? HEL_PUBLIC : HEL_PRIVATE) == side)
					f->place[i][r] = (uint32_t)(*next)++;
		}
	}
done:
	return st;
}

/* Which nodes enter, and where they stand. */
static hel_status place_entering(hel_splitting *s)
{
	hel_status st = HEL_OK;
	hel_quadratic_form *f = &s->form;
	TRY_ALLOC(f->place, hel_alloc(s->g->nodes, sizeof *f->place));
	TRY_ALLOC(f->before, hel_alloc(s->g->nodes, sizeof *f->before));
	for (size_t i = 0; i < s->g->nodes; i++)
		f->before[i] = s->side[i] != HEL_JOINT;
	for (size_t i = 0; i < s->g->nodes; i++)
		for (size_t k = 0; s->side[i] == HEL_JOINT && k < s->g->node[i].inputs; k++)
			f->before[s->g->node[i].input[k]] = false;
	size_t next = 0;
	TRY(place_side(s, HEL_PRIVATE, &next));
	s->u = next;
	TRY(place_side(s, HEL_PUBLIC, &next));
	s->p = next - s->u;
	f->inputs = next + 1;
done:
	return st;
}

hel_status hel_splitting_begin(hel_splitting *s, const hel_dlrm *m, const bool *dense,
			       const bool *table)
{
	hel_status st = HEL_OK;
	*s = (hel_splitting){
	    .m = m, .g = m->graph, .dense = dense, .table = table, .form = {.m = m, .g = m->graph}};
	TRY_ALLOC(s->side, hel_alloc(s->g->nodes, sizeof *s->side));
	find_sides(s);
	TRY(check_sides(s));
	TRY(place_entering(s));
done:
	return st;
}

static hel_status fill_form(hel_splitting *s)
{
	const hel_status st = hel_quadratic_form_of(&s->form, s->m);
	return st == HEL_EUNSUPPORTED
		   ? hel_fail(st, "private and public columns meet where items are no matrix: %s",
			      hel_error_detail())
		   : st;
}

/* --- rows ----------------------------------------------------------------------------------- */

static hel_status room_for(hel_splitting *s, size_t rows)
{
	hel_status st = HEL_OK;
	hel_free(s->left);
	hel_free(s->shift);
	hel_free(s->right);
	hel_free(s->sign);
	s->left = s->shift = s->right = s->sign = NULL;
	s->rows = 0;
	TRY_ALLOC(s->left, hel_alloc(rows * s->u + 1, sizeof *s->left));
	TRY_ALLOC(s->shift, hel_alloc(rows + 1, sizeof *s->shift));
	TRY_ALLOC(s->right, hel_alloc(rows * s->p + 1, sizeof *s->right));
	TRY_ALLOC(s->sign, hel_alloc(rows + 1, sizeof *s->sign));
done:
	return st;
}

/* Eigenvectors of the form's square [0, n). */
static hel_status eigen_of(double **vector, double **value, const hel_splitting *s, size_t n)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(*vector, hel_alloc(n * n + 1, sizeof **vector));
	TRY_ALLOC(*value, hel_alloc(n + 1, sizeof **value));
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++)
			(*vector)[i * n + k] = hel_form_at(s, i, k);
	TRY(hel_eigenvectors(*value, *vector, NULL, n));
done:
	return st;
}

static double largest_of(const double *x, size_t count)
{
	double most = 0;
	for (size_t i = 0; i < count; i++)
		most = fmax(most, fabs(x[i]));
	return most;
}

/* One more row: a = scale * left . u + shift, b = right . p (NULL: none). */
static void add_row(hel_splitting *s, double scale, const double *left, double shift,
		    const double *right, double weight, double sign)
{
	const size_t r = s->rows++;
	for (size_t i = 0; i < s->u; i++)
		s->left[r * s->u + i] = scale * left[i];
	s->shift[r] = shift;
	for (size_t i = 0; right && i < s->p; i++)
		s->right[r * s->p + i] = weight * right[i];
	s->sign[r] = sign;
}

/* The mixed part of the form, u rows of p, less what eigenvectors of it say already, as few rows:
 * from the eigenvectors of C^T C or C C^T, whichever is smaller. twice: each with both signs, so
 * that squares cancel. */
static hel_status add_products(hel_splitting *s, const double *mixed, bool twice)
{
	hel_status st = HEL_OK;
	const bool by_u = s->u <= s->p;
	const size_t n = by_u ? s->u : s->p;
	double *square = NULL, *value = NULL, *other = NULL;
	TRY_ALLOC(square, hel_alloc(n * n + 1, sizeof *square));
	TRY_ALLOC(value, hel_alloc(n + 1, sizeof *value));
	TRY_ALLOC(other, hel_alloc(HEL_MAX(s->u, s->p) + 1, sizeof *other));
	cblas_dsyrk(CblasRowMajor, CblasUpper, by_u ? CblasNoTrans : CblasTrans, (int)n,
		    (int)(by_u ? s->p : s->u), 1, mixed, (int)s->p, 0, square, (int)n);
	TRY(hel_eigenvectors(value, square, NULL, n));
	const double most = largest_of(value, n);
	for (size_t i = n; i-- > 0;) {
		if (!(value[i] > HEL_ROUNDING * HEL_ROUNDING * 1e4 * most) || !(most > 0))
			continue;
		const double *v = square + i * n, root = sqrt(sqrt(value[i]));
		/* the other side's singular vector, times the singular value */
		cblas_dgemv(CblasRowMajor, by_u ? CblasTrans : CblasNoTrans, (int)s->u, (int)s->p,
			    1, mixed, (int)s->p, v, 1, 0, other, 1);
		const double *left = by_u ? v : other, *right = by_u ? other : v;
		const double a = by_u ? root : 1 / root, b = by_u ? 1 / root : root;
		add_row(s, a, left, 0, right, b, 1);
		if (twice)
			add_row(s, a, left, 0, NULL, 0, -1);
	}
done:
	hel_free(square);
	hel_free(value);
	hel_free(other);
	return st;
}

/* What is linear in u, without squares of u: a row whose weight is always 1 (right is set by who
 * makes the public model); with squares as a difference of two. */
static void add_linear(hel_splitting *s, const double *linear)
{
	if (!s->squares) {
		add_row(s, 1, linear, 0, NULL, 0, 0);
		return;
	}
	add_row(s, 0.5, linear, 0.5, NULL, 0, 1);
	add_row(s, 0.5, linear, -0.5, NULL, 0, -1);
}

static hel_status mixed_of(double **mixed, double **linear, const hel_splitting *s)
{
	hel_status st = HEL_OK;
	const size_t last = s->form.inputs - 1;
	TRY_ALLOC(*mixed, hel_alloc(s->u * s->p + 1, sizeof **mixed));
	TRY_ALLOC(*linear, hel_alloc(s->u + 1, sizeof **linear));
	for (size_t i = 0; i < s->u; i++) {
		for (size_t k = 0; k < s->p; k++)
			(*mixed)[i * s->p + k] = 2 * hel_form_at(s, i, s->u + k);
		(*linear)[i] = 2 * hel_form_at(s, i, last);
	}
done:
	return st;
}

/* Nothing private is squared: as many rows as the mixed part has rank. */
static hel_status bilinear_rows(hel_splitting *s)
{
	hel_status st = HEL_OK;
	double *mixed = NULL, *linear = NULL;
	TRY(mixed_of(&mixed, &linear, s));
	TRY(room_for(s, HEL_MIN(s->u, s->p) + 1));
	TRY(add_products(s, mixed, false));
	if (largest_of(linear, s->u) > 0)
		add_linear(s, linear);
done:
	hel_free(mixed);
	hel_free(linear);
	return st;
}

/* Rows that are squared: eigenvectors of the form's square [0, n), of u alone or of u and p, whose
 * private parts are the rows. What they leave of the mixed part gets rows of its own. */
static hel_status square_rows(hel_splitting *s, size_t n)
{
	hel_status st = HEL_OK;
	double *vector = NULL, *value = NULL, *mixed = NULL, *linear = NULL, *b = NULL;
	TRY(eigen_of(&vector, &value, s, n));
	TRY(mixed_of(&mixed, &linear, s));
	TRY(room_for(s, n + 2 * HEL_MIN(s->u, s->p) + 2));
	TRY_ALLOC(b, hel_alloc(s->p + 1, sizeof *b));
	const double most = largest_of(value, n), most_mixed = largest_of(mixed, s->u * s->p),
		     most_linear = largest_of(linear, s->u);
	const size_t last = s->form.inputs - 1;
	for (size_t i = n; i-- > 0;) {
		const double *v = vector + i * n, size = fabs(value[i]);
		if (!(size > (n > s->u ? HEL_ROUNDING : FAINT) * most))
			continue;
		const double sign = value[i] > 0 ? 1 : -1, root = sqrt(size);
		double along = 0; /* of what is linear in all coordinates of the form */
		for (size_t k = 0; k < n; k++)
			along += 2 * v[k] * hel_form_at(s, k, last);
		const double shift = sign * along / (2 * root);
		for (size_t k = 0; k < s->p; k++)
			b[k] = n > s->u ? 2 * sign * root * v[s->u + k] : 0;
		if (n == s->u)
			cblas_dgemv(CblasRowMajor, CblasTrans, (int)s->u, (int)s->p, 1 / root,
				    mixed, (int)s->p, v, 1, 0, b, 1);
		add_row(s, root, v, shift, b, 1, sign);
		for (size_t k = 0; k < s->u; k++) {
			const double a = root * v[k];
			linear[k] -= 2 * sign * shift * a;
			cblas_daxpy((int)s->p, -a, b, 1, mixed + k * s->p, 1);
		}
	}
	if (largest_of(mixed, s->u * s->p) > 1e-6 * most_mixed)
		TRY(add_products(s, mixed, true));
	if (largest_of(linear, s->u) > 1e-6 * most_linear)
		add_linear(s, linear);
done:
	hel_free(vector);
	hel_free(value);
	hel_free(mixed);
	hel_free(linear);
	hel_free(b);
	return st;
}

/* Whichever way has fewer rows. */
static hel_status find_rows(hel_splitting *s)
{
	hel_status st = HEL_OK;
	double own = 0, all = 0;
	for (size_t i = 0; i + 1 < s->form.inputs; i++)
		for (size_t k = 0; k + 1 < s->form.inputs; k++) {
			all = fmax(all, fabs(hel_form_at(s, i, k)));
			own = fmax(own, i < s->u && k < s->u ? fabs(hel_form_at(s, i, k)) : 0);
		}
	s->squares = own > HEL_ROUNDING * all;
	if (!s->squares) {
		TRY(bilinear_rows(s));
		goto done;
	}
	TRY(square_rows(s, s->u));
	const size_t alone = s->rows;
	TRY(square_rows(s, s->u + s->p));
	if (hel_log2_ceil(alone) < hel_log2_ceil(s->rows))
		TRY(square_rows(s, s->u));
done:
	if (st == HEL_OK && !s->rows)
		st = hel_fail(HEL_EINVAL, "the score is the same for every private record");
	return st;
}

hel_status hel_splitting_parts(hel_side *own, hel_side *open, const hel_splitting *s)
{
	hel_status st = HEL_OK;
	const hel_schema *schema = s->m->schema;
	bool *hidden = NULL;
	TRY_ALLOC(hidden, hel_alloc(schema->dense_count + schema->table_count + 2, sizeof *hidden));
	bool *tables = hidden + schema->dense_count + 1;
	for (size_t i = 0; i < schema->dense_count; i++)
		hidden[i] = !s->dense[i];
	for (size_t i = 0; i < schema->table_count; i++)
		tables[i] = !s->table[i];
	TRY(hel_side_new(own, schema, hidden, tables, true));
	TRY(hel_side_new(open, schema, s->dense, s->table, false));
done:
	hel_free(hidden);
	return st;
}

void hel_splitting_clear(hel_splitting *s)
{
	hel_quadratic_form_clear(&s->form);
	hel_free(s->side);
	hel_free(s->left);
	hel_free(s->shift);
	hel_free(s->right);
	hel_free(s->sign);
}

hel_status hel_sides_new(hel_sides *out, const hel_dlrm *m, const bool *dense, const bool *table)
{
	hel_status st = HEL_OK;
	hel_splitting s;
	hel_sides made = {0};
	TRY(hel_splitting_begin(&s, m, dense, table));
	TRY(fill_form(&s));
	TRY(find_rows(&s));
	TRY(hel_splitting_parts(&made.hidden, &made.open, &s));
	TRY(hel_private_model(&made.private, &s, &made.hidden));
	TRY(hel_public_model(&made.public, &s, &made.open));
	made.rows = s.rows;
	made.squares = s.squares;
	made.sign = s.sign;
	s.sign = NULL;
	*out = made;
	made = (hel_sides){0};
done:
	hel_sides_clear(&made);
	hel_splitting_clear(&s);
	return st;
}

void hel_sides_clear(hel_sides *s)
{
	hel_dlrm_free(s->private);
	hel_dlrm_free(s->public);
	hel_side_clear(&s->hidden);
	hel_side_clear(&s->open);
	hel_free(s->sign);
	memset(s, 0, sizeof *s);
}
