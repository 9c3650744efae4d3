/* Who runs when: admission, fair shares, workers. */
#include "queue_inside.h"
#include <math.h>
#include <string.h>

#define UNTOLD_MOST 256 /* what one thread cannot keep up with, workers tell themselves */

static hel_customer *customer_locked(hel_queue *q, const char *name)
{
	hel_customer *c = q->customers;
	while (c && strcmp(c->name, name) != 0)
		c = c->next;
	return c;
}

/* The same, new where there is none: it begins where the others are. */
static hel_customer *customer_join_locked(hel_queue *q, const char *name)
{
	hel_customer *c = customer_locked(q, name);
	if (c || !(c = hel_alloc(1, sizeof *c)))
		return c;
	snprintf(c->name, sizeof c->name, "%s", name);
	c->share = q->served;
	c->next = q->customers;
	q->customers = c;
	return c;
}

static void customer_leave_locked(hel_queue *q, hel_job *job)
{
	hel_customer *c = job->customer, **at = &q->customers;
	c->pending--;
	c->running -= job->state == HEL_JOB_RUNNING || job->state == HEL_JOB_CLAIMED;
	c->reserved -= job->reserved;
	job->customer = NULL;
	if (c->pending)
		return;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	hel_free(c);
}

/* It holds no key set, no model and no query any more; false: it was not pending. */
static bool leave_locked(hel_queue *q, hel_job *job)
{
	size_t i = 0;
	while (i < q->pending_count && q->pending[i] != job)
		i++;
	if (i == q->pending_count)
		return false;
	memmove(q->pending + i, q->pending + i + 1, (q->pending_count - i - 1) * sizeof(hel_job *));
	q->pending_count--;
	q->running -= job->state == HEL_JOB_RUNNING;
	customer_leave_locked(q, job);
	hel_keyset_release(q->store, job->keys);
	hel_model_release(job->model);
	job->keys = NULL;
	job->model = NULL;
	hel_free(job->query);
	job->query = NULL;
	hel_budget_give(q->budget, job->size);
	job->reserved -= job->size;
	return true;
}

static void done_locked(hel_queue *q, hel_job *job, hel_status status, const char *detail)
{
	if (!leave_locked(q, job))
		return;
	q->results += !job->forgotten;
	job->status = status;
	snprintf(job->detail, sizeof job->detail, "%s", detail);
	job->finished = hel_clock();
	job->state = HEL_JOB_DONE;
	hel_count(status == HEL_OK	  ? &q->metrics->queries_done
		  : status == HEL_ECANCEL ? &q->metrics->queries_cancelled
					  : &q->metrics->queries_failed,
		  1);
	if (job->fence) { /* the pending list's reference */
		job->untold = q->untold;
		q->untold = job;
		q->untold_count++;
		pthread_cond_signal(&q->tell);
	} else {
		hel_jobs_release(q, job);
	}
}

/* Most of one customer's jobs: never more than are still free, so that whoever comes finds a place,
 * however many are greedy (dynamic thresholds: Choudhury and Hahne 1998). */
static hel_status admit_customer_locked(hel_queue *q, const hel_submission *s, size_t bytes)
{
	const hel_customer *c = customer_locked(q, s->customer);
	const size_t free = q->settings->queue - HEL_MIN(q->pending_count, q->settings->queue);
	const size_t most = s->customer_queue ? HEL_MIN(s->customer_queue, free) : free;
	if (c && c->pending >= most)
		return hel_fail(HEL_EBUSY,
				"%zu queries of this API key or address are in the queue, at most "
				"%zu are allowed now",
				c->pending, most);
	if (c && c->reserved + bytes > q->budget->limit / 2)
		return hel_fail(HEL_EBUSY,
				"queries of this API key or address take half of the memory now");
	return HEL_OK;
}

static hel_status fits_at_all(const hel_queue *q, const hel_submission *s, size_t bytes)
{
	const hel_model *m = s->model;
	const size_t need = m->weight_bytes + m->run_bytes + s->keys->expanded + bytes;
	return need <= q->budget->limit
		   ? HEL_OK
		   : hel_fail(HEL_ELIMIT,
			      "this query needs %zu MB with its model and keys; the server is "
			      "limited to %zu (memory-mb)",
			      need >> 20, q->budget->limit >> 20);
}

/* May one more be taken in? */
static hel_status admit_locked(hel_queue *q, const hel_submission *s, size_t bytes, double *retry)
{
	hel_status st = HEL_OK;
	size_t own = 0;
	for (size_t i = 0; i < q->pending_count; i++)
		own += q->pending[i]->keys == s->keys;
	const double each = s->model->seconds > 0 ? s->model->seconds : 0.1;
	*retry = fmax(1, each * (double)q->pending_count / (double)q->threads);
	if (q->stop)
		FAIL(HEL_EBUSY, "the server is shutting down");
	TRY(fits_at_all(q, s, bytes));
	if (own >= q->settings->session_queue) {
		/* what others have waiting is none of this session's business */
		*retry = fmax(1, each * (double)own / (double)q->threads);
		FAIL(HEL_EBUSY,
		     "this session has %zu queries in the queue, at most %llu are allowed", own,
		     (unsigned long long)q->settings->session_queue);
	}
	if (q->pending_count >= q->settings->queue)
		FAIL(HEL_EBUSY, "the queue is full");
	TRY(admit_customer_locked(q, s, bytes));
	while (!hel_budget_take(q->budget, bytes))
		if (!hel_jobs_drop_result(q))
			FAIL(HEL_EBUSY, "no memory for another query now");
done:
	return st;
}

static void enter_locked(hel_queue *q, hel_job *job)
{
	job->refs = 3; /* the table's, the pending list's, the caller's */
	job->next = *hel_jobs_bucket(q, job->id);
	*hel_jobs_bucket(q, job->id) = job;
	q->pending[q->pending_count++] = job;
	job->customer->pending++;
	job->customer->running += job->state == HEL_JOB_CLAIMED;
	job->customer->reserved += job->reserved;
	hel_count(&q->metrics->queries_accepted, 1);
	pthread_cond_signal(&q->work);
}

/* In a fleet: runs here if no other server has it. The job is the answer, whatever comes of it. */
static void claim(hel_queue *q, hel_job *job, const hel_submission *s, double *retry)
{
	bool mine = false;
	const hel_status st = hel_jobs_claim(&mine, q, job, s, retry);
	pthread_mutex_lock(&q->lock);
	if (st != HEL_OK) {
		done_locked(q, job, st, hel_error_detail());
	} else if (!mine) {
		if (leave_locked(q, job)) {
			job->state = HEL_JOB_ELSEWHERE;
			hel_jobs_release(q, job);
		}
	} else if (atomic_load(&job->stop)) {
		char why[sizeof job->detail];
		memcpy(why, job->detail, sizeof why); /* who stopped it said why */
		done_locked(q, job, HEL_ECANCEL, why);
	} else {
		job->customer->running--;
		job->state = HEL_JOB_QUEUED;
		pthread_cond_signal(&q->work);
	}
	pthread_mutex_unlock(&q->lock);
}

hel_status hel_queue_submit(hel_job **out, hel_queue *q, const hel_submission *s, double *retry)
{
	hel_status st = HEL_OK;
	hel_job *job = NULL;
	char id[HEL_JOB_ID_CHARS + 1];
	const size_t bytes = s->size + s->model->result_bytes;
	/* a query ends with its checksum, which is verified before it runs */
	const uint8_t *hash = s->query + s->size - HEL_HASH_BYTES;
	*retry = 0;
	const bool claims = q->fleet && !s->id;
	if (s->id)
		snprintf(id, sizeof id, "%s", s->id);
	else
		hel_jobs_make_id(id, q, s->keys, s->idempotency);
	pthread_mutex_lock(&q->lock);
	hel_job *same = hel_jobs_same(q, s->keys, id);
	if (same && s->id) /* those who wait for another server's are told by it, or by this job */
		hel_jobs_forget(q, same);
	else if (same) {
		if (memcmp(same->hash, hash, HEL_HASH_BYTES) != 0)
			FAIL(HEL_EINVAL, "this idempotency key was used with another query");
		same->attended = same->attended && s->attended;
		same->alone_since = 0; /* its client is back, if it was away */
		same->refs++;
		*out = same;
		goto done;
	}
	TRY(admit_locked(q, s, bytes, retry));
	job = hel_alloc(1, sizeof *job);
	hel_customer *customer = job ? customer_join_locked(q, s->customer) : NULL;
	if (!customer) {
		hel_free(job);
		job = NULL;
		hel_budget_give(q->budget, bytes);
		FAIL(HEL_ENOMEM, "out of memory for a query");
	}
	*job = (hel_job){.keys = s->keys,
			 .model = s->model,
			 .query = s->query,
			 .size = s->size,
			 .reserved = bytes,
			 .attended = s->attended,
			 .customer = customer,
			 .state = claims ? HEL_JOB_CLAIMED : HEL_JOB_QUEUED,
			 .fence = s->fence,
			 .kept = s->id != NULL,
			 .submitted = hel_clock()};
	memcpy(job->id, id, sizeof id);
	memcpy(job->hash, hash, sizeof job->hash);
	memcpy(job->owner, s->keys->id, sizeof job->owner);
	snprintf(job->key, sizeof job->key, "%s", s->idempotency);
	enter_locked(q, job);
	*out = job;
done:
	pthread_mutex_unlock(&q->lock);
	if (st == HEL_OK && job && claims)
		claim(q, job, s, retry);
	if (st == HEL_OK && !job) { /* the earlier one holds references of its own */
		hel_free(s->query);
		hel_keyset_release(q->store, s->keys);
		hel_model_release(s->model);
	}
	return st;
}

/* A waiting one ends now, a running one at its next op. */
static void stop_locked(hel_queue *q, hel_job *job, const char *why)
{
	snprintf(job->detail, sizeof job->detail, "%s", why);
	atomic_store(&job->stop, true);
	if (job->state == HEL_JOB_QUEUED)
		done_locked(q, job, HEL_ECANCEL, why);
	else
		hel_store_interrupt(q->store);
}

hel_status hel_job_cancel(hel_queue *q, hel_job *job)
{
	const hel_status st = q->fleet ? hel_jobs_cancel(q, job) : HEL_OK;
	if (st != HEL_OK)
		return st;
	pthread_mutex_lock(&q->lock);
	if (job->state != HEL_JOB_DONE)
		stop_locked(q, job, "cancelled by the client");
	hel_jobs_forget(q, job);
	pthread_mutex_unlock(&q->lock);
	q->wake(q->wake_arg);
	return HEL_OK;
}

void hel_queue_cancel_all(hel_queue *q, const hel_keyset *keys)
{
	pthread_mutex_lock(&q->lock);
	for (unsigned b = 0; b < HEL_JOB_BUCKETS; b++)
		for (hel_job *j = q->bucket[b], *next; j; j = next) {
			next = j->next;
			if (memcmp(j->owner, keys->id, sizeof j->owner) != 0)
				continue;
			j->refs++;
			if (j->state != HEL_JOB_DONE)
				stop_locked(q, j, "the session was removed");
			hel_jobs_forget(q, j);
			hel_jobs_release(q, j);
		}
	pthread_mutex_unlock(&q->lock);
	q->wake(q->wake_arg);
}

/* --- running ----------------------------------------------------------------------------- */

static size_t run_bytes(const hel_job *job)
{
	return job->model->run_bytes + job->keys->expanded;
}

static bool session_runs(const hel_queue *q, const hel_keyset *keys)
{
	for (size_t i = 0, seen = 0; i < q->pending_count && seen < q->running; i++) {
		const bool runs = q->pending[i]->state == HEL_JOB_RUNNING;
		if (runs && q->pending[i]->keys == keys)
			return true;
		seen += runs;
	}
	return false;
}

/* The oldest waiting job of a customer, of a session that runs nothing now before others. */
static hel_job *oldest_locked(hel_queue *q, const hel_customer *c)
{
	hel_job *first = NULL;
	for (size_t i = 0; i < q->pending_count; i++) {
		hel_job *job = q->pending[i];
		if (job->customer != c || job->state != HEL_JOB_QUEUED)
			continue;
		if (!session_runs(q, job->keys))
			return job;
		first = first ? first : job;
	}
	return first;
}

/* The customer with something waiting who has had the least. */
static hel_customer *poorest_locked(hel_queue *q)
{
	hel_customer *poorest = NULL;
	for (hel_customer *c = q->customers; c; c = c->next)
		if (c->pending > c->running && (!poorest || c->share < poorest->share))
			poorest = c;
	return poorest;
}

/* The job to run next, with its memory. *starved: the one that there is none for. */
static hel_job *next_locked(hel_queue *q, hel_job **starved)
{
	hel_customer *c = poorest_locked(q);
	hel_job *job = c ? oldest_locked(q, c) : NULL;
	*starved = NULL;
	while (job && !hel_budget_take(q->budget, run_bytes(job))) {
		if (q->running)
			return NULL; /* its memory comes back */
		if (!hel_jobs_drop_result(q)) {
			*starved = job;
			return NULL;
		}
	}
	if (job) {
		q->served = c->share;
		c->share += job->model->seconds > 0 ? job->model->seconds : 0.1;
		c->running++;
	}
	return job;
}

/* Models that nobody asks now give up their weights for a job, or it is told that there is no
 * memory. */
static void feed(hel_queue *q, hel_job *starved)
{
	hel_model *model = starved->model;
	starved->refs++;
	pthread_mutex_unlock(&q->lock);
	const bool fed = hel_model_make_room(model);
	pthread_mutex_lock(&q->lock);
	if (!fed && starved->state == HEL_JOB_QUEUED)
		done_locked(q, starved, HEL_EBUSY, "no memory for this query now");
	hel_jobs_release(q, starved);
	pthread_mutex_unlock(&q->lock);
	q->wake(q->wake_arg);
	pthread_mutex_lock(&q->lock);
}

static void run(hel_queue *q, hel_job *job, hel_pool *pool)
{
	hel_infer_times times = {0};
	const size_t bytes = run_bytes(job);
	hel_status st = hel_job_evaluate(q, job, pool, &times);
	char detail[256] = "";
	if (st != HEL_OK)
		snprintf(detail, sizeof detail, "%s", hel_error_detail());
	hel_observe(&q->metrics->stage_queue, job->started - job->submitted);
	if (st == HEL_OK) {
		hel_observe(&q->metrics->stage_read, times.read);
		hel_observe(&q->metrics->stage_evaluate, times.evaluate);
		hel_observe(&q->metrics->stage_write, times.write);
	}
	hel_budget_give(q->budget, bytes);
	pthread_mutex_lock(&q->lock);
	if (st == HEL_ECANCEL) /* who stopped it said why */
		snprintf(detail, sizeof detail, "%s", job->detail);
	done_locked(q, job, st, detail);
	pthread_cond_broadcast(&q->work); /* memory came back */
	pthread_mutex_unlock(&q->lock);
}

static void *worker(void *arg)
{
	hel_queue *q = arg;
	const unsigned threads = (unsigned)q->settings->evaluation_threads;
	hel_pool *pool =
	    threads > 1 ? hel_pool_new(threads) : NULL; /* fewer threads, same result */
	pthread_mutex_lock(&q->lock);
	while (!q->stop) {
		hel_job *starved, *job = next_locked(q, &starved);
		if (starved) {
			feed(q, starved);
			continue;
		}
		if (!job) {
			pthread_cond_wait(&q->work, &q->lock);
			continue;
		}
		job->state = HEL_JOB_RUNNING;
		job->started = hel_clock();
		job->refs++;
		q->running++;
		pthread_mutex_unlock(&q->lock);
		run(q, job, pool);
		q->wake(q->wake_arg);
		pthread_mutex_lock(&q->lock);
		hel_jobs_release(q, job);
		if (q->untold_count > UNTOLD_MOST) {
			pthread_mutex_unlock(&q->lock);
			(void)hel_jobs_tell(q);
			pthread_mutex_lock(&q->lock);
		}
	}
	pthread_mutex_unlock(&q->lock);
	hel_pool_free(pool);
	return NULL;
}

hel_status hel_queue_open(hel_queue **out, const hel_settings *settings, hel_store *store,
			  hel_budget *budget, hel_counters *metrics, void (*wake)(void *arg),
			  void *arg)
{
	hel_status st = HEL_OK;
	hel_queue *q = NULL;
	TRY_ALLOC(q, hel_alloc(1, sizeof *q));
	*q = (hel_queue){.settings = settings,
			 .store = store,
			 .fleet = hel_store_fleet(store),
			 .budget = budget,
			 .metrics = metrics,
			 .wake = wake,
			 .wake_arg = arg};
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->work, NULL);
	pthread_cond_init(&q->tell, NULL);
	hel_random_bytes(q->id_key, sizeof q->id_key);
	TRY_ALLOC(q->pending, hel_alloc((size_t)settings->queue, sizeof(hel_job *)));
	TRY_ALLOC(q->thread, hel_alloc((size_t)settings->workers, sizeof *q->thread));
	for (; q->threads < settings->workers; q->threads++)
		if (pthread_create(&q->thread[q->threads], NULL, worker, q))
			FAIL(HEL_ENOMEM, "cannot start %llu workers",
			     (unsigned long long)settings->workers);
	if (q->fleet && pthread_create(&q->teller, NULL, hel_jobs_teller, q))
		FAIL(HEL_ENOMEM, "cannot start a thread");
	q->tells = q->fleet != NULL;
	*out = q;
	q = NULL;
done:
	hel_queue_close(q);
	return st;
}

void hel_queue_close(hel_queue *q)
{
	if (!q)
		return;
	pthread_mutex_lock(&q->lock);
	q->stop = true;
	for (size_t i = q->pending_count; i-- > 0;) {
		q->pending[i]->given = true;
		stop_locked(q, q->pending[i], "the server shut down");
	}
	pthread_cond_broadcast(&q->work);
	pthread_cond_signal(&q->tell);
	pthread_mutex_unlock(&q->lock);
	for (size_t i = 0; i < q->threads; i++)
		pthread_join(q->thread[i], NULL);
	if (q->tells)
		pthread_join(q->teller, NULL);
	if (q->fleet)
		(void)hel_jobs_tell(q);
	for (hel_job *job; (job = q->untold);) {
		q->untold = job->untold;
		hel_jobs_release(q, job);
	}
	for (unsigned b = 0; b < HEL_JOB_BUCKETS; b++)
		while (q->bucket[b])
			hel_jobs_forget(q, q->bucket[b]);
	pthread_cond_destroy(&q->work);
	pthread_cond_destroy(&q->tell);
	pthread_mutex_destroy(&q->lock);
	hel_free(q->pending);
	hel_free(q->thread);
	hel_free(q);
}

static bool expire_locked(hel_queue *q, double now)
{
	bool any = false;
	for (size_t i = q->pending_count; i-- > 0;) {
		hel_job *job = q->pending[i];
		const bool late = now - job->submitted > (double)q->settings->query_seconds;
		const bool alone = job->attended && !job->waiters && job->alone_since > 0 &&
				   now - job->alone_since > (double)q->settings->gone_seconds;
		if ((late || alone) && !atomic_load(&job->stop)) {
			stop_locked(q, job,
				    late ? "the query took longer than the server allows"
					 : "its client has gone");
			any = true;
		}
	}
	return any;
}

void hel_queue_sweep(hel_queue *q)
{
	const double now = hel_clock();
	pthread_mutex_lock(&q->lock);
	const bool any = expire_locked(q, now);
	const bool second = now - q->swept >= 1;
	if (second)
		q->swept = now;
	for (unsigned b = 0; second && b < HEL_JOB_BUCKETS; b++)
		for (hel_job *j = q->bucket[b], *next; j; j = next) {
			next = j->next;
			if (j->state == HEL_JOB_DONE &&
			    now - j->finished > (double)q->settings->result_seconds)
				hel_jobs_forget(q, j);
		}
	pthread_mutex_unlock(&q->lock);
	if (any)
		q->wake(q->wake_arg);
}

void hel_queue_gauges(hel_queue *q, hel_gauges *g)
{
	pthread_mutex_lock(&q->lock);
	g->queued = q->pending_count - q->running;
	g->running = q->running;
	g->results = q->results;
	pthread_mutex_unlock(&q->lock);
}
