/* catalog.h -- the models in service: which there are (catalog.c), their weights (loading.c). */
#ifndef HEL_SERVER_CATALOG_H
#define HEL_SERVER_CATALOG_H

#include "budget.h"
#include "counters.h"
#include "server.h"
#include "settings.h"
#include <pthread.h>
#include <stdatomic.h>

typedef struct hel_catalog hel_catalog;

#define HEL_ROUTE_NAME_MAX 64

/** One version of one model. Counted: a replaced one lives until its last query ends. */
typedef struct hel_model {
	char name[HEL_ROUTE_NAME_MAX + 1];
	hel_manifest *manifest;
	uint8_t *manifest_bytes;
	size_t manifest_size;
	const hel_params *params;   /* shared by all models and key sets of one fingerprint */
	size_t query_bytes;	    /* of every valid query made with the secret key, to the byte */
	size_t contributed_bytes;   /* of one made under the public key */
	size_t candidates_bytes;    /* that a query may have more, where it may name items */
	atomic_size_t result_bytes; /* of a ranking of all items, where there is a catalogue */
	size_t run_bytes;	    /* memory estimate of one evaluation */
	/* catalog.c's own */
	hel_catalog *catalog;
	char *path;
	struct timespec changed;
	uint64_t inode, bytes;
	unsigned refs;
	pthread_mutex_t loading;
	hel_server *server;
	size_t weight_bytes; /* encoded, and the program: mapped pages count, runs need them */
	uint8_t program[HEL_HASH_BYTES]; /* hash of the file */
	bool prepared;			 /* its cache was looked for; the keeper's alone */
	struct hel_stock *stock;	 /* its catalogue of items (stock.h), under the lock */
	struct timespec stocked; /* of the file that was looked at last; the keeper's alone */
	uint64_t stock_inode;
	hel_scratch **idle; /* one per evaluation that ran at the same time */
	size_t idle_count;
	unsigned users;		/* evaluations that run over the weights now */
	double used;		/* when last */
	_Atomic double seconds; /* what an evaluation takes; read under other locks */
} hel_model;

HEL_CHECKED hel_status hel_catalog_open(hel_catalog **out, const hel_settings *settings,
					hel_budget *budget, hel_counters *metrics, hel_pool *pool);
void hel_catalog_close(hel_catalog *c);
/** Looks at the directory now; a thread does so every `reload_seconds`. It takes in new and changed
 *  files and drops removed ones; a bad file is refused, logged, and the version in service stays.
 */
void hel_catalog_look(hel_catalog *c);
/** Ends that thread, and loads wherever they are going on. */
void hel_catalog_stop(hel_catalog *c);
/** A sentence about files that were refused, "" when there are none. */
void hel_catalog_refusals(char *out, size_t size, hel_catalog *c);
/** Can a query of so many bytes be one for this model? */
bool hel_model_takes(const hel_model *m, uint64_t bytes);
/** A counted model, NULL when there is none of exactly that name; versions.h finds one for a
 *  client. */
hel_model *hel_catalog_find(hel_catalog *c, const char *name);
/** The same, counted once more. */
hel_model *hel_model_hold(hel_model *m);
void hel_model_release(hel_model *m);
/** All of them, counted; the caller releases each and frees the array. */
HEL_CHECKED hel_status hel_catalog_all(hel_model ***out, size_t *count, hel_catalog *c);
/** Parameters by fingerprint, NULL when no model had them yet. They live as long as the catalog. */
const hel_params *hel_catalog_params(hel_catalog *c, const uint8_t fingerprint[HEL_HASH_BYTES]);
/** The model ready to run, until hel_model_done: loaded now if it is not, others unloaded if memory
 *  asks for it.
 *  @retval HEL_EBUSY no memory, or its file is just being replaced. */
HEL_CHECKED hel_status hel_model_ready(const hel_server **out, hel_model *m);
/** Scratch for one run. */
hel_scratch *hel_model_scratch(hel_model *m);
/** Takes it back (NULL: there was none) with the seconds it took, 0 for none. True: weights were
 *  damaged while they were used, and what was computed is worth nothing. */
bool hel_model_done(hel_model *m, hel_scratch *scratch, double seconds);
/** Unloads another model that nobody asks now; false when there is none. */
bool hel_model_make_room(hel_model *m);
size_t hel_catalog_loaded(hel_catalog *c);

#endif
