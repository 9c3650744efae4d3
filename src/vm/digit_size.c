/* The digits of key switching: how many primes each has, and how many special primes follow. */
#include "digit_size.h"
#include "ckks/primes.h"
#include <math.h>
#include <stdlib.h>

/* A prime lies just below a power of two, or as much above. */
static double level_bits(const hel_params_spec *s)
{
	return HEL_MIN(s->scale_bits + 0.03, (double)HEL_PRIME_BITS);
}

/* What the chain without special primes takes. */
static double chain_bits(const hel_params_spec *s)
{
	/* a base of one prime is what is left below levels of exactly their scale */
	const double level = level_bits(s);
	return s->base ? HEL_PRIME_BITS + s->levels * s->primes_per_level * (s->scale_bits + 0.1)
	       : s->primes_per_level == 1
		   ? (double)hel_cost_limbs(s, s->levels) * level
		   : (double)HEL_PRIME_BITS * (double)hel_cost_limbs(s, s->levels);
}

/* One decomposition, two products and one division at every level. */
static double switching_seconds(const hel_params_spec *s, const hel_cost_model *machine)
{
	hel_cost cost = {0};
	for (unsigned level = 0; level <= s->levels; level++) {
		const size_t limbs = hel_cost_limbs(s, level);
		hel_cost_add(&cost, hel_cost_decompose(s, limbs), 1);
		hel_cost_add(&cost, hel_cost_product(s, limbs), 2);
		hel_cost_add(&cost, hel_cost_finish(s, limbs), 1);
	}
	const hel_cost_model m = hel_cost_model_for(machine, hel_cost_bytes(cost));
	return hel_cost_seconds(&m, cost);
}

hel_status hel_choose_digits(hel_params **out, const hel_params_spec *chain, bool precise,
			     const hel_cost_model *machine)
{
	hel_status st = HEL_OK;
	hel_params_spec best = {0};
	double least = INFINITY;
	*out = NULL;
	for (unsigned alpha = 1; alpha <= hel_cost_limbs(chain, chain->levels); alpha++) {
		hel_params_spec spec = *chain;
		spec.alpha = (uint8_t)alpha;
		spec.special = (uint8_t)(alpha + precise);
		if (chain_bits(&spec) + HEL_PRIME_BITS * (double)spec.special >
		    hel_security_limit(spec.log_n))
			break;
		const double seconds = switching_seconds(&spec, machine);
		if (seconds < least) {
			least = seconds;
			best = spec;
		}
	}
	if (!best.alpha)
		return HEL_OK;
	st = hel_params_new(out, &best);
	if (st == HEL_ESECURITY || st == HEL_EPARAMS)
		st = HEL_OK; /* not enough primes */
	return st;
}

static int cheaper(const void *a, const void *b)
{
	const hel_digits *x = a, *y = b;
	if (x->seconds != y->seconds)
		return x->seconds < y->seconds ? -1 : 1;
	return y->spec.scale_bits - x->spec.scale_bits;
}

#define SHORT_BY 0.1 /* bits */

/* Of all digit sizes for one scale, those that cost least: sizes hardly differ in precision. */
static size_t list_sizes(hel_digits *out, const hel_params_spec *chain, unsigned bits,
			 unsigned more, const hel_cost_model *machine)
{
	size_t count = 0;
	const double room = hel_security_limit(chain->log_n);
	for (unsigned alpha = 1; alpha <= hel_cost_limbs(chain, chain->levels); alpha++) {
		hel_digits one = {.spec = *chain};
		one.spec.scale_bits = (uint8_t)bits;
		one.spec.alpha = (uint8_t)alpha;
		one.spec.special = (uint8_t)(alpha + more);
		/* short ones are below their size by some steps of 2N */
		if (!(hel_special_bits(&one.spec, room - chain_bits(&one.spec),
				       alpha * level_bits(&one.spec) + SHORT_BY * alpha) > 0))
			break;
		one.seconds = switching_seconds(&one.spec, machine);
		if (count < HEL_DIGIT_SIZES)
			out[count++] = one;
		else if (one.seconds < out[count - 1].seconds)
			out[count - 1] = one;
		qsort(out, count, sizeof *out, cheaper);
	}
	return count;
}

size_t hel_digits_list(hel_digits out[HEL_DIGIT_WAYS], const hel_params_spec *chain,
		       const hel_cost_model *machine)
{
	size_t count = 0;
	for (unsigned bits = HEL_PRIME_BITS - HEL_DIGIT_SCALES + 1; bits <= HEL_PRIME_BITS; bits++)
		for (unsigned more = 0; more <= 1; more++)
			count += list_sizes(out + count, chain, bits, more, machine);
	qsort(out, count, sizeof *out, cheaper);
	return count;
}
