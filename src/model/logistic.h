/* logistic.h -- the baseline that deep models must beat. */
#ifndef HEL_LOGISTIC_H
#define HEL_LOGISTIC_H

#include "samples.h"

/** Ridge logistic regression on dense values and one-hot entries (Newton), as a baseline:
 *  logits of the test samples. */
HEL_CHECKED hel_status hel_logistic_fit_predict(double *logits, const hel_samples *train,
						const hel_samples *test, const hel_schema *schema,
						double ridge);

#endif
