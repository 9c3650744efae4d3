#include "quadratic_form.h"
#include <cblas.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#define MOST_INPUTS ((size_t)4096)
#define MOST_NUMBERS ((size_t)1 << 27) /* of all affine maps together */
typedef hel_quadratic_form form;

/* LAPACK: eigenvalues and eigenvectors of a symmetric matrix, and of one in the metric of another:
 * vectors with a b x = value x, where x^T b x = 1. */
extern void dsyev_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda,
		   double *value, double *work, const int *lwork, int *info);
extern void dsygv_(const int *type, const char *jobz, const char *uplo, const int *n, double *a,
		   const int *lda, double *b, const int *ldb, double *value, double *work,
		   const int *lwork, int *info);

static hel_status refuse(const hel_node *n, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static hel_status refuse(const hel_node *n, const char *format, ...)
{
	char why[200];
	va_list args;
	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
	return hel_fail(HEL_EUNSUPPORTED, "node '%s' (%s): %s", n->name,
			hel_node_kind_name(n->kind), why);
}

/* --- affine maps ------------------------------------------------------------------------- */

/* Where each embed node stands among the places of its table. */
static hel_status place_tables(form *f)
{
	hel_status st = HEL_OK;
	const size_t tables = f->m->schema->table_count;
	size_t *used = NULL;
	TRY_ALLOC(used, hel_alloc(tables, sizeof *used));
	for (size_t i = 0; i < f->g->nodes; i++) {
		const hel_node *n = &f->g->node[i];
		if (n->kind != HEL_NODE_EMBED)
			continue;
		f->column[i] = used[n->table];
		used[n->table] += n->width;
		f->dim = HEL_MAX(f->dim, used[n->table]);
	}
	f->dim = HEL_MAX(f->dim, (size_t)1);
	f->inputs = f->m->schema->dense_count + tables * f->dim + 1;
done:
	hel_free(used);
	return st;
}

static void linear_map(const form *f, const hel_node *n, double *map)
{
	const hel_tensor *t = &f->m->tensor[n->tensor];
	const float *w = hel_tensor_data(f->m, t);
	const double *x = f->map[n->input[0]];
	for (size_t r = 0; r < n->width; r++) {
		for (size_t j = 0; j < n->columns[0]; j++)
			cblas_daxpy((int)f->inputs, (double)w[r * n->columns[0] + j],
				    x + j * f->inputs, 1, map + r * f->inputs, 1);
		if (n->bias)
			map[r * f->inputs + f->inputs - 1] +=
			    (double)hel_tensor_data(f->m, &t[1])[r];
	}
}

static void fill_map(const form *f, size_t i, double *map)
{
	const hel_node *n = &f->g->node[i];
	const size_t dense = f->m->schema->dense_count;
	const double factor = n->kind == HEL_NODE_SCALE ? n->factor : 1;
	if (f->place && f->place[i]) {
		for (size_t r = 0; r < n->width; r++)
			map[r * f->inputs + f->place[i][r]] = 1;
		return;
	}
	switch (n->kind) {
	case HEL_NODE_DENSE:
		for (size_t r = 0; r < n->width; r++)
			map[r * f->inputs + r] = 1;
		break;
	case HEL_NODE_EMBED:
		for (size_t r = 0; r < n->width; r++)
			map[r * f->inputs + dense + n->table * f->dim + f->column[i] + r] = 1;
		break;
	case HEL_NODE_LINEAR:
		linear_map(f, n, map);
		break;
	case HEL_NODE_CONCAT:
		for (size_t k = 0; k < n->inputs; k++) {
			const size_t numbers = f->g->node[n->input[k]].width * f->inputs;
			if (numbers)
				memcpy(map, f->map[n->input[k]], numbers * sizeof *map);
			map += numbers;
		}
		break;
	default: /* add, scale */
		for (size_t k = 0; k < n->inputs; k++)
			cblas_daxpy((int)(n->width * f->inputs), factor, f->map[n->input[k]], 1,
				    map, 1);
	}
}

static hel_status fill_maps(form *f)
{
	hel_status st = HEL_OK;
	size_t numbers = 0;
	for (size_t i = 0; i < f->g->nodes; i++) {
		const hel_node *n = &f->g->node[i];
		const bool enters = f->place && f->place[i];
		bool affine = !hel_node_multiplies(n->kind);
		if (f->before && f->before[i])
			continue;
		for (size_t k = 0; k < n->inputs; k++)
			affine &= f->map[n->input[k]] != NULL;
		affine |= enters;
		if (!affine) {
			TRY_ALLOC(f->slope[i], hel_alloc(n->width, sizeof(double)));
			continue;
		}
		numbers += n->width * f->inputs;
		if (numbers > MOST_NUMBERS)
			TRY(refuse(n, "the affine maps up to it are too large to multiply out"));
		TRY_ALLOC(f->map[i], hel_alloc(n->width * f->inputs + 1, sizeof(double)));
		fill_map(f, i, f->map[i]);
	}
done:
	return st;
}

/* --- the form, from the logit back ----------------------------------------------------------- */

/* matrix += factor (x y^T + y x^T) / 2 */
static void add_product(form *f, double factor, const double *x, const double *y)
{
	if (factor != 0)
		cblas_dsyr2(CblasRowMajor, CblasUpper, (int)f->inputs, factor / 2, x, 1, y, 1,
			    f->matrix, (int)f->inputs);
}

/* matrix += factor x, a linear form */
static void add_linear(form *f, double factor, const double *x)
{
	const size_t last = f->inputs - 1;
	for (size_t k = 0; k < last; k++)
		f->matrix[k * f->inputs + last] += factor * x[k] / 2;
	f->matrix[last * f->inputs + last] += factor * x[last];
}

/* The derivative of the logit by element k of node n is `slope`. */
static void receive(form *f, uint32_t node, size_t k, double slope)
{
	if (f->map[node])
		add_linear(f, slope, f->map[node] + k * f->inputs);
	else
		f->slope[node][k] += slope;
}

static void send_products(form *f, const hel_node *n, const double *slope)
{
	double *const *map = f->map;
	const hel_activation act = n->activation;
	const double a = act.kind == HEL_ACT_SQUARE ? 1 : act.a,
		     b = act.kind == HEL_ACT_SQUARE ? 0 : act.b;
	const size_t dim = f->g->node[n->input[0]].width, width = f->inputs;
	if (n->kind == HEL_NODE_DOT) {
		for (size_t i = 0; i < n->inputs; i++)
			for (size_t j = n->upper ? i + !n->self : 0;
			     j < (n->upper ? n->inputs : i + n->self); j++, slope++)
				for (size_t k = 0; k < dim; k++)
					add_product(f, *slope, map[n->input[i]] + k * width,
						    map[n->input[j]] + k * width);
		return;
	}
	for (size_t k = 0; k < n->width; k++) {
		const double *x = map[n->input[0]] + k * width;
		if (n->kind == HEL_NODE_MULTIPLY) {
			add_product(f, slope[k], x, map[n->input[1]] + k * width);
		} else {
			add_product(f, slope[k] * a, x, x);
			add_linear(f, slope[k] * b, x);
		}
	}
}

static void send_linear(form *f, const hel_node *n, const double *slope)
{
	const hel_tensor *t = &f->m->tensor[n->tensor];
	const float *w = hel_tensor_data(f->m, t);
	for (size_t j = 0; j < n->columns[0]; j++) {
		double sum = 0;
		for (size_t r = 0; r < n->width; r++)
			sum += slope[r] * (double)w[r * n->columns[0] + j];
		receive(f, n->input[0], j, sum);
	}
	for (size_t r = 0; n->bias && r < n->width; r++)
		f->matrix[f->inputs * f->inputs - 1] +=
		    slope[r] * (double)hel_tensor_data(f->m, &t[1])[r];
}

static void send_copies(form *f, const hel_node *n, const double *slope)
{
	for (size_t i = 0, at = 0; i < n->inputs; i++) {
		const size_t width = f->g->node[n->input[i]].width;
		const double factor = n->kind == HEL_NODE_SCALE ? n->factor : 1;
		for (size_t k = 0; k < width; k++)
			receive(f, n->input[i], k, factor * slope[at + k]);
		at += n->kind == HEL_NODE_CONCAT ? width : 0;
	}
}

static hel_status check_product(const form *f, const hel_node *n)
{
	if (n->kind == HEL_NODE_ACTIVATION &&
	    (f->m->approximation ||
	     (n->activation.kind != HEL_ACT_SQUARE && n->activation.kind != HEL_ACT_QUADRATIC)))
		return refuse(n, "in a graph that is not the DLRM with concatenation, activations "
				 "are square or quadratic");
	for (size_t k = 0; k < n->inputs; k++)
		if (!f->map[n->input[k]])
			return refuse(n,
				      "it multiplies what is a product already ('%s'); a graph "
				      "that is not the DLRM with concatenation may multiply a "
				      "record once",
				      f->g->node[n->input[k]].name);
	return HEL_OK;
}

static hel_status fill_matrix(form *f)
{
	hel_status st = HEL_OK;
	const size_t last = f->g->nodes - 1;
	TRY_ALLOC(f->matrix, hel_alloc(f->inputs * f->inputs, sizeof *f->matrix));
	receive(f, (uint32_t)last, 0, 1);
	for (size_t i = f->g->nodes; i-- > 0;) {
		const hel_node *n = &f->g->node[i];
		if (!f->slope[i]) /* affine, or before what enters */
			continue;
		if (hel_node_multiplies(n->kind)) {
			TRY(check_product(f, n));
			send_products(f, n, f->slope[i]);
		} else if (n->kind == HEL_NODE_LINEAR)
			send_linear(f, n, f->slope[i]);
		else
			send_copies(f, n, f->slope[i]);
	}
done:
	return st;
}

void hel_quadratic_form_clear(hel_quadratic_form *f)
{
	for (size_t i = 0; f->g && i < f->g->nodes; i++) {
		if (f->place)
			hel_free(f->place[i]);
		if (f->map)
			hel_free(f->map[i]);
		if (f->slope)
			hel_free(f->slope[i]);
	}
	hel_free(f->place);
	hel_free(f->before);
	hel_free(f->map);
	hel_free(f->slope);
	hel_free(f->column);
	hel_free(f->matrix);
	memset(f, 0, sizeof *f);
}

hel_status hel_quadratic_form_of(hel_quadratic_form *f, const hel_dlrm *m)
{
	hel_status st = HEL_OK;
	f->m = m;
	f->g = m->graph;
	if (f->inputs > MOST_INPUTS)
		FAIL(HEL_EUNSUPPORTED,
		     "%zu values enter the graph, at most %zu can be taken as one quadratic form",
		     f->inputs, MOST_INPUTS);
	TRY_ALLOC(f->map, hel_alloc(f->g->nodes, sizeof *f->map));
	TRY_ALLOC(f->slope, hel_alloc(f->g->nodes, sizeof *f->slope));
	TRY(fill_maps(f));
	TRY(fill_matrix(f));
done:
	return st;
}

hel_status hel_quadratic_form_new(hel_quadratic_form *out, const hel_dlrm *m)
{
	hel_status st = HEL_OK;
	form f = {.m = m, .g = m->graph};
	TRY_ALLOC(f.column, hel_alloc(f.g->nodes, sizeof *f.column));
	TRY(place_tables(&f));
	TRY(hel_quadratic_form_of(&f, m));
	*out = f;
	f = (form){.g = NULL};
done:
	hel_quadratic_form_clear(&f);
	return st;
}

/* --- eigenvectors ------------------------------------------------------------------------- */

hel_status hel_eigenvectors(double *value, double *matrix, double *moments, size_t size)
{
	hel_status st = HEL_OK;
	const int n = (int)size, room = 8 * n, type = 2;
	double *work = NULL;
	int info = 0;
	if (!n)
		return HEL_OK;
	openblas_set_num_threads(1); /* the same bits on every machine's number of cores */
	TRY_ALLOC(work, hel_alloc((size_t)room, sizeof *work));
	/* row by row above the diagonal is column by column below it */
	if (moments)
		dsygv_(&type, "V", "L", &n, matrix, &n, moments, &n, value, work, &room, &info);
	else
		dsyev_("V", "L", &n, matrix, &n, value, work, &room, &info);
	if (info)
		FAIL(HEL_ERANGE, "the graph's quadratic form has no eigenvectors: its weights are "
				 "too large");
done:
	hel_free(work);
	return st;
}
