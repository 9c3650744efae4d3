/* rank_batches.h -- a catalogue of values: the program, over and over, for other items. */
#ifndef HEL_SERVER_RANK_BATCHES_H
#define HEL_SERVER_RANK_BATCHES_H

#include "rank/multiply.h"
#include "server.h"

/** Puts the scores of blocks block[0 .. count): the query's record in all places, another item's
 *  values in each.
 *  - Cost: the program and an encoding for each input that holds values, for each block.
 *  @retval HEL_ECANCEL it was stopped. */
HEL_CHECKED hel_status hel_rank_batches(const hel_evaluation *e, const hel_eval *ev,
					const hel_catalogue *c, hel_ct *const *in,
					const size_t *block, size_t count, hel_scores_put *put,
					void *arg, hel_progress *progress);

#endif
