/* secret.h -- everything that touches the secret key: for those who link hel_ckks_secret, never a
 * server. */
#ifndef HEL_CKKS_SECRET_H
#define HEL_CKKS_SECRET_H

#include "keys.h"

HEL_CHECKED hel_status hel_secret_key_from_seed(hel_secret_key **out, const hel_params *p,
						const uint8_t seed[HEL_SEED_BYTES]);
const uint8_t *hel_secret_key_seed(const hel_secret_key *key);
/** A public name of the key: the keyed hash of nothing under the seed. */
const uint8_t *hel_secret_key_client(const hel_secret_key *key);
/** Another public name, for one server and one set of keys: whoever does not know the seed cannot
 *  tell that two names are of one key. */
void hel_secret_key_alias(uint8_t out[HEL_CLIENT_ID_BYTES], const hel_secret_key *key,
			  const char *server, const uint8_t nonce[HEL_SEED_BYTES]);
/** A whole file of keys, made row by row: the same bytes as hel_keys_stream, for those who cannot
 *  wait inside a call. The secret key outlives it. */
typedef struct hel_keys_source hel_keys_source; /* helrm/access.h shows it to clients */
HEL_CHECKED hel_status hel_keys_source_new(hel_keys_source **out, const hel_secret_key *secret,
					   const uint8_t client[HEL_CLIENT_ID_BYTES],
					   const uint8_t nonce[HEL_SEED_BYTES],
					   const hel_key_request *requests, size_t count);
/** The next bytes, borrowed until the next call; *size is 0 at the end. */
HEL_CHECKED hel_status hel_keys_source_next(const uint8_t **bytes, size_t *size,
					    hel_keys_source *source);
void hel_keys_source_free(hel_keys_source *source);
/** Generates a whole file of keys row by row into `put`; memory: a few polynomials. `client`:
 * the name in its head. Deterministic: equal secrets, nonces and requests give equal bytes, so that
 * an upload can be resumed. A nonce must never serve two key sets of one secret; other requests
 * under it give unrelated randomness.
 */
HEL_CHECKED hel_status hel_keys_stream(const hel_secret_key *secret,
				       const uint8_t client[HEL_CLIENT_ID_BYTES],
				       const uint8_t nonce[HEL_SEED_BYTES],
				       const hel_key_request *requests, size_t count, hel_put put,
				       void *arg);
/** Encrypts so that the second half is the expansion of `seed`, which is drawn here. */
HEL_CHECKED hel_status hel_encrypt_seeded(hel_ct *out, uint8_t seed[HEL_SEED_BYTES],
					  const hel_secret_key *key, const hel_pt *pt);
/** The first `count` coefficients of the message, divided by the scale. */
HEL_CHECKED hel_status hel_decrypt_coefficients(double *out, size_t count,
						const hel_secret_key *key, const hel_ct *ct);
/** A whole file at the end of what `w` holds. */
HEL_CHECKED hel_status hel_secret_key_store(hel_writer *w, const hel_secret_key *key);

#endif
