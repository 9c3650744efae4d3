/* item_file.h -- what the owner's commands do with items: which columns are public, files of items.
 */
#ifndef HEL_ITEM_FILE_H
#define HEL_ITEM_FILE_H

#include "cli/cli.h"
#include "model/dlrm.h"
#include "model/samples.h"

/** Items of a file with a header: ids as they stand there, records as the public model's numbers.
 */
typedef struct hel_item_file {
	char *text, *column; /* column: the ids' */
	const char **id;
	hel_samples samples;
} hel_item_file;
/** Reads --items for a program's public model. Columns that it does not know are left out.
 *  @retval HEL_EDATA names line and column. */
HEL_CHECKED hel_status hel_item_file_read(hel_item_file *out, const hel_args *args,
					  const hel_dlrm *public);
void hel_item_file_clear(hel_item_file *f);

#endif
