/* Costs counted two ways: what shape says, and what kernels were asked for. */
#include "../ckks/fixture.h"
#include "counting.h"
#include "random_program.h"
#include "vm/encrypted.h"
#include "vm/shape.h"

/* What the kernels were asked for in one run, and what shape says of its layers. */
static bool count_run(hel_cost *shape_says, hel_params_spec spec, uint64_t seed)
{
	hel_prng g;
	hel_params *params;
	hel_shape shape;
	double bound[FEATURES];
	test_prng(&g, seed);
	hel_program *p = random_program(spec, 1, &g);
	assert_ok(hel_params_new_insecure_test(&params, &spec));
	for (int i = 0; i < FEATURES; i++)
		bound[i] = 1;
	const hel_status fits =
	    hel_shape_run(&shape, p, params, &(hel_ranges){.feature = bound}, NULL);
	if (fits == HEL_OK) {
		hel_secret_key *secret;
		hel_keys *keys;
		hel_eval *ev;
		hel_loaded *loaded;
		hel_pt *pt;
		hel_ct *in, *out;
		hel_complex *x = hel_alloc(hel_params_slots(params), sizeof *x);
		assert_ok(hel_secret_key_new(&secret, params));
		assert_ok(hel_keys_generate(&keys, secret, shape.key, shape.keys, NULL));
		assert_ok(hel_eval_new(&ev, params, keys, NULL));
		assert_ok(hel_loaded_new(&loaded, p, params, NULL));
		assert_ok(hel_encode(&pt, params, x, spec.levels, HEL_FOR_ADD));
		assert_ok(hel_ct_new(&in, params));
		assert_ok(hel_encrypt(in, secret, pt));
		params->ring.k = counting();
		counted = (hel_cost){0};
		assert_ok(hel_ckks_run(&out, loaded, ev, (const hel_ct *const[]){in, in}, NULL));
		*shape_says = shape.layer[0].cost;
		hel_ct_free(out);
		hel_ct_free(in);
		hel_pt_free(pt);
		hel_free(x);
		hel_loaded_free(loaded);
		hel_eval_free(ev);
		hel_keys_free(keys);
		hel_secret_key_free(secret);
		hel_shape_clear(&shape);
	}
	hel_params_free(params);
	hel_program_free(p);
	return fits == HEL_OK;
}

static void test_counts(void **state)
{
	(void)state;
	static const hel_params_spec specs[] = {
	    {9, 5, 1, 30, 2, 3}, {9, 5, 1, 30, 1, 1}, {9, 3, 2, 50, 3, 4}, {9, 4, 1, 30, 6, 6}};
	unsigned ran = 0;
	for (uint64_t round = 0; round < 40; round++) {
		hel_cost says;
		if (!count_run(&says, specs[round % HEL_ARRAY_LEN(specs)], 500 + round))
			continue;
		ran++;
		assert_counted(&says, (unsigned)round);
	}
	print_message("%u programs counted\n", ran);
	assert_at_least(ran, 20);
}

/* More limbs never cost less, more digits never fewer keys, more threads never more time. */
static void test_monotonic(void **state)
{
	(void)state;
	const hel_cost_model *m = hel_cost_model_default();
	for (uint8_t alpha = 1; alpha < 8; alpha++) {
		const hel_params_spec spec = {14, 20, 1, 30, alpha, alpha};
		double before = 0, keys = 0;
		for (unsigned level = 1; level <= 20; level++) {
			const size_t limbs = hel_cost_limbs(&spec, level);
			hel_cost c = hel_cost_decompose(&spec, limbs);
			hel_cost_add(&c, hel_cost_product(&spec, limbs), 3);
			hel_cost_add(&c, hel_cost_finish(&spec, limbs), 2);
			hel_cost_add(&c, hel_cost_finish_rescaled(&spec, level), 1);
			hel_cost_add(&c, hel_cost_rescale(&spec, level), 1);
			hel_cost_add(&c, hel_cost_sum(&spec, limbs, 5, 2, 1), 1);
			hel_cost_add(&c, hel_cost_tensor(&spec, limbs), 1);
			hel_cost_add(&c, hel_cost_weighted_sum(&spec, limbs, 2), 1);
			hel_cost_add(&c, hel_cost_add_plain(&spec, limbs), 1);
			hel_cost_add(&c, hel_cost_read(&spec, limbs), 1);
			hel_cost_add(&c, hel_cost_write(&spec, limbs), 1);
			const double seconds = hel_cost_seconds(m, c);
			assert_more(seconds, before);
			assert_more(c.key_bytes, keys);
			assert_less(hel_cost_seconds_on(m, c, 2), seconds);
			before = seconds;
			keys = c.key_bytes;
		}
	}
}

/* Everything that has a price is counted by some operation. */
static void test_all_counted(void **state)
{
	(void)state;
	const hel_params_spec spec = {14, 11, 1, 30, 1, 1};
	const size_t limbs = hel_cost_limbs(&spec, 11);
	hel_cost c = hel_cost_multiply(&spec, 11);
	hel_cost_add(&c, hel_cost_sum(&spec, limbs, 5, 2, 1), 1);
	hel_cost_add(&c, hel_cost_add_plain(&spec, limbs), 1);
	hel_cost_add(&c, hel_cost_read(&spec, limbs), 1);
	hel_cost_add(&c, hel_cost_write(&spec, limbs), 1);
	c.ops = 1; /* by those who walk a program */
	hel_cost wide = hel_cost_decompose(&(hel_params_spec){16, 20, 1, 30, 8, 8}, 21);
	hel_cost_add(&c, wide, 1);
#define SOME(name) assert_more(c.name, 0);
	HEL_COSTS(SOME)
#undef SOME
}

/* Keys of more than eight digits, two streams each, cost more a byte. */
static void test_strays(void **state)
{
	(void)state;
	for (size_t limbs = 1; limbs <= 12; limbs++) {
		const hel_cost c = hel_cost_product(&(hel_params_spec){14, 11, 1, 30, 1, 1}, limbs);
		const double beyond = limbs > 8 ? (double)(limbs - 8) : 0;
		assert_equal(c.key_strays * (double)limbs, c.key_bytes * beyond);
	}
}

/* A run that fits the cache reads for nothing, one far beyond it pays for every byte. */
static void test_cache(void **state)
{
	(void)state;
	hel_cost_model m = *hel_cost_model_default();
	m.cache = 1e6;
	m.seconds.key_bytes = 1e-9;
	const hel_cost c = {.key_bytes = 1e6, .sums = 1};
	const hel_cost_model small = hel_cost_model_for(&m, 1e6),
			     large = hel_cost_model_for(&m, 1e9);
	assert_equal(hel_cost_seconds(&small, c), m.seconds.sums);
	assert_within(hel_cost_seconds(&large, c) / 1e-3, 1, 0.002);
}

static void test_scale(void **state)
{
	(void)state;
	hel_cost_model m = *hel_cost_model_default();
	const hel_cost c = hel_cost_multiply(&(hel_params_spec){14, 11, 1, 30, 1, 1}, 11);
	const double before = hel_cost_seconds_on(&m, c, 2);
	hel_cost_model_scale(&m, 1.5);
	assert_within(hel_cost_seconds_on(&m, c, 2) / before, 1.5, 1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_counts),	cmocka_unit_test(test_monotonic),
	    cmocka_unit_test(test_all_counted), cmocka_unit_test(test_strays),
	    cmocka_unit_test(test_cache),	cmocka_unit_test(test_scale),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
