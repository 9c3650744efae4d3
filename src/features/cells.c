/* Cells: see cells.h. Nothing here depends on which of the readers asks, or on a locale. */
#include "cells.h"
#include <math.h>
#include <string.h>

#define COUNT_MAX 1e15 /* of a whole number: beyond, doubles skip some */
#define NUMBER_MAX 64  /* bytes of a number: longer than any that is meant */
#define SHOWN 20       /* bytes of a cell that a message shows */

#define BECAUSE(...) (snprintf(reason, HEL_REASON_MAX, __VA_ARGS__), false)

/* --- lines ------------------------------------------------------------------------ */

bool hel_skip_mark(const char **text, size_t *size)
{
	const uint8_t *p = (const uint8_t *)*text;
	if (*size >= 2 && ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff)))
		return false;
	if (*size >= 3 && p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf) {
		*text += 3;
		*size -= 3;
	}
	return true;
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

static int shown(hel_cell c)
{
	return (int)HEL_MIN(c.size, (size_t)SHOWN);
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
		if (!seen[c] && set->column[c].kind != HEL_LABEL)
			return BECAUSE("column '%s' is missing", set->column[c].name);
	return true;
}

static const char *separator_name(char separator)
{
	return separator == '\t' ? "tabs" : separator == ',' ? "','" : "';'";
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
	*out = (hel_row_form){.set = set, .cells = count, .labelled = count == set->columns};
	for (size_t i = 0; i < set->columns; i++)
		out->column[i] = (uint16_t)i;
	if (count == set->columns || (count == last && set->column[last].kind == HEL_LABEL))
		return true;
	if (count == last) /* a shift by one would go unnoticed */
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

static bool is_missing(const hel_dataset *set, hel_cell c)
{
	double v;
	return !c.size || (c.size == 1 && *c.at == '?') ||
	       (set->missing != 0 && number_of(&v, c) && v == set->missing);
}

bool hel_cell_dense(double *out, const hel_dataset *set, const hel_column *c, hel_cell cell,
		    char reason[HEL_REASON_MAX])
{
	double v = NAN;
	if (!is_missing(set, cell)) {
		if (!number_of(&v, cell) || (set->whole && (v != floor(v) || fabs(v) > COUNT_MAX)))
			return BECAUSE(
			    "%s is '%.*s', not a %s number%s", c->name, shown(cell), cell.at,
			    set->whole ? "whole" : "finite",
			    has_decimal_comma(cell) ? ": decimals are written with a point" : "");
	}
	if (c->zero_is_missing && v == 0)
		v = NAN;
	/* single precision, as rows are kept in bulk; fmax(NaN, 0) is 0 */
	*out = set->log_dense ? (double)(float)log1p(fmax(v, 0)) : v;
	return true;
}

static bool is_code(hel_cell c)
{
	if (c.size >= HEL_VALUE_MAX)
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
	for (size_t i = 0; i < HEL_ARRAY_LEN(words); i++)
		if (c.size - sign == strlen(words[i]) &&
		    strncasecmp(c.at + sign, words[i], c.size - sign) == 0)
			return true;
	return false;
}

bool hel_cell_category(char out[HEL_VALUE_MAX], const hel_dataset *set, const char *column,
		       hel_cell cell, char reason[HEL_REASON_MAX])
{
	double v;
	char text[HEL_VALUE_MAX] = "";
	if (is_missing(set, cell)) {
		memcpy(out, text, sizeof text);
		return true;
	}
	if (set->hashed && !is_code(cell))
		return BECAUSE("%s is not a code of at most %d letters and digits", column,
			       HEL_VALUE_MAX - 1);
	if (is_no_category(cell))
		return BECAUSE("%s is '%.*s', not a category", column, shown(cell), cell.at);
	int n = (int)cell.size;
	if (!set->hashed && number_of(&v, cell))
		n = hel_print(text, sizeof text, "%.9g", v == 0 ? 0.0 : v);
	else if (cell.size < sizeof text)
		memcpy(text, cell.at, cell.size);
	if (n >= HEL_VALUE_MAX)
		return BECAUSE("%s is longer than %d characters", column, HEL_VALUE_MAX - 1);
	if (!hel_is_text(text) || strlen(text) != (size_t)n)
		return BECAUSE("%s is not plain UTF-8 text", column);
	memset(out, 0, HEL_VALUE_MAX);
	memcpy(out, text, (size_t)n);
	return true;
}

bool hel_cell_label(uint8_t *out, bool *missing, const hel_dataset *set, const hel_column *c,
		    hel_cell cell, char reason[HEL_REASON_MAX])
{
	double v = 0;
	*missing = is_missing(set, cell);
	if (!*missing && (!number_of(&v, cell) || v != floor(v) || v < 0 || v > set->label_most)) {
		if (set->label_most > 1)
			return BECAUSE("the label %s is '%.*s', not a whole number from 0 to %u",
				       c->name, shown(cell), cell.at, set->label_most);
		return BECAUSE("the label is '%.*s', not 0 or 1", shown(cell), cell.at);
	}
	*out = v > 0;
	return true;
}
