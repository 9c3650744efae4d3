/* All kernels, written once over a vocabulary of vectors (ISA/vector.h, documented in
 * avx2/vector.h; the tests have one in plain C). Included by one file per instruction set; gives
 * `KERNELS(name)`.
 *
 * A `wide` holds 64-bit numbers in two registers: of even and of odd lanes, or, where WIDE_HALVES
 * is defined, of the lower and of the upper half. Ranges stand at each function; asserts check them
 * in debug builds.
 */
#ifndef LANES
#error "include a vocabulary first"
#endif

/* each needs what stands before it */

#include "vector_modular.h"

#include "vector_forward.h"

#include "vector_inverse.h"

#include "vector_pointwise.h"

#include "vector_sums.h"

#include "vector_fft.h"

#define KERNELS(label)                                                                             \
	{                                                                                          \
		.name = label, .ntt_forward = ntt_forward, .ntt_inverse = ntt_inverse, .add = add, \
		.sub = sub, .mont_mul = mont_mul, .mont_mac = mont_mac, .to_mont = to_mont,        \
		.scale = scale, .scale_add = scale_add, .key_product = key_product,                \
		.tile_product = tile_product, .tensor = tensor, .raise = raise, .lower = lower,    \
		.quotient = quotient, .residues = residues, .fft_forward = fft_forward,            \
		.fft_inverse = fft_inverse, .permute = permute,                                    \
	}
