/* Residue by residue, and automorphisms. A part of vector_kernels.h. */

#define POINTWISE(expression)                                                                      \
	for (size_t l = 0; l < limbs; l++) {                                                       \
		const hel_prime *p = primes[l];                                                    \
		const modulus mod = modulus_of(p), *m = &mod;                                      \
		for (size_t i = l * p->n; i < (l + 1) * p->n; i += LANES)                          \
			store(r + i, expression);                                                  \
	}

static void add(uint32_t *r, const uint32_t *a, const uint32_t *b, const hel_prime *const *primes,
		size_t limbs)
{
	POINTWISE(once(plus(load(a + i), load(b + i)), m->q))
}

static void sub(uint32_t *r, const uint32_t *a, const uint32_t *b, const hel_prime *const *primes,
		size_t limbs)
{
	POINTWISE(once(minus(plus(load(a + i), m->q), load(b + i)), m->q))
}

static void mont_mul(uint32_t *r, const uint32_t *a, const uint32_t *b,
		     const hel_prime *const *primes, size_t limbs)
{
	POINTWISE(reduce(product(load(a + i), load(b + i)), 1, m))
}

static void mont_mac(uint32_t *r, const uint32_t *a, const uint32_t *b,
		     const hel_prime *const *primes, size_t limbs)
{
	POINTWISE(once(plus(load(r + i), reduce(product(load(a + i), load(b + i)), 1, m)), m->q))
}

static void to_mont(uint32_t *r, const uint32_t *a, const hel_prime *const *primes, size_t limbs)
{
	POINTWISE(reduce(product(load(a + i), all(p->r2)), 1, m))
}

static void scale(uint32_t *r, const uint32_t *a, const hel_factor *f,
		  const hel_prime *const *primes, size_t limbs)
{
	POINTWISE(once(shoup_all(load(a + i), all(f[l].w), all(f[l].shoup), m), m->q))
}

static void scale_add(uint32_t *r, const uint32_t *a, const hel_factor *f,
		      const hel_prime *const *primes, size_t limbs)
{
	/* below q + 2q */
	POINTWISE(canonical(
	    plus(load(r + i), shoup_all(load(a + i), all(f[l].w), all(f[l].shoup), m)), m))
}

static void tensor(uint32_t *const d[3], const uint32_t *const a[2], const uint32_t *const b[2],
		   const hel_prime *p)
{
	const modulus mod = modulus_of(p), *m = &mod;
	const vec r2 = all(p->r2);
	for (uint32_t i = 0; i < p->n; i += LANES) {
		const vec a0 = reduce(product(load(a[0] + i), r2), 1, m);
		const vec a1 = reduce(product(load(a[1] + i), r2), 1, m);
		const vec b0 = load(b[0] + i), b1 = load(b[1] + i);
		store(d[0] + i, reduce(product(a0, b0), 1, m));
		store(d[1] + i, reduce(sum(product(a0, b1), product(a1, b0)), 2, m));
		store(d[2] + i, reduce(product(a1, b1), 1, m));
	}
}

#if LANES == 4
/* Half a block of eight: all of it comes from, and goes to, one half, as an automorphism takes
 * aligned blocks of any power of two to such blocks. pick(v, lane): v[lane[i] mod 4]. */
INLINE void store_moved(uint32_t *r, size_t at, vec v, const hel_permutation *p, bool add, vec q)
{
	const uint32_t s = p->scatter[at / 8], *lane = p->lane[s & 7];
	const uint32_t half = (lane[0] ^ (uint32_t)at) & 4;
	uint32_t *to = r + (s & ~7u) + half;
	v = pick(v, lane + half);
	store(to, add ? once(plus(v, load(to)), q) : v);
}

INLINE vec load_moved(const uint32_t *a, size_t at, const hel_permutation *p)
{
	const uint32_t s = p->block[at / 8], *lane = p->lane[s & 7] + (at & 4);
	return pick(load(a + (s & ~7u) + (lane[0] & 4)), lane);
}
#endif

static void permute(uint32_t *r, const uint32_t *a, const hel_permutation *p, uint32_t n,
		    size_t limbs)
{
	for (size_t l = 0; l < limbs; l++, r += n, a += n)
		for (uint32_t i = 0; i < n; i += LANES)
			store(r + i, load_moved(a, i, p));
}
