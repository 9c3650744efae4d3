/* emitter.h -- what writing the ops of stages and of lookups shares. Internal. */
#ifndef HEL_EMITTER_H
#define HEL_EMITTER_H

#include "plan.h"
#include "prog/builder.h"
#include "transform.h"

typedef struct emitter {
	hel_builder b; /* slots and vector: of one record */
	const hel_stages *s;
	const hel_plan *plan;
	const hel_params *params;
	uint32_t *result; /* of each stage */
	bool *open;	  /* per stage: its result is a product that nobody has rescaled */
} emitter;

/** Of one record. */
static inline unsigned hel_emitter_log_slots(const emitter *e)
{
	return e->params->spec.log_n - 1u - e->plan->log_batch;
}

/** A stage's packed sources; most: terms there can be. */
HEL_CHECKED hel_status hel_emitter_transform(hel_transform **out, const emitter *e, size_t stage,
					     size_t *most);
/** The terms of one packed source; value: the op it comes from; last: no source has terms after it,
 *  so that one must stay. */
HEL_CHECKED hel_status hel_emitter_terms(emitter *e, hel_op *op, const hel_transform *packed,
					 const hel_packing *k, size_t source, uint32_t value,
					 bool last);

#endif
