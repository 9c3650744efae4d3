#include "base.h"
#include <locale.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

bool hel_is_utf8(const char *text)
{
	for (const uint8_t *p = (const uint8_t *)text; *p;) {
		uint32_t code = *p++;
		unsigned more = code < 0x80 ? 0 : code >= 0xf0 ? 3 : code >= 0xe0 ? 2 : 1;
		if ((code >= 0x80 && code < 0xc2) || code > 0xf4)
			return false;
		code &= more ? 0x3fu >> more : 0x7f;
		for (unsigned i = 0; i < more; i++, p++) {
			if ((*p & 0xc0) != 0x80)
				return false;
			code = code << 6 | (*p & 0x3f);
		}
		static const uint32_t least[] = {0, 0x80, 0x800, 0x10000}; /* no overlong forms */
		if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
			return false;
	}
	return true;
}

bool hel_is_text(const char *text)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return hel_is_utf8(text);
}

/* --- numbers ----------------------------------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t plain; /* "C", which takes no memory; 0 where there is none: then as it is */

static void find_plain(void)
{
	plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* The calling thread's locale until it is given back. */
static locale_t enter_plain(void)
{
	pthread_once(&once, find_plain);
	return plain ? uselocale(plain) : (locale_t)0;
}

static void leave_plain(locale_t before)
{
	if (before)
		uselocale(before);
}

double hel_number_of(const char *text, char **end)
{
	const locale_t before = enter_plain();
	const double v = strtod(text, end);
	leave_plain(before);
	return v;
}

int hel_print_list(char *out, size_t size, const char *format, va_list args)
{
	const locale_t before = enter_plain();
	const int n = vsnprintf(out, size, format, args);
	leave_plain(before);
	return n;
}

int hel_print(char *out, size_t size, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	const int n = hel_print_list(out, size, format, args);
	va_end(args);
	return n;
}

const char *hel_excerpt(char out[HEL_EXCERPT_MAX], const char *text)
{
	size_t n = strnlen(text, HEL_EXCERPT_MAX);
	const bool whole = n < 44;
	if (!whole)
		for (n = 40; n && ((unsigned char)text[n] & 0xc0) == 0x80;)
			n--;
	memcpy(out, text, n);
	memcpy(out + n, whole ? "" : "...", whole ? 1 : 4);
	return out;
}
