/* bench --calibrate: times the building blocks of a run and fits seconds to their counts. */
#include "bench.h"
#include "calibration.h"
#include <libgen.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS 4		   /* of each ring, used in turn: they come from memory, not from a cache */
#define INPUTS ((size_t)8) /* ciphertexts, used in turn */
#define WEIGHT_WORDS ((size_t)1 << 23) /* of the plaintexts of one linear layer, about */
#define MAX_WEIGHTS ((size_t)64)
#define MAX_SAMPLES 400
#define PASS_SECONDS 10e-3 /* on each block; further passes some seconds later: disturbances last  \
			    */
#define ROUNDS 9
#define BUSY 1.15 /* wall clock by computing time, of one thread */

/* Rings from those of the heart models to the largest whose keys take seconds only, digits of one
 * to eight primes; no security is needed. */
static const hel_params_spec rings[] = {
    {12, 1, 1, 30, 1, 1},  {12, 3, 1, 30, 2, 2}, {13, 3, 1, 30, 2, 2},	{13, 4, 1, 30, 3, 3},
    {14, 3, 1, 30, 2, 3},  {14, 8, 1, 30, 4, 4}, {15, 4, 1, 30, 3, 3},	{15, 12, 1, 30, 5, 5},
    {15, 18, 1, 30, 7, 7}, {16, 6, 1, 30, 4, 4}, {16, 20, 1, 30, 8, 8},
};

typedef struct lab {
	hel_params *params;
	hel_keys *keys;
	hel_eval *ev;
	hel_ct *in[INPUTS], *product, *out;
	hel_pt *weight[MAX_WEIGHTS], *plain;
	size_t weights, limbs, turn;
	unsigned level; /* of what the blocks work on; limbs: at it */
	uint32_t *acc, *work;
	const hel_switch_key *key[2 * KEYS];
	hel_writer query, result;
	hel_linear_term term[MAX_WEIGHTS];
} lab;

typedef hel_status (*block_fn)(lab *l);

/* Values that were made just now, two in turn. */
static hel_ct *recent(lab *l)
{
	return l->in[l->turn++ % 2];
}

static hel_status run_transform(lab *l)
{
	const hel_ring *r = &l->params->ring;
	uint32_t *limb = l->acc + l->turn++ % 4 * r->n;
	r->k->ntt_forward(limb, r->at, 1);
	r->k->ntt_inverse(limb, limb, NULL, false, r->at, 1);
	return HEL_OK;
}
static void apply(lab *l, size_t keys)
{
	hel_ct *x = l->in[l->turn % 2];
	hel_ks_apply(l->ev, l->acc, x->part[0], x->part[1], l->key + l->turn % KEYS, keys, true,
		     false, l->limbs, l->work);
	l->turn += keys;
}
static hel_status run_apply(lab *l)
{
	apply(l, 1);
	return HEL_OK;
}
static hel_status run_apply_many(lab *l)
{
	apply(l, KEYS);
	return HEL_OK;
}
static hel_status run_finish(lab *l)
{
	hel_ks_finish(l->ev, l->out->part, NULL, l->acc, l->limbs, l->work);
	return HEL_OK;
}
static hel_status run_finish_rescaled(lab *l)
{
	hel_ks_finish_rescaled(l->ev, l->out->part, NULL, l->acc, l->level, l->work);
	return HEL_OK;
}
static hel_status run_rescale(lab *l)
{
	return hel_eval_rescale(l->ev, l->out, l->product);
}
static hel_status run_mul(lab *l)
{
	hel_ct *x = recent(l);
	return hel_eval_mul(l->ev, l->out, x, x);
}
/* The same ciphertext under all weights, or another under each. */
static hel_status run_linear(lab *l)
{
	for (size_t i = 0; i < l->weights; i++)
		l->term[i] = (hel_linear_term){l->in[0], l->weight[i], 0, 0};
	return hel_linear_apply(l->ev, l->out, l->term, l->weights);
}
static hel_status run_linear_inputs(lab *l)
{
	for (size_t i = 0; i < INPUTS; i++)
		l->term[i] = (hel_linear_term){l->in[i], l->weight[i], 0, 0};
	return hel_linear_apply(l->ev, l->out, l->term, INPUTS);
}
static hel_status run_add_plain(lab *l)
{
	return hel_eval_add_plain(l->ev, l->out, recent(l), l->plain);
}
static hel_status run_weighted_sum(lab *l)
{
	const hel_sum_term terms[4] = {
	    {l->in[0], 0.5}, {l->in[1], -0.5}, {l->in[0], 1}, {l->in[1], 2}};
	return hel_eval_weighted_sum(l->ev, l->out, l->level, terms, 4, 0.25);
}
static hel_status run_copy(lab *l)
{
	hel_ct_copy(l->out, recent(l));
	return HEL_OK;
}
/* A query as a server reads it: checksum, memory, residues, expansion. */
static hel_status run_read(lab *l)
{
	hel_status st = HEL_OK;
	hel_ct *ct[INPUTS] = {0};
	uint8_t hash[HEL_HASH_BYTES];
	hel_reader r = hel_reader_of(l->query.bytes, l->query.size);
	hel_hash(hash, l->query.bytes, l->query.size);
	for (size_t i = 0; i < INPUTS; i++) {
		TRY(hel_ct_take(&ct[i], l->ev));
		TRY(hel_ct_read_seeded(ct[i], &r));
	}
done:
	for (size_t i = 0; i < INPUTS; i++)
		hel_ct_free(ct[i]);
	return st;
}
static hel_status run_write(lab *l)
{
	hel_status st = HEL_OK;
	hel_writer_clear(&l->result);
	hel_container_begin(&l->result, HEL_KIND_RESULT);
	TRY(hel_ct_write_sampled(&l->result, l->ev, l->in[0], 256));
	TRY(hel_container_end(&l->result));
done:
	return st;
}

static hel_cost count_transform(const lab *l)
{
	const hel_ring *r = &l->params->ring;
	return (hel_cost){.butterflies = (double)(r->n * r->log_n)};
}
static hel_cost count_apply(const lab *l)
{
	hel_cost c = hel_cost_decompose(&l->params->spec, l->limbs);
	hel_cost_add(&c, hel_cost_product(&l->params->spec, l->limbs), 1);
	return c;
}
static hel_cost count_apply_many(const lab *l)
{
	hel_cost c = hel_cost_decompose(&l->params->spec, l->limbs);
	hel_cost_add(&c, hel_cost_product(&l->params->spec, l->limbs), KEYS);
	return c;
}
static hel_cost count_finish(const lab *l)
{
	return hel_cost_finish(&l->params->spec, l->limbs);
}
static hel_cost count_finish_rescaled(const lab *l)
{
	return hel_cost_finish_rescaled(&l->params->spec, l->level);
}
static hel_cost count_rescale(const lab *l)
{
	hel_cost c = hel_cost_rescale(&l->params->spec, l->level);
	c.ops = 1;
	return c;
}
static hel_cost count_mul(const lab *l)
{
	hel_cost c = count_apply(l);
	hel_cost_add(&c, count_finish(l), 1);
	hel_cost_add(&c, hel_cost_tensor(&l->params->spec, l->limbs), 1);
	c.ops = 1;
	return c;
}
static hel_cost sum_of(const lab *l, size_t terms, double values)
{
	hel_cost c = hel_cost_sum(&l->params->spec, l->limbs, (double)terms, values, 1);
	hel_cost_add(&c, hel_cost_copy(&l->params->spec, l->limbs), 1);
	c.ops = 1;
	return c;
}
static hel_cost count_linear(const lab *l)
{
	return sum_of(l, l->weights, 1);
}
static hel_cost count_linear_inputs(const lab *l)
{
	return sum_of(l, INPUTS, INPUTS);
}
static hel_cost count_add_plain(const lab *l)
{
	hel_cost c = hel_cost_add_plain(&l->params->spec, l->limbs);
	c.ops = 1;
	return c;
}
static hel_cost count_weighted_sum(const lab *l)
{
	hel_cost c = hel_cost_weighted_sum(&l->params->spec, l->limbs, 4);
	c.ops = 1;
	return c;
}
static hel_cost count_copy(const lab *l)
{
	return hel_cost_copy(&l->params->spec, l->limbs);
}
static hel_cost count_read(const lab *l)
{
	hel_cost c = {0};
	hel_cost_add(&c, hel_cost_read(&l->params->spec, l->limbs), INPUTS);
	return c;
}
static hel_cost count_write(const lab *l)
{
	return hel_cost_write(&l->params->spec, l->limbs);
}

static const struct block {
	const char *name;
	block_fn run;
	hel_cost (*count)(const lab *l);
	bool threads; /* timed on all threads, too */
	bool low;     /* and at the level before the last */
} blocks[] = {
    {"transform", run_transform, count_transform, false, false},
    {"key switch", run_apply, count_apply, false, true},
    {"key switches", run_apply_many, count_apply_many, true, true},
    {"ModDown", run_finish, count_finish, true, true},
    {"ModDown, rescaled", run_finish_rescaled, count_finish_rescaled, false, true},
    {"rescale", run_rescale, count_rescale, true, true},
    {"product", run_mul, count_mul, true, true},
    {"linear", run_linear, count_linear, true, false},
    {"linear, many inputs", run_linear_inputs, count_linear_inputs, false, false},
    {"add a vector", run_add_plain, count_add_plain, false, false},
    {"weighted sum", run_weighted_sum, count_weighted_sum, false, false},
    {"copy", run_copy, count_copy, false, false},
    {"read a query", run_read, count_read, false, false},
    {"write a result", run_write, count_write, false, false},
};

static void lab_clear(lab *l)
{
	for (size_t i = 0; i < INPUTS; i++)
		hel_ct_free(l->in[i]);
	for (size_t i = 0; i < l->weights; i++)
		hel_pt_free(l->weight[i]);
	hel_pt_free(l->plain);
	hel_ct_free(l->product);
	hel_ct_free(l->out);
	hel_free(l->acc);
	hel_free(l->work);
	hel_writer_clear(&l->query);
	hel_writer_clear(&l->result);
	hel_eval_free(l->ev);
	hel_keys_free(l->keys);
	hel_params_free(l->params);
	memset(l, 0, sizeof *l);
}

/* Below every prime; what residues are makes no difference to time. */
static void fill(uint32_t *a, size_t words)
{
	for (size_t i = 0; i < words; i++)
		a[i] = (uint32_t)(hel_mix(i) & (HEL_PRIME_MIN - 1));
}

static hel_status lab_keys(lab *l)
{
	hel_status st = HEL_OK;
	hel_key_request request[KEYS + 1];
	const hel_params *p = l->params;
	for (int i = 0; i < KEYS; i++)
		request[i] = (hel_key_request){hel_galois_of_rotation(p, i + 1), p->spec.levels};
	request[KEYS] = (hel_key_request){HEL_RELINEARISE, p->spec.levels};
	TRY(hel_keys_alloc(&l->keys, p, request, KEYS + 1));
	for (size_t i = 0; i < l->keys->count; i++) {
		const hel_switch_key *key = &l->keys->key[i];
		const size_t rows = key->digits * (key->limbs + p->ring.special);
		fill(key->data, 2 * rows * p->ring.n);
	}
	for (int i = 0; i < 2 * KEYS; i++)
		l->key[i] = &l->keys->key[i % KEYS];
done:
	return st;
}

static hel_status lab_values(lab *l)
{
	hel_status st = HEL_OK;
	const hel_params *p = l->params;
	const size_t words = l->limbs * p->ring.n;
	const uint8_t seed[HEL_SEED_BYTES] = "calibrate";
	hel_complex *slots = NULL;
	TRY_ALLOC(slots, hel_alloc(hel_params_slots(p), sizeof *slots));
	TRY(hel_encode(&l->plain, p, slots, l->level, HEL_FOR_ADD));
	for (size_t i = 0; i < INPUTS; i++) {
		TRY(hel_ct_new(&l->in[i], p));
		l->in[i]->level = l->level;
		l->in[i]->scale = p->scale[l->level];
		for (int half = 0; half < 2; half++)
			fill(l->in[i]->part[half], words);
		hel_ct_write_seeded(&l->query, l->in[i], seed);
		TRY(l->query.status);
	}
	const size_t weights = HEL_MAX(INPUTS, HEL_MIN(WEIGHT_WORDS / words, MAX_WEIGHTS));
	for (; l->weights < weights; l->weights++) {
		TRY(hel_encode(&l->weight[l->weights], p, slots, l->level, HEL_FOR_MUL));
		fill(l->weight[l->weights]->data, words);
	}
	TRY(hel_ct_new(&l->out, p));
	TRY(hel_ct_new(&l->product, p));
	hel_ct_copy(l->product, l->in[0]);
	l->product->scale *= l->product->scale; /* as if it were one */
done:
	hel_free(slots);
	return st;
}

static hel_status lab_open(lab *l, const hel_params_spec *spec, hel_pool *pool)
{
	hel_status st = HEL_OK;
	memset(l, 0, sizeof *l);
	TRY(hel_params_new_insecure_test(&l->params, spec));
	const hel_params *p = l->params;
	l->level = spec->levels;
	l->limbs = p->limbs[l->level];
	TRY(lab_keys(l));
	TRY(lab_values(l));
	TRY(hel_eval_new(&l->ev, p, l->keys, pool));
	TRY_ALLOC(l->acc, hel_alloc(hel_extended_words(p, l->limbs), 4));
	TRY_ALLOC(l->work, hel_alloc(hel_ks_scratch_words(l->ev, l->limbs), 4));
done:
	return st;
}

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

/* The median of what fits into `spend` seconds, of three runs at least. */
static hel_status measure(double *seconds, lab *l, block_fn run, bool cpu, double spend)
{
	hel_status st = HEL_OK;
	double sample[ROUNDS], spent = 0;
	size_t batch = 1, n = 0;
	TRY(run(l));
	for (; n < ROUNDS && (n < 3 || spent < spend); n++) {
		const double start = now(cpu);
		for (size_t k = 0; k < batch; k++)
			TRY(run(l));
		const double took = now(cpu) - start;
		sample[n] = took / (double)batch;
		spent += took;
		if (n == 0) /* from now on a fifth of the time in one go */
			batch = (size_t)fmax(1, spend / 5 / fmax(took, 1e-9));
	}
	qsort(sample, n, sizeof *sample, ascending);
	*seconds = sample[n / 2];
done:
	return st;
}

typedef struct samples {
	hel_cost_sample one[MAX_SAMPLES], many[MAX_SAMPLES];
	size_t ones, manys; /* so far in this pass */
	double spend;	    /* seconds on a block, in each pass */
	double wall, cpu;   /* of all on one thread */
} samples;

/* Values as if they had come down to the level before the last. */
static void go_low(lab *l)
{
	l->level = 1;
	l->limbs = l->params->limbs[1];
	for (size_t i = 0; i < INPUTS; i++) {
		l->in[i]->level = 1;
		l->in[i]->scale = l->params->scale[1];
	}
	l->product->level = 1;
	l->product->scale = l->params->scale[1] * l->params->scale[1];
}

/* Keeps the quicker of all passes: neighbours only ever add. */
static void keep(hel_cost_sample *list, size_t *count, hel_cost_sample sample)
{
	hel_cost_sample *at = &list[(*count)++];
	if (at->seconds > 0)
		sample.seconds = fmin(sample.seconds, at->seconds);
	*at = sample;
}

static hel_status measure_block(samples *s, lab *l, const struct block *b, const hel_args *args)
{
	hel_status st = HEL_OK;
	hel_cost_sample sample = {.name = b->name,
				  .log_n = l->params->spec.log_n,
				  .limbs = l->limbs,
				  .cost = b->count(l)};
	sample.bytes = hel_cost_bytes(sample.cost);
	if (b->run == run_apply) /* another key each time */
		sample.bytes *= KEYS;
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
	lab l;
	TRY(lab_open(&l, spec, args->pool));
	for (size_t i = 0; i < HEL_ARRAY_LEN(blocks); i++)
		TRY(measure_block(s, &l, &blocks[i], args));
	go_low(&l);
	for (size_t i = 0; spec->levels > 1 && i < HEL_ARRAY_LEN(blocks); i++)
		if (blocks[i].low)
			TRY(measure_block(s, &l, &blocks[i], args));
done:
	lab_clear(&l);
	return st;
}

/* Prints predicted over measured, one line per block, a column per ring; returns the worst. */
static void report(const hel_args *args, json_t *out, const hel_cost_model *m,
		   const hel_cost_sample *sample, size_t count, unsigned threads)
{
	double error[MAX_SAMPLES];
	json_t *list = json_array();
	hel_say(args, "predicted / measured on %u thread%s:\n", threads, threads > 1 ? "s" : "");
	for (size_t b = 0; b < HEL_ARRAY_LEN(blocks); b++) {
		bool any = false;
		for (size_t i = 0; i < count; i++) {
			if (strcmp(sample[i].name, blocks[b].name) != 0)
				continue;
			const double ratio =
			    hel_cost_predicted(m, &sample[i], threads) / sample[i].seconds;
			if (!any)
				hel_say(args, "  %-20s", blocks[b].name);
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
		TRY(hel_cli_calibration_path(path, sizeof path));
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
