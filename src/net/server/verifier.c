#include "verifier.h"
#include "http.h"

static hel_status end_upload(hel_service *s, hel_request *r)
{
	const hel_params *params = hel_catalog_params(s->catalog, r->keys->fingerprint);
	const hel_status st = hel_store_write_end(s->store, r->keys, r->file, r->written, params);
	r->file = -1;
	return st == HEL_OK && !params
		   ? hel_fail(HEL_EPARAMS, "no model here has these parameters any more")
		   : st;
}

/* Ends uploads, and keeps a fleet's queries: syncing and checking them takes too long for the
 * threads that talk to clients. */
static void *verifier(void *arg)
{
	hel_service *s = arg;
	hel_verifier *v = &s->verifier;
	pthread_mutex_lock(&v->lock);
	for (;;) {
		hel_request *r = v->first;
		if (!r && v->stop)
			break;
		if (!r) {
			pthread_cond_wait(&v->work, &v->lock);
			continue;
		}
		v->first = r->next_to_verify;
		pthread_mutex_unlock(&v->lock);
		r->verdict = r->job ? hel_queue_keep(s->queue, r->job) : end_upload(s, r);
		snprintf(r->verdict_detail, sizeof r->verdict_detail, "%s", hel_error_detail());
		atomic_store(&r->verified, true);
		v->wake(s);
		pthread_mutex_lock(&v->lock);
	}
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

void hel_verifier_submit(hel_request *r)
{
	hel_verifier *v = &r->s->verifier;
	pthread_mutex_lock(&v->lock);
	hel_request **last = &v->first;
	while (*last)
		last = &(*last)->next_to_verify;
	*last = r;
	pthread_cond_signal(&v->work);
	pthread_mutex_unlock(&v->lock);
}

hel_status hel_verifier_start(hel_service *s, void (*wake)(void *service))
{
	hel_verifier *v = &s->verifier;
	v->wake = wake;
	for (; v->threads < HEL_ARRAY_LEN(v->thread); v->threads++)
		if (pthread_create(&v->thread[v->threads], NULL, verifier, s))
			return hel_fail(HEL_ENOMEM, "cannot start a thread");
	return HEL_OK;
}

void hel_verifier_stop(hel_verifier *v)
{
	pthread_mutex_lock(&v->lock);
	v->stop = true;
	pthread_cond_broadcast(&v->work);
	pthread_mutex_unlock(&v->lock);
	while (v->threads)
		pthread_join(v->thread[--v->threads], NULL);
}
