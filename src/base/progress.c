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
	const double now = hel_clock();
	*p = (hel_progress){.what = what, .start = now, .since = now, .to = 1};
}

void hel_progress_part(hel_progress *p, double from, double to)
{
	if (!p)
		return;
	p->from = from;
	p->to = to;
}

void hel_progress_step(hel_progress *p, double fraction)
{
	hel_progress_note(p, fraction, "");
}

/* What is left is at least as long as nothing has moved: no "0 s" for minutes. */
static double seconds_left(const hel_progress *p, double now)
{
	const double f = p->reached, rate = f > 0 ? (1 - f) / f : 0;
	const double left = rate * (p->since - p->start), still = now - p->since;
	return left > still ? left - still / 2 : still;
}

void hel_progress_note(hel_progress *p, double fraction, const char *note)
{
	if (!p)
		return;
	const double now = hel_clock(), every = isatty(STDERR_FILENO) ? 0.2 : 10;
	const double whole = p->from + fraction * (p->to - p->from);
	if (whole > p->reached) {
		p->reached = whole < 1 ? whole : 1;
		p->since = now;
	}
	if (now - p->start < 2 || now - p->shown < every)
		return;
	p->shown = now;
	fprintf(stderr,
		isatty(STDERR_FILENO) ? "\r%s: %3.0f %%, %s%s%.0f s left \033[K"
				      : "%s: %.0f %%, %s%s%.0f s left\n",
		p->what, 100 * p->reached, note, *note ? ", " : "", seconds_left(p, now));
	fflush(stderr);
}

void hel_progress_end(hel_progress *p)
{
	if (p->shown > 0 && isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}
