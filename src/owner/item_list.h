/* item_list.h -- items as their owner has them: CSV with a header, or JSON objects. */
#ifndef HEL_ITEM_LIST_H
#define HEL_ITEM_LIST_H

#include "model/samples.h"

/** Where they stand. */
typedef struct hel_item_text {
	const char *name; /* in messages */
	const char *text;
	size_t size;
	const char *id; /* the column that names items; NULL: "id", "item_id", "item", or the first
			 */
} hel_item_text;

/** Ids as they stand there, records as the public model's numbers. */
typedef struct hel_item_list {
	char *ids; /* all, zero-ended */
	const char **id;
	hel_samples samples;
} hel_item_list;

/** Reads items of a program's public columns; others are left out.
 *  @retval HEL_EDATA names line or record, and column. */
HEL_CHECKED hel_status hel_item_list_read(hel_item_list *out, const hel_item_text *source,
					  const hel_schema *public);
void hel_item_list_clear(hel_item_list *l);

#endif
