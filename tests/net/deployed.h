/* deployed.h -- a program with its client and server, without a network between them. */
#ifndef HEL_TEST_DEPLOYED_H
#define HEL_TEST_DEPLOYED_H

#include "heart_schema.h"
#include "net/client/client_inside.h"
#include "net/server/server.h"

typedef struct deployed {
	hel_client *client;
	hel_server *server;
	hel_evaluation *evaluation;
} deployed;

static inline void deployed_open(deployed *d, hel_program *p)
{
	hel_writer program = {0}, manifest = {0}, keys = {0};
	assert_ok(hel_program_write(&program, p));
	assert_ok(hel_manifest_write(&manifest, p->manifest));
	assert_ok(hel_client_open(&d->client, manifest.bytes, manifest.size, NULL, NULL));
	assert_ok(hel_client_generate(d->client));
	assert_ok(hel_client_write_keys(&keys, d->client, NULL));
	assert_int_equal(keys.size, hel_keys_file_bytes(hel_client_params(d->client),
							p->manifest->key, p->manifest->keys));
	assert_ok(hel_server_new(&d->server, program.bytes, program.size, NULL));
	assert_ok(hel_evaluation_new(&d->evaluation, d->server, keys.bytes, keys.size));
	hel_writer_clear(&program);
	hel_writer_clear(&manifest);
	hel_writer_clear(&keys);
}

static inline void deployed_close(deployed *d)
{
	hel_evaluation_free(d->evaluation);
	hel_server_free(d->server);
	hel_client_free(d->client);
}

/* The score of a record of heart with these dense values and no category. */
static inline hel_status deployed_score(double *logit, const deployed *d, double value[HEART_DENSE])
{
	hel_span cell[HEART_TABLES] = {{0}};
	uint8_t label = 0;
	const hel_records records = {.count = 1,
				     .dense = HEART_DENSE,
				     .tables = HEART_TABLES,
				     .value = value,
				     .cell = cell,
				     .label = &label};
	hel_writer query = {0}, result = {0};
	hel_score score = {0};
	assert_ok(hel_client_encrypt(&query, d->client, &records, 0, 1));
	assert_ok(hel_server_infer(&result, d->evaluation, query.bytes, query.size, NULL));
	const hel_status st = hel_client_decrypt(&score, 1, d->client, result.bytes, result.size);
	*logit = score.logit;
	hel_writer_clear(&query);
	hel_writer_clear(&result);
	return st;
}

#endif
