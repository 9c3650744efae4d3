/* emit_lookup.h -- the ops of embedding tables. Internal. */
#ifndef HEL_EMIT_LOOKUP_H
#define HEL_EMIT_LOOKUP_H

#include "emitter.h"

/** All embedding vectors, not rescaled. level: of the product with the tables. */
HEL_CHECKED hel_status hel_emit_embeddings(emitter *e, size_t stage, unsigned level);
/** "; 26 blocks of 128, 8 by grid"; returns its length. */
int hel_describe_blocks(char *out, size_t size, const hel_blocks *b);

#endif
