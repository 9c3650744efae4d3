/* Sessions that all servers know. */
#include "fleet_open.h"
#include <sodium.h>
#include <string.h>

#define UNFINISHED_SLOW 10 /* seconds an upload may be slower than any request may be */

void hel_fleet_prefix(char out[HEL_OBJECT_NAME_MAX + 1], const uint8_t id[HEL_SESSION_ID_BYTES])
{
	char hex[2 * HEL_SESSION_ID_BYTES + 1];
	sodium_bin2hex(hex, sizeof hex, id, HEL_SESSION_ID_BYTES);
	snprintf(out, HEL_OBJECT_NAME_MAX + 1, "keys/%s/", hex);
}

static hel_field field(const PGresult *r, int column)
{
	hel_field f;
	f.bytes = hel_pg_get_bytes(&f.size, r, 0, column);
	return f;
}

hel_status hel_fleet_find(hel_keyset *row, hel_fleet *f, const uint8_t id[HEL_SESSION_ID_BYTES])
{
	hel_status st = HEL_OK;
	PGresult *r = NULL;
	hel_pg_values v = {0};
	hel_pg_bytes(&v, id, HEL_SESSION_ID_BYTES);
	TRY(hel_pg_once(&r, hel_shared_of(f)->pg,
			"SELECT id, proof, client, fingerprint, keys, bytes, expanded, ready,"
			" opened, used, api_key, have, generation FROM helrm_session"
			" WHERE id = $1 AND removed = 0",
			&v));
	if (!PQntuples(r))
		FAIL(HEL_EDENIED, "the session was removed");
	TRY(hel_registry_read(row, &(hel_registry_fields){
				       .id = field(r, 0),
				       .proof = field(r, 1),
				       .client = field(r, 2),
				       .fingerprint = field(r, 3),
				       .keys = field(r, 4),
				       .bytes = hel_pg_get_integer(r, 0, 5),
				       .expanded = hel_pg_get_integer(r, 0, 6),
				       .ready = hel_pg_get_integer(r, 0, 7),
				       .opened = hel_pg_get_real(r, 0, 8),
				       .used = hel_pg_get_real(r, 0, 9),
				       .api_key = field(r, 10),
				   }));
	row->have = (uint64_t)hel_pg_get_integer(r, 0, 11);
	row->generation = (uint64_t)hel_pg_get_integer(r, 0, 12);
	if (row->have > row->bytes)
		FAIL(HEL_EFORMAT, "a row with more bytes than there are");
done:
	PQclear(r);
	return st;
}

/* Servers tell it late, and in any order. */
hel_status hel_fleet_used(hel_fleet *f, const uint8_t id[HEL_SESSION_ID_BYTES], double used)
{
	hel_pg_values v = {0};
	hel_pg_bytes(&v, id, HEL_SESSION_ID_BYTES);
	hel_pg_real(&v, used);
	return hel_pg_once(NULL, hel_shared_of(f)->pg,
			   "UPDATE helrm_session SET used = greatest(used, $2) WHERE id = $1", &v);
}

/* --- opening ------------------------------------------------------------------------------ */

typedef struct opening {
	const hel_settings *settings;
	const hel_keyset *k;
	hel_status refused; /* the transaction is right, the session is not */
	char why[256];
} opening;

static hel_status refuse(opening *o, hel_status st)
{
	o->refused = st;
	snprintf(o->why, sizeof o->why, "%s", hel_error_detail());
	return HEL_OK;
}

/* Openings by one API key or address follow each other: what they count stays so until they end. */
static hel_status take_turns(hel_pg_tx *t, const hel_opener *o)
{
	hel_status st = HEL_OK;
	const char *const name[] = {o->api_key, o->address};
	for (int i = 0; i < 2 && st == HEL_OK; i++) {
		hel_pg_values v = {0};
		hel_pg_integer(&v, i);
		hel_pg_text(&v, name[i]);
		if (*name[i])
			st = hel_pg_query(
			    NULL, t, "SELECT pg_advisory_xact_lock($1::int, hashtext($2))", &v);
	}
	return st;
}

typedef struct holdings {
	uint64_t here, sessions, bytes, unfinished_key, unfinished_address;
} holdings;

static hel_status count(holdings *h, hel_pg_tx *t, const hel_keyset *k)
{
	hel_status st = HEL_OK;
	PGresult *r = NULL;
	hel_pg_values v = {0};
	hel_pg_bytes(&v, k->id, sizeof k->id);
	hel_pg_text(&v, k->opener.api_key);
	hel_pg_text(&v, k->opener.address);
	TRY(hel_pg_query(
	    &r, t,
	    "SELECT count(*) FILTER (WHERE id = $1),"
	    " count(*) FILTER (WHERE api_key = $2 AND $2 <> ''),"
	    " coalesce(sum(bytes) FILTER (WHERE api_key = $2 AND $2 <> ''), 0)::bigint,"
	    " count(*) FILTER (WHERE ready = 0 AND api_key = $2 AND $2 <> ''),"
	    " count(*) FILTER (WHERE ready = 0 AND address = $3 AND $3 <> '') FROM helrm_session"
	    " WHERE removed = 0 AND (id = $1 OR (api_key = $2 AND $2 <> '')"
	    " OR (ready = 0 AND address = $3 AND $3 <> ''))",
	    &v));
	uint64_t *const out[] = {&h->here, &h->sessions, &h->bytes, &h->unfinished_key,
				 &h->unfinished_address};
	for (int i = 0; i < 5; i++)
		*out[i] = (uint64_t)hel_pg_get_integer(r, 0, i);
done:
	PQclear(r);
	return st;
}

/* One of the opener's own that may go: an unfinished upload that is slow, or what was used longest
 * ago and not within session-keep. */
static hel_status give_up_one(bool *found, hel_pg_tx *t, const opening *o, bool unfinished)
{
	static const char slow[] =
	    "WITH gone AS (UPDATE helrm_session SET removed = $3 WHERE id = (SELECT id FROM "
	    "helrm_session"
	    " WHERE removed = 0 AND ready = 0 AND ((api_key = $1 AND $1 <> '') OR"
	    " (address = $2 AND $2 <> '')) AND $3 - opened >= $4 AND"
	    " have < $5 * ($3 - opened) ORDER BY have / ($3 - opened + 1) LIMIT 1)" HEL_AUDIT_GONE(
		"given up") " SELECT 1 FROM gone";
	static const char old[] =
	    "WITH gone AS (UPDATE helrm_session SET removed = $3 WHERE id = (SELECT id FROM "
	    "helrm_session"
	    " WHERE removed = 0 AND api_key = $1 AND $2::text IS NOT NULL AND $3 - used >= $4"
	    " AND $5::float8 IS NOT NULL ORDER BY ready, used LIMIT 1)" HEL_AUDIT_GONE(
		"given up") " SELECT 1 FROM gone";
	PGresult *r = NULL;
	hel_pg_values v = {0};
	hel_pg_text(&v, o->k->opener.api_key);
	hel_pg_text(&v, o->k->opener.address);
	hel_pg_real(&v, o->k->opened);
	hel_pg_real(&v, unfinished ? UNFINISHED_SLOW : (double)o->settings->session_keep);
	hel_pg_real(&v, 1024 * (double)o->settings->min_rate);
	const hel_status st = hel_pg_query(&r, t, unfinished ? slow : old, &v);
	*found = st == HEL_OK && PQntuples(r) == 1;
	PQclear(r);
	return st;
}

static hel_status insert(hel_pg_tx *t, const hel_keyset *k)
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
	hel_pg_text(&v, k->opener.api_key);
	hel_pg_text(&v, k->opener.address);
	return hel_pg_query(NULL, t,
			    "INSERT INTO helrm_session (id, proof, client, fingerprint, keys,"
			    " bytes, expanded, opened, used, api_key, address)"
			    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10)",
			    &v);
}

/* Makes room until the new one is within what its opener may have. */
static hel_status make_room(hel_pg_tx *t, opening *o)
{
	hel_status st = HEL_OK;
	const hel_opener *who = &o->k->opener;
	for (;;) {
		holdings h;
		bool found;
		TRY(count(&h, t, o->k));
		const bool many = who->sessions && h.sessions >= who->sessions;
		const bool large = who->bytes && h.bytes + o->k->bytes > who->bytes;
		const bool unfinished = h.unfinished_address >= o->settings->unfinished_address ||
					h.unfinished_key >= o->settings->unfinished_key;
		if (!many && !large && !unfinished)
			break;
		TRY(give_up_one(&found, t, o, !many && !large));
		if (found)
			continue;
		if (many || large)
			(void)hel_fail(HEL_ESPACE,
				       "this API key has %llu sessions with %llu MB of keys, more "
				       "than it is allowed with another, and none is old enough to "
				       "be given up",
				       (unsigned long long)h.sessions,
				       (unsigned long long)(h.bytes >> 20));
		else
			(void)hel_fail(HEL_EBUSY,
				       "%llu unfinished uploads of this address, %llu of this API "
				       "key; at most %llu and %llu are allowed",
				       (unsigned long long)h.unfinished_address,
				       (unsigned long long)h.unfinished_key,
				       (unsigned long long)o->settings->unfinished_address,
				       (unsigned long long)o->settings->unfinished_key);
		TRY(refuse(o, many || large ? HEL_ESPACE : HEL_EBUSY));
		break;
	}
done:
	return st;
}

/* The first digits of its id name a session in the log, too. */
static hel_status note(hel_pg_tx *t, const opening *o)
{
	char hex[9];
	hel_pg_values v = {0};
	sodium_bin2hex(hex, sizeof hex, o->k->id, 4);
	hel_pg_text(&v, o->refused == HEL_OK ? "opened" : "refused");
	hel_pg_text(&v, hex);
	hel_pg_text(&v, o->k->opener.api_key);
	hel_pg_text(&v, o->k->opener.address);
	hel_pg_text(&v, o->refused == HEL_OK ? "" : o->why);
	return hel_pg_query(NULL, t,
			    "INSERT INTO helrm_audit (event, session, api_key, address, detail)"
			    " VALUES ($1, $2, $3, $4, $5)",
			    &v);
}

static hel_status open_session(hel_pg_tx *t, void *arg)
{
	hel_status st = HEL_OK;
	opening *o = arg;
	holdings h;
	o->refused = HEL_OK;
	TRY(take_turns(t, &o->k->opener));
	TRY(count(&h, t, o->k));
	if (h.here) /* this transaction, done twice */
		goto done;
	TRY(make_room(t, o));
	if (o->refused == HEL_OK)
		TRY(insert(t, o->k));
	TRY(note(t, o));
done:
	return st;
}

hel_status hel_fleet_create(hel_fleet *f, const hel_keyset *k)
{
	opening o = {.settings = hel_shared_of(f)->settings, .k = k};
	const hel_status st = hel_pg_run(hel_shared_of(f)->pg, open_session, &o);
	if (st != HEL_OK || o.refused == HEL_OK)
		return st;
	return hel_fail(o.refused, "%s", o.why);
}

hel_status hel_fleet_remove(hel_fleet *f, const uint8_t id[HEL_SESSION_ID_BYTES], double now)
{
	hel_pg_values v = {0};
	hel_pg_bytes(&v, id, HEL_SESSION_ID_BYTES);
	hel_pg_real(&v, now > 0 ? now : 1e-9);
	return hel_pg_once(NULL, hel_shared_of(f)->pg,
			   "WITH gone AS (UPDATE helrm_session SET removed = $2 WHERE id = $1 AND "
			   "removed = 0" HEL_AUDIT_GONE("removed") " SELECT 1 FROM gone",
			   &v);
}
