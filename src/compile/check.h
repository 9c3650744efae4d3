/* check.h -- candidates tried slot by slot: which are right, and which of them are kept. */
#ifndef HEL_CHECK_H
#define HEL_CHECK_H

#include "candidates.h"

/** Tries a stage's candidates, the cheapest first (they are sorted), until there are states enough:
 *  p->count[stage] of them, none where no candidate is right. The last stage prefers those whose
 *  result tells overflows (bounds.h). */
/** Keeps a packing that is right in every slot as it was made; there is room. */
void hel_planner_keep(planner *p, size_t stage, const hel_packing *k, const candidate *c);
HEL_CHECKED hel_status hel_check_candidates(planner *p, candidates *found, size_t stage);

#endif
