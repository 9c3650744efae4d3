/* AVX2: eight residues a register, 32x32->64 products on even and odd lanes. */
#include "arith/arith.h"
#include <immintrin.h>

typedef __m256i vec;

#define ADD _mm256_add_epi32
#define SUB _mm256_sub_epi32
#define ODD(v) _mm256_srli_epi64(v, 32)
#define BLEND(even, odd) _mm256_blend_epi32(even, odd, 0xAA)

static inline vec load(const uint32_t *p)
{
	return _mm256_load_si256((const vec *)(const void *)p);
}

static inline void store(uint32_t *p, vec v)
{
	_mm256_store_si256((vec *)(void *)p, v);
}

static inline vec all(uint32_t v)
{
	return _mm256_set1_epi32((int)v);
}

/* v - m where v >= m, else v: the difference wraps above v otherwise. */
static inline vec once(vec v, vec m)
{
	return _mm256_min_epu32(v, SUB(v, m));
}

static inline vec mul_high(vec a, vec b)
{
	return BLEND(ODD(_mm256_mul_epu32(a, b)), _mm256_mul_epu32(ODD(a), ODD(b)));
}

/* b has the same value in even and odd lanes */
static inline vec mul_high_all(vec a, vec b)
{
	return BLEND(ODD(_mm256_mul_epu32(a, b)), _mm256_mul_epu32(ODD(a), b));
}

/* v in [0, 2^32): v*w mod q in [0, 2q) */
static inline vec shoup(vec v, vec w, vec ws, vec q)
{
	return SUB(_mm256_mullo_epi32(v, w), _mm256_mullo_epi32(mul_high(v, ws), q));
}

static inline vec shoup_all(vec v, vec w, vec ws, vec q)
{
	return SUB(_mm256_mullo_epi32(v, w), _mm256_mullo_epi32(mul_high_all(v, ws), q));
}

/* Eight accumulators (even lanes in e, odd lanes in o) below 2^34*q: their Montgomery
 * reductions in [0, q). */
static inline vec mont_reduce(vec e, vec o, vec q, vec qinv, vec q2)
{
	vec te = _mm256_mul_epu32(_mm256_mul_epu32(e, qinv), q);
	vec to = _mm256_mul_epu32(_mm256_mul_epu32(o, qinv), q);
	vec high = once(BLEND(ODD(e), o), q2);
	vec r = SUB(ADD(high, q), BLEND(ODD(te), to));
	return once(once(r, q2), q);
}

/* ---- NTT ---------------------------------------------------------------- */

typedef struct twiddles {
	const uint32_t *w, *ws;
	vec q, q2;
} twiddles;

static inline vec pick(const uint32_t *w, size_t k)
{
	return all(w[k]);
}

/* Two values of a table, one for each half of a register. */
static inline vec halves(const uint32_t *w, size_t k)
{
	return _mm256_set_m128i(_mm_set1_epi32((int)w[k + 1]), _mm_set1_epi32((int)w[k]));
}

/* w[k], w[k+1] in the lower half as k k k+1 k+1, w[k+2], w[k+3] in the upper. */
static inline vec pairs(const uint32_t *w, size_t k)
{
	vec four = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(w + k)));
	return _mm256_permutevar8x32_epi32(four, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
}

/* u in [0, 4q), v any: butterfly with results in [0, 4q) */
static inline void forward_butterfly(vec *u, vec *v, vec w, vec ws, const twiddles *t)
{
	vec s = once(*u, t->q2), r = shoup(*v, w, ws, t->q);
	*u = ADD(s, r);
	*v = ADD(SUB(s, r), t->q2);
}

static inline void forward_butterfly_all(vec *u, vec *v, vec w, vec ws, const twiddles *t)
{
	vec s = once(*u, t->q2), r = shoup_all(*v, w, ws, t->q);
	*u = ADD(s, r);
	*v = ADD(SUB(s, r), t->q2);
}

static void forward_layer(uint32_t *x, uint32_t m, uint32_t t, const twiddles *tw)
{
	for (uint32_t i = 0; i < m; i++) {
		vec w = pick(tw->w, m + i), ws = pick(tw->ws, m + i);
		uint32_t *u = x + 2 * (size_t)i * t, *v = u + t;
		for (uint32_t j = 0; j < t; j += 8) {
			vec a = load(u + j), b = load(v + j);
			forward_butterfly_all(&a, &b, w, ws, tw);
			store(u + j, a);
			store(v + j, b);
		}
	}
}

/* Layers m and 2m in one pass over memory. */
static void forward_two_layers(uint32_t *x, uint32_t m, uint32_t t, const twiddles *tw)
{
	const uint32_t h = t / 2;
	for (uint32_t i = 0; i < m; i++) {
		vec w1 = pick(tw->w, m + i), w1s = pick(tw->ws, m + i);
		vec w2 = pick(tw->w, 2 * (m + i)), w2s = pick(tw->ws, 2 * (m + i));
		vec w3 = pick(tw->w, 2 * (m + i) + 1), w3s = pick(tw->ws, 2 * (m + i) + 1);
		uint32_t *p = x + 2 * (size_t)i * t;
		for (uint32_t j = 0; j < h; j += 8, p += 8) {
			vec a = load(p), b = load(p + h), c = load(p + 2 * h), d = load(p + 3 * h);
			forward_butterfly_all(&a, &c, w1, w1s, tw);
			forward_butterfly_all(&b, &d, w1, w1s, tw);
			forward_butterfly_all(&a, &b, w2, w2s, tw);
			forward_butterfly_all(&c, &d, w3, w3s, tw);
			store(p, a);
			store(p + h, b);
			store(p + 2 * h, c);
			store(p + 3 * h, d);
		}
	}
}

/* The last three layers (t = 4, 2, 1) inside two registers, then into [0, q). */
static void forward_tail(uint32_t *x, uint32_t n, const twiddles *tw)
{
	const uint32_t m = n / 8;
	for (uint32_t i = 0; i < m; i += 2) {
		vec a = load(x + 8 * i), b = load(x + 8 * i + 8);
		vec u = _mm256_permute2x128_si256(a, b, 0x20);
		vec v = _mm256_permute2x128_si256(a, b, 0x31);
		forward_butterfly(&u, &v, halves(tw->w, m + i), halves(tw->ws, m + i), tw);
		a = _mm256_unpacklo_epi64(u, v);
		b = _mm256_unpackhi_epi64(u, v);
		forward_butterfly(&a, &b, pairs(tw->w, 2 * (m + i)), pairs(tw->ws, 2 * (m + i)),
				  tw);
		vec e = _mm256_unpacklo_epi32(a, b), f = _mm256_unpackhi_epi32(a, b);
		u = _mm256_unpacklo_epi64(e, f);
		v = _mm256_unpackhi_epi64(e, f);
		forward_butterfly(&u, &v, load(tw->w + 4 * (m + i)), load(tw->ws + 4 * (m + i)),
				  tw);
		u = once(once(u, tw->q2), tw->q);
		v = once(once(v, tw->q2), tw->q);
		e = _mm256_unpacklo_epi32(u, v);
		f = _mm256_unpackhi_epi32(u, v);
		store(x + 8 * i, _mm256_permute2x128_si256(e, f, 0x20));
		store(x + 8 * i + 8, _mm256_permute2x128_si256(e, f, 0x31));
	}
}

static void ntt_forward(uint32_t *a, const hel_prime *const *primes, size_t limbs)
{
	for (size_t l = 0; l < limbs; l++) {
		const hel_prime *p = primes[l];
		const twiddles tw = {p->w, p->w_shoup, all(p->q), all(2 * p->q)};
		uint32_t *x = a + l * p->n, m = 1, t = p->n / 2;
		/* down to t = 8 in pairs of layers; an odd one goes first */
		if ((p->log_n - 3) & 1) {
			forward_layer(x, m, t, &tw);
			m = 2;
			t /= 2;
		}
		for (; t > 8; m *= 4, t /= 4)
			forward_two_layers(x, m, t, &tw);
		forward_tail(x, p->n, &tw);
	}
}

/* u, v in [0, 2q): results in [0, 2q) */
static inline void inverse_butterfly(vec *u, vec *v, vec w, vec ws, const twiddles *t)
{
	vec s = *u, r = *v;
	*u = once(ADD(s, r), t->q2);
	*v = shoup(ADD(SUB(s, r), t->q2), w, ws, t->q);
}

static inline void inverse_butterfly_all(vec *u, vec *v, vec w, vec ws, const twiddles *t)
{
	vec s = *u, r = *v;
	*u = once(ADD(s, r), t->q2);
	*v = shoup_all(ADD(SUB(s, r), t->q2), w, ws, t->q);
}

static inline vec even_lanes(vec a, vec b)
{
	return _mm256_castps_si256(
	    _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0x88));
}

static inline vec odd_lanes(vec a, vec b)
{
	return _mm256_castps_si256(
	    _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0xDD));
}

/* The first three layers (t = 1, 2, 4): forward_tail run backwards. */
static void inverse_head(uint32_t *x, uint32_t n, const twiddles *tw)
{
	const uint32_t m = n / 8;
	for (uint32_t i = 0; i < m; i += 2) {
		vec a = load(x + 8 * i), b = load(x + 8 * i + 8);
		vec e = _mm256_permute2x128_si256(a, b, 0x20);
		vec f = _mm256_permute2x128_si256(a, b, 0x31);
		vec u = even_lanes(e, f), v = odd_lanes(e, f);
		inverse_butterfly(&u, &v, load(tw->w + 4 * (m + i)), load(tw->ws + 4 * (m + i)),
				  tw);
		e = _mm256_unpacklo_epi64(u, v);
		f = _mm256_unpackhi_epi64(u, v);
		a = even_lanes(e, f);
		b = odd_lanes(e, f);
		inverse_butterfly(&a, &b, pairs(tw->w, 2 * (m + i)), pairs(tw->ws, 2 * (m + i)),
				  tw);
		u = _mm256_unpacklo_epi64(a, b);
		v = _mm256_unpackhi_epi64(a, b);
		inverse_butterfly(&u, &v, halves(tw->w, m + i), halves(tw->ws, m + i), tw);
		store(x + 8 * i, _mm256_permute2x128_si256(u, v, 0x20));
		store(x + 8 * i + 8, _mm256_permute2x128_si256(u, v, 0x31));
	}
}

static void inverse_layer(uint32_t *x, uint32_t m, uint32_t t, const twiddles *tw)
{
	for (uint32_t i = 0; i < m; i++) {
		vec w = pick(tw->w, m + i), ws = pick(tw->ws, m + i);
		uint32_t *u = x + 2 * (size_t)i * t, *v = u + t;
		for (uint32_t j = 0; j < t; j += 8) {
			vec a = load(u + j), b = load(v + j);
			inverse_butterfly_all(&a, &b, w, ws, tw);
			store(u + j, a);
			store(v + j, b);
		}
	}
}

/* Layers 2m (distance h = t/2) and m (distance t) in one pass over memory. */
static void inverse_two_layers(uint32_t *x, uint32_t m, uint32_t t, const twiddles *tw)
{
	const uint32_t h = t / 2;
	for (uint32_t i = 0; i < m; i++) {
		vec w1 = pick(tw->w, m + i), w1s = pick(tw->ws, m + i);
		vec w2 = pick(tw->w, 2 * (m + i)), w2s = pick(tw->ws, 2 * (m + i));
		vec w3 = pick(tw->w, 2 * (m + i) + 1), w3s = pick(tw->ws, 2 * (m + i) + 1);
		uint32_t *p = x + 2 * (size_t)i * t;
		for (uint32_t j = 0; j < h; j += 8, p += 8) {
			vec a = load(p), b = load(p + h), c = load(p + 2 * h), d = load(p + 3 * h);
			inverse_butterfly_all(&a, &b, w2, w2s, tw);
			inverse_butterfly_all(&c, &d, w3, w3s, tw);
			inverse_butterfly_all(&a, &c, w1, w1s, tw);
			inverse_butterfly_all(&b, &d, w1, w1s, tw);
			store(p, a);
			store(p + h, b);
			store(p + 2 * h, c);
			store(p + 3 * h, d);
		}
	}
}

static void ntt_inverse(uint32_t *a, const hel_prime *const *primes, size_t limbs)
{
	for (size_t l = 0; l < limbs; l++) {
		const hel_prime *p = primes[l];
		const twiddles tw = {p->iw, p->iw_shoup, all(p->q), all(2 * p->q)};
		uint32_t *x = a + l * p->n, m = p->n / 16, t = 8;
		inverse_head(x, p->n, &tw);
		for (; m > 1; m /= 4, t *= 4)
			inverse_two_layers(x, m / 2, 2 * t, &tw);
		if (m == 1)
			inverse_layer(x, 1, t, &tw);
		vec w = all(p->n_inv.w), ws = all(p->n_inv.shoup);
		for (uint32_t i = 0; i < p->n; i += 8)
			store(x + i, once(shoup_all(load(x + i), w, ws, tw.q), tw.q));
	}
}

/* ---- pointwise ------------------------------------------------------------ */

static inline vec mont_product(vec x, vec y, vec q, vec qinv, vec q2)
{
	return mont_reduce(_mm256_mul_epu32(x, y), _mm256_mul_epu32(ODD(x), ODD(y)), q, qinv, q2);
}

#define POINTWISE(expression)                                                                      \
	for (size_t l = 0; l < limbs; l++) {                                                       \
		const hel_prime *p = primes[l];                                                    \
		const vec q = all(p->q), q2 = all(2 * p->q), qinv = all(p->qinv);                  \
		(void)q2, (void)qinv;                                                              \
		for (size_t i = l * p->n; i < (l + 1) * p->n; i += 8)                              \
			store(r + i, expression);                                                  \
	}

static void add(uint32_t *r, const uint32_t *a, const uint32_t *b, const hel_prime *const *primes,
		size_t limbs)
{
	POINTWISE(once(ADD(load(a + i), load(b + i)), q))
}

static void sub(uint32_t *r, const uint32_t *a, const uint32_t *b, const hel_prime *const *primes,
		size_t limbs)
{
	POINTWISE(once(SUB(ADD(load(a + i), q), load(b + i)), q))
}

static void mont_mul(uint32_t *r, const uint32_t *a, const uint32_t *b,
		     const hel_prime *const *primes, size_t limbs)
{
	POINTWISE(mont_product(load(a + i), load(b + i), q, qinv, q2))
}

static void mont_mac(uint32_t *r, const uint32_t *a, const uint32_t *b,
		     const hel_prime *const *primes, size_t limbs)
{
	POINTWISE(once(ADD(load(r + i), mont_product(load(a + i), load(b + i), q, qinv, q2)), q))
}

static void to_mont(uint32_t *r, const uint32_t *a, const hel_prime *const *primes, size_t limbs)
{
	POINTWISE(mont_product(load(a + i), all(p->r2), q, qinv, q2))
}

static void scale(uint32_t *r, const uint32_t *a, const hel_factor *f,
		  const hel_prime *const *primes, size_t limbs)
{
	POINTWISE(once(shoup_all(load(a + i), all(f[l].w), all(f[l].shoup), q), q))
}

static void sub_scale(uint32_t *r, const uint32_t *a, const uint32_t *b, const hel_factor *f,
		      const hel_prime *const *primes, size_t limbs)
{
	POINTWISE(once(
	    shoup_all(SUB(ADD(load(a + i), q), load(b + i)), all(f[l].w), all(f[l].shoup), q), q))
}

/* ---- inner products --------------------------------------------------------- */

/* The high words into [0, q); the low words stay. */
static inline vec acc_fold(vec acc, vec q_high, vec q2_high)
{
	return once(once(acc, q2_high), q_high);
}

static void dot(uint32_t *r, const hel_dot_terms *terms, const hel_prime *p)
{
	const vec q = all(p->q), q2 = all(2 * p->q), qinv = all(p->qinv);
	const vec q_high = _mm256_slli_epi64(q, 32), q2_high = _mm256_slli_epi64(q2, 32);
	for (uint32_t i = 0; i < p->n; i += 8) {
		vec e = _mm256_setzero_si256(), o = e;
		for (size_t j = 0, room = HEL_MAX_TERMS; j < terms->count; j++, room--) {
			if (!room) {
				e = acc_fold(e, q_high, q2_high);
				o = acc_fold(o, q_high, q2_high);
				room = HEL_MAX_TERMS - 4;
			}
			vec x = load(terms->a[j] + i), y = load(terms->b[j] + i);
			e = _mm256_add_epi64(e, _mm256_mul_epu32(x, y));
			o = _mm256_add_epi64(o, _mm256_mul_epu32(ODD(x), ODD(y)));
		}
		store(r + i, mont_reduce(e, o, q, qinv, q2));
	}
}

static void key_product(uint32_t *r0, uint32_t *r1, const hel_key_terms *terms,
			const hel_permutation *perm, bool add, const hel_prime *p)
{
	const vec q = all(p->q), q2 = all(2 * p->q), qinv = all(p->qinv);
	const vec q_high = _mm256_slli_epi64(q, 32), q2_high = _mm256_slli_epi64(q2, 32);
	const size_t count = terms->count;
	for (uint32_t i = 0; i < p->n; i += 8) {
		vec e0 = _mm256_setzero_si256(), o0 = e0, e1 = e0, o1 = e0;
		for (size_t k = 0, room = HEL_MAX_TERMS; k < count; k++, room--) {
			if (!room) {
				e0 = acc_fold(e0, q_high, q2_high);
				o0 = acc_fold(o0, q_high, q2_high);
				e1 = acc_fold(e1, q_high, q2_high);
				o1 = acc_fold(o1, q_high, q2_high);
				room = HEL_MAX_TERMS - 4;
			}
			const vec x = load(terms->x[k] + i), x_odd = ODD(x);
			const vec y0 = load(terms->y0[k] + i), y1 = load(terms->y1[k] + i);
			e0 = _mm256_add_epi64(e0, _mm256_mul_epu32(x, y0));
			o0 = _mm256_add_epi64(o0, _mm256_mul_epu32(x_odd, ODD(y0)));
			e1 = _mm256_add_epi64(e1, _mm256_mul_epu32(x, y1));
			o1 = _mm256_add_epi64(o1, _mm256_mul_epu32(x_odd, ODD(y1)));
		}
		vec v0 = mont_reduce(e0, o0, q, qinv, q2), v1 = mont_reduce(e1, o1, q, qinv, q2);
		uint32_t to = i;
		if (perm) {
			const uint32_t s = perm->scatter[i / 8];
			const vec lane =
			    _mm256_loadu_si256((const vec *)(const void *)perm->lane[s & 7]);
			to = s & ~7u;
			v0 = _mm256_permutevar8x32_epi32(v0, lane);
			v1 = _mm256_permutevar8x32_epi32(v1, lane);
		}
		if (add) {
			v0 = once(ADD(v0, load(r0 + to)), q);
			v1 = once(ADD(v1, load(r1 + to)), q);
		}
		store(r0 + to, v0);
		store(r1 + to, v1);
	}
}

static void convert(uint32_t *r, const uint32_t *y, const uint32_t *u, const uint32_t *c,
		    size_t count, const hel_prime *p)
{
	const vec q = all(p->q), q2 = all(2 * p->q), qinv = all(p->qinv);
	const vec q_high = _mm256_slli_epi64(q, 32), q2_high = _mm256_slli_epi64(q2, 32);
	for (uint32_t i = 0; i < p->n; i += 8) {
		vec x = load(u + i), f = all(c[count]);
		vec e = _mm256_mul_epu32(x, f), o = _mm256_mul_epu32(ODD(x), f);
		for (size_t j = 0, room = HEL_MAX_TERMS - 1; j < count; j++, room--) {
			if (!room) {
				e = acc_fold(e, q_high, q2_high);
				o = acc_fold(o, q_high, q2_high);
				room = HEL_MAX_TERMS - 4;
			}
			x = load(y + j * p->n + i);
			f = all(c[j]);
			e = _mm256_add_epi64(e, _mm256_mul_epu32(x, f));
			o = _mm256_add_epi64(o, _mm256_mul_epu32(ODD(x), f));
		}
		store(r + i, mont_reduce(e, o, q, qinv, q2));
	}
}

static void quotient(uint32_t *u, const uint32_t *y, const uint32_t *inv, size_t count, uint32_t n)
{
	for (uint32_t i = 0; i < n; i += 8) {
		vec sum = all(1u << 23);
		for (size_t j = 0; j < count; j++)
			sum = ADD(sum, mul_high_all(load(y + j * n + i), all(inv[j])));
		store(u + i, _mm256_srli_epi32(sum, 24));
	}
}

static void permute(uint32_t *r, const uint32_t *a, const hel_permutation *p, uint32_t n,
		    size_t limbs)
{
	for (size_t l = 0; l < limbs; l++, r += n, a += n)
		for (uint32_t b = 0; b < n / 8; b++) {
			vec lane =
			    _mm256_loadu_si256((const vec *)(const void *)p->lane[p->block[b] & 7]);
			store(r + 8 * b,
			      _mm256_permutevar8x32_epi32(load(a + (p->block[b] & ~7u)), lane));
		}
}

const hel_kernels hel_kernels_avx2 = {
    .name = "avx2",
    .ntt_forward = ntt_forward,
    .ntt_inverse = ntt_inverse,
    .add = add,
    .sub = sub,
    .mont_mul = mont_mul,
    .mont_mac = mont_mac,
    .to_mont = to_mont,
    .scale = scale,
    .sub_scale = sub_scale,
    .dot = dot,
    .key_product = key_product,
    .convert = convert,
    .quotient = quotient,
    .permute = permute,
};
