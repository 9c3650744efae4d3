/* counting.h -- kernels that count what they are asked for. */
#ifndef HEL_COUNTING_H
#define HEL_COUNTING_H

#include "../testing.h"
#include "ckks/ckks.h"
#include "vm/cost.h"

static hel_cost counted;
static const hel_kernels *real;

static void count_transforms(const hel_prime *p, size_t limbs)
{
	counted.butterflies += (double)limbs * p->n * p->log_n / 2;
}
static void ntt_forward(uint32_t *a, const hel_prime *const *primes, size_t limbs)
{
	count_transforms(primes[0], limbs);
	real->ntt_forward(a, primes, limbs);
}
static void ntt_inverse(uint32_t *r, const uint32_t *a, const hel_factor *f, bool centre,
			const hel_prime *const *primes, size_t limbs)
{
	count_transforms(primes[0], limbs);
	real->ntt_inverse(r, a, f, centre, primes, limbs);
}
static void count_conversion(const hel_conversion *x, double n)
{
	counted.conversion_terms += n * (double)(x->count + (x->u != NULL));
	counted.conversion_sums += n;
}
static void raise_(uint32_t *r, const hel_conversion *x, const hel_prime *prime)
{
	count_transforms(prime, 1);
	count_conversion(x, prime->n);
	real->raise(r, x, prime);
}
static void lower(uint32_t *r, const hel_division *d, uint32_t *work, const hel_prime *prime)
{
	count_transforms(prime, 1);
	count_conversion(&d->x, prime->n);
	counted.divisions += prime->n;
	real->lower(r, d, work, prime);
}
static void quotient(uint32_t *u, const uint32_t *y, const uint32_t *inv, size_t count, uint32_t n)
{
	counted.conversion_terms += n * (double)count;
	counted.conversion_sums += n;
	real->quotient(u, y, inv, count, n);
}
static void key_product(uint32_t *r0, uint32_t *r1, const hel_key_terms *terms,
			const hel_permutation *p, bool add, const hel_prime *prime)
{
	counted.sum_terms += prime->n * (double)terms->count;
	counted.sums += prime->n;
	real->key_product(r0, r1, terms, p, add, prime);
}
static void tensor(uint32_t *const d[3], const uint32_t *const a[2], const uint32_t *const b[2],
		   const hel_prime *prime)
{
	counted.products += 4.0 * prime->n;
	real->tensor(d, a, b, prime);
}
static void sum(uint32_t *r, const uint32_t *a, const uint32_t *b, const hel_prime *const *primes,
		size_t limbs)
{
	counted.products += (double)limbs * primes[0]->n;
	real->add(r, a, b, primes, limbs);
}
static void mont_mul(uint32_t *r, const uint32_t *a, const uint32_t *b,
		     const hel_prime *const *primes, size_t limbs)
{
	counted.products += (double)limbs * primes[0]->n;
	real->mont_mul(r, a, b, primes, limbs);
}
static void scale_add(uint32_t *r, const uint32_t *a, const hel_factor *f,
		      const hel_prime *const *primes, size_t limbs)
{
	counted.products += (double)limbs * primes[0]->n;
	real->scale_add(r, a, f, primes, limbs);
}

static const hel_kernels *counting(void)
{
	static hel_kernels k;
	real = hel_kernels_get();
	k = *real;
	k.ntt_forward = ntt_forward;
	k.ntt_inverse = ntt_inverse;
	k.raise = raise_;
	k.lower = lower;
	k.quotient = quotient;
	k.key_product = key_product;
	k.tensor = tensor;
	k.add = sum;
	k.mont_mul = mont_mul;
	k.scale_add = scale_add;
	return &k;
}

/* As often as a cost says. */
static void assert_counted(const hel_cost *says, unsigned round)
{
#define SAME(name)                                                                                 \
	if (says->name != counted.name)                                                            \
		fail_msg("round %u: " #name " %.17g, counted %.17g", round, says->name,            \
			 counted.name);
	SAME(butterflies)
	SAME(conversion_terms)
	SAME(conversion_sums)
	SAME(divisions)
	SAME(sum_terms)
	SAME(sums)
	SAME(products)
#undef SAME
}

#endif
