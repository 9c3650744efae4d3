/* sine_fit.h -- functions of refreshed values, as one polynomial in the sine that a refresh ends
 * with: no arcsine before it, no composite of signs after it (docs/cryptography.md, (39)).
 */
#ifndef HEL_SINE_FIT_H
#define HEL_SINE_FIT_H

#include "polynomial.h"
#include "refresh.h"

#define HEL_ACTIVATION_EVEN 127 /* degree in v: 254 in u */
#define HEL_ACTIVATION_ODD 7	/* degree in v: 15 in u */

/** f(y) for |y| <= range as E(v) + u O(v), u = sin(2 pi 0.2375 y / range), v = 2 u^2 - 1: its even
 * and its odd part in Chebyshev's basis. */
typedef struct hel_activation_fit {
	unsigned even_degree;
	double even[HEL_ACTIVATION_EVEN + 1], odd[HEL_ACTIVATION_ODD + 1];
} hel_activation_fit;

/** Least squares, weighted with the density of a Gaussian of standard deviation `deviation` and a
 *  floor of a thousandth of its peak within the range, less beyond. For relu and a deviation of a
 *  seventh of the range: off by 2^-10.9, 2^-12.3, 2^-13.7 of the range in the mean square for
 * degrees 31, 63, 127, by 2^-6.4 to 2^-7.5 at most, at the kink and at the ends. Cost: 8
 * even_degree^3 additions and products.
 *  @retval HEL_EINVAL the degree is not 1 to HEL_ACTIVATION_EVEN, a number is not positive, or f is
 *          not finite. */
HEL_CHECKED hel_status hel_activation_fit_to(hel_activation_fit *out, double (*f)(double),
					     double range, double deviation, unsigned even_degree);
/** hel_refresh() and the function at once, by a refresher of HEL_TURN_ACTIVATION. Level: of out,
 * that of the sine less one less hel_polynomial_levels(even_degree), or less five where that is
 * more.
 *  @retval HEL_ELEVEL the degree takes more levels than there are. Others: hel_refresh(). */
HEL_CHECKED hel_status hel_refresh_activation(const hel_eval *ev, hel_ct *out, const hel_ct *a,
					      const hel_refresher *r,
					      const hel_activation_fit *fit);

#endif
