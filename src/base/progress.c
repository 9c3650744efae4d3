#include "base.h"
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

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

void hel_progress_begin(hel_progress *p, const char *what)
{
	*p = (hel_progress){.what = what, .start = hel_clock()};
}

void hel_progress_step(hel_progress *p, double fraction)
{
	hel_progress_note(p, fraction, "");
}

void hel_progress_note(hel_progress *p, double fraction, const char *note)
{
	double now = hel_clock(), every = isatty(STDERR_FILENO) ? 0.2 : 10;
	if (now - p->start < 2 || now - p->shown < every)
		return;
	p->shown = now;
	double left = fraction > 0 ? (now - p->start) * (1 - fraction) / fraction : 0;
	fprintf(stderr,
		isatty(STDERR_FILENO) ? "\r%s: %3.0f %%, %s%s%.0f s left \033[K"
				      : "%s: %.0f %%, %s%s%.0f s left\n",
		p->what, 100 * fraction, note, *note ? ", " : "", left);
	fflush(stderr);
}

void hel_progress_end(hel_progress *p)
{
	if (p->shown > 0 && isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}
