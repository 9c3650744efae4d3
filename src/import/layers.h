/* layers.h -- towers of layers out of a checkpoint. How they stand there: sequential.h. */
#ifndef HEL_LAYERS_H
#define HEL_LAYERS_H

#include "checkpoint.h"
#include "import_config.h"

#define HEL_MAX_FOREIGN_LAYERS 128

/** weight: [rows][columns]; a bias that is not in the file is 0. */
typedef struct hel_layer {
	size_t rows, columns;
	float *weight, *bias;
} hel_layer;

typedef enum hel_after {
	HEL_AFTER_USUAL, /* the configuration's activation; after a last layer as the form says */
	HEL_AFTER_NONE,
	HEL_AFTER_OWN /* one of its own: a PReLU in the file, or what "layers" lists */
} hel_after;

/** A layer and what follows it. */
typedef struct hel_step {
	hel_layer layer;
	char name[HEL_NAME_MAX]; /* for messages */
	hel_after after;
	hel_activation activation; /* of its own */
} hel_step;

typedef struct hel_tower {
	size_t count;
	hel_step step[HEL_MAX_FOREIGN_LAYERS];
	size_t no_bias, multiplied_out, folded, learned; /* what happened on the way */
} hel_tower;

/** b after a, with nothing between them: a becomes one layer, b (a x + c) + d, in double precision;
 *  b is empty. */
HEL_CHECKED hel_status hel_layer_multiply_out(hel_layer *a, hel_layer *b);
/** The tower counts missing biases.
 *  @retval HEL_EFORMAT it is no matrix, or its bias no vector, of its size.
 *  @retval HEL_ELIMIT it is too wide. */
HEL_CHECKED hel_status hel_layer_read(hel_layer *l, hel_tower *t, const char *name,
				      hel_stored *weight, hel_stored *bias);
void hel_layer_clear(hel_layer *l);
/** One layer behind the others, whatever stands between them; `bias` may be NULL.
 *  @retval HEL_EFORMAT it is no matrix, or its bias no vector, of its size. */
HEL_CHECKED hel_status hel_tower_push(hel_tower *t, const char *name, hel_stored *weight,
				      hel_stored *bias);
/** NAME.weight and NAME.bias behind the others, with an activation before them.
 *  @retval HEL_EFORMAT it does not take what they give. */
HEL_CHECKED hel_status hel_tower_append(hel_tower *t, const hel_checkpoint *c, const char *name);
void hel_tower_clear(hel_tower *t);
size_t hel_tower_inputs(const hel_tower *t);
size_t hel_tower_outputs(const hel_tower *t);

#endif
