/* emit.h -- the ops of a plan. */
#ifndef HEL_EMIT_H
#define HEL_EMIT_H

#include "plan.h"
#include "prog/prog.h"

/** The program without manifest details that only the shape machine knows. */
HEL_CHECKED hel_status hel_emit(hel_program **out, const hel_stages *s, const hel_plan *plan,
				const hel_params *params);

#endif
