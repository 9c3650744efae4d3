/* ranking_file.h -- what client and server send each other about items.
 *
 * A ranking: after the names of model, client and catalogue and the number of blocks, for each
 * block a bit for each of its items that is ranked, those items' ids, each without what it shares
 * with the one before, and a ciphertext at level 0 (sampled where programs are batched).
 *
 * A query with candidates: the name of its model, where a query has it, the bytes of a text, the
 * text, and a query to its end. The text names the items to rank, one a line: an id, or FROM..TO,
 * numbers of items from 1. It is public.
 */
#ifndef HEL_RANKING_FILE_H
#define HEL_RANKING_FILE_H

#include "base/container.h"
#include "prog/prog.h"

#define HEL_MAX_RANKED_BLOCKS (1u << 20)
#define HEL_CANDIDATES_MAX (1u << 20) /* bytes of their text */
/** What a query has more with candidates, at most. */
#define HEL_CANDIDATES_ROOM (HEL_CONTAINER_OVERHEAD + HEL_HASH_BYTES + 4 + HEL_CANDIDATES_MAX)

/** Items of a block, and so bits. */
static inline size_t hel_ranked_items(const hel_manifest *m)
{
	return m->items.batched ? (size_t)1 << m->log_batch
				: hel_block_items((size_t)1 << m->params.log_n);
}

#endif
