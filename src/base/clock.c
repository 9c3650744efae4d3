#include "base.h"
#include <sys/resource.h>
#include <time.h>

double hel_clock(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

size_t hel_peak_rss(void)
{
	struct rusage use;
	return getrusage(RUSAGE_SELF, &use) ? 0 : (size_t)use.ru_maxrss * 1024;
}
