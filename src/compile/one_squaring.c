#include "one_squaring.h"
#include "model/node.h"
#include "quadratic_form.h"
#include "stages.h"
#include <cblas.h>
#include <math.h>
#include <string.h>

/* Eigenvalues below this share of the largest are rounding: weights have 24 bits. */
#define ROUNDING 1e-8
/* What moments have beside those of records, as a share of their mean: no direction has none. */
#define LEAST_MOMENT 1e-7
#define RANDOM_RECORDS 4096
#define MOST_JUDGED 1024  /* records that errors are measured on */
#define FEWEST_SQUARES 16 /* fewer save nothing */
/* How much random records count against given ones: enough that no row of a table is forgotten. */
#define RANDOM_SHARE 0.0625
#define LEAST_WEIGHT 0x1p-10 /* of a square, against its eigenvalue: it keeps its sign */

typedef hel_quadratic_form form;

/* LAPACK: b = a^-1 b, for a symmetric positive definite a. */
extern void dposv_(const char *uplo, const int *n, const int *nrhs, double *a, const int *lda,
		   double *b, const int *ldb, int *info);

/* --- the network of some squares ----------------------------------------------------------------
 */

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

/* value: 0 of those that are left out. */
static hel_status build(hel_dlrm **out, const form *f, const double *value)
{
	hel_status st = HEL_OK;
	hel_dlrm_config c = f->m->config;
	hel_schema *schema = NULL;
	hel_dlrm *m = NULL;
	size_t squares = 0;
	for (size_t r = 0; r < f->inputs; r++)
		squares += value[r] != 0;
	c.architecture = HEL_ARCHITECTURE_MLP;
	c.members = 1;
	c.embedding_dim = (uint32_t)f->dim;
	c.activation = (hel_activation){HEL_ACT_SQUARE, 0, 0};
	c.top_layers = 2;
	c.top[0] = (uint32_t)squares;
	c.top[1] = 1;
	TRY(hel_schema_copy(&schema, f->m->schema));
	TRY(hel_dlrm_new_zero(&m, &c, schema, HEL_MAX_PARAMETERS));
	schema = NULL;
	copy_tables(f, m);
	float *weight = m->parameter + hel_dlrm_top(m, 0, false)->offset,
	      *bias = m->parameter + hel_dlrm_top(m, 0, true)->offset,
	      *sign = m->parameter + hel_dlrm_top(m, 1, false)->offset;
	const size_t inputs = f->inputs - 1;
	for (size_t r = 0; r < f->inputs; r++) {
		const double *vector = f->matrix + r * f->inputs, root = sqrt(fabs(value[r]));
		if (value[r] == 0)
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
	return st;
}

/* Eigenvalues that are rounding become 0; the number of others. */
static size_t drop_rounding(double *value, size_t count)
{
	size_t rank = 0;
	double most = 0;
	for (size_t i = 0; i < count; i++)
		most = fmax(most, fabs(value[i]));
	for (size_t i = 0; i < count; i++) {
		if (fabs(value[i]) <= ROUNDING * most)
			value[i] = 0;
		rank += value[i] != 0;
	}
	return rank;
}

hel_status hel_one_squaring(hel_dlrm **out, hel_squares *squares, const hel_dlrm *m)
{
	hel_status st = HEL_OK;
	form f = {.g = NULL};
	double *value = NULL;
	TRY(hel_quadratic_form_new(&f, m));
	TRY_ALLOC(value, hel_alloc(f.inputs, sizeof *value));
	TRY(hel_eigenvectors(value, f.matrix, NULL, f.inputs));
	squares->rank = squares->kept = drop_rounding(value, f.inputs);
	squares->error = 0;
	if (!squares->rank)
		FAIL(HEL_EUNSUPPORTED, "the graph's score is 0 for every record");
	TRY(build(out, &f, value));
done:
	hel_free(value);
	hel_quadratic_form_clear(&f);
	return st;
}

/* --- fewer squares ------------------------------------------------------------------------------
 */

static hel_status random_samples(hel_samples *out, const hel_schema *schema)
{
	static const uint8_t seed[HEL_SEED_BYTES] = "squares";
	hel_prng random;
	const hel_status st = hel_samples_reserve(out, schema, RANDOM_RECORDS);
	if (st != HEL_OK)
		return st;
	hel_prng_init(&random, seed, 0);
	for (; out->count < RANDOM_RECORDS; out->count++)
		hel_schema_random(schema, &random, out->value + out->count * out->dense,
				  out->hot + out->count * out->hots);
	return HEL_OK;
}

/* What enters for one record. */
static void fill_inputs(double *x, const form *f, const hel_samples *s, size_t record)
{
	const hel_record_pass pass = {
	    .m = f->m, .dense = s->value + record * s->dense, .hots = s->hot + record * s->hots};
	memset(x, 0, f->inputs * sizeof *x);
	if (s->dense)
		memcpy(x, pass.dense, s->dense * sizeof *x);
	for (size_t i = 0; i < f->g->nodes; i++) {
		const hel_node *n = &f->g->node[i];
		if (n->kind == HEL_NODE_EMBED)
			hel_node_type_of(n->kind)->evaluate(
			    &pass, n, x + s->dense + n->table * f->dim + f->column[i]);
	}
	x[f->inputs - 1] = 1;
}

/* Adds the mean of x x^T over every other record, times `share`. */
static hel_status add_moments(double *moments, const form *f, const hel_samples *s, double share)
{
	hel_status st = HEL_OK;
	const size_t count = (s->count + 1) / 2;
	double *x = NULL;
	if (!count)
		return HEL_OK;
	TRY_ALLOC(x, hel_alloc(count * f->inputs, sizeof *x));
	for (size_t i = 0; i < count; i++)
		fill_inputs(x + i * f->inputs, f, s, 2 * i);
	cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)f->inputs, (int)count,
		    share / (double)count, x, (int)f->inputs, 1, moments, (int)f->inputs);
done:
	hel_free(x);
	return st;
}

/* The eigenvalues of the form, its matrix the vectors, as records weigh them. */
static hel_status weigh(double *value, form *f, const hel_samples *given, const hel_samples *random)
{
	hel_status st = HEL_OK;
	double *moments = NULL, trace = 0;
	TRY_ALLOC(moments, hel_alloc(f->inputs * f->inputs, sizeof *moments));
	TRY(add_moments(moments, f, random, given ? RANDOM_SHARE : 1));
	if (given)
		TRY(add_moments(moments, f, given, 1));
	for (size_t i = 0; i < f->inputs; i++)
		trace += moments[i * (f->inputs + 1)];
	for (size_t i = 0; i < f->inputs; i++)
		moments[i * (f->inputs + 1)] += LEAST_MOMENT * trace / (double)f->inputs;
	TRY(hel_eigenvectors(value, f->matrix, moments, f->inputs));
done:
	hel_free(moments);
	return st;
}

/* The largest eigenvalues, half of `most` of either sign at most: so that they pair up
 * (lower_logit.c). How many those are. */
static size_t keep_largest(double *kept, const double *value, size_t count, size_t most)
{
	size_t low = 0, high = count; /* they rise */
	memset(kept, 0, count * sizeof *kept);
	for (; low < most / 2 && low < count && value[low] < 0; low++)
		kept[low] = value[low];
	for (; count - high < most / 2 && high > low && value[high - 1] > 0; high--)
		kept[high - 1] = value[high - 1];
	return low + count - high;
}

/* The squares of what is kept, for one record, and a 1. */
static void fill_squares(double *square, const form *f, const double *kept, const double *x)
{
	for (size_t r = 0; r < f->inputs; r++) {
		if (kept[r] == 0)
			continue;
		const double y = cblas_ddot((int)f->inputs, f->matrix + r * f->inputs, 1, x, 1);
		*square++ = kept[r] * y * y;
	}
	*square = 1;
}

/* gram: the mean of squares times squares; apart: of squares times what they lack of the logit. */
static hel_status add_records(double *gram, double *apart, const form *f, const double *kept,
			      size_t n, const hel_samples *s)
{
	hel_status st = HEL_OK;
	const size_t count = (s->count + 1) / 2;
	double *x = NULL, *square = NULL, logit;
	TRY_ALLOC(x, hel_alloc(f->inputs, sizeof *x));
	TRY_ALLOC(square, hel_alloc(n, sizeof *square));
	for (size_t row = 0; row < s->count; row += 2) {
		fill_inputs(x, f, s, row);
		fill_squares(square, f, kept, x);
		TRY(hel_dlrm_logit(&logit, f->m, s->value + row * s->dense,
				   s->hot + row * s->hots));
		for (size_t r = 0; r + 1 < n; r++)
			logit -= square[r];
		cblas_daxpy((int)n, logit / (double)count, square, 1, apart, 1);
		cblas_dsyr(CblasRowMajor, CblasUpper, (int)n, 1 / (double)count, square, 1, gram,
			   (int)n);
	}
done:
	hel_free(x);
	hel_free(square);
	return st;
}

/* Weights of the squares, and a constant, with which they come closest to the logits of the records
 * that moments are of: what is left out has a mean, and part of it is like what is kept. Of few
 * records they hardly move. */
static hel_status fit_weights(hel_dlrm *fewer, const form *f, const double *kept,
			      const hel_samples *s)
{
	hel_status st = HEL_OK;
	const size_t n = fewer->config.top[0] + 1;
	const double shrink = 1 + (double)n / (double)((s->count + 1) / 2);
	const int size = (int)n, one = 1;
	double *gram = NULL, *move = NULL;
	float *weight = fewer->parameter + hel_dlrm_top(fewer, 1, false)->offset,
	      *bias = fewer->parameter + hel_dlrm_top(fewer, 1, true)->offset;
	int info = 0;
	TRY_ALLOC(gram, hel_alloc(n * n, sizeof *gram));
	TRY_ALLOC(move, hel_alloc(n, sizeof *move));
	TRY(add_records(gram, move, f, kept, n, s));
	for (size_t r = 0; r < n; r++)
		gram[r * (n + 1)] *= shrink;
	/* row by row above the diagonal is column by column below it */
	dposv_("L", &size, &one, gram, &size, move, &size, &info);
	if (info)
		goto done; /* a square that is 0 on all records: weights stay as they are */
	for (size_t r = 0; r + 1 < n; r++)
		weight[r] *= (float)fmax(1 + move[r], LEAST_WEIGHT);
	*bias += (float)move[n - 1];
done:
	hel_free(gram);
	hel_free(move);
	return st;
}

/* Mean |difference| of two models' logits on records that had no part in moments. */
static hel_status compare(double *error, const hel_dlrm *a, const hel_dlrm *b, const hel_samples *s)
{
	hel_status st = HEL_OK;
	const size_t count = s->count / 2, judged = HEL_MIN(count, (size_t)MOST_JUDGED);
	double sum = 0, x, y;
	for (size_t i = 0; i < judged; i++) {
		const size_t row = 2 * (i * count / judged) + 1;
		TRY(hel_dlrm_logit(&x, a, s->value + row * s->dense, s->hot + row * s->hots));
		TRY(hel_dlrm_logit(&y, b, s->value + row * s->dense, s->hot + row * s->hots));
		sum += fabs(x - y);
	}
	*error = judged ? sum / (double)judged : INFINITY;
done:
	return st;
}

hel_status hel_fewer_squares(hel_dlrm **out, hel_squares *squares, const hel_dlrm *m,
			     const hel_samples *given, double error)
{
	hel_status st = HEL_OK;
	form f = {.g = NULL};
	double *value = NULL, *kept = NULL;
	hel_samples random = {0};
	hel_dlrm *fewer = NULL;
	*out = NULL;
	given = given && given->count ? given : NULL;
	TRY(hel_quadratic_form_new(&f, m));
	TRY_ALLOC(value, hel_alloc(f.inputs, sizeof *value));
	TRY_ALLOC(kept, hel_alloc(f.inputs, sizeof *kept));
	TRY(random_samples(&random, m->schema));
	TRY(weigh(value, &f, given, &random));
	squares->rank = drop_rounding(value, f.inputs);
	for (size_t most = (size_t)1 << hel_log2_ceil(squares->rank); most >= FEWEST_SQUARES;
	     most /= 2) {
		double apart;
		const size_t n = keep_largest(kept, value, f.inputs, most);
		if (n == squares->rank || (most > squares->rank && n < HEL_FEWEST_PAIRED))
			continue;
		TRY(build(&fewer, &f, kept));
		TRY(fit_weights(fewer, &f, kept, given ? given : &random));
		TRY(compare(&apart, m, fewer, given ? given : &random));
		if (!(apart <= error))
			break;
		hel_dlrm_free(*out);
		*out = fewer;
		fewer = NULL;
		squares->kept = (*out)->config.top[0];
		squares->error = apart;
	}
done:
	if (st != HEL_OK) {
		hel_dlrm_free(*out);
		*out = NULL;
	}
	hel_samples_clear(&random);
	hel_dlrm_free(fewer);
	hel_free(value);
	hel_free(kept);
	hel_quadratic_form_clear(&f);
	return st;
}
