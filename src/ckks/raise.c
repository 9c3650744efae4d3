/* Sparse-secret encapsulation (Bossuat, Troncoso-Pastoriza, Hubaux 2022) around the lift of a
 * ciphertext's residues to all primes. Numbers in parentheses are equations of
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

typedef struct lift_job {
	const hel_params *params;
	hel_ct *out;
	const uint32_t *y; /* both halves, prepared: centred where (q_0 - 1) / 2 is subtracted */
	uint32_t constant;
} lift_job;

static void lift_limb(void *arg, size_t l)
{
	const lift_job *j = arg;
	const hel_ring *ring = &j->params->ring;
	const uint32_t q = ring->prime[l].q;
	const uint32_t middle = (ring->prime[0].q - 1) / 2 % q;
	const uint32_t c = hel_to_mont(j->constant % q, q);
	for (size_t half = 0; half < 2; half++) {
		const hel_conversion up = {
		    .y = j->y + half * ring->n,
		    .c = &c,
		    .count = 1,
		    .last = (q - hel_mod_mul(j->constant % q, middle, q)) % q,
		};
		ring->k->raise(j->out->part[half] + l * ring->n, &up, ring->at[l]);
	}
}

hel_status hel_lift(const hel_eval *ev, hel_ct *out, const hel_ct *a, unsigned level,
		    uint32_t constant)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	const size_t n = p->ring.n;
	uint32_t *y = NULL;
	TRY(at_bottom(ev, out, a));
	if (level > p->spec.levels)
		FAIL(HEL_ELEVEL, "level %u, at most %u exists", level, p->spec.levels);
	TRY_ALLOC(y, hel_scratch_take(ev->scratch, 8 * n));
	for (size_t half = 0; half < 2; half++)
		hel_bconv_prepare(&p->ring, &p->digit[0], y + half * n, a->part[half], 0);
	lift_job j = {p, out, y, constant};
	hel_pool_for(ev->pool, p->limbs[level], lift_limb, &j);
	out->level = level;
	out->scale = a->scale * constant;
done:
	hel_scratch_give(ev->scratch, y);
	return st;
}

hel_status hel_decapsulate(const hel_eval *ev, hel_ct *out, const hel_ct *a)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	uint32_t *acc = NULL;
	if (a->params != p || out->params != p)
		FAIL(HEL_EPARAMS, "ciphertext and evaluator have different parameters");
	const size_t limbs = p->limbs[a->level], words = hel_extended_words(p, limbs);
	const hel_switch_key *key = hel_keys_find(ev->keys, HEL_DECAPSULATE, a->level);
	if (!key) {
		st = HEL_EKEY;
		goto done;
	}
	TRY_ALLOC(acc,
		  hel_scratch_take(ev->scratch, 4 * (words + hel_ks_scratch_words(ev, limbs))));
	hel_ks_apply(ev, acc, a->part[0], a->part[1], &key, 1, true, false, limbs, acc + words);
	hel_ks_finish(ev, out->part, NULL, acc, limbs, acc + words);
	out->level = a->level;
	out->scale = a->scale;
done:
	hel_scratch_give(ev->scratch, acc);
	return st;
}
