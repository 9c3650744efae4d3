/* What some server must do, and any can: time, and what is left of sessions that are no more. */
#include "fleet_open.h"
#include "net/server/log.h"
#include <math.h>
#include <string.h>

#define SERVER_LEASE 10 /* seconds a server is believed to live after its last word */
#define USED_LATE 120	/* seconds a time of use may be newer than its row says */
#define AT_ONCE 20	/* sessions whose objects go in one tick */
#define OBJECTS_LATE 20 /* seconds: what was being written when a session was removed is there */

/* Complete sessions that may expire in an hour: more at once is not age but a fault. */
#define EXPIRE_AT_ONCE 100

hel_status hel_fleet_clock(double *seconds, hel_fleet *f)
{
	PGresult *r = NULL;
	const hel_status st =
	    hel_pg_once(&r, hel_shared_of(f)->pg,
			"SELECT coalesce((SELECT seconds FROM helrm_clock WHERE id = 1),"
			" (SELECT max(used) FROM helrm_session), 0)",
			NULL);
	if (st == HEL_OK)
		*seconds = hel_pg_get_real(r, 0, 0);
	PQclear(r);
	return st;
}

static hel_status say_alive(double *clock, hel_shared *s, double now)
{
	PGresult *r = NULL;
	hel_pg_values v = {0};
	hel_pg_real(&v, now);
	hel_pg_bytes(&v, s->server, sizeof s->server);
	hel_pg_real(&v, SERVER_LEASE);
	const hel_status st = hel_pg_once(
	    &r, s->pg,
	    "WITH c AS (INSERT INTO helrm_clock AS c (id, seconds) VALUES (1, $1)"
	    " ON CONFLICT (id) DO UPDATE SET seconds = greatest(c.seconds, excluded.seconds)"
	    " RETURNING seconds), h AS (INSERT INTO helrm_server SELECT $2, seconds + $3 FROM c"
	    " ON CONFLICT (id) DO UPDATE SET until = excluded.until) SELECT seconds FROM c",
	    &v);
	if (st == HEL_OK)
		*clock = hel_pg_get_real(r, 0, 0);
	PQclear(r);
	return st;
}

/* --- time to live ------------------------------------------------------------------------- */

typedef struct expiry {
	const hel_settings *settings;
	double now;
	int64_t gone;
	bool held; /* more would go than age explains */
} expiry;

static hel_status one_number(int64_t *out, hel_pg_tx *t, const char *sql, const hel_pg_values *v)
{
	PGresult *r = NULL;
	const hel_status st = hel_pg_query(&r, t, sql, v);
	if (st == HEL_OK)
		*out = PQntuples(r) ? hel_pg_get_integer(r, 0, 0) : 0;
	PQclear(r);
	return st;
}

static hel_status end_uploads(hel_pg_tx *t, expiry *e)
{
	hel_pg_values v = {0};
	hel_pg_real(&v, e->now);
	hel_pg_real(&v, (double)e->settings->upload_ttl);
	hel_pg_real(&v, (double)e->settings->upload_seconds);
	int64_t gone = 0;
	const hel_status st = one_number(
	    &gone, t,
	    "WITH gone AS (UPDATE helrm_session SET removed = $1 WHERE removed = 0 AND"
	    " ready = 0 AND (used < $1 - $2::float8 OR opened < $1 - $3::float8)" HEL_AUDIT_GONE(
		"unfinished") " SELECT count(*) FROM gone",
	    &v);
	e->gone += gone;
	return st;
}

#define OLD "removed = 0 AND ready = 1 AND used < $1 - $2::float8"

static hel_status end_complete(hel_pg_tx *t, expiry *e, double hour, int64_t expired)
{
	hel_status st = HEL_OK;
	int64_t old = 0, ready = 0, gone = 0;
	hel_pg_values v = {0}, w = {0};
	hel_pg_real(&v, e->now);
	hel_pg_real(&v, (double)e->settings->session_ttl +
			    fmin(USED_LATE, (double)e->settings->session_ttl));
	TRY(one_number(&old, t, "SELECT count(*) FROM helrm_session WHERE " OLD, &v));
	if (!old)
		goto done;
	TRY(one_number(&ready, t,
		       "SELECT count(*) FROM helrm_session WHERE removed = 0 AND ready = 1", NULL));
	if (e->now - hour >= 3600) {
		hour = e->now;
		expired = 0;
	}
	const int64_t most = (int64_t)fmax(EXPIRE_AT_ONCE, 0.1 * (double)(ready + expired));
	hel_pg_integer(&v, HEL_MAX(most - expired, 0));
	TRY(one_number(
	    &gone, t,
	    "WITH gone AS (UPDATE helrm_session SET removed = $1 WHERE id IN"
	    " (SELECT id FROM helrm_session WHERE " OLD
	    " ORDER BY used LIMIT $3)" HEL_AUDIT_GONE("expired") " SELECT count(*) FROM gone",
	    &v));
	e->gone += gone;
	e->held = old > gone && expired < most;
	hel_pg_real(&w, hour);
	hel_pg_integer(&w, expired + gone);
	TRY(hel_pg_query(NULL, t, "UPDATE helrm_clock SET hour = $1, expired = $2", &w));
done:
	return st;
}

/* By one server at a time: the others skip what this one holds. */
static hel_status expire(hel_pg_tx *t, void *arg)
{
	hel_status st = HEL_OK;
	expiry *e = arg;
	PGresult *r = NULL;
	e->gone = 0;
	e->held = false;
	TRY(hel_pg_query(
	    &r, t, "SELECT hour, expired FROM helrm_clock WHERE id = 1 FOR UPDATE SKIP LOCKED",
	    NULL));
	if (!PQntuples(r))
		goto done;
	TRY(end_uploads(t, e));
	TRY(end_complete(t, e, hel_pg_get_real(r, 0, 0), hel_pg_get_integer(r, 0, 1)));
done:
	PQclear(r);
	return st;
}

/* --- what is left of them ----------------------------------------------------------------- */

/* Twice: another server may have been writing when it was removed. */
static hel_status collect(hel_shared *s, const uint8_t id[HEL_SESSION_ID_BYTES], bool again)
{
	hel_status st = HEL_OK;
	char prefix[HEL_OBJECT_NAME_MAX + 1];
	hel_pg_values v = {0};
	hel_fleet_prefix(prefix, id);
	TRY(hel_objects_remove_all(s->objects, prefix));
	hel_pg_bytes(&v, id, HEL_SESSION_ID_BYTES);
	TRY(hel_pg_once(NULL, s->pg,
			again ? "DELETE FROM helrm_session WHERE id = $1 AND removed > 0"
			      : "UPDATE helrm_session SET swept = 1 WHERE id = $1",
			&v));
done:
	return st;
}

static hel_status collect_removed(hel_shared *s, double now)
{
	hel_status st = HEL_OK;
	PGresult *r = NULL;
	hel_pg_values v = {0};
	hel_pg_real(&v, now - OBJECTS_LATE);
	hel_pg_integer(&v, AT_ONCE);
	TRY(hel_pg_once(&r, s->pg,
			"SELECT id, swept FROM helrm_session WHERE removed > 0 AND"
			" (swept = 0 OR removed < $1) ORDER BY random() LIMIT $2",
			&v));
	for (int i = 0; i < PQntuples(r); i++) {
		size_t size;
		const uint8_t *id = hel_pg_get_bytes(&size, r, i, 0);
		if (size == HEL_SESSION_ID_BYTES)
			TRY(collect(s, id, hel_pg_get_integer(r, i, 1) != 0));
	}
done:
	PQclear(r);
	return st;
}

hel_status hel_fleet_tick(double *clock, hel_fleet *f, double now)
{
	hel_status st = HEL_OK;
	hel_shared *s = hel_shared_of(f);
	TRY(say_alive(clock, s, now));
	expiry e = {.settings = s->settings, .now = *clock};
	TRY(hel_pg_run(s->pg, expire, &e));
	hel_count(&s->metrics->sessions_expired, (uint64_t)e.gone);
	if (e.held)
		hel_log("error", "expiry_held", "{s:s}", "reason",
			"too many sessions expired within an hour; others stay for now");
	TRY(hel_fleet_sweep_jobs(s, *clock));
	TRY(collect_removed(s, *clock));
	TRY(hel_fleet_collect(s, *clock));
done:
	return st;
}
