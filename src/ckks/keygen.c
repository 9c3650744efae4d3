/* Public material made from the secret key: evaluation keys and the public key. Numbers in
 * parentheses are equations of docs/cryptography.md. */
#include "keyswitch.h"
#include "params.h"
#include "public.h"
#include "secret.h"
#include "secret_key.h"
#include "serial.h"
#include <sodium.h>
#include <string.h>

/* What the rows of one key are made from. */
typedef struct key_maker {
	const hel_secret_key *secret;
	uint32_t galois;
	hel_permutation inverse;  /* of the Galois element */
	uint32_t *t, *e, *target; /* one limb each */
	int8_t *error;		  /* of a digit */
	int8_t *sparse;		  /* the ephemeral secret, NULL where the key is not of a refresh */
	hel_prng g;		  /* of errors */
} key_maker;

static void key_maker_clear(key_maker *m)
{
	hel_prng_clear(&m->g);
	hel_permutation_clear(&m->inverse);
	hel_secret_free(m->t);
	hel_secret_free(m->error);
	hel_secret_free(m->sparse);
}

static hel_status key_maker_init(key_maker *m, const hel_secret_key *secret, uint32_t galois,
				 const uint8_t error_seed[HEL_SEED_BYTES])
{
	hel_status st = HEL_OK;
	const hel_params *p = secret->params;
	const size_t n = p->ring.n;
	*m = (key_maker){.secret = secret, .galois = galois};
	TRY_ALLOC(m->t, hel_secret_alloc(3 * n, sizeof *m->t));
	TRY_ALLOC(m->error, hel_secret_alloc(n, 1));
	m->e = m->t + n;
	m->target = m->t + 2 * n;
	if (galois == HEL_ENCAPSULATE || galois == HEL_DECAPSULATE) {
		TRY_ALLOC(m->sparse, hel_secret_alloc(n, 1));
		TRY(hel_secret_sparse(m->sparse, secret));
	} else if (galois != HEL_RELINEARISE) {
		uint32_t inv = 1, mask = 2 * (uint32_t)n - 1; /* Newton in Z/2^k */
		for (int i = 0; i < 5; i++)
			inv *= 2 - galois * inv;
		TRY(hel_permutation_init(&m->inverse, inv & mask, p->spec.log_n));
	}
	hel_prng_init(&m->g, error_seed, 1);
done:
	return st;
}

/* One limb of what a key leads to, t, and from, target, in Montgomery form: s and s^2 for
 * relinearisation, s' and s or s and s' for the capsule, phi^-1(s) and s for a Galois key: the
 * automorphism is applied after the inner product, so digits are never permuted. */
static void make_secrets(const key_maker *m, size_t prime)
{
	const hel_params *p = m->secret->params;
	const hel_kernels *k = p->ring.k;
	const size_t n = p->ring.n;
	const hel_prime *const *at = p->ring.at + prime;
	const uint32_t *s = m->secret->s + prime * n;
	if (m->sparse) {
		const bool into = m->galois == HEL_ENCAPSULATE;
		uint32_t *sparse = into ? m->t : m->target;
		hel_ring_from_small(&p->ring, sparse, m->sparse, prime, 1);
		k->ntt_forward(sparse, at, 1);
		k->to_mont(sparse, sparse, at, 1);
		memcpy(into ? m->target : m->t, s, n * sizeof *s);
	} else if (m->galois == HEL_RELINEARISE) {
		memcpy(m->t, s, n * sizeof *m->t);
		k->mont_mul(m->target, s, s, at, 1);
	} else {
		k->permute(m->t, s, &m->inverse, (uint32_t)n, 1);
		memcpy(m->target, s, n * sizeof *m->target);
	}
}

/* Row (digit, limb) of (15): b = e - a t + P target on the digit's own limbs. All in plain form. */
static void make_row(const key_maker *m, uint32_t *b, const uint32_t *a, size_t limbs, size_t digit,
		     size_t limb)
{
	const hel_params *p = m->secret->params;
	const hel_kernels *k = p->ring.k;
	const size_t n = p->ring.n, prime = hel_prime_of_limb(p, limbs, limb);
	const hel_prime *const *at = p->ring.at + prime;
	make_secrets(m, prime);
	hel_ring_from_small(&p->ring, m->e, m->error, prime, 1);
	k->ntt_forward(m->e, at, 1);
	k->mont_mul(b, a, m->t, at, 1);
	k->sub(b, m->e, b, at, 1);
	const bool own = m->galois == HEL_DECAPSULATE || limb / p->spec.alpha == digit;
	if (own && limb < limbs) {
		/* target is 2^32 times what it holds: one plain product with P finishes it */
		for (size_t i = 0; i < n; i++)
			m->e[i] = hel_key_special(p, m->galois)->product[prime].w;
		k->mont_mac(b, m->e, m->target, at, 1);
	}
}

typedef struct keygen_job {
	const hel_secret_key *secret;
	hel_keys *keys;
	const uint8_t (*seeds)[HEL_SEED_BYTES]; /* one of error randomness per key */
} keygen_job;

static hel_status generate_one(void *arg, size_t index)
{
	hel_status st = HEL_OK;
	const keygen_job *j = arg;
	const hel_params *p = j->secret->params;
	hel_switch_key *key = &j->keys->key[index];
	const size_t n = p->ring.n, rows = key->limbs + key->special;
	key_maker m;
	TRY(key_maker_init(&m, j->secret, key->galois, j->seeds[index]));
	hel_switch_key_expand(j->keys, key);
	for (size_t d = 0; d < key->digits; d++) {
		hel_sample_gauss(m.error, n, &m.g);
		for (size_t l = 0; l < rows; l++) {
			const hel_prime *const *at =
			    p->ring.at + hel_prime_of_limb(p, key->limbs, l);
			uint32_t *b = key->data + (d * rows + l) * 2 * n, *a = b + n;
			make_row(&m, b, a, key->limbs, d, l);
			p->ring.k->to_mont(b, b, at, 1);
			p->ring.k->to_mont(a, a, at, 1);
		}
	}
done:
	key_maker_clear(&m);
	return st;
}

hel_status hel_keys_generate(hel_keys **out, const hel_secret_key *secret,
			     const hel_key_request *requests, size_t count, hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_keys *keys = NULL;
	uint8_t(*seeds)[HEL_SEED_BYTES] = NULL;
	TRY(hel_keys_alloc(&keys, secret->params, requests, count));
	TRY_ALLOC(seeds, hel_secret_alloc(count, sizeof *seeds));
	memcpy(keys->client, secret->client, sizeof keys->client);
	hel_random_bytes(keys->seed, sizeof keys->seed);
	hel_random_bytes(seeds, count * sizeof *seeds);
	keygen_job j = {secret, keys, (const uint8_t(*)[HEL_SEED_BYTES])seeds};
	TRY(hel_pool_try(pool, count, generate_one, &j));
	*out = keys;
	keys = NULL;
done:
	hel_secret_free(seeds);
	hel_keys_free(keys);
	return st;
}

/* A file on its way out: what was put so far is hashed. */
typedef struct key_file {
	hel_put put;
	void *arg;
	crypto_generichash_state hash;
	hel_writer w;
} key_file;

static hel_status flush(key_file *f)
{
	hel_status st = f->w.status;
	TRY(st);
	crypto_generichash_update(&f->hash, f->w.bytes, f->w.size);
	st = f->put(f->arg, f->w.bytes, f->w.size);
	f->w.size = 0;
done:
	return st;
}

static hel_status stream_one(key_file *f, const hel_secret_key *secret, const uint8_t *seed,
			     const uint8_t *error_seed, const hel_key_request *request,
			     uint32_t *row)
{
	hel_status st = HEL_OK;
	const hel_params *p = secret->params;
	const size_t n = p->ring.n, limbs = p->limbs[request->level];
	const size_t rows = limbs + hel_key_special(p, request->galois)->count;
	key_maker m;
	TRY(key_maker_init(&m, secret, request->galois, error_seed));
	for (size_t d = 0; d < hel_key_digits(p, request); d++) {
		hel_sample_gauss(m.error, n, &m.g);
		for (size_t l = 0; l < rows; l++) {
			hel_key_row_expand(row + n, p, seed, request->galois, d,
					   hel_prime_of_limb(p, limbs, l));
			make_row(&m, row, row + n, limbs, d, l);
			hel_residues_write(&f->w, row, 1, n, n);
			TRY(flush(f));
		}
	}
done:
	key_maker_clear(&m);
	return st;
}

/* A seed from the secret, the nonce, the whole list of requests, and what it is for. */
static void derive(uint8_t out[HEL_SEED_BYTES], const hel_secret_key *secret, const uint8_t *nonce,
		   const hel_key_request *requests, size_t count, uint32_t use)
{
	crypto_generichash_state h;
	crypto_generichash_init(&h, secret->seed, HEL_SEED_BYTES, HEL_SEED_BYTES);
	crypto_generichash_update(&h, (const uint8_t *)"helrm evaluation keys", 21);
	crypto_generichash_update(&h, (const uint8_t *)&use, sizeof use);
	crypto_generichash_update(&h, nonce, HEL_SEED_BYTES);
	for (size_t i = 0; i < count; i++) {
		const uint32_t request[2] = {requests[i].galois, requests[i].level};
		crypto_generichash_update(&h, (const uint8_t *)request, sizeof request);
	}
	crypto_generichash_final(&h, out, HEL_SEED_BYTES);
	hel_wipe(&h, sizeof h);
}

hel_status hel_keys_stream(const hel_secret_key *secret, const uint8_t client[HEL_CLIENT_ID_BYTES],
			   const uint8_t nonce[HEL_SEED_BYTES], const hel_key_request *requests,
			   size_t count, hel_put put, void *arg)
{
	hel_status st = HEL_OK;
	const hel_params *p = secret->params;
	key_file f = {.put = put, .arg = arg};
	uint8_t seed[HEL_SEED_BYTES], error_seed[HEL_SEED_BYTES], hash[HEL_HASH_BYTES];
	uint32_t *row = NULL;
	for (size_t i = 0; i < count; i++)
		TRY(hel_key_request_check(p, &requests[i]));
	crypto_generichash_init(&f.hash, NULL, 0, HEL_HASH_BYTES);
	TRY_ALLOC(row, hel_alloc(2 * p->ring.n, sizeof *row));
	derive(seed, secret, nonce, requests, count, 0);
	hel_container_begin_sized(&f.w, HEL_KIND_EVALUATION_KEYS,
				  hel_keys_file_bytes(p, requests, count));
	hel_keys_write_head(&f.w, p, client, seed, requests, count);
	TRY(flush(&f));
	for (size_t i = 0; i < count; i++) {
		derive(error_seed, secret, nonce, requests, count, (uint32_t)i + 1);
		TRY(stream_one(&f, secret, seed, error_seed, &requests[i], row));
	}
	crypto_generichash_final(&f.hash, hash, sizeof hash);
	st = put(arg, hash, sizeof hash);
done:
	hel_wipe(error_seed, sizeof error_seed);
	hel_writer_clear(&f.w);
	hel_free(row);
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
	TRY_ALLOC(e, hel_secret_alloc(n, sizeof *e));
	TRY_ALLOC(error, hel_secret_alloc(n, 1));
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
	hel_secret_free(e);
	hel_secret_free(error);
	hel_public_key_free(key);
	return st;
}
