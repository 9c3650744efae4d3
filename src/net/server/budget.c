#include "budget.h"
#include <math.h>
#include <unistd.h>

void hel_budget_init(hel_budget *b, size_t limit)
{
	const size_t machine = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
	b->limit = limit ? limit : machine / 4 * 3;
	atomic_store(&b->used, 0);
}

bool hel_budget_take(hel_budget *b, size_t bytes)
{
	size_t used = atomic_load(&b->used);
	do
		if (bytes > b->limit || used > b->limit - bytes)
			return false;
	while (!atomic_compare_exchange_weak(&b->used, &used, used + bytes));
	return true;
}

void hel_budget_give(hel_budget *b, size_t bytes)
{
	atomic_fetch_sub(&b->used, bytes);
}

double hel_bucket_take(hel_bucket *b, uint64_t rate)
{
	const double now = hel_clock(), most = (double)rate, per_second = most / 60;
	/* a bucket that was never used is full */
	b->tokens = b->filled > 0 ? fmin(most, b->tokens + (now - b->filled) * per_second) : most;
	b->filled = now;
	if (b->tokens < 1)
		return (1 - b->tokens) / per_second;
	b->tokens -= 1;
	return 0;
}
