/* layers.h -- towers of layers out of a checkpoint: read, and made as few as possible.
 *
 * nn.Sequential numbers everything that is in it, so that numbers tell where something without
 * weights stands between two layers: an activation. What follows a layer at once is part of it:
 * another layer is multiplied out, a batch normalisation folded in. A normalisation after an
 * activation is folded into the layer after it.
 */
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

/** What is called PREFIX.N[SUFFIX].weight: with numbers that tell of activations (nn.Sequential),
 *  or, `apart`, with an activation after each. The configuration's "layers" say it better. The
 * tower may have no layer.
 *  @retval HEL_EUNSUPPORTED a normalisation of samples, a PReLU of several slopes; by name.
 *  @retval HEL_EFORMAT layers do not fit each other; where numbers leave two readings. */
HEL_CHECKED hel_status hel_tower_read(hel_tower *t, const hel_checkpoint *c,
				      const hel_import_config *config, const char *prefix,
				      const char *suffix, bool apart);
/** One layer behind the others, whatever stands between them; `bias` may be NULL.
 *  @retval HEL_EFORMAT it is no matrix, or its bias no vector, of its size. */
HEL_CHECKED hel_status hel_tower_push(hel_tower *t, const char *name, hel_stored *weight,
				      hel_stored *bias);
/** NAME.weight and NAME.bias behind the others, with an activation before them.
 *  @retval HEL_EFORMAT it does not take what they give. */
HEL_CHECKED hel_status hel_tower_append(hel_tower *t, const hel_checkpoint *c, const char *name);
/** Folds the normalisation called NAME into a step's layer, right behind it.
 *  @retval HEL_EUNSUPPORTED it has no statistics: one of samples */
HEL_CHECKED hel_status hel_step_normalise(hel_tower *t, size_t step, const hel_checkpoint *c,
					  const hel_import_config *config, const char *name);
/** Makes the activation after a step a leaky relu of the slope called NAME.weight, if there is one.
 *  @retval HEL_EUNSUPPORTED there are several slopes */
HEL_CHECKED hel_status hel_step_slope(hel_tower *t, size_t step, const hel_checkpoint *c,
				      const char *name);
void hel_tower_clear(hel_tower *t);
size_t hel_tower_inputs(const hel_tower *t);
size_t hel_tower_outputs(const hel_tower *t);

#endif
