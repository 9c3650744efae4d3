#include "schema.h"
#include "coding.h"
#include "hash.h"
#include "rates.h"
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
		hel_free(s->table[i].text);
		hel_free(s->table[i].print);
		hel_free(s->table[i].rated_print);
		hel_free(s->table[i].bucket);
	}
	hel_fold_rates_free(s->folds);
	hel_dataset_drop(s->set);
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
	for (size_t i = 0; i < dense; i++) {
		s->dense[i].low = s->dense[i].least = -INFINITY;
		s->dense[i].high = s->dense[i].most = INFINITY;
	}
	*out = s;
	s = NULL;
done:
	hel_schema_free(s);
	return st;
}

hel_status hel_schema_of(hel_schema **out, const hel_dataset *set)
{
	hel_status st = HEL_OK;
	hel_schema *s = NULL;
	TRY(hel_schema_new(&s, set->dense, set->tables));
	s->set = hel_dataset_keep(set);
	memcpy(s->dataset, set->name, sizeof s->dataset);
	for (size_t i = 0; i < set->columns; i++) {
		const hel_column *c = &set->column[i];
		if (c->kind == HEL_DENSE)
			memcpy(s->dense[c->nth].name, c->name, sizeof c->name);
		if (c->kind != HEL_CATEGORICAL)
			continue;
		hel_table_field *t = &s->table[c->nth];
		memcpy(t->name, c->name, sizeof c->name);
		t->digits = 1;
		t->bag = c->bag;
		t->hashed = hel_column_is_hashed(c);
		t->modulo = c->values == HEL_MODULO;
		t->base = c->modulo;
	}
	*out = s;
	s = NULL;
done:
	hel_schema_free(s);
	return st;
}

static hel_status wrong_column(const hel_dataset *set, const char *found, const char *expected)
{
	return hel_fail(HEL_EFORMAT, "the schema names column '%.40s', %s has '%.40s'", found,
			set->name, expected);
}

hel_status hel_schema_fits(const hel_schema *s, const hel_dataset *set)
{
	for (size_t i = 0; i < set->columns; i++) {
		const hel_column *c = &set->column[i];
		const bool is_dense = c->kind == HEL_DENSE;
		if (!is_dense && c->kind != HEL_CATEGORICAL)
			continue;
		const char *name = c->nth >= (is_dense ? s->dense_count : s->table_count) ? "none"
				   : is_dense ? s->dense[c->nth].name
					      : s->table[c->nth].name;
		if (strcmp(name, c->name) != 0)
			return wrong_column(set, name, c->name);
		const hel_table_field *t = is_dense ? NULL : &s->table[c->nth];
		if (t &&
		    (t->hashed != hel_column_is_hashed(c) ||
		     t->modulo != (c->values == HEL_MODULO) || (t->modulo && t->base != c->modulo)))
			return hel_fail(HEL_EFORMAT, "the schema %s %s, %s says \"%s\"",
					t->modulo   ? "has ids in"
					: t->hashed ? "hashes"
						    : "lists",
					name, set->name, hel_values_name(c->values));
	}
	return set->dense == s->dense_count && set->tables == s->table_count
		   ? HEL_OK
		   : hel_fail(HEL_EFORMAT, "the schema has more columns than %s", set->name);
}

/* --- vocabularies ------------------------------------------------------------------------ */

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

hel_status hel_table_list(hel_table_field *t, const char *const *text, size_t count)
{
	hel_status st = HEL_OK;
	const char **value = NULL;
	char *all = NULL, *to;
	size_t size = 0, values = 0;
	for (size_t i = 0; i < count; i++)
		size += strlen(text[i]) + 1;
	TRY_ALLOC(value, hel_alloc(HEL_MAX(count, 1), sizeof *value));
	TRY_ALLOC(all, hel_alloc(HEL_MAX(size, 1), 1));
	memcpy(value, text, count * sizeof *value);
	qsort(value, count, sizeof *value, compare_texts);
	to = all;
	for (size_t i = 0; i < count; i++) {
		if (values && strcmp(value[values - 1], value[i]) == 0)
			continue;
		const size_t n = strlen(value[i]) + 1;
		memcpy(to, value[i], n);
		value[values++] = to;
		to += n;
	}
	hel_free(t->value);
	hel_free(t->text);
	t->value = value;
	t->text = all;
	t->values = (uint32_t)values;
	value = NULL;
	all = NULL;
done:
	hel_free(value);
	hel_free(all);
	return st;
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
	const char **text = NULL;
	size_t n = 0, most = 0;
	if (t->modulo)
		goto done;
	for (size_t i = 0; i < count; i++)
		most += hel_records_cell(records, rows ? rows[i] : i, table).count;
	TRY_ALLOC(text, hel_alloc(HEL_MAX(most, 1), sizeof *text));
	for (size_t i = 0; i < count; i++) {
		const hel_span s = hel_records_cell(records, rows ? rows[i] : i, table);
		for (size_t k = s.first; k < s.first + s.count; k++)
			text[n++] = hel_records_text(records, k);
	}
	TRY(hel_table_list(t, text, n));
	t->base = base;
	t->digits = base ? hel_digits_for(t->values + 1, base) : 1;
done:
	hel_free(text);
	return st;
}

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The values that shares `low` and `high` of all lie below. */
static hel_status fit_quantiles(hel_dense_field *d, const hel_column *c, const hel_records *records,
				const size_t *rows, size_t count)
{
	hel_status st = HEL_OK;
	double *value = NULL;
	size_t n = 0;
	if (c->low <= 0 && c->high >= 1)
		goto done;
	TRY_ALLOC(value, hel_alloc(HEL_MAX(count, 1), sizeof *value));
	for (size_t i = 0; i < count; i++) {
		const double v = records->value[(rows ? rows[i] : i) * records->dense + c->nth];
		if (!isnan(v))
			value[n++] = v;
	}
	if (!n)
		goto done;
	qsort(value, n, sizeof *value, ascending);
	d->low = value[(size_t)floor(c->low * (double)(n - 1))];
	d->high = value[(size_t)ceil(c->high * (double)(n - 1))];
done:
	hel_free(value);
	return st;
}

static hel_status fit_dense(hel_dense_field *d, const hel_column *c, const hel_records *records,
			    const size_t *rows, size_t count)
{
	hel_status st = HEL_OK;
	double sum = 0, squares = 0, n = 0, least = INFINITY, most = -INFINITY;
	TRY(fit_quantiles(d, c, records, rows, count));
	for (size_t i = 0; i < count; i++) {
		double v = records->value[(rows ? rows[i] : i) * records->dense + c->nth];
		if (isnan(v))
			continue;
		v = fmin(fmax(v, d->low), d->high);
		sum += v;
		squares += v * v;
		least = fmin(least, v);
		most = fmax(most, v);
		n++;
	}
	d->mean = n > 0 ? sum / n : 0;
	double variance = n > 0 ? squares / n - d->mean * d->mean : 0;
	d->deviation = variance > 1e-12 ? sqrt(variance) : 1;
	if (!isfinite(variance) || !hel_dense_is_plausible(d))
		FAIL(HEL_EDATA, "the values of %s are too large", d->name);
	hel_dense_saw(d, least, most);
done:
	return st;
}

hel_status hel_schema_fit(hel_schema **out, const hel_dataset *set, const hel_records *records,
			  const size_t *rows, size_t count, double clip, uint32_t base)
{
	hel_status st = HEL_OK;
	hel_schema *s = NULL;
	if (base == 1)
		FAIL(HEL_EINVAL, "digits need a base of at least 2");
	if (!set->small)
		FAIL(HEL_EUNSUPPORTED, "the vocabulary of '%s' is learned from a row cache",
		     set->name);
	TRY(hel_schema_of(&s, set));
	s->clip = clip;
	for (size_t i = 0; i < set->columns; i++) {
		const hel_column *c = &set->column[i];
		if (c->kind == HEL_CATEGORICAL)
			TRY(fit_table(&s->table[c->nth], records, c->nth, rows, count, base));
		if (c->kind == HEL_DENSE)
			TRY(fit_dense(&s->dense[c->nth], c, records, rows, count));
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
		return (size_t)t->values + t->buckets + 1 +
		       (t->base ? (size_t)t->base * t->digits : 1);
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
		n += hel_table_words(&s->table[i]);
	return n;
}

static hel_status unknown_category(const hel_table_field *t, const char *text, size_t row)
{
	char known[160] = "", shown[HEL_EXCERPT_MAX];
	for (uint32_t i = 0; i < t->values && i < 8; i++)
		if (strlen(t->value[i]) < sizeof known / 8 - 1)
			snprintf(known + strlen(known), sizeof known - strlen(known), "%s ",
				 t->value[i]);
	return hel_fail(
	    HEL_EDATA, "record %zu: unknown category '%s' for %s; known: %s%sor ? for missing",
	    row + 1, hel_excerpt(shown, text), t->name, known, t->values > 8 ? "... " : "");
}

bool hel_dense_is_plausible(const hel_dense_field *d)
{
	return fabs(d->mean) <= MEAN_MAX && d->deviation >= DEVIATION_MIN &&
	       d->deviation <= DEVIATION_MAX;
}

void hel_dense_saw(hel_dense_field *d, double least, double most)
{
	const double step = d->deviation / 4;
	if (!(least <= most))
		return;
	d->least = d->mean + floor((least - d->mean) / step) * step;
	d->most = d->mean + ceil((most - d->mean) / step) * step;
}

bool hel_dense_is_far(const hel_schema *s, size_t column, double v)
{
	return fabs(v - s->dense[column].mean) > HEL_FAR * s->dense[column].deviation;
}

double hel_dense_apply(const hel_schema *s, size_t column, double v)
{
	const hel_dense_field *d = &s->dense[column];
	v = isnan(v) ? 0 : (fmin(fmax(v, d->low), d->high) - d->mean) / d->deviation;
	return fmin(fmax(v, -s->clip), s->clip);
}

uint32_t hel_table_row(const hel_table_field *t, const char *text)
{
	const char **found =
	    t->values ? bsearch(&text, t->value, t->values, sizeof *t->value, compare_texts) : NULL;
	return found ? 1 + (uint32_t)(found - t->value) : 0;
}

void hel_table_spread(uint32_t *hots, const hel_table_field *t, uint32_t first, uint32_t number)
{
	for (uint32_t d = 0; d < t->digits; d++) {
		hots[d] = first + (t->base ? d * t->base + number % t->base : number);
		if (t->base)
			number /= t->base;
	}
}

/* --- bags -------------------------------------------------------------------------------- */

double hel_bag_reach(const hel_bag *b)
{
	return b->limit ? b->most * (b->pooling == HEL_POOL_MEAN ? 1 : b->limit) : 1;
}

static void set_weight(uint32_t *word, float weight)
{
	memcpy(word, &weight, sizeof weight);
}

/* What several values name counts once, with the largest weight. */
static void keep_largest(uint32_t *position, uint32_t *weight, size_t places)
{
	for (size_t p = 0; p < places; p++)
		for (size_t q = 0; q < p && position[p] != HEL_NO_HOT; q++) {
			if (position[q] != position[p])
				continue;
			if (hel_word_weight(weight[p]) > hel_word_weight(weight[q]))
				weight[q] = weight[p];
			position[p] = HEL_NO_HOT;
		}
}

void hel_bag_close(uint32_t *words, const hel_table_field *t, uint32_t first, const float *weight,
		   uint32_t count)
{
	const size_t places = hel_table_places(t);
	uint32_t *w = words + places;
	if (!count && t->hashed) { /* the missing value's row */
		memset(words, 0xff, t->digits * sizeof *words);
		words[0] = first;
	} else if (!count)
		hel_table_spread(words, t, first, 0);
	for (size_t p = 0; p < places; p++) {
		const size_t value = p / t->digits;
		const bool there = value < HEL_MAX(count, 1u);
		const float one = count && there ? weight[value] : 1;
		words[p] = there ? words[p] : HEL_NO_HOT;
		set_weight(&w[p], !there				     ? 0
				  : count && t->bag.pooling == HEL_POOL_MEAN ? one / (float)count
									     : one);
	}
	if (t->bag.pooling == HEL_POOL_MAX)
		keep_largest(words, w, HEL_MAX(count, 1u) * t->digits);
}

/* --- records ------------------------------------------------------------------------------- */

/* The places of one value; false: it is not known. */
static bool value_hots(uint32_t *hots, const hel_schema *s, size_t table, uint32_t first,
		       const char *text)
{
	const hel_table_field *t = &s->table[table];
	if (t->hashed) {
		hel_table_hots(hots, s, table, first, hel_value_code(t, text, strlen(text)));
		return true;
	}
	const uint32_t number = hel_table_row(t, text);
	hel_table_spread(hots, t, first, number);
	return number || !*text;
}

static hel_status apply_table(uint32_t *hots, const hel_schema *s, const hel_records *records,
			      size_t row, size_t table, uint32_t first, hel_unknown policy,
			      size_t *unknown)
{
	const hel_table_field *t = &s->table[table];
	const hel_span cell = hel_records_cell(records, row, table);
	const uint32_t count = (uint32_t)HEL_MIN(cell.count, (size_t)HEL_MAX(t->bag.limit, 1u));
	float weight[HEL_MAX_BAG];
	if (!cell.count && !t->bag.limit)
		(void)value_hots(hots, s, table, first, "");
	for (uint32_t k = 0; k < count; k++) {
		const char *text = hel_records_text(records, cell.first + k);
		weight[k] = (float)records->entry[cell.first + k].weight;
		if (value_hots(hots + (size_t)k * t->digits, s, table, first, text))
			continue;
		if (policy == HEL_UNKNOWN_IS_ERROR)
			return unknown_category(t, text, row);
		if (unknown)
			++*unknown;
	}
	if (t->bag.limit)
		hel_bag_close(hots, t, first, weight, count);
	return HEL_OK;
}

hel_status hel_schema_apply(const hel_schema *s, const hel_records *records, size_t row,
			    hel_unknown policy, double *dense, uint32_t *hots, size_t *unknown)
{
	hel_status st = HEL_OK;
	uint32_t first = 0;
	if (records->dense != s->dense_count || records->tables != s->table_count)
		FAIL(HEL_EDATA, "records of another data set than '%s'", s->dataset);
	for (size_t i = 0; i < s->dense_count; i++)
		dense[i] = hel_dense_apply(s, i, records->value[row * records->dense + i]);
	for (size_t i = 0; i < s->table_count; i++) {
		TRY(apply_table(hots, s, records, row, i, first, policy, unknown));
		hots += hel_table_words(&s->table[i]);
		first += (uint32_t)hel_table_width(&s->table[i]);
	}
done:
	return st;
}

static void random_value(uint32_t *hots, const hel_schema *s, size_t table, uint32_t first,
			 hel_prng *g)
{
	const hel_table_field *t = &s->table[table];
	const uint32_t number = (uint32_t)(hel_prng_unit(g) * (t->values + 1));
	if (!t->hashed)
		hel_table_spread(hots, t, first, number);
	else if (number < t->values) { /* a row of its own, the missing value's included */
		memset(hots, 0xff, t->digits * sizeof *hots);
		hots[0] = first + number;
	} else
		hel_table_hots(hots, s, table, first, (uint32_t)hel_prng_u64(g) | 1);
}

static void random_bag(uint32_t *hots, const hel_schema *s, size_t table, uint32_t first,
		       hel_prng *g)
{
	const hel_table_field *t = &s->table[table];
	float weight[HEL_MAX_BAG];
	const uint32_t count = (uint32_t)(hel_prng_unit(g) * (t->bag.limit + 1));
	for (uint32_t k = 0; k < count; k++) {
		random_value(hots + (size_t)k * t->digits, s, table, first, g);
		weight[k] = t->bag.weighted ? (float)(t->bag.most * (2 * hel_prng_unit(g) - 1)) : 1;
	}
	hel_bag_close(hots, t, first, weight, count);
}

void hel_schema_random(const hel_schema *s, hel_prng *g, double *dense, uint32_t *hots)
{
	uint32_t first = 0;
	for (size_t i = 0; i < s->dense_count; i++)
		dense[i] = s->clip * (2 * hel_prng_unit(g) - 1);
	for (size_t i = 0; i < s->table_count; i++) {
		const hel_table_field *t = &s->table[i];
		if (t->bag.limit)
			random_bag(hots, s, i, first, g);
		else
			random_value(hots, s, i, first, g);
		hots += hel_table_words(t);
		first += (uint32_t)hel_table_width(t);
	}
}
