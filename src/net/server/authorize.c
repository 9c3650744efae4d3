/* Who may ask: client certificates, API keys, tokens, and what guessing costs. */
#include "authorize.h"
#include "answer.h"
#include "http.h"
#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <sodium.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* The last line of a header is the one that the proxy in front added. */
static enum MHD_Result last_forwarded(void *cls, enum MHD_ValueKind kind, const char *key,
				      const char *value)
{
	(void)kind;
	if (value && strcasecmp(key, "X-Forwarded-For") == 0)
		*(const char **)cls = value;
	return MHD_YES;
}

static void address_text(char out[64], hel_request *r)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const char *forwarded = NULL;
	if (r->s->settings.behind_proxy)
		MHD_get_connection_values(r->connection, MHD_HEADER_KIND, last_forwarded,
					  &forwarded);
	*out = 0;
	if (forwarded) {
		const char *last = strrchr(forwarded, ',');
		snprintf(out, 64, "%.60s", last ? last + 1 + strspn(last + 1, " ") : forwarded);
	} else if (info && info->client_addr && info->client_addr->sa_family == AF_INET) {
		const struct sockaddr_in *a = (const void *)info->client_addr;
		inet_ntop(AF_INET, &a->sin_addr, out, 64);
	} else if (info && info->client_addr && info->client_addr->sa_family == AF_INET6) {
		/* a household has a /64 */
		struct in6_addr net =
		    ((const struct sockaddr_in6 *)(const void *)info->client_addr)->sin6_addr;
		memset(net.s6_addr + 8, 0, 8);
		inet_ntop(AF_INET6, &net, out, 64);
	}
}

double hel_request_address_rate(hel_request *r)
{
	hel_service *s = r->s;
	char address[64];
	uint64_t slot;
	address_text(address, r);
	crypto_shorthash((uint8_t *)&slot, (const uint8_t *)address, strlen(address),
			 s->authority.address_key);
	pthread_mutex_lock(&s->authority.lock);
	const double wait =
	    hel_bucket_take(&s->authority.address[slot % HEL_ARRAY_LEN(s->authority.address)],
			    s->settings.opens_per_minute);
	pthread_mutex_unlock(&s->authority.lock);
	return wait;
}

hel_status hel_authorize_load(hel_service *s)
{
	hel_status st = HEL_OK;
	uint8_t *text = NULL, (*keys)[HEL_HASH_BYTES] = NULL;
	size_t size = 0, count = 0;
	if (!*s->settings.api_keys)
		return HEL_OK;
	TRY(hel_file_read(s->settings.api_keys, 1u << 20, &text, &size));
	TRY_ALLOC(keys, hel_alloc(size / 16 + 1, sizeof *keys));
	char *rest = NULL;
	for (char *line = strtok_r((char *)text, "\r\n", &rest); line;
	     line = strtok_r(NULL, "\r\n", &rest)) {
		if (*line == '#')
			continue;
		if (strlen(line) < 16)
			FAIL(HEL_EINVAL, "%s: an API key of %zu characters, at least 16 are needed",
			     s->settings.api_keys, strlen(line));
		hel_hash(keys[count++], line, strlen(line));
	}
	if (!count)
		FAIL(HEL_EINVAL, "%s holds no API key", s->settings.api_keys);
	pthread_mutex_lock(&s->authority.lock);
	uint8_t(*old)[HEL_HASH_BYTES] = s->authority.api_key;
	s->authority.api_key = keys;
	s->authority.api_keys = count;
	pthread_mutex_unlock(&s->authority.lock);
	keys = old;
done:
	hel_free_secret(text, text ? size : 0);
	hel_free(keys);
	return st;
}

static bool knows_api_key(hel_request *r)
{
	hel_service *s = r->s;
	if (!*s->settings.api_keys)
		return true;
	const char *key = hel_request_header(r, "X-API-Key");
	uint8_t hash[HEL_HASH_BYTES];
	int found = 0;
	hel_hash(hash, key ? key : "", key ? strlen(key) : 0);
	pthread_mutex_lock(&s->authority.lock);
	for (size_t i = 0; i < s->authority.api_keys; i++) /* all of them, in any case */
		found |= sodium_memcmp(hash, s->authority.api_key[i], sizeof hash) == 0;
	pthread_mutex_unlock(&s->authority.lock);
	return key && found;
}

static bool has_certificate(hel_request *r)
{
	if (!*r->s->settings.client_ca)
		return true;
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	unsigned flaws = 1;
	return info && info->tls_session &&
	       gnutls_certificate_verify_peers2((gnutls_session_t)info->tls_session, &flaws) == 0 &&
	       !flaws;
}

void hel_authorize(hel_request *r)
{
	hel_service *s = r->s;
	if (!r->route->open && !has_certificate(r)) {
		hel_answer_problem(r, 403, "certificate", "a client certificate is needed", 0);
	} else if (!r->route->open && !knows_api_key(r)) {
		hel_answer_problem(r, 401, "api_key", "an API key is needed in X-API-Key", 0);
	} else if (r->route->session) {
		const char *header = hel_request_header(r, MHD_HTTP_HEADER_AUTHORIZATION);
		r->keys = header && strncasecmp(header, "Bearer ", 7) == 0
			      ? hel_store_find(s->store, header + 7)
			      : NULL;
		/* guessing has a price, which others at the same address do not pay */
		const double wait = r->keys ? 0 : hel_request_address_rate(r);
		if (wait > 0) {
			hel_count(&s->metrics.refused_rate, 1);
			hel_answer_problem(r, 429, "rate",
					   "too many wrong tokens from this address", wait);
		} else if (!r->keys) {
			hel_answer_problem(r, 401, "session", "no session has this token", 0);
		}
	}
	if (r->response)
		hel_count(&s->metrics.refused_access, 1);
}
