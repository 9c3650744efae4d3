/* import: a model trained elsewhere becomes a helrm model. */
#include "base/mapping.h"
#include "cli/cli.h"
#include "data.h"
#include <fcntl.h>
#include <helrm/owner.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void tell(const hel_args *args, json_t *out, const char *text)
{
	size_t i;
	const json_t *line;
	json_t *r = json_loads(text, 0, NULL);
	const json_int_t no_row = json_integer_value(json_object_get(r, "no_missing_row")),
			 collisions = json_integer_value(json_object_get(r, "collisions"));
	json_array_foreach(json_object_get(r, "notes"), i, line)
	    hel_say(args, "%s\n", json_string_value(line));
	if (no_row)
		hel_say(args,
			"%lld tables have no row for missing or unknown values: they count as "
			"zero\n",
			(long long)no_row);
	if (collisions)
		hel_say(args, "%lld values share a fingerprint with another one and its row\n",
			(long long)collisions);
	hel_say(args, "%lld tables, %lld parameters, written to %s\n",
		(long long)json_integer_value(json_object_get(r, "tables")),
		(long long)json_integer_value(json_object_get(r, "parameters")),
		hel_arg(args, "out"));
	json_object_update_new(out, r);
}

/* Regular files are mapped: they may be larger than what a model keeps of them. */
typedef struct weights {
	hel_mapping *mapping;
	uint8_t *copy;
	const uint8_t *bytes;
	size_t size;
} weights;

static hel_status weights_open(weights *w, const char *path)
{
	hel_status st = HEL_OK;
	struct stat info;
	const int fd = strcmp(path, "-") == 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && !fstat(fd, &info) && S_ISREG(info.st_mode) && info.st_size > 0) {
		w->size = (size_t)info.st_size;
		TRY(hel_mapping_open(&w->mapping, fd, w->size));
		w->bytes = hel_mapping_bytes(w->mapping);
	} else {
		TRY(hel_input_read(path, HEL_FILE_MAX, &w->copy, &w->size));
		w->bytes = w->copy;
	}
done:
	if (fd >= 0)
		close(fd);
	return st;
}

static void weights_close(weights *w)
{
	hel_mapping_close(w->mapping);
	hel_free(w->copy);
}

/* What an option says itself where it begins with '{', or what its file says: zero-ended. */
static hel_status said_text(char **out, const hel_args *args, const char *option)
{
	const char *said = hel_arg(args, option);
	size_t size;
	if (*said != '{')
		return hel_input_read(said, HEL_SCHEMA_TEXT_MAX, (uint8_t **)out, &size);
	*out = hel_strdup(said);
	return *out ? HEL_OK : HEL_ENOMEM;
}

static hel_status run_import(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	weights w = {0};
	char *schema = NULL, *config = NULL, *columns = NULL;
	uint8_t *report = NULL;
	size_t size;
	hel_recommender *r = NULL;
	const char *option = hel_arg(args, "safetensors") ? "safetensors" : "weights",
		   *set = hel_arg(args, "dataset");
	if (!hel_arg(args, option))
		FAIL(HEL_EINVAL, "--weights FILE is missing");
	TRY(weights_open(&w, hel_arg(args, option)));
	TRY(said_text(&schema, args, "schema"));
	if (hel_arg(args, "config"))
		TRY(said_text(&config, args, "config"));
	if (set && strpbrk(set, "./"))
		TRY(said_text(&columns, args, "dataset"));
	TRY(hel_recommender_import(&r, &report, &size,
				   &(hel_import_source){.weights = w.bytes,
							.weights_size = w.size,
							.schema = schema,
							.config = config,
							.columns = columns ? columns : set}));
	if (w.mapping && hel_mapping_damaged(w.mapping))
		FAIL(HEL_EIO, "%s was cut off, or cannot be read", hel_arg(args, option));
	TRY(hel_recommender_save(r, hel_arg(args, "out")));
	tell(args, out, (const char *)report);
done:
	weights_close(&w);
	hel_bytes_free(report, 0);
	hel_free(schema);
	hel_free(config);
	hel_free(columns);
	hel_recommender_free(r);
	return st;
}

const hel_command hel_command_import = {
    .name = "import",
    .summary = "Take over a model trained in PyTorch (docs/import.md)",
    .option = {{"weights", "FILE",
		"of torch.save or safetensors, named as in a library that docs/import.md lists",
		false, false},
	       {"safetensors", "FILE", "the same", false, false},
	       {"schema", "FILE", "columns, and the value of every table row (JSON)", true, false},
	       {"dataset", "NAME|FILE", "data set, where the schema does not say it", false, false},
	       {"out", "DIR", "where the model goes", true, false},
	       {"config", "FILE|JSON",
		"what names and shapes do not tell: '{\"activation\": \"tanh\"}'", false, false}},
    .run = run_import,
};
