/* files.h -- containers around keys and ciphertexts. */
#ifndef HEL_CKKS_FILES_H
#define HEL_CKKS_FILES_H

#include "objects.h"

/** What a writer holds, unless `st` says that writing failed. */
HEL_CHECKED hel_status hel_writer_take(uint8_t **bytes, size_t *size, hel_writer *w, hel_status st);
/** A whole file at the end of what `w` holds. */
HEL_CHECKED hel_status hel_keys_store(hel_writer *w, const hel_keys *keys);

#endif
