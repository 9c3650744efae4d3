/* The fit finds what made the measurements; files are read back, or refused with a reason. */
#include "../testing.h"
#include "compile/calibration.h"
#include <math.h>
#include <stdlib.h>

static const hel_params_spec specs[] = {
    {12, 2, 1, 30, 1, 1},  {13, 4, 1, 30, 2, 2},  {13, 3, 1, 30, 3, 3}, {14, 8, 1, 30, 3, 3},
    {14, 11, 1, 30, 1, 1}, {15, 12, 1, 30, 5, 5}, {15, 6, 1, 30, 2, 2}, {16, 20, 1, 30, 8, 8}};

/* Samples of a machine as the model would have it, some disturbed. */
static size_t make_samples(hel_cost_sample *sample, const hel_cost_model *m, hel_prng *g)
{
	size_t count = 0;
	for (size_t i = 0; i < HEL_ARRAY_LEN(specs); i++) {
		const hel_params_spec *s = &specs[i];
		const size_t limbs = hel_cost_limbs(s, s->levels);
		hel_cost many = hel_cost_decompose(s, limbs);
		hel_cost_add(&many, hel_cost_product(s, limbs), 8);
		const hel_cost costs[] = {hel_cost_decompose(s, limbs),
					  many,
					  hel_cost_product(s, limbs),
					  hel_cost_finish(s, limbs),
					  hel_cost_rescale(s, s->levels),
					  hel_cost_sum(s, limbs, 20, 1, 1),
					  hel_cost_sum(s, limbs, 8, 8, 1),
					  hel_cost_tensor(s, limbs),
					  hel_cost_weighted_sum(s, limbs, 3),
					  hel_cost_copy(s, limbs),
					  hel_cost_read(s, limbs),
					  hel_cost_write(s, limbs)};
		for (size_t k = 0; k < HEL_ARRAY_LEN(costs); k++) {
			hel_cost_sample *x = &sample[count++];
			*x = (hel_cost_sample){.cost = costs[k], .bytes = hel_cost_bytes(costs[k])};
			x->seconds = hel_cost_predicted(m, x, 1);
			if (hel_prng_unit(g) < 0.1)
				x->seconds *= 1 + 3 * hel_prng_unit(g); /* a neighbour */
		}
	}
	return count;
}

static void test_fit(void **state)
{
	(void)state;
	hel_cost_sample sample[200];
	hel_prng g;
	test_prng(&g, 1);
	hel_cost_model truth = *hel_cost_model_default(), found = {.cache = 1};
	truth.cache = 0x1p22;
	const size_t count = make_samples(sample, &truth, &g);
	assert_ok(hel_cost_fit(&found, sample, count));
	assert_equal(found.cache, truth.cache);
	for (size_t i = 0; i < count; i++) {
		const double want = hel_cost_predicted(&truth, &sample[i], 1);
		assert_within(hel_cost_predicted(&found, &sample[i], 1) / want, 1, 0.05);
	}
}

/* Products with keys alone: what of it is bytes and what is sums, nobody can tell. */
static void test_undecided(void **state)
{
	(void)state;
	hel_cost_sample sample[HEL_ARRAY_LEN(specs)] = {{0}};
	hel_cost_model truth = *hel_cost_model_default(), found = {.cache = 1};
	hel_cost_model_scale(&truth, 2);
	for (size_t i = 0; i < HEL_ARRAY_LEN(specs); i++) {
		sample[i].cost = hel_cost_product(&specs[i], hel_cost_limbs(&specs[i], 1));
		sample[i].cost.key_strays = 0;
		sample[i].bytes = 1e12;
		sample[i].seconds = hel_cost_predicted(&truth, &sample[i], 1);
	}
	assert_ok(hel_cost_fit(&found, sample, HEL_ARRAY_LEN(specs)));
	assert_within(found.seconds.sum_terms / truth.seconds.sum_terms, 1, 0.05);
	assert_within(found.seconds.key_bytes / truth.seconds.key_bytes, 1, 0.05);
	assert_equal(found.seconds.butterflies, 0);
}

static void test_fit_threads(void **state)
{
	(void)state;
	hel_cost_sample sample[200];
	hel_prng g;
	test_prng(&g, 2);
	hel_cost_model truth = *hel_cost_model_default();
	const size_t count = make_samples(sample, &truth, &g);
	for (unsigned threads = 2; threads <= 4; threads += 2) {
		truth.efficiency = 0.7;
		truth.seconds.forks = 3e-6;
		for (size_t i = 0; i < count; i++)
			sample[i].seconds = hel_cost_predicted(&truth, &sample[i], threads);
		hel_cost_model found = truth;
		found.efficiency = 1;
		found.seconds.forks = 0;
		hel_cost_fit_threads(&found, sample, count, threads);
		assert_within(found.efficiency, 0.7, 0.02);
		assert_within(found.seconds.forks / 3e-6, 1, 0.05);
	}
}

static void test_file(void **state)
{
	(void)state;
	hel_calibration c, again;
	char *text, *text_again;
	hel_calibration_here(&c);
	assert_true(hel_calibration_fits_here(&c));
	assert_ok(hel_calibration_to_json(&text, &c));
	assert_ok(hel_calibration_from_json(&again, text, strlen(text)));
	assert_ok(hel_calibration_to_json(&text_again, &again));
	assert_string_equal(text, text_again);
	assert_true(hel_calibration_fits_here(&again));
	snprintf(again.cpu, sizeof again.cpu, "another");
	assert_false(hel_calibration_fits_here(&again));
	assert_non_null(strstr(hel_error_detail(), "another"));
	again = c;
	snprintf(again.backend, sizeof again.backend, "other");
	assert_false(hel_calibration_fits_here(&again));
	again = c;
	snprintf(again.version, sizeof again.version, "0.0.0");
	assert_false(hel_calibration_fits_here(&again));
	free(text);
	free(text_again);
}

/* One part of a good file replaced: the reason names it, and nothing is changed. */
static void refused(const char *good, const char *part, const char *with, const char *reason)
{
	hel_calibration c = {.version = "before"};
	char text[8192];
	const char *at = strstr(good, part);
	assert_non_null(at);
	snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, with, at + strlen(part));
	assert_status(HEL_EFORMAT, hel_calibration_from_json(&c, text, strlen(text)));
	if (!strstr(hel_error_detail(), reason))
		fail_msg("'%s' does not say '%s'", hel_error_detail(), reason);
	assert_string_equal(c.version, "before");
}

static void test_bad_files(void **state)
{
	(void)state;
	hel_calibration c;
	char *good;
	hel_calibration_here(&c);
	assert_ok(hel_calibration_to_json(&good, &c));
	refused(good, "helrm calibration 1", "helrm calibration 2", "kind");
	refused(good, "\"cpu\"", "\"cqu\"", "cpu");
	refused(good, "\"butterflies\": ", "\"butterflies\": -", "butterflies");
	refused(good, "\"butterflies\": ", "\"butterflies\": 1e300, \"x\": ", "butterflies");
	refused(good, "\"butterflies\": ", "\"butterflies\": 1e999, \"x\": ", "line");
	refused(good, "\"butterflies\": ", "\"butterflies\": NaN, \"x\": ", "line");
	refused(good, "\"butterflies\": ", "\"butterflies\": 0, \"x\": ", "butterflies");
	refused(good, "\"butterflies\": ", "\"butterflies\": \"1\", \"x\": ", "butterflies");
	refused(good, "\"butterflies\": ", "\"butterflies\": 1, \"butterflies\": ", "line");
	refused(good, "\"sums\"", "\"sumz\"", "sums");
	refused(good, "\"efficiency\": ", "\"efficiency\": 2, \"x\": ", "efficiency");
	refused(good, "\"cache_bytes\": ", "\"cache_bytes\": -1, \"x\": ", "cache_bytes");
	refused(good, "\"seconds\": {", "\"seconds\": [", "line");
	assert_status(HEL_EFORMAT, hel_calibration_from_json(&c, good, strlen(good) / 2));
	assert_status(HEL_EFORMAT, hel_calibration_from_json(&c, good, HEL_CALIBRATION_BYTES + 1));
	assert_status(HEL_EFORMAT, hel_calibration_from_json(&c, "[]", 2));
	free(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fit),		cmocka_unit_test(test_undecided),
	    cmocka_unit_test(test_fit_threads), cmocka_unit_test(test_file),
	    cmocka_unit_test(test_bad_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
