#include "store.h"
#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

#define SCHEMA_VERSION 1

struct hel_registry {
	sqlite3 *db;
	pthread_mutex_t lock; /* one statement sequence at a time */
};

static hel_status failure(hel_registry *r, int code)
{
	code &= 0xff;
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

hel_status hel_registry_open(hel_registry **out, const char *path)
{
	hel_status st = HEL_OK;
	hel_registry *r = NULL;
	int version = 0;
	TRY_ALLOC(r, hel_alloc(1, sizeof *r));
	pthread_mutex_init(&r->lock, NULL);
	int code = sqlite3_open_v2(
	    path, &r->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK)
		FAIL(HEL_EIO, "cannot open %s: %s", path,
		     r->db ? sqlite3_errmsg(r->db) : "no memory");
	sqlite3_busy_timeout(r->db, 5000);
	TRY(read_version(r, &version));
	if (version > SCHEMA_VERSION)
		FAIL(HEL_EVERSION, "%s was made by a newer helrm (%d, this one knows %d)", path,
		     version, SCHEMA_VERSION);
	/* full: acknowledged means on disk, also when the power fails */
	TRY(execute(r, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		       "CREATE TABLE IF NOT EXISTS session ("
		       " id BLOB PRIMARY KEY, proof BLOB NOT NULL, client BLOB NOT NULL,"
		       " fingerprint BLOB NOT NULL, keys BLOB NOT NULL, bytes INTEGER NOT NULL,"
		       " expanded INTEGER NOT NULL, state INTEGER NOT NULL,"
		       " created INTEGER NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;"
		       "PRAGMA user_version = 1"));
	*out = r;
	r = NULL;
done:
	hel_registry_close(r);
	return st;
}

void hel_registry_close(hel_registry *r)
{
	if (!r)
		return;
	sqlite3_close(r->db);
	pthread_mutex_destroy(&r->lock);
	hel_free(r);
}

static bool take_blob(void *out, sqlite3_stmt *q, int column, size_t size)
{
	const void *p = sqlite3_column_blob(q, column);
	if (!p || (size_t)sqlite3_column_bytes(q, column) != size)
		return false;
	memcpy(out, p, size);
	return true;
}

static hel_status read_row(hel_keyset *k, sqlite3_stmt *q)
{
	hel_status st = HEL_OK;
	const size_t bytes = (size_t)sqlite3_column_bytes(q, 4);
	k->count = bytes / sizeof *k->request;
	TRY_ALLOC(k->request, hel_alloc(k->count, sizeof *k->request));
	if (!take_blob(k->id, q, 0, sizeof k->id) || !take_blob(k->proof, q, 1, sizeof k->proof) ||
	    !take_blob(k->client, q, 2, sizeof k->client) ||
	    !take_blob(k->fingerprint, q, 3, sizeof k->fingerprint) ||
	    !take_blob(k->request, q, 4, k->count * sizeof *k->request) || k->count > HEL_MAX_KEYS)
		FAIL(HEL_EFORMAT, "the registry of sessions holds a row that makes no sense");
	k->bytes = (uint64_t)sqlite3_column_int64(q, 5);
	k->expanded = (uint64_t)sqlite3_column_int64(q, 6);
	k->state = sqlite3_column_int(q, 7) ? HEL_KEYSET_READY : HEL_KEYSET_UPLOADING;
	k->created = sqlite3_column_int64(q, 8);
	k->used = sqlite3_column_int64(q, 9);
done:
	return st;
}

hel_status hel_registry_each(hel_registry *r, hel_status (*fn)(void *arg, const hel_keyset *row),
			     void *arg)
{
	hel_status st = HEL_OK;
	sqlite3_stmt *q = NULL;
	int code =
	    sqlite3_prepare_v2(r->db,
			       "SELECT id, proof, client, fingerprint, keys, bytes, expanded,"
			       " state, created, used FROM session",
			       -1, &q, NULL);
	while (code == SQLITE_OK && (code = sqlite3_step(q)) == SQLITE_ROW) {
		hel_keyset row = {0};
		st = read_row(&row, q);
		if (st == HEL_OK)
			st = fn(arg, &row);
		hel_free(row.request);
		TRY(st);
		code = SQLITE_OK;
	}
	if (code != SQLITE_DONE)
		st = failure(r, code);
done:
	sqlite3_finalize(q);
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
	sqlite3_bind_int64(q, 8, k->created);
	sqlite3_bind_int64(q, 9, k->used);
}

hel_status hel_registry_add(hel_registry *r, const hel_keyset *k)
{
	return change(r, "INSERT INTO session VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9)",
		      bind_row, k);
}

typedef struct update {
	const uint8_t *id, *client;
	int64_t used;
} update;

static void bind_update(sqlite3_stmt *q, const void *arg)
{
	const update *u = arg;
	sqlite3_bind_blob(q, 1, u->id, HEL_SESSION_ID_BYTES, SQLITE_STATIC);
	if (sqlite3_bind_parameter_count(q) > 1)
		sqlite3_bind_int64(q, 2, u->used);
	if (sqlite3_bind_parameter_count(q) > 2)
		sqlite3_bind_blob(q, 3, u->client, HEL_CLIENT_ID_BYTES, SQLITE_STATIC);
}

hel_status hel_registry_ready(hel_registry *r, const uint8_t id[HEL_SESSION_ID_BYTES],
			      const uint8_t client[HEL_CLIENT_ID_BYTES], int64_t used)
{
	return change(r, "UPDATE session SET state = 1, client = ?3, used = ?2 WHERE id = ?1",
		      bind_update, &(update){.id = id, .client = client, .used = used});
}

hel_status hel_registry_used(hel_registry *r, const uint8_t id[HEL_SESSION_ID_BYTES], int64_t used)
{
	return change(r, "UPDATE session SET used = ?2 WHERE id = ?1", bind_update,
		      &(update){.id = id, .used = used});
}

hel_status hel_registry_remove(hel_registry *r, const uint8_t id[HEL_SESSION_ID_BYTES])
{
	return change(r, "DELETE FROM session WHERE id = ?1", bind_update, &(update){.id = id});
}

size_t hel_registry_files(char (**names)[64], int dir)
{
	size_t count = 0, capacity = 0;
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (strlen(e->d_name) >= 64)
			continue;
		if (count == capacity) {
			capacity = 2 * capacity + 64;
			char(*more)[64] = hel_alloc(capacity, sizeof *more);
			if (!more)
				break;
			if (count)
				memcpy(more, *names, count * sizeof *more);
			hel_free(*names);
			*names = more;
		}
		snprintf((*names)[count++], 64, "%s", e->d_name);
	}
	if (d)
		closedir(d);
	else if (copy >= 0)
		close(copy);
	return count;
}
