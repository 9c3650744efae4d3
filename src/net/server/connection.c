#include "connection.h"
#include "http.h"
#include <string.h>
#include <sys/socket.h>

static void address_bytes(uint8_t out[16], const struct sockaddr *a)
{
	memset(out, 0, 16);
	if (a && a->sa_family == AF_INET) {
		memcpy(out + 12, &((const struct sockaddr_in *)(const void *)a)->sin_addr, 4);
		out[10] = out[11] = 0xff;
	} else if (a && a->sa_family == AF_INET6) { /* a household has a /64 */
		const struct in6_addr *six =
		    &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
		memcpy(out, six, IN6_IS_ADDR_V4MAPPED(six) ? 16 : 8);
	}
}

/* MHD sees the end and closes it. */
static void cut(hel_connection *c)
{
	c->cut = true;
	c->deadline = HEL_NEVER;
	shutdown(c->fd, SHUT_RDWR);
}

enum MHD_Result hel_connection_accept(void *service, const struct sockaddr *address, socklen_t size)
{
	hel_service *s = service;
	const uint64_t most = s->settings.connections_per_address;
	uint8_t bytes[16];
	uint64_t own = 0;
	(void)size;
	if (!most || s->settings.behind_proxy)
		return MHD_YES;
	address_bytes(bytes, address);
	pthread_mutex_lock(&s->connections.lock);
	hel_connection *silent = NULL;
	for (hel_connection *c = s->connections.first; c; c = c->next) {
		if (c->cut || memcmp(c->address, bytes, sizeof bytes) != 0)
			continue;
		own++;
		if (!c->busy)
			silent = c; /* the list begins with the youngest */
	}
	const bool full = own >= most;
	if (full && silent)
		cut(silent);
	pthread_mutex_unlock(&s->connections.lock);
	if (full)
		hel_count(&s->metrics.connections_refused, 1);
	return full && !silent ? MHD_NO : MHD_YES;
}

void hel_connection_busy(hel_request *r, bool busy)
{
	if (!r->socket)
		return;
	pthread_mutex_lock(&r->s->connections.lock);
	r->socket->busy = busy;
	pthread_mutex_unlock(&r->s->connections.lock);
}

void hel_connection_event(void *cls, struct MHD_Connection *connection, void **socket,
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
		address_bytes(c->address, MHD_get_connection_info(
					      connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
					      ->client_addr);
		c->deadline = hel_clock() + (double)s->settings.header_seconds;
		pthread_mutex_lock(&s->connections.lock);
		c->next = s->connections.first;
		if (c->next)
			c->next->previous = c;
		s->connections.first = c;
		s->connections.count++;
		pthread_mutex_unlock(&s->connections.lock);
	} else if (*socket) {
		hel_connection *c = *socket;
		pthread_mutex_lock(&s->connections.lock);
		*(c->previous ? &c->previous->next : &s->connections.first) = c->next;
		if (c->next)
			c->next->previous = c->previous;
		s->connections.count--;
		pthread_mutex_unlock(&s->connections.lock);
		hel_free(c);
		*socket = NULL;
	}
}

void hel_connection_deadline(hel_request *r, double seconds)
{
	if (!r->socket)
		return;
	pthread_mutex_lock(&r->s->connections.lock);
	r->socket->deadline = seconds < HEL_NEVER ? hel_clock() + seconds : HEL_NEVER;
	pthread_mutex_unlock(&r->s->connections.lock);
}

double hel_transfer_seconds(const hel_service *s, uint64_t bytes)
{
	return (double)s->settings.header_seconds +
	       (double)bytes / (1024 * (double)s->settings.min_rate);
}

void hel_connections_cut_slow(hel_service *s, double now)
{
	pthread_mutex_lock(&s->connections.lock);
	for (hel_connection *c = s->connections.first; c; c = c->next)
		if (now > c->deadline) {
			cut(c);
			hel_count(&s->metrics.connections_slow, 1);
		}
	pthread_mutex_unlock(&s->connections.lock);
}
