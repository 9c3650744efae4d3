/* The specification: every backend gives these bits. */
#include "arith/arith.h"
#include <string.h>

/* v in [0, 2^32), w < q: v*w mod q in [0, 2q) (Harvey 2014, with Shoup's quotient). */
static inline uint32_t shoup_lazy(uint32_t v, uint32_t w, uint32_t w_shoup, uint32_t q)
{
	uint32_t h = (uint32_t)(((uint64_t)v * w_shoup) >> 32);
	return v * w - h * q;
}

static inline uint32_t once(uint32_t v, uint32_t m)
{
	return v >= m ? v - m : v;
}

/* acc < 2^34 * q: acc / 2^32 mod q in [0, q). The high word is below 4q. */
static inline uint32_t mont_reduce(uint64_t acc, const hel_prime *p)
{
	uint32_t t = (uint32_t)acc * p->qinv;
	uint32_t high = once((uint32_t)(acc >> 32), 2 * p->q);
	uint32_t r = high + p->q - (uint32_t)(((uint64_t)t * p->q) >> 32); /* in (0, 3q) */
	return once(once(r, 2 * p->q), p->q);
}

/* Keeps the value mod q and brings acc below 2^32 * q, so that 11 more terms fit. */
static inline uint64_t acc_fold(uint64_t acc, const hel_prime *p)
{
	uint32_t high = once(once((uint32_t)(acc >> 32), 2 * p->q), p->q);
	return (uint64_t)high << 32 | (uint32_t)acc;
}

/* Cooley-Tukey, natural to bit-reversed order; values stay below 4q. */
static void ntt_forward(uint32_t *a, const hel_prime *const *primes, size_t limbs)
{
	for (size_t l = 0; l < limbs; l++) {
		const hel_prime *p = primes[l];
		const uint32_t q = p->q, n = p->n;
		uint32_t *x = a + l * n;
		for (uint32_t m = 1, t = n / 2; m < n; m <<= 1, t >>= 1)
			for (uint32_t i = 0; i < m; i++) {
				uint32_t w = p->w[m + i], ws = p->w_shoup[m + i];
				uint32_t *u = x + 2 * (size_t)i * t, *v = u + t;
				for (uint32_t j = 0; j < t; j++) {
					uint32_t s = once(u[j], 2 * q);
					uint32_t r = shoup_lazy(v[j], w, ws, q);
					u[j] = s + r;
					v[j] = s - r + 2 * q;
				}
			}
		for (uint32_t i = 0; i < n; i++)
			x[i] = once(once(x[i], 2 * q), q);
	}
}

/* Gentleman-Sande, bit-reversed to natural order; values stay below 2q. */
static void ntt_inverse(uint32_t *r, const uint32_t *a, const hel_factor *f, bool centre,
			const hel_prime *const *primes, size_t limbs)
{
	for (size_t l = 0; l < limbs; l++) {
		const hel_prime *p = primes[l];
		const hel_factor last = f ? f[l] : p->n_inv;
		const uint32_t shift = centre ? (p->q - 1) / 2 : 0;
		const uint32_t q = p->q, n = p->n;
		uint32_t *x = r + l * n;
		memmove(x, a + l * n, n * sizeof *x);
		for (uint32_t m = n / 2, t = 1; m >= 1; m >>= 1, t <<= 1)
			for (uint32_t i = 0; i < m; i++) {
				uint32_t w = p->iw[m + i], ws = p->iw_shoup[m + i];
				uint32_t *u = x + 2 * (size_t)i * t, *v = u + t;
				for (uint32_t j = 0; j < t; j++) {
					uint32_t s = u[j], d = v[j];
					u[j] = once(s + d, 2 * q);
					v[j] = shoup_lazy(s - d + 2 * q, w, ws, q);
				}
			}
		for (uint32_t i = 0; i < n; i++)
			x[i] = once(once(shoup_lazy(x[i], last.w, last.shoup, q), q) + shift, q);
	}
}

#define FOR_EACH(l, i, p)                                                                          \
	for (size_t l = 0; l < limbs; l++)                                                         \
		for (const hel_prime *p = primes[l], *p##_end = p + 1; p < p##_end; p++)           \
			for (size_t i = l * p->n; i < (l + 1) * p->n; i++)

static void add(uint32_t *r, const uint32_t *a, const uint32_t *b, const hel_prime *const *primes,
		size_t limbs)
{
	FOR_EACH (l, i, p)
		r[i] = once(a[i] + b[i], p->q);
}

static void sub(uint32_t *r, const uint32_t *a, const uint32_t *b, const hel_prime *const *primes,
		size_t limbs)
{
	FOR_EACH (l, i, p)
		r[i] = once(a[i] + p->q - b[i], p->q);
}

static void mont_mul(uint32_t *r, const uint32_t *a, const uint32_t *b,
		     const hel_prime *const *primes, size_t limbs)
{
	FOR_EACH (l, i, p)
		r[i] = mont_reduce((uint64_t)a[i] * b[i], p);
}

static void mont_mac(uint32_t *r, const uint32_t *a, const uint32_t *b,
		     const hel_prime *const *primes, size_t limbs)
{
	FOR_EACH (l, i, p)
		r[i] = once(r[i] + mont_reduce((uint64_t)a[i] * b[i], p), p->q);
}

static void to_mont(uint32_t *r, const uint32_t *a, const hel_prime *const *primes, size_t limbs)
{
	FOR_EACH (l, i, p)
		r[i] = mont_reduce((uint64_t)a[i] * p->r2, p);
}

static void scale(uint32_t *r, const uint32_t *a, const hel_factor *f,
		  const hel_prime *const *primes, size_t limbs)
{
	FOR_EACH (l, i, p)
		r[i] = once(shoup_lazy(a[i], f[l].w, f[l].shoup, p->q), p->q);
}

static void scale_add(uint32_t *r, const uint32_t *a, const hel_factor *f,
		      const hel_prime *const *primes, size_t limbs)
{
	FOR_EACH (l, i, p)
		r[i] = once(r[i] + once(shoup_lazy(a[i], f[l].w, f[l].shoup, p->q), p->q), p->q);
}

static void key_product(uint32_t *r0, uint32_t *r1, const hel_key_terms *terms,
			const hel_permutation *perm, bool add, const hel_prime *p)
{
	for (uint32_t b = 0; b < p->n / 8; b++) {
		uint32_t v0[8], v1[8];
		for (uint32_t j = 0; j < 8; j++) {
			uint64_t acc0 = 0, acc1 = 0;
			if (terms->base)
				acc0 = (uint64_t)terms->base[8 * b + j] * terms->factor;
			for (size_t k = 0, room = HEL_MAX_TERMS - 1; k < terms->count;
			     k++, room--) {
				if (!room) {
					acc0 = acc_fold(acc0, p);
					acc1 = acc_fold(acc1, p);
					room = HEL_MAX_TERMS - 4;
				}
				uint64_t x = terms->x[k][8 * b + j];
				acc0 += x * terms->y0[k][8 * b + j];
				acc1 += x * terms->y1[k][8 * b + j];
			}
			v0[j] = mont_reduce(acc0, p);
			v1[j] = mont_reduce(acc1, p);
		}
		const uint32_t to = perm ? perm->scatter[b] & ~7u : 8 * b;
		for (uint32_t j = 0; j < 8; j++) {
			const uint32_t from = perm ? perm->lane[perm->scatter[b] & 7][j] : j;
			r0[to + j] = add ? once(r0[to + j] + v0[from], p->q) : v0[from];
			r1[to + j] = add ? once(r1[to + j] + v1[from], p->q) : v1[from];
		}
	}
}

static void tile_product(uint32_t *r0, uint32_t *r1, const uint32_t *x, const uint32_t *y0,
			 const uint32_t *y1, size_t terms, const hel_prime *p)
{
	for (uint32_t i = 0; i < HEL_TILE; i++) {
		uint64_t acc0 = 0, acc1 = 0;
		for (size_t t = 0, room = HEL_MAX_TERMS; t < terms; t++, room--) {
			if (!room) {
				acc0 = acc_fold(acc0, p);
				acc1 = acc_fold(acc1, p);
				room = HEL_MAX_TERMS - 4;
			}
			const uint64_t v = x[t * HEL_TILE + i];
			acc0 += v * y0[t * HEL_TILE + i];
			acc1 += v * y1[t * HEL_TILE + i];
		}
		r0[i] = mont_reduce(acc0, p);
		r1[i] = mont_reduce(acc1, p);
	}
}

static void tensor(uint32_t *const d[3], const uint32_t *const a[2], const uint32_t *const b[2],
		   const hel_prime *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		const uint64_t a0 = mont_reduce((uint64_t)a[0][i] * p->r2, p);
		const uint64_t a1 = mont_reduce((uint64_t)a[1][i] * p->r2, p);
		const uint32_t b0 = b[0][i], b1 = b[1][i];
		d[0][i] = mont_reduce(a0 * b0, p);
		d[1][i] = mont_reduce(a0 * b1 + a1 * b0, p);
		d[2][i] = mont_reduce(a1 * b1, p);
	}
}

static void convert(uint32_t *r, const hel_conversion *x, const hel_prime *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		/* last * 2^32 < 2^32 q counts as four terms */
		uint64_t acc = x->u ? (uint64_t)x->u[i] * x->last : (uint64_t)x->last << 32;
		for (size_t j = 0, room = HEL_MAX_TERMS - 4; j < x->count; j++, room--) {
			if (!room) {
				acc = acc_fold(acc, p);
				room = HEL_MAX_TERMS - 4;
			}
			acc += (uint64_t)x->y[j * p->n + i] * x->c[j];
		}
		r[i] = mont_reduce(acc, p);
	}
}

static void raise(uint32_t *r, const hel_conversion *x, const hel_prime *p)
{
	convert(r, x, p);
	ntt_forward(r, &p, 1);
}

static void lower(uint32_t *r, const hel_division *d, uint32_t *work, const hel_prime *p)
{
	const uint32_t q = p->q;
	raise(work, &d->x, p);
	for (uint32_t i = 0; i < p->n; i++) {
		uint32_t v = shoup_lazy(d->in[i] + q - work[i], d->f.w, d->f.shoup, q);
		if (d->add)
			v = once(v + shoup_lazy(d->add[i], d->g.w, d->g.shoup, q), 2 * q);
		r[i] = once(v, q);
	}
}

static void quotient(uint32_t *u, const uint32_t *y, const uint32_t *inv, size_t count, uint32_t n)
{
	/* y/q in 23-bit fixed point; count terms below 1 each stay below 2^32 for count < 512 */
	for (uint32_t i = 0; i < n; i++) {
		uint32_t sum = 1u << (HEL_QUOTIENT_BITS - 1);
		for (size_t j = 0; j < count; j++)
			sum += (uint32_t)(((uint64_t)y[j * n + i] * inv[j]) >> 32);
		u[i] = sum >> HEL_QUOTIENT_BITS;
	}
}

static void permute(uint32_t *r, const uint32_t *a, const hel_permutation *p, uint32_t n,
		    size_t limbs)
{
	for (size_t l = 0; l < limbs; l++, r += n, a += n)
		for (uint32_t b = 0; b < n / 8; b++) {
			const uint32_t *from = a + (p->block[b] & ~7u);
			const uint32_t *lane = p->lane[p->block[b] & 7];
			for (uint32_t j = 0; j < 8; j++)
				r[8 * b + j] = from[lane[j]];
		}
}

static void residues(uint32_t *r, const uint32_t *high, const uint32_t *low, hel_words_factor f,
		     const hel_prime *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		/* below 2^31 q + 2^32 q: six terms of 2^30 q */
		uint32_t v = mont_reduce((uint64_t)high[i] * f.high + (uint64_t)low[i] * f.low, p);
		r[i] = once(v + p->q - f.middle, p->q);
	}
}

static void fft_forward(double *re, double *im, const double *w_re, const double *w_im, size_t n)
{
	for (size_t len = 2; len <= n; len *= 2)
		for (size_t i = 0; i < n; i += len)
			for (size_t j = 0; j < len / 2; j++) {
				const size_t a = i + j, b = a + len / 2, w = len / 2 + j;
				const double x = re[b] * w_re[w] - im[b] * w_im[w];
				const double y = re[b] * w_im[w] + im[b] * w_re[w];
				re[b] = re[a] - x;
				im[b] = im[a] - y;
				re[a] += x;
				im[a] += y;
			}
}

static void fft_inverse(double *re, double *im, const double *w_re, const double *w_im, size_t n)
{
	for (size_t len = n; len >= 2; len /= 2)
		for (size_t i = 0; i < n; i += len)
			for (size_t j = 0; j < len / 2; j++) {
				const size_t a = i + j, b = a + len / 2, w = len / 2 + j;
				const double x = re[a] - re[b], y = im[a] - im[b];
				re[a] += re[b];
				im[a] += im[b];
				re[b] = x * w_re[w] + y * w_im[w];
				im[b] = y * w_re[w] - x * w_im[w];
			}
}

const hel_kernels hel_kernels_scalar = {
    .name = "scalar",
    .ntt_forward = ntt_forward,
    .ntt_inverse = ntt_inverse,
    .add = add,
    .sub = sub,
    .mont_mul = mont_mul,
    .mont_mac = mont_mac,
    .to_mont = to_mont,
    .scale = scale,
    .scale_add = scale_add,
    .key_product = key_product,
    .tile_product = tile_product,
    .tensor = tensor,
    .raise = raise,
    .lower = lower,
    .quotient = quotient,
    .residues = residues,
    .fft_forward = fft_forward,
    .fft_inverse = fft_inverse,
    .permute = permute,
};
