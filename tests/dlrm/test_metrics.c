#include "../testing.h"
#include "dlrm/dlrm.h"
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
		assert_true(fabs(m.auc - right / pairs) < 1e-12);
	}
}

static void test_known_values(void **state)
{
	(void)state;
	hel_metrics m;
	const double z[] = {0, 100, -100, 2};
	const uint8_t y[] = {1, 1, 0, 0};
	assert_ok(hel_metrics_of(&m, z, y, 4));
	assert_true(m.accuracy == 0.5);
	assert_true(fabs(m.log_loss - (log(2) + log1p(exp(2))) / 4) < 1e-12);
	const uint8_t one[] = {1, 1, 1, 1};
	assert_ok(hel_metrics_of(&m, z, one, 4));
	assert_true(isnan(m.auc));
	assert_status(HEL_EINVAL, hel_metrics_of(&m, z, y, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_auc_by_pairs),
	    cmocka_unit_test(test_known_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
