/* Polynomials for activations: against the activations, and through files. */
#include "../features/cohort.h"
#include "../testing_dir.h"
#include "model/approximation.h"
#include "model/dlrm.h"
#include "model/model_file.h"
#include "model/train.h"
#include <math.h>
#include <unistd.h>

static double largest_error(const hel_approximation *a, hel_activation act)
{
	double worst = 0;
	for (double x = -a->range; x <= a->range; x += a->range / 500)
		worst = fmax(worst, fabs(hel_approximation_at(a, x) - hel_activate(act, x)));
	return worst;
}

/* Smooth functions converge with the degree, relu like 1 / degree (Bernstein: 0.28 / degree on
 * [-1, 1] for |x|, half of it for relu). */
static void test_fits_converge(void **state)
{
	(void)state;
	static const struct {
		hel_activation_kind kind;
		unsigned degree;
		double range, error;
	} cases[] = {
	    {HEL_ACT_SIGMOID, 7, 4, 0.01},  {HEL_ACT_SIGMOID, 15, 4, 1e-4},
	    {HEL_ACT_SIGMOID, 31, 4, 1e-7}, {HEL_ACT_SILU, 8, 4, 0.02},
	    {HEL_ACT_SILU, 32, 4, 1e-6},    {HEL_ACT_GELU, 16, 3, 2e-3},
	    {HEL_ACT_GELU, 40, 3, 1e-6},    {HEL_ACT_RELU, 8, 1, 0.045},
	    {HEL_ACT_RELU, 32, 1, 0.012},   {HEL_ACT_RELU, 62, 1, 0.007},
	    {HEL_ACT_SQUARE, 2, 5, 1e-10},
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++)
		for (int kind = HEL_LEAST_SQUARES; kind <= HEL_INTERPOLATION; kind++) {
			const hel_activation act = {cases[i].kind, 0, 0};
			hel_approximation a;
			assert_ok(hel_approximation_fit(&a, act, cases[i].degree,
							(hel_approximation_kind)kind,
							cases[i].range, NULL));
			const double error = largest_error(&a, act);
			print_message("  %-8s degree %2u over +-%g: %.2g\n",
				      hel_activation_name(act.kind), a.degree, a.range, error);
			/* least squares gives up some of the largest error */
			assert_less(error, 2.5 * cases[i].error);
		}
	hel_approximation a;
	const hel_activation relu = {HEL_ACT_RELU, 0, 0};
	assert_status(HEL_EINVAL, hel_approximation_fit(&a, relu, 1, HEL_LEAST_SQUARES, 1, NULL));
	assert_status(HEL_EINVAL, hel_approximation_fit(&a, relu, 64, HEL_LEAST_SQUARES, 1, NULL));
	assert_status(HEL_ERANGE, hel_approximation_fit(&a, relu, 4, HEL_LEAST_SQUARES, 0, NULL));
	assert_status(HEL_ERANGE, hel_approximation_fit(&a, relu, 4, HEL_LEAST_SQUARES, NAN, NULL));
}

/* High degrees, in a value or in its sine: errors in the mean square of uniform values, and at
 * most.
 */
static void test_wide_fits(void **state)
{
	(void)state;
	static const struct {
		hel_activation_kind kind;
		unsigned degree;
		double turn, range, mean, most;
	} cases[] = {
	    {HEL_ACT_RELU, 62, 0, 3, 5e-4, 0.006},
	    {HEL_ACT_RELU, 254, 0, 3, 1e-4, 0.0015},
	    {HEL_ACT_RELU, 254, 0.125, 3, 1e-4, 0.0015},
	    {HEL_ACT_RELU, 254, 1.0 / 64, 3, 1e-4, 0.0015},
	    {HEL_ACT_RELU, 510, 0.125, 3, 4e-5, 0.0008},
	    {HEL_ACT_LEAKY_RELU, 254, 0.125, 3, 1e-4, 0.0015},
	    {HEL_ACT_GELU, 30, 0.125, 6, 1e-4, 1e-3},
	    {HEL_ACT_SILU, 30, 0.05, 8, 1e-4, 1e-3},
	    {HEL_ACT_SIGMOID, 62, 0.125, 10, 1e-5, 1e-4},
	    {HEL_ACT_TANH, 62, 0.125, 6, 1e-4, 1e-3},
	    {HEL_ACT_HARDTANH, 255, 0.1, 3, 3e-4, 0.004},
	    {HEL_ACT_HARDSWISH, 255, 0, 6, 1e-4, 0.002},
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++) {
		const hel_activation act = {cases[i].kind, 0.1, 0};
		hel_approximation a;
		double square = 0, most = 0;
		assert_ok(hel_approximation_fit_wide(&a, act, cases[i].degree, cases[i].turn,
						     cases[i].range, NULL));
		for (int k = -5000; k <= 5000; k++) {
			const double x = a.range * k / 5000;
			const double e =
			    (hel_approximation_at(&a, x) - hel_activate(act, x)) / a.range;
			square += e * e / 10001;
			most = fmax(most, fabs(e));
		}
		print_message("  %-10s degree %3u, turn %.3f: %.2g, at most %.2g\n",
			      hel_activation_name(act.kind), a.degree, a.turn, sqrt(square), most);
		assert_less(sqrt(square), cases[i].mean);
		assert_less(most, cases[i].most);
		/* beyond the range it grows, and never comes back before half a turn */
		if (cases[i].degree >= 254)
			for (double x = 1.05; x < (a.turn > 0 ? 0.5 / a.turn - 1.05 : 10);
			     x += 0.01)
				assert_false(fabs(hel_approximation_at(&a, x * a.range)) <
					     100 * a.range);
	}
	hel_approximation a;
	const hel_activation relu = {HEL_ACT_RELU, 0, 0};
	assert_status(HEL_EINVAL,
		      hel_approximation_fit_wide(&a, relu, HEL_MAX_FITTED + 1, 0, 1, NULL));
	assert_status(HEL_ERANGE, hel_approximation_fit_wide(&a, relu, 4, 0, INFINITY, NULL));
}

static void test_slopes(void **state)
{
	(void)state;
	const double h = 1e-5;
	for (int kind = 0; kind < HEL_ACT_KINDS; kind++)
		for (double x = -3.1; x < 3.2; x += 0.2) {
			const hel_activation act = {(hel_activation_kind)kind, 0.3, -0.7};
			double slope =
			    (hel_activate(act, x + h) - hel_activate(act, x - h)) / (2 * h);
			assert_within(slope, hel_activate_slope(act, x), 1e-6);
		}
}

static hel_dlrm *make_model(hel_samples *s, hel_activation_kind kind)
{
	hel_records r;
	hel_schema *schema;
	hel_dlrm *m;
	hel_dlrm_config c = hel_dlrm_config_default();
	c.activation.kind = kind;
	c.bottom_last_activation = true;
	c.top[0] = 6;
	c.top[1] = 5;
	c.top[2] = 1;
	c.top_layers = 3;
	make_cohort(&r, 200, 1);
	assert_ok(hel_schema_fit(&schema, hel_dataset_by_name("heart"), &r, NULL, r.count, 3, 0));
	assert_ok(hel_dlrm_new(&m, &c, schema, 5));
	assert_ok(hel_samples_new(s, m->schema, &r, NULL, r.count, HEL_UNKNOWN_IS_ERROR));
	hel_records_clear(&r);
	return m;
}

/* Ranges are learned from the samples; more degree, less change of the logit. */
static void test_model(void **state)
{
	(void)state;
	for (int kind = HEL_ACT_SILU; kind <= HEL_ACT_GELU; kind++) {
		hel_samples s;
		hel_dlrm *m = make_model(&s, (hel_activation_kind)kind);
		double *exact = hel_alloc(s.count, sizeof *exact), before = INFINITY;
		assert_int_equal(3, hel_dlrm_activated(m));
		for (size_t i = 0; i < s.count; i++)
			assert_ok(hel_dlrm_logit(&exact[i], m, s.value + i * s.dense,
						 s.hot + i * s.hots));
		for (unsigned degree = 3; degree <= 24; degree *= 2) {
			double worst = 0, logit;
			assert_ok(hel_dlrm_approximate(m, &s, degree, HEL_LEAST_SQUARES, 1.25));
			for (size_t i = 0; i < s.count; i++) {
				assert_ok(hel_dlrm_logit(&logit, m, s.value + i * s.dense,
							 s.hot + i * s.hots));
				worst = fmax(worst, fabs(logit - exact[i]));
			}
			print_message("  %s, degree %u: largest change %.2g\n",
				      hel_activation_name(m->config.activation.kind), degree,
				      worst);
			assert_at_most(worst, before);
			before = worst;
		}
		assert_less(before, 1e-4);
		hel_free(exact);
		hel_samples_clear(&s);
		hel_dlrm_free(m);
	}
}

static void test_files(void **state)
{
	(void)state;
	hel_samples s;
	hel_dlrm *m = make_model(&s, HEL_ACT_RELU), *back;
	const char *dir = temp_dir;
	assert_ok(hel_dlrm_approximate(m, &s, 6, HEL_INTERPOLATION, 1.5));
	assert_ok(hel_dlrm_save(m, dir));
	assert_ok(hel_dlrm_load(&back, dir));
	assert_non_null(back->approximation);
	assert_memory_equal(m->approximation, back->approximation, 3 * sizeof *m->approximation);
	static const char *const bad[] = {
	    "",
	    "{}",
	    "[]",
	    "[1, 2, 3]",
	    "[{\"range\": 1, \"chebyshev\": [1, 1]}]",
	    "[{\"range\": 0, \"chebyshev\": [1, 1]}, {\"range\": 1, \"chebyshev\": [1, 1]},"
	    " {\"range\": 1, \"chebyshev\": [1, 1]}]",
	    "[{\"range\": 1, \"chebyshev\": [1, 0]}, {\"range\": 1, \"chebyshev\": [1, 1]},"
	    " {\"range\": 1, \"chebyshev\": [1, 1]}]",
	    "[{\"range\": 1, \"chebyshev\": [1, 1e9]}, {\"range\": 1, \"chebyshev\": [1, 1]},"
	    " {\"range\": 1, \"chebyshev\": [1, 1]}]",
	    "[{\"range\": 1, \"chebyshev\": [1, \"x\"]}, {\"range\": 1, \"chebyshev\": [1, 1]},"
	    " {\"range\": 1, \"chebyshev\": [1, 1]}]"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++)
		assert_status(HEL_EFORMAT,
			      hel_approximations_from_json(back, bad[i], strlen(bad[i])));
	assert_memory_equal(m->approximation, back->approximation, 3 * sizeof *m->approximation);
	/* a model without any leaves none behind */
	hel_free(m->approximation);
	m->approximation = NULL;
	assert_ok(hel_dlrm_save(m, dir));
	hel_dlrm_free(back);
	assert_ok(hel_dlrm_load(&back, dir));
	assert_null(back->approximation);
	hel_dlrm_free(back);

	/* killed between the two renames of a save: the old model is still whole */
	char weights[600], previous[620];
	snprintf(weights, sizeof weights, "%s/weights.safetensors", dir);
	snprintf(previous, sizeof previous, "%s.previous", weights);
	assert_unequal(access(previous, F_OK), 0);
	assert_int_equal(0, link(weights, previous));
	assert_ok(hel_file_write(weights, "new", 3, 0644));
	assert_ok(hel_dlrm_load(&back, dir));
	assert_memory_equal(m->parameter, back->parameter, m->parameters * sizeof *m->parameter);
	assert_ok(hel_dlrm_save(m, dir));
	assert_unequal(access(previous, F_OK), 0);
	hel_dlrm_free(back);
	hel_dlrm_free(m);
	hel_samples_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_slopes),	  cmocka_unit_test(test_wide_fits),
	    cmocka_unit_test(test_fits_converge), cmocka_unit_test(test_model),
	    cmocka_unit_test(test_files),
	};
	return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
