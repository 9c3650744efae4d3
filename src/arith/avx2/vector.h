/* The vocabulary of vector_kernels.h in AVX2: eight residues a register. */
#ifndef HEL_AVX2_VECTOR_H
#define HEL_AVX2_VECTOR_H

#include "arith/arith.h"
#include <immintrin.h>

#define LANES 8

typedef __m256i vec;

static inline vec load(const uint32_t *p)
{
	return _mm256_load_si256((const vec *)(const void *)p);
}

static inline void store(uint32_t *p, vec v)
{
	_mm256_store_si256((vec *)(void *)p, v);
}

static inline vec all(uint32_t v)
{
	return _mm256_set1_epi32((int)v);
}

/* One 64-bit number in every pair of lanes. */
static inline vec all_wide(uint64_t v)
{
	return _mm256_set1_epi64x((long long)v);
}

static inline vec plus(vec a, vec b)
{
	return _mm256_add_epi32(a, b);
}

static inline vec minus(vec a, vec b)
{
	return _mm256_sub_epi32(a, b);
}

static inline vec least(vec a, vec b)
{
	return _mm256_min_epu32(a, b);
}

static inline vec shift_right(vec v, int bits)
{
	return _mm256_srli_epi32(v, bits);
}

static inline vec mul_low(vec a, vec b)
{
	return _mm256_mullo_epi32(a, b);
}

/* 64-bit products of the even lanes. */
static inline vec mul_even(vec a, vec b)
{
	return _mm256_mul_epu32(a, b);
}

static inline vec plus_wide(vec a, vec b)
{
	return _mm256_add_epi64(a, b);
}

/* The odd lanes, in even places. */
static inline vec odd(vec v)
{
	return _mm256_shuffle_epi32(v, 0xF5);
}

/* The high words of 64-bit numbers that belong to even and to odd lanes, in their lanes. */
static inline vec high_words_of(vec even_wide, vec odd_wide)
{
	return _mm256_blend_epi32(odd(even_wide), odd_wide, 0xAA);
}

/* Swaps blocks of t lanes: u' = u0 v0 u2 v2 .., v' = u1 v1 u3 v3 .. Its own inverse. */
static inline __attribute__((always_inline)) void transpose(vec *u, vec *v, int t)
{
	const vec a = *u, b = *v;
	if (t == 4) {
		*u = _mm256_permute2x128_si256(a, b, 0x20);
		*v = _mm256_permute2x128_si256(a, b, 0x31);
	} else if (t == 2) {
		*u = _mm256_unpacklo_epi64(a, b);
		*v = _mm256_unpackhi_epi64(a, b);
	} else {
		*u = _mm256_blend_epi32(a, _mm256_slli_epi64(b, 32), 0xAA);
		*v = _mm256_blend_epi32(odd(a), b, 0xAA);
	}
}

/* (a0 a1 ..), (b0 b1 ..) to a0 b0 a1 b1 .. */
static inline void interleave(vec *a, vec *b)
{
	vec low = _mm256_unpacklo_epi32(*a, *b), high = _mm256_unpackhi_epi32(*a, *b);
	*a = _mm256_permute2x128_si256(low, high, 0x20);
	*b = _mm256_permute2x128_si256(low, high, 0x31);
}

/* and back */
static inline void deinterleave(vec *a, vec *b)
{
	vec low = _mm256_permute2x128_si256(*a, *b, 0x20);
	vec high = _mm256_permute2x128_si256(*a, *b, 0x31);
	__m256 l = _mm256_castsi256_ps(low), h = _mm256_castsi256_ps(high);
	*a = _mm256_castps_si256(_mm256_shuffle_ps(l, h, 0x88));
	*b = _mm256_castps_si256(_mm256_shuffle_ps(l, h, 0xDD));
}

/* w[0], w[1], ..: each for t lanes. */
static inline __attribute__((always_inline)) vec spread(const uint32_t *w, int t)
{
	if (t == 1)
		return load(w);
	if (t == 4)
		return _mm256_set_m128i(_mm_set1_epi32((int)w[1]), _mm_set1_epi32((int)w[0]));
	const vec four = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)w));
	return _mm256_permutevar8x32_epi32(four, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
}

static inline vec lanes_of(const hel_permutation *p, uint32_t entry)
{
	return _mm256_loadu_si256((const vec *)(const void *)p->lane[entry & 7]);
}

/* Lanes [at, at + LANES) of a vector, taken to where the automorphism wants them; added to what is
 * there when `add`. */
static inline void store_moved(uint32_t *r, size_t at, vec v, const hel_permutation *p, bool add,
			       vec q)
{
	const uint32_t s = p->scatter[at / 8];
	uint32_t *to = r + (s & ~7u);
	v = _mm256_permutevar8x32_epi32(v, lanes_of(p, s));
	if (add) {
		v = plus(v, load(to));
		v = least(v, minus(v, q));
	}
	store(to, v);
}

/* What the automorphism brings to lanes [at, at + LANES). */
static inline vec load_moved(const uint32_t *a, size_t at, const hel_permutation *p)
{
	const uint32_t s = p->block[at / 8];
	return _mm256_permutevar8x32_epi32(load(a + (s & ~7u)), lanes_of(p, s));
}

#endif
