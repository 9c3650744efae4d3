/* Checks every backend against scalar bit for bit, and times it: `test_kernels --bench`. */
#include "../testing.h"
#include "arith/arith.h"

#define LIMBS 3

typedef struct fixture {
	hel_prime prime[LIMBS];
	const hel_prime *at[LIMBS];
	uint32_t n, *a, *b, *r, *s;
} fixture;

static void setup(fixture *f, unsigned log_n, uint32_t below)
{
	uint32_t q[LIMBS];
	assert_int_equal(LIMBS, hel_primes_find(q, LIMBS, log_n, below));
	for (int i = 0; i < LIMBS; i++) {
		assert_ok(hel_prime_init(&f->prime[i], q[i], log_n));
		f->at[i] = &f->prime[i];
	}
	f->n = 1u << log_n;
	f->a = hel_alloc(4 * LIMBS * (size_t)f->n, sizeof *f->a);
	assert_non_null(f->a);
	f->b = f->a + LIMBS * (size_t)f->n;
	f->r = f->b + LIMBS * (size_t)f->n;
	f->s = f->r + LIMBS * (size_t)f->n;
}

static void teardown(fixture *f)
{
	hel_free(f->a);
	for (int i = 0; i < LIMBS; i++)
		hel_prime_clear(&f->prime[i]);
}

typedef enum pattern { RANDOM, ZERO, LARGEST, EDGES } pattern;

static void fill(fixture *f, pattern kind, hel_prng *g)
{
	for (size_t i = 0; i < LIMBS * (size_t)f->n; i++) {
		uint32_t q = f->prime[i / f->n].q;
		uint64_t x = hel_prng_u64(g);
		uint32_t edge[4] = {0, 1, q - 1, q / 2};
		f->a[i] = kind == RANDOM    ? (uint32_t)(x % q)
			  : kind == ZERO    ? 0
			  : kind == LARGEST ? q - 1
					    : edge[x & 3];
		f->b[i] = kind == EDGES	   ? edge[x >> 2 & 3]
			  : kind == RANDOM ? (uint32_t)((x >> 32) % q)
					   : f->a[i];
	}
}

static void same(const fixture *f, const char *what, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (f->r[i] != f->s[i])
			fail_msg("%s n=%u: [%zu] %u, scalar %u", what, f->n, i, f->r[i], f->s[i]);
}

static void check_backend(const hel_kernels *k, fixture *f, pattern kind, hel_prng *g)
{
	const hel_kernels *c = &hel_kernels_scalar;
	const size_t all = LIMBS * (size_t)f->n;
	fill(f, kind, g);
	hel_factor factor[LIMBS];
	for (int i = 0; i < LIMBS; i++)
		factor[i] = hel_factor_of(
		    kind == RANDOM ? f->b[i] % f->prime[i].q : f->prime[i].q - 1, f->prime[i].q);

#define UNARY(op)                                                                                  \
	memcpy(f->r, f->a, all * 4);                                                               \
	memcpy(f->s, f->a, all * 4);                                                               \
	k->op(f->r, f->at, LIMBS);                                                                 \
	c->op(f->s, f->at, LIMBS);                                                                 \
	same(f, #op, all)
	UNARY(ntt_forward);
	UNARY(ntt_inverse);
#define BINARY(op)                                                                                 \
	memcpy(f->r, f->b, all * 4);                                                               \
	memcpy(f->s, f->b, all * 4);                                                               \
	k->op(f->r, f->a, f->b, f->at, LIMBS);                                                     \
	c->op(f->s, f->a, f->b, f->at, LIMBS);                                                     \
	same(f, #op, all)
	BINARY(add);
	BINARY(sub);
	BINARY(mont_mul);
	BINARY(mont_mac);
	k->to_mont(f->r, f->a, f->at, LIMBS);
	c->to_mont(f->s, f->a, f->at, LIMBS);
	same(f, "to_mont", all);
	k->scale(f->r, f->a, factor, f->at, LIMBS);
	c->scale(f->s, f->a, factor, f->at, LIMBS);
	same(f, "scale", all);
	k->sub_scale(f->r, f->a, f->b, factor, f->at, LIMBS);
	c->sub_scale(f->s, f->a, f->b, factor, f->at, LIMBS);
	same(f, "sub_scale", all);

	for (size_t count = 1; count <= 40; count += count < 16 ? 1 : 6) {
		const uint32_t *x[40], *y[40];
		uint32_t constant[41], inv[40];
		const uint32_t q = f->prime[0].q;
		uint32_t *big = hel_alloc(count * f->n, sizeof *big);
		assert_non_null(big);
		for (size_t j = 0; j < count; j++) {
			x[j] = f->a;
			y[j] = f->b;
			constant[j] = kind == RANDOM ? f->a[j % f->n] : q - 1;
			inv[j] = (uint32_t)((1ull << 56) / q);
			memcpy(big + j * f->n, f->a, f->n * 4);
		}
		constant[count] = q - 1;
		hel_dot_terms terms = {x, y, count};
		k->dot(f->r, &terms, f->at[0]);
		c->dot(f->s, &terms, f->at[0]);
		same(f, "dot", f->n);
		k->convert(f->r, big, f->a, constant, count, f->at[0]);
		c->convert(f->s, big, f->a, constant, count, f->at[0]);
		same(f, "convert", f->n);
		k->quotient(f->r, big, inv, count, f->n);
		c->quotient(f->s, big, inv, count, f->n);
		same(f, "quotient", f->n);
		hel_free(big);
	}
	static const uint32_t galois[] = {5, 25, 3};
	for (size_t i = 0; i <= HEL_ARRAY_LEN(galois); i++) {
		hel_permutation p;
		uint32_t g_ = i < HEL_ARRAY_LEN(galois) ? galois[i] : 2 * f->n - 1;
		assert_ok(hel_permutation_init(&p, g_, f->prime[0].log_n));
		k->permute(f->r, f->a, &p, f->n, LIMBS);
		c->permute(f->s, f->a, &p, f->n, LIMBS);
		same(f, "permute", all);
		for (size_t count = 1; count <= 31; count += 6) {
			const uint32_t *x[31], *y[31];
			for (size_t j = 0; j < count; j++)
				x[j] = f->a, y[j] = f->b;
			const hel_key_terms terms = {x, y, x, count};
			for (int add = 0; add < 2; add++) {
				const hel_permutation *moved = count % 4 == 1 ? NULL : &p;
				memcpy(f->r, f->a, all * 4);
				memcpy(f->s, f->a, all * 4);
				k->key_product(f->r, f->r + f->n, &terms, moved, add, f->at[0]);
				c->key_product(f->s, f->s + f->n, &terms, moved, add, f->at[0]);
				same(f, "key_product", 2 * f->n);
				/* against dot and permute */
				const hel_dot_terms plain = {x, y, count};
				c->dot(f->r + f->n, &plain, f->at[0]);
				if (moved)
					c->permute(f->r, f->r + f->n, moved, f->n, 1);
				else
					memcpy(f->r, f->r + f->n, f->n * 4);
				if (add)
					c->add(f->r, f->r, f->a, f->at, 1);
				same(f, "key_product in parts", f->n);
			}
		}
		hel_permutation_clear(&p);
	}
}

static void test_backends_match_scalar(void **state)
{
	(void)state;
	hel_prng g;
	test_prng(&g, 1);
	static const char *const names[] = {"scalar", "avx2"};
	static const uint32_t below[] = {1u << 30, 1u << 27};
	for (size_t b = 0; b < HEL_ARRAY_LEN(names); b++) {
		const hel_kernels *k = hel_kernels_by_name(names[b]);
		if (!k) {
			print_message("backend %s does not run here\n", names[b]);
			continue;
		}
		for (unsigned log_n = 4; log_n <= 14; log_n += log_n < 12 ? 1 : 2)
			for (size_t w = 0; w < HEL_ARRAY_LEN(below); w++)
				for (pattern kind = RANDOM; kind <= EDGES; kind++) {
					fixture f;
					setup(&f, log_n, below[w]);
					check_backend(k, &f, kind, &g);
					teardown(&f);
				}
	}
}

/* dot and mont_mul against plain 128-bit arithmetic */
static void test_scalar_arithmetic(void **state)
{
	(void)state;
	hel_prng g;
	test_prng(&g, 2);
	fixture f;
	setup(&f, 5, 1u << 30);
	fill(&f, RANDOM, &g);
	const hel_prime *p = f.at[0];
	hel_kernels_scalar.to_mont(f.s, f.b, f.at, 1);
	hel_kernels_scalar.mont_mul(f.r, f.a, f.s, f.at, 1);
	for (uint32_t i = 0; i < f.n; i++) {
		assert_int_equal(f.r[i], hel_mod_mul(f.a[i], f.b[i], p->q));
		assert_int_equal(f.s[i], hel_to_mont(f.b[i], p->q));
	}
	const uint32_t *x[33], *y[33];
	for (int j = 0; j < 33; j++)
		x[j] = f.a, y[j] = f.s;
	hel_dot_terms terms = {x, y, 33};
	hel_kernels_scalar.dot(f.r, &terms, p);
	for (uint32_t i = 0; i < f.n; i++)
		assert_int_equal(f.r[i], hel_mod_mul(hel_mod_mul(f.a[i], f.b[i], p->q), 33, p->q));
	teardown(&f);
}

/* NTT product against the schoolbook product mod X^n + 1 */
static void test_ntt_is_negacyclic_product(void **state)
{
	(void)state;
	hel_prng g;
	test_prng(&g, 3);
	for (unsigned log_n = 4; log_n <= 9; log_n++) {
		fixture f;
		setup(&f, log_n, 1u << 30);
		fill(&f, RANDOM, &g);
		const uint32_t q = f.prime[0].q, n = f.n;
		memset(f.s, 0, n * 4);
		for (uint32_t i = 0; i < n; i++)
			for (uint32_t j = 0; j < n; j++) {
				uint32_t v = hel_mod_mul(f.a[i], f.b[j], q),
					 *to = &f.s[(i + j) % n];
				*to = (*to + (i + j < n ? v : q - v)) % q;
			}
		const hel_kernels *k = hel_kernels_get();
		k->ntt_forward(f.a, f.at, 1);
		k->ntt_forward(f.b, f.at, 1);
		k->to_mont(f.b, f.b, f.at, 1);
		k->mont_mul(f.r, f.a, f.b, f.at, 1);
		k->ntt_inverse(f.r, f.at, 1);
		same(&f, "product", n);
		teardown(&f);
	}
}

/* permute on NTT values against X -> X^g on coefficients */
static void test_permute_is_automorphism(void **state)
{
	(void)state;
	hel_prng g;
	test_prng(&g, 4);
	for (unsigned log_n = 4; log_n <= 10; log_n++)
		for (uint32_t galois = 3; galois < 200 && galois < 2u << log_n; galois += 14) {
			fixture f;
			setup(&f, log_n, 1u << 30);
			fill(&f, RANDOM, &g);
			const uint32_t q = f.prime[0].q, n = f.n;
			for (uint32_t i = 0; i < n; i++) {
				uint32_t e = (uint32_t)((uint64_t)i * galois % (2 * n));
				f.s[e % n] = e < n ? f.a[i] : (q - f.a[i]) % q;
			}
			hel_permutation p;
			assert_ok(hel_permutation_init(&p, galois, log_n));
			const hel_kernels *k = hel_kernels_get();
			k->ntt_forward(f.a, f.at, 1);
			k->permute(f.r, f.a, &p, n, 1);
			k->ntt_inverse(f.r, f.at, 1);
			same(&f, "automorphism", n);
			hel_permutation_clear(&p);
			teardown(&f);
		}
}

static void test_primes(void **state)
{
	(void)state;
	uint32_t q[8];
	assert_int_equal(8, hel_primes_find(q, 8, 13, 1u << 30));
	for (int i = 0; i < 8; i++) {
		assert_true(q[i] % (1u << 14) == 1 && q[i] < 1u << 30);
		for (uint32_t d = 3; d * d <= q[i]; d += 2)
			assert_true(q[i] % d);
		assert_true(i == 0 || q[i] < q[i - 1]);
	}
	hel_prime p;
	assert_status(HEL_EINVAL, hel_prime_init(&p, q[0] + 2, 13));
	assert_status(HEL_EINVAL, hel_prime_init(&p, q[0], 29));
	uint32_t count = 0;
	for (uint32_t i = 0; i < 10000; i++)
		count += hel_is_prime(i);
	assert_int_equal(1229, count);		 /* pi(10^4) */
	assert_false(hel_is_prime(3215031751u)); /* strong pseudoprime to bases 2, 3, 5, 7 */
}

static double time_it(void (*fn)(fixture *, const hel_kernels *), fixture *f, const hel_kernels *k)
{
	double best[21];
	for (int r = 0; r < 21; r++) {
		double start = hel_clock();
		for (int i = 0; i < 10; i++)
			fn(f, k);
		best[r] = (hel_clock() - start) / 10;
		for (int i = r; i > 0 && best[i] < best[i - 1]; i--) {
			double t = best[i];
			best[i] = best[i - 1];
			best[i - 1] = t;
		}
	}
	return best[10] * 1e6 / LIMBS;
}

static void run_forward(fixture *f, const hel_kernels *k)
{
	k->ntt_forward(f->a, f->at, LIMBS);
}
static void run_inverse(fixture *f, const hel_kernels *k)
{
	k->ntt_inverse(f->a, f->at, LIMBS);
}
static void run_mul(fixture *f, const hel_kernels *k)
{
	k->mont_mul(f->r, f->a, f->b, f->at, LIMBS);
}
static void run_mac(fixture *f, const hel_kernels *k)
{
	k->mont_mac(f->r, f->a, f->b, f->at, LIMBS);
}

static void bench(void)
{
	static const char *const names[] = {"scalar", "avx2"};
	hel_prng g;
	test_prng(&g, 5);
	printf("%-8s %6s %12s %12s %12s %12s   (median us per limb)\n", "backend", "log n",
	       "ntt_forward", "ntt_inverse", "mont_mul", "mont_mac");
	for (size_t b = 0; b < HEL_ARRAY_LEN(names); b++)
		for (unsigned log_n = 12; hel_kernels_by_name(names[b]) && log_n <= 16; log_n++) {
			const hel_kernels *k = hel_kernels_by_name(names[b]);
			fixture f;
			setup(&f, log_n, 1u << 30);
			fill(&f, RANDOM, &g);
			printf("%-8s %6u %12.2f %12.2f %12.2f %12.2f\n", k->name, log_n,
			       time_it(run_forward, &f, k), time_it(run_inverse, &f, k),
			       time_it(run_mul, &f, k), time_it(run_mac, &f, k));
			teardown(&f);
		}
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
		bench();
		return 0;
	}
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_primes),
	    cmocka_unit_test(test_scalar_arithmetic),
	    cmocka_unit_test(test_ntt_is_negacyclic_product),
	    cmocka_unit_test(test_permute_is_automorphism),
	    cmocka_unit_test(test_backends_match_scalar),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
