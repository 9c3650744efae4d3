#include "arith.h"
#include <string.h>

uint32_t hel_mod_pow(uint32_t base, uint64_t exponent, uint32_t q)
{
	uint32_t r = 1 % q, b = base % q;
	for (; exponent; exponent >>= 1, b = hel_mod_mul(b, b, q))
		if (exponent & 1)
			r = hel_mod_mul(r, b, q);
	return r;
}

uint32_t hel_mod_inv(uint32_t a, uint32_t q)
{
	return hel_mod_pow(a, q - 2, q);
}

hel_factor hel_factor_of(uint32_t w, uint32_t q)
{
	return (hel_factor){w, (uint32_t)(((uint64_t)w << 32) / q)};
}

hel_factor hel_factor_product(hel_factor a, uint32_t w, uint32_t q)
{
	return hel_factor_of(hel_mod_mul(a.w, w, q), q);
}

hel_words_factor hel_words_factor_of(uint32_t f, uint32_t q)
{
	return (hel_words_factor){hel_to_mont(f, q), f, hel_mod_mul(f, (1u << 30) % q, q)};
}

uint32_t hel_bit_reverse(uint32_t x, unsigned bits)
{
	uint32_t r = 0;
	for (unsigned i = 0; i < bits; i++)
		r |= (x >> i & 1) << (bits - 1 - i);
	return r;
}

/* Miller-Rabin; bases 2, 7, 61 decide every n < 4,759,123,141 (Jaeschke 1993). */
bool hel_is_prime(uint32_t n)
{
	static const uint32_t small[] = {2, 3, 5, 7, 11, 13, 61};
	for (size_t i = 0; i < HEL_ARRAY_LEN(small); i++)
		if (n % small[i] == 0)
			return n == small[i];
	if (n < 2)
		return false;
	unsigned s = (unsigned)__builtin_ctz(n - 1);
	uint32_t d = (n - 1) >> s;
	static const uint32_t bases[] = {2, 7, 61};
	for (size_t i = 0; i < HEL_ARRAY_LEN(bases); i++) {
		uint32_t x = hel_mod_pow(bases[i], d, n);
		if (x == 1 || x == n - 1)
			continue;
		unsigned k = 1;
		for (; k < s; k++) {
			x = hel_mod_mul(x, x, n);
			if (x == n - 1)
				break;
		}
		if (k == s)
			return false;
	}
	return true;
}

size_t hel_primes_find(uint32_t *out, size_t count, unsigned log_n, uint32_t below)
{
	const uint32_t step = 2u << log_n;
	size_t found = 0;
	if (below <= step)
		return 0;
	for (uint32_t q = (below - 2) / step * step + 1; q > HEL_PRIME_MIN && found < count;
	     q -= step)
		if (hel_is_prime(q))
			out[found++] = q;
	return found;
}

/* The smallest generator's power of order exactly 2n: deterministic. */
static uint32_t find_root(uint32_t q, uint32_t n)
{
	for (uint32_t g = 2;; g++) {
		uint32_t psi = hel_mod_pow(g, (q - 1) / (2 * n), q);
		if (hel_mod_pow(psi, n, q) == q - 1)
			return psi;
	}
}

static void fill_powers(uint32_t *w, uint32_t *w_shoup, uint32_t root, const hel_prime *p)
{
	uint32_t power = 1;
	for (uint32_t i = 0; i < p->n; i++) {
		hel_factor f = hel_factor_of(power, p->q);
		uint32_t k = hel_bit_reverse(i, p->log_n);
		w[k] = f.w;
		w_shoup[k] = f.shoup;
		power = hel_mod_mul(power, root, p->q);
	}
}

hel_status hel_prime_init(hel_prime *p, uint32_t q, unsigned log_n)
{
	hel_status st = HEL_OK;
	memset(p, 0, sizeof *p);
	if (log_n < HEL_LOG_N_MIN || log_n > HEL_LOG_N_MAX)
		FAIL(HEL_EINVAL, "log2 of the ring degree is %u, expected %d to %d", log_n,
		     HEL_LOG_N_MIN, HEL_LOG_N_MAX);
	if (q >= 1u << HEL_PRIME_BITS || q <= HEL_PRIME_MIN || q % (2u << log_n) != 1 ||
	    !hel_is_prime(q))
		FAIL(HEL_EINVAL, "%u is no prime = 1 mod 2^%u below 2^%d", q, log_n + 1,
		     HEL_PRIME_BITS);
	p->q = q;
	p->log_n = log_n;
	p->n = 1u << log_n;
	uint32_t inv = q; /* Newton: each step doubles the correct low bits, from 3 */
	for (int i = 0; i < 5; i++)
		inv *= 2 - q * inv;
	p->qinv = inv;
	p->r2 = hel_to_mont(hel_to_mont(1, q), q);
	p->psi = find_root(q, p->n);
	p->n_inv = hel_factor_of(hel_mod_inv(p->n, q), q);
	TRY_ALLOC(p->w, hel_alloc(4 * (size_t)p->n, sizeof *p->w));
	p->w_shoup = p->w + p->n;
	p->iw = p->w + 2 * (size_t)p->n;
	p->iw_shoup = p->w + 3 * (size_t)p->n;
	fill_powers(p->w, p->w_shoup, p->psi, p);
	fill_powers(p->iw, p->iw_shoup, hel_mod_inv(p->psi, q), p);
done:
	return st;
}

void hel_prime_clear(hel_prime *p)
{
	hel_free(p->w);
	memset(p, 0, sizeof *p);
}

/* NTT output i is the value at psi^e, e = 2*brv(i) + 1. With i = 8b + j, e splits into
 * brv3(j) * n/4 + e_b where e_b < n/4; so X -> X^g maps blocks to blocks, and inside
 * a block t = brv3(j) goes to g*t + c mod 8. */
hel_status hel_permutation_init(hel_permutation *p, uint32_t galois, unsigned log_n)
{
	hel_status st = HEL_OK;
	const uint32_t n = 1u << log_n, mask = 2 * n - 1, blocks = n / 8;
	memset(p, 0, sizeof *p);
	if (!(galois & 1) || galois > mask)
		FAIL(HEL_EINVAL, "%u is no Galois element of degree %u", galois, n);
	p->galois = galois;
	TRY_ALLOC(p->block, hel_alloc(2 * (size_t)blocks, sizeof *p->block));
	p->scatter = p->block + blocks;
	for (uint32_t b = 0; b < blocks; b++) {
		uint32_t e = 2 * hel_bit_reverse(b, log_n - 3) + 1;
		uint32_t to = (uint32_t)((uint64_t)galois * e) & mask;
		uint32_t source = hel_bit_reverse((to % (n / 4)) / 2, log_n - 3);
		p->block[b] = source << 3 | to / (n / 4);
		p->scatter[source] = b << 3 | to / (n / 4);
	}
	for (uint32_t c = 0; c < 8; c++)
		for (uint32_t j = 0; j < 8; j++)
			p->lane[c][j] =
			    hel_bit_reverse((galois * hel_bit_reverse(j, 3) + c) & 7, 3);
done:
	return st;
}

void hel_permutation_clear(hel_permutation *p)
{
	hel_free(p->block);
	memset(p, 0, sizeof *p);
}
