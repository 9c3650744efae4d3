/* Cells: see cells.h. Nothing here depends on which of the readers asks, or on a locale. */
#include "cells.h"
#include <math.h>
#include <string.h>
#include <strings.h>

#define COUNT_MAX 1e15 /* of a whole number: beyond, doubles skip some */
#define NUMBER_MAX 64  /* bytes of a number: longer than any that is meant */
#define SHOWN 20       /* bytes of a cell that a message shows */

#define BECAUSE(...) (snprintf(reason, HEL_REASON_MAX, __VA_ARGS__), false)

/* --- lines ------------------------------------------------------------------------ */

const char *hel_skip_mark(const char **text, size_t *size)
{
	static const struct {
		const char *name, *bytes;
		size_t count;
	} mark[] = {/* a mark before what it starts with */
		    {"UTF-32", "\xff\xfe\0\0", 4},
		    {"UTF-32", "\0\0\xfe\xff", 4},
		    {"UTF-16", "\xff\xfe", 2},
		    {"UTF-16", "\xfe\xff", 2},
		    {NULL, "\xef\xbb\xbf", 3}};
	for (size_t i = 0; i < HEL_ARRAY_LEN(mark); i++) {
		if (*size < mark[i].count || memcmp(*text, mark[i].bytes, mark[i].count) != 0)
			continue;
		if (!mark[i].name) {
			*text += mark[i].count;
			*size -= mark[i].count;
		}
		return mark[i].name;
	}
	return NULL;
}

static bool is_blank(char c, char separator)
{
	return c == ' ' || c == '\r' || (c == '\t' && separator != '\t');
}

hel_cell hel_cell_of(const char *text, size_t size)
{
	while (size && is_blank(*text, 0))
		text++, size--;
	while (size && is_blank(text[size - 1], 0))
		size--;
	return (hel_cell){text, size};
}

bool hel_line_is_blank(const char *line, const char *end, char separator)
{
	while (line < end && is_blank(*line, separator))
		line++;
	return line == end;
}

/* The content of a quoted cell that starts at p, taken together in place; p ends behind it. */
static bool unquote(hel_cell *out, char **p, const char *end, char reason[HEL_REASON_MAX])
{
	char *from = *p + 1, *to = from;
	*out = (hel_cell){to, 0};
	for (; from < end; *to++ = *from++) {
		if (*from != '"')
			continue;
		if (from + 1 == end || from[1] != '"') {
			out->size = (size_t)(to - out->at);
			*p = from + 1;
			return true;
		}
		from++;
	}
	return BECAUSE("a quote that opens in this line does not close in it");
}

bool hel_split_line(hel_cell *cell, size_t *count, char *line, char *end, char separator,
		    char reason[HEL_REASON_MAX])
{
	const char *inner = memchr(line, '\r', (size_t)(end - line));
	*count = 0;
	if (inner && !hel_line_is_blank(inner, end, separator))
		return BECAUSE("a carriage return within the line: lines end with a line feed");
	for (char *p = line;; p++) {
		while (p < end && is_blank(*p, separator))
			p++;
		hel_cell c = {p, 0};
		const bool quoted = p < end && *p == '"';
		if (quoted && !unquote(&c, &p, end, reason))
			return false;
		char *behind = p;
		while (p < end && *p != separator)
			p++;
		if (!quoted) {
			const char *tail = p;
			while (tail > c.at && is_blank(tail[-1], separator))
				tail--;
			c.size = (size_t)(tail - c.at);
		} else if (!hel_line_is_blank(behind, p, separator))
			return BECAUSE("text after the closing quote of cell %zu", *count + 1);
		if (*count == HEL_MAX_COLUMNS)
			return BECAUSE("more than %d cells", HEL_MAX_COLUMNS);
		cell[(*count)++] = c;
		if (p == end)
			return true;
	}
}

/* --- columns ----------------------------------------------------------------------- */

static size_t column_named(const hel_dataset *set, hel_cell name)
{
	size_t i = 0;
	while (i < set->columns && (strlen(set->column[i].name) != name.size ||
				    memcmp(set->column[i].name, name.at, name.size) != 0))
		i++;
	return i;
}

static bool must_be_there(const hel_column *c)
{
	return c->kind != HEL_LABEL && c->kind != HEL_IGNORED;
}

/* Not part of a character. */
static int shown(hel_cell c)
{
	size_t n = HEL_MIN(c.size, (size_t)SHOWN);
	while (n && n < c.size && ((unsigned char)c.at[n] & 0xc0) == 0x80)
		n--;
	return (int)n;
}

static bool form_of_header(hel_row_form *out, const hel_dataset *set, const hel_cell *cell,
			   size_t count, char reason[HEL_REASON_MAX])
{
	bool seen[HEL_MAX_COLUMNS] = {false};
	*out = (hel_row_form){.set = set, .cells = count, .header = true};
	for (size_t i = 0; i < count; i++) {
		const size_t c = column_named(set, cell[i]);
		if (c == set->columns)
			return BECAUSE("unknown column '%.*s'", shown(cell[i]), cell[i].at);
		if (seen[c])
			return BECAUSE("column '%s' occurs twice", set->column[c].name);
		seen[c] = true;
		out->column[i] = (uint16_t)c;
		out->labelled |= set->column[c].kind == HEL_LABEL;
	}
	for (size_t c = 0; c < set->columns; c++)
		if (!seen[c] && must_be_there(&set->column[c]))
			return BECAUSE("column '%s' is missing", set->column[c].name);
	return true;
}

static const char *separator_name(char separator)
{
	return separator == '\t'  ? "tabs"
	       : separator == ',' ? "','"
	       : separator == ';' ? "';'"
				  : "'|'";
}

static bool wrong_count(const hel_dataset *set, size_t count, size_t expected,
			char reason[HEL_REASON_MAX])
{
	if (count == 1 && expected > 1)
		return BECAUSE("1 column, expected %zu: cells are separated by %s", expected,
			       separator_name(set->separator));
	return BECAUSE("%zu columns, expected %zu%s", count, expected,
		       set->separator == ',' && count > set->columns
			   ? " (decimals are written with a point)"
			   : "");
}

bool hel_row_form_of(hel_row_form *out, const hel_dataset *set, const hel_cell *cell, size_t count,
		     char reason[HEL_REASON_MAX])
{
	const size_t last = set->columns - 1;
	for (size_t i = 0; i < count; i++)
		if (column_named(set, cell[i]) < set->columns)
			return form_of_header(out, set, cell, count, reason);
	*out = (hel_row_form){.set = set,
			      .cells = count,
			      .labelled = count == set->columns &&
					  hel_dataset_nth(set, HEL_LABEL, 0) != NULL};
	for (size_t i = 0; i < set->columns; i++)
		out->column[i] = (uint16_t)i;
	if (count == set->columns || (count == last && set->column[last].kind == HEL_LABEL))
		return true;
	if (count == last &&
	    set->column[0].kind == HEL_LABEL) /* a shift by one would go unnoticed */
		return BECAUSE("%zu columns, expected %zu: a row without its %s starts with an "
			       "empty cell",
			       count, set->columns, set->column[0].name);
	return wrong_count(set, count, set->columns, reason);
}

bool hel_row_fits(const hel_row_form *form, size_t count, char reason[HEL_REASON_MAX])
{
	return count == form->cells || wrong_count(form->set, count, form->cells, reason);
}

/* --- values -------------------------------------------------------------------------- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *digits(const char *p, const char *end)
{
	while (p < end && is_digit(*p))
		p++;
	return p;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before the exponent */
static bool is_number(hel_cell c)
{
	const char *p = c.at, *end = c.at + c.size;
	p += p < end && (*p == '-' || *p == '+');
	const char *whole = p;
	p = digits(p, end);
	size_t count = (size_t)(p - whole);
	if (p < end && *p == '.') {
		const char *fraction = ++p;
		p = digits(p, end);
		count += (size_t)(p - fraction);
	}
	if (count && p < end && (*p == 'e' || *p == 'E')) {
		p++;
		p += p < end && (*p == '-' || *p == '+');
		const char *exponent = p;
		p = digits(p, end);
		count = p > exponent;
	}
	return count && p == end;
}

/* 2,5 as much of the world writes it */
static bool has_decimal_comma(hel_cell c)
{
	char copy[NUMBER_MAX];
	const char *comma = memchr(c.at, ',', c.size);
	if (!comma || c.size >= sizeof copy)
		return false;
	memcpy(copy, c.at, c.size);
	copy[comma - c.at] = '.';
	return is_number((hel_cell){copy, c.size});
}

/* A finite number; whole ones, nearly all that there are, without a detour. */
static bool number_of(double *out, hel_cell c)
{
	const bool negative = c.size && *c.at == '-';
	const char *p = c.at + negative, *end = c.at + c.size;
	char copy[NUMBER_MAX];
	if (p < end && end - p <= 15 && digits(p, end) == end) {
		int64_t v = 0;
		for (; p < end; p++)
			v = 10 * v + (*p - '0');
		*out = (double)(negative ? -v : v);
		return true;
	}
	if (c.size >= sizeof copy || !is_number(c))
		return false;
	memcpy(copy, c.at, c.size);
	copy[c.size] = 0;
	*out = hel_number_of(copy, NULL);
	return isfinite(*out);
}

bool hel_cell_number(double *out, hel_cell cell)
{
	return number_of(out, cell);
}

static bool is_missing(const hel_dataset *set, hel_cell c)
{
	double v;
	if (!c.size || (c.size == 1 && *c.at == '?'))
		return true;
	for (size_t i = 0; i < set->missing_texts; i++)
		if (strlen(set->missing_text[i]) == c.size &&
		    memcmp(set->missing_text[i], c.at, c.size) == 0)
			return true;
	if (!set->missing_numbers || !number_of(&v, c))
		return false;
	for (size_t i = 0; i < set->missing_numbers; i++)
		if (v == set->missing_number[i])
			return true;
	return false;
}

/* NaN when missing. */
static bool dense_of(double *out, const hel_dataset *set, const hel_column *c, hel_cell cell,
		     char reason[HEL_REASON_MAX])
{
	double v = NAN;
	if (!is_missing(set, cell)) {
		if (!number_of(&v, cell) || (c->whole && (v != floor(v) || fabs(v) > COUNT_MAX)))
			return BECAUSE(
			    "%s is '%.*s', not a %s number%s", c->name, shown(cell), cell.at,
			    c->whole ? "whole" : "finite",
			    has_decimal_comma(cell) ? ": decimals are written with a point" : "");
	}
	if (c->zero_is_missing && v == 0)
		v = NAN;
	if (isnan(v) && c->fills)
		v = c->fill;
	if (c->log && !isnan(v))
		v = log1p(fmax(v, c->least) + (c->plus - 1));
	if (c->log || !set->small) /* single precision, as rows are kept in bulk */
		v = (double)(float)v;
	if (isinf(v))
		return BECAUSE("%s is '%.*s', too large", c->name, shown(cell), cell.at);
	*out = v;
	return true;
}

static bool is_code(hel_cell c)
{
	if (c.size >= HEL_CODE_TEXT_MAX)
		return false;
	for (size_t i = 0; i < c.size; i++)
		if (c.at[i] <= ' ' || c.at[i] > '~')
			return false;
	return true;
}

/* Words that number readers elsewhere take for numbers: never a category that is meant. */
static bool is_no_category(hel_cell c)
{
	static const char *const words[] = {"nan", "inf", "infinity"};
	const size_t sign = c.size && (*c.at == '-' || *c.at == '+');
	const char first = c.size > sign ? (char)(c.at[sign] | 0x20) : 0;
	if (first != 'n' && first != 'i')
		return false;
	for (size_t i = 0; i < HEL_ARRAY_LEN(words); i++)
		if (c.size - sign == strlen(words[i]) &&
		    strncasecmp(c.at + sign, words[i], c.size - sign) == 0)
			return true;
	return false;
}

/* 64 bits of digits; a decimal may come as "3.0", as tables with gaps have it. */
static bool id_of(uint64_t *out, hel_cell c, bool hexadecimal)
{
	const unsigned base = hexadecimal ? 16 : 10;
	uint64_t v = 0;
	double number;
	size_t i = 0;
	for (; i < c.size; i++) {
		const char low = (char)(c.at[i] | 0x20);
		const unsigned d = is_digit(c.at[i]) ? (unsigned)(c.at[i] - '0')
				   : hexadecimal && low >= 'a' && low <= 'f'
				       ? (unsigned)(low - 'a') + 10
				       : base;
		if (d == base || __builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, d, &v))
			break;
	}
	if (i < c.size && !hexadecimal && number_of(&number, c) && number == floor(number) &&
	    number >= 0 && number <= COUNT_MAX) {
		v = (uint64_t)number;
		i = c.size;
	}
	*out = v;
	return c.size && i == c.size;
}

static bool row_of_id(char out[HEL_VALUE_MAX], const hel_column *c, hel_cell cell,
		      char reason[HEL_REASON_MAX])
{
	uint64_t id;
	if (!id_of(&id, cell, c->hexadecimal))
		return BECAUSE("%s is '%.*s', not an id: %s", c->name, shown(cell), cell.at,
			       c->hexadecimal ? "a number of up to 16 hexadecimal digits"
					      : "a whole number from 0 to 2^64 - 1");
	hel_print(out, HEL_VALUE_MAX, "%u", (unsigned)(id % c->modulo));
	return true;
}

bool hel_cell_category(char out[HEL_VALUE_MAX], const hel_dataset *set, const hel_column *c,
		       hel_cell cell, char reason[HEL_REASON_MAX])
{
	const size_t most = c->form == HEL_FORM_CODE ? HEL_CODE_TEXT_MAX : HEL_VALUE_MAX;
	char number[32];
	double v;
	*out = 0;
	if (is_missing(set, cell))
		return true;
	if (c->values == HEL_MODULO)
		return row_of_id(out, c, cell, reason);
	if (c->form == HEL_FORM_CODE && !is_code(cell))
		return BECAUSE("%s is not a code of at most %d letters and digits", c->name,
			       HEL_CODE_TEXT_MAX - 1);
	if (is_no_category(cell))
		return BECAUSE("%s is '%.*s', not a category", c->name, shown(cell), cell.at);
	if (c->form == HEL_FORM_NUMBER && number_of(&v, cell)) {
		const bool whole = v == floor(v) && fabs(v) <= COUNT_MAX;
		const int n =
		    hel_print(number, sizeof number, whole ? "%.0f" : "%.9g", v == 0 ? 0.0 : v);
		cell = (hel_cell){number, (size_t)n};
	}
	if (cell.size >= most)
		return BECAUSE("%s is longer than %zu characters", c->name, most - 1);
	memcpy(out, cell.at, cell.size);
	out[cell.size] = 0;
	/* codes are visible ASCII */
	if (c->form != HEL_FORM_CODE && (!hel_is_text(out) || strlen(out) != cell.size))
		return BECAUSE("%s is not plain UTF-8 text", c->name);
	return true;
}

/* 0 or 1. */
static bool label_of(uint8_t *out, bool *missing, const hel_dataset *set, const hel_column *c,
		     hel_cell cell, char reason[HEL_REASON_MAX])
{
	double v = 0;
	*missing = is_missing(set, cell);
	if (c->words) {
		const char *word[2] = {c->negative, c->positive};
		for (*out = 0; !*missing && *out < 2; ++*out)
			if (strlen(word[*out]) == cell.size &&
			    memcmp(word[*out], cell.at, cell.size) == 0)
				return true;
		return *missing || BECAUSE("the label %s is '%.*s', not '%s' or '%s'", c->name,
					   shown(cell), cell.at, c->negative, c->positive);
	}
	if (!*missing &&
	    (!number_of(&v, cell) || (!c->threshold && (v != floor(v) || v < 0 || v > c->most)))) {
		if (c->threshold)
			return BECAUSE("the label %s is '%.*s', not a number", c->name, shown(cell),
				       cell.at);
		if (c->most > 1)
			return BECAUSE("the label %s is '%.*s', not a whole number from 0 to %u",
				       c->name, shown(cell), cell.at, c->most);
		return BECAUSE("the label is '%.*s', not 0 or 1", shown(cell), cell.at);
	}
	*out = v > (c->threshold ? c->above : 0);
	return true;
}

/* --- bags ------------------------------------------------------------------------------ */

/* A cell as it is taken apart. */
typedef struct bag_cell {
	const hel_row_sink *sink;
	const hel_dataset *set;
	const hel_column *c;
	size_t entries;
	char *reason;
} bag_cell;

static bool cut_bag(bag_cell *b)
{
	if (b->sink->left_out)
		b->sink->left_out(b->sink->arg, b->c);
	return true;
}

static bool add_entry(bag_cell *b, hel_cell value, double weight)
{
	char text[HEL_VALUE_MAX], *reason = b->reason;
	const hel_bag *bag = &b->c->bag;
	if (!hel_cell_category(text, b->set, b->c, value, reason))
		return false;
	if (!*text)
		return true;
	if (fabs(weight) > bag->most) {
		if (bag->refuse)
			return BECAUSE("%s has a weight of %g, at most %g is possible", b->c->name,
				       weight, bag->most);
		weight = copysign(bag->most, weight);
		cut_bag(b);
	}
	if (b->entries++ < bag->limit)
		return b->sink->entry(b->sink->arg, b->c, text, strlen(text), weight, reason);
	if (bag->refuse)
		return BECAUSE("%s has more than %u entries", b->c->name, bag->limit);
	return cut_bag(b);
}

/* VALUE, or VALUE:WEIGHT */
static bool add_piece(bag_cell *b, hel_cell piece)
{
	char *reason = b->reason;
	double weight = 1;
	if (is_missing(b->set, piece))
		return true;
	if (b->c->bag.weighted) {
		const char *colon = piece.at + piece.size; /* the last one */
		while (colon > piece.at && *--colon != ':')
			;
		if (!piece.size || *colon != ':')
			colon = NULL;
		const hel_cell tail =
		    colon ? hel_cell_of(colon + 1, (size_t)(piece.at + piece.size - colon) - 1)
			  : (hel_cell){0};
		if (!colon || !number_of(&weight, tail))
			return BECAUSE("%s has an entry '%.*s', not VALUE:WEIGHT", b->c->name,
				       shown(piece), piece.at);
		piece = hel_cell_of(piece.at, (size_t)(colon - piece.at));
	}
	return add_entry(b, piece, weight);
}

static const char *text_of_number(char number[40], double v)
{
	for (int digits = 15; digits <= 17; digits++) {
		hel_print(number, 40, "%.*g", digits, v);
		if (hel_number_of(number, NULL) == v)
			break;
	}
	return number;
}

/* What a value that is neither array nor object would be as a cell. */
hel_cell hel_value_cell(char number[40], const hel_json_value *v)
{
	const char *text = "";
	const hel_json_kind kind = v ? v->kind : HEL_JSON_NULL;
	if (kind == HEL_JSON_NUMBER)
		text = text_of_number(number, v->number);
	else if (kind == HEL_JSON_TEXT)
		text = v->text;
	else if (kind != HEL_JSON_NULL)
		text = kind == HEL_JSON_TRUE ? "1" : "0";
	return hel_cell_of(text, strlen(text));
}

#define WHOLE_MAX 9007199254740992.0 /* 2^53: numbers of JSON beyond are not told apart */

static bool is_scalar(const hel_json_value *v)
{
	return !v || (v->kind != HEL_JSON_ARRAY && v->kind != HEL_JSON_OBJECT);
}

static bool check_value(const hel_column *c, const hel_json_value *v, char reason[HEL_REASON_MAX])
{
	if (!is_scalar(v))
		return BECAUSE("column '%s' is neither number, text nor null", c->name);
	if (c->kind == HEL_CATEGORICAL && v && v->kind == HEL_JSON_NUMBER &&
	    fabs(v->number) > WHOLE_MAX)
		return BECAUSE("%s is a number beyond 2^53: write it as a text", c->name);
	return true;
}

/* ["a", "b"], or {"a": 2, "b": 1} with weights */
static bool add_values(bag_cell *b, const hel_json_value *all)
{
	char *reason = b->reason, number[40];
	const bool weights = all->kind == HEL_JSON_OBJECT;
	if (weights && !b->c->bag.weighted)
		return BECAUSE("%s is an object: its entries have no weights", b->c->name);
	for (const hel_json_value *v = all->first; v; v = v->next) {
		if (!check_value(b->c, v, reason))
			return false;
		if (weights && v->kind != HEL_JSON_NUMBER)
			return BECAUSE("%s: the weight of '%.20s' is not a number", b->c->name,
				       v->name);
		if (!(weights ? add_entry(b, hel_cell_of(v->name, strlen(v->name)), v->number)
			      : add_piece(b, hel_value_cell(number, v))))
			return false;
	}
	return true;
}

static bool add_json(bag_cell *b, hel_cell cell)
{
	char *reason = b->reason;
	hel_json *json = NULL;
	if (hel_json_read(&json, cell.at, cell.size) != HEL_OK)
		return BECAUSE("%s is '%.*s', not a JSON array", b->c->name, shown(cell), cell.at);
	const bool ok = add_values(b, hel_json_root(json));
	hel_json_free(json);
	return ok;
}

static bool read_bag(const hel_row_sink *sink, const hel_dataset *set, const hel_column *c,
		     hel_cell cell, char reason[HEL_REASON_MAX])
{
	bag_cell b = {sink, set, c, 0, reason};
	if (is_missing(set, cell))
		return true;
	if (!c->bag.separator)
		return add_json(&b, cell);
	for (const char *p = cell.at, *end = p + cell.size; p <= end; p++) {
		const char *next = memchr(p, c->bag.separator, (size_t)(end - p));
		next = next ? next : end;
		if (!add_piece(&b, hel_cell_of(p, (size_t)(next - p))))
			return false;
		p = next;
	}
	return true;
}

/* --- rows -------------------------------------------------------------------------------- */

static bool read_cell(const hel_row_sink *sink, const hel_dataset *set, const hel_column *c,
		      hel_cell cell, char reason[HEL_REASON_MAX])
{
	char text[HEL_VALUE_MAX];
	double v;
	uint8_t label = 0;
	bool missing;
	switch (c->kind) {
	case HEL_DENSE:
		if (!dense_of(&v, set, c, cell, reason))
			return false;
		sink->dense(sink->arg, c, v);
		return true;
	case HEL_CATEGORICAL:
		if (c->bag.limit)
			return read_bag(sink, set, c, cell, reason);
		if (!hel_cell_category(text, set, c, cell, reason))
			return false;
		return !*text || sink->entry(sink->arg, c, text, strlen(text), 1, reason);
	case HEL_LABEL:
		if (!label_of(&label, &missing, set, c, cell, reason))
			return false;
		if (!missing)
			sink->label(sink->arg, label);
		return true;
	case HEL_IGNORED:
		break;
	}
	return true;
}

bool hel_read_cells(const hel_row_sink *sink, const hel_row_form *form, const hel_cell *cell,
		    char reason[HEL_REASON_MAX])
{
	for (size_t i = 0; i < form->cells; i++)
		if (!read_cell(sink, form->set, &form->set->column[form->column[i]], cell[i],
			       reason))
			return false;
	return true;
}

static bool read_value(const hel_row_sink *sink, const hel_dataset *set, const hel_column *c,
		       const hel_json_value *v, char reason[HEL_REASON_MAX])
{
	char number[40];
	if (c->kind == HEL_IGNORED)
		return true;
	if (c->bag.limit && !is_scalar(v)) {
		bag_cell b = {sink, set, c, 0, reason};
		return add_values(&b, v);
	}
	return check_value(c, v, reason) &&
	       read_cell(sink, set, c, hel_value_cell(number, v), reason);
}

bool hel_read_object(const hel_row_sink *sink, const hel_dataset *set, const hel_json_value *object,
		     char reason[HEL_REASON_MAX])
{
	if (object->kind != HEL_JSON_OBJECT)
		return BECAUSE("no JSON object");
	for (const hel_json_value *v = object->first; v; v = v->next)
		if (!hel_dataset_column(set, v->name))
			return BECAUSE("unknown column '%.40s'", v->name);
	for (size_t i = 0; i < set->columns; i++) {
		const hel_column *c = &set->column[i];
		const hel_json_value *v = hel_json_member(object, c->name);
		if (!v && must_be_there(c) && set->implied)
			return BECAUSE("column '%s' is missing", c->name);
		if (!read_value(sink, set, c, v, reason))
			return false;
	}
	return true;
}
