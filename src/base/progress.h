/* progress.h -- clocks, memory used, and one line on stderr (progress.c). */
#ifndef HEL_PROGRESS_H
#define HEL_PROGRESS_H

#include <stddef.h>

/** Seconds of a monotonic clock. */
double hel_clock(void);
/** Peak resident memory of this process in bytes. */
size_t hel_peak_rss(void);

/** One line on stderr, redrawn, shown only for work of over two seconds. */
typedef struct hel_progress {
	const char *what;
	double start, shown;
} hel_progress;

void hel_progress_begin(hel_progress *p, const char *what);
void hel_progress_step(hel_progress *p, double fraction);
/** The same with a few words of how it goes. */
void hel_progress_note(hel_progress *p, double fraction, const char *note);
void hel_progress_end(hel_progress *p);

#endif
