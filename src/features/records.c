#include "records.h"
#include "base/json.h"
#include "cells.h"
#include <math.h>
#include <string.h>

#define MAX_FILE ((size_t)1 << 32)

static size_t count_kind(const hel_dataset *set, hel_column_kind kind)
{
	size_t n = 0;
	for (size_t i = 0; i < set->columns; i++)
		n += set->column[i].kind == kind;
	return n;
}

static void records_init(hel_records *r, const hel_dataset *set)
{
	*r = (hel_records){.dense = count_kind(set, HEL_DENSE),
			   .tables = count_kind(set, HEL_CATEGORICAL),
			   .labelled = true};
}

void hel_records_clear(hel_records *r)
{
	hel_free_secret(r->value, r->count * r->dense * sizeof *r->value);
	hel_free_secret(r->category, r->count * r->tables * HEL_VALUE_MAX);
	hel_free_secret(r->label, r->count);
	memset(r, 0, sizeof *r);
}

void hel_records_stamp(uint8_t out[HEL_HASH_BYTES], const hel_records *r)
{
	uint8_t parts[3][HEL_HASH_BYTES];
	hel_hash(parts[0], r->value, r->count * r->dense * sizeof *r->value);
	hel_hash(parts[1], r->category, r->count * r->tables * sizeof *r->category);
	hel_hash(parts[2], r->label, r->count);
	hel_hash(out, parts, sizeof parts);
}

static void no_label(hel_records *r, const char *where)
{
	if (r->labelled)
		snprintf(r->unlabelled, sizeof r->unlabelled, "%s", where);
	r->labelled = false;
}

static hel_status regrow(void **array, size_t old, size_t new, size_t size)
{
	void *bigger = hel_alloc(new, size);
	if (!bigger)
		return hel_fail(HEL_ENOMEM, "out of memory for %zu records", new);
	if (old)
		memcpy(bigger, *array, old * size);
	hel_free_secret(*array, old * size);
	*array = bigger;
	return HEL_OK;
}

/* Room for one more row; capacities are powers of two. */
static hel_status records_reserve(hel_records *r)
{
	hel_status st = HEL_OK;
	if (r->count && (r->count & (r->count - 1)))
		return HEL_OK;
	size_t old = r->count, new = old ? 2 * old : 1;
	void *value = r->value, *category = r->category, *label = r->label;
	TRY(regrow(&value, old, new, r->dense * sizeof *r->value));
	r->value = value;
	TRY(regrow(&category, old, new, r->tables * sizeof *r->category));
	r->category = category;
	TRY(regrow(&label, old, new, 1));
	r->label = label;
done:
	return st;
}

/* Number of a column among those of its kind. */
static size_t nth_of_kind(const hel_dataset *set, size_t column)
{
	size_t nth = 0;
	for (size_t i = 0; i < column; i++)
		nth += set->column[i].kind == set->column[column].kind;
	return nth;
}

/* Stores one cell of the row being read; where: of the row, for messages. */
static hel_status set_cell(hel_records *r, const hel_dataset *set, size_t column, hel_cell cell,
			   const char *where)
{
	const hel_column *c = &set->column[column];
	const size_t nth = nth_of_kind(set, column);
	char reason[HEL_REASON_MAX];
	bool ok, missing;
	if (c->kind == HEL_CATEGORICAL)
		ok = hel_cell_category(r->category[r->count * r->tables + nth], set, c->name, cell,
				       reason);
	else if (c->kind == HEL_DENSE)
		ok = hel_cell_dense(&r->value[r->count * r->dense + nth], set, c, cell, reason);
	else {
		ok = hel_cell_label(&r->label[r->count], &missing, set, c, cell, reason);
		if (ok && missing)
			no_label(r, where);
	}
	return ok ? HEL_OK : hel_fail(HEL_EDATA, "%s: %s", where, reason);
}

static hel_status set_row(hel_records *r, const hel_row_form *form, const hel_cell *cell,
			  const char *where)
{
	hel_status st = HEL_OK;
	TRY(records_reserve(r));
	for (size_t i = 0; i < form->cells; i++)
		TRY(set_cell(r, form->set, form->column[i], cell[i], where));
	if (!form->labelled)
		no_label(r, where);
	r->count++;
done:
	return st;
}

static hel_status parse_cells(hel_records *r, const hel_dataset *set, const char *file, char *text,
			      size_t size)
{
	hel_status st = HEL_OK;
	hel_cell *cell = NULL;
	hel_row_form *form = NULL;
	char reason[HEL_REASON_MAX], where[HEL_WHERE_MAX];
	size_t count, line = 0;
	TRY_ALLOC(cell, hel_alloc(HEL_MAX_COLUMNS, sizeof *cell));
	TRY_ALLOC(form, hel_alloc(1, sizeof *form));
	for (char *next, *p = text, *end = text + size; p < end; p = next) {
		char *newline = memchr(p, '\n', (size_t)(end - p));
		next = newline ? newline + 1 : end;
		snprintf(where, sizeof where, "%.*s:%zu", HEL_WHERE_MAX - 24, file, ++line);
		if (hel_line_is_blank(p, newline ? newline : end, set->separator))
			continue;
		const bool first = !form->set;
		if (!hel_split_line(cell, &count, p, newline ? newline : end, set->separator,
				    reason) ||
		    !(first ? hel_row_form_of(form, set, cell, count, reason)
			    : hel_row_fits(form, count, reason)))
			FAIL(HEL_EDATA, "%s: %s", where, reason);
		if (!first || !form->header)
			TRY(set_row(r, form, cell, where));
	}
done:
	hel_free(form);
	hel_free(cell);
	return st;
}

static hel_status parse_value(hel_records *r, const hel_dataset *set, size_t column,
			      const hel_json_value *value, const char *where)
{
	char number[40];
	const char *text = "";
	const hel_json_kind kind = value ? value->kind : HEL_JSON_NULL;
	if (kind == HEL_JSON_ARRAY || kind == HEL_JSON_OBJECT)
		return hel_fail(HEL_EDATA, "%s: column '%s' is neither number, text nor null",
				where, set->column[column].name);
	if (kind == HEL_JSON_NUMBER) {
		hel_print(number, sizeof number, "%.17g", value->number);
		text = number;
	} else if (kind == HEL_JSON_TEXT)
		text = value->text;
	else if (kind != HEL_JSON_NULL)
		text = kind == HEL_JSON_TRUE ? "1" : "0";
	return set_cell(r, set, column, hel_cell_of(text, strlen(text)), where);
}

static hel_status parse_object(hel_records *r, const hel_dataset *set, const char *where,
			       const hel_json_value *object)
{
	hel_status st = HEL_OK;
	if (object->kind != HEL_JSON_OBJECT)
		FAIL(HEL_EDATA, "%s is no JSON object", where);
	for (const hel_json_value *v = object->first; v; v = v->next) {
		size_t i = 0;
		while (i < set->columns && strcmp(set->column[i].name, v->name) != 0)
			i++;
		if (i == set->columns)
			FAIL(HEL_EDATA, "%s: unknown column '%.40s'", where, v->name);
	}
	TRY(records_reserve(r));
	for (size_t i = 0; i < set->columns; i++) {
		const hel_json_value *value = hel_json_member(object, set->column[i].name);
		if (!value && set->column[i].kind != HEL_LABEL)
			FAIL(HEL_EDATA, "%s: column '%s' is missing", where, set->column[i].name);
		TRY(parse_value(r, set, i, value, where));
	}
	r->count++;
done:
	return st;
}

static hel_status parse_json(hel_records *r, const hel_dataset *set, const char *file,
			     const char *text, size_t size)
{
	hel_status st = HEL_OK;
	hel_json *json = NULL;
	char where[HEL_WHERE_MAX];
	size_t number = 0;
	st = hel_json_read(&json, text, size);
	if (st != HEL_OK)
		FAIL(st == HEL_EFORMAT ? HEL_EDATA : st, "%s, %s", file, hel_error_detail());
	const hel_json_value *root = hel_json_root(json);
	const hel_json_value *object = root->kind == HEL_JSON_ARRAY ? root->first : root;
	for (; object; object = object->next) {
		snprintf(where, sizeof where, "%.*s: record %zu", HEL_WHERE_MAX - 32, file,
			 ++number);
		TRY(parse_object(r, set, where, object));
	}
done:
	hel_json_free(json);
	return st;
}

hel_status hel_records_parse(hel_records *out, const hel_dataset *set, const char *name,
			     const char *text, size_t size)
{
	hel_status st = HEL_OK;
	hel_records r;
	char *copy = NULL;
	records_init(&r, set);
	if (!hel_skip_mark(&text, &size))
		FAIL(HEL_EDATA, "%s is UTF-16, expected UTF-8", name);
	if (memchr(text, 0, size))
		FAIL(HEL_EDATA, "%s contains a zero byte: not a text file", name);
	TRY_ALLOC(copy, hel_alloc(size + 1, 1));
	memcpy(copy, text, size);
	const char start = copy[strspn(copy, " \t\r\n")];
	TRY(start == '{' || start == '[' ? parse_json(&r, set, name, copy, size)
					 : parse_cells(&r, set, name, copy, size));
	if (!r.count)
		FAIL(HEL_EDATA, "%s holds no record", name);
	*out = r;
	r = (hel_records){0};
done:
	hel_free_secret(copy, copy ? size : 0);
	hel_records_clear(&r);
	return st;
}

/* Appends all rows of b to a. */
static hel_status append(hel_records *a, const hel_records *b)
{
	hel_status st = HEL_OK;
	for (size_t i = 0; i < b->count; i++, a->count++) {
		TRY(records_reserve(a));
		memcpy(a->value + a->count * a->dense, b->value + i * b->dense,
		       b->dense * sizeof *b->value);
		memcpy(a->category + a->count * a->tables, b->category + i * b->tables,
		       b->tables * sizeof *b->category);
		a->label[a->count] = b->label[i];
	}
	if (a->labelled && !b->labelled)
		memcpy(a->unlabelled, b->unlabelled, sizeof a->unlabelled);
	a->labelled &= b->labelled;
done:
	return st;
}

hel_status hel_records_read(hel_records *out, const hel_dataset *set, const char *const *paths,
			    size_t count)
{
	hel_status st = HEL_OK;
	hel_records all, part = {0};
	uint8_t *bytes = NULL;
	size_t size = 0;
	records_init(&all, set);
	for (size_t i = 0; i < count; i++) {
		TRY(hel_input_read(paths[i], MAX_FILE, &bytes, &size));
		if (size > 2 && bytes[0] == 0x1f && bytes[1] == 0x8b)
			FAIL(HEL_EFORMAT,
			     "%s is a gz file; unpack the rows that are wanted first: zcat "
			     "%s | head -n 1000 > rows.txt",
			     paths[i], paths[i]);
		TRY(hel_records_parse(&part, set, paths[i], (const char *)bytes, size));
		TRY(append(&all, &part));
		hel_records_clear(&part);
		hel_free_secret(bytes, size);
		bytes = NULL;
	}
	*out = all;
	all = (hel_records){0};
done:
	hel_free_secret(bytes, bytes ? size : 0);
	hel_records_clear(&part);
	hel_records_clear(&all);
	return st;
}
