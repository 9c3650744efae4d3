/* catalogue_file.h -- what reading and writing catalogues share. Internal to rank. */
#ifndef HEL_CATALOGUE_FILE_H
#define HEL_CATALOGUE_FILE_H

#include "catalogue.h"

/** The head as bytes; sets h->id. */
void hel_catalogue_head_write(uint8_t out[HEL_CATALOGUE_HEAD_BYTES], hel_catalogue_head *h);
/** Item numbers, ascending by id.
 *  @retval HEL_EDATA two have the same; names both. */
HEL_CHECKED hel_status hel_ids_sort(uint32_t *order, const char **id, size_t count);

#endif
