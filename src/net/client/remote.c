/* A server reached by libcurl. Nothing here knows a secret or sees what was decrypted. */
#include "base/base.h"
#include "base/json.h"
#include <curl/curl.h>
#include <helrm/client.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define PIECE ((size_t)2 << 20)	       /* of an upload, sent at once */
#define ANSWER_MAX ((size_t)128 << 20) /* of a manifest; results are far smaller */
#define WAIT_SECONDS 30
#define STALL_SECONDS 30

struct hel_remote {
	CURL *curl;
	char *url, *api_key;
	double patience, limit;
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *progress_arg;
	bool superseded; /* as the last manifest's or result's answer said */
};

/* One request, and what came back. */
typedef struct exchange {
	const char *method;
	char path[512];
	const hel_access *access;
	const char *content_type;
	const void *body;
	size_t size;
	char header[2][96]; /* more headers, "" for none */
	long status;
	hel_writer answer;
	double retry_after;
	long long offset; /* of Upload-Offset, -1 for none */
	bool head;	  /* the answer's head came to its end: libcurl does not insist on it */
	bool lost;	  /* the connection broke, or never was */
	bool superseded;
	char why[160];
} exchange;

void hel_remote_free(hel_remote *r)
{
	if (!r)
		return;
	if (r->curl)
		curl_easy_cleanup(r->curl);
	hel_free(r->url);
	hel_free_secret(r->api_key, r->api_key ? strlen(r->api_key) : 0);
	hel_free(r);
}

static bool is_this_machine(const char *host)
{
	static const char *const local[] = {"localhost", "127.0.0.1", "[::1]"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(local); i++)
		if (strcasecmp(host, local[i]) == 0)
			return true;
	return false;
}

/* The address as libcurl understands it: what stands before an @ is no host. */
static hel_status check_url(bool *local, const char *url, bool plain_http)
{
	hel_status st = HEL_OK;
	char *scheme = NULL, *host = NULL, *user = NULL;
	CURLU *parts = curl_url();
	if (!parts)
		return hel_fail(HEL_ENOMEM, "out of memory for an address");
	if (curl_url_set(parts, CURLUPART_URL, url, 0) ||
	    curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) ||
	    curl_url_get(parts, CURLUPART_HOST, &host, 0) ||
	    (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0))
		FAIL(HEL_EINVAL, "the server is '%s', expected https://HOST[:PORT]", url);
	if (curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_OK)
		FAIL(HEL_EINVAL,
		     "'%s' names a user: the server is '%s', not what stands before "
		     "the @",
		     url, host);
	*local = is_this_machine(host);
	if (strcmp(scheme, "http") == 0 && !plain_http && !*local)
		FAIL(HEL_EINVAL, "plain HTTP to another machine shows your session's token to "
				 "everyone on the way: use https://");
done:
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	curl_url_cleanup(parts);
	return st;
}

hel_status hel_remote_new(hel_remote **out, const hel_remote_options *o)
{
	hel_status st = HEL_OK;
	hel_remote *r = NULL;
	bool local = false;
	TRY(hel_random_init());
	TRY(check_url(&local, o->url, o->plain_http));
	TRY_ALLOC(r, hel_alloc(1, sizeof *r));
	r->patience = o->patience > 0 ? o->patience : 60;
	r->limit = o->limit > 0 ? o->limit : 3600;
	r->progress = o->progress;
	r->progress_arg = o->progress_arg;
	TRY_ALLOC(r->url, hel_strdup(o->url));
	for (size_t n = strlen(r->url); n && r->url[n - 1] == '/'; n--)
		r->url[n - 1] = 0;
	if (o->api_key)
		TRY_ALLOC(r->api_key, hel_strdup(o->api_key));
	r->curl = curl_easy_init();
	if (!r->curl)
		FAIL(HEL_ENOMEM, "cannot start libcurl");
	curl_easy_setopt(r->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(r->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(r->curl, CURLOPT_FOLLOWLOCATION, 0L);
	if (local) /* a proxy would take the token to another machine, or fail to reach this one */
		curl_easy_setopt(r->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(r->curl, CURLOPT_CONNECTTIMEOUT, 10L);
	curl_easy_setopt(r->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(r->curl, CURLOPT_LOW_SPEED_TIME, (long)(WAIT_SECONDS + STALL_SECONDS));
	curl_easy_setopt(r->curl, CURLOPT_USERAGENT, "helrm/" HELRM_VERSION);
	if (o->authority)
		curl_easy_setopt(r->curl, CURLOPT_CAINFO, o->authority);
	if (o->certificate)
		curl_easy_setopt(r->curl, CURLOPT_SSLCERT, o->certificate);
	if (o->private_key)
		curl_easy_setopt(r->curl, CURLOPT_SSLKEY, o->private_key);
	*out = r;
	r = NULL;
done:
	hel_remote_free(r);
	return st;
}

/* --- one request ------------------------------------------------------------------------- */

static size_t on_body(char *bytes, size_t one, size_t count, void *arg)
{
	exchange *e = arg;
	if (one * count > ANSWER_MAX - HEL_MIN(e->answer.size, ANSWER_MAX))
		return 0;
	hel_write_bytes(&e->answer, bytes, one * count);
	return e->answer.status == HEL_OK ? one * count : 0;
}

static size_t on_header(char *bytes, size_t one, size_t count, void *arg)
{
	exchange *e = arg;
	char line[128];
	snprintf(line, sizeof line, "%.*s", (int)HEL_MIN(one * count, sizeof line - 1), bytes);
	if (strncmp(line, "HTTP/", 5) == 0)
		e->head = false;
	else if (strcmp(line, "\r\n") == 0)
		e->head = true;
	else if (strncasecmp(line, "Retry-After:", 12) == 0)
		e->retry_after = fmin(fmax(hel_number_of(line + 12, NULL), 0), 3600);
	else if (strncasecmp(line, "Upload-Offset:", 14) == 0)
		e->offset = strtoll(line + 14, NULL, 10);
	else if (strncasecmp(line, "Link:", 5) == 0)
		e->superseded |= strstr(line, "rel=\"successor-version\"") != NULL;
	return one * count;
}

static struct curl_slist *append(struct curl_slist *list, const char *name, const char *value,
				 bool *failed)
{
	char line[512];
	snprintf(line, sizeof line, "%s: %s", name, value);
	struct curl_slist *longer = curl_slist_append(list, line);
	hel_wipe(line, sizeof line);
	*failed = *failed || !longer;
	return longer ? longer : list;
}

static hel_status perform(hel_remote *r, exchange *e)
{
	hel_status st = HEL_OK;
	char url[2048], authorization[300] = "";
	struct curl_slist *headers = NULL;
	bool failed = false;
	CURL *c = r->curl;
	e->answer.size = 0;
	e->status = 0;
	e->retry_after = 0;
	e->offset = -1;
	e->head = e->superseded = false;
	if ((size_t)snprintf(url, sizeof url, "%s%s", r->url, e->path) >= sizeof url)
		FAIL(HEL_EINVAL, "the server's address is too long");
	if (r->api_key)
		headers = append(headers, "X-API-Key", r->api_key, &failed);
	if (e->access) {
		snprintf(authorization, sizeof authorization, "Bearer %s",
			 hel_access_token(e->access));
		headers = append(headers, "Authorization", authorization, &failed);
	}
	if (e->body)
		headers = append(headers, "Content-Type", e->content_type, &failed);
	for (int i = 0; i < 2; i++)
		if (*e->header[i] && !failed) {
			struct curl_slist *longer = curl_slist_append(headers, e->header[i]);
			failed = !longer;
			headers = longer ? longer : headers;
		}
	if (failed)
		FAIL(HEL_ENOMEM, "out of memory for a request");
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
	if (e->body) {
		curl_easy_setopt(c, CURLOPT_POST, 1L);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, e->body);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)e->size);
	}
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, e->method);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, e);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, e);
	const CURLcode code = curl_easy_perform(c);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
	e->lost = code != CURLE_OK || !e->head;
	if (!e->lost)
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &e->status);
	else
		snprintf(e->why, sizeof e->why, "%s",
			 code ? curl_easy_strerror(code) : "the answer was cut off");
	if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
	    code == CURLE_SSL_CERTPROBLEM || code == CURLE_URL_MALFORMAT)
		FAIL(HEL_EDENIED, "%s: %s", r->url, e->why); /* will not get better */
done:
	curl_slist_free_all(headers);
	hel_wipe(authorization, sizeof authorization);
	return st;
}

/* The answer's body as JSON, NULL when it is none. */
static hel_json *answer_json(const exchange *e)
{
	hel_json *json = NULL;
	return hel_json_read(&json, e->answer.bytes, e->answer.size) == HEL_OK ? json : NULL;
}

/* What the server said, for people. */
static void read_problem(exchange *e)
{
	hel_json *json = answer_json(e);
	const char *detail = hel_json_text(hel_json_root(json), "detail");
	snprintf(e->why, sizeof e->why, "%s", detail ? detail : "it gave no reason");
	hel_json_free(json);
}

static bool is_code(const exchange *e, const char *code)
{
	hel_json *json = answer_json(e);
	const char *found = hel_json_text(hel_json_root(json), "code");
	const bool same = found && strcmp(found, code) == 0;
	hel_json_free(json);
	return same;
}

static hel_status refusal(const hel_remote *r, exchange *e)
{
	hel_status st = e->status == 401 && is_code(e, "api_key") ? HEL_EINVAL
			: e->status == 401			  ? HEL_EDENIED
			: e->status == 403			  ? HEL_EDENIED
			: is_code(e, "keys") || is_code(e, "keys_lost") || is_code(e, "upload")
			    ? HEL_EKEY
			: is_code(e, "model") || is_code(e, "parameters") ? HEL_EMODEL
			: e->status == 413				  ? HEL_ELIMIT
			: e->status == 504				  ? HEL_ECANCEL
			: e->status == 507				  ? HEL_ESPACE
			: e->status >= 500				  ? HEL_EIO
									  : HEL_EINVAL;
	read_problem(e);
	return hel_fail(st, "%s answers %ld: %s", r->url, e->status, e->why);
}

/* --- trying again ------------------------------------------------------------------------ */

typedef struct patience {
	double since, pause;
} patience;

static void patience_renew(patience *p)
{
	*p = (patience){hel_clock(), 0.1};
}

static void sleep_for(double seconds)
{
	struct timespec t = {.tv_sec = (time_t)seconds,
			     .tv_nsec = (long)(1e9 * (seconds - floor(seconds)))};
	nanosleep(&t, NULL);
}

/* Pauses after an attempt that failed for the moment; an error when patience is at its end. */
static hel_status pause_after(hel_remote *r, patience *p, exchange *e)
{
	if (!e->lost)
		read_problem(e);
	const double jitter = 0.5 + randombytes_uniform(1000) / 1000.0;
	double pause = fmax(p->pause * jitter, e->retry_after);
	if (hel_clock() + pause - p->since > r->patience) {
		if (e->lost)
			return hel_fail(HEL_EIO, "no answer from %s for %.0f s: %s", r->url,
					hel_clock() - p->since, e->why);
		return hel_fail(e->status == 507 ? HEL_ESPACE : HEL_EBUSY, "%s is busy: %s", r->url,
				e->why);
	}
	p->pause = fmin(p->pause * 2, 10);
	sleep_for(pause);
	return HEL_OK;
}

static bool for_the_moment(const exchange *e)
{
	return e->lost || e->status == 429 || e->status == 502 || e->status == 503;
}

/* Until there is an answer that will not change. */
static hel_status persist(hel_remote *r, exchange *e)
{
	hel_status st = HEL_OK;
	patience p;
	patience_renew(&p);
	for (;;) {
		TRY(perform(r, e));
		if (!for_the_moment(e))
			break;
		TRY(pause_after(r, &p, e));
	}
done:
	return st;
}

static void take_answer(uint8_t **bytes, size_t *size, exchange *e)
{
	*bytes = e->answer.bytes;
	*size = e->answer.size;
	e->answer = (hel_writer){0};
}

/* --- calls ------------------------------------------------------------------------------- */

/* NAME, or NAME@VERSION. */
static hel_status check_model_name(const char *model)
{
	return *model && strlen(model) <= 64 &&
		       strspn(
			   model,
			   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@") ==
			   strlen(model)
		   ? HEL_OK
		   : hel_fail(HEL_EINVAL, "'%s' is no name of a model", model);
}

hel_status hel_remote_manifest(uint8_t **manifest, size_t *size, hel_remote *r, const char *model)
{
	hel_status st = HEL_OK;
	exchange e = {.method = "GET"};
	TRY(check_model_name(model));
	snprintf(e.path, sizeof e.path, "/v1/models/%s/manifest", model);
	TRY(persist(r, &e));
	if (e.status != 200)
		TRY(refusal(r, &e));
	take_answer(manifest, size, &e);
	r->superseded = e.superseded;
done:
	hel_writer_clear(&e.answer);
	return st;
}

bool hel_remote_superseded(const hel_remote *r)
{
	return r->superseded;
}

hel_status hel_remote_open(hel_remote *r, hel_access *access)
{
	hel_status st = HEL_OK;
	uint8_t *body = NULL;
	size_t size = 0;
	hel_json *json = NULL;
	exchange e = {.method = "POST", .path = "/v1/sessions", .content_type = "application/json"};
	TRY(hel_access_request(&body, &size, access));
	e.body = body;
	e.size = size;
	TRY(persist(r, &e));
	if (e.status != 201)
		TRY(refusal(r, &e));
	json = answer_json(&e);
	const char *token = hel_json_text(hel_json_root(json), "token");
	if (!token)
		FAIL(HEL_EFORMAT, "%s answers without a token", r->url);
	TRY(hel_access_set_server(access, r->url));
	TRY(hel_access_set_token(access, token));
done:
	hel_json_free(json);
	hel_bytes_free(body, size);
	hel_writer_clear(&e.answer);
	return st;
}

/* Where an upload stands. */
typedef struct standing {
	bool ready;
	uint64_t offset, bytes;
} standing;

static hel_status read_standing(standing *out, const hel_remote *r, const exchange *e)
{
	hel_json *json = answer_json(e);
	const hel_json_value *root = hel_json_root(json);
	const char *state = hel_json_text(root, "state");
	uint64_t offset, bytes;
	const bool good = state && hel_json_integer(&bytes, root, "bytes", UINT64_MAX) &&
			  hel_json_integer(&offset, root, "offset", bytes);
	if (good)
		*out = (standing){strcmp(state, "ready") == 0, offset, bytes};
	hel_json_free(json);
	return good ? HEL_OK : hel_fail(HEL_EFORMAT, "%s describes the session wrongly", r->url);
}

static hel_status ask_standing(standing *out, hel_remote *r, const hel_access *access)
{
	hel_status st = HEL_OK;
	exchange e = {.method = "GET", .path = "/v1/session", .access = access};
	TRY(persist(r, &e));
	if (e.status != 200)
		TRY(refusal(r, &e));
	TRY(read_standing(out, r, &e));
done:
	hel_writer_clear(&e.answer);
	return st;
}

/* An upload in progress. piece holds the bytes from `sent` on. */
typedef struct upload {
	hel_remote *remote;
	const hel_access *access;
	standing at; /* as the server last said */
	uint64_t generated;
	uint8_t *piece;
	size_t fill;
	bool restart; /* the server lost what it had: all over */
} upload;

/* Sends what is in the piece; an empty one asks the server to check what it has. */
static hel_status send_piece(upload *u)
{
	hel_status st = HEL_OK;
	patience p;
	exchange e = {.method = "PATCH",
		      .path = "/v1/session/keys",
		      .access = u->access,
		      .content_type = "application/octet-stream"};
	const uint64_t begin = u->at.offset, end = begin + u->fill;
	patience_renew(&p);
	do {
		e.body = u->piece + (u->at.offset - begin);
		e.size = (size_t)(end - u->at.offset);
		snprintf(e.header[0], sizeof e.header[0], "Upload-Offset: %llu",
			 (unsigned long long)u->at.offset);
		TRY(perform(u->remote, &e));
		if (!e.lost && e.status == 200) {
			TRY(read_standing(&u->at, u->remote, &e));
			break;
		}
		const bool moved = e.status == 409 && is_code(&e, "offset");
		if (!for_the_moment(&e) && e.status != 507 && !moved)
			TRY(refusal(u->remote, &e));
		if (!moved)
			TRY(pause_after(u->remote, &p, &e));
		const uint64_t before = u->at.offset;
		TRY(ask_standing(&u->at, u->remote, u->access));
		if (u->at.offset > before)
			patience_renew(&p);
		if (u->at.offset < begin || u->at.offset > end) {
			u->restart = true;
			FAIL(HEL_EIO, "the server lost the upload");
		}
	} while (u->at.offset < end || (u->at.offset == u->at.bytes && !u->at.ready));
	u->fill = 0;
	if (u->remote->progress)
		u->remote->progress(u->remote->progress_arg, u->at.offset, u->at.bytes);
done:
	hel_writer_clear(&e.answer);
	return st;
}

static hel_status put(void *arg, const void *bytes, size_t size)
{
	upload *u = arg;
	const uint8_t *p = bytes;
	/* what the server has is generated for its hash, but not sent */
	if (u->generated < u->at.offset) {
		const size_t skip = (size_t)HEL_MIN(u->at.offset - u->generated, (uint64_t)size);
		u->generated += skip;
		p += skip;
		size -= skip;
	}
	while (size) {
		const size_t n = HEL_MIN(size, PIECE - u->fill);
		memcpy(u->piece + u->fill, p, n);
		u->fill += n;
		u->generated += n;
		p += n;
		size -= n;
		if (u->fill == PIECE) {
			hel_status st = send_piece(u);
			if (st != HEL_OK)
				return st;
		}
	}
	return HEL_OK;
}

hel_status hel_remote_upload(hel_remote *r, const hel_access *access, hel_client *client)
{
	hel_status st = HEL_OK;
	upload u = {.remote = r, .access = access};
	patience p;
	exchange none = {.lost = true, .why = "uploads are lost again and again"};
	TRY(hel_client_use(client, access));
	TRY_ALLOC(u.piece, hel_alloc(PIECE, 1));
	TRY(ask_standing(&u.at, r, access));
	if (u.at.bytes != hel_access_keys_size(access, client))
		FAIL(HEL_EFORMAT, "%s expects %llu bytes of keys, they have %llu", r->url,
		     (unsigned long long)u.at.bytes,
		     (unsigned long long)hel_access_keys_size(access, client));
	patience_renew(&p);
	while (!u.at.ready) {
		u.generated = u.fill = 0;
		u.restart = false;
		if (u.at.offset < u.at.bytes)
			st = hel_access_keys(access, client, put, &u);
		if (st == HEL_OK && (u.fill || !u.at.ready))
			st = send_piece(&u);
		if (st != HEL_OK && u.restart) {
			TRY(pause_after(r, &p, &none));
			st = HEL_OK;
		}
		TRY(st);
		if (!u.at.ready && u.at.offset == u.at.bytes) /* all is there, but not accepted */
			TRY(pause_after(r, &p, &none));
	}
done:
	hel_free(u.piece);
	return st;
}

/* A server that waits as it was asked to answers after WAIT_SECONDS; one that says "not yet" at
 * once is asked again after growing pauses. Neither is waited for for ever. */
static hel_status wait_for_result(const hel_remote *r, double begun, double asked, double *pause)
{
	const double now = hel_clock();
	if (now - begun > r->limit)
		return hel_fail(HEL_EBUSY, "%s has no result after %.0f s", r->url, now - begun);
	if (now - asked > 1) {
		*pause = 0.1;
		return HEL_OK;
	}
	sleep_for(fmin(*pause, fmax(r->limit - (now - begun), 0.01)));
	*pause = fmin(*pause * 2, 5);
	return HEL_OK;
}

hel_status hel_remote_predict(uint8_t **result, size_t *result_size, hel_remote *r,
			      const hel_access *access, const char *model, const void *query,
			      size_t size)
{
	hel_status st = HEL_OK;
	uint8_t random[16];
	char key[33];
	patience p;
	exchange post = {.method = "POST",
			 .access = access,
			 .content_type = "application/octet-stream",
			 .body = query,
			 .size = size};
	exchange get = {.method = "GET", .access = access};
	TRY(check_model_name(model));
	hel_random_bytes(random, sizeof random);
	sodium_bin2hex(key, sizeof key, random, sizeof random);
	snprintf(post.path, sizeof post.path, "/v1/models/%s/queries", model);
	snprintf(post.header[0], sizeof post.header[0], "Prefer: wait=%d", WAIT_SECONDS);
	snprintf(get.header[0], sizeof get.header[0], "%s", post.header[0]);
	snprintf(post.header[1], sizeof post.header[1], "Idempotency-Key: %s", key);
	patience_renew(&p);
	r->superseded = false;
	exchange *e = &post;
	bool again = false;
	const double begun = hel_clock();
	double pause = 0.1;
	for (;;) {
		const double asked = hel_clock();
		TRY(perform(r, e));
		r->superseded |= e->superseded;
		if (!e->lost && e->status == 200)
			break;
		if (!e->lost && e->status == 202) { /* accepted, not done: progress */
			hel_json *json = answer_json(e);
			const char *id = hel_json_text(hel_json_root(json), "query");
			const bool named = id && *id;
			if (named)
				snprintf(get.path, sizeof get.path, "/v1/queries/%.64s", id);
			hel_json_free(json);
			if (!named)
				FAIL(HEL_EFORMAT, "%s accepts a query without naming it", r->url);
			e = &get;
			TRY(wait_for_result(r, begun, asked, &pause));
			patience_renew(&p);
			continue;
		}
		if (for_the_moment(e)) {
			TRY(pause_after(r, &p, e));
			continue;
		}
		/* the server started anew, or gave up because we were gone: submit again */
		if (e == &get && (e->status == 404 || (e->status == 504 && !again))) {
			again |= e->status == 504;
			e = &post;
			continue;
		}
		TRY(refusal(r, e));
	}
	take_answer(result, result_size, e);
done:
	hel_writer_clear(&post.answer);
	hel_writer_clear(&get.answer);
	return st;
}

hel_status hel_remote_forget(hel_remote *r, const hel_access *access)
{
	hel_status st = HEL_OK;
	exchange e = {.method = "DELETE", .path = "/v1/session", .access = access};
	TRY(persist(r, &e));
	if (e.status != 204 && e.status != 401) /* gone already: as wanted */
		TRY(refusal(r, &e));
done:
	hel_writer_clear(&e.answer);
	return st;
}
