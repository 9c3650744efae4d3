/* service.h -- the private-prediction server, from the bottom up: settings, log, metrics; the store
 * of key sets, the catalog of models, the queue of jobs; HTTP on top. No secret-key code.
 *
 * A *session* is a client's access, by an unguessable token, to one *key set*: the evaluation keys
 * it uploaded, for one parameter set and any number of models. A *job* is one query against one
 * model under one key set. Jobs live in memory only; key sets live on disk.
 */
#ifndef HEL_SERVICE_H
#define HEL_SERVICE_H

#include "net/net.h"
#include <jansson.h>
#include <pthread.h>

/* --- settings.c: one table; a file, then the environment, then flags, the last one wins -- */

/* X(kind, field, name, default, low, high, value's name, help) */
#define HEL_SETTING_LIST(X)                                                                        \
	X(TEXT, listen, "listen", "127.0.0.1:8443", 0, 0, "ADDRESS:PORT",                          \
	  "where to listen ([v6]:port too); port 0 takes a free one")                              \
	X(TEXT, models, "models", "models", 0, 0, "DIR",                                           \
	  "models: NAME.helm or NAME/program.helm, reloaded when replaced")                        \
	X(TEXT, data, "data", "data", 0, 0, "DIR",                                                 \
	  "registry, keys, encoded weights; one server only")                                      \
	X(TEXT, tls_cert, "tls-cert", "", 0, 0, "FILE", "certificate chain (PEM) for HTTPS")       \
	X(TEXT, tls_key, "tls-key", "", 0, 0, "FILE", "its private key (PEM)")                     \
	X(TEXT, client_ca, "client-ca", "", 0, 0, "FILE",                                          \
	  "only clients with a certificate of this authority (PEM)")                               \
	X(TEXT, api_keys, "api-keys", "", 0, 0, "FILE",                                            \
	  "only requests with one of these in X-API-Key; one a line, 16 characters or more")       \
	X(FLAG, plain_http, "plain-http", 0, 0, 1, NULL,                                           \
	  "plain HTTP on any address, not only on loopback")                                       \
	X(FLAG, behind_proxy, "behind-proxy", 0, 0, 1, NULL,                                       \
	  "take client addresses from X-Forwarded-For's last entry")                               \
	X(FLAG, public_metrics, "public-metrics", 0, 0, 1, NULL,                                   \
	  "answer /metrics to other machines, too")                                                \
	X(NUMBER, workers, "workers", 0, 0, 1024, "N",                                             \
	  "evaluations at the same time (0: one per core)")                                        \
	X(NUMBER, evaluation_threads, "evaluation-threads", 1, 1, 256, "N",                        \
	  "threads of one evaluation: latency against throughput")                                 \
	X(NUMBER, io_threads, "io-threads", 2, 1, 64, "N", "threads that talk to clients")         \
	X(NUMBER, memory, "memory-mb", 0, 0, 1 << 24, "MB",                                        \
	  "admission limit of weights, evaluations, bodies, results (0: 3/4 of the machine)")      \
	X(NUMBER, disk, "disk-mb", 20480, 1, 1 << 30, "MB", "for key sets, all together")          \
	X(NUMBER, keys, "keys-mb", 1024, 1, 1 << 20, "MB", "largest key upload")                   \
	X(NUMBER, sessions, "sessions", 10000, 1, 1000000, "N", "most key sets kept")              \
	X(NUMBER, session_ttl, "session-ttl", 30 * 86400, 1, 3650 * 86400, "S",                    \
	  "a key set unused for so long is removed")                                               \
	X(NUMBER, session_keep, "session-keep", 3600, 0, 3650 * 86400, "S",                        \
	  "a key set used within it is never evicted for another")                                 \
	X(NUMBER, upload_ttl, "upload-ttl", 3600, 1, 86400, "S",                                   \
	  "an unfinished upload idle for so long is removed")                                      \
	X(NUMBER, queue, "queue", 256, 1, 100000, "N", "most queries waiting or running")          \
	X(NUMBER, session_queue, "session-queue", 8, 1, 100000, "N", "the same for one session")   \
	X(NUMBER, queries_per_minute, "queries-per-minute", 600, 1, 1000000, "N",                  \
	  "of one session")                                                                        \
	X(NUMBER, opens_per_minute, "opens-per-minute", 30, 1, 1000000, "N",                       \
	  "sessions opened, and tokens refused, per address")                                      \
	X(NUMBER, query_seconds, "query-seconds", 60, 1, 86400, "S",                               \
	  "for a query to wait and run; cancelled at the next op")                                 \
	X(NUMBER, gone_seconds, "gone-seconds", 2, 0, 86400, "S",                                  \
	  "a client that waited and went may take to come back")                                   \
	X(NUMBER, result_seconds, "result-seconds", 120, 1, 86400, "S", "results are kept")        \
	X(NUMBER, connections, "connections", 512, 4, 60000, "N", "most connections")              \
	X(NUMBER, connections_per_address, "connections-per-address", 0, 0, 60000, "N",            \
	  "the same for one address (0: no limit)")                                                \
	X(NUMBER, header_seconds, "header-seconds", 10, 1, 3600, "S",                              \
	  "for a request's head; added to each body's time")                                       \
	X(NUMBER, idle_seconds, "idle-seconds", 60, 1, 3600, "S",                                  \
	  "an idle connection is kept open")                                                       \
	X(NUMBER, min_rate, "min-rate-kb", 4, 1, 1 << 20, "KB/S",                                  \
	  "clients that send or read slower are cut off")                                          \
	X(NUMBER, drain_seconds, "drain-seconds", 30, 0, 3600, "S",                                \
	  "running queries may take to end after SIGTERM")                                         \
	X(NUMBER, reload_seconds, "reload-seconds", 5, 1, 86400, "S",                              \
	  "between looks at the models' directory (SIGHUP: now)")

#define HEL_SETTING_TEXT_MAX 1024

typedef char hel_setting_TEXT[HEL_SETTING_TEXT_MAX];
typedef uint64_t hel_setting_NUMBER;
typedef uint64_t hel_setting_FLAG;

typedef struct hel_settings {
#define X(kind, field, name, otherwise, low, high, value, help) hel_setting_##kind field;
	HEL_SETTING_LIST(X)
#undef X
} hel_settings;

void hel_settings_default(hel_settings *s);
/** Sets one by name. Flags take yes or no. `origin` names the source in messages. */
HEL_CHECKED hel_status hel_settings_set(hel_settings *s, const char *name, const char *text,
					const char *origin);
/** Lines `name = value`; # starts a comment. All or nothing. */
HEL_CHECKED hel_status hel_settings_parse(hel_settings *s, const char *text, const char *origin);
HEL_CHECKED hel_status hel_settings_file(hel_settings *s, const char *path);
/** HELRM_SERVE_NAME, dashes as underscores. */
HEL_CHECKED hel_status hel_settings_environment(hel_settings *s);
/** What can be judged without starting: addresses, files, combinations.
 *  @retval HEL_EINVAL, HEL_EIO  with what to change. */
HEL_CHECKED hel_status hel_settings_check(const hel_settings *s);
/** A file in the format of hel_settings_parse that says what is in force. */
void hel_settings_print(FILE *out, const hel_settings *s);
/** Splits "host:port" or "[host]:port". */
HEL_CHECKED hel_status hel_settings_address(char *host, size_t size, uint16_t *port,
					    const char *listen);

/* --- log.c: one JSON object a line on stderr; no payloads, no tokens --------------------- */

/** Fields by json_pack's format, e.g. "{s:s}". */
void hel_log(const char *level, const char *event, const char *format, ...);

/* --- metrics.c --------------------------------------------------------------------------- */

#define HEL_COUNTER_LIST(X)                                                                        \
	X(bytes_received, "Bytes of request bodies")                                               \
	X(bytes_sent, "Bytes of response bodies")                                                  \
	X(sessions_opened, "Sessions opened")                                                      \
	X(sessions_completed, "Key uploads verified")                                              \
	X(sessions_removed, "Key sets removed by clients")                                         \
	X(sessions_expired, "Key sets removed by time to live")                                    \
	X(sessions_evicted, "Key sets removed by quota")                                           \
	X(queries_accepted, "Queries taken into the queue")                                        \
	X(queries_done, "Queries answered with a result")                                          \
	X(queries_failed, "Queries that failed")                                                   \
	X(queries_cancelled, "Queries cancelled by time, by the client or because it had gone")    \
	X(refused_rate, "Requests refused by a rate limit")                                        \
	X(refused_load, "Requests refused for lack of queue, memory or disk")                      \
	X(refused_access, "Requests refused for a wrong token, API key or certificate")            \
	X(connections_slow, "Connections cut for slowness")                                        \
	X(model_loads, "Models loaded")                                                            \
	X(models_encoded, "Models encoded, as their cache was missing or not usable")              \
	X(model_refusals, "Model files refused")

#define HEL_STAGE_LIST(X) X(queue) X(load) X(read) X(evaluate) X(write) X(request)

#define HEL_BUCKETS 14 /* 1 ms, 2 ms, ... 8.2 s; the last is infinite */

typedef struct hel_histogram {
	atomic_ullong bucket[HEL_BUCKETS + 1];
	atomic_ullong micros;
} hel_histogram;

typedef struct hel_counters {
#define X(name, help) atomic_ullong name;
	HEL_COUNTER_LIST(X)
#undef X
#define X(name) hel_histogram stage_##name;
	HEL_STAGE_LIST(X)
#undef X
	atomic_ullong responses[6]; /* by hundreds of their status */
} hel_counters;

/** What is measured at the moment of asking. */
typedef struct hel_gauges {
	uint64_t sessions, sessions_ready, disk_bytes, mapped, queued, running, results,
	    connections, memory_reserved, memory_limit, models, models_loaded;
} hel_gauges;

void hel_count(atomic_ullong *counter, uint64_t by);
void hel_observe(hel_histogram *h, double seconds);
/** Prometheus text; the caller frees it with free(). NULL when out of memory. */
char *hel_counters_text(const hel_counters *m, const hel_gauges *g, size_t *size);

/* --- budget.c: memory that was promised -------------------------------------------------- */

typedef struct hel_budget {
	size_t limit;
	atomic_size_t used;
} hel_budget;

/** 0 stands for three quarters of the machine. */
void hel_budget_init(hel_budget *b, size_t limit);
bool hel_budget_take(hel_budget *b, size_t bytes);
void hel_budget_give(hel_budget *b, size_t bytes);

/** A token bucket: `rate` a minute, bursts up to the same number. */
typedef struct hel_bucket {
	double tokens, filled;
} hel_bucket;

/** Seconds until the next one is allowed; 0 when this one is. */
double hel_bucket_take(hel_bucket *b, uint64_t rate);

/* --- catalog.c, loading.c: the models
 * --------------------------------------------------------------- */

typedef struct hel_catalog hel_catalog;

#define HEL_ROUTE_NAME_MAX 64

/** One version of one model. Counted: a replaced one lives until its last query ends. */
typedef struct hel_model {
	char name[HEL_ROUTE_NAME_MAX + 1];
	hel_manifest *manifest;
	uint8_t *manifest_bytes;
	size_t manifest_size;
	const hel_params *params; /* shared by all models and key sets of one fingerprint */
	size_t query_bytes;	  /* of every valid query made with the secret key, to the byte */
	size_t contributed_bytes; /* of one made under the public key */
	size_t result_bytes;
	size_t run_bytes; /* memory estimate of one evaluation */
	/* catalog.c's own */
	hel_catalog *catalog;
	char *path;
	struct timespec changed;
	uint64_t inode, bytes;
	unsigned refs;
	pthread_mutex_t loading;
	hel_server *server;
	size_t weight_bytes; /* encoded, and the program: mapped pages count, runs need them */
	uint8_t program[HEL_HASH_BYTES]; /* hash of the file */
	bool prepared;			 /* its cache was looked for; the keeper's alone */
	hel_scratch **idle;		 /* one per evaluation that ran at the same time */
	size_t idle_count;
	double used;		/* when last */
	_Atomic double seconds; /* what an evaluation takes; read under other locks */
} hel_model;

HEL_CHECKED hel_status hel_catalog_open(hel_catalog **out, const hel_settings *settings,
					hel_budget *budget, hel_counters *metrics, hel_pool *pool);
void hel_catalog_close(hel_catalog *c);
/** Looks at the directory now; a thread does so every `reload_seconds`. It takes in new and changed
 *  files and drops removed ones; a bad file is refused, logged, and the version in service stays.
 */
void hel_catalog_look(hel_catalog *c);
/** Ends that thread, and loads wherever they are going on. */
void hel_catalog_stop(hel_catalog *c);
/** A counted model, NULL when there is none of that name. */
hel_model *hel_catalog_find(hel_catalog *c, const char *name);
void hel_model_release(hel_model *m);
/** All of them, counted; the caller releases each and frees the array. */
HEL_CHECKED hel_status hel_catalog_all(hel_model ***out, size_t *count, hel_catalog *c);
/** Parameters by fingerprint, NULL when no model had them yet. They live as long as the catalog. */
const hel_params *hel_catalog_params(hel_catalog *c, const uint8_t fingerprint[HEL_HASH_BYTES]);
/** The model ready to run: loaded now if it is not, others unloaded if memory asks for it.
 *  @retval HEL_EBUSY no memory, or its file is just being replaced. */
HEL_CHECKED hel_status hel_model_ready(const hel_server **out, hel_model *m);
/** Scratch for one run; given back with the seconds it took. */
hel_scratch *hel_model_scratch(hel_model *m);
void hel_model_done(hel_model *m, hel_scratch *scratch, double seconds);
size_t hel_catalog_loaded(hel_catalog *c);

/* --- store.c: key sets on disk, SQLite as their registry --------------------------------- */

typedef struct hel_store hel_store;

#define HEL_SESSION_ID_BYTES 16
#define HEL_TOKEN_BYTES (HEL_SESSION_ID_BYTES + 32) /* id, then what proves access to it */
#define HEL_TOKEN_CHARS (2 * HEL_TOKEN_BYTES)

typedef enum hel_keyset_state { HEL_KEYSET_UPLOADING, HEL_KEYSET_READY } hel_keyset_state;

/** One client's evaluation keys. Counted; removed ones live until their last use ends. Fields below
 *  the line belong to store.c; the others never change. */
typedef struct hel_keyset {
	uint8_t id[HEL_SESSION_ID_BYTES];
	uint8_t fingerprint[HEL_HASH_BYTES];
	size_t count;
	hel_key_request *request;
	uint64_t bytes, expanded; /* of the upload, of its form for use */
	int64_t created;
	/* --- */
	uint8_t proof[HEL_HASH_BYTES]; /* hash of the token's second part */
	uint8_t client[HEL_CLIENT_ID_BYTES];
	hel_keyset_state state;
	uint64_t have;
	int64_t used, used_on_disk;
	unsigned refs;
	bool busy, dead;
	hel_bucket rate;
	void *map;
	hel_keys *keys;
	struct hel_keyset *next;
} hel_keyset;

HEL_CHECKED hel_status hel_store_open(hel_store **out, const hel_settings *settings,
				      hel_counters *metrics);
void hel_store_close(hel_store *s);
/** A new key set of exactly these keys, empty; on disk when this returns. Evicts the least recently
 *  used ones beyond quota. `token`: room for HEL_TOKEN_CHARS + 1.
 *  @retval HEL_ELIMIT larger than the operator allows.
 *  @retval HEL_ESPACE no disk, no quota that may be evicted. */
HEL_CHECKED hel_status hel_store_create(hel_keyset **out, char *token, hel_store *s,
					const hel_params *params, const hel_key_request *request,
					size_t count);
/** The key set a token gives access to, counted; NULL for anything else, in the same time. */
hel_keyset *hel_store_find(hel_store *s, const char *token);
void hel_keyset_hold(hel_store *s, hel_keyset *k);
void hel_keyset_release(hel_store *s, hel_keyset *k);
/** Where the upload stands. */
hel_keyset_state hel_keyset_progress(hel_store *s, const hel_keyset *k, uint64_t *have);

/** Begins to write at `offset`, which must be where the upload stands; *fd takes the bytes.
 *  @retval HEL_ERANGE another offset is expected. @retval HEL_EBUSY another request writes. */
HEL_CHECKED hel_status hel_store_write_begin(int *fd, hel_store *s, hel_keyset *k, uint64_t offset);
/** Ends it after `written` bytes, which then are on disk; with `params`, checks and expands a
 *  complete upload, which takes about 20 ms per MB.
 *  @retval HEL_EHASH, ... the upload is bad and starts again from 0. */
HEL_CHECKED hel_status hel_store_write_end(hel_store *s, hel_keyset *k, int fd, uint64_t written,
					   const hel_params *params);
/** The keys ready for use, mapped read-only; valid until the key set is released. */
HEL_CHECKED hel_status hel_store_keys(const hel_keys **out, hel_store *s, hel_keyset *k,
				      const hel_params *params);
/** Removes a key set: the token is void and the files are gone when this returns. */
void hel_store_remove(hel_store *s, hel_keyset *k);
/** Times to live, unused mappings, times of use to disk. */
void hel_store_sweep(hel_store *s);
void hel_store_gauges(hel_store *s, hel_gauges *g);
/** Seconds until the session may ask again; 0: now. Marks it as used. */
double hel_keyset_rate(hel_store *s, hel_keyset *k, uint64_t per_minute);

/* --- queue.c: jobs and the workers that run them ----------------------------------------- */

typedef struct hel_queue hel_queue;

typedef enum hel_job_state { HEL_JOB_QUEUED, HEL_JOB_RUNNING, HEL_JOB_DONE } hel_job_state;

#define HEL_JOB_ID_CHARS 32
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
	bool attended;	/* its client waits for it: cancelled when nobody does any more */
	unsigned waiters, refs;
	atomic_bool stop;
	struct hel_job *next;
} hel_job;

/** `wake` is called, with no lock held, whenever some job is DONE. */
HEL_CHECKED hel_status hel_queue_open(hel_queue **out, const hel_settings *settings,
				      hel_store *store, hel_budget *budget, hel_counters *metrics,
				      void (*wake)(void *arg), void *arg);
/** Cancels what still runs. */
void hel_queue_close(hel_queue *q);
/** Takes the query's memory, a reference to keys and model, and gives a counted job: a new one, or
 *  the one this session submitted under the same idempotency key.
 *  @retval HEL_EBUSY  no place; *retry says when to try again.
 *  @retval HEL_EINVAL the same idempotency key with another query. */
HEL_CHECKED hel_status hel_queue_submit(hel_job **out, hel_queue *q, hel_keyset *keys,
					hel_model *model, uint8_t *query, size_t size,
					const char *idempotency, bool attended, double *retry);
/** A counted job of this key set; NULL for any other. */
hel_job *hel_queue_find(hel_queue *q, const hel_keyset *keys, const char *id);
void hel_job_release(hel_queue *q, hel_job *job);
/** Is it DONE? When not and `wait`, counts a waiter, to be ended by hel_job_unwait. */
bool hel_job_poll(hel_queue *q, hel_job *job, bool wait);
void hel_job_unwait(hel_queue *q, hel_job *job);
hel_job_state hel_job_where(hel_queue *q, const hel_job *job);
/** Cancels and forgets it. */
void hel_job_cancel(hel_queue *q, hel_job *job);
/** All jobs of a removed key set. */
void hel_queue_cancel_all(hel_queue *q, const hel_keyset *keys);
/** Deadlines, clients that have gone, old results. */
void hel_queue_sweep(hel_queue *q);
/** Jobs waiting and running. */
size_t hel_queue_busy(hel_queue *q);
void hel_queue_gauges(hel_queue *q, hel_gauges *g);

/* --- service.c, http.c, api.c ------------------------------------------------------------ */

typedef struct hel_service hel_service;

/** Everything above, listening. `pool` serves the loading of models. */
HEL_CHECKED hel_status hel_service_open(hel_service **out, const hel_settings *settings,
					hel_pool *pool);
/** Periodic work; to be called about ten times a second. */
void hel_service_tick(hel_service *s, bool reload);
/** Refuses new work, lets running queries end, answers, closes. */
void hel_service_close(hel_service *s);
uint16_t hel_service_port(const hel_service *s);

#endif
