/* Base conversion, ModUp and ModDown against 128-bit integers. */
#include "../testing.h"
#include "ring/ring.h"

#define LOG_N 5
#define N (1u << LOG_N)

__extension__ typedef __int128 i128;

static uint32_t mod(i128 v, uint32_t q)
{
	i128 r = v % q;
	return (uint32_t)(r < 0 ? r + q : r);
}

static i128 random_wide(hel_prng *g, i128 below)
{
	u128 v = (u128)hel_prng_u64(g) << 64 | hel_prng_u64(g);
	return (i128)(v % (u128)below);
}

static void make_ring(hel_ring *ring, size_t chain, size_t special)
{
	uint32_t q[16];
	assert_int_equal(chain + special, hel_primes_find(q, chain + special, LOG_N, 1u << 30));
	assert_ok(hel_ring_init(ring, LOG_N, q, chain, special));
}

/* The number a conversion must give for x in [0, Q). */
static i128 lifted(const hel_bconv *bc, i128 x, i128 q_product)
{
	if (bc->exact)
		return 2 * x > q_product ? x - q_product : x;
	i128 sum = 0;
	for (size_t i = 0; i < bc->count; i++) {
		const uint32_t q = bc->from[i]->q;
		const i128 hat = q_product / q;
		i128 y = hel_mod_mul(mod(x, q), hel_mod_inv(mod(hat, q), q), q);
		sum += (y > q / 2 ? y - q : y) * hat;
	}
	return sum;
}

/* x in [0, Q) of a run of up to four primes: an exact lift lies in (-Q/2, Q/2], the other is the
 * centred sum. */
static void test_mod_up(void **state)
{
	(void)state;
	hel_prng g;
	test_prng(&g, 1);
	for (size_t run = 1; run <= 4; run++)
		for (size_t first = 0; first + run <= 6; first += run)
			for (int exact = 0; exact < 2; exact++) {
				hel_ring ring;
				hel_bconv bc;
				make_ring(&ring, 6, 2);
				assert_ok(hel_bconv_init(&bc, &ring, first, run, false, exact));
				i128 q_product = 1, x[N];
				for (size_t i = 0; i < run; i++)
					q_product *= ring.prime[first + i].q;
				uint32_t *c = hel_alloc(6 * N, 4), *y = hel_alloc(5 * N, 4);
				for (size_t j = 0; j < N; j++) {
					/* beside random values both ends; the very middle may
					 * round either way */
					x[j] = j < 2   ? (i128)j * (q_product - 1)
					       : j < 4 ? q_product / 2 +
							     (j == 2 ? -1 : 1) * (q_product >> 20)
						       : random_wide(&g, q_product);
					for (size_t i = 0; i < 6; i++)
						c[i * N + j] = mod(x[j], ring.prime[i].q);
				}
				hel_ring_ntt(&ring, c, 0, 6, NULL);
				for (size_t i = 0; i < run; i++)
					hel_bconv_prepare(&ring, &bc, y + i * N,
							  c + (first + i) * N, i);
				ring.k->quotient(y + run * N, y, bc.fixed, run, N);
				for (size_t i = 0; i < 8; i++) {
					uint32_t out[N] __attribute__((aligned(64)));
					const hel_conversion up = hel_bconv_to(&bc, y, N, i);
					ring.k->raise(out, &up, ring.at[i]);
					ring.k->ntt_inverse(out, out, NULL, false, ring.at + i, 1);
					for (size_t j = 0; j < N; j++)
						assert_int_equal(mod(lifted(&bc, x[j], q_product),
								     ring.prime[i].q),
								 out[j]);
				}
				hel_free(c);
				hel_free(y);
				hel_bconv_clear(&bc);
				hel_ring_clear(&ring);
			}
}

static void test_mod_down_rounds(void **state)
{
	(void)state;
	hel_prng g;
	test_prng(&g, 2);
	for (size_t run = 1; run <= 2; run++) {
		hel_ring ring;
		hel_bconv bc;
		make_ring(&ring, 2, run);
		assert_ok(hel_bconv_init(&bc, &ring, 2, 0, true, true));
		i128 p = 1, x[N];
		for (size_t i = 0; i < run; i++)
			p *= ring.prime[2 + i].q;
		const i128 q = (i128)ring.prime[0].q * ring.prime[1].q;
		uint32_t *a = hel_alloc((2 + run) * N, 4),
			 *scratch = hel_alloc(hel_ring_mod_down_words(&ring, run, NULL), 4);
		const hel_factor g_[2] = {hel_factor_of(5, ring.prime[0].q),
					  hel_factor_of(5, ring.prime[1].q)};
		for (size_t j = 0; j < N; j++) {
			x[j] = random_wide(&g, q * p);
			for (size_t i = 0; i < 2 + run; i++)
				a[i * N + j] = mod(x[j], ring.prime[i].q);
		}
		hel_ring_ntt(&ring, a, 0, 2 + run, NULL);
		/* in place, and with five times itself added */
		hel_ring_mod_down(&ring, &bc,
				  &(hel_mod_down_part){a, a, a + 2 * N, run == 2 ? a : NULL, g_}, 1,
				  2, scratch, NULL);
		hel_ring_intt(&ring, a, 0, 2, NULL);
		for (size_t j = 0; j < N; j++)
			for (size_t i = 0; i < 2; i++)
				assert_int_equal(
				    mod((x[j] + p / 2) / p + (run == 2 ? 5 * (x[j] % q) : 0),
					ring.prime[i].q),
				    a[i * N + j]);
		hel_free(a);
		hel_free(scratch);
		hel_bconv_clear(&bc);
		hel_ring_clear(&ring);
	}
}

static void test_init_refuses(void **state)
{
	(void)state;
	hel_ring ring;
	uint32_t q[2];
	assert_int_equal(2, hel_primes_find(q, 2, LOG_N, 1u << 30));
	uint32_t twice[2] = {q[0], q[0]}, even[1] = {1u << 29};
	assert_status(HEL_EINVAL, hel_ring_init(&ring, LOG_N, twice, 2, 0));
	assert_status(HEL_EINVAL, hel_ring_init(&ring, LOG_N, even, 1, 0));
	assert_status(HEL_EINVAL, hel_ring_init(&ring, LOG_N, q, 0, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_mod_up),
	    cmocka_unit_test(test_mod_down_rounds),
	    cmocka_unit_test(test_init_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
