/* The service as operators and clients see it: sessions, isolation, bounds, quotas, models that
 * come and go. Every score is compared with the clear model. */
#include "fixture.h"
#include <jansson.h>

static reply r;

static const char *const fast[] = {
    "--reload-seconds", "1", "--opens-per-minute", "1000", "--queries-per-minute", "100000", NULL};

static void test_predictions(void **state)
{
	(void)state;
	server s;
	user u = {0};
	server_start(&s, fast);
	assert_ok(user_make(&u, s.url, "heart"));
	for (size_t row = 0; row < 5; row++)
		assert_ok(user_predict(&u, "heart", row, want));
	/* a restart loses nothing, and the keys are not uploaded again */
	const double sent = metric(s.port, "helrm_bytes_received_total");
	assert_more(sent, 1e6);
	server_stop(&s);
	server_start(&s, fast);
	assert_ok(user_connect(&u, s.url, 20));
	assert_ok(hel_remote_upload(u.remote, u.access, u.client));
	assert_ok(user_predict(&u, "heart", 5, want));
	assert_less(metric(s.port, "helrm_bytes_received_total"), 3e5);
	/* forgotten is forgotten */
	assert_ok(hel_remote_forget(u.remote, u.access));
	assert_status(HEL_EDENIED, user_predict(&u, "heart", 0, want));
	assert_status(HEL_EDENIED, hel_remote_upload(u.remote, u.access, u.client));
	assert_equal(metric(s.port, "helrm_sessions"), 0);
	server_stop(&s);
	user_clear(&u);
}

/* Whatever one client does, another's session is as if it did not exist. */
static void test_isolation(void **state)
{
	(void)state;
	server s;
	user a = {0}, b = {0};
	hel_writer query = {0};
	char url[128], headers[512], none[512];
	server_start(&s, fast);
	assert_ok(user_make(&a, s.url, "heart"));
	assert_ok(user_make(&b, s.url, "heart"));
	/* b's query under a's token, and the other way round, is refused before it runs */
	assert_ok(user_encrypt(&query, &b, 0));
	snprintf(headers, sizeof headers, "%sPrefer: wait=20\r\n", bearer(&a));
	assert_int_equal(request(&r, s.port, "POST", "/v1/models/heart/queries", headers,
				 query.bytes, query.size),
			 409);
	assert_non_null(strstr(r.body, "\"client\""));
	/* a's result does not exist for b */
	hel_writer_clear(&query);
	assert_ok(user_encrypt(&query, &a, 0));
	assert_int_equal(request(&r, s.port, "POST", "/v1/models/heart/queries", bearer(&a),
				 query.bytes, query.size),
			 202);
	const char *id = strstr(r.body, "\"query\":\"");
	assert_non_null(id);
	snprintf(url, sizeof url, "/v1/queries/%.32s", id + 9);
	static reply foreign, unknown;
	assert_int_equal(request(&foreign, s.port, "GET", url, bearer(&b), NULL, 0), 404);
	assert_int_equal(request(&unknown, s.port, "GET",
				 "/v1/queries/00000000000000000000000000000000", bearer(&b), NULL,
				 0),
			 404);
	assert_string_equal(foreign.body, unknown.body);
	assert_int_equal(request(&foreign, s.port, "DELETE", url, bearer(&b), NULL, 0), 404);
	snprintf(headers, sizeof headers, "%sPrefer: wait=20\r\n", bearer(&a));
	assert_int_equal(request(&r, s.port, "GET", url, headers, NULL, 0), 200);
	/* the right id with a wrong proof is the same as no session, for every method */
	snprintf(headers, sizeof headers, "%s", bearer(&a));
	headers[strlen(headers) - 3] ^= 1;
	snprintf(none, sizeof none, "Authorization: Bearer %0*d\r\n", HEL_PIN_BYTES * 3, 0);
	static const char *const method[] = {"GET", "DELETE", "PATCH"};
	for (size_t i = 0; i < 3; i++) {
		const char *at = i == 2 ? "/v1/session/keys" : "/v1/session";
		assert_int_equal(request(&foreign, s.port, method[i], at, headers, "x", 1), 401);
		assert_int_equal(request(&unknown, s.port, method[i], at, none, "x", 1), 401);
		assert_string_equal(foreign.body, unknown.body);
	}
	/* uploading over a complete session changes nothing */
	snprintf(headers, sizeof headers, "%sUpload-Offset: 0\r\n", bearer(&a));
	assert_int_equal(request(&r, s.port, "PATCH", "/v1/session/keys", headers, "junk", 4), 409);
	assert_ok(hel_remote_forget(b.remote, b.access));
	assert_ok(user_predict(&a, "heart", 1, want));
	hel_writer_clear(&query);
	server_stop(&s);
	user_clear(&a);
	user_clear(&b);
}

/* Sizes are known from the manifest and refused before a byte is stored. */
static void test_bounds(void **state)
{
	(void)state;
	server s;
	user u = {0};
	hel_writer query = {0};
	char headers[512];
	server_start(&s, fast);
	assert_ok(user_make(&u, s.url, "heart"));
	assert_ok(user_encrypt(&query, &u, 0));
	const char *at = "/v1/models/heart/queries";
	assert_int_equal(request(&r, s.port, "POST", at, bearer(&u), query.bytes, query.size - 1),
			 422);
	hel_write_u8(&query, 0);
	assert_int_equal(request(&r, s.port, "POST", at, bearer(&u), query.bytes, query.size), 422);
	/* larger than any form of a query */
	const size_t size = query.size - 1;
	while (query.size < 3 * size)
		hel_write_u8(&query, 0);
	assert_int_equal(request(&r, s.port, "POST", at, bearer(&u), query.bytes, query.size), 413);
	query.size = size;
	query.bytes[query.size / 2] ^= 1;
	snprintf(headers, sizeof headers, "%sPrefer: wait=20\r\n", bearer(&u));
	assert_int_equal(request(&r, s.port, "POST", at, headers, query.bytes, query.size), 422);
	assert_non_null(strstr(r.body, "\"checksum\""));
	/* announced, but never sent: refused at once */
	snprintf(headers, sizeof headers,
		 "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
	exchange_raw(&r, s.port, headers, strlen(headers), true);
	assert_int_equal(r.status, 413);
	snprintf(
	    headers, sizeof headers,
	    "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
	exchange_raw(&r, s.port, headers, strlen(headers), true);
	assert_int_equal(r.status, 411);
	assert_int_equal(request(&r, s.port, "PUT", "/v1/models", "", "", 0), 405);
	assert_int_equal(request(&r, s.port, "GET", "/v1/models/nope/manifest", "", NULL, 0), 404);
	assert_int_equal(
	    request(&r, s.port, "GET", "/v1/models/../../etc/passwd/manifest", "", NULL, 0), 404);
	/* the same key with another query is an error, with the same query the same job */
	hel_writer_clear(&query);
	assert_ok(user_encrypt(&query, &u, 0));
	snprintf(headers, sizeof headers, "%sIdempotency-Key: k\r\nPrefer: wait=20\r\n",
		 bearer(&u));
	assert_int_equal(request(&r, s.port, "POST", at, headers, query.bytes, query.size), 200);
	assert_int_equal(request(&r, s.port, "POST", at, headers, query.bytes, query.size), 200);
	assert_equal(metric(s.port, "helrm_queries_done_total"), 1);
	hel_writer_clear(&query);
	assert_ok(user_encrypt(&query, &u, 1));
	assert_int_equal(request(&r, s.port, "POST", at, headers, query.bytes, query.size), 400);
	hel_writer_clear(&query);
	server_stop(&s);
	user_clear(&u);
}

/* Keys nobody needs, twice the same, of unknown parameters: no session. */
static void test_bad_sessions(void **state)
{
	(void)state;
	server s;
	user u = {0};
	uint8_t *json;
	size_t size;
	server_start(&s, fast);
	assert_ok(user_open(&u, s.url, "heart"));
	assert_ok(hel_access_request(&json, &size, u.access));
	json_error_t error;
	json_t *good = json_loadb((char *)json, size, 0, &error);
	assert_non_null(good);
	for (int kind = 0; kind < 5; kind++) {
		json_t *bad = json_deep_copy(good), *keys = json_object_get(bad, "keys");
		if (kind == 0)
			json_array_append_new(keys, json_pack("[i, i]", 77777, 1));
		else if (kind == 1)
			json_array_append(keys, json_array_get(keys, 0));
		else if (kind == 2)
			json_object_set_new(bad, "parameters",
					    json_string("000000000000000000000000000000000000000000"
							"0000000000000000000000"));
		else if (kind == 3)
			json_array_append_new(keys, json_pack("[i, i]", 2, 0));
		else
			json_array_clear(keys);
		char *text = json_dumps(bad, 0);
		const int status =
		    request(&r, s.port, "POST", "/v1/sessions", "", text, strlen(text));
		assert_int_equal(status, kind == 2 ? 409 : 400);
		free(text);
		json_decref(bad);
	}
	assert_equal(metric(s.port, "helrm_sessions"), 1);
	json_decref(good);
	hel_bytes_free(json, size);
	/* keys of another shape than announced: refused when complete, and from the start again */
	const uint64_t bytes = hel_access_keys_size(u.access, u.client);
	uint8_t *junk = calloc(1, bytes);
	char headers[512];
	assert_non_null(junk);
	snprintf(headers, sizeof headers, "%sUpload-Offset: 0\r\n", bearer(&u));
	assert_int_equal(request(&r, s.port, "PATCH", "/v1/session/keys", headers, junk, bytes),
			 422);
	assert_non_null(strstr(r.text, "Upload-Offset: 0\r\n"));
	free(junk);
	assert_ok(hel_remote_upload(u.remote, u.access, u.client));
	assert_ok(user_predict(&u, "heart", 2, want));
	server_stop(&s);
	user_clear(&u);
}

/* Several models share one upload; a model is replaced while it serves. */
static void test_models(void **state)
{
	(void)state;
	static double narrow[ROWS], wide[ROWS], second[ROWS];
	server s;
	user u = {0}, other = {0};
	uint8_t *manifest, pin[HEL_PIN_BYTES];
	size_t size;
	make_model(path("models/other.helm"), "other", 7, 3, narrow);
	server_start(&s, fast);
	assert_ok(user_make(&u, s.url, "heart"));
	assert_ok(user_predict(&u, "heart", 0, want));
	assert_ok(hel_remote_manifest(&manifest, &size, u.remote, "other"));
	assert_ok(hel_client_open(&other.client, manifest, size, NULL, u.secret));
	assert_true(hel_access_covers(u.access, other.client));
	assert_ok(hel_client_use(other.client, u.access));
	hel_client *heart = u.client;
	u.client = other.client;
	assert_ok(user_predict(&u, "other", 3, narrow));
	u.client = heart;
	hel_bytes_free(manifest, size);
	/* a bad file: the old version stays */
	const double refused = metric(s.port, "helrm_model_refusals_total");
	write_file("models/other.helm", "not a program", 13);
	for (int i = 0; i < 100 && metric(s.port, "helrm_model_refusals_total") == refused; i++)
		usleep(50000);
	assert_equal(metric(s.port, "helrm_model_refusals_total"), refused + 1);
	u.client = other.client;
	assert_ok(user_predict(&u, "other", 4, narrow));
	/* other weights: a new manifest, which the same keys cover */
	char tag[128];
	snprintf(tag, sizeof tag, "%s", manifest_of(s.port, "other"));
	make_model(path("models/other.helm"), "other", 8, 3, second);
	assert_more(fabs(second[5] - narrow[5]), 0.01);
	kill(s.pid, SIGHUP);
	while (strstr(manifest_of(s.port, "other"), tag))
		usleep(10000);
	assert_status(HEL_EMODEL, user_predict(&u, "other", 5, second));
	assert_ok(hel_remote_manifest(&manifest, &size, u.remote, "other"));
	hel_client_pin(pin, u.client);
	hel_client *refused_client;
	assert_status(HEL_EMODEL, hel_client_open(&refused_client, manifest, size, pin, u.secret));
	hel_client_free(u.client);
	assert_ok(hel_client_open(&other.client, manifest, size, NULL, u.secret));
	hel_bytes_free(manifest, size);
	u.client = other.client;
	const double received = metric(s.port, "helrm_bytes_received_total");
	assert_true(hel_access_covers(u.access, u.client));
	assert_ok(hel_client_use(u.client, u.access));
	assert_ok(hel_remote_upload(u.remote, u.access, u.client));
	assert_ok(user_predict(&u, "other", 5, second));
	assert_less(metric(s.port, "helrm_bytes_received_total") - received, 3e5);
	u.client = heart;
	/* another shape: queries of the old manifest are told so; the model that is gone, too */
	snprintf(tag, sizeof tag, "%s", manifest_of(s.port, "other"));
	make_model(path("models/other.helm"), "other", 8, 12, wide);
	kill(s.pid, SIGHUP);
	while (strstr(manifest_of(s.port, "other"), tag))
		usleep(10000);
	u.client = other.client;
	assert_status(HEL_EKEY, user_predict(&u, "other", 5, second));
	assert_non_null(strstr(hel_error_detail(), "--accept-manifest"));
	u.client = heart;
	assert_ok(user_predict(&u, "heart", 6, want));
	unlink(path("models/other.helm"));
	kill(s.pid, SIGHUP);
	while (request(&r, s.port, "GET", "/v1/models/other/manifest", "", NULL, 0) == 200)
		usleep(10000);
	assert_int_equal(r.status, 404);
	assert_less(access(path("data/weights/other.weights"), F_OK), 0);
	server_stop(&s);
	user_clear(&u);
	user_clear(&other);
}

/* The least recently used key set makes room, a young one does not. */
static void test_quota(void **state)
{
	(void)state;
	server s;
	user u[3] = {{{0}, NULL, NULL, NULL}};
	static const char *const two[] = {
	    "--sessions", "2", "--session-keep", "0", "--opens-per-minute", "1000", NULL};
	server_start(&s, two);
	for (int i = 0; i < 3; i++) {
		assert_ok(user_make(&u[i], s.url, "heart"));
		assert_ok(user_predict(&u[i], "heart", (size_t)i, want));
		if (i == 1)
			assert_ok(user_predict(&u[0], "heart", 9, want));
	}
	assert_ok(user_predict(&u[0], "heart", 0, want));
	assert_status(HEL_EDENIED, user_predict(&u[1], "heart", 0, want));
	assert_ok(user_predict(&u[2], "heart", 2, want));
	assert_equal(metric(s.port, "helrm_sessions_evicted_total"), 1);
	server_stop(&s);
	/* the same with protection: 507, and nobody loses anything */
	static const char *const keep[] = {
	    "--sessions", "2", "--session-keep", "1000", "--opens-per-minute", "1000", NULL};
	server_start(&s, keep);
	uint8_t *json;
	size_t size;
	assert_ok(hel_access_request(&json, &size, u[0].access));
	assert_int_equal(request(&r, s.port, "POST", "/v1/sessions", "", json, size), 507);
	assert_non_null(strstr(r.text, "Retry-After: "));
	hel_bytes_free(json, size);
	server_stop(&s);
	/* time to live */
	static const char *const brief[] = {"--session-ttl", "1", NULL};
	server_start(&s, brief);
	for (int i = 0; i < 100 && metric(s.port, "helrm_sessions") > 0; i++)
		usleep(100000);
	assert_equal(metric(s.port, "helrm_sessions"), 0);
	assert_equal(metric(s.port, "helrm_disk_bytes"), 0);
	server_stop(&s);
	for (int i = 0; i < 3; i++)
		user_clear(&u[i]);
}

static void assert_appears(const char *file)
{
	for (int i = 0; i < 200 && access(path(file), F_OK); i++)
		usleep(50000);
	assert_int_equal(0, access(path(file), F_OK));
}

/* Weights are encoded before the first query, mapped by the next server, never believed blindly. */
static void test_weights(void **state)
{
	(void)state;
	static const char file[] = "data/weights/heart.weights";
	server s;
	user u = {0};
	server_start(&s, fast);
	assert_appears(file); /* nobody has asked yet */
	assert_ok(user_make(&u, s.url, "heart"));
	assert_ok(user_predict(&u, "heart", 0, want));
	assert_equal(metric(s.port, "helrm_models_encoded_total"), 1);
	assert_equal(metric(s.port, "helrm_model_loads_total"), 1);
	server_stop(&s);
	write_file("data/weights/gone.weights", "x", 1);
	write_file("data/weights/heart.weights.partial", "x", 1);
	server_start(&s, fast);
	assert_ok(user_connect(&u, s.url, 20));
	assert_ok(user_predict(&u, "heart", 1, want));
	assert_equal(metric(s.port, "helrm_models_encoded_total"), 0);
	assert_less(access(path("data/weights/gone.weights"), F_OK), 0);
	assert_less(access(path("data/weights/heart.weights.partial"), F_OK), 0);
	server_stop(&s);
	/* damaged: the last weight, whose checksum no head shows */
	int fd = open(path(file), O_RDWR | O_CLOEXEC);
	assert_at_least(fd, 0);
	const off_t end = lseek(fd, 0, SEEK_END);
	assert_int_equal(4, pwrite(fd, "\1\2\3\4", 4, end - 100));
	close(fd);
	server_start(&s, fast);
	assert_ok(user_connect(&u, s.url, 20));
	assert_ok(user_predict(&u, "heart", 2, want));
	assert_equal(metric(s.port, "helrm_models_encoded_total"), 1);
	server_stop(&s);
	/* not writable: from memory */
	unlink(path(file));
	assert_int_equal(0, mkdir(path(file), 0700));
	write_file("data/weights/heart.weights/x", "x", 1);
	server_start(&s, fast);
	assert_ok(user_connect(&u, s.url, 20));
	assert_ok(user_predict(&u, "heart", 3, want));
	assert_at_least(metric(s.port, "helrm_models_encoded_total"), 1);
	server_stop(&s);
	user_clear(&u);
}

/* Rates, queue, memory: refused with Retry-After, never a crash. */
static void test_admission(void **state)
{
	(void)state;
	server s;
	user u = {0};
	hel_writer query = {0};
	static const char *const slow[] = {"--queries-per-minute", "6", "--opens-per-minute", "2",
					   NULL};
	server_start(&s, slow);
	assert_ok(user_make(&u, s.url, "heart"));
	assert_ok(user_encrypt(&query, &u, 0));
	int status = 0, asked = 0;
	do
		status = request(&r, s.port, "POST", "/v1/models/heart/queries", bearer(&u),
				 query.bytes, query.size);
	while (++asked < 20 && status == 202);
	assert_int_equal(status, 429);
	assert_int_equal(asked, 7);
	assert_non_null(strstr(r.text, "Retry-After: "));
	/* guessing tokens and opening sessions share an allowance per address */
	assert_int_equal(
	    request(&r, s.port, "GET", "/v1/session", "Authorization: Bearer x\r\n", NULL, 0), 401);
	assert_int_equal(
	    request(&r, s.port, "GET", "/v1/session", "Authorization: Bearer x\r\n", NULL, 0), 429);
	server_stop(&s);
	/* a model that no memory will ever hold is not in service, and nobody waits for it */
	static const char *const small[] = {"--memory-mb", "4", "--queries-per-minute", "1000",
					    NULL};
	server_start(&s, small);
	assert_int_equal(request(&r, s.port, "GET", "/readyz", "", NULL, 0), 503);
	assert_non_null(strstr(r.body, "'heart' was refused: one query takes"));
	assert_int_equal(request(&r, s.port, "POST", "/v1/models/heart/queries", bearer(&u),
				 query.bytes, query.size),
			 404);
	server_stop(&s);
	/* a queue of one session's */
	static const char *const narrow[] = {"--session-queue",	     "2",      "--workers", "1",
					     "--queries-per-minute", "100000", NULL};
	server_start(&s, narrow);
	int refused = 0, accepted = 0;
	for (int i = 0; i < 200 && !refused; i++) {
		status = request(&r, s.port, "POST", "/v1/models/heart/queries", bearer(&u),
				 query.bytes, query.size);
		refused += status == 503;
		accepted += status == 202;
		assert_true(status == 503 || status == 202);
	}
	assert_at_least(accepted, 2);
	hel_writer_clear(&query);
	server_stop(&s);
	user_clear(&u);
}

/* SIGTERM: what runs ends and is answered. */
static void test_drain(void **state)
{
	(void)state;
	server s;
	user u = {0};
	hel_writer query = {0};
	char head[512];
	static const char *const one[] = {"--workers", "1", "--session-queue", "100", NULL};
	server_start(&s, one);
	assert_ok(user_make(&u, s.url, "heart"));
	assert_ok(user_predict(&u, "heart", 0, want));
	int fd[8];
	for (int i = 0; i < 8; i++) {
		assert_ok(user_encrypt(&query, &u, (size_t)i));
		int n = snprintf(head, sizeof head,
				 "POST /v1/models/heart/queries HTTP/1.1\r\nHost: x\r\n%sPrefer: "
				 "wait=30\r\nContent-Length: %zu\r\n\r\n",
				 bearer(&u), query.size);
		fd[i] = dial(s.port);
		assert_int_equal(send(fd[i], head, (size_t)n, 0), n);
		for (size_t done = 0; done < query.size;) {
			ssize_t sent = send(fd[i], query.bytes + done, query.size - done, 0);
			assert_more(sent, 0);
			done += (size_t)sent;
		}
		hel_writer_clear(&query);
	}
	for (int i = 0; i < 100 && metric(s.port, "helrm_queries_accepted_total") < 9; i++)
		usleep(10000);
	server_stop(&s);
	for (int i = 0; i < 8; i++) {
		static uint8_t answer[1 << 18];
		size_t size = 0;
		for (ssize_t n; (n = recv(fd[i], answer + size, sizeof answer - size, 0)) > 0;)
			size += (size_t)n;
		close(fd[i]);
		assert_more(size, 12);
		assert_equal(memcmp(answer, "HTTP/1.1 200", 12), 0);
		uint8_t *body = memmem(answer, size, "\r\n\r\n", 4);
		hel_score score;
		assert_ok(hel_client_score(&score, u.client, body + 4,
					   size - (size_t)(body + 4 - answer)));
		assert_within(score.logit, want[i], 0x1p-12);
	}
	user_clear(&u);
}

/* At once, without the courtesy of a last word. */
static void hang_up(int fd)
{
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	close(fd);
}

/* A query behind many others, sent by a client that waits for the answer; its socket. */
static int send_and_wait(const server *s, const user *u, const hel_writer *query)
{
	char head[512];
	int n = snprintf(head, sizeof head,
			 "POST /v1/models/heart/queries HTTP/1.1\r\nHost: x\r\n%sPrefer: "
			 "wait=30\r\nContent-Length: %zu\r\n\r\n",
			 bearer(u), query->size);
	int fd = dial(s->port);
	assert_int_equal(send(fd, head, (size_t)n, 0), n);
	for (size_t done = 0; done < query->size;)
		done += (size_t)send(fd, query->bytes + done, query->size - done, 0);
	return fd;
}

/* A backlog however fast the machine is; r holds the answer to the last query. */
static void fill_queue(const server *s, const user *u, const hel_writer *query)
{
	while (metric(s->port, "helrm_queue_length") < 500)
		for (int i = 0; i < 100; i++)
			assert_int_equal(request(&r, s->port, "POST", "/v1/models/heart/queries",
						 bearer(u), query->bytes, query->size),
					 202);
}

/* What nobody waits for any more, and what takes too long, is not computed. */
static void test_cancel(void **state)
{
	(void)state;
	server s;
	user u = {0};
	hel_writer query = {0};
	static const char *const gone[] = {"--workers",
					   "1",
					   "--session-queue",
					   "100000",
					   "--queue",
					   "100000",
					   "--queries-per-minute",
					   "100000",
					   "--gone-seconds",
					   "0",
					   NULL};
	static const char *const late[] = {"--workers",
					   "1",
					   "--session-queue",
					   "100000",
					   "--queue",
					   "100000",
					   "--queries-per-minute",
					   "100000",
					   "--query-seconds",
					   "1",
					   NULL};
	server_start(&s, gone);
	assert_ok(user_make(&u, s.url, "heart"));
	assert_ok(user_encrypt(&query, &u, 0));
	fill_queue(&s, &u, &query);
	const double accepted = metric(s.port, "helrm_queries_accepted_total");
	int fd = send_and_wait(&s, &u, &query);
	while (metric(s.port, "helrm_queries_accepted_total") == accepted)
		usleep(5000);
	assert_equal(metric(s.port, "helrm_queries_cancelled_total"), 0);
	hang_up(fd);
	while (metric(s.port, "helrm_queries_cancelled_total") == 0) {
		assert_more(metric(s.port, "helrm_queue_length"),
			    0); /* it was not simply its turn */
		usleep(20000);
	}
	server_end(&s, SIGKILL);
	server_start(&s, late);
	assert_ok(user_connect(&u, s.url, 20));
	assert_ok(user_predict(&u, "heart", 0, want));
	/* faster than they can be answered, until some are too late; each is answered or told so */
	static char ids[20000][HEL_PIN_BYTES + 1];
	size_t sent = 0, told = 0;
	while (sent + 100 <= HEL_ARRAY_LEN(ids) &&
	       metric(s.port, "helrm_queries_cancelled_total") == 0)
		for (int i = 0; i < 100; i++) {
			const int status = request(&r, s.port, "POST", "/v1/models/heart/queries",
						   bearer(&u), query.bytes, query.size);
			assert_true(status == 200 || status == 202);
			if (status == 200)
				continue; /* done already */
			snprintf(ids[sent++], sizeof ids[0], "%.32s",
				 strstr(r.body, "\"query\":\"") + 9);
		}
	for (size_t i = 0; i < sent; i++) {
		char url[64], headers[512];
		snprintf(url, sizeof url, "/v1/queries/%.32s", ids[i]);
		snprintf(headers, sizeof headers, "%sPrefer: wait=20\r\n", bearer(&u));
		const int status = request(&r, s.port, "GET", url, headers, NULL, 0);
		assert_true(status == 200 || (status == 504 && strstr(r.body, "longer than")));
		told += status == 504;
	}
	assert_more(told, 0);
	assert_ok(user_predict(&u, "heart", 1, want));
	hel_writer_clear(&query);
	server_stop(&s);
	user_clear(&u);
}

int main(int argc, char **argv)
{
	if (!world_arguments(argc, argv))
		return 2;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_predictions, fresh_data),
	    cmocka_unit_test_setup(test_isolation, fresh_data),
	    cmocka_unit_test_setup(test_bounds, fresh_data),
	    cmocka_unit_test_setup(test_bad_sessions, fresh_data),
	    cmocka_unit_test_setup(test_models, fresh_data),
	    cmocka_unit_test_setup(test_weights, fresh_data),
	    cmocka_unit_test_setup(test_quota, fresh_data),
	    cmocka_unit_test_setup(test_admission, fresh_data),
	    cmocka_unit_test_setup(test_drain, fresh_data),
	    cmocka_unit_test_setup(test_cancel, fresh_data),
	};
	return cmocka_run_group_tests(tests, world_make, world_remove);
}
