#include "base.h"
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define QUIET 2		/* seconds without a line */
#define EVERY_SCREEN .2 /* between lines that replace each other */
#define EVERY_FILE 10	/* between lines that stay */

/* What is at work, outermost first. Known by the address of the caller's handle, which is not
 * looked into: one that a failure left open is no danger. */
typedef struct task {
	const hel_progress *owner;
	char what[64], note[64];
	double start, advanced, fraction; /* advanced: when the fraction last grew */
	hel_progress_span part;		  /* of the whole, that steps are of */
	hel_watching *watching;		  /* who follows it, or NULL */
} task;

static struct {
	pthread_mutex_t lock;
	task at[8];
	size_t count;
	bool shown; /* a line stands on the screen */
	/* the thread that draws */
	bool wanted, running, ending;
	pthread_t thread;
	pthread_cond_t end;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- the line --------------------------------------------------------------------------------- */

/* Seconds, told by the pace up to the last advance; 0 when that is over or there was none. */
static double left(const task *t, double now)
{
	if (!(t->fraction > 0 && t->fraction < 1))
		return 0;
	const double pace = (t->advanced - t->start) / t->fraction;
	return fmax(0, pace * (1 - t->fraction) - (now - t->advanced));
}

void hel_progress_line(char out[HEL_PROGRESS_LINE])
{
	*out = 0;
	pthread_mutex_lock(&state.lock);
	const task *t = state.at, *inner = state.at + state.count - 1;
	const double now = hel_clock();
	if (state.count && now - t->start >= QUIET) {
		const double rest = left(t, now);
		/* one line of the outermost, so that it never falls back */
		const char *note = inner > t ? inner->what : t->note;
		int n = snprintf(out, HEL_PROGRESS_LINE, "%s: ", t->what);
		if (t->fraction > 0)
			n += snprintf(out + n, HEL_PROGRESS_LINE - (size_t)n, "%.0f %%, ",
				      floor(100 * t->fraction));
		if (*note)
			n += snprintf(out + n, HEL_PROGRESS_LINE - (size_t)n, "%s, ", note);
		snprintf(out + n, HEL_PROGRESS_LINE - (size_t)n,
			 rest >= 1 ? "about %.0f s left" : "%.0f s so far",
			 rest >= 1 ? rest : now - t->start);
	}
	pthread_mutex_unlock(&state.lock);
}

/* --- who draws it ------------------------------------------------------------------------------
 */

static void draw(void)
{
	char line[HEL_PROGRESS_LINE];
	struct winsize screen = {0};
	hel_progress_line(line);
	if (!*line)
		return;
	if (!isatty(STDERR_FILENO)) {
		fprintf(stderr, "%s\n", line);
		return;
	}
	const bool known = !ioctl(STDERR_FILENO, TIOCGWINSZ, &screen) && screen.ws_col > 1;
	fprintf(stderr, "\r%.*s\033[K", known ? screen.ws_col - 1 : 79, line);
	fflush(stderr);
	state.shown = true;
}

static void clear(void)
{
	if (state.shown)
		fprintf(stderr, "\r\033[K");
	state.shown = false;
}

static void *watch(void *unused)
{
	(void)unused;
	double shown = -INFINITY;
	const double every = isatty(STDERR_FILENO) ? EVERY_SCREEN : EVERY_FILE;
	pthread_mutex_lock(&state.lock);
	while (!state.ending) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 200000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&state.end, &state.lock, &until);
		const bool due = state.count && hel_clock() - state.at[0].start >= QUIET &&
				 hel_clock() - shown >= every;
		if (!due)
			continue;
		pthread_mutex_unlock(&state.lock);
		draw();
		pthread_mutex_lock(&state.lock);
		shown = hel_clock();
	}
	pthread_mutex_unlock(&state.lock);
	return NULL;
}

void hel_progress_show(void)
{
	state.wanted = true;
}

/* Signals are for the threads that work. */
static void start_watching(void)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_cond_init(&state.end, NULL);
	state.running = !pthread_create(&state.thread, NULL, watch, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void hel_progress_hide(void)
{
	pthread_mutex_lock(&state.lock);
	state.count = 0;
	state.ending = true;
	const bool running = state.running;
	if (running)
		pthread_cond_signal(&state.end);
	pthread_mutex_unlock(&state.lock);
	if (running)
		pthread_join(state.thread, NULL);
	state.running = state.ending = state.wanted = false;
	clear();
}

/* --- what is at work ---------------------------------------------------------------------------
 */

static task *find(const hel_progress *p)
{
	for (size_t i = 0; i < state.count; i++)
		if (state.at[i].owner == p)
			return &state.at[i];
	return NULL;
}

void hel_progress_begin(hel_progress *p, const char *what)
{
	p->start = hel_clock();
	pthread_mutex_lock(&state.lock);
	if (state.wanted && !state.running)
		start_watching();
	task *t = find(p);
	if (!t && state.count < HEL_ARRAY_LEN(state.at))
		t = &state.at[state.count++];
	if (t) {
		*t = (task){.owner = p, .start = p->start, .advanced = p->start, .part = {0, 1}};
		snprintf(t->what, sizeof t->what, "%s", what);
	}
	pthread_mutex_unlock(&state.lock);
}

/* Under the lock. */
static void advance(task *t, double whole)
{
	if (whole <= t->fraction)
		return;
	t->fraction = fmin(whole, 1);
	t->advanced = hel_clock();
}

hel_progress_span hel_progress_within(hel_progress *p, double from, double to)
{
	hel_progress_span before = {0, 1};
	pthread_mutex_lock(&state.lock);
	task *t = find(p);
	if (t) {
		before = t->part;
		const double width = before.to - before.from;
		t->part = (hel_progress_span){before.from + from * width, before.from + to * width};
		advance(t, t->part.from);
	}
	pthread_mutex_unlock(&state.lock);
	return before;
}

void hel_progress_leave(hel_progress *p, hel_progress_span before)
{
	pthread_mutex_lock(&state.lock);
	task *t = find(p);
	if (t) {
		advance(t, t->part.to);
		t->part = before;
	}
	pthread_mutex_unlock(&state.lock);
}

void hel_progress_note(hel_progress *p, double fraction, const char *note)
{
	pthread_mutex_lock(&state.lock);
	task *t = find(p);
	if (t) {
		advance(t, t->part.from + fraction * (t->part.to - t->part.from));
		snprintf(t->note, sizeof t->note, "%s", note);
	}
	pthread_mutex_unlock(&state.lock);
}

void hel_progress_step(hel_progress *p, double fraction)
{
	hel_progress_note(p, fraction, "");
}

void hel_progress_follow(hel_progress *p, hel_watching *watching)
{
	pthread_mutex_lock(&state.lock);
	task *t = find(p);
	if (t)
		t->watching = watching;
	pthread_mutex_unlock(&state.lock);
}

/* Who follows is told without the lock: he may take his time. */
hel_status hel_progress_check(const hel_progress *p)
{
	pthread_mutex_lock(&state.lock);
	const task *t = p ? find(p) : NULL;
	hel_watching *watching = t ? t->watching : NULL;
	const double done = t ? t->fraction : 0;
	pthread_mutex_unlock(&state.lock);
	return hel_watching_step(watching, done);
}

/* What began inside it has ended, too. */
void hel_progress_end(hel_progress *p)
{
	pthread_mutex_lock(&state.lock);
	const task *t = find(p);
	if (t)
		state.count = (size_t)(t - state.at);
	const bool last = t && !state.count;
	pthread_mutex_unlock(&state.lock);
	if (last)
		clear();
}
