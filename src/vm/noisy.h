/* noisy.h -- predicts the errors of ciphertexts.
 *
 * How far a result turns with each slot of each value follows from one walk back through the
 * program (reverse differentiation); times the variance that each op adds, that is the variance of
 * the result, correlations included: folds add copies of one error, repeated rotations the same.
 */
#ifndef HEL_VM_NOISY_H
#define HEL_VM_NOISY_H

#include "ckks/ckks.h"
#include "prog/prog.h"

/** Standard deviations of errors, in the unit of the result; of one op: of what it adds to them. */
typedef struct hel_noise {
	double score;	    /* of the mean over a record's slots; the mean of records */
	double contributed; /* the same for queries that are made under the public key */
	double slot;	    /* of a slot's real part: root mean square over slots and records */
} hel_noise;

/** What the walk back found, for any parameters. */
typedef struct hel_noise_gains hel_noise_gains;

/** For `count` feature vectors, one after the other. Seeded. Exact to first order in errors but for
 *  `slot`, which is estimated. Cost: three runs in the clear each. */
HEL_CHECKED hel_status hel_noise_gains_new(hel_noise_gains **out, const hel_program *p,
					   const double *features, size_t count);
void hel_noise_gains_free(hel_noise_gains *g);
/** Predicts errors with parameters that have the levels of p's. op: one per op, may be NULL. Cost:
 *  none to speak of. */
HEL_CHECKED hel_status hel_noise_predict(hel_noise *all, hel_noise *op, const hel_noise_gains *g,
					 const hel_program *p, const hel_params *params);

#endif
