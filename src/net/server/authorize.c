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

/* Of IPv6 the network of 64 bits: a household has one. What is no address is "?". */
static void write_address(char out[HEL_ADDRESS_MAX + 1], const char *text)
{
	struct in_addr four;
	struct in6_addr six;
	snprintf(out, HEL_ADDRESS_MAX + 1, "?");
	if (inet_pton(AF_INET, text, &four) == 1) {
		inet_ntop(AF_INET, &four, out, HEL_ADDRESS_MAX + 1);
	} else if (inet_pton(AF_INET6, text, &six) == 1) {
		memset(six.s6_addr + 8, 0, 8);
		inet_ntop(AF_INET6, &six, out, HEL_ADDRESS_MAX + 1);
	}
}

void hel_authorize_address(hel_request *r)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *a = info ? info->client_addr : NULL;
	const char *forwarded = NULL;
	char text[INET6_ADDRSTRLEN + 1] = "";
	if (r->s->settings.behind_proxy)
		MHD_get_connection_values(r->connection, MHD_HEADER_KIND, last_forwarded,
					  &forwarded);
	if (forwarded) {
		const char *last = strrchr(forwarded, ',');
		last = last ? last + 1 : forwarded;
		last += strspn(last, " ");
		snprintf(text, sizeof text, "%.*s", (int)strcspn(last, " "), last);
	} else if (a && a->sa_family == AF_INET) {
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, text,
			  sizeof text);
	} else if (a && a->sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
			  text, sizeof text);
	}
	write_address(r->address, text);
}

double hel_request_address_rate(hel_request *r)
{
	hel_authority *a = &r->s->authority;
	uint64_t slot;
	crypto_shorthash((uint8_t *)&slot, (const uint8_t *)r->address, strlen(r->address),
			 a->address_key);
	pthread_mutex_lock(&a->lock);
	const double wait = hel_bucket_take(&a->address[slot % HEL_ARRAY_LEN(a->address)],
					    r->s->settings.opens_per_minute);
	pthread_mutex_unlock(&a->lock);
	return wait;
}

double hel_request_key_rate(hel_request *r)
{
	hel_authority *a = &r->s->authority;
	double wait = 0;
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < a->keys; i++) /* the first of its name has the bucket of all */
		if (strcmp(a->key[i].name, r->api_key.name) == 0) {
			if (a->key[i].queries_per_minute)
				wait =
				    hel_bucket_take(&a->key[i].rate, a->key[i].queries_per_minute);
			break;
		}
	pthread_mutex_unlock(&a->lock);
	return wait;
}

hel_status hel_authorize_load(hel_service *s)
{
	hel_status st = HEL_OK;
	hel_authority *a = &s->authority;
	hel_api_key *keys = NULL;
	size_t count;
	TRY(hel_api_keys_read(&keys, &count, s->settings.api_keys));
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < count; i++) /* a reload refills nobody's allowance */
		for (size_t k = 0; k < a->keys; k++)
			if (strcmp(keys[i].name, a->key[k].name) == 0) {
				keys[i].rate = a->key[k].rate;
				break;
			}
	hel_api_key *old = a->key;
	a->key = keys;
	a->keys = count;
	pthread_mutex_unlock(&a->lock);
	keys = old;
done:
	hel_free(keys);
	return st;
}

/* Whose key the request shows. */
static bool find_api_key(hel_request *r)
{
	hel_authority *a = &r->s->authority;
	if (!*r->s->settings.api_keys)
		return true;
	const char *key = hel_request_header(r, "X-API-Key");
	uint8_t hash[HEL_HASH_BYTES];
	bool found = false;
	hel_hash(hash, key ? key : "", key ? strlen(key) : 0);
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < a->keys; i++) /* all of them, in any case */
		if (sodium_memcmp(hash, a->key[i].hash, sizeof hash) == 0) {
			r->api_key = a->key[i];
			found = true;
		}
	pthread_mutex_unlock(&a->lock);
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

/* Guessing has a price, which others at the same address do not pay. */
static void refuse_guess(hel_request *r, const char *code, const char *detail)
{
	const double wait = hel_request_address_rate(r);
	if (wait > 0) {
		hel_count(&r->s->metrics.refused_rate, 1);
		hel_answer_problem(r, 429, "rate",
				   "too many wrong tokens or API keys from this address", wait);
	} else {
		hel_answer_problem(r, 401, code, detail, 0);
	}
}

void hel_authorize(hel_request *r)
{
	hel_service *s = r->s;
	if (!r->route->open && !has_certificate(r)) {
		hel_answer_problem(r, 403, "certificate", "a client certificate is needed", 0);
	} else if (!r->route->open && !find_api_key(r)) {
		refuse_guess(r, "api_key", "an API key is needed in X-API-Key");
	} else if (r->route->session) {
		const char *header = hel_request_header(r, MHD_HTTP_HEADER_AUTHORIZATION);
		const bool bearer = header && strncasecmp(header, "Bearer ", 7) == 0;
		const hel_status st = !bearer ? HEL_EDENIED
				      : r->route->claims
					  ? hel_store_find_here(&r->keys, s->store, header + 7)
					  : hel_store_find(&r->keys, s->store, header + 7);
		if (st == HEL_EDENIED) {
			refuse_guess(r, "session", "no session has this token");
		} else if (st != HEL_OK) {
			hel_answer_failure(r, st, 1);
			return;
		}
	}
	if (r->response)
		hel_count(&s->metrics.refused_access, 1);
}
