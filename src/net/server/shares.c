#include "shares.h"
#include "catalog_inside.h"
#include "log.h"
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX 65536

bool hel_shares_are(const char *entry)
{
	const size_t size = strlen(entry), ending = sizeof HEL_SHARES_ENDING - 1;
	return size > ending && size <= HEL_ROUTE_NAME_MAX && *entry != '.' &&
	       strcmp(entry + size - ending, HEL_SHARES_ENDING) == 0;
}

/* "NAME PERCENT"; blanks and comments are gone. */
static hel_status read_line(hel_shares *s, char *text, unsigned line)
{
	const size_t base = strlen(s->base);
	char *rest, *name = strtok_r(text, " \t", &rest), *percent = strtok_r(NULL, " \t", &rest);
	if (!percent || strtok_r(NULL, " \t", &rest) || strspn(percent, "0123456789") > 3 ||
	    percent[strspn(percent, "0123456789")] || atoi(percent) > 100)
		return hel_fail(HEL_EFORMAT, "line %u: a version and its share, 0 to 100 percent",
				line);
	if (strcspn(name, "@") != base || memcmp(name, s->base, base) != 0 ||
	    strlen(name) > HEL_ROUTE_NAME_MAX)
		return hel_fail(HEL_EFORMAT, "line %u: '%.64s' is no version of '%s'", line, name,
				s->base);
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->version[i].name, name) == 0)
			return hel_fail(HEL_EFORMAT, "line %u: '%s' is there twice", line, name);
	if (s->count == HEL_SHARES_MAX)
		return hel_fail(HEL_EFORMAT, "more than %d versions", HEL_SHARES_MAX);
	snprintf(s->version[s->count].name, sizeof s->version->name, "%s", name);
	s->version[s->count++].percent = (unsigned)atoi(percent);
	return HEL_OK;
}

static hel_status read_lines(hel_shares *s, char *text)
{
	hel_status st = HEL_OK;
	unsigned total = 0, line = 0;
	for (char *at = text; at;) {
		char *next = strchr(at, '\n');
		if (next)
			*next++ = 0;
		line++;
		at[strcspn(at, "#\r")] = 0;
		if (at[strspn(at, " \t")])
			TRY(read_line(s, at, line));
		at = next;
	}
	for (size_t i = 0; i < s->count; i++)
		total += s->version[i].percent;
	if (total != 100)
		FAIL(HEL_EFORMAT, "the shares are %u percent together, not 100", total);
done:
	return st;
}

static void put(hel_catalog *c, hel_shares *s)
{
	pthread_mutex_lock(&c->lock);
	hel_shares **at = &c->shares, *old;
	while (*at && strcmp((*at)->base, s->base) != 0)
		at = &(*at)->next;
	old = *at;
	s->next = old ? old->next : NULL;
	*at = s;
	pthread_mutex_unlock(&c->lock);
	const bool same = old && old->count == s->count &&
			  memcmp(old->version, s->version, sizeof s->version) == 0;
	for (size_t i = 0; !same && i < s->count; i++)
		hel_log("info", "share", "{s:s, s:i}", "model", s->version[i].name, "percent",
			(int)s->version[i].percent);
	hel_free(old);
}

hel_status hel_shares_read(hel_catalog *c, const char *entry, const char *path)
{
	hel_status st = HEL_OK;
	hel_shares *s = NULL;
	uint8_t *bytes = NULL;
	char *text = NULL;
	size_t size;
	TRY(hel_file_read(path, FILE_BYTES_MAX, &bytes, &size));
	if (memchr(bytes, 0, size))
		FAIL(HEL_EFORMAT, "a zero byte is no text");
	TRY_ALLOC(text, hel_alloc(size + 1, 1));
	memcpy(text, bytes, size);
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	snprintf(s->base, sizeof s->base, "%.*s",
		 (int)(strlen(entry) - (sizeof HEL_SHARES_ENDING - 1)), entry);
	TRY(read_lines(s, text));
	put(c, s);
	s = NULL;
done:
	hel_free(s);
	hel_free(text);
	hel_free(bytes);
	return st;
}

void hel_shares_keep(hel_catalog *c, char (*seen)[HEL_ROUTE_NAME_MAX + 1], size_t count)
{
	hel_shares *gone = NULL;
	pthread_mutex_lock(&c->lock);
	for (hel_shares **at = &c->shares; *at;) {
		hel_shares *s = *at;
		char entry[sizeof s->base + sizeof HEL_SHARES_ENDING];
		snprintf(entry, sizeof entry, "%s" HEL_SHARES_ENDING, s->base);
		size_t i = 0;
		while (i < count && strcmp(seen[i], entry) != 0)
			i++;
		if (i < count) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		s->next = gone;
		gone = s;
	}
	pthread_mutex_unlock(&c->lock);
	for (hel_shares *next; gone; gone = next) {
		next = gone->next;
		hel_log("info", "shares_removed", "{s:s}", "model", gone->base);
		hel_free(gone);
	}
}

void hel_shares_clear(hel_catalog *c)
{
	for (hel_shares *s = c->shares, *next; s; s = next) {
		next = s->next;
		hel_free(s);
	}
	c->shares = NULL;
}
