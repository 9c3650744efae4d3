#include "s3_answer.h"
#include <string.h>

/* A character as UTF-8; 0: it is none, or XML's texts may not have it. */
static size_t put_character(char out[4], uint32_t c)
{
	if (!c || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n; i-- > 1; c >>= 6)
		out[i] = (char)(0x80 | (c & 63));
	out[0] = (char)(0xff << (8 - n) | (int)c);
	return n;
}

/* &#100; and &#x64; without their & and ;. */
static size_t read_number(char out[4], const char *at, size_t size)
{
	const bool hex = size > 1 && at[1] == 'x';
	uint32_t c = 0;
	size_t i = hex ? 2 : 1;
	if (i == size || size - i > 7)
		return 0;
	for (; i < size; i++) {
		const char *digits = "0123456789abcdefABCDEF", *d = strchr(digits, at[i]);
		const uint32_t value =
		    d ? (uint32_t)(d - digits) - (d - digits > 15 ? 6 : 0) : UINT32_MAX;
		if (!at[i] || value >= (hex ? 16u : 10u))
			return 0;
		c = (hex ? 16 : 10) * c + value;
	}
	return put_character(out, c);
}

/* 0: it is no entity. */
static size_t read_entity(char out[4], const char *at, size_t size)
{
	static const struct {
		const char *name;
		char is;
	} known[] = {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
	if (size && *at == '#')
		return read_number(out, at, size);
	for (size_t i = 0; i < HEL_ARRAY_LEN(known); i++)
		if (strlen(known[i].name) == size && memcmp(known[i].name, at, size) == 0) {
			*out = known[i].is;
			return 1;
		}
	return 0;
}

static bool decode(char *out, size_t room, const char *at, const char *end)
{
	size_t n = 0;
	while (at < end) {
		char c[4] = {*at};
		size_t size = 1;
		if (*at == '<')
			return false;
		if (*at == '&') {
			const char *stop = memchr(at, ';', (size_t)(end - at));
			size = stop ? read_entity(c, at + 1, (size_t)(stop - at - 1)) : 0;
			at = stop;
		}
		if (!size || n + size >= room)
			return false;
		memcpy(out + n, c, size);
		n += size;
		at++;
	}
	out[n] = 0;
	return true;
}

bool hel_s3_element(char *out, size_t size, const char **at, const char *name)
{
	char open[40], close[40];
	snprintf(open, sizeof open, "<%s>", name);
	snprintf(close, sizeof close, "</%s>", name);
	for (;;) {
		const char *begin = strstr(*at, open);
		const char *end = begin ? strstr(begin, close) : NULL;
		if (!end)
			return false;
		*at = end + strlen(close);
		if (decode(out, size, begin + strlen(open), end))
			return true;
	}
}
