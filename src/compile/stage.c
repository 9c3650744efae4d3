#include "stage.h"
#include <string.h>

const char *hel_stage_then_name(hel_stage_then then)
{
	static const char *const name[] = {
	    [HEL_THEN_NOTHING] = "nothing",
	    [HEL_THEN_SQUARE] = "square",
	    [HEL_THEN_PRODUCT] = "product",
	    [HEL_THEN_POLYNOMIAL] = "polynomial",
	    [HEL_THEN_COEFFICIENTS] = "coefficients",
	    [HEL_THEN_SELECT] = "nothing", /* a selection is part of a lookup */
	};
	return name[then];
}

unsigned hel_stage_levels(const hel_stage *s)
{
	const unsigned product = hel_stage_multiplies(s);
	if (s->map == HEL_MAP_PAIRS)
		return 2; /* shift, product */
	switch (s->then) {
	case HEL_THEN_SQUARE:
	case HEL_THEN_SELECT:
		return product + 1;
	case HEL_THEN_PRODUCT:
		return product + (unsigned)s->factors;
	case HEL_THEN_POLYNOMIAL:
		return product + hel_polynomial_levels(s->polynomial->degree);
	case HEL_THEN_COEFFICIENTS:
	case HEL_THEN_NOTHING:
		break;
	}
	return product;
}

bool hel_stage_is_product(const hel_stage *s)
{
	return s->then == HEL_THEN_SQUARE || s->then == HEL_THEN_PRODUCT || s->map == HEL_MAP_MEET;
}

hel_polynomial hel_stage_polynomial(const hel_stage *s)
{
	return (hel_polynomial){HEL_BASIS_CHEBYSHEV, s->polynomial->degree, s->polynomial->c};
}

size_t hel_stage_matrices(const hel_stage *s, const hel_stage_source *source)
{
	size_t n = 0;
	for (size_t f = 0; f < s->factors; f++)
		n += source->matrix[f] != NULL;
	return n;
}

bool hel_stage_is_real(const hel_stage *s)
{
	bool real = true;
	for (size_t k = 0; k < s->sources; k++)
		for (size_t f = 0; f < s->factors; f++)
			for (size_t i = 0;
			     s->source[k].matrix[f] && i < s->rows * s->source[k].width; i++)
				real &= s->source[k].matrix[f][i].im == 0;
	return real;
}

size_t hel_stage_computed(const hel_stage *s, const hel_stage_source *out[HEL_MAX_PARENTS])
{
	size_t n = 0;
	for (size_t k = 0; k < s->sources; k++)
		if (s->source[k].stage >= 0)
			out[n++] = &s->source[k];
	return n;
}

bool hel_stage_is_computed(const hel_stage *s)
{
	const hel_stage_source *from[HEL_MAX_PARENTS];
	return hel_stage_computed(s, from) > 0;
}

size_t hel_stage_chunks(size_t width, uint32_t mask)
{
	const unsigned bits = (unsigned)__builtin_popcount(mask);
	return (width + ((size_t)1 << bits) - 1) >> bits;
}

size_t hel_stage_fresh_count(const hel_stage *s, uint32_t mask)
{
	size_t n = 0;
	for (size_t k = 0; k < s->sources; k++)
		if (s->source[k].stage < 0)
			n += hel_stage_chunks(s->source[k].width, mask);
	return n;
}

void hel_stage_clear(hel_stage *s)
{
	for (size_t f = 0; f < HEL_MAX_FACTORS; f++) {
		for (size_t k = 0; k < s->sources; k++)
			hel_free(s->source[k].matrix[f]);
		hel_free(s->bias[f]);
	}
	hel_free(s->source);
	hel_free(s->place);
	memset(s, 0, sizeof *s);
}
