#include "arith/avx512/vector.h"
/* the vocabulary comes first */
#include "arith/vector_kernels.h"

const hel_kernels hel_kernels_avx512 = KERNELS("avx512");
