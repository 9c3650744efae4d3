/* Rates, and memory that was promised. */
#include "../testing.h"
#include "net/server/budget.h"
#include <math.h>
#include <pthread.h>

static void test_bucket(void **state)
{
	(void)state;
	hel_bucket b = {0, 0};
	for (int i = 0; i < 10; i++)
		assert_equal(hel_bucket_take(&b, 10), 0);
	const double wait = hel_bucket_take(&b, 10);
	assert_more(wait, 5.5);
	assert_at_most(wait, 6);
}

static void test_bucket_fills(void **state)
{
	(void)state;
	hel_bucket b = {0, 0};
	while (hel_bucket_take(&b, 6000) <= 0)
		;
	const double start = hel_clock(), wait = hel_bucket_take(&b, 6000);
	assert_at_most(wait, 0.01);
	while (hel_bucket_take(&b, 6000) > 0)
		;
	assert_at_least(hel_clock() - start, wait - 0.001);
	/* never more than its burst, however long nobody asked */
	b.filled -= 1e6;
	int taken = 0;
	while (hel_bucket_take(&b, 6000) <= 0)
		taken++;
	assert_at_least(taken, 6000);
	assert_at_most(taken, 6100);
}

static void test_budget(void **state)
{
	(void)state;
	hel_budget budget;
	hel_budget_init(&budget, 100);
	assert_true(hel_budget_take(&budget, 60));
	assert_false(hel_budget_take(&budget, 41));
	assert_false(hel_budget_take(&budget, SIZE_MAX));
	assert_true(hel_budget_take(&budget, 40));
	hel_budget_give(&budget, 100);
	assert_true(hel_budget_take(&budget, 100));
}

enum { THREADS = 4, TIMES = 20000 };

static void *take_and_give(void *arg)
{
	hel_budget *b = arg;
	for (int i = 0; i < TIMES; i++)
		if (hel_budget_take(b, 40)) {
			if (atomic_load(&b->used) > 100)
				return b;
			hel_budget_give(b, 40);
		}
	return NULL;
}

static void test_many_threads(void **state)
{
	(void)state;
	hel_budget b;
	pthread_t thread[THREADS];
	hel_budget_init(&b, 100);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(0, pthread_create(&thread[i], NULL, take_and_give, &b));
	for (int i = 0; i < THREADS; i++) {
		void *failed;
		pthread_join(thread[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(0, atomic_load(&b.used));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bucket), cmocka_unit_test(test_bucket_fills),
	    cmocka_unit_test(test_budget), cmocka_unit_test(test_many_threads)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
