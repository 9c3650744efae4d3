/* The building blocks of a run, and what they are counted as. */
#include "bench_blocks.h"
#include <math.h>
#include <string.h>

#define WEIGHT_WORDS ((size_t)1 << 23) /* of the plaintexts of one linear layer, about */

/* Values that were made just now, two in turn. */
static hel_ct *recent(bench_lab *l)
{
	return l->in[l->turn++ % 2];
}

static hel_status run_transform(bench_lab *l)
{
	const hel_ring *r = &l->params->ring;
	uint32_t *limb = l->acc + l->turn++ % 4 * r->n;
	r->k->ntt_forward(limb, r->at, 1);
	r->k->ntt_inverse(limb, limb, NULL, false, r->at, 1);
	return HEL_OK;
}
static void apply(bench_lab *l, size_t keys)
{
	hel_ct *x = l->in[l->turn % 2];
	hel_ks_apply(l->ev, l->acc, x->part[0], x->part[1], l->key + l->turn % BENCH_KEYS, keys,
		     HEL_KS_SUM, l->limbs, l->work);
	l->turn += keys;
}
static hel_status run_apply(bench_lab *l)
{
	apply(l, 1);
	return HEL_OK;
}
static hel_status run_apply_many(bench_lab *l)
{
	apply(l, BENCH_KEYS);
	return HEL_OK;
}
static hel_status run_finish(bench_lab *l)
{
	hel_ks_finish(l->ev, l->out->part, NULL, l->acc, l->limbs, l->work);
	return HEL_OK;
}
static hel_status run_finish_rescaled(bench_lab *l)
{
	hel_ks_finish_rescaled(l->ev, l->out->part, NULL, l->acc, l->level, l->work);
	return HEL_OK;
}
static hel_status run_rescale(bench_lab *l)
{
	return hel_eval_rescale(l->ev, l->out, l->product);
}
static hel_status run_mul(bench_lab *l)
{
	hel_ct *x = recent(l);
	return hel_eval_mul(l->ev, l->out, x, x);
}
/* The same ciphertext under all weights, or another under each. */
static hel_status run_linear(bench_lab *l)
{
	for (size_t i = 0; i < l->weights; i++)
		l->term[i] = (hel_linear_term){l->in[0], l->weight[i], 0, 0};
	return hel_linear_apply(l->ev, l->out, l->term, l->weights);
}
static hel_status run_linear_inputs(bench_lab *l)
{
	for (size_t i = 0; i < BENCH_INPUTS; i++)
		l->term[i] = (hel_linear_term){l->in[i], l->weight[i], 0, 0};
	return hel_linear_apply(l->ev, l->out, l->term, BENCH_INPUTS);
}
static hel_status run_add_plain(bench_lab *l)
{
	return hel_eval_add_plain(l->ev, l->out, recent(l), l->plain);
}
static hel_status run_weighted_sum(bench_lab *l)
{
	const hel_sum_term terms[4] = {
	    {l->in[0], 0.5}, {l->in[1], -0.5}, {l->in[0], 1}, {l->in[1], 2}};
	return hel_eval_weighted_sum(l->ev, l->out, l->level, terms, 4, 0.25);
}
static hel_status run_copy(bench_lab *l)
{
	hel_ct_copy(l->out, recent(l));
	return HEL_OK;
}
/* A query as a server reads it: checksum, memory, residues, expansion. */
static hel_status run_read(bench_lab *l)
{
	hel_status st = HEL_OK;
	hel_ct *ct[BENCH_INPUTS] = {0};
	uint8_t hash[HEL_HASH_BYTES];
	hel_reader r = hel_reader_of(l->query.bytes, l->query.size);
	hel_hash(hash, l->query.bytes, l->query.size);
	for (size_t i = 0; i < BENCH_INPUTS; i++) {
		TRY(hel_ct_take(&ct[i], l->ev));
		TRY(hel_ct_read_seeded(ct[i], &r));
	}
done:
	for (size_t i = 0; i < BENCH_INPUTS; i++)
		hel_ct_free(ct[i]);
	return st;
}
static hel_status run_write(bench_lab *l)
{
	hel_status st = HEL_OK;
	hel_writer_clear(&l->result);
	hel_container_begin(&l->result, HEL_KIND_RESULT);
	TRY(hel_ct_write_sampled(&l->result, l->ev, l->in[0], 256));
	TRY(hel_container_end(&l->result));
done:
	return st;
}

static hel_cost count_transform(const bench_lab *l)
{
	const hel_ring *r = &l->params->ring;
	return (hel_cost){.butterflies = (double)(r->n * r->log_n)};
}
static hel_cost count_apply(const bench_lab *l)
{
	hel_cost c = hel_cost_decompose(&l->params->spec, l->limbs);
	hel_cost_add(&c, hel_cost_product(&l->params->spec, l->limbs), 1);
	return c;
}
static hel_cost count_apply_many(const bench_lab *l)
{
	hel_cost c = hel_cost_decompose(&l->params->spec, l->limbs);
	hel_cost_add(&c, hel_cost_product(&l->params->spec, l->limbs), BENCH_KEYS);
	return c;
}
static hel_cost count_finish(const bench_lab *l)
{
	return hel_cost_finish(&l->params->spec, l->limbs);
}
static hel_cost count_finish_rescaled(const bench_lab *l)
{
	return hel_cost_finish_rescaled(&l->params->spec, l->level);
}
static hel_cost count_rescale(const bench_lab *l)
{
	hel_cost c = hel_cost_rescale(&l->params->spec, l->level);
	c.ops = 1;
	return c;
}
static hel_cost count_mul(const bench_lab *l)
{
	hel_cost c = count_apply(l);
	hel_cost_add(&c, count_finish(l), 1);
	hel_cost_add(&c, hel_cost_tensor(&l->params->spec, l->limbs), 1);
	c.ops = 1;
	return c;
}
static hel_cost sum_of(const bench_lab *l, size_t terms, double values)
{
	hel_cost c = hel_cost_sum(&l->params->spec, l->limbs, (double)terms, values, 1);
	hel_cost_add(&c, hel_cost_copy(&l->params->spec, l->limbs), 1);
	c.ops = 1;
	return c;
}
static hel_cost count_linear(const bench_lab *l)
{
	return sum_of(l, l->weights, 1);
}
static hel_cost count_linear_inputs(const bench_lab *l)
{
	return sum_of(l, BENCH_INPUTS, BENCH_INPUTS);
}
static hel_cost count_add_plain(const bench_lab *l)
{
	hel_cost c = hel_cost_add_plain(&l->params->spec, l->limbs);
	c.ops = 1;
	return c;
}
static hel_cost count_weighted_sum(const bench_lab *l)
{
	hel_cost c = hel_cost_weighted_sum(&l->params->spec, l->limbs, 4);
	c.ops = 1;
	return c;
}
static hel_cost count_copy(const bench_lab *l)
{
	return hel_cost_copy(&l->params->spec, l->limbs);
}
static hel_cost count_read(const bench_lab *l)
{
	hel_cost c = {0};
	hel_cost_add(&c, hel_cost_read(&l->params->spec, l->limbs), BENCH_INPUTS);
	return c;
}
static hel_cost count_write(const bench_lab *l)
{
	return hel_cost_write(&l->params->spec, l->limbs);
}

const bench_block bench_blocks[] = {
    {"transform", run_transform, count_transform, 1, false, false},
    {"key switch", run_apply, count_apply, BENCH_KEYS, false, true},
    {"key switches", run_apply_many, count_apply_many, 1, true, true},
    {"ModDown", run_finish, count_finish, 1, true, true},
    {"ModDown, rescaled", run_finish_rescaled, count_finish_rescaled, 1, false, true},
    {"rescale", run_rescale, count_rescale, 1, true, true},
    {"product", run_mul, count_mul, 1, true, true},
    {"linear", run_linear, count_linear, 1, true, false},
    {"linear, many inputs", run_linear_inputs, count_linear_inputs, 1, false, false},
    {"add a vector", run_add_plain, count_add_plain, 1, false, false},
    {"weighted sum", run_weighted_sum, count_weighted_sum, 1, false, false},
    {"copy", run_copy, count_copy, 1, false, false},
    {"read a query", run_read, count_read, 1, false, false},
    {"write a result", run_write, count_write, 1, false, false},
};
const size_t bench_block_count = HEL_ARRAY_LEN(bench_blocks);

void bench_lab_clear(bench_lab *l)
{
	for (size_t i = 0; i < BENCH_INPUTS; i++)
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

static hel_status lab_keys(bench_lab *l)
{
	hel_status st = HEL_OK;
	hel_key_request request[BENCH_KEYS + 1];
	const hel_params *p = l->params;
	for (int i = 0; i < BENCH_KEYS; i++)
		request[i] = (hel_key_request){hel_galois_of_rotation(p, i + 1), p->spec.levels};
	request[BENCH_KEYS] = (hel_key_request){HEL_RELINEARISE, p->spec.levels};
	TRY(hel_keys_alloc(&l->keys, p, request, BENCH_KEYS + 1));
	for (size_t i = 0; i < l->keys->count; i++) {
		const hel_switch_key *key = &l->keys->key[i];
		const size_t rows = key->digits * (key->limbs + p->ring.special);
		fill(key->data, 2 * rows * p->ring.n);
	}
	for (int i = 0; i < 2 * BENCH_KEYS; i++)
		l->key[i] = &l->keys->key[i % BENCH_KEYS];
done:
	return st;
}

static hel_status lab_values(bench_lab *l)
{
	hel_status st = HEL_OK;
	const hel_params *p = l->params;
	const size_t words = l->limbs * p->ring.n;
	const uint8_t seed[HEL_SEED_BYTES] = "calibrate";
	hel_complex *slots = NULL;
	TRY_ALLOC(slots, hel_alloc(hel_params_slots(p), sizeof *slots));
	TRY(hel_encode(&l->plain, p, slots, l->level, HEL_FOR_ADD));
	for (size_t i = 0; i < BENCH_INPUTS; i++) {
		TRY(hel_ct_new(&l->in[i], p));
		l->in[i]->level = l->level;
		l->in[i]->scale = p->scale[l->level];
		for (int half = 0; half < 2; half++)
			fill(l->in[i]->part[half], words);
		hel_ct_write_seeded(&l->query, l->in[i], seed);
		TRY(l->query.status);
	}
	const size_t weights = HEL_MAX(BENCH_INPUTS, HEL_MIN(WEIGHT_WORDS / words, BENCH_WEIGHTS));
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

hel_status bench_lab_open(bench_lab *l, const hel_params_spec *spec, hel_pool *pool)
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

void bench_lab_go_low(bench_lab *l)
{
	l->level = 1;
	l->limbs = l->params->limbs[1];
	for (size_t i = 0; i < BENCH_INPUTS; i++) {
		l->in[i]->level = 1;
		l->in[i]->scale = l->params->scale[1];
	}
	l->product->level = 1;
	l->product->scale = l->params->scale[1] * l->params->scale[1];
}
