/* Several records in one query: each against the clear model, wherever it stands and whoever stands
 * beside it; what a faulty server sends in place of their scores; what a hostile manifest asks for.
 */
#include "../features/cohort.h"
#include "../testing.h"
#include "ckks/secret.h"
#include "compile/compile.h"
#include "net/client/client_inside.h"
#include "net/server/server.h"
#include <math.h>

#define ROWS 64
#define MAX_LOG_BATCH 6
#define SHORT_OF_NOISE 0x1p-12 /* no error of these models comes near */

static hel_records records;
static hel_dlrm *model;
static double want[ROWS]; /* the model's logits in the clear */

static int world_make(void **state)
{
	(void)state;
	hel_dlrm_config config = hel_dlrm_config_default();
	hel_schema *schema;
	double dense[5];
	uint32_t hots[8];
	make_cohort(&records, ROWS, 1);
	config.top[0] = 3;
	assert_ok(
	    hel_schema_fit(&schema, hel_dataset_by_name("heart"), &records, NULL, ROWS, 3, 0));
	assert_ok(hel_dlrm_new(&model, &config, schema, 1));
	for (size_t i = 0; i < ROWS; i++) {
		assert_ok(hel_schema_apply(model->schema, &records, i, HEL_UNKNOWN_IS_ERROR, dense,
					   hots, NULL));
		assert_ok(hel_dlrm_logit(&want[i], model, dense, hots));
	}
	return 0;
}

static int world_remove(void **state)
{
	(void)state;
	hel_dlrm_free(model);
	hel_records_clear(&records);
	return 0;
}

/* Both sides of one model. */
typedef struct parties {
	size_t batch;
	hel_client *client, *contributor;
	hel_server *server;
	hel_evaluation *evaluation;
	hel_writer manifest;
} parties;

static void parties_open(parties *p, unsigned log_batch)
{
	hel_program *program;
	hel_compile_report report;
	hel_writer w = {0}, keys = {0}, public = {0};
	*p = (parties){.batch = (size_t)1 << log_batch};
	const hel_compile_options options = {
	    .max_log_n = 13, .no_monomials = true, .log_batch = log_batch};
	assert_ok(hel_compile(&program, &report, model, &options));
	assert_ok(hel_program_write(&w, program));
	assert_ok(hel_manifest_write(&p->manifest, program->manifest));
	assert_ok(hel_client_open(&p->client, p->manifest.bytes, p->manifest.size, NULL, NULL));
	assert_ok(hel_client_generate(p->client));
	assert_ok(hel_client_write_keys(&keys, p->client, NULL));
	assert_ok(hel_client_write_public(&public, p->client));
	assert_ok(
	    hel_client_open(&p->contributor, p->manifest.bytes, p->manifest.size, NULL, NULL));
	assert_ok(hel_client_contribute(p->contributor, public.bytes, public.size));
	assert_ok(hel_server_new(&p->server, w.bytes, w.size, NULL));
	assert_ok(hel_evaluation_new(&p->evaluation, p->server, keys.bytes, keys.size));
	assert_int_equal(p->batch, hel_client_batch(p->client));
	hel_writer_clear(&w);
	hel_writer_clear(&keys);
	hel_writer_clear(&public);
	hel_compile_report_clear(&report);
	hel_program_free(program);
}

static void parties_close(parties *p)
{
	hel_evaluation_free(p->evaluation);
	hel_server_free(p->server);
	hel_client_free(p->contributor);
	hel_client_free(p->client);
	hel_writer_clear(&p->manifest);
}

/* The first `scored` scores of a query of rows [first, first + count). */
static void predict(hel_score *out, size_t scored, const parties *p, const hel_client *sender,
		    const hel_records *from, size_t first, size_t count)
{
	hel_writer query = {0}, result = {0};
	assert_ok(hel_client_encrypt(&query, sender, from, first, count));
	assert_ok(hel_server_infer(&result, p->evaluation, query.bytes, query.size, NULL));
	assert_ok(hel_client_decrypt(out, scored, p->client, result.bytes, result.size));
	hel_writer_clear(&query);
	hel_writer_clear(&result);
}

static double error_of(const hel_score *score, size_t first, size_t count)
{
	double worst = 0;
	for (size_t i = 0; i < count; i++)
		worst = fmax(worst, fabs(score[i].logit - want[first + i]));
	return worst;
}

/* Every row, in full batches and in those that are left over, against the clear model and against
 * the model without batches. */
static void test_every_row(void **state)
{
	(void)state;
	hel_score single[ROWS], score[ROWS];
	static const unsigned log_batches[] = {0, 1, 3, MAX_LOG_BATCH};
	for (size_t k = 0; k < HEL_ARRAY_LEN(log_batches); k++) {
		const unsigned log_batch = log_batches[k];
		parties p;
		parties_open(&p, log_batch);
		const double allowed = hel_manifest_error(hel_client_manifest(p.client)) * 16;
		for (size_t i = 0, n; i < ROWS; i += n) {
			n = HEL_MIN(p.batch, (size_t)(ROWS - i));
			predict(score + i, n, &p, p.client, &records, i, n);
		}
		const double worst = error_of(score, 0, ROWS);
		print_message("%zu records in a query: within 2^%.1f, allowed 2^%.1f\n", p.batch,
			      log2(worst), log2(allowed));
		assert_less(worst, allowed);
		assert_less(allowed, SHORT_OF_NOISE);
		for (size_t i = 0; i < ROWS; i++) {
			if (!log_batch)
				single[i] = score[i];
			assert_within(score[i].logit, single[i].logit, 2 * allowed);
			assert_within(score[i].probability, 1 / (1 + exp(-score[i].logit)), 1e-12);
		}
		parties_close(&p);
	}
}

/* One row at every place of batches of every size; under the public key, too. */
static void test_every_place(void **state)
{
	(void)state;
	parties p;
	hel_score score[8];
	parties_open(&p, 3);
	for (size_t place = 0; place < 8; place++)
		for (size_t count = place + 1; count <= 8; count++) {
			const size_t first = 20 - place;
			const bool own = count & 1;
			predict(score, count, &p, own ? p.client : p.contributor, &records, first,
				count);
			assert_less(error_of(score, first, count), SHORT_OF_NOISE);
		}
	parties_close(&p);
}

/* A record that is another one changes its own score and no other. */
static void test_no_leak(void **state)
{
	(void)state;
	parties p;
	hel_score before[8], after[8];
	hel_records changed = records;
	parties_open(&p, 3);
	const double noise = 16 * hel_manifest_error(hel_client_manifest(p.client));
	predict(before, 8, &p, p.client, &records, 0, 8);
	changed.value = hel_alloc(records.count * records.dense, sizeof *changed.value);
	for (size_t place = 0; place < 8; place++) {
		const size_t at = place * records.dense;
		memcpy(changed.value, records.value,
		       records.count * records.dense * sizeof *changed.value);
		for (size_t i = 0; i < records.dense; i++) /* as far as clipping lets it go */
			changed.value[at + i] = i % 2 ? 1e9 : -1e9;
		predict(after, 8, &p, p.client, &changed, 0, 8);
		for (size_t i = 0; i < 8; i++) {
			const double moved = fabs(after[i].logit - before[i].logit);
			if (i == place ? moved < 100 * noise : moved > 2 * noise)
				fail_msg("record %zu changed, the score of %zu moved by %g", place,
					 i, moved);
		}
	}
	hel_free(changed.value);
	parties_close(&p);
}

/* Places without a record repeat the last one, so that no other number than records cause is in a
 * ciphertext. */
static void test_empty_places(void **state)
{
	(void)state;
	parties p;
	hel_score score[8];
	parties_open(&p, 3);
	predict(score, 8, &p, p.client, &records, 5, 3);
	assert_less(error_of(score, 5, 3), SHORT_OF_NOISE);
	for (int i = 3; i < 8; i++)
		assert_within(score[i].logit, want[7], SHORT_OF_NOISE);
	parties_close(&p);
}

static void test_counts(void **state)
{
	(void)state;
	static const struct {
		unsigned log_batch;
		size_t first, count;
	} bad[] = {{0, 0, 0}, {0, 0, 2},	{0, ROWS, 1},	  {2, 0, 5},
		   {2, 0, 0}, {2, ROWS - 3, 4}, {2, SIZE_MAX, 4}, {2, 1, SIZE_MAX}};
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++) {
		parties p;
		hel_writer query = {0};
		hel_score score[ROWS] = {0};
		parties_open(&p, bad[i].log_batch);
		assert_status(HEL_EINVAL, hel_client_encrypt(&query, p.client, &records,
							     bad[i].first, bad[i].count));
		assert_int_equal(query.size, 0);
		if (!bad[i].count || bad[i].count > p.batch)
			assert_status(HEL_EINVAL,
				      hel_client_decrypt(score, bad[i].count, p.client, "", 0));
		parties_close(&p);
	}
}

/* A result with these slots, as the server would send it. */
static void forge(hel_writer *w, const parties *p, const hel_complex *slots, uint32_t samples)
{
	const hel_manifest *m = hel_client_manifest(p->client);
	const hel_secret_key *key = hel_client_key(p->client);
	const hel_params *params = hel_client_params(p->client);
	hel_eval *ev;
	hel_pt *pt;
	hel_ct *ct;
	assert_ok(hel_eval_new(&ev, params, NULL, NULL));
	assert_ok(hel_ct_new(&ct, params));
	assert_ok(hel_encode(&pt, params, slots, 0, HEL_FOR_ADD));
	assert_ok(hel_encrypt(ct, key, pt));
	w->size = 0;
	hel_container_begin(w, HEL_KIND_RESULT);
	hel_write_bytes(w, m->id, sizeof m->id);
	hel_write_bytes(w, hel_secret_key_client(key), HEL_CLIENT_ID_BYTES);
	assert_ok(hel_ct_write_sampled(w, ev, ct, samples));
	assert_ok(hel_container_end(w));
	hel_pt_free(pt);
	hel_ct_free(ct);
	hel_eval_free(ev);
}

static void test_forged(void **state)
{
	(void)state;
	for (unsigned log_batch = 0; log_batch <= MAX_LOG_BATCH; log_batch += 2) {
		parties p;
		hel_writer w = {0};
		hel_score score[1 << MAX_LOG_BATCH], kept[1 << MAX_LOG_BATCH];
		parties_open(&p, log_batch);
		const hel_manifest *m = hel_client_manifest(p.client);
		const size_t n = hel_params_slots(hel_client_params(p.client));
		hel_complex *slots = hel_alloc(n, sizeof *slots);
		const size_t last = p.batch - 1; /* whose slots are tampered with */
#define HONEST                                                                                     \
	for (size_t i = 0; i < n; i++)                                                             \
	slots[i] = (hel_complex){0.01 * (double)(i % p.batch) - 0.3, 0}
		HONEST;
		forge(&w, &p, slots, m->samples);
		assert_ok(hel_client_decrypt(score, p.batch, p.client, w.bytes, w.size));
		for (size_t r = 0; r < p.batch; r++)
			assert_within(score[r].logit, slots[r].re, SHORT_OF_NOISE);
		memset(kept, 0, sizeof kept);
		memcpy(score, kept, sizeof score);
#define REFUSED(status, samples)                                                                   \
	do {                                                                                       \
		forge(&w, &p, slots, samples);                                                     \
		assert_status(status, hel_client_decrypt(score, 1, p.client, w.bytes, w.size));    \
		assert_memory_equal(score, kept, sizeof score);                                    \
	} while (0)
		/* a fold left out: copies of one record differ, with periods of powers of two */
		for (size_t period = 2 * p.batch; period <= m->samples / 2; period *= 2) {
			HONEST;
			for (size_t i = last; i < n; i += period)
				slots[i].re += 0.5;
			REFUSED(HEL_ERANGE, m->samples);
		}
		HONEST; /* one record is not real */
		for (size_t i = last; i < n; i += p.batch)
			slots[i].im = 0.01;
		REFUSED(HEL_ERANGE, m->samples);
		HONEST; /* one score is out of bounds */
		for (size_t i = last; i < n; i += p.batch)
			slots[i].re = -2 * m->bound - 2;
		REFUSED(HEL_ERANGE, m->samples);
		HONEST;
		REFUSED(HEL_EFORMAT, m->samples / 2);
		REFUSED(HEL_EFORMAT, 2 * m->samples);
		hel_free(slots);
		hel_writer_clear(&w);
		parties_close(&p);
	}
}

/* A manifest that asks for more than a client gives. */
static void test_hostile_manifests(void **state)
{
	(void)state;
	parties p;
	hel_manifest *m;
	hel_client *none = NULL;
	parties_open(&p, 2);
	assert_ok(hel_manifest_read(&m, p.manifest.bytes, p.manifest.size));
	static const struct {
		uint8_t log_batch;
		uint32_t samples;
	} bad[] = {{10, 4096}, {200, 4096}, {3, 8}, {7, 128}, {2, 192}, {2, 4}};
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++) {
		hel_writer w = {0};
		m->log_batch = bad[i].log_batch;
		m->samples = bad[i].samples;
		assert_ok(hel_manifest_write(&w, m));
		assert_status(HEL_EFORMAT, hel_client_open(&none, w.bytes, w.size, NULL, NULL));
		assert_null(none);
		print_message("%s\n", hel_error_detail());
		hel_writer_clear(&w);
	}
	hel_manifest_free(m);
	parties_close(&p);
}

/* The calls of helrm/client.h. */
static void test_public_calls(void **state)
{
	(void)state;
	static const char text[] = "58,1,4,130,240,1,2,150,1,1,1,1,7\n"
				   "41,0,2,110,200,0,0,170,0,0,2,0,3\n"
				   "63,1,3,145,280,0,2,120,1,2.5,2,2,6\n";
	parties p;
	uint8_t *query = NULL;
	size_t size, count;
	hel_writer result = {0};
	hel_score score[3], first;
	double logit, dense[5];
	uint32_t hots[8];
	hel_records few;
	parties_open(&p, 2);
	assert_ok(hel_records_parse(&few, hel_dataset_by_name("heart"), "few", text, strlen(text)));
	assert_ok(hel_client_count(&count, p.client, text, strlen(text)));
	assert_int_equal(count, 3);
	assert_ok(hel_client_query_batch(&query, &size, p.client, text, strlen(text), 0, count));
	assert_ok(hel_server_infer(&result, p.evaluation, query, size, NULL));
	assert_ok(hel_client_score_batch(score, count, p.client, result.bytes, result.size));
	assert_ok(hel_client_score(&first, p.client, result.bytes, result.size));
	assert_memory_equal(&first, score, sizeof first);
	for (size_t i = 0; i < count; i++) {
		assert_ok(hel_schema_apply(model->schema, &few, i, HEL_UNKNOWN_IS_ERROR, dense,
					   hots, NULL));
		assert_ok(hel_dlrm_logit(&logit, model, dense, hots));
		assert_within(score[i].logit, logit, SHORT_OF_NOISE);
	}
	hel_bytes_free(query, size);
	query = NULL;
	assert_status(HEL_EINVAL,
		      hel_client_query_batch(&query, &size, p.client, text, strlen(text), 1, 3));
	assert_null(query);
	/* one of them alone */
	assert_ok(hel_client_query(&query, &size, p.client, text, strlen(text), 2));
	result.size = 0;
	assert_ok(hel_server_infer(&result, p.evaluation, query, size, NULL));
	assert_ok(hel_client_score(&first, p.client, result.bytes, result.size));
	assert_within(first.logit, score[2].logit, SHORT_OF_NOISE);
	hel_bytes_free(query, size);
	hel_writer_clear(&result);
	hel_records_clear(&few);
	parties_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_row),
	    cmocka_unit_test(test_every_place),
	    cmocka_unit_test(test_no_leak),
	    cmocka_unit_test(test_empty_places),
	    cmocka_unit_test(test_counts),
	    cmocka_unit_test(test_forged),
	    cmocka_unit_test(test_hostile_manifests),
	    cmocka_unit_test(test_public_calls),
	};
	return cmocka_run_group_tests(tests, world_make, world_remove);
}
