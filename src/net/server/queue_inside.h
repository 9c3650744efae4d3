/* queue_inside.h -- inside the queue: jobs.c (which there are, and what came of them), queue.c (who
 * runs when), evaluate.c (a run). */
#ifndef HEL_SERVER_QUEUE_INSIDE_H
#define HEL_SERVER_QUEUE_INSIDE_H

#include "job.h"
#include <pthread.h>
#include <sodium.h>

#define HEL_JOB_BUCKETS 1024u

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
	hel_fleet *fleet; /* NULL: this server is alone */
	hel_budget *budget;
	hel_counters *metrics;
	void (*wake)(void *arg);
	void *wake_arg;
	uint8_t id_key[crypto_generichash_KEYBYTES];
	pthread_mutex_t lock;
	pthread_cond_t work;
	hel_job *bucket[HEL_JOB_BUCKETS]; /* all jobs, by id */
	hel_job **pending; /* waiting and running ones, oldest first; one reference each */
	size_t pending_count, running, results;
	hel_job *untold; /* DONE, and the fleet does not know; one reference each */
	size_t untold_count;
	hel_customer *customers; /* those with jobs pending */
	double served;		 /* the share of the customer that was served last */
	double swept;
	bool stop;
	pthread_t *thread;
	size_t threads;
	pthread_t teller; /* tells the fleet; workers do not wait for it */
	pthread_cond_t tell;
	bool tells;
};

/* --- jobs.c; all of these under the lock -------------------------------------------------- */

/** The list an id is in, if it is. */
hel_job **hel_jobs_bucket(hel_queue *q, const char *id);
/** Gives a reference back. */
void hel_jobs_release(hel_queue *q, hel_job *job);
/** Nobody finds it any more. */
void hel_jobs_forget(hel_queue *q, hel_job *job);
/** Without an idempotency key at random; with one so that only this session, with this key, under
 *  this process can name it. */
void hel_jobs_make_id(char id[HEL_JOB_ID_CHARS + 1], const hel_queue *q, const hel_keyset *keys,
		      const char *idempotency);
/** A job of a key set, NULL where there is none. */
hel_job *hel_jobs_find(hel_queue *q, const hel_keyset *keys, const char *id);
/** An earlier submission under the same key, unless it failed or is being stopped: that may be
 * tried again. */
hel_job *hel_jobs_same(hel_queue *q, const hel_keyset *keys, const char *id);
/** Drops the result that was ready first and that nobody waits for. */
bool hel_jobs_drop_result(hel_queue *q);

/* --- jobs_shared.c; not under the lock ---------------------------------------------------- */

/** Asks the fleet for the right to run it: *mine, and job->fence. */
HEL_CHECKED hel_status hel_jobs_claim(bool *mine, hel_queue *q, hel_job *job,
				      const hel_submission *s, double *retry);
/** Wherever it runs. */
HEL_CHECKED hel_status hel_jobs_cancel(hel_queue *q, const hel_job *job);
/** Tells the fleet what came of jobs that are in `untold`. False: not all of it can be told now. */
bool hel_jobs_tell(hel_queue *q);
/** A thread that does so whenever there is something; until the queue stops. */
void *hel_jobs_teller(void *queue);

/* --- evaluate.c --------------------------------------------------------------------------- */

/** Runs a query; once more where keys or weights were damaged meanwhile. */
HEL_CHECKED hel_status hel_job_evaluate(hel_queue *q, hel_job *job, hel_pool *pool,
					hel_infer_times *times);

#endif
