/* Checks every backend against scalar bit for bit, and times it: `test_kernels --bench`. */
#include "../testing.h"
#include "arith/arith.h"
#include "emulated.h"

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

static void check_fft(const hel_kernels *k, size_t n, hel_prng *g)
{
	double *v = hel_alloc(6 * n, sizeof *v), *w = v + 4 * n;
	assert_non_null(v);
	for (size_t i = 0; i < 2 * n; i++) {
		v[i] = v[2 * n + i] = hel_prng_normal(g);
		w[i] = hel_prng_normal(g);
	}
	k->fft_forward(v, v + n, w, w + n, n);
	hel_kernels_scalar.fft_forward(v + 2 * n, v + 3 * n, w, w + n, n);
	assert_memory_equal(v, v + 2 * n, 2 * n * sizeof *v);
	k->fft_inverse(v, v + n, w, w + n, n);
	hel_kernels_scalar.fft_inverse(v + 2 * n, v + 3 * n, w, w + n, n);
	assert_memory_equal(v, v + 2 * n, 2 * n * sizeof *v);
	hel_free(v);
}

/* Sums over tiles, as many terms as vectors have, against sums of products. */
static void check_tiles(const hel_kernels *k, fixture *f, pattern kind)
{
	const hel_prime *p = f->at[0];
	const hel_kernels *c = &hel_kernels_scalar;
	enum { MOST = 140 };
	uint32_t *x = hel_alloc(3 * MOST * HEL_TILE, sizeof *x);
	assert_non_null(x);
	uint32_t *y0 = x + MOST * HEL_TILE, *y1 = y0 + MOST * HEL_TILE;
	for (size_t i = 0; i < 3 * MOST * HEL_TILE; i++)
		x[i] = kind == LARGEST ? p->q - 1 : f->a[i * 7 % f->n];
	static const size_t counts[] = {1, 4, 15, 16, 26, 27, 64, 128, MOST};
	for (size_t i = 0; i < HEL_ARRAY_LEN(counts); i++) {
		k->tile_product(f->r, f->r + HEL_TILE, x, y0, y1, counts[i], p);
		c->tile_product(f->s, f->s + HEL_TILE, x, y0, y1, counts[i], p);
		if (f->n >= 2 * HEL_TILE)
			same(f, "tile_product", 2 * HEL_TILE);
		for (size_t j = 0; j < 2 * HEL_TILE; j++) {
			uint64_t sum = 0;
			const size_t at = j % HEL_TILE;
			const uint32_t *y = j < HEL_TILE ? y0 : y1;
			for (size_t t = 0; t < counts[i]; t++)
				sum +=
				    hel_mod_mul(x[t * HEL_TILE + at], y[t * HEL_TILE + at], p->q);
			assert_int_equal(sum % p->q, hel_to_mont(f->r[j], p->q));
		}
	}
	hel_free(x);
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
	for (int given = 0; given < 2; given++) {
		const hel_factor *last = given ? factor : NULL;
		k->ntt_inverse(f->r, f->a, last, given, f->at, LIMBS);
		c->ntt_inverse(f->s, f->a, last, given, f->at, LIMBS);
		same(f, "ntt_inverse", all);
		memcpy(f->r, f->a, all * 4);
		k->ntt_inverse(f->r, f->r, last, given, f->at, LIMBS);
		same(f, "ntt_inverse in place", all);
	}
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
	memcpy(f->r, f->b, all * 4);
	memcpy(f->s, f->b, all * 4);
	k->scale_add(f->r, f->a, factor, f->at, LIMBS);
	c->scale_add(f->s, f->a, factor, f->at, LIMBS);
	same(f, "scale_add", all);
	const uint32_t *const pair_a[2] = {f->a, f->b}, *const pair_b[2] = {f->b, f->b};
	k->tensor((uint32_t *const[3]){f->r, f->r + f->n, f->r + 2 * f->n}, pair_a, pair_b,
		  f->at[0]);
	c->tensor((uint32_t *const[3]){f->s, f->s + f->n, f->s + 2 * f->n}, pair_a, pair_b,
		  f->at[0]);
	same(f, "tensor", 3 * f->n);

	for (size_t count = 1; count <= 40; count += count < 16 ? 1 : 6) {
		uint32_t constant[40], inv[40];
		const uint32_t q = f->prime[0].q;
		uint32_t *big = hel_alloc(count * f->n, sizeof *big);
		assert_non_null(big);
		for (size_t j = 0; j < count; j++) {
			constant[j] = kind == RANDOM ? f->a[j % f->n] : q - 1;
			inv[j] = (uint32_t)((1ull << (32 + HEL_QUOTIENT_BITS)) / q);
			memcpy(big + j * f->n, f->a, f->n * 4);
		}
		for (int exact = 0; exact < 2; exact++) {
			const hel_conversion conversion = {big, exact ? f->a : NULL, constant,
							   count, q - 1};
			k->raise(f->r, &conversion, f->at[0]);
			c->raise(f->s, &conversion, f->at[0]);
			same(f, "raise", f->n);
			for (int with = 0; with < 2; with++) {
				const hel_division d = {conversion, f->b, with ? f->a : NULL,
							factor[0], factor[0]};
				k->lower(f->r, &d, f->r + f->n, f->at[0]);
				c->lower(f->s, &d, f->s + f->n, f->at[0]);
				same(f, "lower", f->n);
			}
		}
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
			for (int add = 0; add < 4; add++) {
				const hel_key_terms terms = {
				    x, y, x, count, add & 2 ? f->b : NULL, f->prime[0].q - 1};
				const hel_permutation *moved = count % 4 == 1 ? NULL : &p;
				memcpy(f->r, f->a, all * 4);
				memcpy(f->s, f->a, all * 4);
				k->key_product(f->r, f->r + f->n, &terms, moved, add & 1, f->at[0]);
				c->key_product(f->s, f->s + f->n, &terms, moved, add & 1, f->at[0]);
				same(f, "key_product", 2 * f->n);
				if (add & 2)
					continue;
				/* against products, added up, and permute */
				c->mont_mul(f->r + f->n, x[0], y[0], f->at, 1);
				for (size_t j = 1; j < count; j++)
					c->mont_mac(f->r + f->n, x[j], y[j], f->at, 1);
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
	check_tiles(k, f, kind);
	/* any words; residues of negative numbers lie below 2^62 */
	for (size_t i = 0; i < f->n; i++) {
		f->b[i] = kind == LARGEST ? UINT32_MAX : (uint32_t)hel_prng_u64(g);
		f->a[i] = kind == ZERO ? 0 : (uint32_t)hel_prng_u64(g) >> 1;
	}
	const hel_words_factor words = hel_words_factor_of(f->prime[0].r2, f->prime[0].q);
	k->residues(f->r, f->a, f->b, words, f->at[0]);
	c->residues(f->s, f->a, f->b, words, f->at[0]);
	same(f, "residues", f->n);
	check_fft(k, f->n, g);
}

static void test_backends_match_scalar(void **state)
{
	(void)state;
	hel_prng g;
	test_prng(&g, 1);
	static const uint32_t below[] = {1u << 30, 1u << 27};
	static const char *const names[] = {"scalar", "avx2", "avx512", "neon", "wasm"};
	const hel_kernels *backends[HEL_ARRAY_LEN(names) + 2];
	for (size_t b = 0; b < HEL_ARRAY_LEN(names); b++)
		backends[b] = hel_kernels_by_name(names[b]);
	const hel_kernels **const emulated = backends + HEL_ARRAY_LEN(names);
	emulated[0] = &hel_kernels_emulated;
	emulated[1] = &hel_kernels_emulated_quads;
	for (size_t b = 0; b < HEL_ARRAY_LEN(backends); b++) {
		if (!backends[b]) {
			print_message("backend %s does not run here\n", names[b]);
			continue;
		}
		/* emulation is slow; 2^13 has every pass that there is */
		const bool slow = backends + b >= emulated;
		for (unsigned log_n = 4; log_n <= 14; log_n += log_n < (slow ? 8 : 12) ? 1
							       : slow		       ? 5
										       : 2)
			for (size_t w = 0; w < HEL_ARRAY_LEN(below); w++)
				for (pattern kind = RANDOM; kind <= EDGES; kind++) {
					fixture f;
					setup(&f, log_n, below[w]);
					check_backend(backends[b], &f, kind, &g);
					teardown(&f);
				}
	}
}

/* raise against 128-bit arithmetic and a transform; lower against raise */
static void test_conversions(void **state)
{
	(void)state;
	enum { COUNT = 13 };
	hel_prng g;
	test_prng(&g, 6);
	fixture f;
	setup(&f, 6, 1u << 30);
	const hel_prime *p = f.at[0];
	const uint32_t q = p->q, n = f.n;
	uint32_t *y = hel_alloc(COUNT * (size_t)n, sizeof *y), plain[COUNT + 1], c[COUNT + 1];
	assert_non_null(y);
	fill(&f, RANDOM, &g);
	for (size_t i = 0; i < COUNT * (size_t)n; i++)
		y[i] = (uint32_t)(hel_prng_u64(&g) & ((1u << 30) - 1));
	for (size_t j = 0; j <= COUNT; j++) {
		plain[j] = (uint32_t)(hel_prng_u64(&g) % q);
		c[j] = hel_to_mont(plain[j], q);
	}
	for (int exact = 0; exact < 2; exact++) {
		for (uint32_t i = 0; i < n; i++) {
			u128 sum = plain[COUNT];
			if (exact)
				sum *= f.b[i];
			for (size_t j = 0; j < COUNT; j++)
				sum += (u128)y[j * n + i] * plain[j];
			f.s[i] = (uint32_t)(sum % q);
		}
		hel_kernels_scalar.ntt_forward(f.s, f.at, 1);
		const hel_conversion x = {y, exact ? f.b : NULL, c, COUNT,
					  exact ? c[COUNT] : plain[COUNT]};
		hel_kernels_scalar.raise(f.r, &x, p);
		same(&f, "raise", n);
		const hel_factor half = hel_factor_of(q - 3, q), three = hel_factor_of(3, q);
		const hel_division d = {x, f.a, f.b, half, three};
		hel_kernels_scalar.lower(f.r, &d, f.r + n, p);
		for (uint32_t i = 0; i < n; i++) {
			uint32_t v = hel_mod_mul(f.a[i] + q - f.s[i], q - 3, q);
			assert_int_equal((v + (uint64_t)3 * f.b[i]) % q, f.r[i]);
		}
	}
	hel_free(y);
	teardown(&f);
}

/* key_product and mont_mul against plain 128-bit arithmetic */
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
	/* numbers of up to 62 bits and a sign, as two words of v + 2^62 */
	for (uint32_t i = 0; i < f.n; i++) {
		int64_t v = (int64_t)hel_prng_u64(&g) >> 2 >> i;
		uint64_t moved = (uint64_t)v + ((uint64_t)1 << 62);
		int64_t r = v % (int64_t)p->q;
		f.b[i] = (uint32_t)(moved >> 32);
		f.a[i] = (uint32_t)moved;
		f.s[i] = (uint32_t)(r < 0 ? r + p->q : r);
	}
	hel_kernels_scalar.residues(f.r, f.b, f.a, hel_words_factor_of(hel_to_mont(1, p->q), p->q),
				    p);
	same(&f, "residues", f.n);
	fill(&f, RANDOM, &g);
	hel_kernels_scalar.to_mont(f.s, f.b, f.at, 1);
	const uint32_t *x[33], *y[33];
	for (int j = 0; j < 33; j++)
		x[j] = f.a, y[j] = f.s;
	const hel_key_terms terms = {x, y, y, 33, NULL, 0};
	hel_kernels_scalar.key_product(f.r, f.r + f.n, &terms, NULL, false, p);
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
		k->ntt_inverse(f.r, f.r, NULL, false, f.at, 1);
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
			k->ntt_inverse(f.r, f.r, NULL, false, f.at, 1);
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
		assert_true(q[i] % (1u << 14) == 1);
		assert_less(q[i], 1u << 30);
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

/* The least of many short runs: what other programs on the machine disturb least. */
static double time_it(void (*fn)(fixture *, const hel_kernels *), fixture *f, const hel_kernels *k)
{
	double least = 1;
	for (int r = 0; r < 150; r++) {
		double start = hel_clock();
		for (int i = 0; i < 3; i++)
			fn(f, k);
		least = HEL_MIN(least, (hel_clock() - start) / 3);
	}
	return least * 1e6 / LIMBS;
}

static void run_forward(fixture *f, const hel_kernels *k)
{
	k->ntt_forward(f->a, f->at, LIMBS);
}
static void run_inverse(fixture *f, const hel_kernels *k)
{
	k->ntt_inverse(f->a, f->a, NULL, false, f->at, LIMBS);
}
static void run_mul(fixture *f, const hel_kernels *k)
{
	k->mont_mul(f->r, f->a, f->b, f->at, LIMBS);
}
static void run_raise(fixture *f, const hel_kernels *k)
{
	const uint32_t c[LIMBS] = {1, 2, 3};
	const hel_conversion x = {f->a, NULL, c, LIMBS, 4};
	for (size_t i = 0; i < LIMBS; i++)
		k->raise(f->r, &x, f->at[i]);
}
static void run_mac(fixture *f, const hel_kernels *k)
{
	k->mont_mac(f->r, f->a, f->b, f->at, LIMBS);
}

#define KEY_WORDS ((size_t)1 << 24) /* more than caches hold */
#define KEY_DIGITS 12

/* Nanoseconds for a byte of keys that come from memory, in products of so many digits. */
static double time_keys(const hel_kernels *k, const hel_prime *p, const uint32_t *keys,
			size_t digits)
{
	const uint32_t *x[KEY_DIGITS], *y0[KEY_DIGITS], *y1[KEY_DIGITS];
	const hel_key_terms terms = {x, y0, y1, digits, NULL, 0};
	const size_t count = KEY_WORDS / (2 * digits * p->n);
	uint32_t *work = hel_alloc((digits + 2) * p->n, sizeof *work);
	double least = 1;
	for (size_t d = 0; d < digits; d++)
		x[d] = work + (d + 2) * p->n;
	for (int round = 0; round < 5; round++) {
		const double start = hel_clock();
		for (size_t i = 0; i < count; i++) {
			for (size_t d = 0; d < digits; d++) { /* as rows of a key lie */
				y0[d] = keys + 2 * (d * count + i) * p->n;
				y1[d] = y0[d] + p->n;
			}
			k->key_product(work, work + p->n, &terms, NULL, false, p);
		}
		least = HEL_MIN(least, hel_clock() - start);
	}
	hel_free(work);
	return least * 1e9 / (double)(count * digits * p->n * 8);
}

static void bench_keys(const char *const *names, size_t count)
{
	fixture f;
	uint32_t *keys = hel_alloc(KEY_WORDS, sizeof *keys);
	setup(&f, 14, 1u << 30);
	printf("%-8s %12s %12s %12s %12s   (key_product from memory, least ns a byte)\n", "backend",
	       "2 digits", "4", "8", "12");
	for (size_t b = 0; b < count; b++) {
		const hel_kernels *k = hel_kernels_by_name(names[b]);
		if (k)
			printf("%-8s %12.4f %12.4f %12.4f %12.4f\n", k->name,
			       time_keys(k, f.at[0], keys, 2), time_keys(k, f.at[0], keys, 4),
			       time_keys(k, f.at[0], keys, 8), time_keys(k, f.at[0], keys, 12));
	}
	teardown(&f);
	hel_free(keys);
}

static void bench(void)
{
	static const char *const names[] = {"scalar", "avx2", "avx512", "neon", "wasm"};
	hel_prng g;
	test_prng(&g, 5);
	printf("%-8s %6s %12s %12s %12s %12s %12s   (least us per limb)\n", "backend", "log n",
	       "ntt_forward", "ntt_inverse", "mont_mul", "mont_mac", "raise(3)");
	for (size_t b = 0; b < HEL_ARRAY_LEN(names); b++)
		for (unsigned log_n = 12; hel_kernels_by_name(names[b]) && log_n <= 16; log_n++) {
			const hel_kernels *k = hel_kernels_by_name(names[b]);
			fixture f;
			setup(&f, log_n, 1u << 30);
			fill(&f, RANDOM, &g);
			printf("%-8s %6u %12.2f %12.2f %12.2f %12.2f %12.2f\n", k->name, log_n,
			       time_it(run_forward, &f, k), time_it(run_inverse, &f, k),
			       time_it(run_mul, &f, k), time_it(run_mac, &f, k),
			       time_it(run_raise, &f, k));
			teardown(&f);
		}
	bench_keys(names, HEL_ARRAY_LEN(names));
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
	    cmocka_unit_test(test_conversions),
	    cmocka_unit_test(test_backends_match_scalar),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
