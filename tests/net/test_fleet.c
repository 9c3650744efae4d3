/* Servers that share their sessions, as stores without HTTP around them: what one began another
 * ends, and where several do the same at once, one of them does. */
#include "net/server/fleet/fleet_open.h"
#include "net/server/store.h"
#include "small_keys.h"
#include <pthread.h>
#include <sodium.h>
#include <unistd.h>

#define SERVERS 3

static hel_settings settings[SERVERS];
static hel_counters counters;
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
	if (temp_dir_make(state) || hel_random_init() != HEL_OK)
		return -1;
	small_keys_make();
	assert_ok(hel_pg_open(&pg, getenv("HELRM_TEST_POSTGRESQL"), 10));
	return hel_counters_init(&counters) == HEL_OK ? 0 : -1;
}

static int teardown(void **state)
{
	hel_pg_close(pg);
	small_keys_clear();
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

/* A client whose upload another server completes is not told that it is incomplete by the one that
 * still writes a piece of it. */
static void test_completed_meanwhile(void **state)
{
	(void)state;
	char token[HEL_TOKEN_CHARS + 1];
	hel_keyset_state where;
	hel_keyset *k, *same = NULL;
	int fd;
	assert_ok(open_session(0, token, &somebody));
	k = find(0, token);
	assert_ok(hel_store_write_begin(&fd, server[0], k, 0));
	assert_ok(send_bytes(1, token, 0, upload.size));
	assert_status(HEL_EBUSY, hel_store_find(&same, server[0], token));
	assert_ok(hel_store_write_end(server[0], k, fd, 0, NULL));
	hel_keyset_release(server[0], k);
	assert_int_equal(standing(0, token, &where), upload.size);
	assert_int_equal(where, HEL_KEYSET_READY);
	assert_ok(use(0, token));
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

/* A piece that the store lost: all over, once for all. */
static void test_lost_piece(void **state)
{
	(void)state;
	char token[HEL_TOKEN_CHARS + 1];
	hel_keyset_state where;
	hel_objects *o;
	assert_ok(
	    hel_objects_open(&o, &(hel_objects_options){settings->store, settings->store_endpoint,
							settings->store_region, ""}));
	assert_ok(open_session(0, token, &somebody));
	assert_ok(send_bytes(0, token, 0, 1000));
	assert_ok(hel_objects_remove_all(o, "keys/"));
	hel_objects_close(o);
	assert_status(HEL_ETRUNC, send_bytes(1, token, 1000, upload.size - 1000));
	for (int i = 0; i < SERVERS; i++)
		assert_int_equal(standing(i, token, &where), 0);
	assert_ok(send_bytes(2, token, 0, upload.size));
	assert_ok(use(0, token));
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

static void shell(const char *command)
{
	assert_int_equal(0, system(command));
}

/* PostgreSQL itself: what pg_dump sets would stay in a connection that a pooler shares. */
static const char *direct(void)
{
	const char *where = getenv("HELRM_TEST_POSTGRESQL_DIRECT");
	return where ? where : getenv("HELRM_TEST_POSTGRESQL");
}

/* What to dump, and what is so after it was restored: docs/fleet.md. */
static void test_restore(void **state)
{
	(void)state;
	char kept[HEL_TOKEN_CHARS + 1], younger[HEL_TOKEN_CHARS + 1], lost[HEL_TOKEN_CHARS + 1],
	    command[1024];
	if (getenv("HELRM_TEST_S3"))
		return;
	assert_ok(open_session(0, kept, &somebody));
	assert_ok(send_bytes(0, kept, 0, upload.size));
	assert_ok(open_session(0, lost, &somebody));
	assert_ok(send_bytes(0, lost, 0, upload.size));
	snprintf(command, sizeof command, "pg_dump -d '%s' >%s/dump", direct(), temp_dir);
	shell(command);
	assert_ok(open_session(0, younger, &somebody)); /* after the dump */
	assert_ok(send_bytes(0, younger, 0, upload.size));
	/* the database is lost, all servers' disks, and one object */
	for (int i = 0; i < SERVERS; i++)
		stop(i);
	assert_ok(hel_pg_once(NULL, pg, "DROP SCHEMA public CASCADE", NULL));
	snprintf(command, sizeof command,
		 "psql -q -X -d '%s' -c 'CREATE SCHEMA public' -f %s/dump >%s/out", direct(),
		 temp_dir, temp_dir);
	shell(command);
	snprintf(command, sizeof command, "rm -rf %s/data* %s/objects/keys/%.32s", temp_dir,
		 temp_dir, lost);
	shell(command);
	for (int i = 0; i < SERVERS; i++)
		start(i);
	assert_ok(use(1, kept));
	assert_status(HEL_EDENIED, use(1, younger)); /* its client opens another session */
	assert_status(HEL_EKEY, use(1, lost)); /* its client uploads again, by the same token */
	assert_ok(send_bytes(2, lost, 0, upload.size));
	assert_ok(use(0, lost));
	/* what the dump did not know of goes */
	live(0, 10); /* not at once */
	assert_int_equal(objects(), 3);
	assert_ok(hel_pg_once(NULL, pg, "UPDATE helrm_clock SET collected = -1e6", NULL));
	live(0, 10);
	assert_int_equal(objects(), 2);
	assert_ok(use(2, kept));
}

static void test_audit(void **state)
{
	(void)state;
	char token[HEL_TOKEN_CHARS + 1];
	const hel_opener clinic = {.api_key = "clinic", .address = "10.1.1.1", .sessions = 1};
	assert_ok(open_session(0, token, &clinic));
	char second[HEL_TOKEN_CHARS + 1];
	assert_status(HEL_ESPACE, open_session(1, second, &clinic));
	hel_keyset *k = find(2, token);
	assert_ok(hel_store_remove(server[2], k));
	hel_keyset_release(server[2], k);
	static const char *const event[] = {"opened", "refused", "removed"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(event); i++) {
		char sql[256];
		snprintf(
		    sql, sizeof sql,
		    "SELECT count(*) FROM helrm_audit WHERE event = '%s' AND api_key = 'clinic'"
		    " AND address = '10.1.1.1' AND (session = '%.8s') = (event <> 'refused')",
		    event[i], token);
		assert_int_equal(number(sql), 1);
	}
	assert_int_equal(number("SELECT count(*) FROM helrm_audit"), 3);
}

/* --- jobs --------------------------------------------------------------------------------- */

static hel_claim claim_for(const char *token, const char *id)
{
	hel_claim c = {.hash = {7}, .generation = 1, .now = hel_store_clock(server[0]) + 1};
	size_t size;
	snprintf(c.id, sizeof c.id, "%s", id);
	snprintf(c.customer, sizeof c.customer, "clinic");
	assert_int_equal(0, sodium_hex2bin(c.session, sizeof c.session, token,
					   2 * HEL_SESSION_ID_BYTES, NULL, &size, NULL));
	return c;
}

static void make_ready(char token[HEL_TOKEN_CHARS + 1])
{
	assert_ok(open_session(0, token, &somebody));
	assert_ok(send_bytes(0, token, 0, upload.size));
	for (int i = 0; i < SERVERS; i++) /* all of them are alive */
		live(i, 5);
}

#define CALL(i, name) server[i]->fleet->call->name

static hel_status begin(int i, hel_claim *c, bool *mine)
{
	return CALL(i, job_begin)(mine, c, server[i]->fleet);
}

static void test_one_server_runs_a_job(void **state)
{
	(void)state;
	char token[HEL_TOKEN_CHARS + 1];
	bool mine;
	hel_outcome o = {0};
	make_ready(token);
	hel_claim a = claim_for(token, "aa"), b = a, other = a;
	assert_ok(begin(0, &a, &mine));
	assert_true(mine);
	assert_ok(begin(1, &b, &mine));
	assert_false(mine);
	other.hash[0]++;
	assert_status(HEL_EINVAL, begin(1, &other, &mine));
	/* forged: by a server that has it not, under any fence */
	for (uint64_t fence = 0; fence < 3; fence++) {
		b.fence = fence;
		assert_status(HEL_EBUSY, CALL(1, job_keep)(server[1]->fleet, &b, "query", 5));
		assert_ok(CALL(1, job_end)(server[1]->fleet, &b, HEL_OK, "", "forged", 6));
		assert_ok(CALL(1, job_give)(server[1]->fleet, &b));
	}
	assert_ok(CALL(1, job_look)(&o, server[1]->fleet, &b));
	assert_false(o.done);
	/* somebody waits elsewhere, so the result is kept */
	assert_ok(CALL(0, job_end)(server[0]->fleet, &a, HEL_OK, "", "result", 6));
	assert_ok(CALL(2, job_look)(&o, server[2]->fleet, &b));
	assert_true(o.done);
	assert_int_equal(o.result.size, 6);
	assert_memory_equal(o.result.bytes, "result", 6);
	hel_writer_clear(&o.result);
	/* and goes with its row */
	assert_int_equal(objects(), 2);
	live(0, 200);
	assert_int_equal(objects(), 1);
	assert_int_equal(number("SELECT count(*) FROM helrm_job"), 0);
}

/* A server that is taken for dead has lost its jobs, also when it comes back. */
static void test_taken_over(void **state)
{
	(void)state;
	char token[HEL_TOKEN_CHARS + 1];
	bool mine;
	hel_outcome o = {0};
	hel_writer query = {0};
	make_ready(token);
	hel_claim a = claim_for(token, "aa"), lost = claim_for(token, "bb"), taken = {.now = a.now};
	assert_ok(begin(0, &a, &mine));
	assert_ok(begin(0, &lost, &mine));
	assert_ok(CALL(0, job_keep)(server[0]->fleet, &a, "the query", 9));
	assert_status(HEL_EDENIED, CALL(1, job_take)(&taken, &query, server[1]->fleet));
	live(1, 30); /* and not a word of server 0 */
	taken.now = hel_store_clock(server[1]);
	assert_ok(CALL(1, job_take)(&taken, &query, server[1]->fleet));
	assert_string_equal(taken.id, "aa");
	assert_int_equal(taken.fence, 2);
	assert_int_equal(query.size, 9);
	hel_writer_clear(&query);
	assert_status(HEL_EDENIED, CALL(1, job_take)(&taken, &query, server[1]->fleet));
	assert_status(HEL_EDENIED, CALL(2, job_take)(&taken, &query, server[2]->fleet));
	/* the dead server speaks */
	assert_ok(CALL(0, job_end)(server[0]->fleet, &a, HEL_OK, "", "stale", 5));
	assert_status(HEL_EBUSY, CALL(0, job_keep)(server[0]->fleet, &a, "the query", 9));
	assert_ok(CALL(2, job_look)(&o, server[2]->fleet, &a));
	assert_false(o.done);
	a.fence = 2;
	assert_ok(CALL(1, job_end)(server[1]->fleet, &a, HEL_OK, "", "fresh", 5));
	assert_ok(CALL(0, job_look)(&o, server[0]->fleet, &a));
	assert_memory_equal(o.result.bytes, "fresh", 5);
	hel_writer_clear(&o.result);
	/* one that was not kept is its client's to send again */
	lost.now = taken.now;
	assert_ok(begin(2, &lost, &mine));
	assert_true(mine);
	assert_int_equal(lost.fence, 2);
	/* one given back waits for nobody's death */
	hel_claim given = claim_for(token, "cc");
	given.now = taken.now;
	assert_ok(begin(2, &given, &mine));
	assert_ok(CALL(2, job_keep)(server[2]->fleet, &given, "q", 1));
	assert_ok(CALL(2, job_give)(server[2]->fleet, &given));
	assert_ok(CALL(1, job_take)(&taken, &query, server[1]->fleet));
	hel_writer_clear(&query);
	assert_string_equal(taken.id, "cc");
	/* nobody takes what is cancelled, or of a session that is no more */
	assert_ok(CALL(0, job_cancel)(server[0]->fleet, &given));
	assert_ok(CALL(0, job_look)(&o, server[0]->fleet, &given));
	assert_int_equal(o.status, HEL_ECANCEL);
	assert_ok(CALL(0, remove)(server[0]->fleet, given.session, given.now));
	assert_status(HEL_EDENIED, begin(2, &given, &mine));
	live(1, 60);
	assert_int_equal(objects(), 0);
	assert_int_equal(number("SELECT count(*) FROM helrm_job"), 0);
}

static double asked_at;

/* Every server asks for the same queries, and more than the customer may. */
static void *ask_many(void *arg)
{
	racer *r = arg;
	pthread_barrier_wait(&line);
	for (int i = 0; i < 30; i++) {
		char id[33];
		bool mine;
		snprintf(id, sizeof id, "%d", i);
		hel_claim c = claim_for(r->token, id);
		c.per_minute = 12;
		c.now = asked_at; /* no time passes */
		const hel_status st = begin(r->server, &c, &mine);
		r->won += st == HEL_OK && mine;
		if (st == HEL_EBUSY)
			assert_true(c.retry > 0 && c.retry <= 60);
		else
			assert_int_equal(st, HEL_OK);
	}
	return NULL;
}

static void test_queries_raced(void **state)
{
	(void)state;
	char token[HEL_TOKEN_CHARS + 1];
	racer r[SERVERS];
	make_ready(token);
	asked_at = hel_store_clock(server[0]);
	race(ask_many, token, NULL, r);
	assert_int_equal(r[0].won + r[1].won + r[2].won, 12);
	assert_int_equal(number("SELECT count(*) FROM helrm_job"), 12);
}

int main(void)
{
	if (!getenv("HELRM_TEST_POSTGRESQL")) {
		puts("SKIPPED: run it by tests/net/with-postgresql");
		return 77;
	}
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_upload_goes_on_elsewhere, fresh, end),
	    cmocka_unit_test_setup_teardown(test_completed_meanwhile, fresh, end),
	    cmocka_unit_test_setup_teardown(test_removed_everywhere, fresh, end),
	    cmocka_unit_test_setup_teardown(test_bad_upload, fresh, end),
	    cmocka_unit_test_setup_teardown(test_lost_piece, fresh, end),
	    cmocka_unit_test_setup_teardown(test_cache, fresh, end),
	    cmocka_unit_test_setup_teardown(test_same_pieces, fresh, end),
	    cmocka_unit_test_setup_teardown(test_quotas_raced, fresh, end),
	    cmocka_unit_test_setup_teardown(test_restore, fresh, end),
	    cmocka_unit_test_setup_teardown(test_audit, fresh, end),
	    cmocka_unit_test_setup_teardown(test_one_server_runs_a_job, fresh, end),
	    cmocka_unit_test_setup_teardown(test_taken_over, fresh, end),
	    cmocka_unit_test_setup_teardown(test_queries_raced, fresh, end),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
