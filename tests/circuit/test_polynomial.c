/* Polynomials on ciphertexts against the numbers themselves, and the depth of every schedule. */
#include "../ckks/fixture.h"
#include "circuit/polynomial.h"

/* By recurrence, in both bases. */
static double value_at(const hel_polynomial *p, double x)
{
	double before = 1, now = x, sum = p->c[0];
	for (unsigned i = 1; i <= p->degree; i++) {
		sum += p->c[i] * now;
		double next = p->basis == HEL_BASIS_CHEBYSHEV ? 2 * x * now - before : x * now;
		before = now;
		now = next;
	}
	return sum;
}

static void random_coefficients(double *c, unsigned degree, hel_prng *g)
{
	double sum = 0;
	for (unsigned i = 0; i <= degree; i++) {
		c[i] = hel_prng_normal(g);
		sum += fabs(c[i]);
	}
	for (unsigned i = 0; i <= degree; i++)
		c[i] /= sum;
	c[degree] = 0.25; /* never lost */
}

/* A schedule run on plain numbers: the right value, products of one depth, few levels. */
static void check_schedule(const hel_polynomial *p)
{
	hel_schedule *s;
	assert_ok(hel_schedule_new(&s, p));
	double *value = hel_alloc(s->count + 1, sizeof *value);
	unsigned *depth = hel_alloc(s->count + 1, sizeof *depth);
	bool *product = hel_alloc(s->count + 1, sizeof *product);
	for (double x = -1; x <= 1; x += 0.0625) {
		value[0] = x;
		for (size_t i = 0; i < s->count; i++) {
			const hel_poly_step *t = &s->step[i];
			product[i + 1] = t->product;
			depth[i + 1] = t->depth + !t->product;
			if (t->product) {
				assert_at_most(t->a, (int)i);
				assert_at_most(t->b, (int)i);
				assert_true(!product[t->a] && !product[t->b]);
				assert_int_equal(depth[t->a], t->depth);
				assert_int_equal(depth[t->b], t->depth);
				value[i + 1] = value[t->a] * value[t->b];
				continue;
			}
			value[i + 1] = t->constant;
			for (size_t k = 0; k < t->terms; k++) {
				const int v = t->term[k].value;
				assert_at_most(v, (int)i);
				assert_at_most(depth[v], t->depth);
				if (product[v]) {
					assert_equal(depth[v], t->depth);
					assert_equal(rint(t->term[k].factor), t->term[k].factor);
				}
				value[i + 1] += t->term[k].factor * value[v];
			}
		}
		assert_within(value[s->count], value_at(p, x), 1e-9);
	}
	assert_int_equal(depth[s->count], hel_polynomial_levels(p->degree));
	hel_free(value);
	hel_free(depth);
	hel_free(product);
	hel_schedule_free(s);
}

/* Key switches: sums of products, however many. */
static size_t switches_of(const hel_polynomial *p)
{
	hel_schedule *s;
	size_t count = 0, terms = 0;
	assert_ok(hel_schedule_new(&s, p));
	for (size_t i = 0; i < s->count; i++) {
		size_t products = 0;
		for (size_t k = 0; k < s->step[i].terms; k++)
			products += hel_term_is_product(s, &s->step[i].term[k]);
		count += products > 0;
		terms += products;
	}
	assert_int_equal(s->products, terms); /* each in one sum */
	assert_int_equal(s->switches, count);
	hel_schedule_free(s);
	return count;
}

static void test_schedules(void **state)
{
	(void)state;
	hel_prng g;
	double c[HEL_MAX_DEGREE + 1];
	test_prng(&g, 1);
	for (unsigned degree = 1; degree <= HEL_MAX_DEGREE; degree++)
		for (int basis = HEL_BASIS_POWERS; basis <= HEL_BASIS_CHEBYSHEV; basis++)
			for (int parity = 0; parity < 3; parity++) {
				random_coefficients(c, degree, &g);
				for (unsigned i = 0; parity && i < degree; i++)
					if (i % 2 != degree % 2)
						c[i] = 0; /* even or odd functions */
				if (parity == 2)
					c[degree] = degree > 1 ? 0 : 1; /* and a leading zero */
				if (parity == 2 && degree == 2)
					c[0] = 0, c[1] = 1;
				check_schedule(&(hel_polynomial){(hel_basis)basis, degree, c});
			}
	random_coefficients(c, 254, &g);
	for (unsigned i = 1; i < 254; i += 2)
		c[i] = 0;
	assert_at_most(switches_of(&(hel_polynomial){HEL_BASIS_CHEBYSHEV, 254, c}), 24);
	assert_int_equal(2, hel_polynomial_levels(2));
	assert_int_equal(2, hel_polynomial_levels(3));
	assert_int_equal(3, hel_polynomial_levels(4));
	assert_int_equal(6, hel_polynomial_levels(63));
}

/* The mean square error of p over slots x, to first order (docs/cryptography.md, 5): encryption,
 * every product and every rescaling is a source of errors of known variance, and the chain rule
 * along the schedule says by what factor each of them reaches the result. At |x| = 1 the factors
 * are those of a steep function (T_63 grows by 3969 there), so that few slots decide about the
 * mean; no bound that knows only the degree is both safe and tight. */
static double predicted_variance(const ckks_fixture *f, const hel_polynomial *p, unsigned level,
				 const hel_complex *x)
{
	hel_schedule *s;
	assert_ok(hel_schedule_new(&s, p));
	const size_t n = s->count + 1;
	const double *scale = f->params->scale;
	double *value = hel_alloc(n, sizeof *value), *variance = hel_alloc(n, sizeof *variance);
	double *gain = hel_alloc(n * n, sizeof *gain), sum = 0;
	variance[0] = hel_noise_encryption(f->params, scale[level]) +
		      hel_noise_encoding(f->params, scale[level]);
	for (size_t i = 1; i < n; i++) {
		const unsigned at = level - s->step[i - 1].depth;
		variance[i] = s->step[i - 1].product
				  ? hel_noise_switch(f->params, f->params->limbs[at], 1,
						     scale[at] * scale[at])
				  : hel_noise_rescale(f->params, scale[at - 1]);
	}
	for (size_t slot = 0; slot < f->slots; slot++) {
		memset(gain, 0, n * n * sizeof *gain);
		value[0] = x[slot].re;
		gain[0] = 1;
		for (size_t i = 1; i < n; i++) {
			const hel_poly_step *t = &s->step[i - 1];
			double *g = gain + i * n;
			g[i] = 1;
			value[i] = t->product ? value[t->a] * value[t->b] : t->constant;
			for (size_t k = 0; t->product && k < i; k++)
				g[k] += value[t->b] * gain[(size_t)t->a * n + k] +
					value[t->a] * gain[(size_t)t->b * n + k];
			for (size_t j = 0; !t->product && j < t->terms; j++) {
				const size_t v = (size_t)t->term[j].value;
				value[i] += t->term[j].factor * value[v];
				for (size_t k = 0; k < i; k++)
					g[k] += t->term[j].factor * gain[v * n + k];
			}
		}
		for (size_t k = 0; k < n; k++)
			sum += variance[k] * gain[(n - 1) * n + k] * gain[(n - 1) * n + k];
	}
	hel_free(value);
	hel_free(variance);
	hel_free(gain);
	hel_schedule_free(s);
	return sum / (double)f->slots;
}

static void test_on_ciphertexts(void **state)
{
	(void)state;
	const hel_params_spec spec = {10, 7, 1, 30, 2, 3};
	ckks_fixture f;
	ckks_setup(&f, spec, NULL, 0);
	double c[HEL_MAX_DEGREE + 1];
	hel_complex *x = hel_alloc(f.slots, sizeof *x), *y = hel_alloc(f.slots, sizeof *y);
	for (size_t i = 0; i < f.slots; i++)
		x[i].re = 2 * (double)i / (double)(f.slots - 1) - 1;
	static const unsigned degrees[] = {1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 27, 31, 32, 47, 63};
	for (size_t d = 0; d < HEL_ARRAY_LEN(degrees); d++)
		for (int basis = HEL_BASIS_POWERS; basis <= HEL_BASIS_CHEBYSHEV; basis++)
			for (unsigned level = 7; level >= 6; level--) {
				const hel_polynomial p = {(hel_basis)basis, degrees[d], c};
				const unsigned levels = hel_polynomial_levels(p.degree);
				hel_ct *a = encrypted(&f, x, level);
				random_coefficients(c, p.degree, &f.g);
				for (size_t i = 0; i < f.slots; i++)
					y[i] = (hel_complex){value_at(&p, x[i].re), 0};
				assert_ok(hel_polynomial_apply(f.ev, a, a, &p));
				assert_int_equal(level - levels, hel_ct_level(a));
				assert_equal(hel_ct_scale(a), f.params->scale[level - levels]);
				assert_predicted("polynomial", decrypted_error(&f, a, y),
						 2.25 * predicted_variance(&f, &p, level, x));
				hel_ct_free(a);
			}
	hel_ct *a = encrypted(&f, x, 2), *b;
	assert_ok(hel_ct_new(&b, f.params));
	random_coefficients(c, 4, &f.g);
	assert_status(HEL_ELEVEL, hel_polynomial_apply(
				      f.ev, b, a, &(hel_polynomial){HEL_BASIS_CHEBYSHEV, 4, c}));
	assert_status(HEL_EINVAL, hel_polynomial_apply(
				      f.ev, b, a, &(hel_polynomial){HEL_BASIS_CHEBYSHEV, 0, c}));
	c[1] = NAN;
	assert_status(HEL_EINVAL, hel_polynomial_apply(
				      f.ev, b, a, &(hel_polynomial){HEL_BASIS_CHEBYSHEV, 2, c}));
	hel_eval *keyless;
	c[1] = 1;
	assert_ok(hel_eval_new(&keyless, f.params, NULL, NULL));
	assert_status(HEL_EKEY, hel_polynomial_apply(keyless, b, a,
						     &(hel_polynomial){HEL_BASIS_CHEBYSHEV, 2, c}));
	hel_eval_free(keyless);
	hel_ct_free(a);
	hel_ct_free(b);
	hel_free(x);
	hel_free(y);
	ckks_teardown(&f);
}

/* Values of different levels and products meet at exactly one scale. */
static void test_weighted_sum(void **state)
{
	(void)state;
	for (uint8_t per = 1; per <= 2; per++) {
		const hel_params_spec spec = {10, 4, per, (uint8_t)(per == 1 ? 30 : 58), 2, 4};
		ckks_fixture f;
		ckks_setup(&f, spec, NULL, 0);
		hel_complex *x = random_slots(&f), *y = random_slots(&f);
		hel_ct *a = encrypted(&f, x, 4), *b = encrypted(&f, y, 3), *ab, *sum;
		assert_ok(hel_ct_new(&ab, f.params));
		assert_ok(hel_ct_new(&sum, f.params));
		assert_ok(hel_eval_mul(f.ev, ab, b, b));
		const hel_sum_term terms[] = {{a, 0.7}, {b, -1.3}, {ab, 2}};
		assert_ok(hel_eval_weighted_sum(f.ev, sum, 3, terms, 3, 0.25));
		assert_ok(hel_eval_rescale(f.ev, sum, sum));
		assert_equal(hel_ct_level(sum), 2);
		assert_equal(hel_ct_scale(sum), f.params->scale[2]);
		hel_complex *z = hel_alloc(f.slots, sizeof *z);
		for (size_t i = 0; i < f.slots; i++) {
			double complex u = x[i].re + x[i].im * I, v = y[i].re + y[i].im * I;
			double complex w = 0.7 * u - 1.3 * v + 2 * v * v + 0.25;
			z[i] = (hel_complex){creal(w), cimag(w)};
		}
		const double scale = f.params->scale[3];
		assert_predicted("weighted sum", decrypted_error(&f, sum, z),
				 8 * hel_noise_encryption(f.params, scale) +
				     hel_noise_rescale(f.params, f.params->scale[2]));
		assert_status(HEL_EINVAL, hel_eval_weighted_sum(f.ev, sum, 3,
								(hel_sum_term[]){{ab, 0.5}}, 1, 0));
		assert_status(HEL_ELEVEL,
			      hel_eval_weighted_sum(f.ev, sum, 4, terms, 2, 0)); /* b is below */
		assert_status(HEL_ELEVEL, hel_eval_weighted_sum(f.ev, sum, 0, terms, 2, 0));
		assert_status(HEL_ESCALE,
			      hel_eval_weighted_sum(f.ev, sum, 2, (hel_sum_term[]){{ab, 1}}, 1, 0));
		assert_status(HEL_ERANGE, hel_eval_weighted_sum(f.ev, sum, 3, terms, 2, NAN));
		assert_status(HEL_EINVAL,
			      hel_eval_weighted_sum(f.ev, a, 3, (hel_sum_term[]){{a, 1}}, 1, 0));
		hel_free(x);
		hel_free(y);
		hel_free(z);
		hel_ct_free(a);
		hel_ct_free(b);
		hel_ct_free(ab);
		hel_ct_free(sum);
		ckks_teardown(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_schedules),
	    cmocka_unit_test(test_on_ciphertexts),
	    cmocka_unit_test(test_weighted_sum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
