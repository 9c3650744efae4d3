/* The tables of a fleet, and how they come up to date. */
#include "fleet_open.h"

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

hel_status hel_fleet_tables(hel_pg *pg)
{
	return hel_pg_run(pg, migrate, NULL);
}
