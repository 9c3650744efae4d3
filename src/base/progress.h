/* progress.h -- clocks, memory used, and one line on stderr (progress.c). */
#ifndef HEL_PROGRESS_H
#define HEL_PROGRESS_H

#include <stddef.h>

/** Seconds of a monotonic clock. */
double hel_clock(void);
/** Peak resident memory of this process in bytes. */
size_t hel_peak_rss(void);

/** One line on stderr, redrawn, shown only for work of over two seconds. It never falls back. */
typedef struct hel_progress {
	const char *what;
	double start, shown;
	double reached, since; /* the largest fraction so far, and when */
	double from, to;       /* the part of the whole that steps are of */
} hel_progress;

void hel_progress_begin(hel_progress *p, const char *what);
/** From here on steps count from 0 to 1 within this part of the whole: for work within work. */
void hel_progress_part(hel_progress *p, double from, double to);
/** p may be NULL. */
void hel_progress_step(hel_progress *p, double fraction);
/** The same with a few words of how it goes. */
void hel_progress_note(hel_progress *p, double fraction, const char *note);
void hel_progress_end(hel_progress *p);

#endif
