/* All kernels, written once over a vocabulary of vectors (ISA/vector.h, documented in
 * avx2/vector.h; the tests have one in plain C). Included by one file per instruction set; gives
 * `KERNELS(name)`.
 *
 * A `wide` holds 64-bit numbers in two registers: of even and of odd lanes, or, where WIDE_HALVES
 * is defined, of the lower and of the upper half. Ranges stand at each function; asserts check them
 * in debug builds.
 */
#ifndef LANES
#error "include a vocabulary first"
#endif

#include <assert.h>

#ifndef INLINE
#define INLINE static inline __attribute__((always_inline))
#endif

/* v < limit in every lane; free in release builds. */
#ifdef NDEBUG
#define BELOW(v, limit) ((void)0)
#else
#define BELOW(v, limit) check_below(v, limit)
INLINE void check_below(vec v, uint64_t limit)
{
	uint32_t lane[LANES] __attribute__((aligned(64)));
	store(lane, v);
	for (int i = 0; i < LANES; i++)
		assert(lane[i] < limit);
}
#endif

/* A prime in registers. */
typedef struct modulus {
	vec q, q2, qinv;
	uint64_t one;
} modulus;

INLINE modulus modulus_of(const hel_prime *p)
{
	return (modulus){all(p->q), all(2 * p->q), all(p->qinv), p->q};
}

/* v - m where v >= m, else v: the difference wraps above v otherwise. */
INLINE vec once(vec v, vec m)
{
	return least(v, minus(v, m));
}

/* v in [0, 4q): v mod q */
INLINE vec canonical(vec v, const modulus *m)
{
	BELOW(v, 4 * m->one);
	return once(once(v, m->q2), m->q);
}

/* --- products of 64 bits ---------------------------------------------------------------- */

typedef struct wide {
	vec first, second;
} wide;

INLINE vec high_words(wide v)
{
	return high_words_of(v.first, v.second);
}

INLINE wide product(vec x, vec y)
{
#ifdef WIDE_HALVES
	return (wide){mul_lower(x, y), mul_upper(x, y)};
#else
	return (wide){mul_even(x, y), mul_even(odd(x), odd(y))};
#endif
}

/* c: the same number in all lanes */
INLINE wide product_all(vec x, vec c)
{
#ifdef WIDE_HALVES
	return product(x, c);
#else
	return (wide){mul_even(x, c), mul_even(odd(x), c)};
#endif
}

INLINE wide sum(wide a, wide b)
{
	return (wide){plus_wide(a.first, b.first), plus_wide(a.second, b.second)};
}

/* --- Shoup's product: any v, w < q: v*w mod q in [0, 2q) (Harvey 2014) -------------- */

INLINE vec shoup(vec v, vec w, vec ws, const modulus *m)
{
	return minus(mul_low(v, w), mul_low(high_words(product(v, ws)), m->q));
}

/* w, ws: the same number in all lanes */
INLINE vec shoup_all(vec v, vec w, vec ws, const modulus *m)
{
	return minus(mul_low(v, w), mul_low(high_words(product_all(v, ws)), m->q));
}

/* --- 64-bit accumulators and Montgomery's reduction ------------------------------------ */

/* acc of `terms` products of numbers below 2^30 with numbers below q, so that its high word is
 * below terms * q / 4: acc / 2^32 mod q, in (0, 4q). With more than 12 terms one step is needed
 * before q - (high word of t*q), which lies in (0, q], is added. check: 12/4 q + q = 4q */
INLINE vec reduce_lazy(wide acc, size_t terms, const modulus *m)
{
#ifdef WIDE_HALVES
	const wide t = product_all(mul_low(low_words_of(acc.first, acc.second), m->qinv), m->q);
#else /* low words lie in even lanes already */
	const wide t = {mul_even(mul_even(acc.first, m->qinv), m->q),
			mul_even(mul_even(acc.second, m->qinv), m->q)};
#endif
	vec high = high_words(acc);
	BELOW(high, 4 * m->one);
	if (terms > 12)
		high = once(high, m->q2);
	return minus(plus(high, m->q), high_words(t));
}

/* The same in [0, q); up to four terms leave it below 2q. */
INLINE vec reduce(wide acc, size_t terms, const modulus *m)
{
	vec v = reduce_lazy(acc, terms, m);
	return terms > 4 ? canonical(v, m) : once(v, m->q);
}

/* The high words into [0, q), so that 11 more terms fit; the low words stay. */
INLINE wide fold(wide acc, const modulus *m)
{
	const vec high = all_wide(m->one << 32), high2 = all_wide(m->one << 33);
	return (wide){once(once(acc.first, high2), high), once(once(acc.second, high2), high)};
}

/* --- NTT --------------------------------------------------------------------------------- */

/* Words of a block that stays in the first-level cache with its twiddles, 8 bytes a word. */
#define BLOCK 4096

/* u in [0, 4q), v any: results in [0, 4q) */
INLINE void forward_butterfly(vec *u, vec *v, vec r, const modulus *m)
{
	BELOW(*u, 4 * m->one);
	vec s = once(*u, m->q2);
	*u = plus(s, r);
	*v = plus(minus(s, r), m->q2);
}

#define FORWARD_ALL(u, v, w, ws) forward_butterfly(&(u), &(v), shoup_all(v, w, ws, m), m)
#define FORWARD(u, v, w, ws) forward_butterfly(&(u), &(v), shoup(v, w, ws, m), m)

typedef struct twiddles {
	const uint32_t *w, *ws;
} twiddles;

/* The first layer alone. */
INLINE void forward_first(uint32_t *x, uint32_t t, twiddles tw, const modulus *m)
{
	const vec w = all(tw.w[1]), ws = all(tw.ws[1]);
	for (uint32_t j = 0; j < t; j += LANES) {
		vec a = load(x + j), b = load(x + t + j);
		FORWARD_ALL(a, b, w, ws);
		store(x + j, a);
		store(x + t + j, b);
	}
}

/* Layers k and 2k (of k and 2k blocks, 2t and t long) in one pass over blocks [i, end) of k. */
INLINE void forward_two(uint32_t *x, uint32_t k, uint32_t i, uint32_t end, uint32_t t, twiddles tw,
			const modulus *m)
{
	const uint32_t h = t / 2;
	for (; i < end; i++) {
		const uint32_t n1 = k + i, n2 = 2 * n1;
		const vec w1 = all(tw.w[n1]), w1s = all(tw.ws[n1]);
		const vec w2 = all(tw.w[n2]), w2s = all(tw.ws[n2]);
		const vec w3 = all(tw.w[n2 + 1]), w3s = all(tw.ws[n2 + 1]);
		uint32_t *p = x + 2 * (size_t)i * t;
		for (uint32_t j = 0; j < h; j += LANES, p += LANES) {
			vec a = load(p), b = load(p + h), c = load(p + 2 * h), d = load(p + 3 * h);
			FORWARD_ALL(a, c, w1, w1s);
			FORWARD_ALL(b, d, w1, w1s);
			FORWARD_ALL(a, b, w2, w2s);
			FORWARD_ALL(c, d, w3, w3s);
			store(p, a);
			store(p + h, b);
			store(p + 2 * h, c);
			store(p + 3 * h, d);
		}
	}
}

/* What the last pass does with each result. NULL: canonical, in place. */
typedef struct ending {
	uint32_t *r;
	const hel_division *d;
	vec f, fs, g, gs;
} ending;

/* v in [0, 4q): in - v + 2q in (0, 3q) once v is below 2q; two Shoup products below 4q together. */
INLINE void finish(uint32_t *x, vec v, const ending *e, size_t at, const modulus *m)
{
	if (!e) {
		store(x, canonical(v, m));
		return;
	}
	const hel_division *d = e->d;
	v = minus(plus(load(d->in + at), m->q2), once(v, m->q2));
	v = shoup_all(v, e->f, e->fs, m);
	if (d->add) {
		v = plus(v, shoup_all(load(d->add + at), e->g, e->gs, m));
		v = once(v, m->q2);
	}
	store(e->r + at, once(v, m->q));
}

/* The last layers (t = LANES/2 .. 1) inside pairs of registers, then into [0, q). */
INLINE void forward_tail(uint32_t *x, uint32_t from, uint32_t to, uint32_t n, twiddles tw,
			 const ending *e, const modulus *m)
{
	for (uint32_t i = from; i < to; i += 2 * LANES) {
		vec a = load(x + i), b = load(x + i + LANES);
#pragma GCC unroll 4
		for (int t = LANES / 2; t >= 1; t /= 2) {
			const uint32_t k = (n + i) / (2 * (uint32_t)t);
			transpose(&a, &b, t);
			FORWARD(a, b, spread(tw.w + k, t), spread(tw.ws + k, t));
		}
		interleave(&a, &b);
		finish(x + i, a, e, i, m);
		finish(x + i + LANES, b, e, i + LANES, m);
	}
}

/* x in [0, 4q) */
INLINE void forward(uint32_t *x, const hel_prime *p, const ending *e)
{
	const modulus mod = modulus_of(p), *m = &mod;
	const twiddles tw = {p->w, p->w_shoup};
	uint32_t k = 1, t = p->n / 2; /* the next layer: k blocks of 2t */
	/* down to t = LANES in pairs of layers; an odd one goes first */
	if ((p->log_n - (unsigned)__builtin_ctz(LANES)) & 1) {
		forward_first(x, t, tw, m);
		k = 2;
		t /= 2;
	}
	for (; t > LANES && 2 * t > BLOCK; k *= 4, t /= 4)
		forward_two(x, k, 0, k, t, tw, m);
	if (t < LANES) { /* so short that no layer is left */
		forward_tail(x, 0, p->n, p->n, tw, e, m);
		return;
	}
	for (uint32_t block = 0; block < k; block++) {
		uint32_t blocks = 1, all_blocks = k, long_t = t;
		for (; long_t > LANES; blocks *= 4, all_blocks *= 4, long_t /= 4)
			forward_two(x, all_blocks, block * blocks, (block + 1) * blocks, long_t, tw,
				    m);
		forward_tail(x, block * 2 * t, (block + 1) * 2 * t, p->n, tw, e, m);
	}
}

static void ntt_forward(uint32_t *a, const hel_prime *const *primes, size_t limbs)
{
	if (limbs && primes[0]->n < 2 * LANES) {
		hel_kernels_scalar.ntt_forward(a, primes, limbs);
		return;
	}
	for (size_t l = 0; l < limbs; l++)
		forward(a + l * primes[l]->n, primes[l], NULL);
}

/* u, v in [0, 2q): the sum in [0, 2q), the difference + 2q in (0, 4q) */
INLINE void inverse_butterfly(vec *u, vec *v, const modulus *m)
{
	BELOW(*u, 2 * m->one);
	BELOW(*v, 2 * m->one);
	vec s = *u, r = *v;
	*u = once(plus(s, r), m->q2);
	*v = plus(minus(s, r), m->q2);
}

#define INVERSE_ALL(u, v, w, ws)                                                                   \
	inverse_butterfly(&(u), &(v), m);                                                          \
	(v) = shoup_all(v, w, ws, m)

/* The first layers (t = 1 .. LANES/2): forward_tail run backwards, from a to r. */
INLINE void inverse_head(uint32_t *r, const uint32_t *a, uint32_t from, uint32_t to, uint32_t n,
			 twiddles tw, const modulus *m)
{
	for (uint32_t i = from; i < to; i += 2 * LANES) {
		vec u = load(a + i), v = load(a + i + LANES);
		deinterleave(&u, &v);
#pragma GCC unroll 4
		for (int t = 1; t <= LANES / 2; t *= 2) {
			const uint32_t k = (n + i) / (2 * (uint32_t)t);
			inverse_butterfly(&u, &v, m);
			v = shoup(v, spread(tw.w + k, t), spread(tw.ws + k, t), m);
			transpose(&u, &v, t);
		}
		store(r + i, u);
		store(r + i + LANES, v);
	}
}

/* Layers 2k (distance t/2) and k (distance t) in one pass over blocks [i, end) of k. */
INLINE void inverse_two(uint32_t *x, uint32_t k, uint32_t i, uint32_t end, uint32_t t, twiddles tw,
			const modulus *m)
{
	const uint32_t h = t / 2;
	for (; i < end; i++) {
		const uint32_t n1 = k + i, n2 = 2 * n1;
		const vec w1 = all(tw.w[n1]), w1s = all(tw.ws[n1]);
		const vec w2 = all(tw.w[n2]), w2s = all(tw.ws[n2]);
		const vec w3 = all(tw.w[n2 + 1]), w3s = all(tw.ws[n2 + 1]);
		uint32_t *p = x + 2 * (size_t)i * t;
		for (uint32_t j = 0; j < h; j += LANES, p += LANES) {
			vec a = load(p), b = load(p + h), c = load(p + 2 * h), d = load(p + 3 * h);
			INVERSE_ALL(a, b, w2, w2s);
			INVERSE_ALL(c, d, w3, w3s);
			INVERSE_ALL(a, c, w1, w1s);
			INVERSE_ALL(b, d, w1, w1s);
			store(p, a);
			store(p + h, b);
			store(p + 2 * h, c);
			store(p + 3 * h, d);
		}
	}
}

/* The last layer, the product with f, plus shift < q, into [0, q). */
INLINE void inverse_last(uint32_t *x, uint32_t t, hel_factor f, uint32_t shift, const hel_prime *p,
			 const modulus *m)
{
	const hel_factor g = hel_factor_product(f, p->iw[1], p->q);
	const vec fw = all(f.w), fs = all(f.shoup), gw = all(g.w), gs = all(g.shoup);
	const vec by = all(shift);
	for (uint32_t j = 0; j < t; j += LANES) {
		vec u = load(x + j), v = load(x + t + j);
		inverse_butterfly(&u, &v, m);
		store(x + j, canonical(plus(shoup_all(u, fw, fs, m), by), m));
		store(x + t + j, canonical(plus(shoup_all(v, gw, gs, m), by), m));
	}
}

INLINE void inverse(uint32_t *x, const uint32_t *a, hel_factor f, uint32_t shift,
		    const hel_prime *p)
{
	const modulus mod = modulus_of(p), *m = &mod;
	const twiddles tw = {p->iw, p->iw_shoup};
	const uint32_t n = p->n, block = HEL_MIN(BLOCK, n);
	uint32_t t = 0; /* half the length of the blocks that are done */
	for (uint32_t at = 0; at < n; at += block) {
		inverse_head(x, a, at, at + block, n, tw, m);
		for (t = LANES; 4 * t <= block && 4 * t < n; t *= 4)
			inverse_two(x, n / (4 * t), at / (4 * t), (at + block) / (4 * t), 2 * t, tw,
				    m);
	}
	/* t: the next distance; the last layer stands alone */
	for (; 4 * t < n; t *= 4)
		inverse_two(x, n / (4 * t), 0, n / (4 * t), 2 * t, tw, m);
	if (2 * t < n) {
		const vec w2 = all(tw.w[2]), w2s = all(tw.ws[2]);
		const vec w3 = all(tw.w[3]), w3s = all(tw.ws[3]);
		for (uint32_t j = 0; j < t; j += LANES) {
			uint32_t *y = x + j;
			vec u = load(y), v = load(y + t);
			INVERSE_ALL(u, v, w2, w2s);
			store(y, u);
			store(y + t, v);
			y += 2 * t;
			u = load(y), v = load(y + t);
			INVERSE_ALL(u, v, w3, w3s);
			store(y, u);
			store(y + t, v);
		}
	}
	inverse_last(x, n / 2, f, shift, p, m);
}

static void ntt_inverse(uint32_t *r, const uint32_t *a, const hel_factor *f, bool centre,
			const hel_prime *const *primes, size_t limbs)
{
	if (limbs && primes[0]->n < 4 * LANES) {
		hel_kernels_scalar.ntt_inverse(r, a, f, centre, primes, limbs);
		return;
	}
	for (size_t l = 0; l < limbs; l++)
		inverse(r + l * primes[l]->n, a + l * primes[l]->n, f ? f[l] : primes[l]->n_inv,
			centre ? (primes[l]->q - 1) / 2 : 0, primes[l]);
}

/* --- pointwise ----------------------------------------------------------------------------- */

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

/* --- automorphisms --------------------------------------------------------------------------- */

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

/* --- inner products -------------------------------------------------------------------------- */

INLINE void key_product_of(uint32_t *r0, uint32_t *r1, const hel_key_terms *terms, size_t count,
			   const hel_permutation *perm, bool add, const hel_prime *p)
{
	const modulus mod = modulus_of(p), *m = &mod;
	const vec factor = all(terms->factor);
	for (uint32_t i = 0; i < p->n; i += LANES) {
		wide acc0 = {all(0), all(0)}, acc1 = acc0;
		if (terms->base)
			acc0 = product_all(load(terms->base + i), factor);
		for (size_t k = 0, room = HEL_MAX_TERMS - 1; k < count; k++, room--) {
			if (!room) {
				acc0 = fold(acc0, m);
				acc1 = fold(acc1, m);
				room = HEL_MAX_TERMS - 4;
			}
			const vec x = load(terms->x[k] + i);
			acc0 = sum(acc0, product(x, load(terms->y0[k] + i)));
			acc1 = sum(acc1, product(x, load(terms->y1[k] + i)));
		}
		vec v0 = reduce(acc0, count + 1, m), v1 = reduce(acc1, count + 1, m);
		if (perm) {
			store_moved(r0, i, v0, perm, add, m->q);
			store_moved(r1, i, v1, perm, add, m->q);
			continue;
		}
		if (add) {
			v0 = once(plus(v0, load(r0 + i)), m->q);
			v1 = once(plus(v1, load(r1 + i)), m->q);
		}
		store(r0 + i, v0);
		store(r1 + i, v1);
	}
}

static void key_product(uint32_t *r0, uint32_t *r1, const hel_key_terms *terms,
			const hel_permutation *perm, bool add, const hel_prime *p)
{
	switch (terms->count) { /* the usual digits, unrolled */
	case 2:
		key_product_of(r0, r1, terms, 2, perm, add, p);
		break;
	case 3:
		key_product_of(r0, r1, terms, 3, perm, add, p);
		break;
	default:
		key_product_of(r0, r1, terms, terms->count, perm, add, p);
	}
}

/* Two registers of a tile at once, where it has as many: whole lines of the cache are read in
 * order, and sums stay in registers. */
#define TILE_VECS (HEL_TILE >= 2 * LANES ? 2 : 1)

INLINE void tile_part(uint32_t *r0, uint32_t *r1, const uint32_t *x, const uint32_t *y0,
		      const uint32_t *y1, size_t terms, const modulus *m)
{
	const wide none = {all(0), all(0)};
	wide acc0[TILE_VECS], acc1[TILE_VECS];
	for (size_t v = 0; v < TILE_VECS; v++)
		acc0[v] = acc1[v] = none;
	for (size_t t = 0, room = HEL_MAX_TERMS; t < terms;) {
		const size_t end = HEL_MIN(terms, t + room);
		for (; t < end; t++, x += HEL_TILE, y0 += HEL_TILE, y1 += HEL_TILE)
			for (size_t v = 0; v < TILE_VECS; v++) {
				const vec w = load(x + v * LANES);
				acc0[v] = sum(acc0[v], product(w, load(y0 + v * LANES)));
				acc1[v] = sum(acc1[v], product(w, load(y1 + v * LANES)));
			}
		for (size_t v = 0; t < terms && v < TILE_VECS; v++) {
			acc0[v] = fold(acc0[v], m);
			acc1[v] = fold(acc1[v], m);
		}
		room = HEL_MAX_TERMS - 4;
	}
	for (size_t v = 0; v < TILE_VECS; v++) {
		store(r0 + v * LANES, reduce(acc0[v], HEL_MAX_TERMS, m));
		store(r1 + v * LANES, reduce(acc1[v], HEL_MAX_TERMS, m));
	}
}

static void tile_product(uint32_t *r0, uint32_t *r1, const uint32_t *x, const uint32_t *y0,
			 const uint32_t *y1, size_t terms, const hel_prime *p)
{
	const modulus mod = modulus_of(p);
	for (uint32_t i = 0; i < HEL_TILE; i += TILE_VECS * LANES)
		tile_part(r0 + i, r1 + i, x + i, y0 + i, y1 + i, terms, &mod);
}

/* r in (0, 4q): fit for forward() */
INLINE void convert_of(uint32_t *r, const hel_conversion *x, size_t count, const hel_prime *p)
{
	const modulus mod = modulus_of(p), *m = &mod;
	/* the constant in the high words counts as four terms: 2^32 q = 4 * 2^30 q */
	const vec last = all(x->last), start = all_wide((uint64_t)x->last << 32);
	for (uint32_t i = 0; i < p->n; i += LANES) {
		wide acc = {start, start};
		if (x->u)
			acc = product_all(load(x->u + i), last);
		for (size_t j = 0, room = HEL_MAX_TERMS - 4; j < count; j++, room--) {
			if (!room) {
				acc = fold(acc, m);
				room = HEL_MAX_TERMS - 4;
			}
			acc = sum(acc, product_all(load(x->y + j * p->n + i), all(x->c[j])));
		}
		store(r + i, reduce_lazy(acc, count + 4, m));
	}
}

INLINE void convert(uint32_t *r, const hel_conversion *x, const hel_prime *p)
{
#define CASE(count)                                                                                \
	case count:                                                                                \
		convert_of(r, x, count, p);                                                        \
		break;
	switch (x->count) { /* the usual digits, unrolled */
		CASE(1)
		CASE(2)
		CASE(4)
		CASE(5)
		CASE(7)
		CASE(8)
	default:
		convert_of(r, x, x->count, p);
	}
#undef CASE
}

static void raise(uint32_t *r, const hel_conversion *x, const hel_prime *p)
{
	if (p->n < 2 * LANES) {
		hel_kernels_scalar.raise(r, x, p);
		return;
	}
	convert(r, x, p);
	forward(r, p, NULL);
}

static void lower(uint32_t *r, const hel_division *d, uint32_t *work, const hel_prime *p)
{
	if (p->n < 2 * LANES) {
		hel_kernels_scalar.lower(r, d, work, p);
		return;
	}
	const ending e = {r, d, all(d->f.w), all(d->f.shoup), all(d->g.w), all(d->g.shoup)};
	convert(work, &d->x, p);
	forward(work, p, &e);
}

static void quotient(uint32_t *u, const uint32_t *y, const uint32_t *inv, size_t count, uint32_t n)
{
	for (uint32_t i = 0; i < n; i += LANES) {
		vec v = all(1u << 23);
		for (size_t j = 0; j < count; j++)
			v = plus(v, high_words(product_all(load(y + j * n + i), all(inv[j]))));
		store(u + i, shift_right(v, 24));
	}
}

/* 2^31 q + 2^32 q: six terms of 2^30 q */
static void residues(uint32_t *r, const uint32_t *high, const uint32_t *low, hel_words_factor f,
		     const hel_prime *p)
{
	const modulus mod = modulus_of(p), *m = &mod;
	const vec f_low = all(f.low), f_high = all(f.high), middle = all(f.middle);
	for (uint32_t i = 0; i < p->n; i += LANES) {
		const wide acc =
		    sum(product_all(load(high + i), f_high), product_all(load(low + i), f_low));
		store(r + i, once(minus(plus(reduce(acc, 6, m), m->q), middle), m->q));
	}
}

/* --- FFT over doubles ------------------------------------------------------------------------ */

typedef double doubles __attribute__((vector_size(4 * LANES)));

INLINE doubles *at(double *p)
{
	return (doubles *)(void *)p;
}

INLINE doubles get(const double *p)
{
	return *(const doubles *)(const void *)p;
}

static void fft_forward(double *re, double *im, const double *w_re, const double *w_im, size_t n)
{
	const size_t least = HEL_MIN((size_t)LANES / 2, n); /* below, one by one */
	for (size_t i = 0; i < n; i += least)
		hel_kernels_scalar.fft_forward(re + i, im + i, w_re, w_im, least);
	for (size_t len = 2 * least; len <= n; len *= 2)
		for (size_t i = 0; i < n; i += len)
			for (size_t j = 0; j < len / 2; j += LANES / 2) {
				const size_t a = i + j, b = a + len / 2, w = len / 2 + j;
				const doubles x =
				    get(re + b) * get(w_re + w) - get(im + b) * get(w_im + w);
				const doubles y =
				    get(re + b) * get(w_im + w) + get(im + b) * get(w_re + w);
				*at(re + b) = get(re + a) - x;
				*at(im + b) = get(im + a) - y;
				*at(re + a) += x;
				*at(im + a) += y;
			}
}

static void fft_inverse(double *re, double *im, const double *w_re, const double *w_im, size_t n)
{
	const size_t least = HEL_MIN((size_t)LANES / 2, n);
	for (size_t len = n; len > least; len /= 2)
		for (size_t i = 0; i < n; i += len)
			for (size_t j = 0; j < len / 2; j += LANES / 2) {
				const size_t a = i + j, b = a + len / 2, w = len / 2 + j;
				const doubles x = get(re + a) - get(re + b);
				const doubles y = get(im + a) - get(im + b);
				*at(re + a) += get(re + b);
				*at(im + a) += get(im + b);
				*at(re + b) = x * get(w_re + w) + y * get(w_im + w);
				*at(im + b) = y * get(w_re + w) - x * get(w_im + w);
			}
	for (size_t i = 0; i < n; i += least)
		hel_kernels_scalar.fft_inverse(re + i, im + i, w_re, w_im, least);
}

static void permute(uint32_t *r, const uint32_t *a, const hel_permutation *p, uint32_t n,
		    size_t limbs)
{
	for (size_t l = 0; l < limbs; l++, r += n, a += n)
		for (uint32_t i = 0; i < n; i += LANES)
			store(r + i, load_moved(a, i, p));
}

#define KERNELS(label)                                                                             \
	{                                                                                          \
		.name = label, .ntt_forward = ntt_forward, .ntt_inverse = ntt_inverse, .add = add, \
		.sub = sub, .mont_mul = mont_mul, .mont_mac = mont_mac, .to_mont = to_mont,        \
		.scale = scale, .scale_add = scale_add, .key_product = key_product,                \
		.tile_product = tile_product, .tensor = tensor, .raise = raise, .lower = lower,    \
		.quotient = quotient, .residues = residues, .fft_forward = fft_forward,            \
		.fft_inverse = fft_inverse, .permute = permute,                                    \
	}
