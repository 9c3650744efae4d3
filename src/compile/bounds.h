/* bounds.h -- what records do to a program. */
#ifndef HEL_BOUNDS_H
#define HEL_BOUNDS_H

#include "features/schema.h"
#include "model/dlrm.h"
#include "model/samples.h"
#include "vm/shape.h"

/** Where bounds are measured: scores up to `margin` times the largest one are accepted, which
 * leaves `room` bits, at least, to where scores wrap around. Both are less where level 0 holds no
 * more: in the parameters of a refresh. */
typedef struct hel_score_limits {
	double margin;
	int room;
} hel_score_limits;
hel_score_limits hel_score_limits_of(const hel_params *params);
/* This many bits are left between measured values and modulus everywhere. */
#define HEL_HEAD_ROOM 4

/** How a program takes errors, on records. */
typedef struct hel_precision {
	hel_noise_gains *gains;
	double apart; /* mean |program in the clear - model|: weights are single precision */
} hel_precision;

/** Of a program that m was compiled to, which it is checked against; s: the schema clients are
 *  told. Records: those given, or random ones.
 *  @retval HEL_ERANGE the program does not give what the model gives. */
HEL_CHECKED hel_status hel_precision_new(hel_precision *out, const hel_program *p,
					 const hel_dlrm *m, const hel_schema *s,
					 const hel_samples *given);
void hel_precision_clear(hel_precision *x);
/** The errors with any parameters that have the program's levels. */
HEL_CHECKED hel_status hel_precision_noise(hel_noise *out, const hel_precision *x,
					   const hel_program *p, const hel_params *params);
/** The dry run of a program. Bounds are proved for all records that the schema allows; where those
 * do not fit the modulus, *measured becomes true and they are the largest values that records
 * cause. proved_only: bounds are not measured.
 *  @retval HEL_ERANGE neither fits. */
HEL_CHECKED hel_status hel_dry_run(hel_shape *out, bool *measured, const hel_program *p,
				   const hel_params *params, const hel_precision *precision,
				   const hel_schema *s, const hel_samples *given, bool proved_only,
				   hel_progress *progress);
/** What a client uploads once for a program: known before a dry run, which takes longer. */
HEL_CHECKED hel_status hel_key_bytes(size_t *bytes, const hel_program *p, const hel_params *params);
/** Of a model's logits on records (random ones, as errors are predicted for, where none are given):
 * their standard deviation, and the largest. A model whose logits hardly vary has the largest's
 * size as spread, one whose logits are all 0 a spread of 1.
 *  @retval HEL_ERANGE a logit is not finite. */
HEL_CHECKED hel_status hel_logit_spread(double *spread, double *largest, const hel_dlrm *m,
					const hel_samples *given);
/** The same for a program alone, on random records of its manifest's schema; where its bounds were
 *  measured, on ones with Gaussian dense values, closer to those that they were measured on. */
HEL_CHECKED hel_status hel_program_shape(hel_shape *out, const hel_program *p,
					 const hel_params *params);

#endif
