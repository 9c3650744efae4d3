#include "settings.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX ((size_t)1 << 20)
#define ORIGIN_MAX 255

typedef enum setting_kind { TEXT, NUMBER, FLAG } setting_kind;

typedef struct setting {
	setting_kind kind;
	const char *name;
	size_t offset;
	const char *text; /* default of a TEXT */
	uint64_t number, low, high;
} setting;

#define DEFAULT_TEXT(v) .text = (v)
#define DEFAULT_NUMBER(v) .number = (v)
#define DEFAULT_FLAG(v) .number = (v)

static const setting table[] = {
#define X(kind_, field, name_, otherwise, low_, high_, value, help)                                \
	{.kind = kind_,                                                                            \
	 .name = name_,                                                                            \
	 .offset = offsetof(hel_settings, field),                                                  \
	 DEFAULT_##kind_(otherwise),                                                               \
	 .low = low_,                                                                              \
	 .high = high_},
    HEL_SETTING_LIST(X)
#undef X
};

static char *text_at(const hel_settings *s, const setting *t)
{
	return (char *)(uintptr_t)s + t->offset;
}

static uint64_t *number_at(const hel_settings *s, const setting *t)
{
	return (uint64_t *)(void *)text_at(s, t);
}

void hel_settings_default(hel_settings *s)
{
	memset(s, 0, sizeof *s);
	for (const setting *t = table; t < table + HEL_ARRAY_LEN(table); t++)
		if (t->kind == TEXT)
			snprintf(text_at(s, t), HEL_SETTING_TEXT_MAX, "%s", t->text);
		else
			*number_at(s, t) = t->number;
}

static const setting *find(const char *name)
{
	for (const setting *t = table; t < table + HEL_ARRAY_LEN(table); t++)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

hel_status hel_settings_set(hel_settings *s, const char *name, const char *text, const char *origin)
{
	const setting *t = find(name);
	if (!t)
		return hel_fail(HEL_EINVAL, "%s: unknown setting '%s'; see 'helrm serve --help'",
				origin, name);
	if (t->kind == TEXT) {
		if (strlen(text) >= HEL_SETTING_TEXT_MAX)
			return hel_fail(HEL_EINVAL, "%s: %s is longer than %d characters", origin,
					name, HEL_SETTING_TEXT_MAX - 1);
		memset(text_at(s, t), 0, HEL_SETTING_TEXT_MAX); /* equal settings, equal bytes */
		snprintf(text_at(s, t), HEL_SETTING_TEXT_MAX, "%s", text);
		return HEL_OK;
	}
	if (t->kind == FLAG) {
		if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
			return hel_fail(HEL_EINVAL, "%s: %s is '%s', expected yes or no", origin,
					name, text);
		*number_at(s, t) = *text == 'y';
		return HEL_OK;
	}
	char *end;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || v < t->low || v > t->high)
		return hel_fail(
		    HEL_EINVAL, "%s: %s is '%s', expected a whole number from %llu to %llu", origin,
		    name, text, (unsigned long long)t->low, (unsigned long long)t->high);
	*number_at(s, t) = v;
	return HEL_OK;
}

static char *trim(char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	char *end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = 0;
	return text;
}

hel_status hel_settings_parse(hel_settings *s, const char *text, const char *origin)
{
	hel_status st = HEL_OK;
	hel_settings *new = NULL;
	char *copy = NULL, where[256];
	unsigned line = 0;
	TRY_ALLOC(new, hel_alloc(1, sizeof *new));
	TRY_ALLOC(copy, hel_strdup(text));
	*new = *s;
	for (char *at = copy, *next; at; at = next) {
		next = strchr(at, '\n');
		if (next)
			*next++ = 0;
		line++;
		at = trim(at);
		if (!*at || *at == '#')
			continue;
		snprintf(where, sizeof where, "%.200s, line %u", origin, line);
		char *equals = strchr(at, '=');
		if (!equals)
			FAIL(HEL_EINVAL, "%s: expected 'name = value'", where);
		*equals = 0;
		TRY(hel_settings_set(new, trim(at), trim(equals + 1), where));
	}
	*s = *new;
done:
	hel_free(copy);
	hel_free(new);
	return st;
}

hel_status hel_settings_file(hel_settings *s, const char *path)
{
	hel_status st = HEL_OK;
	uint8_t *text = NULL;
	size_t size;
	TRY(hel_file_read(path, FILE_MAX, &text, &size));
	if (memchr(text, 0, size))
		FAIL(HEL_EINVAL, "%s is not text", path);
	TRY(hel_settings_parse(s, (const char *)text, path));
done:
	hel_free(text);
	return st;
}

hel_status hel_settings_environment(hel_settings *s)
{
	for (const setting *t = table; t < table + HEL_ARRAY_LEN(table); t++) {
		char name[64];
		snprintf(name, sizeof name, "HELRM_SERVE_%s", t->name);
		for (char *p = name; *p; p++)
			*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
		const char *text = getenv(name);
		hel_status st = text ? hel_settings_set(s, t->name, text, name) : HEL_OK;
		if (st != HEL_OK)
			return st;
	}
	return HEL_OK;
}

hel_status hel_settings_address(char *host, size_t size, uint16_t *port, const char *listen)
{
	const char *colon = strrchr(listen, ':'), *first = listen;
	char *end = NULL;
	unsigned long number = colon ? strtoul(colon + 1, &end, 10) : 0;
	if (!colon || !isdigit((unsigned char)colon[1]) || *end || number > 65535)
		return hel_fail(HEL_EINVAL, "listen is '%s', expected ADDRESS:PORT", listen);
	size_t length = (size_t)(colon - listen);
	if (length > 2 && *first == '[' && first[length - 1] == ']') {
		first++;
		length -= 2;
	}
	struct in6_addr six;
	struct in_addr four;
	snprintf(host, size, "%.*s", (int)length, first);
	if (length >= size ||
	    (inet_pton(AF_INET, host, &four) != 1 && inet_pton(AF_INET6, host, &six) != 1))
		return hel_fail(HEL_EINVAL, "listen names '%s', which is not an IP address", host);
	*port = (uint16_t)number;
	return HEL_OK;
}

static hel_status check_readable(const char *name, const char *path)
{
	return !*path || access(path, R_OK) == 0
		   ? HEL_OK
		   : hel_fail(HEL_EIO, "%s: cannot read %s: %s", name, path, strerror(errno));
}

const char *hel_settings_origin(const char *at, size_t *size)
{
	at += strspn(at, " ");
	*size = strcspn(at, " ");
	return *size ? at : NULL;
}

/* As browsers write it: lower case, nothing behind the port. */
static bool is_origin(const char *text, size_t size)
{
	static const char host[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_:[]";
	const size_t scheme = size > 8 && strncmp(text, "https://", 8) == 0  ? 8
			      : size > 7 && strncmp(text, "http://", 7) == 0 ? 7
									     : 0;
	return scheme && size <= ORIGIN_MAX && strspn(text + scheme, host) >= size - scheme &&
	       text[size - 1] != ':';
}

static hel_status check_origins(const char *origins)
{
	size_t size;
	for (const char *at = origins; (at = hel_settings_origin(at, &size)); at += size)
		if (!is_origin(at, size))
			return hel_fail(HEL_EINVAL,
					"cors-origins: '%.*s' is no origin, expected "
					"https://HOST[:PORT] in lower case, without a path",
					(int)size, at);
	return HEL_OK;
}

hel_status hel_settings_check(const hel_settings *s)
{
	hel_status st = HEL_OK;
	char host[64];
	uint16_t port;
	TRY(hel_settings_address(host, sizeof host, &port, s->listen));
	const bool loopback = strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
	if (!*s->tls_cert != !*s->tls_key)
		FAIL(HEL_EINVAL, "tls-cert and tls-key go together; only one is given");
	if (*s->client_ca && !*s->tls_cert)
		FAIL(HEL_EINVAL, "client-ca needs HTTPS: give tls-cert and tls-key");
	if (!*s->tls_cert && !loopback && !s->plain_http)
		FAIL(HEL_EINVAL,
		     "plain HTTP on %s, which is not loopback: give tls-cert and tls-key, or "
		     "plain-http when something in front encrypts",
		     host);
	if (!*s->registry != !*s->store)
		FAIL(HEL_EINVAL, "registry and store go together; only one is given");
	TRY(check_readable("tls-cert", s->tls_cert));
	TRY(check_readable("tls-key", s->tls_key));
	TRY(check_readable("client-ca", s->client_ca));
	TRY(check_readable("api-keys", s->api_keys));
	TRY(check_origins(s->cors_origins));
	if (access(s->models, R_OK | X_OK))
		FAIL(HEL_EIO, "models: cannot read directory %s: %s", s->models, strerror(errno));
done:
	return st;
}

void hel_settings_print(FILE *out, const hel_settings *s)
{
	for (const setting *t = table; t < table + HEL_ARRAY_LEN(table); t++)
		if (t->kind == TEXT)
			fprintf(out, "%s = %s\n", t->name, text_at(s, t));
		else if (t->kind == FLAG)
			fprintf(out, "%s = %s\n", t->name, *number_at(s, t) ? "yes" : "no");
		else
			fprintf(out, "%s = %llu\n", t->name, (unsigned long long)*number_at(s, t));
}
