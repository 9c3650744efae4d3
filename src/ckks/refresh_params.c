/* Parameters that a refresh is made for: known to clients, who must not generate keys of a sparse
 * secret for any others. */
#include "params.h"
#include <helrm/refresh.h>
#include <string.h>

hel_status hel_refresh_params(hel_params_spec *out, unsigned log_n, unsigned levels)
{
	if (levels < HEL_REFRESH_LEVELS_MIN || levels > HEL_REFRESH_LEVELS_MAX || log_n < 9 ||
	    log_n > HEL_REFRESH_LOG_N)
		return hel_fail(
		    HEL_EPARAMS,
		    "refreshing with %u levels at N = 2^%u, expected 6 to 10 at 2^9 to 2^15",
		    levels, log_n);
	/* as few digits as 868 bits, 29 primes, allow: 5 of 24 primes, 4 of 23 or 22, 3 of 21 */
	const uint8_t digit = levels == 10 ? 5 : levels >= 8 ? 6 : 7;
	*out = (hel_params_spec){
	    .log_n = (uint8_t)log_n,
	    .levels = (uint8_t)(levels + HEL_REFRESH_SINES + HEL_REFRESH_TRANSFORMS),
	    .primes_per_level = 2,
	    .scale_bits = 30,
	    .alpha = digit,
	    .special = digit,
	    .base = 1,
	    .trim = 2,
	    .runs = 9,
	    /* wide where angles are large and errors are multiplied by them, narrow where they are
	       not; two primes on average would leave no fewer errors, those of 2^30 below */
	    .run = {{(uint8_t)levels, 1, 0},
		    {1, 2, 0},
		    {1, 1, 0},
		    {1, 2, 0},
		    {1, 1, 0},
		    {1, 2, 0},
		    {1, 1, 0},
		    {1, 2, 0},
		    {HEL_REFRESH_TRANSFORMS, 1, 1}},
	};
	return HEL_OK;
}

unsigned hel_refresh_levels(const hel_params_spec *spec)
{
	hel_params_spec wanted;
	const unsigned above = HEL_REFRESH_SINES + HEL_REFRESH_TRANSFORMS;
	const unsigned levels = spec->levels > above ? spec->levels - above : 0;
	const bool same = hel_refresh_params(&wanted, spec->log_n, levels) == HEL_OK &&
			  memcmp(&wanted, spec, sizeof wanted) == 0;
	return same ? levels : 0;
}
