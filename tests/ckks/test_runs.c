/* Runs of levels: scales in exact integers, primes that fit a bound, and ciphertexts through every
 * level. */
#include "fixture.h"

/* Of a ring of degree 2^15: seven levels of varying groups between one-prime levels and two that
 * pass. */
static const hel_params_spec mixed = {
    .log_n = 15,
    .levels = 18,
    .primes_per_level = 2,
    .scale_bits = 30,
    .alpha = 5,
    .special = 5,
    .base = 1,
    .trim = 2,
    .runs = 7,
    .run = {{9, 1, 0}, {1, 2, 0}, {1, 1, 0}, {1, 2, 0}, {1, 1, 0}, {3, 2, 0}, {2, 1, 1}},
};

/* A double as mantissa times 2^exponent. */
static u128 whole(double v, int *exponent)
{
	const u128 m = (u128)ldexp(frexp(v, exponent), 53);
	*exponent -= 53;
	return m;
}

/* |a - b| <= 2^-51 a, of numbers a 2^ea and b 2^eb, by integers alone. */
static bool nearly_equal(u128 a, int ea, u128 b, int eb)
{
	for (; ea > eb && !(a >> 126); ea--)
		a *= 2;
	for (; eb > ea && !(b >> 126); eb--)
		b *= 2;
	const u128 difference = a > b ? a - b : b - a;
	return ea == eb && difference <= a >> 51;
}

static void test_scales_are_exact(void **state)
{
	(void)state;
	hel_params *p;
	assert_ok(hel_params_new(&p, &mixed));
	unsigned level = 0;
	for (unsigned r = 0; r < mixed.runs; r++)
		for (unsigned i = 0; i < mixed.run[r].levels; i++) {
			level++;
			assert_int_equal(mixed.run[r].primes,
					 p->limbs[level] - p->limbs[level - 1]);
			u128 q = 1;
			for (size_t l = p->limbs[level - 1]; l < p->limbs[level]; l++)
				q *= p->ring.prime[l].q;
			assert_true((double)q == p->divisor[level]);
			int above, below;
			const u128 s = whole(p->scale[level], &above);
			const u128 t = whole(p->scale[level - 1], &below);
			if (mixed.run[r].pass)
				assert_true(p->scale[level] == p->scale[level - 1]);
			else /* s^2 = t q; the product of 113 bits loses none */
				assert_true(nearly_equal(s * s, 2 * above, t * q, below));
			print_message("level %2u: %zu primes, scale 2^%.2f\n", level,
				      p->limbs[level] - p->limbs[level - 1], log2(p->scale[level]));
		}
	assert_int_equal(mixed.levels, level);
	assert_int_equal(1, p->limbs[0]);
	assert_true(fabs(log2(p->scale[0]) - 29.875) < 0.05);
	print_message("log2(QP) %.1f\n", hel_params_log_qp(p));
	hel_params_free(p);
}

static void test_every_prime_is_trimmed(void **state)
{
	(void)state;
	hel_params *p;
	assert_ok(hel_params_new(&p, &mixed));
	for (size_t i = 0; i < p->ring.chain + p->ring.special; i++)
		assert_true(fabs(log2(p->ring.prime[i].q) - 29.875) < 0.1);
	hel_params_free(p);
	/* 29 primes of a sixteenth more are too many by a fraction of a bit */
	hel_params_spec larger = mixed;
	larger.trim = 1;
	assert_status(HEL_ESECURITY, hel_params_new(&p, &larger));
	assert_non_null(strstr(hel_error_detail(), "868"));
	hel_params_spec deeper = mixed;
	deeper.levels++;
	deeper.run[0].levels++;
	assert_status(HEL_ESECURITY, hel_params_new(&p, &deeper));
}

static void refused(hel_params_spec s)
{
	hel_params *p;
	assert_status(HEL_EPARAMS, hel_params_new_insecure_test(&p, &s));
}

static void test_bad_runs(void **state)
{
	(void)state;
	hel_params_spec s;
#define REFUSE(change)                                                                             \
	s = mixed;                                                                                 \
	change;                                                                                    \
	refused(s)
	REFUSE(s.runs = 6);		   /* a run that is not counted */
	REFUSE(s.runs = 8);		   /* an empty one that is */
	REFUSE(s.runs = HEL_MAX_RUNS + 1); /* beyond the last */
	REFUSE(s.runs = 255);
	REFUSE(s.levels = 17);
	REFUSE(s.levels = 19);
	REFUSE(s.primes_per_level = 1);
	REFUSE(s.base = 0);
	REFUSE(s.base = 2);
	REFUSE(s.trim = 16);
	REFUSE(s.scale_bits = 31);
	REFUSE(s.scale_bits = 25);
	REFUSE(s.run[1].primes = 3);
	REFUSE(s.run[1].primes = 0);
	REFUSE(s.run[1].pass = 2);
	REFUSE(s.run[0].levels = 255);
	REFUSE(s.special = 4);
	REFUSE(s.log_n = 255);
#undef REFUSE
	refused((hel_params_spec){13, 2, 1, 30, 1, 1, 0, 1}); /* trim without runs */
	refused((hel_params_spec){13, 2, 1, 30, 1, 1, 0, 0, 0, {{2, 1, 0}}}); /* runs not counted */
}

static void test_fingerprints(void **state)
{
	(void)state;
	/* as files of earlier versions hold them */
	static const hel_params_spec old[] = {{14, 6, 1, 30, 2, 3}, {13, 4, 1, 27, 1, 1, 1}};
	static const uint8_t known[][8] = {{0x9d, 0x1b, 0x94, 0xbd, 0xb5, 0xd0, 0xeb, 0x35},
					   {0x6b, 0x6d, 0x1e, 0x3b, 0x37, 0x4b, 0x74, 0xa7}};
	hel_params *p, *q;
	for (size_t i = 0; i < HEL_ARRAY_LEN(old); i++) {
		assert_ok(hel_params_new(&p, &old[i]));
		assert_memory_equal(known[i], p->fingerprint, sizeof known[i]);
		hel_params_free(p);
	}
	hel_params_spec other = mixed;
	assert_ok(hel_params_new(&p, &mixed));
	other.run[5].levels = 2; /* the same groups, cut differently */
	other.run[6] = (hel_level_run){1, 2, 0};
	other.run[7] = (hel_level_run){2, 1, 1};
	other.runs = 8;
	assert_ok(hel_params_new(&q, &other));
	assert_memory_not_equal(p->fingerprint, q->fingerprint, HEL_HASH_BYTES);
	hel_params_free(p);
	hel_params_free(q);
}

/* x down to level 0: squared with 1/2 added where levels multiply, times a plaintext where they
 * pass. */
static void test_through_every_level(void **state)
{
	(void)state;
	hel_params_spec spec = mixed;
	spec.log_n = 11;
	ckks_fixture f;
	ckks_setup(&f, spec, NULL, 0);
	hel_complex *x = random_slots(&f), *w = random_slots(&f);
	hel_ct *ct = encrypted(&f, x, spec.levels), *lower;
	double before = decrypted_error(&f, ct, x);
	assert_ok(hel_ct_new(&lower, f.params));
	for (unsigned level = spec.levels; level > 0; level--) {
		const bool passes = level > 16;
		hel_pt *pt;
		assert_ok(hel_encode(&pt, f.params, w, level, HEL_FOR_MUL));
		if (passes)
			assert_ok(hel_eval_mul_plain(f.ev, ct, ct, pt));
		else
			assert_ok(hel_eval_mul(f.ev, ct, ct, ct));
		assert_ok(hel_eval_rescale(f.ev, ct, ct));
		hel_pt_free(pt);
		assert_true(hel_ct_scale(ct) == f.params->scale[level - 1]);
		for (size_t i = 0; i < f.slots; i++) {
			const double complex a = x[i].re + I * x[i].im, b = w[i].re + I * w[i].im;
			const double complex y = passes ? a * b : a * a;
			x[i] = (hel_complex){creal(y), cimag(y)};
		}
		/* twice what has come down, one rescaling and the weights' rounding */
		const double error = decrypted_error(&f, ct, x);
		assert_near("at this level", error,
			    2.2 * before +
				2 * sqrt(hel_noise_rescale(f.params, f.params->scale[level - 1]) +
					 hel_noise_encoding(f.params, f.params->divisor[level])));
		before = error;
		hel_sum_term half = {ct, 0.5};
		if (level == 1)
			break;
		if (level <= 16) { /* a sum of a value and a constant, at every scale */
			assert_ok(hel_eval_weighted_sum(f.ev, lower, level - 1, &half, 1, 0.25));
			assert_ok(hel_eval_rescale(f.ev, lower, lower));
			for (size_t i = 0; i < f.slots; i++)
				w[i] = (hel_complex){x[i].re / 2 + 0.25, x[i].im / 2};
			assert_near("a sum", decrypted_error(&f, lower, w),
				    before + 0x1p-25 +
					2 * sqrt(hel_noise_rescale(f.params, hel_ct_scale(lower))));
		}
	}
	hel_ct_free(lower);
	hel_ct_free(ct);
	hel_free(x);
	hel_free(w);
	ckks_teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_scales_are_exact),
	    cmocka_unit_test(test_every_prime_is_trimmed),
	    cmocka_unit_test(test_bad_runs),
	    cmocka_unit_test(test_fingerprints),
	    cmocka_unit_test(test_through_every_level),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
