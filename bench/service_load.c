/* service_load PORT[:PID][,PORT[:PID]...] MODEL RECORD_FILE SECONDS CONNECTIONS...: requests a
 * second and their times at numbers of connections, each with one query after another, and the time
 * of an evaluation alone. Several servers are asked in turns of a tenth of a second, so that
 * whatever else the machine does meets all of them alike; with their process, the processor's time
 * of a query. JSON on stdout. One thread: it takes little of the machine that it shares with the
 * servers. */
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
#define SERVERS_MAX 4
#define TURN 0.1 /* seconds */

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
	bool idle; /* its turn is over */
} connection;

#define ANSWER_MAX ((size_t)1 << 20)

typedef struct measured {
	uint16_t port;
	int pid; /* 0: not told */
	user users[USERS];
	connection *c;
	double *times; /* of requests */
	size_t count;
	double took, cpu, evaluations, number;
} measured;

static measured *asked;	 /* now */
static double turn_ends; /* no request begins later */

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
	if (asked->count < TIMES_MAX)
		asked->times[asked->count++] = hel_clock() - c->start;
	/* decrypting every answer would measure the client */
	if (!c->u->scored || asked->count % 64 == 0) {
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
	c->idle = c->start >= turn_ends;
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

/* Requests that began are waited for. */
static hel_status run(measured *m, size_t connections, double seconds)
{
	hel_status st = HEL_OK;
	struct pollfd p[CONNECTIONS_MAX];
	connection *c = m->c;
	size_t busy = connections;
	const double begun = hel_clock();
	asked = m;
	turn_ends = begun + seconds;
	for (size_t i = 0; i < connections; i++) {
		c[i].idle = false;
		c[i].start = begun;
	}
	while (busy) {
		for (size_t i = 0; i < connections; i++)
			p[i] = (struct pollfd){.fd = c[i].idle ? -1 : c[i].fd,
					       .events = c[i].sent < c[i].u->request.size ? POLLOUT
											  : POLLIN};
		if (poll(p, connections, 1000) < 0)
			FAIL(HEL_EIO, "poll: %s", strerror(errno));
		busy = 0;
		for (size_t i = 0; i < connections; i++) {
			if (p[i].revents)
				TRY(advance(&c[i]));
			busy += !c[i].idle;
		}
	}
	m->took += hel_clock() - begun;
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

/* Of all its threads, since it began; 0 where nobody said which process it is. */
static double processor_seconds(const measured *m)
{
	char name[64], text[1024] = "";
	unsigned long own = 0, kernel = 0;
	snprintf(name, sizeof name, "/proc/%d/stat", m->pid);
	FILE *f = m->pid ? fopen(name, "r") : NULL;
	if (!f)
		return 0;
	const char *at = fgets(text, sizeof text, f) ? strrchr(text, ')') : NULL;
	fclose(f);
	if (at)
		sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &own, &kernel);
	return (double)(own + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static hel_status begin(measured *m, size_t connections, double warm)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(m->c, hel_alloc(connections, sizeof *m->c));
	for (size_t i = 0; i < connections; i++) {
		m->c[i].u = &m->users[i % USERS];
		TRY_ALLOC(m->c[i].answer, hel_alloc(ANSWER_MAX, 1));
		TRY(dial(&m->c[i], m->port));
	}
	TRY(run(m, connections, warm));
	m->count = 0;
	m->took = 0;
	m->cpu = processor_seconds(m);
	TRY(read_evaluations(&m->evaluations, &m->number, m->port));
done:
	return st;
}

static hel_status end(measured *m, size_t connections, const char *before)
{
	hel_status st = HEL_OK;
	double sum, number;
	m->cpu = processor_seconds(m) - m->cpu;
	TRY(read_evaluations(&sum, &number, m->port));
	if (!m->count)
		FAIL(HEL_EBUSY, "no answer in time");
	qsort(m->times, m->count, sizeof *m->times, by_size);
	printf("%s{\"connections\": %zu, \"requests_per_second\": %.2f, \"p50_ms\": %.2f, "
	       "\"p99_ms\": %.2f, \"evaluation_ms\": %.3f, \"processor_ms\": %.3f}",
	       before, connections, (double)m->count / m->took, 1e3 * m->times[m->count / 2],
	       1e3 * m->times[m->count * 99 / 100],
	       1e3 * (sum - m->evaluations) / fmax(number - m->number, 1),
	       1e3 * m->cpu / (double)m->count);
done:
	return st;
}

static void close_all(measured *m, size_t connections)
{
	for (size_t i = 0; m->c && i < connections; i++) {
		if (m->c[i].fd > 0)
			close(m->c[i].fd);
		hel_free(m->c[i].answer);
	}
	hel_free(m->c);
	m->c = NULL;
}

/* `seconds` for each of them. */
static hel_status measure(measured *m, size_t servers, size_t connections, double seconds,
			  bool first)
{
	hel_status st = HEL_OK;
	const double turn = servers > 1 ? TURN : seconds;
	for (size_t i = 0; i < servers; i++)
		TRY(begin(&m[i], connections, fmin(1, seconds / 4)));
	while (m[servers - 1].took < seconds)
		for (size_t i = 0; i < servers; i++)
			TRY(run(&m[i], connections, turn));
	for (size_t i = 0; i < servers; i++)
		TRY(end(&m[i], connections, first && !i ? "" : ",\n   "));
done:
	for (size_t i = 0; i < servers; i++)
		close_all(&m[i], connections);
	return st;
}

/* PORT[:PID] */
static hel_status open_server(measured *m, const char *text, const char *model, const char *file)
{
	hel_status st = HEL_OK;
	char url[64];
	m->port = (uint16_t)atoi(text);
	m->pid = strchr(text, ':') ? atoi(strchr(text, ':') + 1) : 0;
	snprintf(url, sizeof url, "http://127.0.0.1:%u", m->port);
	TRY_ALLOC(m->times, hel_alloc(TIMES_MAX, sizeof *m->times));
	for (size_t i = 0; i < USERS; i++)
		TRY(open_user(&m->users[i], url, model, file));
done:
	return st;
}

static void close_server(measured *m)
{
	for (size_t i = 0; i < USERS; i++) {
		user *u = &m->users[i];
		if (u->access && u->remote)
			(void)!hel_remote_forget(u->remote, u->access);
		hel_access_free(u->access);
		hel_client_free(u->client);
		hel_remote_free(u->remote);
		hel_writer_clear(&u->request);
	}
	hel_free(m->times);
}

int main(int argc, char **argv)
{
	hel_status st = HEL_OK;
	static measured m[SERVERS_MAX];
	size_t servers = 0;
	if (argc < 6) {
		fprintf(stderr, "usage: service_load PORT[:PID][,...] MODEL RECORD_FILE SECONDS "
				"CONNECTIONS...\n");
		return 2;
	}
	for (char *rest, *at = strtok_r(argv[1], ",", &rest); at && servers < SERVERS_MAX;
	     at = strtok_r(NULL, ",", &rest))
		TRY(open_server(&m[servers++], at, argv[2], argv[3]));
	printf("[");
	for (int i = 5; i < argc; i++) {
		const size_t n = strtoul(argv[i], NULL, 10);
		if (!n || n > CONNECTIONS_MAX)
			FAIL(HEL_EINVAL, "%s connections, expected 1 to %d", argv[i],
			     CONNECTIONS_MAX);
		TRY(measure(m, servers, n, atof(argv[4]), i == 5));
		fflush(stdout);
	}
	printf("]\n");
done:
	if (st != HEL_OK)
		fprintf(stderr, "service_load: %s: %s\n", hel_status_text(st), hel_error_detail());
	for (size_t i = 0; i < servers; i++)
		close_server(&m[i]);
	return st != HEL_OK;
}
