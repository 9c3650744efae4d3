#include "model_file.h"
#include "approximation.h"
#include "safetensors.h"
#include <jansson.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WEIGHTS_MAX ((size_t)8 << 30)
#define MODEL_TEXT_MAX ((size_t)1 << 30) /* lists of millions of values */
#define MODEL_VERSION 1

/* --- the directory -------------------------------------------------------------- */

/* Between the two renames of a save the old model.json meets the new weights: the old ones stay
 * under another name until both are new. */
static void weights_paths(char path[4096], char previous[4096 + 16], const char *dir)
{
	snprintf(path, 4096, "%s/weights.safetensors", dir);
	snprintf(previous, 4096 + 16, "%s.previous", path);
}

/* Models made elsewhere carry no hash. */
static hel_status check_hash(const uint8_t *text, size_t text_size, const uint8_t *weights,
			     size_t weights_size)
{
	hel_status st = HEL_OK;
	char found[2 * HEL_HASH_BYTES + 1];
	hel_json *json = NULL;
	if (hel_json_read(&json, text, text_size) != HEL_OK)
		return HEL_OK; /* whoever reads all of it says why */
	const char *expected = hel_json_text(hel_json_root(json), "weights_blake2b");
	hel_hash_hex(found, weights, weights_size);
	if (expected && strcmp(expected, found) != 0)
		st = hel_fail(HEL_EHASH,
			      "weights.safetensors is damaged or belongs to another model.json");
	hel_json_free(json);
	return st;
}

/* Does the model.json in place name these weights? */
static bool names(const char *dir, const char *weights)
{
	char path[4096];
	uint8_t *text = NULL, *bytes = NULL;
	size_t text_size, size;
	snprintf(path, sizeof path, "%s/model.json", dir);
	const bool yes = hel_file_read(path, MODEL_TEXT_MAX, &text, &text_size) == HEL_OK &&
			 hel_file_read(weights, WEIGHTS_MAX, &bytes, &size) == HEL_OK &&
			 check_hash(text, text_size, bytes, size) == HEL_OK;
	hel_free(text);
	hel_free(bytes);
	return yes;
}

static hel_status model_json(char **out, const hel_dlrm *m, const char *hash)
{
	hel_status st = HEL_OK;
	char *schema = NULL, *fits = NULL, *rest = NULL, stamp[2 * HEL_HASH_BYTES + 1];
	json_t *root = NULL;
	TRY(hel_schema_to_json(&schema, m->schema));
	/* the hash ties the two files together: a mixed-up copy is noticed */
	root = json_pack("{s:i, s:s, s:o, s:o}", "helrm_model", MODEL_VERSION, "weights_blake2b",
			 hash, "config", hel_dlrm_config_write(&m->config), "graph",
			 hel_graph_write(m->graph));
	if (m->graph->vector && root)
		json_object_set_new(root, "vector", json_true());
	if (m->stamped && root) {
		sodium_bin2hex(stamp, sizeof stamp, m->trained_on, sizeof m->trained_on);
		json_object_set_new(root, "trained_on", json_string(stamp));
	}
	if (m->approximation && root) {
		TRY(hel_approximations_to_json(&fits, m));
		json_object_set_new(root, "approximation", json_loads(fits, 0, NULL));
		json_object_set_new(root, "polynomials",
				    json_string(m->polynomials_trained ? "trained" : "fitted"));
	}
	TRY_ALLOC(rest, root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL);
	/* as it is, in front of the last brace: it may list millions of values */
	const size_t head = strlen(rest) - strlen("\n}"), room = head + strlen(schema) + 32;
	TRY_ALLOC(*out, hel_alloc(room, 1));
	snprintf(*out, room, "%.*s,\n \"schema\": %s\n}", (int)head, rest, schema);
done:
	free(rest);
	hel_free(schema);
	hel_free(fits);
	json_decref(root);
	return st;
}

hel_status hel_dlrm_save(const hel_dlrm *m, const char *dir)
{
	hel_status st = HEL_OK;
	char path[4096], previous[4096 + 16], hash[2 * HEL_HASH_BYTES + 1], *text = NULL;
	TRY(hel_dir_make(dir));
	weights_paths(path, previous, dir);
	/* left by a save that was interrupted, they may still be the ones in use */
	if (access(previous, F_OK) != 0 || !names(dir, previous)) {
		(void)unlink(previous);
		const int linked = link(path, previous); /* fails where there is no model yet */
		(void)linked;
	}
	TRY(hel_safetensors_write(m, path, hash));
	TRY(model_json(&text, m, hash));
	snprintf(path, sizeof path, "%s/model.json", dir);
	TRY(hel_file_write(path, text, strlen(text), 0644));
	(void)unlink(previous);
done:
	hel_free(text);
	return st;
}

bool hel_dlrm_is_fitted(const char *dir)
{
	char path[4096];
	uint8_t *text = NULL;
	size_t size;
	hel_json *json = NULL;
	bool fitted = false;
	snprintf(path, sizeof path, "%s/model.json", dir);
	if (hel_file_read(path, MODEL_TEXT_MAX, &text, &size) == HEL_OK &&
	    hel_json_read(&json, text, size) == HEL_OK) {
		const hel_json_value *root = hel_json_root(json);
		const char *kind = hel_json_text(root, "polynomials");
		fitted = hel_json_member(root, "helrm_model") &&
			 hel_json_member(root, "approximation") &&
			 !(kind && strcmp(kind, "trained") == 0);
	}
	hel_json_free(json);
	hel_free(text);
	return fitted;
}

void hel_dlrm_remove(const char *dir)
{
	char path[4096], previous[4096 + 16];
	weights_paths(path, previous, dir);
	(void)unlink(path);
	(void)unlink(previous);
	snprintf(path, sizeof path, "%s/model.json", dir);
	(void)unlink(path);
	(void)rmdir(dir);
}

static hel_status schema_from(hel_schema **out, const char *text, size_t size)
{
	hel_status st = HEL_OK;
	hel_schema *schema = NULL;
	hel_json *json = NULL;
	st = hel_json_read(&json, text, size);
	if (st != HEL_OK)
		FAIL(st, "model.json, %s", hel_error_detail());
	const hel_json_value *value = hel_json_member(hel_json_root(json), "schema");
	if (!value)
		FAIL(HEL_EFORMAT, "model.json: no 'schema'");
	TRY(hel_schema_from_value(&schema, value));
	if (!schema->set)
		FAIL(HEL_EFORMAT, "model.json: unknown data set '%s', and no 'columns'",
		     schema->dataset);
	for (size_t i = 0; i < schema->table_count; i++)
		if (schema->table[i].coding != HEL_CODING_ONE_HOT)
			FAIL(HEL_EFORMAT,
			     "model.json: table %s has a coding, which compiled models have",
			     schema->table[i].name);
	*out = schema;
	schema = NULL;
done:
	hel_schema_free(schema);
	hel_json_free(json);
	return st;
}

/* The graph in the file; models of before had none but that of their configuration. */
static hel_status model_from(hel_dlrm **out, const json_t *root, hel_schema *schema,
			     size_t parameters)
{
	hel_status st = HEL_OK;
	hel_graph *graph = NULL;
	hel_dlrm_config config = hel_dlrm_config_default();
	const json_t *c = json_object_get(root, "config"), *g = json_object_get(root, "graph");
	if (c || !g)
		TRY(hel_dlrm_config_read(&config, c));
	if (!g) {
		TRY(hel_dlrm_new_zero(out, &config, schema, parameters));
	} else {
		if (!json_object_get(c, "architecture"))
			config.architecture = HEL_ARCHITECTURE_GRAPH;
		const bool vector = json_is_true(json_object_get(root, "vector"));
		TRY((vector ? hel_graph_read_vector : hel_graph_read)(&graph, g, schema));
		TRY(hel_dlrm_of_graph(out, &config, graph, schema, parameters));
		graph = NULL;
	}
done:
	hel_graph_free(graph);
	return st;
}

static hel_status stamp_from(hel_dlrm *m, const json_t *stamp)
{
	const char *text = json_string_value(stamp);
	size_t size = 0;
	if (!stamp)
		return HEL_OK;
	if (!text || strlen(text) != 2 * HEL_HASH_BYTES ||
	    sodium_hex2bin(m->trained_on, sizeof m->trained_on, text, strlen(text), NULL, &size,
			   NULL) ||
	    size != sizeof m->trained_on)
		return hel_fail(HEL_EFORMAT,
				"model.json: 'trained_on' must be %d hexadecimal digits",
				2 * HEL_HASH_BYTES);
	m->stamped = true;
	return HEL_OK;
}

hel_status hel_model_json_read(hel_dlrm **out, const char *text, size_t size, size_t parameters)
{
	hel_status st = HEL_OK;
	json_error_t error;
	hel_schema *schema = NULL;
	char *fits = NULL;
	hel_dlrm *m = NULL;
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		FAIL(HEL_EFORMAT, "model.json, line %d: %s", error.line, error.text);
	const json_t *version = json_object_get(root, "helrm_model");
	if (!json_is_integer(version))
		FAIL(HEL_EFORMAT, "model.json: no 'helrm_model' version; not a helrm model");
	if (json_integer_value(version) != MODEL_VERSION)
		FAIL(HEL_EVERSION, "model.json has version %lld; this helrm reads version %d",
		     (long long)json_integer_value(version), MODEL_VERSION);
	TRY(schema_from(&schema, text, size));
	TRY(model_from(&m, root, schema, parameters));
	schema = NULL;
	TRY(stamp_from(m, json_object_get(root, "trained_on")));
	if (json_object_get(root, "approximation")) {
		TRY_ALLOC(fits,
			  json_dumps(json_object_get(root, "approximation"), JSON_ENCODE_ANY));
		TRY(hel_approximations_from_json(m, fits, strlen(fits)));
		const char *kind = json_string_value(json_object_get(root, "polynomials"));
		m->polynomials_trained = kind && strcmp(kind, "trained") == 0;
	}
	*out = m;
	m = NULL;
done:
	hel_dlrm_free(m);
	free(fits);
	hel_schema_free(schema);
	json_decref(root);
	return st;
}

hel_status hel_dlrm_copy(hel_dlrm **out, const hel_dlrm *m)
{
	hel_status st = HEL_OK;
	char *text = NULL;
	hel_dlrm *copy = NULL;
	TRY(model_json(&text, m, ""));
	TRY(hel_model_json_read(&copy, text, strlen(text), m->parameters));
	memcpy(copy->parameter, m->parameter, m->parameters * sizeof *m->parameter);
	*out = copy;
	copy = NULL;
done:
	hel_dlrm_free(copy);
	hel_free(text);
	return st;
}

/* The weights that model.json names by their hash. */
static hel_status read_weights(uint8_t **weights, size_t *size, const char *dir,
			       const uint8_t *text, size_t text_size)
{
	hel_status st = HEL_OK;
	char path[4096], previous[4096 + 16];
	weights_paths(path, previous, dir);
	TRY(hel_file_read(path, WEIGHTS_MAX, weights, size));
	st = check_hash(text, text_size, *weights, *size);
	if (st == HEL_EHASH && access(previous, R_OK) == 0) {
		hel_free(*weights);
		*weights = NULL;
		TRY(hel_file_read(previous, WEIGHTS_MAX, weights, size));
		st = check_hash(text, text_size, *weights, *size);
	}
done:
	return st;
}

hel_status hel_dlrm_load(hel_dlrm **out, const char *dir)
{
	hel_status st = HEL_OK;
	char path[4096];
	uint8_t *text = NULL, *weights = NULL;
	size_t text_size, weights_size;
	hel_dlrm *m = NULL;
	snprintf(path, sizeof path, "%s/model.json", dir);
	TRY(hel_file_read(path, MODEL_TEXT_MAX, &text, &text_size));
	TRY(read_weights(&weights, &weights_size, dir, text, text_size));
	TRY(hel_model_json_read(&m, (const char *)text, text_size, weights_size / sizeof(float)));
	if (m->graph->vector)
		FAIL(HEL_EFORMAT, "model.json: a part of a model, whose value is no score");
	TRY(hel_safetensors_read(m, weights, weights_size));
	*out = m;
	m = NULL;
done:
	hel_free(text);
	hel_free(weights);
	hel_dlrm_free(m);
	return st;
}

/* --- in memory ------------------------------------------------------------------------------ */

hel_status hel_dlrm_write(hel_writer *w, const hel_dlrm *m)
{
	hel_status st = HEL_OK;
	char *text = NULL;
	TRY(model_json(&text, m, ""));
	hel_write_text(w, text);
	hel_write_u64(w, m->parameters);
	hel_write_bytes(w, m->parameter, m->parameters * sizeof *m->parameter);
	st = w->status;
done:
	hel_free(text);
	return st;
}

hel_status hel_dlrm_read(hel_dlrm **out, const void *bytes, size_t size)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	hel_reader r = hel_reader_of(bytes, size);
	char *text = hel_read_text(&r, MODEL_TEXT_MAX, "model");
	const uint64_t parameters = hel_read_u64(&r);
	TRY(r.status);
	if (hel_reader_left(&r) / sizeof(float) != parameters)
		FAIL(HEL_ETRUNC, "the model has %zu bytes of weights, expected %llu numbers",
		     hel_reader_left(&r), (unsigned long long)parameters);
	TRY(hel_model_json_read(&m, text, strlen(text), (size_t)parameters));
	if (m->parameters != parameters)
		FAIL(HEL_EFORMAT, "the model has %zu weights, its graph says %llu", m->parameters,
		     (unsigned long long)parameters);
	memcpy(m->parameter, hel_read_bytes(&r, m->parameters * sizeof(float)),
	       m->parameters * sizeof(float));
	for (size_t i = 0; i < m->parameters; i++)
		if (!isfinite(m->parameter[i]))
			FAIL(HEL_EFORMAT, "a weight of the model is not finite");
	TRY(hel_reader_finish(&r));
	*out = m;
	m = NULL;
done:
	hel_free(text);
	hel_dlrm_free(m);
	return st;
}
