/* loaded.h -- a program ready to run: its weights encoded, in memory or mapped from a file
 * (docs/internals/loaded-weights.md).
 */
#ifndef HEL_VM_LOADED_H
#define HEL_VM_LOADED_H

#include "ckks/ckks.h"
#include "prog/prog.h"
#include <stdatomic.h>

/** A program with its weights encoded, each at its levels only: shared by any number of runs. */
typedef struct hel_loaded hel_loaded;

/** Where the weights are. */
typedef enum hel_weights_origin {
	HEL_WEIGHTS_IN_MEMORY, /* encoded now */
	HEL_WEIGHTS_WRITTEN,   /* encoded now into a file, and mapped */
	HEL_WEIGHTS_MAPPED,    /* mapped from a file: pages that processes share */
} hel_weights_origin;

typedef struct hel_load_options {
	const char *cache;	 /* a file of encoded weights to map, made when needed; or NULL */
	bool cache_only;	 /* fail rather than do without it */
	hel_progress *progress;	 /* begun by the caller; or NULL */
	const atomic_bool *stop; /* loading ends with HEL_ECANCEL once it is set; or NULL */
} hel_load_options;

/** Loads a program that was read or written. A cache that is missing, damaged, or made for another
 *  program, other parameters or by another encoder is made anew, all or nothing; one that cannot be
 *  written is done without, and hel_loaded_note says why. Any number of processes may open one at
 *  the same time; one makes it. A file that is no cache is left alone.
 *  Cost: encoding, or with a valid cache reading and hashing it; both on the pool. */
HEL_CHECKED hel_status hel_loaded_open(hel_loaded **out, const hel_program *p,
				       const hel_params *params, hel_pool *pool,
				       const hel_load_options *o);
/** The same in memory. */
HEL_CHECKED hel_status hel_loaded_new(hel_loaded **out, const hel_program *p,
				      const hel_params *params, hel_pool *pool);
/** Starts to read mapped weights from disk, and returns at once; lets them go again. For programs
 *  whose weights are larger than memory, one of which is read while another runs. Nothing to do for
 *  weights in memory. */
void hel_loaded_prefetch(const hel_loaded *l);
void hel_loaded_release(const hel_loaded *l);
void hel_loaded_free(hel_loaded *l);
/** Of all weights. */
size_t hel_loaded_bytes(const hel_loaded *l);
hel_weights_origin hel_loaded_origin(const hel_loaded *l);
const char *hel_weights_origin_text(hel_weights_origin origin);
/** Was a weight used that its mapped file does not hold any more? What ran since is worth nothing.
 */
bool hel_loaded_damaged(const hel_loaded *l);
/** Why the cache is not used or was made anew, "" when there is nothing to say. */
const char *hel_loaded_note(const hel_loaded *l);
/** hel_loaded_bytes before it is loaded. */
HEL_CHECKED hel_status hel_ckks_weight_bytes(size_t *out, const hel_program *p,
					     const hel_params *params);

#endif
