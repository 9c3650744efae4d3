/* report.h -- figures as every command prints them: a line for people, JSON for programs. */
#ifndef HEL_CLI_REPORT_H
#define HEL_CLI_REPORT_H

#include "cli.h"
#include "model/accuracy.h"
#include "model/dlrm.h"
#include <helrm/client.h>

/** Says a score and returns it: logit, probability, bits. */
json_t *hel_report_score(const hel_args *args, const hel_score *score);
/** Says what labels and logits give and returns it: rows, accuracy and auc (null where there is
 *  one class only), log_loss. */
json_t *hel_report_metrics(const hel_args *args, const char *what, const hel_metrics *m,
			   uint64_t rows);
/** Says and stores how many dense values lie far outside what was trained on, if any do. */
void hel_report_far(const hel_args *args, json_t *out, uint64_t far);
/** An AUC, null where it is undefined. */
json_t *hel_report_auc(double auc);
/** An accuracy, null for records of one class. */
json_t *hel_report_accuracy(const hel_metrics *m);
/** A figure of a report by its name, 0 where it has none; and as text where it may be undefined. */
double hel_report_number(const json_t *report, const char *name);
hel_auc_text hel_report_rate(const json_t *report, const char *name);

#endif
