/* The vocabulary of vector_kernels.h in WebAssembly's SIMD128: four residues a register. */
#ifndef HEL_WASM_VECTOR_H
#define HEL_WASM_VECTOR_H

#include "arith/arith.h"
#include <wasm_simd128.h>

#define LANES 4
#define WIDE_HALVES

typedef v128_t vec;

static inline vec load(const uint32_t *p)
{
	return wasm_v128_load(p);
}

static inline void store(uint32_t *p, vec v)
{
	wasm_v128_store(p, v);
}

static inline vec all(uint32_t v)
{
	return wasm_i32x4_splat((int32_t)v);
}

static inline vec all_wide(uint64_t v)
{
	return wasm_i64x2_splat((int64_t)v);
}

static inline vec plus(vec a, vec b)
{
	return wasm_i32x4_add(a, b);
}

static inline vec minus(vec a, vec b)
{
	return wasm_i32x4_sub(a, b);
}

static inline vec least(vec a, vec b)
{
	return wasm_u32x4_min(a, b);
}

static inline vec shift_right(vec v, uint32_t bits)
{
	return wasm_u32x4_shr(v, bits);
}

static inline vec mul_low(vec a, vec b)
{
	return wasm_i32x4_mul(a, b);
}

/* LLVM must not see that a factor is constant: it would widen it outside of the loop, and what is
 * left, i64x2.mul, is eight instructions in V8. */
static inline vec unknown(vec v)
{
	__asm__ volatile("" : "+r"(v));
	return v;
}

static inline vec mul_lower(vec a, vec b)
{
	return wasm_u64x2_extmul_low_u32x4(a, unknown(b));
}

static inline vec mul_upper(vec a, vec b)
{
	return wasm_u64x2_extmul_high_u32x4(a, unknown(b));
}

static inline vec plus_wide(vec a, vec b)
{
	return wasm_i64x2_add(a, b);
}

static inline vec high_words_of(vec lower, vec upper)
{
	return wasm_i32x4_shuffle(lower, upper, 1, 3, 5, 7);
}

static inline vec low_words_of(vec lower, vec upper)
{
	return wasm_i32x4_shuffle(lower, upper, 0, 2, 4, 6);
}

static inline __attribute__((always_inline)) void transpose(vec *u, vec *v, int t)
{
	const vec a = *u, b = *v;
	if (t == 2) {
		*u = wasm_i64x2_shuffle(a, b, 0, 2);
		*v = wasm_i64x2_shuffle(a, b, 1, 3);
	} else {
		*u = wasm_i32x4_shuffle(a, b, 0, 4, 2, 6);
		*v = wasm_i32x4_shuffle(a, b, 1, 5, 3, 7);
	}
}

static inline void interleave(vec *a, vec *b)
{
	const vec x = *a, y = *b;
	*a = wasm_i32x4_shuffle(x, y, 0, 4, 1, 5);
	*b = wasm_i32x4_shuffle(x, y, 2, 6, 3, 7);
}

static inline void deinterleave(vec *a, vec *b)
{
	const vec x = *a, y = *b;
	*a = wasm_i32x4_shuffle(x, y, 0, 2, 4, 6);
	*b = wasm_i32x4_shuffle(x, y, 1, 3, 5, 7);
}

static inline __attribute__((always_inline)) vec spread(const uint32_t *w, int t)
{
	if (t == 1)
		return load(w);
	const vec two = wasm_v128_load64_zero(w);
	return wasm_i32x4_shuffle(two, two, 0, 0, 1, 1);
}

/* v[lane[i] mod 4]: bytes, chosen by 4 * lane + 0, 1, 2, 3 */
static inline vec pick(vec v, const uint32_t *lane)
{
	const vec words = wasm_v128_and(load(lane), all(3));
	return wasm_i8x16_swizzle(v, plus(mul_low(words, all(0x04040404)), all(0x03020100)));
}

#endif
