#include "keyswitch.h"
#include "params.h"
#include <string.h>

const hel_switch_key *hel_keys_find(const hel_keys *keys, uint32_t galois, unsigned level)
{
	const hel_switch_key *found = NULL;
	for (size_t i = 0; keys && i < keys->count; i++)
		if (keys->key[i].galois == galois)
			found = &keys->key[i];
	const char *what = galois == HEL_RELINEARISE ? "relinearisation"
			   : hel_key_stays(galois)   ? "refresh"
						     : "Galois";
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

/* Scratch of apply: every digit prepared, and for each lane one limb of all digits.
 * Scratch of finish: one ModDown. */
size_t hel_ks_scratch_words(const hel_eval *ev, size_t limbs)
{
	const hel_params *p = ev->params;
	const size_t digits = hel_params_digits_at(p, limbs);
	const size_t apply = limbs + digits * hel_pool_threads(ev->pool);
	return HEL_MAX(apply * p->ring.n,
		       hel_ring_mod_down_words(&p->ring, p->ring.special + p->spec.primes_per_level,
					       ev->pool));
}

typedef struct apply_job {
	const hel_eval *ev;
	uint32_t *acc;
	const uint32_t *base, *c;
	const hel_switch_key *const *key;
	size_t keys, limbs;
	unsigned make;
	uint32_t *prepared, *buffers;
} apply_job;

static const hel_bconv *digit_bconv(const apply_job *j, size_t d)
{
	const hel_params *p = j->ev->params;
	const size_t alpha = p->spec.alpha, size = HEL_MIN(alpha, j->limbs - d * alpha);
	return &p->digit[d * alpha + size - 1];
}

static void prepare_limb(void *arg, size_t i)
{
	const apply_job *j = arg;
	const hel_ring *ring = &j->ev->params->ring;
	const hel_bconv *bc = digit_bconv(j, i / j->ev->params->spec.alpha);
	hel_bconv_prepare(ring, bc, j->prepared + i * ring->n, j->c + i * ring->n, i - bc->first);
}

/* ModUp of all digits to one limb and the products with all keys there, while it is in the cache.
 */
static void apply_limb(void *arg, size_t lane, size_t i)
{
	const apply_job *j = arg;
	const hel_params *p = j->ev->params;
	const size_t n = p->ring.n, rows = j->limbs + p->ring.special;
	const size_t prime = hel_prime_of_limb(p, j->limbs, i);
	uint32_t *buffer = j->buffers + lane * hel_params_digits_at(p, j->limbs) * n;
	const uint32_t *x[HEL_MAX_PRIMES], *y0[HEL_MAX_PRIMES], *y1[HEL_MAX_PRIMES];
	hel_key_terms terms = {x, y0, y1, hel_params_digits_at(p, j->limbs), NULL, 0};
	const bool extended = j->make & HEL_KS_EXTENDED, sum = j->make & HEL_KS_SUM;
	if (j->base && (extended || i < j->limbs)) { /* P times it is 0 modulo special primes */
		terms.base = j->base + i * n;
		terms.factor =
		    hel_to_mont(extended ? 1 : p->special.product[i].w, p->ring.prime[prime].q);
	}
	for (size_t d = 0; d < terms.count; d++) {
		const hel_bconv *bc = digit_bconv(j, d);
		if (prime >= bc->first && prime < bc->first + bc->count) {
			x[d] = j->c + i * n; /* the digit's own limb, as it came */
			continue;
		}
		const hel_conversion up = hel_bconv_to(bc, j->prepared + bc->first * n, n, prime);
		p->ring.k->raise(buffer + d * n, &up, p->ring.at[prime]);
		x[d] = buffer + d * n;
	}
	for (size_t k = 0; k < j->keys; k++) {
		const hel_switch_key *key = j->key[k];
		const size_t key_rows = key->limbs + p->ring.special;
		const size_t key_limb = i < j->limbs ? i : key->limbs + i - j->limbs;
		uint32_t *acc = j->acc + (sum ? 0 : k * 2 * rows * n);
		for (size_t d = 0; d < terms.count; d++) {
			y0[d] = key->data + (d * key_rows + key_limb) * 2 * n;
			y1[d] = y0[d] + n;
		}
		p->ring.k->key_product(acc + i * n, acc + (rows + i) * n, &terms,
				       hel_key_stays(key->galois) ? NULL : &key->permutation,
				       j->make & HEL_KS_ADD || (sum && k > 0), p->ring.at[prime]);
	}
}

void hel_ks_apply(const hel_eval *ev, uint32_t *acc, const uint32_t *base, const uint32_t *c,
		  const hel_switch_key *const *keys, size_t count, unsigned make, size_t limbs,
		  uint32_t *scratch)
{
	const hel_params *p = ev->params;
	apply_job j = {.ev = ev,
		       .acc = acc,
		       .base = base,
		       .c = c,
		       .key = keys,
		       .keys = count,
		       .limbs = limbs,
		       .make = make,
		       .prepared = scratch,
		       .buffers = scratch + limbs * p->ring.n};
	hel_pool_for(ev->pool, limbs, prepare_limb, &j);
	hel_pool_for_lanes(ev->pool, limbs + p->ring.special, apply_limb, &j);
}

typedef struct raise_job {
	const hel_params *params;
	uint32_t *acc;
	const uint32_t *const *add;
	size_t limbs, first;
} raise_job;

/* acc += P * add in one limb of both halves; P is the ModDown's product. */
static void raise_limb(void *arg, size_t k)
{
	const raise_job *j = arg;
	const hel_params *p = j->params;
	const size_t n = p->ring.n, rows = j->limbs + p->ring.special, i = j->first + k;
	for (size_t half = 0; half < 2; half++)
		p->ring.k->scale_add(j->acc + (half * rows + i) * n, j->add[half] + i * n,
				     &p->special.product[i], p->ring.at + i, 1);
}

void hel_ks_add(const hel_eval *ev, uint32_t *acc, const uint32_t *const add[2], size_t limbs)
{
	raise_job j = {ev->params, acc, add, limbs, 0};
	hel_pool_for(ev->pool, limbs, raise_limb, &j);
}

void hel_ks_finish(const hel_eval *ev, uint32_t *const part[2], const uint32_t *const add[2],
		   const uint32_t *acc, size_t limbs, uint32_t *scratch)
{
	const hel_params *p = ev->params;
	const size_t n = p->ring.n;
	const uint32_t *second = acc + (limbs + p->ring.special) * n;
	const hel_mod_down_part parts[2] = {
	    {part[0], acc, acc + limbs * n, add ? add[0] : NULL, NULL},
	    {part[1], second, second + limbs * n, add ? add[1] : NULL, NULL},
	};
	hel_ring_mod_down(&p->ring, &p->special, parts, 2, limbs, scratch, ev->pool);
}

void hel_ks_finish_half(const hel_eval *ev, uint32_t *out, const uint32_t *acc, size_t limbs,
			uint32_t *scratch)
{
	const hel_params *p = ev->params;
	const hel_mod_down_part part = {out, acc, acc + limbs * p->ring.n, NULL, NULL};
	hel_ring_mod_down(&p->ring, &p->special, &part, 1, limbs, scratch, ev->pool);
}

void hel_ks_finish_rescaled(const hel_eval *ev, uint32_t *const part[2],
			    const uint32_t *const add[2], uint32_t *acc, unsigned level,
			    uint32_t *scratch)
{
	const hel_params *p = ev->params;
	const size_t n = p->ring.n, limbs = p->limbs[level], low = p->limbs[level - 1];
	if (add) { /* below, P add / (P q) = add / q; only the remainder needs P add itself */
		raise_job j = {p, acc, add, limbs, low};
		hel_pool_for(ev->pool, limbs - low, raise_limb, &j);
	}
	hel_mod_down_part parts[2];
	for (size_t half = 0; half < 2; half++) {
		uint32_t *in = acc + half * (limbs + p->ring.special) * n;
		/* the level's limbs and the special ones lie behind each other */
		parts[half] =
		    (hel_mod_down_part){part[half], in, in + low * n, add ? add[half] : NULL,
					p->rescale[level].product_inv};
	}
	hel_ring_mod_down(&p->ring, &p->special_rescale[level], parts, 2, low, scratch, ev->pool);
}
