/* secret_key.h -- the secret key's content: for secret.c, keygen.c and decrypt.c, the files that no
 * server links. No branch and no memory index in them depends on it (tests/ckks/
 * test_constant_time.c).
 */
#ifndef HEL_CKKS_SECRET_KEY_H
#define HEL_CKKS_SECRET_KEY_H

#include "secret.h"

struct hel_secret_key {
	const hel_params *params;
	uint8_t seed[HEL_SEED_BYTES];
	uint8_t client[HEL_CLIENT_ID_BYTES];
	uint32_t *s; /* all primes, NTT, Montgomery form */
};

/** The ephemeral sparse secret of a refresh: N coefficients, HEL_SPARSE_WEIGHT of them 1 or -1. It
 *  follows from the key and is made only where a key of a refresh is. The caller wipes it. */
HEL_CHECKED hel_status hel_secret_sparse(int8_t *out, const hel_secret_key *key);

#endif
