/* progress.h -- clocks, memory used, and one line on stderr (progress.c). */
#ifndef HEL_PROGRESS_H
#define HEL_PROGRESS_H

#include "watching.h"
#include <stddef.h>

/** Seconds of a monotonic clock. */
double hel_clock(void);
/** Peak resident memory of this process in bytes. */
size_t hel_peak_rss(void);

/** Work that is told of while it lasts: one line on stderr that never falls back, for what takes
 * over two seconds, drawn by a thread of its own, so that work that cannot say how far it is shows
 * that it goes on. What begins inside other work is named in the line of that. Any thread may step.
 */
typedef struct hel_progress {
	double start; /* hel_clock when it began; its address is what it is known by */
} hel_progress;

void hel_progress_begin(hel_progress *p, const char *what);
/** From here on steps count from 0 to 1 within this part of what they counted within before, which
 *  is returned: for work within work. */
typedef struct hel_progress_span {
	double from, to; /* of the whole */
} hel_progress_span;
hel_progress_span hel_progress_within(hel_progress *p, double from, double to);
/** The part is done: steps count within what they counted within before. */
void hel_progress_leave(hel_progress *p, hel_progress_span before);
/** How far it is, from 0 to 1; less than before changes nothing. p may be NULL. */
void hel_progress_step(hel_progress *p, double fraction);
/** The same with a few words of how it goes. */
void hel_progress_note(hel_progress *p, double fraction, const char *note);
/** Lets somebody follow work that has begun, to its end: steps tell. */
void hel_progress_follow(hel_progress *p, hel_watching *watching);
/** A place where work may end; p may be NULL.
 *  @retval HEL_ECANCEL who follows it wants no more. */
HEL_CHECKED hel_status hel_progress_check(const hel_progress *p);
/** Also of what never began, or has ended. */
void hel_progress_end(hel_progress *p);

/** For programs: show it from now on (a library shows nothing); no more, and an empty line. */
void hel_progress_show(void);
void hel_progress_hide(void);

#define HEL_PROGRESS_LINE 256
/** The line as it stands now; empty in the first two seconds, and where nothing is at work. */
void hel_progress_line(char out[HEL_PROGRESS_LINE]);

#endif
