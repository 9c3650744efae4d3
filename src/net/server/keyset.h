/* keyset.h -- key sets on disk, with SQLite as their registry.
 *
 * A *session* is a client's access, by an unguessable token, to one *key set*: the evaluation keys
 * it uploaded, for one parameter set and any number of models. docs/internals/key-sets.md has their
 * states.
 */
#ifndef HEL_SERVER_KEYSET_H
#define HEL_SERVER_KEYSET_H

#include "budget.h"
#include "ckks/ckks.h"
#include "counters.h"
#include "prog/prog.h"
#include "settings.h"

typedef struct hel_store hel_store;

#define HEL_SESSION_ID_BYTES 16
#define HEL_TOKEN_BYTES (HEL_SESSION_ID_BYTES + 32) /* id, then what proves access to it */
#define HEL_TOKEN_CHARS (2 * HEL_TOKEN_BYTES)
#define HEL_API_KEY_NAME_MAX 32
#define HEL_ADDRESS_MAX 63

typedef enum hel_keyset_state { HEL_KEYSET_UPLOADING, HEL_KEYSET_READY } hel_keyset_state;

/** Who opens a session. */
typedef struct hel_opener {
	char api_key[HEL_API_KEY_NAME_MAX + 1]; /* the key's name, "" where none are asked for */
	char address[HEL_ADDRESS_MAX + 1];
	uint64_t sessions, bytes; /* most of this API key; 0: no limit of its own */
} hel_opener;

/** One client's evaluation keys. Counted; removed ones live until their last use ends. Fields below
 *  the line belong to the store; the others never change. Times are seconds of the store's clock,
 *  which counts what servers on this data were up, whatever the wall clock does. */
typedef struct hel_keyset {
	uint8_t id[HEL_SESSION_ID_BYTES];
	uint8_t fingerprint[HEL_HASH_BYTES];
	size_t count;
	hel_key_request *request;
	uint64_t bytes, expanded; /* of the upload, of its form for use without its checksum */
	uint64_t generation;	  /* in a fleet: which upload of this session; alone: 0 */
	double opened;
	hel_opener opener; /* its address is not kept over a restart */
	/* --- */
	uint8_t proof[HEL_HASH_BYTES]; /* hash of the token's second part */
	uint8_t client[HEL_CLIENT_ID_BYTES];
	hel_keyset_state state;
	uint64_t have, held; /* of the upload on disk; of the quota, with the form for use */
	uint64_t local;	     /* in a fleet: how much of the upload is in this server's file */
	double used, used_on_disk;
	unsigned refs, users; /* users: of the mapping */
	bool busy, dead;
	bool lost; /* its files were damaged: uploading again */
	hel_bucket rate;
	struct hel_mapping *map;
	hel_keys *keys;
	struct hel_keyset *next;
} hel_keyset;

HEL_CHECKED hel_status hel_store_open(hel_store **out, const hel_settings *settings,
				      hel_counters *metrics);
void hel_store_close(hel_store *s);
/** A new key set of exactly these keys, empty; on disk when this returns. `token`: room for
 *  HEL_TOKEN_CHARS + 1.
 *  @retval HEL_ELIMIT larger than the operator allows.
 *  @retval HEL_EBUSY  this opener has too many unfinished uploads.
 *  @retval HEL_ESPACE no disk, no quota that may be evicted. */
HEL_CHECKED hel_status hel_store_create(hel_keyset **out, char *token, hel_store *s,
					const hel_params *params, const hel_key_request *request,
					size_t count, const hel_opener *opener);
/** The key set a token gives access to, counted.
 *  @retval HEL_EDENIED it gives none; in the same time. @retval HEL_EBUSY nobody can tell now. */
HEL_CHECKED hel_status hel_store_find(hel_keyset **out, hel_store *s, const char *token);
/** The same, for those who ask the fleet themselves before anything depends on it: a key set that
 * is complete here is not asked for. */
HEL_CHECKED hel_status hel_store_find_here(hel_keyset **out, hel_store *s, const char *token);
void hel_keyset_hold(hel_store *s, hel_keyset *k);
void hel_keyset_release(hel_store *s, hel_keyset *k);
/** Where the upload stands. *lost (may be NULL): it was complete once, and its files were damaged.
 */
hel_keyset_state hel_keyset_progress(hel_store *s, const hel_keyset *k, uint64_t *have, bool *lost);

/** Begins to write at `offset`, which must be where the upload stands; *fd takes the bytes.
 *  @retval HEL_ERANGE another offset is expected. @retval HEL_EBUSY another request writes.
 *  @retval HEL_EDENIED the session was removed. */
HEL_CHECKED hel_status hel_store_write_begin(int *fd, hel_store *s, hel_keyset *k, uint64_t offset);
/** Takes quota for bytes that have arrived, from others where it must.
 *  @retval HEL_ESPACE there is none. */
HEL_CHECKED hel_status hel_store_reserve(hel_store *s, hel_keyset *k, uint64_t bytes);
/** Ends it after `written` bytes, which then are on disk; with `params`, checks and expands a
 *  complete upload, which takes about 20 ms per MB.
 *  @retval HEL_EHASH, ... the upload is bad and starts again from 0.
 *  @retval HEL_EDENIED the session was removed meanwhile. */
HEL_CHECKED hel_status hel_store_write_end(hel_store *s, hel_keyset *k, int fd, uint64_t written,
					   const hel_params *params);

/** The keys ready for use, mapped read-only, until hel_store_keys_done. What is damaged is made
 *  again from the upload.
 *  @retval HEL_EKEY    the upload is damaged, too: it is empty now, and can be sent again.
 *  @retval HEL_EDENIED the session was removed. @retval HEL_ECANCEL *stop was set. */
HEL_CHECKED hel_status hel_store_keys(const hel_keys **out, hel_store *s, hel_keyset *k,
				      const hel_params *params, const atomic_bool *stop);
/** True: they were damaged while they were used, and what was computed is worth nothing. */
bool hel_store_keys_done(hel_store *s, hel_keyset *k);
/** Lets those who wait in hel_store_keys look at their `stop`. */
void hel_store_interrupt(hel_store *s);

/** Removes a key set: the token is void and the files are gone when this returns.
 *  @retval HEL_EBUSY the registry of the fleet cannot be reached: nothing was done. */
HEL_CHECKED hel_status hel_store_remove(hel_store *s, hel_keyset *k);
/** What other servers share with it; NULL: it is alone. */
struct hel_fleet *hel_store_fleet(const hel_store *s);
/** Seconds of the store's clock. */
double hel_store_clock(hel_store *s);
/** A fleet's key set by its id, counted, for a query that another server accepted. */
HEL_CHECKED hel_status hel_store_find_id(hel_keyset **out, hel_store *s,
					 const uint8_t id[HEL_SESSION_ID_BYTES]);
/** Times to live, times of use to disk; `now`: of a clock that never goes back. */
void hel_store_sweep(hel_store *s, double now);
void hel_store_gauges(hel_store *s, hel_gauges *g);
/** Seconds until the session may ask again; 0: now. Marks it as used. */
double hel_keyset_rate(hel_store *s, hel_keyset *k, uint64_t per_minute);

#endif
