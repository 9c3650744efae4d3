/* verify_items.h -- verify --catalogue: encrypted rankings against the model, pair by pair. */
#ifndef HEL_CLI_VERIFY_ITEMS_H
#define HEL_CLI_VERIFY_ITEMS_H

#include "model/dlrm.h"
#include "parties.h"

HEL_CHECKED hel_status hel_verify_items(const hel_args *args, json_t *out, hel_parties *p,
					const hel_dlrm *m);

#endif
