#include "fixture.h"

static const hel_params_spec spec = {6, 3, 1, 30, 2, 2};

/* Every truncation and a residue too large are refused. */
static void check_strict(ckks_fixture *f, const hel_writer *w,
			 hel_status (*read)(hel_ct *, hel_reader *))
{
	hel_ct *ct;
	assert_ok(hel_ct_new(&ct, f->params));
	for (size_t size = 0; size < w->size; size += size < 64 ? 1 : 97) {
		hel_reader r = hel_reader_of(w->bytes, size);
		assert_unequal(read(ct, &r), HEL_OK);
	}
	memset(w->bytes + w->size - 64, 0xff, 64); /* residues of 2^30 - 1 */
	hel_reader r = hel_reader_of(w->bytes, w->size);
	assert_status(HEL_EFORMAT, read(ct, &r));
	w->bytes[0] = 9;
	r = hel_reader_of(w->bytes, w->size);
	assert_status(HEL_ELEVEL, read(ct, &r));
	hel_ct_free(ct);
}

static void test_ciphertexts(void **state)
{
	(void)state;
	ckks_fixture f;
	ckks_setup(&f, spec, NULL, 0);
	hel_complex *x = random_slots(&f);
	hel_ct *back;
	assert_ok(hel_ct_new(&back, f.params));
	for (unsigned level = 0; level <= 3; level++) {
		hel_ct *ct = encrypted(&f, x, level);
		hel_writer w = {0};
		hel_ct_write(&w, ct);
		assert_int_equal(HEL_OK, w.status);
		hel_reader r = hel_reader_of(w.bytes, w.size);
		assert_ok(hel_ct_read(back, &r));
		assert_ok(hel_reader_finish(&r));
		assert_near("read back", decrypted_error(&f, back, x), 0x1p-21);
		check_strict(&f, &w, hel_ct_read);
		hel_writer_clear(&w);
		hel_ct_free(ct);
	}
	/* a product must be rescaled first */
	hel_ct *ct = encrypted(&f, x, 2);
	hel_writer w = {0};
	assert_ok(hel_eval_mul(f.ev, ct, ct, ct));
	hel_ct_write(&w, ct);
	assert_int_equal(HEL_ESCALE, w.status);
	hel_writer_clear(&w);
	hel_ct_free(ct);
	hel_ct_free(back);
	hel_free(x);
	ckks_teardown(&f);
}

static void test_seeded(void **state)
{
	(void)state;
	ckks_fixture f;
	ckks_setup(&f, spec, NULL, 0);
	hel_complex *x = random_slots(&f);
	hel_pt *pt;
	hel_ct *ct, *back;
	uint8_t seed[HEL_SEED_BYTES];
	hel_writer w = {0}, full = {0};
	assert_ok(hel_ct_new(&ct, f.params));
	assert_ok(hel_ct_new(&back, f.params));
	assert_ok(hel_encode(&pt, f.params, x, 3, HEL_FOR_ADD));
	assert_ok(hel_encrypt_seeded(ct, seed, f.secret, pt));
	hel_ct_write_seeded(&w, ct, seed);
	hel_ct_write(&full, ct);
	assert_less(w.size, full.size / 2 + 64);
	hel_reader r = hel_reader_of(w.bytes, w.size);
	assert_ok(hel_ct_read_seeded(back, &r));
	assert_memory_equal(ct->part[1], back->part[1], 5 * 64 * 4);
	assert_near("seeded", decrypted_error(&f, back, x), 0x1p-21);
	check_strict(&f, &w, hel_ct_read_seeded);
	/* two encryptions of one message share nothing */
	uint8_t other[HEL_SEED_BYTES];
	assert_ok(hel_encrypt_seeded(back, other, f.secret, pt));
	assert_memory_not_equal(seed, other, HEL_SEED_BYTES);
	assert_memory_not_equal(ct->part[0], back->part[0], 64 * 4);
	hel_writer_clear(&w);
	hel_writer_clear(&full);
	hel_pt_free(pt);
	hel_ct_free(ct);
	hel_ct_free(back);
	hel_free(x);
	ckks_teardown(&f);
}

static void test_sampled(void **state)
{
	(void)state;
	ckks_fixture f;
	ckks_setup(&f, spec, NULL, 0);
	hel_complex *x = hel_alloc(f.slots, sizeof *x);
	for (size_t i = 0; i < f.slots; i++)
		x[i].re = 0.625; /* a constant polynomial */
	hel_ct *ct = encrypted(&f, x, 1), *back;
	assert_ok(hel_ct_new(&back, f.params));
	hel_writer w = {0};
	assert_ok(hel_ct_write_sampled(&w, f.ev, ct, 8));
	hel_reader r = hel_reader_of(w.bytes, w.size);
	uint32_t samples;
	double c[64];
	assert_ok(hel_ct_read_sampled(back, &samples, &r));
	assert_ok(hel_reader_finish(&r));
	assert_int_equal(8, samples);
	assert_ok(hel_decrypt_coefficients(c, 64, f.secret, back));
	for (int i = 0; i < 64; i += 8)
		assert_less(fabs(c[i] - (i ? 0 : 0.625)), 0x1p-22);
	assert_status(HEL_EFORMAT, hel_ct_write_sampled(&w, f.ev, ct, 65));
	assert_status(HEL_EFORMAT, hel_ct_write_sampled(&w, f.ev, ct, 0));
	/* slots that differ, with a power of two up to half the samples as period, or not real,
	 * show */
	for (size_t period = 1; period <= 4; period *= 2) {
		for (size_t i = 0; i < f.slots; i++)
			x[i] = (hel_complex){i & (period / 2) ? -1 : 1, period == 1 ? 0.5 : 0};
		hel_ct *odd = encrypted(&f, x, 1);
		hel_writer bytes = {0};
		double stray = 0;
		assert_ok(hel_ct_write_sampled(&bytes, f.ev, odd, 8));
		r = hel_reader_of(bytes.bytes, bytes.size);
		assert_ok(hel_ct_read_sampled(back, &samples, &r));
		assert_ok(hel_decrypt_coefficients(c, 64, f.secret, back));
		for (int i = 8; i < 64; i += 8)
			stray = fmax(stray, fabs(c[i]));
		print_message("period %zu: %.3g stray\n", period, stray);
		assert_more(stray, 0.1);
		hel_writer_clear(&bytes);
		hel_ct_free(odd);
	}
	hel_writer_clear(&w);
	hel_ct_free(ct);
	hel_ct_free(back);
	hel_free(x);
	ckks_teardown(&f);
}

/* Keys read back work, are truncated as asked, and refuse what is not theirs. */
static void test_keys(void **state)
{
	(void)state;
	ckks_fixture f;
	ckks_setup(&f, spec, NULL, 0);
	hel_key_request requests[] = {{HEL_RELINEARISE, 3},
				      {hel_galois_of_rotation(f.params, 3), 1}};
	hel_keys *keys, *back = NULL;
	assert_ok(hel_keys_generate(&keys, f.secret, requests, 2, NULL));
	hel_writer w = {0};
	hel_keys_write(&w, keys);
	assert_int_equal(HEL_OK, w.status);
	hel_reader r = hel_reader_of(w.bytes, w.size);
	assert_ok(hel_keys_read(&back, f.params, &r));
	hel_eval *ev;
	assert_ok(hel_eval_new(&ev, f.params, back, NULL));
	hel_complex *x = random_slots(&f), *y = hel_alloc(f.slots, sizeof *y);
	hel_ct *ct = encrypted(&f, x, 3), *low;
	assert_ok(hel_ct_new(&low, f.params));
	assert_status(HEL_EKEY, hel_eval_rotate(ev, low, ct, 3)); /* its key ends at level 1 */
	assert_ok(hel_eval_drop(ev, low, ct, 1));
	assert_ok(hel_eval_rotate(ev, low, low, 3));
	for (size_t i = 0; i < f.slots; i++)
		y[i] = x[(i + 3) % f.slots];
	assert_near("rotated by a key read back", decrypted_error(&f, low, y), 0x1p-19);
	assert_ok(hel_eval_mul(ev, ct, ct, ct));
	hel_eval_free(ev);
	hel_keys_free(back);
	back = NULL;
	for (size_t size = 0; size < w.size; size += size < 128 ? 1 : 997) {
		r = hel_reader_of(w.bytes, size);
		assert_unequal(hel_keys_read(&back, f.params, &r), HEL_OK);
	}
	w.bytes[0] ^= 1; /* the fingerprint */
	r = hel_reader_of(w.bytes, w.size);
	assert_status(HEL_EPARAMS, hel_keys_read(&back, f.params, &r));
	w.bytes[0] ^= 1;
	memset(w.bytes + w.size - 40, 0xff, 40);
	r = hel_reader_of(w.bytes, w.size);
	assert_status(HEL_EFORMAT, hel_keys_read(&back, f.params, &r));
	assert_null(back);
	requests[1].galois = HEL_RELINEARISE;
	assert_status(HEL_EINVAL, hel_keys_generate(&back, f.secret, requests, 2, NULL));
	hel_writer_clear(&w);
	hel_keys_free(keys);
	hel_ct_free(ct);
	hel_ct_free(low);
	hel_free(x);
	hel_free(y);
	ckks_teardown(&f);
}

/* What applications save and load. */
static void test_files(void **state)
{
	(void)state;
	ckks_fixture f, other;
	static const long steps[] = {3};
	ckks_setup(&f, spec, steps, 1);
	ckks_setup(&other, (hel_params_spec){6, 2, 1, 30, 2, 2}, NULL, 0);
	uint8_t *bytes[4] = {0};
	size_t size[4];
	hel_secret_key *secret = NULL;
	hel_public_key *public = NULL;
	hel_keys *keys = NULL;
	hel_ct *ct, *back = NULL;
	hel_complex *x = random_slots(&f), *y = hel_alloc(f.slots, sizeof *y);
	ct = encrypted(&f, x, 2);
	assert_ok(hel_public_key_new(&public, f.secret, 1));
	assert_ok(hel_secret_key_save(&bytes[0], &size[0], f.secret));
	assert_ok(hel_public_key_save(&bytes[1], &size[1], public));
	assert_ok(hel_keys_save(&bytes[2], &size[2], f.keys));
	assert_ok(hel_ct_save(&bytes[3], &size[3], ct));
	assert_int_equal(112, size[0]); /* as ckks.h says */
	hel_public_key_free(public);
	public = NULL;
	/* each in the place of the others, and its own with other parameters */
	for (int i = 0; i < 4; i++) {
		const hel_params *p = other.params;
		const hel_status got[4] = {hel_secret_key_load(&secret, p, bytes[i], size[i]),
					   hel_public_key_load(&public, p, bytes[i], size[i]),
					   hel_keys_load(&keys, p, bytes[i], size[i]),
					   hel_ct_load(&back, p, bytes[i], size[i])};
		for (int place = 0; place < 4; place++)
			assert_int_equal(i == place ? HEL_EPARAMS : HEL_EFORMAT, got[place]);
	}
	assert_true(!secret && !public && !keys && !back);
	for (size_t cut = 1; cut < size[0]; cut++)
		assert_status(HEL_ETRUNC,
			      hel_secret_key_load(&secret, f.params, bytes[0], size[0] - cut));
	bytes[0][50] ^= 1;
	assert_status(HEL_EHASH, hel_secret_key_load(&secret, f.params, bytes[0], size[0]));
	bytes[0][50] ^= 1;
	/* read back, they work together */
	assert_ok(hel_secret_key_load(&secret, f.params, bytes[0], size[0]));
	assert_ok(hel_public_key_load(&public, f.params, bytes[1], size[1]));
	assert_ok(hel_keys_load(&keys, f.params, bytes[2], size[2]));
	assert_ok(hel_ct_load(&back, f.params, bytes[3], size[3]));
	assert_int_equal(2, hel_ct_level(back));
	hel_eval *ev;
	assert_ok(hel_eval_new(&ev, f.params, keys, NULL));
	assert_ok(hel_eval_rotate(ev, back, back, 3));
	for (size_t i = 0; i < f.slots; i++)
		y[i] = x[(i + 3) % f.slots];
	assert_near("loaded and rotated", decrypted_error(&f, back, y), 0x1p-19);
	assert_ok(hel_decrypt(y, secret, ct));
	for (size_t i = 0; i < f.slots; i++)
		assert_within(y[i].re, x[i].re, 0x1p-19);
	assert_ok(hel_eval_mul(ev, back, back, back));
	uint8_t *none = NULL;
	size_t nothing = 0;
	assert_status(HEL_ESCALE, hel_ct_save(&none, &nothing, back));
	assert_null(none);
	for (int i = 0; i < 4; i++)
		hel_bytes_free(bytes[i], size[i]);
	hel_bytes_free(NULL, 0);
	hel_eval_free(ev);
	hel_secret_key_free(secret);
	hel_public_key_free(public);
	hel_keys_free(keys);
	hel_ct_free(ct);
	hel_ct_free(back);
	hel_free(x);
	hel_free(y);
	ckks_teardown(&other);
	ckks_teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ciphertexts), cmocka_unit_test(test_seeded),
	    cmocka_unit_test(test_sampled),	cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
