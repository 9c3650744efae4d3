/* threads.h -- work for a pool (pool.c); hel_pool itself is public: helrm/pool.h. */
#ifndef HEL_THREADS_H
#define HEL_THREADS_H

#include <helrm/pool.h>
#include <stddef.h>

/** Calls fn(arg, i) for i in [0, count), in any order and on any thread; returns when all are done.
 *  A call from inside a worker runs inline. */
void hel_pool_for(hel_pool *pool, size_t count, void (*fn)(void *arg, size_t i), void *arg);
/** The same for calls that may fail: the status and detail of the lowest i that did. */
HEL_CHECKED hel_status hel_pool_try(hel_pool *pool, size_t count,
				    hel_status (*fn)(void *arg, size_t i), void *arg);

#endif
