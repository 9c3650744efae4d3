/* store.h -- inside the store: store.c (the table of key sets), quota.c (who must go), upload.c
 * (their files), key_mapping.c (their use), store_open.c (a directory), store_shared.c (a fleet's).
 * All calls may come from any thread. */
#ifndef HEL_STORE_H
#define HEL_STORE_H

#include "base/mapping.h"
#include "fleet.h"
#include <pthread.h>

/* Files of another size or checksum, an older helrm's among them, are made anew. */
#define HEL_STORE_UPLOADED ".keys"
#define HEL_STORE_EXPANDED ".use1"
#define HEL_STORE_PARTIAL ".part"

#define HEL_STORE_BUCKETS 4096u

struct hel_store {
	const hel_settings *settings;
	hel_counters *metrics;
	hel_registry *registry; /* of one that is alone; NULL otherwise */
	hel_fleet *fleet;	/* NULL: this server is alone */
	int dir, lock_file;
	pthread_mutex_t lock; /* of all below; never held while a file or the registry is written */
	pthread_cond_t changed; /* a key set is claimed or used no more; somebody shall stop */
	hel_keyset *bucket[HEL_STORE_BUCKETS];
	size_t count, ready, mapped;
	uint64_t disk;		/* what all key sets hold */
	double seconds, looked; /* the store's clock, and the monotonic one when it was looked at */
	double clock_on_disk;
	double hour, expired; /* expiries since then: see quota.c */
	unsigned looked_at;   /* the bucket compared with the fleet's rows last */
};

/** The store's clock. */
double hel_store_now_locked(hel_store *s, double monotonic);
/** The list an id is in, if it is. */
hel_keyset **hel_store_bucket(hel_store *s, const uint8_t id[HEL_SESSION_ID_BYTES]);
void hel_keyset_free(hel_keyset *k);
/** Bytes of the file of the form for use: the keys, then a checksum. */
uint64_t hel_store_expanded_file(const hel_keyset *k);
void hel_store_file_name(char out[64], const hel_keyset *k, const char *suffix);
/** HEL_ESPACE or HEL_EIO, by errno. */
hel_status hel_store_disk_failure(const char *what);
/** Row and files, the files only where a fleet has the row. The row first: files without one are
 * orphans, which the next start removes. */
void hel_store_remove_files(hel_store *s, const hel_keyset *k);
/** In the table and out of it: nobody finds it any more. The caller then ends it with
 *  hel_store_destroy, which takes a reference. */
void hel_store_insert_locked(hel_store *s, hel_keyset *k);
void hel_store_take_out_locked(hel_store *s, hel_keyset *k);
void hel_store_destroy(hel_store *s, hel_keyset *k);

/* --- quota.c ------------------------------------------------------------------------------ */

/** Room for one more key set, which is in the table then, with one reference. */
HEL_CHECKED hel_status hel_quota_admit(hel_store *s, hel_keyset *k);
/** Times of use, and the clock, that are older on disk than so many seconds. */
void hel_store_write_times(hel_store *s, double older_than);

/* --- upload.c ----------------------------------------------------------------------------- */

/** One request at a time changes a key set's files.
 *  @retval HEL_EBUSY another one does. @retval HEL_EDENIED the session was removed. */
HEL_CHECKED hel_status hel_store_claim(hel_store *s, hel_keyset *k);
/** @retval HEL_EDENIED the session was removed meanwhile; its files are gone. */
hel_status hel_store_unclaim(hel_store *s, hel_keyset *k, uint64_t have);
/** Checks a complete upload and writes its form for use; both are on disk afterwards. */
HEL_CHECKED hel_status hel_store_expand(hel_store *s, hel_keyset *k, const hel_params *params);

/* --- store_shared.c: a store whose key sets are a fleet's --------------------------------- */

/** The key set of an id as its row is now, counted, its proof not compared; new in the table where
 *  it was not.
 *  @retval HEL_EDENIED there is none. @retval HEL_EBUSY the registry cannot be reached. */
HEL_CHECKED hel_status hel_shared_find(hel_keyset **out, hel_store *s,
				       const uint8_t id[HEL_SESSION_ID_BYTES]);
/** Puts a piece of a file where all servers see it. */
HEL_CHECKED hel_status hel_shared_put(hel_store *s, hel_keyset *k, int fd, uint64_t at,
				      uint64_t size);
/** All of an upload into its file here. */
HEL_CHECKED hel_status hel_shared_fetch(hel_store *s, hel_keyset *k);
/** What this server found an upload to be. */
HEL_CHECKED hel_status hel_shared_ready(hel_store *s, hel_keyset *k, int fd, double now);
/** The fleet's clock and rows, and those here that are gone there. */
void hel_shared_sweep(hel_store *s, double now);

#endif
