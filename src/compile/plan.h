/* plan.h -- a packing for every stage of a model. */
#ifndef HEL_PLAN_H
#define HEL_PLAN_H

#include "verdicts.h"
#include "vm/cost.h"

/** Why a stage is packed as it is: the best result with another layout or another baby/giant split,
 *  as far as this stage. Slot bits as in hel_packing. */
typedef struct hel_plan_note {
	double value, up_to_here; /* of the stage alone; with all before it */
	bool has_runner_up;
	double runner_up; /* up to here */
	uint32_t out, folds, baby_bits, giant_bits;
	size_t inputs;
} hel_plan_note;

typedef struct hel_plan {
	size_t count;
	hel_packing *packing; /* one per stage */
	hel_plan_note *note;  /* one per stage */
	double value;	      /* estimated seconds on one thread, and what bytes are worth */
	unsigned log_batch;   /* of the manifest */
	size_t inputs;
} hel_plan;

/** What bytes are worth, in seconds: what plans are compared by besides their time. */
typedef struct hel_objective {
	double key_byte, query_byte, memory_byte;
} hel_objective;

/** The cheapest packing of all stages, found by dynamic programming over result layouts. Every
 *  candidate is checked slot by slot (hel_linear_check), unless `verdicts` of earlier plans says
 *  that it is of no use.
 *  @retval HEL_EUNSUPPORTED a layer has more outputs than a record has slots. */
HEL_CHECKED hel_status hel_plan_new(hel_plan **out, const hel_stages *s, const hel_params *params,
				    unsigned log_batch, const hel_objective *objective,
				    const hel_cost_model *machine, hel_verdicts *verdicts);
/** The schema that clients are told: the model's, with the codings of the plan. */
const hel_schema *hel_plan_schema(const hel_plan *plan, const hel_stages *s);
void hel_plan_free(hel_plan *plan);

#endif
