/* The vector kernels over sixteen lanes in plain C: what AVX-512 computes, on any machine. */
#ifndef HEL_TESTS_EMULATED_H
#define HEL_TESTS_EMULATED_H

#include "arith/arith.h"

extern const hel_kernels hel_kernels_emulated;

#endif
