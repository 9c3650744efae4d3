/* Every activation in one refresh, encrypted, against libm: values in coefficients become sines,
 * and the polynomial that a compiled program has makes activations of them. */
#include "../ckks/fixture.h"
#include "circuit/polynomial.h"
#include "circuit/refresh.h"
#include "ckks/encoder.h"
#include "model/approximation.h"

#define TURN 0.08

enum { LOG_N = 10, LOG_VALUES = 9, VALUES = 1 << LOG_VALUES, LEVELS = 9 };

/* Formulas of their own, not the model's. */
static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}
static double relu(double x)
{
	return x > 0 ? x : 0;
}
static double leaky(double x)
{
	return fmax(x, 0.01 * x);
}
static double silu(double x)
{
	return x * sigmoid(x);
}
static double gelu(double x)
{
	return x * erfc(-x * M_SQRT1_2) / 2;
}
static double clipped(double x)
{
	return fmin(fmax(x, 0), 6);
}
static double hardtanh(double x)
{
	return fmin(fmax(x, -1), 1);
}
static double hardsigmoid(double x)
{
	return clipped(x + 3) / 6;
}
static double hardswish(double x)
{
	return x * hardsigmoid(x);
}
static double softplus(double x)
{
	return log1p(exp(x));
}

/* bits: of the root mean square error over the whole range, in units of the range: at kinks
 * the polynomial is off, elsewhere ciphertexts are. */
static const struct {
	hel_activation act;
	double (*f)(double);
	double range;
	unsigned degree;
	double bits;
} cases[] = {
    {{HEL_ACT_RELU, 0, 0}, relu, 3, 254, 14},
    {{HEL_ACT_LEAKY_RELU, 0.01, 0}, leaky, 3, 254, 14},
    {{HEL_ACT_RELU6, 0, 0}, clipped, 10, 254, 13.5},
    {{HEL_ACT_HARDTANH, 0, 0}, hardtanh, 3, 254, 13.5},
    {{HEL_ACT_HARDSIGMOID, 0, 0}, hardsigmoid, 6, 254, 16},
    {{HEL_ACT_HARDSWISH, 0, 0}, hardswish, 6, 254, 14.5},
    {{HEL_ACT_SILU, 0, 0}, silu, 8, 126, 20.5},
    {{HEL_ACT_GELU, 0, 0}, gelu, 8, 126, 20.5},
    {{HEL_ACT_TANH, 0, 0}, tanh, 8, 126, 20.5},
    {{HEL_ACT_SIGMOID, 0, 0}, sigmoid, 8, 126, 20.5},
    {{HEL_ACT_SOFTPLUS, 0, 0}, softplus, 8, 126, 20.5},
};

typedef struct fixture {
	hel_params *params;
	hel_secret_key *secret;
	hel_keys *keys;
	hel_eval *ev;
	hel_refresher *refresher;
	size_t slots;
	double y[VALUES]; /* of the range */
	hel_ct *sine;	  /* of all y, 1 at the range's end */
} fixture;

/* All values of the range, in the coefficients of X^(N / n). */
static void make_sines(fixture *f)
{
	const size_t n = 2 * f->slots, stride = n / VALUES;
	const double turn = (double)f->params->ring.prime[0].q / hel_params_scale(f->params, 0);
	double *c = hel_alloc(n, sizeof *c);
	hel_complex *slots = hel_alloc(f->slots, sizeof *slots);
	hel_pt *pt;
	for (size_t j = 0; j < VALUES; j++) {
		f->y[j] = 2 * (double)j / (VALUES - 1) - 1;
		c[j * stride] = f->y[j] * TURN * turn;
	}
	assert_ok(hel_embed(f->params, slots, c));
	assert_ok(hel_encode(&pt, f->params, slots, 0, HEL_FOR_ADD));
	assert_ok(hel_ct_new(&f->sine, f->params));
	assert_ok(hel_encrypt(f->sine, f->secret, pt));
	assert_ok(hel_refresh_sine(f->ev, f->sine, f->sine, f->refresher, hel_refresh_gain(TURN)));
	hel_pt_free(pt);
	hel_free(slots);
	hel_free(c);
}

static void setup(fixture *f)
{
	hel_params_spec spec;
	const hel_key_request *requests;
	assert_ok(hel_refresh_params(&spec, LOG_N, LEVELS));
	assert_ok(hel_params_new_insecure_test(&f->params, &spec));
	f->slots = hel_params_slots(f->params);
	assert_ok(hel_secret_key_new(&f->secret, f->params));
	assert_ok(hel_refresher_new(&f->refresher, f->params, LOG_VALUES, 1, NULL));
	const size_t count = hel_refresher_keys(f->refresher, &requests);
	assert_ok(hel_keys_generate(&f->keys, f->secret, requests, count, NULL));
	assert_ok(hel_eval_new(&f->ev, f->params, f->keys, NULL));
	make_sines(f);
}

static void teardown(fixture *f)
{
	hel_ct_free(f->sine);
	hel_eval_free(f->ev);
	hel_keys_free(f->keys);
	hel_refresher_free(f->refresher);
	hel_secret_key_free(f->secret);
	hel_params_free(f->params);
}

static void test_every_activation(void **state)
{
	(void)state;
	static fixture f;
	static hel_approximation fit;
	setup(&f);
	hel_complex *got = hel_alloc(f.slots, sizeof *got);
	for (size_t k = 0; k < HEL_ARRAY_LEN(cases); k++) {
		const double range = cases[k].range;
		const unsigned degree = cases[k].degree;
		hel_ct *ct;
		double sum = 0;
		assert_ok(
		    hel_approximation_fit_wide(&fit, cases[k].act, degree, TURN, range, NULL));
		assert_ok(hel_ct_new(&ct, f.params));
		assert_ok(hel_polynomial_apply(
		    f.ev, ct, f.sine, &(hel_polynomial){HEL_BASIS_CHEBYSHEV, degree, fit.c}));
		assert_int_equal(LEVELS - hel_polynomial_levels(degree), hel_ct_level(ct));
		assert_ok(hel_decrypt(got, f.secret, ct));
		for (size_t i = 0; i < f.slots; i++) {
			const double y = range * f.y[hel_fft_value(LOG_VALUES, i % VALUES)];
			const double e = (got[i].re - cases[k].f(y)) / range;
			sum += e * e / (double)f.slots;
		}
		print_message("%s, degree %u over +-%g: error 2^%.2f of the range\n",
			      hel_activation_name(cases[k].act.kind), degree, range, log2(sum) / 2);
		assert_at_most(log2(sum) / 2, -cases[k].bits);
		hel_ct_free(ct);
	}
	hel_free(got);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_activation)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
