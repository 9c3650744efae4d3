#include "arith.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

const hel_kernels *hel_kernels_by_name(const char *name)
{
	if (strcmp(name, "scalar") == 0)
		return &hel_kernels_scalar;
#ifdef HEL_HAVE_AVX2
	if (strcmp(name, "avx2") == 0 && __builtin_cpu_supports("avx2"))
		return &hel_kernels_avx2;
#endif
	return NULL;
}

static const hel_kernels *chosen;

static void choose(void)
{
	const char *wish = getenv("HELRM_BACKEND");
	if (wish && *wish)
		chosen = hel_kernels_by_name(wish);
	if (wish && *wish && !chosen)
		fprintf(stderr,
			"helrm: HELRM_BACKEND=%s is not available here; known: scalar, avx2\n",
			wish);
	if (!chosen)
		chosen = hel_kernels_by_name("avx2");
	if (!chosen)
		chosen = &hel_kernels_scalar;
}

const hel_kernels *hel_kernels_get(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, choose);
	return chosen;
}
