/* fuzz.h -- what every fuzz target includes.
 *
 * Inputs are foreign bytes: a parser may refuse them, nothing else. Targets of
 * container formats get the body and seal it themselves, so that mutations are
 * not stopped by the checksum; they also try the bytes as they came.
 */
#ifndef HEL_FUZZ_H
#define HEL_FUZZ_H

#include "base/base.h"
#include <stdlib.h>
#include <string.h>

/* Mutations are kept below this; so is every file of the corpus. */
#define FUZZ_INPUT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for any input at all. */
#define fuzz_expect(condition)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not true: %s (%s)\n", __FILE__, __LINE__,          \
				#condition, hel_error_detail());                                   \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* A copy with nothing behind it, so that a sanitizer sees the first byte read too far. */
static inline uint8_t *fuzz_copy(const void *bytes, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	fuzz_expect(copy);
	if (size)
		memcpy(copy, bytes, size);
	return copy;
}

/* A container around `body`. */
static inline uint8_t *fuzz_seal(size_t *sealed, hel_kind kind, const void *body, size_t size)
{
	hel_writer w = {0};
	hel_container_begin(&w, kind);
	hel_write_bytes(&w, body, size);
	fuzz_expect(hel_container_end(&w) == HEL_OK);
	uint8_t *copy = fuzz_copy(w.bytes, w.size);
	*sealed = w.size;
	hel_writer_clear(&w);
	return copy;
}

#endif
