/* What bench/gate runs under callgrind: each main kernel and one whole key switch, once, with its
 * instructions dumped under its name. Alone it only runs. */
#include "ckks/ckks.h"
#include <stdlib.h>
#include <string.h>
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#error "install valgrind: its headers are needed"
#endif

enum { LOG_N = 13, N = 1 << LOG_N, TERMS = 8, DIGITS = 5 };

static const hel_kernels *k;
static hel_prime prime;
static const hel_prime *at = &prime;
static uint32_t *vector[3 * TERMS], *out[3], factors[DIGITS + 1];
static hel_permutation permutation;

static void must(hel_status st)
{
	if (st == HEL_OK)
		return;
	fprintf(stderr, "gate: %s: %s\n", hel_status_text(st), hel_error_detail());
	exit(1);
}

static uint32_t *random_vector(hel_prng *g, size_t count)
{
	uint32_t *v = hel_alloc(count, sizeof *v);
	if (!v)
		must(HEL_ENOMEM);
	hel_sample_uniform(v, count, prime.q, g);
	return v;
}

static void setup(void)
{
	static const uint8_t seed[HEL_SEED_BYTES] = {1};
	uint32_t q;
	hel_prng g;
	must(hel_random_init());
	hel_prng_init(&g, seed, 0);
	if (hel_primes_find(&q, 1, LOG_N, 1u << HEL_PRIME_BITS) != 1)
		must(HEL_EPARAMS);
	must(hel_prime_init(&prime, q, LOG_N));
	must(hel_permutation_init(&permutation, 5, LOG_N));
	for (size_t i = 0; i < HEL_ARRAY_LEN(vector); i++)
		vector[i] = random_vector(&g, N);
	for (size_t i = 0; i < HEL_ARRAY_LEN(out); i++)
		out[i] = random_vector(&g, N);
	hel_sample_uniform(factors, HEL_ARRAY_LEN(factors), q, &g);
	k = hel_kernels_get();
}

static void ntt_forward(void)
{
	k->ntt_forward(out[0], &at, 1);
}

static void ntt_inverse(void)
{
	k->ntt_inverse(out[0], out[0], NULL, false, &at, 1);
}

static void key_product(void)
{
	const uint32_t *const *v = (const uint32_t *const *)vector;
	const hel_key_terms terms = {v, v + TERMS, v + 2 * TERMS, DIGITS, vector[0], factors[0]};
	k->key_product(out[0], out[1], &terms, &permutation, true, &prime);
}

static void tensor(void)
{
	uint32_t *const d[3] = {out[0], out[1], out[2]};
	const uint32_t *const a[2] = {vector[0], vector[1]}, *const b[2] = {vector[2], vector[3]};
	k->tensor(d, a, b, &prime);
}

static uint32_t *run; /* DIGITS limbs, one after the other */

static hel_conversion conversion(void)
{
	return (hel_conversion){run, vector[0], factors, DIGITS, factors[DIGITS]};
}

static void raise_limb(void)
{
	const hel_conversion x = conversion();
	k->raise(out[0], &x, &prime);
}

static void lower_limb(void)
{
	const hel_division d = {conversion(), vector[1], vector[2], hel_factor_of(3, prime.q),
				hel_factor_of(5, prime.q)};
	k->lower(out[0], &d, out[1], &prime);
}

static hel_eval *ev;
static hel_ct *ct, *rotated;

static void rotate(void)
{
	must(hel_eval_rotate(ev, rotated, ct, 1));
}

/* Five limbs, one special prime: the deep heart model's key switch, one level lower. */
static void setup_rotation(void)
{
	const hel_params_spec spec = {LOG_N, 3, 1, 30, 1, 1};
	hel_params *params;
	hel_secret_key *secret;
	hel_keys *keys;
	hel_pt *pt;
	must(hel_params_new(&params, &spec));
	must(hel_secret_key_new(&secret, params));
	const hel_key_request request = {hel_galois_of_rotation(params, 1), spec.levels};
	must(hel_keys_generate(&keys, secret, &request, 1, NULL));
	hel_complex *slots = hel_alloc(hel_params_slots(params), sizeof *slots);
	if (!slots)
		must(HEL_ENOMEM);
	must(hel_encode(&pt, params, slots, spec.levels, HEL_FOR_ADD));
	must(hel_ct_new(&ct, params));
	must(hel_ct_new(&rotated, params));
	must(hel_encrypt(ct, secret, pt));
	must(hel_eval_new(&ev, params, keys, NULL));
}

/* The first call binds symbols and fills pools; the second one counts. */
static void measure(const char *name, void (*item)(void))
{
	item();
	CALLGRIND_START_INSTRUMENTATION;
	CALLGRIND_ZERO_STATS;
	item();
	CALLGRIND_DUMP_STATS_AT(name);
	CALLGRIND_STOP_INSTRUMENTATION;
}

int main(void)
{
	setup();
	hel_prng g;
	hel_prng_init(&g, (const uint8_t[HEL_SEED_BYTES]){2}, 0);
	run = random_vector(&g, (size_t)DIGITS * N);
	setup_rotation();
	printf("%s %s\n", k->name, __VERSION__);
	measure("ntt_forward", ntt_forward);
	measure("ntt_inverse", ntt_inverse);
	measure("tensor", tensor);
	measure("raise", raise_limb);
	measure("lower", lower_limb);
	measure("key_product", key_product);
	measure("rotate", rotate);
	return 0; /* the operating system frees */
}
