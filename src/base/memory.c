#include "base.h"
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The torture tests count allocations down; production never sets it. */
static atomic_long fail_at;

void hel_alloc_fail_at(long n)
{
	atomic_store(&fail_at, n);
}

static bool must_fail(void)
{
	return atomic_load_explicit(&fail_at, memory_order_relaxed) > 0 &&
	       atomic_fetch_sub(&fail_at, 1) == 1;
}

static void *take(size_t count, size_t size, bool zero)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX - HEL_ALIGN ||
	    must_fail())
		return NULL;
	bytes = (HEL_MAX(bytes, 1) + HEL_ALIGN - 1) / HEL_ALIGN * HEL_ALIGN;
	void *p = aligned_alloc(HEL_ALIGN, bytes);
	if (p && zero)
		memset(p, 0, bytes);
	return p;
}

void *hel_alloc(size_t count, size_t size)
{
	return take(count, size, true);
}

void *hel_alloc_raw(size_t count, size_t size)
{
	return take(count, size, false);
}

void hel_free(void *p)
{
	free(p);
}

void *hel_secret_alloc(size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX - HEL_ALIGN ||
	    must_fail() || sodium_init() < 0)
		return NULL;
	/* ends at the end of a page: aligned when its size is */
	bytes = (HEL_MAX(bytes, 1) + HEL_ALIGN - 1) / HEL_ALIGN * HEL_ALIGN;
	void *p = sodium_malloc(bytes);
	if (p)
		memset(p, 0, bytes);
	return p;
}

void hel_secret_free(void *p)
{
	sodium_free(p);
}

void hel_free_secret(void *p, size_t bytes)
{
	if (p)
		hel_wipe(p, bytes);
	free(p);
}

char *hel_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = hel_alloc(size, 1);
	if (copy)
		memcpy(copy, text, size);
	return copy;
}

/* Each buffer carries a header of one cache line in front. */
typedef struct block {
	struct block *next;
	size_t bytes;
} block;

struct hel_scratch {
	pthread_mutex_t lock;
	block *idle;
};

hel_scratch *hel_scratch_new(void)
{
	hel_scratch *pool = hel_alloc(1, sizeof *pool);
	if (pool)
		pthread_mutex_init(&pool->lock, NULL);
	return pool;
}

void hel_scratch_free(hel_scratch *pool)
{
	if (!pool)
		return;
	for (block *b = pool->idle; b;) {
		block *next = b->next;
		hel_free_secret(b, HEL_ALIGN + b->bytes);
		b = next;
	}
	pthread_mutex_destroy(&pool->lock);
	hel_free(pool);
}

void *hel_scratch_take(hel_scratch *pool, size_t bytes)
{
	block *best = NULL, **slot = NULL;
	pthread_mutex_lock(&pool->lock);
	for (block **at = &pool->idle; *at; at = &(*at)->next)
		if ((*at)->bytes >= bytes && (!best || (*at)->bytes < best->bytes)) {
			best = *at;
			slot = at;
		}
	if (best)
		*slot = best->next;
	pthread_mutex_unlock(&pool->lock);
	if (!best) {
		best = hel_alloc(1, HEL_ALIGN + bytes);
		if (!best)
			return NULL;
		best->bytes = bytes;
	}
	return (uint8_t *)best + HEL_ALIGN;
}

void hel_scratch_give(hel_scratch *pool, void *buffer)
{
	if (!buffer)
		return;
	block *b = (block *)(void *)((uint8_t *)buffer - HEL_ALIGN);
	pthread_mutex_lock(&pool->lock);
	b->next = pool->idle;
	pool->idle = b;
	pthread_mutex_unlock(&pool->lock);
}
