/* weight_file.h -- encoded weights on disk, mapped: the page cache streams them. Internal to vm. */
#ifndef HEL_VM_WEIGHT_FILE_H
#define HEL_VM_WEIGHT_FILE_H

#include "ckks/ckks.h"

typedef struct hel_weight_file hel_weight_file;

/** A new file of `bytes` bytes beside others under `path`; it has no name any more when this
 *  returns. */
HEL_CHECKED hel_status hel_weight_file_new(hel_weight_file **out, const char *path, size_t bytes);
void hel_weight_file_free(hel_weight_file *f);
/** Moves a plaintext's data to its place in the file; it must be forgotten before it is freed. */
void hel_weight_file_move(hel_weight_file *f, hel_pt *pt, size_t offset);
/** Leaves the plaintext without data where the file holds it. */
void hel_weight_file_forget(const hel_weight_file *f, hel_pt *pt);
void hel_weight_file_prefetch(const hel_weight_file *f);
void hel_weight_file_release(const hel_weight_file *f);

#endif
