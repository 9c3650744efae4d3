/* ranking_file.h -- the scores of many items on their way from server to client. After the names of
 * model, client and catalogue and the number of blocks, for each block: a bit for each of its items
 * that is ranked, those items' ids, each without what it shares with the one before, and a
 * ciphertext at level 0.
 */
#ifndef HEL_RANKING_FILE_H
#define HEL_RANKING_FILE_H

#include "prog/items.h"

#define HEL_MAX_RANKED_BLOCKS (1u << 20)

/** Bytes of a block's bits. */
static inline size_t hel_ranked_bytes(size_t n)
{
	return (hel_block_items(n) + 7) / 8;
}

#endif
