/* arith.h -- arithmetic modulo primes below 2^30, on vectors of uint32_t.
 *
 * A vector holds one residue per coefficient. A batch is `limbs` vectors of
 * n residues each, one after the other, one prime per limb. All kernels take
 * and give canonical residues in [0, q); what they do in between is theirs.
 * Scalar is the specification; every backend gives the same bits.
 */
#ifndef HEL_ARITH_H
#define HEL_ARITH_H

#include "base/base.h"

#define HEL_PRIME_BITS 30	 /* every prime is below 2^30 ... */
#define HEL_QUOTIENT_BITS 23	 /* of a quotient's fraction ... */
#define HEL_PRIME_MIN (1u << 23) /* ... every prime is above this: 2^55/q fits 32 bits */
#define HEL_LOG_N_MIN 4
#define HEL_LOG_N_MAX 17
/* Products of two 30-bit numbers that fit into a 64-bit accumulator:
 * 15 * 2^30 * q < 2^34 * q, so the high word stays below 4q.
 * check: 15 * 2^60 < 2^64 */
#define HEL_MAX_TERMS 15
#define HEL_TILE 16u /* residues in a line of the cache: what tile_product works on */

/** A number w < q prepared for multiplication by Shoup's trick. */
typedef struct hel_factor {
	uint32_t w, shoup; /* floor(w * 2^32 / q) */
} hel_factor;

/** A prime q = 1 mod 2n with its tables for the negacyclic NTT of length n. */
typedef struct hel_prime {
	uint32_t q;
	uint32_t qinv; /* q^-1 mod 2^32, for Montgomery reduction */
	uint32_t r2;   /* 2^64 mod q */
	unsigned log_n;
	uint32_t n;
	uint32_t psi;	  /* a primitive 2n-th root of unity */
	hel_factor n_inv; /* n^-1 */
	/* Powers of psi and of its inverse in bit-reversed order: w[k] = psi^brv(k). */
	uint32_t *w, *w_shoup, *iw, *iw_shoup;
} hel_prime;

bool hel_is_prime(uint32_t n);
/** Descending primes q = 1 mod 2^(log_n+1) below `below`; returns how many were found. */
size_t hel_primes_find(uint32_t *out, size_t count, unsigned log_n, uint32_t below);

/** @retval HEL_EINVAL q is no prime = 1 mod 2n below 2^30. */
HEL_CHECKED hel_status hel_prime_init(hel_prime *p, uint32_t q, unsigned log_n);
void hel_prime_clear(hel_prime *p);

uint32_t hel_mod_pow(uint32_t base, uint64_t exponent, uint32_t q);
uint32_t hel_mod_inv(uint32_t a, uint32_t q);
hel_factor hel_factor_of(uint32_t w, uint32_t q);
hel_factor hel_factor_product(hel_factor a, uint32_t w, uint32_t q);
uint32_t hel_bit_reverse(uint32_t x, unsigned bits);

static inline uint32_t hel_mod_mul(uint32_t a, uint32_t b, uint32_t q)
{
	return (uint32_t)((uint64_t)a * b % q);
}

/** a * 2^32 mod q: the Montgomery form of a, which mont_mul expects as second operand. */
static inline uint32_t hel_to_mont(uint32_t a, uint32_t q)
{
	return (uint32_t)(((uint64_t)a << 32) % q);
}

/** The automorphism X -> X^g on NTT vectors as a permutation of blocks of eight:
 *  result[8i + j] = a[8*(block[i] >> 3) + lane[block[i] & 7][j]]. The same, told from the source:
 *  block s goes to block scatter[s] >> 3, through lane[scatter[s] & 7]. */
typedef struct hel_permutation {
	uint32_t galois;
	uint32_t *block, *scatter;
	uint32_t lane[8][8];
} hel_permutation;

HEL_CHECKED hel_status hel_permutation_init(hel_permutation *p, uint32_t galois, unsigned log_n);
void hel_permutation_clear(hel_permutation *p);

/** The two inner products of a key switch: `count` digits with the halves of a key. */
typedef struct hel_key_terms {
	const uint32_t *const *x, *const *y0, *const *y1; /* one operand in Montgomery form */
	size_t count;
	const uint32_t *base; /* NULL, or a vector that enters the first sum ... */
	uint32_t factor;      /* ... times this, in Montgomery form */
} hel_key_terms;

/** A base conversion to one prime: sum_i y_i c_i + u * last, or, with u NULL, + last itself.
 *  y_i lies at y + i * n. */
typedef struct hel_conversion {
	const uint32_t *y, *u; /* below 2^30 */
	const uint32_t *c;     /* in Montgomery form, and so is last where there is u */
	size_t count;
	uint32_t last;
} hel_conversion;

/** A division by a product whose inverse is f: (in - x) * f + add * g, x a conversion. */
typedef struct hel_division {
	hel_conversion x;    /* coefficients */
	const uint32_t *in;  /* NTT */
	const uint32_t *add; /* NTT, or NULL */
	hel_factor f, g;
} hel_division;

/** What turns two words of v + 2^62 into v f modulo a prime. */
typedef struct hel_words_factor {
	uint32_t high, low, middle;
} hel_words_factor;

/** f in Montgomery form: 2^32 mod q for v itself, 2^64 mod q for its Montgomery form. */
hel_words_factor hel_words_factor_of(uint32_t f, uint32_t q);

/** The backend. n is the length of every vector, a multiple of 8. */
typedef struct hel_kernels {
	const char *name;
	/* Batches: limb i uses primes[i]. In place where out == in. */
	void (*ntt_forward)(uint32_t *a, const hel_prime *const *primes, size_t limbs);
	/* r = the inverse transform of a, times n * f[limb]: f = n^-1, which NULL stands for, gives
	 * the inverse itself; plus (q-1)/2 when `centre`, so that what lay in (-q/2, q/2) follows
	 * from 0 on. */
	void (*ntt_inverse)(uint32_t *r, const uint32_t *a, const hel_factor *f, bool centre,
			    const hel_prime *const *primes, size_t limbs);
	void (*add)(uint32_t *r, const uint32_t *a, const uint32_t *b,
		    const hel_prime *const *primes, size_t limbs);
	void (*sub)(uint32_t *r, const uint32_t *a, const uint32_t *b,
		    const hel_prime *const *primes, size_t limbs);
	/* r = a * b / 2^32: the product when b is in Montgomery form. */
	void (*mont_mul)(uint32_t *r, const uint32_t *a, const uint32_t *b,
			 const hel_prime *const *primes, size_t limbs);
	/* r = r + a * b / 2^32 */
	void (*mont_mac)(uint32_t *r, const uint32_t *a, const uint32_t *b,
			 const hel_prime *const *primes, size_t limbs);
	/* r = a * 2^32 */
	void (*to_mont)(uint32_t *r, const uint32_t *a, const hel_prime *const *primes,
			size_t limbs);
	/* r = a * f[limb] */
	void (*scale)(uint32_t *r, const uint32_t *a, const hel_factor *f,
		      const hel_prime *const *primes, size_t limbs);
	/* r = r + a * f[limb] */
	void (*scale_add)(uint32_t *r, const uint32_t *a, const hel_factor *f,
			  const hel_prime *const *primes, size_t limbs);
	/* One limb of a key switch: r0 = base * factor / 2^32 + sum_j x_j * y0_j / 2^32,
	 * r1 = sum_j x_j * y1_j / 2^32, both moved by the permutation (NULL: in place) and added
	 * to r0, r1 when `add`. */
	void (*key_product)(uint32_t *r0, uint32_t *r1, const hel_key_terms *terms,
			    const hel_permutation *p, bool add, const hel_prime *prime);
	/* HEL_TILE neighbouring values of one limb, of `terms` vectors one tile after the other:
	 * r0 = sum_t x_t * y0_t / 2^32, r1 = sum_t x_t * y1_t / 2^32. All aligned to 64 bytes. */
	void (*tile_product)(uint32_t *r0, uint32_t *r1, const uint32_t *x, const uint32_t *y0,
			     const uint32_t *y1, size_t terms, const hel_prime *prime);
	/* One limb: d0 = a0 b0, d1 = a0 b1 + a1 b0, d2 = a1 b1. */
	void (*tensor)(uint32_t *const d[3], const uint32_t *const a[2], const uint32_t *const b[2],
		       const hel_prime *prime);
	/* One limb: r = NTT of the conversion. */
	void (*raise)(uint32_t *r, const hel_conversion *x, const hel_prime *prime);
	/* One limb: r = the division, NTT; r may be in or add. work: one vector. */
	void (*lower)(uint32_t *r, const hel_division *d, uint32_t *work, const hel_prime *prime);
	/* u = round(sum_i y_i / q_i) with inv[i] = floor(2^55 / q_i) < 2^32, q_i > 2^23. */
	void (*quotient)(uint32_t *u, const uint32_t *y, const uint32_t *inv, size_t count,
			 uint32_t n);
	/* One limb: r = (2^32 high + low - 2^62) times what f stands for. high < 2^31. */
	void (*residues)(uint32_t *r, const uint32_t *high, const uint32_t *low, hel_words_factor f,
			 const hel_prime *prime);
	/* Complex numbers, real and imaginary parts apart. Layers of len = 2, 4, .., n over roots
	 * w[len/2 + j]: (u, v) -> (u + w v, u - w v); and of len = n, .., 4, 2:
	 * (u, v) -> (u + v, conj(w) (u - v)). No sums are contracted: the same bits everywhere. */
	void (*fft_forward)(double *re, double *im, const double *w_re, const double *w_im,
			    size_t n);
	void (*fft_inverse)(double *re, double *im, const double *w_re, const double *w_im,
			    size_t n);
	void (*permute)(uint32_t *r, const uint32_t *a, const hel_permutation *p, uint32_t n,
			size_t limbs);
} hel_kernels;

/** The backend in use: the best this CPU runs, or what HELRM_BACKEND names.
 *  An unknown or unsupported HELRM_BACKEND is reported once and ignored. */
const hel_kernels *hel_kernels_get(void);
/** A backend by name; NULL when unknown, not built in, or not supported here. */
const hel_kernels *hel_kernels_by_name(const char *name);

extern const hel_kernels hel_kernels_scalar;
/* Those of them that this machine's build has: HEL_HAVE_AVX2 and so on. */
extern const hel_kernels hel_kernels_avx2, hel_kernels_avx512, hel_kernels_neon, hel_kernels_wasm;

#endif
