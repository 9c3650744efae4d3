#include "counters.h"
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void hel_count(atomic_ullong *counter, uint64_t by)
{
	atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

void hel_observe(hel_histogram *h, double seconds)
{
	unsigned i = 0;
	while (i < HEL_BUCKETS && seconds > 1e-3 * (double)(1u << i))
		i++;
	hel_count(&h->bucket[i], 1);
	hel_count(&h->micros, (uint64_t)(1e6 * fmax(seconds, 0)));
}

/* --- by labels ---------------------------------------------------------------------------- */

#define COMBINATIONS_MAX 4096
#define LABELS_MAX 320

typedef struct combination {
	char labels[LABELS_MAX]; /* as they are written; "" is free */
	uint64_t count;
} combination;

struct hel_request_counts {
	pthread_mutex_t lock;
	combination of[COMBINATIONS_MAX]; /* by hash, open */
	uint64_t others;
};

hel_status hel_counters_init(hel_counters *m)
{
	hel_status st = HEL_OK;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	m->started = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
	TRY_ALLOC(m->requests, hel_alloc(1, sizeof *m->requests));
	pthread_mutex_init(&m->requests->lock, NULL);
done:
	return st;
}

void hel_counters_clear(hel_counters *m)
{
	if (!m->requests)
		return;
	pthread_mutex_destroy(&m->requests->lock);
	hel_free(m->requests);
	m->requests = NULL;
}

/* Names of models, routes and API keys hold nothing that needs escaping. */
void hel_requests_count(hel_request_counts *const *counts, const hel_request_labels *l)
{
	hel_request_counts *c = *counts;
	char labels[LABELS_MAX];
	uint64_t h = 14695981039346656037u;
	snprintf(labels, sizeof labels,
		 "{route=\"%s\",method=\"%s\",status=\"%u\",model=\"%s\",api_key=\"%s\"}", l->route,
		 l->method, l->status, l->model, l->api_key);
	for (const char *p = labels; *p; p++)
		h = (h ^ (uint8_t)*p) * 1099511628211u;
	pthread_mutex_lock(&c->lock);
	combination *found = NULL;
	for (unsigned i = 0; i < 16 && !found; i++) {
		combination *at = &c->of[(h + i) % COMBINATIONS_MAX];
		if (!*at->labels)
			memcpy(at->labels, labels, sizeof labels);
		if (strcmp(at->labels, labels) == 0)
			found = at;
	}
	if (found)
		found->count++;
	else
		c->others++;
	pthread_mutex_unlock(&c->lock);
}

static void write_requests(FILE *out, hel_request_counts *c)
{
	fprintf(out, "# HELP helrm_requests_total Requests answered\n"
		     "# TYPE helrm_requests_total counter\n");
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < COMBINATIONS_MAX; i++)
		if (*c->of[i].labels)
			fprintf(out, "helrm_requests_total%s %llu\n", c->of[i].labels,
				(unsigned long long)c->of[i].count);
	if (c->others)
		fprintf(out, "helrm_requests_total %llu\n", (unsigned long long)c->others);
	pthread_mutex_unlock(&c->lock);
}

/* --- as text ------------------------------------------------------------------------------ */

static void write_histogram(FILE *out, const char *stage, const hel_histogram *h)
{
	unsigned long long sum = 0;
	for (unsigned i = 0; i <= HEL_BUCKETS; i++) {
		sum += atomic_load(&h->bucket[i]);
		if (i < HEL_BUCKETS)
			fprintf(out, "helrm_stage_seconds_bucket{stage=\"%s\",le=\"%g\"} %llu\n",
				stage, 1e-3 * (double)(1u << i), sum);
	}
	fprintf(out,
		"helrm_stage_seconds_bucket{stage=\"%s\",le=\"+Inf\"} %llu\n"
		"helrm_stage_seconds_sum{stage=\"%s\"} %.6f\n"
		"helrm_stage_seconds_count{stage=\"%s\"} %llu\n",
		stage, sum, stage, 1e-6 * (double)atomic_load(&h->micros), stage, sum);
}

static void write_gauge(FILE *out, const char *name, const char *help, uint64_t value)
{
	fprintf(out, "# HELP helrm_%s %s\n# TYPE helrm_%s gauge\nhelrm_%s %llu\n", name, help, name,
		name, (unsigned long long)value);
}

static uint64_t resident_bytes(void)
{
	unsigned long long total = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (f && fscanf(f, "%llu %llu", &total, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

char *hel_counters_text(const hel_counters *m, const hel_gauges *g, size_t *size)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, size);
	if (!out)
		return NULL;
#define X(name, help)                                                                              \
	fprintf(out,                                                                               \
		"# HELP helrm_" #name "_total " help "\n# TYPE helrm_" #name                       \
		"_total counter\nhelrm_" #name "_total %llu\n",                                    \
		atomic_load(&m->name));
	HEL_COUNTER_LIST(X)
#undef X
	fprintf(out, "# HELP helrm_responses_total Responses by class of status\n"
		     "# TYPE helrm_responses_total counter\n");
	for (unsigned i = 1; i < HEL_ARRAY_LEN(m->responses); i++)
		fprintf(out, "helrm_responses_total{class=\"%uxx\"} %llu\n", i,
			atomic_load(&m->responses[i]));
	write_requests(out, m->requests);
	fprintf(out,
		"# HELP helrm_build_info What is running\n# TYPE helrm_build_info gauge\n"
		"helrm_build_info{version=\"" HELRM_VERSION "\",compiler=\"" __VERSION__ "\"} 1\n"
		"# HELP helrm_start_time_seconds When it was started, since 1970\n"
		"# TYPE helrm_start_time_seconds gauge\nhelrm_start_time_seconds %.3f\n",
		m->started);
	fprintf(out, "# HELP helrm_stage_seconds Time of a query by stage\n"
		     "# TYPE helrm_stage_seconds histogram\n");
#define X(name) write_histogram(out, #name, &m->stage_##name);
	HEL_STAGE_LIST(X)
#undef X
	write_gauge(out, "sessions", "Key sets on disk", g->sessions);
	write_gauge(out, "sessions_ready", "Key sets with complete, verified keys",
		    g->sessions_ready);
	write_gauge(out, "disk_bytes", "Disk reserved for key sets", g->disk_bytes);
	write_gauge(out, "keysets_mapped", "Key sets mapped into memory", g->mapped);
	write_gauge(out, "queue_length", "Queries waiting", g->queued);
	write_gauge(out, "running", "Queries running", g->running);
	write_gauge(out, "results", "Results kept", g->results);
	write_gauge(out, "connections", "Open connections", g->connections);
	write_gauge(out, "memory_reserved_bytes", "Memory promised to weights and queries",
		    g->memory_reserved);
	write_gauge(out, "memory_limit_bytes", "Its limit", g->memory_limit);
	write_gauge(out, "resident_bytes", "Resident memory of the process", resident_bytes());
	write_gauge(out, "models", "Models in service", g->models);
	write_gauge(out, "models_loaded", "Models with weights in memory", g->models_loaded);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
