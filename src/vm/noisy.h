/* noisy.h -- the noisy machine: a program in the clear without and with errors, to predict those of
 * ciphertexts. Knows their correlations, as formulas op by op would not.
 */
#ifndef HEL_VM_NOISY_H
#define HEL_VM_NOISY_H

#include "ckks/ckks.h"
#include "prog/prog.h"

/** What one op leaves behind in simulated runs. */
typedef struct hel_noise {
	double slot;  /* root mean square of the error of a slot's real part */
	double score; /* of the error of the mean over a record's slots */
} hel_noise;

/** Predicts errors: runs `count` feature vectors, one after the other, without and with errors that
 *  are drawn, op by op and slot by slot, with the variances of ckks/noise.c. level[op]: the level
 *  before each op; product[op]: its result is at a product's scale. noise: one per op. Seeded. */
HEL_CHECKED hel_status hel_noise_run(hel_noise *noise, const hel_program *p,
				     const hel_params *params, const unsigned *level,
				     const bool *product, const double *features, size_t count);

#endif
