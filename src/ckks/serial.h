/* serial.h -- ciphertexts and residues as bytes. */
#ifndef HEL_CKKS_SERIAL_H
#define HEL_CKKS_SERIAL_H

#include "objects.h"

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
