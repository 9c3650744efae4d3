/* recalibrate.h -- what scores mean as probabilities where other rows are: one scale and one shift
 * of the logit, which change no ranking and cost nothing on ciphertexts: weights take them in. */
#ifndef HEL_RECALIBRATE_H
#define HEL_RECALIBRATE_H

#include "dlrm.h"

typedef struct hel_rescaling {
	double scale, shift;
} hel_rescaling;

/** The scale and shift of logits with the least log loss against labels 0/1, targets smoothed so
 *  that separable rows have an end, too [J. Platt 1999; H.-T. Lin, C.-J. Lin, R. Weng 2007]. By
 *  Newton's method; a pass over the rows for each of some ten steps.
 *  @retval HEL_EDATA the rows are of one class, or score the wrong way round: the scale would not
 * be above 0. */
HEL_CHECKED hel_status hel_rescaling_fit(hel_rescaling *out, const double *logits,
					 const uint8_t *labels, size_t count);
/** Logits as they would be: each is rescaled by what the other nine of ten parts of the rows say,
 *  every tenth being a part. `out` may be `logits`.
 *  @retval HEL_EDATA as hel_rescaling_fit(). */
HEL_CHECKED hel_status hel_rescaling_cross(double *out, const double *logits, const uint8_t *labels,
					   size_t count);
/** The model's logit becomes scale * logit + shift: its last layers' weights take both in.
 *  @retval HEL_EUNSUPPORTED its last node cannot, or has no bias; the model is as it was. */
HEL_CHECKED hel_status hel_dlrm_rescale(hel_dlrm *m, hel_rescaling r);

#endif
