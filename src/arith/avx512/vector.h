/* The vocabulary of vector_kernels.h in AVX-512 (F, DQ, VL): sixteen residues a register. */
#ifndef HEL_AVX512_VECTOR_H
#define HEL_AVX512_VECTOR_H

#include "arith/arith.h"
#include <immintrin.h>

#define LANES 16

typedef __m512i vec;

static inline vec load(const uint32_t *p)
{
	return _mm512_load_si512(p);
}

static inline void store(uint32_t *p, vec v)
{
	_mm512_store_si512(p, v);
}

static inline vec all(uint32_t v)
{
	return _mm512_set1_epi32((int)v);
}

static inline vec all_wide(uint64_t v)
{
	return _mm512_set1_epi64((long long)v);
}

static inline vec plus(vec a, vec b)
{
	return _mm512_add_epi32(a, b);
}

static inline vec minus(vec a, vec b)
{
	return _mm512_sub_epi32(a, b);
}

static inline vec least(vec a, vec b)
{
	return _mm512_min_epu32(a, b);
}

static inline vec shift_right(vec v, unsigned bits)
{
	return _mm512_srli_epi32(v, bits);
}

static inline vec mul_low(vec a, vec b)
{
	return _mm512_mullo_epi32(a, b);
}

static inline vec mul_even(vec a, vec b)
{
	return _mm512_mul_epu32(a, b);
}

static inline vec plus_wide(vec a, vec b)
{
	return _mm512_add_epi64(a, b);
}

static inline vec odd(vec v)
{
	return _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0xF5);
}

static inline vec high_words_of(vec even_wide, vec odd_wide)
{
	return _mm512_mask_shuffle_epi32(odd_wide, 0x5555, even_wide, (_MM_PERM_ENUM)0xF5);
}

static inline __attribute__((always_inline)) void transpose(vec *u, vec *v, int t)
{
	const vec a = *u, b = *v;
	if (t == 8) {
		*u = _mm512_shuffle_i64x2(a, b, 0x44);
		*v = _mm512_shuffle_i64x2(a, b, 0xEE);
	} else if (t == 4) {
		*u = _mm512_permutex2var_epi64(a, _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), b);
		*v = _mm512_permutex2var_epi64(a, _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15), b);
	} else if (t == 2) {
		*u = _mm512_unpacklo_epi64(a, b);
		*v = _mm512_unpackhi_epi64(a, b);
	} else {
		*u = _mm512_mask_shuffle_epi32(a, 0xAAAA, b, (_MM_PERM_ENUM)0xA0);
		*v = _mm512_mask_shuffle_epi32(b, 0x5555, a, (_MM_PERM_ENUM)0xF5);
	}
}

static inline void interleave(vec *a, vec *b)
{
	const vec low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
	const vec x = *a, y = *b;
	*a = _mm512_permutex2var_epi32(x, low, y);
	*b = _mm512_permutex2var_epi32(x, plus(low, all(8)), y);
}

static inline void deinterleave(vec *a, vec *b)
{
	const vec even =
	    _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
	const vec x = *a, y = *b;
	*a = _mm512_permutex2var_epi32(x, even, y);
	*b = _mm512_permutex2var_epi32(x, plus(even, all(1)), y);
}

static inline __attribute__((always_inline)) vec spread(const uint32_t *w, int t)
{
	if (t == 1)
		return load(w);
	if (t == 2)
		return _mm512_permutexvar_epi32(
		    _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7),
		    _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)w)));
	if (t == 4)
		return _mm512_permutexvar_epi32(
		    _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3),
		    _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(const void *)w)));
	return _mm512_mask_set1_epi32(all(w[0]), 0xFF00, (int)w[1]);
}

static inline __m256i half_moved(__m256i v, const hel_permutation *p, uint32_t entry)
{
	return _mm256_permutevar8x32_epi32(
	    v, _mm256_loadu_si256((const __m256i *)(const void *)p->lane[entry & 7]));
}

static inline void store_moved(uint32_t *r, size_t at, vec v, const hel_permutation *p, bool add,
			       vec q)
{
	const __m256i half[2] = {_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1)};
	for (size_t i = 0; i < 2; i++) {
		const uint32_t s = p->scatter[at / 8 + i];
		__m256i *to = (__m256i *)(void *)(r + (s & ~7u)), w = half_moved(half[i], p, s);
		if (add) {
			w = _mm256_add_epi32(w, _mm256_load_si256(to));
			w = _mm256_min_epu32(w, _mm256_sub_epi32(w, _mm512_castsi512_si256(q)));
		}
		_mm256_store_si256(to, w);
	}
}

static inline vec load_moved(const uint32_t *a, size_t at, const hel_permutation *p)
{
	__m256i half[2];
	for (size_t i = 0; i < 2; i++) {
		const uint32_t s = p->block[at / 8 + i];
		half[i] = half_moved(
		    _mm256_load_si256((const __m256i *)(const void *)(a + (s & ~7u))), p, s);
	}
	return _mm512_inserti64x4(_mm512_castsi256_si512(half[0]), half[1], 1);
}

#endif
