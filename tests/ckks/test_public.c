/* Encryption under the public key: right, as noisy as predicted, strict. */
#include "fixture.h"

static hel_ct *encrypted_public(ckks_fixture *f, const hel_public_key *key,
				const hel_complex *slots, unsigned level)
{
	hel_pt *pt;
	hel_ct *ct;
	assert_ok(hel_encode(&pt, f->params, slots, level, HEL_FOR_ADD));
	assert_ok(hel_ct_new(&ct, f->params));
	assert_ok(hel_encrypt_public(ct, key, pt));
	assert_int_equal(level, hel_ct_level(ct));
	assert_equal(hel_ct_scale(ct), hel_params_scale(f->params, level));
	hel_pt_free(pt);
	return ct;
}

static double fresh_variance(const hel_params *p, double scale, bool public)
{
	return hel_noise_encoding(p, scale) +
	       (public ? hel_noise_encryption_public(p, scale) : hel_noise_encryption(p, scale));
}

/* The largest error of a coefficient. */
static double largest_error(ckks_fixture *f, const hel_ct *ct, const hel_complex *expected)
{
	const size_t n = f->params->ring.n;
	const unsigned level = hel_ct_level(ct);
	double *got = hel_alloc(n, sizeof *got), *want = hel_alloc(n, sizeof *want), worst = 0;
	hel_ct *clear;
	hel_pt *pt;
	assert_non_null(got);
	assert_non_null(want);
	/* the message's coefficients, with no error but the encoding's: the ciphertext (m, 0) */
	assert_ok(hel_encode(&pt, f->params, expected, level, HEL_FOR_ADD));
	assert_ok(hel_ct_new(&clear, f->params));
	memcpy(clear->part[0], pt->data, f->params->limbs[level] * n * sizeof *pt->data);
	clear->level = level;
	clear->scale = pt->scale;
	assert_ok(hel_decrypt_coefficients(want, n, f->secret, clear));
	assert_ok(hel_decrypt_coefficients(got, n, f->secret, ct));
	for (size_t i = 0; i < n; i++)
		worst = fmax(worst, fabs(got[i] - want[i]));
	hel_ct_free(clear);
	hel_pt_free(pt);
	hel_free(got);
	hel_free(want);
	return worst;
}

/* Slots on average, coefficients at worst: a coefficient's error is a sum of thousands of terms and
 * so Gaussian. A slot's is a product of such sums (rounding times secret), whose tail is only
 * exponential: exp(-2 t) at t times the root mean square. */
static void expect_predicted(const char *what, ckks_fixture *f, const hel_ct *ct,
			     const hel_complex *x, double variance)
{
	const double sigma = sqrt(variance / (double)f->params->ring.n); /* of a coefficient */
	const double rms = decrypted_error(f, ct, x) / sqrt(variance);
	const double worst = largest_error(f, ct, x) / sigma;
	print_message("  %s, level %u: error 2^%.2f, %.3f of the predicted, worst %.2f sigma\n",
		      what, hel_ct_level(ct), log2(rms * sqrt(variance)), rms, worst);
	/* thousands of slots: the ratio is known to a few percent */
	assert_more(rms, 0.85);
	assert_less(rms, 1.15);
	assert_less(worst, 6);
}

static void test_error_is_as_predicted(void **state)
{
	(void)state;
	static const hel_params_spec specs[] = {
	    {11, 2, 1, 30, 1, 1},
	    {12, 3, 1, 28, 2, 2},
	    {11, 2, 2, 56, 3, 4},
	};
	for (size_t s = 0; s < HEL_ARRAY_LEN(specs); s++) {
		ckks_fixture f;
		hel_public_key *key;
		ckks_setup(&f, specs[s], NULL, 0);
		assert_ok(hel_public_key_new(&key, f.secret, specs[s].levels));
		hel_complex *x = random_slots(&f);
		print_message("N = 2^%u, %u special primes\n", specs[s].log_n, specs[s].special);
		for (unsigned level = 0; level <= specs[s].levels; level++) {
			const double scale = hel_params_scale(f.params, level);
			/* at 58 bits a double's own 53 hide the error */
			if (scale > 0x1p40)
				continue;
			hel_ct *ct = encrypted_public(&f, key, x, level);
			expect_predicted("public", &f, ct, x,
					 fresh_variance(f.params, scale, true));
			hel_ct_free(ct);
			ct = encrypted(&f, x, level);
			expect_predicted("secret", &f, ct, x,
					 fresh_variance(f.params, scale, false));
			hel_ct_free(ct);
		}
		if (specs[s].primes_per_level == 2) {
			hel_ct *ct = encrypted_public(&f, key, x, 1);
			assert_near("two primes a level", decrypted_error(&f, ct, x), 0x1p-38);
			hel_ct_free(ct);
		}
		hel_free(x);
		hel_public_key_free(key);
		ckks_teardown(&f);
	}
}

/* Rounding times secret: slots have the tail of a product of two Gaussians, 2 t K_1(2 t). */
static void test_tail_of_slots(void **state)
{
	(void)state;
	enum { TIMES = 20 };
	ckks_fixture f;
	hel_public_key *key;
	ckks_setup(&f, (hel_params_spec){12, 0, 1, 30, 1, 1}, NULL, 0);
	assert_ok(hel_public_key_new(&key, f.secret, 0));
	hel_complex *x = random_slots(&f), *got = hel_alloc(f.slots, sizeof *got);
	const double limit = 9 * fresh_variance(f.params, hel_params_scale(f.params, 0), true);
	size_t beyond = 0;
	for (int t = 0; t < TIMES; t++) {
		hel_ct *ct = encrypted_public(&f, key, x, 0);
		assert_ok(hel_decrypt(got, f.secret, ct));
		for (size_t i = 0; i < f.slots; i++) {
			const double re = got[i].re - x[i].re, im = got[i].im - x[i].im;
			beyond += re * re + im * im > limit;
		}
		hel_ct_free(ct);
	}
	const double share = (double)beyond / TIMES / (double)f.slots;
	print_message("  %.4f of the slots beyond 3 rms; 0.0080 predicted, 0.0001 of a Gaussian\n",
		      share);
	assert_more(share, 0.005);
	assert_less(share, 0.012);
	hel_free(x);
	hel_free(got);
	hel_public_key_free(key);
	ckks_teardown(&f);
}

/* Ciphertexts of both kinds meet in one sum and one product; fresh randomness every time. */
static void test_contributes_to_a_computation(void **state)
{
	(void)state;
	ckks_fixture f;
	hel_public_key *key;
	ckks_setup(&f, (hel_params_spec){10, 2, 1, 30, 1, 1}, NULL, 0);
	assert_ok(hel_public_key_new(&key, f.secret, 2));
	hel_complex *x = random_slots(&f), *y = random_slots(&f), *z = random_slots(&f);
	hel_ct *a = encrypted(&f, x, 2), *b = encrypted_public(&f, key, y, 2);
	hel_ct *again = encrypted_public(&f, key, y, 2);
	for (int half = 0; half < 2; half++)
		assert_memory_not_equal(b->part[half], again->part[half], 64);
	for (size_t i = 0; i < f.slots; i++)
		z[i] = (hel_complex){x[i].re * y[i].re - x[i].im * y[i].im,
				     x[i].re * y[i].im + x[i].im * y[i].re};
	assert_ok(hel_eval_mul_rescale(f.ev, a, a, b));
	assert_near("secret times public", decrypted_error(&f, a, z), 0x1p-16);
	hel_ct_free(a);
	hel_ct_free(b);
	hel_ct_free(again);
	hel_free(x);
	hel_free(y);
	hel_free(z);
	hel_public_key_free(key);
	ckks_teardown(&f);
}

static void test_refuses(void **state)
{
	(void)state;
	ckks_fixture f, other;
	hel_public_key *key = NULL, *none = NULL;
	hel_pt *high, *factor, *foreign;
	ckks_setup(&f, (hel_params_spec){8, 2, 1, 30, 1, 1}, NULL, 0);
	ckks_setup(&other, (hel_params_spec){8, 3, 1, 30, 1, 1}, NULL, 0);
	hel_complex *x = random_slots(&f);
	assert_status(HEL_ELEVEL, hel_public_key_new(&none, f.secret, 3));
	assert_null(none);
	assert_ok(hel_public_key_new(&key, f.secret, 1));
	assert_ok(hel_encode(&high, f.params, x, 2, HEL_FOR_ADD));
	assert_ok(hel_encode(&factor, f.params, x, 1, HEL_FOR_MUL));
	assert_ok(hel_encode(&foreign, other.params, x, 1, HEL_FOR_ADD));
	hel_ct *ct = encrypted(&f, x, 1);
	assert_status(HEL_ELEVEL, hel_encrypt_public(ct, key, high));
	assert_status(HEL_EINVAL, hel_encrypt_public(ct, key, factor));
	assert_status(HEL_EPARAMS, hel_encrypt_public(ct, key, foreign));
	assert_near("kept", decrypted_error(&f, ct, x), 0x1p-21); /* outputs are as they were */
	hel_pt *fits;
	assert_ok(hel_encode(&fits, f.params, x, 1, HEL_FOR_ADD));
	for (long n = 1; n <= 2; n++) { /* both allocations */
		hel_alloc_fail_at(n);
		assert_status(HEL_ENOMEM, hel_encrypt_public(ct, key, fits));
		hel_alloc_fail_at(0);
		assert_near("kept", decrypted_error(&f, ct, x), 0x1p-21);
	}
	hel_pt_free(fits);
	hel_ct_free(ct);
	hel_pt_free(high);
	hel_pt_free(factor);
	hel_pt_free(foreign);
	hel_free(x);
	hel_public_key_free(key);
	ckks_teardown(&other);
	ckks_teardown(&f);
}

static void test_bytes(void **state)
{
	(void)state;
	ckks_fixture f;
	hel_public_key *key, *back = NULL;
	ckks_setup(&f, (hel_params_spec){6, 3, 1, 30, 2, 2}, NULL, 0);
	assert_ok(hel_public_key_new(&key, f.secret, 2));
	hel_writer w = {0};
	hel_public_key_write(&w, key);
	assert_int_equal(HEL_OK, w.status);
	assert_int_equal(hel_public_key_bytes(f.params, 2), w.size);
	hel_reader r = hel_reader_of(w.bytes, w.size);
	assert_ok(hel_public_key_read(&back, f.params, &r));
	assert_ok(hel_reader_finish(&r));
	assert_memory_equal(key->client, hel_secret_key_client(f.secret), HEL_CLIENT_ID_BYTES);
	assert_memory_equal(key->client, back->client, HEL_CLIENT_ID_BYTES);
	assert_memory_equal(key->a, back->a, (key->limbs + 2) * f.params->ring.n * 4);
	hel_complex *x = random_slots(&f);
	hel_ct *ct = encrypted_public(&f, back, x, 1);
	assert_near("by a key read back", decrypted_error(&f, ct, x), 0x1p-21);
	hel_public_key_free(back);
	back = NULL;
	for (size_t size = 0; size < w.size; size += size < 128 ? 1 : 97) {
		r = hel_reader_of(w.bytes, size);
		assert_status(HEL_ETRUNC, hel_public_key_read(&back, f.params, &r));
	}
	uint8_t *level = w.bytes + HEL_HASH_BYTES + HEL_CLIENT_ID_BYTES + HEL_SEED_BYTES;
	*level = 4;
	r = hel_reader_of(w.bytes, w.size);
	assert_status(HEL_ELEVEL, hel_public_key_read(&back, f.params, &r));
	*level = 1;
	r = hel_reader_of(w.bytes, w.size);
	assert_status(HEL_ETRUNC, hel_public_key_read(&back, f.params, &r));
	*level = 2;
	w.bytes[0] ^= 1; /* the fingerprint */
	r = hel_reader_of(w.bytes, w.size);
	assert_status(HEL_EPARAMS, hel_public_key_read(&back, f.params, &r));
	w.bytes[0] ^= 1;
	memset(w.bytes + w.size - 8, 0xff, 8); /* residues of 2^30 - 1 */
	r = hel_reader_of(w.bytes, w.size);
	assert_status(HEL_EFORMAT, hel_public_key_read(&back, f.params, &r));
	assert_null(back);
	hel_writer_clear(&w);
	hel_ct_free(ct);
	hel_free(x);
	hel_public_key_free(key);
	ckks_teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_error_is_as_predicted),
	    cmocka_unit_test(test_tail_of_slots),
	    cmocka_unit_test(test_contributes_to_a_computation),
	    cmocka_unit_test(test_refuses),
	    cmocka_unit_test(test_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
