/* service.h -- the private-prediction server. No secret-key code. */
#ifndef HEL_SERVER_SERVICE_H
#define HEL_SERVER_SERVICE_H

#include "settings.h"

typedef struct hel_service hel_service;

/** What can be found wrong without listening: settings, certificate and key, API keys. */
HEL_CHECKED hel_status hel_service_check(const hel_settings *settings);
/** Everything above, listening. `pool` serves the loading of models. */
HEL_CHECKED hel_status hel_service_open(hel_service **out, const hel_settings *settings,
					hel_pool *pool);
/** Periodic work; to be called about ten times a second. */
void hel_service_tick(hel_service *s, bool reload);
/** Refuses new work, lets running queries end, answers, closes. */
void hel_service_close(hel_service *s);

#endif
