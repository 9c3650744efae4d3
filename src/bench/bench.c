/* bench: times kernels, operations, layers and the heart models; JSON for files and comparisons. */
#include "bench.h"
#include "model/train.h"
#include "net/client/client_inside.h"
#include "net/server/server.h"
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

extern void openblas_set_num_threads(int threads);

/* --- the heart models, on a synthetic cohort --------------------------------------- */

typedef struct heart_bench {
	hel_evaluation *evaluation;
	hel_writer query, result;
} heart_bench;

static hel_status run_heart(void *arg)
{
	heart_bench *h = arg;
	hel_writer_clear(&h->result);
	return hel_server_infer(&h->result, h->evaluation, h->query.bytes, h->query.size, NULL);
}

static hel_status bench_heart(bench *b, const char *name, const char *config_text)
{
	hel_status st = HEL_OK;
	char *text = NULL;
	size_t size = 0;
	hel_records records = {0};
	hel_samples samples = {0};
	hel_schema *schema = NULL;
	hel_dlrm *m = NULL;
	hel_program *p = NULL;
	hel_compile_report report = {0};
	hel_dlrm_config config;
	hel_client *client = NULL;
	hel_server *server = NULL;
	hel_writer program = {0}, manifest = {0}, keys = {0};
	heart_bench h = {0};
	hel_prng g;
	const uint8_t seed[HEL_SEED_BYTES] = "bench";
	const hel_dataset *heart = hel_dataset_by_name("heart");
	if (!heart)
		return HEL_ENOMEM;
	if (!bench_wanted(b, name))
		return HEL_OK;
	openblas_set_num_threads(1);
	hel_prng_init(&g, seed, 0);
	FILE *f = open_memstream(&text, &size);
	if (!f)
		FAIL(HEL_ENOMEM, "out of memory");
	heart->synthesise(f, 303, &g);
	fclose(f);
	TRY(hel_records_parse(&records, heart, "cohort", text, size));
	TRY(hel_dlrm_config_from_json(&config, config_text, strlen(config_text)));
	TRY(hel_schema_fit(&schema, heart, &records, NULL, records.count, config.clip, 0));
	TRY(hel_samples_new(&samples, schema, &records, NULL, records.count, HEL_UNKNOWN_IS_ERROR));
	TRY(hel_dlrm_new(&m, &config, schema, 1));
	schema = NULL;
	TRY(hel_dlrm_train(m, &samples, NULL));
	TRY(hel_compile(&p, &report, m, &(hel_compile_options){.name = name}));
	TRY(hel_program_write(&program, p));
	TRY(hel_manifest_write(&manifest, p->manifest));
	TRY(hel_client_open(&client, manifest.bytes, manifest.size, NULL, NULL));
	TRY(hel_client_generate(client));
	TRY(hel_client_write_keys(&keys, client, b->args->pool));
	TRY(hel_server_new(&server, program.bytes, program.size,
			   b->threads > 1 ? b->args->pool : NULL));
	TRY(hel_evaluation_new(&h.evaluation, server, keys.bytes, keys.size));
	TRY(hel_client_encrypt(&h.query, client, &records, 0, 1));
	const hel_params *params = hel_server_params(server);
	TRY(bench_measure(b, name, params->spec.log_n, params->ring.chain,
			  bench_work_of(report.shape.cost.key_bytes, report.shape.cost), run_heart,
			  &h));
done:
	hel_writer_clear(&h.query);
	hel_writer_clear(&h.result);
	hel_writer_clear(&program);
	hel_writer_clear(&manifest);
	hel_writer_clear(&keys);
	hel_evaluation_free(h.evaluation);
	hel_server_free(server);
	hel_client_free(client);
	hel_compile_report_clear(&report);
	hel_program_free(p);
	hel_dlrm_free(m);
	hel_schema_free(schema);
	hel_samples_clear(&samples);
	hel_records_clear(&records);
	free(text);
	return st;
}

/* --- comparing and plotting ------------------------------------------------------------- */

static hel_status load_results(json_t **out, const char *path)
{
	json_error_t error;
	*out = json_load_file(path, 0, &error);
	return json_is_array(json_object_get(*out, "results"))
		   ? HEL_OK
		   : hel_fail(HEL_EFORMAT, "%s holds no benchmark results", path);
}

static bool same_figure(const json_t *a, const json_t *b)
{
	static const char *const keys[] = {"name", "log_n", "limbs", "threads"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(keys); i++)
		if (!json_equal(json_object_get(a, keys[i]), json_object_get(b, keys[i])))
			return false;
	return true;
}

static hel_status compare(const hel_args *args, json_t *out, const char *old_path,
			  const char *new_path)
{
	hel_status st = HEL_OK;
	json_t *old = NULL, *new = NULL, *rows = json_array(), *x, *y;
	size_t i, k;
	json_object_set_new(out, "compared", rows);
	TRY(load_results(&old, old_path));
	TRY(load_results(&new, new_path));
	hel_say(args, "%-20s log n limbs threads      old ms      new ms   new/old\n", "name");
	json_array_foreach(json_object_get(old, "results"), i, x)
	    json_array_foreach(json_object_get(new, "results"), k, y)
	{
		if (!same_figure(x, y))
			continue;
		double before = json_number_value(json_object_get(x, "median_ms"));
		double after = json_number_value(json_object_get(y, "median_ms"));
		json_int_t log_n = json_integer_value(json_object_get(x, "log_n"));
		json_int_t limbs = json_integer_value(json_object_get(x, "limbs"));
		json_int_t threads = json_integer_value(json_object_get(x, "threads"));
		const char *name = json_string_value(json_object_get(x, "name"));
		hel_say(args, "%-20s %5lld %5lld %7lld %11.4f %11.4f %9.3f\n", name,
			(long long)log_n, (long long)limbs, (long long)threads, before, after,
			after / before);
		json_array_append_new(rows, json_pack("{s:s, s:I, s:I, s:I, s:f}", "name", name,
						      "log_n", log_n, "limbs", limbs, "threads",
						      threads, "ratio", after / before));
	}
done:
	json_decref(old);
	json_decref(new);
	return st;
}

FILE *hel_bench_gnuplot(const char *path)
{
	/* the path goes into a quoted text */
	FILE *f = strpbrk(path, "'\"\\") ? NULL : popen("gnuplot 2>/dev/null", "w");
	if (!f)
		(void)hel_fail(HEL_EIO, "cannot start gnuplot");
	return f;
}

/* Bars of all one-thread figures in milliseconds; gnuplot draws them. */
static hel_status plot(const json_t *results, const char *path)
{
	FILE *f = hel_bench_gnuplot(path);
	size_t i;
	json_t *x;
	if (!f)
		return HEL_EIO;
	fprintf(
	    f,
	    "set terminal svg size 900,700\nset output '%s'\nset logscale x\nset xlabel 'ms'\n"
	    "set style fill solid 0.6\nset yrange [*:*] reverse\nset ytics font ',9'\nunset key\n"
	    "plot '-' using (0.5*$2):0:(0.5*$2):(0.4):yticlabels(1) with boxxyerror\n",
	    path);
	json_array_foreach(results, i,
			   x) if (json_integer_value(json_object_get(x, "threads")) == 1)
	    fprintf(f, "\"%s 2^%lld\" %g\n", json_string_value(json_object_get(x, "name")),
		    (long long)json_integer_value(json_object_get(x, "log_n")),
		    json_number_value(json_object_get(x, "median_ms")));
	fputs("e\n", f);
	return pclose(f) ? hel_fail(HEL_EIO, "gnuplot failed; is it installed?") : HEL_OK;
}

static hel_status run_all(bench *b, json_t *out)
{
	static const struct {
		unsigned log_n;
		size_t limbs;
	} rings[] = {{13, 5}, {14, 10}, {15, 15}, {15, 20}, {16, 30}};
	hel_status st = HEL_OK;
	TRY(bench_machine(b, out));
	hel_say(b->args, "%-20s %5s %5s %7s %12s %12s %8s  %12s %6s %6s\n", "name", "N", "limbs",
		"threads", "median ms", "min ms", "spread", "moved", "memory", "multiply");
	const unsigned counts[2] = {1, b->args->threads};
	for (int t = 0; t < (counts[1] > 1 ? 2 : 1); t++) {
		b->threads = counts[t];
		for (size_t i = 0; i < HEL_ARRAY_LEN(rings); i++)
			TRY(bench_ring(b, rings[i].log_n, rings[i].limbs));
		TRY(bench_layers(b, 15, 14));
		TRY(bench_heart(b, "heart_deep", "{\"bottom\": [16, 4], \"top\": [16, 8, 1]}"));
		TRY(bench_heart(b, "heart_codesigned", "{\"bottom\": [4], \"top\": [8, 1]}"));
	}
done:
	return st;
}

static hel_status run_bench(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	size_t count;
	uint64_t ms;
	char *text = NULL;
	const char *const *files = hel_arg_all(args, "compare", &count);
	if (count == 2)
		return compare(args, out, files[0], files[1]);
	if (count)
		return hel_fail(HEL_EINVAL, "--compare takes two files");
	if (hel_arg(args, "calibrate"))
		return bench_calibrate(args, out);
	TRY(hel_arg_number(&ms, args, "milliseconds", 1, 100000, 500));
	bench b = {.args = args,
		   .results = json_array(),
		   .only = hel_arg(args, "only"),
		   .seconds = 1e-3 * (double)ms};
	json_object_set_new(out, "results", b.results);
	TRY(run_all(&b, out));
	if (hel_arg(args, "out")) {
		TRY_ALLOC(text, json_dumps(out, JSON_INDENT(1) | JSON_REAL_PRECISION(6)));
		TRY(hel_file_write(hel_arg(args, "out"), text, strlen(text), 0644));
	}
	if (hel_arg(args, "plot"))
		TRY(plot(b.results, hel_arg(args, "plot")));
done:
	free(text);
	return st;
}

const hel_command hel_command_bench = {
    .name = "bench",
    .summary = "Time kernels, operations, layers and the heart models on this machine",
    .option =
	{{"out", "FILE", "write the results as JSON", false, false},
	 {"plot", "FILE", "draw them as SVG (needs gnuplot)", false, false},
	 {"only", "TEXT", "only figures whose name contains this", false, false},
	 {"milliseconds", "N", "time to spend on each figure (default 500; 20 with --calibrate)",
	  false, false},
	 {"compare", "OLD NEW", "compare two result files instead", false, true},
	 {"calibrate", NULL,
	  "measure what compile's predictions stand on instead (half a minute); --out: default "
	  "helrm/calibration.json in $XDG_CACHE_HOME or ~/.cache",
	  false, false}},
    .run = run_bench,
};
