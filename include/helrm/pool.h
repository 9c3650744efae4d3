/** @file pool.h
 *  Threads that calls may share.
 */
#ifndef HELRM_POOL_H
#define HELRM_POOL_H

#include <helrm/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A fixed set of worker threads. NULL means "the calling thread alone". Results never depend on
 *  the number of threads. One pool serves any number of evaluators, and any thread may use it; jobs
 *  of several callers share the threads. */
typedef struct hel_pool hel_pool;

/** A pool on which `threads` threads work: the caller of a job and `threads` - 1 others.
 *  - Errors: NULL when memory or threads cannot be had, or more than 1,024 are asked for.
 *  - Cost: starts the threads. */
HEL_API hel_pool *hel_pool_new(unsigned threads);

/** Ends the threads. NULL is fine. Nothing may use the pool any more.
 *  - Cost: waits for the threads to end. */
HEL_API void hel_pool_free(hel_pool *pool);

/** How many threads work on a job, the caller included; 1 for NULL. */
HEL_API unsigned hel_pool_threads(const hel_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
