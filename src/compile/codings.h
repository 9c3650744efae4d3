/* codings.h -- how tables' entries travel, as the compiler sees it: a table with a row for each
 * coding. What the client fills in: features/coding.c.
 */
#ifndef HEL_CODINGS_H
#define HEL_CODINGS_H

#include "features/schema.h"
#include "prog/builder.h"

/** A place's row of a table, times a factor: what an element of a code is multiplied with. */
typedef struct hel_code_row {
	size_t place, row;
	hel_complex factor;
} hel_code_row;

#define HEL_MAX_CODE_ROWS 256 /* of one element: places of GRID, entries of a digit of POWERS */

/** One element of a table's code in one vector. */
typedef struct hel_code_element {
	const hel_table_field *table;
	uint32_t element;
	size_t power;	 /* which of the vectors that a ciphertext becomes, from 1 */
	hel_piece highs; /* GRID: the high entries that the block's places stand for */
} hel_code_element;

/** A coding. A ciphertext of codes becomes one or more vectors that the product with the tables
 *  takes: its vectors. */
typedef struct hel_code {
	bool
	    one_hot; /* elements are entries of one-hot ciphertexts, which all such codings share */
	bool selects;	    /* a second one-hot selects among places and sums */
	bool pairs;	    /* elements are cosines and sines, side by side: the parts of a slot */
	unsigned parts;	    /* features of one element: 2 of a root that stands for one entry */
	bool equal_order;   /* its ops treat a whole ciphertext alike: all tables have the largest
			       order */
	bool power_of_two;  /* ... rounded up */
	uint32_t max_order; /* entries it tells apart; 0: any number */
	/** Levels that ops consume before the product. */
	unsigned (*levels)(uint32_t order);
	/** Elements of a table's code. */
	size_t (*width)(const hel_table_field *t);
	/** Vectors that one ciphertext becomes. */
	size_t (*vectors)(uint32_t order);
	/** Products of ciphertexts that takes. */
	double (*products)(size_t vectors, unsigned levels);
	/** b->value, at levels(order) above `level`, becomes value[0 .. vectors) at `level`;
	 * number: of each slot's entry in its digit. NULL: nothing to do. */
	hel_status (*emit)(hel_builder *b, uint32_t *value, size_t vectors, uint32_t order,
			   unsigned level, const uint8_t *number);
	/** What an element is multiplied with; returns how many rows. */
	size_t (*rows)(hel_code_row out[HEL_MAX_CODE_ROWS], const hel_code_element *e);
	/** What is left of each row for a constant to add. */
	double (*constant)(uint32_t order);
} hel_code;

/** An entry's number within its digit. */
unsigned hel_entry_number(const hel_table_field *t, uint32_t entry);
const hel_code *hel_code_of(hel_coding coding);

#endif
