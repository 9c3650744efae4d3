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

/* A file on its way out: what was given away so far is hashed. */
struct hel_keys_source {
	const hel_secret_key *secret;
	uint8_t nonce[HEL_SEED_BYTES], seed[HEL_SEED_BYTES];
	hel_key_request *request;
	size_t count;
	crypto_generichash_state hash;
	hel_writer w; /* the last piece */
	uint32_t *row;
	key_maker maker; /* of the key that is being made */
	bool begun, making, ended;
	size_t key, digit, limb; /* the next row */
};

void hel_keys_source_free(hel_keys_source *s)
{
	if (!s)
		return;
	if (s->making)
		key_maker_clear(&s->maker);
	hel_writer_clear(&s->w);
	hel_free(s->row);
	hel_free(s->request);
	hel_secret_free(s);
}

hel_status hel_keys_source_new(hel_keys_source **out, const hel_secret_key *secret,
			       const uint8_t client[HEL_CLIENT_ID_BYTES],
			       const uint8_t nonce[HEL_SEED_BYTES], const hel_key_request *requests,
			       size_t count)
{
	hel_status st = HEL_OK;
	const hel_params *p = secret->params;
	hel_keys_source *s = NULL;
	for (size_t i = 0; i < count; i++)
		TRY(hel_key_request_check(p, &requests[i]));
	TRY_ALLOC(s, hel_secret_alloc(1, sizeof *s));
	s->secret = secret;
	s->count = count;
	memcpy(s->nonce, nonce, sizeof s->nonce);
	TRY_ALLOC(s->request, hel_alloc(count, sizeof *requests));
	memcpy(s->request, requests, count * sizeof *requests);
	TRY_ALLOC(s->row, hel_alloc(2 * p->ring.n, sizeof *s->row));
	crypto_generichash_init(&s->hash, NULL, 0, HEL_HASH_BYTES);
	derive(s->seed, secret, nonce, requests, count, 0);
	hel_container_begin_sized(&s->w, HEL_KIND_EVALUATION_KEYS,
				  hel_keys_file_bytes(p, requests, count));
	hel_keys_write_head(&s->w, p, client, s->seed, requests, count);
	TRY(s->w.status);
	*out = s;
	s = NULL;
done:
	hel_keys_source_free(s);
	return st;
}

static hel_status begin_key(hel_keys_source *s)
{
	uint8_t error_seed[HEL_SEED_BYTES];
	derive(error_seed, s->secret, s->nonce, s->request, s->count, (uint32_t)s->key + 1);
	hel_status st = key_maker_init(&s->maker, s->secret, s->request[s->key].galois, error_seed);
	hel_wipe(error_seed, sizeof error_seed);
	s->making = true;
	return st;
}

/* Writes the next row, and turns to the one after it. */
static hel_status write_row(hel_keys_source *s)
{
	hel_status st = HEL_OK;
	const hel_params *p = s->secret->params;
	const hel_key_request *request = &s->request[s->key];
	const size_t n = p->ring.n, limbs = p->limbs[request->level];
	if (!s->making)
		TRY(begin_key(s));
	if (!s->limb)
		hel_sample_gauss(s->maker.error, n, &s->maker.g);
	hel_key_row_expand(s->row + n, p, s->seed, request->galois, s->digit,
			   hel_prime_of_limb(p, limbs, s->limb));
	make_row(&s->maker, s->row, s->row + n, limbs, s->digit, s->limb);
	hel_residues_write(&s->w, s->row, 1, n, n);
	if (++s->limb == limbs + hel_key_special(p, request->galois)->count) {
		s->limb = 0;
		s->digit++;
	}
	if (s->digit == hel_key_digits(p, request)) {
		key_maker_clear(&s->maker);
		s->making = false;
		s->digit = 0;
		s->key++;
	}
	st = s->w.status;
done:
	return st;
}

hel_status hel_keys_source_next(const uint8_t **bytes, size_t *size, hel_keys_source *s)
{
	hel_status st = HEL_OK;
	uint8_t hash[HEL_HASH_BYTES];
	if (s->begun)
		s->w.size = 0;
	if (s->ended) {
		*size = 0;
		goto done;
	}
	if (s->begun)
		TRY(write_row(s));
	crypto_generichash_update(&s->hash, s->w.bytes, s->w.size);
	if (s->key == s->count) { /* with the last row, or a head without any */
		crypto_generichash_final(&s->hash, hash, sizeof hash);
		hel_write_bytes(&s->w, hash, sizeof hash);
		TRY(s->w.status);
		s->ended = true;
	}
	s->begun = true;
	*bytes = s->w.bytes;
	*size = s->w.size;
done:
	return st;
}

hel_status hel_keys_stream(const hel_secret_key *secret, const uint8_t client[HEL_CLIENT_ID_BYTES],
			   const uint8_t nonce[HEL_SEED_BYTES], const hel_key_request *requests,
			   size_t count, hel_put put, void *arg)
{
	hel_status st = HEL_OK;
	hel_keys_source *s = NULL;
	const uint8_t *bytes;
	size_t size;
	TRY(hel_keys_source_new(&s, secret, client, nonce, requests, count));
	for (;;) {
		TRY(hel_keys_source_next(&bytes, &size, s));
		if (!size)
			break;
		TRY(put(arg, bytes, size));
	}
done:
	hel_keys_source_free(s);
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
