/** @file keys.h
 *  Secret, public and evaluation keys. ckks.h explains words.
 */
#ifndef HELRM_KEYS_H
#define HELRM_KEYS_H

#include <helrm/params.h>
#include <helrm/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hel_secret_key hel_secret_key; /**< the client's secret */
typedef struct hel_public_key hel_public_key; /**< to encrypt with, not to decrypt */
typedef struct hel_keys hel_keys;	      /**< evaluation keys: public */

/** @name Keys
 *  @{ */

/** A new random secret key, uniform ternary (its whole content is a 32-byte seed).
 *  - Cost: one NTT for each prime.
 *  - Source: section 3 of docs/cryptography.md.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_secret_key_new(hel_secret_key **out, const hel_params *params);
/** Wipes and frees.
 *  - Cost: one pass. */
HEL_API void hel_secret_key_free(hel_secret_key *key);

/** A key to encrypt with, for parties that may contribute inputs but read nothing.
 *  - Shape: two polynomials of L + k limbs at `level`, the highest at which it encrypts.
 *  - Cost: one NTT and one product for each limb.
 *  - Source: (6).
 *  @retval HEL_ELEVEL there is no such level. */
HEL_API HEL_CHECKED hel_status hel_public_key_new(hel_public_key **out,
						  const hel_secret_key *secret, unsigned level);
/** Frees. */
HEL_API void hel_public_key_free(hel_public_key *key);

/** Takes the place of a Galois element in a request for the relinearisation key. */
#define HEL_RELINEARISE 0u
/** The same for the two keys of a refresh (refresh.h), which lead from the secret key to an
 * ephemeral sparse one, at level 0 only, and back again. */
#define HEL_ENCAPSULATE 2u
#define HEL_DECAPSULATE 4u /**< see HEL_ENCAPSULATE */

/** An evaluation key to generate. */
typedef struct hel_key_request {
	uint32_t galois; /**< an odd Galois element below 2 N, or HEL_RELINEARISE ... */
	uint32_t level;	 /**< the highest level at which the key will be used */
} hel_key_request;

/** The Galois element that rotates left by `steps` (negative: right): 5^steps mod 2 N.
 *  - Source: (18). */
HEL_API uint32_t hel_galois_of_rotation(const hel_params *params, long steps);
/** The Galois element of complex conjugation: 2 N - 1.
 *  - Source: (18). */
HEL_API uint32_t hel_galois_of_conjugation(const hel_params *params);

/** Generates hybrid key-switching keys, each truncated to its level.
 *  - Shape of a key: 2 d (L + k) N residues; on the wire half of it is a seed.
 *  - Cost of a key: d (L + k) NTTs; keys run in parallel.
 *  - Source: (15); (32) for the keys of a refresh.
 *  @retval HEL_ELIMIT more than 4096 keys.
 *  @retval HEL_ELEVEL a level that does not exist, or HEL_ENCAPSULATE above level 0.
 *  @retval HEL_ESECURITY HEL_ENCAPSULATE below N = 2^15 or with more than one prime at level 0.
 *  @retval HEL_EINVAL a Galois element is even, too large or there twice. */
HEL_API HEL_CHECKED hel_status hel_keys_generate(hel_keys **out, const hel_secret_key *secret,
						 const hel_key_request *requests, size_t count,
						 hel_pool *pool);
/** Frees. */
HEL_API void hel_keys_free(hel_keys *keys);

/** @} */

/** @name Bytes
 *  Keys as files: little-endian, bit-packed, versioned, with a checksum that finds damage (not
 *  malice). Every load may be given foreign bytes. Free what a save returns with hel_bytes_free();
 *  only secret keys must be kept secret.
 *  @{ */

/** The secret key as 112 bytes: show them to nobody.
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

/** @} */

#ifdef __cplusplus
}
#endif
#endif
