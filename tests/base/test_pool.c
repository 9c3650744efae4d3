#include "../testing.h"
#include <pthread.h>
#include <stdatomic.h>

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
		hel_pool_for(c->pool, 3, inner, c); /* runs inline */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_index_once),
	    cmocka_unit_test(test_several_callers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
