/* The canonical embedding: slot j is the value at zeta^(5^j), zeta = exp(pi i / N)
 * (Cheon, Kim, Kim, Song 2017; FFT over the powers of 5 as in HEAAN). */
#include "encoder.h"
#include "primes.h"
#include <math.h>
#include <string.h>

hel_status hel_embed(const hel_params *p, hel_complex *slots, const double *coefficients)
{
	hel_status st = HEL_OK;
	const size_t n = hel_params_slots(p);
	double *re = NULL;
	TRY_ALLOC(re, hel_alloc(2 * n, sizeof *re));
	double *im = re + n;
	for (size_t i = 0; i < n; i++) {
		re[p->bit_reversed[i]] = coefficients[i];
		im[p->bit_reversed[i]] = coefficients[i + n];
	}
	p->ring.k->fft_forward(re, im, p->root_re, p->root_im, n);
	for (size_t i = 0; i < n; i++)
		slots[i] = (hel_complex){re[i], im[i]};
done:
	hel_free_secret(re, 2 * n * sizeof *re);
	return st;
}

/* Work space of one encoding: slots, coefficients, and both words of their integers. */
typedef struct encoding {
	double *re, *im, *coefficients;
	uint32_t *high, *low;
} encoding;

static void to_coefficients(const hel_params *p, const encoding *e, const hel_complex *slots,
			    double scale)
{
	const size_t n = hel_params_slots(p);
	const double factor = scale / (double)n;
	for (size_t i = 0; i < n; i++) {
		e->re[i] = slots[i].re;
		e->im[i] = slots[i].im;
	}
	p->ring.k->fft_inverse(e->re, e->im, p->root_re, p->root_im, n);
	for (size_t i = 0; i < n; i++) {
		e->coefficients[i] = e->re[p->bit_reversed[i]] * factor;
		e->coefficients[i + n] = e->im[p->bit_reversed[i]] * factor;
	}
}

/* Rounds to integers plus 2^62, in two words; false when one is not below `limit` <= 2^62 or is
 * NaN. No branch depends on a value. */
static bool round_all(const hel_params *p, const encoding *e, double limit)
{
	bool fits = true;
	for (size_t i = 0; i < p->ring.n; i++) {
		const double v = e->coefficients[i];
		fits &= fabs(v) < limit;
		const uint64_t x = (uint64_t)llrint(v) + ((uint64_t)1 << 62);
		e->high[i] = (uint32_t)(x >> 32);
		e->low[i] = (uint32_t)x;
	}
	return fits;
}

typedef struct residue_job {
	const encoding *e;
	const hel_params *params;
	size_t limbs; /* of the chain */
	hel_pt_use use;
	uint32_t *data;
} residue_job;

/* In Montgomery form at once for products: the transform keeps the factor. */
static void residue_limb(void *arg, size_t l)
{
	const residue_job *j = arg;
	const hel_ring *ring = &j->params->ring;
	const size_t prime = hel_prime_of_limb(j->params, j->limbs, l);
	const uint32_t q = ring->prime[prime].q, one = hel_to_mont(1, q);
	uint32_t *r = j->data + l * ring->n;
	ring->k->residues(r, j->e->high, j->e->low,
			  hel_words_factor_of(j->use == HEL_FOR_MUL ? hel_to_mont(one, q) : one, q),
			  ring->at[prime]);
	ring->k->ntt_forward(r, ring->at + prime, 1);
}

double hel_encode_limit(const hel_params *p, unsigned level)
{
	double limit = 0.5;
	for (size_t l = 0; l < p->limbs[level] && limit < 0x1p62; l++)
		limit *= p->ring.prime[l].q;
	return HEL_MIN(limit, 0x1p62);
}

/* special: how many special primes to go on with. */
static hel_status encode_into(uint32_t *data, const hel_params *p, const hel_complex *slots,
			      unsigned level, size_t special, double scale, hel_pt_use use,
			      hel_pool *pool)
{
	hel_status st = HEL_OK;
	const size_t n = p->ring.n;
	encoding e = {0};
	if (level > p->spec.levels)
		FAIL(HEL_ELEVEL, "level %u, at most %u exists", level, p->spec.levels);
	const size_t limbs = p->limbs[level];
	TRY_ALLOC(e.re, hel_alloc(2 * n, sizeof *e.re));
	TRY_ALLOC(e.high, hel_alloc(2 * n, sizeof *e.high));
	e.im = e.re + n / 2;
	e.coefficients = e.re + n;
	e.low = e.high + n;
	to_coefficients(p, &e, slots, scale);
	if (!hel_reveal(round_all(p, &e, hel_encode_limit(p, level))))
		FAIL(HEL_ERANGE, "a value is not finite or too large for scale 2^%.1f",
		     log2(scale));
	hel_pool_for(pool, limbs + special, residue_limb, &(residue_job){&e, p, limbs, use, data});
done:
	hel_free_secret(e.re, 2 * n * sizeof *e.re);
	hel_free_secret(e.high, 2 * n * sizeof *e.high);
	return st;
}

hel_status hel_encode_into(uint32_t *data, const hel_params *p, const hel_complex *slots,
			   unsigned level, double scale, hel_pt_use use, hel_pool *pool)
{
	return encode_into(data, p, slots, level, 0, scale, use, pool);
}

static size_t limbs_of(const hel_pt *pt)
{
	return pt->params->limbs[pt->level] + (pt->extended ? pt->params->ring.special : 0);
}

static hel_status encode_new(hel_pt **out, const hel_params *p, const hel_complex *slots,
			     unsigned level, bool extended, double scale, hel_pt_use use,
			     hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_pt *pt = NULL;
	if (level > p->spec.levels)
		FAIL(HEL_ELEVEL, "level %u, at most %u exists", level, p->spec.levels);
	TRY_ALLOC(pt, hel_alloc(1, sizeof *pt));
	*pt =
	    (hel_pt){.params = p, .level = level, .scale = scale, .use = use, .extended = extended};
	TRY_ALLOC(pt->data, hel_alloc(limbs_of(pt) * p->ring.n, sizeof *pt->data));
	TRY(encode_into(pt->data, p, slots, level, extended ? p->ring.special : 0, scale, use,
			pool));
	*out = pt;
	pt = NULL;
done:
	hel_pt_free(pt);
	return st;
}

hel_status hel_encode_at(hel_pt **out, const hel_params *p, const hel_complex *slots,
			 unsigned level, double scale, hel_pt_use use, hel_pool *pool)
{
	return encode_new(out, p, slots, level, false, scale, use, pool);
}

hel_status hel_encode_extended(hel_pt **out, const hel_params *p, const hel_complex *slots,
			       unsigned level, double scale, hel_pool *pool)
{
	return encode_new(out, p, slots, level, true, scale, HEL_FOR_MUL, pool);
}

hel_status hel_encode(hel_pt **out, const hel_params *p, const hel_complex *slots, unsigned level,
		      hel_pt_use use)
{
	const bool passes = use == HEL_FOR_MUL && level && hel_spec_passes(&p->spec, level);
	const double scale =
	    passes && level <= p->spec.levels ? p->divisor[level] : hel_params_scale(p, level);
	return hel_encode_at(out, p, slots, level, scale, use, NULL);
}

void hel_pt_free(hel_pt *pt)
{
	if (!pt)
		return;
	hel_free_secret(pt->data, pt->data ? limbs_of(pt) * pt->params->ring.n * 4 : 0);
	hel_free(pt);
}
