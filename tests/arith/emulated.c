#define LANES 16
#include "emulated_vector.h"
/* the vocabulary comes first */
#include "arith/vector_kernels.h"

const hel_kernels hel_kernels_emulated = KERNELS("emulated");
