/* Loops that are open, and threads that help: a thread with nothing to do takes indices of the
 * oldest loop that has some, also of loops that run inside another's. */
#include "base.h"
#include <pthread.h>
#include <stdatomic.h>

#define THREADS_MAX 1024 /* more is a mistake, and much memory */

typedef struct loop {
	void (*fn)(void *arg, size_t lane, size_t i);
	void *arg;
	size_t count;
	unsigned depth;		/* loops that it runs inside of */
	unsigned lanes, inside; /* threads that ever helped, that do now, its opener aside */
	atomic_size_t next;
	struct loop *after;
} loop;

struct hel_pool {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t *threads;
	unsigned extra;	 /* worker threads beside the caller */
	unsigned asleep; /* threads waiting on `changed` */
	atomic_ullong generation;
	loop *open; /* oldest first */
	bool stop;
	hel_loop_watch watch;
	void *watch_arg;
};

/* Looks of some ten nanoseconds before a thread goes to sleep: loops come in quick succession. */
#define SPINS 3000

static _Thread_local unsigned depth;

static inline void pause_briefly(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void changed_locked(hel_pool *pool)
{
	atomic_fetch_add(&pool->generation, 1);
	if (pool->asleep)
		pthread_cond_broadcast(&pool->changed);
}

/* Until a loop opens or is left. */
static void wait_locked(hel_pool *pool)
{
	const unsigned long long seen = atomic_load(&pool->generation);
	pthread_mutex_unlock(&pool->lock);
	for (int i = 0; i < SPINS && atomic_load(&pool->generation) == seen; i++)
		pause_briefly();
	pthread_mutex_lock(&pool->lock);
	pool->asleep++;
	while (atomic_load(&pool->generation) == seen)
		pthread_cond_wait(&pool->changed, &pool->lock);
	pool->asleep--;
}

static void work(loop *l, size_t lane)
{
	const unsigned outside = depth;
	depth = l->depth + 1;
	for (;;) {
		const size_t i = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);
		if (i >= l->count)
			break;
		l->fn(l->arg, lane, i);
	}
	depth = outside;
}

/* Works on the oldest loop with something left at that depth or deeper; false: there is none. */
static bool help_locked(hel_pool *pool, unsigned deep)
{
	loop *l = pool->open;
	while (l && (l->depth < deep || l->lanes == pool->extra ||
		     atomic_load_explicit(&l->next, memory_order_relaxed) >= l->count))
		l = l->after;
	if (!l)
		return false;
	const unsigned lane = ++l->lanes;
	l->inside++;
	pthread_mutex_unlock(&pool->lock);
	work(l, lane);
	pthread_mutex_lock(&pool->lock);
	if (!--l->inside)
		changed_locked(pool);
	return true;
}

static void *worker(void *arg)
{
	hel_pool *pool = arg;
	pthread_mutex_lock(&pool->lock);
	while (!pool->stop)
		if (!help_locked(pool, 0))
			wait_locked(pool);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

hel_pool *hel_pool_new(unsigned threads)
{
	hel_pool *pool = threads > THREADS_MAX ? NULL : hel_alloc(1, sizeof *pool);
	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->changed, NULL);
	unsigned extra = threads > 1 ? threads - 1 : 0, started = 0;
	pool->extra = extra;
	pool->threads = hel_alloc(extra, sizeof *pool->threads);
	while (pool->threads && started < extra &&
	       pthread_create(&pool->threads[started], NULL, worker, pool) == 0)
		started++;
	if (started == extra && pool->threads)
		return pool;
	pthread_mutex_lock(&pool->lock);
	pool->extra = started;
	pthread_mutex_unlock(&pool->lock);
	hel_pool_free(pool);
	return NULL;
}

void hel_pool_free(hel_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	changed_locked(pool);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->extra; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->changed);
	pthread_mutex_destroy(&pool->lock);
	hel_free(pool->threads);
	hel_free(pool);
}

unsigned hel_pool_threads(const hel_pool *pool)
{
	return pool ? pool->extra + 1 : 1;
}

void hel_pool_watch(hel_pool *pool, hel_loop_watch watch, void *arg)
{
	pool->watch = watch;
	pool->watch_arg = arg;
}

static void open_locked(hel_pool *pool, loop *l)
{
	loop **last = &pool->open;
	while (*last)
		last = &(*last)->after;
	*last = l;
	changed_locked(pool);
}

static void close_locked(hel_pool *pool, loop *l)
{
	loop **at = &pool->open;
	while (*at != l)
		at = &(*at)->after;
	*at = l->after;
}

/* While others end what they took, a thread helps with loops inside of theirs, and no others: none
 * that it opens itself waits for one that is older. */
static void run(hel_pool *pool, loop *l)
{
	pthread_mutex_lock(&pool->lock);
	open_locked(pool, l);
	pthread_mutex_unlock(&pool->lock);
	work(l, 0);
	pthread_mutex_lock(&pool->lock);
	close_locked(pool, l);
	while (l->inside)
		if (!help_locked(pool, l->depth + 1))
			wait_locked(pool);
	pthread_mutex_unlock(&pool->lock);
}

void hel_pool_for_lanes(hel_pool *pool, size_t count, void (*fn)(void *arg, size_t lane, size_t i),
			void *arg)
{
	loop l = {.fn = fn, .arg = arg, .count = count, .depth = depth};
	const double start = pool && pool->watch ? hel_clock() : 0;
	if (!pool || !pool->extra || count < 2)
		work(&l, 0);
	else
		run(pool, &l);
	if (pool && pool->watch)
		pool->watch(pool->watch_arg, count, start, hel_clock() - start);
}

typedef struct plain {
	void (*fn)(void *arg, size_t i);
	void *arg;
} plain;

static void without_lane(void *arg, size_t lane, size_t i)
{
	const plain *p = arg;
	(void)lane;
	p->fn(p->arg, i);
}

void hel_pool_for(hel_pool *pool, size_t count, void (*fn)(void *arg, size_t i), void *arg)
{
	hel_pool_for_lanes(pool, count, without_lane, &(plain){fn, arg});
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
