/* attempt.h -- one attempt at a program: searched, drafted, given scales, run dry; again where
 * limits are exceeded or bounds are not proved. Internal.
 */
#ifndef HEL_ATTEMPT_H
#define HEL_ATTEMPT_H

#include "compile.h"
#include "search.h"
#include <math.h>

static inline double hel_wanted_bits(double asked)
{
	return asked > 0 ? asked : 12.5;
}

/* Progress: number so-and-so of what may not be the last of its kind takes this share of what
 * remains. */
#define HEL_NEXT_SHARE 0.6

static inline hel_progress_span hel_one_more(hel_progress *progress, unsigned number)
{
	return hel_progress_within(progress, 1 - pow(1 - HEL_NEXT_SHARE, number),
				   1 - pow(1 - HEL_NEXT_SHARE, number + 1));
}

/** What bytes are worth for a goal. */
hel_objective hel_objective_of(hel_goal goal);
/** The best program within the limits, for which so->objective is raised; *out stays NULL where
 *  nothing fits.
 *  @retval HEL_ELIMIT no plan keeps within the limits; names the closest.
 *  @retval HEL_ERANGE values outgrow the modulus, see hel_dry_run. */
HEL_CHECKED hel_status hel_attempt(hel_program **out, hel_compile_report *report,
				   const hel_compile_options *options, search_options *so);

#endif
