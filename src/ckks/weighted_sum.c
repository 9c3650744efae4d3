#include "encoder.h"
#include "eval.h"
#include <math.h>

/* An integer held by a double, modulo q: its mantissa times a power of two. */
static uint32_t residue(double v, uint32_t q)
{
	int exponent;
	int64_t mantissa = (int64_t)ldexp(frexp(v, &exponent), 53);
	exponent -= 53;
	while (exponent < 0 && mantissa % 2 == 0) {
		mantissa /= 2;
		exponent++;
	}
	int64_t r = mantissa % (int64_t)q;
	if (r < 0)
		r += q;
	return hel_mod_mul((uint32_t)r, hel_mod_pow(2, (uint64_t)HEL_MAX(exponent, 0), q), q);
}

typedef struct sum_job {
	const hel_params *params;
	hel_ct *out;
	const hel_sum_term *term;
	const double *factor; /* whole numbers */
	size_t terms;
	double constant; /* a whole number */
} sum_job;

static void sum_limb(void *arg, size_t i)
{
	const sum_job *j = arg;
	const hel_ring *ring = &j->params->ring;
	const size_t n = ring->n, at = i * n;
	const hel_prime *const *prime = ring->at + i;
	const uint32_t q = ring->prime[i].q;
	/* the transform of a constant is that constant everywhere */
	const uint32_t constant = residue(j->constant, q);
	for (size_t k = 0; k < n; k++)
		j->out->part[0][at + k] = constant;
	for (size_t k = 0; k < n; k++)
		j->out->part[1][at + k] = 0;
	for (size_t t = 0; t < j->terms; t++) {
		const hel_factor f = hel_factor_of(residue(j->factor[t], q), q);
		for (int half = 0; half < 2; half++)
			ring->k->scale_add(j->out->part[half] + at, j->term[t].a->part[half] + at,
					   &f, prime, 1);
	}
}

/* What to multiply a term's integers with so that it has scale `wanted`. */
static hel_status whole_factor(double *out, const hel_params *p, const hel_sum_term *t,
			       unsigned level, double wanted)
{
	hel_status st = HEL_OK;
	if (t->a->level < level)
		FAIL(HEL_ELEVEL, "a term of level %u in a sum at level %u", t->a->level, level);
	if (t->a->scale == wanted && t->a->level == level) {
		*out = t->factor;
		if (rint(*out) != *out)
			FAIL(HEL_EINVAL, "a product enters a sum with factor %g, no integer", *out);
	} else if (t->a->scale == p->scale[t->a->level])
		*out = rint(t->factor * (wanted / t->a->scale));
	else
		FAIL(HEL_ESCALE, "a term of scale 2^%.3f in a sum at level %u", log2(t->a->scale),
		     level);
	if (!(fabs(*out) < 0x1p100))
		FAIL(HEL_ERANGE, "a factor of %g in a sum", t->factor);
done:
	return st;
}

hel_status hel_eval_weighted_sum(const hel_eval *ev, hel_ct *out, unsigned level,
				 const hel_sum_term *terms, size_t count, double constant)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	double *factor = NULL;
	if (out->params != p)
		FAIL(HEL_EPARAMS, "ciphertext and evaluator have different parameters");
	if (!level || level > p->spec.levels)
		FAIL(HEL_ELEVEL, "a sum at level %u cannot be rescaled", level);
	const double wanted = p->scale[level] * p->scale[level];
	if (!(fabs(constant) < 0x1p40))
		FAIL(HEL_ERANGE, "a constant of %g in a sum", constant);
	TRY_ALLOC(factor, hel_alloc(count, sizeof *factor));
	for (size_t i = 0; i < count; i++) {
		if (terms[i].a->params != p)
			FAIL(HEL_EPARAMS, "ciphertext and evaluator have different parameters");
		if (terms[i].a == out)
			FAIL(HEL_EINVAL, "a sum cannot overwrite one of its terms");
		TRY(whole_factor(&factor[i], p, &terms[i], level, wanted));
	}
	sum_job j = {p, out, terms, factor, count, rint(constant * wanted)};
	hel_pool_for(ev->pool, p->limbs[level], sum_limb, &j);
	out->level = level;
	out->scale = wanted;
done:
	hel_free(factor);
	return st;
}
