/* reliability_plot.h -- a calibration plot: what was predicted against what happened. */
#ifndef HEL_CLI_RELIABILITY_PLOT_H
#define HEL_CLI_RELIABILITY_PLOT_H

#include "model/reliability.h"

/** A point per bin with two standard errors, from the least probability shown to the largest, as
 *  SVG; `out` is for hel_free(). */
HEL_CHECKED hel_status hel_reliability_svg(char **out, const hel_reliability *r);

#endif
