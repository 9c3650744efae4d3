/* log.h -- one JSON object a line on stderr; no payloads, no tokens. */
#ifndef HEL_SERVER_LOG_H
#define HEL_SERVER_LOG_H

#include <jansson.h>

/** Fields by json_pack's format, e.g. "{s:s}". */
void hel_log(const char *level, const char *event, const char *format, ...);

#endif
