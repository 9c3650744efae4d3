/* Jobs that all servers know: who runs one, under which fence, and what came of it. */
#include "fleet_open.h"
#include "net/server/log.h"
#include <math.h>
#include <string.h>

/* With fence and server: one that was taken for dead overwrites nothing. */
static void name_object(char out[HEL_OBJECT_NAME_MAX + 1], const hel_shared *s, const hel_claim *c,
			const char *what)
{
	char prefix[HEL_OBJECT_NAME_MAX + 1];
	hel_fleet_prefix(prefix, c->session);
	snprintf(out, HEL_OBJECT_NAME_MAX + 1, "%.48s%s-%llu-%02x%02x%02x%02x.%s", prefix, c->id,
		 (unsigned long long)c->fence, s->server[0], s->server[1], s->server[2],
		 s->server[3], what);
}

static void put_name(hel_pg_values *v, const hel_claim *c)
{
	hel_pg_bytes(v, c->session, sizeof c->session);
	hel_pg_text(v, c->id);
}

/* $1 to $4: the row if it is still ours. */
#define OURS "session = $1 AND id = $2 AND fence = $3 AND server = $4"

static void put_ours(hel_pg_values *v, const hel_shared *s, const hel_claim *c)
{
	put_name(v, c);
	hel_pg_integer(v, (int64_t)c->fence);
	hel_pg_bytes(v, s->server, sizeof s->server);
}

static bool changed_one(const PGresult *r)
{
	return strcmp(PQcmdTuples((PGresult *)(uintptr_t)r), "1") == 0;
}

/* --- claims ------------------------------------------------------------------------------- */

typedef struct claiming {
	hel_claim *c;
	hel_shared *s;
	hel_status refused; /* the transaction ends without it */
	bool mine;
} claiming;

/* Within a transaction, or as one: that is one round trip instead of three. */
static hel_status ask(PGresult **r, hel_pg_tx *t, const claiming *g, const char *sql,
		      const hel_pg_values *v)
{
	return t ? hel_pg_query(r, t, sql, v) : hel_pg_once(r, g->s->pg, sql, v);
}

/* A new row, or one whose server is dead, or that has a result which only its server had. */
static hel_status insert(hel_pg_tx *t, claiming *g, bool *new)
{
	hel_status st = HEL_OK;
	PGresult *r = NULL;
	hel_pg_values v = {0};
	put_name(&v, g->c);
	hel_pg_bytes(&v, g->s->server, sizeof g->s->server);
	hel_pg_bytes(&v, g->c->hash, sizeof g->c->hash);
	hel_pg_text(&v, g->c->model);
	hel_pg_text(&v, g->c->customer);
	hel_pg_real(&v, g->c->now);
	hel_pg_integer(&v, (int64_t)g->c->generation);
	TRY(ask(
	    &r, t, g,
	    /* a claim that is lost when PostgreSQL crashes is one that nobody was promised */
	    "WITH lazy AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))"
	    " INSERT INTO helrm_job AS j (session, id, server, fence, hash, model, customer, "
	    "opened)"
	    " SELECT s.id, $2, $3, 1, $4, $5, $6, $7 FROM helrm_session s, lazy WHERE s.id = $1"
	    " AND s.removed = 0 AND s.ready = 1 AND s.generation = $8 ON CONFLICT (session, id) DO "
	    "UPDATE SET"
	    " server = excluded.server, fence = j.fence + 1, state = 0, opened = excluded.opened"
	    " WHERE j.hash = excluded.hash AND (j.server = excluded.server OR"
	    " (j.state = 1 AND j.result = '') OR (j.state = 0 AND NOT EXISTS (SELECT 1 FROM"
	    " helrm_server h WHERE h.id = j.server AND h.until > $7)))"
	    " RETURNING fence",
	    &v));
	g->mine = PQntuples(r) == 1;
	g->c->fence = g->mine ? (uint64_t)hel_pg_get_integer(r, 0, 0) : 0;
	*new = g->c->fence == 1;
done:
	PQclear(r);
	return st;
}

/* Who is asked for in vain: the session is no more, or the job is another one or elsewhere. */
static hel_status look_why(hel_pg_tx *t, claiming *g)
{
	hel_status st = HEL_OK;
	PGresult *r = NULL;
	hel_pg_values v = {0};
	put_name(&v, g->c);
	hel_pg_bytes(&v, g->c->hash, sizeof g->c->hash);
	TRY(ask(&r, t, g,
		"UPDATE helrm_job j SET wanted = 1 FROM helrm_session s WHERE s.id = $1 AND"
		" s.removed = 0 AND j.session = s.id AND j.id = $2 AND j.hash = $3"
		" RETURNING j.fence",
		&v));
	if (PQntuples(r)) {
		g->c->fence = (uint64_t)hel_pg_get_integer(r, 0, 0);
		goto done;
	}
	PQclear(r);
	r = NULL;
	v.count = 2;
	TRY(ask(&r, t, g,
		"SELECT 1 FROM helrm_job j JOIN helrm_session s ON s.id = j.session"
		" WHERE s.id = $1 AND s.removed = 0 AND j.id = $2",
		&v));
	g->refused = PQntuples(r) ? HEL_EINVAL : HEL_EDENIED;
done:
	PQclear(r);
	return st;
}

/* One query of the customer's allowance: a token bucket that all servers draw from. */
static hel_status charge(hel_pg_tx *t, claiming *g)
{
	hel_status st = HEL_OK;
	PGresult *r = NULL;
	hel_pg_values v = {0};
	hel_pg_text(&v, g->c->customer);
	hel_pg_integer(&v, (int64_t)g->c->per_minute);
	hel_pg_real(&v, g->c->now);
	TRY(hel_pg_query(
	    &r, t,
	    "INSERT INTO helrm_customer AS c (name, tokens, filled) VALUES"
	    " ($1, $2::float8, $3) ON CONFLICT (name) DO UPDATE SET tokens ="
	    " least($2::float8, c.tokens + greatest($3 - c.filled, 0) * $2::float8 / 60),"
	    " filled = greatest(c.filled, $3) RETURNING tokens",
	    &v));
	const double tokens = hel_pg_get_real(r, 0, 0);
	if (tokens < 1) {
		g->refused = HEL_EBUSY;
		g->c->retry = (1 - tokens) * 60 / (double)g->c->per_minute;
		goto done;
	}
	v.count = 1;
	TRY(hel_pg_query(NULL, t, "UPDATE helrm_customer SET tokens = tokens - 1 WHERE name = $1",
			 &v));
done:
	PQclear(r);
	return st;
}

static hel_status claim(hel_pg_tx *t, void *arg)
{
	hel_status st = HEL_OK;
	claiming *g = arg;
	bool new;
	g->refused = HEL_OK;
	TRY(insert(t, g, &new));
	if (!g->mine)
		TRY(look_why(t, g));
	else if (new && g->c->per_minute)
		TRY(charge(t, g));
	/* what the row says must not stay */
	if (g->refused == HEL_EBUSY)
		st = HEL_ECANCEL;
done:
	return st;
}

hel_status hel_fleet_job_begin(bool *mine, hel_claim *c, hel_fleet *f)
{
	claiming g = {.c = c, .s = hel_shared_of(f)};
	c->retry = 0;
	/* only what is charged for must not stay when it is refused */
	const hel_status st = c->per_minute ? hel_pg_run(g.s->pg, claim, &g) : claim(NULL, &g);
	*mine = g.mine;
	if (st != HEL_OK && g.refused == HEL_OK)
		return st;
	switch (g.refused) {
	case HEL_EBUSY:
		return hel_fail(HEL_EBUSY, "this API key asks more often than it may");
	case HEL_EINVAL:
		return hel_fail(HEL_EINVAL, "this idempotency key was used with another query");
	case HEL_EDENIED:
		return hel_fail(HEL_EDENIED, "the session was removed");
	default:
		return HEL_OK;
	}
}

/* --- what must outlive this server -------------------------------------------------------- */

hel_status hel_fleet_job_keep(hel_fleet *f, const hel_claim *c, const void *query, size_t size)
{
	hel_status st = HEL_OK;
	hel_shared *s = hel_shared_of(f);
	PGresult *r = NULL;
	char name[HEL_OBJECT_NAME_MAX + 1];
	hel_pg_values v = {0};
	name_object(name, s, c, "query");
	TRY(hel_objects_put(s->objects, name, query, size));
	put_ours(&v, s, c);
	hel_pg_text(&v, name);
	TRY(hel_pg_once(&r, s->pg, "UPDATE helrm_job SET query = $5, wanted = 1 WHERE " OURS, &v));
	if (!changed_one(r)) {
		(void)!hel_objects_remove(s->objects, name);
		FAIL(HEL_EBUSY, "another server has this query by now");
	}
done:
	PQclear(r);
	return st;
}

static hel_status end_row(bool *ended, hel_shared *s, const hel_claim *c, hel_status status,
			  const char *detail, const char *result)
{
	hel_status st = HEL_OK;
	PGresult *r = NULL;
	hel_pg_values v = {0};
	put_ours(&v, s, c);
	hel_pg_integer(&v, status);
	hel_pg_text(&v, detail);
	hel_pg_text(&v, result);
	hel_pg_real(&v, c->now);
	/* a result that somebody elsewhere waits for must be there first */
	TRY(hel_pg_once(&r, s->pg,
			"UPDATE helrm_job SET state = 1, status = $5::bigint, detail = $6,"
			" result = $7, finished = $8 WHERE " OURS " AND"
			" (wanted = 0 OR $7 <> '' OR $5::bigint <> 0)",
			&v));
	*ended = changed_one(r);
done:
	PQclear(r);
	return st;
}

hel_status hel_fleet_job_end(hel_fleet *f, const hel_claim *c, hel_status status,
			     const char *detail, const void *result, size_t size)
{
	hel_status st = HEL_OK;
	hel_shared *s = hel_shared_of(f);
	char name[HEL_OBJECT_NAME_MAX + 1];
	bool ended;
	TRY(end_row(&ended, s, c, status, detail, ""));
	if (ended || status != HEL_OK)
		goto done;
	name_object(name, s, c, "result");
	TRY(hel_objects_put(s->objects, name, result, size));
	TRY(end_row(&ended, s, c, status, detail, name));
	if (!ended) /* fenced off: another server answers */
		(void)!hel_objects_remove(s->objects, name);
done:
	return st;
}

hel_status hel_fleet_job_give(hel_fleet *f, const hel_claim *c)
{
	hel_pg_values v = {0};
	put_ours(&v, hel_shared_of(f), c);
	/* where its query is not kept its client sends it again, at no cost */
	return hel_pg_once(NULL, hel_shared_of(f)->pg,
			   "UPDATE helrm_job SET server = '' WHERE " OURS, &v);
}

/* --- those of other servers --------------------------------------------------------------- */

typedef struct bytes_of {
	hel_writer *out;
	size_t most;
} bytes_of;

static hel_status take_bytes(void *arg, uint64_t at, const void *bytes, size_t size)
{
	bytes_of *b = arg;
	if (at > b->out->size || size > b->most - at)
		return hel_fail(HEL_ETRUNC, "an object is larger than it was");
	b->out->size = (size_t)at;
	hel_write_bytes(b->out, bytes, size);
	return b->out->status;
}

#define RESULT_MAX ((size_t)64 << 20)

static hel_status read_object(hel_writer *out, hel_shared *s, const PGresult *r, int row,
			      int column)
{
	char name[HEL_OBJECT_NAME_MAX + 1];
	size_t size;
	const char *text = hel_pg_get_bytes(&size, r, row, column);
	if (size > HEL_OBJECT_NAME_MAX)
		return hel_fail(HEL_EFORMAT, "an object's name is too long");
	snprintf(name, sizeof name, "%.*s", (int)size, text);
	return hel_objects_get(s->objects, name, take_bytes, &(bytes_of){out, RESULT_MAX});
}

static void read_text(char *out, size_t room, const PGresult *r, int row, int column)
{
	size_t size;
	const char *text = hel_pg_get_bytes(&size, r, row, column);
	snprintf(out, room, "%.*s", (int)HEL_MIN(size, room - 1), text);
}

hel_status hel_fleet_job_look(hel_outcome *o, hel_fleet *f, const hel_claim *c)
{
	hel_status st = HEL_OK;
	hel_shared *s = hel_shared_of(f);
	PGresult *r = NULL;
	hel_pg_values v = {0};
	put_name(&v, c);
	TRY(hel_pg_once(&r, s->pg,
			"UPDATE helrm_job j SET wanted = 1 FROM helrm_session s WHERE s.id = $1 AND"
			" s.removed = 0 AND j.session = s.id AND j.id = $2 RETURNING"
			" j.state, j.status, j.detail, j.result, j.query",
			&v));
	if (!PQntuples(r))
		FAIL(HEL_EDENIED, "there is no such query");
	o->done = hel_pg_get_integer(r, 0, 0) != 0;
	o->kept = PQgetlength(r, 0, 4) > 0;
	o->status = (hel_status)hel_pg_get_integer(r, 0, 1);
	read_text(o->detail, sizeof o->detail, r, 0, 2);
	if (o->done && o->status == HEL_OK && PQgetlength(r, 0, 3))
		TRY(read_object(&o->result, s, r, 0, 3));
	else if (o->done && o->status == HEL_OK) /* only its server had it */
		FAIL(HEL_EDENIED, "the result is not kept; submit the query again");
done:
	PQclear(r);
	return st;
}

hel_status hel_fleet_job_cancel(hel_fleet *f, const hel_claim *c)
{
	hel_pg_values v = {0};
	put_name(&v, c);
	hel_pg_real(&v, c->now);
	hel_pg_integer(&v, HEL_ECANCEL);
	return hel_pg_once(NULL, hel_shared_of(f)->pg,
			   "UPDATE helrm_job SET fence = fence + 1, state = 1, finished = $3,"
			   " status = $4, detail = 'cancelled by the client', wanted = 2"
			   " WHERE session = $1 AND id = $2",
			   &v);
}

/* One whose server is dead, or gave it back: it is this one's then. */
hel_status hel_fleet_job_take(hel_claim *c, hel_writer *query, hel_fleet *f)
{
	hel_status st = HEL_OK;
	hel_shared *s = hel_shared_of(f);
	PGresult *r = NULL;
	size_t size;
	hel_pg_values v = {0};
	hel_pg_bytes(&v, s->server, sizeof s->server);
	hel_pg_real(&v, c->now);
	TRY(hel_pg_once(
	    &r, s->pg,
	    "UPDATE helrm_job j SET server = $1, fence = fence + 1 FROM"
	    " (SELECT k.session, k.id FROM helrm_job k JOIN helrm_session s ON"
	    " s.id = k.session AND s.removed = 0 WHERE k.state = 0 AND k.query <> '' AND"
	    " k.server <> $1 AND NOT EXISTS (SELECT 1 FROM helrm_server h WHERE"
	    " h.id = k.server AND h.until > $2) ORDER BY k.opened LIMIT 1"
	    " FOR UPDATE OF k SKIP LOCKED) o WHERE j.session = o.session AND j.id = o.id"
	    " RETURNING j.session, j.id, j.fence, j.hash, j.model, j.customer, j.query",
	    &v));
	if (!PQntuples(r))
		FAIL(HEL_EDENIED, "no query waits for a server");
	const void *session = hel_pg_get_bytes(&size, r, 0, 0);
	if (size != sizeof c->session)
		FAIL(HEL_EFORMAT, "a row without a session");
	memcpy(c->session, session, size);
	read_text(c->id, sizeof c->id, r, 0, 1);
	c->fence = (uint64_t)hel_pg_get_integer(r, 0, 2);
	const void *hash = hel_pg_get_bytes(&size, r, 0, 3);
	memcpy(c->hash, hash, HEL_MIN(size, sizeof c->hash));
	read_text(c->model, sizeof c->model, r, 0, 4);
	read_text(c->customer, sizeof c->customer, r, 0, 5);
	TRY(read_object(query, s, r, 0, 6));
done:
	PQclear(r);
	return st;
}

hel_status hel_fleet_sweep_jobs(hel_shared *s, double now)
{
	hel_status st = HEL_OK;
	PGresult *r = NULL;
	hel_pg_values v = {0};
	hel_pg_real(&v, now - (double)s->settings->result_seconds);
	hel_pg_real(&v, now);
	TRY(hel_pg_once(
	    &r, s->pg,
	    "DELETE FROM helrm_job j WHERE (j.state = 1 AND (j.finished < $1 OR j.wanted = 2)) OR"
	    " (j.state = 0 AND j.query = '' AND j.opened < $1 AND NOT EXISTS (SELECT 1 FROM "
	    "helrm_server h WHERE"
	    " h.id = j.server AND h.until > $2)) RETURNING query, result",
	    &v));
	for (int i = 0; i < PQntuples(r); i++)
		for (int k = 0; k < 2; k++) {
			char name[HEL_OBJECT_NAME_MAX + 1];
			read_text(name, sizeof name, r, i, k);
			if (*name && hel_objects_remove(s->objects, name) != HEL_OK)
				hel_log("info", "object_left", "{s:s, s:s}", "object", name,
					"reason", hel_error_detail());
		}
done:
	PQclear(r);
	return st;
}
