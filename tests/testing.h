/* testing.h -- what every test includes. */
#ifndef HEL_TESTING_H
#define HEL_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include <cmocka.h>

#include "base/base.h"
#include <stdlib.h>
#include <string.h>

#define assert_ok(call)                                                                            \
	do {                                                                                       \
		hel_status status_ = (call);                                                       \
		if (status_ != HEL_OK)                                                             \
			fail_msg("%s: %s (%s)", #call, hel_status_text(status_),                   \
				 hel_error_detail());                                              \
	} while (0)
#define assert_status(expected, call) assert_int_equal(expected, call)

/** The test's seed: printed, and set by HELRM_TEST_SEED. */
static inline void test_prng(hel_prng *g, uint64_t stream)
{
	const char *text = getenv("HELRM_TEST_SEED");
	uint8_t seed[HEL_SEED_BYTES] = {0};
	uint64_t value = text ? strtoull(text, NULL, 0) : 1;
	memcpy(seed, &value, sizeof value);
	print_message("seed %llu\n", (unsigned long long)value);
	hel_prng_init(g, seed, stream);
}

#endif
