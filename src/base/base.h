/* base.h -- what every module stands on: status, memory, bytes, files,
 * randomness, threads, progress. Depends on nothing of ours.
 */
#ifndef HEL_BASE_H
#define HEL_BASE_H

#ifdef __FAST_MATH__
#error "helrm needs exact IEEE arithmetic: compile it without -ffast-math and -Ofast"
#endif
#if (__SIZEOF_POINTER__ < 8 && !defined(__wasm32__)) || !defined(__SIZEOF_INT128__)
#error                                                                                             \
    "helrm needs a 64-bit target: sizes and products of residues take 64 and 128 bits; a client also runs in 32-bit WebAssembly"
#endif

#include "base/bytes.h"
#include "base/container.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/text.h"
#include "base/threads.h"
#include <helrm/version.h>
#include <stdio.h>

#define HEL_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define HEL_MIN(a, b) ((a) < (b) ? (a) : (b))
#define HEL_MAX(a, b) ((a) > (b) ? (a) : (b))

/** How many bits number `count` things. */
static inline unsigned hel_log2_ceil(size_t count)
{
	unsigned bits = 0;
	while ((size_t)1 << bits < count)
		bits++;
	return bits;
}

__extension__ typedef unsigned __int128 u128;

/* --- groups of features ------------------------------------------------------ */

#define HEL_NO_GROUP UINT32_MAX
#define HEL_COSINE (UINT32_MAX - 1) /* of no group; the next feature is the same angle's sine */

#endif
