#include "registry_postgresql.h"
#include <string.h>

#define PATIENCE 2 /* seconds: longer ones are the client's, who tries again */

typedef struct pg_registry {
	hel_registry registry;
	hel_pg *pg;
} pg_registry;

static hel_pg *database(hel_registry *r)
{
	return ((pg_registry *)r)->pg;
}

hel_pg *hel_registry_database(hel_registry *r)
{
	return database(r);
}

/* --- tables ------------------------------------------------------------------------------- */

/* Step i brings version i up to i + 1. What was released is never changed, only followed. */
static const char *const migration[] = {
    "CREATE TABLE helrm_session (id bytea PRIMARY KEY, proof bytea NOT NULL,"
    " client bytea NOT NULL, fingerprint bytea NOT NULL, keys bytea NOT NULL,"
    " bytes bigint NOT NULL, expanded bigint NOT NULL, ready bigint NOT NULL DEFAULT 0,"
    " opened float8 NOT NULL, used float8 NOT NULL, api_key text NOT NULL)",
    "CREATE TABLE helrm_clock (id bigint PRIMARY KEY, seconds float8 NOT NULL)",
    /* uploads as pieces; sessions that are removed until their objects are */
    "ALTER TABLE helrm_session ADD COLUMN have bigint NOT NULL DEFAULT 0,"
    " ADD COLUMN generation bigint NOT NULL DEFAULT 1, ADD COLUMN pieces bigint NOT NULL DEFAULT 0,"
    " ADD COLUMN address text NOT NULL DEFAULT '', ADD COLUMN removed float8 NOT NULL DEFAULT 0,"
    " ADD COLUMN swept bigint NOT NULL DEFAULT 0",
    "CREATE INDEX ON helrm_session (api_key)",
    "CREATE INDEX ON helrm_session (address) WHERE ready = 0",
    "CREATE INDEX ON helrm_session (ready, used)",
    "CREATE INDEX ON helrm_session (removed) WHERE removed > 0",
    "CREATE TABLE helrm_piece (session bytea NOT NULL REFERENCES helrm_session ON DELETE CASCADE,"
    " at bigint NOT NULL, size bigint NOT NULL, name text NOT NULL, PRIMARY KEY (session, at))",
    "CREATE TABLE helrm_server (id bytea PRIMARY KEY, until float8 NOT NULL)",
    /* who runs which query; state 1: done. `query` and `result` name objects, '' for none; wanted:
     * by others than the server that runs it, 2: by nobody any more */
    "CREATE TABLE helrm_job (session bytea NOT NULL REFERENCES helrm_session ON DELETE CASCADE,"
    " id text NOT NULL, server bytea NOT NULL, fence bigint NOT NULL, state bigint NOT NULL DEFAULT"
    " 0, status bigint NOT NULL DEFAULT 0, detail text NOT NULL DEFAULT '', hash bytea NOT NULL,"
    " model text NOT NULL, customer text NOT NULL, query text NOT NULL DEFAULT '', result text NOT"
    " NULL DEFAULT '', wanted bigint NOT NULL DEFAULT 0, opened float8 NOT NULL,"
    " finished float8 NOT NULL DEFAULT 0, PRIMARY KEY (session, id))",
    "CREATE INDEX ON helrm_job (state, finished)",
    "CREATE TABLE helrm_customer (name text PRIMARY KEY, tokens float8 NOT NULL,"
    " filled float8 NOT NULL)",
    "ALTER TABLE helrm_clock ADD COLUMN hour float8 NOT NULL DEFAULT 0,"
    " ADD COLUMN expired bigint NOT NULL DEFAULT 0",
    /* who opened, removed or was refused what, for people */
    "CREATE TABLE helrm_audit (at timestamptz NOT NULL DEFAULT now(), event text NOT NULL,"
    " session text NOT NULL, api_key text NOT NULL, address text NOT NULL, detail text NOT NULL"
    " DEFAULT '')",
    "CREATE INDEX ON helrm_audit (at)",
    "ALTER TABLE helrm_clock ADD COLUMN collected float8 NOT NULL DEFAULT 0",
};
#define VERSION ((int64_t)HEL_ARRAY_LEN(migration))

/* One server at a time: the lock ends with the transaction. */
static hel_status migrate(hel_pg_tx *t, void *arg)
{
	hel_status st = HEL_OK;
	PGresult *r = NULL;
	hel_pg_values v = {0};
	(void)arg;
	TRY(hel_pg_query(NULL, t, "SELECT pg_advisory_xact_lock(4849742)", NULL));
	TRY(hel_pg_query(NULL, t, "CREATE TABLE IF NOT EXISTS helrm_version (version bigint)",
			 NULL));
	TRY(hel_pg_query(&r, t, "SELECT coalesce(max(version), 0) FROM helrm_version", NULL));
	const int64_t version = hel_pg_get_integer(r, 0, 0);
	if (version > VERSION)
		FAIL(HEL_EVERSION,
		     "the registry was made by a newer helrm (%lld, this one knows %lld)",
		     (long long)version, (long long)VERSION);
	for (int64_t i = version; i < VERSION; i++)
		TRY(hel_pg_query(NULL, t, migration[i], NULL));
	hel_pg_integer(&v, VERSION);
	if (version < VERSION)
		TRY(hel_pg_query(NULL, t, "INSERT INTO helrm_version VALUES ($1::bigint)", &v));
done:
	PQclear(r);
	return st;
}

/* --- rows --------------------------------------------------------------------------------- */

static hel_field field(const PGresult *r, int row, int column)
{
	hel_field f;
	f.bytes = hel_pg_get_bytes(&f.size, r, row, column);
	return f;
}

hel_status hel_registry_read_postgresql(hel_keyset *k, const PGresult *r, int row)
{
	return hel_registry_read(k, &(hel_registry_fields){
					.id = field(r, row, 0),
					.proof = field(r, row, 1),
					.client = field(r, row, 2),
					.fingerprint = field(r, row, 3),
					.keys = field(r, row, 4),
					.bytes = hel_pg_get_integer(r, row, 5),
					.expanded = hel_pg_get_integer(r, row, 6),
					.ready = hel_pg_get_integer(r, row, 7),
					.opened = hel_pg_get_real(r, row, 8),
					.used = hel_pg_get_real(r, row, 9),
					.api_key = field(r, row, 10),
				    });
}

static hel_status each(hel_registry *registry, hel_registry_row *fn, void *arg)
{
	hel_status st = HEL_OK;
	PGresult *r = NULL;
	TRY(hel_pg_once(&r, database(registry), "SELECT " HEL_SESSION_COLUMNS " FROM helrm_session",
			NULL));
	for (int i = 0; i < PQntuples(r); i++) {
		hel_keyset row = {0};
		st = hel_registry_read_postgresql(&row, r, i);
		if (st == HEL_OK) {
			st = fn(arg, &row);
		} else if (st == HEL_EFORMAT) {
			hel_registry_log_lost(&row);
			st = hel_registry_remove(registry, row.id);
		}
		hel_free(row.request);
		TRY(st);
	}
done:
	PQclear(r);
	return st;
}

/* Ids are random: one that is there is this row, of a transaction that is done twice. */
static hel_status add(hel_registry *r, const hel_keyset *k)
{
	hel_pg_values v = {0};
	hel_pg_bytes(&v, k->id, sizeof k->id);
	hel_pg_bytes(&v, k->proof, sizeof k->proof);
	hel_pg_bytes(&v, k->client, sizeof k->client);
	hel_pg_bytes(&v, k->fingerprint, sizeof k->fingerprint);
	hel_pg_bytes(&v, k->request, k->count * sizeof *k->request);
	hel_pg_integer(&v, (int64_t)k->bytes);
	hel_pg_integer(&v, (int64_t)k->expanded);
	hel_pg_real(&v, k->opened);
	hel_pg_real(&v, k->used);
	hel_pg_text(&v, k->opener.api_key);
	return hel_pg_once(NULL, database(r),
			   "INSERT INTO helrm_session (id, proof, client, fingerprint, keys, bytes,"
			   " expanded, opened, used, api_key) VALUES ($1, $2, $3, $4, $5, $6, $7,"
			   " $8, $9, $10) ON CONFLICT (id) DO NOTHING",
			   &v);
}

static hel_status set_state(hel_registry *r, const hel_keyset *k, hel_keyset_state state,
			    double used)
{
	hel_pg_values v = {0};
	hel_pg_bytes(&v, k->id, sizeof k->id);
	hel_pg_integer(&v, state == HEL_KEYSET_READY);
	hel_pg_bytes(&v, k->client, sizeof k->client);
	hel_pg_real(&v, used);
	return hel_pg_once(
	    NULL, database(r),
	    "UPDATE helrm_session SET ready = $2, client = $3, used = $4 WHERE id = $1", &v);
}

static hel_status set_used(hel_registry *r, const uint8_t id[HEL_SESSION_ID_BYTES], double used)
{
	hel_pg_values v = {0};
	hel_pg_bytes(&v, id, HEL_SESSION_ID_BYTES);
	hel_pg_real(&v, used);
	return hel_pg_once(NULL, database(r),
			   "UPDATE helrm_session SET used = greatest(used, $2) WHERE id = $1", &v);
}

static hel_status remove_row(hel_registry *r, const uint8_t id[HEL_SESSION_ID_BYTES])
{
	hel_pg_values v = {0};
	hel_pg_bytes(&v, id, HEL_SESSION_ID_BYTES);
	return hel_pg_once(NULL, database(r), "DELETE FROM helrm_session WHERE id = $1", &v);
}

static hel_status read_clock(double *seconds, hel_registry *registry)
{
	PGresult *r = NULL;
	hel_status st =
	    hel_pg_once(&r, database(registry),
			"SELECT coalesce((SELECT seconds FROM helrm_clock WHERE id = 1),"
			" (SELECT max(used) FROM helrm_session), 0)",
			NULL);
	if (st == HEL_OK)
		*seconds = hel_pg_get_real(r, 0, 0);
	PQclear(r);
	return st;
}

static hel_status set_clock(hel_registry *r, double seconds)
{
	hel_pg_values v = {0};
	hel_pg_real(&v, seconds);
	return hel_pg_once(
	    NULL, database(r),
	    "INSERT INTO helrm_clock AS c (id, seconds) VALUES (1, $1) ON CONFLICT (id) DO UPDATE"
	    " SET seconds = greatest(c.seconds, excluded.seconds)",
	    &v);
}

static void close_registry(hel_registry *r)
{
	hel_pg_close(database(r));
	hel_free(r);
}

static const hel_registry_calls calls = {
    .close = close_registry,
    .each = each,
    .add = add,
    .state = set_state,
    .used = set_used,
    .remove = remove_row,
    .clock = read_clock,
    .set_clock = set_clock,
};

hel_status hel_registry_postgresql(hel_registry **out, const char *where)
{
	hel_status st = HEL_OK;
	pg_registry *r = NULL;
	TRY_ALLOC(r, hel_alloc(1, sizeof *r));
	r->registry.call = &calls;
	TRY(hel_pg_open(&r->pg, where, PATIENCE));
	TRY(hel_pg_run(r->pg, migrate, NULL));
	*out = &r->registry;
	r = NULL;
done:
	if (r)
		close_registry(&r->registry);
	return st;
}
