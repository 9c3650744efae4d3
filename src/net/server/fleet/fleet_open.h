/* fleet_open.h -- a fleet over PostgreSQL and an object store, and its inside. */
#ifndef HEL_FLEET_OPEN_H
#define HEL_FLEET_OPEN_H

#include "net/server/fleet.h"
#include "object_store.h"
#include "postgresql.h"

HEL_CHECKED hel_status hel_fleet_open(hel_fleet **out, const hel_settings *settings,
				      hel_counters *metrics);

/* --- inside ------------------------------------------------------------------------------- */

typedef struct hel_shared {
	hel_fleet fleet;
	const hel_settings *settings;
	hel_counters *metrics;
	hel_pg *pg;
	hel_objects *objects;
	uint8_t server[16]; /* this one, since it started */
} hel_shared;

static inline hel_shared *hel_shared_of(hel_fleet *f)
{
	return (hel_shared *)f;
}

/** fleet_tables.c: brings the tables (helrm_*) up to date.
 *  @retval HEL_EVERSION they belong to a newer helrm. */
hel_status hel_fleet_tables(hel_pg *pg);
/* sessions.c */
hel_status hel_fleet_find(hel_keyset *row, hel_fleet *f, const uint8_t id[HEL_SESSION_ID_BYTES]);
hel_status hel_fleet_create(hel_fleet *f, const hel_keyset *k);
hel_status hel_fleet_remove(hel_fleet *f, const uint8_t id[HEL_SESSION_ID_BYTES], double now);
hel_status hel_fleet_used(hel_fleet *f, const uint8_t id[HEL_SESSION_ID_BYTES], double used);
/* uploads.c */
hel_status hel_fleet_piece(hel_fleet *f, const hel_keyset *k, uint64_t at, const void *bytes,
			   size_t size, double now);
hel_status hel_fleet_fetch(hel_fleet *f, const hel_keyset *k, int fd);
hel_status hel_fleet_ready(hel_fleet *f, const hel_keyset *k, const void *bytes, double now);
hel_status hel_fleet_restart(hel_fleet *f, const hel_keyset *k, double now);
/* job_rows.c */
hel_status hel_fleet_job_begin(bool *mine, hel_claim *c, hel_fleet *f);
hel_status hel_fleet_job_keep(hel_fleet *f, const hel_claim *c, const void *query, size_t size);
hel_status hel_fleet_job_end(hel_fleet *f, const hel_claim *c, hel_status status,
			     const char *detail, const void *result, size_t size);
hel_status hel_fleet_job_give(hel_fleet *f, const hel_claim *c);
hel_status hel_fleet_job_look(hel_outcome *o, hel_fleet *f, const hel_claim *c);
hel_status hel_fleet_job_cancel(hel_fleet *f, const hel_claim *c);
hel_status hel_fleet_job_take(hel_claim *c, hel_writer *query, hel_fleet *f);
/** Rows and objects that nobody needs any more. */
hel_status hel_fleet_sweep_jobs(hel_shared *s, double now);
/* collect.c: objects of sessions that have no row, as after an older backup was restored; once a
 * day, by one server. */
hel_status hel_fleet_collect(hel_shared *s, double now);
/* sweep.c */
hel_status hel_fleet_clock(double *seconds, hel_fleet *f);
hel_status hel_fleet_tick(double *clock, hel_fleet *f, double now);

/** One of each statement's ends that removes sessions: RETURNING, and what the audit log says. */
#define HEL_AUDIT_GONE(event)                                                                      \
	" RETURNING id, api_key, address), noted AS (INSERT INTO helrm_audit (event, session,"     \
	" api_key, address) SELECT '" event "', left(encode(id, 'hex'), 8), api_key, address"      \
	" FROM gone)"

/** "keys/SESSION/", where all of its objects are. */
void hel_fleet_prefix(char out[HEL_OBJECT_NAME_MAX + 1], const uint8_t id[HEL_SESSION_ID_BYTES]);

#endif
