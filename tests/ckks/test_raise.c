/* From level 0 to the top through the sparse secret, against phases over the integers: the secret
 * has 32 nonzero coefficients, so that c0 + c1 s' is a sum of 33 numbers that fit 64 bits. */
#include "ckks/keyswitch.h"
#include "ckks/raise.h"
#include "ckks/secret_key.h"
#include "fixture.h"

enum { LOG_N = 11, N = 1 << LOG_N, TOP = 4, C = 1000003 };

static const hel_params_spec spec = {.log_n = LOG_N,
				     .levels = TOP,
				     .primes_per_level = 2,
				     .scale_bits = 30,
				     .alpha = 2,
				     .special = 3,
				     .base = 1,
				     .trim = 2,
				     .runs = 2,
				     .run = {{2, 1, 0}, {2, 2, 0}}};

typedef struct fixture {
	ckks_fixture f;
	hel_keys *keys; /* of a refresh, from their file */
	hel_eval *ev;
	int8_t sparse[N];
} fixture;

static void setup(fixture *x)
{
	static const hel_key_request requests[] = {
	    {HEL_ENCAPSULATE, 0}, {HEL_DECAPSULATE, TOP}, {HEL_RELINEARISE, 1}};
	hel_keys *keys;
	uint8_t *bytes;
	size_t size;
	ckks_setup(&x->f, spec, NULL, 0);
	assert_ok(hel_keys_generate(&keys, x->f.secret, requests, 3, NULL));
	assert_ok(hel_keys_save(&bytes, &size, keys));
	assert_int_equal(size, hel_keys_file_bytes(x->f.params, requests, 3));
	assert_ok(hel_keys_load(&x->keys, x->f.params, bytes, size));
	hel_bytes_free(bytes, size);
	hel_keys_free(keys);
	assert_ok(hel_eval_new(&x->ev, x->f.params, x->keys, NULL));
	assert_ok(hel_secret_sparse(x->sparse, x->f.secret));
}

static void teardown(fixture *x)
{
	hel_eval_free(x->ev);
	hel_keys_free(x->keys);
	ckks_teardown(&x->f);
}

/* Centred coefficients of one half of a ciphertext at level 0. */
static void centred(int64_t *out, const hel_params *p, const uint32_t *part)
{
	uint32_t *c = hel_alloc(N, sizeof *c);
	const int64_t q = p->ring.prime[0].q;
	memcpy(c, part, N * sizeof *c);
	hel_ring_intt(&p->ring, c, 0, 1, NULL);
	for (size_t i = 0; i < N; i++)
		out[i] = c[i] > q / 2 ? (int64_t)c[i] - q : c[i];
	hel_free(c);
}

/* c0 + c1 s' over the integers. */
static void phase(int64_t *out, const fixture *x, const hel_ct *ct)
{
	int64_t *a = hel_alloc(N, sizeof *a);
	centred(out, x->f.params, ct->part[0]);
	centred(a, x->f.params, ct->part[1]);
	for (size_t j = 0; j < N; j++)
		for (size_t i = 0; x->sparse[j] && i < N; i++) /* X^N = -1 */
			out[(i + j) % N] += (i + j < N ? 1 : -1) * x->sparse[j] * a[i];
	hel_free(a);
}

static double root_mean_square(const double *v)
{
	double sum = 0;
	for (size_t i = 0; i < N; i++)
		sum += v[i] * v[i] / N;
	return sqrt(sum);
}

static hel_ct *random_at_bottom(fixture *x, double *message)
{
	hel_complex *slots = random_slots(&x->f);
	hel_ct *ct = encrypted(&x->f, slots, 0);
	hel_free(slots);
	assert_ok(hel_decrypt_coefficients(message, N, x->f.secret, ct));
	return ct;
}

static void test_sparse_secret(void **state)
{
	(void)state;
	fixture x;
	setup(&x);
	size_t weight = 0;
	for (size_t i = 0; i < N; i++)
		weight += x.sparse[i] != 0;
	assert_int_equal(HEL_SPARSE_WEIGHT, weight);
	teardown(&x);
}

/* Under s' a ciphertext decrypts to what it did under s, but for rounding that meets 33
 * coefficients and one key error divided by P'. */
static void test_encapsulation(void **state)
{
	(void)state;
	fixture x;
	setup(&x);
	double message[N], error[N];
	int64_t t[N];
	hel_ct *ct = random_at_bottom(&x, message);
	const double scale = ct->scale;
	const int64_t q = x.f.params->ring.prime[0].q;
	assert_ok(hel_encapsulate(x.ev, ct, ct));
	phase(t, &x, ct);
	for (size_t i = 0; i < N; i++) {
		const int64_t r = t[i] - (int64_t)rint(message[i] * scale);
		error[i] = (double)(r - q * (int64_t)rint((double)r / (double)q));
	}
	const double log_p = log2(x.f.params->ring.prime[x.f.params->ring.chain].q) * 2;
	const double key = exp2(2 * (log2((double)q) - log_p)) / 12 * N * HEL_SIGMA * HEL_SIGMA;
	const double predicted = sqrt((1 + HEL_SPARSE_WEIGHT) / 12.0 + key);
	print_message("error %.3f, predicted %.3f\n", root_mean_square(error), predicted);
	assert_true(fabs(root_mean_square(error) / predicted - 1) < 0.15);
	hel_ct_free(ct);
	teardown(&x);
}

/* A raised ciphertext holds C (m + q_0 I) but for one rounding. */
static void test_raise(void **state)
{
	(void)state;
	fixture x;
	setup(&x);
	const hel_params *p = x.f.params;
	double message[N], got[N], error[N];
	int64_t t[N];
	hel_ct *ct = random_at_bottom(&x, message);
	for (unsigned level = 3; level <= TOP; level++) { /* below, C q_0 I does not fit */
		hel_ct *up;
		assert_ok(hel_ct_new(&up, p));
		assert_ok(hel_encapsulate(x.ev, up, ct));
		phase(t, &x, up);
		assert_ok(hel_raise(x.ev, up, up, level, C));
		assert_int_equal(level, up->level);
		assert_true(up->scale == C * ct->scale);
		assert_ok(hel_decrypt_coefficients(got, N, x.f.secret, up));
		for (size_t i = 0; i < N; i++)
			error[i] = got[i] * up->scale - (double)(C * t[i]);
		/* variances of slots are N times those of coefficients */
		const double predicted = sqrt(hel_noise_rescale(p, 1) / N);
		print_message("level %u: error %.1f, predicted %.1f\n", level,
			      root_mean_square(error), predicted);
		assert_true(fabs(root_mean_square(error) / predicted - 1) < 0.15);
		hel_ct_free(up);
	}
	hel_ct_free(ct);
	teardown(&x);
}

/* (34): the multiple of q_0 is a whole sum of 33 uniform numbers, of variance 33/12. */
static void test_multiples(void **state)
{
	(void)state;
	fixture x;
	setup(&x);
	enum { ROUNDS = 40 };
	const double q = x.f.params->ring.prime[0].q;
	double message[N], square = 0, beyond = 0, worst = 0;
	int64_t t[N];
	for (int round = 0; round < ROUNDS; round++) {
		hel_ct *ct = random_at_bottom(&x, message);
		assert_ok(hel_encapsulate(x.ev, ct, ct));
		phase(t, &x, ct);
		for (size_t i = 0; i < N; i++) {
			const double u = (double)t[i] / q;
			square += u * u / (N * ROUNDS);
			beyond += fabs(u) > 4.5;
			worst = fmax(worst, fabs(u));
		}
		hel_ct_free(ct);
	}
	/* twice the Irwin-Hall density of 33 at 5, 6, ... */
	const double expected = 0.0054964 * N * ROUNDS;
	print_message("variance %.3f (33/12), %.0f of 5 or more (%.0f expected), largest %.2f\n",
		      square, beyond, expected, worst);
	assert_true(fabs(square / (33 / 12.0) - 1) < 0.05);
	assert_true(fabs(beyond - expected) < 6 * sqrt(expected));
	assert_true(worst < 10.5); /* 2^-36 a coefficient */
	teardown(&x);
}

static void test_refused(void **state)
{
	(void)state;
	fixture x;
	hel_keys *keys;
	hel_params *p;
	hel_secret_key *secret;
	setup(&x);
	const hel_key_request high = {HEL_ENCAPSULATE, 1}, low = {HEL_ENCAPSULATE, 0};
	const hel_key_request even = {6, 0};
	assert_status(HEL_ELEVEL, hel_keys_generate(&keys, x.f.secret, &high, 1, NULL));
	assert_status(HEL_EINVAL, hel_keys_generate(&keys, x.f.secret, &even, 1, NULL));
	hel_ct *ct = random_at_bottom(&x, (double[N]){0});
	assert_status(HEL_EKEY,
		      hel_encapsulate(x.f.ev, ct, ct)); /* that evaluator has no such keys */
	assert_status(HEL_EKEY, hel_raise(x.f.ev, ct, ct, TOP, 1));
	assert_status(HEL_ELEVEL, hel_raise(x.ev, ct, ct, TOP + 1, 1));
	assert_ok(hel_raise(x.ev, ct, ct, TOP, 1));
	assert_status(HEL_ELEVEL, hel_raise(x.ev, ct, ct, TOP, 1));
	assert_status(HEL_ELEVEL, hel_encapsulate(x.ev, ct, ct));
	hel_ct_free(ct);
	teardown(&x);
	/* a ring for which the sparse secret was not estimated, and two primes at level 0 */
	static const hel_params_spec small = {14, 2, 1, 28, 1, 2, 1}, two = {15, 2, 1, 30, 1, 2};
	for (int i = 0; i < 2; i++) {
		assert_ok(hel_params_new(&p, i ? &two : &small));
		assert_ok(hel_secret_key_new(&secret, p));
		assert_status(HEL_ESECURITY, hel_keys_generate(&keys, secret, &low, 1, NULL));
		hel_secret_key_free(secret);
		hel_params_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sparse_secret), cmocka_unit_test(test_encapsulation),
	    cmocka_unit_test(test_raise),	  cmocka_unit_test(test_multiples),
	    cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
