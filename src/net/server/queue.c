#include "job.h"
#include "log.h"
#include <math.h>
#include <sodium.h>
#include <string.h>

#define BUCKETS 1024u

struct hel_queue {
	const hel_settings *settings;
	hel_store *store;
	hel_budget *budget;
	hel_counters *metrics;
	void (*wake)(void *arg);
	void *wake_arg;
	uint8_t id_key[crypto_generichash_KEYBYTES];
	pthread_mutex_t lock;
	pthread_cond_t work;
	hel_job *bucket[BUCKETS]; /* all jobs, by id */
	hel_job **pending;	  /* waiting and running ones, oldest first; one reference each */
	size_t pending_count, running, results;
	double swept;
	bool stop, wake_due;
	pthread_t *thread;
	size_t threads;
};

/* --- jobs -------------------------------------------------------------------------------- */

static void job_free(hel_queue *q, hel_job *job)
{
	if (!job)
		return;
	hel_budget_give(q->budget, job->reserved);
	hel_free(job->query);
	hel_writer_clear(&job->result);
	hel_free(job);
}

static hel_job **bucket_of(hel_queue *q, const char *id)
{
	/* ids are hexadecimal digits of a hash or of random bytes */
	unsigned h = 0;
	for (unsigned i = 0; i < 4; i++)
		h = h << 4 | ((unsigned)(id[i] > '9' ? id[i] - 'a' + 10 : id[i] - '0') & 15);
	return &q->bucket[h % BUCKETS];
}

static void release_locked(hel_queue *q, hel_job *job)
{
	if (--job->refs == 0)
		job_free(q, job);
}

/* Nobody finds it any more. */
static void forget_locked(hel_queue *q, hel_job *job)
{
	hel_job **slot = bucket_of(q, job->id);
	while (*slot && *slot != job)
		slot = &(*slot)->next;
	if (!*slot)
		return;
	*slot = job->next;
	q->results -= job->state == HEL_JOB_DONE;
	job->forgotten = true;
	release_locked(q, job);
}

static void done_locked(hel_queue *q, hel_job *job, hel_status status, const char *detail)
{
	size_t i = 0;
	while (i < q->pending_count && q->pending[i] != job)
		i++;
	if (i == q->pending_count)
		return;
	memmove(q->pending + i, q->pending + i + 1, (q->pending_count - i - 1) * sizeof(hel_job *));
	q->pending_count--;
	q->running -= job->state == HEL_JOB_RUNNING;
	q->results += !job->forgotten;
	job->status = status;
	snprintf(job->detail, sizeof job->detail, "%s", detail);
	job->finished = hel_clock();
	job->state = HEL_JOB_DONE;
	hel_keyset_release(q->store, job->keys);
	hel_model_release(job->model);
	job->keys = NULL;
	job->model = NULL;
	hel_free(job->query);
	job->query = NULL;
	hel_budget_give(q->budget, job->size);
	job->reserved -= job->size;
	hel_count(status == HEL_OK	  ? &q->metrics->queries_done
		  : status == HEL_ECANCEL ? &q->metrics->queries_cancelled
					  : &q->metrics->queries_failed,
		  1);
	release_locked(q, job);
}

void hel_job_release(hel_queue *q, hel_job *job)
{
	if (!job)
		return;
	pthread_mutex_lock(&q->lock);
	release_locked(q, job);
	pthread_mutex_unlock(&q->lock);
}

/* Without an idempotency key at random; with one so that only this session, with this key, under
 * this process can name it. */
static void make_id(char id[HEL_JOB_ID_CHARS + 1], const hel_queue *q, const hel_keyset *keys,
		    const char *idempotency)
{
	uint8_t bytes[HEL_JOB_ID_CHARS / 2];
	crypto_generichash_state h;
	if (!*idempotency) {
		hel_random_bytes(bytes, sizeof bytes);
	} else {
		crypto_generichash_init(&h, q->id_key, sizeof q->id_key, sizeof bytes);
		crypto_generichash_update(&h, keys->id, sizeof keys->id);
		crypto_generichash_update(&h, (const uint8_t *)idempotency, strlen(idempotency));
		crypto_generichash_final(&h, bytes, sizeof bytes);
	}
	sodium_bin2hex(id, HEL_JOB_ID_CHARS + 1, bytes, sizeof bytes);
}

static hel_job *find_locked(hel_queue *q, const hel_keyset *keys, const char *id)
{
	hel_job *job = *bucket_of(q, id);
	while (job && (memcmp(job->owner, keys->id, sizeof job->owner) != 0 ||
		       sodium_memcmp(job->id, id, HEL_JOB_ID_CHARS) != 0))
		job = job->next;
	return job;
}

hel_job *hel_queue_find(hel_queue *q, const hel_keyset *keys, const char *id)
{
	if (strlen(id) != HEL_JOB_ID_CHARS || strspn(id, "0123456789abcdef") != HEL_JOB_ID_CHARS)
		return NULL;
	pthread_mutex_lock(&q->lock);
	hel_job *job = find_locked(q, keys, id);
	if (job)
		job->refs++;
	pthread_mutex_unlock(&q->lock);
	return job;
}

/* The result that was ready first and that nobody waits for. */
static bool drop_result_locked(hel_queue *q)
{
	hel_job *oldest = NULL;
	for (unsigned b = 0; b < BUCKETS; b++)
		for (hel_job *j = q->bucket[b]; j; j = j->next)
			if (j->state == HEL_JOB_DONE && j->refs == 1 &&
			    (!oldest || j->finished < oldest->finished))
				oldest = j;
	if (oldest)
		forget_locked(q, oldest);
	return oldest != NULL;
}

/* May one more be taken in? */
static hel_status admit_locked(hel_queue *q, const hel_keyset *keys, const hel_model *model,
			       size_t bytes, double *retry)
{
	size_t own = 0;
	for (size_t i = 0; i < q->pending_count; i++)
		own += q->pending[i]->keys == keys;
	const double each = model->seconds > 0 ? model->seconds : 0.1;
	*retry = fmax(1, each * (double)q->pending_count / (double)q->threads);
	if (q->stop)
		return hel_fail(HEL_EBUSY, "the server is shutting down");
	if (own >= q->settings->session_queue) {
		/* what others have waiting is none of this session's business */
		*retry = fmax(1, each * (double)own / (double)q->threads);
		return hel_fail(HEL_EBUSY,
				"this session has %zu queries in the queue, at most %llu "
				"are allowed",
				own, (unsigned long long)q->settings->session_queue);
	}
	if (q->pending_count >= q->settings->queue)
		return hel_fail(HEL_EBUSY, "the queue is full");
	if (model->run_bytes + keys->expanded > q->budget->limit)
		return hel_fail(HEL_EBUSY,
				"this model needs %zu MB for a query; the server is "
				"limited to %zu",
				(model->run_bytes + keys->expanded) >> 20, q->budget->limit >> 20);
	while (!hel_budget_take(q->budget, bytes))
		if (!drop_result_locked(q))
			return hel_fail(HEL_EBUSY, "no memory for another query now");
	return HEL_OK;
}

hel_status hel_queue_submit(hel_job **out, hel_queue *q, hel_keyset *keys, hel_model *model,
			    uint8_t *query, size_t size, const char *idempotency, bool attended,
			    double *retry)
{
	hel_status st = HEL_OK;
	hel_job *job = NULL;
	char id[HEL_JOB_ID_CHARS + 1];
	uint8_t hash[HEL_HASH_BYTES];
	*retry = 0;
	make_id(id, q, keys, idempotency);
	/* a query ends with its checksum, which is verified before it runs */
	memcpy(hash, query + size - sizeof hash, sizeof hash);
	pthread_mutex_lock(&q->lock);
	hel_job *same = find_locked(q, keys, id);
	/* what failed or was cancelled may be tried again */
	if (same && same->state == HEL_JOB_DONE && same->status != HEL_OK) {
		forget_locked(q, same);
		same = NULL;
	}
	if (same) {
		if (memcmp(same->hash, hash, sizeof hash) != 0)
			FAIL(HEL_EINVAL, "this idempotency key was used with another query");
		same->attended = same->attended && attended;
		same->refs++;
		hel_free(query);
		*out = same;
		goto done;
	}
	TRY(admit_locked(q, keys, model, size + model->result_bytes, retry));
	job = hel_alloc(1, sizeof *job);
	if (!job) {
		hel_budget_give(q->budget, size + model->result_bytes);
		FAIL(HEL_ENOMEM, "out of memory for a query");
	}
	memcpy(job->id, id, sizeof id);
	memcpy(job->hash, hash, sizeof hash);
	snprintf(job->key, sizeof job->key, "%s", idempotency);
	job->keys = keys;
	job->model = model;
	job->query = query;
	job->size = size;
	memcpy(job->owner, keys->id, sizeof job->owner);
	job->reserved = size + model->result_bytes;
	job->attended = attended;
	job->submitted = hel_clock();
	job->refs = 3; /* the table's, the pending list's, the caller's */
	job->next = *bucket_of(q, id);
	*bucket_of(q, id) = job;
	q->pending[q->pending_count++] = job;
	hel_count(&q->metrics->queries_accepted, 1);
	*out = job;
	pthread_cond_signal(&q->work);
done:
	pthread_mutex_unlock(&q->lock);
	if (st == HEL_OK && !job) { /* an earlier one holds references of its own */
		hel_keyset_release(q->store, keys);
		hel_model_release(model);
	}
	return st;
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

/* A waiting one ends now, a running one at its next op. */
static void stop_locked(hel_queue *q, hel_job *job, const char *why)
{
	snprintf(job->detail, sizeof job->detail, "%s", why);
	atomic_store(&job->stop, true);
	if (job->state == HEL_JOB_QUEUED)
		done_locked(q, job, HEL_ECANCEL, why);
}

void hel_job_cancel(hel_queue *q, hel_job *job)
{
	pthread_mutex_lock(&q->lock);
	if (job->state != HEL_JOB_DONE)
		stop_locked(q, job, "cancelled by the client");
	forget_locked(q, job);
	pthread_mutex_unlock(&q->lock);
	q->wake(q->wake_arg);
}

void hel_queue_cancel_all(hel_queue *q, const hel_keyset *keys)
{
	pthread_mutex_lock(&q->lock);
	for (unsigned b = 0; b < BUCKETS; b++)
		for (hel_job *j = q->bucket[b], *next; j; j = next) {
			next = j->next;
			if (memcmp(j->owner, keys->id, sizeof j->owner) != 0)
				continue;
			j->refs++;
			if (j->state != HEL_JOB_DONE)
				stop_locked(q, j, "the session was removed");
			forget_locked(q, j);
			release_locked(q, j);
		}
	pthread_mutex_unlock(&q->lock);
	q->wake(q->wake_arg);
}

/* --- running ----------------------------------------------------------------------------- */

static size_t run_bytes(const hel_job *job)
{
	return job->model->run_bytes + job->keys->expanded;
}

/* The oldest waiting job of a session that runs nothing now, else the oldest; with its memory. */
static hel_job *next_locked(hel_queue *q)
{
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < q->pending_count; i++) {
			hel_job *job = q->pending[i];
			bool busy = job->state != HEL_JOB_QUEUED;
			for (size_t k = 0; k < q->pending_count && !pass && !busy; k++)
				busy = q->pending[k]->state == HEL_JOB_RUNNING &&
				       q->pending[k]->keys == job->keys;
			if (busy)
				continue;
			if (hel_budget_take(q->budget, run_bytes(job)))
				return job;
			if (q->running)
				return NULL; /* its memory comes back */
			if (!drop_result_locked(q)) {
				done_locked(q, job, HEL_EBUSY, "no memory for this query now");
				q->wake_due = true;
				return NULL;
			}
			i--;
		}
	return NULL;
}

/* Results wait for their clients: without the room a growing writer has to spare. */
static hel_status keep(hel_writer *out, const hel_writer *w)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(out->bytes, hel_alloc(w->size, 1));
	memcpy(out->bytes, w->bytes, w->size);
	out->size = out->capacity = w->size;
done:
	return st;
}

static hel_status evaluate(hel_queue *q, hel_job *job, hel_pool *pool, hel_infer_times *times)
{
	hel_status st = HEL_OK;
	const hel_server *server;
	const hel_keys *keys;
	hel_evaluation *session = NULL;
	double seconds = 0;
	hel_scratch *scratch = NULL;
	hel_writer result = {0};
	TRY(hel_model_ready(&server, job->model));
	TRY(hel_store_keys(&keys, q->store, job->keys, job->model->params));
	TRY_ALLOC(scratch, hel_model_scratch(job->model));
	const hel_run_means means = {.pool = pool, .scratch = scratch, .stop = &job->stop};
	TRY(hel_evaluation_borrow(&session, server, keys, &means));
	TRY(hel_server_infer(&result, session, job->query, job->size, times));
	TRY(keep(&job->result, &result));
	seconds = times->read + times->evaluate + times->write;
done:
	hel_evaluation_free(session);
	hel_writer_clear(&result);
	if (scratch)
		hel_model_done(job->model, scratch, seconds);
	return st;
}

static void run(hel_queue *q, hel_job *job, hel_pool *pool)
{
	hel_infer_times times = {0};
	const size_t bytes = run_bytes(job);
	hel_status st = evaluate(q, job, pool, &times);
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
		hel_job *job = next_locked(q);
		if (!job && q->wake_due) {
			q->wake_due = false;
			pthread_mutex_unlock(&q->lock);
			q->wake(q->wake_arg);
			pthread_mutex_lock(&q->lock);
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
		release_locked(q, job);
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
			 .budget = budget,
			 .metrics = metrics,
			 .wake = wake,
			 .wake_arg = arg};
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->work, NULL);
	hel_random_bytes(q->id_key, sizeof q->id_key);
	TRY_ALLOC(q->pending, hel_alloc((size_t)settings->queue, sizeof(hel_job *)));
	TRY_ALLOC(q->thread, hel_alloc((size_t)settings->workers, sizeof *q->thread));
	for (; q->threads < settings->workers; q->threads++)
		if (pthread_create(&q->thread[q->threads], NULL, worker, q))
			FAIL(HEL_ENOMEM, "cannot start %llu workers",
			     (unsigned long long)settings->workers);
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
	for (size_t i = q->pending_count; i-- > 0;)
		stop_locked(q, q->pending[i], "the server shut down");
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
	for (size_t i = 0; i < q->threads; i++)
		pthread_join(q->thread[i], NULL);
	for (unsigned b = 0; b < BUCKETS; b++)
		while (q->bucket[b])
			forget_locked(q, q->bucket[b]);
	pthread_cond_destroy(&q->work);
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
	for (unsigned b = 0; second && b < BUCKETS; b++)
		for (hel_job *j = q->bucket[b], *next; j; j = next) {
			next = j->next;
			if (j->state == HEL_JOB_DONE &&
			    now - j->finished > (double)q->settings->result_seconds)
				forget_locked(q, j);
		}
	pthread_mutex_unlock(&q->lock);
	if (any)
		q->wake(q->wake_arg);
}

size_t hel_queue_busy(hel_queue *q)
{
	pthread_mutex_lock(&q->lock);
	size_t busy = q->pending_count;
	pthread_mutex_unlock(&q->lock);
	return busy;
}

void hel_queue_gauges(hel_queue *q, hel_gauges *g)
{
	pthread_mutex_lock(&q->lock);
	g->queued = q->pending_count - q->running;
	g->running = q->running;
	g->results = q->results;
	pthread_mutex_unlock(&q->lock);
}
