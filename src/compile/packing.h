/* packing.h -- how one stage stands in slots. */
#ifndef HEL_PACKING_H
#define HEL_PACKING_H

#include "blocks.h"
#include "prog/prog.h"
#include "scatter.h"

/* --- masks of slot bits --- */

static inline unsigned popcount(uint32_t mask)
{
	return (unsigned)__builtin_popcount(mask);
}

/* The lowest, or highest, `count` bits of a mask. */
static inline uint32_t lowest(uint32_t mask, unsigned count)
{
	uint32_t r = 0;
	for (; count && mask; count--) {
		uint32_t bit = mask & -mask;
		r |= bit;
		mask ^= bit;
	}
	return r;
}

static inline uint32_t highest(uint32_t mask, unsigned count)
{
	return mask ^ lowest(mask, popcount(mask) - HEL_MIN(count, popcount(mask)));
}

/* --- a packing --- */

/** How one source enters: an earlier stage's value, or a fresh ciphertext. */
typedef struct hel_packing_source {
	size_t source; /* of the stage */
	bool fresh;    /* from the client */
	uint32_t
	    offset; /* first column of the source's matrix it carries; of a lookup: its source */
	hel_layout layout;  /* of a fresh one */
	uint32_t diagonals; /* slot bits covered by rotations instead of folds */
	bool giants;
} hel_packing_source;

typedef struct hel_packing {
	size_t rows;	      /* of the stage; of a lookup: of all blocks, used or not */
	hel_layout out;	      /* element order of the result ... */
	int32_t *result;      /* ... and where it is right: per slot the element, ZERO or ANY */
	uint32_t again;	      /* a slot bit that numbers two copies, of which the first is right all
			       * over: who reads it goes over that bit, too */
	uint32_t folds;	      /* slot bits summed over; bit log_slots: the conjugate is added */
	bool imaginary;	      /* imaginary parts of the result hold garbage */
	bool conjugated;      /* of a product: they would, but conjugates are added */
	hel_blocks *blocks;   /* of a lookup */
	hel_scatter *scatter; /* of HEL_MAP_PLACE and HEL_MAP_PAIRS; owned */
	bool meets;	      /* of HEL_MAP_MEET */
	uint32_t baby_bits, giant_bits; /* slot bits of the main diagonals */
	unsigned fold_radix;		/* slot bits per rotate_sum */
	size_t sources;
	hel_packing_source *source;
} hel_packing;

/** The layout whose elements are numbered by the slot bits of a mask, the imaginary part last. */
hel_layout hel_packing_layout(uint32_t mask, unsigned log_slots, size_t width);
/** Frees what a packing owns; blocks are the plan's. */
void hel_packing_clear(hel_packing *k);

#endif
