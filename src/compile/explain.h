/* explain.h -- a plan in words that programs can read. */
#ifndef HEL_EXPLAIN_H
#define HEL_EXPLAIN_H

#include "one_squaring.h"
#include "plan.h"

/** One way and ring that was planned, and what it came to. */
typedef struct hel_alternative {
	hel_way way;
	hel_params_spec spec;
	double value;
	size_t inputs;
} hel_alternative;

#define HEL_MAX_ALTERNATIVES 128

/** JSON for hel_program's plan: the choice among alternatives, and stage by stage. */
HEL_CHECKED hel_status hel_plan_explain(char **out, const hel_stages *s, const hel_plan *plan,
					const hel_params *params, const char *objective,
					const hel_alternative *alternatives, size_t count);
/** The plan says that its stages compute a graph's quadratic form: which nodes, how many squares.
 */
HEL_CHECKED hel_status hel_plan_explain_form(char **plan, const hel_graph *g,
					     const hel_squares *squares);

#endif
