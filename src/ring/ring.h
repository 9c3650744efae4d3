/* ring.h -- RNS polynomials of Z[X]/(X^N+1).
 *
 * A ring knows two runs of primes: the chain q_0..q_{L-1} (indices 0..L-1) and
 * the special primes p_0..p_{k-1} (indices L..L+k-1). A polynomial at `limbs`
 * chain primes is `limbs` vectors of N residues, one after the other; an
 * extended one has k more behind. Whether it holds coefficients or NTT values
 * is its user's business and said in every comment.
 */
#ifndef HEL_RING_H
#define HEL_RING_H

#include "arith/arith.h"
#include "base/base.h"

#define HEL_MAX_PRIMES 120

/** Converts from a run of primes {q_i} with product Q to any other prime. An exact one lifts x mod
 * Q to (-Q/2, Q/2] (Halevi, Polyakov, Shoup 2018, in fixed point). The other sums centred terms y_i
 * (Q/q_i), y_i in (-q_i/2, q_i/2): x + e Q, |.| <= count Q/2, cheaper by a term; of one prime both
 * give the same. */
typedef struct hel_bconv {
	size_t first, count;	/* the run: its first prime, how many */
	bool exact;		/* and more than one prime */
	const hel_prime **from; /* the run's primes */
	hel_factor *hat_inv;	/* (Q/q_i)^-1 N^-1 mod q_i */
	uint32_t *fixed;	/* floor(2^55 / q_i) */
	uint32_t *to;		/* [prime][count]: Q/q_i, in Montgomery form */
	uint32_t *last; /* [prime]: exact: -Q, in Montgomery form; else -sum (q_i-1)/2 Q/q_i */
	hel_factor *product, *product_inv; /* [prime]: Q and Q^-1 */
} hel_bconv;

typedef struct hel_ring {
	unsigned log_n;
	size_t n, chain, special; /* N and the numbers of primes */
	hel_prime *prime;
	const hel_prime **at; /* pointers to all primes, for batches */
	const hel_kernels *k;
} hel_ring;

HEL_CHECKED hel_status hel_ring_init(hel_ring *ring, unsigned log_n, const uint32_t *primes,
				     size_t chain, size_t special);
void hel_ring_clear(hel_ring *ring);

/** In place over `limbs` limbs whose primes start at index `first`; limbs run in parallel. */
void hel_ring_ntt(const hel_ring *ring, uint32_t *a, size_t first, size_t limbs, hel_pool *pool);
void hel_ring_intt(const hel_ring *ring, uint32_t *a, size_t first, size_t limbs, hel_pool *pool);

/** The run is `count` chain primes from index `first`, then the special primes when `special`. */
HEL_CHECKED hel_status hel_bconv_init(hel_bconv *bc, const hel_ring *ring, size_t first,
				      size_t count, bool special, bool exact);
void hel_bconv_clear(hel_bconv *bc);

/** Prepares limb i of the run for a conversion, from its NTT values: y_i = x_i (Q/q_i)^-1. */
void hel_bconv_prepare(const hel_ring *ring, const hel_bconv *bc, uint32_t *y, const uint32_t *x,
		       size_t i);
/** The conversion of a run to a prime. y: the run's prepared limbs, and u = round(sum y_i / q_i)
 *  behind them when exact. */
hel_conversion hel_bconv_to(const hel_bconv *bc, const uint32_t *y, size_t n, size_t prime);

/** One polynomial to divide: out = round(in / Q) + add g. in: `limbs` chain limbs, NTT. tail: the
 *  run's limbs of the same polynomial, NTT. add: NULL, or `limbs` limbs, NTT. out may be in or add.
 */
typedef struct hel_mod_down_part {
	uint32_t *out;
	const uint32_t *in, *tail, *add;
	const hel_factor *g; /* per limb; NULL for 1 */
} hel_mod_down_part;

/** Divides up to two polynomials by the run's product Q, over chain primes [0, limbs). Serves
 * ModDown (run = special primes) and rescaling (run = the level's primes). The conversion must be
 * exact or of one prime. Error: at most 1/2 (1 + 2^-16) per coefficient. scratch: mod_down_words.
 */
void hel_ring_mod_down(const hel_ring *ring, const hel_bconv *bc, const hel_mod_down_part *parts,
		       size_t count, size_t limbs, uint32_t *scratch, hel_pool *pool);
size_t hel_ring_mod_down_words(const hel_ring *ring, size_t run, const hel_pool *pool);

/* --- sampling (sample.c): no branch or index depends on what is drawn ------ */

/** Uniform in {-1, 0, 1}. */
void hel_sample_ternary(int8_t *out, size_t n, hel_prng *g);
/** Exactly `weight` of n (a power of two) entries are 1 or -1, all such vectors equally likely but
 * for 2^-32: signs in front are carried to random places by a sorting network. scratch: n words. */
void hel_sample_sparse(int8_t *out, size_t n, size_t weight, uint64_t *scratch, hel_prng *g);
/** Discrete Gaussian, sigma = HEL_SIGMA, cut where its probability falls below 2^-63. */
#define HEL_SIGMA 3.19
void hel_sample_gauss(int8_t *out, size_t n, hel_prng *g);
/** Uniform in [0, q): rejection, so only for public polynomials. */
void hel_sample_uniform(uint32_t *out, size_t n, uint32_t q, hel_prng *g);
/** Small signed numbers as residues of `limbs` primes from index `first`. */
void hel_ring_from_small(const hel_ring *ring, uint32_t *out, const int8_t *in, size_t first,
			 size_t limbs);

#endif
