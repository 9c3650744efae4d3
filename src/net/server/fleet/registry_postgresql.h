/* registry_postgresql.h -- the registry of a fleet. */
#ifndef HEL_REGISTRY_POSTGRESQL_H
#define HEL_REGISTRY_POSTGRESQL_H

#include "net/server/registry.h"
#include "postgresql.h"

/** Connects, and brings the tables (helrm_*) up to date. `where`: a connection string of libpq.
 *  @retval HEL_EVERSION they belong to a newer helrm. @retval HEL_EIO no connection. */
HEL_CHECKED hel_status hel_registry_postgresql(hel_registry **out, const char *where);

/* For those who share more than these rows. */
hel_pg *hel_registry_database(hel_registry *r);
#define HEL_SESSION_COLUMNS                                                                        \
	"id, proof, client, fingerprint, keys, bytes, expanded, ready, opened, used, api_key"
/** A row of these columns; its `request` is the caller's, also after a failure.
 *  @retval HEL_EFORMAT it makes no sense. */
HEL_CHECKED hel_status hel_registry_read_postgresql(hel_keyset *row, const PGresult *r, int at);

#endif
