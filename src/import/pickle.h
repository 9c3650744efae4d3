/* pickle.h -- Python's pickles as plain values: nothing is called and nothing is imported.
 *
 * The machine of pickletools.py, protocols 2 to 5, with the opcodes that torch.save writes. Names
 * of classes and functions stay names; what they would have made is an object that remembers them,
 * its arguments and its state. Objects may hold each other in circles: who walks them bounds the
 * depth.
 */
#ifndef HEL_PICKLE_H
#define HEL_PICKLE_H

#include "base/base.h"

typedef enum hel_pickle_kind {
	HEL_PICKLE_OTHER, /* None, sets, what is of no use here */
	HEL_PICKLE_INTEGER,
	HEL_PICKLE_FLOAT,
	HEL_PICKLE_TEXT,
	HEL_PICKLE_SEQUENCE, /* tuple or list */
	HEL_PICKLE_DICT,     /* key, value, key, value ... */
	HEL_PICKLE_GLOBAL,   /* "module name" as `text` */
	HEL_PICKLE_STORED,   /* a persistent id: items[0] */
	HEL_PICKLE_OBJECT /* items: what makes it (GLOBAL), its arguments, its state once it has one
			   */
} hel_pickle_kind;

/** Items are numbers of values, in a list of cells. */
typedef struct hel_pickle_value {
	hel_pickle_kind kind;
	int64_t integer;
	double number;
	const char *text; /* not zero-ended; in the pickle, or owned by it */
	size_t size;
	uint32_t first, last, count; /* cells */
} hel_pickle_value;

typedef struct hel_pickle_cell {
	uint32_t value, next;
} hel_pickle_cell;

typedef struct hel_pickle {
	hel_pickle_value *value;
	hel_pickle_cell *cell;
	uint32_t *stack, *memo;
	char **name; /* owned texts of globals */
	size_t values, cells, depth, memos, names;
	size_t value_room, cell_room, stack_room, memo_room, name_room;
	uint32_t root; /* the value of the last pickle that was run */
} hel_pickle;

/** Runs one pickle from r on to its STOP; values of earlier ones stay. Texts are borrowed.
 *  @retval HEL_EUNSUPPORTED an opcode that no checkpoint needs.
 *  @retval HEL_EFORMAT, HEL_ETRUNC, HEL_ELIMIT */
HEL_CHECKED hel_status hel_pickle_run(hel_pickle *p, hel_reader *r);
void hel_pickle_clear(hel_pickle *p);

/** Item i of a sequence, object or stored id; NULL when there are fewer. */
const hel_pickle_value *hel_pickle_item(const hel_pickle *p, const hel_pickle_value *v, size_t i);
/** A dictionary's value under a text; NULL. */
const hel_pickle_value *hel_pickle_get(const hel_pickle *p, const hel_pickle_value *dict,
				       const char *key);
bool hel_pickle_is(const hel_pickle_value *v, hel_pickle_kind kind, const char *text);

#endif
