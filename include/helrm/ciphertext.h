/** @file ciphertext.h
 *  Ciphertexts: made, encrypted into, decrypted, saved. ckks.h explains words.
 */
#ifndef HELRM_CIPHERTEXT_H
#define HELRM_CIPHERTEXT_H

#include <helrm/keys.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hel_ct hel_ct; /**< ciphertext; knows its level and scale */

/** @name Ciphertexts
 *  @{ */

/** A ciphertext to write results into, with room for the top level.
 *  - Shape: two polynomials of L limbs: 8 L N bytes.
 *  - Level, scale: 0, until something is written.
 *  - Cost: an allocation.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_ct_new(hel_ct **out, const hel_params *params);
/** Frees. */
HEL_API void hel_ct_free(hel_ct *ct);
/** The level: how often it can still be rescaled. */
HEL_API unsigned hel_ct_level(const hel_ct *ct);
/** The scale: its level's, or a product's. */
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

/** @} */

/** @name Bytes
 *  Ciphertexts as files: little-endian, bit-packed, versioned, with a checksum that finds damage
 * (not malice). Every load may be given foreign bytes. Free what a save returns with
 * hel_bytes_free().
 *  @{ */

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

/** @} */

#ifdef __cplusplus
}
#endif
#endif
