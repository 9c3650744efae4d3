/* bench: times kernels, operations, layers and the heart models; JSON for files and comparisons. */
#include "cli.h"
#include "compile/compile.h"
#include "net/net.h"
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern void openblas_set_num_threads(int threads);

/* --- timing ------------------------------------------------------------------ */

typedef struct bench {
	const hel_args *args;
	json_t *results;
	const char *only;
	double seconds;	  /* to spend on each figure */
	double copy_rate; /* bytes per second of this machine's memory, one thread */
	unsigned threads;
} bench;

typedef hel_status (*bench_fn)(void *arg);

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void report(bench *b, const char *name, unsigned log_n, size_t limbs, double bytes,
		   double *sample, size_t n)
{
	qsort(sample, n, sizeof *sample, ascending);
	const double median = sample[n / 2], spread = sample[n * 9 / 10] / sample[n / 10] - 1;
	const double share = bytes / (1e-3 * median) / b->copy_rate;
	char rate[40] = "";
	if (bytes > 0)
		snprintf(rate, sizeof rate, "%9.1f MB  %3.0f %%", bytes / 1e6, 100 * share);
	hel_say(b->args, "%-20s 2^%-3u %5zu %7u %12.4f %12.4f %6.0f %%  %s\n", name, log_n, limbs,
		b->threads, median, sample[0], 100 * spread, rate);
	fflush(stdout);
	json_array_append_new(b->results,
			      json_pack("{s:s, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f}", "name",
					name, "log_n", log_n, "limbs", (int)limbs, "threads",
					b->threads, "median_ms", median, "min_ms", sample[0],
					"spread", spread, "bytes", bytes, "memory_share", share));
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

static bool wanted(const bench *b, const char *name)
{
	return !b->only || strstr(name, b->only);
}

/* Times fn until the time is spent. bytes: moved by one call at least, 0 when unknown. */
static hel_status measure(bench *b, const char *name, unsigned log_n, size_t limbs, double bytes,
			  bench_fn fn, void *arg)
{
	hel_status st = HEL_OK;
	double sample[200], start = hel_clock();
	size_t n = 0, batch = 0;
	if (!wanted(b, name))
		return HEL_OK;
	for (; n < HEL_ARRAY_LEN(sample) && (n < 5 || hel_clock() - start < b->seconds); n++)
		TRY(time_batch(b, &sample[n], fn, arg, &batch));
	report(b, name, log_n, limbs, bytes, sample, n);
done:
	return st;
}

/* --- one ring ------------------------------------------------------------------ */

#define HOISTED 8

typedef struct ring_bench {
	hel_params *params;
	hel_secret_key *secret;
	hel_keys *keys;
	hel_eval *ev;
	hel_ct *a, *out;
	hel_pt *weight;
	hel_complex *slots;
	uint32_t *acc, *work, *limb;
	const hel_switch_key *same_key[1 + HOISTED];
	size_t count; /* of them to use */
	hel_linear_term *terms;
	size_t term_count, limbs;
	unsigned level, folds;
	long fold_step[2][4];
} ring_bench;

static const long hoisted[4] = {1, 2, 3, 4};

static hel_status run_ntt(void *arg)
{
	ring_bench *r = arg;
	r->params->ring.k->ntt_forward(r->limb, r->params->ring.at, 1);
	return HEL_OK;
}
static hel_status run_intt(void *arg)
{
	ring_bench *r = arg;
	r->params->ring.k->ntt_inverse(r->limb, r->limb, NULL, false, r->params->ring.at, 1);
	return HEL_OK;
}
static hel_status run_rotate(void *arg)
{
	ring_bench *r = arg;
	return hel_eval_rotate(r->ev, r->out, r->a, 1);
}
static hel_status run_hoisted_qp(void *arg)
{
	ring_bench *r = arg;
	hel_ks_apply(r->ev, r->acc, r->a->part[0], r->a->part[1], r->same_key, r->count, true,
		     false, r->limbs, r->work);
	return HEL_OK;
}
/* Nine, or one, hoisted rotations: what the other eight cost is the figure. */
static hel_status run_hoisted(void *arg)
{
	ring_bench *r = arg;
	for (size_t i = 0; i < r->count; i++)
		hel_ks_finish(r->ev, r->out->part, NULL, r->acc, r->limbs, r->work);
	return run_hoisted_qp(arg);
}
static hel_status run_mul(void *arg)
{
	ring_bench *r = arg;
	return hel_eval_mul_rescale(r->ev, r->out, r->a, r->a);
}
static hel_status run_mul_plain(void *arg)
{
	ring_bench *r = arg;
	return hel_eval_mul_plain(r->ev, r->out, r->a, r->weight);
}
static hel_status run_rescale(void *arg)
{
	ring_bench *r = arg;
	r->a->scale *= r->a->scale; /* as if it were a product */
	hel_status st = hel_eval_rescale(r->ev, r->out, r->a);
	r->a->scale = r->params->scale[r->level];
	return st;
}
static hel_status run_encode(void *arg)
{
	ring_bench *r = arg;
	hel_pt *pt = NULL;
	hel_status st = hel_encode(&pt, r->params, r->slots, r->level, HEL_FOR_MUL);
	hel_pt_free(pt);
	return st;
}
static hel_status run_layer(void *arg)
{
	ring_bench *r = arg;
	hel_status st = HEL_OK;
	TRY(hel_linear_apply(r->ev, r->out, r->terms, r->term_count));
	for (unsigned left = r->folds, at = 0; left; left -= HEL_MIN(left, 2), at += 2) {
		long steps[4] = {0, 1L << (r->params->spec.log_n - 2 - at), 0, 0};
		size_t count = 2;
		if (left > 1) {
			steps[2] = steps[1] / 2;
			steps[3] = steps[1] + steps[2];
			count = 4;
		}
		TRY(hel_eval_rotate_sum(r->ev, r->out, r->out, steps, count));
	}
	TRY(hel_eval_rescale(r->ev, r->out, r->out));
done:
	return st;
}

static void ring_clear(ring_bench *r)
{
	for (size_t i = 0; i < r->term_count; i++)
		hel_pt_free((hel_pt *)r->terms[i].weight);
	hel_free(r->terms);
	hel_free(r->acc);
	hel_free(r->slots);
	hel_pt_free(r->weight);
	hel_ct_free(r->a);
	hel_ct_free(r->out);
	hel_eval_free(r->ev);
	hel_keys_free(r->keys);
	hel_secret_key_free(r->secret);
	hel_params_free(r->params);
	memset(r, 0, sizeof *r);
}

/* Elements at the top slot bits, outputs at the low ones: what does not fit becomes diagonals. */
typedef struct layer_shape {
	const char *name;
	unsigned in, out; /* index bits */
} layer_shape;

static const layer_shape layer_shapes[] = {
    {"layer_512x512", 9, 9}, {"layer_512x256", 9, 8}, {"layer_256x64", 8, 6}};

static unsigned layer_diagonals(const layer_shape *l, unsigned log_slots)
{
	return l->in + l->out > log_slots ? l->in + l->out - log_slots : 0;
}

static void add_request(hel_key_request *list, size_t *count, uint32_t galois, unsigned level)
{
	for (size_t i = 0; i < *count; i++)
		if (list[i].galois == galois)
			return;
	if (galois != 1)
		list[(*count)++] = (hel_key_request){galois, level};
}

/* All keys that the measurements of this ring need. */
static size_t collect_keys(hel_key_request *list, const hel_params *p, unsigned level, bool layers)
{
	size_t count = 0;
	const unsigned log_slots = p->spec.log_n - 1u;
	add_request(list, &count, HEL_RELINEARISE, level);
	for (size_t i = 0; i < HEL_ARRAY_LEN(hoisted); i++)
		add_request(list, &count, hel_galois_of_rotation(p, hoisted[i]), level);
	for (size_t l = 0; layers && l < HEL_ARRAY_LEN(layer_shapes); l++) {
		const layer_shape *s = &layer_shapes[l];
		const unsigned a = layer_diagonals(s, log_slots), low = log_slots - s->in;
		int32_t steps[256];
		size_t n = hel_subset_sums(steps, ((1u << (a / 2)) - 1) << low);
		for (size_t i = 0; i < n; i++)
			add_request(list, &count, hel_galois_of_rotation(p, steps[i]), level);
		n = hel_subset_sums(steps, ((1u << (a - a / 2)) - 1) << (low + a / 2));
		for (size_t i = 0; i < n; i++)
			add_request(list, &count, hel_galois_of_rotation(p, steps[i]), level);
		for (unsigned left = s->in - a, at = 0; left; left -= HEL_MIN(left, 2), at += 2)
			for (long k = 1; k < (left > 1 ? 4 : 2); k++) {
				long step = 1L << (log_slots - 1 - at);
				add_request(list, &count,
					    hel_galois_of_rotation(p, k == 1   ? step
								      : k == 2 ? step / 2
									       : step + step / 2),
					    level);
			}
	}
	return count;
}

static hel_status ring_open(ring_bench *r, const bench *b, unsigned log_n, size_t limbs,
			    bool layers)
{
	hel_status st = HEL_OK;
	hel_key_request requests[600];
	hel_pt *pt = NULL;
	memset(r, 0, sizeof *r);
	TRY(hel_choose_digits(&r->params, log_n, (unsigned)limbs - 2, false));
	if (!r->params)
		FAIL(HEL_ESECURITY, "%zu limbs do not fit N = 2^%u", limbs, log_n);
	const hel_params *p = r->params;
	r->level = p->spec.levels;
	r->limbs = limbs;
	TRY(hel_secret_key_new(&r->secret, p));
	size_t count = collect_keys(requests, p, r->level, layers);
	TRY(hel_keys_generate(&r->keys, r->secret, requests, count, b->args->pool));
	TRY(hel_eval_new(&r->ev, p, r->keys, b->threads > 1 ? b->args->pool : NULL));
	TRY_ALLOC(r->slots, hel_alloc(hel_params_slots(p), sizeof *r->slots));
	for (size_t i = 0; i < hel_params_slots(p); i++)
		r->slots[i] = (hel_complex){cos((double)i), sin(3.0 * (double)i)};
	TRY(hel_encode(&pt, p, r->slots, r->level, HEL_FOR_ADD));
	TRY(hel_encode(&r->weight, p, r->slots, r->level, HEL_FOR_MUL));
	TRY(hel_ct_new(&r->a, p));
	TRY(hel_ct_new(&r->out, p));
	TRY(hel_encrypt(r->a, r->secret, pt));
	const size_t acc = hel_extended_words(p, limbs);
	TRY_ALLOC(r->acc, hel_alloc(acc + hel_ks_scratch_words(r->ev, limbs) + p->ring.n, 4));
	r->limb = r->acc + acc;
	r->work = r->limb + p->ring.n;
	memcpy(r->limb, r->a->part[0], p->ring.n * 4);
	for (size_t i = 0; i <= HOISTED; i++)
		r->same_key[i] = hel_keys_find(r->keys, hel_galois_of_rotation(p, 1), r->level);
done:
	hel_pt_free(pt);
	return st;
}

/* The difference of nine and one, in turn, by eight. */
static hel_status measure_hoisted(bench *b, const char *name, ring_bench *r, double bytes,
				  bench_fn fn)
{
	hel_status st = HEL_OK;
	double sample[200], one, nine, start = hel_clock();
	size_t n = 0, batch_one = 0, batch_nine = 0;
	if (!wanted(b, name))
		return HEL_OK;
	for (; n < HEL_ARRAY_LEN(sample) && (n < 5 || hel_clock() - start < b->seconds); n++) {
		r->count = 1;
		TRY(time_batch(b, &one, fn, r, &batch_one));
		r->count = 1 + HOISTED;
		TRY(time_batch(b, &nine, fn, r, &batch_nine));
		sample[n] = (nine - one) / HOISTED;
	}
	report(b, name, r->params->spec.log_n, r->limbs, bytes, sample, n);
done:
	return st;
}

static hel_status bench_ring(bench *b, unsigned log_n, size_t limbs)
{
	hel_status st = HEL_OK;
	ring_bench r;
	TRY(ring_open(&r, b, log_n, limbs, false));
	const hel_params *p = r.params;
	const double limb = 4.0 * (double)p->ring.n,
		     key = hel_cost_product(&p->spec, limbs).key_bytes;
	const double l = (double)limbs;
	hel_say(b->args,
		"-- N = 2^%u, %zu limbs, log2(QP) = %.0f: digits of %u primes, %u special primes\n",
		log_n, limbs, hel_params_log_qp(p), p->spec.alpha, p->spec.special);
	if (b->threads == 1) {
		TRY(measure(b, "ntt_forward", log_n, 1, 2 * limb, run_ntt, &r));
		TRY(measure(b, "ntt_inverse", log_n, 1, 2 * limb, run_intt, &r));
	}
	TRY(measure(b, "rotate", log_n, limbs, key + 4 * l * limb, run_rotate, &r));
	TRY(measure_hoisted(b, "rotate_hoisted", &r, key + 2 * l * limb, run_hoisted));
	TRY(measure_hoisted(b, "rotate_hoisted_qp", &r, key, run_hoisted_qp));
	TRY(measure(b, "mul_relin_rescale", log_n, limbs, key + 6 * l * limb, run_mul, &r));
	TRY(measure(b, "rescale", log_n, limbs, 4 * l * limb, run_rescale, &r));
	TRY(measure(b, "encode", log_n, limbs, l * limb, run_encode, &r));
	TRY(measure(b, "mul_plain", log_n, limbs, 5 * l * limb, run_mul_plain, &r));
done:
	ring_clear(&r);
	return st;
}

static hel_status make_layer(ring_bench *r, const layer_shape *s)
{
	hel_status st = HEL_OK;
	const hel_params *p = r->params;
	const unsigned log_slots = p->spec.log_n - 1u, a = layer_diagonals(s, log_slots);
	const unsigned low = log_slots - s->in;
	int32_t baby[256], giant[256];
	const size_t babies = hel_subset_sums(baby, ((1u << (a / 2)) - 1) << low);
	const size_t giants = hel_subset_sums(giant, ((1u << (a - a / 2)) - 1) << (low + a / 2));
	TRY_ALLOC(r->terms, hel_alloc(babies * giants, sizeof *r->terms));
	r->folds = s->in - a;
	for (size_t g = 0; g < giants; g++)
		for (size_t i = 0; i < babies; i++) {
			hel_pt *pt;
			r->slots[g].re += (double)i; /* different weights, same cost */
			TRY(hel_encode(&pt, p, r->slots, r->level, HEL_FOR_MUL));
			r->terms[r->term_count++] = (hel_linear_term){r->a, pt, baby[i], giant[g]};
		}
done:
	return st;
}

static hel_status bench_layers(bench *b, unsigned log_n, size_t limbs)
{
	hel_status st = HEL_OK;
	ring_bench r;
	for (size_t i = 0; i < HEL_ARRAY_LEN(layer_shapes); i++) {
		if (!wanted(b, layer_shapes[i].name))
			continue;
		st = ring_open(&r, b, log_n, limbs, true);
		if (st == HEL_OK)
			st = make_layer(&r, &layer_shapes[i]);
		if (st == HEL_OK)
			st = measure(b, layer_shapes[i].name, log_n, limbs,
				     4.0 * (double)(r.term_count * limbs * r.params->ring.n),
				     run_layer, &r);
		ring_clear(&r);
		TRY(st);
	}
done:
	return st;
}

/* --- the heart models, on a synthetic cohort --------------------------------------- */

typedef struct heart_bench {
	hel_session *session;
	hel_writer query, result;
} heart_bench;

static hel_status run_heart(void *arg)
{
	heart_bench *h = arg;
	hel_writer_clear(&h->result);
	return hel_server_infer(&h->result, h->session, h->query.bytes, h->query.size, NULL);
}

static hel_status bench_heart(bench *b, const char *name, const char *config_text)
{
	hel_status st = HEL_OK;
	char *text = NULL;
	size_t size = 0;
	hel_records records = {0};
	hel_samples samples = {0};
	hel_schema *schema = NULL;
	hel_dlrm *m = NULL;
	hel_program *p = NULL;
	hel_compile_report report = {0};
	hel_dlrm_config config;
	hel_client *client = NULL;
	hel_server *server = NULL;
	hel_writer program = {0}, manifest = {0}, keys = {0};
	heart_bench h = {0};
	hel_prng g;
	const uint8_t seed[HEL_SEED_BYTES] = "bench";
	if (!wanted(b, name))
		return HEL_OK;
	openblas_set_num_threads(1);
	hel_prng_init(&g, seed, 0);
	FILE *f = open_memstream(&text, &size);
	if (!f)
		FAIL(HEL_ENOMEM, "out of memory");
	hel_dataset_heart.synthesise(f, 303, &g);
	fclose(f);
	TRY(hel_records_parse(&records, &hel_dataset_heart, "cohort", text, size));
	TRY(hel_dlrm_config_from_json(&config, config_text, strlen(config_text)));
	TRY(hel_schema_fit(&schema, &hel_dataset_heart, &records, NULL, records.count, config.clip,
			   0));
	TRY(hel_samples_new(&samples, schema, &records, NULL, records.count, HEL_UNKNOWN_IS_ERROR));
	TRY(hel_dlrm_new(&m, &config, schema, 1));
	schema = NULL;
	TRY(hel_dlrm_train(m, &samples, NULL));
	TRY(hel_compile(&p, &report, m, &(hel_compile_options){.name = name}));
	TRY(hel_program_write(&program, p));
	TRY(hel_manifest_write(&manifest, p->manifest));
	TRY(hel_client_new(&client, manifest.bytes, manifest.size, NULL, 0));
	TRY(hel_client_generate(client));
	TRY(hel_client_write_keys(&keys, client, b->args->pool));
	TRY(hel_server_new(&server, program.bytes, program.size,
			   b->threads > 1 ? b->args->pool : NULL));
	TRY(hel_session_new(&h.session, server, keys.bytes, keys.size));
	TRY(hel_client_encrypt(&h.query, client, &records, 0, HEL_UNKNOWN_IS_ERROR));
	const hel_params *params = hel_server_params(server);
	TRY(measure(b, name, params->spec.log_n, params->ring.chain, report.shape.cost.key_bytes,
		    run_heart, &h));
done:
	hel_writer_clear(&h.query);
	hel_writer_clear(&h.result);
	hel_writer_clear(&program);
	hel_writer_clear(&manifest);
	hel_writer_clear(&keys);
	hel_session_free(h.session);
	hel_server_free(server);
	hel_client_free(client);
	hel_compile_report_clear(&report);
	hel_program_free(p);
	hel_dlrm_free(m);
	hel_schema_free(schema);
	hel_samples_clear(&samples);
	hel_records_clear(&records);
	free(text);
	return st;
}

/* --- the machine ---------------------------------------------------------------------- */

static hel_status measure_machine(bench *b, json_t *out)
{
	hel_status st = HEL_OK;
	const size_t bytes = (size_t)64 << 20;
	uint8_t *from = NULL;
	char cpu[128] = "unknown", line[256];
	TRY_ALLOC(from, hel_alloc(2 * bytes, 1));
	double best = INFINITY;
	for (int i = 0; i < 8; i++) {
		double start = hel_clock();
		memcpy(from + bytes, from, bytes);
		best = fmin(best, hel_clock() - start);
	}
	b->copy_rate = 2 * (double)bytes / best;
	FILE *f = fopen("/proc/cpuinfo", "r");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
			snprintf(cpu, sizeof cpu, "%s", strchr(line, ':') + 2);
			cpu[strcspn(cpu, "\n")] = 0;
			break;
		}
	if (f)
		fclose(f);
	json_t *machine = json_pack(
	    "{s:s, s:I, s:s, s:s, s:s, s:f, s:s}", "cpu", cpu, "cores",
	    (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "compiler", __VERSION__, "backend",
	    hel_kernels_get()->name, "version", HELRM_VERSION, "memory_bytes_per_second",
	    b->copy_rate, "commit", getenv("HELRM_COMMIT") ? getenv("HELRM_COMMIT") : "unknown");
	json_object_set_new(out, "machine", machine);
	hel_say(b->args, "%s, backend %s, memory %.1f GB/s\n", cpu, hel_kernels_get()->name,
		b->copy_rate / 1e9);
done:
	hel_free(from);
	return st;
}

/* --- comparing and plotting ------------------------------------------------------------- */

static hel_status load_results(json_t **out, const char *path)
{
	json_error_t error;
	*out = json_load_file(path, 0, &error);
	return json_is_array(json_object_get(*out, "results"))
		   ? HEL_OK
		   : hel_fail(HEL_EFORMAT, "%s holds no benchmark results", path);
}

static bool same_figure(const json_t *a, const json_t *b)
{
	static const char *const keys[] = {"name", "log_n", "limbs", "threads"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(keys); i++)
		if (!json_equal(json_object_get(a, keys[i]), json_object_get(b, keys[i])))
			return false;
	return true;
}

static hel_status compare(const hel_args *args, json_t *out, const char *old_path,
			  const char *new_path)
{
	hel_status st = HEL_OK;
	json_t *old = NULL, *new = NULL, *rows = json_array(), *x, *y;
	size_t i, k;
	json_object_set_new(out, "compared", rows);
	TRY(load_results(&old, old_path));
	TRY(load_results(&new, new_path));
	hel_say(args, "%-20s log n limbs threads      old ms      new ms   new/old\n", "name");
	json_array_foreach(json_object_get(old, "results"), i, x)
	    json_array_foreach(json_object_get(new, "results"), k, y)
	{
		if (!same_figure(x, y))
			continue;
		double before = json_number_value(json_object_get(x, "median_ms"));
		double after = json_number_value(json_object_get(y, "median_ms"));
		json_int_t log_n = json_integer_value(json_object_get(x, "log_n"));
		json_int_t limbs = json_integer_value(json_object_get(x, "limbs"));
		json_int_t threads = json_integer_value(json_object_get(x, "threads"));
		const char *name = json_string_value(json_object_get(x, "name"));
		hel_say(args, "%-20s %5lld %5lld %7lld %11.4f %11.4f %9.3f\n", name,
			(long long)log_n, (long long)limbs, (long long)threads, before, after,
			after / before);
		json_array_append_new(rows, json_pack("{s:s, s:I, s:I, s:I, s:f}", "name", name,
						      "log_n", log_n, "limbs", limbs, "threads",
						      threads, "ratio", after / before));
	}
done:
	json_decref(old);
	json_decref(new);
	return st;
}

/* Bars of all one-thread figures in milliseconds; gnuplot draws them. */
static hel_status plot(const json_t *results, const char *path)
{
	FILE *f = popen("gnuplot 2>/dev/null", "w");
	size_t i;
	json_t *x;
	if (!f || strpbrk(path, "'\"\\"))
		return hel_fail(HEL_EIO, "cannot start gnuplot");
	fprintf(
	    f,
	    "set terminal svg size 900,700\nset output '%s'\nset logscale x\nset xlabel 'ms'\n"
	    "set style fill solid 0.6\nset yrange [*:*] reverse\nset ytics font ',9'\nunset key\n"
	    "plot '-' using (0.5*$2):0:(0.5*$2):(0.4):yticlabels(1) with boxxyerror\n",
	    path);
	json_array_foreach(results, i,
			   x) if (json_integer_value(json_object_get(x, "threads")) == 1)
	    fprintf(f, "\"%s 2^%lld\" %g\n", json_string_value(json_object_get(x, "name")),
		    (long long)json_integer_value(json_object_get(x, "log_n")),
		    json_number_value(json_object_get(x, "median_ms")));
	fputs("e\n", f);
	return pclose(f) ? hel_fail(HEL_EIO, "gnuplot failed; is it installed?") : HEL_OK;
}

static hel_status run_all(bench *b, json_t *out)
{
	static const struct {
		unsigned log_n;
		size_t limbs;
	} rings[] = {{13, 5}, {14, 10}, {15, 15}, {15, 20}, {16, 30}};
	hel_status st = HEL_OK;
	TRY(measure_machine(b, out));
	hel_say(b->args, "%-20s %5s %5s %7s %12s %12s %8s  %12s %s\n", "name", "N", "limbs",
		"threads", "median ms", "min ms", "spread", "moved", "of memory rate");
	const unsigned counts[2] = {1, b->args->threads};
	for (int t = 0; t < (counts[1] > 1 ? 2 : 1); t++) {
		b->threads = counts[t];
		for (size_t i = 0; i < HEL_ARRAY_LEN(rings); i++)
			TRY(bench_ring(b, rings[i].log_n, rings[i].limbs));
		TRY(bench_layers(b, 15, 14));
		TRY(bench_heart(b, "heart_deep", "{\"bottom\": [16, 4], \"top\": [16, 8, 1]}"));
		TRY(bench_heart(b, "heart_codesigned", "{\"bottom\": [4], \"top\": [8, 1]}"));
	}
done:
	return st;
}

static hel_status run_bench(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	size_t count;
	uint64_t ms;
	char *text = NULL;
	const char *const *files = hel_arg_all(args, "compare", &count);
	if (count == 2)
		return compare(args, out, files[0], files[1]);
	if (count)
		return hel_fail(HEL_EINVAL, "--compare takes two files");
	TRY(hel_arg_number(&ms, args, "milliseconds", 1, 100000, 500));
	bench b = {.args = args,
		   .results = json_array(),
		   .only = hel_arg(args, "only"),
		   .seconds = 1e-3 * (double)ms};
	json_object_set_new(out, "results", b.results);
	TRY(run_all(&b, out));
	if (hel_arg(args, "out")) {
		TRY_ALLOC(text, json_dumps(out, JSON_INDENT(1) | JSON_REAL_PRECISION(6)));
		TRY(hel_file_write(hel_arg(args, "out"), text, strlen(text), 0644));
	}
	if (hel_arg(args, "plot"))
		TRY(plot(b.results, hel_arg(args, "plot")));
done:
	free(text);
	return st;
}

const hel_command hel_command_bench = {
    .name = "bench",
    .summary = "Time kernels, operations, layers and the heart models on this machine",
    .option = {{"out", "FILE", "write the results as JSON", false, false},
	       {"plot", "FILE", "draw them as SVG (needs gnuplot)", false, false},
	       {"only", "TEXT", "only figures whose name contains this", false, false},
	       {"milliseconds", "N", "time to spend on each figure (default 500)", false, false},
	       {"compare", "OLD NEW", "compare two result files instead", false, true}},
    .run = run_bench,
};
