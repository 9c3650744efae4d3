#include "postgresql.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#define IDLE_MAX 64
#define ANSWER_SECONDS 5 /* of silence: the connection is given up */
#define DOWN_SECONDS 0.5 /* after a connection failed, others are not tried for so long */

struct hel_pg {
	char *where;
	double patience;
	pthread_mutex_t lock;
	PGconn *idle[IDLE_MAX];
	size_t count;
	double down_until;
};

struct hel_pg_tx {
	PGconn *db;
	bool again; /* what failed may succeed when it is done again */
	bool lost;  /* the connection is of no use any more */
};

/* --- values ------------------------------------------------------------------------------- */

static void put(hel_pg_values *v, const void *value, size_t size, int binary)
{
	v->value[v->count] = value;
	v->length[v->count] = (int)size;
	v->binary[v->count++] = binary;
}

void hel_pg_bytes(hel_pg_values *v, const void *bytes, size_t size)
{
	put(v, bytes, size, 1);
}

void hel_pg_text(hel_pg_values *v, const char *text)
{
	put(v, text, strlen(text), 0);
}

void hel_pg_integer(hel_pg_values *v, int64_t number)
{
	char *text = v->text[v->count];
	put(v, text, (size_t)snprintf(text, sizeof *v->text, "%lld", (long long)number), 0);
}

void hel_pg_real(hel_pg_values *v, double number)
{
	char *text = v->text[v->count];
	put(v, text, (size_t)snprintf(text, sizeof *v->text, "%.17g", number), 0);
}

const void *hel_pg_get_bytes(size_t *size, const PGresult *r, int row, int column)
{
	*size = (size_t)PQgetlength(r, row, column);
	return PQgetvalue(r, row, column);
}

/* Numbers come as eight bytes, the highest first. */
static uint64_t get_word(const PGresult *r, int row, int column)
{
	const uint8_t *p = (const uint8_t *)PQgetvalue(r, row, column);
	uint64_t word = 0;
	for (int i = 0; i < 8 && PQgetlength(r, row, column) == 8; i++)
		word = word << 8 | p[i];
	return word;
}

int64_t hel_pg_get_integer(const PGresult *r, int row, int column)
{
	return (int64_t)get_word(r, row, column);
}

double hel_pg_get_real(const PGresult *r, int row, int column)
{
	const uint64_t word = get_word(r, row, column);
	double number;
	memcpy(&number, &word, sizeof number);
	return number;
}

/* --- connections -------------------------------------------------------------------------- */

static void ignore_notice(void *arg, const PGresult *r)
{
	(void)arg;
	(void)r;
}

/* libpq's messages have several lines; ours have one. */
static hel_status unreachable(const char *why)
{
	return hel_fail(HEL_EBUSY, "the registry cannot be reached now: %.*s",
			(int)strcspn(why, "\n"), *why ? why : "its connection broke");
}

static hel_status connect_new(PGconn **out, hel_pg *pg)
{
	static const char *const key[] = {"dbname", "connect_timeout", "tcp_user_timeout",
					  "application_name", NULL};
	const char *const value[] = {pg->where, "3", "5000", "helrm", NULL};
	pthread_mutex_lock(&pg->lock);
	const bool down = hel_clock() < pg->down_until;
	pthread_mutex_unlock(&pg->lock);
	if (down)
		return unreachable("it could not be a moment ago");
	PGconn *db = PQconnectdbParams(key, value, 1);
	if (db && PQstatus(db) == CONNECTION_OK && PQsetnonblocking(db, 1) == 0) {
		PQsetNoticeReceiver(db, ignore_notice, NULL);
		*out = db;
		return HEL_OK;
	}
	pthread_mutex_lock(&pg->lock);
	pg->down_until = hel_clock() + DOWN_SECONDS;
	pthread_mutex_unlock(&pg->lock);
	const hel_status st = unreachable(db ? PQerrorMessage(db) : "out of memory");
	PQfinish(db);
	return st;
}

static hel_status take_connection(PGconn **out, hel_pg *pg)
{
	*out = NULL;
	pthread_mutex_lock(&pg->lock);
	if (pg->count)
		*out = pg->idle[--pg->count];
	pthread_mutex_unlock(&pg->lock);
	return *out ? HEL_OK : connect_new(out, pg);
}

static void give_connection(hel_pg *pg, PGconn *db, bool sound)
{
	PGconn *others[IDLE_MAX];
	size_t count = 0;
	pthread_mutex_lock(&pg->lock);
	if (sound && pg->count < IDLE_MAX) {
		pg->idle[pg->count++] = db;
		db = NULL;
	} else if (!sound) { /* what broke one broke others */
		memcpy(others, pg->idle, sizeof others);
		count = pg->count;
		pg->count = 0;
	}
	pthread_mutex_unlock(&pg->lock);
	PQfinish(db);
	while (count)
		PQfinish(others[--count]);
}

/* Waits for the socket; false after too long. */
static bool wait_for(PGconn *db, double until)
{
	const int sending = PQflush(db);
	struct pollfd fd = {.fd = PQsocket(db),
			    .events = (short)(POLLIN | (sending > 0 ? POLLOUT : 0))};
	const double left = until - hel_clock();
	if (sending < 0 || fd.fd < 0 || left <= 0)
		return false;
	const int n = poll(&fd, 1, (int)(1e3 * left) + 1);
	return (n > 0 || (n < 0 && errno == EINTR)) && PQconsumeInput(db);
}

/* The last result of what was sent, NULL when the connection broke. */
static PGresult *receive(PGconn *db)
{
	const double until = hel_clock() + ANSWER_SECONDS;
	PGresult *last = NULL;
	for (;;) {
		while (PQflush(db) > 0 || PQisBusy(db))
			if (!wait_for(db, until)) {
				PQclear(last);
				return NULL;
			}
		PGresult *next = PQgetResult(db);
		if (!next)
			return last;
		PQclear(last);
		last = next;
	}
}

/* --- transactions ------------------------------------------------------------------------- */

/* What PostgreSQL says (Appendix A of its manual) as ours. */
static hel_status failure(hel_pg_tx *t, const PGresult *r)
{
	const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
	const char *why = r ? PQresultErrorMessage(r) : PQerrorMessage(t->db);
	t->lost = !state || strncmp(state, "08", 2) == 0 || strncmp(state, "57P", 3) == 0 ||
		  PQstatus(t->db) != CONNECTION_OK;
	t->again = t->lost || strncmp(state, "40", 2) == 0 || strcmp(state, "55P03") == 0;
	if (t->lost)
		return unreachable(why);
	const bool full = strncmp(state, "53", 2) == 0;
	return hel_fail(t->again ? HEL_EBUSY
			: full	 ? HEL_ESPACE
				 : HEL_EIO,
			"the registry failed (%s): %.*s", state, (int)strcspn(why, "\n"), why);
}

hel_status hel_pg_query(PGresult **result, hel_pg_tx *t, const char *sql, const hel_pg_values *v)
{
	static const hel_pg_values none;
	v = v ? v : &none;
	if (!PQsendQueryParams(t->db, sql, v->count, NULL, v->value, v->length, v->binary, 1))
		return failure(t, NULL);
	PGresult *r = receive(t->db);
	const ExecStatusType status = r ? PQresultStatus(r) : PGRES_FATAL_ERROR;
	const bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
	const hel_status st = good ? HEL_OK : failure(t, r);
	if (good && result)
		*result = r;
	else
		PQclear(r);
	return st;
}

static void pause_before(unsigned attempt)
{
	uint32_t jitter;
	hel_random_bytes(&jitter, sizeof jitter);
	const long most = 5000000L << HEL_MIN(attempt, 5u);
	nanosleep(&(struct timespec){.tv_nsec = most / 2 + (long)(jitter % (uint32_t)most) / 2},
		  NULL);
}

typedef struct transaction {
	hel_status (*fn)(hel_pg_tx *t, void *arg);
	void *arg;
	bool whole; /* fn is all of it: no BEGIN, no COMMIT */
} transaction;

static hel_status attempt(hel_pg_tx *t, const transaction *what)
{
	hel_status st = HEL_OK;
	if (!what->whole)
		TRY(hel_pg_query(NULL, t, "BEGIN", NULL));
	TRY(what->fn(t, what->arg));
	if (!what->whole)
		TRY(hel_pg_query(NULL, t, "COMMIT", NULL));
done:
	if (st != HEL_OK && !what->whole && !t->lost) {
		char detail[256];
		const bool again = t->again;
		snprintf(detail, sizeof detail, "%s", hel_error_detail());
		if (hel_pg_query(NULL, t, "ROLLBACK", NULL) != HEL_OK)
			t->lost = true;
		t->again = again;
		(void)hel_fail(st, "%s", detail);
	}
	return st;
}

static hel_status run(hel_pg *pg, const transaction *what)
{
	const double until = hel_clock() + pg->patience;
	for (unsigned n = 0;; n++) {
		hel_pg_tx t = {0};
		hel_status st = take_connection(&t.db, pg);
		if (st != HEL_OK) { /* waiting would hold up a thread: clients try again */
			if (hel_clock() + DOWN_SECONDS > until)
				return st;
		} else {
			st = attempt(&t, what);
			give_connection(pg, t.db, !t.lost);
			if (!t.again || hel_clock() > until)
				return st;
		}
		pause_before(n);
	}
}

hel_status hel_pg_run(hel_pg *pg, hel_status (*fn)(hel_pg_tx *t, void *arg), void *arg)
{
	return run(pg, &(transaction){.fn = fn, .arg = arg});
}

typedef struct statement {
	PGresult **result;
	const char *sql;
	const hel_pg_values *values;
} statement;

static hel_status run_statement(hel_pg_tx *t, void *arg)
{
	const statement *s = arg;
	return hel_pg_query(s->result, t, s->sql, s->values);
}

hel_status hel_pg_once(PGresult **result, hel_pg *pg, const char *sql, const hel_pg_values *v)
{
	statement s = {result, sql, v};
	return run(pg, &(transaction){.fn = run_statement, .arg = &s, .whole = true});
}

hel_status hel_pg_open(hel_pg **out, const char *where, double patience)
{
	hel_status st = HEL_OK;
	hel_pg *pg = NULL;
	PGconn *first = NULL;
	TRY_ALLOC(pg, hel_alloc(1, sizeof *pg));
	pthread_mutex_init(&pg->lock, NULL);
	pg->patience = patience;
	TRY_ALLOC(pg->where, hel_strdup(where));
	TRY(connect_new(&first, pg)); /* what is wrong in it is told now */
	give_connection(pg, first, true);
	*out = pg;
	pg = NULL;
done:
	hel_pg_close(pg);
	return st;
}

void hel_pg_close(hel_pg *pg)
{
	if (!pg)
		return;
	while (pg->count)
		PQfinish(pg->idle[--pg->count]);
	pthread_mutex_destroy(&pg->lock);
	hel_free_secret(pg->where, pg->where ? strlen(pg->where) : 0);
	hel_free(pg);
}
