/* Jobs of a fleet: this server's right to run one, and what becomes of those that others run.
 * Nothing here asks the fleet under the queue's lock. */
#include "log.h"
#include "queue_inside.h"
#include <string.h>

#define LOOK_AT_ONCE 64

static hel_claim claim_of(hel_queue *q, const hel_job *job)
{
	hel_claim c = {.fence = job->fence, .now = hel_store_clock(q->store)};
	memcpy(c.session, job->owner, sizeof c.session);
	memcpy(c.id, job->id, sizeof job->id);
	memcpy(c.hash, job->hash, sizeof c.hash);
	return c;
}

hel_status hel_jobs_claim(bool *mine, hel_queue *q, hel_job *job, const hel_submission *s,
			  double *retry)
{
	hel_claim c = claim_of(q, job);
	snprintf(c.model, sizeof c.model, "%s", s->model->name);
	snprintf(c.customer, sizeof c.customer, "%s", s->customer);
	c.per_minute = s->per_minute;
	c.generation = s->keys->generation;
	hel_status st = q->fleet->call->job_begin(mine, &c, q->fleet);
	if (st == HEL_EDENIED) { /* what is known of the session here is old */
		hel_keyset *now = NULL;
		st = hel_store_find_id(&now, q->store, job->owner);
		hel_keyset_release(q->store, now);
		if (st == HEL_OK)
			st = hel_fail(HEL_EBUSY, "the session has just begun anew; ask again");
	}
	*retry = c.retry;
	job->fence = st == HEL_OK && *mine ? c.fence : 0;
	return st;
}

hel_status hel_jobs_cancel(hel_queue *q, const hel_job *job)
{
	const hel_claim c = claim_of(q, job);
	return q->fleet->call->job_cancel(q->fleet, &c);
}

/* --- what came of them -------------------------------------------------------------------- */

/* A query that fails everywhere for the moment ends after as many takeovers: a fence counts them.
 */
#define MOST_RUNS 64

static bool for_the_moment(hel_status st)
{
	return st == HEL_EBUSY || st == HEL_ENOMEM;
}

/* What this server alone could answer is for whoever its client asks next. */
static hel_status tell(hel_queue *q, const hel_job *job)
{
	const hel_claim c = claim_of(q, job);
	const bool again = for_the_moment(job->status) && c.fence < MOST_RUNS;
	if (job->given || again || (job->status != HEL_OK && !job->kept))
		return q->fleet->call->job_give(q->fleet, &c);
	return q->fleet->call->job_end(q->fleet, &c, job->status, job->detail, job->result.bytes,
				       job->result.size);
}

bool hel_jobs_tell(hel_queue *q)
{
	for (;;) {
		pthread_mutex_lock(&q->lock);
		hel_job *job = q->untold;
		if (job) {
			q->untold = job->untold;
			q->untold_count--;
		}
		pthread_mutex_unlock(&q->lock);
		if (!job)
			return true;
		const hel_status st = tell(q, job);
		pthread_mutex_lock(&q->lock);
		if (st == HEL_EBUSY) {
			job->untold = q->untold;
			q->untold = job;
			q->untold_count++;
		} else {
			if (job->kept &&
			    job->status != HEL_OK) /* what the fleet says of it counts */
				hel_jobs_forget(q, job);
			hel_jobs_release(q, job);
		}
		pthread_mutex_unlock(&q->lock);
		if (st == HEL_EBUSY) /* later */
			return false;
		if (st != HEL_OK)
			hel_log("error", "fleet", "{s:s}", "reason", hel_error_detail());
	}
}

/* What cannot be told now is with the next job, or by hel_queue_share. */
void *hel_jobs_teller(void *queue)
{
	hel_queue *q = queue;
	bool all = true;
	pthread_mutex_lock(&q->lock);
	while (!q->stop) {
		if (!q->untold || !all)
			pthread_cond_wait(&q->tell, &q->lock);
		pthread_mutex_unlock(&q->lock);
		all = hel_jobs_tell(q);
		pthread_mutex_lock(&q->lock);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

/* --- elsewhere ---------------------------------------------------------------------------- */

static void done_elsewhere_locked(hel_queue *q, hel_job *job, hel_outcome *o)
{
	if (job->state != HEL_JOB_ELSEWHERE)
		return;
	job->status = o->status;
	job->keys_lost = o->status == HEL_EKEY;
	snprintf(job->detail, sizeof job->detail, "%s", o->detail);
	job->result = o->result;
	o->result = (hel_writer){0};
	job->finished = hel_clock();
	job->state = HEL_JOB_DONE;
	q->results += !job->forgotten;
}

/* True: it is DONE now. */
static bool look(hel_queue *q, hel_job *job)
{
	hel_outcome o = {0};
	const hel_claim c = claim_of(q, job);
	const hel_status st = q->fleet->call->job_look(&o, q->fleet, &c);
	if (st == HEL_EDENIED) /* its client submits it again, and no second time at its cost */
		o = (hel_outcome){.done = true,
				  .status = HEL_EBUSY,
				  .detail = "the server that had this query has it no more"};
	pthread_mutex_lock(&q->lock);
	job->kept |= o.kept;
	if (o.done)
		done_elsewhere_locked(q, job, &o);
	pthread_mutex_unlock(&q->lock);
	hel_writer_clear(&o.result);
	return o.done;
}

static size_t list_elsewhere(hel_job *list[LOOK_AT_ONCE], hel_queue *q)
{
	size_t n = 0;
	pthread_mutex_lock(&q->lock);
	for (unsigned b = 0; b < HEL_JOB_BUCKETS && n < LOOK_AT_ONCE; b++)
		for (hel_job *j = q->bucket[b], *next; j && n < LOOK_AT_ONCE; j = next) {
			next = j->next;
			if (j->state != HEL_JOB_ELSEWHERE)
				continue;
			if (j->refs == 1) { /* nobody waits */
				hel_jobs_forget(q, j);
				continue;
			}
			j->refs++;
			list[n++] = j;
		}
	pthread_mutex_unlock(&q->lock);
	return n;
}

void hel_queue_share(hel_queue *q)
{
	hel_job *list[LOOK_AT_ONCE];
	bool any = false;
	if (!q->fleet)
		return;
	(void)hel_jobs_tell(q);
	for (size_t n = list_elsewhere(list, q); n; n--) {
		any |= look(q, list[n - 1]);
		hel_job_release(q, list[n - 1]);
	}
	if (any)
		q->wake(q->wake_arg);
}

static hel_status find_elsewhere(hel_job **out, hel_queue *q, const hel_keyset *keys,
				 const char *id)
{
	hel_status st = HEL_OK;
	hel_outcome o = {0};
	hel_job *job = NULL;
	TRY_ALLOC(job, hel_alloc(1, sizeof *job));
	*job = (hel_job){.state = HEL_JOB_ELSEWHERE, .refs = 2, .submitted = hel_clock()};
	snprintf(job->id, sizeof job->id, "%s", id);
	memcpy(job->owner, keys->id, sizeof job->owner);
	const hel_claim c = claim_of(q, job);
	TRY(q->fleet->call->job_look(&o, q->fleet, &c));
	pthread_mutex_lock(&q->lock);
	job->kept = o.kept;
	if (o.done)
		done_elsewhere_locked(q, job, &o);
	job->next = *hel_jobs_bucket(q, id);
	*hel_jobs_bucket(q, id) = job;
	pthread_mutex_unlock(&q->lock);
	*out = job;
	job = NULL;
done:
	hel_writer_clear(&o.result);
	hel_free(job);
	return st;
}

hel_status hel_queue_find(hel_job **out, hel_queue *q, const hel_keyset *keys, const char *id)
{
	if (strlen(id) != HEL_JOB_ID_CHARS || strspn(id, "0123456789abcdef") != HEL_JOB_ID_CHARS)
		return hel_fail(HEL_EDENIED, "no query has this name");
	pthread_mutex_lock(&q->lock);
	*out = hel_jobs_find(q, keys, id);
	if (*out) {
		(*out)->refs++;
		(*out)->alone_since = 0; /* its client is back, if it was away */
	}
	pthread_mutex_unlock(&q->lock);
	if (*out)
		return HEL_OK;
	return q->fleet ? find_elsewhere(out, q, keys, id)
			: hel_fail(HEL_EDENIED, "this session has no such query");
}

/* --- what outlives this server ------------------------------------------------------------ */

bool hel_job_needs_keeping(hel_queue *q, hel_job *job)
{
	pthread_mutex_lock(&q->lock);
	const bool needs = q->fleet && job->state != HEL_JOB_DONE && !job->kept;
	pthread_mutex_unlock(&q->lock);
	return needs;
}

hel_status hel_queue_keep(hel_queue *q, hel_job *job)
{
	hel_status st = HEL_OK;
	uint8_t *query = NULL;
	pthread_mutex_lock(&q->lock);
	const bool here = job->fence && job->query;
	const bool done = job->state == HEL_JOB_DONE;
	if (here && (query = hel_alloc(job->size, 1)))
		memcpy(query, job->query, job->size);
	pthread_mutex_unlock(&q->lock);
	if (done)
		goto done;
	if (!here)
		FAIL(HEL_EBUSY, "another server has this query; ask again");
	if (!query)
		FAIL(HEL_ENOMEM, "out of memory for a query");
	const hel_claim c = claim_of(q, job);
	TRY(q->fleet->call->job_keep(q->fleet, &c, query, job->size));
	pthread_mutex_lock(&q->lock);
	job->kept = true;
	job->attended = false; /* its client may go */
	pthread_mutex_unlock(&q->lock);
done:
	hel_free(query);
	return st;
}

hel_status hel_queue_take(hel_claim *c, hel_writer *query, hel_queue *q)
{
	if (hel_queue_load(q) >= 0.5)
		return hel_fail(HEL_EDENIED, "this server has enough to do");
	*c = (hel_claim){.now = hel_store_clock(q->store)};
	return q->fleet->call->job_take(c, query, q->fleet);
}

void hel_queue_give_back(hel_queue *q, const hel_claim *c, hel_status st, const char *why)
{
	const hel_status told = for_the_moment(st)
				    ? q->fleet->call->job_give(q->fleet, c)
				    : q->fleet->call->job_end(q->fleet, c, st, why, "", 0);
	if (told != HEL_OK)
		hel_log("error", "fleet", "{s:s}", "reason", hel_error_detail());
}
