/* blocks.h -- many embedding tables in one product. */
#ifndef HEL_BLOCKS_H
#define HEL_BLOCKS_H

#include "features/schema.h"
#include "prog/prog.h"
#include "stages.h"

/** The ciphertexts of one coding among those of a lookup. Each gives the product `powers` vectors.
 */
typedef struct hel_block_codes {
	hel_coding coding;  /* ONE_HOT: the low one-hots of GRID, too */
	bool complex;	    /* elements in imaginary parts of vectors, too */
	unsigned log_piece; /* elements of a block in one vector */
	size_t ciphertexts, powers;
} hel_block_codes;

/** What may be chosen of a packing of blocks. */
typedef struct hel_blocks_shape {
	unsigned log_blocks, log_places;
	size_t selections; /* 0: no table is GRID */
	bool complex;	   /* one-hot entries in imaginary parts, too */
} hel_blocks_shape;

/** Many embedding tables in one product (docs/packing.md). 2^log_blocks blocks of 2^log_outputs
 * outputs each: output d of block b is element d * 2^log_blocks + b, so that rotations by multiples
 * of the number of blocks stay in a block and spill into the next copy, which the fold over copies
 * completes. A block belongs to one table in all inputs; a long table takes several, whose parts of
 * the vector the next layer adds up by repeating its columns.
 *
 * GRID: outputs are places of 2^log_dim numbers each; there are `selections` sums. Row
 * (high, low) stands in the place and sum that `high` names, and is seen with entry `low`. A
 * ciphertext per sum, with the high one-hot, lets one place pass and zeros the others, which the
 * next layer adds up as it does parts. Tables that are not GRID have a 1 there. */
typedef struct hel_blocks {
	hel_schema schema;	  /* the model's, with the codings of this packing; its values are
				   * borrowed */
	const float *const *rows; /* of the stages' tables; borrowed */
	size_t dim, used, kinds, sources, inputs; /* sources: vectors; inputs: ciphertexts */
	unsigned log_slots, log_dim, log_outputs;
	hel_blocks_shape shape;
	hel_block_codes codes[HEL_CODINGS];
	uint32_t *table, *part; /* of each used block */
} hel_blocks;

/** One vector that the product takes: a power of one ciphertext of one coding. */
typedef struct hel_block_source {
	const hel_block_codes *codes;
	size_t ciphertext, power;
} hel_block_source;

/** The fewest inputs that hold all rows; *out stays NULL when the blocks are too few for the tables
 *  or too many for the slots, or take too many vectors, or nothing is selected from `selections`.
 */
HEL_CHECKED hel_status hel_blocks_new(hel_blocks **out, const hel_stages *s, unsigned log_slots,
				      hel_blocks_shape shape);
void hel_blocks_free(hel_blocks *b);
hel_block_source hel_blocks_source(const hel_blocks *b, size_t source);
/** The elements of its table's code that a block holds in one source; width 0: none. */
hel_piece hel_blocks_rows(const hel_blocks *b, size_t source, size_t block);
/** The number (table * dim + d) of an output element, negative for one that is not used. */
int32_t hel_blocks_column(const hel_blocks *b, size_t element);
/** Where a source's elements stand: element i of block b is number b * 2^log_piece + i. fresh: as
 *  the client sends them. */
hel_layout hel_blocks_layout(const hel_blocks *b, size_t source, bool fresh);
/** The high entries that a block's places stand for in one selection, and where all stand. */
hel_piece hel_blocks_highs(const hel_blocks *b, size_t selection, size_t block);
hel_layout hel_blocks_selector(const hel_blocks *b);
/** Some source has elements in imaginary parts. */
bool hel_blocks_is_complex(const hel_blocks *b);
/** The largest order of the tables of a coding. */
uint32_t hel_blocks_order(const hel_blocks *b, hel_coding coding);
/** Of each slot of a source: the number of its entry within its digit; 0 where there is none. */
void hel_blocks_numbers(uint8_t *number, const hel_blocks *b, size_t source);
/** The element's weights in a selection, one for each output of its block. */
void hel_blocks_weights(hel_complex *out, const hel_blocks *b, size_t source, size_t selection,
			size_t block, uint32_t element);

#endif
