/* Numbers in parentheses are equations of docs/cryptography.md. */
#include "refreshed.h"
#include "circuit/refresh.h"
#include <complex.h>
#include <math.h>
#include <string.h>

hel_status hel_refreshed_size(unsigned *log_values, size_t rows, const char *name)
{
	const unsigned log_rows = hel_log2_ceil(rows);
	if (log_rows > HEL_MAX_LOG_REFRESHED)
		return hel_fail(HEL_EUNSUPPORTED,
				"layer %s: %zu values are more than the 2^%d that a refresh takes",
				name, rows, HEL_MAX_LOG_REFRESHED);
	*log_values = HEL_MAX(log_rows, (unsigned)HEL_MIN_LOG_REFRESHED);
	return HEL_OK;
}

/* Values repeat over the coefficients as they are to repeat over slots. */
static size_t value_of(size_t coefficient, size_t rows, unsigned log_values)
{
	/* bits reversed is its own inverse */
	const size_t slot = hel_fft_value(log_values, coefficient);
	return slot & (((size_t)1 << hel_log2_ceil(rows)) - 1);
}

/* (3) for each slot: what a value is multiplied with, all its coefficients together. */
static hel_status embedding(double complex **out, size_t rows, unsigned log_values)
{
	hel_status st = HEL_OK;
	const size_t n = (size_t)1 << log_values, m = n / 2;
	double complex *v, *root = NULL;
	TRY_ALLOC(*out, hel_alloc(m * rows, sizeof **out));
	TRY_ALLOC(root, hel_alloc(2 * n, sizeof *root));
	v = *out;
	for (size_t k = 0; k < 2 * n; k++)
		root[k] = cexp(I * M_PI * (double)k / (double)n);
	for (size_t p = 0, power = 1; p < m; p++, power = power * 5 % (2 * n))
		for (size_t j = 0; j < n; j++) {
			const size_t value = value_of(j, rows, log_values);
			if (value < rows)
				v[p * rows + value] += root[power * j % (2 * n)];
		}
done:
	hel_free(root);
	return st;
}

/* out = factor v a, a [rows][width] */
static hel_status multiply(hel_complex **out, const double complex *v, const hel_complex *a,
			   size_t m, size_t rows, size_t width, double factor)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(*out, hel_alloc(m * width, sizeof **out));
	for (size_t p = 0; p < m; p++)
		for (size_t r = 0; r < rows; r++) {
			const double re = factor * creal(v[p * rows + r]);
			const double im = factor * cimag(v[p * rows + r]);
			hel_complex *to = *out + p * width;
			const hel_complex *from = a + r * width;
			for (size_t c = 0; c < width; c++) {
				to[c].re += re * from[c].re;
				to[c].im += im * from[c].re;
			}
		}
done:
	return st;
}

hel_status hel_refreshed_coefficients(hel_stage *s, unsigned log_values, double factor)
{
	hel_status st = HEL_OK;
	const size_t m = (size_t)1 << (log_values - 1);
	double complex *v = NULL;
	hel_complex *product = NULL;
	TRY(embedding(&v, s->rows, log_values));
	for (size_t k = 0; k <= s->sources; k++) {
		const size_t width = k < s->sources ? s->source[k].width : 1;
		hel_complex **a = k < s->sources ? &s->source[k].matrix[0] : &s->bias[0];
		TRY(multiply(&product, v, *a, m, s->rows, width, factor));
		hel_free(*a);
		*a = product;
	}
	s->rows = m;
	s->then = HEL_THEN_COEFFICIENTS;
done:
	hel_free(v);
	return st;
}

void hel_refreshed_use(hel_stages *s, const hel_params *params)
{
	const double factor = 1 / hel_refresh_unit(params);
	for (size_t i = 0; i < s->count; i++) {
		hel_stage *x = &s->stage[i];
		for (size_t k = 0; x->then == HEL_THEN_COEFFICIENTS && k <= x->sources; k++) {
			const size_t width = k < x->sources ? x->source[k].width : 1;
			hel_complex *a = k < x->sources ? x->source[k].matrix[0] : x->bias[0];
			for (size_t e = 0; e < x->rows * width; e++)
				a[e] = (hel_complex){factor * a[e].re, factor * a[e].im};
		}
	}
}

hel_status hel_refreshed_packing(hel_packing *k, size_t rows, unsigned log_values,
				 unsigned log_slots)
{
	hel_status st = HEL_OK;
	const unsigned log_rows = hel_log2_ceil(rows), log_m = log_values - 1;
	const unsigned skewed = hel_fft_skew_bits(log_values, log_slots), part = log_m - skewed;
	const size_t slots = (size_t)1 << log_slots;
	memset(k, 0, sizeof *k);
	k->rows = rows;
	k->fold_radix = 1;
	k->out = (hel_layout){
	    .log_slots = (uint8_t)log_slots, .bits = (uint8_t)log_rows, .width = (uint32_t)rows};
	for (unsigned b = 0; b < log_rows; b++) /* a part of the values, its number, the half */
		k->out.position[b] =
		    (uint8_t)(b >= part && b < log_m ? log_slots - skewed + b - part : b);
	TRY_ALLOC(k->source, hel_alloc(1, sizeof *k->source));
	TRY_ALLOC(k->result, hel_alloc(slots, sizeof *k->result));
	k->sources = 1;
	for (size_t q = 0; q < slots; q++) {
		const size_t value =
		    hel_fft_skewed(log_values, log_slots, q) & (((size_t)1 << log_rows) - 1);
		k->result[q] = value < rows ? (int32_t)value : HEL_SLOT_ANY;
	}
done:
	if (st != HEL_OK)
		hel_packing_clear(k);
	return st;
}

unsigned hel_refreshed_level(const hel_stages *s)
{
	unsigned level = 0;
	for (size_t i = 0; i < s->count; i++)
		if (s->stage[i].map == HEL_MAP_REFRESH)
			level = HEL_MAX(level, s->stage[i].level);
	return level;
}
