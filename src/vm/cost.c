/* What operations cost, in counts that parameters alone decide. */
#include "vm.h"
#include <math.h>

/* Microseconds on one core of an AVX2 EPYC, from test_kernels --bench: per butterfly layer and
 * coefficient, and per product. Planning needs their ratio only. */
#define SECONDS_NTT (10.4e-6 / (8192 * 13))
#define SECONDS_PRODUCT (1.8e-6 / 8192)
/* One term of a base conversion, in products: most of a product is its reduction. */
#define CONVERT_TERM 0.47
#define SECONDS_KEY_BYTE 0.05e-9

void hel_cost_add(hel_cost *sum, hel_cost c, double times)
{
	sum->ntts += times * c.ntts;
	sum->products += times * c.products;
	sum->key_bytes += times * c.key_bytes;
}

double hel_cost_seconds(const hel_params_spec *p, hel_cost c)
{
	const double n = exp2(p->log_n);
	return c.ntts * n * p->log_n * SECONDS_NTT + c.products * n * SECONDS_PRODUCT +
	       c.key_bytes * SECONDS_KEY_BYTE;
}

hel_cost hel_cost_decompose(const hel_params_spec *p, size_t limbs)
{
	const double l = (double)limbs, d = (double)((limbs + p->alpha - 1) / p->alpha);
	const double new_limbs = d * (l + p->special) - l;
	return (hel_cost){.ntts = l + new_limbs,
			  .products = l + new_limbs * (CONVERT_TERM * p->alpha + 1)};
}

hel_cost hel_cost_product(const hel_params_spec *p, size_t limbs)
{
	const double d = (double)((limbs + p->alpha - 1) / p->alpha);
	const double rows = (double)limbs + p->special;
	return (hel_cost){.products = 2 * rows * (0.6 * d + 1),
			  .key_bytes = 8 * d * rows * exp2(p->log_n)};
}

hel_cost hel_cost_finish(const hel_params_spec *p, size_t limbs)
{
	const double l = (double)limbs, k = p->special;
	return (hel_cost){.ntts = 2 * (l + k), .products = 2 * l * (CONVERT_TERM * k + 2)};
}

hel_cost hel_cost_rescale(const hel_params_spec *p, unsigned level)
{
	const double k = p->primes_per_level, l = (level - 1) * k + (p->base ? p->base : k + 1);
	return (hel_cost){.ntts = 2 * (l + k), .products = 2 * l * (k + 1)};
}
