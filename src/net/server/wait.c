#include "wait.h"
#include "connection.h"
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
		MHD_resume_connection(r->connection);
	}
	pthread_mutex_unlock(&s->waiting.lock);
}

/* MHD does not look at suspended connections: we ask their sockets. */
void hel_wait_find_gone(hel_service *s)
{
	pthread_mutex_lock(&s->waiting.lock);
	for (hel_request *r = s->waiting.first; r; r = r->next) {
		struct pollfd fd = {.fd = r->socket ? r->socket->fd : -1, .events = POLLRDHUP};
		r->gone = r->gone || (poll(&fd, 1, 0) > 0 && fd.revents);
	}
	pthread_mutex_unlock(&s->waiting.lock);
}

/* Puts the request aside; false when there is nothing to wait for. */
bool hel_wait_suspend(hel_request *r)
{
	hel_service *s = r->s;
	pthread_mutex_lock(&s->waiting.lock);
	if (!r->verify) {
		r->until = hel_clock() + r->wait;
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
