/* Error variances per slot (complex: real and imaginary part together), in units of the message.
 * A coefficient error of variance v gives each slot N v / scale^2: the embedding is a unitary map
 * times sqrt(N). A ternary secret has mean square 2/3 per coefficient. */
#include "noise.h"
#include "params.h"
#include <math.h>

double hel_noise_encryption(const hel_params *p, double scale)
{
	return (double)p->ring.n * HEL_SIGMA * HEL_SIGMA / (scale * scale);
}

/* e u + e0 + e1 s is divided by P, which rounds both halves. */
double hel_noise_encryption_public(const hel_params *p, double scale)
{
	const double n = (double)p->ring.n, of_p = exp2(-hel_params_log_special(p));
	const double before = HEL_SIGMA * HEL_SIGMA * (4 * n / 3 + 1) * of_p * of_p;
	return hel_noise_rescale(p, scale) + n * before / (scale * scale);
}

/* Rounding to integers: 1/12. */
double hel_noise_encoding(const hel_params *p, double scale)
{
	return (double)p->ring.n / 12 / (scale * scale);
}

/* A division rounds both halves; the second is multiplied by the secret: (1 + 2N/3) / 12. */
double hel_noise_rescale(const hel_params *p, double scale)
{
	const double n = (double)p->ring.n;
	return n * (1 + 2 * n / 3) / 12 / (scale * scale);
}

/* Each digit, a sum of alpha centred terms of variance D^2 / 12 (D the digit's primes together),
 * meets the key's error and is divided by P; then ModDown rounds. */
double hel_noise_switch(const hel_params *p, size_t limbs, size_t count, double scale)
{
	const double n = (double)p->ring.n, log_p = hel_params_log_special(p);
	double keys = 0;
	for (size_t d = 0; d < hel_params_digits_at(p, limbs); d++) {
		const size_t first = d * p->spec.alpha;
		const size_t end = HEL_MIN(first + p->spec.alpha, limbs);
		double log_digit = 0;
		for (size_t i = first; i < end; i++)
			log_digit += log2(p->ring.prime[i].q);
		keys += (double)(end - first) * exp2(2 * (log_digit - log_p)) / 12;
	}
	return hel_noise_rescale(p, scale) +
	       (double)count * n * n * keys * HEL_SIGMA * HEL_SIGMA / (scale * scale);
}
