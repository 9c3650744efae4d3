#include "base/threads.h"
#include "infer.h"
#include "net/server/rank.h"
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

hel_status hel_open_server(hel_server **out, const hel_args *args, const void *program, size_t size)
{
	hel_progress progress;
	const hel_server_options o = {
	    .load = {.cache = hel_arg(args, "cache"), .progress = &progress}};
	hel_progress_begin(&progress, "loading weights");
	const hel_status st = hel_server_open(out, program, size, args->pool, &o);
	hel_progress_end(&progress);
	const char *note = st == HEL_OK ? hel_loaded_note(hel_server_weights(*out)) : "";
	if (*note)
		fprintf(stderr, "--cache: %s%s\n", note,
			hel_loaded_origin(hel_server_weights(*out)) == HEL_WEIGHTS_IN_MEMORY
			    ? "; weights stay in memory"
			    : "");
	return st;
}

static void report_layers(const hel_args *args, json_t *out, const hel_program *p,
			  const hel_op_time *op)
{
	json_t *layers = json_array();
	json_object_set_new(out, "layers", layers);
	for (uint32_t i = 0; i < p->layers; i++) {
		double sum = 0;
		for (uint32_t k = 0; k < p->ops; k++)
			sum += p->op[k].layer == i ? op[k].seconds : 0;
		hel_say(args, "    %8.2f ms  %s\n", 1e3 * sum, p->layer[i]);
		json_array_append_new(
		    layers, json_pack("{s:s, s:f}", "layer", p->layer[i], "ms", 1e3 * sum));
	}
}

/* A loop on the pool, as its watch tells. */
typedef struct loop_time {
	double start, seconds;
	size_t count;
	uint32_t thread;
} loop_time;

typedef struct loop_times {
	pthread_mutex_t lock;
	loop_time *loop;
	size_t count, room;
} loop_times;

static void watch_loop(void *arg, size_t count, double start, double seconds)
{
	loop_times *t = arg;
	pthread_mutex_lock(&t->lock);
	if (t->count < t->room)
		t->loop[t->count++] = (loop_time){start, seconds, count, (uint32_t)gettid()};
	pthread_mutex_unlock(&t->lock);
}

#define LOOPS_MOST 65536  /* in a trace: a refresh has some 2,000, */
#define LOOPS_PER_OP 1024 /* few other ops as many as a hundred */

static hel_status loops_begin(loop_times *t, const hel_program *p, hel_pool *pool)
{
	hel_status st = HEL_OK;
	pthread_mutex_init(&t->lock, NULL);
	t->room = LOOPS_MOST + (size_t)LOOPS_PER_OP * p->ops;
	TRY_ALLOC(t->loop, hel_alloc_raw(t->room, sizeof *t->loop));
	hel_pool_watch(pool, watch_loop, t);
done:
	return st;
}

static void loops_clear(loop_times *t, hel_pool *pool)
{
	if (!t->loop)
		return;
	hel_pool_watch(pool, NULL, NULL);
	pthread_mutex_destroy(&t->lock);
	hel_free(t->loop);
}

static json_t *event(const char *name, const char *kind, double start, double seconds,
		     uint32_t thread, json_t *args)
{
	return json_pack("{s:s, s:s, s:s, s:i, s:I, s:f, s:f, s:o}", "name", name, "cat", kind,
			 "ph", "X", "pid", 1, "tid", (json_int_t)thread, "ts", 1e6 * start, "dur",
			 1e6 * seconds, "args", args);
}

/* Every op, and every loop of limbs inside, as an event of the trace format of Chrome
 * (chrome://tracing, ui.perfetto.dev). `reads`: the ops whose values it takes. */
static hel_status write_trace(const char *path, const hel_program *p, const hel_op_time *op,
			      const loop_times *loops)
{
	hel_status st = HEL_OK;
	json_t *events = json_array();
	json_t *all = json_pack("{s:o, s:s}", "traceEvents", events, "displayTimeUnit", "ms");
	char *text = NULL;
	double first = INFINITY;
	for (uint32_t i = 0; i < p->ops; i++)
		first = fmin(first, op[i].start);
	for (uint32_t i = 0; i < p->ops; i++) {
		json_t *reads = json_array();
		for (uint32_t k = 0; k < hel_op_operands(&p->op[i]); k++)
			json_array_append_new(reads, json_integer(hel_op_operand(&p->op[i], k)));
		json_array_append_new(
		    events, event(hel_op_name(p->op[i].kind), "op", op[i].start - first,
				  op[i].seconds, op[i].thread,
				  json_pack("{s:s, s:i, s:o}", "layer", p->layer[p->op[i].layer],
					    "op", (int)i, "reads", reads)));
	}
	for (size_t i = 0; i < loops->count; i++) {
		const loop_time *l = &loops->loop[i];
		json_array_append_new(events,
				      event("loop", "loop", l->start - first, l->seconds, l->thread,
					    json_pack("{s:I}", "count", (json_int_t)l->count)));
	}
	TRY_ALLOC(text, json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(9)));
	TRY(hel_file_write(path, text, strlen(text), 0644));
done:
	free(text);
	json_decref(all);
	return st;
}

static int faster(const void *a, const void *b)
{
	const hel_infer_times *x = a, *y = b;
	const double left = x->read + x->evaluate + x->write,
		     right = y->read + y->evaluate + y->write;
	return (left > right) - (left < right);
}

/* All of --catalogue, or the items of --candidates. */
static hel_status rank(hel_writer *w, const hel_args *args, json_t *out, const hel_server *s,
		       const hel_evaluation *evaluation, const void *query, size_t size,
		       hel_infer_times *times)
{
	hel_status st = HEL_OK;
	hel_catalogue *c = NULL;
	hel_selection only = {0};
	hel_progress progress;
	hel_infer_times *run = NULL;
	uint64_t runs;
	const double start = hel_clock();
	TRY(hel_catalogue_open(&c, hel_arg(args, "catalogue"), hel_server_program(s)->manifest,
			       hel_server_params(s), args->pool));
	if (hel_arg(args, "candidates"))
		TRY(hel_selection_parse(&only, c, hel_arg(args, "candidates"),
					strlen(hel_arg(args, "candidates")), ','));
	const double loaded = hel_clock() - start;
	TRY(hel_arg_number(&runs, args, "runs", 1, 1000, 1));
	TRY_ALLOC(run, hel_alloc(runs, sizeof *run));
	hel_progress_begin(&progress, "ranking");
	for (size_t i = 0; st == HEL_OK && i < runs; i++) {
		w->size = 0;
		run[i].op = times->op;
		st = hel_server_rank(w, evaluation, c, only.bits ? &only : NULL, query, size,
				     &run[i], &progress);
	}
	hel_progress_end(&progress);
	TRY(st);
	qsort(run, runs, sizeof *run, faster);
	*times = run[runs / 2];
	hel_say(args, "load catalogue %8.2f ms\n%zu items ranked\n", 1e3 * loaded, times->items);
	json_object_update_new(out, json_pack("{s:I, s:f}", "items", (json_int_t)times->items,
					      "load_catalogue_ms", 1e3 * loaded));
done:
	hel_free(run);
	hel_selection_clear(&only);
	hel_catalogue_free(c);
	return st;
}

static hel_status run_infer(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_server *s = NULL;
	hel_evaluation *evaluation = NULL;
	uint8_t *program = NULL, *keys = NULL, *query = NULL;
	size_t program_size, keys_size, query_size;
	hel_writer w = {0}, first = {0};
	hel_infer_times times = {0};
	loop_times loops = {.loop = NULL};
	double start = hel_clock();
	if (!hel_arg(args, "runs") && !hel_arg(args, "trace")) /* nobody asks for times */
		hel_memory_for_one_run();
	TRY(hel_arg_file(&program, &program_size, args, "program"));
	TRY(hel_open_server(&s, args, program, program_size));
	hel_free(program);
	program = NULL;
	const double loaded = hel_clock();
	TRY(hel_arg_file(&keys, &keys_size, args, "keys"));
	TRY(hel_evaluation_new(&evaluation, s, keys, keys_size));
	hel_free(keys);
	keys = NULL;
	const double ready = hel_clock();
	const hel_program *p = hel_server_program(s);
	const size_t weights = hel_loaded_bytes(hel_server_weights(s));
	const char *origin = hel_weights_origin_text(hel_loaded_origin(hel_server_weights(s)));
	TRY_ALLOC(times.op, hel_alloc(p->ops, sizeof *times.op));
	TRY(hel_arg_file(&query, &query_size, args, "query"));
	if (hel_arg(args, "candidates") && !hel_arg(args, "catalogue"))
		FAIL(HEL_EINVAL, "--candidates are items of a --catalogue: give that, too");
	if (hel_arg(args, "trace") && !hel_arg(args, "catalogue")) /* memory is there next time */
		TRY(hel_server_infer(&first, evaluation, query, query_size, NULL));
	if (hel_arg(args, "trace"))
		TRY(loops_begin(&loops, p, args->pool));
	TRY(hel_arg(args, "catalogue")
		? rank(&w, args, out, s, evaluation, query, query_size, &times)
		: hel_server_infer(&w, evaluation, query, query_size, &times));
	TRY(hel_file_write(hel_arg(args, "out"), w.bytes, w.size, 0644));
	if (hel_arg(args, "trace"))
		TRY(write_trace(hel_arg(args, "trace"), p, times.op, &loops));
	const double total = hel_clock() - start;
	hel_say(args, "load program   %8.2f ms (%.1f MB of weights, %s)\n", 1e3 * (loaded - start),
		(double)weights / 1e6, origin);
	hel_say(args, "load keys      %8.2f ms (%.1f MB on disk)\n", 1e3 * (ready - loaded),
		(double)keys_size / 1e6);
	hel_say(args, "read query     %8.2f ms\nevaluate       %8.2f ms on %u thread%s\n",
		1e3 * times.read, 1e3 * times.evaluate, args->threads,
		args->threads > 1 ? "s" : "");
	const unsigned batch = p->manifest->items.any ? 1 : 1u << p->manifest->log_batch;
	if (batch > 1)
		hel_say(args, "    %8.2f ms  for each of %u records, if the query holds as many\n",
			1e3 * times.evaluate / batch, batch);
	report_layers(args, out, p, times.op);
	hel_say(args,
		"write result   %8.2f ms (%.1f kB)\ntotal          %8.2f ms, peak memory %.1f MB\n",
		1e3 * times.write, (double)w.size / 1e3, 1e3 * total, (double)hel_peak_rss() / 1e6);
	json_object_update_new(
	    out,
	    json_pack("{s:f, s:I, s:s, s:f, s:f, s:f, s:f, s:f, s:i, s:I, s:I, s:I, s:I, s:i}",
		      "load_program_ms", 1e3 * (loaded - start), "weight_bytes",
		      (json_int_t)weights, "weights", origin, "load_keys_ms",
		      1e3 * (ready - loaded), "read_ms", 1e3 * times.read, "evaluate_ms",
		      1e3 * times.evaluate, "write_ms", 1e3 * times.write, "total_ms", 1e3 * total,
		      "threads", (int)args->threads, "evaluation_keys_bytes", (json_int_t)keys_size,
		      "query_bytes", (json_int_t)query_size, "result_bytes", (json_int_t)w.size,
		      "peak_rss_bytes", (json_int_t)hel_peak_rss(), "batch", (int)batch));
done:
	loops_clear(&loops, args->pool);
	hel_free(times.op);
	hel_writer_clear(&w);
	hel_writer_clear(&first);
	hel_free(program);
	hel_free(keys);
	hel_free(query);
	hel_evaluation_free(evaluation);
	hel_server_free(s);
	return st;
}

const hel_command hel_command_infer = {
    .name = "infer",
    .summary = "Run a program on an encrypted query",
    .option = {{"program", "FILE", "program.helm", true, false},
	       {"keys", "FILE", "the client's evaluation.keys", true, false},
	       {"query", "FILE", "the encrypted query", true, false},
	       {"out", "FILE", "the encrypted result", true, false},
	       {"catalogue", "FILE", "rank the items of this catalogue (see catalogue)", false,
		false},
	       {"candidates", "ID[,ID..]",
		"of them, these only, by id or by number as FROM..TO: the server sees which", false,
		false},
	       {"runs", "N", "rank so often, for times: the median run's (default 1)", false,
		false},
	       HEL_CACHE_OPTION,
	       {"trace", "FILE", "when which thread ran which op: JSON for chrome://tracing", false,
		false}},
    .run = run_infer,
};
