/* import: a model trained elsewhere becomes a helrm model. */
#include "cli/cli.h"
#include "import/import.h"
#include "model/model_file.h"

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

static hel_status run_import(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	uint8_t *weights = NULL, *schema = NULL, *text = NULL;
	size_t weights_size, schema_size, size;
	hel_import_report report;
	hel_import_config config = hel_import_config_default();
	hel_dlrm *m = NULL;
	const char *option = hel_arg(args, "safetensors") ? "safetensors" : "weights";
	if (!hel_arg(args, option))
		FAIL(HEL_EINVAL, "--weights FILE is missing");
	TRY(hel_arg_file(&weights, &weights_size, args, option));
	TRY(hel_arg_file(&schema, &schema_size, args, "schema"));
	if (hel_arg(args, "config")) {
		TRY(hel_arg_file(&text, &size, args, "config"));
		TRY(hel_import_config_read(&config, (const char *)text, size));
	}
	TRY(hel_import(&m, &report, &config, (hel_text){(const char *)schema, schema_size}, weights,
		       weights_size));
	TRY(hel_dlrm_save(m, hel_arg(args, "out")));
	tell(args, out, m, &report);
done:
	hel_free(weights);
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
	       {"out", "DIR", "where the model goes", true, false},
	       {"config", "FILE", "what names and shapes do not tell (JSON): activation, ...",
		false, false}},
    .run = run_import,
};
