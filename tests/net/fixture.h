/* fixture.h -- a world for the tests of the service: a small heart model, the server binary as a
 * process of its own, clients that check every score against the clear model, raw HTTP, a proxy
 * that listens in and cuts. */
#ifndef HEL_NET_FIXTURE_H
#define HEL_NET_FIXTURE_H

#include "../features/cohort.h"
#include "../testing.h"
#include "compile/compile.h"
#include "net/client/client_inside.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROWS 60
#define PATH_SIZE 256

static const char *server_binary;
static char world_dir[] = "test_net_XXXXXX";
static hel_records records;
static double want[ROWS]; /* the model's logits in the clear */

/** SERVER_BINARY [FILTER], what every test of the service is called with; false without the first.
 */
static inline bool world_arguments(int argc, char **argv)
{
	if (argc < 2)
		return false;
	server_binary = argv[1];
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	return true;
}

static inline const char *path(const char *name)
{
	static char buffer[8][PATH_SIZE];
	static unsigned next;
	char *out = buffer[next++ % 8];
	snprintf(out, PATH_SIZE, "%s/%s", world_dir, name);
	return out;
}

static inline void write_file(const char *name, const void *bytes, size_t size)
{
	assert_ok(hel_file_write(path(name), bytes, size, 0600));
}

/* A model in models/NAME.helm. Other seeds give other weights and the same manifest but for its
 * name; other widths other keys. Fills `logit` when it is not NULL. */
static inline void make_model(const char *file, const char *name, unsigned seed, uint32_t width,
			      double *logit)
{
	hel_dlrm_config config = hel_dlrm_config_default();
	hel_schema *schema;
	hel_dlrm *model;
	hel_program *program;
	hel_compile_report report;
	hel_writer w = {0};
	const hel_compile_options options = {.name = name, .max_log_n = 13, .no_monomials = true};
	if (width)
		config.top[0] = width;
	assert_ok(
	    hel_schema_fit(&schema, hel_dataset_by_name("heart"), &records, NULL, ROWS, 3, 0));
	assert_ok(hel_dlrm_new(&model, &config, schema, seed));
	assert_ok(hel_compile(&program, &report, model, &options));
	assert_ok(hel_program_write(&w, program));
	assert_ok(hel_file_write(file, w.bytes, w.size, 0600));
	for (size_t i = 0; logit && i < ROWS; i++) {
		double dense[5];
		uint32_t hots[8];
		assert_ok(hel_schema_apply(model->schema, &records, i, HEL_UNKNOWN_IS_ERROR, dense,
					   hots, NULL));
		assert_ok(hel_dlrm_logit(&logit[i], model, dense, hots));
	}
	hel_writer_clear(&w);
	hel_compile_report_clear(&report);
	hel_program_free(program);
	hel_dlrm_free(model);
}

static inline int world_make(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(world_dir) || hel_random_init() != HEL_OK)
		return -1;
	make_cohort(&records, ROWS, 1);
	assert_ok(hel_dir_make(path("models")));
	make_model(path("models/heart.helm"), "heart", 1, 3, want);
	return 0;
}

static inline int world_remove(void **state)
{
	char command[PATH_SIZE + 16];
	(void)state;
	hel_records_clear(&records);
	snprintf(command, sizeof command, "rm -rf %s", world_dir);
	return system(command);
}

static inline int fresh_data(void **state)
{
	char command[PATH_SIZE + 16];
	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", path("data"));
	return system(command);
}

/* --- the server -------------------------------------------------------------------------- */

typedef struct server {
	pid_t pid;
	uint16_t port;
	char url[64];
} server;

static pid_t running; /* the last one started: a failed test must not leave it to the next */

/* Starts it on a free port; `extra`: options up to a NULL. Its log: path("log"). */
static inline bool server_try(server *s, const char *const *extra)
{
	const char *argv[64] = {server_binary, "serve",	       "--listen", "127.0.0.1:0",
				"--models",    path("models"), "--data",   path("data")};
	size_t n = 8;
	if (running) {
		kill(running, SIGKILL);
		waitpid(running, NULL, 0);
	}
	for (; extra && *extra; extra++)
		argv[n++] = *extra;
	int log = open(path("log"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_at_least(log, 0);
	const off_t before = lseek(log, 0, SEEK_END);
	running = s->pid = fork();
	if (!s->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(log, STDERR_FILENO);
		dup2(log, STDOUT_FILENO);
		close_range(3, ~0u, 0); /* sockets of the test would stay open in the server */
		execv(server_binary, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	s->port = 0;
	for (int i = 0; i < 3000 && !s->port; i++) {
		char text[65536];
		ssize_t size = pread(log, text, sizeof text - 1, before);
		text[size > 0 ? size : 0] = 0;
		const char *event = strstr(text, "\"event\":\"listening\"");
		const char *port = event ? strstr(event, "\"port\":") : NULL;
		if (port)
			s->port = (uint16_t)atoi(port + 7);
		else if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
			running = 0;
			break;
		} else
			usleep(10000);
	}
	close(log);
	snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u", s->port);
	return s->port != 0;
}

static inline void server_start(server *s, const char *const *extra)
{
	if (!server_try(s, extra))
		fail_msg("the server does not start; see %s", path("log"));
}

/* Its exit status, or minus the signal. */
static inline int server_end(server *s, int number)
{
	int status;
	kill(s->pid, number);
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	running = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline void server_stop(server *s)
{
	assert_int_equal(server_end(s, SIGTERM), 0);
}

/* A figure of /proc/PID/status in kB, or the number of its descriptors. */
static inline long server_rss(const server *s)
{
	char name[64], line[256];
	long kb = 0;
	snprintf(name, sizeof name, "/proc/%d/status", (int)s->pid);
	FILE *f = fopen(name, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		sscanf(line, "VmRSS: %ld", &kb);
	fclose(f);
	return kb;
}

/* --- raw HTTP ---------------------------------------------------------------------------- */

static inline int dial(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = {.tv_sec = 20};
	assert_at_least(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&a, sizeof a)) {
		close(fd);
		return -1;
	}
	return fd;
}

typedef struct reply {
	int status; /* 0: none came */
	char text[1 << 17];
	size_t size;
	const char *body;
} reply;

/* Sends bytes, reads until the server closes: ask it to, or say that nothing more will come (which
 * it takes for a client that has gone, where it makes clients wait). */
static inline void exchange_raw(reply *r, uint16_t port, const void *bytes, size_t size, bool over)
{
	int fd = dial(port);
	*r = (reply){.size = 0};
	assert_at_least(fd, 0);
	for (size_t done = 0; done < size;) {
		ssize_t n = send(fd, (const char *)bytes + done, size - done, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (over)
		shutdown(fd, SHUT_WR);
	for (ssize_t n; r->size < sizeof r->text - 1 &&
			(n = recv(fd, r->text + r->size, sizeof r->text - 1 - r->size, 0)) > 0;)
		r->size += (size_t)n;
	close(fd);
	r->text[r->size] = 0;
	if (sscanf(r->text, "HTTP/1.1 %d", &r->status) != 1)
		r->status = 0;
	r->body = strstr(r->text, "\r\n\r\n");
	r->body = r->body ? r->body + 4 : "";
}

/* headers: whole lines, each ended by \r\n. */
static inline int request(reply *r, uint16_t port, const char *method, const char *url,
			  const char *headers, const void *body, size_t size)
{
	hel_writer w = {0};
	char head[4096];
	int n =
	    snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n%s",
		     method, url, headers);
	hel_write_bytes(&w, head, (size_t)n);
	if (body) {
		n = snprintf(head, sizeof head, "Content-Length: %zu\r\n", size);
		hel_write_bytes(&w, head, (size_t)n);
	}
	hel_write_bytes(&w, "\r\n", 2);
	hel_write_bytes(&w, body ? body : "", size);
	exchange_raw(r, port, w.bytes, w.size, false);
	hel_writer_clear(&w);
	return r->status;
}

/* The value of a metric, by the start of its line. A request is counted once its answer was sent:
 * the first of its kind may not be there yet. */
static inline double metric(uint16_t port, const char *name)
{
	static reply r;
	char line[192];
	const char *found = NULL;
	snprintf(line, sizeof line, "\n%s ", name);
	for (int i = 0; !found && i < 100; i++) {
		if (i)
			usleep(10000);
		assert_int_equal(request(&r, port, "GET", "/metrics", "", NULL, 0), 200);
		found = strstr(r.body, line);
	}
	if (!found)
		fail_msg("no metric %s", name);
	return atof(found + strlen(line));
}

/* The ETag of a model's manifest; "" when there is none. */
static inline const char *manifest_of(uint16_t port, const char *model)
{
	static reply r;
	static char tag[128];
	char url[128];
	snprintf(url, sizeof url, "/v1/models/%s/manifest", model);
	request(&r, port, "GET", url, "", NULL, 0);
	const char *found = strstr(r.text, "ETag: ");
	snprintf(tag, sizeof tag, "%.100s", found ? found + 6 : "");
	tag[strcspn(tag, "\r")] = 0;
	return tag;
}

/* --- clients ----------------------------------------------------------------------------- */

typedef struct user {
	uint8_t secret[HEL_SECRET_BYTES];
	hel_remote *remote;
	hel_client *client;
	hel_access *access;
} user;

static inline void user_clear(user *u)
{
	hel_access_free(u->access);
	hel_client_free(u->client);
	hel_remote_free(u->remote);
	*u = (user){0};
}

static inline hel_status user_connect(user *u, const char *url, double patience)
{
	hel_remote_free(u->remote);
	u->remote = NULL;
	return hel_remote_new(&u->remote, &(hel_remote_options){.url = url, .patience = patience});
}

/* Secret, manifest and session, nothing uploaded. */
static inline hel_status user_open(user *u, const char *url, const char *model)
{
	hel_status st = HEL_OK;
	uint8_t *manifest = NULL;
	size_t size = 0;
	TRY(hel_secret_new(u->secret));
	TRY(user_connect(u, url, 20));
	TRY(hel_remote_manifest(&manifest, &size, u->remote, model));
	TRY(hel_client_open(&u->client, manifest, size, NULL, u->secret));
	TRY(hel_access_new(&u->access, u->client, NULL));
	TRY(hel_remote_open(u->remote, u->access));
	TRY(hel_client_use(u->client, u->access));
done:
	hel_bytes_free(manifest, size);
	return st;
}

static inline hel_status user_make(user *u, const char *url, const char *model)
{
	hel_status st = user_open(u, url, model);
	return st == HEL_OK ? hel_remote_upload(u->remote, u->access, u->client) : st;
}

static inline hel_status user_encrypt(hel_writer *w, const user *u, size_t row)
{
	return hel_client_encrypt(w, u->client, &records, row, 1);
}

/* One prediction; a wrong score fails the test, an error is returned. */
static inline hel_status user_predict(user *u, const char *model, size_t row, const double *logit)
{
	hel_status st = HEL_OK;
	hel_writer query = {0};
	uint8_t *result = NULL;
	size_t size = 0;
	hel_score score = {0};
	TRY(user_encrypt(&query, u, row));
	TRY(hel_remote_predict(&result, &size, u->remote, u->access, model, query.bytes,
			       query.size));
	st = hel_client_score(&score, u->client, result, size);
	if (st != HEL_OK || fabs(score.logit - logit[row]) > 0x1p-12)
		fail_msg("row %zu: %g, %g expected (%s)", row, score.logit, logit[row],
			 st == HEL_OK ? "wrong" : hel_error_detail());
done:
	hel_bytes_free(result, size);
	hel_writer_clear(&query);
	return st;
}

static inline const char *bearer(const user *u)
{
	static char line[4][256];
	static unsigned next;
	char *out = line[next++ % 4];
	snprintf(out, 256, "Authorization: Bearer %s\r\n", hel_access_token(u->access));
	return out;
}

#endif
