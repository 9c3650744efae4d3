/* A relu network with a refresh, through client and server: scores, and records beyond the range of
 * its activations, which end in the model's score or in an error. */
#include "compile/placement.h"
#include "deployed.h"
#include <math.h>

#define DENSE HEART_DENSE
#define CLIP 1000
#define TYPICAL 1.5 /* the largest value in the records that ranges are learned from */

/* relu of each value, relu of their sum less a half, three times over; the sum of those less 1.
 * Dense values pass through as they are, up to CLIP; tables hold nothing. */
static hel_dlrm *sum_model(void)
{
	hel_dlrm_config c = hel_dlrm_config_default();
	hel_dlrm *m;
	c.embedding_dim = 1;
	c.bottom_layers = 0;
	c.top_layers = 3;
	c.top[0] = DENSE;
	c.top[1] = 3;
	c.top[2] = 1;
	c.activation = (hel_activation){HEL_ACT_RELU, 0, 0};
	assert_ok(hel_dlrm_new(&m, &c, heart_schema(CLIP, 0, 1, 1), 1));
	memset(m->parameter, 0, m->parameters * sizeof *m->parameter);
	for (size_t i = 0; i < c.top_layers; i++) {
		const hel_tensor *t = hel_dlrm_top(m, i, false);
		for (size_t k = 0; k < t->rows * t->columns; k++)
			m->parameter[t->offset + k] = i || k / t->columns == k % t->columns;
	}
	for (size_t k = 0; k < 3; k++)
		m->parameter[hel_dlrm_top(m, 1, true)->offset + k] = -0.5F;
	m->parameter[hel_dlrm_top(m, 2, true)->offset] = -1;
	return m;
}

static double score_in_the_clear(const double *value)
{
	double sum = 0;
	for (size_t i = 0; i < DENSE; i++)
		sum += fmax(fmin(value[i], CLIP), 0);
	return 3 * fmax(sum - 0.5, 0) - 1;
}

/* One value at a time: sums stay small. */
static void typical_records(hel_samples *s, const hel_schema *schema)
{
	hel_prng g;
	test_prng(&g, 5);
	assert_ok(hel_samples_reserve(s, schema, 400));
	for (; s->count < 400; s->count++) {
		double *value = s->value + s->count * DENSE;
		const size_t at = s->count % DENSE;
		value[at] = s->count < DENSE ? TYPICAL : TYPICAL * (2 * hel_prng_unit(&g) - 1);
		s->label[s->count] = score_in_the_clear(value) > hel_prng_unit(&g);
	}
	for (size_t k = 0; k < s->count * s->hots; k++)
		s->hot[k] = 2 * (uint32_t)(k % s->hots);
}

static void deploy(deployed *d)
{
	hel_dlrm *m = sum_model();
	hel_program *p;
	hel_compile_report r;
	hel_fidelity f;
	hel_fit_choice choice = {.refreshed = true};
	hel_samples records;
	unsigned refreshes = 0;
	typical_records(&records, m->schema);
	const hel_compile_options o = {
	    .records = &records, .max_log_n = 15, .bits = 6, .accept_loss = true};
	/* no proof, and none is claimed */
	hel_compile_options proved = o;
	proved.proved_only = true;
	assert_status(HEL_EINVAL, hel_compile_placed(&p, &r, &f, &choice, m, &proved));
	assert_ok(hel_compile_placed(&p, &r, &f, &choice, m, &o));
	for (uint32_t i = 0; i < p->ops; i++)
		refreshes += p->op[i].kind == HEL_OP_REFRESH;
	print_message("degree %u, %u refreshes, %.1f bits, %.1f against relu\n", choice.degree,
		      refreshes, p->manifest->bits, p->manifest->bits_model);
	assert_int_equal(1, refreshes);
	assert_true(p->manifest->measured);
	deployed_open(d, p);
	hel_compile_report_clear(&r);
	hel_samples_clear(&records);
	hel_program_free(p);
	hel_dlrm_free(m);
}

static void test_scores(void **state)
{
	(void)state;
	/* how many values, and how large: within ranges, beyond that of the second layer alone (by
	 * up to four times, where the sine's angle is the one of a small value again), beyond both,
	 * by 10 and by 1,000 times */
	static const struct {
		size_t count;
		double value;
		bool within;
	} cases[] = {
	    {1, 1.2, true},  {1, -1, true},   {3, 0.45, true}, {2, 1.5, false},
	    {3, 1.5, false}, {4, 1.5, false}, {5, 1.5, false}, {5, 1.7, false},
	    {1, 15, false},  {5, -15, false}, {1, 900, false}, {5, 1500, false},
	};
	deployed d;
	unsigned refused = 0;
	deploy(&d);
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++) {
		double value[DENSE] = {0}, got;
		for (size_t k = 0; k < cases[i].count; k++)
			value[k] = cases[i].value;
		const double want = score_in_the_clear(value);
		const hel_status st = deployed_score(&got, &d, value);
		if (st != HEL_OK) {
			assert_status(HEL_ERANGE, st);
			assert_non_null(strstr(hel_error_detail(), "bounds were measured on"));
			assert_false(cases[i].within);
			refused++;
			continue;
		}
		print_message("%zu of %g: %.5f, in the clear %.5f\n", cases[i].count,
			      cases[i].value, got, want);
		assert_within(got, want, 0.06);
	}
	print_message("%u of %zu refused\n", refused, HEL_ARRAY_LEN(cases));
	assert_at_least(refused, 6);
	deployed_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_scores)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
