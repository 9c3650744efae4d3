/* train_rows.h -- what the commands for data sets read as a stream share. */
#ifndef HEL_CLI_TRAIN_ROWS_H
#define HEL_CLI_TRAIN_ROWS_H

#include "cli/cli.h"
#include "dlrm/dlrm.h"

/** The data set's default configuration, changed by --config, --embedding, --threshold,
 *  --max-onehot and --seed, where the command has them. */
HEL_CHECKED hel_status hel_cli_config(hel_dlrm_config *out, const hel_args *args,
				      const hel_dataset *set);
/** The rows of --data, through the cache file `path`. */
HEL_CHECKED hel_status hel_cli_cache(hel_cache **out, const hel_args *args, json_t *report,
				     const hel_dataset *set, const char *path);
HEL_CHECKED hel_status hel_cli_train_rows(const hel_args *args, json_t *out, const hel_dataset *set,
					  const hel_dlrm_config *config);
HEL_CHECKED hel_status hel_cli_eval_rows(const hel_args *args, json_t *out, const hel_dlrm *m,
					 const hel_dataset *set);

#endif
