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
	j->ring->k->ntt_inverse(j->a + i * j->ring->n, j->ring->at + j->first + i, 1);
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
			  bool special)
{
	hel_status st = HEL_OK;
	const size_t primes = ring->chain + ring->special;
	const size_t count = chain + (special ? ring->special : 0);
	*bc = (hel_bconv){.first = first, .count = count};
	TRY_ALLOC(bc->from, hel_alloc(count, sizeof *bc->from));
	TRY_ALLOC(bc->hat_inv, hel_alloc(count, sizeof *bc->hat_inv));
	TRY_ALLOC(bc->fixed, hel_alloc(count, sizeof *bc->fixed));
	TRY_ALLOC(bc->to, hel_alloc(primes * (count + 1), sizeof *bc->to));
	TRY_ALLOC(bc->product, hel_alloc(2 * primes, sizeof *bc->product));
	bc->product_inv = bc->product + primes;
	for (size_t i = 0; i < count; i++)
		bc->from[i] = ring->at[i < chain ? first + i : ring->chain + i - chain];
	for (size_t i = 0; i < count; i++) {
		uint32_t q = bc->from[i]->q;
		bc->hat_inv[i] = hel_factor_of(hel_mod_inv(run_product(bc, i, q), q), q);
		bc->fixed[i] = (uint32_t)(((uint64_t)1 << 56) / q);
	}
	for (size_t t = 0; t < primes; t++) {
		uint32_t q = ring->prime[t].q, *to = bc->to + t * (count + 1);
		uint32_t product = run_product(bc, count, q);
		for (size_t i = 0; i < count; i++)
			to[i] = hel_to_mont(run_product(bc, i, q), q);
		to[count] = hel_to_mont((q - product) % q, q);
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

void hel_bconv_prepare(const hel_ring *ring, const hel_bconv *bc, uint32_t *prepared,
		       const uint32_t *coefficients)
{
	ring->k->scale(prepared, coefficients, bc->hat_inv, bc->from, bc->count);
	ring->k->quotient(prepared + bc->count * ring->n, prepared, bc->fixed, bc->count,
			  (uint32_t)ring->n);
}

void hel_bconv_to(const hel_ring *ring, const hel_bconv *bc, uint32_t *out,
		  const uint32_t *prepared, size_t prime)
{
	ring->k->convert(out, prepared, prepared + bc->count * ring->n,
			 bc->to + prime * (bc->count + 1), bc->count, ring->at[prime]);
	ring->k->ntt_forward(out, ring->at + prime, 1);
}

typedef struct down_job {
	const hel_ring *ring;
	const hel_bconv *bc;
	const hel_mod_down_part *part;
	size_t count, limbs, lanes;
	uint32_t *prepared, *buffers; /* buffers: two limbs for each lane */
} down_job;

static void down_tail_limb(void *arg, size_t i)
{
	const down_job *j = arg;
	const size_t limb = i % j->bc->count;
	j->ring->k->ntt_inverse(j->part[i / j->bc->count].tail + limb * j->ring->n,
				j->bc->from + limb, 1);
}

static uint32_t *down_prepared(const down_job *j, size_t part)
{
	return j->prepared + part * (j->bc->count + 1) * j->ring->n;
}

static void down_prepare(void *arg, size_t i)
{
	const down_job *j = arg;
	hel_bconv_prepare(j->ring, j->bc, down_prepared(j, i), j->part[i].tail);
}

static void down_limb(const down_job *j, const hel_mod_down_part *part, const uint32_t *prepared,
		      size_t i, uint32_t *buffer)
{
	const hel_ring *ring = j->ring;
	const hel_kernels *k = ring->k;
	const size_t n = ring->n;
	const hel_prime *const *at = ring->at + i;
	uint32_t *out = part->out + i * n, *quotient = part->add ? buffer : out;
	hel_bconv_to(ring, j->bc, buffer, prepared, i);
	k->sub_scale(quotient, part->in + i * n, buffer, &j->bc->product_inv[i], at, 1);
	if (part->add && part->moved) {
		k->permute(buffer + n, part->add + i * n, part->moved, (uint32_t)n, 1);
		k->add(out, quotient, buffer + n, at, 1);
	} else if (part->add)
		k->add(out, quotient, part->add + i * n, at, 1);
}

/* Every lane takes each lanes-th limb and its own buffers, which stay in its core's cache. */
static void down_lane(void *arg, size_t lane)
{
	const down_job *j = arg;
	for (size_t i = lane; i < j->count * j->limbs; i += j->lanes) {
		const size_t part = i / j->limbs;
		down_limb(j, &j->part[part], down_prepared(j, part), i % j->limbs,
			  j->buffers + 2 * lane * j->ring->n);
	}
}

size_t hel_ring_mod_down_words(const hel_ring *ring, size_t run, const hel_pool *pool)
{
	return 2 * (run + 1 + hel_pool_threads(pool)) * ring->n;
}

void hel_ring_mod_down(const hel_ring *ring, const hel_bconv *bc, const hel_mod_down_part *parts,
		       size_t count, size_t limbs, uint32_t *scratch, hel_pool *pool)
{
	down_job j = {.ring = ring,
		      .bc = bc,
		      .part = parts,
		      .count = count,
		      .limbs = limbs,
		      .lanes = hel_pool_threads(pool),
		      .prepared = scratch,
		      .buffers = scratch + 2 * (bc->count + 1) * ring->n};
	hel_pool_for(pool, count * bc->count, down_tail_limb, &j);
	hel_pool_for(pool, count, down_prepare, &j);
	hel_pool_for(pool, j.lanes, down_lane, &j);
}
