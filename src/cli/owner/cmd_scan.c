/* scan: files once, as a stream: what their columns are, or their rows in binary. */
#include "data.h"
#include "features/propose.h"
#include <math.h>
#include <string.h>

static const char *kind_of(const hel_column *c)
{
	static const char *const names[] = {"dense", "category", "label", "ignore"};
	return c->bag.limit ? "bag" : names[c->kind];
}

static void report_column(const hel_args *args, json_t *list, const hel_column *c,
			  const hel_column_report *r)
{
	const double missing = (double)r->missing / (double)HEL_MAX(r->rows, 1u);
	char what[160] = "";
	if (c->kind == HEL_CATEGORICAL)
		snprintf(what, sizeof what, "%s, ", hel_values_name(c->values));
	if (c->kind == HEL_DENSE && c->log)
		snprintf(what, sizeof what, "logarithm, ");
	strncat(what, r->why, sizeof what - strlen(what) - 1);
	if (strlen(what) > 2 && strcmp(what + strlen(what) - 2, ", ") == 0)
		what[strlen(what) - 2] = 0;
	hel_say(args, "%-20s %-9s %5.1f %%  %10.0f  %s\n", c->name, kind_of(c), 100 * missing,
		r->distinct, what);
	json_t *one = json_pack("{s:s, s:s, s:I, s:f, s:f, s:s}", "name", c->name, "kind",
				kind_of(c), "rows", (json_int_t)r->rows, "missing", missing,
				"distinct", r->distinct, "what", what);
	if (r->entries)
		json_object_set_new(one, "entries", json_integer(r->entries));
	if (isfinite(r->low))
		json_object_update_new(one,
				       json_pack("{s:f, s:f}", "low", r->low, "high", r->high));
	json_array_append_new(list, one);
}

/* "ratings" of DIR/ratings.csv.gz */
static void name_of(char out[HEL_NAME_MAX], const char *path)
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	snprintf(out, HEL_NAME_MAX, "%.*s", (int)strcspn(base, "."), base);
	if (!*out || !hel_is_text(out) || strcmp(out, "-") == 0)
		snprintf(out, HEL_NAME_MAX, "data");
}

static hel_status propose(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_proposal p = {0};
	hel_progress progress;
	char name[HEL_NAME_MAX], *text = NULL;
	size_t count;
	const char *const *paths = hel_arg_all(args, "data", &count);
	json_t *list = json_array();
	json_object_set_new(out, "columns", list);
	if (hel_arg(args, "cache") || hel_arg(args, "dataset"))
		FAIL(HEL_EINVAL, "--label proposes columns; --dataset and --cache read those that "
				 "are known");
	name_of(name, paths[0]);
	hel_progress_begin(&progress, "reading");
	st = hel_propose(&p, name, hel_arg(args, "label"), paths, count, &progress);
	hel_progress_end(&progress);
	TRY(st);
	hel_say(args, "%llu rows, %llu malformed%s%s\n\n", (unsigned long long)p.rows,
		(unsigned long long)p.left_out, p.left_out ? "; the first: " : "",
		p.first_left_out);
	hel_say(args, "column               kind      missing    distinct  \n");
	for (size_t i = 0; i < p.set->columns; i++)
		report_column(args, list, &p.set->column[i], &p.column[i]);
	json_object_update_new(out, json_pack("{s:I, s:I, s:I}", "rows", (json_int_t)p.rows,
					      "malformed", (json_int_t)p.left_out, "peak_rss_bytes",
					      (json_int_t)hel_peak_rss()));
	if (hel_arg(args, "out")) {
		TRY(hel_dataset_to_json(&text, p.set));
		TRY(hel_file_write(hel_arg(args, "out"), text, strlen(text), 0644));
		hel_say(args,
			"\nwritten to %s: read it, change what is not so (docs/data.md), then\n"
			"helrm train --dataset %s --data %s --out model\n",
			hel_arg(args, "out"), hel_arg(args, "out"), paths[0]);
	}
done:
	hel_free(text);
	hel_proposal_clear(&p);
	return st;
}

static hel_status run_scan(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_cache *cache = NULL;
	const hel_dataset *set = NULL;
	if (hel_arg(args, "label")) {
		st = propose(args, out);
		goto done;
	}
	if (!hel_arg(args, "cache"))
		FAIL(HEL_EINVAL,
		     "give --label, to learn what the columns are, or --cache, for their "
		     "rows");
	TRY(hel_cli_dataset(&set, args, "criteo"));
	if (set->small)
		FAIL(HEL_EUNSUPPORTED, "scan is for data sets read as a stream; 'train' reads '%s'",
		     set->name);
	TRY(hel_cli_cache(&cache, args, out, set, hel_arg(args, "cache")));
	hel_say(args, "peak memory %.0f MB\n", (double)hel_peak_rss() / 1e6);
	json_object_set_new(out, "peak_rss_bytes", json_integer((json_int_t)hel_peak_rss()));
done:
	hel_cache_free(cache);
	hel_dataset_drop(set);
	return st;
}

const hel_command hel_command_scan = {
    .name = "scan",
    .summary = "Read files once: propose what their columns are, or keep their rows in binary",
    .option = {{"data", "FILE", "data files, plain or gz", true, true},
	       {"label", "COLUMN",
		"propose columns, this one being the label: its name, or its number where there is "
		"no header",
		false, false},
	       {"out", "FILE", "where the proposed columns.json goes", false, false},
	       {"dataset", "NAME|FILE", "data set (default criteo) or columns.json", false, false},
	       {"cache", "FILE", "where the rows go, for --cache of train, tune and eval", false,
		false},
	       {"max-malformed", "N", "rows that may be left out (default 0)", false, false}},
    .run = run_scan,
};
