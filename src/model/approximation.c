/* Activations that ciphertexts cannot take, replaced by polynomials fitted to what a data set feeds
 * them. */
#include "approximation.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BINS 64	    /* of the histogram of what reaches an activation */
#define POINTS 1024 /* of a fit */
#define FLOOR 0.01  /* weight of a place nothing was seen at, against the most frequent one */
#define WIDE_FLOOR 0.001
#define WIDE_POINTS 16	  /* for each degree */
#define MOST_ODD 15	  /* degrees, of a line's sine */
#define LEAST_ODD 0x1p-20 /* of the range: smaller terms of a line are not worth a product each */

/* --- what reaches each activation ------------------------------------------------ */

typedef struct calibration {
	double largest;
	double count[BINS]; /* over [-largest, largest] */
} calibration;

static void see_largest(void *arg, size_t activation, double x)
{
	calibration *c = (calibration *)arg + activation;
	c->largest = fmax(c->largest, fabs(x));
}

static void see_where(void *arg, size_t activation, double x)
{
	calibration *c = (calibration *)arg + activation;
	if (c->largest > 0)
		c->count[(size_t)HEL_MIN((x / c->largest + 1) * BINS / 2, BINS - 1)]++;
}

static hel_status run_all(const hel_dlrm *m, const hel_samples *s, hel_observer *observer,
			  calibration *c)
{
	hel_status st = HEL_OK;
	double logit;
	for (size_t i = 0; i < s->count; i++)
		TRY(hel_dlrm_observe(&logit, m, s->value + i * s->dense, s->hot + i * s->hots,
				     observer, c));
done:
	return st;
}

/* --- fitting ------------------------------------------------------------------------ */

static void chebyshev_values(double *t, unsigned degree, double x)
{
	t[0] = 1;
	t[1] = x;
	for (unsigned i = 2; i <= degree; i++)
		t[i] = 2 * x * t[i - 1] - t[i - 2];
}

/* a x = b by elimination with row exchanges; a and b are destroyed. */
static bool solve(double *x, double *a, double *b, unsigned n)
{
	for (unsigned k = 0; k < n; k++) {
		unsigned best = k;
		for (unsigned i = k + 1; i < n; i++)
			if (fabs(a[i * n + k]) > fabs(a[best * n + k]))
				best = i;
		if (!(fabs(a[best * n + k]) > 1e-300))
			return false;
		for (unsigned j = 0; j < n && best != k; j++) {
			double t = a[k * n + j];
			a[k * n + j] = a[best * n + j];
			a[best * n + j] = t;
		}
		double t = b[k];
		b[k] = b[best];
		b[best] = t;
		for (unsigned i = k + 1; i < n; i++) {
			const double f = a[i * n + k] / a[k * n + k];
			for (unsigned j = k; j < n; j++)
				a[i * n + j] -= f * a[k * n + j];
			b[i] -= f * b[k];
		}
	}
	for (unsigned k = n; k-- > 0;) {
		double sum = b[k];
		for (unsigned j = k + 1; j < n; j++)
			sum -= a[k * n + j] * x[j];
		x[k] = sum / a[k * n + k];
	}
	return true;
}

/* How much an error at x counts: as often as x is seen, but nowhere nothing. */
static double weight_at(const calibration *c, double x, double floor)
{
	double most = 0, here = 0;
	for (size_t i = 0; i < BINS; i++)
		most = fmax(most, c->count[i]);
	if (fabs(x) <= c->largest && c->largest > 0)
		here = c->count[(size_t)HEL_MIN((x / c->largest + 1) * BINS / 2, BINS - 1)];
	return floor + (most > 0 ? here / most : 1);
}

hel_status hel_approximation_fit(hel_approximation *out, hel_activation act, unsigned degree,
				 hel_approximation_kind kind, double range, const void *seen)
{
	hel_status st = HEL_OK;
	const unsigned n = degree + 1;
	const unsigned points = kind == HEL_INTERPOLATION ? n : POINTS;
	double *a = NULL, *b = NULL, t[HEL_MAX_FITTED + 1];
	if (degree < 2 || degree > HEL_MAX_APPROXIMATION)
		FAIL(HEL_EINVAL, "a polynomial of degree %u for an activation, expected 2 to %d",
		     degree, HEL_MAX_APPROXIMATION);
	if (!(range > 0 && range < 1e6))
		FAIL(HEL_ERANGE, "an activation sees values up to %g: nothing to fit", range);
	TRY_ALLOC(a, hel_alloc((size_t)n * n, sizeof *a));
	TRY_ALLOC(b, hel_alloc(n, sizeof *b));
	*out = (hel_approximation){.degree = degree, .range = range};
	/* on Chebyshev's nodes; as many nodes as coefficients interpolate */
	for (unsigned k = 0; k < points; k++) {
		const double x = cos(M_PI * (k + 0.5) / points);
		const double y = hel_activate(act, x * range);
		const double w =
		    kind == HEL_INTERPOLATION || !seen ? 1 : weight_at(seen, x * range, FLOOR);
		chebyshev_values(t, degree, x);
		for (unsigned i = 0; i < n; i++) {
			b[i] += w * t[i] * y;
			for (unsigned j = 0; j < n; j++)
				a[i * n + j] += w * t[i] * t[j];
		}
	}
	if (!solve(out->c, a, b, n))
		FAIL(HEL_ERANGE, "no polynomial of degree %u fits the activation", degree);
done:
	hel_free(a);
	hel_free(b);
	return st;
}

/* f(x) - f(-x) is a multiple of x. */
static bool is_odd_part_a_line(hel_activation act, double range)
{
	const double slope = (hel_activate(act, range) - hel_activate(act, -range)) / range;
	bool line = true;
	for (double x = range / 8; x < range; x += range / 8)
		line &=
		    fabs(hel_activate(act, x) - hel_activate(act, -x) - slope * x) < 1e-9 * range;
	return line;
}

hel_status hel_approximation_fit_wide(hel_approximation *out, hel_activation act, unsigned degree,
				      double turn, double range, const void *seen)
{
	hel_status st = HEL_OK;
	const double angle = 2 * M_PI * turn;
	double *a = NULL, *b = NULL, *c, t[HEL_MAX_FITTED + 1];
	unsigned n = 0, index[HEL_MAX_FITTED + 1];
	if (degree < 2 || degree > HEL_MAX_FITTED)
		FAIL(HEL_EINVAL, "a polynomial of degree %u for an activation, expected 2 to %d",
		     degree, HEL_MAX_FITTED);
	if (!(range > 0 && range < 1e6))
		FAIL(HEL_ERANGE, "an activation sees values up to %g: nothing to fit", range);
	const bool line = is_odd_part_a_line(act, range);
	const unsigned most_odd = line ? MOST_ODD : degree;
	for (unsigned i = 0; i <= degree; i++)
		if (i % 2 == 0 || i <= most_odd)
			index[n++] = i;
	TRY_ALLOC(a, hel_alloc((size_t)n * n, sizeof *a));
	TRY_ALLOC(b, hel_alloc(2 * n, sizeof *b));
	c = b + n;
	*out = (hel_approximation){.degree = degree, .range = range, .turn = turn};
	const unsigned points = WIDE_POINTS * (degree + 1);
	for (unsigned k = 0; k < points; k++) {
		const double x = cos(M_PI * (k + 0.5) / points);
		const double y = range * (turn > 0 ? asin(x * sin(angle)) / angle : x);
		const double w = seen ? weight_at(seen, y, WIDE_FLOOR) : 1;
		const double value = hel_activate(act, y);
		chebyshev_values(t, degree, x);
		for (unsigned i = 0; i < n; i++) {
			b[i] += w * t[index[i]] * value;
			for (unsigned j = 0; j <= i; j++)
				a[i * n + j] += w * t[index[i]] * t[index[j]];
		}
	}
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < i; j++)
			a[j * n + i] = a[i * n + j];
	if (!solve(c, a, b, n))
		FAIL(HEL_ERANGE, "no polynomial of degree %u fits the activation", degree);
	for (unsigned i = 0; i < n; i++)
		if (!line || index[i] % 2 == 0 || fabs(c[i]) >= LEAST_ODD * range)
			out->c[index[i]] = c[i];
done:
	hel_free(a);
	hel_free(b);
	return st;
}

static hel_activation activation_of(const hel_dlrm *m, size_t number)
{
	const hel_node *n = m->graph->node;
	while (n->kind != HEL_NODE_ACTIVATION || n->activated != number)
		n++;
	return n->activation;
}

struct hel_seen {
	size_t count;
	calibration *at; /* per activation */
};

void hel_seen_free(hel_seen *s)
{
	if (!s)
		return;
	hel_free(s->at);
	hel_free(s);
}

double hel_seen_largest(const hel_seen *s, size_t activation)
{
	return fmax(s->at[activation].largest, 1e-3);
}

hel_status hel_seen_new(hel_seen **out, const hel_dlrm *m, const hel_samples *samples)
{
	hel_status st = HEL_OK;
	hel_dlrm exact = *m; /* ranges are those of the activation itself */
	hel_seen *s = NULL;
	if (!samples->count)
		FAIL(HEL_EINVAL, "no records to learn the activations' ranges from");
	if (!m->polynomials_trained)
		exact.approximation = NULL;
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	s->count = hel_dlrm_activated(m);
	TRY_ALLOC(s->at, hel_alloc(s->count, sizeof *s->at));
	TRY(run_all(&exact, samples, see_largest, s->at));
	TRY(run_all(&exact, samples, see_where, s->at));
	*out = s;
	s = NULL;
done:
	hel_seen_free(s);
	return st;
}

void hel_dlrm_exact(hel_dlrm *m)
{
	if (m->polynomials_trained)
		return;
	hel_free(m->approximation);
	m->approximation = NULL;
}

/* How activations are replaced: all alike, or each by its own `fit`. */
typedef struct fitting {
	const hel_seen *seen;
	double margin;
	unsigned degree;
	hel_approximation_kind kind;
	const hel_fit *fit; /* per activation; NULL: alike */
} fitting;

static hel_status fit_one(hel_approximation *out, const fitting *f, size_t i, hel_activation act)
{
	const double range = f->margin * hel_seen_largest(f->seen, i);
	const void *seen = &f->seen->at[i];
	return f->fit ? hel_approximation_fit_wide(out, act, f->fit[i].degree, f->fit[i].turn,
						   range, seen)
		      : hel_approximation_fit(out, act, f->degree, f->kind, range, seen);
}

static hel_status replace_all(hel_dlrm *m, const fitting *f)
{
	hel_status st = HEL_OK;
	hel_approximation *fits = NULL;
	if (m->polynomials_trained)
		FAIL(HEL_EINVAL, "this model's activations are polynomials already");
	TRY_ALLOC(fits, hel_alloc(f->seen->count, sizeof *fits));
	for (size_t i = 0; i < f->seen->count; i++)
		TRY(fit_one(&fits[i], f, i, activation_of(m, i)));
	hel_dlrm_exact(m);
	m->approximation = fits;
	fits = NULL;
done:
	hel_free(fits);
	return st;
}

hel_status hel_dlrm_approximate_seen(hel_dlrm *m, const hel_seen *seen, unsigned degree,
				     hel_approximation_kind kind, double margin)
{
	return replace_all(
	    m, &(fitting){.seen = seen, .margin = margin, .degree = degree, .kind = kind});
}

hel_status hel_dlrm_approximate_wide(hel_dlrm *m, const hel_seen *seen, const hel_fit *fit,
				     double margin)
{
	return replace_all(m, &(fitting){.seen = seen, .margin = margin, .fit = fit});
}

hel_status hel_dlrm_approximate(hel_dlrm *m, const hel_samples *samples, unsigned degree,
				hel_approximation_kind kind, double margin)
{
	hel_status st = HEL_OK;
	hel_seen *seen = NULL;
	TRY(hel_seen_new(&seen, m, samples));
	TRY(hel_dlrm_approximate_seen(m, seen, degree, kind, margin));
done:
	hel_seen_free(seen);
	return st;
}

/* --- JSON --------------------------------------------------------------------------- */

hel_status hel_approximations_to_json(char **out, const hel_dlrm *m)
{
	hel_status st = HEL_OK;
	char *text = NULL;
	json_t *all = json_array();
	for (size_t i = 0; i < hel_dlrm_activated(m); i++) {
		const hel_approximation *a = &m->approximation[i];
		json_t *c = json_array();
		for (unsigned k = 0; k <= a->degree; k++)
			json_array_append_new(c, json_real(a->c[k]));
		json_array_append_new(all, json_pack("{s:f, s:f, s:o}", "range", a->range, "turn",
						     a->turn, "chebyshev", c));
	}
	TRY_ALLOC(text, json_dumps(all, JSON_REAL_PRECISION(17)));
	TRY_ALLOC(*out, hel_strdup(text));
done:
	free(text);
	json_decref(all);
	return st;
}

static hel_status approximation_from(hel_approximation *a, const json_t *o)
{
	const json_t *range = json_object_get(o, "range"), *c = json_object_get(o, "chebyshev");
	const json_t *turn = json_object_get(o, "turn"); /* missing: 0 */
	const size_t count = json_array_size(c);
	if (!json_is_number(range) || !(json_number_value(range) > 1e-9) ||
	    !(json_number_value(range) < 1e6) || count < 2 || count > HEL_MAX_FITTED + 1 ||
	    (turn && !(json_is_number(turn) && json_number_value(turn) >= 0 &&
		       json_number_value(turn) <= 0.125)))
		return hel_fail(HEL_EFORMAT,
				"approximation: expected a 'range' above 0, 2 to %d numbers in "
				"'chebyshev' and 0 to 0.125 as 'turn'",
				HEL_MAX_FITTED + 1);
	*a = (hel_approximation){.degree = (unsigned)count - 1,
				 .turn = json_number_value(turn),
				 .range = json_number_value(range)};
	bool varies = false;
	for (size_t i = 0; i < count; i++) {
		const json_t *v = json_array_get(c, i);
		a->c[i] = json_number_value(v);
		varies |= i && a->c[i] != 0;
		if (!json_is_number(v) || !(fabs(a->c[i]) < 1e6))
			return hel_fail(HEL_EFORMAT,
					"approximation: coefficient %zu is no number "
					"below 10^6",
					i);
	}
	return varies ? HEL_OK : hel_fail(HEL_EFORMAT, "approximation: a constant polynomial");
}

hel_status hel_approximations_from_json(hel_dlrm *m, const char *text, size_t size)
{
	hel_status st = HEL_OK;
	json_error_t error;
	hel_approximation *fits = NULL;
	const size_t count = hel_dlrm_activated(m);
	json_t *all = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	if (!all)
		FAIL(HEL_EFORMAT, "approximation, line %d: %s", error.line, error.text);
	if (!json_is_array(all) || json_array_size(all) != count)
		FAIL(HEL_EFORMAT,
		     "approximation: expected a list of %zu polynomials, one for each "
		     "activated layer",
		     count);
	TRY_ALLOC(fits, hel_alloc(count, sizeof *fits));
	for (size_t i = 0; i < count; i++)
		TRY(approximation_from(&fits[i], json_array_get(all, i)));
	hel_free(m->approximation);
	m->approximation = fits;
	fits = NULL;
done:
	hel_free(fits);
	json_decref(all);
	return st;
}
