#define LANES 4
#define WIDE_HALVES
#include "emulated_vector.h"
/* the vocabulary comes first */
#include "arith/vector_kernels.h"

const hel_kernels hel_kernels_emulated_quads = KERNELS("emulated quads");
