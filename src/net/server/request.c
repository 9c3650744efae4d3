#include "request.h"
#include "answer.h"
#include "authorize.h"
#include "connection.h"
#include "cors.h"
#include "http.h"
#include "log.h"
#include "page.h"
#include "routes.h"
#include "wait.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define STRANGERS_LOGGED 60	/* a minute: lines of the log */
#define DRAIN_MAX (1u << 20)	/* a body that is refused by its head is read up to this size, */
#define REFUSED_MAX (16u << 20) /* one that is refused in its middle for so long, then cut off */

/* *segment is what {} stood for. */
static bool matches(const hel_route *route, const char *url, char segment[HEL_ROUTE_NAME_MAX + 1])
{
	const char *p = route->path;
	while (*p && *url) {
		if (p[0] == '{') {
			size_t n = strcspn(url, "/");
			if (!n || n > HEL_ROUTE_NAME_MAX)
				return false;
			memcpy(segment, url, n);
			segment[n] = 0;
			url += n;
			p = strchr(p, '}') + 1;
		} else if (*p++ != *url++) {
			return false;
		}
	}
	return !*p && !*url;
}

static void find_route(hel_request *r, const char *url, const char *method)
{
	char allowed[128] = "";
	bool known = false;
	if (hel_page_find(r, url) && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0))
		return;
	r->route = NULL;
	for (size_t i = 0; i < hel_routes_count; i++) {
		if (!matches(&hel_routes[i], url, r->segment))
			continue;
		known = true;
		if (strcmp(hel_routes[i].method, method) == 0 ||
		    (strcmp(method, "HEAD") == 0 && strcmp(hel_routes[i].method, "GET") == 0)) {
			r->route = &hel_routes[i];
			return;
		}
		size_t n = strlen(allowed);
		snprintf(allowed + n, sizeof allowed - n, "%s%s%s", n ? ", " : "",
			 hel_routes[i].method,
			 strcmp(hel_routes[i].method, "GET") == 0 ? ", HEAD" : "");
	}
	if (known && hel_cors_asks(r)) {
		hel_cors_preflight(r, allowed);
	} else if (known) {
		hel_answer_problem(r, 405, "method", "this resource has no such method", 0);
		hel_answer_header(r, MHD_HTTP_HEADER_ALLOW, allowed);
	} else {
		hel_answer_problem(r, 404, "unknown", "there is nothing here", 0);
	}
}

/* What a head says about where it ends and whom it is for must be said once and plainly: servers
 * and proxies that read it differently would take one client's bytes for another's request. */
typedef struct head {
	unsigned lines, hosts, lengths, encodings;
	bool odd_name, odd_value, odd_length, odd_line;
	const char *end; /* of the text before; NULL: lines are not looked at */
} head;

/* libmicrohttpd 0.9.75 (Debian 12) ends texts in place, where a line had CR and LF: what follows
 * otherwise had a bare LF, a zero byte, a nameless header or a line that goes on between. Later
 * ones refuse these themselves (http.c). */
static bool lines_are_in_place(void)
{
	return strcmp(MHD_get_version(), "0.9.75") == 0;
}

static bool is_token(const char *text)
{
	size_t n = 0;
	while (text[n] && text[n] > ' ' && text[n] < 127 && !strchr("()<>@,;:\\\"/[]?={}", text[n]))
		n++;
	return n && !text[n];
}

/* libmicrohttpd appends a line that goes on with a blank to the name before: a length said so would
 * not be seen. */
static bool goes_on(const char *name, const char *framing)
{
	const size_t n = strlen(framing);
	return strncasecmp(name, framing, n) == 0 && name[n];
}

static enum MHD_Result look_at_header(void *arg, enum MHD_ValueKind kind, const char *name,
				      size_t name_size, const char *value, size_t value_size)
{
	head *h = arg;
	(void)kind;
	(void)name_size;
	h->odd_line |= h->end && name != h->end + 2;
	if (h->end)
		h->end = value ? value + value_size : NULL;
	h->lines++;
	h->odd_name |= !is_token(name) || goes_on(name, MHD_HTTP_HEADER_CONTENT_LENGTH) ||
		       goes_on(name, MHD_HTTP_HEADER_TRANSFER_ENCODING);
	h->odd_value |= value && strpbrk(value, "\r\n\v\f");
	h->hosts += strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0;
	h->encodings += strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0;
	if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
		h->lengths++;
		h->odd_length |= !value || !*value || value[strspn(value, "0123456789")];
	}
	return MHD_YES;
}

static void refuse_head(hel_request *r, unsigned status, const char *code, const char *detail)
{
	r->close = true;
	hel_answer_problem(r, status, code, detail, 0);
}

/* The announced length; a body without one is refused. */
static void read_head(hel_request *r, const char *version)
{
	head h = {.end = lines_are_in_place() ? version + strlen(version) : NULL};
	MHD_get_connection_values_n(r->connection, MHD_HEADER_KIND, look_at_header, &h);
	/* a line without a name ends the head there, where an empty one should */
	h.odd_line |= h.lines && h.end && (h.end[2] || h.end[3]);
	const char *length = hel_request_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
	const bool needs_host = strcmp(version, MHD_HTTP_VERSION_1_0) != 0;
	if (h.odd_name)
		refuse_head(r, 400, "malformed", "a header's name is no word");
	else if (h.odd_line)
		refuse_head(r, 400, "malformed",
			    "a line of the head does not end with CR and LF, goes "
			    "on in the next one, or has no name");
	else if (h.odd_value)
		refuse_head(r, 400, "malformed", "a header holds the end of a line");
	else if (h.hosts > 1 || (needs_host && !h.hosts))
		refuse_head(r, 400, "malformed", "one Host is needed");
	else if (h.lengths > 1 || h.odd_length || h.encodings > 1 || (h.lengths && h.encodings))
		refuse_head(r, 400, "malformed", "the body's length is said twice or wrongly");
	else if (h.encodings)
		refuse_head(r, 411, "length", "a Content-Length is needed");
	else if (length)
		r->length = strtoull(length, NULL, 10);
}

/* A valid traceparent goes into the log and back to the client; others are as if there were none.
 */
static void read_trace(hel_request *r)
{
	static const char hex[] = "0123456789abcdef";
	const char *t = hel_request_header(r, "traceparent");
	if (t && strlen(t) == HEL_TRACEPARENT_CHARS && strncmp(t, "00-", 3) == 0 &&
	    strspn(t + 3, hex) == 32 && t[35] == '-' && strspn(t + 36, hex) == 16 && t[52] == '-' &&
	    strspn(t + 53, hex) == 2 && strspn(t + 3, "0") < 32 && strspn(t + 36, "0") < 16)
		memcpy(r->trace, t, sizeof r->trace);
}

static void begin(hel_request *r, const char *url, const char *method, const char *version)
{
	hel_authorize_address(r);
	read_trace(r);
	read_head(r, version);
	if (!r->response)
		find_route(r, url, method);
	if (!r->response)
		hel_authorize(r);
	if (!r->response && r->route->begin)
		r->route->begin(r);
	if (r->response)
		return;
	if (r->length > r->most) {
		char detail[128];
		snprintf(detail, sizeof detail, "a body of %llu bytes, at most %zu are taken here",
			 (unsigned long long)r->length, r->most);
		hel_answer_problem(r, 413, "limit", detail, 0);
	} else if (r->length && !r->route->take) {
		if (!hel_budget_take(&r->s->budget, r->length)) {
			(void)hel_fail(HEL_EBUSY, "no memory for another request now");
			hel_answer_failure(r, HEL_EBUSY, 0);
			return;
		}
		r->reserved = r->length;
		r->body = hel_alloc(r->length + 1, 1);
		if (!r->body)
			hel_answer_failure(r, HEL_ENOMEM, 0);
	}
}

static void take(hel_request *r, const uint8_t *bytes, size_t size)
{
	hel_count(&r->s->metrics.bytes_received, size);
	if (r->response)
		return;
	if (r->route->take) {
		r->route->take(r, bytes, size);
	} else if (r->body && size <= r->length - r->body_size) {
		memcpy(r->body + r->body_size, bytes, size);
		r->body_size += size;
	}
}

static enum MHD_Result answer(hel_request *r)
{
	if (!r->response) /* a route that forgot, or no memory for the answer */
		return MHD_NO;
	hel_connection_deadline(r, hel_transfer_seconds(r->s, r->sent));
	hel_answer_header(r, "X-Request-Id", r->id);
	hel_cors_headers(r);
	if (*r->trace)
		hel_answer_header(r, "traceparent", r->trace);
	if (r->close)
		hel_answer_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	enum MHD_Result result = MHD_queue_response(r->connection, r->status, r->response);
	MHD_destroy_response(r->response);
	r->response = NULL;
	return result;
}

static hel_request *request_new(hel_service *s, struct MHD_Connection *connection,
				const char *method)
{
	hel_request *r = hel_alloc(1, sizeof *r);
	if (!r)
		return NULL;
	r->s = s;
	r->connection = connection;
	r->method = method;
	r->start = hel_clock();
	r->file = -1;
	snprintf(r->id, sizeof r->id, "%08x-%llu", s->instance,
		 (unsigned long long)(atomic_fetch_add(&s->requests, 1) + 1));
	r->socket =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	return r;
}

enum MHD_Result hel_request_handle(void *cls, struct MHD_Connection *connection, const char *url,
				   const char *method, const char *version, const char *data,
				   size_t *size, void **state)
{
	hel_request *r = *state;
	if (!r) {
		*state = r = request_new(cls, connection, method);
		if (!r)
			return MHD_NO;
		hel_connection_busy(r, true);
		begin(r, url, method, version);
		hel_connection_deadline(r, hel_transfer_seconds(r->s, 0)); /* more as bytes come */
		/* a small body is read although it is refused, so that the client reads the answer
		 */
		r->close |= r->response && r->length > DRAIN_MAX;
		return r->close ? answer(r) : MHD_YES;
	}
	if (*size) {
		r->got += *size;
		r->refused += r->response || r->take_status != HEL_OK ? *size : 0;
		if (r->refused > REFUSED_MAX) /* MHD takes no answer in the middle of a body */
			return MHD_NO;
		take(r, (const uint8_t *)data, *size);
		hel_connection_deadline(r, hel_transfer_seconds(r->s, r->got) -
					       (hel_clock() - r->start));
		*size = 0;
		return MHD_YES;
	}
	if (r->response)
		return answer(r);
	hel_connection_deadline(r, HEL_NEVER);
	if (!r->ended) {
		r->ended = true;
		r->route->end(r);
		if (r->response)
			return answer(r);
		if (hel_wait_suspend(r))
			return MHD_YES;
	}
	if (r->counted)
		hel_job_unwait(r->s->queue, r->job);
	r->counted = false;
	if (hel_wait_keep(r))
		return MHD_YES;
	r->route->resume(r);
	return answer(r);
}

/* Nobody fills the disk with refusals: beyond a rate those of strangers are only counted. */
static bool may_log(hel_request *r, uint64_t *unlogged)
{
	hel_service *s = r->s;
	const bool stranger = !r->keys && r->status >= 400 && r->status < 500;
	pthread_mutex_lock(&s->connections.lock);
	const bool may = !stranger || hel_bucket_take(&s->strangers, STRANGERS_LOGGED) <= 0;
	s->unlogged += !may;
	*unlogged = may ? s->unlogged : 0;
	s->unlogged = may ? 0 : s->unlogged;
	pthread_mutex_unlock(&s->connections.lock);
	return may;
}

static void log_request(hel_request *r, bool complete)
{
	char session[9] = "";
	uint64_t unlogged;
	const bool quiet = r->route && r->route->open && r->status < 400;
	if (quiet || !may_log(r, &unlogged))
		return;
	if (r->keys)
		sodium_bin2hex(session, sizeof session, r->keys->id, 4);
	hel_log(r->status >= 500 ? "error" : "info", "request",
		"{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:b, s:I, s:I, s:f, s:s, s:s, s:s, s:I}",
		"request", r->id, "trace", r->trace, "address", r->address, "method",
		r->route ? r->method : "?", "route", r->route ? r->route->path : "?", "status",
		(int)r->status, "code", r->code, "complete", complete, "received",
		(json_int_t)(r->written + r->body_size), "sent", (json_int_t)r->sent, "ms",
		1e3 * (hel_clock() - r->start), "session", session, "model",
		r->model ? r->model->name : "", "api_key", r->api_key.name, "unlogged",
		(json_int_t)unlogged);
}

static void count_request(hel_request *r)
{
	hel_service *s = r->s;
	hel_count(&s->metrics.bytes_sent, r->sent);
	hel_count(&s->metrics.responses[HEL_MIN(r->status / 100, 5u)], 1);
	hel_observe(&s->metrics.stage_request, hel_clock() - r->start);
	hel_requests_count(&s->metrics.requests,
			   &(hel_request_labels){.route = r->route ? r->route->path : "",
						 .method = r->route ? r->route->method : "",
						 .status = r->status,
						 .model = r->model ? r->model->name : "",
						 .api_key = r->api_key.name});
}

void hel_request_completed(void *cls, struct MHD_Connection *connection, void **state,
			   enum MHD_RequestTerminationCode code)
{
	hel_service *s = cls;
	hel_request *r = *state;
	(void)connection;
	if (!r)
		return;
	*state = NULL;
	const bool complete = code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
	if (r->response) /* the client went away before it was sent */
		MHD_destroy_response(r->response);
	if (r->counted)
		hel_job_unwait(s->queue, r->job);
	if (r->file >= 0 &&
	    hel_store_write_end(s->store, r->keys, r->file, r->written, NULL) != HEL_OK)
		hel_log("error", "upload", "{s:s}", "reason", hel_error_detail());
	count_request(r);
	log_request(r, complete);
	hel_budget_give(&s->budget, r->reserved);
	hel_job_release(s->queue, r->job);
	hel_keyset_release(s->store, r->keys);
	hel_model_release(r->model);
	hel_free(r->body);
	hel_connection_busy(r, false);
	hel_connection_deadline(r, (double)s->settings.idle_seconds);
	hel_free(r);
}
