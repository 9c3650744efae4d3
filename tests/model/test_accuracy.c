#include "../testing.h"
#include "model/accuracy.h"
#include "model/dlrm.h"
#include <math.h>

/* AUC by definition: the share of (ill, well) pairs in the right order, ties half. */
static void test_auc_by_pairs(void **state)
{
	(void)state;
	hel_prng g;
	test_prng(&g, 1);
	for (int round = 0; round < 20; round++) {
		double z[60], pairs = 0, right = 0;
		uint8_t y[60];
		for (int i = 0; i < 60; i++) {
			z[i] = round % 2 ? hel_prng_normal(&g) : floor(4 * hel_prng_unit(&g));
			y[i] = hel_prng_unit(&g) < 0.4;
		}
		for (int i = 0; i < 60; i++)
			for (int j = 0; j < 60; j++)
				if (y[i] && !y[j]) {
					pairs++;
					right += z[i] > z[j] ? 1 : z[i] == z[j] ? 0.5 : 0;
				}
		hel_metrics m;
		assert_ok(hel_metrics_of(&m, z, y, 60));
		assert_within(m.auc, right / pairs, 1e-12);
	}
}

static void test_known_values(void **state)
{
	(void)state;
	hel_metrics m;
	const double z[] = {0, 100, -100, 2};
	const uint8_t y[] = {1, 1, 0, 0};
	assert_ok(hel_metrics_of(&m, z, y, 4));
	assert_equal(m.accuracy, 0.5);
	assert_within(m.log_loss, (log(2) + log1p(exp(2))) / 4, 1e-12);
	const uint8_t one[] = {1, 1, 1, 1};
	assert_ok(hel_metrics_of(&m, z, one, 4));
	assert_true(isnan(m.auc));
	assert_status(HEL_EINVAL, hel_metrics_of(&m, z, y, 0));
}

/* DeLong's placements average to the AUC; his error is about that of drawing samples anew. */
static void test_auc_error(void **state)
{
	(void)state;
	enum { N = 400, DRAWS = 400 };
	hel_prng g;
	test_prng(&g, 2);
	double z[N], w[N], pz[N], pw[N], mean = 0, squares = 0, error = 0, auc[2];
	uint8_t y[N];
	hel_metrics m;
	for (int draw = 0; draw < DRAWS; draw++) {
		for (int i = 0; i < N; i++) {
			y[i] = hel_prng_unit(&g) < 0.3;
			z[i] = floor(4 * (hel_prng_normal(&g) + y[i])) / 4; /* with ties */
			w[i] = z[i] + 0.5 * hel_prng_normal(&g);
		}
		assert_ok(hel_auc_placements(pz, z, y, N));
		assert_ok(hel_auc_placements(pw, w, y, N));
		double sum[2] = {0, 0}, n[2] = {0, 0};
		for (int i = 0; i < N; i++) {
			sum[y[i]] += pz[i];
			n[y[i]]++;
		}
		assert_ok(hel_metrics_of(&m, z, y, N));
		assert_within(m.auc, sum[0] / n[0], 1e-12);
		assert_within(m.auc, sum[1] / n[1], 1e-12);
		auc[0] = m.auc;
		assert_ok(hel_metrics_of(&m, w, y, N));
		auc[1] = m.auc;
		mean += (auc[0] - auc[1]) / DRAWS;
		squares += (auc[0] - auc[1]) * (auc[0] - auc[1]) / DRAWS;
		error += hel_auc_error(pz, pw, y, N) / DRAWS;
	}
	const double spread = sqrt(squares - mean * mean);
	print_message("difference: spread %.4f, DeLong %.4f\n", spread, error);
	assert_within(error / spread, 1, 0.15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_auc_by_pairs),
	    cmocka_unit_test(test_known_values),
	    cmocka_unit_test(test_auc_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
