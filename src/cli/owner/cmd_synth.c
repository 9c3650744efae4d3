/* synth: rows that look like the published ones. */
#include "data.h"
#include <string.h>

static ssize_t write_to_stream(void *stream, const char *bytes, size_t size)
{
	return hel_stream_write(stream, bytes, size) == HEL_OK ? (ssize_t)size : 0;
}

static hel_status run_synth(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	const hel_dataset *set = NULL;
	uint64_t rows, seed;
	uint8_t bytes[HEL_SEED_BYTES] = {0};
	hel_prng g;
	hel_stream *stream = NULL;
	FILE *f = NULL;
	TRY(hel_cli_dataset(&set, args, "heart"));
	if (!set->synthesise)
		FAIL(HEL_EUNSUPPORTED, "only built-in data sets have look-alikes: %s",
		     hel_dataset_names());
	TRY(hel_arg_number(&rows, args, "rows", 1, 10000000000, 303));
	TRY(hel_arg_number(&seed, args, "seed", 0, UINT64_MAX, 1));
	memcpy(bytes, &seed, sizeof seed);
	hel_prng_init(&g, bytes, 3);
	TRY(hel_stream_new(&stream, hel_arg(args, "out"), 0644));
	const cookie_io_functions_t io = {.write = write_to_stream};
	TRY_ALLOC(f, fopencookie(stream, "w", io));
	set->synthesise(f, rows, &g);
	const bool failed = ferror(f) | fclose(f);
	f = NULL;
	if (failed)
		FAIL(HEL_EIO, "cannot write %s: is the disk full?", hel_arg(args, "out"));
	TRY(hel_stream_finish(stream, NULL, 0));
	hel_say(args, "%zu synthetic %s rows written to %s\n", (size_t)rows, set->name,
		hel_arg(args, "out"));
	json_object_set_new(out, "rows", json_integer((json_int_t)rows));
done:
	if (f)
		fclose(f);
	hel_stream_free(stream);
	hel_dataset_drop(set);
	return st;
}

const hel_command hel_command_synth = {
    .name = "synth",
    .summary = "Write a synthetic data file that looks like the published ones",
    .option = {HEL_DATASET_OPTION,
	       {"out", "FILE", "where it goes", true, false},
	       {"rows", "N", "how many (default 303)", false, false},
	       {"seed", "N", "same seed, same file (default 1)", false, false}},
    .run = run_synth,
};
