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

size_t hel_decomposed_words(const hel_params *p, size_t limbs)
{
	return hel_params_digits_at(p, limbs) * (limbs + p->ring.special) * p->ring.n;
}

/* decompose: coefficients + one run with its quotient; product: two vectors per limb;
 * finish: ModDown of one part */
size_t hel_ks_scratch_words(const hel_params *p, size_t limbs)
{
	size_t decompose = (limbs + p->spec.alpha + 1) * p->ring.n;
	size_t finish = (p->ring.special + 1 + limbs) * p->ring.n;
	return HEL_MAX(HEL_MAX(decompose, finish), hel_extended_words(p, limbs));
}

void hel_ks_decompose(const hel_eval *ev, uint32_t *digits, const uint32_t *c, size_t limbs,
		      uint32_t *scratch)
{
	const hel_params *p = ev->params;
	const size_t n = p->ring.n, alpha = p->spec.alpha;
	uint32_t *coefficients = scratch, *work = scratch + limbs * n;
	memcpy(coefficients, c, limbs * n * sizeof *c);
	hel_ring_intt(&p->ring, coefficients, 0, limbs, ev->pool);
	for (size_t d = 0; d < hel_params_digits_at(p, limbs); d++) {
		size_t size = HEL_MIN(alpha, limbs - d * alpha);
		hel_ring_mod_up(&p->ring, &p->digit[d * alpha + size - 1],
				digits + d * (limbs + p->ring.special) * n, coefficients, c, limbs,
				work, ev->pool);
	}
}

typedef struct product_job {
	const hel_eval *ev;
	uint32_t *acc, *scratch;
	const uint32_t *digits;
	const hel_switch_key *key;
	size_t limbs;
	bool add;
} product_job;

static void product_limb(void *arg, size_t i)
{
	const product_job *j = arg;
	const hel_params *p = j->ev->params;
	const hel_kernels *k = p->ring.k;
	const size_t n = p->ring.n, rows = j->limbs + p->ring.special;
	const size_t key_rows = j->key->limbs + p->ring.special;
	const size_t key_limb = i < j->limbs ? i : j->key->limbs + i - j->limbs;
	const hel_prime *const *at = p->ring.at + (i < j->limbs ? i : p->ring.chain + i - j->limbs);
	const size_t digits = hel_params_digits_at(p, j->limbs);
	const uint32_t *x[HEL_MAX_PRIMES], *y[HEL_MAX_PRIMES];
	uint32_t *product = j->scratch + 2 * i * n, *permuted = product + n;
	for (size_t half = 0; half < 2; half++) {
		for (size_t d = 0; d < digits; d++) {
			x[d] = j->digits + (d * rows + i) * n;
			y[d] = j->key->data + ((d * key_rows + key_limb) * 2 + half) * n;
		}
		const hel_dot_terms terms = {x, y, digits};
		uint32_t *out = j->acc + (half * rows + i) * n, *result = j->add ? permuted : out;
		if (j->key->galois == HEL_RELINEARISE) {
			k->dot(result, &terms, *at);
		} else {
			k->dot(product, &terms, *at);
			k->permute(result, product, &j->key->permutation, (uint32_t)n, 1);
		}
		if (j->add)
			k->add(out, out, permuted, at, 1);
	}
}

void hel_ks_product(const hel_eval *ev, uint32_t *acc, const uint32_t *digits,
		    const hel_switch_key *key, size_t limbs, bool add, uint32_t *scratch)
{
	product_job j = {ev, acc, scratch, digits, key, limbs, add};
	hel_pool_for(ev->pool, limbs + ev->params->ring.special, product_limb, &j);
}

void hel_ks_finish(const hel_eval *ev, uint32_t *const part[2], const uint32_t *const add[2],
		   uint32_t *acc, size_t limbs, uint32_t *scratch)
{
	const hel_params *p = ev->params;
	const size_t n = p->ring.n, rows = limbs + p->ring.special;
	for (size_t half = 0; half < 2; half++) {
		uint32_t *in = acc + half * rows * n;
		uint32_t *out = add && add[half] ? in : part[half];
		hel_ring_mod_down(&p->ring, &p->special, out, in, in + limbs * n, limbs, scratch,
				  ev->pool);
		if (add && add[half])
			p->ring.k->add(part[half], add[half], in, p->ring.at, limbs);
	}
}
