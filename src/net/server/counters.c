#include "counters.h"
#include <math.h>
#include <stdlib.h>
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
