/* Refreshing against what it should compute: libm's sine of known angles, the values themselves,
 * and errors as predicted. */
#include "../ckks/fixture.h"
#include "circuit/refresh.h"
#include <complex.h>

typedef struct fixture {
	hel_params *params;
	hel_secret_key *secret;
	hel_keys *keys;
	hel_eval *ev;
	hel_refresher *refresher;
	size_t slots, values;
	unsigned log_values;
	hel_prng g;
} fixture;

static void setup(fixture *f, unsigned log_n, unsigned log_values, unsigned levels, double range)
{
	hel_params_spec spec;
	const hel_key_request *requests;
	*f = (fixture){.log_values = log_values, .values = (size_t)1 << log_values};
	test_prng(&f->g, log_n);
	assert_ok(hel_refresh_params(&spec, log_n, levels));
	if (log_n == 15)
		assert_ok(hel_params_new(&f->params, &spec));
	else
		assert_ok(hel_params_new_insecure_test(&f->params, &spec));
	f->slots = hel_params_slots(f->params);
	assert_ok(hel_secret_key_new(&f->secret, f->params));
	assert_ok(hel_refresher_new(&f->refresher, f->params, log_values, range, NULL));
	const size_t count = hel_refresher_keys(f->refresher, &requests);
	assert_ok(hel_keys_generate(&f->keys, f->secret, requests, count, NULL));
	assert_ok(hel_eval_new(&f->ev, f->params, f->keys, NULL));
}

static void teardown(fixture *f)
{
	hel_eval_free(f->ev);
	hel_keys_free(f->keys);
	hel_refresher_free(f->refresher);
	hel_secret_key_free(f->secret);
	hel_params_free(f->params);
}

static hel_ct *encrypted_slots(fixture *f, const hel_complex *slots, unsigned level)
{
	hel_pt *pt;
	hel_ct *ct;
	assert_ok(hel_encode(&pt, f->params, slots, level, HEL_FOR_ADD));
	assert_ok(hel_ct_new(&ct, f->params));
	assert_ok(hel_encrypt(ct, f->secret, pt));
	hel_pt_free(pt);
	return ct;
}

/* Uniform in +-range, repeated. */
static hel_complex *random_values(fixture *f, double range)
{
	hel_complex *v = hel_alloc(f->slots, sizeof *v);
	for (size_t i = 0; i < f->slots; i++)
		v[i].re =
		    i < f->values ? range * (2 * hel_prng_unit(&f->g) - 1) : v[i - f->values].re;
	return v;
}

/* Root mean square of the real parts' error. */
static double error_of(fixture *f, const hel_ct *ct, const double *wanted)
{
	hel_complex *got = hel_alloc(f->slots, sizeof *got);
	double sum = 0;
	assert_ok(hel_decrypt(got, f->secret, ct));
	for (size_t i = 0; i < f->slots; i++) {
		const double e = got[i].re - wanted[i];
		sum += e * e / (double)f->slots;
	}
	hel_free(got);
	return sqrt(sum);
}

static void check_values(unsigned log_n, unsigned log_values, unsigned levels, double range)
{
	fixture f;
	setup(&f, log_n, log_values, levels, range);
	hel_complex *x = random_values(&f, range);
	double *wanted = hel_alloc(f.slots, sizeof *wanted);
	for (size_t i = 0; i < f.slots; i++)
		wanted[i] = x[i].re;
	for (unsigned level = 2; level <= 4; level += 2) {
		hel_ct *ct = encrypted_slots(&f, x, level);
		assert_ok(hel_refresh(f.ev, ct, ct, f.refresher));
		assert_int_equal(levels - 4, hel_ct_level(ct));
		assert_true(hel_ct_scale(ct) == hel_params_scale(f.params, levels - 4));
		const double error = error_of(&f, ct, wanted),
			     predicted = hel_refresher_error(f.refresher);
		print_message("N=2^%u, 2^%u values: error 2^%.2f of the range, predicted 2^%.2f\n",
			      log_n, log_values, log2(error / range), log2(predicted / range));
		assert_true(error < 1.3 * predicted &&
			    predicted < 3 * error); /* of 8 values, too */
		hel_ct_free(ct);
	}
	hel_free(wanted);
	hel_free(x);
	teardown(&f);
}

static void test_values(void **state)
{
	(void)state;
	check_values(9, 3, 9, 1);
	check_values(10, 9, 9, 1);
	check_values(11, 6, 6, 1);
	check_values(11, 9, 9, 20);
	check_values(11, 10, 8, 0.5);
	check_values(11, 4, 7, 1);
	check_values(11, 9, 10, 1);
}

static void test_in_the_secure_ring(void **state)
{
	(void)state;
	check_values(15, 9, 9, 1);
	check_values(15, 9, 6, 1);
}

/* y_j of n in the coefficients of X^(N / n), the other coefficients anything: in units of q_0. */
static hel_ct *encrypted_coefficients(fixture *f, const double *y)
{
	const hel_params *p = f->params;
	const size_t n = 2 * f->slots, stride = n / f->values;
	double *c = hel_alloc(n, sizeof *c);
	hel_complex *slots = hel_alloc(f->slots, sizeof *slots);
	for (size_t i = 0; i < n; i++)
		c[i] = i % stride ? 0x1p-9 * hel_prng_unit(&f->g) : y[i / stride];
	for (size_t i = 0; i < n; i++)
		c[i] *= p->ring.prime[0].q / hel_params_scale(p, 0);
	assert_ok(hel_embed(p, slots, c));
	hel_ct *ct = encrypted_slots(f, slots, 0);
	hel_free(slots);
	hel_free(c);
	return ct;
}

/* The sine of every angle of the circle, in the slots that are documented, against libm. */
static void test_sine(void **state)
{
	(void)state;
	static const unsigned log_values[] = {3, 4, 8, 10};
	for (size_t k = 0; k < HEL_ARRAY_LEN(log_values); k++) {
		fixture f;
		setup(&f, 11, log_values[k], 9, 1);
		double *y = hel_alloc(f.values, sizeof *y),
		       *wanted = hel_alloc(f.slots, sizeof *wanted);
		for (size_t j = 0; j < f.values; j++) /* a quarter turn is what one bound allows */
			y[j] = 0.5 * ((double)j / (double)(f.values - 1) - 0.5);
		for (size_t i = 0; i < f.slots; i++) {
			const unsigned bits = log_values[k] - 1;
			size_t reversed = 0; /* of the low bits; the next one is the upper half */
			for (unsigned b = 0; b < bits; b++)
				reversed |= (i >> b & 1) << (bits - 1 - b);
			wanted[i] = sin(2 * M_PI * y[reversed + (i & (size_t)1 << bits)]);
			assert_int_equal(reversed + (i & (size_t)1 << bits),
					 hel_fft_value(log_values[k], i));
		}
		hel_ct *ct = encrypted_coefficients(&f, y);
		assert_ok(hel_refresh_sine(f.ev, ct, ct, f.refresher, 1));
		assert_int_equal(9, hel_ct_level(ct));
		const double error = error_of(&f, ct, wanted);
		const double fresh = HEL_SIGMA * HEL_SIGMA + 1 / 12.0;
		const double predicted = hel_refresh_sine_error(f.refresher, 1, fresh);
		print_message("2^%u angles: error 2^%.2f, predicted 2^%.2f\n", log_values[k],
			      log2(error), log2(predicted));
		assert_true(error < 1.3 * predicted && predicted < 2 * error);
		hel_ct_free(ct);
		hel_free(wanted);
		hel_free(y);
		teardown(&f);
	}
}

/* As often as HELRM_TEST_REFRESHES says: no refresh ever fails, under many keys. */
static void test_often(void **state)
{
	(void)state;
	const char *text = getenv("HELRM_TEST_REFRESHES");
	const long rounds = text ? strtol(text, NULL, 10) : 20;
	double worst = 0;
	for (long round = 0; round < rounds;) {
		fixture f;
		setup(&f, 9, 7, 9, 1);
		hel_complex *x = random_values(&f, 1), *got = hel_alloc(f.slots, sizeof *got);
		hel_ct *ct = encrypted_slots(&f, x, 2);
		for (int again = 0; again < 100 && round < rounds; again++, round++) {
			assert_ok(hel_refresh(f.ev, ct, ct, f.refresher)); /* of a refreshed one */
			assert_ok(hel_decrypt(got, f.secret, ct));
			for (size_t i = 0; i < f.slots; i++) {
				worst = fmax(worst, fabs(got[i].re - x[i].re));
				x[i].re = got[i].re; /* errors of many add up */
			}
			if (!(worst < 0x1p-14))
				fail_msg("refresh %ld: an error of 2^%.1f", round, log2(worst));
		}
		hel_ct_free(ct);
		hel_free(got);
		hel_free(x);
		teardown(&f);
	}
	print_message("%ld refreshes, largest error 2^%.2f\n", rounds, log2(worst));
}

static void test_refused(void **state)
{
	(void)state;
	fixture f;
	hel_params_spec spec;
	hel_params *other;
	hel_refresher *r = NULL;
	setup(&f, 9, 4, 6, 1);
	assert_status(HEL_EPARAMS, hel_refresh_params(&spec, 15, 5));
	assert_status(HEL_EPARAMS, hel_refresh_params(&spec, 15, 11));
	assert_status(HEL_EPARAMS, hel_refresh_params(&spec, 16, 9));
	assert_status(HEL_EPARAMS, hel_refresh_params(&spec, 8, 9));
	for (unsigned n = 9; n <= 14; n++) { /* 868 bits are too many */
		assert_ok(hel_refresh_params(&spec, n, 6));
		assert_status(HEL_ESECURITY, hel_params_new(&other, &spec));
	}
	/* what tools/sparse-secret is run for */
	double bits = log2(f.params->ring.prime[0].q);
	for (size_t i = 0; i < f.params->capsule.count; i++)
		bits += log2(f.params->capsule.from[i]->q);
	assert_true(bits < 90 && HEL_SPARSE_WEIGHT == 32);
	assert_status(HEL_EINVAL, hel_refresher_new(&r, f.params, 2, 1, NULL));
	assert_status(HEL_EINVAL, hel_refresher_new(&r, f.params, 9, 1, NULL));
	assert_status(HEL_EINVAL, hel_refresher_new(&r, f.params, 4, 0, NULL));
	assert_status(HEL_EINVAL, hel_refresher_new(&r, f.params, 4, NAN, NULL));
	assert_ok(hel_params_new_insecure_test(&other, &(hel_params_spec){9, 4, 1, 30, 1, 1}));
	assert_status(HEL_EPARAMS, hel_refresher_new(&r, other, 4, 1, NULL));
	hel_params_free(other);
	hel_complex *x = random_values(&f, 1);
	hel_ct *low = encrypted_slots(&f, x, 1), *high = encrypted_slots(&f, x, 2);
	assert_status(HEL_ELEVEL, hel_refresh(f.ev, low, low, f.refresher));
	hel_eval *keyless;
	assert_ok(hel_eval_new(&keyless, f.params, NULL, NULL));
	assert_status(HEL_EKEY, hel_refresh(keyless, high, high, f.refresher));
	assert_int_equal(2, hel_ct_level(high)); /* as it was */
	assert_ok(hel_eval_mul(f.ev, high, high, high));
	assert_status(HEL_ESCALE, hel_refresh(f.ev, high, high, f.refresher));
	hel_eval_free(keyless);
	hel_ct_free(low);
	hel_ct_free(high);
	hel_free(x);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sine),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_often),
	    cmocka_unit_test(test_in_the_secure_ring),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
