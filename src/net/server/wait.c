#include "wait.h"
#include "connection.h"
#include "half_close.h"
#include "http.h"
#include "verifier.h"
#include <poll.h>

static bool is_over(hel_request *r, double now)
{
	if (r->verify)
		return atomic_load(&r->verified);
	return r->gone || now > r->until || atomic_load(&r->s->closing) ||
	       hel_job_poll(r->s->queue, r->job, false);
}

/* A client may say with its request that nothing more will come, and wait for the answer
 * (half-closed connections; not with TLS, which has no such thing). One that says so later has
 * gone. */
#define HALF_CLOSE_SECONDS 0.5

/* MHD does not look at suspended connections: we ask their sockets. */
static void look_at_socket(hel_request *r, double now)
{
	struct pollfd fd = {.fd = r->socket ? r->socket->fd : -1, .events = POLLRDHUP};
	if (r->gone || poll(&fd, 1, 0) <= 0)
		return;
	const bool waits = !(fd.revents & (POLLHUP | POLLERR)) && !r->s->tls && !r->half_closed &&
			   now - r->suspended < HALF_CLOSE_SECONDS;
	r->half_closed = waits && hel_half_close_hide(fd.fd);
	r->close |= r->half_closed;
	r->gone = !r->half_closed;
}

void hel_wait_wake(void *service)
{
	hel_service *s = service;
	const double now = hel_clock();
	pthread_mutex_lock(&s->waiting.lock);
	for (hel_request **at = &s->waiting.first; *at;) {
		hel_request *r = *at;
		if (!is_over(r, now)) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		look_at_socket(r, now); /* once more: it is handed back */
		MHD_resume_connection(r->connection);
	}
	pthread_mutex_unlock(&s->waiting.lock);
}

void hel_wait_find_gone(hel_service *s)
{
	const double now = hel_clock();
	pthread_mutex_lock(&s->waiting.lock);
	for (hel_request *r = s->waiting.first; r; r = r->next)
		look_at_socket(r, now);
	pthread_mutex_unlock(&s->waiting.lock);
}

/* Puts the request aside; false when there is nothing to wait for. */
bool hel_wait_suspend(hel_request *r)
{
	hel_service *s = r->s;
	pthread_mutex_lock(&s->waiting.lock);
	if (!r->verify) {
		r->suspended = hel_clock();
		r->until = r->suspended + r->wait;
		r->counted = r->wait > 0 && !hel_job_poll(s->queue, r->job, true);
	}
	const bool wait = r->verify || r->counted;
	if (wait) {
		r->next = s->waiting.first;
		s->waiting.first = r;
		MHD_suspend_connection(r->connection);
	}
	pthread_mutex_unlock(&s->waiting.lock);
	if (r->verify) /* not before it is among the waiting: it will be woken */
		hel_verifier_submit(r);
	return wait;
}

bool hel_wait_keep(hel_request *r)
{
	if (!r->job || r->verify || !hel_job_needs_keeping(r->s->queue, r->job))
		return false;
	r->verify = true;
	return hel_wait_suspend(r);
}
