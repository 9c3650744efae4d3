/* bench.h -- figures of `helrm bench`: bench_measure.c times and reports, bench_core.c does the
 * work of rings and layers.
 */
#ifndef HEL_BENCH_H
#define HEL_BENCH_H

#include "cli/cli.h"
#include "compile/calibration.h"
#include "compile/compile.h"

typedef struct bench {
	const hel_args *args;
	json_t *results;
	const char *only;
	double seconds;	     /* to spend on each figure */
	double copy_rate;    /* bytes per second of this machine's memory, one thread */
	double product_rate; /* modular products per second in the first-level cache, one thread */
	unsigned threads;
} bench;

typedef hel_status (*bench_fn)(void *arg);

/** What one call moves and multiplies at least; zeros when unknown. */
typedef struct bench_work {
	double bytes, products;
} bench_work;

bench_work bench_work_of(double bytes, hel_cost cost);
bool bench_wanted(const bench *b, const char *name);
/** Times fn until the time is spent, and reports. */
HEL_CHECKED hel_status bench_measure(bench *b, const char *name, unsigned log_n, size_t limbs,
				     bench_work work, bench_fn fn, void *arg);
/** The same for what `many` calls cost beyond one, by `many`; *count says how many fn does. */
HEL_CHECKED hel_status bench_measure_more(bench *b, const char *name, unsigned log_n, size_t limbs,
					  bench_work work, bench_fn fn, void *arg, size_t *count,
					  size_t many);

/** Measures what the machine can do, into b and out.machine. */
HEL_CHECKED hel_status bench_machine(bench *b, json_t *out);
/** What a result file says about the machine: out.machine. */
HEL_CHECKED hel_status bench_measure_machine(const hel_args *args, json_t *out);

/* --- bench_core.c ------------------------------------------------------------------ */

HEL_CHECKED hel_status bench_ring(bench *b, unsigned log_n, size_t limbs);
HEL_CHECKED hel_status bench_layers(bench *b, unsigned log_n, size_t limbs);

/* --- bench_calibrate.c -------------------------------------------------------------- */

HEL_CHECKED hel_status bench_calibrate(const hel_args *args, json_t *out);

/** gnuplot, to be told to draw into the file `path`; pclose ends it. NULL with a message when it
 *  cannot be started (HEL_EIO). */
FILE *hel_bench_gnuplot(const char *path);

#endif
