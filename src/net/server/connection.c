#include "connection.h"
#include "http.h"
#include <sys/socket.h>

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
			c->deadline = HEL_NEVER;
			shutdown(c->fd, SHUT_RDWR); /* MHD sees the end and closes it */
			hel_count(&s->metrics.connections_slow, 1);
		}
	pthread_mutex_unlock(&s->connections.lock);
}
