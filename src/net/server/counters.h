/* counters.h -- what is counted and measured, as Prometheus reads it. */
#ifndef HEL_SERVER_COUNTERS_H
#define HEL_SERVER_COUNTERS_H

#include "base/base.h"
#include <stdatomic.h>

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
	X(connections_refused, "Connections cut or refused, for others of their address")          \
	X(model_loads, "Models loaded")                                                            \
	X(models_encoded, "Models encoded, as their cache was missing or not usable")              \
	X(model_refusals, "Model files refused")                                                   \
	X(catalogue_loads, "Catalogues of items taken into service")                               \
	X(catalogue_refusals, "Catalogues of items refused")                                       \
	X(items_ranked, "Items ranked")

#define HEL_STAGE_LIST(X) X(queue) X(load) X(read) X(evaluate) X(write) X(request)

#define HEL_BUCKETS 17 /* 1 ms, 2 ms, ... 65.5 s; the last is infinite */

typedef struct hel_histogram {
	atomic_ullong bucket[HEL_BUCKETS + 1];
	atomic_ullong micros;
} hel_histogram;

/** What responses are counted by; texts are borrowed. */
typedef struct hel_request_labels {
	const char *route, *method, *model, *api_key;
	unsigned status;
} hel_request_labels;

typedef struct hel_request_counts hel_request_counts;

typedef struct hel_counters {
#define X(name, help) atomic_ullong name;
	HEL_COUNTER_LIST(X)
#undef X
#define X(name) hel_histogram stage_##name;
	HEL_STAGE_LIST(X)
#undef X
	atomic_ullong responses[6]; /* by hundreds of their status */
	hel_request_counts *requests;
	double started; /* seconds since 1970 */
} hel_counters;

/** What is measured at the moment of asking. */
typedef struct hel_gauges {
	uint64_t sessions, sessions_ready, disk_bytes, mapped, queued, running, results,
	    connections, memory_reserved, memory_limit, models, models_loaded;
} hel_gauges;

HEL_CHECKED hel_status hel_counters_init(hel_counters *m);
void hel_counters_clear(hel_counters *m);
/** One more response with these labels; beyond some thousand combinations with none. */
void hel_requests_count(hel_request_counts *const *counts, const hel_request_labels *labels);
void hel_count(atomic_ullong *counter, uint64_t by);
void hel_observe(hel_histogram *h, double seconds);
/** Prometheus text; the caller frees it with free(). NULL when out of memory. */
char *hel_counters_text(const hel_counters *m, const hel_gauges *g, size_t *size);

#endif
