/* ckks.h -- arithmetic on encrypted vectors of complex numbers (RNS-CKKS).
 *
 * Read in this order: hel_params, hel_pt, hel_secret_key, hel_keys, hel_ct, hel_eval.
 *   - outputs come first; an output may be an input, never overlap one partly;
 *   - on any status but HEL_OK, outputs are as they were before the call;
 *   - params, keys and evaluators never change: threads may share them;
 *   - const arguments are borrowed; params must outlive all that was made with them.
 *
 * A ciphertext at level l can still be rescaled l times. Every level has one
 * scale, hel_params_scale(l); a product of two values at level l has that
 * scale squared until it is rescaled, which gives the scale of level l - 1,
 * equal bit for bit. Operations on different scales or levels are errors.
 */
#ifndef HELRM_CKKS_H
#define HELRM_CKKS_H

#include <helrm/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hel_params hel_params;	      /* ring degree, moduli, scales: checked */
typedef struct hel_pt hel_pt;		      /* an encoded vector */
typedef struct hel_ct hel_ct;		      /* ciphertext; knows its level and scale */
typedef struct hel_secret_key hel_secret_key; /* the client's secret */
typedef struct hel_keys hel_keys;	      /* evaluation keys: public */
typedef struct hel_eval hel_eval;	      /* params + keys + threads + scratch */
typedef struct hel_pool hel_pool;	      /* threads; NULL means the calling one */

typedef struct hel_complex {
	double re, im;
} hel_complex;

/* --- parameters ---------------------------------------------------------- */

typedef struct hel_params_spec {
	uint8_t log_n;		  /* ring degree N = 2^log_n, 2^(log_n - 1) slots */
	uint8_t levels;		  /* rescalings a fresh ciphertext at the top allows */
	uint8_t primes_per_level; /* 1 (scale about 2^30) or 2 (about 2^58) */
	uint8_t scale_bits;	  /* wanted log2 of the scale: 25..30, or 50..60 with two primes */
	uint8_t alpha;		  /* primes in one key-switching digit */
	uint8_t special;	  /* special primes; alpha of them or more */
} hel_params_spec;

/** Checked parameters. Deterministic: equal specs give equal primes everywhere.
 *  @retval HEL_ESECURITY log2(QP) is above the 128-bit bound for N (eprint 2024/463, table 5.2).
 *  @retval HEL_EPARAMS   the spec is out of range or there are not enough primes. */
HEL_API HEL_CHECKED hel_status hel_params_new(hel_params **out, const hel_params_spec *spec);
/** The same without the security check, for tests only. */
HEL_API HEL_CHECKED hel_status hel_params_new_insecure_test(hel_params **out,
							    const hel_params_spec *spec);
HEL_API void hel_params_free(hel_params *params);

HEL_API hel_params_spec hel_params_get_spec(const hel_params *params);
HEL_API size_t hel_params_slots(const hel_params *params);
HEL_API double hel_params_scale(const hel_params *params, unsigned level);
/** Limbs of a ciphertext at a level. */
HEL_API size_t hel_params_limbs(const hel_params *params, unsigned level);
/** log2 of all primes together, special ones included. */
HEL_API double hel_params_log_qp(const hel_params *params);
/** The largest log2(QP) that is 128-bit secure at 2^log_n; 0 when unknown. */
HEL_API double hel_security_limit(unsigned log_n);

/* --- encoding --------------------------------------------------------------- */

typedef enum hel_pt_use {
	HEL_FOR_ADD, /* to encrypt or to add */
	HEL_FOR_MUL, /* to multiply a ciphertext with */
} hel_pt_use;

/** Encodes all slots at a level and at that level's scale. Cost: one FFT, limbs NTTs.
 *  Error per slot: rounding, about sqrt(N/12) / scale.
 *  @retval HEL_ERANGE a value is not finite or too large for the scale. */
HEL_API HEL_CHECKED hel_status hel_encode(hel_pt **out, const hel_params *params,
					  const hel_complex *slots, unsigned level, hel_pt_use use);
HEL_API void hel_pt_free(hel_pt *pt);

/* --- keys ------------------------------------------------------------------- */

/** A new random secret key (its whole content is a 32-byte seed). */
HEL_API HEL_CHECKED hel_status hel_secret_key_new(hel_secret_key **out, const hel_params *params);
/** Wipes and frees. */
HEL_API void hel_secret_key_free(hel_secret_key *key);

#define HEL_RELINEARISE 0u /* in place of a Galois element */

typedef struct hel_key_request {
	uint32_t galois; /* an odd Galois element, or HEL_RELINEARISE */
	uint32_t level;	 /* the highest level at which the key will be used */
} hel_key_request;

/** The Galois element that rotates left by `steps` (negative: right). */
HEL_API uint32_t hel_galois_of_rotation(const hel_params *params, long steps);
/** The Galois element of complex conjugation. */
HEL_API uint32_t hel_galois_of_conjugation(const hel_params *params);

/** Generates hybrid key-switching keys, each truncated to its level.
 *  Size of a key: digits * (limbs + special) * N residues; half of it travels as a seed. */
HEL_API HEL_CHECKED hel_status hel_keys_generate(hel_keys **out, const hel_secret_key *secret,
						 const hel_key_request *requests, size_t count,
						 hel_pool *pool);
HEL_API void hel_keys_free(hel_keys *keys);

/* --- ciphertexts --------------------------------------------------------------- */

HEL_API HEL_CHECKED hel_status hel_ct_new(hel_ct **out, const hel_params *params);
HEL_API void hel_ct_free(hel_ct *ct);
HEL_API unsigned hel_ct_level(const hel_ct *ct);
HEL_API double hel_ct_scale(const hel_ct *ct);

/** Symmetric encryption of a plaintext made with HEL_FOR_ADD; level and scale are the plaintext's.
 *  Error per slot: about 3.19 * sqrt(N) / scale. */
HEL_API HEL_CHECKED hel_status hel_encrypt(hel_ct *out, const hel_secret_key *secret,
					   const hel_pt *pt);
/** Decrypts and decodes all slots. Reacting visibly on the result breaks IND-CPA-D: SECURITY.md. */
HEL_API HEL_CHECKED hel_status hel_decrypt(hel_complex *slots, const hel_secret_key *secret,
					   const hel_ct *ct);

/* --- evaluation ------------------------------------------------------------------ */

/** Borrows params, keys (NULL for none) and pool. */
HEL_API HEL_CHECKED hel_status hel_eval_new(hel_eval **out, const hel_params *params,
					    const hel_keys *keys, hel_pool *pool);
HEL_API void hel_eval_free(hel_eval *ev);

/** out = a + b. Level and scale: those of a and b, which must be equal.
 *  @retval HEL_ELEVEL, HEL_ESCALE they differ. */
HEL_API HEL_CHECKED hel_status hel_eval_add(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					    const hel_ct *b);
HEL_API HEL_CHECKED hel_status hel_eval_sub(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					    const hel_ct *b);
/** out = a + p, p made with HEL_FOR_ADD at a's level. */
HEL_API HEL_CHECKED hel_status hel_eval_add_plain(const hel_eval *ev, hel_ct *out, const hel_ct *a,
						  const hel_pt *p);
/** out = a * p, p made with HEL_FOR_MUL at a's level. Scale: the product. Cost: two products. */
HEL_API HEL_CHECKED hel_status hel_eval_mul_plain(const hel_eval *ev, hel_ct *out, const hel_ct *a,
						  const hel_pt *p);
/** out = a * b, slot by slot, relinearised, not rescaled. Scale: the product.
 *  Cost: one key switch.
 *  @retval HEL_EKEY no relinearisation key at this level.
 *  @retval HEL_ELEVEL level 0 cannot hold a product. */
HEL_API HEL_CHECKED hel_status hel_eval_mul(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					    const hel_ct *b);
/** The same and rescaled, with one division and one rounding less. Level: -1.
 *  Cost: one key switch; about a sixth less than the two calls. */
HEL_API HEL_CHECKED hel_status hel_eval_mul_rescale(const hel_eval *ev, hel_ct *out,
						    const hel_ct *a, const hel_ct *b);
/** Divides by the level's primes. Level: -1. Scale: divided likewise.
 *  Error per slot: about N/6 / scale (standard deviation of the real part).
 *  @retval HEL_ELEVEL a is at level 0. */
HEL_API HEL_CHECKED hel_status hel_eval_rescale(const hel_eval *ev, hel_ct *out, const hel_ct *a);
/** Brings a to a lower level and exactly that level's scale. Cost and error: one rescale. */
HEL_API HEL_CHECKED hel_status hel_eval_drop(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					     unsigned level);
typedef struct hel_sum_term {
	const hel_ct *a;
	double factor;
} hel_sum_term;

/** out = constant + sum of factor * a, at `level` and a product's scale there: to be rescaled next.
 *  Terms stand at that level or above, at their level's scale, or are products at `level` (their
 *  factors must be integers). out is none of them. Scales differ between levels; factors absorb
 *  that exactly. Cost: two products by a number per term.
 *  Error per slot: that of rounding each factor, about |a| / scale.
 *  @retval HEL_ELEVEL level 0, or a term below `level`.
 *  @retval HEL_ESCALE a term that is neither. @retval HEL_ERANGE a factor beyond the modulus. */
HEL_API HEL_CHECKED hel_status hel_eval_weighted_sum(const hel_eval *ev, hel_ct *out,
						     unsigned level, const hel_sum_term *terms,
						     size_t count, double constant);
/** Rotates the slots left by `steps`. Cost: one key switch.
 *  @retval HEL_EKEY no key for this rotation at this level. */
HEL_API HEL_CHECKED hel_status hel_eval_rotate(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					       long steps);
HEL_API HEL_CHECKED hel_status hel_eval_conjugate(const hel_eval *ev, hel_ct *out, const hel_ct *a);
/** out[i] = a rotated by steps[i]: one decomposition for all (hoisting).
 *  out[i] must be distinct and none of them a. */
HEL_API HEL_CHECKED hel_status hel_eval_rotate_hoisted(const hel_eval *ev, hel_ct *const *out,
						       const hel_ct *a, const long *steps,
						       size_t count);
/** out = sum of a rotated by each of `steps`: one decomposition, one ModDown.
 *  A step of 0 stands for a itself. */
HEL_API HEL_CHECKED hel_status hel_eval_rotate_sum(const hel_eval *ev, hel_ct *out, const hel_ct *a,
						   const long *steps, size_t count);

/** The same of a product, and rescaled with one division. Level: -1. */
HEL_API HEL_CHECKED hel_status hel_eval_rotate_sum_rescale(const hel_eval *ev, hel_ct *out,
							   const hel_ct *a, const long *steps,
							   size_t count);

#ifdef __cplusplus
}
#endif
#endif
