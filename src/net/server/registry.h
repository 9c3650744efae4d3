/* registry.h -- the rows of a lone server's sessions, in SQLite; those of a fleet: fleet.h. A
 * change is durable when its call returns, and calls may come from any thread. */
#ifndef HEL_REGISTRY_H
#define HEL_REGISTRY_H

#include "keyset.h"

typedef struct hel_registry hel_registry;

typedef hel_status hel_registry_row(void *arg, const hel_keyset *row);

/** Opens a file of SQLite. One of an older helrm is brought up to date, one that cannot be is put
 *  aside. @retval HEL_EVERSION made by a newer helrm. */
HEL_CHECKED hel_status hel_registry_open(hel_registry **out, const char *path);
void hel_registry_close(hel_registry *r);
/** Every row; `row` is borrowed, its `have` not known. Rows that make no sense are logged and
 *  removed. */
HEL_CHECKED hel_status hel_registry_each(hel_registry *r, hel_registry_row *fn, void *arg);
HEL_CHECKED hel_status hel_registry_add(hel_registry *r, const hel_keyset *k);
/** Whether it is complete, and since when in use. */
HEL_CHECKED hel_status hel_registry_state(hel_registry *r, const hel_keyset *k,
					  hel_keyset_state state, double used);
HEL_CHECKED hel_status hel_registry_used(hel_registry *r, const uint8_t id[HEL_SESSION_ID_BYTES],
					 double used);
HEL_CHECKED hel_status hel_registry_remove(hel_registry *r, const uint8_t id[HEL_SESSION_ID_BYTES]);
/** The store's clock, as it was written last; the latest time of use where it never was. */
HEL_CHECKED hel_status hel_registry_clock(double *seconds, hel_registry *r);
HEL_CHECKED hel_status hel_registry_set_clock(hel_registry *r, double seconds);

/* --- rows, also a fleet's (fleet/sessions.c) ----------------------------------------------- */

typedef struct hel_field {
	const void *bytes;
	size_t size;
} hel_field;

/** Fields of a row as a database has them, whatever they are. */
typedef struct hel_registry_fields {
	hel_field id, proof, client, fingerprint, keys, api_key;
	int64_t bytes, expanded, ready;
	double opened, used;
} hel_registry_fields;

/** A row of them; its `request` is the caller's to free, also after a failure.
 *  @retval HEL_EFORMAT it makes no sense. */
HEL_CHECKED hel_status hel_registry_read(hel_keyset *row, const hel_registry_fields *f);
/** Says of a row that makes no sense that it is left out. */
void hel_registry_log_lost(const hel_keyset *row);

#endif
