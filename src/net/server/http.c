#include "http.h"
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define DRAIN_MAX (1u << 20) /* a refused body is read to its end up to this size */
#define NEVER 1e300

/* --- answers ----------------------------------------------------------------------------- */

void hel_answer_bytes(hel_request *r, unsigned status, const char *type, const void *bytes,
		      size_t size)
{
	if (r->response)
		return;
	r->response =
	    MHD_create_response_from_buffer(size, (void *)(uintptr_t)bytes, MHD_RESPMEM_MUST_COPY);
	r->status = status;
	r->sent = size;
	hel_answer_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	hel_answer_header(r, "Cache-Control", "no-store");
	hel_answer_header(r, "X-Content-Type-Options", "nosniff");
}

void hel_answer_header(hel_request *r, const char *name, const char *value)
{
	if (r->response)
		MHD_add_response_header(r->response, name, value);
}

void hel_answer_json(hel_request *r, unsigned status, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	if (text)
		hel_answer_bytes(r, status,
				 status < 400 ? "application/json" : "application/problem+json",
				 text, strlen(text));
	else
		hel_answer_bytes(r, 500, "text/plain", "out of memory\n", 14);
	free(text);
	json_decref(body);
}

void hel_answer_problem(hel_request *r, unsigned status, const char *code, const char *detail,
			double retry)
{
	if (r->response)
		return;
	hel_answer_json(
	    r, status,
	    json_pack("{s:i, s:s, s:s}", "status", (int)status, "code", code, "detail", detail));
	if (retry > 0) {
		char seconds[24];
		snprintf(seconds, sizeof seconds, "%.0f", ceil(fmin(retry, 3600)));
		hel_answer_header(r, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
	}
	if (status == 401)
		hel_answer_header(r, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
}

static const struct {
	unsigned http;
	const char *code;
} meaning[] = {
    [HEL_EINVAL] = {400, "invalid"},
    [HEL_ENOMEM] = {503, "memory"},
    [HEL_EIO] = {500, "io"},
    [HEL_EFORMAT] = {422, "format"},
    [HEL_EVERSION] = {422, "version"},
    [HEL_ETRUNC] = {422, "truncated"},
    [HEL_ELIMIT] = {413, "limit"},
    [HEL_EHASH] = {422, "checksum"},
    [HEL_ELEVEL] = {422, "level"},
    [HEL_ESCALE] = {422, "scale"},
    [HEL_EKEY] = {409, "keys"},
    [HEL_EPARAMS] = {409, "parameters"},
    [HEL_ESECURITY] = {422, "security"},
    [HEL_EMODEL] = {409, "model"},
    [HEL_ECLIENT] = {409, "client"},
    [HEL_EDATA] = {422, "data"},
    [HEL_EUNSUPPORTED] = {422, "unsupported"},
    [HEL_ERANGE] = {409, "offset"},
    [HEL_EBUSY] = {503, "busy"},
    [HEL_ESPACE] = {507, "space"},
    [HEL_ECANCEL] = {504, "cancelled"},
    [HEL_EDENIED] = {403, "denied"},
};

void hel_answer_failure(hel_request *r, hel_status st, double retry)
{
	const char *detail = hel_error_detail();
	unsigned status = (size_t)st < HEL_ARRAY_LEN(meaning) ? meaning[st].http : 500;
	const char *code = status == 500 || !meaning[st].code ? "io" : meaning[st].code;
	if (status == 500) { /* paths and the like are for the log only */
		hel_log("error", "failure", "{s:I, s:s}", "request", (json_int_t)r->number,
			"reason", detail);
		detail = "the server failed; its log knows more";
	}
	if (status == 503 || status == 507) {
		hel_count(&r->s->metrics.refused_load, 1);
		retry = retry > 0 ? retry : 2;
	}
	hel_answer_problem(r, status, code, *detail ? detail : hel_status_text(st), retry);
}

const char *hel_request_header(hel_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

/* --- connections ------------------------------------------------------------------------- */

static void connection_event(void *cls, struct MHD_Connection *connection, void **socket,
			     enum MHD_ConnectionNotificationCode event)
{
	hel_service *s = cls;
	if (event == MHD_CONNECTION_NOTIFY_STARTED) {
		hel_connection *c = hel_alloc(1, sizeof *c);
		*socket = c;
		if (!c)
			return;
		c->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
			    ->connect_fd;
		c->deadline = hel_clock() + (double)s->settings.header_seconds;
		pthread_mutex_lock(&s->lock);
		c->next = s->connections;
		if (c->next)
			c->next->previous = c;
		s->connections = c;
		s->connection_count++;
		pthread_mutex_unlock(&s->lock);
	} else if (*socket) {
		hel_connection *c = *socket;
		pthread_mutex_lock(&s->lock);
		*(c->previous ? &c->previous->next : &s->connections) = c->next;
		if (c->next)
			c->next->previous = c->previous;
		s->connection_count--;
		pthread_mutex_unlock(&s->lock);
		hel_free(c);
		*socket = NULL;
	}
}

static void set_deadline(hel_request *r, double seconds)
{
	if (!r->socket)
		return;
	pthread_mutex_lock(&r->s->lock);
	r->socket->deadline = seconds < NEVER ? hel_clock() + seconds : NEVER;
	pthread_mutex_unlock(&r->s->lock);
}

static double transfer_seconds(const hel_service *s, uint64_t bytes)
{
	return (double)s->settings.header_seconds +
	       (double)bytes / (1024 * (double)s->settings.min_rate);
}

static void cut_slow_connections(hel_service *s, double now)
{
	pthread_mutex_lock(&s->lock);
	for (hel_connection *c = s->connections; c; c = c->next)
		if (now > c->deadline) {
			c->deadline = NEVER;
			shutdown(c->fd, SHUT_RDWR); /* MHD sees the end and closes it */
			hel_count(&s->metrics.connections_slow, 1);
		}
	pthread_mutex_unlock(&s->lock);
}

/* --- waiting ----------------------------------------------------------------------------- */

static bool is_over(hel_request *r, double now)
{
	if (r->verify)
		return atomic_load(&r->verified);
	return r->gone || now > r->until || atomic_load(&r->s->closing) ||
	       hel_job_poll(r->s->queue, r->job, false);
}

void hel_http_wake(void *service)
{
	hel_service *s = service;
	const double now = hel_clock();
	pthread_mutex_lock(&s->lock);
	for (hel_request **at = &s->waiting; *at;) {
		hel_request *r = *at;
		if (!is_over(r, now)) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		MHD_resume_connection(r->connection);
	}
	pthread_mutex_unlock(&s->lock);
}

/* MHD does not look at suspended connections: we ask their sockets. */
static void find_gone(hel_service *s)
{
	pthread_mutex_lock(&s->lock);
	for (hel_request *r = s->waiting; r; r = r->next) {
		struct pollfd fd = {.fd = r->socket ? r->socket->fd : -1, .events = POLLRDHUP};
		r->gone = r->gone || (poll(&fd, 1, 0) > 0 && fd.revents);
	}
	pthread_mutex_unlock(&s->lock);
}

/* Puts the request aside; false when there is nothing to wait for. */
static bool suspend(hel_request *r)
{
	hel_service *s = r->s;
	pthread_mutex_lock(&s->lock);
	if (!r->verify) {
		r->until = hel_clock() + r->wait;
		r->counted = r->wait > 0 && !hel_job_poll(s->queue, r->job, true);
	}
	const bool wait = r->verify || r->counted;
	if (wait) {
		r->next = s->waiting;
		s->waiting = r;
		MHD_suspend_connection(r->connection);
	}
	pthread_mutex_unlock(&s->lock);
	if (r->verify) { /* not before it is among the waiting: it will be woken */
		pthread_mutex_lock(&s->verify_lock);
		hel_request **last = &s->to_verify;
		while (*last)
			last = &(*last)->next_to_verify;
		*last = r;
		pthread_cond_signal(&s->verify_work);
		pthread_mutex_unlock(&s->verify_lock);
	}
	return wait;
}

/* Ends uploads: syncing and checking them takes too long for the threads that talk to clients. */
static void *verifier(void *arg)
{
	hel_service *s = arg;
	pthread_mutex_lock(&s->verify_lock);
	for (;;) {
		hel_request *r = s->to_verify;
		if (!r && s->verify_stop)
			break;
		if (!r) {
			pthread_cond_wait(&s->verify_work, &s->verify_lock);
			continue;
		}
		s->to_verify = r->next_to_verify;
		pthread_mutex_unlock(&s->verify_lock);
		const hel_params *params = hel_catalog_params(s->catalog, r->keys->fingerprint);
		r->verdict = hel_store_write_end(s->store, r->keys, r->file, r->written, params);
		if (r->verdict == HEL_OK && !params)
			r->verdict =
			    hel_fail(HEL_EPARAMS, "no model here has these parameters any more");
		r->file = -1;
		snprintf(r->verdict_detail, sizeof r->verdict_detail, "%s", hel_error_detail());
		atomic_store(&r->verified, true);
		hel_http_wake(s);
		pthread_mutex_lock(&s->verify_lock);
	}
	pthread_mutex_unlock(&s->verify_lock);
	return NULL;
}

/* --- requests ---------------------------------------------------------------------------- */

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
	for (size_t i = 0; i < hel_routes_count; i++) {
		if (!matches(&hel_routes[i], url, r->segment))
			continue;
		known = true;
		if (strcmp(hel_routes[i].method, method) == 0) {
			r->route = &hel_routes[i];
			return;
		}
		size_t n = strlen(allowed);
		snprintf(allowed + n, sizeof allowed - n, "%s%s", n ? ", " : "",
			 hel_routes[i].method);
	}
	if (known) {
		hel_answer_problem(r, 405, "method", "this resource has no such method", 0);
		hel_answer_header(r, MHD_HTTP_HEADER_ALLOW, allowed);
	} else {
		hel_answer_problem(r, 404, "unknown", "there is nothing here", 0);
	}
}

/* The announced length; a body without one is refused. */
static void read_length(hel_request *r)
{
	const char *length = hel_request_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
	if (hel_request_header(r, MHD_HTTP_HEADER_TRANSFER_ENCODING))
		hel_answer_problem(r, 411, "length", "a Content-Length is needed", 0);
	else if (length)
		r->length = strtoull(length, NULL, 10); /* MHD refuses what is no number */
}

static void begin(hel_request *r, const char *url, const char *method)
{
	find_route(r, url, method);
	read_length(r);
	if (!r->response)
		hel_http_check_access(r);
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
	set_deadline(r, transfer_seconds(r->s, r->sent));
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
	r->number = atomic_fetch_add(&s->requests, 1) + 1;
	r->socket =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	return r;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *size, void **state)
{
	(void)version;
	hel_request *r = *state;
	if (!r) {
		*state = r = request_new(cls, connection, method);
		if (!r)
			return MHD_NO;
		begin(r, url, method);
		set_deadline(r, transfer_seconds(r->s, 0)); /* more as bytes come */
		/* a small body is read although it is refused, so that the client reads the answer
		 */
		return r->response && r->length > DRAIN_MAX ? answer(r) : MHD_YES;
	}
	if (*size) {
		r->got += *size;
		take(r, (const uint8_t *)data, *size);
		set_deadline(r, transfer_seconds(r->s, r->got) - (hel_clock() - r->start));
		*size = 0;
		return MHD_YES;
	}
	if (r->response)
		return answer(r);
	set_deadline(r, NEVER);
	if (!r->ended) {
		r->ended = true;
		r->route->end(r);
		if (r->response)
			return answer(r);
		if (suspend(r))
			return MHD_YES;
	}
	if (r->counted)
		hel_job_unwait(r->s->queue, r->job);
	r->counted = false;
	r->route->resume(r);
	return answer(r);
}

static void log_request(const hel_request *r, bool complete)
{
	char session[9] = "";
	const bool quiet = r->route && r->route->open && r->status < 400;
	if (quiet)
		return;
	if (r->keys)
		sodium_bin2hex(session, sizeof session, r->keys->id, 4);
	hel_log(r->status >= 500 ? "error" : "info", "request",
		"{s:I, s:s, s:s, s:i, s:b, s:I, s:I, s:f, s:s, s:s}", "request",
		(json_int_t)r->number, "method", r->route ? r->route->method : "?", "route",
		r->route ? r->route->path : "?", "status", (int)r->status, "complete", complete,
		"received", (json_int_t)(r->written + r->body_size), "sent", (json_int_t)r->sent,
		"ms", 1e3 * (hel_clock() - r->start), "session", session, "model",
		r->model ? r->model->name : "");
}

static void completed(void *cls, struct MHD_Connection *connection, void **state,
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
	hel_count(&s->metrics.bytes_sent, r->sent);
	hel_count(&s->metrics.responses[HEL_MIN(r->status / 100, 5u)], 1);
	hel_observe(&s->metrics.stage_request, hel_clock() - r->start);
	log_request(r, complete);
	hel_budget_give(&s->budget, r->reserved);
	hel_job_release(s->queue, r->job);
	hel_keyset_release(s->store, r->keys);
	hel_model_release(r->model);
	hel_free(r->body);
	set_deadline(r, (double)s->settings.idle_seconds);
	hel_free(r);
}

/* --- the daemon -------------------------------------------------------------------------- */

static void on_mhd_message(void *cls, const char *format, va_list list)
{
	char text[256];
	(void)cls;
	vsnprintf(text, sizeof text, format, list);
	text[strcspn(text, "\n")] = 0;
	hel_log("debug", "http", "{s:s}", "message", hel_is_text(text) ? text : "?");
}

/* MHD logs every malformed request and every broken handshake: too much to keep. */
static void no_message(void *cls, const char *format, va_list list)
{
	(void)cls;
	(void)format;
	(void)list;
}

static hel_status read_pem(char **out, const char *path)
{
	uint8_t *bytes = NULL;
	size_t size;
	hel_status st = *path ? hel_file_read(path, 1u << 20, &bytes, &size) : HEL_OK;
	*out = (char *)bytes;
	return st;
}

static hel_status start_daemon(hel_service *s, const struct sockaddr *address, bool six)
{
	const hel_settings *set = &s->settings;
	struct MHD_OptionItem options[16];
	size_t n = 0;
#define OPTION(name, number, pointer)                                                              \
	options[n++] =                                                                             \
	    (struct MHD_OptionItem){name, (intptr_t)(number), (void *)(uintptr_t)(pointer)}
	OPTION(MHD_OPTION_SOCK_ADDR, 0, address);
	OPTION(MHD_OPTION_THREAD_POOL_SIZE, set->io_threads, 0);
	OPTION(MHD_OPTION_CONNECTION_LIMIT, set->connections, 0);
	OPTION(MHD_OPTION_PER_IP_CONNECTION_LIMIT, set->connections_per_address, 0);
	OPTION(MHD_OPTION_CONNECTION_MEMORY_LIMIT, 64 << 10, 0);
	OPTION(MHD_OPTION_LISTENING_ADDRESS_REUSE, 1, 0);
	OPTION(MHD_OPTION_LISTEN_BACKLOG_SIZE, 511, 0);
	if (s->cert) {
		OPTION(MHD_OPTION_HTTPS_MEM_CERT, 0, s->cert);
		OPTION(MHD_OPTION_HTTPS_MEM_KEY, 0, s->key);
		OPTION(MHD_OPTION_HTTPS_PRIORITIES, 0,
		       "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2");
	}
	if (s->ca)
		OPTION(MHD_OPTION_HTTPS_MEM_TRUST, 0, s->ca);
	OPTION(MHD_OPTION_END, 0, NULL);
#undef OPTION
	/* poll, not epoll: MHD 0.9.75 misses the end of a connection in the middle of a body there
	 */
	const unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG |
			       MHD_ALLOW_SUSPEND_RESUME | (six ? MHD_USE_IPv6 : 0) |
			       (s->cert ? MHD_USE_TLS : 0);
	s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, s, MHD_OPTION_EXTERNAL_LOGGER,
				     getenv("HELRM_LOG_HTTP") ? on_mhd_message : no_message, NULL,
				     MHD_OPTION_NOTIFY_COMPLETED, completed, s,
				     MHD_OPTION_NOTIFY_CONNECTION, connection_event, s,
				     MHD_OPTION_ARRAY, options, MHD_OPTION_END);
	return s->daemon ? HEL_OK
			 : hel_fail(HEL_EIO, "cannot listen on %s: %s", set->listen,
				    errno ? strerror(errno) : "bad certificate or key");
}

hel_status hel_http_open(hel_service *s)
{
	hel_status st = HEL_OK;
	char host[64];
	uint16_t port;
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	hel_random_bytes(s->address_key, sizeof s->address_key);
	TRY(hel_http_load_api_keys(s));
	TRY(read_pem(&s->cert, s->settings.tls_cert));
	TRY(read_pem(&s->key, s->settings.tls_key));
	TRY(read_pem(&s->ca, s->settings.client_ca));
	TRY(hel_settings_address(host, sizeof host, &port, s->settings.listen));
	const bool is_six = strchr(host, ':') != NULL;
	four.sin_port = six.sin6_port = htons(port);
	inet_pton(is_six ? AF_INET6 : AF_INET, host,
		  is_six ? (void *)&six.sin6_addr : (void *)&four.sin_addr);
	for (; s->verifiers < HEL_ARRAY_LEN(s->verifier); s->verifiers++)
		if (pthread_create(&s->verifier[s->verifiers], NULL, verifier, s))
			FAIL(HEL_ENOMEM, "cannot start a thread");
	errno = 0;
	TRY(start_daemon(s, is_six ? (const void *)&six : (const void *)&four, is_six));
	const union MHD_DaemonInfo *info =
	    MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
	s->port = info ? info->port : port;
done:
	return st;
}

void hel_http_tick(hel_service *s)
{
	find_gone(s);
	cut_slow_connections(s, hel_clock());
	hel_http_wake(s);
}

/* Requests in progress have been answered, or are answered now; MHD sends what is queued. */
void hel_http_close(hel_service *s)
{
	atomic_store(&s->closing, true);
	for (unsigned i = 0; s->daemon && i < 50; i++) {
		hel_http_wake(s);
		pthread_mutex_lock(&s->lock);
		const bool idle = !s->waiting;
		pthread_mutex_unlock(&s->lock);
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		if (idle)
			break;
	}
	pthread_mutex_lock(&s->verify_lock);
	s->verify_stop = true;
	pthread_cond_broadcast(&s->verify_work);
	pthread_mutex_unlock(&s->verify_lock);
	while (s->verifiers)
		pthread_join(s->verifier[--s->verifiers], NULL);
	hel_http_wake(s);
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	s->daemon = NULL;
	hel_free(s->cert);
	hel_free_secret(s->key, s->key ? strlen(s->key) : 0);
	hel_free(s->ca);
	hel_free(s->api_key);
}
