/* proxy.h -- between client and server: listens in, cuts connections, outlives servers. */
#ifndef HEL_NET_PROXY_H
#define HEL_NET_PROXY_H

#include "fixture.h"
#include <stdatomic.h>

typedef struct proxy {
	int listening;
	uint16_t port;
	char url[64];
	atomic_uint target;    /* the server's port, 0: nobody */
	atomic_ulong cut_most; /* cut each connection after 1..cut_most bytes; 0: never */
	atomic_uint cuts;
	atomic_bool stop;
	pthread_t thread;
	pthread_mutex_t lock;
	bool record;
	hel_writer sent, received; /* what clients sent and got */
	hel_prng random;
} proxy;

typedef struct proxied {
	proxy *p;
	int client;
} proxied;

static inline void record(proxy *p, hel_writer *w, const void *bytes, size_t size)
{
	if (!p->record)
		return;
	pthread_mutex_lock(&p->lock);
	hel_write_bytes(w, bytes, size);
	pthread_mutex_unlock(&p->lock);
}

static inline bool forward(proxy *p, int from, int to, bool up, unsigned long *left)
{
	uint8_t buffer[16384];
	ssize_t n = recv(from, buffer, HEL_MIN(sizeof buffer, *left), 0);
	if (n <= 0)
		return false;
	record(p, up ? &p->sent : &p->received, buffer, (size_t)n);
	for (ssize_t done = 0; done < n;) {
		ssize_t m = send(to, buffer + done, (size_t)(n - done), MSG_NOSIGNAL);
		if (m <= 0)
			return false;
		done += m;
	}
	*left -= (unsigned long)n;
	if (!*left)
		atomic_fetch_add(&p->cuts, 1);
	return *left > 0;
}

static inline void *proxy_connection(void *arg)
{
	proxied c = *(proxied *)arg;
	free(arg);
	proxy *p = c.p;
	const unsigned port = atomic_load(&p->target);
	int behind = port ? dial((uint16_t)port) : -1;
	unsigned long left = ~0ul, most = atomic_load(&p->cut_most);
	if (most) {
		pthread_mutex_lock(&p->lock);
		left = 1 + (unsigned long)(hel_prng_u64(&p->random) % most);
		pthread_mutex_unlock(&p->lock);
	}
	while (behind >= 0 && !atomic_load(&p->stop)) {
		struct pollfd fds[2] = {{.fd = c.client, .events = POLLIN},
					{.fd = behind, .events = POLLIN}};
		if (poll(fds, 2, 100) < 0)
			break;
		if (fds[0].revents && !forward(p, c.client, behind, true, &left))
			break;
		if (fds[1].revents && !forward(p, behind, c.client, false, &left))
			break;
	}
	close(c.client);
	if (behind >= 0)
		close(behind);
	return NULL;
}

static inline void *proxy_run(void *arg)
{
	proxy *p = arg;
	while (!atomic_load(&p->stop)) {
		struct pollfd fd = {.fd = p->listening, .events = POLLIN};
		if (poll(&fd, 1, 100) <= 0)
			continue;
		proxied *c = malloc(sizeof *c);
		pthread_t thread;
		*c = (proxied){p, accept4(p->listening, NULL, NULL, SOCK_CLOEXEC)};
		if (c->client < 0 || pthread_create(&thread, NULL, proxy_connection, c)) {
			free(c);
			continue;
		}
		pthread_detach(thread);
	}
	return NULL;
}

static inline void proxy_start(proxy *p, uint16_t target, bool listen_in)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof a;
	*p = (proxy){.record = listen_in};
	pthread_mutex_init(&p->lock, NULL);
	test_prng(&p->random, 77);
	atomic_store(&p->target, target);
	p->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_at_least(p->listening, 0);
	assert_int_equal(bind(p->listening, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(p->listening, 64), 0);
	assert_int_equal(getsockname(p->listening, (struct sockaddr *)&a, &size), 0);
	p->port = ntohs(a.sin_port);
	snprintf(p->url, sizeof p->url, "http://127.0.0.1:%u", p->port);
	assert_int_equal(pthread_create(&p->thread, NULL, proxy_run, p), 0);
}

static inline void proxy_stop(proxy *p)
{
	atomic_store(&p->stop, true);
	pthread_join(p->thread, NULL);
	close(p->listening);
	usleep(250000); /* its connections look every 100 ms */
	hel_writer_clear(&p->sent);
	hel_writer_clear(&p->received);
}

#endif
