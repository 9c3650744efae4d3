/* import: a model trained elsewhere becomes a helrm model. */
#include "base/mapping.h"
#include "cli/cli.h"
#include "data.h"
#include "import/import.h"
#include "model/model_file.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void tell(const hel_args *args, json_t *out, const hel_dlrm *m, const hel_import_report *r)
{
	json_t *notes = json_array();
	for (size_t i = 0; i < r->lines; i++) {
		hel_say(args, "%s\n", r->line[i]);
		json_array_append_new(notes, json_string(r->line[i]));
	}
	if (r->no_missing_row)
		hel_say(
		    args,
		    "%zu tables have no row for missing or unknown values: they count as zero\n",
		    r->no_missing_row);
	if (r->collisions)
		hel_say(args, "%zu values share a fingerprint with another one and its row\n",
			r->collisions);
	hel_say(args, "%zu tables, %zu parameters, written to %s\n", m->schema->table_count,
		m->parameters, hel_arg(args, "out"));
	json_object_set_new(out, "notes", notes);
	json_object_set_new(out, "parameters", json_integer((json_int_t)m->parameters));
	json_object_set_new(out, "tables", json_integer((json_int_t)m->schema->table_count));
	json_object_set_new(out, "collisions", json_integer((json_int_t)r->collisions));
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

static hel_status run_import(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	weights w = {0};
	uint8_t *schema = NULL, *text = NULL;
	size_t schema_size, size;
	hel_import_report report;
	hel_import_config config = hel_import_config_default();
	hel_dlrm *m = NULL;
	const hel_dataset *set = NULL;
	const char *option = hel_arg(args, "safetensors") ? "safetensors" : "weights";
	if (!hel_arg(args, option))
		FAIL(HEL_EINVAL, "--weights FILE is missing");
	TRY(weights_open(&w, hel_arg(args, option)));
	TRY(hel_arg_file(&schema, &schema_size, args, "schema"));
	const char *said = hel_arg(args, "config");
	if (said && *said == '{') {
		TRY(hel_import_config_read(&config, said, strlen(said)));
	} else if (said) {
		TRY(hel_arg_file(&text, &size, args, "config"));
		TRY(hel_import_config_read(&config, (const char *)text, size));
	}
	if (hel_arg(args, "dataset"))
		TRY(hel_cli_dataset(&set, args, ""));
	TRY(hel_import(&m, &report, &config, set, (hel_text){(const char *)schema, schema_size},
		       w.bytes, w.size));
	if (w.mapping && hel_mapping_damaged(w.mapping))
		FAIL(HEL_EIO, "%s was cut off, or cannot be read", hel_arg(args, option));
	TRY(hel_dlrm_save(m, hel_arg(args, "out")));
	tell(args, out, m, &report);
done:
	weights_close(&w);
	hel_dataset_drop(set);
	hel_free(schema);
	hel_free(text);
	hel_import_config_clear(&config);
	hel_dlrm_free(m);
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
