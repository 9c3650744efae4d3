/* fuzz_params.h -- tiny parameters whose keys and ciphertexts fit into a corpus file. */
#ifndef HEL_FUZZ_PARAMS_H
#define HEL_FUZZ_PARAMS_H

#include "ckks/ckks.h"
#include "fuzz.h"

enum { FUZZ_PARAMS = 3 };

/* Number i; made once, insecure. */
static inline const hel_params *fuzz_params(size_t i)
{
	static const hel_params_spec spec[FUZZ_PARAMS] = {
	    {.log_n = 4,
	     .levels = 2,
	     .primes_per_level = 1,
	     .scale_bits = 28,
	     .alpha = 1,
	     .special = 1},
	    {.log_n = 5,
	     .levels = 1,
	     .primes_per_level = 2,
	     .scale_bits = 56,
	     .alpha = 2,
	     .special = 2},
	    {.log_n = 6,
	     .levels = 0,
	     .primes_per_level = 1,
	     .scale_bits = 25,
	     .alpha = 2,
	     .special = 3},
	};
	static hel_params *params[FUZZ_PARAMS];
	if (!params[i])
		fuzz_expect(hel_params_new_insecure_test(&params[i], &spec[i]) == HEL_OK);
	return params[i];
}

#endif
