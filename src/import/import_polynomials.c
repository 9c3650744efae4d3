/* Activations that are polynomials: coefficients that were trained, as tensors of the file or in
 * --config, become what a model file calls trained polynomials. */
#include "importer.h"
#include "model/approximation.h"
#include <math.h>
#include <string.h>

#define TRIED_RECORDS 64		    /* random ones, that ranges are measured on */
#define LEAST_RANGE 0x1p-10		    /* of what is nowhere reached */
#define COEFFICIENT_MOST 1e6		    /* as in a model file */
#define NUMBERS (HEL_MAX_APPROXIMATION + 1) /* coefficients of a polynomial, at most */

/* The entry of an activation; one that stands alone is that of all. */
static const json_t *entry_of(const json_t *all, size_t i)
{
	return json_is_array(all) ? json_array_get(all, i) : all;
}

static size_t entries(const json_t *all)
{
	return json_is_array(all) ? json_array_size(all) : 1;
}

static hel_status wrong(size_t i, const char *expected)
{
	return hel_fail(HEL_EFORMAT, "import config: polynomial %zu of 'polynomials': %s", i + 1,
			expected);
}

/* Names are those of the file, or those below its prefix. */
static hel_stored *tensor_of(const hel_importer *im, const char *name)
{
	hel_stored *t = hel_checkpoint_find(&im->file, "%s", name);
	const size_t n = strlen(im->file.prefix);
	if (!t && strncmp(name, im->file.prefix, n) == 0)
		t = hel_checkpoint_find(&im->file, "%s", name + n);
	return t;
}

static hel_status check_entry(const hel_importer *im, const json_t *e, size_t i)
{
	static const char *const known[] = {"tensor", "coefficients", "basis", "range"};
	const json_t *tensor = json_object_get(e, "tensor"), *list = json_object_get(e, known[1]),
		     *basis = json_object_get(e, "basis"), *range = json_object_get(e, "range");
	const char *word = json_string_value(basis), *key;
	json_t *value;
	if (!json_is_object(e) || !tensor == !list)
		return wrong(i, "expected an object with 'tensor' (a name) or 'coefficients'");
	json_object_foreach((json_t *)e, key, value)
	{
		size_t k = 0;
		while (k < HEL_ARRAY_LEN(known) && strcmp(known[k], key) != 0)
			k++;
		if (k == HEL_ARRAY_LEN(known))
			return hel_fail(HEL_EFORMAT,
					"import config: unknown key '%.40s' in 'polynomials'", key);
	}
	if (basis && (!word || (strcmp(word, "powers") != 0 && strcmp(word, "chebyshev") != 0)))
		return wrong(i, "'basis' must be \"powers\" or \"chebyshev\"");
	if (range && !(json_number_value(range) > 1e-9 && json_number_value(range) < 1e6))
		return wrong(i, "'range' must be a number above 0");
	if (word && *word == 'c' && !range)
		return wrong(i, "coefficients of Chebyshev polynomials of x / range need 'range'");
	if (tensor && (!json_is_string(tensor) || !tensor_of(im, json_string_value(tensor))))
		return hel_fail(HEL_EFORMAT,
				"import config: the weights have no tensor '%.80s' for polynomial "
				"%zu",
				json_is_string(tensor) ? json_string_value(tensor) : "?", i + 1);
	return HEL_OK;
}

hel_status hel_importer_take_polynomials(hel_importer *im)
{
	hel_status st = HEL_OK;
	const json_t *all = json_object_get(im->config.root, "polynomials");
	for (size_t i = 0; all && i < entries(all); i++) {
		const json_t *e = entry_of(all, i);
		TRY(check_entry(im, e, i));
		if (json_object_get(e, "tensor"))
			tensor_of(im, json_string_value(json_object_get(e, "tensor")))->taken =
			    true;
	}
done:
	return st;
}

hel_status hel_importer_count_polynomials(const hel_importer *im)
{
	const json_t *all = json_object_get(im->config.root, "polynomials");
	size_t count = 0;
	for (size_t i = 0; i < im->b.g->nodes; i++)
		count += im->b.g->node[i].kind == HEL_NODE_ACTIVATION;
	return !all || (count && (!json_is_array(all) || entries(all) == count))
		   ? HEL_OK
		   : hel_fail(HEL_EFORMAT,
			      "import config: 'polynomials' has %zu entries, the model %zu "
			      "activations, in the order in which a record meets them",
			      entries(all), count);
}

/* The coefficients as they are written, the constant one first. */
static hel_status read_numbers(double c[NUMBERS], unsigned *degree, const hel_importer *im,
			       const json_t *e, size_t i)
{
	hel_status st = HEL_OK;
	const json_t *list = json_object_get(e, "coefficients");
	float values[NUMBERS];
	size_t count = json_array_size(list);
	if (!list) {
		hel_stored *t = tensor_of(im, json_string_value(json_object_get(e, "tensor")));
		hel_stored row = t->rows == 1 && t->columns > 1 ? hel_stored_transposed(t) : *t;
		count = row.rows;
		if (count < 2 || count > NUMBERS)
			TRY(wrong(i, "expected a vector of 2 to 64 coefficients"));
		TRY(hel_stored_vector(&row, count));
		TRY(hel_stored_rows(values, &row, 0, count));
	} else if (count < 2 || count > NUMBERS)
		TRY(wrong(i, "expected an array of 2 to 64 coefficients"));
	for (size_t k = 0; k < count; k++) {
		const json_t *v = json_array_get(list, k);
		if (list && !json_is_number(v))
			TRY(wrong(i, "a coefficient is no number"));
		c[k] = list ? json_number_value(v) : (double)values[k];
	}
	*degree = (unsigned)count - 1;
done:
	return st;
}

/* sum p_k (range t)^k in Chebyshev polynomials of t, by Horner: t T_0 = T_1, t T_n = (T_(n-1) +
 * T_(n+1)) / 2. */
static void to_chebyshev(hel_approximation *a, const double p[NUMBERS], unsigned degree,
			 double range)
{
	double next[NUMBERS];
	*a = (hel_approximation){.degree = degree, .range = range};
	for (unsigned k = degree + 1; k-- > 0;) {
		memset(next, 0, sizeof next);
		for (unsigned n = 0; n < degree; n++) { /* c[degree] is still 0 */
			next[n + 1] += range * a->c[n] * (n ? 0.5 : 1);
			if (n)
				next[n - 1] += range * a->c[n] / 2;
		}
		next[0] += p[k];
		memcpy(a->c, next, sizeof next);
	}
}

static void see_largest(void *arg, size_t activation, double x)
{
	double *largest = (double *)arg + activation;
	*largest = fmax(*largest, fabs(x));
}

void hel_import_random(const hel_dlrm *m, hel_prng *g, double *dense, uint32_t *hots)
{
	hel_schema_random(m->schema, g, dense, hots);
	for (size_t i = 0; m->polynomials_trained && i < m->schema->dense_count; i++)
		dense[i] = fmax(-m->schema->clip, fmin(hel_prng_normal(g), m->schema->clip));
}

/* How far random records drive each activation: ranges change how a polynomial is written, not what
 * it is. */
static hel_status measure(double *largest, const hel_dlrm *m)
{
	hel_status st = HEL_OK;
	const uint8_t seed[HEL_SEED_BYTES] = {0};
	hel_prng g;
	double *dense = NULL, logit;
	uint32_t *hots = NULL;
	TRY_ALLOC(dense, hel_alloc(m->schema->dense_count, sizeof *dense));
	TRY_ALLOC(hots, hel_alloc(hel_schema_hots(m->schema), sizeof *hots));
	hel_prng_init(&g, seed, 0);
	for (size_t i = 0; i < TRIED_RECORDS; i++) {
		hel_import_random(m, &g, dense, hots);
		TRY(hel_dlrm_observe(&logit, m, dense, hots, see_largest, largest));
	}
done:
	hel_free(dense);
	hel_free(hots);
	return st;
}

/* A power of two, so that nothing is rounded by it. */
static double range_for(double largest)
{
	return exp2(ceil(log2(fmax(largest, LEAST_RANGE))));
}

static hel_status check_size(const hel_approximation *a, size_t i)
{
	bool varies = false;
	for (unsigned k = 0; k <= a->degree; k++) {
		varies |= k && a->c[k] != 0;
		if (!(fabs(a->c[k]) < COEFFICIENT_MOST))
			return wrong(i, "over the range that random records reach a coefficient is "
					"beyond 10^6; give 'range', or lower the schema's clip");
	}
	return varies ? HEL_OK : wrong(i, "a constant polynomial");
}

/* All with the range 1, or their own. */
static hel_status read_all(hel_approximation *fits, double (*c)[NUMBERS], const hel_importer *im,
			   const json_t *all, size_t count)
{
	hel_status st = HEL_OK;
	for (size_t i = 0; i < count; i++) {
		const json_t *e = entry_of(all, i), *range = json_object_get(e, "range");
		const char *basis = json_string_value(json_object_get(e, "basis"));
		unsigned degree;
		TRY(read_numbers(c[i], &degree, im, e, i));
		to_chebyshev(&fits[i], c[i], degree, range ? json_number_value(range) : 1);
		if (basis && *basis == 'c')
			memcpy(fits[i].c, c[i], sizeof c[i]);
	}
done:
	return st;
}

hel_status hel_importer_polynomials(hel_dlrm *m, hel_importer *im)
{
	hel_status st = HEL_OK;
	const json_t *all = json_object_get(im->config.root, "polynomials");
	const size_t count = hel_dlrm_activated(m);
	double *largest = NULL, (*c)[NUMBERS] = NULL;
	hel_approximation *fits = NULL;
	unsigned most = 0;
	if (!all)
		goto done;
	TRY_ALLOC(c, hel_alloc(count, sizeof *c));
	TRY_ALLOC(largest, hel_alloc(count, sizeof *largest));
	TRY_ALLOC(fits, hel_alloc(count, sizeof *fits));
	TRY(read_all(fits, c, im, all, count));
	hel_free(m->approximation);
	m->approximation = fits;
	m->polynomials_trained = true;
	fits = NULL;
	TRY(measure(largest, m));
	for (size_t i = 0; i < count; i++) {
		hel_approximation *a = &m->approximation[i];
		if (!json_object_get(entry_of(all, i), "range"))
			to_chebyshev(a, c[i], a->degree, range_for(largest[i]));
		TRY(check_size(a, i));
		most = HEL_MAX(most, a->degree);
	}
	hel_importer_say(im, "activation: polynomials as trained, %zu of degree up to %u", count,
			 most);
done:
	hel_free(fits);
	hel_free(largest);
	hel_free(c);
	return st;
}
