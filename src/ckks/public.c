/* Encryption under a public key: by a party that can decrypt nothing. No secret-key code. Numbers
 * in parentheses are equations of docs/cryptography.md. */
#include "public.h"
#include "files.h"
#include "params.h"
#include "serial.h"
#include <string.h>

hel_status hel_public_key_alloc(hel_public_key **out, const hel_params *p, unsigned level)
{
	hel_status st = HEL_OK;
	hel_public_key *key = NULL;
	if (level > p->spec.levels)
		FAIL(HEL_ELEVEL, "a public key for level %u, at most %u exists", level,
		     p->spec.levels);
	TRY_ALLOC(key, hel_alloc(1, sizeof *key));
	*key = (hel_public_key){.params = p, .level = level, .limbs = p->limbs[level]};
	const size_t words = (key->limbs + p->ring.special) * p->ring.n;
	TRY_ALLOC(key->b, hel_alloc(2 * words, sizeof *key->b));
	key->a = key->b + words;
	*out = key;
	key = NULL;
done:
	hel_public_key_free(key);
	return st;
}

void hel_public_key_free(hel_public_key *key)
{
	if (!key)
		return;
	hel_free(key->b);
	hel_free(key);
}

void hel_public_key_expand(hel_public_key *key)
{
	const hel_params *p = key->params;
	hel_prng g;
	for (size_t l = 0; l < key->limbs + p->ring.special; l++) {
		const size_t prime = hel_prime_of_limb(p, key->limbs, l);
		hel_prng_init(&g, key->seed, prime);
		hel_sample_uniform(key->a + l * p->ring.n, p->ring.n, p->ring.prime[prime].q, &g);
	}
}

size_t hel_public_key_bytes(const hel_params *p, unsigned level)
{
	return HEL_HASH_BYTES + HEL_CLIENT_ID_BYTES + HEL_SEED_BYTES + 1 +
	       (p->limbs[level] + p->ring.special) * hel_packed_size(p->ring.n, HEL_PRIME_BITS);
}

void hel_public_key_write(hel_writer *w, const hel_public_key *key)
{
	const hel_params *p = key->params;
	hel_write_bytes(w, p->fingerprint, sizeof p->fingerprint);
	hel_write_bytes(w, key->client, sizeof key->client);
	hel_write_bytes(w, key->seed, sizeof key->seed);
	hel_write_u8(w, (uint8_t)key->level);
	hel_residues_write(w, key->b, key->limbs + p->ring.special, p->ring.n, p->ring.n);
}

hel_status hel_public_key_read(hel_public_key **out, const hel_params *p, hel_reader *r)
{
	hel_status st = HEL_OK;
	hel_public_key *key = NULL;
	const size_t found = hel_reader_left(r);
	const uint8_t *fingerprint = hel_read_bytes(r, HEL_HASH_BYTES);
	if (fingerprint && memcmp(fingerprint, p->fingerprint, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EPARAMS, "this public key was made for other parameters; it must come "
				  "from 'helrm keygen' with this model's manifest");
	const uint8_t *client = hel_read_bytes(r, HEL_CLIENT_ID_BYTES);
	const uint8_t *seed = hel_read_bytes(r, HEL_SEED_BYTES);
	const uint8_t level = hel_read_u8(r);
	TRY(r->status);
	if (level > p->spec.levels)
		FAIL(HEL_ELEVEL, "a public key for level %u, at most %u exists", level,
		     p->spec.levels);
	/* before anything of that size is allocated */
	if (found != hel_public_key_bytes(p, level))
		FAIL(HEL_ETRUNC, "public key: %zu bytes expected, %zu found",
		     hel_public_key_bytes(p, level), found);
	TRY(hel_public_key_alloc(&key, p, level));
	memcpy(key->client, client, sizeof key->client);
	memcpy(key->seed, seed, sizeof key->seed);
	hel_residues_read(r, p, key->b, 0, key->limbs, p->ring.n, p->ring.n);
	hel_residues_read(r, p, key->b + key->limbs * p->ring.n, p->ring.chain, p->ring.special,
			  p->ring.n, p->ring.n);
	TRY(r->status);
	hel_public_key_expand(key);
	*out = key;
	key = NULL;
done:
	hel_public_key_free(key);
	return st;
}

hel_status hel_public_key_store(hel_writer *w, const hel_public_key *key)
{
	hel_container_begin(w, HEL_KIND_PUBLIC_KEY);
	hel_public_key_write(w, key);
	return hel_container_end(w);
}

hel_status hel_public_key_save(uint8_t **bytes, size_t *size, const hel_public_key *key)
{
	hel_writer w = {0};
	return hel_writer_take(bytes, size, &w, hel_public_key_store(&w, key));
}

hel_status hel_public_key_load(hel_public_key **out, const hel_params *p, const void *bytes,
			       size_t size)
{
	hel_status st = HEL_OK;
	hel_reader r;
	TRY(hel_container_open(&r, HEL_KIND_PUBLIC_KEY, bytes, size));
	TRY(hel_public_key_read(out, p, &r)); /* takes all that is left */
done:
	return st;
}

/* The small polynomials of one encryption. */
typedef struct fresh {
	int8_t *u, *e[2];
} fresh;

static hel_status fresh_draw(fresh *f, size_t n)
{
	hel_status st = HEL_OK;
	hel_prng g;
	TRY_ALLOC(f->u, hel_alloc(3 * n, 1));
	f->e[0] = f->u + n;
	f->e[1] = f->u + 2 * n;
	hel_prng_fresh(&g);
	hel_sample_ternary(f->u, n, &g);
	for (int i = 0; i < 2; i++)
		hel_sample_gauss(f->e[i], n, &g);
	hel_prng_clear(&g);
done:
	return st;
}

hel_status hel_encrypt_public(hel_ct *out, const hel_public_key *key, const hel_pt *pt)
{
	hel_status st = HEL_OK;
	const hel_params *p = key->params;
	const hel_kernels *k = p->ring.k;
	const size_t n = p->ring.n, limbs = p->limbs[pt->level], rows = limbs + p->ring.special;
	const size_t down = hel_ring_mod_down_words(&p->ring, p->ring.special, NULL);
	const size_t words = 2 * rows * n + down + 2 * n;
	fresh f = {0};
	uint32_t *zero = NULL;
	if (pt->params != p || out->params != p)
		FAIL(HEL_EPARAMS, "plaintext, ciphertext and key have different parameters");
	if (pt->use != HEL_FOR_ADD)
		FAIL(HEL_EINVAL, "the plaintext was encoded to multiply with, not to encrypt");
	if (pt->level > key->level)
		FAIL(HEL_ELEVEL, "a plaintext of level %u, the public key reaches level %u",
		     pt->level, key->level);
	TRY(fresh_draw(&f, n));
	TRY_ALLOC(zero, hel_alloc(words, sizeof *zero));
	uint32_t *scratch = zero + 2 * rows * n, *u = scratch + down, *e = u + n;
	/* (7): an encryption of zero modulo QP, (b u + e0, a u + e1), */
	for (size_t l = 0; l < rows; l++) {
		const size_t prime = hel_prime_of_limb(p, limbs, l);
		const size_t row = l < limbs ? l : key->limbs + l - limbs; /* in the key */
		const hel_prime *const *at = p->ring.at + prime;
		hel_ring_from_small(&p->ring, u, f.u, prime, 1);
		k->ntt_forward(u, at, 1);
		k->to_mont(u, u, at, 1);
		for (size_t half = 0; half < 2; half++) {
			uint32_t *z = zero + (half * rows + l) * n;
			hel_ring_from_small(&p->ring, z, f.e[half], prime, 1);
			k->ntt_forward(z, at, 1);
			k->mont_mul(e, (half ? key->a : key->b) + row * n, u, at, 1);
			k->add(z, z, e, at, 1);
		}
	}
	/* divided by P, which takes its errors down to rounding, and the message */
	const hel_mod_down_part parts[2] = {
	    {out->part[0], zero, zero + limbs * n, pt->data, NULL},
	    {out->part[1], zero + rows * n, zero + (rows + limbs) * n, NULL, NULL}};
	hel_ring_mod_down(&p->ring, &p->special, parts, 2, limbs, scratch, NULL);
	out->level = pt->level;
	out->scale = pt->scale;
done:
	hel_free_secret(f.u, 3 * n);
	hel_free_secret(zero, words * sizeof *zero);
	return st;
}
