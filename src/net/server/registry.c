/* The registry of one server: a file of SQLite that it holds for itself. */
#include "registry.h"
#include "log.h"
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SCHEMA_VERSION 2 /* 1: times were those of the wall clock; no owner */

struct hel_registry {
	sqlite3 *db;
	bool other_shape;     /* the last failure: no such table or column */
	pthread_mutex_t lock; /* one statement sequence at a time */
};

static hel_status failure(hel_registry *r, int code)
{
	code &= 0xff;
	r->other_shape = code == SQLITE_ERROR;
	hel_status st = code == SQLITE_FULL				  ? HEL_ESPACE
			: code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? HEL_EFORMAT
			: code == SQLITE_NOMEM				  ? HEL_ENOMEM
									  : HEL_EIO;
	return hel_fail(st, "the registry of sessions failed: %s", sqlite3_errmsg(r->db));
}

static hel_status execute(hel_registry *r, const char *sql)
{
	int code = sqlite3_exec(r->db, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? HEL_OK : failure(r, code);
}

static hel_status read_version(hel_registry *r, int *version)
{
	sqlite3_stmt *q = NULL;
	int code = sqlite3_prepare_v2(r->db, "PRAGMA user_version", -1, &q, NULL);
	if (code == SQLITE_OK && (code = sqlite3_step(q)) == SQLITE_ROW)
		*version = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	return code == SQLITE_ROW ? HEL_OK : failure(r, code);
}

static const char columns[] = "SELECT id, proof, client, fingerprint, keys, bytes, expanded,"
			      " state, opened, used, api_key FROM session";

/* Brings a registry of any version up to date, in one transaction. */
static hel_status upgrade(hel_registry *r, int version)
{
	hel_status st = HEL_OK;
	TRY(execute(r, "BEGIN IMMEDIATE"));
	if (version == 1)
		TRY(execute(r, "ALTER TABLE session RENAME COLUMN created TO opened;"
			       "ALTER TABLE session ADD COLUMN api_key TEXT NOT NULL DEFAULT '';"
			       "UPDATE session SET opened = used"));
	TRY(execute(r, "CREATE TABLE IF NOT EXISTS session ("
		       " id BLOB PRIMARY KEY, proof BLOB NOT NULL, client BLOB NOT NULL,"
		       " fingerprint BLOB NOT NULL, keys BLOB NOT NULL, bytes INTEGER NOT NULL,"
		       " expanded INTEGER NOT NULL, state INTEGER NOT NULL,"
		       " opened REAL NOT NULL, used REAL NOT NULL,"
		       " api_key TEXT NOT NULL DEFAULT '') WITHOUT ROWID;"
		       "CREATE TABLE IF NOT EXISTS clock (id INTEGER PRIMARY KEY,"
		       " seconds REAL NOT NULL);"
		       "PRAGMA user_version = 2; COMMIT"));
done:
	if (st != HEL_OK) /* the failure is what is told */
		sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
	return st;
}

/* Whether rows can be read as this helrm writes them. */
static hel_status check_columns(hel_registry *r)
{
	sqlite3_stmt *q = NULL;
	int code = sqlite3_prepare_v2(r->db, columns, -1, &q, NULL);
	sqlite3_finalize(q);
	if (code == SQLITE_OK)
		code = sqlite3_exec(r->db, "SELECT seconds FROM clock", NULL, NULL, NULL);
	return code == SQLITE_OK ? HEL_OK : failure(r, code);
}

static hel_status open_file(hel_registry *r, const char *path)
{
	hel_status st = HEL_OK;
	int version = 0;
	int code = sqlite3_open_v2(
	    path, &r->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK)
		FAIL(HEL_EIO, "cannot open %s: %s", path,
		     r->db ? sqlite3_errmsg(r->db) : "no memory");
	sqlite3_busy_timeout(r->db, 5000);
	/* one process: its index of the journal stays in memory, which also needs no disk */
	TRY(execute(r, "PRAGMA locking_mode = EXCLUSIVE"));
	TRY(read_version(r, &version));
	if (version > SCHEMA_VERSION)
		FAIL(HEL_EVERSION, "%s was made by a newer helrm (%d, this one knows %d)", path,
		     version, SCHEMA_VERSION);
	/* full: acknowledged means on disk, also when the power fails */
	TRY(execute(r, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"));
	if (version < SCHEMA_VERSION)
		TRY(upgrade(r, version));
	TRY(check_columns(r));
done:
	return st;
}

/* The first name of PATH.unusable, PATH.unusable.2 ... that nothing has: what was put aside before
 * stays. */
static void name_aside(char *out, size_t size, const char *path)
{
	snprintf(out, size, "%s.unusable", path);
	for (unsigned n = 2; access(out, F_OK) == 0; n++)
		snprintf(out, size, "%s.unusable.%u", path, n);
}

/* Its sessions are left out: their clients will upload again. */
static hel_status put_aside(hel_registry *r, const char *path)
{
	char aside[4096], from[4096], to[4112], why[256];
	static const char *const suffix[] = {"", "-wal", "-shm"};
	snprintf(why, sizeof why, "%s", hel_error_detail());
	sqlite3_close(r->db);
	r->db = NULL;
	name_aside(aside, sizeof aside, path);
	for (size_t i = 0; i < HEL_ARRAY_LEN(suffix); i++) {
		snprintf(from, sizeof from, "%s%s", path, suffix[i]);
		snprintf(to, sizeof to, "%s%s", aside, suffix[i]);
		if (rename(from, to) && !i)
			return hel_fail(HEL_EIO, "cannot put %s aside: %s", path, strerror(errno));
	}
	hel_log("error", "registry_put_aside", "{s:s, s:s, s:s, s:s}", "file", path, "as", aside,
		"reason", why, "left_out", "all sessions: their clients upload again");
	return HEL_OK;
}

void hel_registry_close(hel_registry *r)
{
	if (!r)
		return;
	sqlite3_close(r->db);
	pthread_mutex_destroy(&r->lock);
	hel_free(r);
}

static hel_field field(sqlite3_stmt *q, int column)
{
	const void *p = sqlite3_column_blob(q, column);
	return (hel_field){p ? p : "", (size_t)sqlite3_column_bytes(q, column)};
}

static hel_status read_row(hel_keyset *k, sqlite3_stmt *q)
{
	return hel_registry_read(k, &(hel_registry_fields){
					.id = field(q, 0),
					.proof = field(q, 1),
					.client = field(q, 2),
					.fingerprint = field(q, 3),
					.keys = field(q, 4),
					.bytes = sqlite3_column_int64(q, 5),
					.expanded = sqlite3_column_int64(q, 6),
					.ready = sqlite3_column_int64(q, 7),
					.opened = sqlite3_column_double(q, 8),
					.used = sqlite3_column_double(q, 9),
					.api_key = field(q, 10),
				    });
}

/* Rows that make no sense, by their keys; they cannot be removed while they are read. */
typedef struct bad_rows {
	uint8_t (*id)[HEL_SESSION_ID_BYTES];
	size_t count, capacity;
} bad_rows;

static hel_status leave_out(bad_rows *bad, const hel_keyset *row)
{
	hel_status st = HEL_OK;
	hel_registry_log_lost(row);
	if (bad->count == bad->capacity) {
		bad->capacity = 2 * bad->capacity + 16;
		uint8_t(*more)[HEL_SESSION_ID_BYTES] = NULL;
		TRY_ALLOC(more, hel_alloc(bad->capacity, sizeof *more));
		if (bad->count)
			memcpy(more, bad->id, bad->count * sizeof *more);
		hel_free(bad->id);
		bad->id = more;
	}
	memcpy(bad->id[bad->count++], row->id, sizeof row->id);
done:
	return st;
}

hel_status hel_registry_each(hel_registry *r, hel_registry_row *fn, void *arg)
{
	hel_status st = HEL_OK;
	sqlite3_stmt *q = NULL;
	bad_rows bad = {0};
	int code = sqlite3_prepare_v2(r->db, columns, -1, &q, NULL);
	while (code == SQLITE_OK && (code = sqlite3_step(q)) == SQLITE_ROW) {
		hel_keyset row = {0};
		code = SQLITE_OK;
		st = read_row(&row, q);
		if (st == HEL_OK)
			st = fn(arg, &row);
		else if (st == HEL_EFORMAT)
			st = leave_out(&bad, &row);
		hel_free(row.request);
		TRY(st);
	}
	if (code != SQLITE_DONE)
		st = failure(r, code);
done:
	sqlite3_finalize(q);
	for (size_t i = 0; i < bad.count; i++)
		if (hel_registry_remove(r, bad.id[i]) != HEL_OK)
			hel_log("error", "registry", "{s:s}", "reason", hel_error_detail());
	hel_free(bad.id);
	return st;
}

/* Runs one prepared change. */
static hel_status change(hel_registry *r, const char *sql,
			 void (*bind)(sqlite3_stmt *, const void *), const void *arg)
{
	sqlite3_stmt *q = NULL;
	hel_status st = HEL_OK;
	pthread_mutex_lock(&r->lock);
	int code = sqlite3_prepare_v2(r->db, sql, -1, &q, NULL);
	if (code == SQLITE_OK) {
		bind(q, arg);
		code = sqlite3_step(q);
	}
	if (code != SQLITE_DONE)
		st = failure(r, code);
	sqlite3_finalize(q);
	pthread_mutex_unlock(&r->lock);
	return st;
}

static void bind_row(sqlite3_stmt *q, const void *arg)
{
	const hel_keyset *k = arg;
	sqlite3_bind_blob(q, 1, k->id, sizeof k->id, SQLITE_STATIC);
	sqlite3_bind_blob(q, 2, k->proof, sizeof k->proof, SQLITE_STATIC);
	sqlite3_bind_blob(q, 3, k->client, sizeof k->client, SQLITE_STATIC);
	sqlite3_bind_blob(q, 4, k->fingerprint, sizeof k->fingerprint, SQLITE_STATIC);
	sqlite3_bind_blob(q, 5, k->request, (int)(k->count * sizeof *k->request), SQLITE_STATIC);
	sqlite3_bind_int64(q, 6, (sqlite3_int64)k->bytes);
	sqlite3_bind_int64(q, 7, (sqlite3_int64)k->expanded);
	sqlite3_bind_double(q, 8, k->opened);
	sqlite3_bind_double(q, 9, k->used);
	sqlite3_bind_text(q, 10, k->opener.api_key, -1, SQLITE_STATIC);
}

hel_status hel_registry_add(hel_registry *r, const hel_keyset *k)
{
	return change(r,
		      "INSERT INTO session (id, proof, client, fingerprint, keys, bytes, expanded,"
		      " state, opened, used, api_key)"
		      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10)",
		      bind_row, k);
}

typedef struct update {
	const uint8_t *id, *client;
	hel_keyset_state state;
	double seconds;
} update;

static void bind_update(sqlite3_stmt *q, const void *arg)
{
	const update *u = arg;
	if (u->id)
		sqlite3_bind_blob(q, 1, u->id, HEL_SESSION_ID_BYTES, SQLITE_STATIC);
	if (sqlite3_bind_parameter_count(q) > 1)
		sqlite3_bind_double(q, 2, u->seconds);
	if (sqlite3_bind_parameter_count(q) > 2) {
		sqlite3_bind_blob(q, 3, u->client, HEL_CLIENT_ID_BYTES, SQLITE_STATIC);
		sqlite3_bind_int(q, 4, u->state == HEL_KEYSET_READY);
	}
}

hel_status hel_registry_state(hel_registry *r, const hel_keyset *k, hel_keyset_state state,
			      double used)
{
	return change(r, "UPDATE session SET state = ?4, client = ?3, used = ?2 WHERE id = ?1",
		      bind_update,
		      &(update){.id = k->id, .client = k->client, .state = state, .seconds = used});
}

hel_status hel_registry_used(hel_registry *r, const uint8_t id[HEL_SESSION_ID_BYTES], double used)
{
	return change(r, "UPDATE session SET used = ?2 WHERE id = ?1", bind_update,
		      &(update){.id = id, .seconds = used});
}

hel_status hel_registry_remove(hel_registry *r, const uint8_t id[HEL_SESSION_ID_BYTES])
{
	return change(r, "DELETE FROM session WHERE id = ?1", bind_update, &(update){.id = id});
}

hel_status hel_registry_clock(double *seconds, hel_registry *r)
{
	sqlite3_stmt *q = NULL;
	int code = sqlite3_prepare_v2(r->db,
				      "SELECT coalesce((SELECT seconds FROM clock WHERE id = 1),"
				      " (SELECT max(used) FROM session), 0)",
				      -1, &q, NULL);
	if (code == SQLITE_OK && (code = sqlite3_step(q)) == SQLITE_ROW)
		*seconds = sqlite3_column_double(q, 0);
	sqlite3_finalize(q);
	return code == SQLITE_ROW ? HEL_OK : failure(r, code);
}

hel_status hel_registry_set_clock(hel_registry *r, double seconds)
{
	return change(r, "INSERT OR REPLACE INTO clock (id, seconds) VALUES (coalesce(?1, 1), ?2)",
		      bind_update, &(update){.seconds = seconds});
}

hel_status hel_registry_open(hel_registry **out, const char *path)
{
	hel_status st = HEL_OK;
	hel_registry *r = NULL;
	TRY_ALLOC(r, hel_alloc(1, sizeof *r));
	pthread_mutex_init(&r->lock, NULL);
	st = open_file(r, path);
	if (st == HEL_EFORMAT || (st == HEL_EIO && r->other_shape)) {
		TRY(put_aside(r, path));
		st = open_file(r, path);
	}
	TRY(st);
	*out = r;
	r = NULL;
done:
	hel_registry_close(r);
	return st;
}
