/* Uploads as pieces, each an object that counts when its row says so. */
#include "fleet_open.h"
#include "net/server/log.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PIECES_MAX 4096 /* of one upload: a name and a request each */

/* A name that nobody else takes: who comes too late overwrites nothing. */
static void name_object(char out[HEL_OBJECT_NAME_MAX + 1], const hel_keyset *k, uint64_t at)
{
	uint64_t random;
	char prefix[HEL_OBJECT_NAME_MAX + 1];
	hel_random_bytes(&random, sizeof random);
	hel_fleet_prefix(prefix, k->id);
	snprintf(out, HEL_OBJECT_NAME_MAX + 1, "%.48s%llu-%llu-%016llx", prefix,
		 (unsigned long long)k->generation, (unsigned long long)at,
		 (unsigned long long)random);
}

/* What nobody refers to; what cannot be removed now goes with its session. */
static void drop_object(hel_shared *s, const char *name)
{
	if (hel_objects_remove(s->objects, name) != HEL_OK)
		hel_log("info", "object_left", "{s:s, s:s}", "object", name, "reason",
			hel_error_detail());
}

typedef struct place {
	const hel_keyset *k;
	uint64_t at, size;
	const char *name;
	double now;
	bool moved;
} place;

static hel_status is_named(bool *same, hel_pg_tx *t, const place *p)
{
	PGresult *r = NULL;
	hel_pg_values v = {0};
	hel_pg_bytes(&v, p->k->id, sizeof p->k->id);
	hel_pg_integer(&v, (int64_t)p->at);
	hel_pg_text(&v, p->name);
	const hel_status st = hel_pg_query(
	    &r, t, "SELECT 1 FROM helrm_piece WHERE session = $1 AND at = $2 AND name = $3", &v);
	*same = st == HEL_OK && PQntuples(r) == 1;
	PQclear(r);
	return st;
}

static hel_status add_piece(hel_pg_tx *t, void *arg)
{
	hel_status st = HEL_OK;
	place *p = arg;
	PGresult *r = NULL;
	hel_pg_values v = {0};
	hel_pg_bytes(&v, p->k->id, sizeof p->k->id);
	hel_pg_integer(&v, (int64_t)p->at);
	hel_pg_integer(&v, (int64_t)p->size);
	hel_pg_text(&v, p->name);
	hel_pg_integer(&v, (int64_t)p->k->generation);
	hel_pg_real(&v, p->now);
	hel_pg_integer(&v, PIECES_MAX);
	TRY(hel_pg_query(
	    &r, t,
	    "WITH moved AS (UPDATE helrm_session SET have = $2::bigint + $3::bigint,"
	    " pieces = pieces + 1, used = greatest(used, $6) WHERE id = $1 AND removed = 0"
	    " AND ready = 0 AND generation = $5 AND have = $2 AND pieces < $7 RETURNING id)"
	    " INSERT INTO helrm_piece SELECT id, $2, $3, $4 FROM moved",
	    &v));
	p->moved = strcmp(PQcmdTuples(r), "1") == 0;
	if (!p->moved) /* or this transaction is done twice */
		TRY(is_named(&p->moved, t, p));
done:
	PQclear(r);
	return st;
}

hel_status hel_fleet_piece(hel_fleet *f, const hel_keyset *k, uint64_t at, const void *bytes,
			   size_t size, double now)
{
	hel_status st = HEL_OK;
	hel_shared *s = hel_shared_of(f);
	char name[HEL_OBJECT_NAME_MAX + 1];
	place p = {.k = k, .at = at, .size = size, .name = name, .now = now};
	hel_keyset row = {0};
	name_object(name, k, at);
	TRY(hel_objects_put(s->objects, name, bytes, size));
	/* after a failure it may be there all the same, and a row may say so: it is left */
	TRY(hel_pg_run(s->pg, add_piece, &p));
	if (p.moved)
		goto done;
	drop_object(s, name);
	TRY(hel_fleet_find(&row, f, k->id));
	FAIL(HEL_ERANGE, "the upload stands at %llu bytes, or came in more than %d pieces",
	     (unsigned long long)row.have, PIECES_MAX);
done:
	hel_free(row.request);
	return st;
}

/* --- the whole ---------------------------------------------------------------------------- */

typedef struct part {
	int fd;
	uint64_t begin, size, end;
} part;

static hel_status write_part(void *arg, uint64_t at, const void *bytes, size_t size)
{
	part *p = arg;
	const uint8_t *from = bytes;
	if (at > p->size || size > p->size - at)
		return hel_fail(HEL_ETRUNC, "an object is larger than it was");
	p->end = at + size;
	while (size) {
		const ssize_t n = pwrite(p->fd, from, size, (off_t)(p->begin + at));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hel_fail(errno == ENOSPC || errno == EDQUOT ? HEL_ESPACE : HEL_EIO,
					"cannot write keys: %s", strerror(errno));
		from += n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	return HEL_OK;
}

static hel_status list_pieces(PGresult **r, hel_shared *s, const hel_keyset *k)
{
	hel_pg_values v = {0};
	hel_pg_bytes(&v, k->id, sizeof k->id);
	hel_pg_integer(&v, (int64_t)k->generation);
	return hel_pg_once(r, s->pg,
			   "SELECT p.at, p.size, p.name FROM helrm_piece p JOIN helrm_session s"
			   " ON s.id = p.session WHERE s.id = $1 AND s.generation = $2"
			   " AND s.removed = 0 ORDER BY p.at",
			   &v);
}

static bool read_name(char out[HEL_OBJECT_NAME_MAX + 1], const PGresult *r, int row, int column)
{
	size_t size;
	const char *name = hel_pg_get_bytes(&size, r, row, column);
	snprintf(out, HEL_OBJECT_NAME_MAX + 1, "%.*s", (int)HEL_MIN(size, 200u), name);
	return size <= HEL_OBJECT_NAME_MAX;
}

hel_status hel_fleet_fetch(hel_fleet *f, const hel_keyset *k, int fd)
{
	hel_status st = HEL_OK;
	hel_shared *s = hel_shared_of(f);
	PGresult *r = NULL;
	uint64_t have = 0;
	TRY(list_pieces(&r, s, k));
	for (int i = 0; i < PQntuples(r); i++) {
		char name[HEL_OBJECT_NAME_MAX + 1];
		part p = {.fd = fd,
			  .begin = (uint64_t)hel_pg_get_integer(r, i, 0),
			  .size = (uint64_t)hel_pg_get_integer(r, i, 1)};
		if (p.begin != have || p.size > k->bytes - have || !read_name(name, r, i, 2))
			FAIL(HEL_ETRUNC, "rows of pieces make no whole");
		TRY(hel_objects_get(s->objects, name, write_part, &p));
		if (p.end != p.size)
			FAIL(HEL_ETRUNC, "an object is smaller than it was");
		have += p.size;
	}
	if (!PQntuples(r))
		FAIL(HEL_EDENIED, "the session was removed, or its upload began anew");
	if (have != k->bytes || ftruncate(fd, (off_t)have))
		FAIL(HEL_ETRUNC, "the upload is not complete");
done:
	PQclear(r);
	return st;
}

/* --- verdicts ----------------------------------------------------------------------------- */

typedef struct verdict {
	place place; /* of the whole as one object; name "" where it is one already */
	PGresult *old;
	bool counts;
} verdict;

static hel_status delete_pieces(PGresult **old, hel_pg_tx *t, const hel_keyset *k)
{
	hel_pg_values v = {0};
	hel_pg_bytes(&v, k->id, sizeof k->id);
	PQclear(*old);
	*old = NULL;
	return hel_pg_query(old, t, "DELETE FROM helrm_piece WHERE session = $1 RETURNING name",
			    &v);
}

static hel_status insert_whole(hel_pg_tx *t, const place *p)
{
	hel_pg_values v = {0};
	hel_pg_bytes(&v, p->k->id, sizeof p->k->id);
	hel_pg_integer(&v, (int64_t)p->size);
	hel_pg_text(&v, p->name);
	return hel_pg_query(NULL, t, "INSERT INTO helrm_piece VALUES ($1, 0, $2, $3)", &v);
}

static hel_status say_ready(hel_pg_tx *t, void *arg)
{
	hel_status st = HEL_OK;
	verdict *d = arg;
	const hel_keyset *k = d->place.k;
	PGresult *r = NULL;
	hel_pg_values v = {0};
	hel_pg_bytes(&v, k->id, sizeof k->id);
	hel_pg_integer(&v, (int64_t)k->generation);
	hel_pg_bytes(&v, k->client, sizeof k->client);
	hel_pg_real(&v, d->place.now);
	TRY(hel_pg_query(
	    &r, t,
	    "UPDATE helrm_session SET ready = 1, client = $3, used = greatest(used, $4)"
	    " WHERE id = $1 AND generation = $2 AND removed = 0 AND ready = 0"
	    " AND have = bytes",
	    &v));
	d->counts = strcmp(PQcmdTuples(r), "1") == 0;
	if (d->counts && *d->place.name) {
		TRY(delete_pieces(&d->old, t, k));
		TRY(insert_whole(t, &d->place));
	} else if (!d->counts && *d->place.name) {
		TRY(is_named(&d->counts, t, &d->place));
	}
done:
	PQclear(r);
	return st;
}

static void drop_objects(hel_shared *s, const PGresult *names)
{
	for (int i = 0; names && i < PQntuples(names); i++) {
		char name[HEL_OBJECT_NAME_MAX + 1];
		if (read_name(name, names, i, 0))
			drop_object(s, name);
	}
}

hel_status hel_fleet_ready(hel_fleet *f, const hel_keyset *k, const void *bytes, double now)
{
	hel_status st = HEL_OK;
	hel_shared *s = hel_shared_of(f);
	char name[HEL_OBJECT_NAME_MAX + 1] = "";
	verdict d = {.place = {.k = k, .size = k->bytes, .name = name, .now = now}};
	PGresult *pieces = NULL;
	hel_keyset row = {0};
	TRY(list_pieces(&pieces, s, k));
	if (PQntuples(pieces) > 1) {
		name_object(name, k, 0);
		TRY(hel_objects_put(s->objects, name, bytes, k->bytes));
	}
	TRY(hel_pg_run(s->pg, say_ready, &d));
	if (!d.counts) { /* another server judged it before, or it is gone */
		if (*name)
			drop_object(s, name);
		TRY(hel_fleet_find(&row, f, k->id));
		if (row.state != HEL_KEYSET_READY || row.generation != k->generation)
			FAIL(HEL_EDENIED, "the session was removed, or its upload began anew");
	} else {
		drop_objects(s, d.old);
	}
done:
	hel_free(row.request);
	PQclear(d.old);
	PQclear(pieces);
	return st;
}

static hel_status begin_anew(hel_pg_tx *t, void *arg)
{
	hel_status st = HEL_OK;
	verdict *d = arg;
	PGresult *r = NULL;
	hel_pg_values v = {0};
	hel_pg_bytes(&v, d->place.k->id, sizeof d->place.k->id);
	hel_pg_integer(&v, (int64_t)d->place.k->generation);
	hel_pg_real(&v, d->place.now);
	TRY(hel_pg_query(&r, t,
			 "UPDATE helrm_session SET ready = 0, have = 0, pieces = 0, opened = $3,"
			 " used = $3, generation = generation + 1 WHERE id = $1 AND generation = $2"
			 " AND removed = 0",
			 &v));
	if (strcmp(PQcmdTuples(r), "1") == 0)
		TRY(delete_pieces(&d->old, t, d->place.k));
done:
	PQclear(r);
	return st;
}

hel_status hel_fleet_restart(hel_fleet *f, const hel_keyset *k, double now)
{
	hel_shared *s = hel_shared_of(f);
	verdict d = {.place = {.k = k, .now = now}};
	const hel_status st = hel_pg_run(s->pg, begin_anew, &d);
	if (st == HEL_OK)
		drop_objects(s, d.old);
	PQclear(d.old);
	return st;
}
