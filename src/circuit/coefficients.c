/* The FFT of (3) as diagonals. Its stages pair elements whose numbers differ in one bit: those of
 * the low bits stay within blocks of `near` elements, those of the high bits within residue classes
 * modulo `near` [CHH18]. */
#include "coefficients.h"
#include "ckks/encoder.h"
#include <complex.h>
#include <string.h>

/* One matrix: m rows of `count` entries. Entry k of row r stands in column first(r) + k stride. */
typedef struct matrix {
	const hel_params *params;
	hel_fft_kind kind;
	unsigned log_values;
	bool skewed;
	size_t m, near;
	size_t stride, count;
	double factor;
	double complex *entry;
} matrix;

static bool is_far(hel_fft_kind kind)
{
	return kind == HEL_TO_COEFFICIENTS_FAR || kind == HEL_TO_SLOTS_FAR;
}

static bool is_inverse(hel_fft_kind kind)
{
	return kind == HEL_TO_SLOTS_FAR || kind == HEL_TO_SLOTS_NEAR;
}

/* The first column that meets a row: of its block, or of its residue class. */
static size_t first_column(const matrix *a, size_t row)
{
	return is_far(a->kind) ? row % a->near : row - row % a->near;
}

/* One stage of length `len` on the `count` elements that lie at base + t stride. */
static void butterflies(const matrix *a, double complex *v, size_t base, size_t len)
{
	const size_t half = len / 2, apart = half / a->stride;
	for (size_t t = 0; t < a->count; t++) {
		const size_t at = base + t * a->stride;
		if (at & half)
			continue;
		const size_t root = half + at % half; /* of hel_params: [len/2 + j] */
		const double complex w = a->params->root_re[root] + I * a->params->root_im[root];
		const double complex x = v[t], y = v[t + apart];
		v[t] = is_inverse(a->kind) ? x + y : x + w * y;
		v[t + apart] = is_inverse(a->kind) ? (x - y) * conj(w) : x - w * y;
	}
}

/* Column by column: the stages on a unit vector. */
static hel_status make_entries(matrix *a)
{
	hel_status st = HEL_OK;
	double complex *v = NULL;
	const size_t low = is_far(a->kind) ? 2 * a->near : 2,
		     high = is_far(a->kind) ? a->m : a->near;
	TRY_ALLOC(v, hel_alloc(a->count, sizeof *v));
	TRY_ALLOC(a->entry, hel_alloc(a->m * a->count, sizeof *a->entry));
	for (size_t c = 0; c < a->m; c++) {
		const size_t base = first_column(a, c), k = (c - base) / a->stride;
		memset(v, 0, a->count * sizeof *v);
		v[k] = 1;
		if (is_inverse(a->kind))
			for (size_t len = high; len >= low; len /= 2)
				butterflies(a, v, base, len);
		else
			for (size_t len = low; len <= high; len *= 2)
				butterflies(a, v, base, len);
		for (size_t t = 0; t < a->count; t++)
			a->entry[(base + t * a->stride) * a->count + k] = v[t];
	}
done:
	hel_free(v);
	return st;
}

/* The slot below m that a slot is alike to, between the two matrices back to slots and after them.
 */
static size_t turned(const matrix *a, size_t slot)
{
	if (a->skewed)
		slot = hel_fft_skewed(a->log_values, a->params->spec.log_n - 1u, slot);
	return slot % a->m;
}

/* What slot `p` multiplies the element with that it sees after a rotation by `by`; m divides slots.
 */
static double complex weight_at(const matrix *a, size_t p, long by, size_t slots)
{
	if (a->kind == HEL_TO_SLOTS_FAR) { /* what slot p - near would, it leaves in slot p */
		p = (p + slots - a->near) % slots;
		by += (long)a->near;
	}
	if (a->kind == HEL_TO_SLOTS_NEAR) /* and this takes from there */
		by -= (long)a->near;
	const size_t row = turned(a, p), seen = (p + (size_t)(by + (long)slots)) % slots;
	const size_t column = a->kind == HEL_TO_SLOTS_NEAR ? turned(a, seen) : seen % a->m;
	const size_t first = first_column(a, row);
	/* blocks stay together, turned or not */
	if (!is_far(a->kind) && seen / a->near != p / a->near)
		return 0;
	double complex w = a->factor * a->entry[row * a->count + (column - first) / a->stride];
	if (a->kind == HEL_TO_COEFFICIENTS_NEAR && (seen & a->m))
		w *= I; /* the upper half goes to imaginary parts */
	if (a->kind == HEL_TO_SLOTS_NEAR && (p & a->m))
		w *= -I; /* and comes back from there */
	return w;
}

/* Baby steps: the power of two next to the root of the number of diagonals. */
static size_t babies(size_t diagonals)
{
	size_t b = 1;
	while (b * b < diagonals)
		b *= 2;
	return b;
}

static hel_status encode_term(hel_linear_term *t, const matrix *a, unsigned level, double scale,
			      hel_complex *weights, hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_pt *pt = NULL;
	const size_t slots = hel_params_slots(a->params);
	for (size_t q = 0; q < slots; q++) {
		const size_t p = (q + (size_t)((long)slots - t->giant)) % slots;
		const double complex w = weight_at(a, p, t->baby + t->giant, slots);
		weights[q] = (hel_complex){creal(w), cimag(w)};
	}
	TRY(is_inverse(a->kind)
		? hel_encode_extended(&pt, a->params, weights, level, scale, pool)
		: hel_encode_at(&pt, a->params, weights, level, scale, HEL_FOR_MUL, pool));
	t->weight = pt;
done:
	return st;
}

static matrix shape_of(const hel_params *p, hel_fft_kind kind, unsigned log_values)
{
	matrix a = {.params = p, .kind = kind, .log_values = log_values};
	a.m = (size_t)1 << (log_values - 1);
	a.near = (size_t)1 << (log_values - 1) / 2;
	a.stride = is_far(kind) ? a.near : 1;
	a.count = is_far(kind) ? a.m / a.near : a.near;
	return a;
}

hel_status hel_fft_init(hel_fft *t, const hel_params *p, hel_fft_kind kind, unsigned log_values)
{
	hel_status st = HEL_OK;
	*t = (hel_fft){0};
	if (log_values < 3 || log_values >= p->spec.log_n)
		FAIL(HEL_EINVAL, "2^%u values in a ring of degree 2^%u, expected 2^3 to 2^%u",
		     log_values, p->spec.log_n, p->spec.log_n - 1);
	const matrix a = shape_of(p, kind, log_values);
	/* near: rotations by -near to near - 1, of which the first leaves the block */
	const size_t diagonals = is_far(kind) ? a.count : 2 * a.near;
	const long first = kind == HEL_TO_COEFFICIENTS_NEAR ? -(long)a.near : 0;
	t->babies = babies(diagonals);
	t->giants = (diagonals + t->babies - 1) / t->babies;
	t->unit = (long)a.stride;
	TRY_ALLOC(t->term, hel_alloc(diagonals, sizeof *t->term));
	for (size_t d = !is_far(kind); d < diagonals; d++)
		t->term[t->count++] =
		    (hel_linear_term){NULL, NULL, t->unit * (long)(d % t->babies),
				      first + t->unit * (long)(d - d % t->babies)};
done:
	return st;
}

hel_status hel_fft_encode(hel_fft *t, const hel_params *p, hel_fft_kind kind, unsigned log_values,
			  hel_copies copies, unsigned level, double factor, double scale,
			  hel_pool *pool)
{
	hel_status st = HEL_OK;
	matrix a = shape_of(p, kind, log_values);
	hel_complex *weights = NULL;
	a.factor = factor;
	a.skewed = copies == HEL_COPIES_SKEWED && is_inverse(kind);
	TRY(make_entries(&a));
	TRY_ALLOC(weights, hel_alloc(hel_params_slots(p), sizeof *weights));
	for (size_t i = 0; i < t->count; i++)
		TRY(encode_term(&t->term[i], &a, level, scale, weights, pool));
done:
	hel_free(a.entry);
	hel_free(weights);
	return st;
}

void hel_fft_clear(hel_fft *t)
{
	for (size_t i = 0; i < t->count; i++)
		hel_pt_free((hel_pt *)t->term[i].weight);
	hel_free(t->term);
	*t = (hel_fft){0};
}

hel_status hel_fft_apply(const hel_eval *ev, hel_ct *out, const hel_fft *t, const hel_ct *in)
{
	hel_status st = HEL_OK;
	hel_linear_term *term = NULL;
	TRY_ALLOC(term, hel_alloc(t->count, sizeof *term));
	for (size_t i = 0; i < t->count; i++) {
		term[i] = t->term[i];
		term[i].in = in;
	}
	TRY(hel_linear_apply(ev, out, term, t->count));
done:
	hel_free(term);
	return st;
}

size_t hel_fft_value(unsigned log_values, size_t slot)
{
	const unsigned bits = log_values - 1;
	const size_t m = (size_t)1 << bits;
	return hel_bit_reverse((uint32_t)(slot & (m - 1)), bits) + (slot & m);
}

unsigned hel_fft_skew_bits(unsigned log_values, unsigned log_slots)
{
	const unsigned log_m = log_values - 1, log_near = log_m / 2;
	return log_slots > log_values ? HEL_MIN(log_m - log_near, log_slots - log_values) : 0;
}

size_t hel_fft_skewed(unsigned log_values, unsigned log_slots, size_t slot)
{
	const unsigned bits = hel_fft_skew_bits(log_values, log_slots);
	const size_t m = (size_t)1 << (log_values - 1), copy = slot >> (log_slots - bits);
	return ((slot + copy * (m >> bits)) & (m - 1)) + (slot & m);
}
