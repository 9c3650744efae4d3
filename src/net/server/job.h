/* job.h -- a job is one query against one model under one key set; queue.c runs them. Jobs live in
 * memory; in a fleet a row says which server has one, and what was answered by 202 outlives it. */
#ifndef HEL_SERVER_JOB_H
#define HEL_SERVER_JOB_H

#include "catalog.h"
#include "fleet.h"

typedef struct hel_queue hel_queue;

/** CLAIMED: not yet this server's, in a fleet. ELSEWHERE: another server runs it. */
typedef enum hel_job_state {
	HEL_JOB_CLAIMED,
	HEL_JOB_QUEUED,
	HEL_JOB_RUNNING,
	HEL_JOB_ELSEWHERE,
	HEL_JOB_DONE
} hel_job_state;

#define HEL_JOB_ID_CHARS 32
#define HEL_CUSTOMER_MAX 63
#define HEL_IDEMPOTENCY_MAX 64

/** One query. Counted. Once DONE nothing changes any more. */
typedef struct hel_job {
	char id[HEL_JOB_ID_CHARS + 1];
	char key[HEL_IDEMPOTENCY_MAX + 1]; /* the client's idempotency key, "" for none */
	uint8_t owner[HEL_SESSION_ID_BYTES];
	hel_keyset
	    *keys; /* until it is DONE: a result keeps no keys and no model from being removed */
	hel_model *model;
	size_t reserved; /* of the budget */
	uint8_t *query;
	size_t size;
	uint8_t hash[HEL_HASH_BYTES]; /* of the query */
	/* --- under the queue's lock */
	hel_job_state state;
	hel_status status;
	char detail[256];
	hel_writer result;
	double submitted, started, finished, alone_since;
	bool forgotten; /* not in the table any more */
	bool keys_lost; /* the server has to be sent the keys again */
	bool attended;	/* its client waits for it: cancelled when nobody does any more */
	unsigned waiters, refs;
	struct hel_customer *customer; /* until it is DONE */
	atomic_bool stop;
	struct hel_job *next;
	/* in a fleet */
	uint64_t fence; /* this server's right to it; 0: none */
	bool kept;	/* it outlives this server */
	bool given;	/* it is for another server */
	bool looked;	/* what became of it elsewhere is being asked */
	struct hel_job *untold;
} hel_job;

/** What is asked for, and by whom: customers share the workers evenly. */
typedef struct hel_submission {
	hel_keyset *keys;
	hel_model *model;
	uint8_t *query;
	size_t size;
	const char *idempotency; /* "" for none */
	bool attended;		 /* its client waits for it */
	const char *customer;	 /* an API key's name, else an address */
	uint64_t customer_queue; /* most of this customer's in the queue; 0: what is fair */
	uint64_t per_minute;	 /* of this customer, in a fleet; 0: no limit */
	const char *id;		 /* of a query that another server had; NULL: a new one */
	uint64_t fence;		 /* under which this one has it */
} hel_submission;

/** `wake` is called, with no lock held, whenever some job is DONE. */
HEL_CHECKED hel_status hel_queue_open(hel_queue **out, const hel_settings *settings,
				      hel_store *store, hel_budget *budget, hel_counters *metrics,
				      void (*wake)(void *arg), void *arg);
/** Cancels what still runs. */
void hel_queue_close(hel_queue *q);
/** Takes the query's memory, a reference to keys and model, and gives a counted job: a new one, or
 *  the one this session submitted under the same idempotency key.
 *  @retval HEL_EBUSY  no place; *retry says when to try again.
 *  @retval HEL_ELIMIT larger than this server's memory will ever hold.
 *  @retval HEL_EINVAL the same idempotency key with another query. */
HEL_CHECKED hel_status hel_queue_submit(hel_job **out, hel_queue *q, const hel_submission *s,
					double *retry);
/** A counted job of this key set, in a fleet also of another server.
 *  @retval HEL_EDENIED there is none. @retval HEL_EBUSY nobody can tell now. */
HEL_CHECKED hel_status hel_queue_find(hel_job **out, hel_queue *q, const hel_keyset *keys,
				      const char *id);
/** Before a client is told that its query was accepted: what must be, outlives this server.
 *  @retval HEL_EBUSY it cannot now. */
HEL_CHECKED hel_status hel_queue_keep(hel_queue *q, hel_job *job);
bool hel_job_needs_keeping(hel_queue *q, hel_job *job);
/** In a fleet, often: tells what came of jobs, asks for those elsewhere. */
void hel_queue_share(hel_queue *q);
/** In a fleet: a query whose server died, to be submitted here. @retval HEL_EDENIED there is none.
 */
HEL_CHECKED hel_status hel_queue_take(hel_claim *c, hel_writer *query, hel_queue *q);
/** It cannot be run here. */
void hel_queue_give_back(hel_queue *q, const hel_claim *c, hel_status st, const char *why);
/** How full it is, from 0 to 1. */
double hel_queue_load(hel_queue *q);
void hel_job_release(hel_queue *q, hel_job *job);
/** Is it DONE? When not and `wait`, counts a waiter, to be ended by hel_job_unwait. */
bool hel_job_poll(hel_queue *q, hel_job *job, bool wait);
void hel_job_unwait(hel_queue *q, hel_job *job);
hel_job_state hel_job_where(hel_queue *q, const hel_job *job);
/** Cancels and forgets it. @retval HEL_EBUSY another server has it, and cannot be told now. */
HEL_CHECKED hel_status hel_job_cancel(hel_queue *q, hel_job *job);
/** All jobs of a removed key set. */
void hel_queue_cancel_all(hel_queue *q, const hel_keyset *keys);
/** Deadlines, clients that have gone, old results. */
void hel_queue_sweep(hel_queue *q);
/** Jobs waiting and running. */
size_t hel_queue_busy(hel_queue *q);
void hel_queue_gauges(hel_queue *q, hel_gauges *g);

#endif
