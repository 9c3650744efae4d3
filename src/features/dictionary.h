/* dictionary.h -- the texts of listed columns as they are found in rows that are read as a stream:
 * there each is a number, from 1, in the order in which rows first name it.
 */
#ifndef HEL_FEATURES_DICTIONARY_H
#define HEL_FEATURES_DICTIONARY_H

#include "dataset.h"

#define HEL_MAX_LISTED (1u << 20) /* values of one column */

typedef struct hel_dictionary hel_dictionary;

HEL_CHECKED hel_status hel_dictionary_new(hel_dictionary **out, const hel_dataset *set);
void hel_dictionary_free(hel_dictionary *d);
/** Forgets all texts. */
void hel_dictionary_empty(hel_dictionary *d);
/** Texts of all columns together. */
size_t hel_dictionary_size(const hel_dictionary *d);
uint32_t hel_dictionary_count(const hel_dictionary *d, size_t table);
/** Number 1 to hel_dictionary_count. */
const char *hel_dictionary_text(const hel_dictionary *d, size_t table, uint32_t number);
/** 0 when it is not there. */
uint32_t hel_dictionary_find(const hel_dictionary *d, size_t table, const char *text, size_t size);
/** Its number, a new one where it is not there.
 *  @retval HEL_ELIMIT a column has more values than are listed. */
HEL_CHECKED hel_status hel_dictionary_add(uint32_t *number, hel_dictionary *d, size_t table,
					  const char *text, size_t size);
void hel_dictionary_write(hel_writer *w, const hel_dictionary *d);
/** Into an empty one of the same data set. */
HEL_CHECKED hel_status hel_dictionary_read(hel_dictionary *d, const uint8_t *bytes, size_t size);

#endif
