/* keyswitch.h -- hybrid key switching (Han, Ki 2020). */
#ifndef HEL_CKKS_KEYSWITCH_H
#define HEL_CKKS_KEYSWITCH_H

#include "objects.h"

/** The key for a Galois element that reaches `level`, NULL with a message when there is none. */
const hel_switch_key *hel_keys_find(const hel_keys *keys, uint32_t galois, unsigned level);
/** Words of an extended pair: b then a, each `limbs` chain limbs and the special ones. */
size_t hel_extended_words(const hel_params *p, size_t limbs);

/** What hel_ks_apply makes. */
enum {
	HEL_KS_EACH = 0, /* acc[k] = P times what key k makes, one extended pair after another */
	HEL_KS_SUM = 1,	 /* acc = P times the sum of all */
	HEL_KS_ADD = 2,	 /* on top of what acc holds */
	HEL_KS_EXTENDED = 4, /* base is an extended half already, P times what is meant */
};

/** Switches the pair (base, c) (NTT, `limbs` limbs; base may be NULL for 0) by several keys from
 * one decomposition of c (hoisting), each moved by its key's automorphism. make: HEL_KS_... Limb by
 * limb: a limb of all digits is made, used for every key and forgotten, so that only keys are read
 * from memory. scratch: ks_scratch_words. */
void hel_ks_apply(const hel_eval *ev, uint32_t *acc, const uint32_t *base, const uint32_t *c,
		  const hel_switch_key *const *keys, size_t count, unsigned make, size_t limbs,
		  uint32_t *scratch);
/** acc += P add: a pair that needs no key joins a sum. */
void hel_ks_add(const hel_eval *ev, uint32_t *acc, const uint32_t *const add[2], size_t limbs);
/** part[i] = acc[i] / P + add[i] over `limbs` limbs; add may be NULL. scratch: ks_scratch_words. */
void hel_ks_finish(const hel_eval *ev, uint32_t *const part[2], const uint32_t *const add[2],
		   const uint32_t *acc, size_t limbs, uint32_t *scratch);
/** The same and a rescaling with one division and one rounding: part[i] = (acc[i] + P add[i]) / (P
 * q) at level - 1, q the primes of `level` >= 1. Destroys acc. */
void hel_ks_finish_rescaled(const hel_eval *ev, uint32_t *const part[2],
			    const uint32_t *const add[2], uint32_t *acc, unsigned level,
			    uint32_t *scratch);
/** One half alone: out = acc / P. scratch: ks_scratch_words. */
void hel_ks_finish_half(const hel_eval *ev, uint32_t *out, const uint32_t *acc, size_t limbs,
			uint32_t *scratch);
size_t hel_ks_scratch_words(const hel_eval *ev, size_t limbs);

#endif
