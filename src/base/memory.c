#include "base.h"
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#include <sys/prctl.h>
#endif

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

/* count * size as whole cache lines; false: too much, or the test's turn to fail. */
static bool whole_lines(size_t *bytes, size_t count, size_t size)
{
	if (__builtin_mul_overflow(count, size, bytes) || *bytes > PTRDIFF_MAX - HEL_ALIGN ||
	    must_fail())
		return false;
	*bytes = (HEL_MAX(*bytes, 1) + HEL_ALIGN - 1) / HEL_ALIGN * HEL_ALIGN;
	return true;
}

static void *take(size_t count, size_t size, bool zero)
{
	size_t bytes;
	if (!whole_lines(&bytes, count, size))
		return NULL;
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

#define HUGE_PAGE ((size_t)1 << 21)

void *hel_alloc_huge(size_t count, size_t size)
{
	size_t bytes;
	if (!whole_lines(&bytes, count, size))
		return NULL;
#ifdef __linux__
	void *p;
	if (bytes >= HUGE_PAGE) {
		if (posix_memalign(&p, HUGE_PAGE, bytes))
			return NULL;
		madvise(p, bytes, MADV_HUGEPAGE); /* a kernel without them says no: so be it */
		return p;
	}
#endif
	return aligned_alloc(HEL_ALIGN, bytes);
}

void hel_memory_for_one_run(void)
{
#ifdef __linux__
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* a kernel that knows no such thing: so be it */
#endif
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

/* Buffers lie side by side in large pieces of memory, so that they fill huge pages; what is not
 * used of a piece is not touched. */
typedef struct slab {
	struct slab *next;
	size_t bytes, used;
} slab;

struct hel_scratch {
	pthread_mutex_t lock;
	block *idle;
	slab *slabs; /* only the first may have room */
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
	for (slab *s = pool->slabs; s;) {
		slab *next = s->next;
		hel_free_secret(s, s->used);
		s = next;
	}
	pthread_mutex_destroy(&pool->lock);
	hel_free(pool);
}

#define SLAB (8 * HUGE_PAGE)

/* From the smallest idle buffer that is large enough. */
static block *reuse(hel_scratch *pool, size_t bytes)
{
	block **best = NULL;
	for (block **at = &pool->idle; *at; at = &(*at)->next)
		if ((*at)->bytes >= bytes && (!best || (*at)->bytes < (*best)->bytes))
			best = at;
	block *found = best ? *best : NULL;
	if (found)
		*best = found->next;
	return found;
}

static block *take_new(hel_scratch *pool, size_t bytes)
{
	const size_t whole = HEL_ALIGN + (bytes + HEL_ALIGN - 1) / HEL_ALIGN * HEL_ALIGN;
	slab *s = pool->slabs;
	if (!s || s->bytes - s->used < whole) {
		const size_t size = HEL_MAX(HEL_ALIGN + whole, SLAB);
		s = hel_alloc_huge(1, size);
		if (!s)
			return NULL;
		*s = (slab){pool->slabs, size, HEL_ALIGN};
		pool->slabs = s;
	}
	block *b = (block *)(void *)((uint8_t *)s + s->used);
	s->used += whole;
	b->bytes = whole - HEL_ALIGN;
	return b;
}

void *hel_scratch_take(hel_scratch *pool, size_t bytes)
{
	if (bytes > PTRDIFF_MAX - 4 * HEL_ALIGN)
		return NULL;
	pthread_mutex_lock(&pool->lock);
	block *b = reuse(pool, bytes);
	if (!b)
		b = take_new(pool, bytes);
	pthread_mutex_unlock(&pool->lock);
	return b ? (uint8_t *)b + HEL_ALIGN : NULL;
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
