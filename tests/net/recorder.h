/* recorder.h -- a hostile server for one model: answers as a server would, and writes down the form
 * of all that comes: "METHOD PATH, bytes of head, bytes of body", a line each. */
#ifndef HEL_NET_RECORDER_H
#define HEL_NET_RECORDER_H

#include "../testing.h"
#include "base/base.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct recorder {
	int listening;
	char url[64];
	pthread_t thread;
	hel_writer manifest;	/* what it serves */
	uint64_t total, offset; /* of an upload of keys */
	bool pending;		/* no query ever has a result */
	pthread_mutex_t lock;
	char log[1 << 16];
} recorder;

/* One request of a connection; false at its end. */
static inline bool record_one(recorder *r, int fd)
{
	static char head[1 << 16], body[1 << 16];
	char method[16], path[256], answer[256], text[160] = "{}";
	const char *content = text;
	size_t n = 0, length = 0, size;
	int status = 200;
	while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0)
		if (n == sizeof head - 1 || recv(fd, head + n++, 1, 0) != 1)
			return false;
	head[n] = 0;
	assert_int_equal(sscanf(head, "%15s %255s", method, path), 2);
	const char *field = strcasestr(head, "Content-Length:");
	if (field)
		length = strtoul(field + 15, NULL, 10);
	if (strcasestr(head, "Expect: 100-continue"))
		(void)!send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
	for (size_t left = length; left;) {
		const ssize_t got = recv(fd, body, HEL_MIN(left, sizeof body), 0);
		if (got <= 0)
			return false;
		left -= (size_t)got;
	}
	pthread_mutex_lock(&r->lock);
	const size_t used = strlen(r->log);
	snprintf(r->log + used, sizeof r->log - used, "%s %s, %zu, %zu\n", method, path, n, length);
	if (strcmp(method, "PATCH") == 0)
		r->offset += length;
	size = (size_t)snprintf(text, sizeof text,
				"{\"state\":\"%s\",\"bytes\":%llu,\"offset\":%llu,\"token\":\"t\"}",
				r->offset >= r->total ? "ready" : "uploading",
				(unsigned long long)r->total, (unsigned long long)r->offset);
	if (strcmp(path, "/v1/sessions") == 0) {
		status = 201;
		r->offset = 0;
	} else if (r->pending && strstr(path, "/queries")) {
		status = 202;
		size = (size_t)snprintf(text, sizeof text, "{\"query\":\"q\"}");
	} else if (strstr(path, "/manifest")) {
		content = (const char *)r->manifest.bytes;
		size = r->manifest.size;
	}
	const int m = snprintf(answer, sizeof answer,
			       "HTTP/1.1 %d OK\r\nContent-Length: %zu\r\n\r\n", status, size);
	(void)!send(fd, answer, (size_t)m, MSG_NOSIGNAL);
	(void)!send(fd, content, size, MSG_NOSIGNAL);
	pthread_mutex_unlock(&r->lock);
	return true;
}

static inline void *recorder_run(void *arg)
{
	recorder *r = arg;
	for (int fd, on = 1; (fd = accept(r->listening, NULL, NULL)) >= 0; close(fd))
		while (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
		       record_one(r, fd))
			;
	return NULL;
}

static inline void recorder_start(recorder *r)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof a;
	pthread_mutex_init(&r->lock, NULL);
	r->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(r->listening, (struct sockaddr *)&a, size), 0);
	assert_int_equal(listen(r->listening, 16), 0);
	assert_int_equal(getsockname(r->listening, (struct sockaddr *)&a, &size), 0);
	snprintf(r->url, sizeof r->url, "http://127.0.0.1:%u", ntohs(a.sin_port));
	assert_int_equal(pthread_create(&r->thread, NULL, recorder_run, r), 0);
}

/* What came since the last time, into `log`. */
static inline void recorder_take(recorder *r, char *log, size_t size)
{
	pthread_mutex_lock(&r->lock);
	assert_less(strlen(r->log), size);
	memcpy(log, r->log, strlen(r->log) + 1);
	*r->log = 0;
	pthread_mutex_unlock(&r->lock);
}

static inline void recorder_stop(recorder *r)
{
	shutdown(r->listening, SHUT_RDWR);
	close(r->listening);
	pthread_join(r->thread, NULL);
	pthread_mutex_destroy(&r->lock);
	hel_writer_clear(&r->manifest);
}

#endif
