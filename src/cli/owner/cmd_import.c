/* import: a model trained in PyTorch becomes a helrm model. */
#include "cli/cli.h"
#include "model/dlrm.h"
#include "model/model_file.h"
#include "model/pytorch.h"

static hel_status run_import(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	uint8_t *weights = NULL, *schema = NULL, *text = NULL;
	size_t weights_size, schema_size, size;
	hel_import_report report;
	hel_dlrm *m = NULL;
	/* as facebookresearch/dlrm builds them */
	hel_dlrm_config config = hel_dlrm_config_default();
	config.activation = (hel_activation){HEL_ACT_RELU, 0, 0};
	config.bottom_last_activation = true;
	TRY(hel_arg_file(&weights, &weights_size, args, "safetensors"));
	TRY(hel_arg_file(&schema, &schema_size, args, "schema"));
	if (hel_arg(args, "config")) {
		TRY(hel_arg_file(&text, &size, args, "config"));
		TRY(hel_dlrm_config_update(&config, (const char *)text, size));
	}
	TRY(hel_dlrm_import(&m, &report, &config, (const char *)schema, schema_size, weights,
			    weights_size));
	TRY(hel_dlrm_save(m, hel_arg(args, "out")));
	const hel_activation a = m->config.activation;
	const char *assumed = hel_arg(args, "config") ? "" : " (assumed; --config says otherwise)";
	if (a.kind == HEL_ACT_QUADRATIC)
		hel_say(args, "activation: %g x^2 + %g x%s\n", a.a, a.b, assumed);
	else
		hel_say(args, "activation: %s%s\n", hel_activation_name(a.kind), assumed);
	hel_say(args, "after the last bottom layer: %s%s\n",
		m->config.bottom_last_activation ? "the activation" : "none", assumed);
	if (report.multiplied_out)
		hel_say(args,
			"layers without an activation after the one before: %zu, multiplied out\n",
			report.multiplied_out);
	if (report.no_bias)
		hel_say(args, "%zu layers have no bias: 0\n", report.no_bias);
	if (report.no_missing_row)
		hel_say(
		    args,
		    "%zu tables have no row for missing or unknown values: they count as zero\n",
		    report.no_missing_row);
	if (report.collisions)
		hel_say(args, "%zu values share a fingerprint with another one and its row\n",
			report.collisions);
	hel_say(args, "%zu layers, %zu tables, %zu parameters, written to %s\n",
		m->config.bottom_layers + m->config.top_layers, m->schema->table_count,
		m->parameters, hel_arg(args, "out"));
	json_object_set_new(out, "parameters", json_integer((json_int_t)m->parameters));
	json_object_set_new(out, "tables", json_integer((json_int_t)m->schema->table_count));
	json_object_set_new(out, "collisions", json_integer((json_int_t)report.collisions));
done:
	hel_free(weights);
	hel_free(schema);
	hel_free(text);
	hel_dlrm_free(m);
	return st;
}

const hel_command hel_command_import = {
    .name = "import",
    .summary = "Take over a model trained in PyTorch (docs/import.md)",
    .option = {{"safetensors", "FILE", "its weights, named as in facebookresearch/dlrm", true,
		false},
	       {"schema", "FILE", "columns, and the value of every table row (JSON)", true, false},
	       {"out", "DIR", "where the model goes", true, false},
	       {"config", "FILE",
		"activation and bottom_last_activation (JSON); default: relu, true", false, false}},
    .run = run_import,
};
