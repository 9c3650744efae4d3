/* budget.h -- memory that was promised, and rates. */
#ifndef HEL_SERVER_BUDGET_H
#define HEL_SERVER_BUDGET_H

#include "base/base.h"
#include <stdatomic.h>

typedef struct hel_budget {
	size_t limit;
	atomic_size_t used;
} hel_budget;

/** 0 stands for three quarters of the machine. */
void hel_budget_init(hel_budget *b, size_t limit);
bool hel_budget_take(hel_budget *b, size_t bytes);
void hel_budget_give(hel_budget *b, size_t bytes);

/** A token bucket: `rate` a minute, bursts up to the same number. */
typedef struct hel_bucket {
	double tokens, filled;
} hel_bucket;

/** Seconds until the next one is allowed; 0 when this one is. */
double hel_bucket_take(hel_bucket *b, uint64_t rate);

#endif
