/* Sparse-secret encapsulation [BTH22] around the lift of a ciphertext's residues to all primes.
 * Numbers in parentheses are equations of
 * docs/cryptography.md. */
#include "raise.h"
#include "keyswitch.h"

static hel_status at_bottom(const hel_eval *ev, const hel_ct *out, const hel_ct *a)
{
	if (a->params != ev->params || out->params != ev->params)
		return hel_fail(HEL_EPARAMS, "ciphertext and evaluator have different parameters");
	if (a->level || ev->params->limbs[0] != 1)
		return hel_fail(
		    HEL_ELEVEL,
		    "a ciphertext of level %u and %zu primes, only one of level 0 and one "
		    "prime is raised",
		    a->level, ev->params->limbs[a->level]);
	return HEL_OK;
}

/* The key switch of (16) with one digit of one prime and the capsule's primes in place of all. */
hel_status hel_encapsulate(const hel_eval *ev, hel_ct *out, const hel_ct *a)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	const hel_kernels *k = p->ring.k;
	const size_t n = p->ring.n, rows = 1 + p->capsule.count;
	uint32_t *acc = NULL;
	TRY(at_bottom(ev, out, a));
	const hel_switch_key *key = hel_keys_find(ev->keys, HEL_ENCAPSULATE, 0);
	if (!key) {
		st = HEL_EKEY;
		goto done;
	}
	const size_t down = hel_ring_mod_down_words(&p->ring, p->capsule.count, ev->pool);
	TRY_ALLOC(acc, hel_scratch_take(ev->scratch, 4 * ((2 * rows + 2) * n + down)));
	uint32_t *y = acc + 2 * rows * n, *x = y + n, *work = x + n;
	const hel_bconv *digit = &p->digit[0]; /* q_0 alone */
	hel_bconv_prepare(&p->ring, digit, y, a->part[1], 0);
	for (size_t i = 0; i < rows; i++) {
		const size_t prime = hel_prime_of_limb(p, 1, i);
		const hel_conversion up = hel_bconv_to(digit, y, n, prime);
		if (i)
			k->raise(x, &up, p->ring.at[prime]);
		for (size_t half = 0; half < 2; half++)
			k->mont_mul(acc + (half * rows + i) * n, i ? x : a->part[1],
				    key->data + (2 * i + half) * n, p->ring.at + prime, 1);
	}
	k->scale_add(acc, a->part[0], &p->capsule.product[0], p->ring.at, 1);
	hel_mod_down_part parts[2];
	for (size_t half = 0; half < 2; half++) {
		const uint32_t *in = acc + half * rows * n;
		parts[half] = (hel_mod_down_part){out->part[half], in, in + n, NULL, NULL};
	}
	hel_ring_mod_down(&p->ring, &p->capsule, parts, 2, 1, work, ev->pool);
	out->level = 0;
	out->scale = a->scale;
done:
	hel_scratch_give(ev->scratch, acc);
	return st;
}

typedef struct raise_job {
	const hel_params *params;
	const hel_switch_key *key;
	uint32_t *acc, *lifted; /* an extended pair, one limb for each lane */
	const uint32_t *y; /* both halves, prepared: centred where (q_0 - 1) / 2 is subtracted */
	size_t limbs;
	uint32_t constant;
} raise_job;

/* C times one half, centred, modulo one prime. */
static void lift(const raise_job *j, uint32_t *out, size_t half, size_t prime)
{
	const hel_ring *ring = &j->params->ring;
	const uint32_t q = ring->prime[prime].q, middle = (ring->prime[0].q - 1) / 2 % q;
	const uint32_t factor = j->constant % q, c = hel_to_mont(factor, q);
	const hel_conversion up = {
	    .y = j->y + half * ring->n,
	    .c = &c,
	    .count = 1,
	    .last = (q - hel_mod_mul(factor, middle, q)) % q,
	};
	ring->k->raise(out, &up, ring->at[prime]);
}

/* (b, a) = P (C c0, 0) + C c1 key */
static void raise_limb(void *arg, size_t lane, size_t i)
{
	const raise_job *j = arg;
	const hel_params *p = j->params;
	const hel_kernels *k = p->ring.k;
	const size_t n = p->ring.n, rows = j->limbs + p->ring.special;
	const size_t key_rows = j->key->limbs + p->ring.special;
	const size_t prime = hel_prime_of_limb(p, j->limbs, i);
	const size_t row = i < j->limbs ? i : key_rows - rows + i;
	const uint32_t *key = j->key->data + row * 2 * n;
	const hel_prime *const *at = p->ring.at + prime;
	uint32_t *x = j->lifted + lane * n, *b = j->acc + i * n, *a = j->acc + (rows + i) * n;
	lift(j, x, 1, prime);
	k->mont_mul(b, x, key, at, 1);
	k->mont_mul(a, x, key + n, at, 1);
	if (i >= j->limbs) /* P times it is 0 modulo the special primes */
		return;
	lift(j, x, 0, prime);
	k->scale_add(b, x, &p->special.product[prime], at, 1);
}

hel_status hel_raise_extended(const hel_eval *ev, uint32_t *acc, const hel_ct *a, unsigned level,
			      uint32_t constant)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	uint32_t *y = NULL;
	TRY(at_bottom(ev, a, a));
	if (level > p->spec.levels)
		FAIL(HEL_ELEVEL, "level %u, at most %u exists", level, p->spec.levels);
	const hel_switch_key *key = hel_keys_find(ev->keys, HEL_DECAPSULATE, level);
	if (!key) {
		st = HEL_EKEY;
		goto done;
	}
	const size_t n = p->ring.n, lanes = hel_pool_threads(ev->pool);
	TRY_ALLOC(y, hel_scratch_take(ev->scratch, 4 * (2 + lanes) * n));
	for (size_t half = 0; half < 2; half++)
		hel_bconv_prepare(&p->ring, &p->digit[0], y + half * n, a->part[half], 0);
	raise_job j = {p, key, acc, y + 2 * n, y, p->limbs[level], constant};
	hel_pool_for_lanes(ev->pool, j.limbs + p->ring.special, raise_limb, &j);
done:
	hel_scratch_give(ev->scratch, y);
	return st;
}

hel_status hel_raise(const hel_eval *ev, hel_ct *out, const hel_ct *a, unsigned level,
		     uint32_t constant)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	uint32_t *acc = NULL;
	TRY(at_bottom(ev, out, a));
	const size_t limbs = p->limbs[HEL_MIN(level, p->spec.levels)];
	const size_t words = hel_extended_words(p, limbs);
	const size_t down = hel_ring_mod_down_words(&p->ring, p->ring.special, ev->pool);
	TRY_ALLOC(acc, hel_scratch_take(ev->scratch, 4 * (words + down)));
	TRY(hel_raise_extended(ev, acc, a, level, constant));
	hel_ks_finish(ev, out->part, NULL, acc, limbs, acc + words);
	out->level = level;
	out->scale = a->scale * constant;
done:
	hel_scratch_give(ev->scratch, acc);
	return st;
}
