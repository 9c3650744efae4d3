/* Activations in the sine of a refresh: fits against the functions themselves, and one whole layer
 * of a network, encrypted, against the same numbers in the clear. */
#include "../ckks/fixture.h"
#include "circuit/sine_fit.h"

static double relu(double y)
{
	return y > 0 ? y : 0;
}

static double gelu(double y)
{
	return y / 2 * (1 + erf(y * M_SQRT1_2));
}

/* Clenshaw's recurrence. */
static double chebyshev(const double *c, unsigned degree, double x)
{
	double b = 0, before = 0;
	for (unsigned k = degree; k > 0; k--) {
		const double next = c[k] + 2 * x * b - before;
		before = b;
		b = next;
	}
	return c[0] + x * b - before;
}

static double value_at(const hel_activation_fit *fit, double y, double range)
{
	const double u = sin(2 * M_PI * HEL_TURN_ACTIVATION * y / range), v = 2 * u * u - 1;
	return chebyshev(fit->even, fit->even_degree, v) +
	       u * chebyshev(fit->odd, HEL_ACTIVATION_ODD, v);
}

/* The error's mean square under the density, and its largest, in units of the range. */
static void check_fit(const char *name, double (*f)(double), double range, unsigned degree,
		      double mean_bits, double worst_bits)
{
	enum { GRID = 20000 };
	hel_activation_fit fit;
	double sum = 0, weights = 0, worst = 0;
	assert_ok(hel_activation_fit_to(&fit, f, range, range / 7, degree));
	for (int i = 0; i <= GRID; i++) {
		const double y = range * (2.0 * i / GRID - 1), x = 7 * y / range;
		const double e = (value_at(&fit, y, range) - f(y)) / range, w = exp(-x * x / 2);
		sum += w * e * e;
		weights += w;
		worst = fmax(worst, fabs(e));
	}
	const double mean = sqrt(sum / weights);
	print_message("%s, degree %u: 2^%.2f in the mean square, 2^%.2f at most\n", name,
		      2 * degree, log2(mean), log2(worst));
	assert_true(mean < exp2(-mean_bits) && worst < exp2(-worst_bits));
}

static void test_fits(void **state)
{
	(void)state;
	check_fit("relu", relu, 3, 31, 10.5, 6);
	check_fit("relu", relu, 3, 63, 12, 7);
	check_fit("relu", relu, 3, 127, 13.5, 7);
	check_fit("gelu", gelu, 6, 31, 15, 7);
	hel_activation_fit fit;
	assert_status(HEL_EINVAL, hel_activation_fit_to(&fit, relu, 1, 0.1, 128));
	assert_status(HEL_EINVAL, hel_activation_fit_to(&fit, relu, 0, 0.1, 3));
	assert_status(HEL_EINVAL, hel_activation_fit_to(&fit, log, 1, 0.1, 3));
}

enum { LOG_VALUES = 6, VALUES = 1 << LOG_VALUES, BABIES = 8, START = 3 };

typedef struct network {
	hel_params *params;
	hel_secret_key *secret;
	hel_refresher *refresher;
	hel_keys *keys;
	hel_eval *ev;
	hel_prng g;
	size_t slots;
	double weight[VALUES][VALUES], range;
} network;

static void setup(network *n)
{
	hel_params_spec spec;
	const hel_key_request *of_refresh;
	hel_key_request request[128];
	*n = (network){.range = 4};
	test_prng(&n->g, 7);
	assert_ok(hel_refresh_params(&spec, 11, 9));
	assert_ok(hel_params_new_insecure_test(&n->params, &spec));
	n->slots = hel_params_slots(n->params);
	assert_ok(hel_secret_key_new(&n->secret, n->params));
	assert_ok(hel_refresher_new_turned(&n->refresher, n->params, LOG_VALUES, n->range,
					   HEL_TURN_ACTIVATION, NULL));
	size_t count = hel_refresher_keys(n->refresher, &of_refresh);
	memcpy(request, of_refresh, count * sizeof *request);
	for (long step = 1; step < VALUES; step = step < BABIES ? step + 1 : step + BABIES) {
		const uint32_t galois = hel_galois_of_rotation(n->params, step);
		size_t i = 0;
		while (i < count && request[i].galois != galois)
			i++;
		if (i == count)
			request[count++] = (hel_key_request){galois, START};
	}
	assert_ok(hel_keys_generate(&n->keys, n->secret, request, count, NULL));
	assert_ok(hel_eval_new(&n->ev, n->params, n->keys, NULL));
	for (int i = 0; i < VALUES; i++)
		for (int j = 0; j < VALUES; j++)
			n->weight[i][j] = sqrt(2.0 / VALUES) * hel_prng_normal(&n->g);
}

static void teardown(network *n)
{
	hel_eval_free(n->ev);
	hel_keys_free(n->keys);
	hel_refresher_free(n->refresher);
	hel_secret_key_free(n->secret);
	hel_params_free(n->params);
}

/* out = the matrix times what stands in slots, by all diagonals; one level. */
static void dense(network *n, hel_ct *out, const hel_ct *in)
{
	hel_linear_term term[VALUES];
	hel_complex *slots = hel_alloc(n->slots, sizeof *slots);
	for (size_t d = 0; d < VALUES; d++) {
		const size_t giant = d - d % BABIES;
		for (size_t q = 0; q < n->slots; q++) {
			const size_t p = q + n->slots - giant;
			const size_t row = hel_fft_value(LOG_VALUES, p % VALUES);
			const size_t column = hel_fft_value(LOG_VALUES, (p + d) % VALUES);
			slots[q].re = n->weight[row][column];
		}
		hel_pt *pt;
		assert_ok(hel_encode(&pt, n->params, slots, hel_ct_level(in), HEL_FOR_MUL));
		term[d] = (hel_linear_term){in, pt, (long)(d % BABIES), (long)giant};
	}
	assert_ok(hel_linear_apply(n->ev, out, term, VALUES));
	assert_ok(hel_eval_rescale(n->ev, out, out));
	for (size_t d = 0; d < VALUES; d++)
		hel_pt_free((hel_pt *)term[d].weight);
	hel_free(slots);
}

static void test_layer(void **state)
{
	(void)state;
	static network n;
	double x[VALUES], y[VALUES], sum = 0, largest = 0;
	hel_activation_fit fit;
	hel_ct *ct, *next;
	hel_pt *pt;
	setup(&n);
	hel_complex *slots = hel_alloc(n.slots, sizeof *slots);
	for (int i = 0; i < VALUES; i++)
		x[i] = fabs(hel_prng_normal(&n.g)) / 2;
	for (size_t i = 0; i < n.slots; i++)
		slots[i].re = x[hel_fft_value(LOG_VALUES, i % VALUES)];
	assert_ok(hel_encode(&pt, n.params, slots, START, HEL_FOR_ADD));
	assert_ok(hel_ct_new(&ct, n.params));
	assert_ok(hel_ct_new(&next, n.params));
	assert_ok(hel_encrypt(ct, n.secret, pt));
	assert_ok(hel_activation_fit_to(&fit, relu, n.range, n.range / 5, HEL_ACTIVATION_EVEN));
	dense(&n, next, ct);
	assert_ok(hel_refresh_activation(n.ev, ct, next, n.refresher, &fit));
	assert_int_equal(1, hel_ct_level(ct));
	assert_ok(hel_decrypt(slots, n.secret, ct));
	for (int i = 0; i < VALUES; i++) {
		y[i] = 0;
		for (int j = 0; j < VALUES; j++)
			y[i] += n.weight[i][j] * x[j];
		largest = fmax(largest, fabs(y[i]));
	}
	for (size_t i = 0; i < n.slots; i++) {
		const double e = slots[i].re - relu(y[hel_fft_value(LOG_VALUES, i % VALUES)]);
		sum += e * e / (double)n.slots;
	}
	print_message("values up to %.2f of %.0f; relu: 2^%.2f of the range\n", largest, n.range,
		      log2(sqrt(sum) / n.range));
	assert_true(largest < n.range);
	assert_true(sqrt(sum) < 0x1p-13 * n.range);
	/* fewer levels are left than this degree takes */
	assert_status(HEL_ELEVEL, hel_refresh_activation(n.ev, ct, ct, n.refresher, &fit));
	hel_ct_free(next);
	hel_ct_free(ct);
	hel_pt_free(pt);
	hel_free(slots);
	teardown(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_fits),
					   cmocka_unit_test(test_layer)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
