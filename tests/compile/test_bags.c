/* Tables of which a record names several rows, through the compiler: bounds that know how many, and
 * scores of encrypted records against the model. */
#include "../features/vocabulary.h"
#include "../testing.h"
#include "compile/compile.h"
#include "features/coding.h"
#include "features/hash.h"
#include "model/dlrm.h"
#include "net/client/client_inside.h"
#include "net/server/server.h"
#include <math.h>

#define SET(bags)                                                                                  \
	"{\"helrm_columns\": 1, \"name\": \"bags\", \"columns\": ["                                \
	"{\"name\": \"x\", \"kind\": \"dense\"}, {\"name\": \"y\", \"kind\": \"dense\"}," bags     \
	"{\"name\": \"one\", \"kind\": \"category\"}]}"
#define BAG(name, more) "{\"name\": \"" name "\", \"kind\": \"bag\", " more "},"

static const char *const sets[] = {
    SET(BAG("sum", "\"limit\": 5")),
    SET(BAG("sum", "\"limit\": 5") BAG("mean", "\"limit\": 7, \"pool\": \"mean\", \"weight\": 2")),
    SET(BAG("max", "\"limit\": 6, \"pool\": \"max\"")
	    BAG("ids", "\"limit\": 4, \"values\": \"modulo\", "
		       "\"modulo\": 12")),
    SET(BAG("hashed", "\"limit\": 3, \"values\": \"hashed\"")),
};

/* As if learned. */
static hel_schema *schema_of(const char *text, uint32_t values)
{
	hel_schema *s;
	hel_dataset *set;
	uint32_t hash[64];
	assert_ok(hel_dataset_from_json(&set, text, strlen(text)));
	assert_ok(hel_schema_of(&s, set));
	hel_dataset_drop(set);
	s->clip = 3;
	for (size_t i = 0; i < s->dense_count; i++)
		s->dense[i].deviation = 1;
	for (size_t t = 0; t < s->table_count; t++) {
		hel_table_field *f = &s->table[t];
		if (!f->hashed) {
			list_values(f, values, "v%u");
		} else if (!f->modulo) {
			for (uint32_t v = 0; v < values; v++) {
				char name[16];
				snprintf(name, sizeof name, "v%u", v);
				hash[v] = hel_value_hash(name, strlen(name));
			}
			assert_ok(hel_table_know(s, t, hash, values, true));
			f->base = 4; /* the others: sums of two rows */
			f->digits = 2;
		}
	}
	return s;
}

static hel_dlrm *model_of(hel_schema *s, const hel_dlrm_config *c, uint64_t seed)
{
	hel_dlrm *m;
	hel_prng g;
	test_prng(&g, seed);
	assert_ok(hel_dlrm_new(&m, c, s, seed));
	for (size_t i = 0; i < m->tensors; i++) /* tables that matter */
		for (size_t k = 0;
		     m->tensor[i].table && k < m->tensor[i].rows * m->tensor[i].columns; k++)
			m->parameter[m->tensor[i].offset + k] = (float)(0.3 * hel_prng_normal(&g));
	return m;
}

/* Without activations the bound is what the weights allow when every bag is full of its heaviest
 * row.
 */
static void test_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < HEL_ARRAY_LEN(sets); i++) {
		hel_program *p;
		hel_compile_report r;
		hel_dlrm_config c = hel_dlrm_config_default();
		c.embedding_dim = 3;
		c.bottom_layers = 0;
		c.top_layers = 1;
		c.top[0] = 1;
		hel_schema *s = schema_of(sets[i], 20);
		hel_dlrm *m = model_of(s, &c, i + 1);
		const float *w = hel_tensor_data(m, hel_dlrm_top(m, 0, false));
		double want = fabs((double)hel_tensor_data(m, hel_dlrm_top(m, 0, true))[0]),
		       any = want;
		for (size_t d = 0; d < s->dense_count; d++, w++)
			want += s->clip * fabs((double)*w);
		any = want;
		for (size_t t = 0; t < s->table_count; t++, w += 3) {
			const hel_table_field *f = &s->table[t];
			const float *row = hel_tensor_data(m, hel_dlrm_table(m, t));
			for (uint32_t place = 0, e = 0; place < f->digits; place++) {
				const hel_digit digit = hel_table_digit(f, place);
				double most = 0;
				for (; e < digit.first + digit.width; e++) {
					double v = 0;
					for (size_t k = 0; k < 3; k++)
						v += (double)w[k] * (double)row[3 * e + k];
					most = fmax(most, fabs(v));
					any += hel_bag_reach(&f->bag) * fabs(v);
				}
				want += hel_bag_reach(&f->bag) * most;
			}
		}
		assert_ok(hel_compile(&p, &r, m, &(hel_compile_options){0}));
		print_message("set %zu: bound %.6g, from tensors %.6g, of any entries %.6g\n", i,
			      p->manifest->bound, want, any);
		assert_true(!p->manifest->measured);
		assert_more(p->manifest->bound, want * (1 - 1e-5));
		assert_less(p->manifest->bound, 2 * want); /* complex slots are loose */
		assert_less(p->manifest->bound, any);
		hel_compile_report_clear(&r);
		hel_program_free(p);
		hel_dlrm_free(m);
	}
}

/* --- encrypted ----------------------------------------------------------------------------- */

static void random_row(char *out, size_t size, hel_prng *g, const hel_dataset *set)
{
	size_t n = 0;
	for (size_t i = 0; i < set->columns; i++) {
		const hel_column *c = &set->column[i];
		n += (size_t)snprintf(out + n, size - n, "%s", i ? "," : "");
		if (c->kind == HEL_DENSE) {
			n += (size_t)snprintf(out + n, size - n, "%.3f", hel_prng_normal(g));
			continue;
		}
		/* some over the limit, some empty, some unheard-of */
		const uint64_t count = c->bag.limit ? hel_prng_u64(g) % (c->bag.limit + 3) : 1;
		for (uint64_t k = 0; k < count; k++) {
			n += (size_t)snprintf(out + n, size - n, "%s%s%u", k ? "|" : "",
					      c->values == HEL_MODULO ? "" : "v",
					      (unsigned)(hel_prng_u64(g) % 24));
			if (c->bag.weighted)
				n += (size_t)snprintf(out + n, size - n, ":%.2f",
						      3 * hel_prng_normal(g));
		}
	}
	snprintf(out + n, size - n, "\n");
}

typedef struct deployed {
	hel_dlrm *m;
	hel_client *client;
	hel_server *server;
	hel_evaluation *evaluation;
	double bits;
} deployed;

static void deploy(deployed *d, hel_dlrm *m, const hel_compile_options *o)
{
	hel_program *p;
	hel_compile_report r;
	hel_writer program = {0}, manifest = {0}, keys = {0};
	d->m = m;
	assert_ok(hel_compile(&p, &r, m, o));
	d->bits = p->manifest->bits;
	assert_ok(hel_program_write(&program, p));
	assert_ok(hel_manifest_write(&manifest, p->manifest));
	assert_ok(hel_client_open(&d->client, manifest.bytes, manifest.size, NULL, NULL));
	assert_ok(hel_client_generate(d->client));
	assert_ok(hel_client_write_keys(&keys, d->client, NULL));
	assert_ok(hel_server_new(&d->server, program.bytes, program.size, NULL));
	assert_ok(hel_evaluation_new(&d->evaluation, d->server, keys.bytes, keys.size));
	hel_writer_clear(&program);
	hel_writer_clear(&manifest);
	hel_writer_clear(&keys);
	hel_compile_report_clear(&r);
	hel_program_free(p);
}

static void check_row(const deployed *d, const char *text)
{
	const hel_schema *s = d->m->schema;
	hel_records r;
	hel_writer result = {0};
	hel_score score;
	uint8_t *query;
	size_t size;
	double want, dense[2];
	uint32_t *hots = hel_alloc(hel_schema_hots(s), sizeof *hots);
	assert_ok(hel_records_parse(&r, s->set, "row", text, strlen(text)));
	assert_ok(hel_schema_apply(s, &r, 0, HEL_UNKNOWN_IS_MISSING, dense, hots, NULL));
	assert_ok(hel_dlrm_logit(&want, d->m, dense, hots));
	assert_ok(hel_client_query(&query, &size, d->client, text, strlen(text), 0));
	assert_ok(hel_server_infer(&result, d->evaluation, query, size, NULL));
	assert_ok(hel_client_decrypt(&score, 1, d->client, result.bytes, result.size));
	if (!(fabs(score.logit - want) < 1e-3 * fmax(1, fabs(want))))
		fail_msg("%s scores %.6f, not %.6f", text, score.logit, want);
	hel_bytes_free(query, size);
	hel_writer_clear(&result);
	hel_records_clear(&r);
	hel_free(hots);
}

static void test_encrypted(void **state)
{
	(void)state;
	assert_ok(hel_random_init());
	for (size_t i = 0; i < 2 * HEL_ARRAY_LEN(sets); i++) {
		hel_prng g;
		deployed d = {0};
		char text[512];
		test_prng(&g, 70 + i);
		hel_dlrm_config c = hel_dlrm_config_default();
		c.activation = (hel_activation){HEL_ACT_QUADRATIC, 0.3, 0.7};
		if (i >= HEL_ARRAY_LEN(sets)) {
			c.architecture = HEL_ARCHITECTURE_DCN;
			c.top_layers = 1;
			c.top[0] = 1;
		}
		deploy(&d, model_of(schema_of(sets[i % HEL_ARRAY_LEN(sets)], 20), &c, 9 + i),
		       &(hel_compile_options){.no_fusion = i % 2, .accept_loss = true});
		for (int row = 0; row < 6; row++) {
			random_row(text, sizeof text, &g, d.m->schema->set);
			check_row(&d, text);
		}
		hel_evaluation_free(d.evaluation);
		hel_server_free(d.server);
		hel_client_free(d.client);
		hel_dlrm_free(d.m);
	}
}

/* The same tables with one row for a record, or with ten: the same query, keys and time. */
static void test_costs_nothing(void **state)
{
	(void)state;
	static const char *const two[] = {SET(BAG("a", "\"limit\": 10") BAG("b", "\"limit\": 10")),
					  SET("{\"name\": \"a\", \"kind\": \"category\"},"
					      "{\"name\": \"b\", \"kind\": \"category\"},")};
	hel_compile_report r[2];
	uint32_t keys[2];
	for (size_t i = 0; i < 2; i++) {
		hel_program *p;
		hel_dlrm_config c = hel_dlrm_config_default();
		hel_dlrm *m = model_of(schema_of(two[i], 60), &c, 3);
		hel_coding coding[3] = {HEL_CODING_ONE_HOT, HEL_CODING_ONE_HOT, HEL_CODING_ONE_HOT};
		assert_ok(hel_compile(&p, &r[i], m, &(hel_compile_options){.coding = coding}));
		keys[i] = p->manifest->keys;
		hel_program_free(p);
		hel_dlrm_free(m);
	}
	print_message("bags of ten: %.3f ms, one: %.3f ms\n", 1e3 * r[0].seconds,
		      1e3 * r[1].seconds);
	assert_int_equal(keys[0], keys[1]);
	assert_int_equal(r[0].query_bytes, r[1].query_bytes);
	assert_within(r[0].seconds, r[1].seconds, 0.05 * r[1].seconds);
	hel_compile_report_clear(&r[0]);
	hel_compile_report_clear(&r[1]);
}

static void test_refuses(void **state)
{
	(void)state;
	hel_program *p = NULL;
	hel_compile_report r;
	hel_dlrm_config c = hel_dlrm_config_default();
	hel_dlrm *m = model_of(schema_of(sets[0], 20), &c, 3);
	for (hel_coding k = 0; k < HEL_CODINGS; k++) {
		hel_coding coding[2] = {k, HEL_CODINGS};
		const hel_status st =
		    hel_compile(&p, &r, m, &(hel_compile_options){.coding = coding});
		if (k == HEL_CODING_ONE_HOT) {
			assert_ok(st);
			hel_compile_report_clear(&r);
			hel_program_free(p);
			continue;
		}
		assert_status(HEL_EUNSUPPORTED, st);
		assert_non_null(strstr(hel_error_detail(), "table sum is a bag: "));
	}
	hel_dlrm_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bounds), cmocka_unit_test(test_encrypted),
	    cmocka_unit_test(test_costs_nothing), cmocka_unit_test(test_refuses)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
