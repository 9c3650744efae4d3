/* Graphs that multiply a record once: the network of one squaring scores as they do, and so does
 * its program on ciphertexts. Graphs that multiply twice are refused by the node's name. */
#include "../features/cohort.h"
#include "compile/compile.h"
#include "compile/one_squaring.h"
#include "model/samples.h"
#include "model/train.h"
#include "random_model.h"
#include <math.h>

static const struct {
	const char *config;
	size_t squares; /* at most */
} once[] = {
    {"{\"architecture\": \"fm\"}", 60},
    {"{\"architecture\": \"wide-deep\", \"bottom\": [], \"top\": [6, 1]}", 8},
    {"{\"architecture\": \"deepfm\", \"embedding_dim\": 3, \"top\": [5, 1]}", 60},
    {"{\"architecture\": \"dcn\", \"top\": [1]}", 60},
    {"{\"architecture\": \"dcn\", \"top\": [1], \"cross_rank\": 3}", 60},
    {"{\"architecture\": \"dlrm\", \"interaction\": \"dot\", \"top\": [1]}", 60},
    {"{\"architecture\": \"dlrm\", \"interaction\": \"dot\", \"interaction_self\": true, \"top\": "
     "[1]}",
     60},
    {"{\"architecture\": \"two-tower\", \"top\": [3, 1]}", 8},
    {"{\"architecture\": \"mlp\", \"top\": [7, 1], \"activation\": {\"kind\": \"square\"}}", 8},
    {"{\"architecture\": \"mlp\", \"top\": [1]}", 2},
};

static void test_scores(void **state)
{
	(void)state;
	hel_records r;
	make_cohort(&r, 150, 1);
	for (uint32_t base = 0; base <= 3; base += 3)
		for (size_t i = 0; i < HEL_ARRAY_LEN(once); i++) {
			hel_dlrm_config c;
			hel_schema *schema;
			hel_dlrm *m, *squared;
			hel_samples s;
			hel_squares squares;
			double want, got, worst = 0;
			assert_ok(
			    hel_dlrm_config_from_json(&c, once[i].config, strlen(once[i].config)));
			c.training.epochs = 10;
			c.training.weight_decay = 0.1;
			assert_ok(hel_schema_fit(&schema, hel_dataset_by_name("heart"), &r, NULL,
						 r.count, 3, base));
			assert_ok(hel_dlrm_new(&m, &c, schema, 3 + i));
			assert_ok(
			    hel_samples_new(&s, schema, &r, NULL, r.count, HEL_UNKNOWN_IS_ERROR));
			assert_ok(hel_dlrm_train(m, &s, NULL));
			assert_ok(hel_one_squaring(&squared, &squares, m));
			assert_ok(hel_dlrm_is_chain(squared));
			for (size_t k = 0; k < s.count; k++) {
				assert_ok(hel_dlrm_logit(&want, m, s.value + k * s.dense,
							 s.hot + k * s.hots));
				assert_ok(hel_dlrm_logit(&got, squared, s.value + k * s.dense,
							 s.hot + k * s.hots));
				worst = fmax(worst, fabs(got - want) / fmax(1, fabs(want)));
			}
			print_message("%s, base %u: %zu squares, error %.2g\n",
				      hel_architecture_name(c.architecture), base, squares.kept,
				      worst);
			assert_less(worst, 2e-6);
			assert_true(squares.kept <= once[i].squares);
			hel_samples_clear(&s);
			hel_dlrm_free(m);
			hel_dlrm_free(squared);
		}
	hel_records_clear(&r);
}

/* Mean |difference| of two models on records, and the spread of the first. */
static double apart(double *spread, const hel_dlrm *a, const hel_dlrm *b, const hel_samples *s)
{
	double sum = 0, mean = 0, squares = 0, x, y;
	for (size_t k = 0; k < s->count; k++) {
		assert_ok(hel_dlrm_logit(&x, a, s->value + k * s->dense, s->hot + k * s->hots));
		assert_ok(hel_dlrm_logit(&y, b, s->value + k * s->dense, s->hot + k * s->hots));
		sum += fabs(x - y) / (double)s->count;
		mean += x / (double)s->count;
		squares += x * x / (double)s->count;
	}
	*spread = sqrt(squares - mean * mean);
	return sum;
}

/* A model, trained, and what it was trained on. */
static void make_trained(hel_dlrm **m, hel_samples *s, const char *text)
{
	hel_records r;
	hel_dlrm_config c;
	hel_schema *schema;
	make_cohort(&r, 600, 1);
	assert_ok(hel_dlrm_config_from_json(&c, text, strlen(text)));
	c.training.epochs = 10;
	assert_ok(hel_schema_fit(&schema, hel_dataset_by_name("heart"), &r, NULL, r.count, 3, 0));
	assert_ok(hel_dlrm_new(m, &c, schema, 3));
	assert_ok(hel_samples_new(s, schema, &r, NULL, r.count, HEL_UNKNOWN_IS_ERROR));
	assert_ok(hel_dlrm_train(*m, s, NULL));
	hel_records_clear(&r);
}

/* The more error is allowed, the fewer squares; it is what it is said to be; and compiling adds it
 * to the program's. */
static void test_fewer(void **state)
{
	(void)state;
	hel_dlrm *m, *all, *fewer;
	hel_samples s;
	hel_squares whole, kept;
	double spread;
	size_t before = SIZE_MAX;
	make_trained(&m, &s, "{\"architecture\": \"dcn\", \"top\": [1]}");
	assert_ok(hel_one_squaring(&all, &whole, m));
	for (int given = 0; given < 2; given++, before = SIZE_MAX)
		for (double error = 1e-9; error < 1; error *= 10) {
			assert_ok(hel_fewer_squares(&fewer, &kept, m, given ? &s : NULL, error));
			if (!fewer)
				continue;
			const double found = apart(&spread, m, fewer, &s);
			print_message("%.0e allowed: %zu of %zu squares, error %.2g, found %.2g\n",
				      error, kept.kept, whole.rank, kept.error, found);
			assert_true(kept.kept < whole.rank && kept.kept <= before);
			assert_less(kept.error, error);
			if (given)
				assert_true(found < 2 * kept.error && found > kept.error / 2);
			before = kept.kept;
			hel_dlrm_free(fewer);
		}
	hel_compile_options o = {.bits = 4, .records = &s, .max_log_n = 14};
	hel_compile_report report;
	hel_program *p;
	assert_ok(hel_compile(&p, &report, m, &o));
	print_message("compiled: %zu of %zu squares, %.2f bits\n", report.squares.kept,
		      report.squares.rank, p->manifest->bits);
	assert_true(report.squares.kept < report.squares.rank);
	assert_true(p->manifest->bits >= o.bits - HEL_BITS_SHORT);
	assert_true(p->manifest->bits <= log2(p->manifest->spread / report.squares.error) + 1e-9);
	hel_compile_report_clear(&report);
	hel_program_free(p);
	hel_samples_clear(&s);
	hel_dlrm_free(all);
	hel_dlrm_free(m);
}

/* Two members of 45 squares each, 80 of all of one sign, over values of all directions. */
static void make_unbalanced(hel_dlrm **m, hel_samples *s)
{
	static const char text[] =
	    "{\"architecture\": \"mlp\", \"members\": 2, \"top\": [45, 1], \"activation\": "
	    "{\"kind\": \"square\"}}";
	hel_dlrm_config c;
	hel_prng g;
	test_prng(&g, 1);
	hel_schema *schema = random_schema(&g, 100, 0, 2);
	assert_ok(hel_dlrm_config_from_json(&c, text, strlen(text)));
	assert_ok(hel_dlrm_new(m, &c, schema, 3));
	assert_ok(hel_samples_reserve(s, schema, 1000));
	for (; s->count < 1000; s->count++)
		hel_schema_random(schema, &g, s->value + s->count * s->dense,
				  s->hot + s->count * s->hots);
	for (size_t i = 0; i < (*m)->graph->nodes; i++) {
		const hel_node *n = &(*m)->graph->node[i];
		if (n->kind != HEL_NODE_LINEAR || n->width != 1)
			continue;
		float *w = (*m)->parameter + (*m)->tensor[n->tensor].offset;
		for (size_t k = 0; k < n->columns[0]; k++)
			w[k] = copysignf(w[k], k < 5 ? -1 : 1);
	}
}

/* Of squares most of which have one sign, those go that keep the others from pairing up: the layer
 * has half as many slots. Fitted weights bring scores closer than eigenvalues do. */
static void test_unbalanced(void **state)
{
	(void)state;
	hel_dlrm *m, *fewer;
	hel_samples s;
	hel_squares kept;
	double spread;
	size_t negative = 0;
	make_unbalanced(&m, &s);
	assert_ok(hel_fewer_squares(&fewer, &kept, m, &s, 0.1));
	assert_non_null(fewer);
	float *weight = fewer->parameter + hel_dlrm_top(fewer, 1, false)->offset;
	for (size_t r = 0; r < kept.kept; r++)
		negative += weight[r] < 0;
	print_message("%zu of %zu squares, %zu negative\n", kept.kept, kept.rank, negative);
	assert_true(kept.rank == 91 && negative == 11 && kept.kept == 75);
	const double fitted = apart(&spread, m, fewer, &s);
	for (size_t r = 0; r < kept.kept; r++)
		weight[r] = copysignf(1, weight[r]);
	fewer->parameter[hel_dlrm_top(fewer, 1, true)->offset] = 0;
	const double plain = apart(&spread, m, fewer, &s);
	print_message("error %.2g of %.2g, by eigenvalues alone %.2g\n", fitted, spread, plain);
	assert_less(2 * fitted, plain); /* what is left out has a mean */
	hel_dlrm_free(fewer);
	hel_compile_options o = {.bits = 6, .records = &s, .max_log_n = 13};
	hel_compile_report report;
	hel_program *p;
	assert_ok(hel_compile(&p, &report, m, &o));
	print_message("compiled: %s\n", p->layer[0]);
	assert_int_equal(report.squares.kept, 75);
	assert_non_null(strstr(p->layer[0], "-> 64, two times"));
	assert_non_null(strstr(p->plan, "\"rank\":91,\"squares\":75")); /* told by inspect plan */
	assert_non_null(strstr(p->plan, "\"form\":{\"nodes\":["));
	hel_compile_report_clear(&report);
	hel_program_free(p);
	hel_samples_clear(&s);
	hel_dlrm_free(m);
}

static void test_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *config, *said;
	} twice[] = {
	    {"{\"architecture\": \"dcn\", \"cross_layers\": 2, \"top\": [1]}",
	     "node 'cross.1.product' (multiply): it multiplies what is a product already"},
	    {"{\"architecture\": \"dlrm\", \"interaction\": \"dot\"}",
	     "node 'top_l.1' (activation)"},
	    {"{\"architecture\": \"deepfm\", \"activation\": {\"kind\": \"relu\"}}",
	     "activations are square or quadratic"},
	};
	hel_records r;
	make_cohort(&r, 150, 1);
	for (size_t i = 0; i < HEL_ARRAY_LEN(twice); i++) {
		hel_dlrm_config c;
		hel_schema *schema;
		hel_dlrm *m, *squared = NULL;
		hel_squares squares;
		assert_ok(hel_dlrm_config_from_json(&c, twice[i].config, strlen(twice[i].config)));
		assert_ok(
		    hel_schema_fit(&schema, hel_dataset_by_name("heart"), &r, NULL, r.count, 3, 0));
		assert_ok(hel_dlrm_new(&m, &c, schema, 3));
		assert_status(HEL_EUNSUPPORTED, hel_one_squaring(&squared, &squares, m));
		if (!strstr(hel_error_detail(), twice[i].said))
			fail_msg("said '%s', expected '%s'", hel_error_detail(), twice[i].said);
		hel_dlrm_free(m);
	}
	hel_records_clear(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_scores),
	    cmocka_unit_test(test_fewer),
	    cmocka_unit_test(test_unbalanced),
	    cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
