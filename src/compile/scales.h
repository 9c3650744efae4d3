/* scales.h -- scales, digits and special primes for a program that is planned. */
#ifndef HEL_SCALES_H
#define HEL_SCALES_H

#include "bounds.h"
#include "search.h"

/** Gives c the parameters of the cheapest way to switch keys (hel_digits_list) with which p keeps
 *  `bits` (log2 of spread, in p's unit, over the mean error); where none does, of the cheapest
 *  nearly as precise as any. max_key_bytes: 0: any. *changed: they are others than before. p is
 * then to be emitted again. rank: 0, or so many cheaper ones are left.
 *  @retval HEL_EUNSUPPORTED there are no more than `rank`. */
HEL_CHECKED hel_status hel_choose_scales(bool *changed, choice *c, const hel_program *p,
					 const hel_precision *precision, double bits, double spread,
					 size_t max_key_bytes, unsigned rank,
					 const hel_cost_model *machine);

#endif
