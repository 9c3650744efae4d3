/* train_rows.h -- training on rows in bulk. */
#ifndef HEL_CLI_TRAIN_ROWS_H
#define HEL_CLI_TRAIN_ROWS_H

#include "data.h"

HEL_CHECKED hel_status hel_cli_train_rows(const hel_args *args, json_t *out, const hel_dataset *set,
					  const hel_dlrm_config *config);

#endif
