/* model_file.h -- a directory with model.json and weights.safetensors. */
#ifndef HEL_MODEL_FILE_H
#define HEL_MODEL_FILE_H

#include "dlrm.h"

HEL_CHECKED hel_status hel_dlrm_save(const hel_dlrm *m, const char *dir);
HEL_CHECKED hel_status hel_dlrm_load(hel_dlrm **out, const char *dir);
/** A model of its own with the same weights, polynomials included. */
HEL_CHECKED hel_status hel_dlrm_copy(hel_dlrm **out, const hel_dlrm *m);
/** A model as bytes, with its weights, and back: parts of models inside other files. */
HEL_CHECKED hel_status hel_dlrm_write(hel_writer *w, const hel_dlrm *m);
HEL_CHECKED hel_status hel_dlrm_read(hel_dlrm **out, const void *bytes, size_t size);
/** Whether a model is there whose polynomials were fitted to it; reads no weights. */
bool hel_dlrm_is_fitted(const char *dir);
/** Removes a model's files, and its directory when nothing else is in there. */
void hel_dlrm_remove(const char *dir);
/** A model without weights (all zero); refuses more than `parameters` of them. */
HEL_CHECKED hel_status hel_model_json_read(hel_dlrm **out, const char *text, size_t size,
					   size_t parameters);

#endif
