/* items.h -- programs that meet a catalogue: one user's vector against many items (src/rank).
 *
 * The score of an item is a constant of the user's, one of the item's, and the inner product of the
 * user's vector with the item's weights. Slot s of the vector's ciphertext holds element s modulo
 * 2^log_width; both parts of a slot of the result hold the score of one item each.
 */
#ifndef HEL_ITEMS_H
#define HEL_ITEMS_H

#include <helrm/ckks.h> /* hel_complex: a type only */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEL_MAX_LOG_ITEM_WIDTH 11 /* elements of a vector, and so rotations of it */
#define HEL_MAX_ITEMS ((size_t)1 << 26)
#define HEL_MAX_ITEM_VALUES 4096
#define HEL_ITEM_ID_MAX 255 /* bytes */
#define HEL_ITEM_MODEL_MAX ((size_t)1 << 30)

/** What a manifest says: any: its results are scores of items. common: the user's constant stands
 *  in all places, in those of known values too.
 *
 *  Where items are no matrix (batched), the program takes them as values more: features
 *  [first, first + width) are an item's, which the client leaves 0, and each of its 2^log_batch
 *  places ranks another item for the same record. */
typedef struct hel_items {
	bool any, common, batched;
	uint8_t log_width;
	uint32_t first, width;
} hel_items;

/** What only the server's program holds beside it. */
typedef struct hel_item_part {
	uint32_t vector; /* the op whose value is the user's vector, at level 1 */
	uint32_t rows;	 /* elements of the vector that are not padding; values of an item */
	double usual; /* what items' constants have more, and users' less, so that they are small */
	hel_complex *turn; /* what each was multiplied with */
	double largest;	   /* |value| of an item that the program takes, where it is batched */
	uint8_t *model;	   /* what makes weights of items: a model whose value is a vector, the
			    * item's constant before its weights; or an item's values */
	size_t model_size;
} hel_item_part;

/* --- places: which slot, and which part of it, holds an item's score --------------------- */

/* One slot of so many holds no items: all of these hold the same, so that a client sees that
 * nothing went wrong. */
#define HEL_KNOWN_EVERY 64u

/** Items of one ciphertext of N coefficients. */
static inline size_t hel_block_items(size_t n)
{
	return n / HEL_KNOWN_EVERY * (HEL_KNOWN_EVERY - 1);
}
/** The slot of item `number` of a block; even numbers stand in real parts, odd ones in imaginary.
 */
static inline size_t hel_item_slot(size_t number)
{
	return number / 2 + number / 2 / (HEL_KNOWN_EVERY - 1);
}
static inline bool hel_slot_is_known(size_t slot)
{
	return slot % HEL_KNOWN_EVERY == HEL_KNOWN_EVERY - 1;
}

/* --- rotations of the vector: first by multiples of the babies' number, then by babies ------- */

static inline size_t hel_item_babies(unsigned log_width)
{
	return (size_t)1 << (log_width + 1) / 2;
}

#endif
