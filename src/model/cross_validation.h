/* cross_validation.h -- a model judged on rows that it was not trained on. */
#ifndef HEL_CROSS_VALIDATION_H
#define HEL_CROSS_VALIDATION_H

#include "features/records.h"
#include "model_config.h"

typedef struct hel_cv_result {
	double accuracy, accuracy_error, auc, auc_error, log_loss; /* means, standard errors */
} hel_cv_result;

typedef struct hel_cv_report {
	hel_cv_result model, relu, logistic;
	size_t runs;
} hel_cv_report;

/** Stratified folds, new for every seed; schema and weights learned on each training part only. */
HEL_CHECKED hel_status hel_cross_validate(hel_cv_report *out, const hel_dataset *set,
					  const hel_records *records, const hel_dlrm_config *config,
					  size_t folds, size_t seeds, hel_pool *pool);

#endif
