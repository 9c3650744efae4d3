#include "ckks/ckks.h"
#include "cli/cli.h"
#include "compile/bounds.h"
#include "model/dlrm.h"
#include "model/model_file.h"
#include "prog/prog.h"
#include "vm/weights_file.h"
#include <helrm/client.h>
#include <math.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

static hel_status show_params(const hel_args *args, json_t *out, const hel_params_spec *spec,
			      hel_params **params)
{
	hel_status st = HEL_OK;
	TRY(hel_params_new(params, spec));
	const double log_qp = hel_params_log_qp(*params), limit = hel_security_limit(spec->log_n);
	if (spec->runs)
		hel_say(args, "ring N = 2^%u, %u levels, %u of them left by a refresh\n",
			spec->log_n, spec->levels, hel_refresh_levels(spec));
	else
		hel_say(args, "ring N = 2^%u, %u levels of %u prime%s, scale 2^%.2f\n", spec->log_n,
			spec->levels, spec->primes_per_level, spec->primes_per_level > 1 ? "s" : "",
			(double)spec->scale_bits);
	hel_say(args, "log2(QP) = %.1f; 128-bit security allows %.0f: margin %.1f bits\n", log_qp,
		limit, limit - log_qp);
	hel_say(args, "key switching: digits of %u primes, %u special primes\n", spec->alpha,
		spec->special);
	json_object_update_new(out,
			       json_pack("{s:i, s:i, s:f, s:f, s:i, s:i}", "log_n", spec->log_n,
					 "levels", spec->levels, "log_qp", log_qp, "log_qp_limit",
					 limit, "alpha", spec->alpha, "special", spec->special));
done:
	return st;
}

static const char *key_name(uint32_t galois)
{
	return galois == HEL_RELINEARISE   ? "relinearise"
	       : galois == HEL_ENCAPSULATE ? "encapsulate"
	       : galois == HEL_DECAPSULATE ? "decapsulate"
					   : "Galois     ";
}

static hel_status show_manifest(const hel_args *args, json_t *out, const hel_manifest *m)
{
	hel_status st = HEL_OK;
	hel_params *params = NULL;
	char id[2 * HEL_HASH_BYTES + 1], text[200];
	size_t total = 0;
	sodium_bin2hex(id, sizeof id, m->id, HEL_HASH_BYTES);
	hel_say(args, "model '%s', id %.16s...\n", m->model, id);
	json_object_set_new(out, "model", json_string(m->model));
	json_object_set_new(out, "id", json_string(id));
	TRY(show_params(args, out, &m->params, &params));
	hel_say(args, "%u features (degree %u) in %u encrypted input%s:\n", m->features, m->degree,
		m->inputs, m->inputs > 1 ? "s" : "");
	for (uint32_t i = 0; i < m->inputs; i++) {
		hel_layout_describe(text, sizeof text, &m->input[i].layout);
		const hel_input *in = &m->input[i];
		if (in->pieces)
			hel_say(args, "  level %u: %u pieces of up to %u features: %s\n", in->level,
				in->pieces, 1u << in->log_piece, text);
		else
			hel_say(args, "  level %u: features %u-%u: %s\n", in->level, in->first,
				in->first + in->layout.width - 1, text);
	}
	if (m->log_batch)
		hel_say(args, "up to %u records in one query, each in %u slots\n",
			1u << m->log_batch, 1u << hel_manifest_log_slots(m));
	json_object_set_new(out, "batch", json_integer(1 << m->log_batch));
	json_t *keys = json_array();
	json_object_set_new(out, "keys", keys);
	hel_say(args, "%u evaluation keys:\n", m->keys);
	for (uint32_t i = 0; i < m->keys; i++) {
		size_t bytes = hel_switch_key_bytes(params, &m->key[i]);
		total += bytes;
		hel_say(args, "  %s %-6u level %u  %7.1f kB\n", key_name(m->key[i].galois),
			m->key[i].galois, m->key[i].level, (double)bytes / 1e3);
		json_array_append_new(
		    keys, json_pack("{s:i, s:i, s:I}", "galois", (int)m->key[i].galois, "level",
				    (int)m->key[i].level, "bytes", (json_int_t)bytes));
	}
	hel_say(
	    args,
	    "  together %.2f MB\n|logit| stays below %.4g (%s)\nof scores that spread by %.3g %.1f "
	    "bits are right in the mean, %.1f of contributed queries; against the model as trained "
	    "%.1f, and in nearly every score %.1f\n",
	    (double)total / 1e6, m->bound,
	    m->measured ? "MEASURED on sample records, not proved: others are refused"
			: "proved for every record",
	    m->spread, m->bits, m->bits_contributed, m->bits_model, hel_manifest_least_bits(m));
	json_object_set_new(out, "evaluation_keys_bytes", json_integer((json_int_t)total));
	json_object_set_new(out, "bound", json_real(m->bound));
	json_object_set_new(out, "bounds", json_string(m->measured ? "measured" : "proved"));
	json_object_set_new(out, "predicted_bits", json_real(m->bits));
	json_object_set_new(out, "predicted_bits_contributed", json_real(m->bits_contributed));
	json_object_set_new(out, "predicted_bits_model", json_real(m->bits_model));
	json_object_set_new(out, "spread", json_real(m->spread));
	json_object_set_new(out, "unit", json_real(m->unit));
	json_object_set_new(out, "largest", json_real(m->largest));
done:
	hel_params_free(params);
	return st;
}

/* Where precision, levels and time go: the dry run, layer by layer. */
static hel_status show_budget(const hel_args *args, json_t *out, const hel_program *p)
{
	hel_status st = HEL_OK;
	hel_params *params = NULL;
	hel_shape shape = {0};
	TRY(hel_params_new(&params, &p->manifest->params));
	TRY(hel_program_shape(&shape, p, params));
	const hel_cost_model machine =
	    hel_cost_model_for(hel_cost_model_default(), hel_cost_bytes(shape.cost));
	const double all = hel_cost_seconds(&machine, shape.cost);
	json_t *budget = json_array();
	json_object_set_new(out, "budget", budget);
	hel_say(
	    args,
	    "error budget (what each layer adds to the score's error, for values as random records "
	    "cause them%s):\n  %-16s %6s  %12s  %12s  %8s  %12s  %6s\n",
	    p->manifest->measured ? " that resemble real ones, measured, too" : "", "layer",
	    "levels", "values up to", "error", "bits", "key switches", "time");
	for (uint32_t i = 0; i < p->layers; i++) {
		const hel_shape_layer *l = &shape.layer[i];
		const double share = hel_cost_seconds(&machine, l->cost) / all;
		const int name = (int)strcspn(p->layer[i], ":");
		hel_say(args, "  %-16.*s %2u->%-2u  %12.4g  %12.3g  %8.1f  %12u  %4.0f %%\n",
			HEL_MIN(name, 16), p->layer[i], l->level_in, l->level_out, l->bound,
			l->noise.score, -log2(l->noise.score), l->key_switches, 100 * share);
		json_array_append_new(
		    budget, json_pack("{s:s%, s:i, s:i, s:f, s:f, s:i, s:f}", "layer", p->layer[i],
				      (size_t)name, "level_in", (int)l->level_in, "level_out",
				      (int)l->level_out, "bound", l->bound, "error", l->noise.score,
				      "key_switches", (int)l->key_switches, "time_share", share));
	}
	hel_say(args, "  score: error %.3g, %.1f bits\n", shape.noise.score, p->manifest->bits);
done:
	hel_shape_clear(&shape);
	hel_params_free(params);
	return st;
}

static hel_status show_program(const hel_args *args, json_t *out, const uint8_t *bytes, size_t size)
{
	hel_status st = HEL_OK;
	hel_program *p = NULL;
	TRY(hel_program_read(&p, bytes, size));
	TRY(show_manifest(args, out, p->manifest));
	json_t *layers = json_array();
	json_object_set_new(out, "layers", layers);
	hel_say(args, "packing, layer by layer (%u ops, %u weight vectors):\n", p->ops, p->vectors);
	for (uint32_t i = 0; i < p->layers; i++) {
		hel_say(args, "  %s\n", p->layer[i]);
		json_array_append_new(layers, json_string(p->layer[i]));
	}
	json_object_set_new(out, "ops", json_integer(p->ops));
	TRY(show_budget(args, out, p));
done:
	hel_program_free(p);
	return st;
}

/* Keys, queries, results: whom they belong to and how large they are. */
static hel_status show_owned(const hel_args *args, json_t *out, hel_kind kind, const uint8_t *bytes,
			     size_t size)
{
	hel_status st = HEL_OK;
	hel_reader r;
	char text[2 * HEL_HASH_BYTES + 1];
	TRY(hel_container_open(&r, kind, bytes, size));
	if (kind == HEL_KIND_SEALED_SECRET) { /* says nothing of what it is for */
		const bool sealed = hel_secret_is_sealed(bytes, size);
		hel_say(args, "%s\n", sealed ? "sealed by a passphrase" : "NOT sealed");
		json_object_set_new(out, "sealed", json_boolean(sealed));
		goto done;
	}
	const uint8_t *head = hel_read_bytes(&r, HEL_HASH_BYTES);
	TRY(r.status);
	const bool model = kind == HEL_KIND_QUERY || kind == HEL_KIND_RESULT;
	sodium_bin2hex(text, sizeof text, head, HEL_HASH_BYTES);
	hel_say(args, "%s %.16s...\n", model ? "for model" : "for parameters", text);
	json_object_set_new(out, model ? "model_id" : "parameters_id", json_string(text));
	if (kind == HEL_KIND_SECRET_KEY || kind == HEL_KIND_CIPHERTEXT)
		goto done;
	const uint8_t *client = hel_read_bytes(&r, HEL_CLIENT_ID_BYTES);
	TRY(r.status);
	sodium_bin2hex(text, sizeof text, client, HEL_CLIENT_ID_BYTES);
	hel_say(args, "of client %s\n", text);
	json_object_set_new(out, "client", json_string(text));
	if (kind == HEL_KIND_QUERY) {
		const uint8_t form = hel_read_u8(&r);
		TRY(r.status);
		const char *name = form == HEL_CT_SEEDED ? "seeded"
				   : form == HEL_CT_FULL ? "full"
							 : "unknown";
		hel_say(args, "%s form\n", name);
		json_object_set_new(out, "form", json_string(name));
	}
	if (kind != HEL_KIND_EVALUATION_KEYS)
		goto done;
	hel_read_bytes(&r, HEL_SEED_BYTES);
	uint32_t keys = hel_read_u32_max(&r, HEL_MAX_KEYS, "number of evaluation keys");
	TRY(r.status);
	hel_say(args, "%u evaluation keys\n", keys);
	json_object_set_new(out, "keys", json_integer(keys));
done:
	return st;
}

/* Only its head: whether the weights are whole is checked where they are used. */
static hel_status show_weights(const hel_args *args, json_t *out, const hel_weights_head *h)
{
	char program[2 * HEL_HASH_BYTES + 1], params[2 * HEL_HASH_BYTES + 1];
	sodium_bin2hex(program, sizeof program, h->program, HEL_HASH_BYTES);
	sodium_bin2hex(params, sizeof params, h->params, HEL_HASH_BYTES);
	hel_say(args,
		"encoded weights, made by --cache or serve; made again when they are missing\n"
		"of the program file that ends with %.16s..., for parameters %.16s...\n"
		"%llu weights, %.1f MB\n",
		program, params, (unsigned long long)h->weights,
		(double)(h->bytes - h->data) / 1e6);
	json_object_update_new(out,
			       json_pack("{s:s, s:s, s:s, s:I, s:I}", "kind", "encoded weights",
					 "program", program, "parameters_id", params, "weights",
					 (json_int_t)h->weights, "bytes", (json_int_t)h->bytes));
	return HEL_OK;
}

static hel_status show_model(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	TRY(hel_dlrm_load(&m, args->operand));
	const hel_schema *s = m->schema;
	hel_say(args,
		"a trained model for data set '%s'\n%zu dense features, %zu tables with %zu "
		"one-hot entries, "
		"%zu parameters\n",
		s->dataset, s->dense_count, s->table_count, hel_schema_onehots(s), m->parameters);
	for (size_t i = 0; i < m->tensors; i++)
		hel_say(args, "  %-24s %zu x %zu\n", m->tensor[i].name, m->tensor[i].rows,
			m->tensor[i].columns);
	json_object_update_new(
	    out, json_pack("{s:s, s:s, s:I, s:I, s:I}", "kind", "model", "dataset", s->dataset,
			   "dense", (json_int_t)s->dense_count, "tables",
			   (json_int_t)s->table_count, "parameters", (json_int_t)m->parameters));
done:
	hel_dlrm_free(m);
	return st;
}

static hel_status run_inspect(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	uint8_t *bytes = NULL;
	size_t size = 0;
	hel_manifest *m = NULL;
	struct stat info;
	if (stat(args->operand, &info) == 0 && S_ISDIR(info.st_mode))
		return show_model(args, out);
	TRY(hel_input_read(args->operand, HEL_FILE_MAX, &bytes, &size));
	const int kind = hel_container_kind(bytes, size);
	hel_weights_head weights;
	const hel_status is_weights =
	    kind ? HEL_EFORMAT : hel_weights_head_read(&weights, bytes, size);
	if (is_weights == HEL_OK) {
		hel_say(args, "%s: ", args->operand);
		st = show_weights(args, out, &weights);
		goto done;
	}
	if (!kind && is_weights != HEL_EFORMAT && *bytes) { /* damaged: the head says how */
		st = is_weights;
		goto done;
	}
	if (!kind)
		FAIL(HEL_EFORMAT, "%s is not a helrm file", args->operand);
	hel_say(args, "%s: %s, %.1f kB\n", args->operand, hel_kind_name((hel_kind)kind),
		(double)size / 1e3);
	json_object_set_new(out, "kind", json_string(hel_kind_name((hel_kind)kind)));
	json_object_set_new(out, "bytes", json_integer((json_int_t)size));
	if (kind == HEL_KIND_MANIFEST) {
		TRY(hel_manifest_read(&m, bytes, size));
		TRY(show_manifest(args, out, m));
	} else if (kind == HEL_KIND_PROGRAM)
		TRY(show_program(args, out, bytes, size));
	else
		TRY(show_owned(args, out, (hel_kind)kind, bytes, size));
done:
	hel_manifest_free(m);
	hel_free_secret(bytes, size);
	return st;
}

const hel_command hel_command_inspect = {
    .name = "inspect",
    .summary = "Tell what a file or model directory is",
    .operand = "FILE",
    .run = run_inspect,
};
