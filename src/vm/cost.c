#include "cost.h"
#include "ckks/primes.h"
#include <math.h>
#include <string.h>

void hel_cost_add(hel_cost *sum, hel_cost c, double times)
{
#define ADD(name) sum->name += times * c.name;
	HEL_COSTS(ADD)
#undef ADD
}

double hel_cost_bytes(hel_cost c)
{
	return c.key_bytes + c.weight_bytes + c.value_bytes;
}

hel_cost_model hel_cost_model_for(const hel_cost_model *m, double bytes)
{
	hel_cost_model r = *m;
	const double missed = bytes > m->cache ? 1 - m->cache / bytes : 0;
	r.seconds.key_bytes *= missed;
	r.seconds.key_strays *= missed;
	r.seconds.weight_bytes *= missed;
	r.seconds.value_bytes *= missed;
	r.cache = 0;
	return r;
}

void hel_cost_model_scale(hel_cost_model *m, double factor)
{
#define SCALE(name) m->seconds.name *= factor;
	HEL_COSTS(SCALE)
#undef SCALE
}

double hel_cost_seconds(const hel_cost_model *m, hel_cost c)
{
	return hel_cost_seconds_on(m, c, 1);
}

double hel_cost_seconds_on(const hel_cost_model *m, hel_cost c, unsigned threads)
{
	const hel_cost *s = &m->seconds;
	double all = 0;
	if (threads == 1)
		c.forks = 0;
#define ADD(name) all += c.name * s->name;
	HEL_COSTS(ADD)
#undef ADD
	/* queries and results are read, copied and written by one thread */
	const double serial = c.input_words * s->input_words + c.result_words * s->result_words +
			      c.copies * s->copies + c.ops * s->ops + c.forks * s->forks;
	return serial + (all - serial) / (1 + (threads - 1) * m->efficiency);
}

size_t hel_cost_limbs(const hel_params_spec *p, unsigned level)
{
	size_t limbs = 0;
	for (unsigned l = 0; l <= level; l++)
		limbs += hel_spec_primes(p, l);
	return limbs;
}

static double transforms(const hel_params_spec *p, double count)
{
	return count * exp2(p->log_n) * p->log_n / 2;
}

/* What does not stay in a core's second-level cache, of terms over `run` limbs that are read again
 * for every target. */
static double far(const hel_params_spec *p, double terms, double run)
{
	const double cache = 1 << 20, bytes = 4 * exp2(p->log_n) * run;
	return bytes > cache ? terms * (1 - cache / bytes) : 0;
}

hel_cost hel_cost_decompose(const hel_params_spec *p, size_t limbs)
{
	const double n = exp2(p->log_n), rows = (double)limbs + p->special;
	double raised = 0, terms = 0;
	for (size_t at = 0; at < limbs; at += p->alpha) {
		const double size = (double)HEL_MIN(p->alpha, limbs - at);
		raised += rows - size;
		terms += (rows - size) * size;
	}
	return (hel_cost){.butterflies = transforms(p, (double)limbs + raised),
			  .conversion_terms = n * terms,
			  .conversion_far = far(p, n * terms, (double)limbs),
			  .conversion_sums = n * raised,
			  .forks = 2};
}

#define DIGITS_AHEAD 8 /* of two streams each, that are read before they are needed */

hel_cost hel_cost_product(const hel_params_spec *p, size_t limbs)
{
	const double n = exp2(p->log_n), rows = (double)limbs + p->special;
	const double digits = (double)((limbs + p->alpha - 1) / p->alpha);
	return (hel_cost){.sum_terms = n * rows * digits,
			  .sums = n * rows,
			  .key_bytes = 8 * n * rows * digits,
			  .key_strays = 8 * n * rows * HEL_MAX(digits - DIGITS_AHEAD, 0)};
}

/* Both halves divided by a run of primes, over the other `limbs`. */
static hel_cost division(const hel_params_spec *p, size_t run, size_t limbs)
{
	const double n = exp2(p->log_n), l = (double)limbs, k = (double)run;
	const double exact = run > 1; /* then the quotient is one more sum, and one more term */
	const double terms = 2 * n * l * (k + exact);
	return (hel_cost){.butterflies = transforms(p, 2 * (l + k)),
			  .conversion_terms = terms + 2 * n * exact * k,
			  .conversion_far = far(p, terms, k + exact),
			  .conversion_sums = 2 * n * (l + exact),
			  .divisions = 2 * n * l,
			  .forks = 2 + exact};
}

hel_cost hel_cost_finish(const hel_params_spec *p, size_t limbs)
{
	return division(p, p->special, limbs);
}

hel_cost hel_cost_finish_rescaled(const hel_params_spec *p, unsigned level)
{
	return division(p, p->special + hel_spec_primes(p, level), hel_cost_limbs(p, level - 1));
}

hel_cost hel_cost_rescale(const hel_params_spec *p, unsigned level)
{
	return division(p, hel_spec_primes(p, level), hel_cost_limbs(p, level - 1));
}

hel_cost hel_cost_sum(const hel_params_spec *p, size_t limbs, double terms, double values,
		      double groups)
{
	const double words = exp2(p->log_n) * (double)limbs;
	return (hel_cost){.sum_terms = words * terms,
			  .sums = words * groups,
			  .weight_bytes = 4 * words * terms,
			  .value_bytes = 8 * words * values,
			  .forks = groups};
}

hel_cost hel_cost_tensor(const hel_params_spec *p, size_t limbs)
{
	return (hel_cost){.products = 4 * exp2(p->log_n) * (double)limbs, .forks = 1};
}

static hel_cost relinearised(const hel_params_spec *p, size_t limbs)
{
	hel_cost c = hel_cost_tensor(p, limbs);
	hel_cost_add(&c, hel_cost_decompose(p, limbs), 1);
	hel_cost_add(&c, hel_cost_product(p, limbs), 1);
	return c;
}

hel_cost hel_cost_multiply(const hel_params_spec *p, unsigned level)
{
	const size_t limbs = hel_cost_limbs(p, level);
	hel_cost c = relinearised(p, limbs);
	hel_cost_add(&c, hel_cost_finish(p, limbs), 1);
	return c;
}

hel_cost hel_cost_multiply_rescaled(const hel_params_spec *p, unsigned level, bool plus)
{
	const size_t limbs = hel_cost_limbs(p, level);
	hel_cost c = relinearised(p, limbs);
	/* the level's own limbs of what needs no key, times P */
	const size_t added = hel_spec_primes(p, level) + (plus ? limbs : 0);
	hel_cost_add(&c, hel_cost_weighted_sum(p, added, 1), 1);
	hel_cost_add(&c, hel_cost_finish_rescaled(p, level), 1);
	return c;
}

hel_cost hel_cost_products_rescaled(const hel_params_spec *p, unsigned level, size_t count)
{
	hel_cost c = hel_cost_multiply_rescaled(p, level, true);
	/* four products and three sums a word */
	c.products += 7 * exp2(p->log_n) * (double)hel_cost_limbs(p, level) * (double)(count - 1);
	return c;
}

hel_cost hel_cost_weighted_sum(const hel_params_spec *p, size_t limbs, double terms)
{
	const double words = exp2(p->log_n) * (double)limbs;
	return (hel_cost){.products = 2 * words * terms, .copies = words, .forks = 1};
}

hel_cost hel_cost_add_plain(const hel_params_spec *p, size_t limbs)
{
	hel_cost c = hel_cost_copy(p, limbs);
	c.products = exp2(p->log_n) * (double)limbs;
	c.weight_bytes = 4 * exp2(p->log_n) * (double)limbs;
	return c;
}

hel_cost hel_cost_read(const hel_params_spec *p, size_t limbs)
{
	return (hel_cost){.input_words = exp2(p->log_n) * (double)limbs};
}

hel_cost hel_cost_copy(const hel_params_spec *p, size_t limbs)
{
	return (hel_cost){.copies = exp2(p->log_n) * (double)limbs};
}

hel_cost hel_cost_write(const hel_params_spec *p, size_t limbs)
{
	return (hel_cost){.butterflies = transforms(p, (double)limbs),
			  .result_words = exp2(p->log_n) * (double)limbs,
			  .forks = 1};
}

/* helrm bench --calibrate wrote these (docs/performance.md). */
static const struct {
	const char *backend;
	hel_cost_model model;
} defaults[] = {
    {"scalar",
     {{.butterflies = 1.74e-09,
       .conversion_terms = 1.38e-09,
       .conversion_far = 1.24e-09,
       .conversion_sums = 0,
       .divisions = 2.16e-09,
       .products = 1.36e-09,
       .sum_terms = 1.71e-09,
       .sums = 4.59e-09,
       .key_bytes = 2.42e-11,
       .key_strays = 6e-11,
       .weight_bytes = 6.86e-11,
       .value_bytes = 1.03e-10,
       .copies = 1.12e-10,
       .input_words = 1.22e-08,
       .result_words = 1.01e-08,
       .ops = 0,
       .forks = 1e-05},
      0.9,
      4.1943e+06}},
    {"avx2",
     {{.butterflies = 2.18e-10,
       .conversion_terms = 1.73e-10,
       .conversion_far = 1.55e-10,
       .conversion_sums = 0,
       .divisions = 2.7e-10,
       .products = 1.7e-10,
       .sum_terms = 2.13e-10,
       .sums = 5.73e-10,
       .key_bytes = 2.42e-11,
       .key_strays = 6e-11,
       .weight_bytes = 6.86e-11,
       .value_bytes = 1.03e-10,
       .copies = 1.12e-10,
       .input_words = 1.22e-08,
       .result_words = 1.01e-08,
       .ops = 0,
       .forks = 1e-05},
      0.9,
      4.1943e+06}},
    {"avx512",
     {{.butterflies = 1.08e-10,
       .conversion_terms = 1.05e-10,
       .conversion_far = 1.1e-10,
       .conversion_sums = 9.16e-11,
       .divisions = 1.51e-10,
       .products = 1.23e-10,
       .sum_terms = 1.38e-10,
       .sums = 4.92e-10,
       .key_bytes = 3.43e-11,
       .key_strays = 6e-11,
       .weight_bytes = 5.56e-11,
       .value_bytes = 6.77e-11,
       .copies = 1.46e-10,
       .input_words = 1.24e-08,
       .result_words = 9.98e-09,
       .ops = 0,
       .forks = 1e-05},
      0.9,
      4.1943e+06}},
};

const hel_cost_model *hel_cost_model_default(void)
{
	const char *name = hel_kernels_get()->name;
	for (size_t i = 1; i < HEL_ARRAY_LEN(defaults); i++)
		if (strcmp(defaults[i].backend, name) == 0)
			return &defaults[i].model;
	return &defaults[0].model;
}

unsigned hel_cost_fold_radix(double *seconds, const hel_cost_model *m, const hel_params_spec *p,
			     size_t limbs, unsigned bits, double key_seconds)
{
	double least = INFINITY;
	unsigned best = 1;
	for (unsigned radix = 1; radix <= HEL_FOLD_RADIX_MAX; radix++) {
		hel_cost c = {0};
		double keys = 0;
		for (unsigned done = 0; done < bits; done += radix) {
			const double rotations = exp2(HEL_MIN(radix, bits - done)) - 1;
			hel_cost_add(&c, hel_cost_decompose(p, limbs), 1);
			hel_cost_add(&c, hel_cost_product(p, limbs), rotations);
			hel_cost_add(&c, hel_cost_finish(p, limbs), 1);
			keys += rotations;
		}
		const double value = hel_cost_seconds(m, c) + keys * key_seconds;
		if (value < least) {
			least = value;
			best = radix;
		}
	}
	if (seconds)
		*seconds = least;
	return best;
}
