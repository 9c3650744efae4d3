/* What polynomials in place of activations cost, and who is asked before it is paid; precision in
 * units of the spread of scores. */
#include "activated_model.h"
#include "compile/activations.h"
#include "features/coding.h"
#include "model/network.h"
#include "vm/clear.h"

/* Two by hand: distances 1, 2, 0, 1; signs differ once; the spread of -3, -1, 1, 3 is sqrt(5). */
static void test_fidelity(void **state)
{
	(void)state;
	static const double trained[] = {-3, -1, 1, 3}, fitted[] = {-2, 1, 1, 2};
	static const uint8_t label[] = {0, 0, 1, 1};
	hel_fidelity f;
	assert_ok(hel_fidelity_of(&f, trained, fitted, label, 4));
	assert_int_equal(1, f.differ);
	assert_within(f.distance, 1, 1e-12);
	assert_within(f.largest, 2, 1e-12);
	assert_within(f.spread, sqrt(5), 1e-12);
	assert_within(f.bits, log2(sqrt(5) / 2), 1e-12);
	assert_within(f.trained.auc, 1, 1e-12);
	assert_within(f.fitted.auc, 0.875, 1e-12); /* one of four pairs is a tie */
}

static double mean_distance(hel_dlrm *m, const hel_samples *s, double margin)
{
	double sum = 0, exact, fitted;
	assert_ok(hel_dlrm_approximate(m, s, 7, HEL_LEAST_SQUARES, margin));
	hel_dlrm trained = *m;
	trained.approximation = NULL;
	for (size_t i = 0; i < s->count; i++) {
		const double *value = s->value + i * s->dense;
		const uint32_t *hot = s->hot + i * s->hots;
		assert_ok(hel_dlrm_logit(&exact, &trained, value, hot));
		assert_ok(hel_dlrm_logit(&fitted, m, value, hot));
		sum += fabs(exact - fitted) / (double)s->count;
	}
	return sum;
}

/* Accuracy first: the chosen range is hardly worse than the best of many, on records it never saw.
 */
static void test_margin(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		hel_prng g;
		test_prng(&g, 50 + seed);
		hel_dlrm *m = model_of(HEL_ACT_RELU, seed);
		hel_samples s = samples_of(m, &g);
		hel_fit_choice c = {.degree = 7};
		assert_ok(hel_activations_fit(m, &c, &s, NULL));
		assert_true(c.margin >= 1 && c.margin <= 4);
		const double chosen = mean_distance(m, &s, c.margin),
			     wide = mean_distance(m, &s, 14);
		print_message("margin %.2f: distance %.3g; 14: %.3g\n", c.margin, chosen, wide);
		assert_less(chosen, 0.7 * wide);
		hel_samples_clear(&s);
		hel_dlrm_free(m);
	}
}

/* A line for relu is another model: refused, with the way out; with it, both precisions are told.
 */
static void test_accept_loss(void **state)
{
	(void)state;
	hel_prng g;
	test_prng(&g, 60);
	hel_dlrm *m = model_of(HEL_ACT_RELU, 5);
	hel_samples s = samples_of(m, &g);
	hel_program *p = NULL;
	hel_compile_report r;
	hel_fidelity f;
	hel_fit_choice c = {.degree = 2};
	hel_compile_options o = {.records = &s};
	assert_status(HEL_ELIMIT, hel_compile_approximated(&p, &r, &f, &c, m, &o));
	assert_non_null(strstr(hel_error_detail(), "--accept-loss"));
	assert_null(p);
	o.accept_loss = true;
	assert_ok(hel_compile_approximated(&p, &r, &f, &c, m, &o));
	const hel_manifest *mf = p->manifest;
	print_message("%.1f bits, %.1f against the trained model\n", mf->bits, mf->bits_model);
	assert_true(mf->bits > 8 && mf->bits_model < 6);
	/* mf->bits_model is of the largest difference on these records */
	hel_dlrm trained = *m;
	trained.approximation = NULL;
	for (size_t i = 0; i < s.count; i++) {
		double exact, fitted;
		assert_ok(
		    hel_dlrm_logit(&exact, &trained, s.value + i * s.dense, s.hot + i * s.hots));
		assert_ok(hel_dlrm_logit(&fitted, m, s.value + i * s.dense, s.hot + i * s.hots));
		assert_less(fabs(exact - fitted), mf->spread * exp2(-mf->bits_model) * 1.01);
		assert_less(fabs(exact), mf->largest * 1.01);
	}
	hel_compile_report_clear(&r);
	hel_program_free(p);
	hel_samples_clear(&s);
	hel_dlrm_free(m);
}

/* Scores of any size have the same precision, and the program's result times its unit is the score.
 */
static void test_units(void **state)
{
	(void)state;
	static const double factors[] = {1, 1e-6, 1e3, 1e6, 0};
	double bits = 0;
	for (size_t k = 0; k < HEL_ARRAY_LEN(factors); k++) {
		hel_prng g;
		hel_program *p;
		hel_compile_report r;
		hel_schema *told;
		test_prng(&g, 70);
		hel_dlrm *m = model_of(HEL_ACT_QUADRATIC, 6);
		for (int bias = 0; bias < 2; bias++) {
			const hel_tensor *t = hel_dlrm_top(m, 2, bias);
			for (size_t i = 0; i < t->rows * t->columns; i++)
				m->parameter[t->offset + i] *= (float)factors[k];
		}
		hel_samples s = samples_of(m, &g);
		assert_ok(hel_compile(&p, &r, m, &(hel_compile_options){.records = &s}));
		const hel_manifest *mf = p->manifest;
		print_message("times %g: unit %g, spread %.3g, %.2f bits\n", factors[k], mf->unit,
			      mf->spread, mf->bits);
		if (!k)
			bits = mf->bits;
		else if (factors[k] > 0)
			assert_within(mf->bits, bits, 1.5);
		assert_true(mf->bound > 0);
		hel_writer w = {0};
		hel_manifest *again;
		assert_ok(hel_manifest_write(&w, p->manifest));
		assert_ok(hel_manifest_read(&again, w.bytes, w.size)); /* a client takes it */
		hel_manifest_free(again);
		hel_writer_clear(&w);
		assert_ok(hel_schema_from_json(&told, mf->schema, strlen(mf->schema)));
		double *features = hel_alloc(mf->features, sizeof *features), want, got;
		for (size_t i = 0; i < 10; i++) {
			const double *value = s.value + i * s.dense;
			const uint32_t *hot = s.hot + i * s.hots;
			hel_features_fill(features, told, value, hot, mf->degree);
			assert_ok(hel_dlrm_logit(&want, m, value, hot));
			assert_ok(hel_clear_run_features(&got, p, features));
			assert_within(got * mf->unit, want, 1e-5 * mf->spread);
		}
		hel_free(features);
		hel_schema_free(told);
		hel_compile_report_clear(&r);
		hel_program_free(p);
		hel_samples_clear(&s);
		hel_dlrm_free(m);
	}
}

/* What no chain holds is refused, and says what there is. */
static void test_bits(void **state)
{
	(void)state;
	hel_dlrm *m = model_of(HEL_ACT_QUADRATIC, 7);
	hel_program *p = NULL;
	hel_compile_report r;
	hel_compile_options o = {.bits = 40};
	assert_status(HEL_ELIMIT, hel_compile(&p, &r, m, &o));
	assert_non_null(strstr(hel_error_detail(), "40.0 are wanted"));
	assert_null(p);
	o.accept_loss = true;
	assert_ok(hel_compile(&p, &r, m, &o));
	assert_true(p->manifest->bits < 39.7);
	hel_compile_report_clear(&r);
	hel_program_free(p);
	hel_dlrm_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fidelity), cmocka_unit_test(test_margin),
	    cmocka_unit_test(test_accept_loss), cmocka_unit_test(test_units),
	    cmocka_unit_test(test_bits)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
