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
/** Replaces every activation, and every polynomial in its place, by one fitted to what these
 * samples feed the activation, on a range `margin` (above 1) times the largest value. */
HEL_CHECKED hel_status hel_dlrm_approximate(hel_dlrm *m, const hel_samples *samples,
					    unsigned degree, hel_approximation_kind kind,
					    double margin);
/** As JSON text, zero-ended, which the caller frees with hel_free; and back. */
HEL_CHECKED hel_status hel_approximations_to_json(char **out, const hel_dlrm *m);
HEL_CHECKED hel_status hel_approximations_from_json(hel_dlrm *m, const char *text, size_t size);

#endif
