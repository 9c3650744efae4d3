/* Every operation against plain complex arithmetic, over several parameter shapes. */
#include "fixture.h"

static hel_complex mul(hel_complex a, hel_complex b)
{
	return (hel_complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static void run_all(hel_params_spec spec)
{
	static const long steps[] = {1, -1, 7, 64};
	ckks_fixture f;
	ckks_setup(&f, spec, steps, HEL_ARRAY_LEN(steps));
	const size_t n = f.slots;
	const unsigned top = spec.levels;
	hel_complex *x = random_slots(&f), *y = random_slots(&f), *z = random_slots(&f);
	hel_ct *a = encrypted(&f, x, top), *b = encrypted(&f, y, top), *c;
	assert_ok(hel_ct_new(&c, f.params));
	/* what each operation adds, and the mean square of a message */
	const hel_params *ps = f.params;
	const double scale = hel_params_scale(ps, top), below = hel_params_scale(ps, top - 1);
	const double rounding = hel_noise_encoding(ps, scale), square = 0.98 / 3;
	const double fresh = hel_noise_encryption(ps, scale) + rounding;
	const double divided = hel_noise_rescale(ps, below);
	const double switched = hel_noise_switch(ps, ps->limbs[top], 1, scale);
	const double switched_product = hel_noise_switch(ps, ps->limbs[top], 1, scale * scale);
	print_message("N=2^%u levels %u primes/level %u alpha %u special %u: log QP %.1f\n",
		      spec.log_n, spec.levels, spec.primes_per_level, spec.alpha, spec.special,
		      hel_params_log_qp(f.params));

	assert_predicted("fresh", decrypted_error(&f, a, x), fresh);
	assert_ok(hel_eval_add(f.ev, c, a, b));
	for (size_t i = 0; i < n; i++)
		z[i] = (hel_complex){x[i].re + y[i].re, x[i].im + y[i].im};
	assert_predicted("add", decrypted_error(&f, c, z), 2 * fresh);
	assert_ok(hel_eval_sub(f.ev, c, a, b));
	for (size_t i = 0; i < n; i++)
		z[i] = (hel_complex){x[i].re - y[i].re, x[i].im - y[i].im};
	assert_predicted("sub", decrypted_error(&f, c, z), 2 * fresh);

	hel_pt *p, *q;
	assert_ok(hel_encode(&p, f.params, y, top, HEL_FOR_MUL));
	assert_ok(hel_encode(&q, f.params, y, top, HEL_FOR_ADD));
	assert_ok(hel_eval_add_plain(f.ev, c, a, q));
	for (size_t i = 0; i < n; i++)
		z[i] = (hel_complex){x[i].re + y[i].re, x[i].im + y[i].im};
	assert_predicted("add_plain", decrypted_error(&f, c, z), fresh + rounding);
	for (size_t i = 0; i < n; i++)
		z[i] = mul(x[i], y[i]);
	assert_ok(hel_eval_mul_plain(f.ev, c, a, p));
	assert_predicted("mul_plain", decrypted_error(&f, c, z), square * (fresh + rounding));
	assert_ok(hel_eval_rescale(f.ev, c, c));
	assert_equal(hel_ct_scale(c), hel_params_scale(f.params, top - 1));
	assert_predicted("mul_plain, rescaled", decrypted_error(&f, c, z),
			 square * (fresh + rounding) + divided);
	assert_status(HEL_EINVAL, hel_eval_mul_plain(f.ev, c, a, q));
	assert_status(HEL_EINVAL, hel_eval_add_plain(f.ev, c, a, p));

	assert_ok(hel_eval_mul(f.ev, c, a, b));
	assert_predicted("mul", decrypted_error(&f, c, z), 2 * square * fresh + switched_product);
	assert_ok(hel_eval_rescale(f.ev, c, c));
	assert_equal(hel_ct_scale(c), hel_params_scale(f.params, top - 1));
	assert_predicted("mul, rescaled", decrypted_error(&f, c, z),
			 2 * square * fresh + switched_product + divided);
	assert_ok(hel_eval_mul_rescale(f.ev, c, a, b));
	assert_equal(hel_ct_level(c), top - 1);
	assert_equal(hel_ct_scale(c), hel_params_scale(f.params, top - 1));
	assert_predicted("mul_rescale", decrypted_error(&f, c, z),
			 2 * square * fresh + switched_product + divided);
	/* x y + 2 y^2 + x^2 under one key switch; by y + 2 x and x + 4 y */
	hel_product_term terms[] = {{a, b, 1}, {b, b, 2}, {a, a, 1}};
	assert_ok(hel_eval_mul_add_rescale(f.ev, c, terms, HEL_ARRAY_LEN(terms), NULL));
	for (size_t i = 0; i < n; i++) {
		const hel_complex xy = mul(x[i], y[i]), yy = mul(y[i], y[i]), xx = mul(x[i], x[i]);
		z[i] = (hel_complex){xy.re + 2 * yy.re + xx.re, xy.im + 2 * yy.im + xx.im};
	}
	assert_equal(hel_ct_level(c), top - 1);
	assert_predicted("sum of products", decrypted_error(&f, c, z),
			 22 * square * fresh + switched_product + divided);
	terms[1].factor = 3;
	assert_status(HEL_EINVAL, hel_eval_mul_add_rescale(f.ev, c, terms, 3, NULL));
	assert_status(HEL_EINVAL, hel_eval_mul_add_rescale(f.ev, c, terms, 0, NULL));
	hel_ct_copy(c, a);
	assert_ok(hel_eval_mul(f.ev, c, c, c));
	for (size_t i = 0; i < n; i++)
		z[i] = mul(x[i], x[i]);
	assert_predicted("square in place", decrypted_error(&f, c, z),
			 4 * square * fresh + switched_product);

	/* down to level 0, squaring on the way: the scales must meet those of the table */
	double *variance = hel_alloc(n, sizeof *variance), mean = 0;
	for (size_t i = 0; i < n; i++)
		variance[i] =
		    4 * (x[i].re * x[i].re + x[i].im * x[i].im) * fresh + switched_product;
	for (unsigned l = top; l-- > 0;) {
		assert_ok(hel_eval_rescale(f.ev, c, c));
		assert_equal(hel_ct_level(c), l);
		assert_equal(hel_ct_scale(c), hel_params_scale(f.params, l));
		for (size_t i = 0; i < n; i++)
			variance[i] += hel_noise_rescale(ps, ps->scale[l]);
		if (!l)
			break;
		assert_ok(hel_eval_mul(f.ev, c, c, c));
		for (size_t i = 0; i < n; i++) {
			variance[i] *= 4 * (z[i].re * z[i].re + z[i].im * z[i].im);
			variance[i] +=
			    hel_noise_switch(ps, ps->limbs[l], 1, ps->scale[l] * ps->scale[l]);
			z[i] = mul(z[i], z[i]);
		}
	}
	for (size_t i = 0; i < n; i++)
		mean += variance[i] / (double)n;
	assert_predicted("squared to level 0", decrypted_error(&f, c, z), mean);
	hel_free(variance);
	assert_status(HEL_ELEVEL, hel_eval_rescale(f.ev, c, c));
	assert_status(HEL_ELEVEL, hel_eval_mul(f.ev, c, c, c));

	for (unsigned l = 0; l <= top; l++) {
		assert_ok(hel_eval_drop(f.ev, c, a, l));
		assert_equal(hel_ct_scale(c), hel_params_scale(f.params, l));
		assert_predicted("drop", decrypted_error(&f, c, x),
				 l == top ? fresh : fresh + hel_noise_rescale(ps, ps->scale[l]));
		for (size_t s = 0; s < HEL_ARRAY_LEN(steps); s++) {
			hel_ct *r;
			assert_ok(hel_ct_new(&r, f.params));
			assert_ok(hel_eval_rotate(f.ev, r, c, steps[s]));
			for (size_t i = 0; i < n; i++)
				z[i] = x[(i + n + (size_t)(steps[s] + (long)n)) % n];
			assert_predicted(
			    "rotate", decrypted_error(&f, r, z),
			    (l == top ? fresh : fresh + hel_noise_rescale(ps, ps->scale[l])) +
				hel_noise_switch(ps, ps->limbs[l], 1, ps->scale[l]));
			hel_ct_free(r);
		}
	}
	hel_ct *r[4];
	for (int i = 0; i < 4; i++)
		assert_ok(hel_ct_new(&r[i], f.params));
	assert_ok(hel_eval_rotate_hoisted(f.ev, r, a, steps, 4));
	for (int s = 0; s < 4; s++) {
		for (size_t i = 0; i < n; i++)
			z[i] = x[(i + n + (size_t)(steps[s] + (long)n)) % n];
		assert_predicted("hoisted", decrypted_error(&f, r[s], z), fresh + switched);
	}
	static const long sum_steps[] = {0, 1, 7, 64};
	hel_ct_copy(c, a);
	assert_ok(hel_eval_rotate_sum(f.ev, c, c, sum_steps, 4));
	for (size_t i = 0; i < n; i++) {
		z[i] = (hel_complex){0, 0};
		for (int s = 0; s < 4; s++) {
			z[i].re += x[(i + (size_t)sum_steps[s]) % n].re;
			z[i].im += x[(i + (size_t)sum_steps[s]) % n].im;
		}
	}
	assert_predicted("rotate_sum", decrypted_error(&f, c, z), 4 * fresh + 3 * switched);
	/* of a product, rescaled in the same step, or with nothing to switch */
	const double product = square * (fresh + rounding);
	assert_ok(hel_eval_mul_plain(f.ev, c, a, p));
	assert_status(HEL_ESCALE, hel_eval_rotate_sum_rescale(f.ev, c, a, sum_steps, 4));
	assert_ok(hel_eval_rotate_sum_rescale(f.ev, r[0], c, sum_steps, 1));
	for (size_t i = 0; i < n; i++)
		z[i] = mul(x[i], y[i]);
	assert_predicted("rescaled without rotation", decrypted_error(&f, r[0], z),
			 product + divided);
	assert_ok(hel_eval_rotate_sum_rescale(f.ev, c, c, sum_steps, 4));
	assert_equal(hel_ct_level(c), top - 1);
	assert_equal(hel_ct_scale(c), hel_params_scale(f.params, top - 1));
	for (size_t i = 0; i < n; i++) {
		z[i] = (hel_complex){0, 0};
		for (int s = 0; s < 4; s++) {
			const size_t k = (i + (size_t)sum_steps[s]) % n;
			const hel_complex v = mul(x[k], y[k]);
			z[i] = (hel_complex){z[i].re + v.re, z[i].im + v.im};
		}
	}
	assert_predicted("rotate_sum_rescale", decrypted_error(&f, c, z),
			 4 * product + 3 * switched_product + divided);
	assert_ok(hel_eval_conjugate(f.ev, c, a));
	for (size_t i = 0; i < n; i++)
		z[i] = (hel_complex){x[i].re, -x[i].im};
	assert_predicted("conjugate", decrypted_error(&f, c, z), fresh + switched);

	/* mismatches are errors and leave the output alone */
	hel_ct_copy(c, a);
	assert_status(HEL_EKEY, hel_eval_rotate(f.ev, c, a, 3));
	assert_status(HEL_EKEY, hel_eval_rotate_sum(f.ev, c, a, (const long[]){0, 3}, 2));
	assert_ok(hel_eval_drop(f.ev, r[0], a, top - 1));
	assert_status(HEL_ELEVEL, hel_eval_add(f.ev, c, a, r[0]));
	assert_status(HEL_ELEVEL, hel_eval_mul(f.ev, c, r[0], a));
	assert_status(HEL_ELEVEL, hel_eval_mul_plain(f.ev, c, r[0], p));
	assert_ok(hel_eval_mul_plain(f.ev, r[0], a, p));
	assert_status(HEL_ESCALE, hel_eval_add(f.ev, c, a, r[0]));
	assert_status(HEL_ESCALE, hel_eval_add_plain(f.ev, c, r[0], q));
	assert_status(HEL_ELEVEL, hel_eval_drop(f.ev, c, c, top + 1));
	assert_predicted("untouched", decrypted_error(&f, c, x), fresh);

	for (int i = 0; i < 4; i++)
		hel_ct_free(r[i]);
	hel_pt_free(p);
	hel_pt_free(q);
	hel_ct_free(a);
	hel_ct_free(b);
	hel_ct_free(c);
	hel_free(x);
	hel_free(y);
	hel_free(z);
	ckks_teardown(&f);
}

static void test_one_prime_digits(void **state)
{
	(void)state;
	run_all((hel_params_spec){.log_n = 10,
				  .levels = 4,
				  .primes_per_level = 1,
				  .scale_bits = 30,
				  .alpha = 1,
				  .special = 1});
}

static void test_wide_digits(void **state)
{
	(void)state;
	run_all((hel_params_spec){.log_n = 11,
				  .levels = 7,
				  .primes_per_level = 1,
				  .scale_bits = 30,
				  .alpha = 3,
				  .special = 4});
}

static void test_smaller_scale(void **state)
{
	(void)state;
	run_all((hel_params_spec){.log_n = 10,
				  .levels = 5,
				  .primes_per_level = 1,
				  .scale_bits = 27,
				  .alpha = 2,
				  .special = 3});
}

/* One prime at level 0: small values only, as lookups have them. */
static void test_one_prime_base(void **state)
{
	(void)state;
	run_all((hel_params_spec){.log_n = 10,
				  .levels = 4,
				  .primes_per_level = 1,
				  .scale_bits = 27,
				  .alpha = 1,
				  .special = 1,
				  .base = 1});
}

static void test_two_prime_levels(void **state)
{
	(void)state;
	run_all((hel_params_spec){.log_n = 11,
				  .levels = 3,
				  .primes_per_level = 2,
				  .scale_bits = 58,
				  .alpha = 3,
				  .special = 4});
}

/* The heart models' ring. */
static void test_secure_ring(void **state)
{
	(void)state;
	run_all((hel_params_spec){.log_n = 13,
				  .levels = 4,
				  .primes_per_level = 1,
				  .scale_bits = 30,
				  .alpha = 1,
				  .special = 1});
}

/* Special primes shorter than 30 bits: as long as the ring's security leaves room for. */
static void test_short_special(void **state)
{
	(void)state;
	run_all((hel_params_spec){.log_n = 13,
				  .levels = 4,
				  .primes_per_level = 1,
				  .scale_bits = 26,
				  .alpha = 2,
				  .special = 2});
	run_all((hel_params_spec){.log_n = 13,
				  .levels = 3,
				  .primes_per_level = 1,
				  .scale_bits = 28,
				  .alpha = 2,
				  .special = 3});
}

/* Threads change nothing: the same ciphertext, bit for bit. */
static void test_threads_agree(void **state)
{
	(void)state;
	ckks_fixture f;
	static const long steps[] = {1, 5};
	ckks_setup(&f,
		   (hel_params_spec){.log_n = 11,
				     .levels = 5,
				     .primes_per_level = 1,
				     .scale_bits = 30,
				     .alpha = 2,
				     .special = 3},
		   steps, 2);
	hel_complex *x = random_slots(&f);
	hel_ct *a = encrypted(&f, x, 5), *want, *got;
	assert_ok(hel_ct_new(&want, f.params));
	assert_ok(hel_ct_new(&got, f.params));
	assert_ok(hel_eval_mul(f.ev, want, a, a));
	assert_ok(hel_eval_rotate_sum(f.ev, want, want, steps, 2));
	assert_ok(hel_eval_rescale(f.ev, want, want));
	static const unsigned threads[] = {2, 3, 8};
	for (size_t t = 0; t < HEL_ARRAY_LEN(threads); t++) {
		hel_pool *pool = hel_pool_new(threads[t]);
		hel_eval *ev;
		assert_non_null(pool);
		assert_ok(hel_eval_new(&ev, f.params, f.keys, pool));
		assert_ok(hel_eval_mul(ev, got, a, a));
		assert_ok(hel_eval_rotate_sum(ev, got, got, steps, 2));
		assert_ok(hel_eval_rescale(ev, got, got));
		for (int i = 0; i < 2; i++)
			assert_memory_equal(want->part[i], got->part[i],
					    4 * f.params->limbs[got->level] * f.params->ring.n);
		hel_eval_free(ev);
		hel_pool_free(pool);
	}
	hel_ct_free(a);
	hel_ct_free(want);
	hel_ct_free(got);
	hel_free(x);
	ckks_teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_prime_digits), cmocka_unit_test(test_wide_digits),
	    cmocka_unit_test(test_smaller_scale),    cmocka_unit_test(test_one_prime_base),
	    cmocka_unit_test(test_two_prime_levels), cmocka_unit_test(test_short_special),
	    cmocka_unit_test(test_secure_ring),	     cmocka_unit_test(test_threads_agree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
