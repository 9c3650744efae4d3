#include "../testing.h"
#include "ckks/ckks.h"
#include <math.h>

static void test_security_is_enforced(void **state)
{
	(void)state;
	hel_params *p = NULL;
	hel_params_spec s = {.log_n = 13,
			     .levels = 4,
			     .primes_per_level = 1,
			     .scale_bits = 30,
			     .alpha = 1,
			     .special = 1};
	assert_ok(hel_params_new(&p, &s));
	assert_at_most(hel_params_log_qp(p), 214);
	assert_int_equal(4096, hel_params_slots(p));
	hel_params_free(p);
	s.levels = 5; /* 240 bits */
	assert_status(HEL_ESECURITY, hel_params_new(&p, &s));
	assert_non_null(strstr(hel_error_detail(), "214"));
	assert_ok(hel_params_new_insecure_test(&p, &s));
	hel_params_free(p);
	s.log_n = 11; /* not in the table */
	s.levels = 0;
	assert_status(HEL_ESECURITY, hel_params_new(&p, &s));
}

static void test_bad_specs(void **state)
{
	(void)state;
	static const hel_params_spec bad[] = {
	    {3, 2, 1, 30, 1, 1},     {18, 2, 1, 30, 1, 1},    {13, 2, 0, 30, 1, 1},
	    {13, 2, 3, 30, 1, 1},    {13, 2, 1, 24, 1, 1},    {13, 2, 1, 31, 1, 1},
	    {13, 2, 2, 30, 1, 1},    {13, 2, 1, 30, 0, 1},    {13, 2, 1, 30, 2, 1},
	    {13, 255, 1, 30, 1, 1},  {13, 60, 2, 58, 1, 1},   {13, 2, 1, 29, 1, 1, 1},
	    {13, 2, 1, 28, 1, 1, 2}, {14, 2, 2, 58, 2, 3, 1},
	};
	hel_params *p;
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++)
		assert_status(HEL_EPARAMS, hel_params_new_insecure_test(&p, &bad[i]));
}

/* Every level's scale stays near the top one's, and S^2/q is the next one bit for bit. */
static void test_scales_do_not_drift(void **state)
{
	(void)state;
	static const hel_params_spec specs[] = {
	    {13, 4, 1, 30, 1, 1},    {14, 10, 1, 30, 2, 2},   {15, 20, 1, 30, 4, 5},
	    {16, 40, 1, 30, 6, 7},   {12, 3, 1, 26, 1, 1},    {14, 5, 2, 58, 2, 3},
	    {12, 1, 1, 28, 1, 1, 1}, {13, 4, 1, 27, 1, 1, 1},
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(specs); i++) {
		hel_params *p;
		assert_ok(hel_params_new_insecure_test(&p, &specs[i]));
		double top = hel_params_scale(p, specs[i].levels), drift = 0;
		for (unsigned l = specs[i].levels; l > 0; l--) {
			assert_equal(p->scale[l] * p->scale[l] / p->divisor[l], p->scale[l - 1]);
			drift = fmax(drift, fabs(log2(p->scale[l - 1] / top)));
		}
		print_message("N=2^%u: scale 2^%.4f, drift %.4f bits, log QP %.1f\n",
			      specs[i].log_n, log2(top), drift, hel_params_log_qp(p));
		assert_less(drift, 0.05);
		assert_within(log2(top), specs[i].scale_bits, 1.1);
		hel_params_free(p);
	}
}

/* Special primes give way to what is secure, down to a digit's size; others' stay as they are. */
static void test_short_special(void **state)
{
	(void)state;
	static const hel_params_spec shorter[] = {{14, 10, 1, 29, 2, 3},
						  {13, 4, 1, 26, 2, 2},
						  {15, 24, 1, 30, 2, 3},
						  {14, 10, 1, 30, 2, 3}};
	hel_params *p;
	for (size_t i = 0; i < HEL_ARRAY_LEN(shorter); i++) {
		const hel_params_spec *s = &shorter[i];
		assert_ok(hel_params_new(&p, s));
		double log_special = 0, log_digit = 0;
		for (size_t k = 0; k < p->ring.chain + s->special; k++) {
			const uint32_t q = p->ring.prime[k].q;
			for (size_t other = 0; other < k; other++)
				assert_true(p->ring.prime[other].q != q);
			if (k >= p->ring.chain)
				log_special += log2(q);
			else if (k < s->alpha)
				log_digit += log2(q);
		}
		print_message("N=2^%u: %u special primes of %.2f bits, log QP %.1f\n", s->log_n,
			      s->special, log_special / s->special, hel_params_log_qp(p));
		assert_less(log_special, 29.9 * s->special);
		assert_at_least(log_special, log_digit);
		assert_at_most(hel_params_log_qp(p), hel_security_limit(s->log_n));
		assert_more(hel_params_log_qp(p), hel_security_limit(s->log_n) - s->special * 0.3);
		hel_params_free(p);
	}
	/* 23 bits, or a digit's, are not left */
	assert_status(HEL_ESECURITY, hel_params_new(&p, &(hel_params_spec){14, 10, 1, 30, 2, 4}));
	assert_status(HEL_ESECURITY, hel_params_new(&p, &(hel_params_spec){14, 10, 1, 29, 3, 3}));
	assert_ok(hel_params_new(&p, &(hel_params_spec){14, 10, 1, 28, 3, 3}));
	for (size_t k = p->ring.chain; k < p->ring.chain + 3; k++)
		assert_more(p->ring.prime[k].q, 0.99 * (1u << 30));
	hel_params_free(p);
}

static void test_deterministic(void **state)
{
	(void)state;
	hel_params_spec s = {14, 6, 1, 30, 2, 3};
	hel_params *a, *b;
	assert_ok(hel_params_new(&a, &s));
	assert_ok(hel_params_new(&b, &s));
	assert_memory_equal(a->fingerprint, b->fingerprint, HEL_HASH_BYTES);
	hel_params_free(b);
	s.alpha = 1;
	assert_ok(hel_params_new(&b, &s));
	assert_memory_not_equal(a->fingerprint, b->fingerprint, HEL_HASH_BYTES);
	hel_params_free(a);
	hel_params_free(b);
}

static void test_galois_elements(void **state)
{
	(void)state;
	hel_params *p;
	hel_params_spec s = {10, 1, 1, 30, 1, 1};
	assert_ok(hel_params_new_insecure_test(&p, &s));
	assert_int_equal(1, hel_galois_of_rotation(p, 0));
	assert_int_equal(5, hel_galois_of_rotation(p, 1));
	assert_int_equal(25, hel_galois_of_rotation(p, 2));
	assert_int_equal(hel_galois_of_rotation(p, 511), hel_galois_of_rotation(p, -1));
	assert_int_equal(1, hel_galois_of_rotation(p, 512));
	assert_int_equal(1, hel_galois_of_rotation(p, 3) * hel_galois_of_rotation(p, -3) % 2048);
	assert_int_equal(2047, hel_galois_of_conjugation(p));
	hel_params_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_security_is_enforced), cmocka_unit_test(test_bad_specs),
	    cmocka_unit_test(test_scales_do_not_drift),	 cmocka_unit_test(test_deterministic),
	    cmocka_unit_test(test_short_special),	 cmocka_unit_test(test_galois_elements),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
