/** @file secret.h
 *  The secret: 32 bytes, the only thing that decrypts.
 */
#ifndef HELRM_SECRET_H
#define HELRM_SECRET_H

#include <helrm/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HEL_SECRET_BYTES 32 /**< Of a secret. */

/** Draws a new one from the operating system.
 *  @retval HEL_EIO the system gives no randomness. */
HEL_API HEL_CHECKED hel_status hel_secret_new(uint8_t secret[HEL_SECRET_BYTES]);
/** As a file to keep: encrypted under a passphrase (Argon2id with 64 MB, XChaCha20-Poly1305),
 *  or in the clear when it is NULL.
 *  - Cost: about 0.2 s and 64 MB.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_secret_seal(uint8_t **file, size_t *size,
					       const uint8_t secret[HEL_SECRET_BYTES],
					       const char *passphrase);
/** The secret back from such a file.
 *  - Cost: that of sealing.
 *  @retval HEL_EDENIED the passphrase is wrong, or one is needed.
 *  @retval HEL_EFORMAT, HEL_EHASH the file is none, or damaged. */
HEL_API HEL_CHECKED hel_status hel_secret_unseal(uint8_t secret[HEL_SECRET_BYTES], const void *file,
						 size_t size, const char *passphrase);
/** Does that file need a passphrase?
 *  False for what is no such file. */
HEL_API bool hel_secret_is_sealed(const void *file, size_t size);

#ifdef __cplusplus
}
#endif
#endif
