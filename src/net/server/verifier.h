/* verifier.h -- ends uploads: syncing and checking them takes too long for the threads that talk to
 * clients. */
#ifndef HEL_SERVER_VERIFIER_H
#define HEL_SERVER_VERIFIER_H

#include "request.h"
#include <pthread.h>

typedef struct hel_verifier {
	pthread_mutex_t lock;
	pthread_cond_t work;
	hel_request *first;
	pthread_t thread[2];
	unsigned threads;
	bool stop;
	void (*wake)(void *service);
} hel_verifier;

/** wake: called when an upload was checked, by the thread that did. */
HEL_CHECKED hel_status hel_verifier_start(hel_service *s, void (*wake)(void *service));
/** The request must be among the waiting: it is woken when its upload is checked. */
void hel_verifier_submit(hel_request *r);
/** Ends what was submitted first. */
void hel_verifier_stop(hel_verifier *v);

#endif
