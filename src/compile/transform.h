/* transform.h -- a packed stage as the linear transform that circuit derives weights from. */
#ifndef HEL_TRANSFORM_H
#define HEL_TRANSFORM_H

#include "circuit/circuit.h"
#include "packing.h"

/** A packed stage as a linear transform of its packed sources, with all that belongs to it. */
typedef struct hel_transform {
	hel_linear t;
	hel_linear_source *source; /* one per packed source */
	int32_t *maps, *columns;
	hel_complex *matrix; /* of one lookup at a time */
} hel_transform;

/** parent[i]: the packing of source i where that is computed. Matrices are the first factor's;
 * those of lookups are not there before hel_transform_lookup. Cost: a few passes over the slots per
 * source. */
HEL_CHECKED hel_status hel_transform_new(hel_transform **out, const hel_stage *s,
					 const hel_packing *k,
					 const hel_packing *const parent[HEL_MAX_SOURCES],
					 unsigned log_slots);
/** Fills the matrix of packed source number `source` of a lookup, in one of its selections, in
 * place of any other's. */
HEL_CHECKED hel_status hel_transform_lookup(hel_transform *p, const hel_packing *k, size_t source,
					    size_t selection);
/** Another factor's matrices; those that it has not are NULL. */
void hel_transform_factor(hel_transform *p, const hel_stage *s, const hel_packing *k,
			  size_t factor);
void hel_transform_free(hel_transform *p);

#endif
