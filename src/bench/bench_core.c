/* Operations of one ring, and matrix-vector layers. */
#include "bench.h"
#include "circuit/circuit.h"
#include "vm/digit_size.h"
#include <math.h>
#include <string.h>

#define HOISTED 8

typedef struct ring_bench {
	hel_params *params;
	hel_secret_key *secret;
	hel_keys *keys;
	hel_eval *ev;
	hel_ct *a, *out;
	hel_pt *weight, *plain;
	hel_complex *slots, *decrypted;
	uint32_t *acc, *work, *limb;
	const hel_switch_key *same_key[1 + HOISTED];
	size_t count; /* of them to use */
	hel_linear_term *terms;
	size_t term_count, limbs;
	unsigned level, folds;
	long fold_step[2][4];
} ring_bench;

static const long hoisted_steps[4] = {1, 2, 3, 4};

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
	hel_ks_apply(r->ev, r->acc, r->a->part[0], r->a->part[1], r->same_key, r->count, HEL_KS_SUM,
		     r->limbs, r->work);
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
	hel_status st = hel_encode_at(&pt, r->params, r->slots, r->level,
				      r->params->scale[r->level], HEL_FOR_MUL, r->ev->pool);
	hel_pt_free(pt);
	return st;
}
static hel_status run_encrypt(void *arg)
{
	ring_bench *r = arg;
	return hel_encrypt(r->out, r->secret, r->plain);
}
static hel_status run_decrypt(void *arg)
{
	ring_bench *r = arg;
	return hel_decrypt(r->decrypted, r->secret, r->a);
}
static hel_status run_add(void *arg)
{
	ring_bench *r = arg;
	return hel_eval_add(r->ev, r->out, r->a, r->a);
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
	hel_pt_free(r->plain);
	hel_free(r->decrypted);
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
	for (size_t i = 0; i < HEL_ARRAY_LEN(hoisted_steps); i++)
		add_request(list, &count, hel_galois_of_rotation(p, hoisted_steps[i]), level);
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
	memset(r, 0, sizeof *r);
	TRY(hel_choose_digits(&r->params,
			      &(hel_params_spec){.log_n = (uint8_t)log_n,
						 .levels = (uint8_t)(limbs - 2),
						 .primes_per_level = 1,
						 .scale_bits = 30},
			      false, hel_cost_model_default()));
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
	TRY_ALLOC(r->decrypted, hel_alloc(hel_params_slots(p), sizeof *r->decrypted));
	TRY(hel_encode(&r->plain, p, r->slots, r->level, HEL_FOR_ADD));
	TRY(hel_encode(&r->weight, p, r->slots, r->level, HEL_FOR_MUL));
	TRY(hel_ct_new(&r->a, p));
	TRY(hel_ct_new(&r->out, p));
	TRY(hel_encrypt(r->a, r->secret, r->plain));
	const size_t acc = hel_extended_words(p, limbs);
	TRY_ALLOC(r->acc, hel_alloc(acc + hel_ks_scratch_words(r->ev, limbs) + p->ring.n, 4));
	r->limb = r->acc + acc;
	r->work = r->limb + p->ring.n;
	memcpy(r->limb, r->a->part[0], p->ring.n * 4);
	for (size_t i = 0; i <= HOISTED; i++)
		r->same_key[i] = hel_keys_find(r->keys, hel_galois_of_rotation(p, 1), r->level);
done:
	return st;
}

/* Transforms and pointwise products, in limbs. */
static hel_cost transforms(const hel_params *p, double transforms, double products)
{
	const double n = (double)p->ring.n;
	return (hel_cost){.butterflies = transforms * n * p->ring.log_n / 2,
			  .products = products * n};
}

hel_status bench_ring(bench *b, unsigned log_n, size_t limbs)
{
	hel_status st = HEL_OK;
	ring_bench r;
	TRY(ring_open(&r, b, log_n, limbs, false));
	const hel_params *p = r.params;
	const hel_params_spec *spec = &p->spec;
	const double limb = 4.0 * (double)p->ring.n, l = (double)limbs;
	const hel_cost product = hel_cost_product(spec, limbs), ntt = transforms(p, 1, 0);
	hel_cost rotate = product, hoisted = product, mul;
	hel_cost_add(&hoisted, hel_cost_finish(spec, limbs), 1);
	hel_cost_add(&rotate, hel_cost_decompose(spec, limbs), 1);
	hel_cost_add(&rotate, hel_cost_finish(spec, limbs), 1);
	mul = rotate;
	hel_cost_add(&mul, hel_cost_tensor(spec, limbs), 1);
	const double key = product.key_bytes;
	const struct {
		const char *name;
		size_t limbs;
		double bytes;
		hel_cost cost;
		bench_fn fn;
		size_t more; /* calls beyond one */
		bool one_thread;
	} rows[] = {
	    {"ntt_forward", 1, 2 * limb, ntt, run_ntt, 0, true},
	    {"ntt_inverse", 1, 2 * limb, ntt, run_intt, 0, true},
	    {"rotate", limbs, key + 4 * l * limb, rotate, run_rotate, 0, false},
	    {"rotate_hoisted", limbs, key + 2 * l * limb, hoisted, run_hoisted, HOISTED, false},
	    {"rotate_hoisted_qp", limbs, key, product, run_hoisted_qp, HOISTED, false},
	    {"mul_relin_rescale", limbs, key + 6 * l * limb, mul, run_mul, 0, false},
	    {"rescale", limbs, 4 * l * limb, hel_cost_rescale(spec, r.level), run_rescale, 0,
	     false},
	    {"encode", limbs, l * limb, transforms(p, l, 2 * l), run_encode, 0, false},
	    {"encrypt", limbs, 2 * l * limb, transforms(p, l, l), run_encrypt, 0, true},
	    {"decrypt", limbs, 8 * limb, transforms(p, 4, 4), run_decrypt, 0, true},
	    {"mul_plain", limbs, 5 * l * limb, transforms(p, 0, 2 * l), run_mul_plain, 0, true},
	    {"add", limbs, 6 * l * limb, transforms(p, 0, 0), run_add, 0, true},
	};
	hel_say(b->args,
		"-- N = 2^%u, %zu limbs, log2(QP) = %.0f: digits of %u primes, %u special primes\n",
		log_n, limbs, hel_params_log_qp(p), spec->alpha, spec->special);
	for (size_t i = 0; i < HEL_ARRAY_LEN(rows); i++) {
		const bench_work work = bench_work_of(rows[i].bytes, rows[i].cost);
		if (b->threads > 1 && rows[i].one_thread)
			continue;
		if (rows[i].more)
			TRY(bench_measure_more(b, rows[i].name, log_n, rows[i].limbs, work,
					       rows[i].fn, &r, &r.count, rows[i].more));
		else
			TRY(bench_measure(b, rows[i].name, log_n, rows[i].limbs, work, rows[i].fn,
					  &r));
	}
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

hel_status bench_layers(bench *b, unsigned log_n, size_t limbs)
{
	hel_status st = HEL_OK;
	ring_bench r;
	for (size_t i = 0; i < HEL_ARRAY_LEN(layer_shapes); i++) {
		if (!bench_wanted(b, layer_shapes[i].name))
			continue;
		st = ring_open(&r, b, log_n, limbs, true);
		if (st == HEL_OK)
			st = make_layer(&r, &layer_shapes[i]);
		if (st == HEL_OK)
			st = bench_measure(
			    b, layer_shapes[i].name, log_n, limbs,
			    (bench_work){4.0 * (double)(r.term_count * limbs * r.params->ring.n),
					 0},
			    run_layer, &r);
		ring_clear(&r);
		TRY(st);
	}
done:
	return st;
}
