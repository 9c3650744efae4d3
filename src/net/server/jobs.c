/* Which jobs there are, and what came of them: found by id, until nobody needs them. */
#include "queue_inside.h"
#include <string.h>

static void job_free(hel_queue *q, hel_job *job)
{
	if (!job)
		return;
	hel_budget_give(q->budget, job->reserved);
	hel_free(job->query);
	hel_writer_clear(&job->result);
	hel_free(job);
}

hel_job **hel_jobs_bucket(hel_queue *q, const char *id)
{
	/* ids are hexadecimal digits of a hash or of random bytes */
	unsigned h = 0;
	for (unsigned i = 0; i < 4; i++)
		h = h << 4 | ((unsigned)(id[i] > '9' ? id[i] - 'a' + 10 : id[i] - '0') & 15);
	return &q->bucket[h % HEL_JOB_BUCKETS];
}

void hel_jobs_release(hel_queue *q, hel_job *job)
{
	if (--job->refs == 0)
		job_free(q, job);
}

void hel_jobs_forget(hel_queue *q, hel_job *job)
{
	hel_job **slot = hel_jobs_bucket(q, job->id);
	while (*slot && *slot != job)
		slot = &(*slot)->next;
	if (!*slot)
		return;
	*slot = job->next;
	q->results -= job->state == HEL_JOB_DONE;
	job->forgotten = true;
	hel_jobs_release(q, job);
}

void hel_job_release(hel_queue *q, hel_job *job)
{
	if (!job)
		return;
	pthread_mutex_lock(&q->lock);
	hel_jobs_release(q, job);
	pthread_mutex_unlock(&q->lock);
}

void hel_jobs_make_id(char id[HEL_JOB_ID_CHARS + 1], const hel_queue *q, const hel_keyset *keys,
		      const char *idempotency)
{
	uint8_t bytes[HEL_JOB_ID_CHARS / 2];
	crypto_generichash_state h;
	if (!*idempotency) {
		hel_random_bytes(bytes, sizeof bytes);
	} else {
		/* any server of a fleet finds the same one: there the session alone protects it */
		crypto_generichash_init(&h, q->fleet ? NULL : q->id_key,
					q->fleet ? 0 : sizeof q->id_key, sizeof bytes);
		crypto_generichash_update(&h, keys->id, sizeof keys->id);
		crypto_generichash_update(&h, (const uint8_t *)idempotency, strlen(idempotency));
		crypto_generichash_final(&h, bytes, sizeof bytes);
	}
	sodium_bin2hex(id, HEL_JOB_ID_CHARS + 1, bytes, sizeof bytes);
}

hel_job *hel_jobs_find(hel_queue *q, const hel_keyset *keys, const char *id)
{
	hel_job *job = *hel_jobs_bucket(q, id);
	while (job && (memcmp(job->owner, keys->id, sizeof job->owner) != 0 ||
		       sodium_memcmp(job->id, id, HEL_JOB_ID_CHARS) != 0))
		job = job->next;
	return job;
}

bool hel_jobs_drop_result(hel_queue *q)
{
	hel_job *oldest = NULL;
	for (unsigned b = 0; b < HEL_JOB_BUCKETS; b++)
		for (hel_job *j = q->bucket[b]; j; j = j->next)
			if (j->state == HEL_JOB_DONE && j->refs == 1 &&
			    (!oldest || j->finished < oldest->finished))
				oldest = j;
	if (oldest)
		hel_jobs_forget(q, oldest);
	return oldest != NULL;
}

hel_job *hel_jobs_same(hel_queue *q, const hel_keyset *keys, const char *id)
{
	hel_job *same = hel_jobs_find(q, keys, id);
	/* one that is being stopped will have no answer, too: its client came back too late */
	const bool good = same && (same->state == HEL_JOB_DONE ? same->status == HEL_OK
							       : !atomic_load(&same->stop));
	if (!same || good)
		return same;
	hel_jobs_forget(q, same);
	return NULL;
}

bool hel_job_poll(hel_queue *q, hel_job *job, bool wait)
{
	pthread_mutex_lock(&q->lock);
	const bool done = job->state == HEL_JOB_DONE;
	if (!done && wait) {
		job->waiters++;
		job->alone_since = 0;
	}
	pthread_mutex_unlock(&q->lock);
	return done;
}

void hel_job_unwait(hel_queue *q, hel_job *job)
{
	pthread_mutex_lock(&q->lock);
	if (--job->waiters == 0)
		job->alone_since = hel_clock();
	pthread_mutex_unlock(&q->lock);
}

hel_job_state hel_job_where(hel_queue *q, const hel_job *job)
{
	pthread_mutex_lock(&q->lock);
	hel_job_state state = job->state;
	pthread_mutex_unlock(&q->lock);
	return state;
}

size_t hel_queue_busy(hel_queue *q)
{
	pthread_mutex_lock(&q->lock);
	size_t busy = q->pending_count;
	pthread_mutex_unlock(&q->lock);
	return busy;
}

double hel_queue_load(hel_queue *q)
{
	return (double)hel_queue_busy(q) / (double)q->settings->queue;
}
