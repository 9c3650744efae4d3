/* service_load PORT MODEL RECORD_FILE SECONDS CONNECTIONS...: requests a second and their times at
 * numbers of connections, each with one query after another, and the time of an evaluation alone.
 * JSON on stdout. One thread: it takes little of the machine that it shares with the server. */
#include "base/container.h"
#include "base/memory.h"
#include "base/progress.h"
#include "features/dataset.h"
#include "features/records.h"
#include "net/client/client_inside.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define USERS 4 /* sessions: keys of several clients are in use at the same time */
#define CONNECTIONS_MAX 512
#define TIMES_MAX 1000000

typedef struct user {
	hel_remote *remote;
	hel_client *client;
	hel_access *access;
	hel_writer request; /* head and query, sent as they are again and again */
	hel_score score;    /* of the first answer */
	bool scored;
} user;

typedef struct connection {
	int fd;
	user *u;
	size_t sent, got, expected;
	double start;
	uint8_t *answer;
} connection;

#define ANSWER_MAX ((size_t)1 << 20)

static double *times;
static size_t count;

static hel_status open_user(user *u, const char *url, const char *model, const char *file)
{
	hel_status st = HEL_OK;
	uint8_t secret[HEL_SECRET_BYTES], *manifest = NULL;
	size_t size = 0;
	hel_records records = {0};
	hel_writer query = {0};
	char head[512];
	TRY(hel_secret_new(secret));
	TRY(hel_remote_new(&u->remote, &(hel_remote_options){.url = url, .patience = 60}));
	TRY(hel_remote_manifest(&manifest, &size, u->remote, model));
	TRY(hel_client_open(&u->client, manifest, size, NULL, secret));
	TRY(hel_access_new(&u->access, u->client, NULL));
	TRY(hel_remote_open(u->remote, u->access));
	TRY(hel_remote_upload(u->remote, u->access, u->client));
	TRY(hel_records_read(&records, hel_client_dataset(u->client), &file, 1));
	TRY(hel_client_encrypt(&query, u->client, &records, 0, 1));
	const int n = snprintf(head, sizeof head,
			       "POST /v1/models/%s/queries HTTP/1.1\r\nHost: bench\r\nPrefer: "
			       "wait=60\r\nAuthorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n",
			       model, hel_access_token(u->access), query.size);
	hel_write_bytes(&u->request, head, (size_t)n);
	hel_write_bytes(&u->request, query.bytes, query.size);
	st = u->request.status;
done:
	hel_wipe(secret, sizeof secret);
	hel_writer_clear(&query);
	hel_records_clear(&records);
	hel_bytes_free(manifest, size);
	return st;
}

static hel_status dial(connection *c, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int one = 1;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) ||
	    fcntl(c->fd, F_SETFL, O_NONBLOCK) ||
	    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one))
		return hel_fail(HEL_EIO, "cannot connect: %s", strerror(errno));
	c->sent = c->got = c->expected = 0;
	c->start = hel_clock();
	return HEL_OK;
}

/* A whole answer: its score must be that of every answer to this user before. */
static hel_status take_answer(connection *c)
{
	hel_status st = HEL_OK;
	hel_score score;
	const uint8_t *body = memmem(c->answer, c->got, "\r\n\r\n", 4);
	if (count < TIMES_MAX)
		times[count++] = hel_clock() - c->start;
	/* decrypting every answer would measure the client */
	if (!c->u->scored || count % 64 == 0) {
		TRY(hel_client_score(&score, c->u->client, body + 4,
				     c->got - (size_t)(body + 4 - c->answer)));
		if (c->u->scored && fabs(score.logit - c->u->score.logit) > 0x1p-10)
			FAIL(HEL_ERANGE, "a score of %g, %g before", score.logit,
			     c->u->score.logit);
		c->u->score = score;
		c->u->scored = true;
	}
	c->sent = c->got = c->expected = 0;
	c->start = hel_clock();
done:
	return st;
}

static hel_status find_end(connection *c)
{
	c->answer[c->got] = 0;
	const char *end = strstr((const char *)c->answer, "\r\n\r\n");
	const char *length = end ? strstr((const char *)c->answer, "Content-Length: ") : NULL;
	if (!end)
		return HEL_OK;
	if (strncmp((const char *)c->answer, "HTTP/1.1 200", 12) != 0 || !length || length > end)
		return hel_fail(HEL_EIO, "the server answers %.300s", (const char *)c->answer);
	c->expected = (size_t)(end + 4 - (const char *)c->answer) + strtoul(length + 16, NULL, 10);
	return c->expected < ANSWER_MAX ? HEL_OK : hel_fail(HEL_ELIMIT, "too large an answer");
}

/* Sends or receives what can be now. */
static hel_status advance(connection *c)
{
	hel_status st = HEL_OK;
	const hel_writer *w = &c->u->request;
	if (c->sent < w->size) {
		ssize_t n = send(c->fd, w->bytes + c->sent, w->size - c->sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			FAIL(HEL_EIO, "cannot send: %s", strerror(errno));
		c->sent += n > 0 ? (size_t)n : 0;
		goto done;
	}
	ssize_t n = recv(c->fd, c->answer + c->got, ANSWER_MAX - 1 - c->got, 0);
	if (!n || (n < 0 && errno != EAGAIN))
		FAIL(HEL_EIO, "the server closed a connection");
	c->got += n > 0 ? (size_t)n : 0;
	if (!c->expected)
		TRY(find_end(c));
	if (c->expected && c->got >= c->expected)
		TRY(take_answer(c));
done:
	return st;
}

static hel_status run(connection *c, size_t connections, double seconds)
{
	hel_status st = HEL_OK;
	struct pollfd p[CONNECTIONS_MAX];
	for (const double end = hel_clock() + seconds; hel_clock() < end;) {
		for (size_t i = 0; i < connections; i++)
			p[i] = (struct pollfd){.fd = c[i].fd,
					       .events = c[i].sent < c[i].u->request.size ? POLLOUT
											  : POLLIN};
		if (poll(p, connections, 1000) < 0)
			FAIL(HEL_EIO, "poll: %s", strerror(errno));
		for (size_t i = 0; i < connections; i++)
			if (p[i].revents)
				TRY(advance(&c[i]));
	}
done:
	return st;
}

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The sum and the number of a stage in the server's metrics. */
static hel_status read_stage(double *sum, double *number, uint16_t port, const char *stage)
{
	static char text[1 << 17], line[128];
	connection c;
	size_t size = 0;
	static const char ask[] = "GET /metrics HTTP/1.0\r\n\r\n";
	hel_status st = dial(&c, port);
	if (st != HEL_OK)
		return st;
	fcntl(c.fd, F_SETFL, 0);
	(void)!send(c.fd, ask, sizeof ask - 1, MSG_NOSIGNAL);
	for (ssize_t n; (n = recv(c.fd, text + size, sizeof text - 1 - size, 0)) > 0;)
		size += (size_t)n;
	close(c.fd);
	text[size] = 0;
	snprintf(line, sizeof line, "helrm_stage_seconds_sum{stage=\"%s\"} ", stage);
	const char *at = strstr(text, line);
	*sum = at ? atof(at + strlen(line)) : 0;
	snprintf(line, sizeof line, "helrm_stage_seconds_count{stage=\"%s\"} ", stage);
	at = strstr(text, line);
	*number = at ? atof(at + strlen(line)) : 0;
	return HEL_OK;
}

/* Seconds of all evaluations, and how many. */
static hel_status read_evaluations(double *sum, double *number, uint16_t port)
{
	hel_status st = HEL_OK;
	static const char *const stage[] = {"read", "evaluate", "write"};
	*sum = 0;
	for (size_t i = 0; i < HEL_ARRAY_LEN(stage); i++) {
		double one;
		TRY(read_stage(&one, number, port, stage[i]));
		*sum += one;
	}
done:
	return st;
}

static hel_status measure(user *users, uint16_t port, size_t connections, double seconds,
			  bool first)
{
	hel_status st = HEL_OK;
	connection *c = NULL;
	double sum[2], number[2];
	TRY_ALLOC(c, hel_alloc(connections, sizeof *c));
	for (size_t i = 0; i < connections; i++) {
		c[i].u = &users[i % USERS];
		TRY_ALLOC(c[i].answer, hel_alloc(ANSWER_MAX, 1));
		TRY(dial(&c[i], port));
	}
	TRY(run(c, connections, fmin(1, seconds / 4))); /* warm */
	count = 0;
	TRY(read_evaluations(&sum[0], &number[0], port));
	const double start = hel_clock();
	TRY(run(c, connections, seconds));
	const double took = hel_clock() - start;
	TRY(read_evaluations(&sum[1], &number[1], port));
	if (!count)
		FAIL(HEL_EBUSY, "no answer within %g s", seconds);
	qsort(times, count, sizeof *times, by_size);
	printf("%s{\"connections\": %zu, \"requests_per_second\": %.2f, \"p50_ms\": %.2f, "
	       "\"p99_ms\": %.2f, \"evaluation_ms\": %.3f}",
	       first ? "" : ",\n   ", connections, (double)count / took, 1e3 * times[count / 2],
	       1e3 * times[count * 99 / 100],
	       1e3 * (sum[1] - sum[0]) / fmax(number[1] - number[0], 1));
done:
	for (size_t i = 0; c && i < connections; i++) {
		if (c[i].fd > 0)
			close(c[i].fd);
		hel_free(c[i].answer);
	}
	hel_free(c);
	return st;
}

int main(int argc, char **argv)
{
	hel_status st = HEL_OK;
	user users[USERS] = {{0}};
	char url[64];
	if (argc < 6) {
		fprintf(stderr,
			"usage: service_load PORT MODEL RECORD_FILE SECONDS CONNECTIONS...\n");
		return 2;
	}
	const uint16_t port = (uint16_t)atoi(argv[1]);
	snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
	TRY_ALLOC(times, hel_alloc(TIMES_MAX, sizeof *times));
	for (size_t i = 0; i < USERS; i++)
		TRY(open_user(&users[i], url, argv[2], argv[3]));
	printf("[");
	for (int i = 5; i < argc; i++) {
		const size_t n = strtoul(argv[i], NULL, 10);
		if (!n || n > CONNECTIONS_MAX)
			FAIL(HEL_EINVAL, "%s connections, expected 1 to %d", argv[i],
			     CONNECTIONS_MAX);
		TRY(measure(users, port, n, atof(argv[4]), i == 5));
		fflush(stdout);
	}
	printf("]\n");
done:
	if (st != HEL_OK)
		fprintf(stderr, "service_load: %s: %s\n", hel_status_text(st), hel_error_detail());
	for (size_t i = 0; i < USERS; i++) {
		if (users[i].access && users[i].remote)
			(void)!hel_remote_forget(users[i].remote, users[i].access);
		hel_access_free(users[i].access);
		hel_client_free(users[i].client);
		hel_remote_free(users[i].remote);
		hel_writer_clear(&users[i].request);
	}
	hel_free(times);
	return st != HEL_OK;
}
