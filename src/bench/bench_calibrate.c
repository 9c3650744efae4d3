/* bench --calibrate: times the building blocks of a run and fits seconds to their counts. */
#include "bench.h"
#include "bench_blocks.h"
#include "cli/calibration_option.h"
#include <libgen.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_SAMPLES 400
#define PASS_SECONDS 10e-3 /* on a block; further passes come later: disturbances last */
#define ROUNDS 9
#define BUSY 1.15 /* wall clock by computing time, of one thread */

/* Rings from those of the heart models to the largest whose keys take seconds only, digits of one
 * to eight primes; no security is needed. */
static const hel_params_spec rings[] = {
    {12, 1, 1, 30, 1, 1},  {12, 3, 1, 30, 2, 2},  {13, 3, 1, 30, 2, 2},	 {13, 4, 1, 30, 3, 3},
    {14, 3, 1, 30, 2, 3},  {14, 8, 1, 30, 4, 4},  {14, 11, 1, 30, 1, 1}, {15, 4, 1, 30, 3, 3},
    {15, 9, 1, 30, 1, 1},  {15, 12, 1, 30, 5, 5}, {15, 18, 1, 30, 7, 7}, {16, 6, 1, 30, 4, 4},
    {16, 20, 1, 30, 8, 8},
};

/* One thread: what it used of its core. Several: the wall clock. */
static double now(bool cpu)
{
	struct timespec t;
	if (!cpu)
		return hel_clock();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The least of what fits into `spend` seconds, of three runs at least: neighbours only ever add. */
static hel_status measure(double *seconds, bench_lab *l, bench_block_fn run, bool cpu, double spend)
{
	hel_status st = HEL_OK;
	double spent = 0;
	size_t batch = 1;
	*seconds = INFINITY;
	TRY(run(l));
	for (size_t n = 0; n < ROUNDS && (n < 3 || spent < spend); n++) {
		const double start = now(cpu);
		for (size_t k = 0; k < batch; k++)
			TRY(run(l));
		const double took = now(cpu) - start;
		*seconds = fmin(*seconds, took / (double)batch);
		spent += took;
		if (n == 0) /* from now on a fifth of the time in one go */
			batch = (size_t)fmax(1, spend / 5 / fmax(took, 1e-9));
	}
done:
	return st;
}

typedef struct samples {
	hel_cost_sample one[MAX_SAMPLES], many[MAX_SAMPLES];
	size_t ones, manys; /* so far in this pass */
	double spend;	    /* seconds on a block, in each pass */
	double wall, cpu;   /* of all on one thread */
} samples;

/* Keeps the quicker of all passes. */
static void keep(hel_cost_sample *list, size_t *count, hel_cost_sample sample)
{
	hel_cost_sample *at = &list[(*count)++];
	if (at->seconds > 0)
		sample.seconds = fmin(sample.seconds, at->seconds);
	*at = sample;
}

static hel_status measure_block(samples *s, bench_lab *l, const bench_block *b,
				const hel_args *args)
{
	hel_status st = HEL_OK;
	hel_cost_sample sample = {.name = b->name,
				  .log_n = l->params->spec.log_n,
				  .limbs = l->limbs,
				  .cost = b->count(l)};
	sample.bytes = hel_cost_bytes(sample.cost) * (double)b->turns;
	l->ev->pool = NULL;
	const double wall = now(false), cpu = now(true);
	TRY(measure(&sample.seconds, l, b->run, true, s->spend));
	s->wall += now(false) - wall;
	s->cpu += now(true) - cpu;
	keep(s->one, &s->ones, sample);
	if (args->threads == 1 || !b->threads)
		goto done;
	l->ev->pool = args->pool;
	TRY(measure(&sample.seconds, l, b->run, false, s->spend));
	keep(s->many, &s->manys, sample);
done:
	return st;
}

static hel_status measure_ring(samples *s, const hel_params_spec *spec, const hel_args *args)
{
	hel_status st = HEL_OK;
	bench_lab l;
	TRY(bench_lab_open(&l, spec, args->pool));
	for (size_t i = 0; i < bench_block_count; i++)
		TRY(measure_block(s, &l, &bench_blocks[i], args));
	bench_lab_go_low(&l);
	for (size_t i = 0; spec->levels > 1 && i < bench_block_count; i++)
		if (bench_blocks[i].low)
			TRY(measure_block(s, &l, &bench_blocks[i], args));
done:
	bench_lab_clear(&l);
	return st;
}

/* Prints predicted over measured, one line per block, a column per ring; returns the worst. */
static void report(const hel_args *args, json_t *out, const hel_cost_model *m,
		   const hel_cost_sample *sample, size_t count, unsigned threads)
{
	double error[MAX_SAMPLES];
	json_t *list = json_array();
	hel_say(args, "predicted / measured on %u thread%s:\n", threads, threads > 1 ? "s" : "");
	for (size_t b = 0; b < bench_block_count; b++) {
		bool any = false;
		for (size_t i = 0; i < count; i++) {
			if (strcmp(sample[i].name, bench_blocks[b].name) != 0)
				continue;
			const double ratio =
			    hel_cost_predicted(m, &sample[i], threads) / sample[i].seconds;
			if (!any)
				hel_say(args, "  %-20s", bench_blocks[b].name);
			any = true;
			hel_say(args, " %5.2f", ratio);
			json_array_append_new(
			    list,
			    json_pack("{s:s, s:i, s:i, s:f, s:f}", "block", sample[i].name, "log_n",
				      (int)sample[i].log_n, "limbs", (int)sample[i].limbs, "ms",
				      1e3 * sample[i].seconds, "ratio", ratio));
		}
		if (any)
			hel_say(args, "\n");
	}
	for (size_t i = 0; i < count; i++)
		error[i] = fabs(hel_cost_predicted(m, &sample[i], threads) / sample[i].seconds - 1);
	qsort(error, count, sizeof *error, ascending);
	hel_say(args, "  error: median %.0f %%, 90 %% below %.0f %%\n", 100 * error[count / 2],
		100 * error[count * 9 / 10]);
	json_object_set_new(out, threads > 1 ? "blocks_threads" : "blocks", list);
}

static hel_status write_file(const hel_args *args, json_t *out, const hel_calibration *c)
{
	hel_status st = HEL_OK;
	char path[4096], *text = NULL;
	const char *named = hel_arg(args, "out");
	if (named)
		snprintf(path, sizeof path, "%s", named);
	else {
		TRY(hel_calibration_path(path, sizeof path));
		char copy[sizeof path];
		memcpy(copy, path, sizeof path);
		TRY(hel_dir_make(dirname(copy)));
	}
	TRY(hel_calibration_to_json(&text, c));
	TRY(hel_file_write(path, text, strlen(text), 0644));
	hel_say(args, "written: %s%s\n", path,
		named ? " (compile --calibration FILE)"
		      : ": compile and tune go by it from now on");
	json_object_set_new(out, "written", json_string(path));
done:
	free(text);
	return st;
}

hel_status bench_calibrate(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	samples *s = NULL;
	hel_calibration c;
	hel_progress progress;
	uint64_t ms;
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	TRY(hel_arg_number(&ms, args, "milliseconds", 1, 100000, 20));
	const size_t passes = (size_t)fmax(1, 1e-3 * (double)ms / PASS_SECONDS);
	s->spend = 1e-3 * (double)ms / (double)passes;
	hel_calibration_here(&c);
	hel_progress_begin(&progress, "calibrating");
	const size_t steps = passes * HEL_ARRAY_LEN(rings);
	for (size_t i = 0; i < steps && st == HEL_OK; i++) {
		if (i % HEL_ARRAY_LEN(rings) == 0)
			s->ones = s->manys = 0;
		st = measure_ring(s, &rings[i % HEL_ARRAY_LEN(rings)], args);
		hel_progress_step(&progress, (double)(i + 1) / (double)steps);
	}
	hel_progress_end(&progress);
	TRY(st);
	TRY(hel_cost_fit(&c.model, s->one, s->ones));
	const bool busy = s->wall > BUSY * s->cpu;
	if (s->manys && !busy)
		hel_cost_fit_threads(&c.model, s->many, s->manys, args->threads);
	hel_say(args, "%s, %s kernels\nnanoseconds each:", c.cpu, c.backend);
#define SAY(name) hel_say(args, " %s %.4g", #name, 1e9 * c.model.seconds.name);
	HEL_COSTS(SAY)
#undef SAY
	hel_say(args, "\ncache %.3g MB, efficiency of further threads %.0f %%\n",
		c.model.cache / 1e6, 100 * c.model.efficiency);
	report(args, out, &c.model, s->one, s->ones, 1);
	if (busy)
		hel_say(args, "other programs run on these cores: what more threads bring was not "
			      "measured, the built-in figure stays\n");
	else if (s->manys)
		report(args, out, &c.model, s->many, s->manys, args->threads);
	TRY(write_file(args, out, &c));
done:
	hel_free(s);
	return st;
}
