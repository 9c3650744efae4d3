/* mapping.h -- files mapped for reading whose reads do not kill the process: where a file was
 * truncated or a sector cannot be read, zeros stand in, and hel_mapping_damaged says so.
 */
#ifndef HEL_MAPPING_H
#define HEL_MAPPING_H

#include "base/base.h"

typedef struct hel_mapping hel_mapping;

/** Maps the first `bytes` of a file; fd may be closed afterwards. The first one installs a handler
 *  of SIGBUS for the process; faults elsewhere end in the handler that was there before.
 *  @retval HEL_ETRUNC the file is shorter. @retval HEL_EIO, HEL_ENOMEM */
HEL_CHECKED hel_status hel_mapping_open(hel_mapping **out, int fd, size_t bytes);
const void *hel_mapping_bytes(const hel_mapping *m);
/** Was something read that is not in the file? To be asked after the reads. */
bool hel_mapping_damaged(const hel_mapping *m);
void hel_mapping_close(hel_mapping *m);

#endif
