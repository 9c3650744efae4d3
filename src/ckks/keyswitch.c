#include "ckks.h"
#include <string.h>

const hel_switch_key *hel_keys_find(const hel_keys *keys, uint32_t galois, unsigned level)
{
	const hel_switch_key *found = NULL;
	for (size_t i = 0; keys && i < keys->count; i++)
		if (keys->key[i].galois == galois)
			found = &keys->key[i];
	const char *what = galois == HEL_RELINEARISE ? "relinearisation" : "Galois";
	if (!found)
		hel_fail(HEL_EKEY, "no %s key for element %u among the evaluation keys", what,
			 galois);
	else if (found->level < level) {
		hel_fail(HEL_EKEY, "the %s key for element %u reaches level %u, needed is %u", what,
			 galois, found->level, level);
		found = NULL;
	}
	return found;
}

size_t hel_extended_words(const hel_params *p, size_t limbs)
{
	return 2 * (limbs + p->ring.special) * p->ring.n;
}

/* Scratch of apply: coefficients, every digit prepared, and for each lane one limb of all digits.
 * Scratch of finish: one ModDown. */
size_t hel_ks_scratch_words(const hel_eval *ev, size_t limbs)
{
	const hel_params *p = ev->params;
	const size_t digits = hel_params_digits_at(p, limbs);
	const size_t apply = 2 * limbs + digits + digits * hel_pool_threads(ev->pool);
	return HEL_MAX(apply * p->ring.n,
		       hel_ring_mod_down_words(&p->ring, p->ring.special + p->spec.primes_per_level,
					       ev->pool));
}

typedef struct apply_job {
	const hel_eval *ev;
	uint32_t *acc;
	const uint32_t *c;
	const hel_switch_key *const *key;
	size_t keys, limbs, lanes;
	bool sum, add;
	uint32_t *coefficients, *prepared, *buffers;
} apply_job;

static const hel_bconv *digit_bconv(const apply_job *j, size_t d)
{
	const hel_params *p = j->ev->params;
	const size_t alpha = p->spec.alpha, size = HEL_MIN(alpha, j->limbs - d * alpha);
	return &p->digit[d * alpha + size - 1];
}

/* Digits before d hold d * (alpha + 1) prepared vectors: they are full. */
static uint32_t *prepared_digit(const apply_job *j, size_t d)
{
	return j->prepared + d * (j->ev->params->spec.alpha + 1u) * j->ev->params->ring.n;
}

static void to_coefficients(void *arg, size_t i)
{
	const apply_job *j = arg;
	const hel_ring *ring = &j->ev->params->ring;
	uint32_t *to = j->coefficients + i * ring->n;
	memcpy(to, j->c + i * ring->n, ring->n * sizeof *to);
	ring->k->ntt_inverse(to, ring->at + i, 1);
}

static void prepare_digit(void *arg, size_t d)
{
	const apply_job *j = arg;
	const hel_ring *ring = &j->ev->params->ring;
	const hel_bconv *bc = digit_bconv(j, d);
	hel_bconv_prepare(ring, bc, prepared_digit(j, d), j->coefficients + bc->first * ring->n);
}

/* ModUp of all digits to one limb and the products with all keys there, while it is in the cache.
 */
static void apply_limb(const apply_job *j, size_t i, uint32_t *buffer)
{
	const hel_params *p = j->ev->params;
	const size_t n = p->ring.n, rows = j->limbs + p->ring.special;
	const size_t prime = hel_prime_of_limb(p, j->limbs, i);
	const uint32_t *x[HEL_MAX_PRIMES], *y0[HEL_MAX_PRIMES], *y1[HEL_MAX_PRIMES];
	const hel_key_terms terms = {x, y0, y1, hel_params_digits_at(p, j->limbs)};
	for (size_t d = 0; d < terms.count; d++) {
		const hel_bconv *bc = digit_bconv(j, d);
		if (prime >= bc->first && prime < bc->first + bc->count) {
			x[d] = j->c + i * n; /* the digit's own limb, as it came */
			continue;
		}
		hel_bconv_to(&p->ring, bc, buffer + d * n, prepared_digit(j, d), prime);
		x[d] = buffer + d * n;
	}
	for (size_t k = 0; k < j->keys; k++) {
		const hel_switch_key *key = j->key[k];
		const size_t key_rows = key->limbs + p->ring.special;
		const size_t key_limb = i < j->limbs ? i : key->limbs + i - j->limbs;
		uint32_t *acc = j->acc + (j->sum ? 0 : k * 2 * rows * n);
		for (size_t d = 0; d < terms.count; d++) {
			y0[d] = key->data + (d * key_rows + key_limb) * 2 * n;
			y1[d] = y0[d] + n;
		}
		p->ring.k->key_product(acc + i * n, acc + (rows + i) * n, &terms,
				       key->galois == HEL_RELINEARISE ? NULL : &key->permutation,
				       j->add || (j->sum && k > 0), p->ring.at[prime]);
	}
}

static void apply_lane(void *arg, size_t lane)
{
	const apply_job *j = arg;
	const hel_params *p = j->ev->params;
	uint32_t *buffer = j->buffers + lane * hel_params_digits_at(p, j->limbs) * p->ring.n;
	for (size_t i = lane; i < j->limbs + p->ring.special; i += j->lanes)
		apply_limb(j, i, buffer);
}

void hel_ks_apply(const hel_eval *ev, uint32_t *acc, const uint32_t *c,
		  const hel_switch_key *const *keys, size_t count, bool sum, bool add, size_t limbs,
		  uint32_t *scratch)
{
	const hel_params *p = ev->params;
	const size_t n = p->ring.n, digits = hel_params_digits_at(p, limbs);
	apply_job j = {.ev = ev,
		       .acc = acc,
		       .c = c,
		       .key = keys,
		       .keys = count,
		       .limbs = limbs,
		       .lanes = hel_pool_threads(ev->pool),
		       .sum = sum,
		       .add = add,
		       .coefficients = scratch,
		       .prepared = scratch + limbs * n,
		       .buffers = scratch + (2 * limbs + digits) * n};
	hel_pool_for(ev->pool, limbs, to_coefficients, &j);
	hel_pool_for(ev->pool, digits, prepare_digit, &j);
	hel_pool_for(ev->pool, j.lanes, apply_lane, &j);
}

void hel_ks_finish(const hel_eval *ev, uint32_t *const part[2], const uint32_t *const add[2],
		   const hel_permutation *moved, uint32_t *acc, size_t limbs, uint32_t *scratch)
{
	const hel_params *p = ev->params;
	const size_t n = p->ring.n, rows = limbs + p->ring.special;
	uint32_t *second = acc + rows * n;
	const hel_mod_down_part parts[2] = {
	    {part[0], acc, acc + limbs * n, add[0], moved},
	    {part[1], second, second + limbs * n, add[1], NULL},
	};
	hel_ring_mod_down(&p->ring, &p->special, parts, 2, limbs, scratch, ev->pool);
}

typedef struct raise_job {
	const hel_params *params;
	uint32_t *acc, *scratch; /* scratch: one limb for each limb */
	const uint32_t *const *add;
	size_t limbs;
} raise_job;

/* acc += P * add in one limb of both halves; P is the ModDown's product. */
static void raise_limb(void *arg, size_t i)
{
	const raise_job *j = arg;
	const hel_params *p = j->params;
	const size_t n = p->ring.n, rows = j->limbs + p->ring.special;
	for (size_t half = 0; half < 2; half++) {
		uint32_t *acc = j->acc + (half * rows + i) * n;
		p->ring.k->scale(j->scratch + i * n, j->add[half] + i * n, &p->special.product[i],
				 p->ring.at + i, 1);
		p->ring.k->add(acc, acc, j->scratch + i * n, p->ring.at + i, 1);
	}
}

void hel_ks_finish_rescaled(const hel_eval *ev, uint32_t *const part[2],
			    const uint32_t *const add[2], uint32_t *acc, unsigned level,
			    uint32_t *scratch)
{
	const hel_params *p = ev->params;
	const size_t n = p->ring.n, limbs = p->limbs[level], low = p->limbs[level - 1];
	raise_job j = {p, acc, scratch, add, limbs};
	hel_pool_for(ev->pool, limbs, raise_limb, &j);
	hel_mod_down_part parts[2];
	for (size_t half = 0; half < 2; half++) {
		uint32_t *in = acc + half * (limbs + p->ring.special) * n;
		/* the level's limbs and the special ones lie behind each other */
		parts[half] = (hel_mod_down_part){part[half], in, in + low * n, NULL, NULL};
	}
	hel_ring_mod_down(&p->ring, &p->special_rescale[level], parts, 2, low, scratch, ev->pool);
}
