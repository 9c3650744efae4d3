#include "job.h"
#include <math.h>
#include <sodium.h>
#include <string.h>

#define BUCKETS 1024u

/* Somebody with jobs waiting or running. Workers go to the one who has had the least of their time
 * since it has been here (start-time fair queueing). */
typedef struct hel_customer {
	char name[HEL_CUSTOMER_MAX + 1];
	size_t pending, running, reserved;
	double share; /* seconds of evaluation */
	struct hel_customer *next;
} hel_customer;

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
	hel_customer *customers; /* those with jobs pending */
	double served;		 /* the share of the customer that was served last */
	double swept;
	bool stop;
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
	c->running -= job->state == HEL_JOB_RUNNING;
	c->reserved -= job->reserved;
	job->customer = NULL;
	if (c->pending)
		return;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	hel_free(c);
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
	customer_leave_locked(q, job);
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
		if (!drop_result_locked(q))
			FAIL(HEL_EBUSY, "no memory for another query now");
done:
	return st;
}

/* An earlier submission under the same key, unless it failed: that may be tried again. */
static hel_job *same_locked(hel_queue *q, const hel_keyset *keys, const char *id)
{
	hel_job *same = find_locked(q, keys, id);
	if (!same || same->state != HEL_JOB_DONE || same->status == HEL_OK)
		return same;
	forget_locked(q, same);
	return NULL;
}

static void enter_locked(hel_queue *q, hel_job *job)
{
	job->refs = 3; /* the table's, the pending list's, the caller's */
	job->next = *bucket_of(q, job->id);
	*bucket_of(q, job->id) = job;
	q->pending[q->pending_count++] = job;
	job->customer->pending++;
	job->customer->reserved += job->reserved;
	hel_count(&q->metrics->queries_accepted, 1);
	pthread_cond_signal(&q->work);
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
	make_id(id, q, s->keys, s->idempotency);
	pthread_mutex_lock(&q->lock);
	hel_job *same = same_locked(q, s->keys, id);
	if (same) {
		if (memcmp(same->hash, hash, HEL_HASH_BYTES) != 0)
			FAIL(HEL_EINVAL, "this idempotency key was used with another query");
		same->attended = same->attended && s->attended;
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
			 .submitted = hel_clock()};
	memcpy(job->id, id, sizeof id);
	memcpy(job->hash, hash, sizeof job->hash);
	memcpy(job->owner, s->keys->id, sizeof job->owner);
	snprintf(job->key, sizeof job->key, "%s", s->idempotency);
	enter_locked(q, job);
	*out = job;
done:
	pthread_mutex_unlock(&q->lock);
	if (st == HEL_OK && !job) { /* the earlier one holds references of its own */
		hel_free(s->query);
		hel_keyset_release(q->store, s->keys);
		hel_model_release(s->model);
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
	else
		hel_store_interrupt(q->store);
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
		if (!drop_result_locked(q)) {
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
	release_locked(q, starved);
	pthread_mutex_unlock(&q->lock);
	q->wake(q->wake_arg);
	pthread_mutex_lock(&q->lock);
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

/* Runs a query; *damaged: over keys or weights that were damaged, so that nothing came of it. */
static hel_status evaluate_once(bool *damaged, hel_queue *q, hel_job *job, hel_pool *pool,
				hel_infer_times *times)
{
	hel_status st = HEL_OK;
	const hel_server *server = NULL;
	const hel_keys *keys = NULL;
	hel_evaluation *evaluation = NULL;
	double seconds = 0;
	hel_scratch *scratch = NULL;
	hel_writer result = {0};
	TRY(hel_model_ready(&server, job->model));
	TRY(hel_store_keys(&keys, q->store, job->keys, job->model->params, &job->stop));
	TRY_ALLOC(scratch, hel_model_scratch(job->model));
	const hel_run_means means = {.pool = pool, .scratch = scratch, .stop = &job->stop};
	TRY(hel_evaluation_borrow(&evaluation, server, keys, &means));
	TRY(hel_server_infer(&result, evaluation, job->query, job->size, times));
	seconds = times->read + times->evaluate + times->write;
done:
	hel_evaluation_free(evaluation);
	*damaged = keys && hel_store_keys_done(q->store, job->keys);
	if (server)
		*damaged |= hel_model_done(job->model, scratch, seconds);
	if (st == HEL_OK && !*damaged)
		st = keep(&job->result, &result);
	hel_writer_clear(&result);
	return st;
}

static hel_status evaluate(hel_queue *q, hel_job *job, hel_pool *pool, hel_infer_times *times)
{
	bool damaged = false;
	hel_status st = evaluate_once(&damaged, q, job, pool, times);
	if (damaged) /* what is damaged was given up: once more, with what is made anew */
		st = evaluate_once(&damaged, q, job, pool, times);
	if (damaged)
		return hel_fail(HEL_EBUSY, "the server's files are being damaged; try again");
	job->keys_lost = st == HEL_EKEY;
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
