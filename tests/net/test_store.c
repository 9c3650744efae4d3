/* Key sets without a server around them: their time, quota, rows, and files that lose bytes. With a
 * registry in PostgreSQL where HELRM_TEST_POSTGRESQL says one, else in SQLite. */
#include "net/server/store.h"
#include "small_keys.h"
#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#ifdef HELRM_POSTGRESQL
#include "net/server/fleet/postgresql.h"
#endif
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOUR 3600.0

/* --- a world ------------------------------------------------------------------------------ */

static hel_settings settings;
static hel_counters counters;
static hel_store *store;

static int setup(void **state)
{
	if (temp_dir_make(state) || hel_random_init() != HEL_OK)
		return -1;
	small_keys_make();
	return hel_counters_init(&counters) == HEL_OK ? 0 : -1;
}

static int teardown(void **state)
{
	small_keys_clear();
	hel_counters_clear(&counters);
	return temp_dir_remove(state);
}

static const char *shared_registry(void)
{
	const char *where = getenv("HELRM_TEST_POSTGRESQL");
	return where ? where : "";
}

/* A number that the fleet's database answers, 0 for nothing. */
static int64_t ask_registry(const char *sql)
{
	int64_t number = 0;
#ifdef HELRM_POSTGRESQL
	hel_pg *pg;
	PGresult *r;
	assert_ok(hel_pg_open(&pg, shared_registry(), 5));
	assert_ok(hel_pg_once(&r, pg, sql, NULL));
	if (PQntuples(r))
		number = hel_pg_get_integer(r, 0, 0);
	PQclear(r);
	hel_pg_close(pg);
#else
	(void)sql;
#endif
	return number;
}

static void empty_registry(void)
{
	if (!*shared_registry())
		return;
	ask_registry("DROP SCHEMA public CASCADE");
	ask_registry("CREATE SCHEMA public");
}

/* An empty place for key sets, with settings as they are by default. */
static int fresh(void **state)
{
	char command[128];
	(void)state;
	snprintf(command, sizeof command, "rm -rf %s/data", temp_dir);
	hel_settings_default(&settings);
	snprintf(settings.data, sizeof settings.data, "%s/data", temp_dir);
	snprintf(settings.registry, sizeof settings.registry, "%s", shared_registry());
	if (*shared_registry())
		snprintf(settings.store, sizeof settings.store, "%s/objects", temp_dir);
	empty_registry();
	return system(command);
}

static void open_store(void)
{
	assert_ok(hel_store_open(&store, &settings, &counters));
}

static void close_store(void)
{
	hel_store_close(store);
	store = NULL;
}

static const hel_opener somebody = {.address = "10.0.0.1"};

static hel_status create(hel_keyset **k, const hel_opener *o)
{
	char token[HEL_TOKEN_CHARS + 1];
	return hel_store_create(k, token, store, params, request, KEYS, o);
}

/* Bytes [have, have + size) of the upload. */
static hel_status send_bytes(hel_keyset *k, const uint8_t *bytes, size_t size)
{
	hel_status st = HEL_OK;
	int fd;
	uint64_t have;
	hel_keyset_progress(store, k, &have, NULL);
	TRY(hel_store_write_begin(&fd, store, k, have));
	TRY(hel_store_reserve(store, k, size));
	assert_int_equal(size, write(fd, bytes + have, size));
	st = hel_store_write_end(store, k, fd, size, params);
done:
	return st;
}

static hel_keyset *make_ready(const hel_opener *o)
{
	hel_keyset *k;
	assert_ok(create(&k, o));
	assert_ok(send_bytes(k, upload.bytes, upload.size));
	return k;
}

static size_t sessions(void)
{
	hel_gauges g = {0};
	if (*shared_registry()) /* the store has those it was asked for */
		return (size_t)ask_registry("SELECT count(*) FROM helrm_session WHERE removed = 0");
	hel_store_gauges(store, &g);
	return g.sessions;
}

static uint64_t disk(void)
{
	hel_gauges g = {0};
	hel_store_gauges(store, &g);
	return g.disk_bytes;
}

/* The store's clock after so much more time, as sweeps every second see it. */
static void live(double seconds)
{
	static double now;
	if (now < hel_clock())
		now = hel_clock();
	const double step = *shared_registry() ? 10 : 5; /* a fleet is asked in each */
	for (double end = now + seconds; now < end;) {
		now += step;
		hel_store_sweep(store, now);
	}
}

/* --- time --------------------------------------------------------------------------------- */

static void test_age(void **state)
{
	(void)state;
	settings.session_ttl = 7200;
	open_store();
	hel_keyset_release(store, make_ready(&somebody));
	live(7000);
	assert_int_equal(1, sessions());
	/* age goes on where the server before this one stood */
	close_store();
	open_store();
	assert_int_equal(1, sessions());
	live(100);
	assert_int_equal(1, sessions());
	live(400);
	assert_int_equal(0, sessions());
	live(700); /* a fleet's copies are looked for in turns */
	assert_equal(disk(), 0);
	close_store();
}

/* Whatever a clock says at once, it is no age: a jump of years counts as some seconds. */
static void test_jumps(void **state)
{
	(void)state;
	settings.session_ttl = 3600;
	open_store();
	for (int i = 0; i < 3; i++)
		hel_keyset_release(store, make_ready(&somebody));
	const double now = hel_clock();
	static const double jump[] = {31 * 24 * HOUR, -50 * 365 * 24 * HOUR, 0, 1e9, -1e18, 1e18};
	for (size_t i = 0; i < HEL_ARRAY_LEN(jump); i++) {
		hel_store_sweep(store, now + jump[i]);
		assert_int_equal(3, sessions());
	}
	close_store();
}

/* A server that was off for years has aged nothing: only the registry's clock counts. */
static void test_wall_clock_is_not_asked(void **state)
{
	(void)state;
	sqlite3 *db;
	char path[128];
	open_store();
	hel_keyset_release(store, make_ready(&somebody));
	close_store();
	snprintf(path, sizeof path, "%s/data/registry.sqlite", temp_dir);
	assert_int_equal(SQLITE_OK, sqlite3_open(path, &db));
	/* as an older helrm left it: times of 1970 and of 2100 */
	assert_int_equal(SQLITE_OK,
			 sqlite3_exec(db,
				      "ALTER TABLE session RENAME COLUMN opened TO created;"
				      "ALTER TABLE session DROP COLUMN api_key; DROP TABLE clock;"
				      "UPDATE session SET used = 4102444800, created = 0;"
				      "PRAGMA user_version = 1",
				      NULL, NULL, NULL));
	sqlite3_close(db);
	open_store();
	assert_int_equal(1, sessions());
	live(HOUR);
	assert_int_equal(1, sessions());
	close_store();
}

static void test_mass_expiry(void **state)
{
	(void)state;
	enum { MANY = 130 };
	open_store();
	for (int i = 0; i < MANY; i++)
		hel_keyset_release(store, make_ready(&somebody));
	settings.session_ttl = 1; /* as if every age were wrong at once */
	live(60);
	assert_int_equal(MANY - 100, sessions());
	live(HOUR);
	assert_int_equal(0, sessions());
	close_store();
}

/* --- unfinished uploads ------------------------------------------------------------------- */

static void test_quota_as_bytes_arrive(void **state)
{
	(void)state;
	hel_keyset *k;
	open_store();
	assert_ok(create(&k, &somebody));
	assert_equal(disk(), 0);
	assert_ok(send_bytes(k, upload.bytes, 88));
	assert_equal(disk(), 88);
	assert_ok(send_bytes(k, upload.bytes, upload.size - 88));
	/* a fleet's upload is elsewhere */
	assert_equal(disk(), (*shared_registry() ? 0 : upload.size) + k->expanded + HEL_HASH_BYTES);
	assert_ok(hel_store_remove(store, k));
	assert_equal(disk(), 0);
	hel_keyset_release(store, k);
	close_store();
}

/* An upload that is fed a byte now and then is not kept alive by it. */
static void test_deadline(void **state)
{
	(void)state;
	hel_keyset *k;
	settings.upload_seconds = 600;
	open_store();
	assert_ok(create(&k, &somebody));
	for (int i = 0; i < 12 && sessions(); i++) {
		assert_ok(send_bytes(k, upload.bytes, 1));
		live(60);
	}
	assert_int_equal(0, sessions());
	assert_status(HEL_EDENIED, send_bytes(k, upload.bytes, 1));
	hel_keyset_release(store, k);
	close_store();
}

static void test_unfinished(void **state)
{
	(void)state;
	hel_keyset *k;
	settings.unfinished_address = 3;
	settings.unfinished_key = 5;
	open_store();
	for (int i = 0; i < 3; i++) {
		assert_ok(create(&k, &somebody));
		hel_keyset_release(store, k);
	}
	assert_status(HEL_EBUSY, create(&k, &somebody));
	/* others are not concerned */
	hel_opener clinic = {.api_key = "clinic"};
	for (int i = 0; i < 5; i++) {
		snprintf(clinic.address, sizeof clinic.address, "10.0.1.%d", i);
		assert_ok(create(&k, &clinic));
		hel_keyset_release(store, k);
	}
	snprintf(clinic.address, sizeof clinic.address, "10.0.1.9");
	assert_status(HEL_EBUSY, create(&k, &clinic));
	/* those that send nothing make room for those that may */
	live(20);
	assert_ok(create(&k, &somebody));
	hel_keyset_release(store, k);
	assert_int_equal(8, sessions());
	/* complete ones do not count */
	live(20);
	for (int i = 0; i < 6; i++)
		hel_keyset_release(store, make_ready(&somebody));
	close_store();
}

static void test_sessions_of_a_key(void **state)
{
	(void)state;
	const hel_opener clinic = {.api_key = "clinic", .address = "a", .sessions = 2},
			 other = {.api_key = "other", .address = "a"};
	hel_keyset *k;
	open_store();
	hel_keyset_release(store, make_ready(&other));
	hel_keyset_release(store, make_ready(&clinic));
	hel_keyset_release(store, make_ready(&clinic));
	assert_status(HEL_ESPACE, create(&k, &clinic));
	/* also after a restart; then its own oldest goes, nobody else's */
	close_store();
	settings.session_keep = 600;
	open_store();
	assert_status(HEL_ESPACE, create(&k, &clinic));
	live(700);
	hel_keyset_release(store, make_ready(&clinic));
	assert_int_equal(3, sessions());
	close_store();
}

/* --- the registry ------------------------------------------------------------------------- */

static void run_sql(const char *sql)
{
	sqlite3 *db;
	char path[128];
	snprintf(path, sizeof path, "%s/data/registry.sqlite", temp_dir);
	assert_int_equal(SQLITE_OK, sqlite3_open(path, &db));
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

/* One bad row costs its own session only. */
static void test_bad_rows(void **state)
{
	(void)state;
	static const char *const damage[] = {"bytes = -1",
					     "bytes = 0",
					     "bytes = 1 << 62",
					     "expanded = -1",
					     "expanded = 0",
					     "expanded = 1 << 62",
					     "keys = x''",
					     "keys = x'00'",
					     "client = x'00'",
					     "fingerprint = x''",
					     "proof = x'00'",
					     "keys = zeroblob(1 << 20)",
					     "api_key = printf('%.100c', 'x')"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(damage); i++) {
		char sql[256];
		fresh(NULL);
		open_store();
		hel_keyset *good = make_ready(&somebody), *bad = make_ready(&somebody);
		char id[33];
		sodium_bin2hex(id, sizeof id, bad->id, sizeof bad->id);
		hel_keyset_release(store, good);
		hel_keyset_release(store, bad);
		close_store();
		snprintf(sql, sizeof sql, "UPDATE session SET %s WHERE id = x'%s'", damage[i], id);
		run_sql(sql);
		open_store();
		assert_int_equal(1, sessions());
		close_store();
		open_store(); /* it is gone, not refused at each start */
		assert_int_equal(1, sessions());
		close_store();
	}
}

/* Rows that only the parameters show to be wrong: at the first use, and the server lives. */
static void test_rows_against_parameters(void **state)
{
	(void)state;
	static const char *const damage[] = {"keys = x'05000000ff00000019000000ff000000'",
					     "keys = x'ffffffff0000000019000000ff000000'",
					     "expanded = expanded + 4096"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(damage); i++) {
		char sql[256], token[HEL_TOKEN_CHARS + 1];
		const hel_keys *keys;
		hel_keyset *k;
		fresh(NULL);
		open_store();
		assert_ok(hel_store_create(&k, token, store, params, request, KEYS, &somebody));
		assert_ok(send_bytes(k, upload.bytes, upload.size));
		hel_keyset_release(store, k);
		close_store();
		snprintf(sql, sizeof sql, "UPDATE session SET %s", damage[i]);
		run_sql(sql);
		open_store();
		assert_ok(hel_store_find(&k, store, token));
		assert_status(HEL_EDENIED, hel_store_keys(&keys, store, k, params, NULL));
		hel_keyset_release(store, k);
		assert_status(HEL_EDENIED, hel_store_find(&k, store, token));
		close_store();
	}
}

static void test_registry_of_another_shape(void **state)
{
	(void)state;
	struct stat info;
	char path[128];
	open_store();
	hel_keyset_release(store, make_ready(&somebody));
	close_store();
	run_sql("DROP TABLE session; CREATE TABLE session (id TEXT, other TEXT);"
		"PRAGMA user_version = 0");
	open_store();
	assert_int_equal(0, sessions());
	hel_keyset_release(store, make_ready(&somebody));
	close_store();
	snprintf(path, sizeof path, "%s/data/registry.sqlite.unusable", temp_dir);
	assert_int_equal(0, stat(path, &info));
	run_sql("PRAGMA user_version = 99");
	assert_status(HEL_EVERSION, hel_store_open(&store, &settings, &counters));
}

/* A file that is no database, or no longer one, is kept under another name, each under its own. */
static void test_registry_of_junk(void **state)
{
	(void)state;
	static const char *const aside[] = {"registry.sqlite.unusable",
					    "registry.sqlite.unusable.2"};
	char path[128], junk[8192], read_back[sizeof junk];
	struct stat info;
	for (size_t i = 0; i < HEL_ARRAY_LEN(aside); i++) {
		open_store();
		hel_keyset_release(store, make_ready(&somebody));
		close_store();
		memset(junk, 'a' + (int)i, sizeof junk);
		if (i) /* the head of a database, then junk */
			memcpy(junk, "SQLite format 3", 16);
		snprintf(path, sizeof path, "%s/data/registry.sqlite", temp_dir);
		assert_ok(hel_file_write(path, junk, sizeof junk, 0600));
		open_store();
		assert_int_equal(0, sessions());
		hel_keyset_release(store, make_ready(&somebody));
		close_store();
		open_store(); /* and the new one lasts */
		assert_int_equal(1, sessions());
		close_store();
		snprintf(path, sizeof path, "%s/data/%s", temp_dir, aside[i]);
		assert_int_equal(0, stat(path, &info));
		assert_int_equal(sizeof junk, info.st_size);
		FILE *f = fopen(path, "rb");
		assert_non_null(f);
		assert_int_equal(sizeof junk, fread(read_back, 1, sizeof read_back, f));
		fclose(f);
		assert_memory_equal(junk, read_back, sizeof junk);
	}
	/* what cannot be moved away ends the start: a folder in its place */
	snprintf(path, sizeof path, "%s/data/registry.sqlite", temp_dir);
	assert_int_equal(0, unlink(path));
	assert_int_equal(0, mkdir(path, 0700));
	assert_status(HEL_EIO, hel_store_open(&store, &settings, &counters));
	assert_int_equal(0, rmdir(path));
}

/* --- damage ------------------------------------------------------------------------------- */

/* A file of a key set; of a fleet the upload is an object. */
static void path_of(char out[256], const hel_keyset *k, const char *suffix)
{
	char name[64], hex[2 * HEL_SESSION_ID_BYTES + 1];
	hel_store_file_name(name, k, suffix);
	snprintf(out, 256, "%s/data/keys/%s", temp_dir, name);
	if (!*shared_registry() || strcmp(suffix, HEL_STORE_UPLOADED) != 0)
		return;
	sodium_bin2hex(hex, sizeof hex, k->id, sizeof k->id);
	snprintf(out, 256, "%s/objects/keys/%s", temp_dir, hex);
	DIR *d = opendir(out);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			snprintf(out, 256, "%s/objects/keys/%s/%.100s", temp_dir, hex, e->d_name);
	closedir(d);
}

static void flip(const hel_keyset *k, const char *suffix, off_t at)
{
	char path[256];
	uint8_t byte;
	path_of(path, k, suffix);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(1, pread(fd, &byte, 1, at));
	byte ^= 4;
	assert_int_equal(1, pwrite(fd, &byte, 1, at));
	close(fd);
}

/* Uses the keys once: they are those that were uploaded. */
static hel_status use(hel_keyset *k, bool *damaged)
{
	const hel_keys *keys;
	const hel_status st = hel_store_keys(&keys, store, k, params, NULL);
	if (st != HEL_OK)
		return st;
	assert_non_null(hel_keys_find(keys, request[0].galois, request[0].level));
	*damaged = hel_store_keys_done(store, k);
	return HEL_OK;
}

static void test_expanded_heals(void **state)
{
	(void)state;
	char path[256];
	bool damaged;
	open_store();
	hel_keyset *k = make_ready(&somebody);
	/* wrong bytes, too few, none, no file */
	for (int i = 0; i < 4; i++) {
		path_of(path, k, HEL_STORE_EXPANDED);
		if (i == 0)
			flip(k, HEL_STORE_EXPANDED, 100000);
		else if (i < 3)
			assert_int_equal(0, truncate(path, i == 1 ? 4096 : 0));
		else
			unlink(path);
		assert_ok(use(k, &damaged));
		assert_false(damaged);
		/* not mapped while the next damage is done, as after a restart */
		hel_keys_free(k->keys);
		hel_mapping_close(k->map);
		k->keys = NULL;
		k->map = NULL;
	}
	/* while it is mapped: what was computed is worth nothing, the next use heals */
	const hel_keys *keys;
	assert_ok(hel_store_keys(&keys, store, k, params, NULL));
	path_of(path, k, HEL_STORE_EXPANDED);
	assert_int_equal(0, truncate(path, 4096));
	uint64_t sum = 0;
	for (size_t i = 0; i < k->expanded; i++)
		sum += ((const uint8_t *)hel_mapping_bytes(k->map))[i];
	assert_true(sum > 0);
	assert_true(hel_store_keys_done(store, k));
	assert_ok(use(k, &damaged));
	assert_false(damaged);
	hel_keyset_release(store, k);
	close_store();
}

static void test_lost(void **state)
{
	(void)state;
	char path[256];
	bool damaged, lost;
	uint64_t have;
	open_store();
	hel_keyset *k = make_ready(&somebody);
	path_of(path, k, HEL_STORE_EXPANDED);
	unlink(path);
	flip(k, HEL_STORE_UPLOADED, 50000);
	assert_status(HEL_EKEY, use(k, &damaged));
	assert_int_equal(HEL_KEYSET_UPLOADING, hel_keyset_progress(store, k, &have, &lost));
	assert_true(lost);
	assert_equal(have, 0);
	assert_equal(disk(), 0);
	/* a query that comes late does not undo what has been sent since */
	assert_ok(send_bytes(k, upload.bytes, 1000));
	assert_status(HEL_EKEY, use(k, &damaged));
	assert_ok(send_bytes(k, upload.bytes, upload.size - 1000));
	assert_int_equal(HEL_KEYSET_READY, hel_keyset_progress(store, k, &have, &lost));
	assert_false(lost);
	assert_ok(use(k, &damaged));
	hel_keyset_release(store, k);
	close_store();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    /* first: cmocka takes SIGBUS for itself whenever a test begins */
	    cmocka_unit_test_setup(test_expanded_heals, fresh),
	    cmocka_unit_test_setup(test_age, fresh),
	    cmocka_unit_test_setup(test_jumps, fresh),
	    cmocka_unit_test_setup(test_mass_expiry, fresh),
	    cmocka_unit_test_setup(test_quota_as_bytes_arrive, fresh),
	    cmocka_unit_test_setup(test_deadline, fresh),
	    cmocka_unit_test_setup(test_unfinished, fresh),
	    cmocka_unit_test_setup(test_sessions_of_a_key, fresh),
	    cmocka_unit_test_setup(test_lost, fresh),
	};
	static const struct CMUnitTest of_sqlite[] = {
	    cmocka_unit_test_setup(test_wall_clock_is_not_asked, fresh),
	    cmocka_unit_test_setup(test_bad_rows, fresh),
	    cmocka_unit_test_setup(test_rows_against_parameters, fresh),
	    cmocka_unit_test_setup(test_registry_of_another_shape, fresh),
	    cmocka_unit_test_setup(test_registry_of_junk, fresh),
	};
	const int failed = cmocka_run_group_tests(tests, setup, teardown);
	if (*shared_registry())
		return failed;
	memcpy(temp_dir, "test_dir_XXXXXX", sizeof temp_dir);
	return failed + cmocka_run_group_tests(of_sqlite, setup, teardown);
}
