/* Decryption. What is decrypted is as secret as the key: no branch, no memory index and no division
 * depends on it. */
#include "encoder.h"
#include "secret.h"
#include "secret_key.h"
#include <math.h>
#include <string.h>

#define GARNER_LIMBS 4 /* primes of 30 bits: they hold scale times value below 2^119 */

/* The mixed-radix digits of a number from its residues over up to four primes (Garner;
 * docs/cryptography.md (9)): x = sum_l digit[l] * weight[l], weight[l] the product of the primes
 * before l. */
typedef struct garner {
	size_t limbs;
	uint32_t q[GARNER_LIMBS];
	hel_factor inverse[GARNER_LIMBS][GARNER_LIMBS]; /* [l][j]: q_j^-1 mod q_l, j < l */
	u128 weight[GARNER_LIMBS], product;
} garner;

static void garner_init(garner *g, const hel_params *p, size_t limbs)
{
	*g = (garner){.limbs = limbs, .product = 1};
	for (size_t l = 0; l < limbs; l++) {
		const uint32_t q = g->q[l] = p->ring.prime[l].q;
		for (size_t j = 0; j < l; j++)
			g->inverse[l][j] = hel_factor_of(hel_mod_inv(g->q[j] % q, q), q);
		g->weight[l] = g->product;
		g->product *= q;
	}
}

/* v in [-q, q) as a wrapped word, to [0, q) */
static inline uint32_t lift(uint32_t v, uint32_t q)
{
	return v + (q & (0u - (v >> 31)));
}

/* v * f mod q for any v, by Shoup's trick: no division. */
static inline uint32_t times(uint32_t v, hel_factor f, uint32_t q)
{
	const uint32_t h = (uint32_t)((uint64_t)v * f.shoup >> 32);
	return lift(v * f.w - h * q - q, q); /* v w - h q in [0, 2q) */
}

/* The compiler's own conversion of 128 bits branches on them; this one is right up to two units in
 * the last place: the words of a negative number cancel exactly. */
static inline double to_double(u128 wrapped)
{
	const int64_t high = (int64_t)(uint64_t)(wrapped >> 64);
	const int64_t middle = (int64_t)(uint32_t)(wrapped >> 32);
	const int64_t low = (int64_t)(uint32_t)wrapped;
	return (double)high * 0x1p64 + (double)middle * 0x1p32 + (double)low;
}

/* The number in (-Q/2, Q/2] with these residues. */
static inline double centred(const garner *g, const uint32_t *residues, size_t stride)
{
	uint32_t digit[GARNER_LIMBS];
	u128 value = 0;
	for (size_t l = 0; l < g->limbs; l++) {
		const uint32_t q = g->q[l];
		uint32_t d = residues[l * stride];
		for (size_t j = 0; j < l; j++) /* d = (d - digit[j]) / q_j */
			d = lift(times(d, g->inverse[l][j], q) -
				     times(digit[j], g->inverse[l][j], q),
				 q);
		digit[l] = d;
		value += g->weight[l] * d;
	}
	const u128 above = (u128)0 - ((g->product / 2 - value) >> 127); /* all ones: value > Q/2 */
	return to_double(value - (g->product & above));
}

/* Not inlined, so that tests/ckks/divisions.sh can see that it divides nothing. */
__attribute__((noinline)) static void centre(double *out, size_t count, const garner *g,
					     const uint32_t *residues, size_t stride, double unit)
{
	for (size_t i = 0; i < count; i++)
		out[i] = centred(g, residues + i, stride) * unit;
}

hel_status hel_decrypt_coefficients(double *out, size_t count, const hel_secret_key *key,
				    const hel_ct *ct)
{
	hel_status st = HEL_OK;
	const hel_params *p = key->params;
	const size_t n = p->ring.n, limbs = HEL_MIN(p->limbs[ct->level], GARNER_LIMBS);
	uint32_t *m = NULL;
	garner g;
	if (ct->params != p)
		FAIL(HEL_EPARAMS, "ciphertext and key have different parameters");
	if (ct->scale > 0x1p117)
		FAIL(HEL_ESCALE,
		     "a product at scale 2^%.0f must be rescaled before it is decrypted",
		     log2(ct->scale));
	TRY_ALLOC(m, hel_secret_alloc(limbs * n, sizeof *m));
	memcpy(m, ct->part[0], limbs * n * sizeof *m);
	p->ring.k->mont_mac(m, ct->part[1], key->s, p->ring.at, limbs);
	hel_ring_intt(&p->ring, m, 0, limbs, NULL);
	garner_init(&g, p, limbs);
	centre(out, count, &g, m, n, 1 / ct->scale);
done:
	hel_secret_free(m);
	return st;
}

hel_status hel_decrypt(hel_complex *slots, const hel_secret_key *key, const hel_ct *ct)
{
	hel_status st = HEL_OK;
	const size_t n = key->params->ring.n;
	double *coefficients = NULL;
	TRY_ALLOC(coefficients, hel_secret_alloc(n, sizeof *coefficients));
	TRY(hel_decrypt_coefficients(coefficients, n, key, ct));
	TRY(hel_embed(key->params, slots, coefficients));
done:
	hel_secret_free(coefficients);
	return st;
}
