/* fleet.h -- what servers share: rows in PostgreSQL, bytes in an object store. A server alone has
 * none of it. docs/internals/fleet.md has the transitions.
 *
 * A server's own files are a cache here. Who wins where two servers do the same is decided by one
 * transaction: an upload's piece counts if the upload still stood where it begins, a verdict if the
 * upload is still the one (`generation`) that was judged. */
#ifndef HEL_SERVER_FLEET_H
#define HEL_SERVER_FLEET_H

#include "registry.h"

typedef struct hel_fleet hel_fleet;

/** One query as all servers know it. */
typedef struct hel_claim {
	uint8_t session[HEL_SESSION_ID_BYTES];
	char id[33], model[65], customer[64];
	uint8_t hash[HEL_HASH_BYTES]; /* of the query */
	uint64_t generation;	      /* of the key set here */
	uint64_t fence;		      /* counts who had it: a server with an older one has not */
	uint64_t per_minute;	      /* of the customer, all servers together; 0: no limit */
	double now, retry; /* seconds of the store's clock; until it may be tried again */
} hel_claim;

typedef struct hel_outcome {
	bool done, kept; /* kept: whatever happens to its server */
	hel_status status;
	char detail[256];
	hel_writer result;
} hel_outcome;

typedef struct hel_fleet_calls {
	void (*close)(hel_fleet *f);
	/** The row of a session; `request` is the caller's. @retval HEL_EDENIED there is none. */
	hel_status (*find)(hel_keyset *row, hel_fleet *f, const uint8_t id[HEL_SESSION_ID_BYTES]);
	/** A new one, within what its opener may have; others of the same opener may go for it.
	 *  @retval HEL_EBUSY, HEL_ESPACE as hel_store_create. */
	hel_status (*create)(hel_fleet *f, const hel_keyset *k);
	/** Keeps bytes [at, at + size) of an upload.
	 *  @retval HEL_ERANGE the upload stands elsewhere. @retval HEL_EDENIED it was removed. */
	hel_status (*piece)(hel_fleet *f, const hel_keyset *k, uint64_t at, const void *bytes,
			    size_t size, double now);
	/** All that was uploaded, into a file from its begin.
	 *  @retval HEL_ETRUNC it is not whole. */
	hel_status (*fetch)(hel_fleet *f, const hel_keyset *k, int fd);
	/** What was uploaded is good; `bytes` is all of it, to be kept as one object.
	 *  @retval HEL_EDENIED it is another upload by now. */
	hel_status (*ready)(hel_fleet *f, const hel_keyset *k, const void *bytes, double now);
	/** What was uploaded is bad: all over. */
	hel_status (*restart)(hel_fleet *f, const hel_keyset *k, double now);
	/** Nobody finds it any more; its objects go later, also where this server dies. */
	hel_status (*remove)(hel_fleet *f, const uint8_t id[HEL_SESSION_ID_BYTES], double now);
	/** When a session was used last. */
	hel_status (*used)(hel_fleet *f, const uint8_t id[HEL_SESSION_ID_BYTES], double used);
	/** The fleet's clock; the latest time of use where it never was written. */
	hel_status (*clock)(double *seconds, hel_fleet *f);
	/** Once a second: this server lives; the fleet's clock, which is that of the server that
	 *  was up longest; sessions that are over; objects of those that were removed. */
	hel_status (*tick)(double *clock, hel_fleet *f, double now);
	/* --- jobs --- */
	/** *mine: this server runs it, under c->fence; another one does otherwise. A query counts
	 *  once for its customer, whoever runs it how often.
	 *  @retval HEL_EINVAL it is another query. @retval HEL_EDENIED the session is no more.
	 *  @retval HEL_EBUSY c->retry > 0: the customer's allowance is used. */
	hel_status (*job_begin)(bool *mine, hel_claim *c, hel_fleet *f);
	/** From now on it outlives this server.
	 *  @retval HEL_EBUSY this server has it no more, or the store cannot be reached. */
	hel_status (*job_keep)(hel_fleet *f, const hel_claim *c, const void *query, size_t size);
	/** What came of it; the result is kept if others may ask for it. */
	hel_status (*job_end)(hel_fleet *f, const hel_claim *c, hel_status status,
			      const char *detail, const void *result, size_t size);
	/** This server does not run it: another may. */
	hel_status (*job_give)(hel_fleet *f, const hel_claim *c);
	/** What became of it elsewhere. @retval HEL_EDENIED there is no such query. */
	hel_status (*job_look)(hel_outcome *o, hel_fleet *f, const hel_claim *c);
	hel_status (*job_cancel)(hel_fleet *f, const hel_claim *c);
	/** A query whose server is dead. @retval HEL_EDENIED there is none. */
	hel_status (*job_take)(hel_claim *c, hel_writer *query, hel_fleet *f);
} hel_fleet_calls;

struct hel_fleet {
	const hel_fleet_calls *call;
};

#endif
