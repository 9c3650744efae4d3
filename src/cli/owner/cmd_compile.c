#include "base/text.h"
#include "cli/calibration_option.h"
#include "cli/report.h"
#include "compile/activations.h"
#include "compile/placement.h"
#include "features/coding.h"
#include "model/model_file.h"
#include <math.h>
#include <string.h>
#include <sys/stat.h>

static hel_status write_container(const char *dir, const char *name, const hel_writer *w)
{
	char path[HEL_PATH_MAX];
	const hel_status st = hel_path(path, dir, name);
	return st == HEL_OK ? hel_file_write(path, w->bytes, w->size, 0644) : st;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

/* "relu=poly:7" for a model with relu. */
static hel_status parse_activation(hel_fit_choice *out, const char *text, const hel_dlrm *m)
{
	unsigned *degree = &out->degree;
	hel_approximation_kind *kind = &out->kind;
	const char *name = hel_activation_name(m->config.activation.kind);
	const char *rest = text + strlen(name);
	char after;
	out->refreshed = strncmp(text, name, strlen(name)) == 0 && strcmp(rest, "=refresh") == 0;
	if (strcmp(text, name) == 0 || out->refreshed) /* placement decides */
		return HEL_OK;
	if (strncmp(text, name, strlen(name)) != 0 || *rest != '=')
		return hel_fail(HEL_EINVAL,
				"--activation %s: the model's activation is %s, so expected %s, "
				"%s=refresh or %s=poly:N",
				text, name, name, name, name);
	*kind = strncmp(rest, "=chebyshev:", 11) == 0 ? HEL_INTERPOLATION : HEL_LEAST_SQUARES;
	rest += *kind == HEL_INTERPOLATION ? 11 : 6;
	if ((*kind == HEL_LEAST_SQUARES && strncmp(rest - 6, "=poly:", 6) != 0) ||
	    sscanf(rest, "%u%c", degree, &after) != 1)
		return hel_fail(HEL_EINVAL,
				"--activation %s: expected %s=poly:N (least squares) or "
				"%s=chebyshev:N, N a degree from 2 to %d",
				text, name, name, HEL_MAX_APPROXIMATION);
	return HEL_OK;
}

/* The records of --data. */
typedef struct typical {
	hel_records records;
	hel_samples samples;
} typical;

static void typical_clear(typical *t)
{
	hel_samples_clear(&t->samples);
	hel_records_clear(&t->records);
}

static hel_status typical_new(typical *t, const hel_args *args, const hel_dlrm *m)
{
	hel_status st = HEL_OK;
	size_t paths;
	const char *const *path = hel_arg_all(args, "data", &paths);
	const hel_dataset *set = m->schema->set;
	if (!paths)
		goto done;
	TRY(hel_records_read(&t->records, set, path, paths));
	TRY(hel_samples_new(&t->samples, m->schema, &t->records, NULL, t->records.count,
			    HEL_UNKNOWN_IS_MISSING));
done:
	return st;
}

/* OUT/model is where the model with polynomials goes: it must not replace the one it is made of. */
static hel_status check_out(const hel_args *args)
{
	hel_status st = HEL_OK;
	char given[HEL_PATH_MAX], path[HEL_PATH_MAX];
	struct stat a, b;
	TRY(hel_path(given, hel_arg(args, "model"), "model.json"));
	TRY(hel_path(path, hel_arg(args, "out"), "model/model.json"));
	if (stat(given, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino)
		FAIL(HEL_EINVAL,
		     "--out %.200s: the model with polynomials would replace --model; choose "
		     "another "
		     "directory",
		     hel_arg(args, "out"));
done:
	return st;
}

/* What an earlier compile left there belongs to a program that is no more. */
static void remove_fitted(const hel_args *args)
{
	char path[HEL_PATH_MAX];
	hel_dlrm *m = NULL;
	if (check_out(args) == HEL_OK && hel_path(path, hel_arg(args, "out"), "model") == HEL_OK &&
	    hel_dlrm_load(&m, path) == HEL_OK && m->approximation && !m->polynomials_trained)
		hel_dlrm_remove(path);
	hel_dlrm_free(m);
}

/* What the polynomials cost on the data; the model with them, written beside the program. */
static hel_status report_fit(const hel_args *args, json_t *out, const hel_fidelity *f,
			     const hel_fit_choice *c, const hel_dlrm *m)
{
	hel_status st = HEL_OK;
	char path[HEL_PATH_MAX];
	TRY(hel_path(path, hel_arg(args, "out"), "model"));
	TRY(hel_dir_make(hel_arg(args, "out")));
	TRY(hel_dlrm_save(m, path));
	const char *name = hel_activation_name(m->config.activation.kind);
	hel_say(args,
		"%s by polynomials of degree %u over %.2f times the values seen in %zu records:\n"
		"  AUC %s -> %s, accuracy %s -> %s, log loss %.4f -> %.4f\n"
		"  largest change of a logit %.3g of a spread of %.3g (%.1f bits), %zu decisions "
		"differ\n"
		"written: %s (the model as it is evaluated)\n",
		name, c->degree, c->margin, f->rows, hel_auc_says(f->trained.auc).at,
		hel_auc_says(f->fitted.auc).at, hel_accuracy_says(&f->trained).at,
		hel_accuracy_says(&f->fitted).at, f->trained.log_loss, f->fitted.log_loss,
		f->largest, f->spread, f->bits, f->differ, path);
	if (c->may_fold)
		hel_say(args, "WARNING: values of some record could go so far beyond a refresh's "
			      "range that they come back into it, unnoticed: its layer's weights "
			      "allow it\n");
	json_object_set_new(out, "activation",
			    json_pack("{s:s, s:i, s:f, s:o, s:o, s:o, s:o, s:f, s:f, s:I, s:b}",
				      "kind", name, "degree", (int)c->degree, "margin", c->margin,
				      "auc", hel_report_auc(f->trained.auc), "auc_polynomial",
				      hel_report_auc(f->fitted.auc), "accuracy",
				      hel_report_accuracy(&f->trained), "accuracy_polynomial",
				      hel_report_accuracy(&f->fitted), "largest_change", f->largest,
				      "spread", f->spread, "decisions_differ",
				      (json_int_t)f->differ, "may_fold", c->may_fold));
done:
	return st;
}

static hel_status compile_approximated(hel_program **p, hel_compile_report *r, const hel_args *args,
				       json_t *out, hel_dlrm *m, const hel_compile_options *options)
{
	hel_status st = HEL_OK;
	hel_fit_choice c = {.degree = 0};
	hel_fidelity f;
	TRY(parse_activation(&c, hel_arg(args, "activation"), m));
	if (m->approximation)
		FAIL(HEL_EINVAL, "this model's activations are polynomials already");
	TRY((c.degree ? hel_compile_approximated : hel_compile_placed)(p, r, &f, &c, m, options));
	TRY(report_fit(args, out, &f, &c, m));
done:
	return st;
}

/* Which records errors were predicted for, and what is known of values. */
static void report_bounds(const hel_args *args, json_t *out, const hel_manifest *m,
			  const hel_compile_report *r, size_t given)
{
	char records[64] = "random records; --data FILE: for real ones";
	if (given)
		snprintf(records, sizeof records, "records of --data");
	if (r->squares.rank)
		hel_say(args, "the graph is one quadratic form: compiled as %zu squares\n",
			r->squares.kept);
	if (r->squares.kept < r->squares.rank)
		hel_say(args,
			"%zu squares are left out, which changes logits by %.2g on average (%.1f "
			"bits); --bits keeps more\n",
			r->squares.rank - r->squares.kept, r->squares.error,
			log2(m->spread / r->squares.error));
	hel_say(args, "errors predicted for %s\n", records);
	if (m->measured)
		hel_say(args,
			"bounds MEASURED on %s, not proved: head room 2^%.0f; scores beyond +-%.4g "
			"are refused\n",
			given ? "records of --data" : "random records", r->shape.head_room,
			m->bound);
	else
		hel_say(args, "bounds proved for every record: |logit| stays below %.4g\n",
			m->bound);
	json_object_update_new(out, json_pack("{s:s, s:f, s:f, s:s, s:I, s:I, s:f}", "bounds",
					      m->measured ? "measured" : "proved", "bound",
					      m->bound, "head_room_bits", r->shape.head_room,
					      "records", given ? "data" : "random", "squares",
					      (json_int_t)r->squares.kept, "squares_left_out",
					      (json_int_t)(r->squares.rank - r->squares.kept),
					      "error_left_out", r->squares.error));
}

/* Where the predicted time goes. */
static json_t *layer_times(const hel_program *p, const hel_compile_report *r)
{
	json_t *layers = json_array();
	for (uint32_t i = 0; i < p->layers; i++)
		json_array_append_new(
		    layers, json_pack("{s:s, s:f}", "layer", p->layer[i], "ms",
				      1e3 * hel_cost_seconds(&r->machine, r->shape.layer[i].cost)));
	return layers;
}

/* "12.5" */
static hel_status parse_bits(double *out, const hel_args *args)
{
	const char *text = hel_arg(args, "bits");
	char *end = NULL;
	*out = text ? hel_number_of(text, &end) : 0;
	if (text && (end == text || *end || !(*out >= 1 && *out <= 60)))
		return hel_fail(HEL_EINVAL, "--bits %s: expected a number from 1 to 60", text);
	return HEL_OK;
}

static hel_status parse_goal(hel_goal *out, const hel_args *args)
{
	const char *text = hel_arg(args, "optimize");
	*out = HEL_LATENCY;
	if (!text)
		return HEL_OK;
	for (*out = 0; *out < HEL_GOALS; ++*out)
		if (strcmp(text, hel_goal_name(*out)) == 0)
			return HEL_OK;
	return hel_fail(HEL_EINVAL, "--optimize %s: expected latency, keys, query or throughput",
			text);
}

/* "grid" for all tables, "thal=grid" for one; what is said last holds. Laboratory names of one-hot
 * entries are understood, too. */
static hel_status parse_codings(hel_coding *coding, const hel_args *args, const hel_schema *s)
{
	hel_status st = HEL_OK;
	size_t count;
	const char *const *text = hel_arg_all(args, "lookup", &count);
	for (size_t i = 0; i < s->table_count; i++)
		coding[i] = HEL_CODINGS;
	for (size_t k = 0; k < count; k++) {
		const char *sign = strchr(text[k], '='), *name = sign ? sign + 1 : text[k];
		const size_t length = sign ? (size_t)(sign - text[k]) : 0;
		bool found = !sign;
		if (strcmp(name, "full") == 0 || strcmp(name, "digits") == 0)
			name = hel_coding_name(HEL_CODING_ONE_HOT);
		const hel_coding c = hel_coding_by_name(name);
		if (c == HEL_CODINGS && strcmp(name, "auto") != 0)
			FAIL(HEL_EINVAL,
			     "--lookup %s: expected auto, onehot (or full, digits), grid, powers, "
			     "roots or coded, for one table TABLE=METHOD",
			     text[k]);
		for (size_t i = 0; i < s->table_count; i++)
			if (!sign || (strncmp(s->table[i].name, text[k], length) == 0 &&
				      !s->table[i].name[length])) {
				coding[i] = c;
				found = true;
			}
		if (!found)
			FAIL(HEL_EINVAL, "--lookup %s: the model has no table '%.*s'", text[k],
			     (int)length, text[k]);
	}
done:
	return st;
}

/* What a person would not expect to upload. */
#define MANY_KEY_BYTES 500e6

static void warn_keys(const hel_args *args, const hel_compile_report *r)
{
	if ((double)r->key_bytes > MANY_KEY_BYTES && !hel_arg(args, "max-keys"))
		hel_say(
		    args,
		    "WARNING: every client uploads %.0f MB of keys; --max-keys 500 or --optimize "
		    "keys asks for fewer\n",
		    (double)r->key_bytes / 1e6);
}

static hel_status run_compile(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	hel_program *p = NULL;
	hel_compile_report r = {0};
	typical t = {0};
	hel_writer manifest = {0}, program = {0};
	uint64_t max_log_n, batch, most[3];
	double bits;
	hel_goal goal;
	hel_coding coding[HEL_MAX_TABLES];
	hel_calibration machine;
	hel_progress progress;
	const char *dir = hel_arg(args, "out");
	TRY(hel_arg_number(&max_log_n, args, "max-log-n", 12, 17, 17));
	TRY(parse_bits(&bits, args));
	TRY(hel_arg_number(&most[0], args, "max-keys", 1, 1u << 20, 0));
	TRY(hel_arg_number(&most[1], args, "max-query", 1, 1u << 30, 0));
	TRY(hel_arg_number(&most[2], args, "max-memory", 1, 1u << 24, 0));
	TRY(parse_goal(&goal, args));
	TRY(hel_arg_number(&batch, args, "batch", 1, 1 << HEL_MAX_LOG_BATCH, 0));
	if (batch & (batch - 1))
		FAIL(HEL_EINVAL, "--batch %s: expected a power of two from 1 to %d",
		     hel_arg(args, "batch"), 1 << HEL_MAX_LOG_BATCH);
	TRY(hel_dlrm_load(&m, hel_arg(args, "model")));
	TRY(parse_codings(coding, args, m->schema));
	TRY(hel_cli_calibration(&machine, args, out));
	hel_progress_begin(&progress, "compiling");
	hel_compile_options options = {.name = hel_arg(args, "name")
						   ? hel_arg(args, "name")
						   : last_part(hel_arg(args, "model")),
				       .goal = goal,
				       .bits = bits,
				       .accept_loss = hel_arg(args, "accept-loss") != NULL,
				       .proved_only = hel_arg(args, "proved") != NULL,
				       .max_key_bytes = most[0] * 1000000,
				       .max_query_bytes = most[1] * 1000,
				       .max_memory_bytes = most[2] * 1000000,
				       .pool = args->pool,
				       .machine = &machine.model,
				       .progress = &progress,
				       .max_log_n = (unsigned)max_log_n,
				       .log_batch = batch ? (unsigned)__builtin_ctzll(batch)
						    : goal == HEL_THROUGHPUT ? HEL_ANY_BATCH
									     : 0,
				       .coding = coding,
				       .no_monomials = hel_arg(args, "no-monomials") != NULL,
				       .no_fusion = hel_arg(args, "no-fusion") != NULL};
	if (strlen(options.name) > HEL_MODEL_NAME_MAX || !hel_is_text(options.name))
		FAIL(HEL_EINVAL,
		     "the model's name must be plain text of at most %d bytes; see --name",
		     HEL_MODEL_NAME_MAX);
	TRY(typical_new(&t, args, m));
	options.records = &t.samples;
	if (hel_arg(args, "activation"))
		TRY(check_out(args));
	st = hel_arg(args, "activation") ? compile_approximated(&p, &r, args, out, m, &options)
					 : hel_compile(&p, &r, m, &options);
	hel_progress_end(&progress);
	TRY(st);
	TRY(hel_program_write(&program, p)); /* sets the manifest's id */
	TRY(hel_manifest_write(&manifest, p->manifest));
	TRY(hel_dir_make(dir));
	TRY(write_container(dir, "program.helm", &program));
	TRY(write_container(dir, "manifest.helm", &manifest));
	if (!hel_arg(args, "activation"))
		remove_fitted(args);
	const hel_manifest *mf = p->manifest;
	hel_say(args,
		"ring N = 2^%u, %u levels, log2(QP) = %.1f of at most %.0f (128-bit security)\n",
		mf->params.log_n, mf->params.levels, r.log_qp, r.log_qp_limit);
	for (uint32_t i = 0; i < p->layers; i++)
		hel_say(args, "  %s\n", p->layer[i]);
	hel_say(args,
		"%u evaluation keys, %.1f MB; query %.0f kB; about %.1f ms per %s on one "
		"thread; %.1f bits; %.0f MB of memory\n",
		mf->keys, (double)r.key_bytes / 1e6, (double)r.query_bytes / 1e3, 1e3 * r.seconds,
		batch > 1 ? "query" : "prediction", mf->bits, (double)r.memory_bytes / 1e6);
	warn_keys(args, &r);
	if (mf->bits < r.wanted_bits && mf->bits >= r.wanted_bits - HEL_BITS_SHORT)
		hel_say(args, "that is near the %.1f bits wanted, and the cheapest plan so near\n",
			r.wanted_bits);
	if (mf->bits_model < mf->bits)
		hel_say(args, "%.1f bits against the model as trained\n", mf->bits_model);
	if (batch > 1)
		hel_say(args, "up to %u records in one query: about %.2f ms each\n",
			(unsigned)batch, 1e3 * r.seconds / (double)batch);
	report_bounds(args, out, mf, &r, t.samples.count);
	hel_say(args,
		"written: %s/manifest.helm (public, %.1f kB), %s/program.helm (server, %.1f kB)\n",
		dir, (double)manifest.size / 1e3, dir, (double)program.size / 1e3);
	json_object_update_new(
	    out, json_pack(
		     "{s:i, s:i, s:f, s:f, s:i, s:I, s:I, s:f, s:f, s:f, s:I, s:I, s:i, s:o, s:f, "
		     "s:f, s:f, s:I}",
		     "log_n", mf->params.log_n, "levels", mf->params.levels, "log_qp", r.log_qp,
		     "log_qp_limit", r.log_qp_limit, "keys", (int)mf->keys, "evaluation_keys_bytes",
		     (json_int_t)r.key_bytes, "query_bytes", (json_int_t)r.query_bytes,
		     "estimated_ms", 1e3 * r.seconds, "estimated_ms_2_threads",
		     1e3 * hel_cost_seconds_on(&r.machine, r.shape.cost, 2), "predicted_bits",
		     mf->bits, "manifest_bytes", (json_int_t)manifest.size, "program_bytes",
		     (json_int_t)program.size, "batch", (int)batch, "layers", layer_times(p, &r),
		     "bits_model", mf->bits_model, "spread", mf->spread, "unit", mf->unit,
		     "memory_bytes", (json_int_t)r.memory_bytes));
done:
	hel_writer_clear(&manifest);
	hel_writer_clear(&program);
	hel_compile_report_clear(&r);
	typical_clear(&t);
	hel_program_free(p);
	hel_dlrm_free(m);
	return st;
}

const hel_command hel_command_compile = {
    .name = "compile",
    .summary = "Compile a model into a public manifest and a server program",
    .option =
	{{"model", "DIR", "a trained model", true, false},
	 {"out", "DIR", "where manifest.helm and program.helm go", true, false},
	 {"name", "TEXT", "the model's name (default: the directory's)", false, false},
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
	 HEL_CALIBRATION_OPTION},
    .run = run_compile,
};
