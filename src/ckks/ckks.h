/* ckks.h -- the inside of RNS-CKKS: what circuit, vm and net may see.
 *
 * Ring elements are in NTT form unless a name says "coefficients".
 */
#ifndef HEL_CKKS_INTERNAL_H
#define HEL_CKKS_INTERNAL_H

#include "base/base.h"
#include "ring/ring.h"
#include <helrm/ckks.h>
#include <stdatomic.h>

#define HEL_MAX_LEVELS 60
#define HEL_MAX_KEYS 4096
#define HEL_CLIENT_ID_BYTES 16
/* Kept coefficients of a sampled ciphertext, at most */
#define HEL_MAX_SAMPLES 4096

struct hel_params {
	hel_params_spec spec;
	hel_ring ring;
	size_t limbs[HEL_MAX_LEVELS + 1]; /* chain limbs at each level */
	double scale[HEL_MAX_LEVELS + 1];
	double divisor[HEL_MAX_LEVELS + 1]; /* product of the level's primes, as a double */
	double log_qp;
	hel_bconv special;			       /* ModDown */
	hel_bconv rescale[HEL_MAX_LEVELS + 1];	       /* [l]: by the primes of level l, l >= 1 */
	hel_bconv special_rescale[HEL_MAX_LEVELS + 1]; /* [l]: ModDown and that at once */
	hel_bconv *digit; /* [digit * alpha + size - 1]: ModUp of a partial digit */
	size_t digits;	  /* at the top level */
	/* encoder: [len/2 + j], exp(2 pi i 5^j / (4 len)) for FFT length len */
	double *root_re, *root_im;
	uint32_t *bit_reversed;		     /* slot numbers */
	uint8_t fingerprint[HEL_HASH_BYTES]; /* of all primes and the spec */
};

struct hel_pt {
	const hel_params *params;
	unsigned level;
	double scale;
	hel_pt_use use;
	uint32_t *data; /* limbs * N, Montgomery form when HEL_FOR_MUL */
};

struct hel_ct {
	const hel_params *params;
	unsigned level;
	double scale;
	uint32_t *part[2]; /* room for the top level's limbs each */
	hel_scratch *home; /* where part[0] came from; NULL: memory of its own */
};

/** A switching key: to the secret from another. data[digit][limb][b, a][N], Montgomery form;
 *  limbs: `limbs` chain ones, then the special ones. */
typedef struct hel_switch_key {
	uint32_t galois;
	unsigned level;
	size_t limbs, digits;
	uint32_t *data;
	hel_permutation permutation; /* of the Galois element, empty for relinearisation */
} hel_switch_key;

struct hel_keys {
	const hel_params *params;
	uint8_t client[HEL_CLIENT_ID_BYTES];
	uint8_t seed[HEL_SEED_BYTES]; /* expands to every `a` */
	size_t count;
	hel_switch_key *key;
	bool borrowed; /* the keys' data belongs to someone else */
};

/** (b, a) = (-a s + e, a) modulo QP: [limb][N], `limbs` chain limbs, then the special ones. */
struct hel_public_key {
	const hel_params *params;
	uint8_t client[HEL_CLIENT_ID_BYTES];
	uint8_t seed[HEL_SEED_BYTES]; /* expands to a */
	unsigned level;
	size_t limbs;
	uint32_t *b, *a;
};
/** Takes bytes of a file in order. */
typedef hel_status (*hel_put)(void *arg, const void *bytes, size_t size);

/** The index of the prime of limb `limb` in an extended polynomial with `limbs` chain limbs. */
static inline size_t hel_prime_of_limb(const hel_params *p, size_t limbs, size_t limb)
{
	return limb < limbs ? limb : p->ring.chain + limb - limbs;
}

struct hel_eval {
	const hel_params *params;
	const hel_keys *keys;
	hel_pool *pool;
	hel_scratch *scratch;
	const atomic_bool *stop; /* a run ends with HEL_ECANCEL once it is set; may be NULL */
};

/* --- eval.c --------------------------------------------------------------- */

/** The Galois element of a rotation by steps mod 2^log_slots, and a conjugation as well for steps
 *  of 2^log_slots and more. */
uint32_t hel_galois_of_step(const hel_params *p, int32_t step);
/** hel_eval_rotate_sum (or its _rescale) for any Galois elements. */
HEL_CHECKED hel_status hel_eval_galois_sum(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					   const uint32_t *galois, size_t count, bool rescale);

/* --- params.c ------------------------------------------------------------- */

size_t hel_params_digits_at(const hel_params *p, size_t limbs);
/** log2 of the largest product of one digit's primes, and of the special primes. */
double hel_params_log_digit(const hel_params *p);
double hel_params_log_special(const hel_params *p);

/* --- encoder.c -------------------------------------------------------------- */

/** N real coefficients, unscaled, to slots. */
HEL_CHECKED hel_status hel_embed(const hel_params *p, hel_complex *slots,
				 const double *coefficients);
/** Encodes at any scale into memory of the caller, limbs of the level times N words, undefined on
 *  failure; limbs on the pool. */
HEL_CHECKED hel_status hel_encode_into(uint32_t *data, const hel_params *p,
				       const hel_complex *slots, unsigned level, double scale,
				       hel_pt_use use, hel_pool *pool);
/** The same into memory of its own. */
HEL_CHECKED hel_status hel_encode_at(hel_pt **out, const hel_params *p, const hel_complex *slots,
				     unsigned level, double scale, hel_pt_use use, hel_pool *pool);

/* --- keyswitch.c: hybrid key switching (Han, Ki 2020) ------------------------- */

/** The key for a Galois element that reaches `level`, NULL with a message when there is none. */
const hel_switch_key *hel_keys_find(const hel_keys *keys, uint32_t galois, unsigned level);
/** Words of an extended pair: b then a, each `limbs` chain limbs and the special ones. */
size_t hel_extended_words(const hel_params *p, size_t limbs);

/** Switches the pair (base, c) (NTT, `limbs` limbs; base may be NULL for 0) by several keys from
 * one decomposition of c (hoisting), each moved by its key's automorphism: acc = P times the sum of
 * all (sum), or acc[k] = P times each, one extended pair after the other; on top of what acc holds
 * when `add`. Limb by limb: a limb of all digits is made, used for every key and forgotten, so that
 * only keys are read from memory. scratch: ks_scratch_words. */
void hel_ks_apply(const hel_eval *ev, uint32_t *acc, const uint32_t *base, const uint32_t *c,
		  const hel_switch_key *const *keys, size_t count, bool sum, bool add, size_t limbs,
		  uint32_t *scratch);
/** acc += P add: a pair that needs no key joins a sum. */
void hel_ks_add(const hel_eval *ev, uint32_t *acc, const uint32_t *const add[2], size_t limbs);
/** part[i] = acc[i] / P + add[i] over `limbs` limbs; add may be NULL. scratch: ks_scratch_words. */
void hel_ks_finish(const hel_eval *ev, uint32_t *const part[2], const uint32_t *const add[2],
		   const uint32_t *acc, size_t limbs, uint32_t *scratch);
/** The same and a rescaling with one division and one rounding: part[i] = (acc[i] + P add[i]) / (P
 * q) at level - 1, q the primes of `level` >= 1. Destroys acc. */
void hel_ks_finish_rescaled(const hel_eval *ev, uint32_t *const part[2],
			    const uint32_t *const add[2], uint32_t *acc, unsigned level,
			    uint32_t *scratch);
size_t hel_ks_scratch_words(const hel_eval *ev, size_t limbs);

/* --- noise.c: error variance per slot that each operation adds ------------------ */

/** One bit between what is predicted and the standard deviation that follows from variances. */
#define HEL_NOISE_MARGIN 2

/** Without the encoding's, as for all of these. */
double hel_noise_encryption(const hel_params *p, double scale);
/** Under the public key: the larger one. */
double hel_noise_encryption_public(const hel_params *p, double scale);
double hel_noise_encoding(const hel_params *p, double scale);
/** scale: after the division. */
double hel_noise_rescale(const hel_params *p, double scale);
double hel_noise_switch(const hel_params *p, size_t limbs, double scale);

/* --- ct.c ------------------------------------------------------------------- */

/** A ciphertext in the evaluator's scratch, contents undefined, for results of operations; must be
 *  freed before the evaluator. */
HEL_CHECKED hel_status hel_ct_take(hel_ct **out, const hel_eval *ev);
void hel_ct_copy(hel_ct *out, const hel_ct *ct);

/* --- keys.c: evaluation keys --------------------------------------------------- */

HEL_CHECKED hel_status hel_keys_alloc(hel_keys **out, const hel_params *p,
				      const hel_key_request *requests, size_t count);
/** Fills the halves of a key that come from the seed, in plain form, and [b, a] strides. */
void hel_switch_key_expand(const hel_keys *keys, hel_switch_key *key);
/** The seeded half of one row, in plain form. */
void hel_key_row_expand(uint32_t *a, const hel_params *p, const uint8_t seed[HEL_SEED_BYTES],
			uint32_t galois, size_t digit, size_t prime);
/** Bytes of one key on the wire. */
size_t hel_switch_key_bytes(const hel_params *p, unsigned level);
/** Bytes of a whole file of keys. */
size_t hel_keys_file_bytes(const hel_params *p, const hel_key_request *requests, size_t count);
/** What stands in front of the keys' residues in a file. */
void hel_keys_write_head(hel_writer *w, const hel_params *p, const uint8_t *client,
			 const uint8_t *seed, const hel_key_request *requests, size_t count);
void hel_keys_write(hel_writer *w, const hel_keys *keys);
HEL_CHECKED hel_status hel_keys_read(hel_keys **out, const hel_params *p, hel_reader *r);

/* Keys are used in a form twice the size of the file's, which takes about 13 ms per MB to make.
 * Expanded once and kept, it can be mapped by any later process. */

/** Reads like hel_keys_read, but holds one key at a time and hands its expanded form to `put`. */
HEL_CHECKED hel_status hel_keys_expand(const hel_params *p, hel_reader *r, hel_put put, void *arg);
size_t hel_keys_expanded_bytes(const hel_params *p, const hel_key_request *requests, size_t count);
/** Keys in memory of the caller that holds what hel_keys_expand made of the file of these requests;
 *  it must outlive them. */
HEL_CHECKED hel_status hel_keys_borrow(hel_keys **out, const hel_params *p,
				       const uint8_t client[HEL_CLIENT_ID_BYTES],
				       const hel_key_request *requests, size_t count,
				       const void *expanded);

/* --- files.c: containers around keys and ciphertexts ---------------------------------- */

/** What a writer holds, unless `st` says that writing failed. */
HEL_CHECKED hel_status hel_writer_take(uint8_t **bytes, size_t *size, hel_writer *w, hel_status st);
/** A whole file at the end of what `w` holds. */
HEL_CHECKED hel_status hel_keys_store(hel_writer *w, const hel_keys *keys);
HEL_CHECKED hel_status hel_public_key_store(hel_writer *w, const hel_public_key *key);
HEL_CHECKED hel_status hel_secret_key_store(hel_writer *w, const hel_secret_key *key);

/* --- public.c: encryption under a public key ---------------------------------------- */

HEL_CHECKED hel_status hel_public_key_alloc(hel_public_key **out, const hel_params *p,
					    unsigned level);
/** Fills `a` from the seed. */
void hel_public_key_expand(hel_public_key *key);
/** Bytes of a public key on the wire. */
size_t hel_public_key_bytes(const hel_params *p, unsigned level);
void hel_public_key_write(hel_writer *w, const hel_public_key *key);
/** Takes all that is left. */
HEL_CHECKED hel_status hel_public_key_read(hel_public_key **out, const hel_params *p,
					   hel_reader *r);

/* --- secret.c, keygen.c, decrypt.c: everything that touches the secret key --------- */

HEL_CHECKED hel_status hel_secret_key_from_seed(hel_secret_key **out, const hel_params *p,
						const uint8_t seed[HEL_SEED_BYTES]);
const uint8_t *hel_secret_key_seed(const hel_secret_key *key);
/** A public name of the key: the keyed hash of nothing under the seed. */
const uint8_t *hel_secret_key_client(const hel_secret_key *key);
/** Generates a whole file of keys row by row into `put`; memory: a few polynomials. Deterministic:
 * equal secrets, nonces and requests give equal bytes, so that an upload can be resumed. A nonce
 * must never serve two key sets of one secret; other requests under it give unrelated randomness.
 */
HEL_CHECKED hel_status hel_keys_stream(const hel_secret_key *secret,
				       const uint8_t nonce[HEL_SEED_BYTES],
				       const hel_key_request *requests, size_t count, hel_put put,
				       void *arg);
/** Encrypts so that the second half is the expansion of `seed`, which is drawn here. */
HEL_CHECKED hel_status hel_encrypt_seeded(hel_ct *out, uint8_t seed[HEL_SEED_BYTES],
					  const hel_secret_key *key, const hel_pt *pt);
/** The first `count` coefficients of the message, divided by the scale. */
HEL_CHECKED hel_status hel_decrypt_coefficients(double *out, size_t count,
						const hel_secret_key *key, const hel_ct *ct);

/* --- serial.c ------------------------------------------------------------------ */

/* A read that fails leaves its ciphertext's contents undefined. */

/** How fresh ciphertexts are written. Those made under a public key have no seed. */
typedef enum hel_ct_form {
	HEL_CT_SEEDED = 1,
	HEL_CT_FULL = 2,
} hel_ct_form;

/** A fresh ciphertext as (level, seed, b): half the size. */
void hel_ct_write_seeded(hel_writer *w, const hel_ct *ct, const uint8_t seed[HEL_SEED_BYTES]);
HEL_CHECKED hel_status hel_ct_read_seeded(hel_ct *ct, hel_reader *r);
/** Any ciphertext at its level's scale. */
void hel_ct_write(hel_writer *w, const hel_ct *ct);
HEL_CHECKED hel_status hel_ct_read(hel_ct *ct, hel_reader *r);
/** Only what decrypting `samples` coefficients needs, those at multiples of N / samples: about half
 *  the size. A power of two; 2 or more include coefficient N/2, the imaginary part of a constant.
 */
HEL_CHECKED hel_status hel_ct_write_sampled(hel_writer *w, const hel_eval *ev, const hel_ct *ct,
					    uint32_t samples);
/** The other coefficients of what it reads decrypt to noise. */
HEL_CHECKED hel_status hel_ct_read_sampled(hel_ct *ct, uint32_t *samples, hel_reader *r);
void hel_residues_write(hel_writer *w, const uint32_t *a, size_t limbs, size_t count,
			size_t stride);
void hel_residues_read(hel_reader *r, const hel_params *p, uint32_t *a, size_t first, size_t limbs,
		       size_t count, size_t stride);

#endif
