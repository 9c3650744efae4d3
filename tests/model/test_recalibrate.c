#include "../features/cohort.h"
#include "model/accuracy.h"
#include "model/recalibrate.h"
#include "model/reliability.h"
#include <math.h>
#include <string.h>

#define ROWS 20000

static double logit[ROWS], other[ROWS];
static uint8_t label[ROWS];

static double probability(double z)
{
	return 1 / (1 + exp(-z));
}

/* Scores that are twice too sure, and off by one. */
static void make_rows(void)
{
	hel_prng g;
	test_prng(&g, 1);
	for (int i = 0; i < ROWS; i++) {
		const double true_logit = 1.3 * hel_prng_normal(&g) - 0.7;
		label[i] = hel_prng_unit(&g) < probability(true_logit);
		logit[i] = 2 * true_logit + 1;
	}
}

/* At the minimum the sum of errors is 0, and so is that of errors times logits; what was planted
 * comes back. */
static void test_fit(void **state)
{
	(void)state;
	hel_rescaling r;
	double sum = 0, weighted = 0, rows[2] = {0, 0};
	assert_ok(hel_rescaling_fit(&r, logit, label, ROWS));
	for (int i = 0; i < ROWS; i++)
		rows[label[i]]++;
	for (int i = 0; i < ROWS; i++) {
		const double target = label[i] ? (rows[1] + 1) / (rows[1] + 2) : 1 / (rows[0] + 2),
			     off = probability(r.scale * logit[i] + r.shift) - target;
		sum += off;
		weighted += off * logit[i];
	}
	assert_within(sum, 0, 1e-6 * ROWS);
	assert_within(weighted, 0, 1e-6 * ROWS);
	assert_within(r.scale, 0.5, 0.02);
	assert_within(r.shift, -0.5, 0.05);
}

static void test_cross(void **state)
{
	(void)state;
	hel_reliability before, after;
	hel_rescaling r;
	assert_ok(hel_rescaling_cross(other, logit, label, ROWS));
	assert_ok(hel_reliability_of(&before, logit, label, ROWS));
	assert_ok(hel_reliability_of(&after, other, label, ROWS));
	assert_true(before.calibration_error > 0.1);
	assert_less(after.calibration_error, 0.015);
	/* what a row says of itself is not in its own: moving it moves the others only */
	assert_ok(hel_rescaling_fit(&r, logit, label, ROWS));
	double farthest = 0;
	for (int i = 0; i < ROWS; i++)
		farthest = fmax(farthest, fabs(other[i] - (r.scale * logit[i] + r.shift)));
	assert_true(farthest > 0);
	assert_less(farthest, 0.2);
	label[7] ^= 1;
	const double was = other[7], neighbour = other[8];
	assert_ok(hel_rescaling_cross(other, logit, label, ROWS));
	label[7] ^= 1;
	assert_true(other[7] == was);
	assert_true(other[8] != neighbour);
}

/* Separable rows have an end; one class and the wrong way round are refused. */
static void test_ends(void **state)
{
	(void)state;
	hel_rescaling r = {3, 4};
	const double z[] = {-2, -1, 1, 2};
	const uint8_t right[] = {0, 0, 1, 1}, wrong[] = {1, 1, 0, 0}, one[] = {1, 1, 1, 1};
	assert_status(HEL_EDATA, hel_rescaling_fit(&r, z, wrong, 4));
	assert_status(HEL_EDATA, hel_rescaling_fit(&r, z, one, 4));
	assert_status(HEL_EDATA, hel_rescaling_fit(&r, z, right, 0));
	assert_true(r.scale == 3 && r.shift == 4);
	assert_ok(hel_rescaling_fit(&r, z, right, 4));
	assert_true(r.scale > 0 && r.scale < 100);
	assert_within(r.shift, 0, 1e-9);
}

/* Every architecture's logit takes scale and shift, an ensemble's too; a graph that ends otherwise
 * is refused and stays as it was. */
static void test_fold(void **state)
{
	(void)state;
	static const char *const configs[] = {
	    "{}",
	    "{\"architecture\": \"dlrm\", \"interaction\": \"dot\", \"members\": 3}",
	    "{\"architecture\": \"dcn\", \"cross_layers\": 2, \"top\": [1]}",
	    "{\"architecture\": \"dcn\", \"cross_layers\": 1, \"cross\": \"parallel\"}",
	    "{\"architecture\": \"fm\", \"members\": 2}",
	    "{\"architecture\": \"deepfm\"}",
	    "{\"architecture\": \"wide-deep\", \"members\": 4}",
	    "{\"architecture\": \"two-tower\"}",
	    "{\"architecture\": \"mlp\"}"};
	hel_records cohort;
	make_cohort(&cohort, 40, 1);
	for (size_t i = 0; i < HEL_ARRAY_LEN(configs); i++) {
		hel_dlrm_config c;
		hel_dlrm *m;
		hel_samples s;
		hel_schema *schema;
		double before, after;
		assert_ok(hel_dlrm_config_from_json(&c, configs[i], strlen(configs[i])));
		assert_ok(hel_schema_fit(&schema, hel_dataset_by_name("heart"), &cohort, NULL,
					 cohort.count, 3, 0));
		assert_ok(hel_dlrm_new(&m, &c, schema, 3));
		assert_ok(hel_samples_new(&s, m->schema, &cohort, NULL, cohort.count,
					  HEL_UNKNOWN_IS_ERROR));
		for (int round = 0; round < 2; round++) {
			const hel_rescaling r = {0.37 + round, -1.9 + 2.3 * round};
			assert_ok(hel_dlrm_logit(&before, m, s.value, s.hot));
			assert_ok(hel_dlrm_rescale(m, r));
			assert_ok(hel_dlrm_logit(&after, m, s.value, s.hot));
			assert_within(after, r.scale * before + r.shift, 3e-6 * (1 + fabs(before)));
		}
		hel_samples_clear(&s);
		hel_dlrm_free(m);
	}
	hel_records_clear(&cohort);
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const graphs[] = {
	    "[{\"name\": \"d\", \"kind\": \"dense\"}, {\"name\": \"l\", \"kind\": \"linear\", "
	    "\"inputs\": [\"d\"], \"width\": 1, \"bias\": false}]",
	    "[{\"name\": \"d\", \"kind\": \"dense\"}, {\"name\": \"l\", \"kind\": \"linear\", "
	    "\"inputs\": [\"d\"], \"width\": 1}, {\"name\": \"s\", \"kind\": \"activation\", "
	    "\"inputs\": [\"l\"], \"activation\": {\"kind\": \"square\"}}]",
	    /* read twice: a factor would count twice, or not at all */
	    "[{\"name\": \"d\", \"kind\": \"dense\"}, {\"name\": \"l\", \"kind\": \"linear\", "
	    "\"inputs\": [\"d\"], \"width\": 1}, {\"name\": \"p\", \"kind\": \"multiply\", "
	    "\"inputs\": [\"l\", \"l\"]}, {\"name\": \"a\", \"kind\": \"add\", \"inputs\": [\"l\", "
	    "\"p\"]}]"};
	hel_records cohort;
	make_cohort(&cohort, 40, 1);
	for (size_t i = 0; i < HEL_ARRAY_LEN(graphs); i++) {
		hel_schema *schema;
		hel_graph *g;
		hel_dlrm *m;
		hel_dlrm_config c = hel_dlrm_config_default();
		json_t *o = json_loads(graphs[i], 0, NULL);
		assert_non_null(o);
		assert_ok(hel_schema_fit(&schema, hel_dataset_by_name("heart"), &cohort, NULL,
					 cohort.count, 3, 0));
		assert_ok(hel_graph_read(&g, o, schema));
		c.architecture = HEL_ARCHITECTURE_GRAPH;
		assert_ok(hel_dlrm_of_graph(&m, &c, g, schema, 1000));
		assert_status(HEL_EUNSUPPORTED, hel_dlrm_rescale(m, (hel_rescaling){2, 1}));
		for (size_t k = 0; k < m->parameters; k++)
			assert_true(m->parameter[k] == 0);
		json_decref(o);
		hel_dlrm_free(m);
	}
	hel_records_clear(&cohort);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fit),	    cmocka_unit_test(test_cross),
	    cmocka_unit_test(test_ends),    cmocka_unit_test(test_fold),
	    cmocka_unit_test(test_refused),
	};
	make_rows();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
