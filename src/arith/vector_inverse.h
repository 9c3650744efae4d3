/* The inverse NTT. A part of vector_kernels.h. */

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
