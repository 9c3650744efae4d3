#include "compile/compile.h"
#include "cli.h"
#include <string.h>

static hel_status write_container(const char *dir, const char *name, const hel_writer *w)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return hel_file_write(path, w->bytes, w->size, 0644);
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

static hel_status run_compile(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	hel_program *p = NULL;
	hel_compile_report r = {0};
	hel_writer manifest = {0}, program = {0};
	uint64_t max_log_n;
	const char *dir = hel_arg(args, "out");
	TRY(hel_arg_number(&max_log_n, args, "max-log-n", 12, 17, 17));
	TRY(hel_dlrm_load(&m, hel_arg(args, "model")));
	const hel_compile_options options = {.name = hel_arg(args, "name")
							 ? hel_arg(args, "name")
							 : last_part(hel_arg(args, "model")),
					     .max_log_n = (unsigned)max_log_n,
					     .no_monomials = hel_arg(args, "no-monomials") != NULL,
					     .no_fusion = hel_arg(args, "no-fusion") != NULL};
	if (strlen(options.name) > HEL_MODEL_NAME_MAX || !hel_is_text(options.name))
		FAIL(HEL_EINVAL,
		     "the model's name must be plain text of at most %d bytes; see --name",
		     HEL_MODEL_NAME_MAX);
	TRY(hel_compile(&p, &r, m, &options));
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
	hel_say(
	    args,
	    "%u evaluation keys, %.1f MB; query %.0f kB; about %.1f ms per prediction; %.1f bits\n",
	    mf->keys, (double)r.key_bytes / 1e6, (double)r.query_bytes / 1e3, 1e3 * r.seconds,
	    mf->bits);
	hel_say(args,
		"written: %s/manifest.helm (public, %.1f kB), %s/program.helm (server, %.1f kB)\n",
		dir, (double)manifest.size / 1e3, dir, (double)program.size / 1e3);
	json_object_update_new(
	    out, json_pack("{s:i, s:i, s:f, s:f, s:i, s:I, s:I, s:f, s:f, s:I, s:I}", "log_n",
			   mf->params.log_n, "levels", mf->params.levels, "log_qp", r.log_qp,
			   "log_qp_limit", r.log_qp_limit, "keys", (int)mf->keys,
			   "evaluation_keys_bytes", (json_int_t)r.key_bytes, "query_bytes",
			   (json_int_t)r.query_bytes, "estimated_ms", 1e3 * r.seconds,
			   "predicted_bits", mf->bits, "manifest_bytes", (json_int_t)manifest.size,
			   "program_bytes", (json_int_t)program.size));
done:
	hel_writer_clear(&manifest);
	hel_writer_clear(&program);
	hel_compile_report_clear(&r);
	hel_program_free(p);
	hel_dlrm_free(m);
	return st;
}

const hel_command hel_command_compile = {
    .name = "compile",
    .summary = "Compile a model into a public manifest and a server program",
    .option = {{"model", "DIR", "a trained model", true, false},
	       {"out", "DIR", "where manifest.helm and program.helm go", true, false},
	       {"name", "TEXT", "the model's name (default: the directory's)", false, false},
	       {"max-log-n", "N", "largest ring degree allowed, as log2 (12 to 17)", false, false},
	       {"no-monomials", NULL, "do not ask the client for products of features", false,
		false},
	       {"no-fusion", NULL, "keep embeddings and first top layer apart", false, false}},
    .run = run_compile,
};
