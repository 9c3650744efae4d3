/* test_load SERVER [RESULT_FILE]: four clients at once, 1,000 predictions of the default heart
 * network, every score right; memory and descriptors stay flat. The server's CPU time per
 * prediction against that of the same evaluation alone is told, and judged by bench/service. With a
 * file, writes the figures there as JSON. */
#include "fixture.h"
#include "net/server/server.h"
#include <dirent.h>
#include <jansson.h>
#include <sys/resource.h>

enum { CLIENTS = 4, EACH = 250, WARM = 20, TOTAL = CLIENTS * EACH };

static const char *result_file;

typedef struct caller {
	user u;
	hel_writer query[EACH];
	uint8_t *result[EACH];
	size_t size[EACH];
	double seconds[EACH];
	hel_status status;
	char detail[200];
	size_t first, count;
} caller;

static void *call(void *arg)
{
	caller *c = arg;
	for (size_t i = c->first; i < c->first + c->count && c->status == HEL_OK; i++) {
		const double start = hel_clock();
		hel_bytes_free(c->result[i], c->size[i]);
		c->result[i] = NULL;
		c->status = hel_remote_predict(&c->result[i], &c->size[i], c->u.remote, c->u.access,
					       "load", c->query[i].bytes, c->query[i].size);
		c->seconds[i] = hel_clock() - start;
		if (c->status != HEL_OK)
			snprintf(c->detail, sizeof c->detail, "%s", hel_error_detail());
	}
	return NULL;
}

static void call_all(caller *c, size_t first, size_t count)
{
	pthread_t thread[CLIENTS];
	for (int i = 0; i < CLIENTS; i++) {
		c[i].first = first;
		c[i].count = count;
		assert_int_equal(pthread_create(&thread[i], NULL, call, &c[i]), 0);
	}
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(thread[i], NULL);
		if (c[i].status != HEL_OK)
			fail_msg("client %d: %s", i, c[i].detail);
	}
}

/* Seconds in user and in system mode. */
static double cpu_of(pid_t pid, double *system_seconds)
{
	char name[64];
	unsigned long user_ticks = 0, system_ticks = 0;
	snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
	FILE *f = fopen(name, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f,
				"%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
				&user_ticks, &system_ticks),
			 2);
	fclose(f);
	*system_seconds = (double)system_ticks / (double)sysconf(_SC_CLK_TCK);
	return (double)(user_ticks + system_ticks) / (double)sysconf(_SC_CLK_TCK);
}

static int descriptors_of(pid_t pid)
{
	char name[64];
	int count = 0;
	snprintf(name, sizeof name, "/proc/%d/fd", (int)pid);
	DIR *d = opendir(name);
	assert_non_null(d);
	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

static double own_cpu(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct evaluator {
	hel_evaluation *evaluation;
	const caller *c;
	size_t first, count;
	hel_status status;
} evaluator;

static void *evaluate(void *arg)
{
	evaluator *e = arg;
	for (size_t i = e->first; i < e->first + e->count && e->status == HEL_OK; i++) {
		hel_writer w = {0};
		e->status = hel_server_infer(&w, e->evaluation, e->c->query[i].bytes,
					     e->c->query[i].size, NULL);
		hel_writer_clear(&w);
	}
	return NULL;
}

static hel_status put_writer(void *arg, const void *bytes, size_t size)
{
	hel_write_bytes(arg, bytes, size);
	return ((hel_writer *)arg)->status;
}

/* CPU seconds of one evaluation as 'helrm infer' does it, one thread each; `threads` at the same
 * time, because cores that share caches and clocks are slower together. */
static double alone(const caller *c, int threads)
{
	uint8_t *program;
	size_t size;
	hel_server *s;
	evaluator e[CLIENTS] = {{NULL, NULL, 0, 0, HEL_OK}};
	pthread_t thread[CLIENTS];
	double seconds = 0;
	assert_ok(hel_file_read(path("models/load.helm"), HEL_PROGRAM_MAX, &program, &size));
	assert_ok(hel_server_new(&s, program, size, NULL));
	for (int i = 0; i < threads; i++) {
		hel_writer keys = {0};
		assert_ok(hel_access_keys(c[i].u.access, c[i].u.client, put_writer, &keys));
		assert_ok(hel_evaluation_new(&e[i].evaluation, s, keys.bytes, keys.size));
		hel_writer_clear(&keys);
	}
	for (int round = 0; round < 2; round++) { /* the first one warms up */
		const double start = own_cpu();
		for (int i = 0; i < threads; i++) {
			e[i].c = &c[i];
			e[i].count = round ? EACH : WARM;
			assert_int_equal(pthread_create(&thread[i], NULL, evaluate, &e[i]), 0);
		}
		for (int i = 0; i < threads; i++) {
			pthread_join(thread[i], NULL);
			assert_ok(e[i].status);
		}
		seconds = (own_cpu() - start) / ((double)threads * EACH);
	}
	for (int i = 0; i < threads; i++)
		hel_evaluation_free(e[i].evaluation);
	hel_server_free(s);
	hel_free(program);
	return seconds;
}

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void test_load(void **state)
{
	(void)state;
	static double logit[ROWS], all[TOTAL];
	static caller c[CLIENTS];
	server s;
	static const char *const options[] = {"--queries-per-minute", "1000000", "--workers", "2",
					      NULL};
	make_model(path("models/load.helm"), "load", 3, 0, logit);
	server_start(&s, options);
	for (int i = 0; i < CLIENTS; i++) {
		assert_ok(user_make(&c[i].u, s.url, "load"));
		for (size_t k = 0; k < EACH; k++)
			assert_ok(user_encrypt(&c[i].query[k], &c[i].u, (k + (size_t)i) % ROWS));
	}
	call_all(c, 0, WARM);
	const long rss = server_rss(&s);
	const int descriptors = descriptors_of(s.pid);
	double system_before, system_after, unused;
	const double cpu = cpu_of(s.pid, &system_before), start = hel_clock();
	call_all(c, 0, EACH);
	const double wall = hel_clock() - start,
		     used = (cpu_of(s.pid, &system_after) - cpu) / TOTAL;
	const long rss_after = server_rss(&s);
	const int descriptors_after = descriptors_of(s.pid);
	const double results = metric(s.port, "helrm_results");
	/* one client at a time: what the service itself costs, without competition for the caches
	 */
	const double before_one = cpu_of(s.pid, &unused);
	c[0].first = 0;
	c[0].count = EACH;
	call(&c[0]);
	const double used_one = (cpu_of(s.pid, &unused) - before_one) / EACH;
	for (size_t i = 0; i < TOTAL; i++) {
		hel_score score;
		const caller *k = &c[i / EACH];
		const size_t q = i % EACH;
		assert_ok(hel_client_score(&score, k->u.client, k->result[q], k->size[q]));
		assert_within(score.logit, logit[(q + i / EACH) % ROWS], 0x1p-12);
		all[i] = k->seconds[q];
	}
	server_stop(&s);
	qsort(all, TOTAL, sizeof *all, ascending);
	const double infer = alone(c, 2), ratio = used / infer, infer_one = alone(c, 1);
	/* results wait for 120 s for clients that lost theirs: 63 kB each, counted against the
	 * budget */
	const double kept = results * 0.0635;
	json_t *out = json_pack(
	    "{s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:i}",
	    "clients", CLIENTS, "predictions", TOTAL, "per_second", TOTAL / wall, "p50_ms",
	    1e3 * all[TOTAL / 2], "p95_ms", 1e3 * all[TOTAL * 95 / 100], "p99_ms",
	    1e3 * all[TOTAL * 99 / 100], "server_cpu_ms", 1e3 * used, "server_system_ms",
	    1e3 * (system_after - system_before) / TOTAL, "infer_cpu_ms", 1e3 * infer, "cpu_ratio",
	    ratio, "one_client_server_cpu_ms", 1e3 * used_one, "one_client_infer_cpu_ms",
	    1e3 * infer_one, "one_client_cpu_ratio", used_one / infer_one, "rss_mb_before",
	    (double)rss / 1024, "rss_mb_after_without_kept_results",
	    (double)rss_after / 1024 - kept, "descriptors_before", descriptors, "descriptors_after",
	    descriptors_after);
	char *text = json_dumps(out, JSON_INDENT(1) | JSON_REAL_PRECISION(4));
	print_message("%s\n", text);
	if (result_file)
		assert_ok(hel_file_write(result_file, text, strlen(text), 0644));
	free(text);
	json_decref(out);
	assert_at_most(descriptors_after, descriptors + 2);
#ifndef __SANITIZE_ADDRESS__ /* which keeps what is freed for a while */
	assert_less((double)(rss_after - rss) / 1024 - kept, 16);
#endif
	for (int i = 0; i < CLIENTS; i++) {
		for (size_t k = 0; k < EACH; k++) {
			hel_bytes_free(c[i].result[k], c[i].size[k]);
			hel_writer_clear(&c[i].query[k]);
		}
		user_clear(&c[i].u);
	}
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	server_binary = argv[1];
	result_file = argc > 2 ? argv[2] : NULL;
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_load, fresh_data)};
	return cmocka_run_group_tests(tests, world_make, world_remove);
}
