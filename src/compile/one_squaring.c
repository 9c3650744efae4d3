#include "one_squaring.h"
#include <cblas.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

/* LAPACK: eigenvalues and eigenvectors of a symmetric matrix. */
extern void dsyev_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda,
		   double *w, double *work, const int *lwork, int *info);

#define MOST_INPUTS ((size_t)4096)
#define MOST_NUMBERS ((size_t)1 << 27) /* of all affine maps together */
/* Eigenvalues below this share of the largest are rounding: weights have 24 bits. */
#define ROUNDING 1e-8

/* What enters: dense values, `dim` places per table, and a 1. */
typedef struct form {
	const hel_dlrm *m;
	const hel_graph *g;
	size_t dim, inputs; /* with the 1 */
	size_t *column;	    /* per node: an embed node's first place within its table's */
	double **map;	    /* per node: [width][inputs], NULL where it is no affine map */
	double **slope; /* per node: the logit's derivative by its value, of those without map */
	double *matrix; /* [inputs][inputs]: the logit is x^T matrix x */
} form;

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
	if (f->inputs > MOST_INPUTS)
		FAIL(HEL_EUNSUPPORTED,
		     "%zu values enter the graph, at most %zu can be taken as one quadratic form",
		     f->inputs, MOST_INPUTS);
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

static bool multiplies(const hel_node *n)
{
	return n->kind == HEL_NODE_MULTIPLY || n->kind == HEL_NODE_DOT ||
	       n->kind == HEL_NODE_ACTIVATION;
}

static hel_status fill_maps(form *f)
{
	hel_status st = HEL_OK;
	size_t numbers = 0;
	for (size_t i = 0; i < f->g->nodes; i++) {
		const hel_node *n = &f->g->node[i];
		bool affine = !multiplies(n);
		for (size_t k = 0; k < n->inputs; k++)
			affine &= f->map[n->input[k]] != NULL;
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
		if (f->map[i])
			continue;
		if (multiplies(n)) {
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

/* --- the network --------------------------------------------------------------------------------
 */

/* matrix becomes its eigenvectors, a row each; value their eigenvalues. */
static hel_status decompose(form *f, double *value)
{
	hel_status st = HEL_OK;
	const int n = (int)f->inputs, room = 8 * n;
	double *work = NULL;
	int info;
	openblas_set_num_threads(1); /* the same bits on every machine's number of cores */
	TRY_ALLOC(work, hel_alloc((size_t)room, sizeof *work));
	/* row by row above the diagonal is column by column below it */
	dsyev_("V", "L", &n, f->matrix, &n, value, work, &room, &info);
	if (info)
		FAIL(HEL_ERANGE, "the graph's quadratic form has no eigenvectors: its weights are "
				 "too large");
done:
	hel_free(work);
	return st;
}

static void copy_tables(const form *f, hel_dlrm *to)
{
	for (size_t i = 0; i < f->g->nodes; i++) {
		const hel_node *n = &f->g->node[i];
		if (n->kind != HEL_NODE_EMBED)
			continue;
		const float *from = hel_tensor_data(f->m, &f->m->tensor[n->tensor]);
		float *row = to->parameter + hel_dlrm_table(to, n->table)->offset + f->column[i];
		for (size_t r = 0; r < n->rows[0]; r++)
			memcpy(row + r * f->dim, from + r * n->width, n->width * sizeof *row);
	}
}

static hel_status build(hel_dlrm **out, const form *f, const double *value, size_t squares,
			double least)
{
	hel_status st = HEL_OK;
	hel_dlrm_config c = f->m->config;
	hel_schema *schema = NULL;
	char *text = NULL;
	hel_dlrm *m = NULL;
	c.architecture = HEL_ARCHITECTURE_MLP;
	c.members = 1;
	c.embedding_dim = (uint32_t)f->dim;
	c.activation = (hel_activation){HEL_ACT_SQUARE, 0, 0};
	c.top_layers = 2;
	c.top[0] = (uint32_t)squares;
	c.top[1] = 1;
	TRY(hel_schema_to_json(&text, f->m->schema));
	TRY(hel_schema_from_json(&schema, text, strlen(text)));
	TRY(hel_dlrm_new_zero(&m, &c, schema, HEL_MAX_PARAMETERS));
	schema = NULL;
	copy_tables(f, m);
	float *weight = m->parameter + hel_dlrm_top(m, 0, false)->offset,
	      *bias = m->parameter + hel_dlrm_top(m, 0, true)->offset,
	      *sign = m->parameter + hel_dlrm_top(m, 1, false)->offset;
	const size_t inputs = f->inputs - 1;
	for (size_t r = 0; r < f->inputs; r++) {
		const double *vector = f->matrix + r * f->inputs, root = sqrt(fabs(value[r]));
		if (fabs(value[r]) <= least)
			continue;
		for (size_t k = 0; k < inputs; k++)
			weight[k] = (float)(root * vector[k]);
		*bias++ = (float)(root * vector[inputs]);
		*sign++ = value[r] > 0 ? 1 : -1;
		weight += inputs;
	}
	*out = m;
	m = NULL;
done:
	hel_dlrm_free(m);
	hel_schema_free(schema);
	hel_free(text);
	return st;
}

static void form_clear(form *f)
{
	for (size_t i = 0; i < f->g->nodes; i++) {
		if (f->map)
			hel_free(f->map[i]);
		if (f->slope)
			hel_free(f->slope[i]);
	}
	hel_free(f->map);
	hel_free(f->slope);
	hel_free(f->column);
	hel_free(f->matrix);
}

hel_status hel_one_squaring(hel_dlrm **out, size_t *squares, const hel_dlrm *m)
{
	hel_status st = HEL_OK;
	form f = {.m = m, .g = m->graph};
	double *value = NULL, most = 0;
	TRY_ALLOC(f.map, hel_alloc(f.g->nodes, sizeof *f.map));
	TRY_ALLOC(f.slope, hel_alloc(f.g->nodes, sizeof *f.slope));
	TRY_ALLOC(f.column, hel_alloc(f.g->nodes, sizeof *f.column));
	TRY(place_tables(&f));
	TRY(fill_maps(&f));
	TRY(fill_matrix(&f));
	TRY_ALLOC(value, hel_alloc(f.inputs, sizeof *value));
	TRY(decompose(&f, value));
	for (size_t i = 0; i < f.inputs; i++)
		most = fmax(most, fabs(value[i]));
	*squares = 0;
	for (size_t i = 0; i < f.inputs; i++)
		*squares += fabs(value[i]) > ROUNDING * most;
	if (!*squares)
		FAIL(HEL_EUNSUPPORTED, "the graph's score is 0 for every record");
	TRY(build(out, &f, value, *squares, ROUNDING * most));
done:
	hel_free(value);
	form_clear(&f);
	return st;
}
