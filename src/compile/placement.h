/* placement.h -- what stands in an activation's place, and where: a polynomial of high degree in
 * levels that are there, or a refresh and a polynomial of its sine.
 */
#ifndef HEL_PLACEMENT_H
#define HEL_PLACEMENT_H

#include "activations.h"

/** Bits of the logits' spread that the mean difference to the trained model's leaves, errors of
 *  polynomials and of ciphertexts together, unless others are asked for. */
#define HEL_PLACED_BITS 10.5

/* Turns of a range, at least: errors of the sine grow as it shrinks. */
#define HEL_LEAST_TURN (1.0 / 64)

/** hel_compile() for a model with activations that ciphertexts cannot take, without being told
 *  degrees: the cheapest of
 *  - polynomials alone, of the least degree that is exact enough for the records, and
 *  - a refresh for every activation but those that fresh values reach, with the least degree there.
 *  Costs, keys and queries are what the planner says they are worth. options->bits are against the
 *  trained model: polynomials keep a reserve for what ciphertexts lose, and degrees are chosen anew
 *  where they lose more. choice: the margin to take (0: 1.3), and what was chosen: the largest
 *  degree. The samples are options->records. m is left with what was chosen.
 *  @retval HEL_ELIMIT nothing is exact enough, or more is lost than may be; says what there is.
 *  @retval HEL_EUNSUPPORTED nothing fits. */
HEL_CHECKED hel_status hel_compile_placed(hel_program **out, hel_compile_report *report,
					  hel_fidelity *fidelity, hel_fit_choice *choice,
					  hel_dlrm *m, const hel_compile_options *options);

#endif
