#include "circuit.h"
#include <string.h>

static inline size_t rotated(size_t slot, int64_t by, size_t slots)
{
	return (size_t)((int64_t)slot + by) & (slots - 1);
}

static bool matters(const hel_linear_source *s, size_t element)
{
	return !s->column || s->column[element] >= 0;
}

static hel_complex entry(const hel_linear *t, const hel_linear_source *s, size_t row,
			 int32_t element)
{
	const size_t e = (size_t)element, mask = ((size_t)1 << s->log_blocks) - 1;
	if (element < 0 || !matters(s, e) || (s->blocks && (row & mask) != e >> s->log_piece))
		return (hel_complex){0, 0};
	if (s->blocks)
		return s->matrix[e * (t->rows >> s->log_blocks) + (row >> s->log_blocks)];
	const size_t column = s->column ? (size_t)s->column[e] : e;
	return s->matrix[row * (s->stride ? s->stride : s->width) + column];
}

bool hel_linear_weights(hel_complex *out, const hel_linear *t, size_t source, int32_t baby,
			int32_t giant)
{
	const hel_linear_source *s = &t->source[source];
	const double scale = t->folds & t->slots ? 0.5 : 1;
	bool any = false;
	memset(out, 0, t->slots * sizeof *out);
	for (size_t p = 0; p < t->slots; p++) {
		const int32_t row = t->target[p];
		const size_t seen = rotated(p, (int64_t)baby + giant, t->slots);
		if (row < 0 || (size_t)row >= t->rows)
			continue;
		hel_complex w = entry(t, s, (size_t)row, s->map[seen]);
		if (s->imaginary) /* Re((a - ib)(x + iy)) = ax + by */
			w.im -= entry(t, s, (size_t)row, s->imaginary[seen]).re;
		/* multiplied before the giant step moves it to p */
		out[rotated(p, giant, t->slots)] = (hel_complex){scale * w.re, scale * w.im};
		any |= w.re != 0 || w.im != 0;
	}
	return any;
}

/* Random-looking factors without storing them. */
static uint64_t row_factor(size_t row)
{
	return hel_mix(row + ((uint64_t)1 << 62));
}

static uint64_t column_factor(size_t source, size_t column)
{
	return hel_mix((uint64_t)source << 32 | column);
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

/* What an element adds to the slot that sees it, and to the sums `all` of those who must. */
static uint64_t element_factor(const hel_linear_source *s, size_t source, int32_t element)
{
	return element < 0 || !matters(s, (size_t)element) ? 0
							   : column_factor(source, (size_t)element);
}

/* Sums of all elements that a row must see: of dense sources, and of each block. */
static void required(uint64_t *dense, uint64_t *block, const hel_linear *t)
{
	for (size_t k = 0; k < t->sources; k++) {
		const hel_linear_source *s = &t->source[k];
		for (size_t i = 0; i < s->width; i++)
			*(s->blocks ? &block[i >> s->log_piece] : dense) +=
			    element_factor(s, k, (int32_t)i);
	}
}

hel_status hel_linear_check(int32_t *result, const hel_linear *t)
{
	hel_status st = HEL_OK;
	uint64_t *seen = NULL, *block = NULL, dense = 0;
	const size_t slots = t->slots;
	unsigned log_blocks = 0;
	for (size_t k = 0; k < t->sources; k++)
		log_blocks = HEL_MAX(log_blocks, t->source[k].log_blocks);
	TRY_ALLOC(block, hel_alloc((size_t)1 << log_blocks, sizeof *block));
	TRY_ALLOC(seen, hel_alloc(3 * slots, sizeof *seen));
	uint64_t *sum = seen + slots, *scratch = sum + slots;
	required(&dense, block, t);
	for (size_t k = 0; k < t->sources; k++) {
		const hel_linear_source *s = &t->source[k];
		for (size_t p = 0; p < slots; p++)
			seen[p] = element_factor(s, k, s->map[p]) +
				  (s->imaginary ? element_factor(s, k, s->imaginary[p]) : 0);
		sum_rotations(seen, scratch, s->diagonals, slots);
		for (size_t p = 0; p < slots; p++)
			sum[p] += seen[p];
	}
	for (size_t p = 0; p < slots; p++)
		sum[p] = t->target[p] >= 0 && (size_t)t->target[p] < t->rows
			     ? sum[p] * row_factor((size_t)t->target[p])
			     : 0;
	sum_rotations(sum, scratch, t->folds & (uint32_t)(slots - 1), slots);
	const size_t mask = ((size_t)1 << log_blocks) - 1;
	for (size_t p = 0; p < slots; p++) {
		const int32_t row = t->target[p];
		if (row < 0 || (size_t)row >= t->rows)
			result[p] = sum[p] == 0 ? HEL_SLOT_ZERO : HEL_SLOT_ANY;
		else
			result[p] =
			    sum[p] == (dense + block[(size_t)row & mask]) * row_factor((size_t)row)
				? row
				: HEL_SLOT_ANY;
	}
done:
	hel_free(seen);
	hel_free(block);
	return st;
}
