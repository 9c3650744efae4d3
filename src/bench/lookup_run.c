/* One method, measured as its users would meet it: a client that encrypts, a server that answers.
 */
#include "ckks/secret.h"
#include "lookup_bench.h"
#include "vm/encrypted.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_RUNS 64
#define TOLERANCE 0x1p-8 /* an output further off is wrong, not imprecise */

typedef struct run {
	const lookup_plan *plan;
	const hel_args *args;
	lookup_figures *f;
	hel_lookup *l; /* the first part; all answer in its packing */
	hel_lookup **part;
	hel_loaded **loaded; /* of each part */
	hel_table *table;    /* [part][table] */
	hel_secret_key *secret;
	hel_keys *keys;
	hel_eval *ev;
	hel_writer query;
	hel_ct **in, **out; /* in: [part][input]; out: emptied between runs */
	hel_complex **slots;
	uint32_t *code, *local; /* for all rows; for those of one part */
	double *features;
	double sample[MAX_RUNS], sum, worst; /* of errors */
} run;

static void run_clear(run *r)
{
	const hel_lookup *l = r->l;
	for (size_t i = 0; r->in && i < r->plan->parts * l->program->manifest->inputs; i++)
		hel_ct_free(r->in[i]);
	for (size_t i = 0; l && i < l->packing.results; i++) {
		if (r->out)
			hel_ct_free(r->out[i]);
		if (r->slots)
			hel_free(r->slots[i]);
	}
	hel_free(r->in);
	hel_free(r->out);
	hel_free(r->slots);
	hel_free(r->code);
	hel_free(r->local);
	hel_free(r->features);
	hel_writer_clear(&r->query);
	for (size_t i = 0; r->loaded && i < r->plan->parts; i++)
		hel_loaded_free(r->loaded[i]);
	for (size_t i = 1; r->part && i < r->plan->parts; i++)
		hel_lookup_free(r->part[i]);
	hel_free(r->loaded);
	hel_free(r->part);
	hel_free(r->table);
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

/* --- parts ----------------------------------------------------------------------- */

static size_t part_rows(const run *r, size_t table)
{
	return (r->plan->spec.table[table].rows + r->plan->parts - 1) / r->plan->parts;
}

/* Rows of a table in a part; one row at least, for tables that are smaller. */
static hel_table part_of(const run *r, size_t part, size_t table)
{
	const hel_table *t = &r->plan->spec.table[table];
	const size_t rows = part_rows(r, table), first = HEL_MIN(part * rows, t->rows - 1);
	return (hel_table){HEL_MIN(rows, t->rows - first), t->dim, t->value + first * t->dim};
}

/* The codes that a part answers; the others ask it for nothing. */
static void choose_local(run *r, size_t part)
{
	const hel_lookup_spec *s = &r->l->spec;
	const size_t width = hel_lookup_code_width(s);
	memcpy(r->local, r->code, s->batch * s->tables * width * sizeof *r->local);
	for (size_t i = 0; r->plan->parts > 1 && i < s->batch * s->tables; i++) {
		const size_t rows = part_rows(r, i % s->tables);
		r->local[i] =
		    r->code[i] / rows == part ? (uint32_t)(r->code[i] % rows) : HEL_LOOKUP_NONE;
	}
}

/* Encodes a part; its vectors are not needed after that. */
static hel_status load_part(run *r, size_t part)
{
	hel_status st = HEL_OK;
	hel_program *p = r->part[part]->program;
	char path[4096];
	snprintf(path, sizeof path, "%s/helrm-weights-%zu.tmp", r->plan->disk ? r->plan->disk : "",
		 part);
	if (r->plan->disk) {
		/* of this run alone: the mapping outlives the name */
		hel_random_bytes(p->hash, sizeof p->hash);
		TRY(hel_loaded_open(&r->loaded[part], p, r->l->params, r->args->pool,
				    &(hel_load_options){.cache = path, .cache_only = true}));
		unlink(path);
		hel_loaded_release(r->loaded[part]);
	} else
		TRY(hel_loaded_new(&r->loaded[part], p, r->l->params, r->args->pool));
	for (uint32_t i = 0; i < p->vectors; i++) {
		hel_free(p->vector[i].value);
		p->vector[i].value = NULL;
	}
	r->f->weight_bytes += hel_loaded_bytes(r->loaded[part]);
done:
	return st;
}

static hel_status make_parts(run *r)
{
	hel_status st = HEL_OK;
	const size_t parts = r->plan->parts, tables = r->plan->spec.tables;
	hel_lookup_spec first = r->plan->spec;
	hel_progress progress;
	hel_progress_begin(&progress, "encoding tables");
	TRY_ALLOC(r->part, hel_alloc(parts, sizeof *r->part));
	TRY_ALLOC(r->loaded, hel_alloc(parts, sizeof *r->loaded));
	TRY_ALLOC(r->table, hel_alloc(parts * tables, sizeof *r->table));
	for (size_t i = 0; i < parts * tables; i++)
		r->table[i] = part_of(r, i / tables, i % tables);
	if (parts > 1)
		TRY(hel_lookup_norm(&first.norm, &r->plan->spec));
	first.table = r->table;
	for (size_t i = 0; i < parts; i++) {
		if (i)
			TRY(hel_lookup_like(&r->part[i], r->l, r->table + i * tables));
		else
			TRY(hel_lookup_new(&r->l, &first));
		r->part[0] = r->l;
		TRY(load_part(r, i));
		hel_progress_step(&progress, (double)(i + 1) / (double)parts);
	}
done:
	hel_progress_end(&progress);
	return st;
}

static hel_status make_keys(run *r)
{
	hel_status st = HEL_OK;
	const hel_lookup *l = r->l;
	const hel_manifest *m = l->program->manifest;
	hel_pool *pool = r->args->threads > 1 ? r->args->pool : NULL;
	TRY(hel_secret_key_new(&r->secret, l->params));
	TRY(hel_keys_generate(&r->keys, r->secret, m->key, m->keys, r->args->pool));
	TRY(hel_eval_new(&r->ev, l->params, r->keys, pool));
done:
	return st;
}

static hel_status make_buffers(run *r)
{
	hel_status st = HEL_OK;
	const hel_lookup *l = r->l;
	const hel_lookup_spec *s = &l->spec;
	const size_t inputs = r->plan->parts * l->program->manifest->inputs;
	const size_t codes = s->batch * s->tables * hel_lookup_code_width(s);
	TRY_ALLOC(r->in, hel_alloc(inputs, sizeof *r->in));
	TRY_ALLOC(r->out, hel_alloc(l->packing.results, sizeof *r->out));
	TRY_ALLOC(r->slots, hel_alloc(l->packing.results, sizeof *r->slots));
	for (size_t i = 0; i < inputs; i++)
		TRY(hel_ct_new(&r->in[i], l->params));
	for (size_t i = 0; i < l->packing.results; i++)
		TRY_ALLOC(r->slots[i], hel_alloc(hel_params_slots(l->params), sizeof **r->slots));
	TRY_ALLOC(r->code, hel_alloc(codes, sizeof *r->code));
	TRY_ALLOC(r->local, hel_alloc(codes, sizeof *r->local));
	TRY_ALLOC(r->features, hel_alloc(l->program->manifest->features, sizeof *r->features));
done:
	return st;
}

static hel_status setup(run *r)
{
	hel_status st = HEL_OK;
	lookup_figures *f = r->f;
	const double start = hel_clock();
	TRY(make_parts(r));
	TRY(make_keys(r));
	TRY(make_buffers(r));
	f->setup_ms = 1e3 * (hel_clock() - start);
	const hel_lookup *l = r->l;
	const hel_manifest *m = l->program->manifest;
	f->params = hel_params_get_spec(l->params);
	f->log_qp = hel_params_log_qp(l->params);
	f->parts = r->plan->parts;
	f->inputs = f->parts * m->inputs;
	f->results = l->packing.results;
	f->keys = m->keys;
	f->query_bytes = f->parts * sum_bytes(l->params, m);
	f->result_bytes = f->results * 2 * l->params->limbs[0] *
			  hel_packed_size(l->params->ring.n, HEL_PRIME_BITS);
	for (uint32_t i = 0; i < m->keys; i++)
		f->key_bytes += hel_switch_key_bytes(l->params, &m->key[i]);
	TRY(hel_ckks_run_bytes(&f->memory_bytes, l->program, l->params, r->args->threads));
	f->memory_bytes += hel_keys_expanded_bytes(l->params, m->key, m->keys);
	if (r->plan->disk) { /* one part is used, the next one read */
		f->disk_bytes = f->weight_bytes;
		f->memory_bytes += HEL_MIN(f->parts, 2) * hel_loaded_bytes(r->loaded[0]);
	} else
		f->memory_bytes += f->weight_bytes;
	f->predicted_bits = l->bits;
done:
	return st;
}

/* --- one request ------------------------------------------------------------------- */

/* Run 0 asks for the first of everything, 1 for the last, 2 for equal digits, others for anything.
 */
static void choose_codes(run *r, size_t number, hel_prng *g)
{
	const hel_lookup_spec *s = &r->l->spec;
	const size_t width = hel_lookup_code_width(s), all = s->batch * s->tables * width;
	for (size_t i = 0; i < all; i++) {
		const size_t rows = r->plan->spec.table[i / width % s->tables].rows;
		const size_t below = hel_lookup_keeps_rows(s->method) ? rows : s->base;
		r->code[i] = (uint32_t)(number == 1   ? below - 1
					: number == 2 ? 0
					: number == 3 ? i / width % below
						      : hel_prng_u64(g) % below);
	}
}

static hel_status encrypt_part(run *r, size_t part, hel_complex *block)
{
	hel_status st = HEL_OK;
	const hel_lookup *l = r->part[part];
	const hel_manifest *m = l->program->manifest;
	uint8_t seed[HEL_SEED_BYTES];
	hel_pt *pt = NULL;
	choose_local(r, part);
	TRY(hel_lookup_fill(r->features, l, r->local));
	for (uint32_t i = 0; i < m->inputs; i++) {
		hel_ct *ct = r->in[part * m->inputs + i];
		hel_input_fill(block, &m->input[i], r->features);
		TRY(hel_encode(&pt, l->params, block, m->input[i].level, HEL_FOR_ADD));
		TRY(hel_encrypt_seeded(ct, seed, r->secret, pt));
		hel_ct_write_seeded(&r->query, ct, seed);
		hel_pt_free(pt);
		pt = NULL;
	}
	st = r->query.status;
done:
	hel_pt_free(pt);
	return st;
}

/* The query's bytes, as they would travel. */
static hel_status encrypt(run *r)
{
	hel_status st = HEL_OK;
	const size_t slots = hel_params_slots(r->l->params);
	hel_complex *block = NULL;
	TRY_ALLOC(block, hel_alloc(slots, sizeof *block));
	r->query.size = 0;
	for (size_t i = 0; i < r->plan->parts; i++)
		TRY(encrypt_part(r, i, block));
done:
	hel_free_secret(block, slots * sizeof *block);
	return st;
}

static hel_status parse(run *r)
{
	hel_status st = HEL_OK;
	hel_reader reader = hel_reader_of(r->query.bytes, r->query.size);
	for (size_t i = 0; i < r->plan->parts * r->l->program->manifest->inputs; i++)
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
	for (size_t i = 0; i < l->packing.results; i++)
		TRY(hel_decrypt(r->slots[i], r->secret, r->out[i]));
	for (size_t i = 0; i < s->batch * s->tables; i++) {
		const uint32_t *code = r->code + i * width;
		const size_t part = r->plan->parts > 1 ? code[0] / part_rows(r, i % s->tables) : 0;
		choose_local(r, part);
		hel_lookup_read(got, r->part[part], (const hel_complex *const *)r->slots,
				i / s->tables, i % s->tables, r->local + i * width);
		hel_lookup_truth(got + dim, &r->plan->spec, i % s->tables, code);
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

/* One thread alone is timed by what it used of its core, unless it waits for a disk. */
static double server_clock(const run *r)
{
	struct timespec t;
	if (r->args->threads > 1 || r->plan->disk)
		return hel_clock();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* All parts, one after the other; weights of the next one are read from disk meanwhile. */
static hel_status answer(run *r)
{
	hel_status st = HEL_OK;
	const hel_lookup *l = r->l;
	const size_t results = l->packing.results, inputs = l->program->manifest->inputs;
	hel_ct **more = NULL;
	TRY_ALLOC(more, hel_alloc(results, sizeof *more));
	hel_loaded_prefetch(r->loaded[0]);
	for (size_t i = 0; i < r->plan->parts; i++) {
		if (i + 1 < r->plan->parts)
			hel_loaded_prefetch(r->loaded[i + 1]);
		TRY(hel_ckks_run_many(i ? more : r->out, l->result, results, r->loaded[i], r->ev,
				      (const hel_ct *const *)r->in + i * inputs, NULL));
		hel_loaded_release(r->loaded[i]);
		for (size_t k = 0; i && k < results; k++) {
			st = hel_eval_add(r->ev, r->out[k], r->out[k], more[k]);
			hel_ct_free(more[k]);
			more[k] = NULL;
			TRY(st);
		}
	}
done:
	for (size_t k = 0; more && k < results; k++)
		hel_ct_free(more[k]);
	hel_free(more);
	return st;
}

static hel_status run_once(run *r, size_t number)
{
	hel_status st = HEL_OK;
	for (size_t i = 0; i < r->l->packing.results; i++) {
		hel_ct_free(r->out[i]);
		r->out[i] = NULL;
	}
	const double start = server_clock(r);
	TRY(answer(r));
	r->sample[number] = 1e3 * (server_clock(r) - start);
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
	const double began = hel_clock();
	const size_t least = r->plan->disk ? 2 : 5; /* what is read anew each time is slow */
	for (f->runs = 0; f->runs < MAX_RUNS; f->runs++) {
		if (f->runs >= least && hel_clock() - began > r->plan->seconds)
			break;
		choose_codes(r, f->runs, &g);
		double start = hel_clock();
		TRY(encrypt(r));
		f->encrypt_ms = 1e3 * (hel_clock() - start);
		start = server_clock(r);
		TRY(parse(r));
		f->parse_ms = 1e3 * (server_clock(r) - start);
		TRY(run_once(r, f->runs));
		start = hel_clock();
		TRY(check(r));
		f->decrypt_ms = 1e3 * (hel_clock() - start);
		if (!f->runs &&
		    !r->plan->disk) /* it warmed caches and scratch memory: checked, not timed */
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
