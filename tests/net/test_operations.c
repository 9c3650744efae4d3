/* What operators do to a running server: models put in wrongly, certificates renewed, a load
 * balancer in front, a service manager around. */
#include "fixture.h"
#include <sys/un.h>

static reply r;

static bool log_has(const char *text)
{
	static char log[1 << 17];
	int fd = open(path("log"), O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd >= 0 ? pread(fd, log, sizeof log - 1, 0) : 0;
	if (fd >= 0)
		close(fd);
	log[n > 0 ? n : 0] = 0;
	return strstr(log, text) != NULL;
}

static int fresh(void **state)
{
	unlink(path("log"));
	unlink(path("models/heart/program.helm"));
	return fresh_data(state);
}

static void copy(const char *from, const char *to)
{
	uint8_t *bytes;
	size_t size;
	assert_ok(hel_file_read(path(from), 1 << 28, &bytes, &size));
	write_file(to, bytes, size);
	hel_free(bytes);
}

/* Two files of one name: refused and told once; the version in service stays. */
static void test_twice(void **state)
{
	(void)state;
	server s;
	char tag[128];
	static const char *const fast[] = {"--reload-seconds", "1", NULL};
	server_start(&s, fast);
	snprintf(tag, sizeof tag, "%s", manifest_of(s.port, "heart"));
	assert_ok(hel_dir_make(path("models/heart")));
	make_model(path("models/heart/program.helm"), "heart", 2, 3, NULL);
	kill(s.pid, SIGHUP);
	while (metric(s.port, "helrm_model_refusals_total") == 0)
		usleep(10000);
	for (int i = 0; i < 3; i++) { /* further looks change nothing and say nothing */
		kill(s.pid, SIGHUP);
		usleep(50000);
		assert_string_equal(tag, manifest_of(s.port, "heart"));
	}
	assert_equal(metric(s.port, "helrm_model_refusals_total"), 1);
	assert_int_equal(200, request(&r, s.port, "GET", "/readyz", "", NULL, 0));
	assert_non_null(strstr(r.body, "are both there"));
	/* one of them goes: the other is in service */
	unlink(path("models/heart/program.helm"));
	kill(s.pid, SIGHUP);
	do
		request(&r, s.port, "GET", "/readyz", "", NULL, 0);
	while (strstr(r.body, "are both there"));
	assert_string_equal(tag, manifest_of(s.port, "heart"));
	server_stop(&s);
	/* a start with both serves neither */
	copy("models/heart.helm", "models/heart/program.helm");
	server_start(&s, fast);
	assert_int_equal(503, request(&r, s.port, "GET", "/readyz", "", NULL, 0));
	assert_non_null(strstr(r.body, "are both there"));
	server_stop(&s);
}

/* A file that memory-mb cannot hold is not read, however large it says it is. */
static void test_too_large(void **state)
{
	(void)state;
	server s;
	static const char *const small[] = {"--memory-mb", "300", NULL};
	int fd = open(path("models/huge.helm"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(0, ftruncate(fd, (off_t)2 << 30));
	close(fd);
	server_start(&s, small);
	assert_less(server_rss(&s), 100 << 10);
	assert_int_equal(200, request(&r, s.port, "GET", "/readyz", "", NULL, 0));
	assert_non_null(strstr(r.body, "'huge' was refused: reading a program of 2048 MB"));
	assert_true(log_has("memory-mb is 300"));
	server_stop(&s);
	unlink(path("models/huge.helm"));
}

static void test_announce(void **state)
{
	(void)state;
	server s;
	int status;
	static const char *const two[] = {"--announce-seconds", "2", NULL};
	server_start(&s, two);
	kill(s.pid, SIGTERM);
	const double start = hel_clock();
	while (request(&r, s.port, "GET", "/readyz", "", NULL, 0) == 200)
		assert_less(hel_clock() - start, 1);
	assert_int_equal(503, r.status);
	/* all else goes on until then */
	while (hel_clock() - start < 1.5)
		assert_int_equal(200, request(&r, s.port, "GET", "/v1/models", "", NULL, 0));
	assert_int_equal(s.pid, waitpid(s.pid, &status, 0));
	running = 0;
	assert_at_least(hel_clock() - start, 1.9);
	assert_int_equal(0, status);
}

/* The next message of a service manager's socket. */
static const char *told(int fd)
{
	static char text[256];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t n = poll(&p, 1, 20000) > 0 ? recv(fd, text, sizeof text - 1, 0) : 0;
	text[n > 0 ? n : 0] = 0;
	return text;
}

static void test_notify(void **state)
{
	(void)state;
	server s;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char absolute[PATH_SIZE];
	snprintf(absolute, sizeof absolute, "%s", path("notify"));
	char *full = realpath(world_dir, NULL);
	snprintf(a.sun_path, sizeof a.sun_path, "%.90s/notify", full);
	free(full);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(0, bind(fd, (struct sockaddr *)&a, sizeof a));
	setenv("NOTIFY_SOCKET", a.sun_path, 1);
	server_start(&s, NULL);
	unsetenv("NOTIFY_SOCKET");
	assert_string_equal("READY=1", told(fd));
	kill(s.pid, SIGHUP);
	assert_string_equal("RELOADING=1", told(fd));
	assert_string_equal("READY=1", told(fd));
	server_stop(&s);
	assert_string_equal("STOPPING=1", told(fd));
	close(fd);
	unlink(a.sun_path);
}

/* Addresses that a proxy vouches for: its own entry only, of IPv6 the network, and nothing else. */
static void test_forwarded(void **state)
{
	(void)state;
	server s;
	static const char *const proxied[] = {"--behind-proxy", NULL};
	static const struct {
		const char *header, *address;
	} table[] = {{"10.1.2.3", "10.1.2.3"},	    {"6.6.6.6, 10.1.2.4", "10.1.2.4"},
		     {"10.1.2.5 ", "10.1.2.5"},	    {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		     {"10.1.2.6, \xff\"evil", "?"}, {"10.1.2.7,", "?"}};
	server_start(&s, proxied);
	for (size_t i = 0; i < HEL_ARRAY_LEN(table); i++) {
		char header[128], line[128];
		snprintf(header, sizeof header, "X-Forwarded-For: %s\r\n", table[i].header);
		unlink(path("log"));
		server_stop(&s);
		server_start(&s, proxied);
		assert_int_equal(
		    404, request(&r, s.port, "GET", "/v1/models/none/manifest", header, NULL, 0));
		snprintf(line, sizeof line, "\"address\":\"%s\"", table[i].address);
		if (!log_has(line))
			fail_msg("%s is not taken for %s", table[i].header, table[i].address);
	}
	server_stop(&s);
}

/* Keys that changed: the client is told what to do. */
static void test_changed_keys(void **state)
{
	(void)state;
	server s;
	user u = {0};
	hel_writer query = {0};
	char tag[128];
	make_model(path("models/other.helm"), "other", 1, 3, NULL);
	server_start(&s, NULL);
	assert_ok(user_make(&u, s.url, "other"));
	assert_ok(user_encrypt(&query, &u, 0));
	snprintf(tag, sizeof tag, "%s", manifest_of(s.port, "other"));
	make_model(path("models/other.helm"), "other", 1, 12, NULL);
	kill(s.pid, SIGHUP);
	while (strcmp(tag, manifest_of(s.port, "other")) == 0)
		usleep(10000);
	assert_int_equal(409, request(&r, s.port, "POST", "/v1/models/other/queries", bearer(&u),
				      query.bytes, query.size));
	assert_non_null(strstr(r.body, "--accept-manifest"));
	hel_writer_clear(&query);
	server_stop(&s);
	unlink(path("models/other.helm"));
	user_clear(&u);
}

int main(int argc, char **argv)
{
	if (!world_arguments(argc, argv))
		return 2;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_twice, fresh),
	    cmocka_unit_test_setup(test_too_large, fresh),
	    cmocka_unit_test_setup(test_announce, fresh),
	    cmocka_unit_test_setup(test_notify, fresh),
	    cmocka_unit_test_setup(test_forwarded, fresh),
	    cmocka_unit_test_setup(test_changed_keys, fresh),
	};
	return cmocka_run_group_tests(tests, world_make, world_remove);
}
