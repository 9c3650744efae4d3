#include "arith/avx2/vector.h"
/* the vocabulary comes first */
#include "arith/vector_kernels.h"

const hel_kernels hel_kernels_avx2 = KERNELS("avx2");
