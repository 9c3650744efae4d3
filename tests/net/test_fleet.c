/* Servers that share their sessions, as stores without HTTP around them: what one began another
 * ends, and where several do the same at once, one of them does. */
#include "../testing_dir.h"
#include "ckks/ckks.h"
#include "ckks/files.h"
#include "ckks/keys.h"
#include "net/server/fleet/fleet_open.h"
#include "net/server/store.h"
#include <pthread.h>
#include <sodium.h>
#include <unistd.h>

#define KEYS 2
#define SERVERS 3

static hel_settings settings[SERVERS];
static hel_counters counters;
static hel_params *params;
static const hel_key_request request[KEYS] = {{5, 1}, {25, 0}};
static hel_writer upload;
static hel_store *server[SERVERS];
static hel_pg *pg;
static double ahead; /* of the monotonic clock: time that tests let pass */

static int64_t number(const char *sql)
{
	PGresult *r;
	assert_ok(hel_pg_once(&r, pg, sql, NULL));
	const int64_t n = PQntuples(r) ? hel_pg_get_integer(r, 0, 0) : 0;
	PQclear(r);
	return n;
}

static int setup(void **state)
{
	hel_secret_key *secret;
	hel_keys *keys;
	if (temp_dir_make(state) || hel_random_init() != HEL_OK)
		return -1;
	const hel_params_spec spec = {.log_n = 12,
				      .levels = 1,
				      .primes_per_level = 1,
				      .scale_bits = 28,
				      .alpha = 1,
				      .special = 1,
				      .base = 1};
	assert_ok(hel_params_new(&params, &spec));
	assert_ok(hel_secret_key_new(&secret, params));
	assert_ok(hel_keys_generate(&keys, secret, request, KEYS, NULL));
	assert_ok(hel_keys_store(&upload, keys));
	hel_keys_free(keys);
	hel_secret_key_free(secret);
	assert_ok(hel_pg_open(&pg, getenv("HELRM_TEST_POSTGRESQL"), 10));
	return hel_counters_init(&counters) == HEL_OK ? 0 : -1;
}

static int teardown(void **state)
{
	hel_pg_close(pg);
	hel_writer_clear(&upload);
	hel_params_free(params);
	hel_counters_clear(&counters);
	return temp_dir_remove(state);
}

static void start(int i)
{
	assert_ok(hel_store_open(&server[i], &settings[i], &counters));
}

static void stop(int i)
{
	hel_store_close(server[i]);
	server[i] = NULL;
}

static int fresh(void **state)
{
	(void)state;
	assert_ok(hel_pg_once(NULL, pg, "DROP SCHEMA public CASCADE", NULL));
	assert_ok(hel_pg_once(NULL, pg, "CREATE SCHEMA public", NULL));
	for (int i = 0; i < SERVERS; i++) {
		hel_settings *s = &settings[i];
		hel_settings_default(s);
		snprintf(s->data, sizeof s->data, "%s/data%d", temp_dir, i);
		snprintf(s->store, sizeof s->store, "%s/objects", temp_dir);
		const char *s3 = getenv("HELRM_TEST_S3");
		if (s3) {
			snprintf(s->store, sizeof s->store, "s3://keys/fleet");
			snprintf(s->store_endpoint, sizeof s->store_endpoint, "%s", s3);
		}
		snprintf(s->registry, sizeof s->registry, "%s", getenv("HELRM_TEST_POSTGRESQL"));
		start(i);
	}
	return 0;
}

static int end(void **state)
{
	char command[128];
	(void)state;
	for (int i = 0; i < SERVERS; i++)
		stop(i);
	snprintf(command, sizeof command, "rm -rf %s/*", temp_dir);
	return system(command);
}

static hel_keyset *find(int i, const char *token)
{
	hel_keyset *k = NULL;
	assert_ok(hel_store_find(&k, server[i], token));
	return k;
}

static hel_status open_session(int i, char *token, const hel_opener *o)
{
	hel_keyset *k;
	const hel_status st = hel_store_create(&k, token, server[i], params, request, KEYS, o);
	if (st == HEL_OK)
		hel_keyset_release(server[i], k);
	return st;
}

/* Bytes [at, at + size) of the upload to one server. */
static hel_status send_bytes(int i, const char *token, size_t at, size_t size)
{
	hel_status st = HEL_OK;
	hel_keyset *k = NULL;
	int fd;
	TRY(hel_store_find(&k, server[i], token));
	TRY(hel_store_write_begin(&fd, server[i], k, at));
	assert_int_equal(size, write(fd, upload.bytes + at, size));
	st = hel_store_write_end(server[i], k, fd, size, params);
done:
	hel_keyset_release(server[i], k);
	return st;
}

static uint64_t standing(int i, const char *token, hel_keyset_state *state)
{
	uint64_t have;
	hel_keyset *k = find(i, token);
	*state = hel_keyset_progress(server[i], k, &have, NULL);
	hel_keyset_release(server[i], k);
	return have;
}

static hel_status use(int i, const char *token)
{
	hel_status st = HEL_OK;
	hel_keyset *k = NULL;
	const hel_keys *keys;
	TRY(hel_store_find(&k, server[i], token));
	TRY(hel_store_keys(&keys, server[i], k, params, NULL));
	assert_non_null(hel_keys_find(keys, request[0].galois, request[0].level));
	assert_false(hel_store_keys_done(server[i], k));
done:
	hel_keyset_release(server[i], k);
	return st;
}

static void live(int i, double seconds)
{
	for (; seconds > 0; seconds -= 5) {
		ahead += 5;
		hel_store_sweep(server[i], hel_clock() + ahead);
	}
}

static hel_status count_name(void *arg, const char *name)
{
	(void)name;
	++*(int *)arg;
	return HEL_OK;
}

static int objects(void)
{
	hel_objects *o;
	int n = 0;
	assert_ok(
	    hel_objects_open(&o, &(hel_objects_options){settings->store, settings->store_endpoint,
							settings->store_region, ""}));
	assert_ok(hel_objects_list(o, "keys/", count_name, &n));
	hel_objects_close(o);
	return n;
}

static const hel_opener somebody = {.address = "10.0.0.1"};

/* --- any server, any client --------------------------------------------------------------- */

static void test_upload_goes_on_elsewhere(void **state)
{
	(void)state;
	char token[HEL_TOKEN_CHARS + 1];
	hel_keyset_state where;
	assert_ok(open_session(0, token, &somebody));
	assert_ok(send_bytes(0, token, 0, 1000));
	assert_ok(send_bytes(1, token, 1000, 2000));
	stop(0); /* it dies; nothing that it acknowledged is lost */
	assert_int_equal(standing(2, token, &where), 3000);
	/* who begins elsewhere is told where it stands */
	assert_status(HEL_ERANGE, send_bytes(2, token, 0, 1000));
	assert_status(HEL_ERANGE, send_bytes(2, token, 4000, 1000));
	assert_ok(send_bytes(2, token, 3000, upload.size - 3000));
	assert_int_equal(standing(1, token, &where), upload.size);
	assert_int_equal(where, HEL_KEYSET_READY);
	start(0);
	for (int i = 0; i < SERVERS; i++)
		assert_ok(use(i, token));
	assert_int_equal(objects(), 1); /* pieces have become one */
	/* a copy survives its server's restart, damaged or not */
	for (int i = 0; i < SERVERS; i++) {
		stop(i);
		start(i);
		assert_ok(use(i, token));
	}
}

static void test_removed_everywhere(void **state)
{
	(void)state;
	char token[HEL_TOKEN_CHARS + 1];
	hel_keyset *k;
	assert_ok(open_session(0, token, &somebody));
	assert_ok(send_bytes(0, token, 0, upload.size));
	assert_ok(use(1, token));
	k = find(2, token);
	assert_ok(hel_store_remove(server[2], k));
	hel_keyset_release(server[2], k);
	for (int i = 0; i < SERVERS; i++)
		assert_status(HEL_EDENIED, use(i, token));
	assert_status(HEL_EDENIED, send_bytes(1, token, 0, 10));
	live(1, 40);
	assert_int_equal(objects(), 0);
	assert_int_equal(number("SELECT count(*) FROM helrm_session"), 0);
	assert_int_equal(number("SELECT count(*) FROM helrm_piece"), 0);
	for (int i = 0; i < SERVERS; i++) { /* and no copy stays */
		hel_gauges g = {0};
		live(i, 350);
		hel_store_gauges(server[i], &g);
		assert_int_equal(g.sessions, 0);
		assert_int_equal(g.disk_bytes, 0);
	}
}

/* What is bad is found out by whoever sees the whole, and begins anew for all. */
static void test_bad_upload(void **state)
{
	(void)state;
	char token[HEL_TOKEN_CHARS + 1];
	hel_keyset_state where;
	assert_ok(open_session(0, token, &somebody));
	assert_ok(send_bytes(0, token, 0, 1000));
	assert_ok(send_bytes(0, token, 1000, upload.size - 1001));
	upload.bytes[upload.size - 1] ^= 1;
	assert_status(HEL_EHASH, send_bytes(1, token, upload.size - 1, 1));
	upload.bytes[upload.size - 1] ^= 1;
	for (int i = 0; i < SERVERS; i++) {
		assert_int_equal(standing(i, token, &where), 0);
		assert_int_equal(where, HEL_KEYSET_UPLOADING);
	}
	assert_ok(send_bytes(1, token, 0, 1000));
	assert_ok(send_bytes(0, token, 1000, upload.size - 1000));
	for (int i = 0; i < SERVERS; i++)
		assert_ok(use(i, token));
}

/* The copies' room: those used longest ago go, sessions stay. */
static void test_cache(void **state)
{
	(void)state;
	enum { MANY = 8 };
	char token[MANY][HEL_TOKEN_CHARS + 1];
	hel_gauges g = {0};
	stop(0);
	settings[0].disk = 1; /* MB: three forms for use */
	start(0);
	for (int i = 0; i < MANY; i++) {
		assert_ok(open_session(1, token[i], &somebody));
		assert_ok(send_bytes(1, token[i], 0, upload.size));
	}
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < MANY; i++)
			assert_ok(use(0, token[i]));
	hel_store_gauges(server[0], &g);
	assert_true(g.disk_bytes <= 1 << 20);
	assert_true(g.sessions >= 2);
	assert_int_equal(number("SELECT count(*) FROM helrm_session WHERE removed = 0"), MANY);
}

/* --- at once ------------------------------------------------------------------------------ */

typedef struct racer {
	int server;
	const char *token;
	const hel_opener *opener;
	int won;
	pthread_t thread;
} racer;

static pthread_barrier_t line;

static void race(void *(*fn)(void *), const char *token, const hel_opener *o, racer r[SERVERS])
{
	pthread_barrier_init(&line, NULL, SERVERS);
	for (int i = 0; i < SERVERS; i++) {
		r[i] = (racer){.server = i, .token = token, .opener = o};
		assert_int_equal(0, pthread_create(&r[i].thread, NULL, fn, &r[i]));
	}
	for (int i = 0; i < SERVERS; i++)
		pthread_join(r[i].thread, NULL);
	pthread_barrier_destroy(&line);
}

/* The same bytes to every server, piece by piece: a client that tries again too early. */
static void *send_all(void *arg)
{
	racer *r = arg;
	const size_t piece = upload.size / 7 + 1;
	for (size_t at = 0; at < upload.size; at += piece) {
		pthread_barrier_wait(&line);
		const hel_status st =
		    send_bytes(r->server, r->token, at, HEL_MIN(piece, upload.size - at));
		r->won += st == HEL_OK;
		if (st != HEL_OK && st != HEL_ERANGE)
			fail_msg("%s", hel_error_detail());
	}
	return NULL;
}

static void test_same_pieces(void **state)
{
	(void)state;
	char token[HEL_TOKEN_CHARS + 1];
	racer r[SERVERS];
	hel_keyset_state where;
	assert_ok(open_session(0, token, &somebody));
	race(send_all, token, NULL, r);
	assert_int_equal(r[0].won + r[1].won + r[2].won, 7);
	assert_int_equal(standing(0, token, &where), upload.size);
	assert_int_equal(where, HEL_KEYSET_READY);
	assert_int_equal(objects(), 1);
	for (int i = 0; i < SERVERS; i++)
		assert_ok(use(i, token));
}

static void *open_many(void *arg)
{
	racer *r = arg;
	pthread_barrier_wait(&line);
	for (int i = 0; i < 10; i++) {
		char token[HEL_TOKEN_CHARS + 1];
		const hel_status st = open_session(r->server, token, r->opener);
		r->won += st == HEL_OK;
		if (st != HEL_OK && st != HEL_ESPACE && st != HEL_EBUSY)
			fail_msg("%s", hel_error_detail());
	}
	return NULL;
}

static void test_quotas_raced(void **state)
{
	(void)state;
	racer r[SERVERS];
	const hel_opener sessions = {.api_key = "seven", .sessions = 7},
			 bytes = {.api_key = "bytes", .bytes = 5 * upload.size + 1},
			 address = {.address = "10.0.0.9"};
	for (int i = 0; i < SERVERS; i++)
		settings[i].unfinished_address = 6;
	race(open_many, NULL, &sessions, r);
	assert_int_equal(r[0].won + r[1].won + r[2].won, 7);
	race(open_many, NULL, &bytes, r);
	assert_int_equal(r[0].won + r[1].won + r[2].won, 5);
	race(open_many, NULL, &address, r);
	assert_int_equal(r[0].won + r[1].won + r[2].won, 6);
	assert_int_equal(number("SELECT count(*) FROM helrm_session"), 18);
}

int main(void)
{
	if (!getenv("HELRM_TEST_POSTGRESQL")) {
		puts("SKIPPED: run it by tests/net/with-postgresql");
		return 77;
	}
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_upload_goes_on_elsewhere, fresh, end),
	    cmocka_unit_test_setup_teardown(test_removed_everywhere, fresh, end),
	    cmocka_unit_test_setup_teardown(test_bad_upload, fresh, end),
	    cmocka_unit_test_setup_teardown(test_cache, fresh, end),
	    cmocka_unit_test_setup_teardown(test_same_pieces, fresh, end),
	    cmocka_unit_test_setup_teardown(test_quotas_raced, fresh, end),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
