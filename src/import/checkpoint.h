/* checkpoint.h -- named tensors in a file made elsewhere, whatever container holds them.
 *
 * A container (checkpoint_FORM.c) only says where tensors lie; what they mean is the recognisers'
 * (forms.h). A tensor is taken once; what nobody took is reported by name.
 */
#ifndef HEL_CHECKPOINT_H
#define HEL_CHECKPOINT_H

#include "base/base.h"
#include <jansson.h>

#define HEL_MAX_STORED (1u << 16) /* tensors in a file */
#define HEL_STORED_SIDES 4	  /* dimensions that are told apart */

#define HEL_ELEMENT_LIST(X)                                                                        \
	X(HEL_F64, "F64", 8)                                                                       \
	X(HEL_F32, "F32", 4)                                                                       \
	X(HEL_F16, "F16", 2)                                                                       \
	X(HEL_BF16, "BF16", 2)                                                                     \
	X(HEL_NO_NUMBER, "integers", 0) /* nothing that a weight is */

typedef enum hel_element {
#define X(element, name, bytes) element,
	HEL_ELEMENT_LIST(X)
#undef X
} hel_element;

/** The element (r, c) of a matrix begins at data + (r * stride[0] + c * stride[1]) elements; all of
 *  it was checked to lie in the file. */
typedef struct hel_stored {
	char *name;	      /* as recognisers know it: without what wrappers put before it */
	char *type;	      /* as the file calls it, for messages */
	hel_element element;  /* HEL_NO_NUMBER: not to be read */
	size_t dimensions;    /* may be more than are told apart */
	size_t rows, columns; /* one column when there is one dimension, both 1 for a scalar */
	size_t stride[2];
	const uint8_t *data; /* not aligned */
	bool taken;
	bool outside; /* its name does not begin as the model's tensors do */
} hel_stored;

typedef struct hel_checkpoint {
	size_t count, room;
	hel_stored *tensor; /* in the file's order */
	char *prefix;	    /* that the model's tensors had, and lost: "model."; "" */
	bool ordered;	    /* the file keeps the order in which a model holds them */
	bool by_dlrm;	    /* dlrm_s_pytorch.py wrote it: what it saves beside tensors is there */
	json_t *sequential; /* of whole modules: by its name what is in each nn.Sequential, where
			     * all of it is PyTorch's: as a configuration's "layers"; or NULL */
	const char *container; /* for people */
	void *index;	       /* finds names */
} hel_checkpoint;

/** Reads the table of contents; `bytes` are borrowed until clear. What wrappers put into names is
 *  taken off. Of several dictionaries in a file of torch.save, that under `key` is taken (NULL: the
 *  only one, or the one of a usual name).
 *  @retval HEL_EFORMAT, HEL_ETRUNC, HEL_ELIMIT, HEL_EUNSUPPORTED name what is wrong. */
HEL_CHECKED hel_status hel_checkpoint_open(hel_checkpoint *out, const uint8_t *bytes, size_t size,
					   const char *key);
/** The model's tensors are those whose names begin with `prefix`, which is taken off; then they can
 * be found.
 *  @retval HEL_EFORMAT two are called the same. */
HEL_CHECKED hel_status hel_checkpoint_below(hel_checkpoint *c, const char *prefix);
void hel_checkpoint_clear(hel_checkpoint *c);

/** NULL where there is none of this name. */
hel_stored *hel_checkpoint_find(const hel_checkpoint *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** What the file tells of the nn.Sequential of this name, an array; NULL: nothing. */
const json_t *hel_checkpoint_sequential(const hel_checkpoint *c, const char *name);
/** Some tensor's name begins so. */
bool hel_checkpoint_has(const hel_checkpoint *c, const char *prefix);

/** A tensor that must be a matrix, or a vector (of `entries` entries), of numbers; takes it.
 *  @retval HEL_EUNSUPPORTED, HEL_EFORMAT it is not; by name. */
HEL_CHECKED hel_status hel_stored_matrix(hel_stored *t);
HEL_CHECKED hel_status hel_stored_vector(hel_stored *t, size_t entries);
/** A view with rows and columns exchanged. */
hel_stored hel_stored_transposed(const hel_stored *t);
/** Elements of `count` rows from `first` on, in single precision.
 *  @retval HEL_EFORMAT one is not finite. */
HEL_CHECKED hel_status hel_stored_rows(float *out, const hel_stored *t, size_t first, size_t count);

/* --- for containers ------------------------------------------------------ */

/** One more tensor; copies name and type.
 *  @retval HEL_ELIMIT */
HEL_CHECKED hel_status hel_checkpoint_add(hel_checkpoint *c, const char *name, const hel_stored *t);
/** Makes names findable, once they are what recognisers know.
 *  @retval HEL_EFORMAT two are the same. */
HEL_CHECKED hel_status hel_checkpoint_index(hel_checkpoint *c);
size_t hel_element_bytes(hel_element element);
/** The contents of a container; checkpoint.c knows them by their first bytes. */
bool hel_checkpoint_is_torch(const uint8_t *bytes, size_t size);
HEL_CHECKED hel_status hel_checkpoint_torch(hel_checkpoint *c, const uint8_t *bytes, size_t size,
					    const char *key);
HEL_CHECKED hel_status hel_checkpoint_safetensors(hel_checkpoint *c, const uint8_t *bytes,
						  size_t size);

#endif
