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
	/** Once a second: this server lives; the fleet's clock, which is that of the server that
	 *  was up longest; sessions that are over; objects of those that were removed. */
	hel_status (*tick)(double *clock, hel_fleet *f, double now);
} hel_fleet_calls;

struct hel_fleet {
	const hel_fleet_calls *call;
	hel_registry *registry; /* its rows */
};

#endif
