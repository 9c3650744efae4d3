/* Tables out of files: text with a row a line, and NumPy's format. */
#include "lookup.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == ',' || c == '\r';
}

/* The numbers of one line, appended from value[*count] on; NULL value: only counts them. */
static hel_status read_line(float *value, size_t *count, const char *at, const char *end,
			    size_t line)
{
	if (memchr(at, '\t', (size_t)(end - at)) && memchr(at, ',', (size_t)(end - at)))
		return hel_fail(HEL_EDATA,
				"line %zu has tabs and commas: decimals are written with a point",
				line);
	for (;;) {
		while (at < end && is_blank(*at))
			at++;
		if (at == end)
			return HEL_OK;
		const char *word = at;
		while (at < end && !is_blank(*at))
			at++;
		char copy[64], *stop;
		const size_t length = (size_t)(at - word);
		if (length >= sizeof copy)
			return hel_fail(HEL_EDATA, "line %zu: a word of %zu bytes, no number", line,
					length);
		memcpy(copy, word, length);
		copy[length] = 0;
		const float v = strtof(copy, &stop);
		if (*stop || !isfinite(v))
			return hel_fail(HEL_EDATA, "line %zu, number %zu: '%.40s' is no number",
					line, *count + 1, copy);
		if (value)
			value[*count] = v;
		++*count;
	}
}

hel_status hel_table_from_text(float **out, size_t *rows, size_t *dim, const char *text,
			       size_t size)
{
	hel_status st = HEL_OK;
	float *value = NULL;
	const char *end = text + size;
	size_t lines = 0;
	*rows = *dim = 0;
	for (const char *p = text; p < end; p++)
		lines += *p == '\n' || p + 1 == end;
	size_t line = 0, capacity = 0;
	for (const char *p = text; p < end; line++) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		stop = stop ? stop : end;
		size_t count = 0;
		if (!*dim) {
			TRY(read_line(NULL, &count, p, stop, line + 1));
			*dim = count;
			if (count > HEL_LOOKUP_DIM_MAX)
				FAIL(HEL_ELIMIT, "line %zu has %zu numbers, at most %d are read",
				     line + 1, count, HEL_LOOKUP_DIM_MAX);
			/* every row takes at least two bytes a number */
			capacity = HEL_MIN(lines, size / 2 / HEL_MAX(count, 1) + 1);
			if (count)
				TRY_ALLOC(value, hel_alloc(capacity * count, sizeof *value));
			count = 0;
		}
		/* counted before it is stored: longer rows must not be written */
		TRY(read_line(NULL, &count, p, stop, line + 1));
		if (count && count != *dim)
			FAIL(HEL_EDATA, "line %zu has %zu numbers, the first one %zu", line + 1,
			     count, *dim);
		if (count && *rows == capacity)
			FAIL(HEL_EFORMAT, "line %zu: more rows than the text can hold", line + 1);
		if (count) {
			count = 0;
			TRY(read_line(value + *rows * *dim, &count, p, stop, line + 1));
			++*rows;
		}
		p = stop + 1;
	}
	if (!*rows)
		FAIL(HEL_EDATA, "the table is empty: expected a row of numbers on each line");
	*out = value;
	value = NULL;
done:
	hel_free(value);
	return st;
}

/* --- NumPy ------------------------------------------------------------------------- */

/* What follows 'key': in the header, a Python dictionary; NULL when it is not there. */
static const char *after_key(const char *header, const char *key)
{
	char quoted[40];
	snprintf(quoted, sizeof quoted, "'%s':", key);
	const char *at = strstr(header, quoted);
	if (!at)
		return NULL;
	at += strlen(quoted);
	while (*at == ' ')
		at++;
	return at;
}

static bool read_size(size_t *out, const char **at, char end)
{
	char *stop;
	errno = 0;
	while (**at == ' ')
		++*at;
	const unsigned long long v = strtoull(*at, &stop, 10);
	if (**at < '0' || **at > '9' || errno || v > (1ull << 40))
		return false;
	while (*stop == ' ')
		stop++;
	if (*stop != end)
		return false;
	*at = stop + 1;
	*out = (size_t)v;
	return true;
}

hel_status hel_npy_open(hel_npy *out, const uint8_t *bytes, size_t size)
{
	hel_status st = HEL_OK;
	char *header = NULL;
	hel_reader r = hel_reader_of(bytes, size);
	const uint8_t *magic = hel_read_bytes(&r, 6);
	const uint8_t major = hel_read_u8(&r);
	hel_read_u8(&r);
	if (r.status != HEL_OK || memcmp(magic, "\x93NUMPY", 6) != 0)
		FAIL(HEL_EFORMAT, "not a NumPy file: its first bytes should be \\x93NUMPY");
	const uint32_t length =
	    major == 1 ? hel_read_u16(&r) : hel_read_u32_max(&r, 1 << 16, "header size");
	const uint8_t *text = hel_read_bytes(&r, length);
	TRY(r.status);
	TRY_ALLOC(header, hel_alloc(length + 1, 1));
	memcpy(header, text, length);
	const char *descr = after_key(header, "descr"), *order = after_key(header, "fortran_order");
	const char *shape = after_key(header, "shape");
	if (!descr || !order || !shape)
		FAIL(HEL_EFORMAT, "the NumPy header lacks descr, fortran_order or shape");
	const bool wide = strncmp(descr, "'<f8'", 5) == 0;
	if (!wide && strncmp(descr, "'<f4'", 5) != 0)
		FAIL(HEL_EUNSUPPORTED,
		     "numbers of type %.8s, expected '<f4' or '<f8': save it with astype('<f4')",
		     descr);
	if (strncmp(order, "False", 5) != 0)
		FAIL(HEL_EUNSUPPORTED, "the array is stored by columns: save "
				       "numpy.ascontiguousarray of it");
	size_t rows, dim;
	const char *at = shape + 1;
	if (*shape != '(' || !read_size(&rows, &at, ',') || !read_size(&dim, &at, ')'))
		FAIL(HEL_EFORMAT, "the array's shape %.40s is not (rows, columns)", shape);
	if (!rows || !dim || dim > HEL_LOOKUP_DIM_MAX)
		FAIL(HEL_ELIMIT, "an array of %zu x %zu, expected at most %d columns", rows, dim,
		     HEL_LOOKUP_DIM_MAX);
	if (hel_reader_left(&r) / (wide ? 8 : 4) / dim < rows)
		FAIL(HEL_ETRUNC, "the file ends before its %zu x %zu numbers", rows, dim);
	*out = (hel_npy){rows, dim, wide, r.at};
done:
	hel_free(header);
	return st;
}

hel_status hel_npy_read(float **value, const hel_npy *npy)
{
	hel_status st = HEL_OK;
	float *v = NULL;
	const size_t count = npy->rows * npy->dim;
	hel_reader r = hel_reader_of(npy->data, count * (npy->wide ? 8 : 4));
	TRY_ALLOC(v, hel_alloc(count, sizeof *v));
	for (size_t i = 0; i < count; i++) {
		v[i] = npy->wide ? (float)hel_read_f64(&r) : hel_read_f32(&r);
		if (!isfinite(v[i]))
			FAIL(HEL_EDATA, "row %zu, number %zu is not finite", i / npy->dim,
			     i % npy->dim);
	}
	*value = v;
	v = NULL;
done:
	hel_free(v);
	return st;
}
