/* takeover.h -- queries whose server died. */
#ifndef HEL_SERVER_TAKEOVER_H
#define HEL_SERVER_TAKEOVER_H

#include "http.h"

/** Submits some of them here, as their clients did there. */
void hel_take_over(hel_service *s);

#endif
