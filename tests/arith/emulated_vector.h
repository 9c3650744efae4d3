/* The vocabulary of vector_kernels.h in plain C, for any number of LANES, with or without
 * WIDE_HALVES. */
#include "emulated.h"
#include <string.h>

typedef struct vec {
	uint32_t at[LANES];
} vec;

#define EACH(expression)                                                                           \
	vec r;                                                                                     \
	for (int i = 0; i < LANES; i++)                                                            \
		r.at[i] = (uint32_t)(expression);                                                  \
	return r

#define EACH_WIDE(expression)                                                                      \
	vec r;                                                                                     \
	for (int i = 0; i < LANES; i += 2) {                                                       \
		uint64_t wide_ = (expression);                                                     \
		r.at[i] = (uint32_t)wide_;                                                         \
		r.at[i + 1] = (uint32_t)(wide_ >> 32);                                             \
	}                                                                                          \
	return r

static inline vec load(const uint32_t *p)
{
	EACH(p[i]);
}

static inline void store(uint32_t *p, vec v)
{
	memcpy(p, v.at, sizeof v.at);
}

static inline vec all(uint32_t v)
{
	EACH(v);
}

static inline vec all_wide(uint64_t v)
{
	EACH_WIDE(v);
}

static inline vec plus(vec a, vec b)
{
	EACH(a.at[i] + b.at[i]);
}

static inline vec minus(vec a, vec b)
{
	EACH(a.at[i] - b.at[i]);
}

static inline vec least(vec a, vec b)
{
	EACH(HEL_MIN(a.at[i], b.at[i]));
}

static inline vec shift_right(vec v, int bits)
{
	EACH(v.at[i] >> bits);
}

static inline vec mul_low(vec a, vec b)
{
	EACH(a.at[i] * b.at[i]);
}

#ifdef WIDE_HALVES
#define SECOND(i)                                                                                  \
	((i) >= LANES / 2) /* does the wide number of a lane lie in the second register? */
#define PLACE(i) ((i) % (LANES / 2) * 2) /* where does it begin there? */

static inline vec mul_lower(vec a, vec b)
{
	EACH_WIDE((uint64_t)a.at[i / 2] * b.at[i / 2]);
}

static inline vec mul_upper(vec a, vec b)
{
	EACH_WIDE((uint64_t)a.at[(LANES + i) / 2] * b.at[(LANES + i) / 2]);
}

static inline vec low_words_of(vec lower, vec upper)
{
	EACH((SECOND(i) ? upper : lower).at[PLACE(i)]);
}
#else
#define SECOND(i) ((i)&1)
#define PLACE(i) ((i) & ~1)

static inline vec mul_even(vec a, vec b)
{
	EACH_WIDE((uint64_t)a.at[i] * b.at[i]);
}

static inline vec odd(vec v)
{
	EACH(v.at[i | 1]);
}
#endif

static inline vec high_words_of(vec first, vec second)
{
	EACH((SECOND(i) ? second : first).at[PLACE(i) + 1]);
}

static inline vec plus_wide(vec a, vec b)
{
	EACH_WIDE(((uint64_t)a.at[i + 1] << 32 | a.at[i]) +
		  ((uint64_t)b.at[i + 1] << 32 | b.at[i]));
}

static inline void transpose(vec *u, vec *v, int t)
{
	const vec a = *u, b = *v;
	for (int i = 0; i < LANES; i++) {
		const int second = i & t, from = i & ~t;
		u->at[i] = second ? b.at[from] : a.at[from];
		v->at[i] = second ? b.at[from + t] : a.at[from + t];
	}
}

static inline void interleave(vec *a, vec *b)
{
	const vec x = *a, y = *b;
	for (int i = 0; i < LANES; i++) {
		a->at[i] = i & 1 ? y.at[i / 2] : x.at[i / 2];
		b->at[i] = i & 1 ? y.at[(LANES + i) / 2] : x.at[(LANES + i) / 2];
	}
}

static inline void deinterleave(vec *a, vec *b)
{
	const vec x = *a, y = *b;
	for (int i = 0; i < LANES; i++) {
		const int k = 2 * i;
		a->at[i] = k < LANES ? x.at[k] : y.at[k - LANES];
		b->at[i] = k < LANES ? x.at[k + 1] : y.at[k + 1 - LANES];
	}
}

static inline vec spread(const uint32_t *w, int t)
{
	EACH(w[i / t]);
}

#if LANES == 4
static inline vec pick(vec v, const uint32_t *lane)
{
	EACH(v.at[lane[i] & 3]);
}
#else
static inline void store_moved(uint32_t *r, size_t at, vec v, const hel_permutation *p, bool add,
			       vec q)
{
	for (size_t i = 0; i < LANES; i++) {
		const uint32_t s = p->scatter[(at + i) / 8];
		const uint32_t x = v.at[(i & ~(size_t)7) + p->lane[s & 7][i & 7]];
		uint32_t *to = r + (s & ~7u) + (i & 7), sum = add ? *to + x : x;
		*to = sum >= q.at[0] ? sum - q.at[0] : sum;
	}
}

static inline vec load_moved(const uint32_t *a, size_t at, const hel_permutation *p)
{
	vec r;
	for (size_t i = 0; i < LANES; i++) {
		const uint32_t s = p->block[(at + i) / 8];
		r.at[i] = a[(s & ~7u) + p->lane[s & 7][i & 7]];
	}
	return r;
}
#endif

/* vectors of doubles are passed to inlined functions only */
#pragma GCC diagnostic ignored "-Wpsabi"
/* inlined into each other and instrumented by sanitizers, these functions compile for minutes */
#define INLINE static __attribute__((noinline, unused))
