/* planner.h -- what finding candidates, checking them and planning share: the states that stages
 * can end in. Internal.
 */
#ifndef HEL_PLANNER_H
#define HEL_PLANNER_H

#include "price.h"
#include "verdicts.h"

#define HEL_MAX_STATES 128 /* kept per stage, a quarter of each kind */

/* Stages that several read: few states, so that what reads them often agrees. */
#define HEL_SHARED_STATES 16

/* One way a stage can end: a layout, how it was packed, and what that is worth with all before it.
 */
typedef struct state {
	double value, own; /* own: of the stage alone */
	size_t inputs, own_inputs;
	int16_t *chosen; /* of each stage: the state that this one stands on, itself included; -1 */
	bool complete;	 /* no slot of the result holds garbage */
	uint64_t result; /* hel_digest of it */
	uint64_t columns; /* of a lookup: which of them outputs are, the same way; 0 */
	hel_packing packing;
} state;

typedef struct planner {
	pricing price;
	const hel_stages *s;
	const hel_params *params;
	unsigned log_slots;
	state *states;	 /* [stage][HEL_MAX_STATES] */
	int16_t *chosen; /* [stage][HEL_MAX_STATES][stage] */
	size_t *count;	 /* per stage */
	size_t *readers; /* per stage */
	size_t shared_states;
	unsigned beside; /* diagonal bits of computed sources that share no giant steps, at most */
	hel_blocks **blocks; /* of all candidates that were considered: theirs to borrow */
	size_t ways, room;
	int32_t *scratch;
	hel_verdicts *verdicts; /* borrowed */
} planner;

static inline uint32_t all_bits(const planner *p)
{
	return (1u << p->log_slots) - 1;
}

static inline uint32_t conjugate_bit(const planner *p)
{
	return 1u << p->log_slots;
}

static inline state *state_at(const planner *p, int stage, int index)
{
	return p->states + (size_t)stage * HEL_MAX_STATES + index;
}

#endif
