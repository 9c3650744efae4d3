/* safetensors.h -- the file format of weights: u64 header size, JSON header, raw little-endian
 * data. Internal to model.
 */
#ifndef HEL_SAFETENSORS_H
#define HEL_SAFETENSORS_H

#include "dlrm.h"
#include <jansson.h>

/** A file in memory: borrowed bytes and its header. */
typedef struct hel_safetensors {
	json_t *header;
	const uint8_t *data;
	size_t size;
} hel_safetensors;

typedef struct hel_stored_tensor {
	size_t rows, columns, dimensions; /* one column when there is one dimension */
	const uint8_t *data;		  /* floats, little-endian, not aligned */
} hel_stored_tensor;

/** The tensors must lie one after the other, aligned, without a gap or an overlap, and end with the
 *  file, as the format says.
 *  @retval HEL_EFORMAT names the first tensor that does not. */
HEL_CHECKED hel_status hel_safetensors_open(hel_safetensors *out, const uint8_t *bytes,
					    size_t size);
void hel_safetensors_close(hel_safetensors *f);
/** @retval HEL_EFORMAT it is missing, not F32, or has not one or two dimensions. */
HEL_CHECKED hel_status hel_safetensors_find(hel_stored_tensor *out, const hel_safetensors *f,
					    const char *name);
/** Copies rows * columns floats.
 *  @retval HEL_EFORMAT one is not finite. */
HEL_CHECKED hel_status hel_stored_tensor_read(float *out, const hel_stored_tensor *t, size_t first,
					      size_t count, const char *name);
/** All weights of a model that has none yet, each finite. */
HEL_CHECKED hel_status hel_safetensors_read(hel_dlrm *m, const uint8_t *bytes, size_t size);
/** Writes a model's weights; their hash in hexadecimal. */
HEL_CHECKED hel_status hel_safetensors_write(const hel_dlrm *m, const char *path,
					     char hash[2 * HEL_HASH_BYTES + 1]);
void hel_hash_hex(char out[2 * HEL_HASH_BYTES + 1], const void *bytes, size_t size);

#endif
