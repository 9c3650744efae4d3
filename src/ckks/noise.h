/* noise.h -- error variance per slot that each operation adds. */
#ifndef HEL_CKKS_NOISE_H
#define HEL_CKKS_NOISE_H

#include "objects.h"

/** Without the encoding's, as for all of these. */
double hel_noise_encryption(const hel_params *p, double scale);
/** Under the public key: the larger one. */
double hel_noise_encryption_public(const hel_params *p, double scale);
double hel_noise_encoding(const hel_params *p, double scale);
/** scale: after the division. */
double hel_noise_rescale(const hel_params *p, double scale);
/** `count` key switches whose sums one division ends. */
double hel_noise_switch(const hel_params *p, size_t limbs, size_t count, double scale);

#endif
