/* threads.h -- work for a pool (pool.c); hel_pool itself is public: helrm/pool.h. */
#ifndef HEL_THREADS_H
#define HEL_THREADS_H

#include <helrm/pool.h>
#include <stddef.h>

/** Calls fn(arg, i) for i in [0, count), in any order and on any thread; returns when all are done.
 *  A call may open a loop of its own, which threads that have nothing else to do take part in: it
 *  must hold no lock meanwhile. */
void hel_pool_for(hel_pool *pool, size_t count, void (*fn)(void *arg, size_t i), void *arg);
/** The same for calls that need memory each: lane < hel_pool_threads(), and of calls with one lane
 *  each begins when the one before has ended. */
void hel_pool_for_lanes(hel_pool *pool, size_t count, void (*fn)(void *arg, size_t lane, size_t i),
			void *arg);
/** hel_pool_for for calls that may fail: the status and detail of the lowest i that did. */
HEL_CHECKED hel_status hel_pool_try(hel_pool *pool, size_t count,
				    hel_status (*fn)(void *arg, size_t i), void *arg);

/** Told of every loop at its end, by the thread that opened it. start: hel_clock. */
typedef void (*hel_loop_watch)(void *arg, size_t count, double start, double seconds);
/** For a pool that is not in use; NULL ends it. */
void hel_pool_watch(hel_pool *pool, hel_loop_watch watch, void *arg);

#endif
