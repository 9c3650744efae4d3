#include "params.h"
#include "primes.h"
#include <math.h>
#include <string.h>

double hel_params_log_special(const hel_params *p)
{
	double sum = 0;
	for (size_t i = 0; i < p->ring.special; i++)
		sum += log2(p->ring.prime[p->ring.chain + i].q);
	return sum;
}

double hel_params_log_digit(const hel_params *p)
{
	double largest = 0;
	for (size_t d = 0; d < p->digits; d++) {
		double sum = 0;
		for (size_t i = d * p->spec.alpha;
		     i < HEL_MIN((d + 1) * p->spec.alpha, p->ring.chain); i++)
			sum += log2(p->ring.prime[i].q);
		largest = HEL_MAX(largest, sum);
	}
	return largest;
}

static hel_status make_tables(hel_params *p)
{
	hel_status st = HEL_OK;
	const size_t alpha = p->spec.alpha, slots = p->ring.n / 2;
	TRY(hel_bconv_init(&p->special, &p->ring, p->ring.chain, 0, true, true));
	TRY(hel_bconv_init(&p->capsule, &p->ring, p->ring.chain,
			   HEL_MIN(p->ring.special, (size_t)HEL_CAPSULE_PRIMES), false, true));
	for (unsigned l = 1; l <= p->spec.levels; l++) {
		const size_t first = p->limbs[l - 1], count = p->limbs[l] - first;
		TRY(hel_bconv_init(&p->rescale[l], &p->ring, first, count, false, true));
		TRY(hel_bconv_init(&p->special_rescale[l], &p->ring, first, count, true, true));
	}
	TRY_ALLOC(p->digit, hel_alloc(p->digits * alpha, sizeof *p->digit));
	for (size_t d = 0; d < p->digits; d++)
		for (size_t size = 1; size <= HEL_MIN(alpha, p->ring.chain - d * alpha); size++)
			TRY(hel_bconv_init(&p->digit[d * alpha + size - 1], &p->ring, d * alpha,
					   size, false, false));
	TRY_ALLOC(p->root_re, hel_alloc(2 * slots, sizeof *p->root_re));
	p->root_im = p->root_re + slots;
	TRY_ALLOC(p->bit_reversed, hel_alloc(slots, sizeof *p->bit_reversed));
	for (size_t i = 0; i < slots; i++)
		p->bit_reversed[i] = hel_bit_reverse((uint32_t)i, p->spec.log_n - 1u);
	for (size_t len = 2; len <= slots; len *= 2) {
		size_t power = 1; /* 5^j mod 4 len */
		for (size_t j = 0; j < len / 2; j++, power = power * 5 % (4 * len)) {
			double angle = 2 * M_PI * (double)power / (double)(4 * len);
			p->root_re[len / 2 + j] = cos(angle);
			p->root_im[len / 2 + j] = sin(angle);
		}
	}
done:
	return st;
}

/* Bytes without padding; what came later only where it is used, as files know it. */
static void write_spec(hel_writer *w, const hel_params_spec *s)
{
	const size_t uniform = offsetof(hel_params_spec, trim);
	hel_write_bytes(w, s, s->runs ? sizeof *s : uniform - !s->base);
}

static hel_status params_new(hel_params **out, const hel_params_spec *spec, bool insecure)
{
	hel_status st = HEL_OK;
	hel_params *p = NULL;
	TRY(hel_random_init());
	TRY(hel_spec_check(spec));
	TRY_ALLOC(p, hel_alloc(1, sizeof *p));
	p->spec = *spec;
	for (unsigned l = 0; l <= spec->levels; l++)
		p->limbs[l] = (l ? p->limbs[l - 1] : 0) + hel_spec_primes(spec, l);
	const size_t chain = p->limbs[spec->levels];
	uint32_t primes[HEL_MAX_PRIMES];
	TRY(hel_choose_primes(p, primes));
	for (size_t i = 0; i < chain + spec->special; i++)
		p->log_qp += log2(primes[i]);
	if (!insecure && p->log_qp > hel_security_limit(spec->log_n))
		FAIL(HEL_ESECURITY,
		     "log2(QP) = %.1f at N = 2^%u, but 128-bit security allows at most %.0f",
		     p->log_qp, spec->log_n, hel_security_limit(spec->log_n));
	TRY(hel_ring_init(&p->ring, spec->log_n, primes, chain, spec->special));
	p->digits = (chain + spec->alpha - 1) / spec->alpha;
	if (hel_params_log_special(p) < hel_params_log_digit(p))
		FAIL(HEL_EPARAMS, "special primes of %.0f bits are below the digits' %.0f bits",
		     hel_params_log_special(p), hel_params_log_digit(p));
	TRY(make_tables(p));
	hel_writer w = {0};
	write_spec(&w, spec);
	for (size_t i = 0; i < chain + spec->special; i++)
		hel_write_u32(&w, primes[i]);
	st = w.status;
	if (st == HEL_OK)
		hel_hash(p->fingerprint, w.bytes, w.size);
	hel_writer_clear(&w);
	if (st != HEL_OK)
		goto done;
	*out = p;
	p = NULL;
done:
	hel_params_free(p);
	return st;
}

hel_status hel_params_new(hel_params **out, const hel_params_spec *spec)
{
	return params_new(out, spec, false);
}

hel_status hel_params_new_insecure_test(hel_params **out, const hel_params_spec *spec)
{
	return params_new(out, spec, true);
}

void hel_params_free(hel_params *p)
{
	if (!p)
		return;
	hel_bconv_clear(&p->special);
	hel_bconv_clear(&p->capsule);
	for (unsigned l = 1; l <= p->spec.levels; l++) {
		hel_bconv_clear(&p->rescale[l]);
		hel_bconv_clear(&p->special_rescale[l]);
	}
	for (size_t i = 0; p->digit && i < p->digits * p->spec.alpha; i++)
		hel_bconv_clear(&p->digit[i]);
	hel_free(p->digit);
	hel_free(p->root_re);
	hel_free(p->bit_reversed);
	hel_ring_clear(&p->ring);
	hel_free(p);
}

hel_params_spec hel_params_get_spec(const hel_params *p)
{
	return p->spec;
}

size_t hel_params_slots(const hel_params *p)
{
	return p->ring.n / 2;
}

double hel_params_scale(const hel_params *p, unsigned level)
{
	return level <= p->spec.levels ? p->scale[level] : 0;
}

size_t hel_params_limbs(const hel_params *p, unsigned level)
{
	return level <= p->spec.levels ? p->limbs[level] : 0;
}

double hel_params_log_qp(const hel_params *p)
{
	return p->log_qp;
}

size_t hel_params_digits_at(const hel_params *p, size_t limbs)
{
	return (limbs + p->spec.alpha - 1) / p->spec.alpha;
}

uint32_t hel_galois_of_rotation(const hel_params *p, long steps)
{
	const long slots = (long)hel_params_slots(p);
	uint32_t mask = 2 * (uint32_t)p->ring.n - 1, power = 1, base = 5;
	for (unsigned long e = (unsigned long)((steps % slots + slots) % slots); e; e >>= 1) {
		if (e & 1)
			power = power * base & mask;
		base = base * base & mask;
	}
	return power;
}

uint32_t hel_galois_of_conjugation(const hel_params *p)
{
	return 2 * (uint32_t)p->ring.n - 1;
}

uint32_t hel_galois_of_step(const hel_params *p, int32_t step)
{
	const uint32_t rotation = hel_galois_of_rotation(p, step),
		       mask = 2 * (uint32_t)p->ring.n - 1;
	return step >= (int32_t)hel_params_slots(p) ? rotation * hel_galois_of_conjugation(p) & mask
						    : rotation;
}
