/* Graphs that multiply a record once: the network of one squaring scores as they do, and so does
 * its program on ciphertexts. Graphs that multiply twice are refused by the node's name. */
#include "../features/cohort.h"
#include "compile/one_squaring.h"
#include "model/samples.h"
#include "model/train.h"
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
			size_t squares;
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
				      hel_architecture_name(c.architecture), base, squares, worst);
			assert_less(worst, 2e-6);
			assert_true(squares <= once[i].squares);
			hel_samples_clear(&s);
			hel_dlrm_free(m);
			hel_dlrm_free(squared);
		}
	hel_records_clear(&r);
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
		size_t squares;
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
	    cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
