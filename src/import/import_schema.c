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

static const json_t *missing_of(const hel_importer *im, size_t table)
{
	return json_object_get(json_array_get(json_object_get(im->schema_json, "tables"), table),
			       "missing");
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

static bool is_text(const json_t *values, size_t number, const char *text)
{
	return strcmp(json_string_value(json_array_get(values, number)), text) == 0;
}

/* Texts that are in no other row: an open hash table of hashes and numbers, since there may be
 * millions. */
static hel_status check_distinct(const json_t *values, const char *name)
{
	hel_status st = HEL_OK;
	const size_t count = json_array_size(values);
	size_t room = 64, i;
	uint64_t *place = NULL; /* hash << 32 | 1 + number; 0: empty */
	const json_t *value;
	while (room < 2 * count)
		room *= 2;
	TRY_ALLOC(place, hel_alloc(room, sizeof *place));
	json_array_foreach((json_t *)values, i, value)
	{
		const char *text = json_string_value(value);
		if (!text || !*text)
			continue;
		const uint32_t hash = hel_value_hash(text, strlen(text));
		size_t at = hel_mix(hash) & (room - 1);
		for (; place[at]; at = (at + 1) & (room - 1))
			if (place[at] >> 32 == hash &&
			    is_text(values, (uint32_t)place[at] - 1, text))
				FAIL(HEL_EFORMAT, "schema: %s lists '%s' twice", name, text);
		place[at] = (uint64_t)hash << 32 | (i + 1);
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
	static const char *const root[] = {"dataset", "columns", "clip", "dense", "tables", NULL},
				 *const dense[] = {"name",  "mean", "deviation",
						   "least", "most", NULL},
				 *const table[] = {"name", "values", "missing", NULL};
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

/* The schema lists the data set's columns of a kind, in their order; or none, where all that is to
 * be said of them is what they are. */
static hel_status check_names(const hel_importer *im, hel_column_kind kind, const json_t *listed,
			      size_t count)
{
	const char *what = kind == HEL_DENSE ? "dense" : "table";
	for (size_t i = 0; listed && i < count; i++) {
		const hel_column *c = hel_dataset_nth(im->set, kind, i);
		const char *name =
		    json_string_value(json_object_get(json_array_get(listed, i), "name"));
		if (!name || strcmp(name, c->name) != 0)
			return hel_fail(HEL_EFORMAT,
					"schema: %s column %zu is '%.40s', expected '%s'", what, i,
					name ? name : "?", c->name);
	}
	if (listed && json_array_size(listed) != count)
		return hel_fail(HEL_EFORMAT, "schema: %zu %s columns, '%s' has %zu",
				json_array_size(listed), what, im->set->name, count);
	return HEL_OK;
}

static hel_status standardise(hel_dense_field *f, const json_t *o, bool listed)
{
	const json_t *mean = json_object_get(o, "mean"),
		     *deviation = json_object_get(o, "deviation");
	f->mean = json_number_value(mean);
	f->deviation = listed ? json_number_value(deviation) : 1;
	if (listed &&
	    (!json_is_number(mean) || !json_is_number(deviation) || !hel_dense_is_plausible(f)))
		return hel_fail(HEL_EFORMAT,
				"schema: %s needs numbers 'mean' (at most 1e15) and 'deviation' "
				"(1e-9 to 1e15): 0 and 1 when the model takes values as they are",
				f->name);
	const json_t *least = json_object_get(o, "least"), *most = json_object_get(o, "most");
	if (!least && !most)
		return HEL_OK;
	f->least = json_number_value(least);
	f->most = json_number_value(most);
	return json_is_number(least) && json_is_number(most) && f->least <= f->most
		   ? HEL_OK
		   : hel_fail(
			 HEL_EFORMAT,
			 "schema: 'least' and 'most' of %s must be numbers in this order: what "
			 "the model learned from",
			 f->name);
}

static hel_status make_schema(hel_schema **out, const hel_importer *im)
{
	hel_status st = HEL_OK;
	hel_schema *s = NULL;
	const json_t *dense = json_object_get(im->schema_json, "dense"),
		     *tables = json_object_get(im->schema_json, "tables");
	TRY(check_all_keys(im->schema_json));
	TRY(hel_schema_of(&s, im->set));
	const json_t *clip = json_object_get(im->schema_json, "clip");
	s->clip = json_number_value(clip);
	if (!json_is_number(clip) || !(s->clip > 0 && s->clip <= 1000))
		FAIL(HEL_EFORMAT,
		     "schema: 'clip' must be a number above 0 and up to 1000: the range "
		     "of standardised values that clients send");
	TRY(check_names(im, HEL_DENSE, dense, im->set->dense));
	TRY(check_names(im, HEL_CATEGORICAL, tables, im->set->tables));
	for (size_t i = 0; i < s->dense_count; i++)
		TRY(standardise(&s->dense[i], json_array_get(dense, i), dense != NULL));
	memcpy(s->salt, im->salt, sizeof s->salt);
	*out = s;
	s = NULL;
done:
	hel_schema_free(s);
	return st;
}

/* Ids need no list: row i is that of all ids that are i modulo the number of rows. "missing" is the
 * row of a missing one. */
static hel_status check_ids(const hel_importer *im, size_t table, const hel_table_field *t)
{
	const json_t *missing = missing_of(im, table);
	size_t least, most;
	hel_table_rows(&least, &most, &im->table[table]);
	if (values_of(im, table))
		return hel_fail(HEL_EFORMAT, "schema: %s is of ids: no 'values' are listed",
				t->name);
	if (t->base < least || t->base > most)
		return hel_fail(HEL_EFORMAT, "schema: %s is of ids modulo %u, %s has %zu rows",
				t->name, t->base, im->table[table].name, most);
	if (missing && (!json_is_integer(missing) || json_integer_value(missing) < 0 ||
			json_integer_value(missing) >= t->base))
		return hel_fail(HEL_EFORMAT, "schema: 'missing' of %s must be a row's number",
				t->name);
	return HEL_OK;
}

/* Several of its values add up in the model; products of theirs would not. */
static hel_status check_bag(const hel_importer *im, size_t table, const hel_table_field *t)
{
	return t->bag.limit > 1 && im->table[table].form == HEL_TABLE_MULT
		   ? hel_fail(
			 HEL_EUNSUPPORTED,
			 "'%s' multiplies rows by quotient and remainder, and %s is a bag: the "
			 "product of two sums is no sum of rows; train with qr_operation add, or "
			 "one value a cell",
			 im->table[table].name, t->name)
		   : HEL_OK;
}

static hel_status fill_vocabularies(hel_importer *im, hel_schema *s)
{
	hel_status st = HEL_OK;
	for (size_t i = 0; i < s->table_count; i++) {
		hel_table_field *t = &s->table[i];
		TRY(check_bag(im, i, t));
		if (t->modulo) {
			TRY(check_ids(im, i, t));
			continue;
		}
		if (missing_of(im, i))
			FAIL(HEL_EFORMAT,
			     "schema: 'missing' of %s: only ids have it, \"\" is listed otherwise",
			     t->name);
		TRY(check_values(im, i, t->name));
		TRY(t->hashed ? hashed_vocabulary(im, s, i) : text_vocabulary(im, t, i));
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
	return im->set->dense;
}

size_t hel_importer_column_rows(const hel_importer *im, size_t table)
{
	const hel_column *c = hel_dataset_nth(im->set, HEL_CATEGORICAL, table);
	return c->values == HEL_MODULO ? c->modulo : json_array_size(values_of(im, table));
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

/* Row 0 is the missing value's, then those of the ids. */
static hel_status id_rows(float *to, const hel_importer *im, const hel_source *source)
{
	hel_status st = HEL_OK;
	const uint32_t rows = im->schema->table[source->column].base;
	const size_t dim = source->table->width;
	const json_t *missing = missing_of(im, source->column);
	for (size_t i = 0; i < rows; i++)
		TRY(hel_table_read(to + (i + 1) * dim, source->table, i));
	if (missing)
		TRY(hel_table_read(to, source->table, (size_t)json_integer_value(missing)));
	im->report->no_missing_row += !missing;
done:
	return st;
}

/* Row 0 is the missing value's; hashed tables end in the row of all others. Where the model has no
 * row for either, the other one serves, and zero where it has neither; an empty bag is zero. */
hel_status hel_importer_rows(float *to, const hel_importer *im, const hel_source *source)
{
	hel_status st = HEL_OK;
	const size_t column = source->column, dim = source->table->width,
		     rows = hel_table_width(&im->schema->table[column]);
	const hel_table_field *t = &im->schema->table[column];
	const json_t *values = values_of(im, column), *value;
	size_t i, missing = SIZE_MAX, other = SIZE_MAX;
	uint8_t *seen = NULL;
	if (t->modulo)
		return id_rows(to, im, source);
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
	const bool empty_bag = t->bag.limit && t->hashed && missing == SIZE_MAX;
	const size_t first = missing == SIZE_MAX ? other : missing,
		     last = other == SIZE_MAX ? missing : other;
	if (first != SIZE_MAX && !empty_bag)
		TRY(hel_table_read(to, source->table, first));
	if (last != SIZE_MAX && t->hashed)
		TRY(hel_table_read(to + (rows - 1) * dim, source->table, last));
	im->report->no_missing_row += first == SIZE_MAX;
done:
	hel_free(seen);
	return st;
}
