/** @file ckks.h
 *  Arithmetic on encrypted vectors of complex numbers (RNS-CKKS).
 *
 *  Read in this order: hel_params, hel_pt, hel_secret_key, hel_public_key, hel_keys, hel_ct,
 *  hel_eval.
 *  - outputs come first; an output may be an input, never overlap one partly;
 *  - on any status but HEL_OK, outputs are as they were before the call;
 *  - any call that makes something may fail with HEL_ENOMEM;
 *  - params, keys and evaluators never change: threads may share them;
 *  - const arguments are borrowed for the call; params must outlive all that was made with them;
 *  - every `_free` takes NULL, and wipes what is secret.
 *
 *  A ciphertext at level l can still be rescaled l times. Every level has one
 *  scale, hel_params_scale(l); a product of two values at level l has that
 *  scale squared until it is rescaled, which gives the scale of level l - 1,
 *  equal bit for bit. Operations on different scales or levels are errors.
 *
 *  Words: N the ring degree, L the limbs (primes) at the level, k the special primes, d the
 *  digits at the level, S the scale. An NTT is one of length N on one limb, a product one pass over
 *  N residues. Errors are standard deviations of a slot's real part, and so of its imaginary part.
 *  Numbers like (16) are equations of docs/cryptography.md, which names the papers.
 */
#ifndef HELRM_CKKS_H
#define HELRM_CKKS_H

#include <helrm/pool.h>
#include <helrm/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hel_params hel_params;	      /**< ring degree, moduli, scales: checked */
typedef struct hel_pt hel_pt;		      /**< an encoded vector */
typedef struct hel_ct hel_ct;		      /**< ciphertext; knows its level and scale */
typedef struct hel_secret_key hel_secret_key; /**< the client's secret */
typedef struct hel_public_key hel_public_key; /**< to encrypt with, not to decrypt */
typedef struct hel_keys hel_keys;	      /**< evaluation keys: public */
typedef struct hel_eval hel_eval;	      /**< params + keys + threads + scratch */

/** The content of one slot. */
typedef struct hel_complex {
	double re; /**< real part */
	double im; /**< imaginary part */
} hel_complex;

/** @name Parameters
 *  @{ */

/** What to ask of hel_params_new(). */
typedef struct hel_params_spec {
	uint8_t log_n;		  /**< ring degree N = 2^log_n, 2^(log_n - 1) slots; 12 to 17 */
	uint8_t levels;		  /**< rescalings a fresh ciphertext at the top allows */
	uint8_t primes_per_level; /**< 1 (scale about 2^30) or 2 (about 2^58) */
	uint8_t scale_bits; /**< wanted log2 of the scale: 25..30, or 50..60 with two primes */
	uint8_t alpha;	    /**< primes in one key-switching digit */
	uint8_t special;    /**< special primes; alpha of them or more */
	uint8_t base; /**< primes of level 0; 0: one more than a level, for 2^28 of head room at 30
			 bits; 1, with one-prime levels of at most 28 bits: 2^(29 - scale_bits) */
} hel_params_spec;

/** Checked parameters. Deterministic: equal specs give equal primes everywhere.
 *  - Shape: levels + 1 groups of primes_per_level primes, one more for level 0 (unless `base` says
 *    otherwise), and the special ones, all below 2^30.
 *  - Cost: milliseconds to a second, by N and the number of primes; tables of 16 N bytes a prime.
 *  - Source: (2), (30).
 *  @retval HEL_ESECURITY log2(QP) is above the 128-bit bound for N.
 *  @retval HEL_EPARAMS   the spec is out of range or there are not enough primes. */
HEL_API HEL_CHECKED hel_status hel_params_new(hel_params **out, const hel_params_spec *spec);
/** The same without the security check and from log_n = 4, for tests only: NOT SECURE.
 *  - Cost: as hel_params_new().
 *  @retval HEL_EPARAMS the spec is out of range or there are not enough primes. */
HEL_API HEL_CHECKED hel_status hel_params_new_insecure_test(hel_params **out,
							    const hel_params_spec *spec);
/** Frees parameters, after all that was made with them.
 *  - Errors: none.
 *  - Cost: none. */
HEL_API void hel_params_free(hel_params *params);

/** The spec that these parameters were made from.
 *  - Errors: none.
 *  - Cost: none. */
HEL_API hel_params_spec hel_params_get_spec(const hel_params *params);
/** Slots of a plaintext or ciphertext: N / 2.
 *  - Errors: none.
 *  - Cost: none. */
HEL_API size_t hel_params_slots(const hel_params *params);
/** The scale of values at a level.
 *  - Errors: 0 for a level that does not exist.
 *  - Cost: none.
 *  - Source: (2). */
HEL_API double hel_params_scale(const hel_params *params, unsigned level);
/** Limbs of a ciphertext at a level.
 *  - Errors: 0 for a level that does not exist.
 *  - Cost: none. */
HEL_API size_t hel_params_limbs(const hel_params *params, unsigned level);
/** log2 of all primes together, special ones included.
 *  - Errors: none.
 *  - Cost: none. */
HEL_API double hel_params_log_qp(const hel_params *params);
/** The largest log2(QP) that is 128-bit secure at N = 2^log_n.
 *  - Errors: 0 where no bound is known.
 *  - Cost: none.
 *  - Source: (30). */
HEL_API double hel_security_limit(unsigned log_n);

/** @}
 *  @name Encoding
 *  @{ */

/** What a plaintext is for. */
typedef enum hel_pt_use {
	HEL_FOR_ADD, /**< to encrypt or to add */
	HEL_FOR_MUL, /**< to multiply a ciphertext with */
} hel_pt_use;

/** Encodes all slots.
 *  - Shape: hel_params_slots() numbers.
 *  - Level, scale: `level` and its scale S.
 *  - Error: rounding, sqrt(N / 24) / S.
 *  - Cost: one FFT of N / 2 complex numbers, L NTTs. Its time does not depend on the numbers; that
 *    they do not fit is revealed.
 *  - Source: (3), (4), (23).
 *  @retval HEL_ELEVEL there is no such level.
 *  @retval HEL_ERANGE a value is not finite or too large for the scale. */
HEL_API HEL_CHECKED hel_status hel_encode(hel_pt **out, const hel_params *params,
					  const hel_complex *slots, unsigned level, hel_pt_use use);
/** Wipes and frees.
 *  - Errors: none.
 *  - Cost: one pass. */
HEL_API void hel_pt_free(hel_pt *pt);

/** @}
 *  @name Keys
 *  @{ */

/** A new random secret key, uniform ternary (its whole content is a 32-byte seed).
 *  - Cost: one NTT for each prime.
 *  - Source: section 3 of docs/cryptography.md.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_secret_key_new(hel_secret_key **out, const hel_params *params);
/** Wipes and frees.
 *  - Errors: none.
 *  - Cost: one pass. */
HEL_API void hel_secret_key_free(hel_secret_key *key);

/** A key to encrypt with, for parties that may contribute inputs but read nothing.
 *  - Shape: two polynomials of L + k limbs at `level`, the highest at which it encrypts.
 *  - Cost: one NTT and one product for each limb.
 *  - Source: (6).
 *  @retval HEL_ELEVEL there is no such level. */
HEL_API HEL_CHECKED hel_status hel_public_key_new(hel_public_key **out,
						  const hel_secret_key *secret, unsigned level);
/** Frees.
 *  - Errors: none.
 *  - Cost: none. */
HEL_API void hel_public_key_free(hel_public_key *key);

/** Takes the place of a Galois element in a request for the relinearisation key. */
#define HEL_RELINEARISE 0u

/** An evaluation key to generate. */
typedef struct hel_key_request {
	uint32_t galois; /**< an odd Galois element below 2 N, or HEL_RELINEARISE */
	uint32_t level;	 /**< the highest level at which the key will be used */
} hel_key_request;

/** The Galois element that rotates left by `steps` (negative: right): 5^steps mod 2 N.
 *  - Errors: none.
 *  - Cost: none.
 *  - Source: (18). */
HEL_API uint32_t hel_galois_of_rotation(const hel_params *params, long steps);
/** The Galois element of complex conjugation: 2 N - 1.
 *  - Errors: none.
 *  - Cost: none.
 *  - Source: (18). */
HEL_API uint32_t hel_galois_of_conjugation(const hel_params *params);

/** Generates hybrid key-switching keys, each truncated to its level.
 *  - Shape of a key: 2 d (L + k) N residues; on the wire half of it is a seed.
 *  - Cost of a key: d (L + k) NTTs; keys run in parallel.
 *  - Source: (15).
 *  @retval HEL_ELIMIT more than 4096 keys.
 *  @retval HEL_ELEVEL a level that does not exist.
 *  @retval HEL_EINVAL a Galois element is even, too large or there twice. */
HEL_API HEL_CHECKED hel_status hel_keys_generate(hel_keys **out, const hel_secret_key *secret,
						 const hel_key_request *requests, size_t count,
						 hel_pool *pool);
/** Frees.
 *  - Errors: none.
 *  - Cost: none. */
HEL_API void hel_keys_free(hel_keys *keys);

/** @}
 *  @name Ciphertexts
 *  @{ */

/** A ciphertext to write results into, with room for the top level.
 *  - Shape: two polynomials of L limbs: 8 L N bytes.
 *  - Level, scale: 0, until something is written.
 *  - Cost: an allocation.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_ct_new(hel_ct **out, const hel_params *params);
/** Frees.
 *  - Errors: none.
 *  - Cost: none. */
HEL_API void hel_ct_free(hel_ct *ct);
/** The level: how often it can still be rescaled.
 *  - Errors: none.
 *  - Cost: none. */
HEL_API unsigned hel_ct_level(const hel_ct *ct);
/** The scale: its level's, or a product's.
 *  - Errors: none.
 *  - Cost: none. */
HEL_API double hel_ct_scale(const hel_ct *ct);

/** Symmetric encryption of a plaintext made with HEL_FOR_ADD.
 *  - Level, scale: the plaintext's.
 *  - Error: 3.19 sqrt(N / 2) / S.
 *  - Cost: L NTTs, 3 L products. Its time does not depend on key or message.
 *  - Source: (5), (24).
 *  @retval HEL_EPARAMS the arguments have different parameters.
 *  @retval HEL_EINVAL  the plaintext was made with HEL_FOR_MUL. */
HEL_API HEL_CHECKED hel_status hel_encrypt(hel_ct *out, const hel_secret_key *secret,
					   const hel_pt *pt);
/** Encrypts without the secret key, whose owner alone can decrypt. Twice the size of a symmetric
 *  ciphertext where that travels as a seed.
 *  - Level, scale: the plaintext's.
 *  - Error: N / 6 / S, that of one rescaling.
 *  - Cost: 3 (L + k) NTTs and as many products, and one division by P. Its time does not depend on
 *    the message.
 *  - Source: (7), (25).
 *  @retval HEL_EPARAMS the arguments have different parameters.
 *  @retval HEL_EINVAL  the plaintext was made with HEL_FOR_MUL.
 *  @retval HEL_ELEVEL  the plaintext is above the key's level. */
HEL_API HEL_CHECKED hel_status hel_encrypt_public(hel_ct *out, const hel_public_key *key,
						  const hel_pt *pt);
/** Decrypts and decodes all slots.
 *  - Shape: hel_params_slots() numbers, those of a product included. Four primes are read: numbers
 *    must stay below half their product divided by the scale, which for products of two-prime
 *    levels is about 1/2; rescale those first.
 *  - Cost: up to four NTTs, one FFT. Its time does not depend on key or message. WARNING: whoever
 *    sees decrypted numbers in full learns about the key; do not publish them (SECURITY.md,
 *    IND-CPA-D).
 *  - Source: (3), (8), (9).
 *  @retval HEL_EPARAMS the arguments have different parameters.
 *  @retval HEL_ESCALE  the scale is above 2^117: rescale first. */
HEL_API HEL_CHECKED hel_status hel_decrypt(hel_complex *slots, const hel_secret_key *secret,
					   const hel_ct *ct);

/** @}
 *  @name Bytes
 *  Keys and ciphertexts as files: little-endian, bit-packed, versioned, with a checksum that finds
 *  damage (not malice). Every load may be given foreign bytes. Free what a save returns with
 *  hel_bytes_free(); only secret keys must be kept secret.
 *  @{ */

/** The secret key as 112 bytes: show them to nobody.
 *  - Cost: none.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_secret_key_save(uint8_t **bytes, size_t *size,
						   const hel_secret_key *key);
/** A secret key from its bytes.
 *  - Cost: as hel_secret_key_new().
 *  @retval HEL_EFORMAT, HEL_EVERSION, HEL_ETRUNC, HEL_EHASH not a whole secret key.
 *  @retval HEL_EPARAMS made for other parameters. */
HEL_API HEL_CHECKED hel_status hel_secret_key_load(hel_secret_key **out, const hel_params *params,
						   const void *bytes, size_t size);
/** The public key: 30 bits for each of (L + k) N residues and a seed.
 *  - Cost: one pass.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_public_key_save(uint8_t **bytes, size_t *size,
						   const hel_public_key *key);
/** A public key from its bytes.
 *  - Cost: one pass, and (L + k) N residues from the seed.
 *  @retval HEL_EFORMAT, HEL_EVERSION, HEL_ETRUNC, HEL_EHASH not a whole public key.
 *  @retval HEL_EPARAMS, HEL_ELEVEL made for other parameters. */
HEL_API HEL_CHECKED hel_status hel_public_key_load(hel_public_key **out, const hel_params *params,
						   const void *bytes, size_t size);
/** Evaluation keys: 30 bits for each of d (L + k) N residues a key, and one seed.
 *  - Cost: one pass.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_keys_save(uint8_t **bytes, size_t *size, const hel_keys *keys);
/** Evaluation keys from their bytes.
 *  - Cost: a few passes, and as many residues from the seed.
 *  @retval HEL_EFORMAT, HEL_EVERSION, HEL_ETRUNC, HEL_EHASH, HEL_ELIMIT not whole evaluation keys.
 *  @retval HEL_EPARAMS made for other parameters. */
HEL_API HEL_CHECKED hel_status hel_keys_load(hel_keys **out, const hel_params *params,
					     const void *bytes, size_t size);
/** A ciphertext at its level's scale: 30 bits for each of 2 L N residues.
 *  - Cost: one pass.
 *  @retval HEL_ESCALE it is a product: rescale first. */
HEL_API HEL_CHECKED hel_status hel_ct_save(uint8_t **bytes, size_t *size, const hel_ct *ct);
/** A ciphertext from its bytes.
 *  - Level, scale: as saved.
 *  - Cost: one pass.
 *  @retval HEL_EFORMAT, HEL_EVERSION, HEL_ETRUNC, HEL_EHASH not a whole ciphertext.
 *  @retval HEL_EPARAMS, HEL_ELEVEL made for other parameters. */
HEL_API HEL_CHECKED hel_status hel_ct_load(hel_ct **out, const hel_params *params,
					   const void *bytes, size_t size);

/** @}
 *  @name Evaluation
 *  All of them may return HEL_EPARAMS: the arguments have different parameters.
 *  @{ */

/** An evaluator, which any number of threads may use. Borrows params, keys (NULL for none) and
 *  pool (NULL: the calling thread) until it is freed.
 *  - Cost: scratch memory grows with use and is kept.
 *  @retval HEL_EPARAMS keys of other parameters. */
HEL_API HEL_CHECKED hel_status hel_eval_new(hel_eval **out, const hel_params *params,
					    const hel_keys *keys, hel_pool *pool);
/** Frees the evaluator and its scratch memory.
 *  - Errors: none.
 *  - Cost: none. */
HEL_API void hel_eval_free(hel_eval *ev);

/** out = a + b.
 *  - Level, scale: those of a and b, which must be equal; products may be added.
 *  - Error: variances add.
 *  - Cost: 2 L passes.
 *  - Source: (10).
 *  @retval HEL_ELEVEL, HEL_ESCALE they differ. */
HEL_API HEL_CHECKED hel_status hel_eval_add(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					    const hel_ct *b);
/** out = a - b.
 *  - Level, scale: those of a and b, which must be equal; products may be subtracted.
 *  - Error: variances add.
 *  - Cost: 2 L passes.
 *  - Source: (10).
 *  @retval HEL_ELEVEL, HEL_ESCALE they differ. */
HEL_API HEL_CHECKED hel_status hel_eval_sub(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					    const hel_ct *b);
/** out = a + p, p made with HEL_FOR_ADD at a's level.
 *  - Level, scale: a's; a must not be a product.
 *  - Error: the encoding's.
 *  - Cost: L passes.
 *  - Source: (10).
 *  @retval HEL_ELEVEL, HEL_ESCALE they differ.
 *  @retval HEL_EINVAL p was made with HEL_FOR_MUL. */
HEL_API HEL_CHECKED hel_status hel_eval_add_plain(const hel_eval *ev, hel_ct *out, const hel_ct *a,
						  const hel_pt *p);
/** out = a p slot by slot, p made with HEL_FOR_MUL at a's level.
 *  - Level: a's. Scale: the product of both.
 *  - Error: a's times |p|, the encoding's times |a|.
 *  - Cost: 2 L products.
 *  - Source: (11), (28).
 *  @retval HEL_ELEVEL they differ, or level 0, which cannot hold a product.
 *  @retval HEL_ESCALE a is a product: rescale first.
 *  @retval HEL_EINVAL p was made with HEL_FOR_ADD. */
HEL_API HEL_CHECKED hel_status hel_eval_mul_plain(const hel_eval *ev, hel_ct *out, const hel_ct *a,
						  const hel_pt *p);
/** out = a b slot by slot, relinearised, not rescaled.
 *  - Level: that of a and b, which must be equal. Scale: the product of both.
 *  - Error: a's times |b|, b's times |a|, a key switch at the product's scale.
 *  - Cost: one key switch and 6 L products.
 *  - Source: (17), (28).
 *  @retval HEL_EKEY   no relinearisation key at this level.
 *  @retval HEL_ELEVEL they differ, or level 0, which cannot hold a product.
 *  @retval HEL_ESCALE a or b is a product: rescale first. */
HEL_API HEL_CHECKED hel_status hel_eval_mul(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					    const hel_ct *b);
/** hel_eval_mul() and hel_eval_rescale() with one division and one rounding less.
 *  - Level: -1. Scale: that level's.
 *  - Error: as both, with one rounding less.
 *  - Cost: one key switch; about a sixth less than the two calls.
 *  - Source: (17), (21).
 *  @retval HEL_EKEY, HEL_ELEVEL, HEL_ESCALE as hel_eval_mul(). */
HEL_API HEL_CHECKED hel_status hel_eval_mul_rescale(const hel_eval *ev, hel_ct *out,
						    const hel_ct *a, const hel_ct *b);
/** Divides a product by the level's primes.
 *  - Level: -1. Scale: that level's.
 *  - Error: N / 6 / S.
 *  - Cost: 2 L NTTs.
 *  - Source: (14), (26).
 *  @retval HEL_ELEVEL a is at level 0.
 *  @retval HEL_ESCALE a is not a product. */
HEL_API HEL_CHECKED hel_status hel_eval_rescale(const hel_eval *ev, hel_ct *out, const hel_ct *a);
/** Brings a to a lower level and exactly that level's scale.
 *  - Level, scale: `level` and its scale.
 *  - Error and cost: one rescaling; nothing when a is there already.
 *  - Source: (22).
 *  @retval HEL_ELEVEL a is below that level.
 *  @retval HEL_ESCALE a is a product: rescale first. */
HEL_API HEL_CHECKED hel_status hel_eval_drop(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					     unsigned level);
/** A term of hel_eval_weighted_sum(). */
typedef struct hel_sum_term {
	const hel_ct *a; /**< the value */
	double factor;	 /**< what to multiply it with */
} hel_sum_term;

/** out = constant + sum of factor * a: to be rescaled next. Terms stand at `level` or above, at
 * their level's scale, or are products at `level` (their factors must be integers); out is none of
 * them. Scales differ between levels; factors absorb that exactly.
 *  - Level, scale: `level` and a product's scale there.
 *  - Error: that of rounding each factor, |a| / sqrt(12) / S; a's times the factor.
 *  - Cost: 2 L products by a number for each term.
 *  - Source: (11).
 *  @retval HEL_ELEVEL level 0, or a term below `level`.
 *  @retval HEL_ESCALE a term that is neither.
 *  @retval HEL_ERANGE a factor beyond the modulus. */
HEL_API HEL_CHECKED hel_status hel_eval_weighted_sum(const hel_eval *ev, hel_ct *out,
						     unsigned level, const hel_sum_term *terms,
						     size_t count, double constant);
/** Rotates the slots left by `steps` (negative: right): slot i of out is slot i + steps of a.
 *  - Level, scale: a's; products may be rotated.
 *  - Error: one key switch.
 *  - Cost: one key switch: about d (L + k) + L forward and L + 2 k inverse NTTs.
 *  - Source: (16), (18), (27).
 *  @retval HEL_EKEY no key for this rotation at this level. */
HEL_API HEL_CHECKED hel_status hel_eval_rotate(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					       long steps);
/** Conjugates every slot.
 *  - Level, scale: a's; products may be conjugated.
 *  - Error and cost: one key switch.
 *  - Source: (16), (18), (27).
 *  @retval HEL_EKEY no key for conjugation at this level. */
HEL_API HEL_CHECKED hel_status hel_eval_conjugate(const hel_eval *ev, hel_ct *out, const hel_ct *a);
/** out[i] = a rotated by steps[i]: one decomposition for all (hoisting). out[i] must be distinct
 *  and none of them a.
 *  - Level, scale: a's.
 *  - Error: one key switch each.
 *  - Cost: one decomposition; two inner products and one ModDown for each rotation.
 *  - Source: (19), (27).
 *  @retval HEL_EKEY   no key for one of the rotations at this level.
 *  @retval HEL_EINVAL an output is a. */
HEL_API HEL_CHECKED hel_status hel_eval_rotate_hoisted(const hel_eval *ev, hel_ct *const *out,
						       const hel_ct *a, const long *steps,
						       size_t count);
/** out = sum of a rotated by each of `steps`. A step of 0 stands for a itself.
 *  - Level, scale: a's; a may be a product.
 *  - Error: variances of a's copies and of count key switches but one rounding add.
 *  - Cost: one decomposition, two inner products for each step, one ModDown.
 *  - Source: (20), (27).
 *  @retval HEL_EKEY   no key for one of the rotations at this level.
 *  @retval HEL_EINVAL no steps. */
HEL_API HEL_CHECKED hel_status hel_eval_rotate_sum(const hel_eval *ev, hel_ct *out, const hel_ct *a,
						   const long *steps, size_t count);
/** hel_eval_rotate_sum() of a product and hel_eval_rescale() with one division.
 *  - Level: -1. Scale: that level's.
 *  - Error: as both, with one rounding less.
 *  - Cost: as hel_eval_rotate_sum() and a little more.
 *  - Source: (20), (21).
 *  @retval HEL_EKEY, HEL_EINVAL as hel_eval_rotate_sum().
 *  @retval HEL_ELEVEL, HEL_ESCALE as hel_eval_rescale(). */
HEL_API HEL_CHECKED hel_status hel_eval_rotate_sum_rescale(const hel_eval *ev, hel_ct *out,
							   const hel_ct *a, const long *steps,
							   size_t count);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
