/* raise.h -- from level 0 back to the top: the first half of a refresh (docs/cryptography.md,
 * section 8). Outputs may be inputs. */
#ifndef HEL_CKKS_RAISE_H
#define HEL_CKKS_RAISE_H

#include "objects.h"

/** A ciphertext of level 0 (one prime, q_0) under the ephemeral sparse secret: (32).
 *  Error: (33). Cost: one prime and those of the capsule.
 *  @retval HEL_ELEVEL it is at another level. @retval HEL_EKEY no key HEL_ENCAPSULATE. */
HEL_CHECKED hel_status hel_encapsulate(const hel_eval *ev, hel_ct *out, const hel_ct *a);
/** The same residues modulo q_0, centred and multiplied by `constant` < 2^24, modulo all primes of
 *  `level`: constant times what decryption yields over the integers, q_0 I included (34). Scale:
 *  times the constant. Error: none. Cost: 2 L NTTs.
 *  @retval HEL_ELEVEL a is not at level 0, or there is no such level. */
HEL_CHECKED hel_status hel_lift(const hel_eval *ev, hel_ct *out, const hel_ct *a, unsigned level,
				uint32_t constant);
/** Back under the secret key, at any level. Error: (27). Cost: one key switch.
 *  @retval HEL_EKEY no key HEL_DECAPSULATE at this level. */
HEL_CHECKED hel_status hel_decapsulate(const hel_eval *ev, hel_ct *out, const hel_ct *a);

#endif
