/* verify: encrypted against clear, over real rows, client and server in one process. */
#include "dlrm/dlrm.h"
#include "infer.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* No noise of a secure program reaches this: the files belong to different models. */
#define FOREIGN_ERROR 0x1p-5

typedef struct parties {
	hel_client *client;
	hel_client *contributor; /* has the client's public key only; NULL: the client encrypts */
	hel_server *server;
	hel_session *session;
	size_t keys_bytes;
} parties;

static void parties_clear(parties *p)
{
	hel_session_free(p->session);
	hel_server_free(p->server);
	hel_client_free(p->contributor);
	hel_client_free(p->client);
}

static hel_status parties_open(parties *p, const hel_args *args)
{
	hel_status st = HEL_OK;
	char path[4096];
	uint8_t *manifest = NULL, *program = NULL;
	size_t manifest_size, program_size;
	hel_writer keys = {0}, public = {0};
	snprintf(path, sizeof path, "%s/manifest.helm", hel_arg(args, "compiled"));
	TRY(hel_file_read(path, HEL_FILE_MAX, &manifest, &manifest_size));
	snprintf(path, sizeof path, "%s/program.helm", hel_arg(args, "compiled"));
	TRY(hel_file_read(path, HEL_FILE_MAX, &program, &program_size));
	TRY(hel_client_new(&p->client, manifest, manifest_size, NULL, 0));
	TRY(hel_open_server(&p->server, args, program, program_size));
	TRY(hel_client_generate(p->client));
	TRY(hel_client_write_keys(&keys, p->client, args->pool));
	TRY(hel_session_new(&p->session, p->server, keys.bytes, keys.size));
	p->keys_bytes = keys.size;
	if (hel_arg(args, "contributed")) {
		TRY(hel_client_write_public(&public, p->client));
		TRY(hel_client_new(&p->contributor, manifest, manifest_size, NULL, 0));
		TRY(hel_client_contribute(p->contributor, public.bytes, public.size));
	}
done:
	hel_writer_clear(&keys);
	hel_writer_clear(&public);
	hel_free(manifest);
	hel_free(program);
	return st;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The least each layer took: neighbours on the machine only ever add. */
typedef struct layer_times {
	const hel_program *p;
	double *op, *least; /* of one run per op, of all per layer */
} layer_times;

static hel_status layers_new(layer_times *t, const hel_program *p)
{
	hel_status st = HEL_OK;
	t->p = p;
	TRY_ALLOC(t->op, hel_alloc(p->ops, sizeof *t->op));
	TRY_ALLOC(t->least, hel_alloc(p->layers, sizeof *t->least));
	for (uint32_t i = 0; i < p->layers; i++)
		t->least[i] = INFINITY;
done:
	return st;
}

static void layers_add(layer_times *t)
{
	for (uint32_t i = 0; i < t->p->layers; i++) {
		double sum = 0;
		for (uint32_t k = 0; k < t->p->ops; k++)
			sum += t->p->op[k].layer == i ? t->op[k] : 0;
		t->least[i] = fmin(t->least[i], sum);
	}
}

static json_t *layers_json(const layer_times *t)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < t->p->layers; i++)
		json_array_append_new(list, json_pack("{s:s, s:f}", "layer", t->p->layer[i], "ms",
						      1e3 * t->least[i]));
	return list;
}

/* Seconds that this process computed: neighbours on the machine do not count. */
static double cpu_clock(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static hel_status run_verify(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	parties p = {0};
	hel_records records = {0};
	hel_samples samples = {0};
	double *clear = NULL;
	hel_writer query = {0}, result = {0};
	hel_metrics clear_metrics, encrypted_metrics;
	hel_progress progress;
	layer_times layers = {0};
	uint64_t rows;
	size_t paths, query_bytes = 0, result_bytes = 0, differ = 0;
	const char *const *path = hel_arg_all(args, "data", &paths);
	TRY(hel_dlrm_load(&m, hel_arg(args, "model")));
	TRY(parties_open(&p, args));
	TRY(hel_records_read(&records, hel_client_dataset(p.client), path, paths));
	TRY(hel_arg_number(&rows, args, "rows", 1, records.count, records.count));
	TRY(hel_samples_new(&samples, m->schema, &records, NULL, rows, HEL_UNKNOWN_IS_MISSING));
	TRY_ALLOC(clear, hel_alloc(4 * rows, sizeof *clear));
	double *encrypted = clear + rows, *ms = encrypted + rows, *cpu = ms + rows, sum = 0,
	       worst = 0;
	TRY(layers_new(&layers, hel_server_program(p.server)));
	hel_progress_begin(&progress, "verifying");
	for (size_t i = 0; i < rows; i++) {
		hel_score score;
		hel_infer_times times = {.op = layers.op};
		TRY(hel_dlrm_logit(&clear[i], m, samples.value + i * samples.dense,
				   samples.hot + i * samples.hots));
		TRY(hel_client_encrypt(&query, p.contributor ? p.contributor : p.client, &records,
				       i, HEL_UNKNOWN_IS_MISSING));
		const double start = cpu_clock();
		TRY(hel_server_infer(&result, p.session, query.bytes, query.size, &times));
		cpu[i] = 1e3 * (cpu_clock() - start);
		TRY(hel_client_decrypt(&score, p.client, result.bytes, result.size));
		encrypted[i] = score.logit;
		layers_add(&layers);
		ms[i] = 1e3 * (times.read + times.evaluate + times.write);
		double error = fabs(encrypted[i] - clear[i]);
		if (error > FOREIGN_ERROR)
			FAIL(HEL_EMODEL,
			     "row %zu: encrypted %.4f, clear %.4f: %s was not compiled from %s",
			     i + 1, encrypted[i], clear[i], hel_arg(args, "compiled"),
			     hel_arg(args, "model"));
		sum += error / (double)rows;
		worst = fmax(worst, error);
		differ += (encrypted[i] > 0) != (clear[i] > 0);
		query_bytes = query.size;
		result_bytes = result.size;
		hel_writer_clear(&query);
		hel_writer_clear(&result);
		hel_progress_step(&progress, (double)(i + 1) / (double)rows);
	}
	hel_progress_end(&progress);
	TRY(hel_metrics_of(&clear_metrics, clear, samples.label, rows));
	TRY(hel_metrics_of(&encrypted_metrics, encrypted, samples.label, rows));
	qsort(ms, rows, sizeof *ms, ascending);
	qsort(cpu, rows, sizeof *cpu, ascending);
	const double bits = -log2(sum), median = ms[rows / 2],
		     p95 = ms[(size_t)(0.95 * (double)(rows - 1))];
	const hel_manifest *mf = hel_client_manifest(p.client);
	hel_say(args, "%zu rows: %.2f bits (mean error 2^-%.2f), largest error %.2g\n",
		(size_t)rows, bits, bits, worst);
	hel_say(args, "predicted: at least %.1f bits\n", mf->bits);
	hel_say(args, "decisions that differ: %zu; AUC clear %.4f, encrypted %.4f\n", differ,
		clear_metrics.auc, encrypted_metrics.auc);
	hel_say(args,
		"server: median %.2f ms, 95th percentile %.2f ms per prediction on %u thread%s\n",
		median, p95, args->threads, args->threads > 1 ? "s" : "");
	hel_say(args,
		"evaluation keys %.2f MB, query %.1f kB, result %.1f kB, peak memory %.1f MB\n",
		(double)p.keys_bytes / 1e6, (double)query_bytes / 1e3, (double)result_bytes / 1e3,
		(double)hel_peak_rss() / 1e6);
	json_object_update_new(
	    out, json_pack("{s:I, s:f, s:f, s:f, s:I, s:o, s:o, s:f, s:f, s:f, s:f, s:f, s:i, s:I, "
			   "s:I, s:I, s:I, s:o}",
			   "rows", (json_int_t)rows, "bits", bits, "predicted_bits", mf->bits,
			   "max_error", worst, "decisions_differ", (json_int_t)differ, "auc_clear",
			   isfinite(clear_metrics.auc) ? json_real(clear_metrics.auc) : json_null(),
			   "auc_encrypted",
			   isfinite(encrypted_metrics.auc) ? json_real(encrypted_metrics.auc)
							   : json_null(),
			   "server_cpu_ms_min", cpu[0], "server_cpu_ms_median", cpu[rows / 2],
			   "server_ms_min", ms[0], "server_ms_median", median, "server_ms_p95", p95,
			   "threads", (int)args->threads, "evaluation_keys_bytes",
			   (json_int_t)p.keys_bytes, "query_bytes", (json_int_t)query_bytes,
			   "result_bytes", (json_int_t)result_bytes, "peak_rss_bytes",
			   (json_int_t)hel_peak_rss(), "layers", layers_json(&layers)));
done:
	hel_free(layers.op);
	hel_free(layers.least);
	hel_writer_clear(&query);
	hel_writer_clear(&result);
	hel_free(clear);
	hel_samples_clear(&samples);
	hel_records_clear(&records);
	parties_clear(&p);
	hel_dlrm_free(m);
	return st;
}

const hel_command hel_command_verify = {
    .name = "verify",
    .summary = "Compare encrypted with clear predictions over many rows",
    .option = {{"model", "DIR", "the trained model", true, false},
	       {"compiled", "DIR", "what compile wrote", true, false},
	       {"data", "FILE", "published data files", true, true},
	       {"rows", "N", "how many rows (default: all)", false, false},
	       HEL_CACHE_OPTION,
	       {"contributed", NULL, "encrypt under the public key, as others do for the client",
		false, false}},
    .run = run_verify,
};
