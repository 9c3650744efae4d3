#include "keys.h"
#include "files.h"
#include "keyswitch.h"
#include "params.h"
#include "serial.h"
#include <string.h>

static uint32_t *key_row(const hel_params *p, const hel_switch_key *key, size_t digit, size_t limb)
{
	return key->data + ((digit * (key->limbs + key->special)) + limb) * 2 * p->ring.n;
}

const hel_bconv *hel_key_special(const hel_params *p, uint32_t galois)
{
	return galois == HEL_ENCAPSULATE ? &p->capsule : &p->special;
}

size_t hel_key_digits(const hel_params *p, const hel_key_request *r)
{
	/* what is decapsulated is below q_0 times a constant, far below P: its own only digit */
	return r->galois == HEL_DECAPSULATE ? 1 : hel_params_digits_at(p, p->limbs[r->level]);
}

/* Pairs of residue vectors. */
static size_t key_rows(const hel_params *p, const hel_key_request *r)
{
	return hel_key_digits(p, r) * (p->limbs[r->level] + hel_key_special(p, r->galois)->count);
}

static size_t key_words(const hel_params *p, const hel_key_request *r)
{
	return key_rows(p, r) * 2 * p->ring.n;
}

hel_status hel_key_request_check(const hel_params *p, const hel_key_request *r)
{
	if (r->level > p->spec.levels)
		return hel_fail(HEL_ELEVEL, "key for level %u, at most %u exists", r->level,
				p->spec.levels);
	if (r->galois != HEL_ENCAPSULATE)
		return HEL_OK;
	if (r->level)
		return hel_fail(HEL_ELEVEL, "a key to the sparse secret for level %u, expected 0",
				r->level);
	/* below 2^12 all parameters are insecure and for tests */
	if (p->limbs[0] > 1 || (p->spec.log_n >= 12 && p->spec.log_n < 15))
		return hel_fail(
		    HEL_ESECURITY,
		    "a sparse secret at N = 2^%u with %zu primes at level 0, expected 2^15 "
		    "or more and one prime",
		    p->spec.log_n, p->limbs[0]);
	return HEL_OK;
}

/* At `data` one after the other, or in memory of their own. */
static hel_status keys_new(hel_keys **out, const hel_params *p, const hel_key_request *requests,
			   size_t count, uint32_t *data)
{
	hel_status st = HEL_OK;
	hel_keys *keys = NULL;
	if (count > HEL_MAX_KEYS)
		FAIL(HEL_ELIMIT, "%zu evaluation keys, at most %d are allowed", count,
		     HEL_MAX_KEYS);
	for (size_t i = 0; i < count; i++) {
		TRY(hel_key_request_check(p, &requests[i]));
		for (size_t k = 0; k < i; k++)
			if (requests[k].galois == requests[i].galois)
				FAIL(HEL_EINVAL, "Galois element %u occurs twice",
				     requests[i].galois);
	}
	TRY_ALLOC(keys, hel_alloc(1, sizeof *keys));
	keys->params = p;
	TRY_ALLOC(keys->key, hel_alloc(count, sizeof *keys->key));
	if (!data) {
		size_t words = 0;
		for (size_t i = 0; i < count; i++)
			if (__builtin_add_overflow(words, key_words(p, &requests[i]), &words))
				FAIL(HEL_ENOMEM, "out of memory for evaluation keys");
		TRY_ALLOC(keys->memory, hel_alloc_huge(words, sizeof *keys->memory));
		data = keys->memory;
	}
	for (; keys->count < count; keys->count++) {
		const hel_key_request *r = &requests[keys->count];
		hel_switch_key *key = &keys->key[keys->count];
		key->galois = r->galois;
		key->level = r->level;
		key->limbs = p->limbs[r->level];
		key->special = hel_key_special(p, r->galois)->count;
		key->digits = hel_key_digits(p, r);
		if (!hel_key_stays(r->galois))
			TRY(hel_permutation_init(&key->permutation, r->galois, p->spec.log_n));
		key->data = data;
		data += key_words(p, r);
	}
	*out = keys;
	keys = NULL;
done:
	hel_keys_free(keys);
	return st;
}

hel_status hel_keys_alloc(hel_keys **out, const hel_params *p, const hel_key_request *requests,
			  size_t count)
{
	return keys_new(out, p, requests, count, NULL);
}

hel_status hel_keys_borrow(hel_keys **out, const hel_params *p,
			   const uint8_t client[HEL_CLIENT_ID_BYTES],
			   const hel_key_request *requests, size_t count, const void *expanded)
{
	/* never written to: only generate and read fill keys, those they made */
	hel_status st = keys_new(out, p, requests, count, (uint32_t *)(uintptr_t)expanded);
	if (st == HEL_OK)
		memcpy((*out)->client, client, HEL_CLIENT_ID_BYTES);
	return st;
}

void hel_keys_free(hel_keys *keys)
{
	if (!keys)
		return;
	for (size_t i = 0; i < keys->count; i++)
		hel_permutation_clear(&keys->key[i].permutation);
	hel_free(keys->memory);
	hel_free(keys->key);
	hel_free(keys);
}

void hel_key_row_expand(uint32_t *a, const hel_params *p, const uint8_t seed[HEL_SEED_BYTES],
			uint32_t galois, size_t digit, size_t prime)
{
	hel_prng g;
	hel_prng_init(&g, seed, (uint64_t)galois << 32 | (uint64_t)digit << 16 | prime);
	hel_sample_uniform(a, p->ring.n, p->ring.prime[prime].q, &g);
}

void hel_switch_key_expand(const hel_keys *keys, hel_switch_key *key)
{
	const hel_params *p = keys->params;
	for (size_t d = 0; d < key->digits; d++)
		for (size_t l = 0; l < key->limbs + key->special; l++)
			hel_key_row_expand(key_row(p, key, d, l) + p->ring.n, p, keys->seed,
					   key->galois, d, hel_prime_of_limb(p, key->limbs, l));
}

/* Both halves of every row into Montgomery form, ready for inner products. */
static void to_montgomery(const hel_params *p, hel_switch_key *key)
{
	for (size_t d = 0; d < key->digits; d++)
		for (size_t l = 0; l < key->limbs + key->special; l++) {
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

uint64_t hel_switch_key_bytes(const hel_params *p, const hel_key_request *r)
{
	return 8 + (uint64_t)key_rows(p, r) * hel_packed_size(p->ring.n, HEL_PRIME_BITS);
}

#define HEAD_BYTES (HEL_HASH_BYTES + HEL_CLIENT_ID_BYTES + HEL_SEED_BYTES + 4)

uint64_t hel_keys_file_bytes(const hel_params *p, const hel_key_request *requests, size_t count)
{
	uint64_t bytes = HEL_CONTAINER_OVERHEAD + HEAD_BYTES;
	for (size_t i = 0; i < count; i++)
		bytes += hel_switch_key_bytes(p, &requests[i]);
	return bytes;
}

size_t hel_keys_expanded_bytes(const hel_params *p, const hel_key_request *requests, size_t count)
{
	size_t bytes = 0;
	for (size_t i = 0; i < count; i++)
		bytes += 4 * key_words(p, &requests[i]);
	return bytes;
}

void hel_keys_write_head(hel_writer *w, const hel_params *p, const uint8_t *client,
			 const uint8_t *seed, const hel_key_request *requests, size_t count)
{
	hel_write_bytes(w, p->fingerprint, sizeof p->fingerprint);
	hel_write_bytes(w, client, HEL_CLIENT_ID_BYTES);
	hel_write_bytes(w, seed, HEL_SEED_BYTES);
	hel_write_u32(w, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		hel_write_u32(w, requests[i].galois);
		hel_write_u32(w, requests[i].level);
	}
}

void hel_keys_write(hel_writer *w, const hel_keys *keys)
{
	const hel_params *p = keys->params;
	uint32_t *plain = hel_alloc(2 * p->ring.n, sizeof *plain);
	hel_key_request *requests = hel_alloc(keys->count, sizeof *requests);
	if (!plain || !requests) {
		w->status = hel_fail(HEL_ENOMEM, "out of memory for evaluation keys");
		goto done;
	}
	for (size_t i = 0; i < keys->count; i++)
		requests[i] = (hel_key_request){keys->key[i].galois, keys->key[i].level};
	hel_keys_write_head(w, p, keys->client, keys->seed, requests, keys->count);
	for (size_t i = 0; i < keys->count; i++) {
		const hel_switch_key *key = &keys->key[i];
		for (size_t d = 0; d < key->digits; d++)
			for (size_t l = 0; l < key->limbs + key->special; l++) {
				size_t prime = hel_prime_of_limb(p, key->limbs, l);
				from_montgomery(p, plain, key_row(p, key, d, l), prime,
						plain + p->ring.n);
				hel_residues_write(w, plain, 1, p->ring.n, p->ring.n);
			}
	}
done:
	hel_free(requests);
	hel_free(plain);
}

typedef struct head {
	const uint8_t *client, *seed;
	uint32_t count;
	hel_key_request *request;
} head;

/* Everything is bounded and the size known to fit before anything of that size is allocated. */
static hel_status read_head(head *h, const hel_params *p, hel_reader *r)
{
	hel_status st = HEL_OK;
	const uint8_t *fingerprint = hel_read_bytes(r, HEL_HASH_BYTES);
	if (fingerprint && memcmp(fingerprint, p->fingerprint, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EPARAMS, "these evaluation keys were made for other parameters; run "
				  "'helrm keygen' with this model's manifest");
	h->client = hel_read_bytes(r, HEL_CLIENT_ID_BYTES);
	h->seed = hel_read_bytes(r, HEL_SEED_BYTES);
	h->count = hel_read_u32_max(r, HEL_MAX_KEYS, "number of evaluation keys");
	TRY(r->status);
	TRY_ALLOC(h->request, hel_alloc(h->count, sizeof *h->request));
	size_t expected = 0;
	for (uint32_t i = 0; i < h->count; i++) {
		h->request[i].galois = hel_read_u32(r);
		h->request[i].level =
		    hel_read_u32_max(r, p->spec.levels, "level of an evaluation key");
		expected += hel_switch_key_bytes(p, &h->request[i]) - 8;
	}
	TRY(r->status);
	if (hel_reader_left(r) != expected)
		FAIL(HEL_ETRUNC, "evaluation keys: %zu bytes expected, %zu found", expected,
		     hel_reader_left(r));
done:
	return st;
}

static hel_status read_key(const hel_keys *keys, hel_switch_key *key, hel_reader *r)
{
	const hel_params *p = keys->params;
	for (size_t d = 0; d < key->digits; d++)
		for (size_t l = 0; l < key->limbs + key->special; l++)
			hel_residues_read(r, p, key_row(p, key, d, l),
					  hel_prime_of_limb(p, key->limbs, l), 1, p->ring.n,
					  p->ring.n);
	if (r->status != HEL_OK)
		return r->status;
	hel_switch_key_expand(keys, key);
	to_montgomery(p, key);
	return HEL_OK;
}

hel_status hel_keys_read(hel_keys **out, const hel_params *p, hel_reader *r)
{
	hel_status st = HEL_OK;
	hel_keys *keys = NULL;
	head h = {0};
	TRY(read_head(&h, p, r));
	TRY(hel_keys_alloc(&keys, p, h.request, h.count));
	memcpy(keys->client, h.client, HEL_CLIENT_ID_BYTES);
	memcpy(keys->seed, h.seed, HEL_SEED_BYTES);
	for (uint32_t i = 0; i < h.count; i++)
		TRY(read_key(keys, &keys->key[i], r));
	*out = keys;
	keys = NULL;
done:
	hel_free(h.request);
	hel_keys_free(keys);
	return st;
}

hel_status hel_keys_expand(const hel_params *p, hel_reader *r, hel_put put, void *arg)
{
	hel_status st = HEL_OK;
	hel_keys *one = NULL;
	head h = {0};
	TRY(read_head(&h, p, r));
	for (uint32_t i = 0; i < h.count; i++) {
		TRY(hel_keys_alloc(&one, p, &h.request[i], 1));
		memcpy(one->seed, h.seed, HEL_SEED_BYTES);
		TRY(read_key(one, &one->key[0], r));
		TRY(put(arg, one->key[0].data, 4 * key_words(p, &h.request[i])));
		hel_keys_free(one);
		one = NULL;
	}
done:
	hel_free(h.request);
	hel_keys_free(one);
	return st;
}
