/* weights_file.h -- the file that encoded weights may be kept in. */
#ifndef HEL_VM_WEIGHTS_FILE_H
#define HEL_VM_WEIGHTS_FILE_H

#include "loaded.h"

/** What a cache says about itself. */
typedef struct hel_weights_head {
	uint8_t program[HEL_HASH_BYTES]; /* hash of the program's file */
	uint8_t params[HEL_HASH_BYTES];	 /* fingerprint of the parameters */
	uint8_t encoder[HEL_HASH_BYTES]; /* hash of what the encoder makes of known vectors */
	uint64_t weights, data, bytes;	 /* how many, where they begin, bytes of the file */
} hel_weights_head;

#define HEL_WEIGHTS_HEAD_BYTES 256

/** The head of a file of `size` bytes in all. bytes: its first HEL_WEIGHTS_HEAD_BYTES, or all.
 *  @retval HEL_EFORMAT no cache. @retval HEL_EVERSION, HEL_ETRUNC, HEL_EHASH one to be made anew.
 */
HEL_CHECKED hel_status hel_weights_head_read(hel_weights_head *out, const void *bytes,
					     uint64_t size);

/** Maps o->cache, made or made anew where it is missing, damaged or of something else.
 *  @retval HEL_EIO, HEL_ESPACE, HEL_EBUSY it cannot be used; nothing was lost. */
HEL_CHECKED hel_status hel_weights_map(hel_loaded *l, hel_pool *pool, const hel_load_options *o);

#endif
