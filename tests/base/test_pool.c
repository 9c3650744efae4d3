#include "../testing.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef struct counting {
	hel_pool *pool;
	atomic_int seen[1000], nested;
} counting;

static void inner(void *arg, size_t i)
{
	(void)i;
	atomic_fetch_add(&((counting *)arg)->nested, 1);
}

static void outer(void *arg, size_t i)
{
	counting *c = arg;
	atomic_fetch_add(&c->seen[i], 1);
	if (i % 100 == 0)
		hel_pool_for(c->pool, 3, inner, c);
}

static void test_every_index_once(void **state)
{
	(void)state;
	for (unsigned threads = 0; threads <= 8; threads++) {
		counting c = {.pool = hel_pool_new(threads)};
		assert_non_null(c.pool);
		for (int round = 1; round <= 20; round++) {
			hel_pool_for(c.pool, 1000, outer, &c);
			for (int i = 0; i < 1000; i++)
				assert_int_equal(round, atomic_load(&c.seen[i]));
		}
		assert_int_equal(20 * 10 * 3, atomic_load(&c.nested));
		hel_pool_free(c.pool);
	}
	counting alone = {0};
	hel_pool_for(NULL, 1000, outer, &alone);
	assert_int_equal(1, atomic_load(&alone.seen[999]));
}

static void *caller(void *arg)
{
	for (int round = 0; round < 50; round++)
		hel_pool_for(((counting *)arg)->pool, 1000, outer, arg);
	return NULL;
}

static void test_too_many_threads(void **state)
{
	(void)state;
	assert_null(hel_pool_new(UINT32_MAX));
}

static void test_several_callers(void **state)
{
	(void)state;
	counting c = {.pool = hel_pool_new(3)};
	pthread_t thread[4];
	for (int i = 0; i < 4; i++)
		assert_int_equal(0, pthread_create(&thread[i], NULL, caller, &c));
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(200, atomic_load(&c.seen[i]));
	hel_pool_free(c.pool);
}

/* A loop inside of one call; its calls end only once two threads are in it at once. */
typedef struct shared {
	hel_pool *pool;
	atomic_int inside, most;
} shared;

static void meet(void *arg, size_t i)
{
	shared *s = arg;
	(void)i;
	const double start = hel_clock();
	atomic_fetch_add(&s->inside, 1);
	while (atomic_load(&s->most) < 2 && hel_clock() - start < 60)
		if (atomic_load(&s->inside) > 1)
			atomic_store(&s->most, 2);
	atomic_fetch_sub(&s->inside, 1);
}

static void long_or_short(void *arg, size_t i)
{
	shared *s = arg;
	if (i == 1)
		hel_pool_for(s->pool, 2, meet, s);
}

static void test_idle_threads_help(void **state)
{
	(void)state;
	for (int round = 0; round < 100; round++) {
		shared s = {.pool = hel_pool_new(2)};
		hel_pool_for(s.pool, 2, long_or_short, &s);
		assert_int_equal(2, atomic_load(&s.most));
		hel_pool_free(s.pool);
	}
}

typedef struct lanes {
	hel_pool *pool;
	atomic_int busy[8], done, calls;
} lanes;

static void on_lane(void *arg, size_t lane, size_t i)
{
	lanes *l = arg;
	(void)i;
	assert_true(lane < hel_pool_threads(l->pool));
	if (atomic_fetch_add(&l->busy[lane], 1))
		abort();
	for (volatile int k = 0; k < 1000; k++)
		;
	atomic_fetch_sub(&l->busy[lane], 1);
	atomic_fetch_add(&l->done, 1);
}

static void *lane_caller(void *arg)
{
	lanes own = {.pool = ((lanes *)arg)->pool};
	for (int round = 0; round < 30; round++)
		hel_pool_for_lanes(own.pool, 100, on_lane, &own);
	assert_int_equal(3000, atomic_load(&own.done));
	return NULL;
}

static void test_lanes_are_exclusive(void **state)
{
	(void)state;
	lanes l = {.pool = hel_pool_new(4)};
	pthread_t thread[4];
	for (int i = 0; i < 4; i++)
		assert_int_equal(0, pthread_create(&thread[i], NULL, lane_caller, &l));
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	hel_pool_free(l.pool);
}

static void count_loop(void *arg, size_t count, double start, double seconds)
{
	lanes *l = arg;
	assert_true(start > 0 && seconds >= 0);
	atomic_fetch_add(&l->calls, (int)count);
}

static void test_watch(void **state)
{
	(void)state;
	for (unsigned threads = 1; threads <= 3; threads++) {
		lanes l = {.pool = hel_pool_new(threads)};
		hel_pool_watch(l.pool, count_loop, &l);
		hel_pool_for_lanes(l.pool, 100, on_lane, &l);
		hel_pool_for_lanes(l.pool, 1, on_lane, &l);
		hel_pool_watch(l.pool, NULL, NULL);
		hel_pool_for_lanes(l.pool, 7, on_lane, &l);
		assert_int_equal(101, atomic_load(&l.calls));
		hel_pool_free(l.pool);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_index_once),	cmocka_unit_test(test_too_many_threads),
	    cmocka_unit_test(test_several_callers),	cmocka_unit_test(test_idle_threads_help),
	    cmocka_unit_test(test_lanes_are_exclusive), cmocka_unit_test(test_watch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
