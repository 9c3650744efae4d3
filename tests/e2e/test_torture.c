/* Every allocation fails once in turn through a whole heart prediction: an error each time, no
 * crash, no leak (under AddressSanitizer), and the next attempt works. */
#include "../features/cohort.h"
#include "compile/compile.h"
#include "net/client/client_inside.h"
#include "net/server/server.h"
#include <math.h>

typedef struct prediction {
	hel_records records;
	hel_dlrm *model;
	hel_writer program, manifest, secret, keys, public, query, result;
	double logit;
} prediction;

static hel_status compile_stage(prediction *p)
{
	hel_status st = HEL_OK;
	hel_program *program = NULL;
	hel_compile_report report;
	const hel_compile_options options = {
	    .name = "torture", .max_log_n = 13, .no_monomials = true, .log_batch = 1};
	TRY(hel_compile(&program, &report, p->model, &options));
	st = hel_program_write(&p->program, program);
	if (st == HEL_OK)
		st = hel_manifest_write(&p->manifest, program->manifest);
	hel_compile_report_clear(&report);
	hel_program_free(program);
done:
	return st;
}

static hel_status keygen_stage(prediction *p)
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	TRY(hel_client_open(&c, p->manifest.bytes, p->manifest.size, NULL, NULL));
	TRY(hel_client_generate(c));
	TRY(hel_client_write_secret(&p->secret, c));
	TRY(hel_client_write_keys(&p->keys, c, NULL));
	TRY(hel_client_write_public(&p->public, c));
done:
	hel_client_free(c);
	return st;
}

static hel_status encrypt_stage(prediction *p)
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	TRY(hel_client_open(&c, p->manifest.bytes, p->manifest.size, NULL, NULL));
	TRY(hel_client_load_key(c, p->secret.bytes, p->secret.size));
	TRY(hel_client_encrypt(&p->query, c, &p->records, 0, 1));
done:
	hel_client_free(c);
	return st;
}

/* The same by one who has the public key only. */
static hel_status contribute_stage(prediction *p)
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	TRY(hel_client_open(&c, p->manifest.bytes, p->manifest.size, NULL, NULL));
	TRY(hel_client_contribute(c, p->public.bytes, p->public.size));
	TRY(hel_client_encrypt(&p->query, c, &p->records, 0, 1));
done:
	hel_client_free(c);
	return st;
}

static hel_status infer_stage(prediction *p)
{
	hel_status st = HEL_OK;
	hel_server *s = NULL;
	hel_evaluation *evaluation = NULL;
	TRY(hel_server_new(&s, p->program.bytes, p->program.size, NULL));
	TRY(hel_evaluation_new(&evaluation, s, p->keys.bytes, p->keys.size));
	TRY(hel_server_infer(&p->result, evaluation, p->query.bytes, p->query.size, NULL));
done:
	hel_evaluation_free(evaluation);
	hel_server_free(s);
	return st;
}

static hel_status decrypt_stage(prediction *p)
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	hel_score score;
	TRY(hel_client_open(&c, p->manifest.bytes, p->manifest.size, NULL, NULL));
	TRY(hel_client_load_key(c, p->secret.bytes, p->secret.size));
	TRY(hel_client_decrypt(&score, 1, c, p->result.bytes, p->result.size));
	p->logit = score.logit;
done:
	hel_client_free(c);
	return st;
}

/* `every`: which failures to try; all of a long stage would take minutes. */
static void torture(const char *name, hel_status (*stage)(prediction *), prediction *p,
		    hel_writer *out[3], long every)
{
	long tried = 0;
	for (long n = 1;; n += every) {
		hel_alloc_fail_at(n);
		hel_status st = stage(p);
		bool reached = st != HEL_OK;
		hel_alloc_fail_at(0);
		if (!reached)
			break;
		if (st != HEL_ENOMEM)
			fail_msg("%s, allocation %ld: %s (%s)", name, n, hel_status_text(st),
				 hel_error_detail());
		for (int i = 0; i < 3; i++)
			if (out[i])
				hel_writer_clear(out[i]);
		tried++;
	}
	print_message("%s: %ld failures\n", name, tried);
	assert_more(tried, 3);
}

static void infer_and_decrypt(prediction *p)
{
	torture("infer", infer_stage, p, (hel_writer *[3]){&p->result}, 1);
	torture("decrypt", decrypt_stage, p, (hel_writer *[3]){NULL}, 1);
}

static void test_every_allocation_fails(void **state)
{
	(void)state;
	prediction p = {0};
	hel_dlrm_config config = hel_dlrm_config_default();
	hel_schema *schema;
	config.top[0] = 3;
	make_cohort(&p.records, 60, 1);
	assert_ok(hel_random_init());
	assert_ok(
	    hel_schema_fit(&schema, hel_dataset_by_name("heart"), &p.records, NULL, 60, 3, 0));
	assert_ok(hel_dlrm_new(&p.model, &config, schema, 1));
	const char *fast = getenv("HELRM_TORTURE_ALL") ? NULL : "fast";
	torture("compile", compile_stage, &p, (hel_writer *[3]){&p.program, &p.manifest},
		fast ? 97 : 1);
	torture("keygen", keygen_stage, &p, (hel_writer *[3]){&p.secret, &p.keys, &p.public}, 1);
	torture("encrypt", encrypt_stage, &p, (hel_writer *[3]){&p.query}, 1);
	infer_and_decrypt(&p);
	const double own = p.logit;
	hel_writer_clear(&p.query);
	hel_writer_clear(&p.result);
	torture("contribute", contribute_stage, &p, (hel_writer *[3]){&p.query}, 1);
	infer_and_decrypt(&p);
	double want, dense[5];
	uint32_t hots[8];
	assert_ok(hel_schema_apply(p.model->schema, &p.records, 0, HEL_UNKNOWN_IS_ERROR, dense,
				   hots, NULL));
	assert_ok(hel_dlrm_logit(&want, p.model, dense, hots));
	assert_within(want, own, 0x1p-12);
	assert_within(want, p.logit, 0x1p-12);
	hel_writer_clear(&p.program);
	hel_writer_clear(&p.manifest);
	hel_writer_clear(&p.secret);
	hel_writer_clear(&p.keys);
	hel_writer_clear(&p.public);
	hel_writer_clear(&p.query);
	hel_writer_clear(&p.result);
	hel_dlrm_free(p.model);
	hel_records_clear(&p.records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation_fails)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
