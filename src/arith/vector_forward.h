/* The NTT. A part of vector_kernels.h. */

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
