/* The vector kernels in plain C: over sixteen lanes, what AVX-512 computes, and over four, what
 * NEON and WebAssembly do; on any machine. */
#ifndef HEL_TESTS_EMULATED_H
#define HEL_TESTS_EMULATED_H

#include "arith/arith.h"

extern const hel_kernels hel_kernels_emulated, hel_kernels_emulated_quads;

#endif
