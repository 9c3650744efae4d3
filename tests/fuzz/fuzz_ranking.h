/* fuzz_ranking.h -- two clients of rankings, tiny and insecure: one whose items are a matrix, one
 * of batches. */
#ifndef HEL_FUZZ_RANKING_H
#define HEL_FUZZ_RANKING_H

#include "ckks/secret.h"
#include "fuzz.h"
#include "net/client/client_inside.h"

#define FUZZ_RANKING_N 128

/** Number 0 or 1; made once. */
static inline const hel_client *fuzz_ranking_client(size_t i)
{
	static const uint8_t seed[HEL_SEED_BYTES] = {7};
	static hel_client client[2];
	static hel_manifest manifest[2];
	for (size_t k = 0; !client[i].params && k < 2; k++) {
		manifest[k] =
		    (hel_manifest){.model = (char[]){"films"},
				   .params = {.log_n = 7,
					      .levels = 1,
					      .primes_per_level = 1,
					      .scale_bits = 28,
					      .base = 1,
					      .alpha = 1,
					      .special = 1},
				   .log_batch = k ? 2 : 0,
				   .samples = 64,
				   .bound = 8,
				   .bits = 12,
				   .bits_contributed = 12,
				   .bits_model = 12,
				   .unit = 1,
				   .spread = 1,
				   .largest = 4,
				   .items = {.any = true, .batched = k, .width = k ? 1 : 0}};
		client[k].manifest = &manifest[k];
		fuzz_expect(hel_random_init() == HEL_OK);
		fuzz_expect(hel_params_new_insecure_test(&client[k].params, &manifest[k].params) ==
			    HEL_OK);
		fuzz_expect(hel_secret_key_from_seed(&client[k].secret, client[k].params, seed) ==
			    HEL_OK);
	}
	return &client[i];
}

#endif
