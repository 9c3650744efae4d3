/* scan: published files once, as a stream. */
#include "data.h"

static hel_status run_scan(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_cache *cache = NULL;
	const hel_dataset *set = NULL;
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
    .summary = "Read published files once: count rows, find malformed ones, keep them in binary",
    .option = {{"dataset", "NAME|FILE", "data set (default criteo) or columns.json", false, false},
	       {"data", "FILE", "published data files, plain or gz", true, true},
	       {"cache", "FILE", "where the rows go, for --cache of train, tune and eval", true,
		false},
	       {"max-malformed", "N", "rows that may be left out (default 0)", false, false}},
    .run = run_scan,
};
