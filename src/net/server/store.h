/* store.h -- inside the store: store.c (the table of key sets), upload.c (their files), registry.c
 * (their rows). All calls may come from any thread. */
#ifndef HEL_STORE_H
#define HEL_STORE_H

#include "keyset.h"
#include <pthread.h>

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

/* The number changes with the form keys are used in: old files are then made anew. */
#define HEL_STORE_UPLOADED ".keys"
#define HEL_STORE_EXPANDED ".use1"
#define HEL_STORE_PARTIAL ".part"

#define HEL_STORE_BUCKETS 4096u

struct hel_store {
	const hel_settings *settings;
	hel_counters *metrics;
	hel_registry *registry;
	int dir, lock_file;
	pthread_mutex_t lock; /* of all below; never held while a file or the registry is written */
	hel_keyset *bucket[HEL_STORE_BUCKETS];
	size_t count, ready, mapped;
	uint64_t disk; /* reserved by all key sets: upload and expanded form */
};

int64_t hel_store_now(void);
void hel_store_file_name(char out[64], const hel_keyset *k, const char *suffix);
/** HEL_ESPACE or HEL_EIO, by errno. */
hel_status hel_store_disk_failure(const char *what);
/** Row and files. The row first: files without one are orphans, which the next start removes. */
void hel_store_remove_files(hel_store *s, const hel_keyset *k);

/* --- upload.c ---------------------------------------------------------------------------- */

/** One request at a time changes a key set's files. @retval HEL_EBUSY another one does. */
HEL_CHECKED hel_status hel_store_claim(hel_store *s, hel_keyset *k);
void hel_store_unclaim(hel_store *s, hel_keyset *k, uint64_t have);
/** Checks a complete upload and writes its form for use; both are on disk afterwards. */
HEL_CHECKED hel_status hel_store_expand(hel_store *s, hel_keyset *k, const hel_params *params);

#endif
