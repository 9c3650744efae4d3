/* The primes of every level, and with them its scale. Numbers in parentheses are equations of
 * docs/cryptography.md. */
#include "primes.h"
#include <math.h>

/* Security Guidelines for Implementing Homomorphic Encryption, eprint 2024/463, table 5.2:
 * 128-bit classical, uniform ternary secret, sigma = 3.19. */
static const double security_limit[] = {
    [12] = 106, [13] = 214, [14] = 430, [15] = 868, [16] = 1747, [17] = 3523,
};

double hel_security_limit(unsigned log_n)
{
	return log_n < HEL_ARRAY_LEN(security_limit) ? security_limit[log_n] : 0;
}

/* The run that level l >= 1 belongs to, NULL without runs. */
static const hel_level_run *run_of(const hel_params_spec *s, unsigned level)
{
	unsigned first = 1;
	for (unsigned r = 0; r < s->runs; first += s->run[r++].levels)
		if (level < first + s->run[r].levels)
			return &s->run[r];
	return NULL;
}

bool hel_spec_passes(const hel_params_spec *s, unsigned level)
{
	const hel_level_run *run = run_of(s, level);
	return run && run->pass;
}

size_t hel_spec_primes(const hel_params_spec *s, unsigned level)
{
	if (!level)
		return s->base ? s->base : s->primes_per_level + 1u;
	const hel_level_run *run = run_of(s, level);
	return run ? run->primes : s->primes_per_level;
}

/* Everything that only specs with runs must keep. */
static hel_status check_runs(const hel_params_spec *s)
{
	unsigned levels = 0, largest = 0;
	if (s->runs > HEL_MAX_RUNS)
		return hel_fail(HEL_EPARAMS, "%u runs of levels, at most %d are possible", s->runs,
				HEL_MAX_RUNS);
	for (unsigned r = 0; r < s->runs; r++) {
		const hel_level_run *run = &s->run[r];
		if (!run->levels || run->primes < 1 || run->primes > 2 || run->pass > 1)
			return hel_fail(
			    HEL_EPARAMS,
			    "run %u has %u levels of %u primes, expected some levels of "
			    "1 or 2",
			    r, run->levels, run->primes);
		levels += run->levels;
		largest = HEL_MAX(largest, run->primes);
	}
	if (levels != s->levels || largest != s->primes_per_level)
		return hel_fail(HEL_EPARAMS,
				"runs of %u levels and up to %u primes a level, the spec says %u "
				"and %u",
				levels, largest, s->levels, s->primes_per_level);
	if (s->base != 1 || s->trim > 15 || s->scale_bits < 26 || s->scale_bits > 30)
		return hel_fail(HEL_EPARAMS,
				"runs need one prime at level 0, scale_bits of 26 to 30 and a trim "
				"below 16, found %u, %u and %u",
				s->base, s->scale_bits, s->trim);
	return HEL_OK;
}

static hel_status check_uniform(const hel_params_spec *s)
{
	const unsigned low = s->primes_per_level == 1 ? 25 : 50;
	const unsigned high = s->primes_per_level == 1 ? 30 : 60;
	if (s->trim)
		return hel_fail(HEL_EPARAMS, "trim is %u, expected 0 without runs", s->trim);
	if (s->primes_per_level != 1 && s->primes_per_level != 2)
		return hel_fail(HEL_EPARAMS, "primes_per_level is %u, expected 1 or 2",
				s->primes_per_level);
	if (s->scale_bits < low || s->scale_bits > high)
		return hel_fail(HEL_EPARAMS, "scale_bits is %u, expected %u to %u", s->scale_bits,
				low, high);
	if (s->base && !(s->base == 1 && s->primes_per_level == 1 && s->scale_bits <= 28))
		return hel_fail(HEL_EPARAMS,
				"%u primes at level 0, expected 0 for the usual number, or 1 below "
				"one-prime levels of at most 28 bits",
				s->base);
	return HEL_OK;
}

hel_status hel_spec_check(const hel_params_spec *s)
{
	hel_status st = HEL_OK;
	if (s->log_n < HEL_LOG_N_MIN || s->log_n > HEL_LOG_N_MAX)
		return hel_fail(HEL_EPARAMS, "log_n is %u, expected %d to %d", s->log_n,
				HEL_LOG_N_MIN, HEL_LOG_N_MAX);
	TRY(s->runs ? check_runs(s) : check_uniform(s));
	for (unsigned r = s->runs; r < HEL_MAX_RUNS; r++)
		if (s->run[r].levels || s->run[r].primes || s->run[r].pass)
			FAIL(HEL_EPARAMS, "run %u is not empty, but there are %u runs", r, s->runs);
	if (s->levels > HEL_MAX_LEVELS ||
	    (s->levels + 1u) * s->primes_per_level + 1u + s->special > HEL_MAX_PRIMES)
		return hel_fail(HEL_EPARAMS, "%u levels are too many", s->levels);
	if (!s->alpha || s->special < s->alpha)
		return hel_fail(
		    HEL_EPARAMS,
		    "digits of %u primes need at least as many special primes, found %u", s->alpha,
		    s->special);
done:
	return st;
}

enum { POOL = 4096 }; /* candidates, at most */

/* Takes the unused candidate nearest to `want`. */
static uint32_t take_nearest(uint32_t *candidates, size_t count, double want)
{
	size_t best = count;
	for (size_t i = 0; i < count; i++)
		if (candidates[i] &&
		    (best == count || fabs(candidates[i] - want) < fabs(candidates[best] - want)))
			best = i;
	uint32_t q = best < count ? candidates[best] : 0;
	if (q)
		candidates[best] = 0;
	return q;
}

/* Primes and scales together (docs/cryptography.md, 1: squaring doubles any deviation, so each
 * level's primes are those nearest to S^2 / D). Special primes are the largest; level 0 takes the
 * next ones, or, where levels are of one smaller prime each, some as small, with which digits stay
 * small against special primes. */
static hel_status choose_uniform(hel_params *p, uint32_t *primes, size_t chain)
{
	const hel_params_spec *s = &p->spec;
	const unsigned per = s->primes_per_level;
	uint32_t high[HEL_MAX_PRIMES], candidates[POOL];
	/* level 0: usually one prime more than a level, so that it has head room */
	const size_t base = hel_spec_primes(s, 0);
	const size_t top = s->special + base;
	const bool small = per == 1 && !s->base && s->scale_bits < HEL_PRIME_BITS;
	size_t found = hel_primes_find(high, top, s->log_n, 1u << HEL_PRIME_BITS);
	if (found < top)
		return hel_fail(HEL_EPARAMS, "not enough primes for log_n %u", s->log_n);
	for (size_t i = 0; i < s->special; i++)
		primes[chain + i] = high[i];
	for (size_t i = 0; i < base; i++)
		primes[i] = high[s->special + i];
	/* candidates around the wanted prime size; at 30 bits, just below the ones taken */
	double bits = (double)s->scale_bits / per;
	double ceiling = HEL_MIN((double)high[top - 1], exp2(bits) * (bits < 29.5 ? 1.02 : 1.0));
	size_t want = HEL_MIN((size_t)512, (size_t)s->levels * per * 2 + 16);
	found = hel_primes_find(candidates, want, s->log_n, (uint32_t)ceiling);
	if (found < (size_t)s->levels * per + (small ? base : 1))
		return hel_fail(HEL_EPARAMS, "not enough primes of %.0f bits for log_n %u", bits,
				s->log_n);
	const size_t below = small ? base : 0; /* the largest are level 0's */
	double middle = candidates[HEL_MIN(found - 1, below + (size_t)s->levels * per / 2)];
	for (size_t i = 0; i < below; i++)
		primes[i] = take_nearest(candidates, found, ceiling);
	const double target = per == 1 ? middle : middle * middle;
	p->scale[s->levels] = target;
	for (unsigned l = s->levels; l > 0; l--) {
		double square = p->scale[l] * p->scale[l], divisor = 1;
		size_t at = p->limbs[l - 1];
		for (unsigned i = 0; i < per; i++) {
			double wish = square / target / divisor;
			if (i + 1 < per)
				wish = middle;
			uint32_t q = take_nearest(candidates, found, wish);
			if (!q)
				return hel_fail(HEL_EPARAMS, "not enough primes for log_n %u",
						s->log_n);
			primes[at + i] = q;
			divisor *= q;
		}
		p->divisor[l] = divisor;
		p->scale[l - 1] = square / divisor;
		if (fabs(log2(p->scale[l - 1] / target)) > 0.5)
			return hel_fail(HEL_EPARAMS, "scales drift apart at level %u", l - 1);
	}
	return HEL_OK;
}

#define SPECIAL_BITS_LEAST 23.25 /* primes are above 2^23, and some are wanted */

static double log_product(const uint32_t *primes, size_t count)
{
	double sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += log2(primes[i]);
	return sum;
}

static bool is_among(uint32_t q, const uint32_t *primes, size_t count)
{
	size_t i = 0;
	while (i < count && primes[i] != q)
		i++;
	return i < count;
}

double hel_special_bits(const hel_params_spec *s, double room, double digit)
{
	/* by sixteenths, so that every libm comes to the same */
	const double each = floor(16 * room / s->special) / 16;
	return each >= HEL_PRIME_BITS					  ? HEL_PRIME_BITS
	       : each >= SPECIAL_BITS_LEAST && s->special * each >= digit ? each
									  : 0;
}

/* Special primes as large as leaves QP secure, where those just below 2^30 are too large; these
 * stay where shorter ones would be below a digit: the spec is refused then. */
static hel_status shorten_special(const hel_params_spec *s, uint32_t *primes, size_t chain)
{
	uint32_t candidates[2 * HEL_MAX_PRIMES], *special = primes + chain;
	const double room = hel_security_limit(s->log_n) - log_product(primes, chain);
	double digit = 0;
	for (size_t at = 0; at < chain; at += s->alpha)
		digit = fmax(digit, log_product(primes + at, HEL_MIN(s->alpha, chain - at)));
	const double each = hel_special_bits(s, room, digit);
	if (log_product(special, s->special) <= room || each == 0)
		return HEL_OK;
	const size_t found =
	    hel_primes_find(candidates, chain + s->special, s->log_n, (uint32_t)exp2(each));
	size_t taken = 0;
	for (size_t i = 0; i < found && taken < s->special; i++)
		if (!is_among(candidates[i], primes, chain))
			special[taken++] = candidates[i];
	return taken == s->special
		   ? HEL_OK
		   : hel_fail(HEL_EPARAMS, "not enough primes of %.1f bits for log_n %u", each,
			      s->log_n);
}

/* A level's primes whose product is nearest to `want`, the first near its root. */
static hel_status take_group(double *product, uint32_t *primes, size_t count, double want,
			     uint32_t *candidates, size_t found)
{
	*product = 1;
	for (size_t i = 0; i < count; i++) {
		const double rest = want / *product;
		primes[i] = take_nearest(candidates, found, i + 1 < count ? sqrt(rest) : rest);
		if (!primes[i])
			return hel_fail(HEL_EPARAMS, "not enough primes for the runs of levels");
		*product *= primes[i];
	}
	return HEL_OK;
}

/* (31): scales that levels are meant to have, upwards from q_0; then, downwards, primes that give
 * them and the scales that follow. */
static hel_status choose_in_runs(hel_params *p, uint32_t *primes, size_t chain)
{
	hel_status st = HEL_OK;
	const hel_params_spec *s = &p->spec;
	uint32_t candidates[POOL];
	double target[HEL_MAX_LEVELS + 1];
	const double middle = exp2(s->scale_bits - s->trim / 16.0);
	const uint32_t ceiling = 1u << HEL_PRIME_BITS;
	/* a digit's product must not exceed the special primes': they lie a little above */
	if (hel_primes_find(primes + chain, s->special, s->log_n,
			    (uint32_t)HEL_MIN(1.02 * middle, (double)ceiling)) < s->special)
		FAIL(HEL_EPARAMS, "not enough primes for log_n %u", s->log_n);
	const uint32_t lowest = primes[chain + s->special - 1u];
	const size_t found = hel_primes_find(candidates, POOL, s->log_n, lowest);
	TRY(take_group(&target[0], primes, 1, middle, candidates, found));
	const double q = target[0];
	for (unsigned l = 1; l <= s->levels; l++)
		target[l] = hel_spec_passes(s, l)
				? target[l - 1]
				: sqrt(target[l - 1] * (hel_spec_primes(s, l) == 2 ? q * q : q));
	p->scale[s->levels] = target[s->levels];
	for (unsigned l = s->levels; l > 0; l--) {
		const bool passes = hel_spec_passes(s, l);
		const size_t count = hel_spec_primes(s, l);
		const double square = p->scale[l] * p->scale[l];
		const double want = passes ? (count == 2 ? q * q : q) : square / target[l - 1];
		TRY(take_group(&p->divisor[l], primes + p->limbs[l - 1], count, want, candidates,
			       found));
		p->scale[l - 1] = passes ? p->scale[l] : square / p->divisor[l];
		if (fabs(log2(p->scale[l - 1] / target[l - 1])) > 0.5)
			FAIL(HEL_EPARAMS, "scales drift apart at level %u", l - 1);
	}
done:
	return st;
}

hel_status hel_choose_primes(hel_params *p, uint32_t *primes)
{
	const size_t chain = p->limbs[p->spec.levels];
	if (p->spec.runs)
		return choose_in_runs(p, primes, chain);
	const hel_status st = choose_uniform(p, primes, chain);
	return st == HEL_OK ? shorten_special(&p->spec, primes, chain) : st;
}
