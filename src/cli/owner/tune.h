/* tune.h -- candidates, what was measured of them, and how that is shown. */
#ifndef HEL_CLI_TUNE_H
#define HEL_CLI_TUNE_H

#include "data.h"

typedef struct hel_candidate {
	char name[64];
	hel_dlrm_config config;
	/* measured on the held-out rows: means over seeds, standard errors; of the difference to
	 * the best candidate, too */
	double auc, auc_error, log_loss, behind, behind_error;
	double *placement; /* per held-out row: see hel_auc_placements */
	/* predicted by compiling the first seed's model; `why` not, when it cannot be evaluated */
	size_t onehots, query_bytes, key_bytes;
	unsigned levels, log_n;
	double seconds;
	bool compiled, front; /* no other one is better in AUC and time */
	char why[160];
} hel_candidate;

void hel_tune_table(const hel_args *args, const hel_candidate *c, size_t count,
		    const hel_candidate *chosen);
json_t *hel_tune_json(const hel_candidate *c, size_t count, const hel_candidate *chosen);
/** An SVG drawing of AUC over server time, zero-ended; the caller frees it with hel_free. */
HEL_CHECKED hel_status hel_tune_svg(char **out, const hel_candidate *c, size_t count,
				    const hel_candidate *chosen);

#endif
