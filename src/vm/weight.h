/* weight.h -- the inside of hel_loaded: weight.c (which weights there are), weights_file.c (where
 * they may be kept), encrypted.c (runs).
 */
#ifndef HEL_VM_WEIGHT_H
#define HEL_VM_WEIGHT_H

#include "base/mapping.h"
#include "circuit/refresh.h"
#include "loaded.h"
#include "vm.h"

/** A vector of the program at one level and for one use: encoded once, whoever needs it. */
typedef struct hel_weight {
	uint32_t vector;
	size_t at; /* its first byte within all */
	hel_pt pt; /* data: borrowed */
} hel_weight;

struct hel_loaded {
	const hel_program *p;
	const hel_params *params;
	hel_fusion *fusion; /* [op] */
	size_t *first;	    /* [op]: where its plaintexts begin in `of` */
	uint32_t *of;	    /* which weight a plaintext is */
	size_t weights;
	hel_weight *weight;
	size_t bytes;					     /* of all weights */
	hel_refresher *refresher[HEL_MAX_LOG_REFRESHED + 1]; /* those that ops name */
	uint32_t *memory;				     /* they are here, */
	hel_mapping *mapping;				     /* or in a mapped file */
	void *map;
	size_t map_bytes;
	hel_weights_origin origin;
	char note[256];
};

/** The level before each op: that at which its weights are multiplied or added. */
void hel_op_levels(unsigned *level, const hel_program *p);

static inline size_t hel_weight_words(const hel_pt *pt)
{
	return pt->params->limbs[pt->level] * pt->params->ring.n;
}

/** Sets first, of, weights, weight and bytes. */
HEL_CHECKED hel_status hel_loaded_find_weights(hel_loaded *l);
/** Tells every weight where its data is. */
void hel_loaded_place(hel_loaded *l, void *data);
/** Encodes one. data: hel_weight_words, undefined on failure. */
HEL_CHECKED hel_status hel_loaded_encode(const hel_loaded *l, size_t weight, uint32_t *data);
/** fn(arg, i) for every weight, on the pool, with progress.
 *  @retval HEL_ECANCEL o->stop was set. */
HEL_CHECKED hel_status hel_loaded_each(const hel_loaded *l, hel_pool *pool,
				       const hel_load_options *o,
				       hel_status (*fn)(void *arg, size_t i), void *arg);

#endif
