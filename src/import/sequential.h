/* sequential.h -- nn.Sequential as a tower of as few layers as possible.
 *
 * nn.Sequential numbers everything that is in it, so that numbers tell where something without
 * weights stands between two layers: an activation. What follows a layer at once is part of it:
 * another layer is multiplied out, a batch normalisation folded in. A normalisation after an
 * activation is folded into the layer after it.
 */
#ifndef HEL_SEQUENTIAL_H
#define HEL_SEQUENTIAL_H

#include "layers.h"

/** What is called PREFIX.N[SUFFIX].weight: with numbers that tell of activations (nn.Sequential),
 *  or, `apart`, with an activation after each. The configuration's "layers" say it better. The
 * tower may have no layer.
 *  @retval HEL_EUNSUPPORTED a normalisation of samples, a PReLU of several slopes; by name.
 *  @retval HEL_EFORMAT layers do not fit each other; where numbers leave two readings. */
HEL_CHECKED hel_status hel_tower_read(hel_tower *t, const hel_checkpoint *c,
				      const hel_import_config *config, const char *prefix,
				      const char *suffix, bool apart);

#endif
