#include "cli/calibration_option.h"
#include "compile/compile.h"
#include "features/coding.h"
#include "model/accuracy.h"
#include "model/approximation.h"
#include "model/model_file.h"
#include "model/network.h"
#include <math.h>
#include <string.h>

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
static hel_status parse_activation(unsigned *degree, hel_approximation_kind *kind, const char *text,
				   const hel_dlrm *m)
{
	const char *name = hel_activation_name(m->config.activation.kind);
	const char *rest = text + strlen(name);
	char after;
	if (strncmp(text, name, strlen(name)) != 0 || *rest != '=')
		return hel_fail(
		    HEL_EINVAL,
		    "--activation %s: the model's activation is %s, so expected %s=poly:N", text,
		    name, name);
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

static hel_status metrics_of(hel_metrics *out, double *logits, const hel_dlrm *m,
			     const hel_samples *s)
{
	hel_status st = HEL_OK;
	for (size_t i = 0; i < s->count; i++)
		TRY(hel_dlrm_logit(&logits[i], m, s->value + i * s->dense, s->hot + i * s->hots));
	TRY(hel_metrics_of(out, logits, s->label, s->count));
done:
	return st;
}

/* The records of --data, and what the model makes of them with its own activations. */
typedef struct fit_data {
	hel_records records;
	hel_samples samples;
	hel_metrics exact;
	double *logits; /* exact ones, and room for others */
	unsigned degree;
	hel_approximation_kind kind;
} fit_data;

static void fit_data_clear(fit_data *c)
{
	hel_free(c->logits);
	hel_samples_clear(&c->samples);
	hel_records_clear(&c->records);
}

static hel_status fit_data_new(fit_data *c, const hel_args *args, const hel_dlrm *m)
{
	hel_status st = HEL_OK;
	size_t paths;
	const char *const *path = hel_arg_all(args, "data", &paths);
	const hel_dataset *set = hel_dataset_by_name(m->schema->dataset);
	if (!paths)
		goto done;
	if (!set) {
		st = HEL_EFORMAT;
		goto done;
	}
	TRY(hel_records_read(&c->records, set, path, paths));
	TRY(hel_samples_new(&c->samples, m->schema, &c->records, NULL, c->records.count,
			    HEL_UNKNOWN_IS_MISSING));
done:
	return st;
}

/* What the polynomials cost on the data; the model with them, written beside the program. */
static hel_status report_fit(const hel_args *args, json_t *out, fit_data *c, const hel_dlrm *m,
			     double margin)
{
	hel_status st = HEL_OK;
	hel_metrics fitted;
	double worst = 0, *logits = c->logits + c->samples.count;
	size_t differ = 0;
	char path[HEL_PATH_MAX];
	TRY(metrics_of(&fitted, logits, m, &c->samples));
	for (size_t i = 0; i < c->samples.count; i++) {
		worst = fmax(worst, fabs(c->logits[i] - logits[i]));
		differ += (c->logits[i] > 0) != (logits[i] > 0);
	}
	TRY(hel_path(path, hel_arg(args, "out"), "model"));
	TRY(hel_dir_make(hel_arg(args, "out")));
	TRY(hel_dlrm_save(m, path));
	const char *name = hel_activation_name(m->config.activation.kind);
	hel_say(args,
		"%s by polynomials of degree %u over %.2f times the values seen in %zu records:\n"
		"  AUC %.4f -> %.4f, accuracy %.4f -> %.4f, log loss %.4f -> %.4f\n"
		"  largest change of a logit %.3g, %zu decisions differ\n"
		"written: %s (the model as it is evaluated: for verify, eval, predict)\n",
		name, c->degree, margin, c->samples.count, c->exact.auc, fitted.auc,
		c->exact.accuracy, fitted.accuracy, c->exact.log_loss, fitted.log_loss, worst,
		differ, path);
	json_object_set_new(out, "activation",
			    json_pack("{s:s, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:I}", "kind", name,
				      "degree", (int)c->degree, "margin", margin, "auc",
				      c->exact.auc, "auc_polynomial", fitted.auc, "accuracy",
				      c->exact.accuracy, "accuracy_polynomial", fitted.accuracy,
				      "largest_change", worst, "decisions_differ",
				      (json_int_t)differ));
done:
	return st;
}

/* Compiles with polynomials for activations. A polynomial grows fast beyond its range; where the
 * largest values any record could cause would outgrow the modulus, the range is widened; if that
 * does not help, bounds are measured. */
static hel_status compile_approximated(hel_program **p, hel_compile_report *r, const hel_args *args,
				       json_t *out, hel_dlrm *m, fit_data *c,
				       hel_compile_options *options)
{
	hel_status st = HEL_OK;
	static const double first = 1.25, last = 30;
	double margin = first;
	TRY(parse_activation(&c->degree, &c->kind, hel_arg(args, "activation"), m));
	if (m->approximation)
		FAIL(HEL_EINVAL, "this model's activations are polynomials already");
	if (!c->samples.count)
		FAIL(HEL_EINVAL, "--activation needs --data FILE: labelled records to learn the "
				 "activations' ranges from");
	TRY_ALLOC(c->logits, hel_alloc(2 * c->samples.count, sizeof *c->logits));
	TRY(metrics_of(&c->exact, c->logits, m, &c->samples));
	options->proved_only = true;
	for (;; margin *= 1.5) {
		TRY(hel_dlrm_approximate(m, &c->samples, c->degree, c->kind, margin));
		st = hel_compile(p, r, m, options);
		if (st != HEL_ERANGE || !options->proved_only)
			break;
		if (margin > last) {
			options->proved_only = false;
			margin = first / 1.5;
		}
	}
	TRY(st);
	TRY(report_fit(args, out, c, m, margin));
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
	if (r->squares)
		hel_say(args, "the graph is one quadratic form: compiled as %zu squares\n",
			r->squares);
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
	json_object_update_new(out, json_pack("{s:s, s:f, s:f, s:s, s:I}", "bounds",
					      m->measured ? "measured" : "proved", "bound",
					      m->bound, "head_room_bits", r->shape.head_room,
					      "records", given ? "data" : "random", "squares",
					      (json_int_t)r->squares));
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

static hel_status run_compile(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	hel_program *p = NULL;
	hel_compile_report r = {0};
	fit_data c = {0};
	hel_writer manifest = {0}, program = {0};
	uint64_t max_log_n, batch, bits, most[3];
	hel_goal goal;
	hel_coding coding[HEL_MAX_TABLES];
	hel_calibration machine;
	hel_progress progress;
	const char *dir = hel_arg(args, "out");
	TRY(hel_arg_number(&max_log_n, args, "max-log-n", 12, 17, 17));
	TRY(hel_arg_number(&bits, args, "bits", 1, 60, 0));
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
				       .bits = (double)bits,
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
	TRY(fit_data_new(&c, args, m));
	options.records = &c.samples;
	st = hel_arg(args, "activation") ? compile_approximated(&p, &r, args, out, m, &c, &options)
					 : hel_compile(&p, &r, m, &options);
	hel_progress_end(&progress);
	TRY(st);
	TRY(hel_program_write(&program, p)); /* sets the manifest's id */
	TRY(hel_manifest_write(&manifest, p->manifest));
	TRY(hel_dir_make(dir));
	TRY(write_container(dir, "program.helm", &program));
	TRY(write_container(dir, "manifest.helm", &manifest));
	const hel_manifest *mf = p->manifest;
	hel_say(args,
		"ring N = 2^%u, %u levels, log2(QP) = %.1f of at most %.0f (128-bit security)\n",
		mf->params.log_n, mf->params.levels, r.log_qp, r.log_qp_limit);
	for (uint32_t i = 0; i < p->layers; i++)
		hel_say(args, "  %s\n", p->layer[i]);
	hel_say(args,
		"%u evaluation keys, %.1f MB; query %.0f kB; about %.1f ms per %s on one "
		"thread; %.1f bits\n",
		mf->keys, (double)r.key_bytes / 1e6, (double)r.query_bytes / 1e3, 1e3 * r.seconds,
		batch > 1 ? "query" : "prediction", mf->bits);
	if (batch > 1)
		hel_say(args, "up to %u records in one query: about %.2f ms each\n",
			(unsigned)batch, 1e3 * r.seconds / (double)batch);
	report_bounds(args, out, mf, &r, c.samples.count);
	hel_say(args,
		"written: %s/manifest.helm (public, %.1f kB), %s/program.helm (server, %.1f kB)\n",
		dir, (double)manifest.size / 1e3, dir, (double)program.size / 1e3);
	json_object_update_new(
	    out, json_pack(
		     "{s:i, s:i, s:f, s:f, s:i, s:I, s:I, s:f, s:f, s:f, s:I, s:I, s:i, s:o}",
		     "log_n", mf->params.log_n, "levels", mf->params.levels, "log_qp", r.log_qp,
		     "log_qp_limit", r.log_qp_limit, "keys", (int)mf->keys, "evaluation_keys_bytes",
		     (json_int_t)r.key_bytes, "query_bytes", (json_int_t)r.query_bytes,
		     "estimated_ms", 1e3 * r.seconds, "estimated_ms_2_threads",
		     1e3 * hel_cost_seconds_on(&r.machine, r.shape.cost, 2), "predicted_bits",
		     mf->bits, "manifest_bytes", (json_int_t)manifest.size, "program_bytes",
		     (json_int_t)program.size, "batch", (int)batch, "layers", layer_times(p, &r)));
done:
	hel_writer_clear(&manifest);
	hel_writer_clear(&program);
	hel_compile_report_clear(&r);
	fit_data_clear(&c);
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
	 {"activation", "KIND=poly:N",
	  "evaluate relu, silu, sigmoid or gelu by a polynomial of degree N (2 to 63), fitted by "
	  "least squares (chebyshev:N: by interpolation) to what --data feeds it",
	  false, false},
	 {"data", "FILE",
	  "typical records, a few hundred or more: precision is predicted for them, bounds that "
	  "cannot be proved are measured on them; labelled ones for --activation",
	  false, true},
	 {"optimize", "GOAL", "latency (default), keys, query or throughput", false, false},
	 {"max-keys", "MB", "largest evaluation keys, uploaded once", false, false},
	 {"max-query", "KB", "largest query", false, false},
	 {"max-memory", "MB", "most memory for weights and one run", false, false},
	 {"bits", "N", "precision of the score that is wanted (default 12.5)", false, false},
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
