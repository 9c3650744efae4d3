/* Which data set a model is of: one that the caller names, a description in the schema, a built-in
 * one of which the model may read a part, or what the schema itself lists.
 */
#include "importer.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *name_at(const json_t *array, size_t i)
{
	return json_string_value(json_object_get(json_array_get(array, i), "name"));
}

static bool lists(const json_t *array, const char *name)
{
	const json_t *o;
	size_t i;
	json_array_foreach((json_t *)array, i, o)
	{
		const char *listed = json_string_value(json_object_get(o, "name"));
		if (listed && strcmp(listed, name) == 0)
			return true;
	}
	return false;
}

/* How many of the schema's names are columns of a data set; the first one that is none. */
static size_t count_known(const hel_dataset *set, const json_t *array, const char **unknown)
{
	size_t known = 0;
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *name = name_at(array, i);
		if (name && hel_dataset_column(set, name))
			known++;
		else if (!*unknown)
			*unknown = name ? name : "?";
	}
	return known;
}

static hel_status from_json(const hel_dataset **out, const json_t *description)
{
	hel_status st = HEL_OK;
	hel_dataset *set = NULL;
	char *text = NULL;
	TRY_ALLOC(text, json_dumps(description, JSON_COMPACT));
	TRY(hel_dataset_from_json(&set, text, strlen(text)));
	*out = set;
done:
	free(text);
	return st;
}

/* A built-in data set of whose columns the model reads only some: the others are ignored. */
static hel_status part_of(hel_importer *im, const hel_dataset *set)
{
	hel_status st = HEL_OK;
	const json_t *dense = json_object_get(im->schema_json, "dense"),
		     *tables = json_object_get(im->schema_json, "tables");
	char *text = NULL, name[HEL_NAME_MAX + 8];
	json_t *whole = NULL, *column;
	size_t i, ignored = 0;
	TRY(hel_dataset_to_json(&text, set));
	TRY_ALLOC(whole, json_loads(text, 0, NULL));
	json_array_foreach(json_object_get(whole, "columns"), i, column)
	{
		const hel_column *c = &set->column[i];
		if ((c->kind != HEL_DENSE && c->kind != HEL_CATEGORICAL) ||
		    lists(c->kind == HEL_DENSE ? dense : tables, c->name))
			continue;
		json_object_clear(column);
		json_object_set_new(column, "name", json_string(c->name));
		json_object_set_new(column, "kind", json_string("ignore"));
		ignored++;
	}
	if (!ignored) {
		im->set = hel_dataset_keep(set);
		goto done;
	}
	snprintf(name, sizeof name, "%s-part", set->name);
	json_object_set_new(whole, "name", json_string(name));
	TRY(from_json(&im->set, whole));
	hel_importer_say(im, "data set: %s, of whose columns %zu are ignored", set->name, ignored);
done:
	json_decref(whole);
	hel_free(text);
	return st;
}

/* Columns as the schema lists them: dense values as they are, texts that are listed. */
static hel_status of_its_own(hel_importer *im, const char *name)
{
	hel_status st = HEL_OK;
	const json_t *dense = json_object_get(im->schema_json, "dense"),
		     *tables = json_object_get(im->schema_json, "tables"), *o;
	json_t *columns = json_array(),
	       *whole = json_pack("{s:i, s:s, s:b, s:o}", "helrm_columns", 1, "name", name, "small",
				  1, "columns", columns);
	size_t i;
	TRY_ALLOC(whole, whole);
	json_array_foreach((json_t *)dense, i, o) json_array_append_new(
	    columns, json_pack("{s:s, s:s}", "name", name_at(dense, i) ? name_at(dense, i) : "",
			       "kind", "dense"));
	json_array_foreach((json_t *)tables, i, o)
	    json_array_append_new(columns, json_pack("{s:s, s:s, s:s}", "name",
						     name_at(tables, i) ? name_at(tables, i) : "",
						     "kind", "category", "values", "listed"));
	json_array_append_new(columns, json_pack("{s:s, s:s}", "name", "label", "kind", "label"));
	TRY(from_json(&im->set, whole));
	hel_importer_say(
	    im,
	    "data set: '%s', as the schema lists its columns: %zu dense values as they "
	    "are, %zu categories (--dataset columns.json says otherwise)",
	    name, json_array_size(dense), json_array_size(tables));
done:
	json_decref(whole);
	return st;
}

/* Letters to change, add or drop to make b of a (Levenshtein); both are short. */
static size_t letters_apart(const char *a, const char *b)
{
	size_t row[HEL_NAME_MAX + 1];
	const size_t n = HEL_MIN(strlen(b), (size_t)HEL_NAME_MAX);
	for (size_t k = 0; k <= n; k++)
		row[k] = k;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];
		row[0] = i + 1;
		for (size_t k = 0; k < n; k++) {
			const size_t changed = diagonal + (tolower((unsigned char)a[i]) !=
							   tolower((unsigned char)b[k]));
			diagonal = row[k + 1];
			row[k + 1] = HEL_MIN(changed, HEL_MIN(row[k], row[k + 1]) + 1);
		}
	}
	return row[n];
}

/* The built-in data set whose columns the schema lists under nearly its name. */
static const hel_dataset *mistyped(const hel_importer *im, const char *name)
{
	const json_t *dense = json_object_get(im->schema_json, "dense"),
		     *tables = json_object_get(im->schema_json, "tables");
	for (size_t i = 0; hel_dataset_number(i); i++) {
		const hel_dataset *set = hel_dataset_number(i);
		const char *unknown = NULL;
		if (letters_apart(name, set->name) <= 2 &&
		    count_known(set, dense, &unknown) + count_known(set, tables, &unknown))
			return set;
	}
	return NULL;
}

static hel_status by_name(hel_importer *im, const char *name)
{
	const json_t *dense = json_object_get(im->schema_json, "dense"),
		     *tables = json_object_get(im->schema_json, "tables");
	const hel_dataset *set = hel_dataset_by_name(name), *like;
	const char *unknown = NULL;
	if (set) {
		count_known(set, dense, &unknown);
		count_known(set, tables, &unknown);
		if (unknown)
			return hel_fail(
			    HEL_EFORMAT,
			    "schema: the data set '%s' has no column '%.40s'; one of your "
			    "own has another name, or --dataset columns.json",
			    name, unknown);
		return part_of(im, set);
	}
	like = mistyped(im, name);
	if (like)
		return hel_fail(HEL_EFORMAT,
				"schema: 'dataset' must be '%s', whose columns are listed, not "
				"'%.40s'; or --dataset columns.json",
				like->name, name);
	return of_its_own(im, name);
}

hel_status hel_importer_dataset(hel_importer *im, const hel_dataset *given)
{
	const json_t *named = json_object_get(im->schema_json, "dataset"),
		     *columns = json_object_get(im->schema_json, "columns");
	const char *name = json_string_value(named);
	columns = json_is_object(named) ? named : columns;
	if (given) {
		if (name && strcmp(name, given->name) != 0)
			return hel_fail(HEL_EFORMAT,
					"schema: 'dataset' is '%.40s', --dataset is '%s'", name,
					given->name);
		im->set = hel_dataset_keep(given);
		return HEL_OK;
	}
	if (json_is_object(columns))
		return from_json(&im->set, columns);
	if (!name || !*name || strlen(name) >= HEL_NAME_MAX - 8)
		return hel_fail(HEL_EFORMAT,
				"schema: 'dataset' must be one of: %s; or --dataset columns.json",
				hel_dataset_names());
	return by_name(im, name);
}
