/* What the service makes of HTTP itself: heads that can be read in two ways, bodies that it does
 * not want, HEAD, half-closed connections, ids, one port for one server. */
#include "fixture.h"

static reply r;

/* The status of raw bytes; *closed: the server ended the connection, though it was not asked to. */
static int raw(uint16_t port, const char *text, bool *closed)
{
	struct pollfd p = {.events = POLLIN};
	p.fd = dial(port);
	r = (reply){.size = 0};
	assert_int_equal(send(p.fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	*closed = false;
	for (ssize_t n; !*closed && poll(&p, 1, r.size ? 500 : 5000) > 0;) {
		n = recv(p.fd, r.text + r.size, sizeof r.text - 1 - r.size, 0);
		*closed = n <= 0;
		r.size += n > 0 ? (size_t)n : 0;
	}
	close(p.fd);
	r.text[r.size] = 0;
	if (sscanf(r.text, "HTTP/1.%*d %d", &r.status) != 1)
		r.status = 0;
	return r.status;
}

static void test_strict(void **state)
{
	(void)state;
	server s;
	bool closed;
	server_start(&s, NULL);
	static const char *const ambiguous[] = {
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
	    ("GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: "
	     "chunked\r\n\r\n0\r\n\r\n"),
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n 5\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n 5\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nX: b\rContent-Length: 5\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Y : b\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Y\t: b\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nX(Y): b\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
	    /* lines that end with LF alone, that go on, without a name, with a zero byte */
	    "GET /healthz HTTP/1.1\nHost: a\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
	    "GET /healthz HTTP/1.1\nHost: a\nX: b\n\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\nY: d\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\n: b\r\nX: b\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\n: b\r\nHost: a\r\n\r\n",
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(ambiguous); i++) {
		const int status = raw(s.port, ambiguous[i], &closed);
		if (status != 400 || !closed)
			fail_msg("%s%d, %s", ambiguous[i], status, closed ? "closed" : "open");
	}
	assert_int_equal(411, raw(s.port,
				  "POST /v1/sessions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
				  "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
				  &closed));
	assert_true(closed);
	/* and what is meant is taken */
	assert_int_equal(200, raw(s.port, "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n", &closed));
	assert_false(closed);
	assert_int_equal(200, raw(s.port, "GET /healthz HTTP/1.0\r\n\r\n", &closed));
	assert_int_equal(200, raw(s.port,
				  "GET /healthz?a=%20b&c HTTP/1.1\r\nHost:a  \r\nX:\r\nY: \t b "
				  "\t\r\nCookie: a=b; c=d\r\nAccept: */*\r\n\r\n",
				  &closed));
	assert_false(closed);
	server_stop(&s);
}

/* Sends a body until the server has had enough; bytes it took. */
static size_t pour(const server *s, const char *head, size_t most)
{
	static uint8_t block[1 << 16];
	size_t sent = 0;
	int fd = dial(s->port);
	assert_int_equal(send(fd, head, strlen(head), MSG_NOSIGNAL), strlen(head));
	while (sent < most) {
		ssize_t n = send(fd, block, sizeof block, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	close(fd);
	return sent;
}

static void test_refused_bodies(void **state)
{
	(void)state;
	server s;
	char head[512];
	static const char *const chunk = "10000\r\n"; /* and never its end */
	server_start(&s, NULL);
	snprintf(head, sizeof head,
		 "POST /v1/sessions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%s",
		 chunk);
	assert_less(pour(&s, head, (size_t)256 << 20), 32 << 20);
	assert_less(pour(&s,
			 "POST /v1/sessions HTTP/1.1\r\nHost: a\r\nContent-Length: "
			 "30000000000\r\n\r\n",
			 (size_t)256 << 20),
		    32 << 20);
	assert_less(pour(&s, "GET /none HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000000\r\n\r\n",
			 (size_t)256 << 20),
		    32 << 20);
	assert_less(metric(s.port, "helrm_bytes_received_total"), 20e6);
	server_stop(&s);
}

static void test_head(void **state)
{
	(void)state;
	server s;
	static reply get;
	server_start(&s, NULL);
	static const char *const url[] = {"/healthz", "/readyz", "/v1/models",
					  "/v1/models/heart/manifest"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(url); i++) {
		assert_int_equal(200, request(&get, s.port, "GET", url[i], "", NULL, 0));
		assert_int_equal(200, request(&r, s.port, "HEAD", url[i], "", NULL, 0));
		assert_int_equal(0, strlen(r.body));
		const char *length = strstr(r.text, "Content-Length: ");
		assert_non_null(length);
		assert_int_equal(get.size - (size_t)(get.body - get.text), atoi(length + 16));
	}
	assert_int_equal(405, request(&r, s.port, "POST", "/healthz", "", NULL, 0));
	assert_non_null(strstr(r.text, "Allow: GET, HEAD\r\n"));
	server_stop(&s);
}

/* Only pages of listed origins are let in, letter for letter, and what they may send is said. */
static void test_origins(void **state)
{
	(void)state;
	server s;
	server_start(&s, NULL); /* off: as if there were no origins */
	assert_int_equal(405, request(&r, s.port, "OPTIONS", "/v1/session/keys",
				      "Origin: https://shop.example\r\n"
				      "Access-Control-Request-Method: PATCH\r\n",
				      NULL, 0));
	assert_null(strstr(r.text, "Access-Control"));
	assert_int_equal(200, request(&r, s.port, "GET", "/v1/models",
				      "Origin: https://shop.example\r\n", NULL, 0));
	assert_null(strstr(r.text, "Access-Control"));
	server_stop(&s);
	server_start(&s,
		     (const char *const[]){"--cors-origins",
					   "https://shop.example https://b.example:8443", NULL});
	assert_int_equal(204, request(&r, s.port, "OPTIONS", "/v1/session/keys",
				      "Origin: https://shop.example\r\n"
				      "Access-Control-Request-Method: PATCH\r\n",
				      NULL, 0));
	assert_non_null(strstr(r.text, "Access-Control-Allow-Origin: https://shop.example\r\n"));
	assert_non_null(strstr(r.text, "Access-Control-Allow-Methods: PATCH\r\n"));
	assert_non_null(strstr(r.text, "Upload-Offset"));
	assert_non_null(strstr(r.text, "Vary: Origin\r\n"));
	assert_null(strstr(r.text, "Allow-Credentials"));
	/* refusals can be read, too */
	assert_int_equal(401, request(&r, s.port, "GET", "/v1/session",
				      "Origin: https://b.example:8443\r\n", NULL, 0));
	assert_non_null(strstr(r.text, "Access-Control-Allow-Origin: https://b.example:8443\r\n"));
	static const char *const others[] = {
	    "https://shop.example.evil",
	    "https://shop.exampl",
	    "http://shop.example",
	    "https://b.example",
	    "null",
	    "*",
	    "https://SHOP.example",
	    "https://shop.example https://b.example:8443",
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(others); i++) {
		char header[160];
		snprintf(header, sizeof header,
			 "Origin: %s\r\nAccess-Control-Request-Method: GET\r\n", others[i]);
		assert_int_equal(405,
				 request(&r, s.port, "OPTIONS", "/v1/models", header, NULL, 0));
		assert_null(strstr(r.text, "Access-Control"));
		assert_int_equal(200, request(&r, s.port, "GET", "/v1/models", header, NULL, 0));
		assert_null(strstr(r.text, "Access-Control"));
	}
	server_stop(&s);
	static const char *const wrong[] = {"*",
					    "null",
					    "https://a.example/",
					    "shop.example",
					    "https://A.example",
					    "https://a.example:",
					    "https://good.example https://",
					    "https://a.example,b"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(wrong); i++)
		assert_false(
		    server_try(&s, (const char *const[]){"--cors-origins", wrong[i], NULL}));
}

/* The page's files, and no others; with a policy that lets nothing else in. */
static void test_page(void **state)
{
	(void)state;
	server s;
	char dir[512], file[600];
	snprintf(dir, sizeof dir, "%s", path("web"));
	assert_false(server_try(&s, (const char *const[]){"--web", dir, NULL}));
	static const char *const made[][2] = {{"page/index.html", "<!doctype html>"},
					      {"page/secret.txt", "not for others"},
					      {"src/a.js", "1;"},
					      {"src/a.wasm", "wasm"}};
	assert_ok(hel_dir_make_private(path("web/page")));
	assert_ok(hel_dir_make_private(path("web/src")));
	for (size_t i = 0; i < HEL_ARRAY_LEN(made); i++) {
		snprintf(file, sizeof file, "%s/%s", dir, made[i][0]);
		assert_ok(hel_file_write(file, made[i][1], strlen(made[i][1]), 0600));
	}
	server_start(&s, (const char *const[]){"--web", dir, NULL});
	assert_int_equal(200, request(&r, s.port, "GET", "/", "", NULL, 0));
	assert_string_equal("<!doctype html>", r.body);
	assert_non_null(
	    strstr(r.text, "default-src 'none'; script-src 'self' 'wasm-unsafe-eval';"));
	assert_non_null(strstr(r.text, "frame-ancestors 'none'"));
	assert_non_null(strstr(r.text, "Content-Type: text/html; charset=utf-8\r\n"));
	assert_int_equal(200, request(&r, s.port, "GET", "/src/a.wasm", "", NULL, 0));
	assert_non_null(strstr(r.text, "Content-Type: application/wasm\r\n"));
	assert_int_equal(200, request(&r, s.port, "GET", "/src/a.js", "", NULL, 0));
	static const char *const nothing[] = {
	    "/page/secret.txt",	     "/src/",	  "/src/b.js", "/src/../page/index.html",
	    "/page/../../server.db", "//src/a.js"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(nothing); i++)
		assert_int_equal(404, request(&r, s.port, "GET", nothing[i], "", NULL, 0));
	assert_int_equal(404, request(&r, s.port, "POST", "/", "", NULL, 0));
	assert_int_equal(200, request(&r, s.port, "GET", "/v1/models", "", NULL, 0));
	server_stop(&s);
}

/* A client that says with its request that nothing more will come is answered. */
static void test_half_closed(void **state)
{
	(void)state;
	server s;
	user u = {0};
	hel_writer query = {0}, w = {0};
	char head[512];
	server_start(&s, NULL);
	exchange_raw(&r, s.port, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 34, true);
	assert_int_equal(200, r.status);
	assert_ok(user_make(&u, s.url, "heart"));
	for (int i = 0; i < 5; i++) {
		query.size = w.size = 0;
		assert_ok(user_encrypt(&query, &u, (size_t)i));
		int n = snprintf(head, sizeof head,
				 "POST /v1/models/heart/queries HTTP/1.1\r\nHost: a\r\n%sPrefer: "
				 "wait=20\r\nContent-Length: %zu\r\n\r\n",
				 bearer(&u), query.size);
		hel_write_bytes(&w, head, (size_t)n);
		hel_write_bytes(&w, query.bytes, query.size);
		exchange_raw(&r, s.port, w.bytes, w.size, true);
		assert_int_equal(200, r.status);
		hel_score score;
		assert_ok(
		    hel_client_score(&score, u.client, r.body, r.size - (size_t)(r.body - r.text)));
		assert_less(fabs(score.logit - want[i]), 0x1p-12);
	}
	assert_equal(metric(s.port, "helrm_queries_cancelled_total"), 0);
	hel_writer_clear(&query);
	hel_writer_clear(&w);
	server_stop(&s);
	user_clear(&u);
}

static void test_ids(void **state)
{
	(void)state;
	server s;
	static char log[1 << 16];
	char id[64];
	static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	server_start(&s, NULL);
	char header[128];
	snprintf(header, sizeof header, "traceparent: %s\r\n", trace);
	assert_int_equal(404,
			 request(&r, s.port, "GET", "/v1/models/none/manifest", header, NULL, 0));
	const char *found = strstr(r.text, "X-Request-Id: ");
	assert_non_null(found);
	assert_int_equal(1, sscanf(found, "X-Request-Id: %63s", id));
	assert_non_null(strstr(r.text, trace));
	static const char *const bad[] = {
	    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
	    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
	    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	    "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "\"evil"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++) {
		snprintf(header, sizeof header, "traceparent: %s\r\n", bad[i]);
		assert_int_equal(200, request(&r, s.port, "GET", "/v1/models", header, NULL, 0));
		assert_null(strstr(r.text, "traceparent"));
	}
	server_stop(&s);
	int fd = open(path("log"), O_RDONLY | O_CLOEXEC);
	const off_t end = lseek(fd, 0, SEEK_END);
	const ssize_t n = pread(fd, log, sizeof log - 1,
				end > (off_t)sizeof log - 1 ? end - (off_t)sizeof log + 1 : 0);
	close(fd);
	assert_true(n > 0);
	log[n] = 0;
	char *line = strstr(log, id);
	assert_non_null(line);
	line[strcspn(line, "\n")] = 0;
	assert_non_null(strstr(line, "\"address\":\"127.0.0.1\""));
	assert_non_null(strstr(line, "\"code\":\"no_model\""));
	assert_non_null(strstr(line, trace));
}

/* A proxy of the environment is not asked for a server on this machine. */
static void test_proxies(void **state)
{
	(void)state;
	server s;
	user u = {0};
	static const char *const name[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
	server_start(&s, NULL);
	for (size_t i = 0; i < HEL_ARRAY_LEN(name); i++)
		setenv(name[i], "http://127.0.0.1:9", 1);
	assert_ok(user_make(&u, s.url, "heart"));
	assert_ok(user_predict(&u, "heart", 0, want));
	for (size_t i = 0; i < HEL_ARRAY_LEN(name); i++)
		unsetenv(name[i]);
	server_stop(&s);
	user_clear(&u);
}

/* Another server does not take its clients. */
static void test_one_port(void **state)
{
	(void)state;
	server s;
	char listen[64], line[4096] = "";
	server_start(&s, NULL);
	snprintf(listen, sizeof listen, "127.0.0.1:%u", s.port);
	snprintf(line, sizeof line, "%s serve --listen %s --models %s --data %s 2>/dev/null",
		 server_binary, listen, path("models"), path("other_data"));
	assert_int_not_equal(0, system(line));
	assert_int_equal(200, request(&r, s.port, "GET", "/healthz", "", NULL, 0));
	server_stop(&s);
}

/* Silent connections keep nobody out, not even at their own address; nor does one address take all.
 */
static void test_connections_of_one_address(void **state)
{
	(void)state;
	server s;
	int fd[40];
	static const char *const ten[] = {"--connections-per-address", "10", NULL};
	server_start(&s, ten);
	for (size_t i = 0; i < HEL_ARRAY_LEN(fd); i++)
		fd[i] = dial(s.port);
	assert_int_equal(200, request(&r, s.port, "GET", "/healthz", "", NULL, 0));
	assert_at_least(metric(s.port, "helrm_connections_refused_total"), 31);
	assert_at_most(metric(s.port, "helrm_connections"), 11);
	for (size_t i = 0; i < HEL_ARRAY_LEN(fd); i++)
		close(fd[i]);
	/* those that are busy stay */
	for (size_t i = 0; i < 10; i++) {
		static const char head[] = "POST /v1/sessions HTTP/1.1\r\nHost: a\r\nExpect: "
					   "100-continue\r\nContent-Length: 5\r\n\r\n";
		fd[i] = dial(s.port);
		assert_int_equal(sizeof head - 1, send(fd[i], head, sizeof head - 1, 0));
		assert_true(recv(fd[i], r.text, 12, MSG_WAITALL) == 12); /* its head is read */
		assert_memory_equal(r.text, "HTTP/1.1 100", 12);
	}
	assert_int_equal(0, request(&r, s.port, "GET", "/healthz", "", NULL, 0));
	for (size_t i = 0; i < 10; i++)
		close(fd[i]);
	server_stop(&s);
}

/* Strangers do not fill the disk with their refusals. */
static void test_log_of_strangers(void **state)
{
	(void)state;
	server s;
	struct stat before, after;
	server_start(&s, NULL);
	stat(path("log"), &before);
	for (int i = 0; i < 500; i++)
		assert_int_equal(404, request(&r, s.port, "GET", "/none", "", NULL, 0));
	stat(path("log"), &after);
	assert_at_most(after.st_size - before.st_size, 65 * 400);
	assert_at_least(after.st_size - before.st_size, 60 * 100);
	assert_equal(metric(s.port, "helrm_requests_total{route=\"\",method=\"\",status=\"404\","
				    "model=\"\",api_key=\"\"}"),
		     500);
	server_stop(&s);
}

static void test_metrics(void **state)
{
	(void)state;
	server s;
	user u = {0};
	struct timespec now;
	server_start(&s, NULL);
	assert_ok(user_make(&u, s.url, "heart"));
	assert_ok(user_predict(&u, "heart", 0, want));
	assert_equal(metric(s.port, "helrm_requests_total{route=\"/v1/models/{name}/queries\","
				    "method=\"POST\",status=\"200\",model=\"heart\",api_key=\"\"}"),
		     1);
	clock_gettime(CLOCK_REALTIME, &now);
	assert_less(fabs(metric(s.port, "helrm_start_time_seconds") - (double)now.tv_sec), 60);
	request(&r, s.port, "GET", "/metrics", "", NULL, 0);
	assert_non_null(strstr(r.body, "helrm_build_info{version=\"" HELRM_VERSION "\""));
	assert_non_null(strstr(r.body, "le=\"65.536\""));
	server_stop(&s);
	user_clear(&u);
}

int main(int argc, char **argv)
{
	if (!world_arguments(argc, argv))
		return 2;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_strict, fresh_data),
	    cmocka_unit_test_setup(test_refused_bodies, fresh_data),
	    cmocka_unit_test_setup(test_head, fresh_data),
	    cmocka_unit_test_setup(test_origins, fresh_data),
	    cmocka_unit_test_setup(test_page, fresh_data),
	    cmocka_unit_test_setup(test_half_closed, fresh_data),
	    cmocka_unit_test_setup(test_ids, fresh_data),
	    cmocka_unit_test_setup(test_proxies, fresh_data),
	    cmocka_unit_test_setup(test_one_port, fresh_data),
	    cmocka_unit_test_setup(test_connections_of_one_address, fresh_data),
	    cmocka_unit_test_setup(test_log_of_strangers, fresh_data),
	    cmocka_unit_test_setup(test_metrics, fresh_data),
	};
	return cmocka_run_group_tests(tests, world_make, world_remove);
}
