#include "../testing.h"
#include "ring/ring.h"
#include <math.h>

#define COUNT 400000

/* The table in sample.c, recomputed through its samples: frequencies against the density. */
static void test_gauss(void **state)
{
	(void)state;
	hel_prng g;
	test_prng(&g, 1);
	int8_t *x = hel_alloc(COUNT, 1);
	assert_non_null(x);
	hel_sample_gauss(x, COUNT, &g);
	double total = 0, square = 0, seen[128] = {0};
	for (int k = -60; k <= 60; k++)
		total += exp(-k * k / (2 * HEL_SIGMA * HEL_SIGMA));
	for (int i = 0; i < COUNT; i++) {
		square += (double)x[i] * x[i] / COUNT;
		seen[64 + x[i]]++;
	}
	assert_within(sqrt(square), HEL_SIGMA, 0.02);
	for (int k = -12; k <= 12; k++) {
		double p = exp(-k * k / (2 * HEL_SIGMA * HEL_SIGMA)) / total;
		double sd = sqrt(p * (1 - p) * COUNT);
		if (fabs(seen[64 + k] - p * COUNT) > 5 * sd)
			fail_msg("P(%d): %.0f of %.0f +- %.0f", k, seen[64 + k], p * COUNT, sd);
	}
	hel_free(x);
}

static void test_ternary(void **state)
{
	(void)state;
	hel_prng g;
	test_prng(&g, 2);
	int8_t *x = hel_alloc(COUNT, 1);
	assert_non_null(x);
	hel_sample_ternary(x, COUNT, &g);
	double seen[3] = {0};
	for (int i = 0; i < COUNT; i++) {
		assert_at_least(x[i], -1);
		assert_at_most(x[i], 1);
		seen[x[i] + 1]++;
	}
	for (int k = 0; k < 3; k++)
		assert_within(seen[k] / COUNT, 1.0 / 3, 0.004);
	hel_free(x);
}

/* Every place and sign equally often, always the same weight. */
static void test_sparse(void **state)
{
	(void)state;
	enum { SIZE = 64, WEIGHT = 9, DRAWS = 20000 };
	hel_prng g;
	test_prng(&g, 4);
	int8_t x[SIZE];
	uint64_t scratch[SIZE];
	double seen[SIZE][2] = {{0}}, first_two = 0;
	for (int draw = 0; draw < DRAWS; draw++) {
		int weight = 0;
		hel_sample_sparse(x, SIZE, WEIGHT, scratch, &g);
		for (int i = 0; i < SIZE; i++) {
			assert_true(x[i] >= -1 && x[i] <= 1);
			weight += x[i] != 0;
			seen[i][x[i] > 0] += x[i] != 0;
		}
		assert_int_equal(WEIGHT, weight);
		first_two += x[0] && x[1];
	}
	const double p = WEIGHT / 2.0 / SIZE, sd = sqrt(p * (1 - p) * DRAWS);
	for (int i = 0; i < SIZE; i++)
		for (int sign = 0; sign < 2; sign++)
			assert_true(fabs(seen[i][sign] - p * DRAWS) < 5 * sd);
	/* two given places: without replacement */
	const double both = (double)WEIGHT * (WEIGHT - 1) / (SIZE * (SIZE - 1)) * DRAWS;
	assert_true(fabs(first_two - both) < 5 * sqrt(both));
}

static void test_uniform(void **state)
{
	(void)state;
	hel_prng g;
	test_prng(&g, 3);
	/* far below 2^30, so that rejection happens; and as short as primes may be */
	static const uint32_t primes[] = {805306457, 8519681};
	uint32_t *x = hel_alloc(COUNT, sizeof *x);
	assert_non_null(x);
	for (size_t p = 0; p < HEL_ARRAY_LEN(primes); p++) {
		const uint32_t q = primes[p];
		hel_sample_uniform(x, COUNT, q, &g);
		double bucket[16] = {0};
		for (int i = 0; i < COUNT; i++) {
			assert_less(x[i], q);
			bucket[(uint64_t)x[i] * 16 / q]++;
		}
		for (int k = 0; k < 16; k++)
			assert_within(bucket[k], COUNT / 16.0, 5 * sqrt(COUNT / 16.0));
	}
	hel_free(x);
}

static void test_from_small(void **state)
{
	(void)state;
	hel_ring ring;
	uint32_t q[2];
	assert_int_equal(2, hel_primes_find(q, 2, 4, 1u << 30));
	assert_ok(hel_ring_init(&ring, 4, q, 2, 0));
	int8_t in[16];
	uint32_t *out = hel_alloc(32, sizeof *out);
	for (int i = 0; i < 16; i++)
		in[i] = (int8_t)(i * 17 - 128);
	hel_ring_from_small(&ring, out, in, 0, 2);
	for (int l = 0; l < 2; l++)
		for (int i = 0; i < 16; i++)
			assert_int_equal(((int64_t)in[i] + q[l]) % q[l], out[l * 16 + i]);
	hel_free(out);
	hel_ring_clear(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_gauss),      cmocka_unit_test(test_ternary),
	    cmocka_unit_test(test_sparse),     cmocka_unit_test(test_uniform),
	    cmocka_unit_test(test_from_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
