/* normalisation.h -- what is folded into layers: trained batch normalisations, and slopes. */
#ifndef HEL_NORMALISATION_H
#define HEL_NORMALISATION_H

#include "layers.h"

/** scale * x + shift, element by element: what BatchNorm1d is once it is trained. */
typedef struct hel_normalisation {
	size_t width;
	float *scale, *shift;
} hel_normalisation;

/** That called NAME.
 *  @retval HEL_EUNSUPPORTED it has no statistics: one of samples */
HEL_CHECKED hel_status hel_normalisation_read(hel_normalisation *n, const hel_checkpoint *c,
					      const char *name, double eps);
void hel_normalisation_clear(hel_normalisation *n);
/** Into the layer that reads what it gives.
 *  @retval HEL_EFORMAT the layer is of another width; by the normalisation's name. */
HEL_CHECKED hel_status hel_normalisation_fold_before(hel_layer *l, const hel_normalisation *n,
						     const char *name);
/** Folds the normalisation called NAME into a step's layer, right behind it.
 *  @retval HEL_EUNSUPPORTED it has no statistics: one of samples */
HEL_CHECKED hel_status hel_step_normalise(hel_tower *t, size_t step, const hel_checkpoint *c,
					  const hel_import_config *config, const char *name);
/** Makes the activation after a step a leaky relu of the slope called NAME.weight, if there is one.
 *  @retval HEL_EUNSUPPORTED there are several slopes */
HEL_CHECKED hel_status hel_step_slope(hel_tower *t, size_t step, const hel_checkpoint *c,
				      const char *name);

#endif
