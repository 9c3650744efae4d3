#include "../features/cohort.h"
#include "../testing_dir.h"
#include "model/dlrm.h"
#include "model/model_file.h"
#include "model/safetensors.h"
#include <math.h>

static hel_dlrm *make_model(void)
{
	hel_records r;
	hel_schema *s;
	hel_dlrm *m;
	hel_dlrm_config c = hel_dlrm_config_default();
	make_cohort(&r, 100, 1);
	assert_ok(hel_schema_fit(&s, hel_dataset_by_name("heart"), &r, NULL, r.count, 3, 0));
	assert_ok(hel_dlrm_new(&m, &c, s, 9));
	hel_records_clear(&r);
	return m;
}

static void test_round_trip(void **state)
{
	(void)state;
	hel_dlrm *m = make_model(), *back;
	assert_ok(hel_dlrm_save(m, temp_dir));
	assert_ok(hel_dlrm_load(&back, temp_dir));
	assert_int_equal(m->parameters, back->parameters);
	assert_memory_equal(m->parameter, back->parameter, m->parameters * sizeof(float));
	assert_string_equal("bot_l.0.weight", back->tensor[0].name);
	assert_string_equal("emb_l.0.weight", hel_dlrm_table(back, 0)->name);
	assert_string_equal("top_l.2.bias", hel_dlrm_top(back, 1, true)->name);
	const double dense[5] = {1, -2, 0.5, 3, -0.25};
	uint32_t hots[8], first = 0;
	for (size_t t = 0; t < 8; first += (uint32_t)hel_table_width(&m->schema->table[t++]))
		hots[t] = first + (t & 1);
	double a, b;
	assert_ok(hel_dlrm_logit(&a, m, dense, hots));
	assert_ok(hel_dlrm_logit(&b, back, dense, hots));
	assert_equal(a, b);
	assert_true(isfinite(a));
	hel_dlrm_free(back);
	hel_dlrm_free(m);
}

/* Codings are what compiled models tell their clients. */
static void test_refuses_codings(void **state)
{
	(void)state;
	hel_dlrm *m = make_model(), *back = NULL;
	m->schema->table[1].coding = HEL_CODING_GRID;
	m->schema->table[1].coding_size = 2;
	assert_ok(hel_dlrm_save(m, temp_dir));
	assert_status(HEL_EFORMAT, hel_dlrm_load(&back, temp_dir));
	assert_non_null(strstr(hel_error_detail(), "has a coding"));
	assert_null(back);
	hel_dlrm_free(m);
}

static void test_damaged_weights(void **state)
{
	(void)state;
	hel_dlrm *m = make_model(), *back = NULL;
	char path[64];
	uint8_t *bytes;
	size_t size;
	assert_ok(hel_dlrm_save(m, temp_dir));
	snprintf(path, sizeof path, "%s/weights.safetensors", temp_dir);
	assert_ok(hel_file_read(path, 1 << 20, &bytes, &size));
	for (size_t n = 0; n < size; n += n < 100 ? 1 : 53)
		assert_unequal(hel_safetensors_read(m, bytes, n), HEL_OK);
	assert_ok(hel_safetensors_read(m, bytes, size));
	const float bad = NAN;
	memcpy(bytes + size - 4, &bad, 4);
	assert_status(HEL_EFORMAT, hel_safetensors_read(m, bytes, size));
	bytes[3] = 0xff; /* a header of 4 GB */
	assert_status(HEL_ELIMIT, hel_safetensors_read(m, bytes, size));
	hel_free(bytes);
	assert_int_equal(0, remove(path));
	assert_status(HEL_EIO, hel_dlrm_load(&back, temp_dir));
	hel_dlrm_free(m);
}

static void test_config(void **state)
{
	(void)state;
	hel_dlrm_config c;
	const char *good = "{\"bottom\": [16, 4], \"top\": [16, 8, 1], \"embedding\": "
			   "\"digits(2)\", \"activation\": {\"kind\": "
			   "\"square\"}, \"training\": {\"epochs\": 3}}";
	assert_ok(hel_dlrm_config_from_json(&c, good, strlen(good)));
	assert_equal(c.bottom_layers, 2);
	assert_equal(c.top[1], 8);
	assert_equal(c.plan.kind.base, 2);
	assert_true(!c.plan.kind.own);
	assert_equal(c.training.epochs, 3);
	assert_equal(c.activation.kind, HEL_ACT_SQUARE);
	assert_equal(c.embedding_dim, 4);
	static const char *const bad[] = {
	    "",
	    "[]",
	    "{\"botom\": [1]}",
	    "{\"top\": [4]}",
	    "{\"top\": []}",
	    "{\"bottom\": [0]}",
	    "{\"bottom\": [1.5]}",
	    "{\"bottom\": 4}",
	    "{\"embedding\": \"digits(1)\"}",
	    "{\"embedding\": 2}",
	    "{\"embedding\": \"rare(3)\"}",
	    "{\"threshold\": -1}",
	    "{\"min_count\": 0}",
	    "{\"max_onehot\": 1.5}",
	    "{\"tables\": 3}",
	    "{\"tables\": {\"C1\": \"half\"}}",
	    "{\"training\": {\"table_optimizer\": \"sgd\"}}",
	    "{\"training\": {\"validation\": 1}}",
	    "{\"training\": {\"patience\": 0}}",
	    "{\"embedding_dim\": 0}",
	    "{\"activation\": {\"kind\": \"cosine\"}}",
	    "{\"activation\": 3}",
	    "{\"activation\": {\"kind\": \"quadratic\", \"a\": 0}}",
	    "{\"training\": {\"epochs\": 0}}",
	    "{\"training\": {\"speed\": 1}}",
	    "{\"clip\": 0}",
	    "{\"bottom_last_activation\": 1}",
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++)
		if (hel_dlrm_config_from_json(&c, bad[i], strlen(bad[i])) != HEL_EFORMAT)
			fail_msg("'%s' was accepted", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_refuses_codings),
	    cmocka_unit_test(test_damaged_weights),
	    cmocka_unit_test(test_config),
	};
	return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
