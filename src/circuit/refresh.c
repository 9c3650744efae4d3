/* Refreshing (Cheon, Han, Kim, Kim, Song 2018; Bossuat, Mouchet, Troncoso-Pastoriza, Hubaux 2021;
 * with a sparse secret: 2022). Numbers in parentheses are equations of docs/cryptography.md. */
#include "refresh.h"
#include "ckks/encoder.h"
#include "ckks/eval.h"
#include "ckks/noise.h"
#include "ckks/params.h"
#include "ckks/raise.h"
#include "hoisted.h"
#include "polynomial.h"
#include <math.h>
#include <string.h>

#define TRANSFORMS HEL_REFRESH_TRANSFORMS

/* Levels below the sine's. */
static unsigned levels_left(const hel_params *p)
{
	return p->spec.levels - HEL_REFRESH_SINES - TRANSFORMS;
}

static hel_status check_params(const hel_params *p)
{
	return hel_refresh_levels(&p->spec)
		   ? HEL_OK
		   : hel_fail(HEL_EPARAMS,
			      "parameters of %u levels that are not hel_refresh_params()'",
			      p->spec.levels);
}

double hel_refresh_unit(const hel_params *p)
{
	return p->scale[0] / (double)p->ring.prime[0].q;
}

static void add_key(hel_refresher *r, uint32_t galois, unsigned level)
{
	size_t i = 0;
	while (i < r->requests && r->request[i].galois != galois)
		i++;
	if (i == r->requests)
		r->request[r->requests++] = (hel_key_request){galois, level};
	r->request[i].level = HEL_MAX(r->request[i].level, level);
}

static void add_rotation(hel_refresher *r, long steps, unsigned level)
{
	const uint32_t galois = hel_galois_of_rotation(r->params, steps);
	if (galois != 1)
		add_key(r, galois, level);
}

/* Four at a time; the last four in two steps, for a key less and a decomposition more. */
size_t hel_refresh_trace_steps(long steps[3], const hel_params *p, size_t first)
{
	const size_t count = hel_params_slots(p) / first > 4 ? 3 : 1;
	for (size_t i = 0; i < count; i++)
		steps[i] = (long)((i + 1) * first);
	return count;
}

static hel_status list_keys(hel_refresher *r)
{
	hel_status st = HEL_OK;
	const hel_params *p = r->params;
	const unsigned top = p->spec.levels;
	const size_t m = (size_t)1 << (r->log_values - 1);
	size_t most = 4 + 2 * (size_t)p->spec.log_n;
	for (size_t t = 0; t < HEL_ARRAY_LEN(r->transform); t++)
		most += 2 * r->transform[t].count;
	TRY_ALLOC(r->request, hel_alloc(most, sizeof *r->request));
	add_key(r, HEL_ENCAPSULATE, 0);
	add_key(r, HEL_DECAPSULATE, top);
	add_key(r, HEL_RELINEARISE, top - TRANSFORMS);
	add_key(r, hel_galois_of_conjugation(p), top - 1);
	for (size_t first = m; first < hel_params_slots(p);) {
		long steps[3];
		const size_t count = hel_refresh_trace_steps(steps, p, first);
		for (size_t i = 0; i < count; i++)
			add_rotation(r, steps[i], top);
		first *= count + 1;
	}
	for (unsigned k = 0; k < HEL_TO_SLOTS_FAR; k++)
		for (size_t i = 0; i < r->transform[k].count; i++) {
			add_rotation(r, r->transform[k].term[i].baby, 2 - k);
			add_rotation(r, r->transform[k].term[i].giant, 2 - k);
		}
	for (unsigned k = HEL_TO_SLOTS_FAR; k <= HEL_TO_SLOTS_NEAR; k++) {
		const hel_fft *t = &r->transform[k];
		for (size_t i = 1; i < t->babies + (t->giants > 1); i++)
			add_rotation(r, (long)i * t->unit, top - (k == HEL_TO_SLOTS_NEAR));
	}
done:
	return st;
}

/* cos(pi K x) = sum over k of c_k T_k(2 x^2 - 1), c_k = 2 (-1)^k J_2k(pi K), c_0 half of it */
static void fill_cosine(double *c)
{
	for (int k = 0; k <= HEL_REFRESH_DEGREE; k++)
		c[k] = (k ? 2 : 1) * (k % 2 ? -1 : 1) * jn(2 * k, M_PI * HEL_REFRESH_BOUND);
}

/* range arcsin(u) / (pi / 4) in powers of u, from its Chebyshev series on [-0.72, 0.72]. */
static void fill_arcsine(double *c, double range)
{
	enum { NODES = 64 };
	const double end = 0.72;
	double before[HEL_ARCSINE_DEGREE + 1] = {1}, now[HEL_ARCSINE_DEGREE + 1] = {0, 1 / end};
	memset(c, 0, (HEL_ARCSINE_DEGREE + 1) * sizeof *c);
	for (int k = 1; k <= HEL_ARCSINE_DEGREE; k++) {
		double sum = 0;
		for (int i = 0; k % 2 && i < NODES; i++) {
			const double angle = M_PI * (i + 0.5) / NODES;
			sum += 2.0 / NODES * cos(k * angle) * asin(end * cos(angle));
		}
		double next[HEL_ARCSINE_DEGREE + 1] = {0};
		for (int i = 0; i <= HEL_ARCSINE_DEGREE; i++) {
			c[i] += range / M_PI_4 * sum * now[i];
			next[i] = (i ? 2 / end * now[i - 1] : 0) - before[i];
		}
		memcpy(before, now, sizeof before);
		memcpy(now, next, sizeof now);
	}
}

static hel_status encode_shift(hel_refresher *r)
{
	hel_status st = HEL_OK;
	const hel_params *p = r->params;
	const size_t slots = hel_params_slots(p);
	hel_complex *v = NULL;
	TRY_ALLOC(v, hel_alloc(slots, sizeof *v));
	for (size_t i = 0; i < slots; i++)
		v[i].re = -0.25 / HEL_REFRESH_BOUND;
	TRY(hel_encode(&r->shift, p, v, p->spec.levels - TRANSFORMS, HEL_FOR_ADD));
done:
	hel_free(v);
	return st;
}

/* The weights of all four; scales make each end at its level's. */
static hel_status encode_transforms(hel_refresher *r, hel_pool *pool)
{
	hel_status st = HEL_OK;
	const hel_params *p = r->params;
	const unsigned top = p->spec.levels;
	const double q = p->ring.prime[0].q, *s = p->scale, *d = p->divisor;
	const double turn = HEL_TURN_VALUE / r->range * q / s[0];
	const double raised = r->constant * r->unit;
	const struct {
		unsigned level;
		double factor, scale;
	} by_kind[] = {
	    [HEL_TO_COEFFICIENTS_NEAR] = {2, 1, s[1] * d[2] / s[2]},
	    [HEL_TO_COEFFICIENTS_FAR] = {1, turn, s[0] * d[1] / s[1]},
	    [HEL_TO_SLOTS_FAR] = {top, 1, s[top - 1] * d[top] / raised},
	    [HEL_TO_SLOTS_NEAR] = {top - 1, 1, s[top - 2] * d[top - 1] / s[top - 1]},
	};
	for (unsigned k = 0; k < HEL_ARRAY_LEN(by_kind); k++)
		TRY(hel_fft_encode(&r->transform[k], p, (hel_fft_kind)k, r->log_values, r->copies,
				   by_kind[k].level, by_kind[k].factor, by_kind[k].scale, pool));
done:
	return st;
}

/* All but weights. first: of the transforms that are needed. */
static hel_status refresher_new(hel_refresher **out, const hel_params *p, unsigned log_values,
				hel_fft_kind first)
{
	hel_status st = HEL_OK;
	hel_refresher *r = NULL;
	TRY(check_params(p));
	TRY_ALLOC(r, hel_alloc(1, sizeof *r));
	*r = (hel_refresher){.params = p, .log_values = log_values};
	/* the trace and the transform multiply by N / 2, adding the conjugate by 2 */
	r->unit = (double)p->ring.prime[0].q * (double)p->ring.n * HEL_REFRESH_BOUND;
	r->constant = (uint32_t)llrint(p->scale[p->spec.levels] / r->unit);
	for (unsigned k = first; k < HEL_ARRAY_LEN(r->transform); k++)
		TRY(hel_fft_init(&r->transform[k], p, (hel_fft_kind)k, log_values));
	TRY(list_keys(r));
	*out = r;
	r = NULL;
done:
	hel_refresher_free(r);
	return st;
}

hel_status hel_refresher_new(hel_refresher **out, const hel_params *p, unsigned log_values,
			     double range, hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_refresher *r = NULL;
	if (!(range > 0x1p-20 && range < 0x1p20))
		FAIL(HEL_EINVAL, "a range of %g, expected 2^-20 to 2^20", range);
	TRY(refresher_new(&r, p, log_values, HEL_TO_COEFFICIENTS_NEAR));
	r->range = range;
	TRY(encode_transforms(r, pool));
	TRY(encode_shift(r));
	fill_cosine(r->cosine);
	fill_arcsine(r->arcsine, range);
	*out = r;
	r = NULL;
done:
	hel_refresher_free(r);
	return st;
}

hel_status hel_refresher_sketch(hel_refresher **out, const hel_params *p, unsigned log_values)
{
	const hel_status st = refresher_new(out, p, log_values, HEL_TO_SLOTS_FAR);
	if (st != HEL_OK)
		return st;
	hel_refresher *r = *out;
	r->range = 1;
	r->copies = HEL_COPIES_SKEWED;
	fill_cosine(r->cosine);
	return HEL_OK;
}

hel_status hel_refresher_new_program(hel_refresher **out, const hel_params *p, unsigned log_values,
				     hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_refresher *r = NULL;
	TRY(hel_refresher_sketch(&r, p, log_values));
	TRY(encode_transforms(r, pool));
	TRY(encode_shift(r));
	*out = r;
	r = NULL;
done:
	hel_refresher_free(r);
	return st;
}

size_t hel_refresher_bytes(const hel_refresher *r)
{
	const hel_params *p = r->params;
	const unsigned top = p->spec.levels;
	return 4 * p->ring.n *
	       (r->transform[HEL_TO_SLOTS_FAR].count * (p->limbs[top] + p->ring.special) +
		r->transform[HEL_TO_SLOTS_NEAR].count * (p->limbs[top - 1] + p->ring.special) +
		p->limbs[top - TRANSFORMS]);
}

void hel_refresher_free(hel_refresher *r)
{
	if (!r)
		return;
	for (size_t t = 0; t < HEL_ARRAY_LEN(r->transform); t++)
		hel_fft_clear(&r->transform[t]);
	hel_pt_free(r->shift);
	hel_free(r->request);
	hel_free(r);
}

size_t hel_refresher_keys(const hel_refresher *r, const hel_key_request **requests)
{
	*requests = r->request;
	return r->requests;
}

/* --- errors ------------------------------------------------------------------ */

double hel_refresh_gain(double turn)
{
	return 1 / sin(2 * M_PI * turn);
}

double hel_refresh_sine_error(const hel_refresher *r, double gain, double variance)
{
	const hel_params *p = r->params;
	const unsigned top = p->spec.levels, low = levels_left(p);
	const double q = p->ring.prime[0].q, turn = 2 * M_PI;
	/* the integers behind coefficients, and what the capsule's rounding adds */
	double sum = turn * turn * (variance + (1 + HEL_SPARSE_WEIGHT) / 12.0) / (q * q);
	/* the transform's weights, of n coefficients, times t twice; t has the variance of I */
	const double weight = exp2(r->log_values + 1) / 12 / (p->divisor[top] * p->divisor[top]);
	sum += turn * turn * 2.5 * weight * (1 + HEL_SPARSE_WEIGHT) / 12.0;
	/* angles at the top, where t / K has the scale; the cosine before it is doubled */
	const double angle = turn * HEL_REFRESH_BOUND;
	sum += angle * angle * hel_noise_rescale(p, p->scale[top]);
	/* w = 2 x^2 - 1, from which u = cos(2 pi K x) is steepest near x = 0: the mean square of
	 * du/dw, (pi K^2 / 2)^2 (sin(2 pi t) / t)^2 at the density of t there */
	const double steep = M_PI * HEL_REFRESH_BOUND * HEL_REFRESH_BOUND / 2;
	const double density = 1 / sqrt(2 * M_PI * (1 + HEL_SPARSE_WEIGHT) / 12.0);
	sum += steep * steep * density * 2 * M_PI * M_PI *
	       hel_noise_rescale(p, p->scale[top - TRANSFORMS - 1]) / 2;
	/* values of the cosine, times the derivative of 2 f^2 - 1: 8 in the mean square; f
	 * already has the gain's root */
	for (unsigned l = low + 1; l < top - TRANSFORMS; l++)
		sum += 8 / gain * hel_noise_rescale(p, p->scale[l]) / 2;
	return sqrt(gain * gain * sum + hel_noise_rescale(p, p->scale[low]) / 2);
}

double hel_refresher_error(const hel_refresher *r)
{
	const hel_params *p = r->params;
	const double n = (double)p->ring.n, rounding = (1 + 2 * n / 3) / 12;
	/* The last rescaling; the one before it and the rotations of its result, which pass the
	 * second matrix, of m / near entries an eighth of a turn in size; the drop to level 2 and
	 * the rotations there, which pass both and are added from two halves. */
	const double m = exp2(r->log_values - 1), far = exp2(r->log_values / 2);
	const double passed = 2 * (far + 2 * m) / (64 * r->range * r->range);
	const double sine = hel_refresh_sine_error(r, 1, rounding * (1 + passed));
	/* the arcsine's derivative in the mean over an eighth of a turn, and at 0, by which its
	 * powers' rescalings are multiplied; its last rescaling; its polynomial */
	const double slope = r->range / M_PI_4, mean = slope * slope / M_PI_4;
	const double last = hel_noise_rescale(p, p->scale[levels_left(p) - 4]) / 2;
	return sqrt(sine * sine * mean + last * (1 + slope * slope) +
		    r->range * r->range * 0x1p-44);
}

/* --- the refresh itself -------------------------------------------------------- */

/* out = 2 a^2 - one */
static hel_status twice_squared(const hel_eval *ev, hel_ct *out, const hel_ct *a, double one)
{
	hel_status st = HEL_OK;
	hel_ct *minus = NULL;
	TRY(hel_ct_take(&minus, ev));
	TRY(hel_eval_weighted_sum(ev, minus, a->level, NULL, 0, -one));
	TRY(hel_eval_mul_add_rescale(ev, out, &(hel_product_term){a, a, 2}, 1, minus));
done:
	hel_ct_free(minus);
	return st;
}

/* Between two steps of a tenth of a second or so. */
static hel_status go_on(const hel_eval *ev)
{
	return ev->stop && atomic_load_explicit(ev->stop, memory_order_relaxed)
		   ? hel_fail(HEL_ECANCEL, "cancelled within a refresh")
		   : HEL_OK;
}

/* Sums over the rotations by multiples of m: what repeats is multiplied by N / (2 m), coefficients
 * that do not belong to X^(N / n) vanish. */
static hel_status trace(hel_extended *x, const hel_refresher *r)
{
	hel_status st = HEL_OK;
	for (size_t first = (size_t)1 << (r->log_values - 1);
	     first < hel_params_slots(r->params);) {
		long steps[3];
		const size_t count = hel_refresh_trace_steps(steps, r->params, first);
		TRY(go_on(x->ev));
		TRY(hel_extended_add_rotations(x, steps, count));
		first *= count + 1;
	}
done:
	return st;
}

/* Level 0 to the slots t / K, at the top but two. */
static hel_status raise_to_slots(const hel_eval *ev, hel_ct *out, const hel_ct *a,
				 const hel_refresher *r)
{
	hel_status st = HEL_OK;
	const unsigned top = r->params->spec.levels;
	const hel_fft *far = &r->transform[HEL_TO_SLOTS_FAR];
	hel_extended x = {0};
	TRY(hel_encapsulate(ev, out, a));
	TRY(hel_extended_take(&x, ev, top, far->babies));
	TRY(hel_raise_extended(ev, x.pair, out, top, r->constant));
	TRY(trace(&x, r));
	TRY(go_on(ev));
	TRY(hel_extended_to_slots(out, &x, far, r->constant * r->unit));
	hel_extended_give(&x);
	TRY(go_on(ev));
	TRY(hel_fft_to_slots(ev, out, &r->transform[HEL_TO_SLOTS_NEAR], out, true));
done:
	hel_extended_give(&x);
	return st;
}

hel_status hel_refresh_sine(const hel_eval *ev, hel_ct *out, const hel_ct *a,
			    const hel_refresher *r, double gain)
{
	hel_status st = HEL_OK;
	hel_ct *x = NULL, *w = NULL;
	double cosine[HEL_REFRESH_DEGREE + 1];
	for (size_t k = 0; k < HEL_ARRAY_LEN(cosine); k++)
		cosine[k] = sqrt(gain) * r->cosine[k]; /* squared next */
	if (r->params != ev->params)
		FAIL(HEL_EPARAMS, "refresher and evaluator have different parameters");
	TRY(hel_ct_take(&x, ev));
	TRY(hel_ct_take(&w, ev));
	TRY(raise_to_slots(ev, x, a, r));
	TRY(go_on(ev));
	TRY(hel_eval_add_plain(ev, x, x, r->shift));
	TRY(twice_squared(ev, w, x, 1));
	TRY(hel_polynomial_apply(
	    ev, x, w, &(hel_polynomial){HEL_BASIS_CHEBYSHEV, HEL_REFRESH_DEGREE, cosine}));
	TRY(twice_squared(ev, out, x, gain));
done:
	hel_ct_free(w);
	hel_ct_free(x);
	return st;
}

/* Real slots to coefficients of level 0, an eighth of a turn for `range`. */
static hel_status to_coefficients(const hel_eval *ev, hel_ct *x, const hel_ct *a,
				  const hel_refresher *r)
{
	hel_status st = HEL_OK;
	const long halves[] = {0, 1l << (r->log_values - 1)};
	hel_ct *w = NULL;
	TRY(hel_ct_take(&w, ev));
	TRY(hel_eval_drop(ev, x, a, 2));
	TRY(hel_fft_apply(ev, w, &r->transform[HEL_TO_COEFFICIENTS_NEAR], x));
	TRY(hel_eval_rotate_sum_rescale(ev, x, w, halves, 2));
	TRY(hel_fft_apply(ev, w, &r->transform[HEL_TO_COEFFICIENTS_FAR], x));
	TRY(hel_eval_rescale(ev, x, w));
done:
	hel_ct_free(w);
	return st;
}

static hel_status slots_to_sine(const hel_eval *ev, hel_ct *out, const hel_ct *a,
				const hel_refresher *r)
{
	hel_status st = HEL_OK;
	hel_ct *x = NULL;
	if (r->params != ev->params || out->params != ev->params || a->params != ev->params)
		FAIL(HEL_EPARAMS, "ciphertext, refresher and evaluator have different parameters");
	if (a->level < 2)
		FAIL(HEL_ELEVEL, "a refresh starts at level 2, found level %u", a->level);
	TRY(hel_ct_take(&x, ev));
	TRY(to_coefficients(ev, x, a, r));
	TRY(hel_refresh_sine(ev, out, x, r, 1));
done:
	hel_ct_free(x);
	return st;
}

hel_status hel_refresh(const hel_eval *ev, hel_ct *out, const hel_ct *a, const hel_refresher *r)
{
	hel_status st = HEL_OK;
	hel_ct *u = NULL;
	TRY(hel_ct_take(&u, ev));
	TRY(slots_to_sine(ev, u, a, r));
	TRY(hel_polynomial_apply(
	    ev, out, u, &(hel_polynomial){HEL_BASIS_POWERS, HEL_ARCSINE_DEGREE, r->arcsine}));
done:
	hel_ct_free(u);
	return st;
}
