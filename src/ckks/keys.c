#include "ckks.h"
#include <string.h>

static uint32_t *key_row(const hel_params *p, const hel_switch_key *key, size_t digit, size_t limb)
{
	return key->data + ((digit * (key->limbs + p->ring.special)) + limb) * 2 * p->ring.n;
}

hel_status hel_keys_alloc(hel_keys **out, const hel_params *p, const hel_key_request *requests,
			  size_t count)
{
	hel_status st = HEL_OK;
	hel_keys *keys = NULL;
	if (count > HEL_MAX_KEYS)
		FAIL(HEL_ELIMIT, "%zu evaluation keys, at most %d are allowed", count,
		     HEL_MAX_KEYS);
	TRY_ALLOC(keys, hel_alloc(1, sizeof *keys));
	keys->params = p;
	TRY_ALLOC(keys->key, hel_alloc(count, sizeof *keys->key));
	for (; keys->count < count; keys->count++) {
		const hel_key_request *r = &requests[keys->count];
		hel_switch_key *key = &keys->key[keys->count];
		if (r->level > p->spec.levels)
			FAIL(HEL_ELEVEL, "key for level %u, at most %u exists", r->level,
			     p->spec.levels);
		for (size_t i = 0; i < keys->count; i++)
			if (keys->key[i].galois == r->galois)
				FAIL(HEL_EINVAL, "Galois element %u occurs twice", r->galois);
		key->galois = r->galois;
		key->level = r->level;
		key->limbs = p->limbs[r->level];
		key->digits = hel_params_digits_at(p, key->limbs);
		if (r->galois != HEL_RELINEARISE)
			TRY(hel_permutation_init(&key->permutation, r->galois, p->spec.log_n));
		key->data = hel_alloc(key->digits * (key->limbs + p->ring.special) * 2 * p->ring.n,
				      sizeof *key->data);
		if (!key->data) {
			hel_permutation_clear(&key->permutation);
			FAIL(HEL_ENOMEM, "out of memory for evaluation keys");
		}
	}
	*out = keys;
	keys = NULL;
done:
	hel_keys_free(keys);
	return st;
}

void hel_keys_free(hel_keys *keys)
{
	if (!keys)
		return;
	for (size_t i = 0; i < keys->count; i++) {
		hel_permutation_clear(&keys->key[i].permutation);
		hel_free(keys->key[i].data);
	}
	hel_free(keys->key);
	hel_free(keys);
}

void hel_switch_key_expand(const hel_keys *keys, hel_switch_key *key)
{
	const hel_params *p = keys->params;
	hel_prng g;
	for (size_t d = 0; d < key->digits; d++)
		for (size_t l = 0; l < key->limbs + p->ring.special; l++) {
			size_t prime = hel_prime_of_limb(p, key->limbs, l);
			hel_prng_init(&g, keys->seed,
				      (uint64_t)key->galois << 32 | (uint64_t)d << 16 | prime);
			hel_sample_uniform(key_row(p, key, d, l) + p->ring.n, p->ring.n,
					   p->ring.prime[prime].q, &g);
		}
}

/* Both halves of every row into Montgomery form, ready for inner products. */
static void to_montgomery(const hel_params *p, hel_switch_key *key)
{
	for (size_t d = 0; d < key->digits; d++)
		for (size_t l = 0; l < key->limbs + p->ring.special; l++) {
			const hel_prime *const pair[2] = {
			    p->ring.at[hel_prime_of_limb(p, key->limbs, l)],
			    p->ring.at[hel_prime_of_limb(p, key->limbs, l)]};
			uint32_t *row = key_row(p, key, d, l);
			p->ring.k->to_mont(row, row, pair, 2);
		}
}

static void from_montgomery(const hel_params *p, uint32_t *out, const uint32_t *in, size_t prime,
			    uint32_t *one)
{
	for (size_t i = 0; i < p->ring.n; i++)
		one[i] = 1;
	p->ring.k->mont_mul(out, in, one, p->ring.at + prime, 1);
}

size_t hel_switch_key_bytes(const hel_params *p, unsigned level)
{
	size_t limbs = p->limbs[level];
	return 8 + hel_params_digits_at(p, limbs) * (limbs + p->ring.special) *
		       hel_packed_size(p->ring.n, HEL_PRIME_BITS);
}

void hel_keys_write(hel_writer *w, const hel_keys *keys)
{
	const hel_params *p = keys->params;
	uint32_t *plain = hel_alloc(2 * p->ring.n, sizeof *plain);
	if (!plain) {
		w->status = hel_fail(HEL_ENOMEM, "out of memory for evaluation keys");
		return;
	}
	hel_write_bytes(w, p->fingerprint, sizeof p->fingerprint);
	hel_write_bytes(w, keys->client, sizeof keys->client);
	hel_write_bytes(w, keys->seed, sizeof keys->seed);
	hel_write_u32(w, (uint32_t)keys->count);
	for (size_t i = 0; i < keys->count; i++) {
		const hel_switch_key *key = &keys->key[i];
		hel_write_u32(w, key->galois);
		hel_write_u32(w, key->level);
	}
	for (size_t i = 0; i < keys->count; i++) {
		const hel_switch_key *key = &keys->key[i];
		for (size_t d = 0; d < key->digits; d++)
			for (size_t l = 0; l < key->limbs + p->ring.special; l++) {
				size_t prime = hel_prime_of_limb(p, key->limbs, l);
				from_montgomery(p, plain, key_row(p, key, d, l), prime,
						plain + p->ring.n);
				hel_residues_write(w, plain, 1, p->ring.n, p->ring.n);
			}
	}
	hel_free(plain);
}

hel_status hel_keys_read(hel_keys **out, const hel_params *p, hel_reader *r)
{
	hel_status st = HEL_OK;
	hel_keys *keys = NULL;
	hel_key_request *requests = NULL;
	const uint8_t *fingerprint = hel_read_bytes(r, HEL_HASH_BYTES);
	if (fingerprint && memcmp(fingerprint, p->fingerprint, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EPARAMS, "these evaluation keys were made for other parameters; run "
				  "'helrm keygen' with this model's manifest");
	const uint8_t *client = hel_read_bytes(r, HEL_CLIENT_ID_BYTES);
	const uint8_t *seed = hel_read_bytes(r, HEL_SEED_BYTES);
	uint32_t count = hel_read_u32_max(r, HEL_MAX_KEYS, "number of evaluation keys");
	TRY(r->status);
	TRY_ALLOC(requests, hel_alloc(count, sizeof *requests));
	size_t expected = 0;
	for (uint32_t i = 0; i < count; i++) {
		requests[i].galois = hel_read_u32(r);
		requests[i].level =
		    hel_read_u32_max(r, p->spec.levels, "level of an evaluation key");
		expected += hel_switch_key_bytes(p, requests[i].level) - 8;
	}
	TRY(r->status);
	/* before anything of that size is allocated */
	if (hel_reader_left(r) != expected)
		FAIL(HEL_ETRUNC, "evaluation keys: %zu bytes expected, %zu found", expected,
		     hel_reader_left(r));
	TRY(hel_keys_alloc(&keys, p, requests, count));
	memcpy(keys->client, client, HEL_CLIENT_ID_BYTES);
	memcpy(keys->seed, seed, HEL_SEED_BYTES);
	for (uint32_t i = 0; i < count; i++) {
		hel_switch_key *key = &keys->key[i];
		for (size_t d = 0; d < key->digits; d++)
			for (size_t l = 0; l < key->limbs + p->ring.special; l++)
				hel_residues_read(r, p, key_row(p, key, d, l),
						  hel_prime_of_limb(p, key->limbs, l), 1, p->ring.n,
						  p->ring.n);
		TRY(r->status);
		hel_switch_key_expand(keys, key);
		to_montgomery(p, key);
	}
	*out = keys;
	keys = NULL;
done:
	hel_free(requests);
	hel_keys_free(keys);
	return st;
}
