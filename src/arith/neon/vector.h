/* The vocabulary of vector_kernels.h in NEON (AArch64): four residues a register. */
#ifndef HEL_NEON_VECTOR_H
#define HEL_NEON_VECTOR_H

#include "arith/arith.h"
#include <arm_neon.h>

#define LANES 4
#define WIDE_HALVES

typedef uint32x4_t vec;

static inline vec load(const uint32_t *p)
{
	return vld1q_u32(p);
}

static inline void store(uint32_t *p, vec v)
{
	vst1q_u32(p, v);
}

static inline vec all(uint32_t v)
{
	return vdupq_n_u32(v);
}

static inline vec all_wide(uint64_t v)
{
	return vreinterpretq_u32_u64(vdupq_n_u64(v));
}

static inline vec plus(vec a, vec b)
{
	return vaddq_u32(a, b);
}

static inline vec minus(vec a, vec b)
{
	return vsubq_u32(a, b);
}

static inline vec least(vec a, vec b)
{
	return vminq_u32(a, b);
}

static inline vec shift_right(vec v, int bits)
{
	return vshlq_u32(v, vdupq_n_s32(-bits));
}

static inline vec mul_low(vec a, vec b)
{
	return vmulq_u32(a, b);
}

static inline vec mul_lower(vec a, vec b)
{
	return vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a), vget_low_u32(b)));
}

static inline vec mul_upper(vec a, vec b)
{
	return vreinterpretq_u32_u64(vmull_high_u32(a, b));
}

static inline vec plus_wide(vec a, vec b)
{
	return vreinterpretq_u32_u64(vaddq_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b)));
}

static inline vec high_words_of(vec lower, vec upper)
{
	return vuzp2q_u32(lower, upper);
}

static inline vec low_words_of(vec lower, vec upper)
{
	return vuzp1q_u32(lower, upper);
}

static inline __attribute__((always_inline)) void transpose(vec *u, vec *v, int t)
{
	const vec a = *u, b = *v;
	if (t == 2) {
		*u = vcombine_u32(vget_low_u32(a), vget_low_u32(b));
		*v = vcombine_u32(vget_high_u32(a), vget_high_u32(b));
	} else {
		*u = vtrn1q_u32(a, b);
		*v = vtrn2q_u32(a, b);
	}
}

static inline void interleave(vec *a, vec *b)
{
	const vec x = *a, y = *b;
	*a = vzip1q_u32(x, y);
	*b = vzip2q_u32(x, y);
}

static inline void deinterleave(vec *a, vec *b)
{
	const vec x = *a, y = *b;
	*a = vuzp1q_u32(x, y);
	*b = vuzp2q_u32(x, y);
}

static inline __attribute__((always_inline)) vec spread(const uint32_t *w, int t)
{
	if (t == 1)
		return load(w);
	return vcombine_u32(vdup_n_u32(w[0]), vdup_n_u32(w[1]));
}

/* v[lane[i] mod 4]: a table of bytes, indexed by 4 * lane + 0, 1, 2, 3 */
static inline vec pick(vec v, const uint32_t *lane)
{
	const vec words = vandq_u32(load(lane), all(3));
	const vec bytes = vmlaq_u32(all(0x03020100), words, all(0x04040404));
	return vreinterpretq_u32_u8(
	    vqtbl1q_u8(vreinterpretq_u8_u32(v), vreinterpretq_u8_u32(bytes)));
}

#endif
