/* objects.h -- what the types of RNS-CKKS hold.
 *
 * Ring elements are in NTT form unless a name says "coefficients".
 */
#ifndef HEL_CKKS_OBJECTS_H
#define HEL_CKKS_OBJECTS_H

#include "base/base.h"
#include "ring/ring.h"
#include <helrm/ckks.h>
#include <stdatomic.h>

#define HEL_MAX_LEVELS 60
#define HEL_MAX_KEYS 4096
#define HEL_CLIENT_ID_BYTES 16
/* The ephemeral secret of a refresh: nonzero coefficients, and the special primes that it meets.
 * Both are what its security is estimated for by tools/sparse-secret. */
#define HEL_SPARSE_WEIGHT 32
#define HEL_CAPSULE_PRIMES 2
/* Kept coefficients of a sampled ciphertext, at most */
#define HEL_MAX_SAMPLES 4096

struct hel_params {
	hel_params_spec spec;
	hel_ring ring;
	size_t limbs[HEL_MAX_LEVELS + 1]; /* chain limbs at each level */
	double scale[HEL_MAX_LEVELS + 1];
	double divisor[HEL_MAX_LEVELS + 1]; /* product of the level's primes, as a double */
	double log_qp;
	hel_bconv special; /* ModDown */
	hel_bconv capsule; /* the first special primes, HEL_CAPSULE_PRIMES at most: P' */
	hel_bconv rescale[HEL_MAX_LEVELS + 1];	       /* [l]: by the primes of level l, l >= 1 */
	hel_bconv special_rescale[HEL_MAX_LEVELS + 1]; /* [l]: ModDown and that at once */
	hel_bconv *digit; /* [digit * alpha + size - 1]: ModUp of a partial digit */
	size_t digits;	  /* at the top level */
	/* encoder: [len/2 + j], exp(2 pi i 5^j / (4 len)) for FFT length len */
	double *root_re, *root_im;
	uint32_t *bit_reversed;		     /* slot numbers */
	uint8_t fingerprint[HEL_HASH_BYTES]; /* of all primes and the spec */
};

struct hel_pt {
	const hel_params *params;
	unsigned level;
	double scale;
	hel_pt_use use;
	bool extended;	/* the special primes' limbs stand behind the level's */
	uint32_t *data; /* limbs * N, Montgomery form when HEL_FOR_MUL */
};

struct hel_ct {
	const hel_params *params;
	unsigned level;
	double scale;
	uint32_t *part[2]; /* room for the top level's limbs each */
	hel_scratch *home; /* where part[0] came from; NULL: memory of its own */
};

/** A switching key: to the secret from another. data[digit][limb][b, a][N], Montgomery form;
 *  limbs: `limbs` chain ones, then the special ones. */
typedef struct hel_switch_key {
	uint32_t galois;
	unsigned level;
	size_t limbs, special, digits; /* primes of the chain, special ones */
	uint32_t *data;		       /* borrowed from the set */
	hel_permutation permutation;   /* of the Galois element, empty for relinearisation */
} hel_switch_key;

/** Whether a key moves no slots: it has no Galois element, but one of the numbers that stand for
 *  relinearisation and for the capsule. */
static inline bool hel_key_stays(uint32_t galois)
{
	return galois == HEL_RELINEARISE || galois == HEL_ENCAPSULATE || galois == HEL_DECAPSULATE;
}

struct hel_keys {
	const hel_params *params;
	uint8_t client[HEL_CLIENT_ID_BYTES];
	uint8_t seed[HEL_SEED_BYTES]; /* expands to every `a` */
	size_t count;
	hel_switch_key *key;
	uint32_t *memory; /* of all keys' data; NULL: it is someone else's */
};

/** (b, a) = (-a s + e, a) modulo QP: [limb][N], `limbs` chain limbs, then the special ones. */
struct hel_public_key {
	const hel_params *params;
	uint8_t client[HEL_CLIENT_ID_BYTES];
	uint8_t seed[HEL_SEED_BYTES]; /* expands to a */
	unsigned level;
	size_t limbs;
	uint32_t *b, *a;
};

/** The index of the prime of limb `limb` in an extended polynomial with `limbs` chain limbs. */
static inline size_t hel_prime_of_limb(const hel_params *p, size_t limbs, size_t limb)
{
	return limb < limbs ? limb : p->ring.chain + limb - limbs;
}

struct hel_eval {
	const hel_params *params;
	const hel_keys *keys;
	hel_pool *pool;
	hel_scratch *scratch;
	const atomic_bool *stop; /* a run ends with HEL_ECANCEL once it is set; may be NULL */
	hel_watching *watching;	 /* who follows one run; may be NULL */
};

#endif
