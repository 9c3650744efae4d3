/* limits.h -- what options say that a plan must keep. Internal. */
#ifndef HEL_LIMITS_H
#define HEL_LIMITS_H

#include "compile.h"
#include "plan.h"

#define HEL_LIMITS_ATTEMPTS 5 /* to keep within them */

/** Raises what a byte is worth where a limit is exceeded; false when none is. */
bool hel_limits_tighten(hel_objective *o, const hel_compile_report *r,
			const hel_compile_options *limit);
/** HEL_ELIMIT: r is the closest to the limits that was found. */
HEL_CHECKED hel_status hel_limits_unmet(const hel_compile_report *r);
/** Whether every table can travel as it must. */
HEL_CHECKED hel_status hel_limits_codings(const hel_schema *s, const hel_compile_options *o);

#endif
