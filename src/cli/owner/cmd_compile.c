/* compile: options to texts, files to records; the rest is hel_recommender_compile(). */
#include "cli/calibration_option.h"
#include "cli/report.h"
#include "owner/owner_inside.h"
#include <math.h>
#include <string.h>

#define NAMED_MAX (HEL_MAX_OPTIONS * HEL_MAX_VALUES)

/* Those of this command that say what to do with files. */
static bool is_file_option(const char *name)
{
	static const char *const files[] = {"model", "out", "data"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(files); i++)
		if (strcmp(name, files[i]) == 0)
			return true;
	return false;
}

/* All others as "NAME=VALUE"; each is freed by hel_free. */
static hel_status named_options(char **named, size_t *count, const hel_args *args)
{
	hel_status st = HEL_OK;
	for (const hel_option *o = args->command->option; o->name; o++) {
		size_t values;
		const char *const *value = hel_arg_all(args, o->name, &values);
		for (size_t i = 0; i < values && !is_file_option(o->name); i++) {
			const char *said = o->value ? value[i] : "yes";
			const size_t size = strlen(o->name) + strlen(said) + 2;
			TRY_ALLOC(named[*count], hel_alloc(size, 1));
			snprintf(named[(*count)++], size, "%s=%s", o->name, said);
		}
	}
done:
	return st;
}

/* --- for people ----------------------------------------------------------------------------- */

static const char *text(const json_t *o, const char *name)
{
	const char *at = json_string_value(json_object_get(o, name));
	return at ? at : "";
}

/* What the polynomials cost on the data; the model with them stands beside the program. */
static void tell_fit(const hel_args *args, const json_t *f)
{
	hel_say(
	    args,
	    "%s by polynomials of degree %.0f over %.2f times the values seen in %.0f records:\n"
	    "  AUC %s -> %s, accuracy %s -> %s, log loss %.4f -> %.4f\n"
	    "  largest change of a logit %.3g of a spread of %.3g (%.1f bits), %.0f decisions "
	    "differ\n"
	    "written: %s/model (the model as it is evaluated)\n",
	    text(f, "kind"), hel_report_number(f, "degree"), hel_report_number(f, "margin"),
	    hel_report_number(f, "rows"), hel_report_rate(f, "auc").at,
	    hel_report_rate(f, "auc_polynomial").at, hel_report_rate(f, "accuracy").at,
	    hel_report_rate(f, "accuracy_polynomial").at, hel_report_number(f, "log_loss"),
	    hel_report_number(f, "log_loss_polynomial"), hel_report_number(f, "largest_change"),
	    hel_report_number(f, "spread"), hel_report_number(f, "bits"),
	    hel_report_number(f, "decisions_differ"), hel_arg(args, "out"));
	if (json_is_true(json_object_get(f, "may_fold")))
		hel_say(args, "WARNING: values of some record could go so far beyond a refresh's "
			      "range that they come back into it, unnoticed: its layer's weights "
			      "allow it\n");
}

/* What a person would not expect to upload. */
#define MANY_KEY_BYTES 500e6

static void tell_plan(const hel_args *args, const json_t *r)
{
	size_t i;
	const json_t *layer;
	const double batch = hel_report_number(r, "batch"),
		     bits = hel_report_number(r, "predicted_bits"),
		     wanted = hel_report_number(r, "wanted_bits"),
		     keys = hel_report_number(r, "evaluation_keys_bytes");
	hel_say(
	    args,
	    "ring N = 2^%.0f, %.0f levels, log2(QP) = %.1f of at most %.0f (128-bit security)\n",
	    hel_report_number(r, "log_n"), hel_report_number(r, "levels"),
	    hel_report_number(r, "log_qp"), hel_report_number(r, "log_qp_limit"));
	json_array_foreach(json_object_get(r, "layers"), i, layer)
	    hel_say(args, "  %s\n", text(layer, "layer"));
	hel_say(args,
		"%.0f evaluation keys, %.1f MB; query %.0f kB; about %.1f ms per %s on one "
		"thread; %.1f bits; %.0f MB of memory\n",
		hel_report_number(r, "keys"), keys / 1e6, hel_report_number(r, "query_bytes") / 1e3,
		hel_report_number(r, "estimated_ms"), batch > 1 ? "query" : "prediction", bits,
		hel_report_number(r, "memory_bytes") / 1e6);
	const json_t *reads = json_object_get(r, "reads");
	hel_say(args, "a query reads %.1f MB of keys, %.1f MB of weights, %.1f MB of values\n",
		hel_report_number(reads, "keys_bytes") / 1e6,
		hel_report_number(reads, "weights_bytes") / 1e6,
		hel_report_number(reads, "values_bytes") / 1e6);
	if (json_object_get(r, "machine_factor"))
		hel_say(args,
			"times are the built-in ones, %.2f times as long, as rotations took here "
			"just now; "
			"'helrm bench --calibrate' measures this machine\n",
			hel_report_number(r, "machine_factor"));
	if (keys > MANY_KEY_BYTES && !hel_arg(args, "max-keys"))
		hel_say(
		    args,
		    "WARNING: every client uploads %.0f MB of keys; --max-keys 500 or --optimize "
		    "keys asks for fewer\n",
		    keys / 1e6);
	if (bits < wanted && bits >= wanted - HEL_BITS_SHORT)
		hel_say(args, "that is near the %.1f bits wanted, and the cheapest plan so near\n",
			wanted);
	const json_t *fit = json_object_get(r, "activation");
	if (fit)
		hel_say(
		    args, "%.1f bits against the model as trained; at the largest change, %.1f\n",
		    hel_report_number(fit, "bits_together"), hel_report_number(r, "bits_model"));
	if (batch > 1 && !json_object_get(r, "items"))
		hel_say(args, "up to %.0f records in one query: about %.2f ms each\n", batch,
			hel_report_number(r, "estimated_ms") / batch);
}

/* Which records errors were predicted for, and what is known of values. */
static void tell_bounds(const hel_args *args, const json_t *r)
{
	const bool given = strcmp(text(r, "records"), "data") == 0;
	if (hel_report_number(r, "squares") > 0)
		hel_say(args, "the graph is one quadratic form: compiled as %.0f squares\n",
			hel_report_number(r, "squares"));
	if (hel_report_number(r, "squares_left_out") > 0)
		hel_say(
		    args,
		    "%.0f squares are left out, which changes logits by %.2g on average (%.1f "
		    "bits); --bits keeps more\n",
		    hel_report_number(r, "squares_left_out"),
		    hel_report_number(r, "error_left_out"),
		    log2(hel_report_number(r, "spread") / hel_report_number(r, "error_left_out")));
	hel_say(args, "errors predicted for %s\n",
		given ? "records of --data" : "random records; --data FILE: for real ones");
	if (strcmp(text(r, "bounds"), "measured") == 0)
		hel_say(args,
			"bounds MEASURED on %s, not proved: head room 2^%.0f; scores beyond +-%.4g "
			"are refused\n",
			given ? "records of --data" : "random records",
			hel_report_number(r, "head_room_bits"), hel_report_number(r, "bound"));
	else
		hel_say(args, "bounds proved for every record: |logit| stays below %.4g\n",
			hel_report_number(r, "bound"));
}

/* What a user is to items. */
static void tell_items(const hel_args *args, const json_t *items)
{
	if (strcmp(text(items, "form"), "batched") == 0) {
		hel_say(args,
			"items are no matrix: a run takes %.0f values of each of %.0f items; 1,000 "
			"items take about %.0f ms\n",
			hel_report_number(items, "width"), hel_report_number(items, "at_once"),
			hel_report_number(items, "ms_per_1000"));
		return;
	}
	hel_say(
	    args, "a user is a vector of %.0f elements%s; 1,000 items take about %.2f ms more\n",
	    hel_report_number(items, "width"),
	    json_is_true(json_object_get(items, "squares")) ? " and the sum of their squares" : "",
	    hel_report_number(items, "ms_per_1000"));
}

static void tell(const hel_args *args, const json_t *r)
{
	const char *dir = hel_arg(args, "out");
	const json_t *fit = json_object_get(r, "activation");
	hel_cli_tell_calibration(args, text(r, "calibration"), text(r, "calibration_refused"));
	if (fit)
		tell_fit(args, fit);
	tell_plan(args, r);
	if (json_object_get(r, "items"))
		tell_items(args, json_object_get(r, "items"));
	tell_bounds(args, r);
	hel_say(args,
		"written: %s/manifest.helm (public, %.1f kB), %s/program.helm (server, %.1f kB)\n",
		dir, hel_report_number(r, "manifest_bytes") / 1e3, dir,
		hel_report_number(r, "program_bytes") / 1e3);
}

static hel_status run_compile(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	char *named[NAMED_MAX] = {NULL};
	size_t options = 0, paths;
	hel_recommender *r = NULL;
	hel_records *records = NULL;
	hel_compiled *c = NULL;
	const char *dir = hel_arg(args, "out"), *model = hel_arg(args, "model");
	const char *const *path = hel_arg_all(args, "data", &paths);
	TRY(named_options(named, &options, args));
	TRY(hel_recommender_open(&r, model));
	if (hel_arg(args, "activation")) /* known before anything is compiled */
		TRY(hel_owner_check_place(dir, model));
	if (paths)
		TRY(hel_records_of_files(&records, r, path, paths));
	TRY(hel_recommender_compile(&c, r, (const char *const *)named, options, records, args->pool,
				    NULL));
	TRY(hel_compiled_save(c, dir));
	json_t *report = json_loads(hel_compiled_report(c), 0, NULL);
	tell(args, report);
	json_object_update_new(out, report);
done:
	for (size_t i = 0; i < options; i++)
		hel_free(named[i]);
	hel_compiled_free(c);
	hel_records_free(records);
	hel_recommender_free(r);
	return st;
}

const hel_command hel_command_compile = {
    .name = "compile",
    .summary = "Compile a model into a public manifest and a server program",
    .option =
	{{"model", "DIR", "a trained model", true, false},
	 {"out", "DIR", "where manifest.helm and program.helm go", true, false},
	 {"name", "TEXT", "the model's name (default: the directory's)", false, false},
	 {"public", "COL[,COL..]",
	  "columns of items, public to the server: one encrypted user is ranked against a "
	  "catalogue of them (see catalogue); default: those that the data set's description "
	  "says are public; none: none",
	  false, true},
	 {"activation", "KIND[=HOW]",
	  "KIND (relu, silu, sigmoid, gelu, ...) by what is cheapest and exact enough for --data: "
	  "polynomials alone, or refreshes (bootstrapping) between them (=refresh: those); "
	  "=poly:N: "
	  "by a polynomial of degree N (2 to 63), fitted by least squares (=chebyshev:N: by "
	  "interpolation)",
	  false, false},
	 {"data", "FILE",
	  "typical records, a few hundred or more: precision is predicted for them, bounds that "
	  "cannot be proved are measured on them; labelled ones for --activation",
	  false, true},
	 {"optimize", "GOAL", "latency (default), keys, query or throughput", false, false},
	 {"max-keys", "MB", "largest evaluation keys, uploaded once", false, false},
	 {"max-query", "KB", "largest query", false, false},
	 {"max-memory", "MB", "most memory for weights and one run", false, false},
	 {"bits", "N",
	  "precision wanted, in bits of the spread of scores (default 12.5); less is refused",
	  false, false},
	 {"accept-loss", NULL, "go on where accuracy or precision is lost", false, false},
	 {"proved", NULL,
	  "bounds proved for every record, or none: polynomials are fitted over wider ranges for "
	  "it",
	  false, false},
	 {"lookup", "[TABLE=]METHOD",
	  "how entries travel, of all tables or of one: onehot, grid, powers, roots, coded, or "
	  "auto "
	  "(default: one-hot, and what makes queries smaller where that is worth it)",
	  false, true},
	 {"max-log-n", "N", "largest ring degree allowed, as log2 (12 to 17)", false, false},
	 {"batch", "N",
	  "records of one client in one query, a power of two up to 512 (default 1; with "
	  "--optimize "
	  "throughput what is cheapest per record): each costs a fraction, a query alone a little "
	  "more",
	  false, false},
	 {"no-monomials", NULL, "do not ask the client for products of features", false, false},
	 {"no-fusion", NULL, "keep embeddings and first top layer apart", false, false},
	 {"plan-rank", "N", "leave the N best plans of all rings and ways: for bench/regret", false,
	  false},
	 {"digits-rank", "N",
	  "leave the N cheapest scales and digits that are precise enough: for bench/regret", false,
	  false},
	 HEL_CALIBRATION_OPTION},
    .run = run_compile,
};
