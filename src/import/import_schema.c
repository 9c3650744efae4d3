/* The schema of what a model was trained on: the data set's columns, and what each row stands for.
 */
#include "features/cells.h"
#include "features/hash.h"
#include "importer.h"
#include <stdlib.h>
#include <string.h>

static const json_t *values_of(const hel_importer *im, size_t table)
{
	return json_object_get(json_array_get(json_object_get(im->schema_json, "tables"), table),
			       "values");
}

/* Every row has one value: a text, which becomes what a record's cell becomes, "" for missing, null
 * for all that are not listed. */
static hel_status check_values(const hel_importer *im, size_t table, const char *name)
{
	const json_t *values = values_of(im, table), *value;
	size_t i, empty = 0, null = 0;
	const size_t count = json_array_size(values);
	size_t least, most;
	hel_table_rows(&least, &most, &im->table[table]);
	if (!json_is_array(values) || count < least || count > most)
		return hel_fail(
		    HEL_EFORMAT,
		    "schema: 'values' of %s must list the %zu rows of %s, it has %zu entries", name,
		    most, im->table[table].name, count);
	json_array_foreach((json_t *)values, i, value)
	{
		const char *text = json_string_value(value);
		if (!json_is_null(value) && !text)
			return hel_fail(HEL_EFORMAT,
					"schema: value %zu of %s is neither null nor a text", i,
					name);
		if (text) {
			char canonical[HEL_VALUE_MAX], reason[HEL_REASON_MAX];
			if (!hel_cell_category(canonical, im->set,
					       hel_dataset_nth(im->set, HEL_CATEGORICAL, table),
					       hel_cell_of(text, strlen(text)), reason))
				return hel_fail(
				    HEL_EFORMAT,
				    "schema: value %zu, '%.20s', can be in no record: %s", i, text,
				    reason);
			if (strcmp(canonical, text) != 0)
				json_string_set((json_t *)value, canonical);
			empty += !*canonical;
		}
		null += json_is_null(value);
	}
	if (null > 1 || empty > 1)
		return hel_fail(HEL_EFORMAT, "schema: %s lists %s twice", name,
				null > 1 ? "null" : "the missing value");
	return HEL_OK;
}

/* Texts that are in no other row: an open hash table of their numbers, since there may be millions.
 */
static hel_status check_distinct(const json_t *values, const char *name)
{
	hel_status st = HEL_OK;
	const size_t count = json_array_size(values);
	size_t room = 64, i;
	uint32_t *place = NULL; /* 1 + number, 0: empty */
	const json_t *value;
	while (room < 2 * count)
		room *= 2;
	TRY_ALLOC(place, hel_alloc(room, sizeof *place));
	json_array_foreach((json_t *)values, i, value)
	{
		const char *text = json_string_value(value);
		if (!text || !*text)
			continue;
		size_t at = hel_mix(hel_value_hash(text, strlen(text))) & (room - 1);
		for (; place[at]; at = (at + 1) & (room - 1))
			if (strcmp(text,
				   json_string_value(json_array_get(values, place[at] - 1))) == 0)
				FAIL(HEL_EFORMAT, "schema: %s lists '%s' twice", name, text);
		place[at] = (uint32_t)i + 1;
	}
done:
	hel_free(place);
	return st;
}

static hel_status text_vocabulary(const hel_importer *im, hel_table_field *t, size_t table)
{
	hel_status st = HEL_OK;
	const json_t *values = values_of(im, table), *value;
	const char **listed = NULL;
	size_t i, count = 0;
	TRY_ALLOC(listed, hel_alloc(json_array_size(values), sizeof *listed));
	json_array_foreach((json_t *)values, i, value)
	{
		const char *text = json_string_value(value);
		if (text && *text)
			listed[count++] = text;
	}
	TRY(check_distinct(values, t->name));
	TRY(hel_table_list(t, listed, count));
done:
	hel_free(listed);
	return st;
}

static hel_status hashed_vocabulary(const hel_importer *im, hel_schema *s, size_t table)
{
	hel_status st = HEL_OK;
	uint32_t *hash = NULL, count = 0;
	const json_t *values = values_of(im, table), *value;
	size_t i;
	TRY_ALLOC(hash, hel_alloc(json_array_size(values), sizeof *hash));
	json_array_foreach((json_t *)values, i, value)
	{
		const char *text = json_string_value(value);
		if (text && *text)
			hash[count++] = hel_value_hash(text, strlen(text));
	}
	TRY(check_distinct(values, s->table[table].name));
	TRY(hel_table_know(s, table, hash, count, true));
	im->report->collisions += count - s->table[table].values;
done:
	hel_free(hash);
	return st;
}

static hel_status check_keys(const json_t *object, const char *where, const char *const *known)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)object, key, value)
	{
		size_t k = 0;
		while (known[k] && strcmp(known[k], key) != 0)
			k++;
		if (!known[k])
			return hel_fail(HEL_EFORMAT, "schema: unknown key '%.40s' in %s", key,
					where);
	}
	return HEL_OK;
}

static hel_status check_all_keys(const json_t *schema)
{
	static const char *const root[] = {"dataset", "clip", "dense", "tables", NULL},
				 *const dense[] = {"name", "mean", "deviation", NULL},
				 *const table[] = {"name", "values", NULL};
	hel_status st = HEL_OK;
	const json_t *o;
	size_t i;
	TRY(check_keys(schema, "the schema", root));
	json_array_foreach(json_object_get(schema, "dense"), i, o)
	    TRY(check_keys(o, "a dense column", dense));
	json_array_foreach(json_object_get(schema, "tables"), i, o)
	    TRY(check_keys(o, "a table", table));
done:
	return st;
}

static hel_status make_schema(hel_schema **out, const hel_importer *im)
{
	hel_status st = HEL_OK;
	hel_schema *s = NULL;
	const json_t *dense = json_object_get(im->schema_json, "dense"),
		     *tables = json_object_get(im->schema_json, "tables");
	size_t d = 0, t = 0;
	TRY(check_all_keys(im->schema_json));
	TRY(hel_schema_of(&s, im->set));
	const json_t *clip = json_object_get(im->schema_json, "clip");
	s->clip = json_number_value(clip);
	if (!json_is_number(clip) || !(s->clip > 0 && s->clip <= 1000))
		FAIL(HEL_EFORMAT,
		     "schema: 'clip' must be a number above 0 and up to 1000: the range "
		     "of standardised values that clients send");
	for (size_t i = 0; i < im->set->columns; i++) {
		const hel_column *c = &im->set->column[i];
		if (c->kind == HEL_LABEL || c->kind == HEL_IGNORED)
			continue;
		const json_t *o = json_array_get(c->kind == HEL_DENSE ? dense : tables,
						 c->kind == HEL_DENSE ? d : t);
		const char *name = json_string_value(json_object_get(o, "name"));
		if (!name || strcmp(name, c->name) != 0)
			FAIL(HEL_EFORMAT, "schema: %s column %zu is '%.40s', expected '%s'",
			     c->kind == HEL_DENSE ? "dense" : "table", c->kind == HEL_DENSE ? d : t,
			     name ? name : "?", c->name);
		if (c->kind == HEL_CATEGORICAL) {
			t++;
			continue;
		}
		hel_dense_field *f = &s->dense[d++];
		const json_t *mean = json_object_get(o, "mean"),
			     *deviation = json_object_get(o, "deviation");
		f->mean = json_number_value(mean);
		f->deviation = json_number_value(deviation);
		if (!json_is_number(mean) || !json_is_number(deviation) ||
		    !hel_dense_is_plausible(f))
			FAIL(HEL_EFORMAT,
			     "schema: %s needs numbers 'mean' (at most 1e15) and 'deviation' (1e-9 "
			     "to "
			     "1e15): 0 and 1 when the model takes values as they are",
			     name);
	}
	if (d != json_array_size(dense) || t != json_array_size(tables))
		FAIL(HEL_EFORMAT, "schema: %zu dense columns and %zu tables, '%s' has %zu and %zu",
		     json_array_size(dense), json_array_size(tables), im->set->name, d, t);
	memcpy(s->salt, im->salt, sizeof s->salt);
	*out = s;
	s = NULL;
done:
	hel_schema_free(s);
	return st;
}

static hel_status fill_vocabularies(hel_importer *im, hel_schema *s)
{
	hel_status st = HEL_OK;
	for (size_t t = 0; t < s->table_count; t++) {
		TRY(check_values(im, t, s->table[t].name));
		TRY(s->table[t].hashed ? hashed_vocabulary(im, s, t)
				       : text_vocabulary(im, &s->table[t], t));
	}
done:
	return st;
}

hel_status hel_importer_columns(hel_importer *im)
{
	hel_status st = HEL_OK;
	TRY(make_schema(&im->schema, im));
	if (im->tables != im->schema->table_count)
		FAIL(HEL_EFORMAT, "the weights have %zu tables, the schema %zu", im->tables,
		     im->schema->table_count);
	TRY(fill_vocabularies(im, im->schema));
	TRY(hel_graph_new(&im->b.g, im->schema));
done:
	return st;
}

size_t hel_importer_dense(const hel_importer *im)
{
	return json_array_size(json_object_get(im->schema_json, "dense"));
}

size_t hel_importer_column_rows(const hel_importer *im, size_t table)
{
	return json_array_size(values_of(im, table));
}

/* --- rows ------------------------------------------------------------------------------ */

/* Row of our table for a listed value; the first of two values that share one keeps it. */
static uint32_t row_of(const hel_schema *s, size_t table, const char *text)
{
	const hel_table_field *t = &s->table[table];
	uint32_t row;
	if (t->hashed) {
		hel_table_hots(&row, s, table, 0, hel_value_hash(text, strlen(text)));
		return row;
	}
	return hel_table_row(t, text);
}

/* Row 0 is the missing value's; hashed tables end in the row of all others. Where the model has no
 * row for either, the other one serves, and zero where it has neither. */
hel_status hel_importer_rows(float *to, const hel_importer *im, const hel_source *source)
{
	hel_status st = HEL_OK;
	const size_t column = source->column, dim = source->table->width,
		     rows = hel_table_width(&im->schema->table[column]);
	const json_t *values = values_of(im, column), *value;
	size_t i, missing = SIZE_MAX, other = SIZE_MAX;
	uint8_t *seen = NULL;
	TRY_ALLOC(seen, hel_alloc(rows, 1));
	json_array_foreach((json_t *)values, i, value)
	{
		const char *text = json_string_value(value);
		if (!text)
			other = i;
		else if (!*text)
			missing = i;
		if (!text || !*text)
			continue;
		const uint32_t row = row_of(im->schema, column, text);
		if (!seen[row]++)
			TRY(hel_table_read(to + row * dim, source->table, i));
	}
	const size_t first = missing == SIZE_MAX ? other : missing,
		     last = other == SIZE_MAX ? missing : other;
	if (first != SIZE_MAX)
		TRY(hel_table_read(to, source->table, first));
	if (last != SIZE_MAX && im->schema->table[column].hashed)
		TRY(hel_table_read(to + (rows - 1) * dim, source->table, last));
	im->report->no_missing_row += first == SIZE_MAX;
done:
	hel_free(seen);
	return st;
}
