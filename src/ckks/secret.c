/* The secret key, and encryption with it. A server links none of this file. */
#include "secret.h"
#include "encoder.h"
#include "files.h"
#include "secret_key.h"
#include <sodium.h>
#include <string.h>

static size_t all_primes(const hel_params *p)
{
	return p->ring.chain + p->ring.special;
}

hel_status hel_secret_key_from_seed(hel_secret_key **out, const hel_params *p,
				    const uint8_t seed[HEL_SEED_BYTES])
{
	hel_status st = HEL_OK;
	hel_secret_key *key = NULL;
	int8_t *ternary = NULL;
	hel_prng g;
	TRY_ALLOC(key, hel_secret_alloc(1, sizeof *key));
	key->params = p;
	memcpy(key->seed, seed, HEL_SEED_BYTES);
	crypto_generichash(key->client, sizeof key->client, (const uint8_t *)"helrm client", 12,
			   seed, HEL_SEED_BYTES);
	TRY_ALLOC(key->s, hel_secret_alloc(all_primes(p) * p->ring.n, sizeof *key->s));
	TRY_ALLOC(ternary, hel_secret_alloc(p->ring.n, 1));
	hel_prng_init(&g, seed, 0);
	hel_sample_ternary(ternary, p->ring.n, &g);
	hel_prng_clear(&g);
	hel_ring_from_small(&p->ring, key->s, ternary, 0, all_primes(p));
	hel_ring_ntt(&p->ring, key->s, 0, all_primes(p), NULL);
	p->ring.k->to_mont(key->s, key->s, p->ring.at, all_primes(p));
	*out = key;
	key = NULL;
done:
	hel_secret_free(ternary);
	hel_secret_key_free(key);
	return st;
}

hel_status hel_secret_key_new(hel_secret_key **out, const hel_params *p)
{
	uint8_t seed[HEL_SEED_BYTES];
	hel_random_bytes(seed, sizeof seed);
	hel_status st = hel_secret_key_from_seed(out, p, seed);
	hel_wipe(seed, sizeof seed);
	return st;
}

void hel_secret_key_free(hel_secret_key *key)
{
	if (!key)
		return;
	hel_secret_free(key->s);
	hel_secret_free(key);
}

hel_status hel_secret_sparse(int8_t *out, const hel_secret_key *key)
{
	hel_status st = HEL_OK;
	const size_t n = key->params->ring.n;
	uint64_t *scratch = NULL;
	hel_prng g;
	TRY_ALLOC(scratch, hel_secret_alloc(n, sizeof *scratch));
	hel_prng_init(&g, key->seed, 1);
	hel_sample_sparse(out, n, HEL_MIN((size_t)HEL_SPARSE_WEIGHT, n), scratch, &g);
	hel_prng_clear(&g);
done:
	hel_secret_free(scratch);
	return st;
}

const uint8_t *hel_secret_key_seed(const hel_secret_key *key)
{
	return key->seed;
}

const uint8_t *hel_secret_key_client(const hel_secret_key *key)
{
	return key->client;
}

void hel_secret_key_alias(uint8_t out[HEL_CLIENT_ID_BYTES], const hel_secret_key *key,
			  const char *server, const uint8_t nonce[HEL_SEED_BYTES])
{
	static const char purpose[] = "helrm client of a server";
	crypto_generichash_state h;
	crypto_generichash_init(&h, key->seed, HEL_SEED_BYTES, HEL_CLIENT_ID_BYTES);
	crypto_generichash_update(&h, (const uint8_t *)purpose, sizeof purpose);
	crypto_generichash_update(&h, nonce, HEL_SEED_BYTES);
	crypto_generichash_update(&h, (const uint8_t *)server, strlen(server));
	crypto_generichash_final(&h, out, HEL_CLIENT_ID_BYTES);
	hel_wipe(&h, sizeof h);
}

hel_status hel_encrypt_seeded(hel_ct *out, uint8_t seed[HEL_SEED_BYTES], const hel_secret_key *key,
			      const hel_pt *pt)
{
	hel_status st = HEL_OK;
	const hel_params *p = key->params;
	const hel_kernels *k = p->ring.k;
	const size_t n = p->ring.n, limbs = p->limbs[pt->level];
	int8_t *error = NULL;
	uint32_t *e = NULL;
	hel_prng g;
	if (pt->params != p || out->params != p)
		FAIL(HEL_EPARAMS, "plaintext, ciphertext and key have different parameters");
	if (pt->use != HEL_FOR_ADD)
		FAIL(HEL_EINVAL, "the plaintext was encoded to multiply with, not to encrypt");
	TRY_ALLOC(error, hel_secret_alloc(n, 1));
	TRY_ALLOC(e, hel_secret_alloc(limbs * n, sizeof *e));
	hel_prng_fresh(&g);
	hel_sample_gauss(error, n, &g);
	hel_prng_clear(&g);
	hel_ring_from_small(&p->ring, e, error, 0, limbs);
	hel_ring_ntt(&p->ring, e, 0, limbs, NULL);
	hel_random_bytes(seed, HEL_SEED_BYTES);
	for (size_t l = 0; l < limbs; l++) {
		hel_prng_init(&g, seed, l);
		hel_sample_uniform(out->part[1] + l * n, n, p->ring.prime[l].q, &g);
	}
	/* b = m + e - a s */
	k->add(e, e, pt->data, p->ring.at, limbs);
	k->mont_mul(out->part[0], out->part[1], key->s, p->ring.at, limbs);
	k->sub(out->part[0], e, out->part[0], p->ring.at, limbs);
	out->level = pt->level;
	out->scale = pt->scale;
done:
	hel_secret_free(error);
	hel_secret_free(e);
	return st;
}

hel_status hel_encrypt(hel_ct *out, const hel_secret_key *key, const hel_pt *pt)
{
	uint8_t seed[HEL_SEED_BYTES];
	return hel_encrypt_seeded(out, seed, key, pt);
}

hel_status hel_secret_key_store(hel_writer *w, const hel_secret_key *key)
{
	hel_container_begin(w, HEL_KIND_SECRET_KEY);
	hel_write_bytes(w, key->params->fingerprint, HEL_HASH_BYTES);
	hel_write_bytes(w, key->seed, HEL_SEED_BYTES);
	return hel_container_end(w);
}

hel_status hel_secret_key_save(uint8_t **bytes, size_t *size, const hel_secret_key *key)
{
	hel_writer w = {0};
	return hel_writer_take(bytes, size, &w, hel_secret_key_store(&w, key));
}

hel_status hel_secret_key_load(hel_secret_key **out, const hel_params *p, const void *bytes,
			       size_t size)
{
	hel_status st = HEL_OK;
	hel_reader r;
	TRY(hel_container_open(&r, HEL_KIND_SECRET_KEY, bytes, size));
	const uint8_t *fingerprint = hel_read_bytes(&r, HEL_HASH_BYTES);
	const uint8_t *seed = hel_read_bytes(&r, HEL_SEED_BYTES);
	TRY(hel_reader_finish(&r));
	if (memcmp(fingerprint, p->fingerprint, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EPARAMS,
		     "this secret key was made for other parameters; run 'helrm keygen' with "
		     "this model's manifest");
	TRY(hel_secret_key_from_seed(out, p, seed));
done:
	return st;
}
