/* What a program computes does not depend on the scale of its ciphertexts nor on digits: of all
 * ways the cheapest is taken that leaves the score precise enough. Errors of any of them follow
 * from one walk through the program (vm/noisy.h). */
#include "scales.h"
#include "vm/digit_size.h"
#include <math.h>

#define NEARLY 0.3 /* bits below the most precise, where none has what is wanted */

static bool same(const hel_params_spec *a, const hel_params_spec *b)
{
	return a->scale_bits == b->scale_bits && a->alpha == b->alpha && a->special == b->special;
}

/* *params stays NULL where there are none of this spec. */
static hel_status try_params(hel_params **params, const hel_params_spec *spec)
{
	const hel_status st = hel_params_new(params, spec);
	return st == HEL_ESECURITY || st == HEL_EPARAMS ? HEL_OK : st;
}

static hel_status bits_of(double *bits, const hel_program *p, const hel_params *params,
			  const hel_precision *precision, double spread)
{
	hel_status st = HEL_OK;
	hel_noise noise;
	TRY(hel_precision_noise(&noise, precision, p, params));
	*bits = log2(spread / (sqrt(2 / M_PI) * noise.score));
done:
	return st;
}

static hel_status keys_fit(bool *fit, const hel_program *p, const hel_params *params, size_t most)
{
	size_t bytes = 0;
	const hel_status st = most ? hel_key_bytes(&bytes, p, params) : HEL_OK;
	*fit = bytes <= most;
	return st;
}

/* The first of the ways that has enough bits and whose keys fit becomes c's, after `rank` others.
 */
static hel_status take_first(bool *changed, choice *c, const hel_program *p, const hel_digits *way,
			     const double *has, size_t ways, double enough, size_t max_key_bytes,
			     unsigned rank)
{
	hel_status st = HEL_OK;
	hel_params *params = NULL;
	bool fit = false;
	for (size_t i = 0; i < ways && !fit; i++) {
		if (!(has[i] >= enough))
			continue;
		if (rank) {
			rank--;
			continue;
		}
		if (same(&way[i].spec, &c->params->spec))
			break;
		hel_params_free(params);
		params = NULL;
		TRY(hel_params_new(&params, &way[i].spec));
		TRY(keys_fit(&fit, p, params, max_key_bytes));
	}
	if (fit) {
		hel_params_free(c->params);
		c->params = params;
		params = NULL;
		*changed = true;
	}
done:
	hel_params_free(params);
	return st;
}

hel_status hel_choose_scales(bool *changed, choice *c, const hel_program *p,
			     const hel_precision *precision, double bits, double spread,
			     size_t max_key_bytes, unsigned rank, const hel_cost_model *machine)
{
	hel_status st = HEL_OK;
	const hel_params_spec planned = c->params->spec;
	hel_digits *way = NULL;
	hel_params *params = NULL;
	double has[HEL_DIGIT_WAYS], most = -INFINITY;
	size_t tried = 0, enough = 0;
	bool fit = false;
	*changed = false;
	if (planned.runs || planned.primes_per_level != 1 || planned.base) {
		if (rank)
			FAIL(HEL_EUNSUPPORTED, "scales and digits of this ring are not chosen");
		goto done;
	}
	TRY_ALLOC(way, hel_alloc(HEL_DIGIT_WAYS, sizeof *way));
	const size_t ways = hel_digits_list(way, &planned, machine);
	for (; tried < ways && enough <= rank; tried++) {
		has[tried] = -INFINITY;
		TRY(try_params(&params, &way[tried].spec));
		if (params)
			TRY(bits_of(&has[tried], p, params, precision, spread));
		if (has[tried] >= bits) { /* sizes take longer */
			TRY(keys_fit(&fit, p, params, max_key_bytes));
			has[tried] = fit ? has[tried] : -INFINITY;
			enough += fit;
		}
		most = fmax(most, has[tried]);
		hel_params_free(params);
		params = NULL;
	}
	if (rank && enough <= rank)
		FAIL(HEL_EUNSUPPORTED,
		     "%zu digits and scales are precise enough, %u are to be left", enough, rank);
	if (isfinite(most))
		TRY(take_first(changed, c, p, way, has, tried, most >= bits ? bits : most - NEARLY,
			       max_key_bytes, rank));
done:
	hel_free(way);
	hel_params_free(params);
	return st;
}
