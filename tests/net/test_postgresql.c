/* Transactions over PostgreSQL: done again where they may be, told apart where they may not; tables
 * that come up to date under several servers at once; rows that somebody damaged. */
#include "../testing.h"
#include "net/server/fleet/fleet_open.h"
#include <pthread.h>

static const char *where;
static hel_pg *pg;

static int fresh(void **state)
{
	(void)state;
	assert_ok(hel_pg_open(&pg, where, 10));
	assert_ok(hel_pg_once(NULL, pg, "DROP SCHEMA public CASCADE", NULL));
	assert_ok(hel_pg_once(NULL, pg, "CREATE SCHEMA public", NULL));
	assert_ok(hel_pg_once(NULL, pg, "CREATE TABLE n (id bigint PRIMARY KEY, v bigint)", NULL));
	assert_ok(hel_pg_once(NULL, pg, "INSERT INTO n VALUES (1, 0), (2, 0)", NULL));
	return 0;
}

static int end(void **state)
{
	(void)state;
	hel_pg_close(pg);
	return 0;
}

static int64_t number(const char *sql)
{
	PGresult *r;
	assert_ok(hel_pg_once(&r, pg, sql, NULL));
	const int64_t n = hel_pg_get_integer(r, 0, 0);
	PQclear(r);
	return n;
}

static void test_values(void **state)
{
	(void)state;
	static const uint8_t bytes[] = {0, 255, 0, 7, '\''};
	static const int64_t integer[] = {0, -1, INT64_MIN, INT64_MAX};
	static const double real[] = {0, -0.1, 1e300, 0x1p-1074, 123456789.123456789};
	PGresult *r;
	size_t size;
	for (size_t i = 0; i < 4; i++) {
		hel_pg_values v = {0};
		hel_pg_bytes(&v, bytes, i);
		hel_pg_integer(&v, integer[i]);
		hel_pg_real(&v, real[i + 1]);
		hel_pg_text(&v, "o'; DROP TABLE n; --");
		assert_ok(hel_pg_once(
		    &r, pg, "SELECT $1::bytea, $2::bigint, $3::float8, $4::text, NULL", &v));
		const void *back = hel_pg_get_bytes(&size, r, 0, 0);
		assert_int_equal(size, i);
		assert_memory_equal(back, bytes, i);
		assert_true(hel_pg_get_integer(r, 0, 1) == integer[i]);
		assert_true(hel_pg_get_real(r, 0, 2) == real[i + 1]);
		back = hel_pg_get_bytes(&size, r, 0, 3);
		assert_int_equal(size, 20);
		assert_memory_equal(back, "o'; DROP TABLE n; --", size);
		assert_int_equal(hel_pg_get_integer(r, 0, 4), 0);
		PQclear(r);
	}
	/* what is wrong stays wrong, and the connection is good for the next */
	assert_status(HEL_EIO, hel_pg_once(NULL, pg, "SELECT nonsense", NULL));
	assert_int_equal(number("SELECT v FROM n WHERE id = 1"), 0);
}

/* Reads both, writes their sum and one into one of them: what only a serial order does right. */
static hel_status add_sum(hel_pg_tx *t, void *arg)
{
	hel_status st = HEL_OK;
	PGresult *r = NULL;
	hel_pg_values v = {0};
	TRY(hel_pg_query(NULL, t, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", NULL));
	TRY(hel_pg_query(&r, t, "SELECT sum(v)::bigint FROM n", NULL));
	hel_pg_integer(&v, *(const int64_t *)arg);
	hel_pg_integer(&v, hel_pg_get_integer(r, 0, 0) + 1);
	TRY(hel_pg_query(NULL, t, "UPDATE n SET v = $2 WHERE id = $1", &v));
done:
	PQclear(r);
	return st;
}

/* Takes both rows in an order of its own: two of these block each other for ever. */
static hel_status add_both(hel_pg_tx *t, void *arg)
{
	hel_status st = HEL_OK;
	for (int64_t i = 0; i < 2 && st == HEL_OK; i++) {
		hel_pg_values v = {0};
		hel_pg_integer(&v, i ? 3 - *(const int64_t *)arg : *(const int64_t *)arg);
		st = hel_pg_query(NULL, t, "UPDATE n SET v = v + 1 WHERE id = $1", &v);
	}
	return st;
}

typedef struct crowd {
	hel_status (*fn)(hel_pg_tx *t, void *arg);
	int64_t row;
	hel_status status;
} crowd;

#define ROUNDS 50

static void *run_many(void *arg)
{
	crowd *c = arg;
	for (int i = 0; i < ROUNDS && c->status == HEL_OK; i++)
		c->status = hel_pg_run(pg, c->fn, &c->row);
	return NULL;
}

static void run_crowd(hel_status (*fn)(hel_pg_tx *t, void *arg))
{
	enum { THREADS = 4 };
	pthread_t thread[THREADS];
	crowd c[THREADS];
	for (int i = 0; i < THREADS; i++) {
		c[i] = (crowd){fn, 1 + i % 2, HEL_OK};
		assert_int_equal(0, pthread_create(&thread[i], NULL, run_many, &c[i]));
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(c[i].status, HEL_OK);
	}
}

static void test_serialisation(void **state)
{
	(void)state;
	run_crowd(add_sum);
	/* in any serial order each sum is larger by one than the one before, or by what is left of
	 * the other row: the larger row is the last, and grew with each */
	const int64_t last = number("SELECT max(v) FROM n");
	assert_true(last >= 2 * ROUNDS);
}

static void test_deadlock(void **state)
{
	(void)state;
	run_crowd(add_both);
	assert_int_equal(number("SELECT min(v) FROM n"), 4 * ROUNDS);
	assert_int_equal(number("SELECT max(v) FROM n"), 4 * ROUNDS);
}

/* Kills its own connection the first time, after it has changed something. */
static hel_status add_and_break(hel_pg_tx *t, void *arg)
{
	hel_status st = HEL_OK;
	TRY(hel_pg_query(NULL, t, "UPDATE n SET v = v + 1 WHERE id = 1", NULL));
	if (++*(int *)arg < 3)
		TRY(hel_pg_query(NULL, t, "SELECT pg_terminate_backend(pg_backend_pid())", NULL));
done:
	return st;
}

static void test_lost_connection(void **state)
{
	(void)state;
	int times = 0;
	assert_ok(hel_pg_run(pg, add_and_break, &times));
	assert_int_equal(times, 3);
	assert_int_equal(number("SELECT v FROM n WHERE id = 1"), 1);
	/* idle ones that broke are found when they are used */
	assert_ok(hel_pg_once(NULL, pg,
			      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
			      " WHERE application_name = 'helrm' AND pid <> pg_backend_pid()",
			      NULL));
	assert_int_equal(number("SELECT v FROM n WHERE id = 1"), 1);
}

static void test_unreachable(void **state)
{
	(void)state;
	hel_pg *nowhere;
	assert_status(HEL_EBUSY, hel_pg_open(&nowhere, "postgresql://127.0.0.1:1/x", 1));
	assert_status(HEL_EBUSY, hel_pg_open(&nowhere, "postgresql://[", 1));
}

/* --- tables ------------------------------------------------------------------------------- */

static void *bring_up_to_date(void *arg)
{
	hel_status *st = arg;
	hel_pg *own;
	*st = hel_pg_open(&own, where, 10);
	if (*st != HEL_OK)
		return NULL;
	*st = hel_fleet_tables(own);
	hel_pg_close(own);
	return NULL;
}

static void test_migration(void **state)
{
	(void)state;
	enum { SERVERS = 6 };
	pthread_t thread[SERVERS];
	hel_status st[SERVERS];
	for (int i = 0; i < SERVERS; i++)
		assert_int_equal(0, pthread_create(&thread[i], NULL, bring_up_to_date, &st[i]));
	for (int i = 0; i < SERVERS; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(st[i], HEL_OK);
	}
	assert_int_equal(number("SELECT count(*) FROM helrm_version"), 1);
	assert_ok(hel_pg_once(NULL, pg, "INSERT INTO helrm_version VALUES (99)", NULL));
	assert_status(HEL_EVERSION, hel_fleet_tables(pg));
}

/* --- rows --------------------------------------------------------------------------------- */

static hel_settings settings;

static hel_fleet *with_rows(hel_shared *s, uint8_t rows)
{
	static hel_key_request request[] = {{5, 1}, {25, 0}};
	hel_settings_default(&settings);
	*s = (hel_shared){.settings = &settings, .pg = pg};
	assert_ok(hel_fleet_tables(pg));
	assert_ok(hel_pg_once(NULL, pg, "DELETE FROM helrm_session", NULL));
	for (uint8_t id = 1; id <= rows; id++) {
		const hel_keyset k = {
		    .id = {id}, .request = request, .count = 2, .bytes = 1000, .expanded = 3000};
		assert_ok(hel_fleet_create(&s->fleet, &k));
		assert_ok(hel_fleet_create(&s->fleet, &k)); /* a transaction done twice */
	}
	return &s->fleet;
}

static hel_status find(hel_keyset *row, hel_fleet *f, uint8_t first)
{
	const uint8_t id[HEL_SESSION_ID_BYTES] = {first};
	*row = (hel_keyset){0};
	const hel_status st = hel_fleet_find(row, f, id);
	hel_free(row->request);
	return st;
}

/* One bad row costs its own session only. */
static void test_bad_rows(void **state)
{
	(void)state;
	static const char *const damage[] = {"bytes = -1",
					     "bytes = 1::bigint << 62",
					     "expanded = 0",
					     "keys = ''",
					     "proof = '\\x00'",
					     "client = ''",
					     "have = bytes + 1",
					     "have = -1",
					     "api_key = repeat('x', 100)"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(damage); i++) {
		char sql[256];
		hel_keyset row;
		hel_shared shared;
		hel_fleet *f = with_rows(&shared, 2);
		assert_int_equal(number("SELECT count(*) FROM helrm_session"), 2);
		assert_ok(find(&row, f, 2));
		snprintf(sql, sizeof sql, "UPDATE helrm_session SET %s WHERE get_byte(id, 0) = 2",
			 damage[i]);
		assert_ok(hel_pg_once(NULL, pg, sql, NULL));
		assert_status(HEL_EFORMAT, find(&row, f, 2));
		assert_ok(find(&row, f, 1));
		assert_int_equal(row.count, 2);
		assert_int_equal(row.bytes, 1000);
		assert_int_equal(row.expanded, 3000);
	}
}

static void test_times(void **state)
{
	(void)state;
	double seconds = -1;
	hel_shared shared;
	hel_keyset row;
	hel_fleet *f = with_rows(&shared, 1);
	static const uint8_t id[HEL_SESSION_ID_BYTES] = {1};
	assert_ok(hel_fleet_clock(&seconds, f));
	assert_true(seconds == 0);
	assert_ok(hel_fleet_used(f, id, 70));
	assert_ok(hel_fleet_used(f, id, 60)); /* another server's word, late */
	assert_ok(find(&row, f, 1));
	assert_true(row.used == 70);
	assert_ok(hel_fleet_clock(&seconds, f)); /* nobody wrote it yet */
	assert_true(seconds == 70);
}

int main(void)
{
	where = getenv("HELRM_TEST_POSTGRESQL");
	if (!where) {
		puts("SKIPPED: run it by tests/net/with-postgresql");
		return 77;
	}
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_values, fresh, end),
	    cmocka_unit_test_setup_teardown(test_serialisation, fresh, end),
	    cmocka_unit_test_setup_teardown(test_deadlock, fresh, end),
	    cmocka_unit_test_setup_teardown(test_lost_connection, fresh, end),
	    cmocka_unit_test_setup_teardown(test_unreachable, fresh, end),
	    cmocka_unit_test_setup_teardown(test_migration, fresh, end),
	    cmocka_unit_test_setup_teardown(test_bad_rows, fresh, end),
	    cmocka_unit_test_setup_teardown(test_times, fresh, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
