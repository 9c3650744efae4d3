/* What bench/refresh runs: refreshes of 512 values at N = 2^15 by one thread or more, as one line
 * of JSON. Times are of the whole process (processor) and of the clock (elapsed), in milliseconds.
 */
#include "circuit/refresh.h"
#include "ckks/ckks.h"
#include "ckks/raise.h"
#include <helrm/pool.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { LOG_VALUES = 9, VALUES = 1 << LOG_VALUES, MOST = 64 };

typedef struct lab {
	hel_params *params;
	hel_secret_key *secret;
	hel_refresher *refresher;
	hel_keys *keys;
	hel_pool *pool;
	hel_eval *ev;
	hel_ct *in, *bottom, *out;
	double value[VALUES];
	size_t file_bytes, expanded_bytes, count;
} lab;

static void must(hel_status st)
{
	if (st == HEL_OK)
		return;
	fprintf(stderr, "refresh: %s: %s\n", hel_status_text(st), hel_error_detail());
	exit(1);
}

static double milliseconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void encrypt(hel_ct **out, const lab *l, unsigned level)
{
	const size_t slots = hel_params_slots(l->params);
	hel_complex *v = hel_alloc(slots, sizeof *v);
	hel_pt *pt;
	if (!v)
		must(HEL_ENOMEM);
	for (size_t i = 0; i < slots; i++)
		v[i].re = l->value[i % VALUES];
	must(hel_encode(&pt, l->params, v, level, HEL_FOR_ADD));
	must(hel_ct_new(out, l->params));
	must(hel_encrypt(*out, l->secret, pt));
	hel_pt_free(pt);
	hel_free(v);
}

static void open_lab(lab *l, unsigned threads, unsigned levels)
{
	hel_params_spec spec;
	const hel_key_request *requests;
	hel_prng g;
	l->pool = hel_pool_new(threads);
	if (!l->pool)
		must(HEL_ENOMEM);
	must(hel_refresh_params(&spec, 15, levels));
	must(hel_params_new(&l->params, &spec));
	must(hel_secret_key_new(&l->secret, l->params));
	must(hel_refresher_new(&l->refresher, l->params, LOG_VALUES, 1, l->pool));
	l->count = hel_refresher_keys(l->refresher, &requests);
	l->file_bytes = hel_keys_file_bytes(l->params, requests, l->count);
	l->expanded_bytes = hel_keys_expanded_bytes(l->params, requests, l->count);
	must(hel_keys_generate(&l->keys, l->secret, requests, l->count, l->pool));
	must(hel_eval_new(&l->ev, l->params, l->keys, l->pool));
	hel_prng_fresh(&g);
	for (size_t i = 0; i < VALUES; i++)
		l->value[i] = 2 * hel_prng_unit(&g) - 1;
	encrypt(&l->in, l, 2);
	encrypt(&l->bottom, l, 0); /* its coefficients are not the values: only time counts */
	must(hel_ct_new(&l->out, l->params));
}

static void whole(const lab *l)
{
	must(hel_refresh(l->ev, l->out, l->in, l->refresher));
}

static void sine(const lab *l)
{
	must(hel_refresh_sine(l->ev, l->out, l->bottom, l->refresher, 1));
}

static void raise_only(const lab *l)
{
	must(hel_encapsulate(l->ev, l->out, l->bottom));
	must(hel_raise(l->ev, l->out, l->out, l->params->spec.levels, l->refresher->constant));
}

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void measure(const char *name, const lab *l, void (*run)(const lab *), int repeats)
{
	double processor[MOST], elapsed[MOST];
	run(l); /* scratch memory is there afterwards */
	for (int i = 0; i < repeats; i++) {
		const double p = milliseconds(CLOCK_PROCESS_CPUTIME_ID),
			     e = milliseconds(CLOCK_MONOTONIC);
		run(l);
		processor[i] = milliseconds(CLOCK_PROCESS_CPUTIME_ID) - p;
		elapsed[i] = milliseconds(CLOCK_MONOTONIC) - e;
	}
	qsort(processor, (size_t)repeats, sizeof *processor, ascending);
	qsort(elapsed, (size_t)repeats, sizeof *elapsed, ascending);
	printf("\"%s\": {\"processor_ms\": {\"min\": %.1f, \"median\": %.1f}, \"elapsed_ms\": "
	       "{\"min\": "
	       "%.1f, \"median\": %.1f}}, ",
	       name, processor[0], processor[repeats / 2], elapsed[0], elapsed[repeats / 2]);
}

/* -log2 of the root mean square error, in units of the range. */
static double bits(const lab *l)
{
	const size_t slots = hel_params_slots(l->params);
	hel_complex *v = hel_alloc(slots, sizeof *v);
	double sum = 0;
	if (!v)
		must(HEL_ENOMEM);
	whole(l);
	must(hel_decrypt(v, l->secret, l->out));
	for (size_t i = 0; i < slots; i++) {
		const double e = v[i].re - l->value[i % VALUES];
		sum += e * e / (double)slots;
	}
	hel_free(v);
	return -log2(sum) / 2;
}

int main(int argc, char **argv)
{
	const unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	const int repeats = argc > 2 ? atoi(argv[2]) : 5;
	const unsigned levels = argc > 3 ? (unsigned)atoi(argv[3]) : 9;
	lab l = {0};
	struct rusage usage;
	if (argc > 4 || threads < 1 || threads > 64 || repeats < 1 || repeats > MOST) {
		fprintf(stderr, "usage: refresh [THREADS [REPEATS [LEVELS]]]\n");
		return 2;
	}
	open_lab(&l, threads, levels);
	printf("{\"backend\": \"%s\", \"threads\": %u, \"repeats\": %d, \"values\": %d, \"log_n\": "
	       "15, "
	       "\"log_qp\": %.1f, \"levels_after_sine\": %u, \"levels_after_refresh\": %u, ",
	       hel_kernels_get()->name, threads, repeats, VALUES, hel_params_log_qp(l.params),
	       levels, levels - 4);
	measure("raise", &l, raise_only, repeats);
	measure("sine", &l, sine, repeats);
	measure("refresh", &l, whole, repeats);
	getrusage(RUSAGE_SELF, &usage);
	printf("\"bits\": %.2f, \"predicted_bits\": %.2f, \"predicted_sine_bits\": %.2f, \"keys\": "
	       "%zu, "
	       "\"keys_file_mb\": %.0f, \"keys_expanded_mb\": %.0f, \"resident_mb\": %.0f}\n",
	       bits(&l), -log2(hel_refresher_error(l.refresher)),
	       -log2(hel_refresh_sine_error(l.refresher, 1, (double)l.params->ring.n / 18)),
	       l.count, (double)l.file_bytes / 1e6, (double)l.expanded_bytes / 1e6,
	       (double)usage.ru_maxrss / 1e3);
	hel_ct_free(l.in);
	hel_ct_free(l.bottom);
	hel_ct_free(l.out);
	hel_eval_free(l.ev);
	hel_keys_free(l.keys);
	hel_refresher_free(l.refresher);
	hel_secret_key_free(l.secret);
	hel_params_free(l.params);
	hel_pool_free(l.pool);
	return 0;
}
