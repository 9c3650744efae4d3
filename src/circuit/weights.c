#include "circuit.h"
#include <string.h>

static inline size_t rotated(size_t slot, int64_t by, size_t slots)
{
	return (size_t)((int64_t)slot + by) & (slots - 1);
}

bool hel_linear_weights(hel_complex *out, const hel_linear *t, size_t source, int32_t baby,
			int32_t giant)
{
	const hel_linear_source *s = &t->source[source];
	bool any = false;
	memset(out, 0, t->slots * sizeof *out);
	for (size_t p = 0; p < t->slots; p++) {
		const int32_t row = t->target[p];
		const int32_t seen = s->map[rotated(p, (int64_t)baby + giant, t->slots)];
		if (row < 0 || (size_t)row >= t->rows || seen < 0)
			continue;
		hel_complex w = s->matrix[(size_t)row * s->width + (size_t)seen];
		/* multiplied before the giant step moves it to p */
		out[rotated(p, giant, t->slots)] = w;
		any |= w.re != 0 || w.im != 0;
	}
	return any;
}

/* splitmix64: a random-looking matrix entry or vector element without storing it */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t entry(size_t source, int32_t row, int32_t column)
{
	return mix(mix((uint64_t)row << 32 | (uint32_t)column) + source);
}

hel_status hel_linear_check(int32_t *result, const hel_linear *t)
{
	hel_status st = HEL_OK;
	uint64_t *x = NULL;
	TRY_ALLOC(x, hel_alloc(3 * t->slots + t->rows, sizeof *x));
	uint64_t *sum = x + t->slots, *folded = sum + t->slots, *right = folded + t->slots;
	for (size_t k = 0; k < t->sources; k++) {
		const hel_linear_source *s = &t->source[k];
		for (size_t p = 0; p < t->slots; p++)
			x[p] = s->map[p] == HEL_SLOT_ZERO  ? 0
			       : s->map[p] == HEL_SLOT_ANY ? mix(~p) /* different in every slot */
							   : mix(mix((uint64_t)s->map[p]) - k - 1);
		for (size_t o = 0; o < t->rows; o++)
			for (size_t i = 0; i < s->width; i++)
				right[o] += entry(k, (int32_t)o, (int32_t)i) * mix(mix(i) - k - 1);
		for (size_t b = 0; b < s->babies; b++)
			for (size_t g = 0; g < (s->giants ? t->giants : 1); g++)
				for (size_t p = 0; p < t->slots; p++) {
					size_t q = rotated(p, (int64_t)s->baby[b] + t->giant[g],
							   t->slots);
					if (t->target[p] >= 0 && (size_t)t->target[p] < t->rows &&
					    s->map[q] >= 0)
						sum[p] += entry(k, t->target[p], s->map[q]) * x[q];
				}
	}
	for (size_t f = 0; f < t->folds; f++) {
		for (size_t p = 0; p < t->slots; p++)
			folded[p] = sum[p] + sum[rotated(p, t->fold[f], t->slots)];
		memcpy(sum, folded, t->slots * sizeof *sum);
	}
	for (size_t p = 0; p < t->slots; p++) {
		int32_t row = t->target[p];
		if (row < 0 || (size_t)row >= t->rows)
			result[p] = sum[p] == 0 ? HEL_SLOT_ZERO : HEL_SLOT_ANY;
		else
			result[p] = sum[p] == right[row] ? row : HEL_SLOT_ANY;
	}
done:
	hel_free(x);
	return st;
}
