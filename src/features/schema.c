#include "schema.h"
#include "coding.h"
#include "hash.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MEAN_MAX 1e15
#define DEVIATION_MIN 1e-9
#define DEVIATION_MAX 1e15

void hel_schema_free(hel_schema *s)
{
	if (!s)
		return;
	for (size_t i = 0; s->table && i < s->table_count; i++) {
		hel_free(s->table[i].value);
		hel_free(s->table[i].print);
	}
	hel_free(s->table);
	hel_free(s->dense);
	hel_free(s);
}

hel_status hel_schema_new(hel_schema **out, size_t dense, size_t tables)
{
	hel_status st = HEL_OK;
	hel_schema *s = NULL;
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	s->dense_count = dense;
	s->table_count = tables;
	TRY_ALLOC(s->dense, hel_alloc(dense, sizeof *s->dense));
	TRY_ALLOC(s->table, hel_alloc(tables, sizeof *s->table));
	*out = s;
	s = NULL;
done:
	hel_schema_free(s);
	return st;
}

static int compare_values(const void *a, const void *b)
{
	return strcmp(a, b);
}

uint32_t hel_digits_for(uint64_t rows, uint32_t base)
{
	uint32_t digits = 1;
	for (uint64_t reach = base; reach < rows; reach *= base)
		digits++;
	return digits;
}

static hel_status fit_table(hel_table_field *t, const hel_records *records, size_t table,
			    const size_t *rows, size_t count, uint32_t base)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(t->value, hel_alloc(HEL_MAX(count, 1), sizeof *t->value));
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		size_t row = rows ? rows[i] : i;
		const char *text = records->category[row * records->tables + table];
		if (*text)
			memcpy(t->value[n++], text, HEL_VALUE_MAX);
	}
	qsort(t->value, n, sizeof *t->value, compare_values);
	for (size_t i = 0; i < n; i++)
		if (!t->values || strcmp(t->value[t->values - 1], t->value[i]) != 0)
			memmove(t->value[t->values++], t->value[i], HEL_VALUE_MAX);
	t->base = base;
	t->digits = base ? hel_digits_for(t->values + 1, base) : 1;
done:
	return st;
}

hel_status hel_schema_fit(hel_schema **out, const hel_dataset *set, const hel_records *records,
			  const size_t *rows, size_t count, double clip, uint32_t base)
{
	hel_status st = HEL_OK;
	hel_schema *s = NULL;
	size_t dense = 0, table = 0;
	if (base == 1)
		FAIL(HEL_EINVAL, "digits need a base of at least 2");
	if (set->hashed)
		FAIL(HEL_EUNSUPPORTED, "the vocabulary of '%s' is learned from a row cache",
		     set->name);
	TRY(hel_schema_new(&s, records->dense, records->tables));
	snprintf(s->dataset, sizeof s->dataset, "%s", set->name);
	s->clip = clip;
	for (size_t c = 0; c < set->columns; c++) {
		const hel_column *column = &set->column[c];
		if (column->kind == HEL_CATEGORICAL) {
			hel_table_field *t = &s->table[table];
			snprintf(t->name, sizeof t->name, "%s", column->name);
			TRY(fit_table(t, records, table++, rows, count, base));
		}
		if (column->kind != HEL_DENSE)
			continue;
		double sum = 0, squares = 0, n = 0;
		for (size_t i = 0; i < count; i++) {
			double v = records->value[(rows ? rows[i] : i) * records->dense + dense];
			if (isnan(v))
				continue;
			sum += v;
			squares += v * v;
			n++;
		}
		hel_dense_field *d = &s->dense[dense++];
		snprintf(d->name, sizeof d->name, "%s", column->name);
		d->mean = n > 0 ? sum / n : 0;
		double variance = n > 0 ? squares / n - d->mean * d->mean : 0;
		d->deviation = variance > 1e-12 ? sqrt(variance) : 1;
		if (!isfinite(variance) || !hel_dense_is_plausible(d))
			FAIL(HEL_EDATA, "the values of %s are too large", d->name);
	}
	*out = s;
	s = NULL;
done:
	hel_schema_free(s);
	return st;
}

size_t hel_table_width(const hel_table_field *t)
{
	if (t->hashed)
		return (size_t)t->values + 1 + (t->base ? (size_t)t->base * t->digits : 1);
	return t->base ? (size_t)t->base * t->digits : (size_t)t->values + 1;
}

size_t hel_schema_onehots(const hel_schema *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->table_count; i++)
		n += hel_table_width(&s->table[i]);
	return n;
}

size_t hel_schema_hots(const hel_schema *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->table_count; i++)
		n += s->table[i].digits;
	return n;
}

static hel_status unknown_category(const hel_table_field *t, const char *text, size_t row)
{
	char known[160] = "";
	for (uint32_t i = 0; i < t->values && i < 8; i++)
		snprintf(known + strlen(known), sizeof known - strlen(known), "%s ", t->value[i]);
	return hel_fail(HEL_EDATA,
			"record %zu: unknown category '%s' for %s; known: %s%sor ? for missing",
			row + 1, text, t->name, known, t->values > 8 ? "... " : "");
}

bool hel_dense_is_plausible(const hel_dense_field *d)
{
	return fabs(d->mean) <= MEAN_MAX && d->deviation >= DEVIATION_MIN &&
	       d->deviation <= DEVIATION_MAX;
}

bool hel_dense_is_far(const hel_schema *s, size_t column, double v)
{
	return fabs(v - s->dense[column].mean) > HEL_FAR * s->dense[column].deviation;
}

double hel_dense_apply(const hel_schema *s, size_t column, double v)
{
	v = isnan(v) ? 0 : (v - s->dense[column].mean) / s->dense[column].deviation;
	return fmin(fmax(v, -s->clip), s->clip);
}

uint32_t hel_table_row(const hel_table_field *t, const char *text)
{
	const char *found =
	    t->values ? bsearch(text, t->value, t->values, sizeof *t->value, compare_values) : NULL;
	return found ? 1 + (uint32_t)((found - *t->value) / HEL_VALUE_MAX) : 0;
}

static void text_hots(uint32_t *hots, const hel_table_field *t, uint32_t first, uint32_t number)
{
	for (uint32_t d = 0; d < t->digits; d++) {
		hots[d] = first + (t->base ? d * t->base + number % t->base : number);
		if (t->base)
			number /= t->base;
	}
}

hel_status hel_schema_apply(const hel_schema *s, const hel_records *records, size_t row,
			    hel_unknown policy, double *dense, uint32_t *hots, size_t *unknown)
{
	uint32_t first = 0;
	if (records->dense != s->dense_count || records->tables != s->table_count)
		return hel_fail(HEL_EDATA, "records of another data set than '%s'", s->dataset);
	for (size_t i = 0; i < s->dense_count; i++)
		dense[i] = hel_dense_apply(s, i, records->value[row * records->dense + i]);
	for (size_t i = 0; i < s->table_count; i++) {
		const hel_table_field *t = &s->table[i];
		const char *text = records->category[row * records->tables + i];
		if (t->hashed)
			hel_table_hots(hots, s, i, first, hel_value_hash(text, strlen(text)));
		else {
			const uint32_t number = hel_table_row(t, text);
			if (*text && !number && policy == HEL_UNKNOWN_IS_ERROR)
				return unknown_category(t, text, row);
			if (*text && !number && unknown)
				++*unknown;
			text_hots(hots, t, first, number);
		}
		hots += t->digits;
		first += (uint32_t)hel_table_width(t);
	}
	return HEL_OK;
}

void hel_schema_random(const hel_schema *s, hel_prng *g, double *dense, uint32_t *hots)
{
	uint32_t first = 0;
	for (size_t i = 0; i < s->dense_count; i++)
		dense[i] = s->clip * (2 * hel_prng_unit(g) - 1);
	for (size_t i = 0; i < s->table_count; i++) {
		const hel_table_field *t = &s->table[i];
		const uint32_t number = (uint32_t)(hel_prng_unit(g) * (t->values + 1));
		if (!t->hashed)
			text_hots(hots, t, first, number);
		else if (number < t->values) { /* a row of its own, the missing value's included */
			memset(hots, 0xff, t->digits * sizeof *hots);
			hots[0] = first + number;
		} else
			hel_table_hots(hots, s, i, first, (uint32_t)hel_prng_u64(g) | 1);
		hots += t->digits;
		first += (uint32_t)hel_table_width(t);
	}
}
