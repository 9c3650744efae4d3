#include "../testing.h"
#include "model/reliability.h"
#include <math.h>

/* By hand: three distinct scores, so three bins whatever the number of rows. */
static void test_known_values(void **state)
{
	(void)state;
	const double third = -log(2); /* probability 1/3 */
	const double z[] = {0, third, third, third, 0, 100};
	const uint8_t y[] = {1, 0, 1, 0, 1, 0};
	hel_reliability r;
	assert_ok(hel_reliability_of(&r, z, y, 6));
	assert_equal(r.bins, 3);
	assert_within(r.bin[0].predicted, 1.0 / 3, 1e-12);
	assert_within(r.bin[0].observed, 1.0 / 3, 1e-12);
	assert_within(r.bin[1].predicted, 0.5, 1e-12);
	assert_within(r.bin[1].observed, 1, 1e-12);
	assert_within(r.bin[2].predicted, 1, 1e-12);
	assert_within(r.bin[2].observed, 0, 1e-12);
	assert_within(r.calibration_error, (0 + 2 * 0.5 + 1) / 6, 1e-12);
	assert_within(r.brier, (1.0 / 9 + 4.0 / 9 + 1.0 / 9 + 0.25 + 0.25 + 1) / 6, 1e-12);
	assert_within(r.base_rate, 0.5, 1e-12);
	assert_within(r.guess_log_loss, log(2), 1e-12);
	assert_within(r.guess_brier, 0.25, 1e-12);
	assert_within(r.guess_accuracy, 0.5, 1e-12);
	assert_status(HEL_EINVAL, hel_reliability_of(&r, z, y, 0));
}

/* Labels drawn from the scores are calibrated: the error is what chance makes of it. Scores twice
 * as sure of themselves are not. */
static void test_calibrated(void **state)
{
	(void)state;
	enum { N = 20000 };
	static double z[N];
	static uint8_t y[N];
	hel_prng g;
	test_prng(&g, 1);
	double mean = 0;
	for (int i = 0; i < N; i++) {
		z[i] = 2 * hel_prng_normal(&g) - 1;
		y[i] = hel_prng_unit(&g) < 1 / (1 + exp(-z[i]));
		mean += (double)y[i] / N;
	}
	hel_reliability r;
	assert_ok(hel_reliability_of(&r, z, y, N));
	assert_equal(r.bins, HEL_RELIABILITY_BINS);
	size_t rows = 0;
	for (size_t i = 0; i < r.bins; i++) {
		rows += r.bin[i].rows;
		assert_within(r.bin[i].rows, N / HEL_RELIABILITY_BINS, 2);
		assert_true(!i || r.bin[i].predicted > r.bin[i - 1].predicted);
	}
	assert_equal(rows, N);
	assert_within(r.base_rate, mean, 1e-12);
	assert_within(r.guess_log_loss, -mean * log(mean) - (1 - mean) * log(1 - mean), 1e-12);
	const double honest = r.calibration_error;
	for (int i = 0; i < N; i++)
		z[i] *= 2;
	assert_ok(hel_reliability_of(&r, z, y, N));
	print_message("calibration error %.4f, too sure %.4f\n", honest, r.calibration_error);
	assert_true(honest < 0.015 && r.calibration_error > 0.05);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_known_values),
	    cmocka_unit_test(test_calibrated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
