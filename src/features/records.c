#include "records.h"
#include "base/json.h"
#include <math.h>
#include <string.h>

#define MAX_COLUMNS (HEL_MAX_DENSE + HEL_MAX_TABLES + 1)
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

/* What of a file a message names. */
typedef struct place {
	const char *file;
	size_t line;
} place;

static bool is_missing(const char *text)
{
	return !*text || strcmp(text, "?") == 0;
}

/* A category's canonical text: numbers lose their form ("3.0" is "3"), words and codes stay. */
static hel_status canonical(char out[HEL_VALUE_MAX], const char *text, const char *column,
			    bool code, place at)
{
	char *end;
	double v = hel_number_of(text, &end);
	if (is_missing(text)) {
		out[0] = 0;
		return HEL_OK;
	}
	int n;
	if (!hel_is_text(text))
		return hel_fail(HEL_EDATA, "%s:%zu: %s is not plain UTF-8 text", at.file, at.line,
				column);
	if (!code && !*end && isfinite(v))
		n = hel_print(out, HEL_VALUE_MAX, "%.9g", v == 0 ? 0.0 : v);
	else if (!code && !*end)
		return hel_fail(HEL_EDATA, "%s:%zu: %s is '%s', not a category", at.file, at.line,
				column, text);
	else
		n = snprintf(out, HEL_VALUE_MAX, "%s", text);
	if (n >= HEL_VALUE_MAX)
		return hel_fail(HEL_EDATA, "%s:%zu: %s is longer than %d characters", at.file,
				at.line, column, HEL_VALUE_MAX - 1);
	return HEL_OK;
}

/* Stores one cell of the row being read. */
static hel_status set_cell(hel_records *r, const hel_dataset *set, size_t column, const char *text,
			   place at)
{
	const hel_column *c = &set->column[column];
	size_t nth = 0;
	for (size_t i = 0; i < column; i++)
		nth += set->column[i].kind == c->kind;
	if (c->kind == HEL_CATEGORICAL)
		return canonical(r->category[r->count * r->tables + nth], text, c->name,
				 set->hashed, at);
	char *end;
	double v = hel_number_of(text, &end);
	bool missing = is_missing(text);
	if (!missing && (*end || !isfinite(v)))
		return hel_fail(HEL_EDATA, "%s:%zu: %s is '%.40s', not a finite number", at.file,
				at.line, c->name, text);
	if (c->kind == HEL_LABEL) {
		if (missing)
			r->labelled = false;
		r->label[r->count] = !missing && v > 0;
		return HEL_OK;
	}
	if (missing || (c->zero_is_missing && v == 0))
		v = NAN;
	if (set->log_dense) /* single precision, like rows in bulk; fmax(NaN, 0) is 0 */
		v = (double)(float)log1p(fmax(v, 0));
	r->value[r->count * r->dense + nth] = v;
	return HEL_OK;
}

static bool is_blank(char c, char separator)
{
	return c == ' ' || c == '\r' || (c == '\t' && separator != '\t');
}

static size_t split_line(char *line, char separator, char **cell, size_t limit)
{
	size_t n = 0;
	for (char *p = line;;) {
		while (is_blank(*p, separator))
			p++;
		char *end = strchrnul(p, separator);
		bool more = *end;
		char *tail = end;
		while (tail > p && is_blank(tail[-1], separator))
			tail--;
		*tail = 0;
		if (n < limit)
			cell[n] = p;
		n++;
		if (!more)
			return n;
		p = end + 1;
	}
}

static size_t column_by_name(const hel_dataset *set, const char *name)
{
	size_t i = 0;
	while (i < set->columns && strcmp(set->column[i].name, name) != 0)
		i++;
	return i;
}

static hel_status missing_column(const hel_dataset *set, size_t column, const char *file)
{
	return hel_fail(HEL_EDATA, "%s: column '%s' is missing", file, set->column[column].name);
}

/* order[i]: the data set's column in cell i. */
static hel_status read_header(const hel_dataset *set, char **cell, size_t cells, size_t *order,
			      const char *file)
{
	bool seen[MAX_COLUMNS] = {false};
	for (size_t i = 0; i < cells; i++) {
		order[i] = column_by_name(set, cell[i]);
		if (order[i] == set->columns)
			return hel_fail(HEL_EDATA, "%s: unknown column '%.40s'", file, cell[i]);
		if (seen[order[i]])
			return hel_fail(HEL_EDATA, "%s: column '%s' occurs twice", file, cell[i]);
		seen[order[i]] = true;
	}
	for (size_t i = 0; i < set->columns; i++)
		if (!seen[i] && set->column[i].kind != HEL_LABEL)
			return missing_column(set, i, file);
	return HEL_OK;
}

static hel_status parse_csv(hel_records *r, const hel_dataset *set, const char *file, char *text)
{
	hel_status st = HEL_OK;
	char *cell[MAX_COLUMNS];
	size_t order[MAX_COLUMNS], columns = set->columns;
	bool header = false, first = true;
	place at = {file, 0};
	for (size_t i = 0; i < set->columns; i++)
		order[i] = i;
	for (char *next, *line = text; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = 0;
		at.line++;
		if (!line[strspn(line, " \t\r")])
			continue;
		size_t cells = split_line(line, set->separator, cell, MAX_COLUMNS);
		if (first && column_by_name(set, cell[0]) < set->columns) {
			if (cells > set->columns)
				FAIL(HEL_EDATA, "%s: %zu columns, expected %zu", file, cells,
				     set->columns);
			TRY(read_header(set, cell, cells, order, file));
			columns = cells;
			header = true;
			first = false;
			continue;
		}
		first = false;
		if (cells != columns && !(!header && cells + 1 == columns))
			FAIL(HEL_EDATA, "%s:%zu: %zu columns, expected %zu", file, at.line, cells,
			     columns);
		TRY(records_reserve(r));
		bool label = false;
		/* without a header, what may be missing is the label, wherever it stands */
		const size_t skip = !header && cells < columns && set->column[0].kind == HEL_LABEL;
		for (size_t i = 0; i < cells; i++) {
			TRY(set_cell(r, set, order[i + skip], cell[i], at));
			label |= set->column[order[i + skip]].kind == HEL_LABEL;
		}
		r->labelled &= label;
		r->count++;
	}
done:
	return st;
}

static hel_status parse_value(hel_records *r, const hel_dataset *set, size_t column,
			      const hel_json_value *value, place at)
{
	char number[40];
	const char *text = "?";
	const hel_json_kind kind = value ? value->kind : HEL_JSON_NULL;
	if (kind == HEL_JSON_ARRAY || kind == HEL_JSON_OBJECT)
		return hel_fail(HEL_EDATA, "%s: column '%s' is neither number, text nor null",
				at.file, set->column[column].name);
	if (kind == HEL_JSON_NUMBER) {
		hel_print(number, sizeof number, "%.17g", value->number);
		text = number;
	} else if (kind == HEL_JSON_TEXT)
		text = value->text;
	else if (kind != HEL_JSON_NULL)
		text = kind == HEL_JSON_TRUE ? "1" : "0";
	return set_cell(r, set, column, text, at);
}

static hel_status parse_object(hel_records *r, const hel_dataset *set, const char *file,
			       const hel_json_value *object, size_t number)
{
	hel_status st = HEL_OK;
	const place at = {file, number};
	if (object->kind != HEL_JSON_OBJECT)
		FAIL(HEL_EDATA, "%s: record %zu is no JSON object", file, number);
	for (const hel_json_value *v = object->first; v; v = v->next)
		if (column_by_name(set, v->name) == set->columns)
			FAIL(HEL_EDATA, "%s: unknown column '%.40s'", file, v->name);
	TRY(records_reserve(r));
	for (size_t i = 0; i < set->columns; i++) {
		const hel_json_value *value = hel_json_member(object, set->column[i].name);
		if (!value && set->column[i].kind != HEL_LABEL)
			TRY(missing_column(set, i, file));
		TRY(parse_value(r, set, i, value, at));
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
	size_t number = 0;
	st = hel_json_read(&json, text, size);
	if (st != HEL_OK)
		FAIL(st == HEL_EFORMAT ? HEL_EDATA : st, "%s, %s", file, hel_error_detail());
	const hel_json_value *root = hel_json_root(json);
	const hel_json_value *object = root->kind == HEL_JSON_ARRAY ? root->first : root;
	for (; object; object = object->next)
		TRY(parse_object(r, set, file, object, ++number));
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
	if (memchr(text, 0, size))
		FAIL(HEL_EDATA, "%s contains a zero byte: not a text file", name);
	TRY_ALLOC(copy, hel_alloc(size + 1, 1));
	memcpy(copy, text, size);
	const char start = copy[strspn(copy, " \t\r\n")];
	TRY(start == '{' || start == '[' ? parse_json(&r, set, name, copy, size)
					 : parse_csv(&r, set, name, copy));
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
