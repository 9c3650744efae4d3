/* settings.h -- what operators set: one table; a file, then the environment, then flags, the last
 * one wins. */
#ifndef HEL_SERVER_SETTINGS_H
#define HEL_SERVER_SETTINGS_H

#include "base/base.h"
#include <stdio.h>

/* X(kind, field, name, default, low, high, value's name, help) */
#define HEL_SETTING_LIST(X)                                                                        \
	X(TEXT, listen, "listen", "127.0.0.1:8443", 0, 0, "ADDRESS:PORT",                          \
	  "where to listen ([v6]:port too); port 0 takes a free one")                              \
	X(TEXT, models, "models", "models", 0, 0, "DIR",                                           \
	  "models: NAME[@LABEL].helm or NAME[@LABEL]/program.helm, reloaded when replaced")        \
	X(TEXT, data, "data", "data", 0, 0, "DIR",                                                 \
	  "registry, keys, encoded weights; one server only")                                      \
	X(TEXT, registry, "registry", "", 0, 0, "postgresql://...",                                \
	  "a fleet's rows (none: this server is alone, with SQLite in data)")                      \
	X(TEXT, store, "store", "", 0, 0, "DIR",                                                   \
	  "a fleet's key sets: a directory all servers see, or s3://BUCKET[/PREFIX]")              \
	X(TEXT, store_endpoint, "store-endpoint", "", 0, 0, "URL",                                 \
	  "https://HOST of an S3-compatible store (none: Amazon's)")                               \
	X(TEXT, store_region, "store-region", "us-east-1", 0, 0, "NAME", "its region")             \
	X(TEXT, store_encryption, "store-encryption", "", 0, 0, "KIND",                            \
	  "how it shall encrypt: AES256, aws:kms or aws:kms:KEY (none: as its bucket says)")       \
	X(TEXT, tls_cert, "tls-cert", "", 0, 0, "FILE", "certificate chain (PEM) for HTTPS")       \
	X(TEXT, tls_key, "tls-key", "", 0, 0, "FILE", "its private key (PEM)")                     \
	X(TEXT, client_ca, "client-ca", "", 0, 0, "FILE",                                          \
	  "only clients with a certificate of this authority (PEM)")                               \
	X(TEXT, api_keys, "api-keys", "", 0, 0, "FILE",                                            \
	  "lines '[NAME] KEY [queries-per-minute=N] [sessions=N] [keys-mb=N] [queue=N]'")          \
	X(TEXT, web, "web", "", 0, 0, "DIR", "a page to try models, as tools/web makes it, at /")  \
	X(TEXT, cors_origins, "cors-origins", "", 0, 0, "ORIGINS",                                 \
	  "https://HOST[:PORT] ...: pages elsewhere whose visitors may ask")                       \
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
	X(NUMBER, upload_seconds, "upload-seconds", 14400, 1, 30 * 86400, "S",                     \
	  "an upload may take from its session's opening to its end")                              \
	X(NUMBER, unfinished_address, "unfinished-per-address", 16, 1, 1000000, "N",               \
	  "unfinished uploads of one address; those too slow make room")                           \
	X(NUMBER, unfinished_key, "unfinished-per-key", 64, 1, 1000000, "N",                       \
	  "the same for one API key")                                                              \
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
	X(NUMBER, connections_per_address, "connections-per-address", 128, 0, 60000, "N",          \
	  "the same for one address, not behind a proxy (0: no limit)")                            \
	X(NUMBER, header_seconds, "header-seconds", 10, 1, 3600, "S",                              \
	  "for a request's head; added to each body's time")                                       \
	X(NUMBER, idle_seconds, "idle-seconds", 60, 1, 3600, "S",                                  \
	  "an idle connection is kept open")                                                       \
	X(NUMBER, min_rate, "min-rate-kb", 4, 1, 1 << 20, "KB/S",                                  \
	  "clients that send or read slower are cut off")                                          \
	X(NUMBER, drain_seconds, "drain-seconds", 30, 0, 3600, "S",                                \
	  "running queries may take to end after SIGTERM")                                         \
	X(NUMBER, announce_seconds, "announce-seconds", 0, 0, 3600, "S",                           \
	  "between /readyz saying no after SIGTERM and the end of listening")                      \
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
/** The next of a list of origins, between blanks, its length in *size; NULL at the end. */
const char *hel_settings_origin(const char *at, size_t *size);
/** Splits "host:port" or "[host]:port". */
HEL_CHECKED hel_status hel_settings_address(char *host, size_t size, uint16_t *port,
					    const char *listen);

#endif
