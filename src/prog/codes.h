/* codes.h -- what the server does with encrypted codes before it multiplies a table: ops that write
 * one-hot slots or powers, for the methods of lookup and for the embeddings of a model.
 */
#ifndef HEL_PROG_CODES_H
#define HEL_PROG_CODES_H

#include "builder.h"

/* --- coded: [KPLC24]'s recipe ------------------------------------------------------ */

unsigned hel_indicator_levels(unsigned base);
/** b->value, (x - j) / base at `level` with |x - j| < base, becomes about 1 where x = j, about 0
 *  elsewhere. Consumes hel_indicator_levels. */
HEL_CHECKED hel_status hel_emit_indicator(hel_builder *b, unsigned base, unsigned level);

/* --- roots: a geometric sum ----------------------------------------------------------- */

/** exp(2 pi i power / order) */
hel_complex hel_root(unsigned order, uint64_t power);
/** b->value, the root of x, becomes 0 in every slot whose number j is not x; where it is x, times
 *  hel_geometric_factor it is 1. Consumes log_order levels. */
HEL_CHECKED hel_status hel_emit_geometric(hel_builder *b, unsigned log_order, const uint8_t *number,
					  unsigned level);
hel_complex hel_geometric_factor(unsigned log_order, unsigned number);

/* --- powers: a change of basis --------------------------------------------------------- */

/** The highest power that functions of numbers below `order` need. */
size_t hel_powers_of(unsigned order);
/** power[0] = z at level bottom + log2(count), rounded up; power[m - 1] becomes z^m at `bottom`. */
HEL_CHECKED hel_status hel_emit_powers(hel_builder *b, uint32_t *power, size_t count,
				       unsigned bottom);
/** With z = exp(2 pi i x / order), the indicator of x = number is the real part of the sum over
 *  powers m = 0 .. hel_powers_of(order) of this times z^m. */
hel_complex hel_power_coefficient(unsigned order, size_t power, unsigned number);

#endif
