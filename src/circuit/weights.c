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
	const double scale = (t->folds & t->slots ? 0.5 : 1) * (t->scale > 0 ? t->scale : 1);
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

/* The least power of two after which a vector repeats. */
static size_t period_of(const uint64_t *v, size_t slots)
{
	while (slots > 1 && memcmp(v, v + slots / 2, slots / 2 * sizeof *v) == 0)
		slots /= 2;
	return slots;
}

/* v += rot(v, 2^bit) for every bit of the mask, which sums over all its subset sums: the highest
 * first, since a vector that was folded in half repeats. */
static void sum_rotations(uint64_t *v, uint64_t *scratch, uint32_t mask, size_t slots)
{
	size_t period = mask ? period_of(v, slots) : slots;
	while (mask) {
		const size_t step = (size_t)1 << (31 - __builtin_clz(mask));
		mask ^= (uint32_t)step;
		if (step >= period) {
			for (size_t p = 0; p < period; p++)
				v[p] *= 2;
		} else if (step == period / 2) {
			period = step;
			for (size_t p = 0; p < period; p++)
				v[p] += v[p + period];
		} else {
			memcpy(scratch, v, step * sizeof *v); /* what wraps around */
			for (size_t p = 0; p < period - step; p++)
				v[p] += v[p + step];
			for (size_t p = period - step; p < period; p++)
				v[p] += scratch[p + step - period];
		}
	}
	for (; period < slots; period *= 2)
		memcpy(v + period, v, period * sizeof *v);
}

typedef struct checker {
	const hel_linear *t;
	uint64_t *seen, *sum, *scratch; /* per slot */
	uint64_t *element;		/* factors, behind those of HEL_SLOT_ANY and _ZERO: 0 */
	size_t widest;			/* source */
	uint64_t dense, *block;		/* sums of what every row must see, and those of a block */
	uint64_t *row, *wanted;		/* factors of rows; what slots hold where one is right */
	unsigned log_blocks;
} checker;

static hel_status checker_init(checker *c, const hel_linear *t)
{
	hel_status st = HEL_OK;
	*c = (checker){.t = t};
	for (size_t k = 0; k < t->sources; k++) {
		c->log_blocks = HEL_MAX(c->log_blocks, t->source[k].log_blocks);
		c->widest = HEL_MAX(c->widest, t->source[k].width);
	}
	TRY_ALLOC(c->seen, hel_alloc(3 * t->slots, sizeof *c->seen));
	TRY_ALLOC(c->element, hel_alloc_raw(c->widest + 2, sizeof *c->element));
	TRY_ALLOC(c->block, hel_alloc((size_t)1 << c->log_blocks, sizeof *c->block));
	TRY_ALLOC(c->row, hel_alloc_raw(2 * t->rows, sizeof *c->row));
	c->sum = c->seen + t->slots;
	c->scratch = c->sum + t->slots;
	c->wanted = c->row + t->rows;
done:
	return st;
}

static void checker_clear(checker *c)
{
	hel_free(c->seen);
	hel_free(c->element);
	hel_free(c->block);
	hel_free(c->row);
}

/* Adds what the elements of a source show. */
static void add_elements(checker *c, size_t source)
{
	const hel_linear_source *s = &c->t->source[source];
	for (size_t e = 0; e < s->width; e++) {
		const uint64_t factor = matters(s, e) ? column_factor(source, e) : 0;
		c->element[e + 2] += factor;
		*(s->blocks ? &c->block[e >> s->log_piece] : &c->dense) += factor;
	}
}

static void see(checker *c, const int32_t *map)
{
	const uint64_t *element = c->element + 2;
	for (size_t p = 0; map && p < c->t->slots; p++)
		c->seen[p] += element[map[p]];
}

/* What every slot has seen after all rotations of all sources. Sources with the same map are seen
 * as one, and those with the same diagonals rotated as one. */
static void see_all(checker *c)
{
	const hel_linear *t = c->t;
	for (size_t k = 0; k < t->sources;) {
		const hel_linear_source *s = &t->source[k];
		memset(c->element, 0, (c->widest + 2) * sizeof *c->element);
		do
			add_elements(c, k++);
		while (k < t->sources && t->source[k].map == s->map &&
		       t->source[k].imaginary == s->imaginary &&
		       t->source[k].diagonals == s->diagonals);
		see(c, s->map);
		see(c, s->imaginary);
		if (k < t->sources && t->source[k].diagonals == s->diagonals)
			continue;
		sum_rotations(c->seen, c->scratch, s->diagonals, t->slots);
		for (size_t p = 0; p < t->slots; p++)
			c->sum[p] += c->seen[p];
		memset(c->seen, 0, t->slots * sizeof *c->seen);
	}
}

static bool has_row(const hel_linear *t, size_t slot)
{
	return t->target[slot] >= 0 && (size_t)t->target[slot] < t->rows;
}

hel_status hel_linear_check(int32_t *result, const hel_linear *t)
{
	hel_status st = HEL_OK;
	checker c;
	TRY(checker_init(&c, t));
	see_all(&c);
	for (size_t r = 0; r < t->rows; r++) {
		c.row[r] = row_factor(r);
		c.wanted[r] = c.row[r] * (c.dense + c.block[r & (((size_t)1 << c.log_blocks) - 1)]);
	}
	for (size_t p = 0; p < t->slots; p++)
		c.sum[p] = has_row(t, p) ? c.sum[p] * c.row[t->target[p]] : 0;
	sum_rotations(c.sum, c.scratch, t->folds & (uint32_t)(t->slots - 1), t->slots);
	for (size_t p = 0; p < t->slots; p++)
		if (has_row(t, p))
			result[p] =
			    c.sum[p] == c.wanted[t->target[p]] ? t->target[p] : HEL_SLOT_ANY;
		else
			result[p] = c.sum[p] == 0 ? HEL_SLOT_ZERO : HEL_SLOT_ANY;
done:
	checker_clear(&c);
	return st;
}
