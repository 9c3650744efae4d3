/* approximation.h -- polynomials for activations that ciphertexts cannot take. */
#ifndef HEL_APPROXIMATION_H
#define HEL_APPROXIMATION_H

#include "dlrm.h"
#include "samples.h"

typedef enum hel_approximation_kind {
	HEL_LEAST_SQUARES, /* weighted by how often a value occurs */
	HEL_INTERPOLATION, /* in Chebyshev's nodes: nearly the least largest error */
} hel_approximation_kind;

/** Fits on [-range, range]; seen: what hel_dlrm_approximate learned there, or NULL. */
HEL_CHECKED hel_status hel_approximation_fit(hel_approximation *out, hel_activation act,
					     unsigned degree, hel_approximation_kind kind,
					     double range, const void *seen);
/** The same for a degree up to HEL_MAX_FITTED, and a turn (hel_approximation). Terms of odd
 *  degree beyond 15, or below 2^-20 of the range, are left out where the activation's odd part is a
 *  line, as relu's is. What is
 *  rare counts little, but more than nothing: a thousandth of what is frequent. For relu, in the
 *  mean square: off by 2^-10.6, 2^-12, 2^-13.4 of the range for degrees 62, 126, 254. */
HEL_CHECKED hel_status hel_approximation_fit_wide(hel_approximation *out, hel_activation act,
						  unsigned degree, double turn, double range,
						  const void *seen);
/** What reaches each activation of a model as it was trained, in these samples. */
typedef struct hel_seen hel_seen;
HEL_CHECKED hel_status hel_seen_new(hel_seen **out, const hel_dlrm *m, const hel_samples *samples);
void hel_seen_free(hel_seen *s);
/** The largest |value| that an activation saw, or a thousandth. */
double hel_seen_largest(const hel_seen *s, size_t activation);
/** The model with the activations it was trained with: without fitted polynomials. */
void hel_dlrm_exact(hel_dlrm *m);
/** Replaces every activation, and every polynomial fitted in its place, by one fitted to what was
 *  seen, on a range `margin` (1 or more) times the largest value. */
HEL_CHECKED hel_status hel_dlrm_approximate_seen(hel_dlrm *m, const hel_seen *seen, unsigned degree,
						 hel_approximation_kind kind, double margin);
/** How one activation is replaced. */
typedef struct hel_fit {
	unsigned degree;
	double turn;
} hel_fit;
/** The same by hel_approximation_fit_wide(): fit[i] for activation i. */
HEL_CHECKED hel_status hel_dlrm_approximate_wide(hel_dlrm *m, const hel_seen *seen,
						 const hel_fit *fit, double margin);
/** The same for what these samples feed the activations. */
HEL_CHECKED hel_status hel_dlrm_approximate(hel_dlrm *m, const hel_samples *samples,
					    unsigned degree, hel_approximation_kind kind,
					    double margin);
/** As JSON text, zero-ended, which the caller frees with hel_free; and back. */
HEL_CHECKED hel_status hel_approximations_to_json(char **out, const hel_dlrm *m);
HEL_CHECKED hel_status hel_approximations_from_json(hel_dlrm *m, const char *text, size_t size);

#endif
