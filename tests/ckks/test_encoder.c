#include "fixture.h"

/* The FFT against the definition: slot j is the polynomial's value at exp(i pi 5^j / N). */
static void test_embedding_by_definition(void **state)
{
	(void)state;
	for (uint8_t log_n = 4; log_n <= 8; log_n++) {
		hel_params *p;
		hel_params_spec s = {log_n, 1, 1, 30, 1, 1};
		assert_ok(hel_params_new_insecure_test(&p, &s));
		const size_t n = p->ring.n;
		hel_prng g;
		test_prng(&g, log_n);
		double *c = hel_alloc(n, sizeof *c);
		hel_complex *slots = hel_alloc(n / 2, sizeof *slots);
		for (size_t i = 0; i < n; i++)
			c[i] = hel_prng_normal(&g);
		assert_ok(hel_embed(p, slots, c));
		size_t power = 1;
		for (size_t j = 0; j < n / 2; j++, power = power * 5 % (2 * n)) {
			double complex sum = 0;
			for (size_t i = 0; i < n; i++)
				sum += c[i] * cexp(I * M_PI * (double)(power * i) / (double)n);
			assert_less(cabs(sum - (slots[j].re + I * slots[j].im)), 1e-9);
		}
		hel_free(c);
		hel_free(slots);
		hel_params_free(p);
	}
}

/* Encode, encrypt, decrypt, decode at every level. */
static void test_round_trip(void **state)
{
	(void)state;
	ckks_fixture f;
	ckks_setup(&f, (hel_params_spec){10, 2, 1, 30, 1, 1}, NULL, 0);
	hel_complex *x = random_slots(&f);
	for (unsigned level = 0; level <= 2; level++) {
		hel_ct *ct = encrypted(&f, x, level);
		assert_near("round trip", decrypted_error(&f, ct, x), 0x1p-21);
		hel_ct_free(ct);
	}
	hel_free(x);
	ckks_teardown(&f);
}

static void test_refuses(void **state)
{
	(void)state;
	ckks_fixture f;
	ckks_setup(&f, (hel_params_spec){10, 2, 1, 30, 1, 1}, NULL, 0);
	hel_complex *x = random_slots(&f);
	hel_pt *pt = NULL;
	static const double bad[] = {NAN, INFINITY, -INFINITY, 1e14, -1e14};
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++) {
		hel_complex kept = x[3];
		x[3].im = bad[i];
		assert_status(HEL_ERANGE, hel_encode(&pt, f.params, x, 1, HEL_FOR_ADD));
		x[3] = kept;
	}
	assert_status(HEL_ELEVEL, hel_encode(&pt, f.params, x, 3, HEL_FOR_ADD));
	assert_null(pt);
	hel_free(x);
	ckks_teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_embedding_by_definition),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
