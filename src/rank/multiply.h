/* multiply.h -- one encrypted vector with all items of a catalogue. */
#ifndef HEL_RANK_MULTIPLY_H
#define HEL_RANK_MULTIPLY_H

#include "catalogue.h"

/** Rotation keys that products need: those of a vector of 2^log_width elements. Returns how many;
 *  out has room for 2^(log_width + 1) / 2 of them. */
size_t hel_item_steps(int32_t *out, unsigned log_width);

/** Takes the scores of block `block`, at level 0; one call at a time, in the order asked for. */
typedef hel_status hel_scores_put(void *arg, size_t block, const hel_ct *scores);

/** The scores of blocks block[0 .. count), ascending. vector: at level 1. constant: at level 0, or
 *  NULL.
 *  - Error: the vector's and that of two key switches times the weights; one rescaling's.
 *  - Cost: 2^log_width rotations; then a pass over the blocks, and a rescaling for each.
 *  - Source: docs/ranking.md.
 *  @retval HEL_EKEY a rotation key is missing.
 *  @retval HEL_ECANCEL the evaluator's `stop` was set between two groups of blocks, or who watches
 * said so. */
HEL_CHECKED hel_status hel_catalogue_apply(const hel_catalogue *c, const size_t *block,
					   size_t count, const hel_eval *ev, const hel_ct *vector,
					   const hel_ct *constant, hel_scores_put *put, void *arg,
					   hel_progress *progress);
/** Bytes that one call may take beside the catalogue. */
size_t hel_catalogue_apply_bytes(const hel_params *p, unsigned log_width);

#endif
