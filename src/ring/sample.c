#include "ring.h"

void hel_sample_ternary(int8_t *out, size_t n, hel_prng *g)
{
	/* the high word of r * 3 is uniform in {0, 1, 2} up to 2^-64 */
	for (size_t i = 0; i < n; i++)
		out[i] = (int8_t)((int)(((u128)hel_prng_u64(g) * 3) >> 64) - 1);
}

/* a <= b afterwards, or a >= b when `down` is 1; both below 2^63, so that a difference's sign
 * tells. */
static inline void exchange(uint64_t *a, uint64_t *b, uint64_t down)
{
	const uint64_t swap = 0 - (((*b - *a) >> 63) ^ down), difference = (*a ^ *b) & swap;
	*a ^= difference;
	*b ^= difference;
}

/* Batcher's bitonic network (Knuth, The Art of Computer Programming 3, section 5.3.4). */
static void sort(uint64_t *x, size_t n)
{
	for (size_t run = 2; run <= n; run *= 2)
		for (size_t step = run / 2; step; step /= 2)
			for (size_t i = 0; i < n; i++)
				if (!(i & step))
					exchange(&x[i], &x[i + step], (i & run) != 0);
}

void hel_sample_sparse(int8_t *out, size_t n, size_t weight, uint64_t *scratch, hel_prng *g)
{
	/* 61 random bits to sort by (two are equal with probability n^2 2^-62, harmlessly), then 0,
	 * 1 for a 1, or 2 for a -1 */
	for (size_t i = 0; i < n; i++) {
		const uint64_t r = hel_prng_u64(g);
		scratch[i] = (r >> 3 << 2) | (i < weight ? 1 + (r & 1) : 0);
	}
	sort(scratch, n);
	for (size_t i = 0; i < n; i++)
		out[i] = (int8_t)((int)(scratch[i] & 1) - (int)(scratch[i] >> 1 & 1));
}

/* P(|x| <= k) * 2^63 for sigma = 3.19; test_sample.c computes it again. */
static const uint64_t cumulative[] = {
    0x1001f9a1b2ca9468u, 0x2e7cf3ef07836cb6u, 0x48ca7e85d834a57au, 0x5d5d51778f760881u,
    0x6bf35598550421b0u, 0x7552dc90807bbed6u, 0x7ac8820561a4c975u, 0x7daa6596524b7ffdu,
    0x7f0b8114bba4ecb9u, 0x7fa4a9fc5ea574e9u, 0x7fe0e1077aef391au, 0x7ff6563f810f15d0u,
    0x7ffd4490999bc595u, 0x7fff4c0804cd386eu, 0x7fffd5e18e7fda18u, 0x7ffff709c679c2eeu,
    0x7ffffe445c790f6cu, 0x7fffffb20f7aa54au, 0x7ffffff3903d235du, 0x7ffffffe32b06d1du,
    0x7fffffffc35125ccu, 0x7ffffffff8c11765u, 0x7fffffffff36fe33u, 0x7fffffffffec3bf8u,
    0x7ffffffffffe3c8bu, 0x7fffffffffffdb75u, 0x7ffffffffffffd51u, 0x7fffffffffffffd2u,
    0x7ffffffffffffffdu,
};

void hel_sample_gauss(int8_t *out, size_t n, hel_prng *g)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t r = hel_prng_u64(g), u = r >> 1;
		int sign = (int)(r & 1), x = 0;
		for (size_t k = 0; k < HEL_ARRAY_LEN(cumulative); k++)
			x += (int)((cumulative[k] - 1 - u) >> 63); /* u >= cumulative[k] */
		out[i] = (int8_t)((x ^ -sign) + sign);
	}
}

#define SHORT_PRIME (1u << 25)

void hel_sample_uniform(uint32_t *out, size_t n, uint32_t q, hel_prng *g)
{
	/* few would be below a prime that is far shorter than 30 bits */
	const uint32_t mask = q < SHORT_PRIME ? SHORT_PRIME - 1 : (1u << HEL_PRIME_BITS) - 1;
	uint32_t words[256];
	for (size_t i = 0; i < n;) {
		hel_prng_bytes(g, words, sizeof words);
		for (size_t j = 0; j < HEL_ARRAY_LEN(words) && i < n; j++) {
			uint32_t v = words[j] & mask;
			out[i] = v;
			i += v < q;
		}
	}
}

void hel_ring_from_small(const hel_ring *ring, uint32_t *out, const int8_t *in, size_t first,
			 size_t limbs)
{
	for (size_t l = 0; l < limbs; l++, out += ring->n) {
		uint32_t q = ring->prime[first + l].q;
		for (size_t i = 0; i < ring->n; i++) {
			uint32_t v = (uint32_t)(int32_t)in[i];
			out[i] = v + (q & (0u - (v >> 31)));
		}
	}
}
