/* lookup-bench: all ways to look up encrypted indices, side by side on one table. */
#include "lookup_bench.h"
#include "bench.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- which methods and batches --------------------------------------------------- */

static hel_status chosen_methods(bool *wanted, const hel_args *args)
{
	hel_status st = HEL_OK;
	size_t count;
	const char *const *names = hel_arg_all(args, "method", &count);
	for (size_t i = 0; i < HEL_MAX(count, 1); i++) {
		hel_lookup_method method;
		if (!count || strcmp(names[i], "all") == 0) {
			memset(wanted, true, HEL_LOOKUP_METHODS);
			continue;
		}
		TRY(hel_lookup_method_parse(&method, names[i]));
		wanted[method] = true;
	}
done:
	return st;
}

/* As many lookups as one result ciphertext of the ring of a single one holds. */
static hel_status full_batch(size_t *batch, const hel_lookup_spec *spec)
{
	hel_lookup *l = NULL;
	hel_lookup_spec one = *spec;
	one.batch = 1;
	hel_status st = hel_lookup_new(&l, &one);
	if (st == HEL_OK) {
		const size_t dim = spec->table[0].dim,
			     columns = l->packing.pairs ? (dim + 1) / 2 : dim;
		size_t each = 1;
		while (each < columns)
			each *= 2;
		*batch = HEL_MAX(hel_params_slots(l->params) / each / spec->tables, 1);
	}
	hel_lookup_free(l);
	return st;
}

/* --- reporting ----------------------------------------------------------------------- */

static const char *retraining(hel_lookup_method method)
{
	return hel_lookup_keeps_rows(method) ? "no" : "yes";
}

static void print_head(const hel_args *args)
{
	hel_say(args, "%-7s %6s %4s %3s %7s %4s %10s %10s %10s %9s %9s %9s %6s %6s %8s\n", "method",
		"batch", "N", "lev", "log QP", "keys", "run ms", "ms/lookup", "query", "keys",
		"result", "server", "bits", "worst", "retrain");
}

static const char *bytes_text(char *out, size_t size, size_t bytes)
{
	const double b = (double)bytes;
	if (b < 1e6)
		snprintf(out, size, "%.1f KB", b / 1e3);
	else if (b < 1e9)
		snprintf(out, size, "%.1f MB", b / 1e6);
	else
		snprintf(out, size, "%.2f GB", b / 1e9);
	return out;
}

static void print_figures(const hel_args *args, const lookup_figures *f)
{
	char text[4][24];
	hel_say(args,
		"%-7s %6zu 2^%-2u %3u %7.1f %4zu %10.3f %10.4f %10s %9s %9s %9s %6.1f %6.1f %8s\n",
		hel_lookup_name(f->method), f->batch, f->params.log_n, f->params.levels, f->log_qp,
		f->keys, f->median_ms, f->median_ms / (double)(f->batch * f->tables),
		bytes_text(text[0], 24, f->query_bytes), bytes_text(text[1], 24, f->key_bytes),
		bytes_text(text[2], 24, f->result_bytes), bytes_text(text[3], 24, f->memory_bytes),
		f->relative_bits, f->worst_bits, retraining(f->method));
	fflush(stdout);
}

static json_t *figures_json(const lookup_figures *f)
{
	json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:i, s:i, s:b, s:b}", "method",
			      hel_lookup_name(f->method), "batch", (json_int_t)f->batch, "tables",
			      (json_int_t)f->tables, "rows", (json_int_t)f->rows, "dim",
			      (json_int_t)f->dim, "base", (int)f->base, "digits", (int)f->digits,
			      "exact_rows", (int)hel_lookup_keeps_rows(f->method), "retrain",
			      (int)!hel_lookup_keeps_rows(f->method));
	json_object_update_new(o, json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:I, s:I, s:I}",
					    "log_n", f->params.log_n, "levels", f->params.levels,
					    "scale_bits", f->params.scale_bits, "primes_per_level",
					    f->params.primes_per_level, "alpha", f->params.alpha,
					    "special", f->params.special, "log_qp", f->log_qp,
					    "inputs", (json_int_t)f->inputs, "results",
					    (json_int_t)f->results, "keys", (json_int_t)f->keys,
					    "parts", (json_int_t)f->parts));
	json_object_update_new(o, json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I}", "median_ms",
					    f->median_ms, "least_ms", f->least_ms, "ms_per_lookup",
					    f->median_ms / (double)(f->batch * f->tables),
					    "parse_ms", f->parse_ms, "setup_ms", f->setup_ms,
					    "encrypt_ms", f->encrypt_ms, "decrypt_ms",
					    f->decrypt_ms, "runs", (json_int_t)f->runs));
	json_object_update_new(
	    o, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "query_bytes",
			 (json_int_t)f->query_bytes, "result_bytes", (json_int_t)f->result_bytes,
			 "key_bytes", (json_int_t)f->key_bytes, "weight_bytes",
			 (json_int_t)f->weight_bytes, "disk_bytes", (json_int_t)f->disk_bytes,
			 "server_bytes", (json_int_t)f->memory_bytes, "outputs_checked",
			 (json_int_t)f->checked, "relative_bits", f->relative_bits, "mean_bits",
			 f->mean_bits, "worst_bits", f->worst_bits, "predicted_bits",
			 f->predicted_bits));
	return o;
}

/* Milliseconds per lookup over bytes of query: both logarithmic, a point each. */
static hel_status plot(const json_t *results, const char *path)
{
	FILE *f = hel_bench_gnuplot(path);
	size_t i;
	json_t *x;
	if (!f)
		return HEL_EIO;
	fprintf(f,
		"set terminal svg size 900,600\nset output '%s'\nset logscale xy\nset key off\n"
		"set xlabel 'bytes of query per lookup'\nset ylabel 'server, ms per lookup'\n"
		"set offsets graph 0.1, graph 0.1, graph 0.1, graph 0.1\n"
		"plot '-' using 2:3:1 with labels offset 0,0.7, '' using 2:3 with points pt 7\n",
		path);
	for (int pass = 0; pass < 2; pass++) {
		json_array_foreach(results, i, x)
		{
			const double each = json_number_value(json_object_get(x, "batch")) *
					    json_number_value(json_object_get(x, "tables"));
			fprintf(f, "\"%s x%lld\" %g %g\n",
				json_string_value(json_object_get(x, "method")),
				(long long)json_integer_value(json_object_get(x, "batch")),
				json_number_value(json_object_get(x, "query_bytes")) / each,
				json_number_value(json_object_get(x, "ms_per_lookup")));
		}
		fputs("e\n", f);
	}
	return pclose(f) ? hel_fail(HEL_EIO, "gnuplot failed; is it installed?") : HEL_OK;
}

/* --- the command ------------------------------------------------------------------------ */

typedef struct lookup_bench {
	const hel_args *args;
	lookup_tables tables;
	lookup_plan plan;
	json_t *results;
	size_t parts;
	bool one_method;
} lookup_bench;

static hel_status run_batch(lookup_bench *b, size_t batch)
{
	hel_status st = HEL_OK;
	lookup_figures f;
	b->plan.spec.batch = batch;
	st = lookup_measure(&f, &b->plan, b->args);
	if (st == HEL_EUNSUPPORTED && !b->one_method) {
		hel_say(b->args, "%-7s %6zu: %s\n", hel_lookup_name(b->plan.spec.method), batch,
			hel_error_detail());
		return HEL_OK;
	}
	TRY(st);
	print_figures(b->args, &f);
	json_array_append_new(b->results, figures_json(&f));
done:
	return st;
}

static hel_status run_method(lookup_bench *b, hel_lookup_method method)
{
	hel_status st = HEL_OK;
	const bool rows = hel_lookup_keeps_rows(method);
	size_t count;
	const char *const *batch = hel_arg_all(b->args, "batch", &count);
	hel_lookup_spec *s = &b->plan.spec;
	s->method = method;
	b->plan.parts = rows ? b->parts : 1;
	s->tables = rows ? b->tables.tables : 1;
	s->table = rows ? b->tables.table : &b->tables.codebook;
	s->base = b->tables.base;
	s->digits = b->tables.digits;
	if (!count) {
		size_t full = 1;
		TRY(run_batch(b, 1));
		if (!rows && full_batch(&full, s) == HEL_OK && full > 1)
			TRY(run_batch(b, full));
	}
	for (size_t i = 0; i < count; i++) {
		char *end;
		const unsigned long long n = strtoull(batch[i], &end, 10);
		if (*batch[i] < '0' || *batch[i] > '9' || *end || !n || n > HEL_LOOKUP_BATCH_MAX)
			FAIL(HEL_EINVAL, "--batch is '%s', expected a whole number from 1 to %d",
			     batch[i], HEL_LOOKUP_BATCH_MAX);
		TRY(run_batch(b, (size_t)n));
	}
done:
	return st;
}

static hel_status write_results(const hel_args *args, json_t *out, const json_t *results)
{
	hel_status st = HEL_OK;
	char *text = NULL;
	if (hel_arg(args, "out")) {
		TRY_ALLOC(text, json_dumps(out, JSON_INDENT(1) | JSON_REAL_PRECISION(6)));
		TRY(hel_file_write(hel_arg(args, "out"), text, strlen(text), 0644));
	}
	if (hel_arg(args, "plot"))
		TRY(plot(results, hel_arg(args, "plot")));
done:
	free(text);
	return st;
}

static hel_status run_lookup_bench(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	lookup_bench b = {.args = args, .results = json_array()};
	bool wanted[HEL_LOOKUP_METHODS] = {false};
	uint64_t log_n, bits, ms, parts;
	size_t methods = 0;
	json_object_set_new(out, "results", b.results);
	TRY(chosen_methods(wanted, args));
	TRY(hel_arg_number(&log_n, args, "log-n", 12, HEL_LOG_N_MAX, 0));
	TRY(hel_arg_number(&bits, args, "bits", 1, 50, 0));
	TRY(hel_arg_number(&ms, args, "milliseconds", 1, 1000000, 500));
	TRY(hel_arg_number(&parts, args, "parts", 1, 4096, 1));
	TRY(lookup_tables_read(&b.tables, args));
	b.parts = (size_t)parts;
	b.plan.disk = hel_arg(args, "disk");
	b.plan.seconds = 1e-3 * (double)ms;
	b.plan.spec.log_n = (unsigned)log_n;
	b.plan.spec.wanted_bits = (unsigned)bits;
	for (int i = 0; i < HEL_LOOKUP_METHODS; i++)
		methods += wanted[i];
	b.one_method = methods == 1;
	TRY(bench_measure_machine(args, out));
	json_object_set_new(out, "threads", json_integer(args->threads));
	print_head(args);
	for (int i = 0; i < HEL_LOOKUP_METHODS; i++)
		if (wanted[i])
			TRY(run_method(&b, (hel_lookup_method)i));
	TRY(write_results(args, out, b.results));
done:
	lookup_tables_clear(&b.tables);
	return st;
}

const hel_command hel_command_lookup_bench = {
    .name = "lookup-bench",
    .summary = "Compare all ways to look up rows of a table by encrypted indices",
    .option =
	{
	    {"method", "NAME", "full, digits, coded, roots, powers, grid or all (default)", false,
	     true},
	    {"rows", "N", "random tables of so many rows each, for full and grid (default 4096)",
	     false, true},
	    {"table", "FILE", "tables from .tsv, .npy or .safetensors files instead", false, true},
	    {"tensor", "NAME", "the matrix to take from a .safetensors file", false, false},
	    {"codebook", "FILE", "base x digits code rows, for the other methods", false, false},
	    {"base", "P", "of codes, 2 to 64 (default 8)", false, false},
	    {"digits", "L", "of codes, 1 to 64 (default 8, or what the codebook holds)", false,
	     false},
	    {"dim", "D", "numbers in a row of random tables (default 50)", false, false},
	    {"batch", "N", "lookups in one request (default: 1, and a full ciphertext)", false,
	     true},
	    {"parts", "N", "programs to cut the tables into (default 1)", false, false},
	    {"disk", "DIR", "keep weights and random tables on disk there, read as they are used",
	     false, false},
	    {"log-n", "N", "the ring, 12 to 17 (default: the smallest that serves)", false, false},
	    {"bits", "N", "precision wanted, relative to the largest output (default 15)", false,
	     false},
	    {"milliseconds", "N", "time to spend on each figure (default 500)", false, false},
	    {"out", "FILE", "write the results as JSON", false, false},
	    {"plot", "FILE", "draw cost over upload as SVG (needs gnuplot)", false, false},
	},
    .run = run_lookup_bench,
};
