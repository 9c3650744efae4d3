#include "answer.h"
#include "http.h"
#include "routes.h"
#include <sodium.h>
#include <string.h>

#define OPEN_BODY_MAX (256u << 10)

bool hel_keyset_covers(const hel_keyset *k, const hel_model *m)
{
	if (memcmp(k->fingerprint, m->params->fingerprint, HEL_HASH_BYTES) != 0)
		return false;
	for (uint32_t i = 0; i < m->manifest->keys; i++) {
		size_t n = 0;
		while (n < k->count && (k->request[n].galois != m->manifest->key[i].galois ||
					k->request[n].level < m->manifest->key[i].level))
			n++;
		if (n == k->count)
			return false;
	}
	return true;
}

json_t *hel_session_describe(hel_request *r)
{
	hel_service *s = r->s;
	hel_model **models;
	size_t count;
	uint64_t have;
	json_t *names = json_array();
	const bool ready = hel_keyset_progress(s->store, r->keys, &have, NULL) == HEL_KEYSET_READY;
	if (hel_catalog_all(&models, &count, s->catalog) == HEL_OK) {
		for (size_t i = 0; i < count; i++) {
			if (hel_keyset_covers(r->keys, models[i]))
				json_array_append_new(names, json_string(models[i]->name));
			hel_model_release(models[i]);
		}
		hel_free(models);
	}
	return json_pack("{s:s, s:I, s:I, s:o, s:I}", "state", ready ? "ready" : "uploading",
			 "bytes", (json_int_t)r->keys->bytes, "offset", (json_int_t)have, "models",
			 names, "unused_seconds_allowed",
			 (json_int_t)(ready ? s->settings.session_ttl : s->settings.upload_ttl));
}

void hel_open_begin(hel_request *r)
{
	r->most = OPEN_BODY_MAX;
	double wait = hel_request_address_rate(r);
	if (wait > 0) {
		hel_count(&r->s->metrics.refused_rate, 1);
		hel_answer_problem(r, 429, "rate",
				   "too many sessions were opened from this address", wait);
	} else if (atomic_load(&r->s->draining)) {
		(void)hel_fail(HEL_EBUSY, "the server is shutting down");
		hel_answer_failure(r, HEL_EBUSY, 0);
	}
}

/* What the models of one parameter set need: every Galois element's highest level + 1. */
static hel_status needed_keys(uint8_t **out, hel_service *s, const hel_params *p)
{
	hel_status st = HEL_OK;
	hel_model **models = NULL;
	size_t count = 0;
	uint8_t *level = NULL;
	TRY_ALLOC(level, hel_alloc(2 * p->ring.n, 1));
	TRY(hel_catalog_all(&models, &count, s->catalog));
	for (size_t i = 0; i < count; i++) {
		const hel_manifest *m = models[i]->manifest;
		for (uint32_t k = 0; k < m->keys && models[i]->params == p; k++)
			if (m->key[k].galois < 2 * p->ring.n)
				level[m->key[k].galois] = HEL_MAX(level[m->key[k].galois],
								  (uint8_t)(m->key[k].level + 1));
		hel_model_release(models[i]);
	}
	hel_free(models);
	*out = level;
	level = NULL;
done:
	hel_free(level);
	return st;
}

/* [[galois, level], ...]: each needed by some model here, none twice. */
static hel_status read_requests(hel_key_request **out, size_t *count, hel_service *s,
				const hel_params *p, const json_t *list)
{
	hel_status st = HEL_OK;
	uint8_t *needed = NULL;
	hel_key_request *request = NULL;
	*count = json_array_size(list);
	if (!*count || *count > HEL_MAX_KEYS)
		FAIL(HEL_EINVAL, "'keys' must list 1 to %d pairs", HEL_MAX_KEYS);
	TRY(needed_keys(&needed, s, p));
	TRY_ALLOC(request, hel_alloc(*count, sizeof *request));
	for (size_t i = 0; i < *count; i++) {
		const json_t *pair = json_array_get(list, i);
		const json_t *g = json_array_get(pair, 0), *l = json_array_get(pair, 1);
		const json_int_t galois = json_integer_value(g), level = json_integer_value(l);
		if (json_array_size(pair) != 2 || !json_is_integer(g) || !json_is_integer(l) ||
		    galois < 0 || galois >= (json_int_t)(2 * p->ring.n) || level < 0 ||
		    level > p->spec.levels)
			FAIL(HEL_EINVAL, "key %zu is not a pair of Galois element and level", i);
		if (level >= needed[galois])
			FAIL(HEL_EINVAL,
			     "key %zu (Galois element %lld at level %lld) is listed twice or "
			     "needed by no "
			     "model here",
			     i, (long long)galois, (long long)level);
		needed[galois] = 0; /* the next one of it is the second */
		request[i] = (hel_key_request){(uint32_t)galois, (uint32_t)level};
	}
	*out = request;
	request = NULL;
done:
	hel_free(request);
	hel_free(needed);
	return st;
}

static hel_status open_session(char token[HEL_TOKEN_CHARS + 1], hel_request *r, const json_t *body)
{
	hel_status st = HEL_OK;
	uint8_t fingerprint[HEL_HASH_BYTES];
	hel_key_request *request = NULL;
	size_t count, size = 0;
	const char *text = json_string_value(json_object_get(body, "parameters"));
	if (!text || strlen(text) != 2 * sizeof fingerprint ||
	    sodium_hex2bin(fingerprint, sizeof fingerprint, text, 2 * sizeof fingerprint, NULL,
			   &size, NULL) ||
	    size != sizeof fingerprint)
		FAIL(HEL_EINVAL, "'parameters' must be the parameters' fingerprint in hexadecimal");
	const hel_params *p = hel_catalog_params(r->s->catalog, fingerprint);
	if (!p)
		FAIL(HEL_EPARAMS, "no model here has these parameters; fetch the manifest again");
	TRY(read_requests(&request, &count, r->s, p, json_object_get(body, "keys")));
	hel_opener opener = {.sessions = r->api_key.sessions, .bytes = r->api_key.keys_mb << 20};
	memcpy(opener.api_key, r->api_key.name, sizeof opener.api_key);
	memcpy(opener.address, r->address, sizeof opener.address);
	TRY(hel_store_create(&r->keys, token, r->s->store, p, request, count, &opener));
done:
	hel_free(request);
	return st;
}

void hel_open_end(hel_request *r)
{
	char token[HEL_TOKEN_CHARS + 1];
	json_error_t error;
	json_t *body = r->body ? json_loadb((const char *)r->body, r->body_size,
					    JSON_REJECT_DUPLICATES, &error)
			       : NULL;
	hel_status st;
	if (!json_is_object(body))
		st = hel_fail(HEL_EINVAL, "the body is no JSON object");
	else
		st = open_session(token, r, body);
	json_decref(body);
	if (st != HEL_OK) {
		if (st == HEL_EBUSY && !hel_store_fleet(r->s->store))
			hel_answer_problem(r, 429, "unfinished", hel_error_detail(), 10);
		hel_answer_failure(r, st, st == HEL_ESPACE ? 60 : 0);
		return;
	}
	json_t *answer = hel_session_describe(r);
	json_object_set_new(answer, "token", json_string(token));
	hel_wipe(token, sizeof token);
	hel_answer_json(r, 201, answer);
}

void hel_session_end(hel_request *r)
{
	hel_answer_json(r, 200, hel_session_describe(r));
}

void hel_remove_end(hel_request *r)
{
	hel_queue_cancel_all(r->s->queue, r->keys);
	const hel_status st = hel_store_remove(r->s->store, r->keys);
	if (st != HEL_OK) {
		hel_answer_failure(r, st, 1);
		return;
	}
	hel_count(&r->s->metrics.sessions_removed, 1);
	hel_answer_bytes(r, 204, "application/json", "", 0);
}
