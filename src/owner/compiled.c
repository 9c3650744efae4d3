/* A model compiled: its two files, what is said of them, and the model that they compute. */
#include "compile/joint.h"
#include "compile/machine_speed.h"
#include "compile/placement.h"
#include "compile/private_side.h"
#include "features/coding.h"
#include "model/model_file.h"
#include "owner_inside.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_MAX_BYTES 4096

void hel_compiled_free(hel_compiled *c)
{
	if (!c)
		return;
	hel_writer_clear(&c->manifest);
	hel_writer_clear(&c->program);
	free(c->report);
	hel_dlrm_free(c->fitted);
	hel_free(c->directory);
	hel_free(c);
}

const void *hel_compiled_manifest(const hel_compiled *c, size_t *size)
{
	*size = c->manifest.size;
	return c->manifest.bytes;
}

const void *hel_compiled_program(const hel_compiled *c, size_t *size)
{
	*size = c->program.size;
	return c->program.bytes;
}

const char *hel_compiled_report(const hel_compiled *c)
{
	return c->report;
}

/* --- compiling ------------------------------------------------------------------------------ */

/* c->fitted is left with the polynomials. */
static hel_status compile_replaced(hel_program **p, hel_compile_report *report, hel_fidelity *f,
				   hel_compiled *c, const hel_recommender *r, hel_compile_wishes *w)
{
	hel_status st = HEL_OK;
	if (r->m->approximation)
		FAIL(HEL_EINVAL, "this model's activations are polynomials already");
	TRY(hel_dlrm_copy(&c->fitted, r->m));
	TRY((w->fit.degree ? hel_compile_approximated
			   : hel_compile_placed)(p, report, f, &w->fit, c->fitted, &w->options));
done:
	return st;
}

/* Codings are of what a client sends: the private side's tables, in their order. */
static hel_status keep_private_codings(hel_compile_wishes *w, const hel_schema *s)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->table_count; i++)
		if (!w->public_table[i])
			w->coding[kept++] = w->coding[i];
		else if (w->codes_named[i])
			return hel_fail(
			    HEL_EINVAL,
			    "lookup %s=%s: the column is public, items are looked up in "
			    "the clear",
			    s->table[i].name,
			    w->coding[i] == HEL_CODINGS ? "auto" : hel_coding_name(w->coding[i]));
	return HEL_OK;
}

/* What items take, into the plan: inspect plan says it. */
static hel_status note_items(hel_program *p, const hel_compile_wishes *w)
{
	hel_status st = HEL_OK;
	char *text = NULL;
	json_t *plan = json_loads(p->plan, 0, NULL);
	json_object_set_new(plan, "items",
			    json_pack("{s:s, s:i, s:f}", "form",
				      p->manifest->items.batched ? "batched" : "matrix", "at_once",
				      1 << p->manifest->log_batch, "ms_per_1000", w->item_ms));
	TRY_ALLOC(text, json_dumps(plan, JSON_COMPACT | JSON_REAL_PRECISION(9)));
	hel_free(p->plan);
	TRY_ALLOC(p->plan, hel_strdup(text));
done:
	free(text);
	json_decref(plan);
	return st;
}

/* Where items are no matrix: many at once. */
static hel_status compile_joint(hel_program **p, hel_compile_report *report,
				const hel_recommender *r, hel_compile_wishes *w)
{
	hel_status st = HEL_OK;
	if (!w->options.log_batch)
		w->options.log_batch = HEL_ANY_BATCH;
	TRY(hel_compile_joint(p, report, &w->width, r->m, w->public_dense, w->public_table,
			      &w->options));
	w->item_ms = 1e6 * report->seconds / (1 << (*p)->manifest->log_batch);
	TRY(note_items(*p, w));
done:
	return st;
}

/* The private side of a model whose public columns describe items. */
static hel_status compile_side(hel_program **p, hel_compile_report *report,
			       const hel_recommender *r, hel_compile_wishes *w)
{
	hel_status st = HEL_OK;
	hel_sides sides = {0};
	if (w->replaces)
		FAIL(HEL_EINVAL,
		     "public columns go without activation: compile with that alone "
		     "(--public none), then the model that it writes with public columns");
	TRY(keep_private_codings(w, r->m->schema));
	st = w->options.log_batch ? HEL_EUNSUPPORTED /* so many items at once are asked for */
				  : hel_sides_new(&sides, r->m, w->public_dense, w->public_table);
	if (st == HEL_EUNSUPPORTED)
		return compile_joint(p, report, r, w);
	TRY(st);
	TRY(hel_compile_items(p, report, r->m, &sides, &w->options));
	const hel_manifest *m = (*p)->manifest;
	w->width = sides.rows;
	w->item_ms = 1e3 * hel_items_seconds(&m->params, m->items.log_width, &report->machine);
	TRY(note_items(*p, w));
done:
	hel_sides_clear(&sides);
	return st;
}

/* Without a calibration: what is shown is of this machine, what was chosen of the built-in one, so
 * that it is the same everywhere. */
static hel_status price_here(hel_compile_report *report, hel_compile_wishes *w)
{
	if (*w->calibrated.path || w->calibrated.built_in)
		return HEL_OK;
	const hel_status st = hel_machine_speed(&w->slower);
	if (st == HEL_OK) {
		hel_cost_model_scale(&report->machine, w->slower);
		report->seconds *= w->slower;
		w->item_ms *= w->slower;
	}
	return st;
}

static hel_status make_files(hel_compiled *c, hel_program *p)
{
	hel_status st = HEL_OK;
	TRY(hel_program_write(&c->program, p)); /* sets the manifest's id */
	TRY(hel_manifest_write(&c->manifest, p->manifest));
done:
	return st;
}

hel_status hel_recommender_compile(hel_compiled **out, const hel_recommender *r,
				   const char *const *option, size_t options,
				   const hel_records *records, hel_pool *pool,
				   const hel_watch *watch)
{
	hel_status st = HEL_OK;
	hel_compile_wishes *w = NULL;
	hel_compile_report report = {0};
	hel_fidelity f;
	hel_samples samples = {0};
	hel_program *p = NULL;
	hel_compiled *c = NULL;
	hel_watching watching;
	hel_progress progress;
	hel_watching_begin(&watching, watch);
	TRY_ALLOC(w, hel_alloc(1, sizeof *w));
	TRY_ALLOC(c, hel_alloc(1, sizeof *c));
	TRY(hel_compile_wishes_read(w, r, option, options));
	if (r->directory)
		TRY_ALLOC(c->directory, hel_strdup(r->directory));
	if (records)
		TRY(hel_owner_samples(&samples, r->m, records, false, HEL_UNKNOWN_IS_MISSING));
	w->options.records = &samples;
	w->options.pool = pool;
	w->options.progress = &progress;
	hel_progress_begin(&progress, "compiling");
	hel_progress_follow(&progress, &watching);
	st = w->shares	   ? compile_side(&p, &report, r, w)
	     : w->replaces ? compile_replaced(&p, &report, &f, c, r, w)
			   : hel_compile(&p, &report, r->m, &w->options);
	hel_progress_end(&progress);
	TRY(st);
	TRY(make_files(c, p));
	TRY(price_here(&report, w));
	TRY(hel_compile_report_json(&c->report, p, &report, w, w->replaces ? &f : NULL, c,
				    samples.count));
	*out = c;
	c = NULL;
done:
	hel_compiled_free(c);
	hel_compile_report_clear(&report);
	hel_samples_clear(&samples);
	hel_program_free(p);
	hel_free(w);
	return st;
}

hel_status hel_compiled_model(hel_recommender **out, const hel_compiled *c)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	if (!c->fitted)
		FAIL(HEL_EINVAL, "no activation was replaced: the program computes the model that "
				 "it was compiled from");
	TRY(hel_dlrm_copy(&m, c->fitted));
	TRY(hel_recommender_of(out, m));
done:
	return st;
}

/* --- the directory -------------------------------------------------------------------------- */

static hel_status path_of(char out[PATH_MAX_BYTES], const char *directory, const char *name)
{
	const int length = snprintf(out, PATH_MAX_BYTES, "%s/%s", directory, name);
	return length > 0 && length < PATH_MAX_BYTES
		   ? HEL_OK
		   : hel_fail(HEL_EINVAL, "%.40s.../%s: a path has at most %d bytes", directory,
			      name, PATH_MAX_BYTES - 1);
}

hel_status hel_owner_check_place(const char *directory, const char *opened)
{
	hel_status st = HEL_OK;
	char given[PATH_MAX_BYTES], path[PATH_MAX_BYTES];
	struct stat a, b;
	if (!opened)
		goto done;
	TRY(path_of(given, opened, "model.json"));
	TRY(path_of(path, directory, "model/model.json"));
	if (stat(given, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino)
		FAIL(HEL_EINVAL,
		     "%.200s/model: the model with polynomials would replace the one that is "
		     "compiled; choose another directory",
		     directory);
done:
	return st;
}

/* What an earlier compile left there belongs to a program that is no more. */
static void remove_fitted(const char *directory, const char *opened)
{
	char path[PATH_MAX_BYTES];
	if (hel_owner_check_place(directory, opened) == HEL_OK &&
	    path_of(path, directory, "model") == HEL_OK && hel_dlrm_is_fitted(path))
		hel_dlrm_remove(path);
}

static hel_status write_file(const char *directory, const char *name, const hel_writer *w)
{
	char path[PATH_MAX_BYTES];
	const hel_status st = path_of(path, directory, name);
	return st == HEL_OK ? hel_file_write(path, w->bytes, w->size, 0644) : st;
}

hel_status hel_compiled_save(const hel_compiled *c, const char *directory)
{
	hel_status st = HEL_OK;
	char path[PATH_MAX_BYTES];
	if (c->fitted)
		TRY(hel_owner_check_place(directory, c->directory));
	TRY(hel_dir_make(directory));
	if (c->fitted) {
		TRY(path_of(path, directory, "model"));
		TRY(hel_dlrm_save(c->fitted, path));
	}
	TRY(write_file(directory, "program.helm", &c->program));
	TRY(write_file(directory, "manifest.helm", &c->manifest));
	if (!c->fitted)
		remove_fitted(directory, c->directory);
done:
	return st;
}
