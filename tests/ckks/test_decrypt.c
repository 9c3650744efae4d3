/* Decryption to coefficients against 128-bit integers, up to the ends of what fits. */
#include "fixture.h"

__extension__ typedef __int128 i128;

static uint32_t residue_of(i128 v, uint32_t q)
{
	const i128 r = v % q;
	return (uint32_t)(r < 0 ? r + q : r);
}

/* The ciphertext (v, 0): its coefficients decrypt to v / scale. */
static void put(hel_ct *ct, const i128 *v, unsigned level)
{
	const hel_params *p = ct->params;
	const size_t n = p->ring.n, limbs = p->limbs[level];
	for (size_t l = 0; l < limbs; l++)
		for (size_t i = 0; i < n; i++)
			ct->part[0][l * n + i] = residue_of(v[i], p->ring.prime[l].q);
	hel_ring_ntt(&p->ring, ct->part[0], 0, limbs, NULL);
	memset(ct->part[1], 0, limbs * n * sizeof *ct->part[1]);
	ct->level = level;
	ct->scale = p->scale[level];
}

static void check_level(ckks_fixture *f, unsigned level)
{
	const hel_params *p = f->params;
	const size_t n = p->ring.n;
	i128 product = 1, *v = hel_alloc(n, sizeof *v);
	double *got = hel_alloc(n, sizeof *got);
	hel_ct *ct;
	assert_non_null(v);
	assert_non_null(got);
	assert_ok(hel_ct_new(&ct, p));
	for (size_t l = 0; l < HEL_MIN(p->limbs[level], (size_t)4); l++)
		product *= p->ring.prime[l].q;
	const i128 half = product / 2; /* odd: values lie in [-half, half] */
	const i128 edge[] = {0, 1, -1, half, -half, half - 1, 1 - half};
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < n; i++) {
			i128 x = (i128)((u128)hel_prng_u64(&f->g) << 64 | hel_prng_u64(&f->g));
			v[i] = i < HEL_ARRAY_LEN(edge)
				   ? edge[i]
				   : x % (half >> hel_prng_u64(&f->g) % 60 | 1); /* of all sizes */
		}
		for (int k = 0; k < 4 && (i128)1 << (16 * k + 15) < half; k++) { /* at word ends */
			v[HEL_ARRAY_LEN(edge) + (size_t)k] = (i128)1 << (16 * k + 15);
			v[HEL_ARRAY_LEN(edge) + 4 + (size_t)k] = -((i128)1 << (16 * k + 15));
		}
		put(ct, v, level);
		assert_ok(hel_decrypt_coefficients(got, n, f->secret, ct));
		for (size_t i = 0; i < n; i++) {
			const double want = (double)v[i] / ct->scale;
			assert_at_most(fabs(got[i] - want), 0x1p-50 * fabs(want));
		}
	}
	hel_ct_free(ct);
	hel_free(v);
	hel_free(got);
}

static void test_against_wide_integers(void **state)
{
	(void)state;
	static const hel_params_spec specs[] = {
	    {5, 4, 1, 30, 1, 1},
	    {5, 3, 1, 25, 2, 2}, /* small primes beside large ones */
	    {5, 2, 2, 58, 3, 3},
	};
	for (size_t s = 0; s < HEL_ARRAY_LEN(specs); s++) {
		ckks_fixture f;
		ckks_setup(&f, specs[s], NULL, 0);
		for (unsigned level = 0; level <= specs[s].levels; level++)
			check_level(&f, level);
		ckks_teardown(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_wide_integers)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
