#include "api_keys.h"
#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define KEY_CHARS 16 /* at least */
#define FILE_MAX (1u << 20)
#define WORDS_MAX 6

static hel_status set_quota(hel_api_key *k, const char *word, const char *where)
{
	const struct {
		const char *name;
		uint64_t *value;
	} quota[] = {{"queries-per-minute=", &k->queries_per_minute},
		     {"sessions=", &k->sessions},
		     {"keys-mb=", &k->keys_mb},
		     {"queue=", &k->queue}};
	for (size_t i = 0; i < HEL_ARRAY_LEN(quota); i++) {
		const size_t n = strlen(quota[i].name);
		char *end = NULL;
		if (strncmp(word, quota[i].name, n) != 0)
			continue;
		errno = 0;
		*quota[i].value = strtoull(word + n, &end, 10);
		if (isdigit((unsigned char)word[n]) && !*end && !errno && *quota[i].value)
			return HEL_OK;
		return hel_fail(HEL_EINVAL, "%s: %s needs a whole number from 1", where,
				quota[i].name);
	}
	return hel_fail(
	    HEL_EINVAL,
	    "%s: expected [NAME] KEY [queries-per-minute=N] [sessions=N] [keys-mb=N] [queue=N]",
	    where);
}

static bool is_name(const char *text)
{
	return strlen(text) <= HEL_API_KEY_NAME_MAX &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		   strlen(text);
}

/* [NAME] KEY [quota]...: a second word without '=' makes the first one a name. */
static hel_status read_line(hel_api_key *k, char *line, const char *where)
{
	hel_status st = HEL_OK;
	char *word[WORDS_MAX], *rest = NULL;
	size_t words = 0, at = 0;
	for (char *w = strtok_r(line, " \t", &rest); w; w = strtok_r(NULL, " \t", &rest)) {
		if (words == WORDS_MAX)
			FAIL(HEL_EINVAL, "%s: more than %d words", where, WORDS_MAX);
		word[words++] = w;
	}
	const bool named = words > 1 && !strchr(word[1], '=');
	const char *key = word[named ? 1 : 0];
	at = named ? 2 : 1;
	if (named && !is_name(word[0]))
		FAIL(HEL_EINVAL, "%s: a name has at most %d letters, digits, '.', '_', '-'", where,
		     HEL_API_KEY_NAME_MAX);
	if (strlen(key) < KEY_CHARS)
		FAIL(HEL_EINVAL, "%s: an API key of %zu characters, at least %d are needed", where,
		     strlen(key), KEY_CHARS);
	hel_hash(k->hash, key, strlen(key));
	if (named)
		snprintf(k->name, sizeof k->name, "%s", word[0]);
	else /* by its hash: tells nothing of the key */
		snprintf(k->name, sizeof k->name, "key-%02x%02x%02x%02x", k->hash[0], k->hash[1],
			 k->hash[2], k->hash[3]);
	for (; at < words; at++)
		TRY(set_quota(k, word[at], where));
done:
	return st;
}

static char *next_line(char **at)
{
	char *line = *at;
	char *end = line + strcspn(line, "\n");
	*at = *end ? end + 1 : end;
	*end = 0;
	while (end > line && isspace((unsigned char)end[-1]))
		*--end = 0;
	while (isspace((unsigned char)*line))
		line++;
	return line;
}

/* Under two names it would be unclear whose quota a key takes. */
static hel_status check_twice(const hel_api_key *keys, size_t last, const char *where)
{
	for (size_t i = 0; i < last; i++)
		if (memcmp(keys[i].hash, keys[last].hash, sizeof keys[i].hash) == 0)
			return hel_fail(HEL_EINVAL, "%s: the key of an earlier line, '%s'", where,
					keys[i].name);
	return HEL_OK;
}

hel_status hel_api_keys_parse(hel_api_key **out, size_t *count, const char *text, size_t size,
			      const char *origin)
{
	hel_status st = HEL_OK;
	hel_api_key *keys = NULL;
	char *copy = NULL, where[256];
	size_t n = 0;
	unsigned number = 0;
	if (memchr(text, 0, size))
		FAIL(HEL_EINVAL, "%s holds a NUL: it is not text", origin);
	TRY_ALLOC(copy, hel_alloc(size + 1, 1));
	memcpy(copy, text, size);
	TRY_ALLOC(keys, hel_alloc(size / KEY_CHARS + 1, sizeof *keys));
	char *at = copy;
	if (strncmp(at, "\xef\xbb\xbf", 3) == 0) /* a byte order mark is no part of a key */
		at += 3;
	while (*at) {
		char *line = next_line(&at);
		snprintf(where, sizeof where, "%.200s, line %u", origin, ++number);
		if (strchr(line, '\r')) /* a second key would make a name of the first */
			FAIL(HEL_EINVAL, "%s: a carriage return within the line", where);
		if (!*line || *line == '#')
			continue;
		TRY(read_line(&keys[n], line, where));
		TRY(check_twice(keys, n++, where));
	}
	if (!n)
		FAIL(HEL_EINVAL, "%s holds no API key", origin);
	*out = keys;
	*count = n;
	keys = NULL;
done:
	hel_free_secret(copy, copy ? size + 1 : 0);
	hel_free(keys);
	return st;
}

hel_status hel_api_keys_read(hel_api_key **out, size_t *count, const char *path)
{
	hel_status st = HEL_OK;
	uint8_t *text = NULL;
	size_t size = 0;
	*out = NULL;
	*count = 0;
	if (!*path)
		return HEL_OK;
	TRY(hel_file_read(path, FILE_MAX, &text, &size));
	TRY(hel_api_keys_parse(out, count, (const char *)text, size, path));
done:
	hel_free_secret(text, text ? size : 0);
	return st;
}
