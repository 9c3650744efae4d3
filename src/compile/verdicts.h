/* verdicts.h -- what checks of candidates have found, kept for the plans that follow. A check
 * depends on slots, layouts and rotations, neither on weights nor on prices: other digits, limits
 * and ways to write the model ask again what was asked before.
 */
#ifndef HEL_VERDICTS_H
#define HEL_VERDICTS_H

#include "packing.h"

typedef struct hel_verdict {
	uint64_t result; /* hel_digest of what slots hold, where it is of use */
	bool outputs;	 /* each stands in some slot ... */
	bool everywhere; /* ... the only one in all */
	bool complete;	 /* no slot holds garbage */
} hel_verdict;

typedef struct hel_verdicts hel_verdicts; /* for any number of threads */

HEL_CHECKED hel_status hel_verdicts_new(hel_verdicts **out);
void hel_verdicts_free(hel_verdicts *v);
/** False where nothing is known of a key. */
bool hel_verdicts_find(hel_verdict *out, hel_verdicts *v, uint64_t key);
HEL_CHECKED hel_status hel_verdicts_add(hel_verdicts *v, uint64_t key, const hel_verdict *x);

/** 64 bits that differ where numbers do, but for one pair in 2^64. */
uint64_t hel_digest(const int32_t *number, size_t count);

#endif
