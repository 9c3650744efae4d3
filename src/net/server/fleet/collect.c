/* Objects that no row will ever lead to. A session's row is there before its first object and after
 * its last one: what has none belongs to nobody. */
#include "fleet_open.h"
#include "net/server/log.h"
#include <sodium.h>
#include <string.h>

#define EVERY 86400	/* seconds of the fleet's clock */
#define AUDIT_DAYS "90" /* what the audit log keeps */

typedef struct search {
	hel_shared *s;
	uint8_t id[HEL_SESSION_ID_BYTES]; /* looked up last */
	bool looked, known;
	int64_t removed;
} search;

static hel_status look_up(search *c, const uint8_t id[HEL_SESSION_ID_BYTES])
{
	PGresult *r = NULL;
	hel_pg_values v = {0};
	hel_pg_bytes(&v, id, HEL_SESSION_ID_BYTES);
	const hel_status st =
	    hel_pg_once(&r, c->s->pg, "SELECT 1 FROM helrm_session WHERE id = $1", &v);
	memcpy(c->id, id, sizeof c->id);
	c->looked = st == HEL_OK;
	c->known = c->looked && PQntuples(r) == 1;
	PQclear(r);
	return st;
}

/* Names come session by session. */
static hel_status judge(void *arg, const char *name)
{
	hel_status st = HEL_OK;
	search *c = arg;
	uint8_t id[HEL_SESSION_ID_BYTES];
	size_t size = 0;
	if (strlen(name) < 5 + 2 * sizeof id ||
	    sodium_hex2bin(id, sizeof id, name + 5, 2 * sizeof id, NULL, &size, NULL) ||
	    size != sizeof id)
		return HEL_OK; /* not ours */
	if (!c->looked || memcmp(c->id, id, sizeof id) != 0)
		TRY(look_up(c, id));
	if (c->known)
		goto done;
	TRY(hel_objects_remove(c->s->objects, name));
	c->removed++;
done:
	return st;
}

hel_status hel_fleet_collect(hel_shared *s, double now)
{
	hel_status st = HEL_OK;
	PGresult *r = NULL;
	hel_pg_values v = {0};
	search c = {.s = s};
	hel_pg_real(&v, now);
	hel_pg_real(&v, now - EVERY);
	TRY(hel_pg_once(&r, s->pg,
			"UPDATE helrm_clock SET collected = $1 WHERE collected < $2 RETURNING id",
			&v));
	if (!PQntuples(r)) /* some server did, not long ago */
		goto done;
	TRY(hel_pg_once(NULL, s->pg,
			"DELETE FROM helrm_audit WHERE at < now() - interval '" AUDIT_DAYS " days'",
			NULL));
	TRY(hel_objects_list(s->objects, "keys/", judge, &c));
	hel_log("info", "collected", "{s:I}", "objects", (json_int_t)c.removed);
done:
	PQclear(r);
	return st;
}
