#include "ring.h"
#include <string.h>

hel_status hel_ring_init(hel_ring *ring, unsigned log_n, const uint32_t *primes, size_t chain,
			 size_t special)
{
	hel_status st = HEL_OK;
	const size_t count = chain + special;
	memset(ring, 0, sizeof *ring);
	if (!chain || count > HEL_MAX_PRIMES)
		FAIL(HEL_EINVAL, "%zu primes, expected 1 to %d", count, HEL_MAX_PRIMES);
	TRY_ALLOC(ring->prime, hel_alloc(count, sizeof *ring->prime));
	TRY_ALLOC(ring->at, hel_alloc(count, sizeof *ring->at));
	ring->log_n = log_n;
	ring->n = (size_t)1 << log_n;
	ring->chain = chain;
	ring->special = special;
	ring->k = hel_kernels_get();
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++)
			if (primes[i] == primes[j])
				FAIL(HEL_EINVAL, "prime %u occurs twice", primes[i]);
		TRY(hel_prime_init(&ring->prime[i], primes[i], log_n));
		ring->at[i] = &ring->prime[i];
	}
done:
	if (st != HEL_OK)
		hel_ring_clear(ring);
	return st;
}

void hel_ring_clear(hel_ring *ring)
{
	for (size_t i = 0; ring->prime && i < ring->chain + ring->special; i++)
		hel_prime_clear(&ring->prime[i]);
	hel_free(ring->prime);
	hel_free(ring->at);
	memset(ring, 0, sizeof *ring);
}

typedef struct limb_job {
	const hel_ring *ring;
	uint32_t *a;
	size_t first;
} limb_job;

static void ntt_limb(void *arg, size_t i)
{
	const limb_job *j = arg;
	j->ring->k->ntt_forward(j->a + i * j->ring->n, j->ring->at + j->first + i, 1);
}

static void intt_limb(void *arg, size_t i)
{
	const limb_job *j = arg;
	uint32_t *a = j->a + i * j->ring->n;
	j->ring->k->ntt_inverse(a, a, NULL, false, j->ring->at + j->first + i, 1);
}

void hel_ring_ntt(const hel_ring *ring, uint32_t *a, size_t first, size_t limbs, hel_pool *pool)
{
	limb_job j = {.ring = ring, .a = a, .first = first};
	hel_pool_for(pool, limbs, ntt_limb, &j);
}

void hel_ring_intt(const hel_ring *ring, uint32_t *a, size_t first, size_t limbs, hel_pool *pool)
{
	limb_job j = {.ring = ring, .a = a, .first = first};
	hel_pool_for(pool, limbs, intt_limb, &j);
}

/* The product of the run's primes, without number `skip`, mod q. */
static uint32_t run_product(const hel_bconv *bc, size_t skip, uint32_t q)
{
	uint32_t r = 1;
	for (size_t i = 0; i < bc->count; i++)
		if (i != skip)
			r = hel_mod_mul(r, bc->from[i]->q % q, q);
	return r;
}

hel_status hel_bconv_init(hel_bconv *bc, const hel_ring *ring, size_t first, size_t chain,
			  bool special, bool exact)
{
	hel_status st = HEL_OK;
	const size_t primes = ring->chain + ring->special;
	const size_t count = chain + (special ? ring->special : 0);
	*bc = (hel_bconv){.first = first, .count = count, .exact = exact && count > 1};
	TRY_ALLOC(bc->from, hel_alloc(count, sizeof *bc->from));
	TRY_ALLOC(bc->hat_inv, hel_alloc(count, sizeof *bc->hat_inv));
	TRY_ALLOC(bc->fixed, hel_alloc(count, sizeof *bc->fixed));
	TRY_ALLOC(bc->to, hel_alloc(primes * (count + 1), sizeof *bc->to));
	bc->last = bc->to + primes * count;
	TRY_ALLOC(bc->product, hel_alloc(2 * primes, sizeof *bc->product));
	bc->product_inv = bc->product + primes;
	for (size_t i = 0; i < count; i++)
		bc->from[i] = ring->at[i < chain ? first + i : ring->chain + i - chain];
	for (size_t i = 0; i < count; i++) {
		const hel_prime *p = bc->from[i];
		uint32_t inv = hel_mod_inv(run_product(bc, i, p->q), p->q);
		bc->hat_inv[i] = hel_factor_of(hel_mod_mul(inv, p->n_inv.w, p->q), p->q);
		bc->fixed[i] = (uint32_t)(((uint64_t)1 << (32 + HEL_QUOTIENT_BITS)) / p->q);
	}
	for (size_t t = 0; t < primes; t++) {
		uint32_t q = ring->prime[t].q, *to = bc->to + t * count, middle = 0;
		uint32_t product = run_product(bc, count, q);
		for (size_t i = 0; i < count; i++) {
			uint32_t hat = run_product(bc, i, q);
			to[i] = hel_to_mont(hat, q);
			middle = (middle + hel_mod_mul((bc->from[i]->q - 1) / 2 % q, hat, q)) % q;
		}
		bc->last[t] = bc->exact ? hel_to_mont((q - product) % q, q) : (q - middle) % q;
		bc->product[t] = hel_factor_of(product, q);
		if (product) /* zero for the run's own primes */
			bc->product_inv[t] = hel_factor_of(hel_mod_inv(product, q), q);
	}
done:
	if (st != HEL_OK)
		hel_bconv_clear(bc);
	return st;
}

void hel_bconv_clear(hel_bconv *bc)
{
	hel_free(bc->from);
	hel_free(bc->hat_inv);
	hel_free(bc->fixed);
	hel_free(bc->to);
	hel_free(bc->product);
	memset(bc, 0, sizeof *bc);
}

void hel_bconv_prepare(const hel_ring *ring, const hel_bconv *bc, uint32_t *y, const uint32_t *x,
		       size_t i)
{
	ring->k->ntt_inverse(y, x, &bc->hat_inv[i], !bc->exact, bc->from + i, 1);
}

hel_conversion hel_bconv_to(const hel_bconv *bc, const uint32_t *y, size_t n, size_t prime)
{
	return (hel_conversion){.y = y,
				.u = bc->exact ? y + bc->count * n : NULL,
				.c = bc->to + prime * bc->count,
				.count = bc->count,
				.last = bc->last[prime]};
}

typedef struct down_job {
	const hel_ring *ring;
	const hel_bconv *bc;
	const hel_mod_down_part *part;
	size_t limbs;
	uint32_t *prepared, *buffers; /* buffers: one limb for each lane */
} down_job;

static uint32_t *down_prepared(const down_job *j, size_t part)
{
	return j->prepared + part * (j->bc->count + 1) * j->ring->n;
}

static void down_tail_limb(void *arg, size_t i)
{
	const down_job *j = arg;
	const size_t part = i / j->bc->count, limb = i % j->bc->count, at = limb * j->ring->n;
	hel_bconv_prepare(j->ring, j->bc, down_prepared(j, part) + at, j->part[part].tail + at,
			  limb);
}

static void down_quotient(void *arg, size_t part)
{
	const down_job *j = arg;
	uint32_t *y = down_prepared(j, part);
	j->ring->k->quotient(y + j->bc->count * j->ring->n, y, j->bc->fixed, j->bc->count,
			     (uint32_t)j->ring->n);
}

/* A lane's buffer stays in its core's cache. */
static void down_limb(void *arg, size_t lane, size_t k)
{
	const down_job *j = arg;
	const size_t n = j->ring->n, i = k % j->limbs;
	const hel_mod_down_part *part = &j->part[k / j->limbs];
	const hel_division d = {
	    .x = hel_bconv_to(j->bc, down_prepared(j, k / j->limbs), n, i),
	    .in = part->in + i * n,
	    .add = part->add ? part->add + i * n : NULL,
	    .f = j->bc->product_inv[i],
	    .g = part->g ? part->g[i] : hel_factor_of(1, j->ring->prime[i].q),
	};
	j->ring->k->lower(part->out + i * n, &d, j->buffers + lane * n, j->ring->at[i]);
}

size_t hel_ring_mod_down_words(const hel_ring *ring, size_t run, const hel_pool *pool)
{
	return (2 * (run + 1) + hel_pool_threads(pool)) * ring->n;
}

void hel_ring_mod_down(const hel_ring *ring, const hel_bconv *bc, const hel_mod_down_part *parts,
		       size_t count, size_t limbs, uint32_t *scratch, hel_pool *pool)
{
	down_job j = {.ring = ring,
		      .bc = bc,
		      .part = parts,
		      .limbs = limbs,
		      .prepared = scratch,
		      .buffers = scratch + 2 * (bc->count + 1) * ring->n};
	hel_pool_for(pool, count * bc->count, down_tail_limb, &j);
	if (bc->exact)
		hel_pool_for(pool, count, down_quotient, &j);
	hel_pool_for_lanes(pool, count * limbs, down_limb, &j);
}
