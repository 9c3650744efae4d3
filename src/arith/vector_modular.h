/* Residues in registers: a prime, 64-bit products, reductions. A part of vector_kernels.h. */
#include <assert.h>

#ifndef INLINE
#define INLINE static inline __attribute__((always_inline))
#endif

/* v < limit in every lane; free in release builds. */
#ifdef NDEBUG
#define BELOW(v, limit) ((void)0)
#else
#define BELOW(v, limit) check_below(v, limit)
INLINE void check_below(vec v, uint64_t limit)
{
	uint32_t lane[LANES] __attribute__((aligned(64)));
	store(lane, v);
	for (int i = 0; i < LANES; i++)
		assert(lane[i] < limit);
}
#endif

/* A prime in registers. */
typedef struct modulus {
	vec q, q2, qinv;
	uint64_t one;
} modulus;

INLINE modulus modulus_of(const hel_prime *p)
{
	return (modulus){all(p->q), all(2 * p->q), all(p->qinv), p->q};
}

/* v - m where v >= m, else v: the difference wraps above v otherwise. */
INLINE vec once(vec v, vec m)
{
	return least(v, minus(v, m));
}

/* v in [0, 4q): v mod q */
INLINE vec canonical(vec v, const modulus *m)
{
	BELOW(v, 4 * m->one);
	return once(once(v, m->q2), m->q);
}

/* --- products of 64 bits ---------------------------------------------------------------- */

typedef struct wide {
	vec first, second;
} wide;

INLINE vec high_words(wide v)
{
	return high_words_of(v.first, v.second);
}

INLINE wide product(vec x, vec y)
{
#ifdef WIDE_HALVES
	return (wide){mul_lower(x, y), mul_upper(x, y)};
#else
	return (wide){mul_even(x, y), mul_even(odd(x), odd(y))};
#endif
}

/* c: the same number in all lanes */
INLINE wide product_all(vec x, vec c)
{
#ifdef WIDE_HALVES
	return product(x, c);
#else
	return (wide){mul_even(x, c), mul_even(odd(x), c)};
#endif
}

INLINE wide sum(wide a, wide b)
{
	return (wide){plus_wide(a.first, b.first), plus_wide(a.second, b.second)};
}

/* --- Shoup's product: any v, w < q: v*w mod q in [0, 2q) (Harvey 2014) -------------- */

INLINE vec shoup(vec v, vec w, vec ws, const modulus *m)
{
	return minus(mul_low(v, w), mul_low(high_words(product(v, ws)), m->q));
}

/* w, ws: the same number in all lanes */
INLINE vec shoup_all(vec v, vec w, vec ws, const modulus *m)
{
	return minus(mul_low(v, w), mul_low(high_words(product_all(v, ws)), m->q));
}

/* --- 64-bit accumulators and Montgomery's reduction ------------------------------------ */

/* acc of `terms` products of numbers below 2^30 with numbers below q, so that its high word is
 * below terms * q / 4: acc / 2^32 mod q, in (0, 4q). With more than 12 terms one step is needed
 * before q - (high word of t*q), which lies in (0, q], is added. check: 12/4 q + q = 4q */
INLINE vec reduce_lazy(wide acc, size_t terms, const modulus *m)
{
#ifdef WIDE_HALVES
	const wide t = product_all(mul_low(low_words_of(acc.first, acc.second), m->qinv), m->q);
#else /* low words lie in even lanes already */
	const wide t = {mul_even(mul_even(acc.first, m->qinv), m->q),
			mul_even(mul_even(acc.second, m->qinv), m->q)};
#endif
	vec high = high_words(acc);
	BELOW(high, 4 * m->one);
	if (terms > 12)
		high = once(high, m->q2);
	return minus(plus(high, m->q), high_words(t));
}

/* The same in [0, q); up to four terms leave it below 2q. */
INLINE vec reduce(wide acc, size_t terms, const modulus *m)
{
	vec v = reduce_lazy(acc, terms, m);
	return terms > 4 ? canonical(v, m) : once(v, m->q);
}

/* The high words into [0, q), so that 11 more terms fit; the low words stay. */
INLINE wide fold(wide acc, const modulus *m)
{
	const vec high = all_wide(m->one << 32), high2 = all_wide(m->one << 33);
	return (wide){once(once(acc.first, high2), high), once(once(acc.second, high2), high)};
}
