/* small_keys.h -- what a client with two small keys uploads, without a model or a server. */
#ifndef HEL_TEST_SMALL_KEYS_H
#define HEL_TEST_SMALL_KEYS_H

#include "../testing_dir.h"
#include "ckks/ckks.h"
#include "ckks/files.h"
#include "ckks/keys.h"

#define KEYS 2

static hel_params *params;
static const hel_key_request request[KEYS] = {{5, 1}, {25, 0}};
static hel_writer upload; /* what a client with these keys sends */

static void small_keys_make(void)
{
	hel_secret_key *secret;
	hel_keys *keys;
	const hel_params_spec spec = {.log_n = 12,
				      .levels = 1,
				      .primes_per_level = 1,
				      .scale_bits = 28,
				      .alpha = 1,
				      .special = 1,
				      .base = 1};
	assert_ok(hel_params_new(&params, &spec));
	assert_ok(hel_secret_key_new(&secret, params));
	assert_ok(hel_keys_generate(&keys, secret, request, KEYS, NULL));
	assert_ok(hel_keys_store(&upload, keys));
	hel_keys_free(keys);
	hel_secret_key_free(secret);
}

static void small_keys_clear(void)
{
	hel_writer_clear(&upload);
	hel_params_free(params);
}

#endif
