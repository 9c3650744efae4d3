/* tune: what do architecture, width, members and compression cost, and what do they buy? */
#include "cli/calibration_option.h"
#include "tune.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static hel_status write_files(const hel_tuning *t, const json_t *out, const hel_candidate *chosen)
{
	hel_status st = HEL_OK;
	char path[HEL_PATH_MAX], *text = NULL, *svg = NULL, *config = NULL;
	const char *dir = hel_arg(t->args, "out");
	TRY(hel_tune_svg(&svg, t, chosen));
	TRY(hel_path(path, dir, "tune.svg"));
	TRY(hel_file_write(path, svg, strlen(svg), 0644));
	TRY_ALLOC(text, json_dumps(out, JSON_INDENT(1) | JSON_REAL_PRECISION(6)));
	TRY(hel_path(path, dir, "tune.json"));
	TRY(hel_file_write(path, text, strlen(text), 0644));
	if (chosen) {
		TRY(hel_dlrm_config_to_json(&config, &chosen->config));
		TRY(hel_path(path, dir, "config.json"));
		TRY(hel_file_write(path, config, strlen(config), 0644));
	}
done:
	free(text);
	hel_free(svg);
	hel_free(config);
	return st;
}

static hel_status read_within(double *out, const hel_args *args)
{
	const char *text = hel_arg(args, "within");
	char *end = NULL;
	*out = text ? strtod(text, &end) : -1;
	if (text && (end == text || *end || !(*out >= 0 && *out < 1)))
		return hel_fail(HEL_EINVAL, "--within is '%s', expected a number from 0 to 1",
				text);
	return HEL_OK;
}

static void say_choice(const hel_tuning *t, const hel_candidate *chosen)
{
	const hel_candidate *best = chosen;
	for (const hel_candidate *c = t->candidate; c < t->candidate + t->count; c++)
		if (c->compiled && c->auc > best->auc)
			best = c;
	if (!chosen)
		hel_say(t->args, "no candidate can be evaluated encrypted\n");
	else if (t->within >= 0)
		hel_say(t->args, "recommended: %s: the quickest within %.4f AUC of the best (%s)\n",
			chosen->name, t->within, best->name);
	else
		hel_say(t->args,
			"recommended: %s: the knee of the front, after which time buys less or "
			"nothing that is sure (--within AUC: the quickest so near to the best)\n",
			chosen->name);
	hel_say(t->args, "written: %s/%stune.json, tune.svg\n", hel_arg(t->args, "out"),
		chosen ? "config.json, " : "");
}

static hel_status report(const hel_tuning *t, json_t *out)
{
	hel_status st = HEL_OK;
	const hel_candidate *chosen = hel_tune_choose(t);
	hel_tune_table(t, chosen);
	json_object_set_new(out, "candidates", hel_tune_json(t, chosen));
	json_object_set_new(out, "dropped", hel_tune_dropped(t));
	json_object_set_new(out, "held_out_rows", json_integer((json_int_t)t->held_out));
	json_object_set_new(out, "rows_used", json_integer((json_int_t)t->rows));
	json_object_set_new(out, "seeds", json_integer((json_int_t)t->seeds));
	json_object_set_new(out, "rule", json_string(t->within < 0 ? "knee" : "within"));
	if (t->within >= 0)
		json_object_set_new(out, "within", json_real(t->within));
	TRY(write_files(t, out, chosen));
	say_choice(t, chosen);
done:
	return st;
}

static hel_status open_tuning(hel_tuning *t, hel_calibration *machine, json_t *out)
{
	hel_status st = HEL_OK;
	const hel_args *args = t->args;
	TRY(hel_cli_dataset(&t->set, args, "criteo"));
	if (t->set->small)
		FAIL(HEL_EUNSUPPORTED,
		     "tune is for data sets read as a stream; compare networks for "
		     "'%s' with 'train --cv'",
		     t->set->name);
	TRY(hel_cli_calibration(machine, args, out));
	t->machine = machine->model;
	TRY(hel_arg_number(&t->seeds, args, "seeds", 1, HEL_TUNE_SEEDS, 4));
	TRY(hel_arg_number(&t->rows, args, "rows", 1000, UINT64_MAX, 1000000));
	TRY(read_within(&t->within, args));
	TRY(hel_cli_config(&t->base, args, t->set));
	t->split = hel_dlrm_split(&t->base);
	if (!t->split.test)
		FAIL(HEL_EINVAL, "tune judges on held-out rows: training.test must not be 0");
	TRY(hel_tune_candidates(t));
done:
	return st;
}

static hel_status run_tune(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_tuning t = {.args = args};
	hel_calibration machine;
	char path[HEL_PATH_MAX];
	TRY(open_tuning(&t, &machine, out));
	TRY(hel_dir_make(hel_arg(args, "out")));
	TRY(hel_path(path, hel_arg(args, "out"), "rows.cache"));
	TRY(hel_cli_cache(&t.cache, args, out, t.set,
			  hel_arg(args, "cache") ? hel_arg(args, "cache") : path));
	hel_cache_limit(t.cache, t.rows);
	t.rows = hel_cache_rows(t.cache);
	TRY(hel_tune_search(&t));
	TRY(report(&t, out));
	if (!hel_arg(args, "cache"))
		remove(path);
done:
	hel_tune_clear(&t);
	hel_cache_free(t.cache);
	hel_dataset_drop(t.set);
	return st;
}

const hel_command hel_command_tune = {
    .name = "tune",
    .summary = "Search networks and embedding compression: AUC against encrypted cost",
    .option =
	{{"dataset", "NAME|FILE", "data set (default criteo) or columns.json", false, false},
	 {"data", "FILE", "published data files", true, true},
	 {"out", "DIR", "where config.json, tune.json and tune.svg go", true, false},
	 {"config", "FILE", "what candidates change (JSON); default: the data set's", false, false},
	 {"candidates", "FILE",
	  "networks, plans, members, references to try (JSON); default: built in", false, false},
	 {"seeds", "N", "trainings of each candidate in the last round (default 4)", false, false},
	 {"rows", "N", "of the data, from the start (default 1000000)", false, false},
	 {"within", "AUC",
	  "the quickest at most so far from the best; default: the knee of the front", false,
	  false},
	 {"no-rates", NULL, "no tables by click rate: nothing of rates is published", false, false},
	 {"seed", "N", "of the split and the first training", false, false},
	 {"cache", "FILE", "keep the rows in binary for the next run", false, false},
	 {"max-malformed", "N", "rows that may be left out (default 0)", false, false},
	 HEL_CALIBRATION_OPTION},
    .run = run_tune,
};
