/* raise.h -- from level 0 back to the top: the first half of a refresh (docs/cryptography.md,
 * section 8). Outputs may be inputs. */
#ifndef HEL_CKKS_RAISE_H
#define HEL_CKKS_RAISE_H

#include "objects.h"

/** A ciphertext of level 0 (one prime, q_0) under the ephemeral sparse secret: (32).
 *  Error: (33). Cost: one prime and those of the capsule.
 *  @retval HEL_ELEVEL it is at another level. @retval HEL_EKEY no key HEL_ENCAPSULATE. */
HEL_CHECKED hel_status hel_encapsulate(const hel_eval *ev, hel_ct *out, const hel_ct *a);
/** The residues modulo q_0 of an encapsulated ciphertext, centred and multiplied by `constant` <
 * 2^24: what decryption yields over the integers, q_0 I included (34), under the secret key at
 * `level`. Scale: times the constant. Error: rounding, (26). Cost: 3 L NTTs, one product with a key
 * of one digit, one ModDown.
 *  @retval HEL_ELEVEL a is not at level 0, or there is no such level.
 *  @retval HEL_EKEY no key HEL_DECAPSULATE at this level. */
HEL_CHECKED hel_status hel_raise(const hel_eval *ev, hel_ct *out, const hel_ct *a, unsigned level,
				 uint32_t constant);
/** The same before its ModDown: an extended pair. */
HEL_CHECKED hel_status hel_raise_extended(const hel_eval *ev, uint32_t *acc, const hel_ct *a,
					  unsigned level, uint32_t constant);

#endif
