#include "arith/wasm/vector.h"
/* the vocabulary comes first */
#include "arith/vector_kernels.h"

const hel_kernels hel_kernels_wasm = KERNELS("wasm");
