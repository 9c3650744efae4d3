/* registry_postgresql.h -- the registry of a fleet. */
#ifndef HEL_REGISTRY_POSTGRESQL_H
#define HEL_REGISTRY_POSTGRESQL_H

#include "net/server/registry.h"

/** Connects, and brings the tables (helrm_*) up to date. `where`: a connection string of libpq.
 *  @retval HEL_EVERSION they belong to a newer helrm. @retval HEL_EIO no connection. */
HEL_CHECKED hel_status hel_registry_postgresql(hel_registry **out, const char *where);

#endif
