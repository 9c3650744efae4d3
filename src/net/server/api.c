/* The resources of /v1 and what operators ask. docs/openapi.json describes them; a test compares.
 */
#include "http.h"
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN_BODY_MAX (256u << 10)

static void hex(char *out, const uint8_t *bytes, size_t size)
{
	sodium_bin2hex(out, 2 * size + 1, bytes, size);
}

/* --- operators --------------------------------------------------------------------------- */

static void end_health(hel_request *r)
{
	hel_answer_json(r, 200, json_pack("{s:s}", "status", "alive"));
}

static void end_ready(hel_request *r)
{
	hel_model **models;
	size_t count = 0;
	const bool draining = atomic_load(&r->s->draining);
	if (hel_catalog_all(&models, &count, r->s->catalog) == HEL_OK) {
		for (size_t i = 0; i < count; i++)
			hel_model_release(models[i]);
		hel_free(models);
	}
	if (draining || !count)
		hel_answer_problem(r, 503, "not_ready",
				   draining ? "shutting down" : "no model in service", 2);
	else
		hel_answer_json(r, 200,
				json_pack("{s:s, s:i}", "status", "ready", "models", (int)count));
}

static bool from_this_machine(hel_request *r)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *a = info ? info->client_addr : NULL;
	if (a && a->sa_family == AF_INET)
		return *(const uint8_t *)&((const struct sockaddr_in *)(const void *)a)->sin_addr ==
		       127;
	return a && a->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

static void end_metrics(hel_request *r)
{
	hel_service *s = r->s;
	hel_gauges g = {.memory_reserved = atomic_load(&s->budget.used),
			.memory_limit = s->budget.limit};
	size_t size;
	/* a proxy on this machine speaks for others */
	const bool forwarded =
	    s->settings.behind_proxy && hel_request_header(r, "X-Forwarded-For") != NULL;
	if (!s->settings.public_metrics && (forwarded || !from_this_machine(r))) {
		hel_answer_problem(r, 403, "denied",
				   "metrics are for this machine; see public-metrics", 0);
		return;
	}
	hel_store_gauges(s->store, &g);
	hel_queue_gauges(s->queue, &g);
	pthread_mutex_lock(&s->lock);
	g.connections = s->connection_count;
	pthread_mutex_unlock(&s->lock);
	hel_model **models;
	if (hel_catalog_all(&models, &size, s->catalog) == HEL_OK) {
		g.models = size;
		for (size_t i = 0; i < size; i++)
			hel_model_release(models[i]);
		hel_free(models);
	}
	g.models_loaded = hel_catalog_loaded(s->catalog);
	char *text = hel_counters_text(&s->metrics, &g, &size);
	if (text)
		hel_answer_bytes(r, 200, "text/plain; version=0.0.4", text, size);
	else
		hel_answer_failure(r, HEL_ENOMEM, 0);
	free(text);
}

/* --- models ------------------------------------------------------------------------------ */

static json_t *describe_model(const hel_model *m)
{
	char id[2 * HEL_HASH_BYTES + 1], fingerprint[2 * HEL_HASH_BYTES + 1];
	hex(id, m->manifest->id, HEL_HASH_BYTES);
	hex(fingerprint, m->params->fingerprint, HEL_HASH_BYTES);
	return json_pack(
	    "{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "name", m->name, "manifest", id, "parameters",
	    fingerprint, "manifest_bytes", (json_int_t)m->manifest_size, "query_bytes",
	    (json_int_t)m->query_bytes, "result_bytes", (json_int_t)m->result_bytes, "keys_bytes",
	    (json_int_t)hel_keys_file_bytes(m->params, m->manifest->key, m->manifest->keys));
}

static void end_models(hel_request *r)
{
	hel_model **models;
	size_t count;
	json_t *list = json_array();
	hel_status st = hel_catalog_all(&models, &count, r->s->catalog);
	if (st != HEL_OK) {
		json_decref(list);
		hel_answer_failure(r, st, 0);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		json_array_append_new(list, describe_model(models[i]));
		hel_model_release(models[i]);
	}
	hel_free(models);
	hel_answer_json(r, 200, json_pack("{s:o}", "models", list));
}

static bool find_model(hel_request *r)
{
	r->model = hel_catalog_find(r->s->catalog, r->segment);
	if (!r->model)
		hel_answer_problem(r, 404, "no_model", "no model of this name is in service", 0);
	return r->model != NULL;
}

static void end_manifest(hel_request *r)
{
	char tag[2 * HEL_HASH_BYTES + 3] = "\"";
	if (!find_model(r))
		return;
	hex(tag + 1, r->model->manifest->id, HEL_HASH_BYTES);
	strcat(tag, "\"");
	const char *known = hel_request_header(r, MHD_HTTP_HEADER_IF_NONE_MATCH);
	const bool same = known && strcmp(known, tag) == 0;
	hel_answer_bytes(r, same ? 304 : 200, "application/octet-stream", r->model->manifest_bytes,
			 same ? 0 : r->model->manifest_size);
	hel_answer_header(r, MHD_HTTP_HEADER_ETAG, tag);
}

/* --- sessions ---------------------------------------------------------------------------- */

static bool covers(const hel_keyset *k, const hel_model *m)
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

static json_t *describe_session(hel_request *r)
{
	hel_service *s = r->s;
	hel_model **models;
	size_t count;
	uint64_t have;
	json_t *names = json_array();
	const bool ready = hel_keyset_progress(s->store, r->keys, &have) == HEL_KEYSET_READY;
	if (hel_catalog_all(&models, &count, s->catalog) == HEL_OK) {
		for (size_t i = 0; i < count; i++) {
			if (covers(r->keys, models[i]))
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

static void begin_open(hel_request *r)
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
	TRY(hel_store_create(&r->keys, token, r->s->store, p, request, count));
done:
	hel_free(request);
	return st;
}

static void end_open(hel_request *r)
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
		hel_answer_failure(r, st, st == HEL_ESPACE ? 60 : 0);
		return;
	}
	json_t *answer = describe_session(r);
	json_object_set_new(answer, "token", json_string(token));
	hel_wipe(token, sizeof token);
	hel_answer_json(r, 201, answer);
}

static void end_session(hel_request *r)
{
	hel_answer_json(r, 200, describe_session(r));
}

static void end_remove(hel_request *r)
{
	hel_queue_cancel_all(r->s->queue, r->keys);
	hel_store_remove(r->s->store, r->keys);
	hel_count(&r->s->metrics.sessions_removed, 1);
	hel_answer_bytes(r, 204, "application/json", "", 0);
}

/* --- uploads ----------------------------------------------------------------------------- */

static void answer_offset(hel_request *r)
{
	uint64_t have;
	char text[24];
	hel_keyset_progress(r->s->store, r->keys, &have);
	snprintf(text, sizeof text, "%llu", (unsigned long long)have);
	hel_answer_header(r, "Upload-Offset", text);
}

static void begin_upload(hel_request *r)
{
	const char *text = hel_request_header(r, "Upload-Offset");
	char *end = NULL;
	unsigned long long offset = text ? strtoull(text, &end, 10) : 0;
	if (!text || *text < '0' || *text > '9' || *end) {
		hel_answer_problem(r, 400, "invalid",
				   "an Upload-Offset is needed: where this piece begins", 0);
		return;
	}
	r->most = offset <= r->keys->bytes ? (size_t)(r->keys->bytes - offset) : 0;
	if (r->length > r->most)
		return; /* refused by all requests' rule */
	hel_status st = hel_store_write_begin(&r->file, r->s->store, r->keys, offset);
	if (st != HEL_OK) {
		r->file = -1;
		hel_answer_failure(r, st, 1);
		answer_offset(r);
	}
}

static void take_upload(hel_request *r, const uint8_t *bytes, size_t size)
{
	while (size && r->take_status == HEL_OK && r->file >= 0) {
		ssize_t n = write(r->file, bytes, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r->take_status = errno == ENOSPC || errno == EDQUOT ? HEL_ESPACE : HEL_EIO;
			return;
		}
		bytes += n;
		size -= (size_t)n;
		r->written += (uint64_t)n;
	}
}

static void end_upload(hel_request *r)
{
	r->verify = true; /* ends the writing, also after a failure */
}

static void resume_upload(hel_request *r)
{
	hel_status st = r->verdict != HEL_OK ? r->verdict : r->take_status;
	if (st == HEL_OK) {
		hel_answer_json(r, 200, describe_session(r));
	} else {
		(void)hel_fail(st, "%s",
			       r->verdict != HEL_OK ? r->verdict_detail
			       : st == HEL_ESPACE
				   ? "the server's disk is full; go on when it is not"
				   : "the server cannot write");
		hel_answer_failure(r, st, st == HEL_ESPACE ? 30 : 0);
	}
	answer_offset(r);
}

/* --- queries ----------------------------------------------------------------------------- */

/* "wait=SECONDS" of a Prefer header; 0 without. */
static double preferred_wait(hel_request *r)
{
	const char *prefer = hel_request_header(r, "Prefer");
	const char *wait = prefer ? strstr(prefer, "wait=") : NULL;
	const double seconds = wait ? strtod(wait + 5, NULL) : 0;
	return seconds > 0 ? fmin(seconds, (double)r->s->settings.query_seconds + 5) : 0;
}

static void begin_query(hel_request *r)
{
	hel_service *s = r->s;
	uint64_t have;
	char detail[160];
	if (!find_model(r))
		return;
	const char *idempotency = hel_request_header(r, "Idempotency-Key");
	const double wait = hel_keyset_rate(s->store, r->keys, s->settings.queries_per_minute);
	r->most = r->model->contributed_bytes;
	if (wait > 0) {
		hel_count(&s->metrics.refused_rate, 1);
		hel_answer_problem(r, 429, "rate", "this session asks too often", wait);
	} else if (idempotency && (!*idempotency || strlen(idempotency) > HEL_IDEMPOTENCY_MAX)) {
		hel_answer_problem(r, 400, "invalid", "an Idempotency-Key has 1 to 64 characters",
				   0);
	} else if (atomic_load(&s->draining)) {
		(void)hel_fail(HEL_EBUSY, "the server is shutting down");
		hel_answer_failure(r, HEL_EBUSY, 0);
	} else if (hel_keyset_progress(s->store, r->keys, &have) != HEL_KEYSET_READY) {
		hel_answer_problem(r, 409, "upload", "this session's keys are not complete", 0);
	} else if (!covers(r->keys, r->model)) {
		hel_answer_problem(
		    r, 409, "keys",
		    "this session's keys do not cover the model; open another session with "
		    "those its manifest lists",
		    0);
	} else if (r->length != r->model->query_bytes && r->length != r->most) {
		snprintf(detail, sizeof detail,
			 "a query of %llu bytes; for this model it has %zu, or %zu made under a "
			 "public key",
			 (unsigned long long)r->length, r->model->query_bytes, r->most);
		hel_answer_problem(r, r->length > r->most ? 413 : 422, "size", detail, 0);
	}
}

static void answer_pending(hel_request *r)
{
	char location[64];
	snprintf(location, sizeof location, "/v1/queries/%s", r->job->id);
	hel_answer_json(r, 202,
			json_pack("{s:s, s:s}", "query", r->job->id, "state",
				  hel_job_where(r->s->queue, r->job) == HEL_JOB_RUNNING
				      ? "running"
				      : "queued"));
	hel_answer_header(r, MHD_HTTP_HEADER_LOCATION, location);
}

static void answer_job(hel_request *r)
{
	const hel_job *job = r->job;
	if (!hel_job_poll(r->s->queue, r->job, false)) {
		answer_pending(r);
	} else if (job->status == HEL_OK) {
		hel_answer_bytes(r, 200, "application/octet-stream", job->result.bytes,
				 job->result.size);
		hel_answer_header(r, "X-Query", job->id);
	} else {
		(void)hel_fail(job->status, "%s", job->detail);
		hel_answer_failure(r, job->status, 0);
	}
}

static void end_query(hel_request *r)
{
	const char *key = hel_request_header(r, "Idempotency-Key");
	double retry;
	r->wait = preferred_wait(r);
	/* the job takes over the query's memory, and a reference to model and keys */
	hel_model *model = hel_catalog_find(r->s->catalog, r->segment);
	hel_keyset_hold(r->s->store, r->keys);
	hel_status st = model == NULL
			    ? hel_fail(HEL_EBUSY, "the model is just being replaced")
			    : hel_queue_submit(&r->job, r->s->queue, r->keys, model, r->body,
					       r->body_size, key ? key : "", r->wait > 0, &retry);
	if (st != HEL_OK) {
		hel_keyset_release(r->s->store, r->keys);
		hel_model_release(model);
		hel_answer_failure(r, st, model ? retry : 1);
		return;
	}
	r->body = NULL;
	hel_budget_give(&r->s->budget, r->reserved);
	r->reserved = 0;
}

static void begin_job(hel_request *r)
{
	r->job = hel_queue_find(r->s->queue, r->keys, r->segment);
	if (!r->job)
		hel_answer_problem(r, 404, "no_query",
				   "this session has no such query; submit it again", 0);
}

static void end_job(hel_request *r)
{
	r->wait = preferred_wait(r);
}

static void end_cancel(hel_request *r)
{
	hel_job_cancel(r->s->queue, r->job);
	hel_answer_bytes(r, 204, "application/json", "", 0);
}

const hel_route hel_routes[] = {
    {.method = "GET", .path = "/healthz", .open = true, .end = end_health},
    {.method = "GET", .path = "/readyz", .open = true, .end = end_ready},
    {.method = "GET", .path = "/metrics", .open = true, .end = end_metrics},
    {.method = "GET", .path = "/v1/models", .end = end_models},
    {.method = "GET", .path = "/v1/models/{name}/manifest", .end = end_manifest},
    {.method = "POST",
     .path = "/v1/models/{name}/queries",
     .session = true,
     .begin = begin_query,
     .end = end_query,
     .resume = answer_job},
    {.method = "POST", .path = "/v1/sessions", .begin = begin_open, .end = end_open},
    {.method = "GET", .path = "/v1/session", .session = true, .end = end_session},
    {.method = "DELETE", .path = "/v1/session", .session = true, .end = end_remove},
    {.method = "PATCH",
     .path = "/v1/session/keys",
     .session = true,
     .begin = begin_upload,
     .take = take_upload,
     .end = end_upload,
     .resume = resume_upload},
    {.method = "GET",
     .path = "/v1/queries/{id}",
     .session = true,
     .begin = begin_job,
     .end = end_job,
     .resume = answer_job},
    {.method = "DELETE",
     .path = "/v1/queries/{id}",
     .session = true,
     .begin = begin_job,
     .end = end_cancel},
};
const size_t hel_routes_count = HEL_ARRAY_LEN(hel_routes);
