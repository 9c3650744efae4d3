/* postgresql.h -- transactions over libpq.
 *
 * No session state and no prepared statement outlives a transaction, so that a pooler may stand
 * between (PgBouncer in transaction mode). What fails for the moment is done again: a serialisation
 * failure, a deadlock, a connection that broke or a server that restarts. As nobody knows whether a
 * COMMIT that was not answered took place, every transaction must be one that may be done twice. */
#ifndef HEL_POSTGRESQL_H
#define HEL_POSTGRESQL_H

#include "base/base.h"
#include <libpq-fe.h>

typedef struct hel_pg hel_pg; /* connections, one for each thread that asks at this moment */
typedef struct hel_pg_tx hel_pg_tx;

#define HEL_PG_VALUES 16

/** What stands for $1, $2 ... */
typedef struct hel_pg_values {
	int count;
	const char *value[HEL_PG_VALUES];
	int length[HEL_PG_VALUES], binary[HEL_PG_VALUES];
	char text[HEL_PG_VALUES][32]; /* of numbers */
} hel_pg_values;

/** Bytes and texts are borrowed. */
void hel_pg_bytes(hel_pg_values *v, const void *bytes, size_t size);
void hel_pg_text(hel_pg_values *v, const char *text);
void hel_pg_integer(hel_pg_values *v, int64_t number);
void hel_pg_real(hel_pg_values *v, double number);

/** Fields of a result: bytea, text; int8; float8. Another type or NULL is empty or 0. */
const void *hel_pg_get_bytes(size_t *size, const PGresult *r, int row, int column);
int64_t hel_pg_get_integer(const PGresult *r, int row, int column);
double hel_pg_get_real(const PGresult *r, int row, int column);

/** `patience`: seconds that one transaction may take with all its repetitions. */
HEL_CHECKED hel_status hel_pg_open(hel_pg **out, const char *where, double patience);
void hel_pg_close(hel_pg *pg);

/** A statement within a transaction. *result (may be NULL): the caller's to PQclear. */
HEL_CHECKED hel_status hel_pg_query(PGresult **result, hel_pg_tx *t, const char *sql,
				    const hel_pg_values *v);
/** BEGIN, fn, COMMIT; as often as it takes. fn's own failures end it.
 *  @retval HEL_EBUSY the database cannot be reached now. @retval HEL_ESPACE its disk is full. */
HEL_CHECKED hel_status hel_pg_run(hel_pg *pg, hel_status (*fn)(hel_pg_tx *t, void *arg), void *arg);
/** A transaction of one statement, in one round trip. */
HEL_CHECKED hel_status hel_pg_once(PGresult **result, hel_pg *pg, const char *sql,
				   const hel_pg_values *v);

#endif
