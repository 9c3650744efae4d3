#include "circuit.h"
#include <string.h>

size_t hel_subset_sums(int32_t *out, uint32_t mask)
{
	size_t n = 0;
	for (uint32_t sub = 0;; sub = (sub - mask) & mask) {
		out[n++] = (int32_t)sub;
		if (sub == mask)
			return n;
	}
}

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

/* Random-looking factors without storing them. */
static uint64_t row_factor(size_t row)
{
	return hel_mix(hel_mix(row) + 1);
}

static uint64_t column_factor(size_t source, size_t column)
{
	return hel_mix(hel_mix((uint64_t)source << 32 | column) + 2);
}

/* v += rot(v, 2^bit) for every bit of the mask, which sums over all its subset sums */
static void sum_rotations(uint64_t *v, uint64_t *scratch, uint32_t mask, size_t slots)
{
	for (; mask; mask &= mask - 1) {
		const size_t step = mask & -mask;
		memcpy(scratch, v, step * sizeof *v); /* what wraps around */
		for (size_t p = 0; p < slots - step; p++)
			v[p] += v[p + step];
		for (size_t p = slots - step; p < slots; p++)
			v[p] += scratch[p + step - slots];
	}
}

hel_status hel_linear_check(int32_t *result, const hel_linear *t)
{
	hel_status st = HEL_OK;
	uint64_t *seen = NULL, all = 0;
	const size_t slots = t->slots;
	TRY_ALLOC(seen, hel_alloc(3 * slots, sizeof *seen));
	uint64_t *sum = seen + slots, *scratch = sum + slots;
	for (size_t k = 0; k < t->sources; k++) {
		const hel_linear_source *s = &t->source[k];
		for (size_t p = 0; p < slots; p++)
			seen[p] = s->map[p] < 0 ? 0 : column_factor(k, (size_t)s->map[p]);
		sum_rotations(seen, scratch, s->diagonals, slots);
		for (size_t p = 0; p < slots; p++)
			sum[p] += seen[p];
		for (size_t i = 0; i < s->width; i++)
			all += column_factor(k, i);
	}
	for (size_t p = 0; p < slots; p++)
		sum[p] = t->target[p] >= 0 && (size_t)t->target[p] < t->rows
			     ? sum[p] * row_factor((size_t)t->target[p])
			     : 0;
	sum_rotations(sum, scratch, t->folds, slots);
	for (size_t p = 0; p < slots; p++) {
		const int32_t row = t->target[p];
		if (row < 0 || (size_t)row >= t->rows)
			result[p] = sum[p] == 0 ? HEL_SLOT_ZERO : HEL_SLOT_ANY;
		else
			result[p] = sum[p] == all * row_factor((size_t)row) ? row : HEL_SLOT_ANY;
	}
done:
	hel_free(seen);
	return st;
}
