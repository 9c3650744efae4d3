/* One method, measured as its users would meet it: a client that encrypts, a server that answers.
 */
#include "lookup.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_RUNS 64
#define TOLERANCE 0x1p-8 /* an output further off is wrong, not imprecise */

typedef struct run {
	const lookup_plan *plan;
	const hel_args *args;
	lookup_figures *f;
	hel_lookup *l;
	hel_secret_key *secret;
	hel_keys *keys;
	hel_eval *ev;
	hel_loaded *loaded;
	hel_writer query;
	hel_ct **in, **out; /* out: emptied between runs */
	hel_complex **slots;
	uint32_t *code;
	double *features;
	double sample[MAX_RUNS], sum, worst; /* of errors */
} run;

static void run_clear(run *r)
{
	const hel_lookup *l = r->l;
	for (uint32_t i = 0; r->in && i < l->program->manifest->inputs; i++)
		hel_ct_free(r->in[i]);
	for (size_t i = 0; l && i < l->plan.results; i++) {
		if (r->out)
			hel_ct_free(r->out[i]);
		if (r->slots)
			hel_free(r->slots[i]);
	}
	hel_free(r->in);
	hel_free(r->out);
	hel_free(r->slots);
	hel_free(r->code);
	hel_free(r->features);
	hel_writer_clear(&r->query);
	hel_loaded_free(r->loaded);
	hel_eval_free(r->ev);
	hel_keys_free(r->keys);
	hel_secret_key_free(r->secret);
	hel_lookup_free(r->l);
}

static size_t sum_bytes(const hel_params *p, const hel_manifest *m)
{
	size_t bytes = 0;
	for (uint32_t i = 0; i < m->inputs; i++)
		bytes += 1 + HEL_SEED_BYTES +
			 p->limbs[m->input[i].level] * hel_packed_size(p->ring.n, HEL_PRIME_BITS);
	return bytes;
}

static hel_status setup(run *r)
{
	hel_status st = HEL_OK;
	lookup_figures *f = r->f;
	hel_pool *pool = r->args->threads > 1 ? r->args->pool : NULL;
	const double start = hel_clock();
	TRY(hel_lookup_new(&r->l, &r->plan->spec));
	const hel_lookup *l = r->l;
	const hel_manifest *m = l->program->manifest;
	TRY(hel_secret_key_new(&r->secret, l->params));
	TRY(hel_keys_generate(&r->keys, r->secret, m->key, m->keys, r->args->pool));
	TRY(hel_eval_new(&r->ev, l->params, r->keys, pool));
	TRY(hel_loaded_new(&r->loaded, l->program, l->params, r->args->pool));
	TRY_ALLOC(r->in, hel_alloc(m->inputs, sizeof *r->in));
	TRY_ALLOC(r->out, hel_alloc(l->plan.results, sizeof *r->out));
	TRY_ALLOC(r->slots, hel_alloc(l->plan.results, sizeof *r->slots));
	for (uint32_t i = 0; i < m->inputs; i++)
		TRY(hel_ct_new(&r->in[i], l->params));
	for (size_t i = 0; i < l->plan.results; i++)
		TRY_ALLOC(r->slots[i], hel_alloc(hel_params_slots(l->params), sizeof **r->slots));
	const hel_lookup_spec *s = &l->spec;
	TRY_ALLOC(r->code,
		  hel_alloc(s->batch * s->tables * hel_lookup_code_width(s), sizeof *r->code));
	TRY_ALLOC(r->features, hel_alloc(m->features, sizeof *r->features));
	f->setup_ms = 1e3 * (hel_clock() - start);
	f->params = hel_params_get_spec(l->params);
	f->log_qp = hel_params_log_qp(l->params);
	f->inputs = m->inputs;
	f->results = l->plan.results;
	f->keys = m->keys;
	f->query_bytes = sum_bytes(l->params, m);
	f->result_bytes = f->results * 2 * l->params->limbs[0] *
			  hel_packed_size(l->params->ring.n, HEL_PRIME_BITS);
	for (uint32_t i = 0; i < m->keys; i++)
		f->key_bytes += hel_switch_key_bytes(l->params, m->key[i].level);
	f->weight_bytes = hel_loaded_bytes(r->loaded);
	TRY(hel_ckks_run_bytes(&f->memory_bytes, l->program, l->params, r->args->threads));
	f->memory_bytes += f->weight_bytes + hel_keys_expanded_bytes(l->params, m->key, m->keys);
	f->predicted_bits = l->bits;
done:
	return st;
}

/* Run 0 asks for the first of everything, 1 for the last, 2 for equal digits, others for anything.
 */
static void choose_codes(run *r, size_t number, hel_prng *g)
{
	const hel_lookup_spec *s = &r->l->spec;
	const size_t width = hel_lookup_code_width(s), all = s->batch * s->tables * width;
	for (size_t i = 0; i < all; i++) {
		const size_t rows = s->table[i / width % s->tables].rows;
		const size_t below = hel_lookup_keeps_rows(s->method) ? rows : s->base;
		r->code[i] = (uint32_t)(number == 0   ? 0
					: number == 1 ? below - 1
					: number == 2 ? i / width % below
						      : hel_prng_u64(g) % below);
	}
}

/* The query's bytes, as they would travel. */
static hel_status encrypt(run *r)
{
	hel_status st = HEL_OK;
	const hel_lookup *l = r->l;
	const hel_manifest *m = l->program->manifest;
	const size_t slots = hel_params_slots(l->params);
	hel_complex *block = NULL;
	hel_pt *pt = NULL;
	uint8_t seed[HEL_SEED_BYTES];
	TRY_ALLOC(block, hel_alloc(slots, sizeof *block));
	TRY(hel_lookup_fill(r->features, l, r->code));
	r->query.size = 0;
	for (uint32_t i = 0; i < m->inputs; i++) {
		hel_input_fill(block, &m->input[i], r->features);
		TRY(hel_encode(&pt, l->params, block, m->input[i].level, HEL_FOR_ADD));
		TRY(hel_encrypt_seeded(r->in[i], seed, r->secret, pt));
		hel_ct_write_seeded(&r->query, r->in[i], seed);
		hel_pt_free(pt);
		pt = NULL;
	}
	st = r->query.status;
done:
	hel_free_secret(block, slots * sizeof *block);
	hel_pt_free(pt);
	return st;
}

static hel_status parse(run *r)
{
	hel_status st = HEL_OK;
	hel_reader reader = hel_reader_of(r->query.bytes, r->query.size);
	for (uint32_t i = 0; i < r->l->program->manifest->inputs; i++)
		TRY(hel_ct_read_seeded(r->in[i], &reader));
	st = hel_reader_finish(&reader);
done:
	return st;
}

/* Every output against the table. */
static hel_status check(run *r)
{
	hel_status st = HEL_OK;
	const hel_lookup *l = r->l;
	const hel_lookup_spec *s = &l->spec;
	const size_t dim = s->table[0].dim, width = hel_lookup_code_width(s);
	double *got = NULL;
	TRY_ALLOC(got, hel_alloc(2 * dim, sizeof *got));
	for (size_t i = 0; i < l->plan.results; i++)
		TRY(hel_decrypt(r->slots[i], r->secret, r->out[i]));
	for (size_t i = 0; i < s->batch * s->tables; i++) {
		const uint32_t *code = r->code + i * width;
		hel_lookup_read(got, l, (const hel_complex *const *)r->slots, i / s->tables,
				i % s->tables, code);
		hel_lookup_truth(got + dim, s, i % s->tables, code);
		for (size_t k = 0; k < dim; k++) {
			const double error = fabs(got[k] - got[dim + k]);
			if (!(error <= TOLERANCE * l->norm))
				FAIL(HEL_ERANGE,
				     "%s: lookup %zu in table %zu gives %g as number %zu, the "
				     "table %g",
				     hel_lookup_name(s->method), i / s->tables, i % s->tables,
				     got[k], k, got[dim + k]);
			r->sum += error;
			r->worst = fmax(r->worst, error);
			r->f->checked++;
		}
	}
done:
	hel_free(got);
	return st;
}

/* One thread alone is timed by what it used of its core. */
static double server_clock(const hel_args *args)
{
	struct timespec t;
	if (args->threads > 1)
		return hel_clock();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static hel_status run_once(run *r, size_t number)
{
	hel_status st = HEL_OK;
	const hel_lookup *l = r->l;
	for (size_t i = 0; i < l->plan.results; i++) {
		hel_ct_free(r->out[i]);
		r->out[i] = NULL;
	}
	const double start = server_clock(r->args);
	TRY(hel_ckks_run_many(r->out, l->result, l->plan.results, r->loaded, r->ev,
			      (const hel_ct *const *)r->in, NULL));
	r->sample[number] = 1e3 * (server_clock(r->args) - start);
done:
	return st;
}

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static hel_status run_all(run *r)
{
	hel_status st = HEL_OK;
	lookup_figures *f = r->f;
	const uint8_t seed[HEL_SEED_BYTES] = "lookup-bench";
	hel_prng g;
	hel_prng_init(&g, seed, 0);
	double began = hel_clock();
	for (f->runs = 0; f->runs < MAX_RUNS; f->runs++) {
		if (f->runs >= 5 && hel_clock() - began > r->plan->seconds)
			break;
		choose_codes(r, f->runs, &g);
		double start = hel_clock();
		TRY(encrypt(r));
		f->encrypt_ms = 1e3 * (hel_clock() - start);
		start = server_clock(r->args);
		TRY(parse(r));
		f->parse_ms = 1e3 * (server_clock(r->args) - start);
		TRY(run_once(r, f->runs));
		start = hel_clock();
		TRY(check(r));
		f->decrypt_ms = 1e3 * (hel_clock() - start);
		if (!f->runs) /* it warmed caches and scratch memory: checked, not timed */
			TRY(run_once(r, f->runs));
	}
	qsort(r->sample, f->runs, sizeof *r->sample, ascending);
	f->median_ms = r->sample[f->runs / 2];
	f->least_ms = r->sample[0];
	const double mean = r->sum / (double)f->checked, largest = 0.9 * r->l->norm;
	f->mean_bits = -log2(mean);
	f->worst_bits = -log2(r->worst);
	f->relative_bits = -log2(mean / largest);
done:
	return st;
}

hel_status lookup_measure(lookup_figures *out, const lookup_plan *plan, const hel_args *args)
{
	hel_status st = HEL_OK;
	const hel_lookup_spec *s = &plan->spec;
	run r = {.plan = plan, .args = args, .f = out};
	*out = (lookup_figures){.method = s->method,
				.base = hel_lookup_keeps_rows(s->method) ? 0 : s->base,
				.digits = hel_lookup_keeps_rows(s->method) ? 0 : s->digits,
				.tables = s->tables,
				.dim = s->table[0].dim,
				.batch = s->batch};
	for (size_t t = 0; t < s->tables; t++)
		out->rows += s->table[t].rows;
	TRY(setup(&r));
	TRY(run_all(&r));
done:
	run_clear(&r);
	return st;
}
