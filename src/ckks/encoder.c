/* The canonical embedding: slot j is the value at zeta^(5^j), zeta = exp(pi i / N)
 * (Cheon, Kim, Kim, Song 2017; FFT over the powers of 5 as in HEAAN). */
#include "ckks.h"
#include <math.h>
#include <string.h>

static void bit_reverse_order(hel_complex *v, size_t n)
{
	for (size_t i = 1, j = 0; i < n; i++) {
		size_t bit = n >> 1;
		for (; j & bit; bit >>= 1)
			j ^= bit;
		j ^= bit;
		if (i < j) {
			hel_complex t = v[i];
			v[i] = v[j];
			v[j] = t;
		}
	}
}

static inline hel_complex times(hel_complex a, hel_complex b)
{
	return (hel_complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

void hel_embed(const hel_params *p, hel_complex *slots, const double *coefficients)
{
	const size_t n = hel_params_slots(p);
	for (size_t i = 0; i < n; i++)
		slots[i] = (hel_complex){coefficients[i], coefficients[i + n]};
	bit_reverse_order(slots, n);
	for (size_t len = 2; len <= n; len *= 2)
		for (size_t i = 0; i < n; i += len)
			for (size_t j = 0; j < len / 2; j++) {
				hel_complex u = slots[i + j];
				hel_complex v =
				    times(slots[i + j + len / 2], p->roots[len / 2 + j]);
				slots[i + j] = (hel_complex){u.re + v.re, u.im + v.im};
				slots[i + j + len / 2] = (hel_complex){u.re - v.re, u.im - v.im};
			}
}

/* The slots, transformed in `work` (slots entries). */
static void embed_inverse_in(const hel_params *p, double *coefficients, hel_complex *work)
{
	const size_t n = hel_params_slots(p);
	for (size_t len = n; len >= 2; len /= 2)
		for (size_t i = 0; i < n; i += len)
			for (size_t j = 0; j < len / 2; j++) {
				hel_complex u = work[i + j], v = work[i + j + len / 2];
				hel_complex w = p->roots[len / 2 + j];
				w.im = -w.im;
				work[i + j] = (hel_complex){u.re + v.re, u.im + v.im};
				work[i + j + len / 2] =
				    times((hel_complex){u.re - v.re, u.im - v.im}, w);
			}
	bit_reverse_order(work, n);
	const double unit = 1 / (double)n; /* exact; divisions take a time that depends on values */
	for (size_t i = 0; i < n; i++) {
		coefficients[i] = work[i].re * unit;
		coefficients[i + n] = work[i].im * unit;
	}
}

/* v in (-2^62, 2^62) mod q without branches: a multiple of q makes it positive, then Barrett. */
static inline uint32_t residue(int64_t v, uint32_t q, uint64_t offset, uint64_t barrett)
{
	uint64_t x = (uint64_t)v + offset;
	uint64_t h = (uint64_t)(((u128)x * barrett) >> 64);
	uint32_t r = (uint32_t)(x - h * q); /* in [0, 2q) */
	uint32_t t = r - q;
	return t + (q & (0u - (t >> 31)));
}

hel_status hel_encode_at(hel_pt **out, const hel_params *p, const hel_complex *slots,
			 unsigned level, double scale, hel_pt_use use)
{
	hel_status st = HEL_OK;
	const size_t n = p->ring.n, count = n / 2;
	hel_pt *pt = NULL;
	double *coefficients = NULL;
	hel_complex *work = NULL;
	int64_t *rounded = NULL;
	if (level > p->spec.levels)
		FAIL(HEL_ELEVEL, "level %u, at most %u exists", level, p->spec.levels);
	const size_t limbs = p->limbs[level];
	TRY_ALLOC(coefficients, hel_alloc(n, sizeof *coefficients));
	TRY_ALLOC(work, hel_alloc(count, sizeof *work));
	TRY_ALLOC(rounded, hel_alloc(n, sizeof *rounded));
	TRY_ALLOC(pt, hel_alloc(1, sizeof *pt));
	*pt = (hel_pt){.params = p, .level = level, .scale = scale, .use = use};
	TRY_ALLOC(pt->data, hel_alloc(limbs * n, sizeof *pt->data));
	memcpy(work, slots, count * sizeof *work);
	embed_inverse_in(p, coefficients, work);
	/* half the modulus, and what the residues' reduction takes */
	double limit = 0.5;
	for (size_t l = 0; l < limbs && limit < 0x1p62; l++)
		limit *= p->ring.prime[l].q;
	limit = HEL_MIN(limit, 0x1p62);
	bool fits = true;
	for (size_t i = 0; i < n; i++) {
		double v = coefficients[i] * scale;
		fits &= fabs(v) < limit; /* false for NaN, too */
		rounded[i] = llrint(v);
	}
	if (!hel_reveal(fits))
		FAIL(HEL_ERANGE, "a value is not finite or too large for scale 2^%.1f",
		     log2(scale));
	for (size_t l = 0; l < limbs; l++) {
		uint32_t q = p->ring.prime[l].q;
		uint64_t offset = ((1ull << 62) / q + 1) * q, barrett = UINT64_MAX / q;
		for (size_t i = 0; i < n; i++)
			pt->data[l * n + i] = residue(rounded[i], q, offset, barrett);
	}
	p->ring.k->ntt_forward(pt->data, p->ring.at, limbs);
	if (use == HEL_FOR_MUL)
		p->ring.k->to_mont(pt->data, pt->data, p->ring.at, limbs);
	*out = pt;
	pt = NULL;
done:
	hel_free_secret(coefficients, n * sizeof *coefficients);
	hel_free_secret(work, count * sizeof *work);
	hel_free_secret(rounded, n * sizeof *rounded);
	hel_pt_free(pt);
	return st;
}

hel_status hel_encode(hel_pt **out, const hel_params *p, const hel_complex *slots, unsigned level,
		      hel_pt_use use)
{
	return hel_encode_at(out, p, slots, level, hel_params_scale(p, level), use);
}

void hel_pt_free(hel_pt *pt)
{
	if (!pt)
		return;
	hel_free_secret(pt->data,
			pt->data ? pt->params->limbs[pt->level] * pt->params->ring.n * 4 : 0);
	hel_free(pt);
}
