/* intervals.h -- what can reach activations, of any record that the schema allows. */
#ifndef HEL_INTERVALS_H
#define HEL_INTERVALS_H

#include "model/dlrm.h"

/** largest[i]: the largest |value| that can reach activation number i, by interval arithmetic node
 *  by node, if nothing beyond +-range[k] passed activation k before it.
 *  Cost: one pass over all parameters. */
HEL_CHECKED hel_status hel_intervals_entering(double *largest, const hel_dlrm *m,
					      const double *range);

#endif
