#include "item_list.h"
#include "base/json.h"
#include "features/cells.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* A text being read. */
typedef struct listing {
	const hel_item_text *source;
	const hel_schema *public;
	const char *text; /* behind a byte order mark */
	size_t size;
	hel_cell column[HEL_MAX_COLUMNS]; /* names, of all columns */
	size_t columns, id;		  /* id: the one that names items */
	char separator;
	hel_writer ids;
	size_t items;
} listing;

/* --- columns --------------------------------------------------------------------------------- */

static size_t column_named(const listing *x, const char *name)
{
	size_t i = 0;
	while (i < x->columns && (strlen(name) != x->column[i].size ||
				  memcmp(name, x->column[i].at, x->column[i].size) != 0))
		i++;
	return i;
}

static hel_status find_id(listing *x)
{
	static const char *const usual[] = {"id", "item_id", "item"};
	if (x->source->id) {
		x->id = column_named(x, x->source->id);
		return x->id < x->columns
			   ? HEL_OK
			   : hel_fail(HEL_EINVAL, "id %.60s: %.200s has no such column",
				      x->source->id, x->source->name);
	}
	for (size_t k = 0; k < HEL_ARRAY_LEN(usual); k++)
		if ((x->id = column_named(x, usual[k])) < x->columns)
			return HEL_OK;
	x->id = 0;
	return HEL_OK;
}

/* Public columns as the model describes them, others as ignored ones. */
static hel_status dataset_of(const hel_dataset **out, const listing *x)
{
	hel_status st = HEL_OK;
	const hel_dataset *public = x->public->set;
	hel_dataset *set = NULL;
	char *text = NULL, *more = NULL, name[HEL_NAME_MAX];
	json_t *root = NULL;
	TRY(hel_dataset_to_json(&text, public));
	TRY_ALLOC(root, json_loads(text, 0, NULL));
	json_t *columns = json_object_get(root, "columns");
	json_object_set_new(root, "separator", json_string((char[]){x->separator, 0}));
	for (size_t i = 0; i < x->columns; i++) {
		const hel_cell c = x->column[i];
		if (!c.size || c.size >= sizeof name)
			FAIL(HEL_EDATA, "column %zu has a name of %zu bytes, expected 1 to %zu",
			     i + 1, c.size, sizeof name - 1);
		memcpy(name, c.at, c.size);
		name[c.size] = 0;
		if (!hel_dataset_column(public, name))
			json_array_append_new(
			    columns, json_pack("{s:s, s:s}", "name", name, "kind", "ignore"));
	}
	TRY_ALLOC(more, json_dumps(root, JSON_REAL_PRECISION(17)));
	TRY(hel_dataset_from_json(&set, more, strlen(more)));
	*out = set;
done:
	hel_free(text);
	free(more);
	json_decref(root);
	return st;
}

/* All but the ids; the names of columns are there. */
static hel_status read_samples(hel_item_list *out, listing *x)
{
	hel_status st = HEL_OK;
	const hel_dataset *set = NULL;
	hel_records records = {0};
	bool known = false;
	for (size_t i = 0; i < x->public->set->columns; i++)
		known |= column_named(x, x->public->set->column[i].name) < x->columns;
	if (!known)
		FAIL(HEL_EDATA, "%s:1: no column that the model knows: expected a header",
		     x->source->name);
	TRY(find_id(x));
	TRY(dataset_of(&set, x));
	TRY(hel_records_parse(&records, set, x->source->name, x->text, x->size));
	if (!records.count)
		FAIL(HEL_EDATA, "%s: no items", x->source->name);
	TRY(hel_samples_new(&out->samples, x->public, &records, NULL, records.count,
			    HEL_UNKNOWN_IS_MISSING));
done:
	hel_records_clear(&records);
	hel_dataset_drop(set);
	return st;
}

/* line: where it stands. */
static hel_status add_id(listing *x, hel_cell id, const char *what, size_t line)
{
	if (!id.size || memchr(id.at, 0, id.size))
		return hel_fail(HEL_EDATA, "%s%s%zu: the item has no id", x->source->name, what,
				line);
	hel_write_bytes(&x->ids, id.at, id.size);
	hel_write_u8(&x->ids, 0);
	x->items++;
	return x->ids.status;
}

/* --- CSV ---------------------------------------------------------------------------------------
 */

static hel_status read_table(hel_item_list *out, listing *x)
{
	hel_status st = HEL_OK;
	char reason[HEL_REASON_MAX], *copy = NULL;
	hel_cell *cell = NULL;
	size_t count, line = 0;
	TRY_ALLOC(copy, hel_alloc(x->size + 1, 1)); /* quotes are taken out in place */
	TRY_ALLOC(cell, hel_alloc(HEL_MAX_COLUMNS, sizeof *cell));
	memcpy(copy, x->text, x->size);
	for (char *next, *at = copy, *end = copy + x->size; at < end; at = next) {
		char *newline = memchr(at, '\n', (size_t)(end - at)),
		     *stop = newline ? newline : end;
		next = newline ? newline + 1 : end;
		if (!line++) {
			if (!memchr(at, x->separator, (size_t)(stop - at)) &&
			    memchr(at, ',', (size_t)(stop - at)))
				x->separator = ',';
			if (!hel_split_line(x->column, &x->columns, at, stop, x->separator, reason))
				FAIL(HEL_EDATA, "%s:1: %s", x->source->name, reason);
			TRY(read_samples(out, x));
		} else if (!hel_line_is_blank(at, stop, x->separator)) {
			if (!hel_split_line(cell, &count, at, stop, x->separator, reason) ||
			    count <= x->id)
				FAIL(HEL_EDATA, "%s:%zu: no id", x->source->name, line);
			TRY(add_id(x, cell[x->id], ":", line));
		}
	}
	if (!line)
		FAIL(HEL_EDATA, "%s: no items", x->source->name);
done:
	hel_free(copy);
	hel_free(cell);
	return st;
}

/* --- JSON --------------------------------------------------------------------------------------
 */

static hel_status add_object(hel_item_list *out, listing *x, const hel_json_value *object,
			     size_t number)
{
	hel_status st = HEL_OK;
	char digits[40], name[HEL_NAME_MAX] = "";
	if (!out->samples.count) { /* the first has all names */
		for (const hel_json_value *v = object->first; v && v->name; v = v->next) {
			if (x->columns == HEL_MAX_COLUMNS)
				FAIL(HEL_EDATA, "%s: more than %d columns", x->source->name,
				     HEL_MAX_COLUMNS);
			x->column[x->columns++] = hel_cell_of(v->name, strlen(v->name));
		}
		TRY(read_samples(out, x));
	}
	memcpy(name, x->column[x->id].at, x->column[x->id].size);
	const hel_json_value *id = hel_json_member(object, name);
	if (!id || (id->kind != HEL_JSON_TEXT && id->kind != HEL_JSON_NUMBER))
		FAIL(HEL_EDATA, "%s: record %zu: the item has no id", x->source->name, number);
	TRY(add_id(x, hel_value_cell(digits, id), ": record ", number));
done:
	return st;
}

/* An object in each line. */
static hel_status read_lines(hel_item_list *out, listing *x)
{
	hel_status st = HEL_OK;
	hel_json *json = NULL, *first = NULL; /* whose names are those of columns */
	size_t number = 0;
	for (const char *next, *at = x->text, *end = at + x->size; at < end; at = next) {
		const char *newline = memchr(at, '\n', (size_t)(end - at)),
			   *stop = newline ? newline : end;
		next = newline ? newline + 1 : end;
		if (hel_line_is_blank(at, stop, 0))
			continue;
		if (hel_json_read(&json, at, (size_t)(stop - at)) != HEL_OK)
			FAIL(HEL_EDATA, "%s: record %zu: no JSON object", x->source->name,
			     number + 1);
		TRY(add_object(out, x, hel_json_root(json), ++number));
		if (first)
			hel_json_free(json);
		else
			first = json;
		json = NULL;
	}
done:
	hel_json_free(json);
	hel_json_free(first);
	return st;
}

static hel_status read_objects(hel_item_list *out, listing *x)
{
	hel_status st = HEL_OK;
	hel_json *json = NULL;
	size_t number = 0;
	if (hel_json_read(&json, x->text, x->size) != HEL_OK)
		return read_lines(out, x);
	const hel_json_value *root = hel_json_root(json);
	for (const hel_json_value *v = root->kind == HEL_JSON_ARRAY ? root->first : root; v;
	     v = v->next)
		TRY(add_object(out, x, v, ++number));
	if (!number)
		FAIL(HEL_EDATA, "%s: no items", x->source->name);
done:
	hel_json_free(json);
	return st;
}

/* --- all of it ---------------------------------------------------------------------------------
 */

/* Ids stand one after the other until all are there. */
static hel_status place_ids(hel_item_list *out, listing *x)
{
	hel_status st = HEL_OK;
	if (x->items != out->samples.count)
		FAIL(HEL_EDATA, "%s: %zu items, %zu ids", x->source->name, out->samples.count,
		     x->items);
	TRY_ALLOC(out->id, hel_alloc(x->items, sizeof *out->id));
	out->ids = (char *)x->ids.bytes;
	x->ids = (hel_writer){0};
	const char *at = out->ids;
	for (size_t i = 0; i < x->items; i++, at += strlen(at) + 1)
		out->id[i] = at;
done:
	return st;
}

hel_status hel_item_list_read(hel_item_list *out, const hel_item_text *source,
			      const hel_schema *public)
{
	hel_status st = HEL_OK;
	hel_item_list list = {0};
	listing *x = NULL;
	TRY_ALLOC(x, hel_alloc(1, sizeof *x));
	*x = (listing){.source = source,
		       .public = public,
		       .text = source->text,
		       .size = source->size,
		       .separator = public->set->separator};
	const char *mark = hel_skip_mark(&x->text, &x->size);
	if (mark)
		FAIL(HEL_EDATA, "%s: %s is not read: expected UTF-8", source->name, mark);
	size_t blank = 0;
	while (blank < x->size && strchr(" \t\r\n", x->text[blank]))
		blank++;
	const bool json = blank < x->size && (x->text[blank] == '{' || x->text[blank] == '[');
	TRY(json ? read_objects(&list, x) : read_table(&list, x));
	TRY(place_ids(&list, x));
	*out = list;
	list = (hel_item_list){0};
done:
	if (x)
		hel_writer_clear(&x->ids);
	hel_free(x);
	hel_item_list_clear(&list);
	return st;
}

void hel_item_list_clear(hel_item_list *l)
{
	hel_free(l->ids);
	hel_free(l->id);
	hel_samples_clear(&l->samples);
	memset(l, 0, sizeof *l);
}
