/* emit.h -- what writes the ops of stages and of lookups. Internal. */
#ifndef HEL_EMIT_H
#define HEL_EMIT_H

#include "compile.h"
#include "prog/codes.h"

typedef struct emitter {
	hel_builder b; /* slots and vector: of one record */
	const hel_stages *s;
	const hel_plan *plan;
	const hel_params *params;
	uint32_t *result; /* of each stage */
} emitter;

/** A stage's packed sources; most: terms there can be. */
HEL_CHECKED hel_status hel_emitter_packed(hel_packed **out, const emitter *e, size_t stage,
					  size_t *most);
/** The terms of one packed source; value: the op it comes from. */
HEL_CHECKED hel_status hel_emitter_terms(emitter *e, hel_op *op, const hel_packed *packed,
					 const hel_packing *k, size_t source, uint32_t value);

/* --- emit_lookup.c -------------------------------------------------------------- */

/** All embedding vectors, not rescaled. level: of the product with the tables. */
HEL_CHECKED hel_status hel_emit_embeddings(emitter *e, size_t stage, unsigned level);
/** "; 26 blocks of 128, 8 by grid"; returns its length. */
int hel_describe_blocks(char *out, size_t size, const hel_blocks *b);

#endif
