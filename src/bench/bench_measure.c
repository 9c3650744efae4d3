/* What one call takes, and what this machine can do at most. */
#include "bench.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- timing ------------------------------------------------------------------ */

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Most of a product is its reduction: a term of a sum counts for half of one. */
bench_work bench_work_of(double bytes, hel_cost c)
{
	return (bench_work){bytes, c.butterflies + c.products + c.conversion_sums + c.divisions +
				       2 * c.sums + 0.5 * c.conversion_terms + c.sum_terms};
}

static void report(bench *b, const char *name, unsigned log_n, size_t limbs, bench_work work,
		   double *sample, size_t n)
{
	qsort(sample, n, sizeof *sample, ascending);
	const double median = sample[n / 2], spread = sample[n * 9 / 10] / sample[n / 10] - 1;
	const double memory = work.bytes / (1e-3 * median) / b->copy_rate;
	const double multiply = work.products / (1e-3 * median) / b->product_rate;
	char rate[60] = "";
	if (work.bytes > 0)
		snprintf(rate, sizeof rate, "%9.1f MB  %4.0f %%", work.bytes / 1e6, 100 * memory);
	if (work.products > 0)
		snprintf(rate + strlen(rate), sizeof rate - strlen(rate), "  %4.0f %%",
			 100 * multiply);
	hel_say(b->args, "%-20s 2^%-3u %5zu %7u %12.4f %12.4f %6.0f %%  %s\n", name, log_n, limbs,
		b->threads, median, sample[0], 100 * spread, rate);
	fflush(stdout);
	json_array_append_new(
	    b->results, json_pack("{s:s, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "name",
				  name, "log_n", log_n, "limbs", (int)limbs, "threads", b->threads,
				  "median_ms", median, "min_ms", sample[0], "spread", spread,
				  "bytes", work.bytes, "memory_share", memory, "products",
				  work.products, "multiply_share", multiply));
}

/* Seconds. One thread alone is timed by what it used of its core, which neighbours disturb least.
 */
static double bench_clock(const bench *b)
{
	struct timespec t;
	if (b->threads > 1)
		return hel_clock();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Milliseconds of one call, averaged over a batch of at least two milliseconds. */
static hel_status time_batch(const bench *b, double *ms, bench_fn fn, void *arg, size_t *batch)
{
	hel_status st = HEL_OK;
	double start;
	if (!*batch) {
		TRY(fn(arg)); /* warms caches and scratch */
		start = bench_clock(b);
		TRY(fn(arg));
		*batch = (size_t)fmax(1, 2e-3 / fmax(bench_clock(b) - start, 1e-9));
	}
	start = bench_clock(b);
	for (size_t i = 0; i < *batch; i++)
		TRY(fn(arg));
	*ms = 1e3 * (bench_clock(b) - start) / (double)*batch;
done:
	return st;
}

bool bench_wanted(const bench *b, const char *name)
{
	return !b->only || strstr(name, b->only);
}

#define SAMPLES 200

static bool enough(const bench *b, size_t n, double start)
{
	return n == SAMPLES || (n >= 5 && hel_clock() - start >= b->seconds);
}

hel_status bench_measure(bench *b, const char *name, unsigned log_n, size_t limbs, bench_work work,
			 bench_fn fn, void *arg)
{
	hel_status st = HEL_OK;
	double sample[SAMPLES], start = hel_clock();
	size_t n = 0, batch = 0;
	if (!bench_wanted(b, name))
		return HEL_OK;
	for (; !enough(b, n, start); n++)
		TRY(time_batch(b, &sample[n], fn, arg, &batch));
	report(b, name, log_n, limbs, work, sample, n);
done:
	return st;
}

hel_status bench_measure_more(bench *b, const char *name, unsigned log_n, size_t limbs,
			      bench_work work, bench_fn fn, void *arg, size_t *count, size_t many)
{
	hel_status st = HEL_OK;
	double sample[SAMPLES], one, all, start = hel_clock();
	size_t n = 0, batch_one = 0, batch_all = 0;
	if (!bench_wanted(b, name))
		return HEL_OK;
	for (; !enough(b, n, start); n++) {
		*count = 1;
		TRY(time_batch(b, &one, fn, arg, &batch_one));
		*count = 1 + many;
		TRY(time_batch(b, &all, fn, arg, &batch_all));
		sample[n] = (all - one) / (double)many;
	}
	report(b, name, log_n, limbs, work, sample, n);
done:
	return st;
}

/* --- the machine ---------------------------------------------------------------------- */

/* Pointwise products of vectors that stay in the first-level cache. */
static hel_status measure_products(bench *b)
{
	hel_status st = HEL_OK;
	enum { LOG_N = 11, ROUNDS = 2000 };
	uint32_t q, *x = NULL;
	hel_prime p = {0};
	const hel_prime *at = &p;
	double best = INFINITY;
	if (hel_primes_find(&q, 1, LOG_N, 1u << HEL_PRIME_BITS) != 1)
		FAIL(HEL_EPARAMS, "no prime of 30 bits");
	TRY(hel_prime_init(&p, q, LOG_N));
	TRY_ALLOC(x, hel_alloc(3 * (size_t)p.n, sizeof *x));
	for (int i = 0; i < 8; i++) {
		double start = hel_clock();
		for (int k = 0; k < ROUNDS; k++)
			hel_kernels_get()->mont_mul(x, x + p.n, x + 2 * p.n, &at, 1);
		best = fmin(best, hel_clock() - start);
	}
	b->product_rate = ROUNDS * (double)p.n / best;
done:
	hel_free(x);
	hel_prime_clear(&p);
	return st;
}

hel_status bench_machine(bench *b, json_t *out)
{
	hel_status st = HEL_OK;
	const size_t bytes = (size_t)64 << 20;
	uint8_t *from = NULL;
	TRY_ALLOC(from, hel_alloc(2 * bytes, 1));
	double best = INFINITY;
	for (int i = 0; i < 8; i++) {
		double start = hel_clock();
		memcpy(from + bytes, from, bytes);
		best = fmin(best, hel_clock() - start);
	}
	b->copy_rate = 2 * (double)bytes / best;
	TRY(measure_products(b));
	hel_calibration here;
	hel_calibration_here(&here);
	json_t *machine = json_pack(
	    "{s:s, s:I, s:s, s:s, s:s, s:s, s:f, s:f, s:s}", "cpu", here.cpu, "cores",
	    (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "compiler", __VERSION__, "flags",
	    HELRM_FLAGS, "backend", hel_kernels_get()->name, "version", HELRM_VERSION,
	    "memory_bytes_per_second", b->copy_rate, "products_per_second", b->product_rate,
	    "commit", getenv("HELRM_COMMIT") ? getenv("HELRM_COMMIT") : "unknown");
	json_object_set_new(out, "machine", machine);
	hel_say(b->args, "%s, backend %s, memory %.1f GB/s, %.2f G products/s\n", here.cpu,
		hel_kernels_get()->name, b->copy_rate / 1e9, b->product_rate / 1e9);
done:
	hel_free(from);
	return st;
}

hel_status bench_measure_machine(const hel_args *args, json_t *out)
{
	bench b = {.args = args};
	return bench_machine(&b, out);
}
