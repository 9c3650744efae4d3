/* verify: encrypted against clear, over real rows, client and server in one process. */
#include "cli/report.h"
#include "model/approximation.h"
#include "model/dlrm.h"
#include "model/model_file.h"
#include "model/network.h"
#include "parties.h"
#include "verify_items.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Errors of this many times the predicted mean, and of this part of the spread of scores, are no
 * noise: the files belong to different models. */
#define FOREIGN_ERRORS 256
#define FOREIGN_SHARE 0x1p-5

/* What is compared with: the model as the program computes it, with polynomials where activations
 * were replaced, and as it was trained. One and the same where none were. */
typedef struct references {
	hel_dlrm *program, *trained;
} references;

static void references_clear(references *r)
{
	hel_dlrm_free(r->program);
	hel_dlrm_free(r->trained);
}

static bool same_weights(const hel_dlrm *a, const hel_dlrm *b)
{
	return a->parameters == b->parameters &&
	       memcmp(a->parameter, b->parameter, a->parameters * sizeof *a->parameter) == 0;
}

/* Either directory leads to the other reference: compile keeps the model with polynomials beside
 * the program, and polynomials that were fitted can be taken away. */
static hel_status references_load(references *r, const hel_args *args)
{
	hel_status st = HEL_OK;
	char path[4096], file[4200];
	const char *given = hel_arg(args, "model");
	snprintf(path, sizeof path, "%s/model", hel_arg(args, "compiled"));
	snprintf(file, sizeof file, "%s/model.json", path);
	TRY(hel_dlrm_load(&r->trained, given));
	TRY(hel_dlrm_load(&r->program, access(file, F_OK) == 0 ? path : given));
	if (!same_weights(r->program, r->trained))
		FAIL(HEL_EMODEL, "%s was not compiled from %s: their weights differ",
		     hel_arg(args, "compiled"), given);
	hel_dlrm_exact(r->trained);
done:
	return st;
}

/* The least each layer took: neighbours on the machine only ever add. */
typedef struct layer_times {
	const hel_program *p;
	hel_op_time *op; /* of one run */
	double *least;	 /* of all, per layer */
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
			sum += t->p->op[k].layer == i ? t->op[k].seconds : 0;
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

/* Of all threads: what neighbours on the machine disturb least. */
static double cpu_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Rows [first, first + count) in one query. times: the server's. */
static hel_status score_batch(hel_score *score, hel_parties *p, const hel_records *records,
			      size_t first, size_t count, hel_infer_times *times)
{
	hel_status st = HEL_OK;
	hel_writer query = {0}, result = {0};
	TRY(hel_client_encrypt(&query, p->contributor ? p->contributor : p->client, records, first,
			       count));
	const double start = cpu_seconds();
	TRY(hel_server_infer(&result, p->evaluation, query.bytes, query.size, times));
	p->cpu_ms = 1e3 * (cpu_seconds() - start);
	TRY(hel_client_decrypt(score, count, p->client, result.bytes, result.size));
	p->query_bytes = query.size;
	p->result_bytes = result.size;
done:
	hel_writer_clear(&query);
	hel_writer_clear(&result);
	return st;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Encrypted against clear, row by row; times query by query. */
typedef struct outcome {
	size_t rows, queries, batch, differ, differ_model;
	double *clear, *trained, *encrypted, *ms, *cpu;
	double error, worst;		 /* against the program's model: mean and largest */
	double error_model, worst_model; /* against the trained one */
	layer_times layers;
} outcome;

/* One row more. */
static void count_row(outcome *o, size_t i)
{
	const double error = fabs(o->encrypted[i] - o->clear[i]),
		     error_model = fabs(o->encrypted[i] - o->trained[i]);
	o->error += error / (double)o->rows;
	o->worst = fmax(o->worst, error);
	o->differ += (o->encrypted[i] > 0) != (o->clear[i] > 0);
	o->error_model += error_model / (double)o->rows;
	o->worst_model = fmax(o->worst_model, error_model);
	o->differ_model += (o->encrypted[i] > 0) != (o->trained[i] > 0);
}

/* Nothing that a program does to its own model. */
static hel_status check_row(const outcome *o, size_t i, const hel_manifest *m, const references *r,
			    const hel_args *args)
{
	const double error = fabs(o->encrypted[i] - o->clear[i]);
	const double noise = FOREIGN_ERRORS * hel_manifest_error(m) * m->unit;
	if (error <= fmax(noise, FOREIGN_SHARE * m->spread))
		return HEL_OK;
	const bool replaced = m->bits_model < m->bits && !r->program->approximation;
	return hel_fail(HEL_EMODEL,
			replaced
			    ? "row %zu: encrypted %.4g, clear %.4g: %s computes polynomials in "
			      "place of %s's activations, and the model with them is not in "
			      "%s/model, where compile wrote it"
			    : "row %zu: encrypted %.4g, clear %.4g: %s does not compute what %s "
			      "says%s",
			i + 1, o->encrypted[i], o->clear[i], hel_arg(args, "compiled"),
			hel_arg(args, "model"), replaced ? hel_arg(args, "compiled") : "");
}

static hel_status compare(outcome *o, hel_parties *p, const references *r,
			  const hel_records *records, const hel_samples *samples,
			  const hel_args *args)
{
	hel_status st = HEL_OK;
	hel_score *score = NULL;
	hel_progress progress;
	o->batch = hel_client_batch(p->client);
	TRY_ALLOC(score, hel_alloc(o->batch, sizeof *score));
	TRY_ALLOC(o->clear, hel_alloc(5 * o->rows, sizeof *o->clear));
	TRY(layers_new(&o->layers, hel_server_program(p->server)));
	o->encrypted = o->clear + o->rows;
	o->ms = o->encrypted + o->rows;
	o->cpu = o->ms + o->rows;
	o->trained = o->cpu + o->rows;
	hel_progress_begin(&progress, "verifying");
	for (size_t i = 0; i < o->rows; i++) {
		if (i % o->batch == 0) {
			hel_infer_times t = {.op = o->layers.op};
			TRY(score_batch(score, p, records, i, HEL_MIN(o->batch, o->rows - i), &t));
			o->ms[o->queries] = 1e3 * (t.read + t.evaluate + t.write);
			o->cpu[o->queries++] = p->cpu_ms;
			layers_add(&o->layers);
		}
		const double *value = samples->value + i * samples->dense;
		const uint32_t *hot = samples->hot + i * samples->hots;
		TRY(hel_dlrm_logit(&o->clear[i], r->program, value, hot));
		TRY(hel_dlrm_logit(&o->trained[i], r->trained, value, hot));
		o->encrypted[i] = score[i % o->batch].logit;
		TRY(check_row(o, i, hel_client_manifest(p->client), r, args));
		count_row(o, i);
		hel_progress_step(&progress, (double)(i + 1) / (double)o->rows);
	}
	hel_progress_end(&progress);
	qsort(o->ms, o->queries, sizeof *o->ms, ascending);
	qsort(o->cpu, o->queries, sizeof *o->cpu, ascending);
done:
	hel_free(score);
	return st;
}

static double bits_of(double error, const hel_manifest *m)
{
	return error > 0 ? log2(m->spread / error) : 60;
}

static hel_status report(const hel_args *args, json_t *out, const outcome *o, const hel_parties *p,
			 const uint8_t *label)
{
	hel_status st = HEL_OK;
	hel_metrics clear, encrypted, trained;
	const hel_manifest *mf = hel_client_manifest(p->client);
	TRY(hel_metrics_of(&clear, o->clear, label, o->rows));
	TRY(hel_metrics_of(&encrypted, o->encrypted, label, o->rows));
	TRY(hel_metrics_of(&trained, o->trained, label, o->rows));
	const size_t full = HEL_MIN(o->batch, o->rows);
	const double bits = bits_of(o->error, mf), bits_model = bits_of(o->error_model, mf);
	const double predicted = p->contributor ? mf->bits_contributed : mf->bits;
	const double median = o->ms[o->queries / 2], each = median / (double)full,
		     p95 = o->ms[(size_t)ceil(0.95 * (double)(o->queries - 1))];
	hel_say(
	    args,
	    "%zu rows, spread of scores %.3g\n"
	    "against the program's model: %.2f bits, largest error %.2g, %zu decisions differ, AUC "
	    "%s (encrypted %s)\n"
	    "against the model as trained: %.2f bits, largest error %.2g, %zu decisions differ, "
	    "AUC %s\n"
	    "predicted: %.2f bits, %.2f against the model as trained\n",
	    o->rows, mf->spread, bits, o->worst, o->differ, hel_auc_says(clear.auc).at,
	    hel_auc_says(encrypted.auc).at, bits_model, o->worst_model, o->differ_model,
	    hel_auc_says(trained.auc).at, predicted, mf->bits_model);
	hel_say(args, "server: median %.2f ms, 95th percentile %.2f ms per %s on %u thread%s\n",
		median, p95, o->batch > 1 ? "query" : "prediction", args->threads,
		args->threads > 1 ? "s" : "");
	if (o->batch > 1)
		hel_say(args, "%zu records in a query, %zu queries: %.3f ms per record\n", full,
			o->queries, each);
	hel_say(args,
		"evaluation keys %.2f MB, query %.1f kB, result %.1f kB, peak memory %.1f MB\n",
		(double)p->keys_bytes / 1e6, (double)p->query_bytes / 1e3,
		(double)p->result_bytes / 1e3, (double)hel_peak_rss() / 1e6);
	json_object_update_new(
	    out,
	    json_pack("{s:I, s:f, s:f, s:f, s:I, s:o, s:o, s:f, s:f, s:f, s:f, s:f, s:i, s:I, s:I, "
		      "s:I, s:I, s:I, s:f, s:o, s:f, s:f, s:f, s:I, s:o, s:f}",
		      "rows", (json_int_t)o->rows, "bits", bits, "predicted_bits", predicted,
		      "max_error", o->worst, "decisions_differ", (json_int_t)o->differ, "auc_clear",
		      hel_report_auc(clear.auc), "auc_encrypted", hel_report_auc(encrypted.auc),
		      "server_ms_median", median, "server_ms_p95", p95, "server_ms_min", o->ms[0],
		      "server_cpu_ms_min", o->cpu[0], "server_cpu_ms_median",
		      o->cpu[o->queries / 2], "threads", (int)args->threads,
		      "evaluation_keys_bytes", (json_int_t)p->keys_bytes, "query_bytes",
		      (json_int_t)p->query_bytes, "result_bytes", (json_int_t)p->result_bytes,
		      "peak_rss_bytes", (json_int_t)hel_peak_rss(), "batch", (json_int_t)o->batch,
		      "server_ms_per_row", each, "layers", layers_json(&o->layers), "bits_model",
		      bits_model, "predicted_bits_model", mf->bits_model, "max_error_model",
		      o->worst_model, "decisions_differ_model", (json_int_t)o->differ_model,
		      "auc_trained", hel_report_auc(trained.auc), "spread", mf->spread));
done:
	return st;
}

static hel_status run_verify(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	references r = {NULL, NULL};
	hel_parties p = {0};
	hel_records records = {0};
	hel_samples samples = {0};
	outcome o = {0};
	uint64_t rows;
	size_t paths;
	const char *const *path = hel_arg_all(args, "data", &paths);
	TRY(references_load(&r, args));
	TRY(hel_parties_open(&p, args));
	if (hel_arg(args, "catalogue")) {
		TRY(hel_verify_items(args, out, &p, r.trained));
		goto done;
	}
	TRY(hel_records_read(&records, hel_client_dataset(p.client), path, paths));
	TRY(hel_arg_number(&rows, args, "rows", 1, records.count, records.count));
	TRY(hel_samples_new(&samples, r.trained->schema, &records, NULL, rows,
			    HEL_UNKNOWN_IS_MISSING));
	o.rows = rows;
	TRY(compare(&o, &p, &r, &records, &samples, args));
	TRY(report(args, out, &o, &p, samples.label));
done:
	hel_free(o.layers.op);
	hel_free(o.layers.least);
	hel_free(o.clear);
	hel_samples_clear(&samples);
	hel_records_clear(&records);
	hel_parties_clear(&p);
	references_clear(&r);
	return st;
}

const hel_command hel_command_verify = {
    .name = "verify",
    .summary = "Compare encrypted with clear predictions over many rows",
    .option = {{"model", "DIR", "the trained model", true, false},
	       {"compiled", "DIR", "what compile wrote", true, false},
	       {"data", "FILE", "published data files", true, true},
	       {"rows", "N", "how many rows (default: all)", false, false},
	       {"catalogue", "FILE",
		"rank its items for every row, and compare with the model pair by pair", false,
		false},
	       HEL_CACHE_OPTION,
	       {"contributed", NULL, "encrypt under the public key, as others do for the client",
		false, false}},
    .run = run_verify,
};
