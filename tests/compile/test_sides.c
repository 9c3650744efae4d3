/* Models of private and public columns as two: on every record both sides together give the model's
 * logit, for each architecture that multiplies them once and any choice of columns. Of others items
 * are no matrix, but values that a program takes: on every record it gives the model's logit, too.
 * Choices that leave nothing to hide or to share are refused. */
#include "../features/cohort.h"
#include "compile/joint.h"
#include "compile/sides.h"
#include "features/coding.h"
#include "model/model_file.h"
#include "model/samples.h"
#include "model/train.h"
#include "vm/clear.h"
#include <math.h>

static const char *const once[] = {
    "{\"architecture\": \"fm\"}",
    "{\"architecture\": \"wide-deep\", \"bottom\": [], \"top\": [6, 1]}",
    "{\"architecture\": \"deepfm\", \"embedding_dim\": 3, \"top\": [5, 1]}",
    "{\"architecture\": \"dcn\", \"top\": [1]}",
    "{\"architecture\": \"dlrm\", \"interaction\": \"dot\", \"top\": [1]}",
    "{\"architecture\": \"two-tower\", \"top\": [3, 1]}",
    "{\"architecture\": \"mlp\", \"top\": [7, 1], \"activation\": {\"kind\": \"square\"}}",
    "{\"architecture\": \"mlp\", \"top\": [1]}",
};

static hel_dlrm *make_model(const char *config, const hel_records *r, hel_samples *s)
{
	hel_dlrm_config c;
	hel_schema *schema;
	hel_dlrm *m;
	assert_ok(hel_dlrm_config_from_json(&c, config, strlen(config)));
	c.training.epochs = 4;
	assert_ok(hel_schema_fit(&schema, hel_dataset_by_name("heart"), r, NULL, r->count, 3, 0));
	assert_ok(hel_dlrm_new(&m, &c, schema, 5));
	assert_ok(hel_samples_new(s, schema, r, NULL, r->count, HEL_UNKNOWN_IS_ERROR));
	assert_ok(hel_dlrm_train(m, s, NULL));
	return m;
}

/* f(u) + g(p) + sum_j a_j(u) b_j(p), the public model from its bytes. */
static double both_sides(const hel_sides *x, const hel_dlrm *public, const hel_dlrm *m,
			 const double *dense, const uint32_t *hot)
{
	double own[64], open[64], a[512], b[512];
	uint32_t own_hot[64], open_hot[64];
	hel_side_take(&x->hidden, m->schema, own, own_hot, dense, hot);
	hel_side_take(&x->open, m->schema, open, open_hot, dense, hot);
	assert_less(x->rows, 511);
	assert_ok(hel_dlrm_vector(a, x->private, own, own_hot));
	assert_ok(hel_dlrm_vector(b, public, open, open_hot));
	double logit = b[0];
	for (size_t i = 0; i < x->rows; i++)
		logit += a[i] * b[1 + i] + (x->squares ? x->sign[i] * a[i] * a[i] : 0);
	/* back in place, both make the record */
	double all[64];
	uint32_t all_hot[64];
	hel_side_put(&x->hidden, m->schema, all, all_hot, own, own_hot);
	hel_side_put(&x->open, m->schema, all, all_hot, open, open_hot);
	assert_memory_equal(all, dense, m->schema->dense_count * sizeof *all);
	assert_memory_equal(all_hot, hot, hel_schema_hots(m->schema) * sizeof *all_hot);
	return logit;
}

static void check_sides(const hel_dlrm *m, const hel_samples *s, const bool *dense,
			const bool *table, const char *name)
{
	hel_sides x;
	hel_dlrm *public;
	hel_writer w = {0};
	double want, worst = 0;
	assert_ok(hel_sides_new(&x, m, dense, table));
	assert_ok(hel_dlrm_write(&w, x.public));
	assert_ok(hel_dlrm_read(&public, w.bytes, w.size));
	for (size_t k = 0; k < s->count; k++) {
		const double *value = s->value + k * s->dense;
		const uint32_t *hot = s->hot + k * s->hots;
		assert_ok(hel_dlrm_logit(&want, m, value, hot));
		worst = fmax(worst, fabs(both_sides(&x, public, m, value, hot) - want) /
					fmax(1, fabs(want)));
	}
	print_message("%s: %zu rows%s, error %.2g\n", name, x.rows, x.squares ? ", squared" : "",
		      worst);
	assert_less(worst, 2e-5);
	hel_writer_clear(&w);
	hel_dlrm_free(public);
	hel_sides_clear(&x);
}

static void test_scores(void **state)
{
	(void)state;
	hel_records r;
	hel_prng g;
	uint8_t seed[HEL_SEED_BYTES] = "sides";
	hel_prng_init(&g, seed, 0);
	make_cohort(&r, 120, 1);
	for (size_t i = 0; i < HEL_ARRAY_LEN(once); i++) {
		hel_samples s;
		hel_dlrm *m = make_model(once[i], &r, &s);
		bool dense[64], table[64];
		for (unsigned round = 0; round < 4; round++) {
			for (size_t k = 0; k < 64; k++) {
				dense[k] = round != 3 && hel_prng_u64(&g) & 1;
				table[k] = hel_prng_u64(&g) & 1;
			}
			table[0] = true; /* something of either side */
			table[1] = false;
			check_sides(m, &s, dense, table, once[i]);
		}
		hel_samples_clear(&s);
		hel_dlrm_free(m);
	}
	hel_records_clear(&r);
}

/* As client and server fill in a program's features: the record's, and in their midst the item's.
 */
static void check_joint(const hel_program *p, const hel_dlrm *m, const hel_samples *s,
			const bool *dense, const bool *table)
{
	const hel_items *x = &p->manifest->items;
	hel_side own, open;
	hel_schema *told;
	hel_dlrm *public;
	bool hidden[64], tables[64];
	double worst = 0, want, got, values[512], own_dense[64], open_dense[64];
	uint32_t own_hot[64], open_hot[64];
	double *features = hel_alloc(p->manifest->features, sizeof *features);
	assert_non_null(features);
	for (size_t k = 0; k < 64; k++) {
		hidden[k] = !dense[k];
		tables[k] = !table[k];
	}
	assert_ok(hel_side_new(&own, m->schema, hidden, tables, true));
	assert_ok(hel_side_new(&open, m->schema, dense, table, false));
	assert_ok(hel_schema_from_json(&told, p->manifest->schema, strlen(p->manifest->schema)));
	assert_ok(hel_dlrm_read(&public, p->items.model, p->items.model_size));
	assert_true(x->any && x->batched && x->width <= 512);
	assert_int_equal(x->first, own.schema->dense_count);
	assert_int_equal(told->dense_count, own.schema->dense_count);
	assert_int_equal(hel_features_width(told, 1) + x->width, p->manifest->features);
	for (size_t k = 0; k < s->count; k++) {
		const double *value = s->value + k * s->dense;
		const uint32_t *hot = s->hot + k * s->hots;
		hel_side_take(&own, m->schema, own_dense, own_hot, value, hot);
		hel_side_take(&open, m->schema, open_dense, open_hot, value, hot);
		assert_ok(hel_dlrm_vector(values, public, open_dense, open_hot));
		hel_features_fill(features, told, own_dense, own_hot, 1);
		memmove(features + x->first + x->width, features + x->first,
			(p->manifest->features - x->first - x->width) * sizeof *features);
		for (size_t i = 0; i < x->width; i++) {
			assert_true(fabs(values[i]) <= p->items.largest);
			features[x->first + i] = values[i];
		}
		assert_ok(hel_dlrm_logit(&want, m, value, hot));
		assert_ok(hel_clear_run_features(&got, p, features));
		worst = fmax(worst, fabs(got - want) / fmax(1, fabs(want)));
	}
	print_message("%u values of an item, error %.2g\n", x->width, worst);
	assert_less(worst, 1e-3);
	hel_free(features);
	hel_schema_free(told);
	hel_dlrm_free(public);
	hel_side_clear(&own);
	hel_side_clear(&open);
}

static void test_joint(void **state)
{
	(void)state;
	static const char *const deep[] = {
	    "{\"architecture\": \"mlp\", \"embedding_dim\": 3, \"top\": [6, 4, 1], "
	    "\"activation\": {\"kind\": \"square\"}}",
	    "{\"architecture\": \"dcn\", \"cross_layers\": 2, \"top\": [1]}",
	    "{\"architecture\": \"dlrm\", \"bottom\": [4, 3], \"embedding_dim\": 3, "
	    "\"interaction\": \"dot\", \"top\": [5, 1], \"activation\": {\"kind\": "
	    "\"square\"}}",
	};
	hel_records r;
	make_cohort(&r, 60, 1);
	for (size_t i = 0; i < HEL_ARRAY_LEN(deep); i++)
		for (unsigned round = 0; round < 2; round++) {
			hel_samples s;
			hel_program *p;
			hel_compile_report report;
			size_t width;
			bool dense[64] = {false}, table[64] = {true};
			table[2] = true;
			dense[1] = dense[3] = round; /* dense values of both sides */
			hel_dlrm *m = make_model(deep[i], &r, &s);
			const hel_compile_options o = {.log_batch = 3, .records = &s};
			assert_ok(hel_compile_joint(&p, &report, &width, m, dense, table, &o));
			check_joint(p, m, &s, dense, table);
			hel_compile_report_clear(&report);
			hel_program_free(p);
			hel_samples_clear(&s);
			hel_dlrm_free(m);
		}
	hel_records_clear(&r);
}

static void test_refusals(void **state)
{
	(void)state;
	static const char *const twice[] = {
	    "{\"architecture\": \"dcn\", \"top\": [3, 1]}",
	    "{\"architecture\": \"dcn\", \"cross_layers\": 2, \"top\": [1]}",
	    "{\"architecture\": \"mlp\", \"top\": [4, 1], \"activation\": {\"kind\": \"relu\"}}",
	};
	hel_records r;
	hel_samples s;
	hel_sides x;
	bool none[64] = {false}, all[64], some[64] = {true};
	memset(all, true, sizeof all);
	make_cohort(&r, 60, 1);
	for (size_t i = 0; i < HEL_ARRAY_LEN(twice); i++) {
		hel_dlrm *m = make_model(twice[i], &r, &s);
		assert_status(HEL_EUNSUPPORTED, hel_sides_new(&x, m, none, some));
		assert_non_null(strstr(hel_error_detail(), "node '"));
		hel_samples_clear(&s);
		hel_dlrm_free(m);
	}
	hel_dlrm *m = make_model(once[0], &r, &s);
	assert_status(HEL_EINVAL, hel_sides_new(&x, m, none, none));
	assert_status(HEL_EINVAL, hel_sides_new(&x, m, all, all));
	hel_samples_clear(&s);
	hel_dlrm_free(m);
	hel_records_clear(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_scores),
	    cmocka_unit_test(test_joint),
	    cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
