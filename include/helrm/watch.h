/** @file watch.h
 *  Following a call that takes its time, and ending it.
 */
#ifndef HELRM_WATCH_H
#define HELRM_WATCH_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Somebody who is told how far a call is. */
typedef struct hel_watch {
	/** Called now and then, at most twenty times a second, and always by the thread that made
	 * the call; done: from 0 to 1, never less than before. On false the call ends with
	 * HEL_ECANCEL, as soon as what is begun is done, and leaves nothing behind. */
	bool (*tell)(void *arg, double done);
	void *arg; /**< Handed to tell. */
} hel_watch;

#ifdef __cplusplus
}
#endif
#endif
