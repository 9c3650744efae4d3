/* Intervals hold what any record brings to an activation, and extreme records come close. */
#include "compile/intervals.h"
#include "model/approximation.h"
#include "random_model.h"

enum { RECORDS = 3000, MOST = 16 };

static void see(void *arg, size_t activation, double x)
{
	double *largest = arg;
	largest[activation] = fmax(largest[activation], fabs(x));
}

static void test_random_models(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		hel_prng g;
		hel_dlrm *m;
		hel_dlrm_config c = hel_dlrm_config_default();
		double bound[MOST], seen[MOST] = {0}, range[MOST], logit;
		test_prng(&g, seed);
		c.embedding_dim = 3;
		c.activation = (hel_activation){.kind = seed % 2 ? HEL_ACT_RELU : HEL_ACT_TANH};
		c.bottom_layers = 1;
		c.bottom[0] = 4;
		c.bottom_last_activation = true;
		c.top_layers = 3;
		c.top[0] = 6;
		c.top[1] = 5;
		c.top[2] = 1;
		hel_schema *schema = random_schema(&g, 4, 3, 12);
		assert_ok(hel_dlrm_new(&m, &c, schema, seed));
		for (size_t i = 0; i < MOST; i++)
			range[i] = 30; /* nothing is cut */
		assert_ok(hel_intervals_entering(bound, m, range));
		double *dense = hel_alloc(schema->dense_count, sizeof *dense);
		uint32_t *hot = hel_alloc(hel_schema_hots(schema), sizeof *hot);
		for (int n = 0; n < RECORDS; n++) {
			hel_schema_random(schema, &g, dense, hot);
			for (size_t i = 0; n % 2 && i < schema->dense_count; i++)
				dense[i] = hel_prng_u64(&g) % 2 ? schema->clip : -schema->clip;
			assert_ok(hel_dlrm_observe(&logit, m, dense, hot, see, seen));
		}
		for (size_t i = 0; i < hel_dlrm_activated(m); i++) {
			print_message("activation %zu: %.3f of %.3f\n", i, seen[i], bound[i]);
			assert_at_most(seen[i], bound[i]);
		}
		/* the first one reads 4 dense values: a record attains its bound */
		assert_at_least(seen[0] * 1.05, bound[0]);
		/* what is cut before it bounds what enters the next */
		double cut[MOST];
		for (size_t i = 0; i < MOST; i++)
			range[i] = 0.01;
		assert_ok(hel_intervals_entering(cut, m, range));
		assert_within(cut[0], bound[0], 1e-12);
		assert_less(cut[hel_dlrm_activated(m) - 1], bound[hel_dlrm_activated(m) - 1]);
		hel_free(dense);
		hel_free(hot);
		hel_dlrm_free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_models)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
