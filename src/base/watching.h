/* watching.h -- a call that somebody follows (helrm/watch.h), seen from inside of it. */
#ifndef HEL_WATCHING_H
#define HEL_WATCHING_H

#include <helrm/status.h>
#include <helrm/watch.h>
#include <pthread.h>
#include <stdatomic.h>

typedef struct hel_watching {
	const hel_watch *watch; /* NULL: nobody */
	pthread_t thread;	/* that is told */
	double next, told;	/* hel_clock of the next time; what was said last */
	atomic_bool stop;
} hel_watching;

void hel_watching_begin(hel_watching *w, const hel_watch *watch);
/** From any thread, as often as there is a place to end; w may be NULL.
 *  @retval HEL_ECANCEL it was told to end. */
HEL_CHECKED hel_status hel_watching_step(hel_watching *w, double done);

#endif
