/* What is asked for holds for polynomials and ciphertexts together, or is refused with what there
 * is; whichever way it is reached. */
#include "activated_model.h"
#include "compile/placement.h"
#include <stdlib.h>

/* Mean distance of logits to the model as it was trained, over their spread. */
static double distance(const hel_dlrm *m, const hel_samples *s)
{
	hel_dlrm trained = *m;
	double sum = 0, mean = 0, square = 0;
	trained.approximation = NULL;
	for (size_t i = 0; i < s->count; i++) {
		const double *value = s->value + i * s->dense;
		const uint32_t *hot = s->hot + i * s->hots;
		double exact, fitted;
		assert_ok(hel_dlrm_logit(&exact, &trained, value, hot));
		assert_ok(hel_dlrm_logit(&fitted, m, value, hot));
		sum += fabs(exact - fitted) / (double)s->count;
		mean += exact / (double)s->count;
		square += exact * exact / (double)s->count;
	}
	return sum / sqrt(square - mean * mean);
}

/* Compiles for so many bits. Returns those of all errors together, or, negative, what the refusal
 * says there is. */
static double bits_for(double asked, hel_dlrm *m, const hel_samples *s, bool refreshed)
{
	hel_program *p = NULL;
	hel_compile_report r;
	hel_fidelity f;
	hel_fit_choice c = {.refreshed = refreshed};
	const hel_compile_options o = {.records = s, .bits = asked, .max_log_n = 16};
	const hel_status st = hel_compile_placed(&p, &r, &f, &c, m, &o);
	if (st != HEL_OK) {
		assert_status(HEL_ELIMIT, st);
		print_message("  %s\n", hel_error_detail());
		const char *at = strstr(hel_error_detail(), "--bits ");
		assert_non_null(at);
		return -atof(at + strlen("--bits "));
	}
	const double polynomials = distance(m, s), ciphertexts = exp2(-p->manifest->bits);
	assert_within(polynomials, f.distance / f.spread, 1e-6);
	print_message("  %.1f asked, degree %u: polynomials %.2f bits, ciphertexts %.2f, %.0f ms\n",
		      asked, c.degree, -log2(polynomials), p->manifest->bits, 1e3 * r.seconds);
	hel_compile_report_clear(&r);
	hel_program_free(p);
	return -log2(hypot(polynomials, ciphertexts));
}

static void check(double asked, bool refreshed)
{
	hel_prng g;
	test_prng(&g, 70);
	hel_dlrm *m = model_of(HEL_ACT_RELU, 6);
	hel_samples s = samples_of(m, &g);
	double bits = bits_for(asked, m, &s, refreshed);
	if (bits < 0) {
		assert_less(-bits, asked);
		assert_at_least(-bits, asked - 6);
		asked = -bits;
		bits = bits_for(asked, m, &s, refreshed);
	}
	assert_at_least(bits, asked - HEL_BITS_SHORT);
	hel_samples_clear(&s);
	hel_dlrm_free(m);
}

static void test_polynomials(void **state)
{
	(void)state;
	check(8, false);
}

static void test_refreshes(void **state)
{
	(void)state;
	check(14, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_polynomials),
	    cmocka_unit_test(test_refreshes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
