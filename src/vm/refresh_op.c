/* In the clear a refresh is the sum over roots of unity that (3) of docs/cryptography.md inverts,
 * and libm's sine: nothing of what ciphertexts go through. */
#include "refresh_op.h"
#include "circuit/polynomial.h"
#include "ckks/params.h"
#include "ckks/primes.h"
#include <math.h>

enum { MOST = 1 << HEL_MAX_LOG_REFRESHED };

static void roots(double *re, double *im, size_t n)
{
	for (size_t k = 0; k < 2 * n; k++) {
		re[k] = cos(M_PI * (double)k / (double)n);
		im[k] = sin(M_PI * (double)k / (double)n);
	}
}

/* The coefficients of X^(N / n): y_j = 2 / n sum over p < m of Re(z_p zeta^(-j 5^p)), zeta of order
 * 2 n, z_p the mean over the slots that are p modulo m. */
static void coefficients(double *y, const hel_complex *x, size_t n, size_t slots)
{
	double re[2 * MOST], im[2 * MOST];
	const size_t m = n / 2;
	size_t power = 1;
	roots(re, im, n);
	for (size_t j = 0; j < n; j++)
		y[j] = 0;
	for (size_t p = 0; p < m; p++, power = power * 5 % (2 * n)) {
		hel_complex z = {0, 0};
		for (size_t q = p; q < slots; q += m) {
			z.re += x[q].re;
			z.im += x[q].im;
		}
		z.re *= 2.0 * (double)m / (double)(n * slots);
		z.im *= 2.0 * (double)m / (double)(n * slots);
		for (size_t j = 0, k = 0; j < n; j++, k = (k + power) % (2 * n))
			y[j] += z.re * re[k] + z.im * im[k];
	}
}

double hel_refresh_op_clear(hel_complex *out, const hel_op *op, const hel_complex *x, size_t slots)
{
	double y[MOST], largest = 0;
	const unsigned log_values = op->index;
	const unsigned log_slots = (unsigned)__builtin_ctzll(slots);
	const size_t n = (size_t)1 << log_values;
	const double turn = 2 * M_PI * op->factor[1];
	coefficients(y, x, n, slots);
	for (size_t j = 0; j < n; j++) {
		y[j] *= op->factor[0] / op->factor[1];
		largest = fmax(largest, fabs(y[j]));
		y[j] = sin(turn * y[j]) / sin(turn);
	}
	for (size_t q = 0; q < slots; q++)
		out[q] = (hel_complex){
		    y[hel_fft_value(log_values, hel_fft_skewed(log_values, log_slots, q))], 0};
	return largest;
}

void hel_refresh_op_back(hel_complex *turn_x, const hel_op *op, const hel_complex *x,
			 const hel_complex *turn, size_t slots)
{
	double y[MOST], by[MOST] = {0}, re[2 * MOST], im[2 * MOST];
	const unsigned log_values = op->index;
	const unsigned log_slots = (unsigned)__builtin_ctzll(slots);
	const size_t n = (size_t)1 << log_values, m = n / 2;
	const double angle = 2 * M_PI * *op->factor; /* of a coefficient of 1 */
	size_t power = 1;
	coefficients(y, x, n, slots);
	roots(re, im, n);
	for (size_t q = 0; q < slots; q++)
		by[hel_fft_value(log_values, hel_fft_skewed(log_values, log_slots, q))] +=
		    turn[q].re;
	for (size_t j = 0; j < n; j++) /* of a slot, the mean of all slots being the coefficients */
		by[j] *=
		    cos(angle * y[j]) * angle * hel_refresh_gain(op->factor[1]) / (double)slots;
	for (size_t p = 0; p < m; p++, power = power * 5 % (2 * n)) {
		hel_complex z = {0, 0};
		for (size_t j = 0, k = 0; j < n; j++, k = (k + power) % (2 * n)) {
			z.re += by[j] * re[k];
			z.im -= by[j] * im[k];
		}
		for (size_t q = p; q < slots; q += m) {
			turn_x[q].re += z.re;
			turn_x[q].im += z.im;
		}
	}
}

hel_status hel_refresh_op_check(const hel_op *op, const hel_params *p)
{
	if (!hel_refresh_levels(&p->spec))
		return hel_fail(HEL_EPARAMS, "a refresh with parameters that are not made for it");
	if (!(fabs(*op->factor / hel_refresh_unit(p) - 1) < 0x1p-40))
		return hel_fail(HEL_EFORMAT,
				"a refresh of values in units of %.9g turns, "
				"expected %.9g",
				*op->factor, hel_refresh_unit(p));
	return HEL_OK;
}

/* --- cost ---------------------------------------------------------------------------- */

/* hel_encapsulate and hel_raise_extended. */
static void add_raise(hel_cost *c, const hel_params *p)
{
	const hel_params_spec *s = &p->spec;
	const double n = (double)p->ring.n, capsule = (double)p->capsule.count;
	const double limbs = (double)p->limbs[s->levels], rows = limbs + s->special;
	const double lifts = capsule + rows + limbs;
	hel_cost_add(c,
		     (hel_cost){.butterflies = (3 + lifts) * n * s->log_n / 2,
				.conversion_terms = n * lifts,
				.conversion_sums = n * lifts,
				.products = n * (1 + limbs) + 2 * n * (1 + capsule + rows),
				.key_bytes = 8 * n * (1 + capsule + rows),
				.forks = 3},
		     1);
	hel_params_spec small = *s; /* the capsule's primes in place of all special ones */
	small.special = (uint8_t)p->capsule.count;
	hel_cost_add(c, hel_cost_finish(&small, 1), 1);
}

/* An extended pair under several keys. */
static void add_moved(hel_cost *c, const hel_params_spec *s, size_t limbs, double keys)
{
	hel_cost_add(c, hel_cost_finish(s, limbs), 0.5); /* one half of two */
	hel_cost_add(c, hel_cost_decompose(s, limbs), 1);
	hel_cost_add(c, hel_cost_product(s, limbs), keys);
}

/* hel_extended_to_slots, or hel_fft_to_slots with the conjugate. */
static void add_transform(hel_cost *c, const hel_params *p, const hel_fft *t, unsigned level,
			  bool conjugate)
{
	const hel_params_spec *s = &p->spec;
	const size_t limbs = p->limbs[level], rows = limbs + s->special;
	const double babies = (double)t->babies;
	add_moved(c, s, limbs, babies - 1);
	for (size_t i = 1; i < t->giants + conjugate; i++)
		add_moved(c, s, limbs, 1);
	hel_cost_add(c, hel_cost_sum(s, rows, (double)t->count, babies, (double)t->giants), 1);
	if (conjugate) { /* it begins with a ciphertext */
		hel_cost_add(c, hel_cost_finish(s, limbs), -0.5);
		hel_cost_add(c, hel_cost_copy(s, limbs), 1);
		hel_cost_add(c, hel_cost_weighted_sum(s, rows, 1), 1);
	}
	hel_cost_add(c, hel_cost_finish_rescaled(s, level), 1);
}

/* hel_polynomial_apply */
static hel_status add_polynomial(hel_cost *c, const hel_refresher *r, unsigned level)
{
	hel_status st = HEL_OK;
	const hel_params *p = r->params;
	hel_schedule *s = NULL;
	TRY(hel_schedule_new(
	    &s, &(hel_polynomial){HEL_BASIS_CHEBYSHEV, HEL_REFRESH_DEGREE, r->cosine}));
	for (size_t i = 0; i < s->count; i++) {
		const hel_poly_step *step = &s->step[i];
		const unsigned at = level - step->depth;
		double terms = (double)step->terms;
		if (step->product)
			continue;
		size_t products = 0;
		for (size_t k = 0; k < step->terms; k++) {
			if (!hel_term_is_product(s, &step->term[k]))
				continue;
			products++;
			terms += step->term[k].factor == 2 ? 0 : -1;
		}
		hel_cost_add(c, hel_cost_weighted_sum(&p->spec, p->limbs[at], terms), 1);
		if (products)
			hel_cost_add(c, hel_cost_products_rescaled(&p->spec, at, products), 1);
		else
			hel_cost_add(c, hel_cost_rescale(&p->spec, at), 1);
	}
done:
	hel_schedule_free(s);
	return st;
}

hel_status hel_refresh_op_cost(hel_cost *out, const hel_refresher *r)
{
	hel_status st = HEL_OK;
	const hel_params *p = r->params;
	const hel_params_spec *s = &p->spec;
	const unsigned top = s->levels, angles = top - 2;
	hel_cost c = {0};
	add_raise(&c, p);
	for (size_t first = (size_t)1 << (r->log_values - 1); first < hel_params_slots(p);) {
		long steps[3];
		const size_t count = hel_refresh_trace_steps(steps, p, first);
		add_moved(&c, s, p->limbs[top], (double)count);
		hel_cost_add(&c, hel_cost_weighted_sum(s, p->limbs[top] + s->special, 1), 1);
		first *= count + 1;
	}
	add_transform(&c, p, &r->transform[HEL_TO_SLOTS_FAR], top, false);
	add_transform(&c, p, &r->transform[HEL_TO_SLOTS_NEAR], top - 1, true);
	hel_cost_add(&c, hel_cost_add_plain(s, p->limbs[angles]), 1);
	const unsigned squared[] = {angles, hel_refresh_levels(s) + 1};
	for (size_t i = 0; i < HEL_ARRAY_LEN(squared); i++) {
		hel_cost_add(&c, hel_cost_weighted_sum(s, p->limbs[squared[i]], 1), 1);
		hel_cost_add(&c, hel_cost_multiply_rescaled(s, squared[i], true), 1);
	}
	TRY(add_polynomial(&c, r, angles - 1));
	*out = c;
done:
	return st;
}
