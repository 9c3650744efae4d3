/* candidates.h -- every way to pack one stage that is worth a look, with what it is worth. */
#ifndef HEL_CANDIDATES_H
#define HEL_CANDIDATES_H

#include "planner.h"

typedef struct candidates {
	candidate *at;
	size_t count, room;
} candidates;

/** All candidates of a stage, whose sources' stages have their states; replaces those of another
 *  stage. */
HEL_CHECKED hel_status hel_candidates_find(candidates *out, planner *p, size_t stage);
/** Adds up what the parents come to, what several stand on once; false where they stand on
 * different states of one stage. from: a stage's computed sources. */
bool hel_candidates_combine(candidate *c, const planner *p, const hel_stage_source *const *from,
			    size_t sources);
void hel_candidates_clear(candidates *c);

#endif
