#include "features.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void hel_schema_free(hel_schema *s)
{
	if (!s)
		return;
	for (size_t i = 0; s->table && i < s->table_count; i++)
		hel_free(s->table[i].value);
	hel_free(s->table);
	hel_free(s->dense);
	hel_free(s);
}

static hel_status schema_new(hel_schema **out, size_t dense, size_t tables)
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

static uint32_t digits_for(uint32_t rows, uint32_t base)
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
	t->digits = base ? digits_for(t->values + 1, base) : 1;
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
	TRY(schema_new(&s, records->dense, records->tables));
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
		if (!isfinite(d->mean) || !isfinite(variance))
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

hel_status hel_schema_apply(const hel_schema *s, const hel_records *records, size_t row,
			    hel_unknown policy, double *dense, uint32_t *hots, size_t *unknown)
{
	size_t base = 0;
	if (records->dense != s->dense_count || records->tables != s->table_count)
		return hel_fail(HEL_EDATA, "records of another data set than '%s'", s->dataset);
	for (size_t i = 0; i < s->dense_count; i++) {
		double v = records->value[row * records->dense + i];
		v = isnan(v) ? 0 : (v - s->dense[i].mean) / s->dense[i].deviation;
		dense[i] = fmin(fmax(v, -s->clip), s->clip);
	}
	for (size_t i = 0; i < s->table_count; i++) {
		const hel_table_field *t = &s->table[i];
		const char *text = records->category[row * records->tables + i];
		uint32_t number = 0;
		if (*text) {
			const char *found =
			    bsearch(text, t->value, t->values, sizeof *t->value, compare_values);
			if (found)
				number = 1 + (uint32_t)((found - *t->value) / HEL_VALUE_MAX);
			else if (policy == HEL_UNKNOWN_IS_ERROR)
				return unknown_category(t, text, row);
			else if (unknown)
				++*unknown;
		}
		for (uint32_t d = 0; d < t->digits; d++) {
			*hots++ =
			    (uint32_t)base + (t->base ? d * t->base + number % t->base : number);
			if (t->base)
				number /= t->base;
		}
		base += hel_table_width(t);
	}
	return HEL_OK;
}

size_t hel_monomials(size_t dense)
{
	return dense * (dense + 1) / 2;
}

size_t hel_features_width(size_t dense, size_t onehots, unsigned degree)
{
	return dense + (degree >= 2 ? hel_monomials(dense) : 0) + onehots;
}

void hel_features_fill(double *out, const hel_schema *s, const double *dense, const uint32_t *hots,
		       unsigned degree)
{
	const size_t n = s->dense_count;
	memcpy(out, dense, n * sizeof *out);
	out += n;
	for (size_t i = 0; degree >= 2 && i < n; i++)
		for (size_t j = i; j < n; j++)
			*out++ = dense[i] * dense[j];
	memset(out, 0, hel_schema_onehots(s) * sizeof *out);
	for (size_t i = 0; i < hel_schema_hots(s); i++)
		out[hots[i]] = 1;
}

hel_status hel_schema_to_json(char **out, const hel_schema *s)
{
	hel_status st = HEL_OK;
	json_t *dense = json_array(), *tables = json_array();
	int bad = 0; /* jansson refuses what is not finite or not UTF-8 */
	for (size_t i = 0; i < s->dense_count; i++)
		bad |= json_array_append_new(
		    dense, json_pack("{s:s, s:f, s:f}", "name", s->dense[i].name, "mean",
				     s->dense[i].mean, "deviation", s->dense[i].deviation));
	for (size_t i = 0; i < s->table_count; i++) {
		json_t *values = json_array();
		for (uint32_t v = 0; v < s->table[i].values; v++)
			bad |= json_array_append_new(values, json_string(s->table[i].value[v]));
		bad |= json_array_append_new(
		    tables, json_pack("{s:s, s:i, s:i, s:o}", "name", s->table[i].name, "base",
				      (int)s->table[i].base, "digits", (int)s->table[i].digits,
				      "values", values));
	}
	json_t *root = json_pack("{s:s, s:f, s:o, s:o}", "dataset", s->dataset, "clip", s->clip,
				 "dense", dense, "tables", tables);
	char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
	if (bad)
		FAIL(HEL_EDATA, "the records hold a text that is not UTF-8, or values too large");
	TRY_ALLOC(*out, text ? hel_strdup(text) : NULL);
done:
	free(text);
	json_decref(root);
	return st;
}

static hel_status read_name(char out[HEL_NAME_MAX], const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	if (!text || !*text || strlen(text) >= HEL_NAME_MAX)
		return hel_fail(HEL_EFORMAT, "schema: '%s' must be a text of 1 to %d bytes", key,
				HEL_NAME_MAX - 1);
	memcpy(out, text, strlen(text) + 1);
	return HEL_OK;
}

static hel_status read_number(double *out, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	*out = json_number_value(value);
	return json_is_number(value) && isfinite(*out)
		   ? HEL_OK
		   : hel_fail(HEL_EFORMAT, "schema: '%s' must be a number", key);
}

static hel_status read_table(hel_table_field *t, const json_t *object)
{
	hel_status st = HEL_OK;
	double base, digits;
	const json_t *values = json_object_get(object, "values");
	TRY(read_name(t->name, object, "name"));
	TRY(read_number(&base, object, "base"));
	TRY(read_number(&digits, object, "digits"));
	if (!json_is_array(values) || json_array_size(values) >= HEL_MAX_VOCABULARY)
		FAIL(HEL_EFORMAT, "schema: 'values' of %s must be an array", t->name);
	const uint32_t count = (uint32_t)json_array_size(values);
	TRY_ALLOC(t->value, hel_alloc(HEL_MAX(count, 1), sizeof *t->value));
	for (; t->values < count; t->values++) {
		const char *text = json_string_value(json_array_get(values, t->values));
		if (!text || !*text || strlen(text) >= HEL_VALUE_MAX)
			FAIL(HEL_EFORMAT, "schema: values of %s must be texts of 1 to %d bytes",
			     t->name, HEL_VALUE_MAX - 1);
		memcpy(t->value[t->values], text, strlen(text) + 1);
		if (t->values && strcmp(t->value[t->values - 1], text) >= 0)
			FAIL(HEL_EFORMAT, "schema: values of %s are not sorted", t->name);
	}
	if (base != floor(base) || base < 0 || base == 1 || base > 1 << 20 ||
	    digits != (base > 0 ? digits_for(count + 1, (uint32_t)base) : 1))
		FAIL(HEL_EFORMAT, "schema: digits of %s do not fit its %u values", t->name, count);
	t->base = (uint32_t)base;
	t->digits = (uint32_t)digits;
done:
	return st;
}

hel_status hel_schema_from_json(hel_schema **out, const char *text, size_t size)
{
	hel_status st = HEL_OK;
	hel_schema *s = NULL;
	json_error_t error;
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		FAIL(HEL_EFORMAT, "schema, line %d: %s", error.line, error.text);
	const json_t *dense = json_object_get(root, "dense"),
		     *tables = json_object_get(root, "tables");
	if (!json_is_array(dense) || !json_is_array(tables) ||
	    json_array_size(dense) > HEL_MAX_DENSE || json_array_size(tables) > HEL_MAX_TABLES ||
	    json_array_size(dense) + json_array_size(tables) == 0)
		FAIL(HEL_EFORMAT,
		     "schema: 'dense' and 'tables' must be arrays of at most %d and %d",
		     HEL_MAX_DENSE, HEL_MAX_TABLES);
	TRY(schema_new(&s, json_array_size(dense), json_array_size(tables)));
	TRY(read_name(s->dataset, root, "dataset"));
	TRY(read_number(&s->clip, root, "clip"));
	if (!(s->clip > 0 && s->clip <= 1000))
		FAIL(HEL_EFORMAT, "schema: clip is %g, expected above 0 and up to 1000", s->clip);
	for (size_t i = 0; i < s->dense_count; i++) {
		const json_t *object = json_array_get(dense, i);
		TRY(read_name(s->dense[i].name, object, "name"));
		TRY(read_number(&s->dense[i].mean, object, "mean"));
		TRY(read_number(&s->dense[i].deviation, object, "deviation"));
		if (!(s->dense[i].deviation > 0))
			FAIL(HEL_EFORMAT, "schema: deviation of %s must be positive",
			     s->dense[i].name);
	}
	for (size_t i = 0; i < s->table_count; i++)
		TRY(read_table(&s->table[i], json_array_get(tables, i)));
	*out = s;
	s = NULL;
done:
	json_decref(root);
	hel_schema_free(s);
	return st;
}
