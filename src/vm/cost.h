/* cost.h -- what runs cost: counts that the program alone decides, times seconds
 * per count that the machine decides.
 *
 * Counts are of the code in ring/, ckks/ and circuit/ as it is: a change there is
 * a change here (tests/vm/test_cost.c counts what kernels are really asked for).
 */
#ifndef HEL_COST_H
#define HEL_COST_H

#include "ckks/ckks.h"

/** Everything that is counted. The names are those of a calibration file. */
#define HEL_COSTS(X)                                                                               \
	X(butterflies)	    /* of transforms: N/2 log2(N) for one limb */                          \
	X(conversion_terms) /* of base conversions: one limb's coefficient times a constant */     \
	X(conversion_far)  /* terms whose operands, all of a digit's, exceed a core's own cache */ \
	X(conversion_sums) /* their reductions, one per coefficient of a result */                 \
	X(divisions)	   /* coefficients divided by a run of primes, conversion apart */         \
	X(products)	   /* pointwise, reduced */                                                \
	X(sum_terms)	   /* of inner products with two sums: coefficients of keys, weights */    \
	X(sums)		   /* pairs of sums reduced, moved and stored */                           \
	X(key_bytes)	   /* of keys that are read */                                             \
	X(key_strays)	   /* those of the ninth digit on: more streams than a core reads ahead */ \
	X(weight_bytes)	   /* of plaintexts that are read */                                       \
	X(value_bytes)	   /* of ciphertexts that are read for the first time */                   \
	X(copies)	   /* of a coefficient of both halves */                                   \
	X(input_words)	   /* residues that arrive: checked, unpacked, the other half expanded */  \
	X(result_words)	   /* residues that leave: packed, hashed */                               \
	X(ops)		   /* whatever their size */                                               \
	X(forks)	   /* loops on the pool: nothing on one thread */

typedef struct hel_cost {
#define HEL_COST_FIELD(name) double name;
	HEL_COSTS(HEL_COST_FIELD)
#undef HEL_COST_FIELD
} hel_cost;

enum { HEL_COST_COUNTS = sizeof(hel_cost) / sizeof(double) };

/** A machine. Bytes cost what they cost from memory; a run that needs no more than `cache` of them
 *  finds them there next time. */
typedef struct hel_cost_model {
	hel_cost seconds;  /* for one of each, on one thread; forks: on more than one */
	double efficiency; /* what each further thread adds to loops on the pool, 0 to 1 */
	double cache;	   /* bytes */
} hel_cost_model;

/** The same machine for a run that reads so many bytes in all: those beyond the cache cost. */
hel_cost_model hel_cost_model_for(const hel_cost_model *m, double bytes);
/** A machine that takes so many times as long for everything. */
void hel_cost_model_scale(hel_cost_model *m, double factor);
/** What a run of this cost reads in all. */
double hel_cost_bytes(hel_cost c);

/** Measured on a Zen 5, for the backend in use. */
const hel_cost_model *hel_cost_model_default(void);

/** Basic operations at a number of limbs. decompose: raised digits of one polynomial; product: with
 *  one key; finish: ModDown of both halves; finish_rescaled: with the level's primes; sum: `terms`
 *  weights times
 *  `values` ciphertexts in `groups` inner products; tensor: products before relinearisation. */
hel_cost hel_cost_decompose(const hel_params_spec *p, size_t limbs);
hel_cost hel_cost_product(const hel_params_spec *p, size_t limbs);
hel_cost hel_cost_finish(const hel_params_spec *p, size_t limbs);
hel_cost hel_cost_finish_rescaled(const hel_params_spec *p, unsigned level);
hel_cost hel_cost_rescale(const hel_params_spec *p, unsigned level);
hel_cost hel_cost_sum(const hel_params_spec *p, size_t limbs, double terms, double values,
		      double groups);
hel_cost hel_cost_tensor(const hel_params_spec *p, size_t limbs);
/** A product of ciphertexts, relinearised; with the level's division; with something added before.
 */
hel_cost hel_cost_multiply(const hel_params_spec *p, unsigned level);
hel_cost hel_cost_multiply_rescaled(const hel_params_spec *p, unsigned level, bool plus);
/** A sum of products, one or more, and of something else, under one key switch. */
hel_cost hel_cost_products_rescaled(const hel_params_spec *p, unsigned level, size_t count);
hel_cost hel_cost_weighted_sum(const hel_params_spec *p, size_t limbs, double terms);
hel_cost hel_cost_add_plain(const hel_params_spec *p, size_t limbs);
/** A ciphertext of the client's, read; and as a value of the run. */
hel_cost hel_cost_read(const hel_params_spec *p, size_t limbs);
hel_cost hel_cost_copy(const hel_params_spec *p, size_t limbs);
/** A result, written. */
hel_cost hel_cost_write(const hel_params_spec *p, size_t limbs);

#define HEL_FOLD_RADIX_MAX 3
/** How many slot bits each sum of rotations takes when `bits` of them are summed over: few sums
 *  share little, large ones need many keys, each of which is worth key_seconds. *seconds, which may
 *  be NULL: what all that comes to. */
unsigned hel_cost_fold_radix(double *seconds, const hel_cost_model *m, const hel_params_spec *p,
			     size_t limbs, unsigned bits, double key_seconds);

size_t hel_cost_limbs(const hel_params_spec *p, unsigned level);
void hel_cost_add(hel_cost *sum, hel_cost c, double times);
/** Predicted seconds on one thread, and on several. */
double hel_cost_seconds(const hel_cost_model *m, hel_cost c);
double hel_cost_seconds_on(const hel_cost_model *m, hel_cost c, unsigned threads);

#endif
