/* wait.h -- requests that are put aside until a job is done or an upload is checked. */
#ifndef HEL_SERVER_WAIT_H
#define HEL_SERVER_WAIT_H

#include "request.h"
#include <pthread.h>

typedef struct hel_waiting {
	pthread_mutex_t lock;
	hel_request *first;
} hel_waiting;

/** Puts the request aside; false when there is nothing to wait for. */
bool hel_wait_suspend(hel_request *r);
/** Resumes requests whose wait is over. */
void hel_wait_wake(void *service);
/** MHD does not look at suspended connections: asks their sockets which clients have gone. */
void hel_wait_find_gone(hel_service *s);
/** Puts a request aside that will be told its query was accepted, until that outlives this server;
 *  false when nothing is to be done. */
bool hel_wait_keep(hel_request *r);

#endif
