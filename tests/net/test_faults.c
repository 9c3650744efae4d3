/* What the service survives: kill -9 at random moments, connections cut at random bytes, a full
 * disk, slow clients, malformed requests. Nothing acknowledged is lost, no score is wrong, nothing
 * leaks. HELRM_SOAK=1 runs the full numbers (10,000 malformed requests for each resource). */
#include "ckks/secret.h"
#include "proxy.h"
#include <dirent.h>
#include <jansson.h>
#include <sodium.h>
#include <sys/mount.h>

static reply r;

static const char *const fast[] = {"--opens-per-minute", "100000", "--queries-per-minute", "100000",
				   NULL};

static bool soak(void)
{
	return getenv("HELRM_SOAK") != NULL;
}

/* Files of the store beside those of the sessions it knows. */
static size_t files_in_store(void)
{
	size_t count = 0;
	DIR *d = opendir(path("data/keys"));
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		count += e->d_name[0] != '.';
	closedir(d);
	return count;
}

/* --- kill -9 ----------------------------------------------------------------------------- */

typedef struct load {
	const char *url;
	atomic_bool stop;
	atomic_size_t made, predicted;
	user users[256]; /* [0, made): acknowledged as complete */
	atomic_int failure;
	char detail[256];
} load;

static void *keep_busy(void *arg)
{
	load *l = arg;
	hel_status st = HEL_OK;
	for (size_t i = 0; i < HEL_ARRAY_LEN(l->users) && !atomic_load(&l->stop); i++) {
		user *u = &l->users[i];
		TRY(user_open(u, l->url, "heart"));
		TRY(hel_remote_upload(u->remote, u->access, u->client));
		atomic_store(&l->made, i + 1);
		for (size_t k = 0; k < 6; k++) {
			TRY(user_predict(u, "heart", (i + k) % ROWS, want));
			atomic_fetch_add(&l->predicted, 1);
		}
		/* an old session works, whatever happened since */
		TRY(user_predict(&l->users[i / 2], "heart", i % ROWS, want));
	}
done:
	if (st != HEL_OK)
		snprintf(l->detail, sizeof l->detail, "%s", hel_error_detail());
	atomic_store(&l->failure, st);
	return NULL;
}

static void test_kill(void **state)
{
	(void)state;
	server s;
	proxy p;
	pthread_t thread;
	hel_prng g;
	static load l;
	test_prng(&g, 9);
	server_start(&s, fast);
	proxy_start(&p, s.port, false);
	l.url = p.url;
	assert_int_equal(pthread_create(&thread, NULL, keep_busy, &l), 0);
	/* a slow machine needs more rounds to upload anything between them */
	for (int round = 0; round < 20 || (atomic_load(&l.made) < 3 && round < 100); round++) {
		usleep((useconds_t)(1000 + hel_prng_u64(&g) % 700000));
		atomic_store(&p.target, 0);
		assert_int_equal(server_end(&s, SIGKILL), -SIGKILL);
		server_start(&s, fast);
		/* every file belongs to a session the registry knows */
		const double sessions = metric(s.port, "helrm_sessions");
		assert_at_most((double)files_in_store(), 2 * sessions);
		assert_at_least(metric(s.port, "helrm_sessions_ready"),
				(double)atomic_load(&l.made) - 1);
		atomic_store(&p.target, s.port);
	}
	atomic_store(&l.stop, true);
	pthread_join(thread, NULL);
	if (atomic_load(&l.failure))
		fail_msg("a client gave up: %s", l.detail);
	const size_t made = atomic_load(&l.made);
	for (size_t i = 0; i < made; i++) {
		assert_ok(user_connect(&l.users[i], s.url, 20));
		assert_ok(user_predict(&l.users[i], "heart", i % ROWS, want));
	}
	print_message("killed: %zu uploads and %zu predictions, all right\n", made,
		      atomic_load(&l.predicted));
	assert_at_least(made, 3);
	proxy_stop(&p);
	server_stop(&s);
	for (size_t i = 0; i < HEL_ARRAY_LEN(l.users); i++)
		user_clear(&l.users[i]);
}

/* --- cut connections --------------------------------------------------------------------- */

static bool contains(const hel_writer *w, const void *bytes, size_t size)
{
	char hex[129];
	sodium_bin2hex(hex, sizeof hex, bytes, size);
	return memmem(w->bytes, w->size, bytes, size) || memmem(w->bytes, w->size, hex, 2 * size);
}

/* Also: nothing secret is ever sent, whatever breaks. */
static void test_cuts(void **state)
{
	(void)state;
	server s;
	proxy p;
	user u = {0};
	server_start(&s, fast);
	proxy_start(&p, s.port, true);
	atomic_store(&p.cut_most, 2500000);
	for (int i = 0; i < 2; i++) {
		user_clear(&u);
		assert_ok(user_open(&u, p.url, "heart"));
		assert_ok(user_connect(&u, p.url, 60));
		assert_ok(hel_remote_upload(u.remote, u.access, u.client));
	}
	const unsigned uploads = atomic_load(&p.cuts);
	atomic_store(&p.cut_most, 400000);
	for (size_t row = 0; row < 10; row++)
		assert_ok(user_predict(&u, "heart", row, want));
	print_message("%u cuts in uploads, %u in predictions\n", uploads,
		      atomic_load(&p.cuts) - uploads);
	assert_at_least(uploads, 2);
	assert_at_least(atomic_load(&p.cuts), uploads + 2);
	pthread_mutex_lock(&p.lock);
	assert_more(p.sent.size, hel_access_keys_size(u.access, u.client));
	const hel_secret_key *key = hel_client_key(u.client);
	assert_true(contains(&p.sent, u.client->id, HEL_CLIENT_ID_BYTES)); /* it looks */
	/* another name than on any other server */
	assert_false(contains(&p.sent, hel_secret_key_client(key), HEL_CLIENT_ID_BYTES));
	assert_false(contains(&p.sent, u.secret, HEL_SECRET_BYTES));
	assert_false(contains(&p.sent, hel_secret_key_seed(key), HEL_SEED_BYTES));
	assert_false(contains(&p.sent, u.secret, 8));
	assert_false(contains(&p.sent, hel_secret_key_seed(key), 8));
	pthread_mutex_unlock(&p.lock);
	proxy_stop(&p);
	server_stop(&s);
	user_clear(&u);
}

/* --- a full disk ------------------------------------------------------------------------- */

/* Takes all space but `left` bytes. */
static void fill_disk(const char *file, size_t left)
{
	static uint8_t block[65536];
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_at_least(fd, 0);
	while (write(fd, block, sizeof block) > 0)
		;
	off_t size = lseek(fd, 0, SEEK_END);
	assert_int_equal(ftruncate(fd, size > (off_t)left ? size - (off_t)left : 0), 0);
	close(fd);
}

static void test_full_disk(void **state)
{
	(void)state;
	server s;
	user u = {0}, v = {0};
	assert_ok(hel_dir_make(path("data")));
	if (mount("none", path("data"), "tmpfs", 0, "size=64m")) {
		print_message("SKIPPED, NOT TESTED: a full disk (no right to mount one)\n");
		return;
	}
	server_start(&s, fast);
	assert_ok(user_make(&v, s.url, "heart"));
	assert_ok(user_open(&u, s.url, "heart"));
	/* full in the middle of an upload, of an expansion, of the registry */
	static const size_t left[] = {1 << 20, 6 << 20, 0};
	for (size_t i = 0; i < HEL_ARRAY_LEN(left); i++) {
		fill_disk(path("data/filler"), left[i]);
		assert_ok(user_connect(&u, s.url, 1));
		assert_status(HEL_ESPACE, hel_remote_upload(u.remote, u.access, u.client));
		assert_ok(user_predict(&v, "heart", i, want)); /* nobody else suffers */
		uint8_t *json;
		size_t size;
		assert_ok(hel_access_request(&json, &size, u.access));
		assert_int_equal(request(&r, s.port, "POST", "/v1/sessions", "", json, size), 507);
		hel_bytes_free(json, size);
		unlink(path("data/filler"));
	}
	assert_ok(user_connect(&u, s.url, 20));
	assert_ok(hel_remote_upload(u.remote, u.access, u.client));
	assert_ok(user_predict(&u, "heart", 3, want));
	server_stop(&s);
	/* a start on a full disk serves those who are there */
	fill_disk(path("data/filler"), 0);
	server_start(&s, fast);
	assert_ok(user_connect(&u, s.url, 20));
	assert_ok(user_predict(&u, "heart", 4, want));
	server_end(&s, SIGKILL);
	server_start(&s, fast);
	assert_ok(user_connect(&u, s.url, 20));
	assert_ok(user_predict(&u, "heart", 5, want));
	unlink(path("data/filler"));
	server_stop(&s);
	assert_int_equal(umount(path("data")), 0);
	user_clear(&u);
	user_clear(&v);
}

/* --- damaged files ----------------------------------------------------------------------- */

/* The only file of a directory whose name ends so. */
static const char *file_like(const char *directory, const char *suffix)
{
	static char found[PATH_SIZE];
	DIR *d = opendir(path(directory));
	assert_non_null(d);
	*found = 0;
	for (struct dirent *e; (e = readdir(d));) {
		const size_t n = strlen(e->d_name), m = strlen(suffix);
		if (n > m && strcmp(e->d_name + n - m, suffix) == 0)
			snprintf(found, sizeof found, "%s/%.100s", path(directory), e->d_name);
	}
	closedir(d);
	return found;
}

static void damage(const char *file, off_t at)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(4, pwrite(fd, "\377\0\377\0", 4, at));
	close(fd);
}

/* Files that lose bytes while they are mapped, and while nobody looks: no wrong score, no dead
 * server, and what can be made again is made again. */
static void test_damage(void **state)
{
	(void)state;
	server s;
	user u = {0}, v = {0};
	server_start(&s, fast);
	assert_ok(user_make(&u, s.url, "heart"));
	assert_ok(user_predict(&u, "heart", 0, want));
	const char *use = file_like("data/keys", ".use1");
	assert_int_equal(0, truncate(use, 4096));
	assert_ok(user_predict(&u, "heart", 1, want));
	assert_int_equal(0, truncate(path("data/weights/heart.weights"), 4096));
	assert_ok(user_predict(&u, "heart", 2, want));
	/* both at once, a page only */
	assert_int_equal(0, truncate(file_like("data/keys", ".use1"), 1 << 20));
	assert_int_equal(0, truncate(path("data/weights/heart.weights"), 1 << 16));
	assert_ok(user_predict(&u, "heart", 3, want));
	server_stop(&s);
	/* a few wrong bytes */
	damage(file_like("data/keys", ".use1"), 2000003);
	damage(path("data/weights/heart.weights"), 1 << 17);
	server_start(&s, fast);
	assert_ok(user_connect(&u, s.url, 20));
	assert_ok(user_predict(&u, "heart", 4, want));
	server_stop(&s);
	/* and the upload, too: the client is told to send its keys again, and nothing else changes
	 */
	damage(file_like("data/keys", ".use1"), 2000003);
	damage(file_like("data/keys", ".keys"), 1000003);
	server_start(&s, fast);
	assert_ok(user_connect(&u, s.url, 20));
	assert_status(HEL_EKEY, user_predict(&u, "heart", 5, want));
	assert_ok(user_make(&v, s.url, "heart"));
	assert_ok(user_predict(&v, "heart", 5, want));
	assert_ok(hel_remote_upload(u.remote, u.access, u.client));
	assert_ok(user_predict(&u, "heart", 6, want));
	server_stop(&s);
	user_clear(&u);
	user_clear(&v);
}

/* --- sessions removed in the middle ------------------------------------------------------- */

typedef struct sender {
	uint16_t port;
	const char *bearer;
	const uint8_t *keys;
	size_t size;
	int status;
} sender;

static void *send_keys(void *arg)
{
	sender *a = arg;
	static __thread reply answer;
	char headers[512];
	snprintf(headers, sizeof headers, "%sUpload-Offset: 0\r\n", a->bearer);
	a->status =
	    request(&answer, a->port, "PATCH", "/v1/session/keys", headers, a->keys, a->size);
	return NULL;
}

static hel_status collect(void *arg, const void *bytes, size_t size)
{
	hel_write_bytes(arg, bytes, size);
	return HEL_OK;
}

/* An upload that races the removal of its session is done or denied, never the server's failure. */
static void test_removed_while_uploading(void **state)
{
	(void)state;
	server s;
	hel_prng g;
	int done = 0, denied = 0;
	test_prng(&g, 11);
	server_start(&s, fast);
	for (int i = 0; i < 40; i++) {
		user u = {0};
		hel_writer keys = {0};
		pthread_t thread;
		assert_ok(user_open(&u, s.url, "heart"));
		assert_ok(hel_access_keys(u.access, u.client, collect, &keys));
		sender a = {s.port, bearer(&u), keys.bytes, keys.size, 0};
		pthread_create(&thread, NULL, send_keys, &a);
		usleep((useconds_t)(hel_prng_u64(&g) % 200000));
		assert_int_equal(204,
				 request(&r, s.port, "DELETE", "/v1/session", bearer(&u), NULL, 0));
		pthread_join(thread, NULL);
		if (a.status != 200 && a.status != 401)
			fail_msg("an upload whose session was removed is answered %d", a.status);
		done += a.status == 200;
		denied += a.status == 401;
		hel_writer_clear(&keys);
		user_clear(&u);
	}
	print_message("%d uploads were done before, %d denied\n", done, denied);
	assert_at_least(denied, 1);
	assert_int_equal(0, files_in_store());
	server_stop(&s);
}

/* --- slow clients ------------------------------------------------------------------------ */

static void test_slow(void **state)
{
	(void)state;
	server s;
	user u = {0};
	static const char *const strict[] = {
	    "--header-seconds", "1", "--min-rate-kb", "100", "--opens-per-minute", "1000", NULL};
	enum { SLOW = 60 };
	int fd[SLOW];
	char head[512];
	server_start(&s, strict);
	assert_ok(user_make(&u, s.url, "heart"));
	/* half of them never end their head, half never their body */
	snprintf(
	    head, sizeof head,
	    "POST /v1/models/heart/queries HTTP/1.1\r\nHost: x\r\n%sContent-Length: 123013\r\n\r\n",
	    bearer(&u));
	for (int i = 0; i < SLOW; i++) {
		fd[i] = dial(s.port);
		assert_at_least(fd[i], 0);
		(void)!send(fd[i], head, i % 2 ? strlen(head) : 40, MSG_NOSIGNAL);
	}
	for (int tenth = 0; tenth < 35; tenth++) {
		for (int i = 0; i < SLOW; i++)
			(void)!send(fd[i], "a", 1, MSG_NOSIGNAL);
		const double start = hel_clock();
		if (tenth % 5 == 0)
			assert_ok(user_predict(&u, "heart", (size_t)tenth, want));
		assert_less(hel_clock() - start, 5);
		usleep(100000);
	}
	assert_at_least(metric(s.port, "helrm_connections_slow_total"), SLOW);
	assert_less(metric(s.port, "helrm_connections"), 10);
	for (int i = 0; i < SLOW; i++)
		close(fd[i]);
	server_stop(&s);
	user_clear(&u);
}

/* --- malformed requests ------------------------------------------------------------------ */

static size_t below(hel_prng *g, size_t limit)
{
	return (size_t)(hel_prng_u64(g) % limit);
}

/* Bytes changed, cut, repeated, inserted; words a server listens to. */
static void mutate(hel_writer *w, hel_prng *g)
{
	static const char *const word[] = {"\r\n",
					   "\r\n\r\n",
					   "Content-Length: 5\r\n",
					   "Content-Length: -1\r\n",
					   "Transfer-Encoding: chunked\r\n",
					   "Upload-Offset: 99999999999999999999\r\n",
					   "Prefer: wait=nan\r\n",
					   "Prefer: wait=1e300\r\n",
					   "%00",
					   "../",
					   "Expect: 100-continue\r\n",
					   "Authorization: Bearer \r\n",
					   "[[[[[[[[[[",
					   "{\"keys\":",
					   "\\u0000",
					   "Connection: upgrade\r\n",
					   "Idempotency-Key: \xff\xfe\r\n",
					   "HTTP/9.9",
					   "X-Forwarded-For: ,\r\n"};
	for (size_t times = 1 + below(g, 4); times; times--) {
		uint8_t random[16];
		hel_prng_bytes(g, random, sizeof random);
		const size_t at = w->size ? below(g, w->size) : 0;
		hel_writer tail = {0};
		switch (below(g, 5)) {
		case 0:
			if (w->size)
				w->bytes[at] = random[0];
			break;
		case 1: /* a piece is missing */
			hel_write_bytes(&tail, w->bytes + at, w->size - at);
			w->size = at - (at ? below(g, HEL_MIN(at, (size_t)20)) : 0);
			hel_write_bytes(w, tail.bytes, tail.size);
			break;
		case 2:
			w->size = at;
			break;
		default: /* something is too much */
			hel_write_bytes(&tail, w->bytes + at, w->size - at);
			w->size = at;
			if (random[0] & 1)
				hel_write_bytes(w, random, 1 + random[1] % 15);
			else {
				const char *text = word[random[1] % HEL_ARRAY_LEN(word)];
				hel_write_bytes(w, text, strlen(text));
			}
			hel_write_bytes(w, tail.bytes, tail.size);
		}
		hel_writer_clear(&tail);
	}
}

static void test_malformed(void **state)
{
	(void)state;
	server s;
	user u = {0}, attacker = {0};
	hel_prng g;
	hel_writer query = {0}, w = {0};
	uint8_t *json;
	size_t json_size;
	static const char *const resource[][2] = {
	    {"GET", "/healthz"},
	    {"GET", "/readyz"},
	    {"GET", "/metrics"},
	    {"GET", "/v1/models"},
	    {"GET", "/v1/models/heart/manifest"},
	    {"POST", "/v1/models/heart/queries"},
	    {"POST", "/v1/sessions"},
	    {"GET", "/v1/session"},
	    {"PATCH", "/v1/session/keys"},
	    {"DELETE", "/v1/session"},
	    {"GET", "/v1/queries/0123456789abcdef0123456789abcdef"},
	    {"DELETE", "/v1/queries/0123456789abcdef0123456789abcdef"}};
	static const char *const tiny[] = {"--opens-per-minute",
					   "1000000",
					   "--queries-per-minute",
					   "1000000",
					   "--header-seconds",
					   "2",
					   "--sessions",
					   "50",
					   "--memory-mb",
					   "512",
					   NULL};
	const int each = soak() ? 10000 : 250;
	test_prng(&g, 4);
	server_start(&s, tiny);
	assert_ok(user_make(&u, s.url, "heart"));
	assert_ok(user_make(&attacker, s.url, "heart"));
	assert_ok(user_predict(&u, "heart", 0, want));
	assert_ok(user_encrypt(&query, &attacker, 0));
	assert_ok(hel_access_request(&json, &json_size, attacker.access));
	long before = server_rss(&s);
	int answered = 0, by_class[6] = {0};
	for (size_t i = 0; i < HEL_ARRAY_LEN(resource); i++)
		for (int k = 0; k < each; k++) {
			char head[1024];
			const char *path = resource[i][1];
			const bool to_queries = strstr(path, "heart/queries"),
				   opens = strcmp(path, "/v1/sessions") == 0,
				   uploads = strcmp(path, "/v1/session/keys") == 0;
			const void *body = to_queries ? query.bytes : opens ? json : (void *)"body";
			const size_t size = to_queries ? query.size
					    : opens    ? json_size
					    : uploads  ? 4
						       : 0;
			w.size = 0;
			int n = snprintf(head, sizeof head,
					 "%s %s HTTP/1.1\r\nHost: x\r\n%sConnection: "
					 "close\r\nUpload-Offset: 0\r\n"
					 "Content-Length: %zu\r\n\r\n",
					 resource[i][0], path, bearer(&attacker), size);
			hel_write_bytes(&w, head, (size_t)n);
			/* mutations hit the head and the body's beginning; the rest follows as it
			 * is */
			const size_t first = HEL_MIN(size, (size_t)200);
			hel_write_bytes(&w, body, first);
			mutate(&w, &g);
			hel_write_bytes(&w, (const uint8_t *)body + first, size - first);
			exchange_raw(&r, s.port, w.bytes, w.size, true);
			answered += r.status != 0;
			by_class[HEL_MIN(r.status / 100, 5)]++;
		}
	print_message(
	    "%d requests: %d answered (2xx %d, 4xx %d, 5xx %d); %ld MB resident, %ld before\n",
	    each * (int)HEL_ARRAY_LEN(resource), answered, by_class[2], by_class[4], by_class[5],
	    server_rss(&s) >> 10, before >> 10);
	assert_more(by_class[4], each);
	assert_ok(user_connect(&u, s.url, 20));
	assert_ok(
	    user_predict(&u, "heart", 1, want)); /* alive, and nobody else's session is harmed */
	/* one number decides: every look is a connection of its own */
	double connections = metric(s.port, "helrm_connections");
	for (int i = 0; i < 100 && connections > 3; i++) {
		usleep(100000);
		connections = metric(s.port, "helrm_connections");
	}
	assert_at_most(connections, 3);
	server_stop(&s); /* the sanitizer's leak check is part of its exit status */
	hel_bytes_free(json, json_size);
	hel_writer_clear(&query);
	hel_writer_clear(&w);
	user_clear(&u);
	user_clear(&attacker);
}

int main(int argc, char **argv)
{
	if (!world_arguments(argc, argv))
		return 2;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_kill, fresh_data),
	    cmocka_unit_test_setup(test_cuts, fresh_data),
	    cmocka_unit_test_setup(test_full_disk, fresh_data),
	    cmocka_unit_test_setup(test_damage, fresh_data),
	    cmocka_unit_test_setup(test_removed_while_uploading, fresh_data),
	    cmocka_unit_test_setup(test_slow, fresh_data),
	    cmocka_unit_test_setup(test_malformed, fresh_data),
	};
	return cmocka_run_group_tests(tests, world_make, world_remove);
}
