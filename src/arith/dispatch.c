#include "arith.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const hel_kernels *scalar(void)
{
	return &hel_kernels_scalar;
}

#ifdef HEL_HAVE_AVX2
static const hel_kernels *avx2(void)
{
	return __builtin_cpu_supports("avx2") ? &hel_kernels_avx2 : NULL;
}
#endif

#ifdef HEL_HAVE_AVX512
static const hel_kernels *avx512(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
		       __builtin_cpu_supports("avx512vl")
		   ? &hel_kernels_avx512
		   : NULL;
}
#endif

#ifdef HEL_HAVE_NEON
static const hel_kernels *neon(void)
{
	return &hel_kernels_neon; /* part of AArch64 */
}
#endif

#ifdef HEL_HAVE_WASM
static const hel_kernels *wasm(void)
{
	return &hel_kernels_wasm; /* a module with SIMD128 does not load without it */
}
#endif

/* Best first; each gives NULL where this CPU does not run it. */
static const struct backend {
	const char *name;
	const hel_kernels *(*get)(void);
} backends[] = {
#ifdef HEL_HAVE_AVX512
    {"avx512", avx512},
#endif
#ifdef HEL_HAVE_AVX2
    {"avx2", avx2},
#endif
#ifdef HEL_HAVE_NEON
    {"neon", neon},
#endif
#ifdef HEL_HAVE_WASM
    {"wasm", wasm},
#endif
    {"scalar", scalar},
};

const hel_kernels *hel_kernels_by_name(const char *name)
{
	for (size_t i = 0; i < HEL_ARRAY_LEN(backends); i++)
		if (strcmp(name, backends[i].name) == 0)
			return backends[i].get();
	return NULL;
}

static const hel_kernels *chosen;

static void choose(void)
{
	const char *wish = getenv("HELRM_BACKEND");
	if (wish && *wish) {
		chosen = hel_kernels_by_name(wish);
		if (!chosen)
			fprintf(stderr,
				"helrm: HELRM_BACKEND=%s is not available here; known: scalar, "
				"avx2, avx512, neon, wasm\n",
				wish);
	}
	for (size_t i = 0; !chosen; i++)
		chosen = backends[i].get();
}

const hel_kernels *hel_kernels_get(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, choose);
	return chosen;
}
