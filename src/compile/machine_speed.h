/* machine_speed.h -- built-in prices are of one machine: how this one compares.
 */
#ifndef HEL_MACHINE_SPEED_H
#define HEL_MACHINE_SPEED_H

#include "vm/cost.h"

/** How many times as long as the built-in prices say this machine takes for rotations at N = 2^14,
 *  which are most of every run: the least of what fits into a tenth of a second. Differs a little
 *  from call to call: for times that are shown, not for choices. */
HEL_CHECKED hel_status hel_machine_speed(double *factor);

#endif
