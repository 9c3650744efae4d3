/* JSON as it is written: the same bytes everywhere, whatever the locale. */
#include "base/base.h"
#include "base/json.h"
#include "base/text.h"
#include <math.h>
#include <string.h>

static void put(hel_json_writer *j, const char *text)
{
	hel_write_bytes(&j->w, text, strlen(text));
}

static void new_line(hel_json_writer *j)
{
	if (!j->indent)
		return;
	put(j, "\n");
	for (unsigned i = 0; i < j->depth; i++)
		put(j, " ");
}

static void put_quoted(hel_json_writer *j, const char *text)
{
	put(j, "\"");
	for (const char *p = text; *p; p++) {
		static const char is[] = "\"\\\b\f\n\r\t", name[] = "\"\\bfnrt";
		const char *found = strchr(is, *p);
		char escaped[8] = {*p};
		if (found)
			snprintf(escaped, sizeof escaped, "\\%c", name[found - is]);
		else if ((unsigned char)*p < 0x20)
			snprintf(escaped, sizeof escaped, "\\u%04X", (unsigned)*p);
		put(j, escaped);
	}
	put(j, "\"");
}

/* What stands before a value. */
static void begin(hel_json_writer *j, const char *name)
{
	if (j->full)
		put(j, ",");
	if (j->depth)
		new_line(j);
	if (name) {
		put_quoted(j, name);
		put(j, j->indent ? ": " : ":");
	}
	j->full = true;
}

void hel_json_open(hel_json_writer *j, const char *name, char bracket)
{
	begin(j, name);
	put(j, (char[]){bracket, 0});
	j->depth++;
	j->full = false;
}

void hel_json_close(hel_json_writer *j, char bracket)
{
	j->depth--;
	if (j->full)
		new_line(j);
	put(j, (char[]){bracket, 0});
	j->full = true;
}

void hel_json_put_text(hel_json_writer *j, const char *name, const char *text)
{
	begin(j, name);
	if (!hel_is_utf8(text) && j->w.status == HEL_OK)
		j->w.status = hel_fail(HEL_EDATA, "a text that is not UTF-8");
	put_quoted(j, text);
}

void hel_json_put_integer(hel_json_writer *j, const char *name, uint64_t v)
{
	char text[24];
	begin(j, name);
	snprintf(text, sizeof text, "%llu", (unsigned long long)v);
	put(j, text);
}

void hel_json_put_bool(hel_json_writer *j, const char *name, bool v)
{
	begin(j, name);
	put(j, v ? "true" : "false");
}

void hel_json_put_number(hel_json_writer *j, const char *name, double v)
{
	char text[40];
	begin(j, name);
	if (!isfinite(v) && j->w.status == HEL_OK)
		j->w.status = hel_fail(HEL_EDATA, "a number that is not finite");
	hel_print(text, sizeof text, "%.17g", v);
	char *e = strchr(text, 'e');
	if (!e && !strchr(text, '.')) {
		strcat(text, ".0");
	} else if (e) { /* no plus and no zeros in front: e+05 is e5 */
		char *from = e + 1, *to = e + 1;
		if (*from == '-')
			to++;
		from++;
		from += strspn(from, "0");
		memmove(to, from, strlen(from) + 1);
	}
	put(j, text);
}

hel_status hel_json_take(char **text, size_t *size, hel_json_writer *j)
{
	hel_status st = HEL_OK;
	hel_write_u8(&j->w, 0);
	TRY(j->w.status);
	*text = (char *)j->w.bytes;
	if (size)
		*size = j->w.size - 1;
	j->w = (hel_writer){0};
done:
	hel_writer_clear(&j->w);
	return st;
}
