/* Public material made from the secret key: evaluation keys and the public key. Numbers in
 * parentheses are equations of docs/cryptography.md. */
#include "secret.h"
#include <string.h>

typedef struct keygen_job {
	const hel_secret_key *secret;
	hel_keys *keys;
} keygen_job;

/* Row (digit, limb) of (15): b = e - a t + P s' on the digit's own limbs, with
 * t = s, s' = s^2 for relinearisation, and t = phi^-1(s), s' = s for a Galois key: the automorphism
 * is applied after the inner product, so digits are never permuted. */
static hel_status generate_one(void *arg, size_t index)
{
	hel_status st = HEL_OK;
	const keygen_job *j = arg;
	const hel_params *p = j->secret->params;
	const hel_kernels *k = p->ring.k;
	hel_switch_key *key = &j->keys->key[index];
	const size_t n = p->ring.n, rows = key->limbs + p->ring.special;
	uint32_t *t = NULL;
	int8_t *error = NULL;
	hel_permutation inverse = {0};
	hel_prng g;
	TRY_ALLOC(t, hel_alloc(3 * n, sizeof *t));
	TRY_ALLOC(error, hel_alloc(n, 1));
	uint32_t *e = t + n, *target = t + 2 * n;
	if (key->galois != HEL_RELINEARISE) {
		uint32_t inv = 1, mask = 2 * (uint32_t)n - 1; /* Newton in Z/2^k */
		for (int i = 0; i < 5; i++)
			inv *= 2 - key->galois * inv;
		TRY(hel_permutation_init(&inverse, inv & mask, p->spec.log_n));
	}
	hel_switch_key_expand(j->keys, key);
	hel_prng_fresh(&g);
	for (size_t d = 0; d < key->digits; d++) {
		hel_sample_gauss(error, n, &g);
		for (size_t l = 0; l < rows; l++) {
			const size_t prime = hel_prime_of_limb(p, key->limbs, l);
			const hel_prime *const *at = p->ring.at + prime;
			const uint32_t *s = j->secret->s + prime * n;
			uint32_t *b = key->data + (d * rows + l) * 2 * n, *a = b + n;
			if (key->galois == HEL_RELINEARISE) {
				memcpy(t, s, n * sizeof *t);
				k->mont_mul(target, s, s, at, 1); /* s^2, Montgomery form */
			} else {
				k->permute(t, s, &inverse, (uint32_t)n, 1);
				memcpy(target, s, n * sizeof *target);
			}
			hel_ring_from_small(&p->ring, e, error, prime, 1);
			k->ntt_forward(e, at, 1);
			k->mont_mul(b, a, t, at, 1);
			k->sub(b, e, b, at, 1);
			if (l / p->spec.alpha == d && l < key->limbs) {
				/* target holds s' * 2^32: one plain product with P finishes it */
				for (size_t i = 0; i < n; i++)
					e[i] = p->special.product[prime].w;
				k->mont_mac(b, e, target, at, 1);
			}
			k->to_mont(b, b, at, 1);
			k->to_mont(a, a, at, 1);
		}
	}
done:
	hel_prng_clear(&g);
	hel_permutation_clear(&inverse);
	hel_free_secret(t, 3 * n * sizeof *t);
	hel_free_secret(error, n);
	return st;
}

hel_status hel_keys_generate(hel_keys **out, const hel_secret_key *secret,
			     const hel_key_request *requests, size_t count, hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_keys *keys = NULL;
	TRY(hel_keys_alloc(&keys, secret->params, requests, count));
	memcpy(keys->client, secret->client, sizeof keys->client);
	hel_random_bytes(keys->seed, sizeof keys->seed);
	keygen_job j = {secret, keys};
	TRY(hel_pool_try(pool, count, generate_one, &j));
	*out = keys;
	keys = NULL;
done:
	hel_keys_free(keys);
	return st;
}

/* (6) */
hel_status hel_public_key_new(hel_public_key **out, const hel_secret_key *secret, unsigned level)
{
	hel_status st = HEL_OK;
	const hel_params *p = secret->params;
	const hel_kernels *k = p->ring.k;
	const size_t n = p->ring.n;
	hel_public_key *key = NULL;
	uint32_t *e = NULL;
	int8_t *error = NULL;
	hel_prng g;
	TRY(hel_public_key_alloc(&key, p, level));
	TRY_ALLOC(e, hel_alloc(n, sizeof *e));
	TRY_ALLOC(error, hel_alloc(n, 1));
	memcpy(key->client, secret->client, sizeof key->client);
	hel_random_bytes(key->seed, sizeof key->seed);
	hel_public_key_expand(key);
	hel_prng_fresh(&g);
	hel_sample_gauss(error, n, &g);
	hel_prng_clear(&g);
	for (size_t l = 0; l < key->limbs + p->ring.special; l++) {
		const size_t prime = hel_prime_of_limb(p, key->limbs, l);
		const hel_prime *const *at = p->ring.at + prime;
		uint32_t *b = key->b + l * n;
		hel_ring_from_small(&p->ring, e, error, prime, 1);
		k->ntt_forward(e, at, 1);
		k->mont_mul(b, key->a + l * n, secret->s + prime * n, at, 1);
		k->sub(b, e, b, at, 1);
	}
	*out = key;
	key = NULL;
done:
	hel_free_secret(e, n * sizeof *e);
	hel_free_secret(error, n);
	hel_public_key_free(key);
	return st;
}
