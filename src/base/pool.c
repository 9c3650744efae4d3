#include "base.h"
#include <pthread.h>
#include <stdatomic.h>

typedef struct job {
	void (*fn)(void *arg, size_t i);
	void *arg;
	size_t count;
	atomic_size_t next;
} job;

/* A job is open while pool->job points at it. Workers that come too late find it closed, so that a
 * short job never waits for a thread to wake up. */
struct hel_pool {
	pthread_mutex_t lock, entry; /* entry: one job at a time */
	pthread_cond_t wake, idle;
	pthread_t *threads;
	unsigned extra;		  /* worker threads beside the caller */
	unsigned asleep;	  /* workers waiting on `wake` */
	atomic_uint inside;	  /* workers inside the job */
	atomic_ullong generation; /* counts jobs */
	job *job;
	bool stop;
};

/* Looks of about ten nanoseconds before a thread goes to sleep: jobs come in quick succession. */
#define SPINS 3000

static _Thread_local bool inside_worker;

static inline void pause_briefly(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void work(job *j)
{
	for (;;) {
		size_t i = atomic_fetch_add_explicit(&j->next, 1, memory_order_relaxed);
		if (i >= j->count)
			return;
		j->fn(j->arg, i);
	}
}

static void *worker(void *arg)
{
	hel_pool *pool = arg;
	unsigned long long seen = 0;
	inside_worker = true;
	for (;;) {
		for (int i = 0; i < SPINS && atomic_load(&pool->generation) == seen; i++)
			pause_briefly();
		pthread_mutex_lock(&pool->lock);
		while (!pool->stop && atomic_load(&pool->generation) == seen) {
			pool->asleep++;
			pthread_cond_wait(&pool->wake, &pool->lock);
			pool->asleep--;
		}
		seen = atomic_load(&pool->generation);
		job *j = pool->job;
		const bool stop = pool->stop;
		if (j)
			atomic_fetch_add(&pool->inside, 1);
		pthread_mutex_unlock(&pool->lock);
		if (j) {
			work(j);
			pthread_mutex_lock(&pool->lock);
			if (atomic_fetch_sub(&pool->inside, 1) == 1)
				pthread_cond_signal(&pool->idle);
			pthread_mutex_unlock(&pool->lock);
		}
		if (stop)
			return NULL;
	}
}

hel_pool *hel_pool_new(unsigned threads)
{
	hel_pool *pool = hel_alloc(1, sizeof *pool);
	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_mutex_init(&pool->entry, NULL);
	pthread_cond_init(&pool->wake, NULL);
	pthread_cond_init(&pool->idle, NULL);
	unsigned extra = threads > 1 ? threads - 1 : 0;
	pool->threads = hel_alloc(extra, sizeof *pool->threads);
	while (pool->threads && pool->extra < extra &&
	       pthread_create(&pool->threads[pool->extra], NULL, worker, pool) == 0)
		pool->extra++;
	if (pool->extra == extra && pool->threads)
		return pool;
	hel_pool_free(pool);
	return NULL;
}

void hel_pool_free(hel_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->extra; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->wake);
	pthread_cond_destroy(&pool->idle);
	pthread_mutex_destroy(&pool->lock);
	pthread_mutex_destroy(&pool->entry);
	hel_free(pool->threads);
	hel_free(pool);
}

unsigned hel_pool_threads(const hel_pool *pool)
{
	return pool ? pool->extra + 1 : 1;
}

void hel_pool_for(hel_pool *pool, size_t count, void (*fn)(void *arg, size_t i), void *arg)
{
	if (!pool || !pool->extra || count < 2 || inside_worker) {
		for (size_t i = 0; i < count; i++)
			fn(arg, i);
		return;
	}
	job j = {.fn = fn, .arg = arg, .count = count};
	pthread_mutex_lock(&pool->entry);
	pthread_mutex_lock(&pool->lock);
	pool->job = &j;
	atomic_fetch_add(&pool->generation, 1);
	if (pool->asleep)
		pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	inside_worker = true;
	work(&j);
	inside_worker = false;
	pthread_mutex_lock(&pool->lock);
	pool->job = NULL; /* nobody joins any more */
	pthread_mutex_unlock(&pool->lock);
	for (int i = 0; i < SPINS && atomic_load(&pool->inside); i++)
		pause_briefly();
	pthread_mutex_lock(&pool->lock);
	while (atomic_load(&pool->inside))
		pthread_cond_wait(&pool->idle, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	pthread_mutex_unlock(&pool->entry);
}

typedef struct attempt {
	hel_status (*fn)(void *arg, size_t i);
	void *arg;
	pthread_mutex_t lock;
	size_t lowest;
	hel_status status;
	char detail[512];
} attempt;

static void try_one(void *arg, size_t i)
{
	attempt *a = arg;
	hel_status st = a->fn(a->arg, i);
	if (st == HEL_OK)
		return;
	pthread_mutex_lock(&a->lock);
	if (a->status == HEL_OK || i < a->lowest) {
		a->status = st;
		a->lowest = i;
		snprintf(a->detail, sizeof a->detail, "%s", hel_error_detail());
	}
	pthread_mutex_unlock(&a->lock);
}

hel_status hel_pool_try(hel_pool *pool, size_t count, hel_status (*fn)(void *arg, size_t i),
			void *arg)
{
	attempt a = {.fn = fn, .arg = arg};
	pthread_mutex_init(&a.lock, NULL);
	hel_pool_for(pool, count, try_one, &a);
	pthread_mutex_destroy(&a.lock);
	return a.status == HEL_OK ? HEL_OK : hel_fail(a.status, "%s", a.detail);
}
