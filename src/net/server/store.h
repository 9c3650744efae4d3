/* store.h -- registry.c: the rows behind store.c. All calls may come from any thread. */
#ifndef HEL_STORE_H
#define HEL_STORE_H

#include "service.h"

typedef struct hel_registry hel_registry;

/** Creates or opens the database. A change is on disk when its call returns.
 *  @retval HEL_EVERSION made by a newer helrm. */
HEL_CHECKED hel_status hel_registry_open(hel_registry **out, const char *path);
void hel_registry_close(hel_registry *r);
/** Every row; `row` is borrowed, its `have` not known. */
HEL_CHECKED hel_status hel_registry_each(hel_registry *r,
					 hel_status (*fn)(void *arg, const hel_keyset *row),
					 void *arg);
HEL_CHECKED hel_status hel_registry_add(hel_registry *r, const hel_keyset *k);
HEL_CHECKED hel_status hel_registry_ready(hel_registry *r, const uint8_t id[HEL_SESSION_ID_BYTES],
					  const uint8_t client[HEL_CLIENT_ID_BYTES], int64_t used);
HEL_CHECKED hel_status hel_registry_used(hel_registry *r, const uint8_t id[HEL_SESSION_ID_BYTES],
					 int64_t used);
HEL_CHECKED hel_status hel_registry_remove(hel_registry *r, const uint8_t id[HEL_SESSION_ID_BYTES]);
/** Names of the files of a directory; the caller frees them. */
size_t hel_registry_files(char (**names)[64], int dir);

#endif
