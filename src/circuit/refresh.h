/* refresh.h -- the inside of a refresh: for callers that bring values into coefficients themselves
 * and take sines (a network: its layer ends with the transform, its activation contains the
 * arcsine).
 */
#ifndef HEL_REFRESH_H
#define HEL_REFRESH_H

#include "circuit.h"
#include "ckks/params.h"
#include "coefficients.h"
#include <helrm/refresh.h>

/* |t| <= 12.5 for all but 2^-55 of coefficients, t = y + I: (34) */
#define HEL_REFRESH_BOUND 12.75
/* Degree in T_2 of the cosine before it is doubled: truncated at 2^-24 */
#define HEL_REFRESH_DEGREE 31
/* Degree of the arcsine, for sines of at most 0.72: off by 2^-23 */
#define HEL_ARCSINE_DEGREE 15

/* Turns of the largest value where the value itself is wanted: the arcsine is steep at a quarter.
 */
#define HEL_TURN_VALUE 0.125

struct hel_refresher {
	const hel_params *params;
	unsigned log_values;
	double range; /* the largest value: HEL_TURN_VALUE of a circle */
	hel_copies copies;
	uint32_t constant;    /* of hel_lift */
	double unit;	      /* what t = 1 is at the top, over the constant: (35) */
	hel_fft transform[4]; /* by hel_fft_kind */
	hel_pt *shift;	      /* a quarter turn */
	double cosine[HEL_REFRESH_DEGREE + 1], arcsine[HEL_ARCSINE_DEGREE + 1];
	hel_key_request *request;
	size_t requests;
};

/** out = gain sin(2 pi y / q_0), y the integers behind the coefficients at multiples of N / n of a
 *  ciphertext of level 0, n = 2^log_values of them; all other coefficients do not matter. They
 * arrive in the slots that hel_fft_value() tells, after hel_fft_skewed() where copies are skewed.
 * Level: hel_refresh_levels(). Error: (36). Cost: all of hel_refresh() but a few key switches at
 * low levels.
 *  @retval HEL_ECANCEL the evaluator's `stop` was set on the way. */
HEL_CHECKED hel_status hel_refresh_sine(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					const hel_refresher *r, double gain);
/** The gain by which the sine of `turn` becomes 1. */
double hel_refresh_gain(double turn);
/** For hel_refresh_sine() alone, as programs use it: copies are skewed.
 *  @retval HEL_EPARAMS the parameters are not those of hel_refresh_params().
 *  @retval HEL_EINVAL log_values is not 3 to log_n - 1. */
HEL_CHECKED hel_status hel_refresher_new_program(hel_refresher **out, const hel_params *p,
						 unsigned log_values, hel_pool *pool);
/** The same without weights: keys, steps and errors only. */
HEL_CHECKED hel_status hel_refresher_sketch(hel_refresher **out, const hel_params *p,
					    unsigned log_values);
/** The part of a circle that a coefficient of level 0 is, over its value: that of q_0 is 1. */
double hel_refresh_unit(const hel_params *p);
/** The rotations that one sum of the trace adds, by multiples of `first`; returns how many. */
size_t hel_refresh_trace_steps(long steps[3], const hel_params *p, size_t first);
/** Bytes of the weights of hel_refresher_new_program(). */
size_t hel_refresher_bytes(const hel_refresher *r);
/** The standard deviation of that sine for coefficients with errors of this variance. */
double hel_refresh_sine_error(const hel_refresher *r, double gain, double variance);

#endif
