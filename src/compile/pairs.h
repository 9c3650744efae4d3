/* pairs.h -- the inner products of all pairs of tables' rows in one product of ciphertexts.
 *
 * A lookup's result holds part of a row in each block. HEL_MAP_PLACE sums the parts and stands all
 * rows side by side, row b of a table at slot bits d, b, in as many copies as there is room for.
 * HEL_MAP_PAIRS shifts copy c by c rows, multiplies with the unshifted ones, and sums over d: F / 2
 * copies hold all pairs, half of them in imaginary parts, where slots are few. The fold over d runs
 * on into the slots behind: the bit above d numbers two copies that are alike, so that it ends
 * right all over the first.
 *
 * HEL_MAP_MEET multiplies a vector, number d at slot bits d in copies everywhere else, with all
 * places, and sums over d: its copies are alike, so that what wraps from one into the next is
 * right.
 *
 *    slot bits    i | h h | z | d ... d | l | b ... b      F = 26 rows of 16 numbers, 2 * 8 copies
 *    place          | copies  | d       |   | row b
 *    left         copy c = i h l: row (b + c) mod F
 *    result       c | c   | 0 | copies  | c | <row b, row b + c>
 */
#ifndef HEL_PAIRS_H
#define HEL_PAIRS_H

#include "emitter.h"
#include "planner.h"

/** The states of a stage of these maps: one for each state of its source that it can read. */
HEL_CHECKED hel_status hel_pairs_plan(planner *p, size_t stage);
/** Their ops, from the sources' values at the stage's level. Only what meets is not rescaled. */
HEL_CHECKED hel_status hel_pairs_emit(emitter *e, size_t stage, const uint32_t *value,
				      unsigned level);

#endif
