/* pytorch.h -- models trained elsewhere. */
#ifndef HEL_PYTORCH_H
#define HEL_PYTORCH_H

#include "dlrm.h"

typedef struct hel_import_report {
	size_t
	    no_missing_row; /* tables without a row for missing or other values: zero stands in */
	size_t no_bias;	    /* layers without one: 0 stands in */
	size_t multiplied_out; /* layers that follow another one without an activation */
	size_t collisions;     /* values that share a fingerprint, and so a row, with another one */
} hel_import_report;

/** A model trained elsewhere with full tables and concatenation; widths come from the weights, what
 *  they do not tell (activation, bottom_last_activation) from config. The schema's tables list in
 *  "values" what each row stands for: a text, "" for missing, null for all that are not listed.
 *  @retval HEL_EUNSUPPORTED dot interaction, other table kinds, by name. */
HEL_CHECKED hel_status hel_dlrm_import(hel_dlrm **out, hel_import_report *report,
				       const hel_dlrm_config *config, const char *schema,
				       size_t schema_size, const uint8_t *weights, size_t size);

#endif
