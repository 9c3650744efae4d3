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
#include <math.h>
#include <stdio.h>
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

/* Comparisons of numbers of any type; both are printed when they fail. */
#define assert_less(a, b) assert_compared(a, <, b)
#define assert_at_most(a, b) assert_compared(a, <=, b)
#define assert_more(a, b) assert_compared(a, >, b)
#define assert_at_least(a, b) assert_compared(a, >=, b)
#define assert_equal(a, b) assert_compared(a, ==, b)
#define assert_unequal(a, b) assert_compared(a, !=, b)

/** |a - b| < most. */
#define assert_within(a, b, most)                                                                  \
	do {                                                                                       \
		const double a_ = (double)(a), b_ = (double)(b), most_ = (double)(most);           \
		if (!(fabs(a_ - b_) < most_))                                                      \
			fail_msg("|%s - %s| < %s: %.17g and %.17g differ by %g, not by less than " \
				 "%g",                                                             \
				 #a, #b, #most, a_, b_, fabs(a_ - b_), most_);                     \
	} while (0)

/* The comparison that is never made has the compiler's warnings about signs; those of copies
 * would be about literals, too. "+ 0" makes a number of a bit field. */
#define assert_compared(a, op, b)                                                                  \
	do {                                                                                       \
		if (0)                                                                             \
			(void)((a)op(b));                                                          \
		_Pragma("GCC diagnostic push");                                                    \
		_Pragma("GCC diagnostic ignored \"-Wsign-compare\"");                              \
		__auto_type a_ = (a) + 0;                                                          \
		__auto_type b_ = (b) + 0;                                                          \
		const bool holds_ = a_ op b_;                                                      \
		_Pragma("GCC diagnostic pop");                                                     \
		if (!holds_) {                                                                     \
			char a_text_[32], b_text_[32];                                             \
			print_value(a_)(a_text_, &a_);                                             \
			print_value(b_)(b_text_, &b_);                                             \
			fail_msg("%s: %s and %s", #a " " #op " " #b, a_text_, b_text_);            \
		}                                                                                  \
	} while (0)

#define VALUE_TYPES(X)                                                                             \
	X(int, int, "%d")                                                                          \
	X(unsigned, unsigned, "%u")                                                                \
	X(long, long, "%ld")                                                                       \
	X(ulong, unsigned long, "%lu")                                                             \
	X(llong, long long, "%lld")                                                                \
	X(ullong, unsigned long long, "%llu")                                                      \
	X(float, float, "%.9g")                                                                    \
	X(double, double, "%.17g")                                                                 \
	X(pointer, void *, "%p")
#define PRINT_VALUE_OF(name, type, format)                                                         \
	static inline void print_##name(char *text, const void *value)                             \
	{                                                                                          \
		snprintf(text, 32, format, *(type const *)value);                                  \
	}
VALUE_TYPES(PRINT_VALUE_OF)
/* clang-format off */
#define PRINT_CASE(name, type, format) type: print_##name,
/* clang-format on */
#define print_value(v) _Generic((v), VALUE_TYPES(PRINT_CASE) default : print_pointer)

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
