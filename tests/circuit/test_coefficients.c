/* Slots to coefficients and back against the definition, sums over all n^2 roots in long double. */
#include "../ckks/fixture.h"
#include "circuit/coefficients.h"

enum { LOG_N = 10, LEVELS = 2 };

static const hel_params_spec spec = {LOG_N, LEVELS, 2, 58, 3, 3};

typedef struct fixture {
	ckks_fixture f;
	hel_fft t[4];
	unsigned log_values;
	size_t n, m;
} fixture;

static void setup(fixture *x, unsigned log_values, hel_copies copies)
{
	long rotation[64];
	size_t count = 0;
	x->log_values = log_values;
	x->n = (size_t)1 << log_values;
	x->m = x->n / 2;
	hel_params *p;
	assert_ok(hel_params_new_insecure_test(&p, &spec));
	for (unsigned kind = 0; kind < 4; kind++)
		assert_ok(hel_fft_init(&x->t[kind], p, (hel_fft_kind)kind, log_values));
	rotation[count++] = (long)x->m;
	for (unsigned kind = 0; kind < 4; kind++)
		for (size_t i = 0; i < x->t[kind].count; i++)
			for (int giant = 0; giant < 2; giant++) {
				const hel_fft *t = &x->t[kind];
				const long one = (long)t->babies * t->unit; /* of the way back */
				const long step = !giant	  ? t->term[i].baby
						  : kind < 2	  ? t->term[i].giant
						  : t->giants > 1 ? one
								  : 0;
				size_t k = 0;
				while (k < count && rotation[k] != step)
					k++;
				if (step && k == count)
					rotation[count++] = step;
			}
	for (unsigned kind = 0; kind < 4; kind++)
		hel_fft_clear(&x->t[kind]);
	hel_params_free(p);
	ckks_setup(&x->f, spec, rotation, count);
	for (unsigned kind = 0; kind < 4; kind++) {
		assert_ok(hel_fft_init(&x->t[kind], x->f.params, (hel_fft_kind)kind, log_values));
		assert_ok(hel_fft_encode(&x->t[kind], x->f.params, (hel_fft_kind)kind, log_values,
					 copies, LEVELS - kind % 2, 1,
					 hel_params_scale(x->f.params, LEVELS - kind % 2), NULL));
	}
}

static void teardown(fixture *x)
{
	for (unsigned kind = 0; kind < 4; kind++)
		hel_fft_clear(&x->t[kind]);
	ckks_teardown(&x->f);
}

static hel_ct *real_slots(fixture *x, const double *v)
{
	hel_complex *slots = hel_alloc(x->f.slots, sizeof *slots);
	for (size_t i = 0; i < x->f.slots; i++)
		slots[i].re = v[hel_fft_value(x->log_values, i)];
	hel_ct *ct = encrypted(&x->f, slots, LEVELS);
	hel_free(slots);
	return ct;
}

/* Slot p of the polynomial with coefficients y: its value at zeta^(5^p), zeta of order 2n. */
static double complex slot_of(const double *y, size_t n, size_t p)
{
	long double complex sum = 0;
	size_t power = 1;
	for (size_t i = 0; i < p; i++)
		power = power * 5 % (2 * n);
	for (size_t j = 0; j < n; j++)
		sum +=
		    y[j] * cexpl(I * M_PIl * (long double)(power * j % (2 * n)) / (long double)n);
	return (double complex)sum;
}

static void check(unsigned log_values, hel_copies copies)
{
	fixture x;
	setup(&x, log_values, copies);
	const size_t slots = x.f.slots;
	double *y = hel_alloc(x.n, sizeof *y);
	hel_complex *wanted = hel_alloc(slots, sizeof *wanted);
	for (size_t j = 0; j < x.n; j++)
		y[j] = (2 * hel_prng_unit(&x.f.g) - 1) / 8;
	hel_ct *ct = real_slots(&x, y), *w;
	assert_ok(hel_ct_new(&w, x.f.params));
	/* there */
	assert_ok(hel_fft_apply(x.f.ev, w, &x.t[HEL_TO_COEFFICIENTS_NEAR], ct));
	const long halves[] = {0, (long)x.m};
	assert_ok(hel_eval_rotate_sum_rescale(x.f.ev, ct, w, halves, 2));
	assert_ok(hel_fft_apply(x.f.ev, w, &x.t[HEL_TO_COEFFICIENTS_FAR], ct));
	assert_ok(hel_eval_rescale(x.f.ev, ct, w));
	for (size_t i = 0; i < slots; i++) {
		const double complex z = slot_of(y, x.n, i % x.m);
		wanted[i] = (hel_complex){creal(z), cimag(z)};
	}
	assert_near("to coefficients", decrypted_error(&x.f, ct, wanted), 0x1p-36);
	hel_ct_free(ct);
	/* and back, from fresh slots; the result is 2 m times what stood there */
	ct = encrypted(&x.f, wanted, LEVELS);
	assert_ok(hel_fft_to_slots(x.f.ev, ct, &x.t[HEL_TO_SLOTS_FAR], ct, false));
	assert_ok(hel_fft_to_slots(x.f.ev, w, &x.t[HEL_TO_SLOTS_NEAR], ct, false));
	assert_ok(hel_fft_to_slots(x.f.ev, ct, &x.t[HEL_TO_SLOTS_NEAR], ct, true));
	for (size_t i = 0; i < slots; i++) {
		const size_t at =
		    copies == HEL_COPIES_SKEWED ? hel_fft_skewed(log_values, LOG_N - 1, i) : i;
		wanted[i] = (hel_complex){2 * (double)x.m * y[hel_fft_value(log_values, at)], 0};
	}
	assert_near("to slots", decrypted_error(&x.f, ct, wanted), 0x1p-30);
	hel_ct *sum;
	assert_ok(hel_ct_new(&sum, x.f.params));
	assert_ok(hel_eval_conjugate(x.f.ev, sum, w));
	assert_ok(hel_eval_add(x.f.ev, sum, sum, w));
	assert_near("and its conjugate", decrypted_error(&x.f, sum, wanted), 0x1p-30);
	hel_ct_free(sum);
	/* weights of another level, a scale that is no product's, no keys */
	hel_eval *keyless;
	assert_ok(hel_eval_new(&keyless, x.f.params, NULL, NULL));
	hel_ct *fresh = encrypted(&x.f, wanted, LEVELS);
	assert_status(HEL_ELEVEL,
		      hel_fft_to_slots(x.f.ev, w, &x.t[HEL_TO_SLOTS_NEAR], fresh, false));
	assert_status(HEL_EKEY, hel_fft_to_slots(keyless, w, &x.t[HEL_TO_SLOTS_FAR], fresh, false));
	fresh->scale *= 2;
	assert_status(HEL_ESCALE,
		      hel_fft_to_slots(x.f.ev, w, &x.t[HEL_TO_SLOTS_FAR], fresh, false));
	hel_ct_free(fresh);
	hel_eval_free(keyless);
	hel_ct_free(w);
	hel_ct_free(ct);
	hel_free(wanted);
	hel_free(y);
	teardown(&x);
}

static void test_every_size(void **state)
{
	(void)state;
	for (unsigned log_values = 3; log_values < LOG_N; log_values++) {
		print_message("n = %u\n", 1u << log_values);
		check(log_values, HEL_COPIES_ALIKE);
		check(log_values, HEL_COPIES_SKEWED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_size)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
