#include "safetensors.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WEIGHTS_MAX ((size_t)8 << 30)
#define MODEL_VERSION 1

/* --- JSON to config ------------------------------------------------------- */

static hel_status wrong(const char *key, const char *expected)
{
	return hel_fail(HEL_EFORMAT, "model config: '%s' must be %s", key, expected);
}

/* A missing key keeps the default. */
static hel_status number(double *out, const json_t *o, const char *key, double low, double high)
{
	char expected[64];
	const json_t *v = json_object_get(o, key);
	if (!v)
		return HEL_OK;
	double x = json_number_value(v);
	snprintf(expected, sizeof expected, "a number from %g to %g", low, high);
	if (!json_is_number(v) || !(x >= low && x <= high))
		return wrong(key, expected);
	*out = x;
	return HEL_OK;
}

static hel_status whole(uint32_t *out, const json_t *o, const char *key, double low, double high)
{
	double v = *out;
	hel_status st = number(&v, o, key, low, high);
	if (st == HEL_OK && v != floor(v))
		st = wrong(key, "a whole number");
	if (st == HEL_OK)
		*out = (uint32_t)v;
	return st;
}

static hel_status widths(uint32_t *out, size_t *count, const json_t *o, const char *key)
{
	const json_t *a = json_object_get(o, key);
	if (!a)
		return HEL_OK;
	if (!json_is_array(a) || json_array_size(a) > HEL_MAX_LAYERS)
		return wrong(key, "an array of at most 16 layer widths");
	*count = json_array_size(a);
	for (size_t i = 0; i < *count; i++) {
		json_int_t v = json_integer_value(json_array_get(a, i));
		if (v < 1 || v > HEL_MAX_WIDTH)
			return wrong(key, "an array of widths from 1 to 65536");
		out[i] = (uint32_t)v;
	}
	return HEL_OK;
}

static hel_status reject_unknown(const json_t *o, const char *const *known, size_t count)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)o, key, value)
	{
		size_t i = 0;
		while (i < count && strcmp(known[i], key) != 0)
			i++;
		if (i == count)
			return hel_fail(HEL_EFORMAT, "model config: unknown key '%.40s'", key);
	}
	return HEL_OK;
}

static hel_status embedding_from(hel_embedding *out, const json_t *value, const char *key)
{
	const char *text = json_string_value(value);
	if (text && hel_embedding_parse(out, text) == HEL_OK)
		return HEL_OK;
	return wrong(key, "an embedding: full, hash(ROWS), digits(BASE), frequent(VALUES) or "
			  "frequent(VALUES)+digits(BASE)");
}

static hel_status plan_from(hel_embedding_plan *out, const json_t *o)
{
	hel_status st = HEL_OK;
	hel_embedding_plan p = *out;
	const json_t *kind = json_object_get(o, "embedding");
	json_t *tables = json_object_get(o, "tables"), *value;
	const char *name;
	if (kind)
		TRY(embedding_from(&p.kind, kind, "embedding"));
	TRY(whole(&p.threshold, o, "threshold", 0, 1e9));
	TRY(whole(&p.min_count, o, "min_count", 1, 1e9));
	TRY(whole(&p.max_onehot, o, "max_onehot", 0, 1 << 26));
	if (tables && (!json_is_object(tables) || json_object_size(tables) > HEL_MAX_EXCEPTIONS))
		TRY(wrong("tables", "an object of at most 64 embeddings by table"));
	p.exceptions = tables ? 0 : p.exceptions;
	json_object_foreach(tables, name, value)
	{
		if (strlen(name) >= HEL_NAME_MAX)
			TRY(wrong("tables", "an object of embeddings by table"));
		snprintf(p.exception[p.exceptions].table, HEL_NAME_MAX, "%s", name);
		TRY(embedding_from(&p.exception[p.exceptions++].kind, value, "tables"));
	}
	*out = p;
done:
	return st;
}

static hel_status config_from(hel_dlrm_config *out, const json_t *o)
{
	hel_status st = HEL_OK;
	static const char *const keys[] = {
	    "embedding_dim", "bottom",	  "top",       "activation", "bottom_last_activation",
	    "clip",	     "embedding", "threshold", "min_count",  "max_onehot",
	    "tables",	     "training"};
	static const char *const act_keys[] = {"kind", "a", "b"};
	static const char *const train_keys[] = {"epochs",	"batch",	   "warmup",
						 "rate",	"weight_decay",	   "gradient_clip",
						 "seed",	"table_optimizer", "validation",
						 "evaluations", "patience",	   "test"};
	hel_dlrm_config c = *out;
	if (!json_is_object(o))
		FAIL(HEL_EFORMAT, "model config: expected a JSON object");
	TRY(reject_unknown(o, keys, HEL_ARRAY_LEN(keys)));
	TRY(whole(&c.embedding_dim, o, "embedding_dim", 1, 4096));
	TRY(widths(c.bottom, &c.bottom_layers, o, "bottom"));
	TRY(widths(c.top, &c.top_layers, o, "top"));
	TRY(number(&c.clip, o, "clip", 1e-3, 1000));
	TRY(plan_from(&c.plan, o));
	const json_t *act = json_object_get(o, "activation"), *t = json_object_get(o, "training");
	const json_t *last = json_object_get(o, "bottom_last_activation");
	if (t && !json_is_object(t))
		TRY(wrong("training", "an object"));
	if (last && !json_is_boolean(last))
		TRY(wrong("bottom_last_activation", "true or false"));
	if (last)
		c.bottom_last_activation = json_is_true(last);
	if (act) {
		const char *kind = json_string_value(json_object_get(act, "kind"));
		size_t k = 0;
		while (kind && k < HEL_ACT_KINDS &&
		       strcmp(kind, hel_activation_name((hel_activation_kind)k)) != 0)
			k++;
		if (!kind || k == HEL_ACT_KINDS)
			TRY(wrong("activation.kind",
				  "relu, square, quadratic, silu, sigmoid or gelu"));
		TRY(reject_unknown(act, act_keys, HEL_ARRAY_LEN(act_keys)));
		c.activation.kind = (hel_activation_kind)k;
		TRY(number(&c.activation.a, act, "a", -1e3, 1e3));
		TRY(number(&c.activation.b, act, "b", -1e3, 1e3));
		if (c.activation.kind == HEL_ACT_QUADRATIC && fabs(c.activation.a) < 1e-6)
			TRY(wrong("activation.a", "different from 0"));
	}
	if (t) {
		double seed = (double)c.training.seed;
		TRY(reject_unknown(t, train_keys, HEL_ARRAY_LEN(train_keys)));
		TRY(whole(&c.training.epochs, t, "epochs", 1, 1e6));
		TRY(whole(&c.training.batch, t, "batch", 1, 1 << 20));
		TRY(whole(&c.training.warmup, t, "warmup", 0, 1e9));
		TRY(number(&c.training.rate, t, "rate", 1e-9, 10));
		TRY(number(&c.training.weight_decay, t, "weight_decay", 0, 1000));
		TRY(number(&c.training.gradient_clip, t, "gradient_clip", 1e-9, 1e9));
		TRY(number(&c.training.validation, t, "validation", 0, 0.9));
		TRY(whole(&c.training.evaluations, t, "evaluations", 1, 1e6));
		TRY(whole(&c.training.patience, t, "patience", 1, 1e6));
		TRY(whole(&c.training.test, t, "test", 0, 1e6));
		const char *tables = json_string_value(json_object_get(t, "table_optimizer"));
		if (json_object_get(t, "table_optimizer")) {
			c.training.adagrad = tables && strcmp(tables, "adagrad") == 0;
			if (!c.training.adagrad && (!tables || strcmp(tables, "adam") != 0))
				TRY(wrong("training.table_optimizer", "adam or adagrad"));
		}
		TRY(number(&seed, t, "seed", 0, 9e15));
		if (seed != floor(seed))
			TRY(wrong("seed", "a whole number"));
		c.training.seed = (uint64_t)seed;
	}
	if (!c.top_layers || c.top[c.top_layers - 1] != 1)
		TRY(wrong("top", "an array that ends in 1, the logit"));
	*out = c;
done:
	return st;
}

hel_status hel_dlrm_config_update(hel_dlrm_config *c, const char *text, size_t size)
{
	hel_status st = HEL_OK;
	json_error_t error;
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		FAIL(HEL_EFORMAT, "model config, line %d: %s", error.line, error.text);
	TRY(config_from(c, root));
done:
	json_decref(root);
	return st;
}

hel_status hel_dlrm_config_from_json(hel_dlrm_config *out, const char *text, size_t size)
{
	hel_dlrm_config c = hel_dlrm_config_default();
	hel_status st = hel_dlrm_config_update(&c, text, size);
	if (st == HEL_OK)
		*out = c;
	return st;
}

static json_t *embedding_to(hel_embedding e)
{
	char text[80];
	hel_embedding_describe(text, sizeof text, e);
	return json_string(text);
}

static json_t *config_to(const hel_dlrm_config *c)
{
	json_t *bottom = json_array(), *top = json_array(), *tables = json_object();
	for (size_t i = 0; i < c->bottom_layers; i++)
		json_array_append_new(bottom, json_integer(c->bottom[i]));
	for (size_t i = 0; i < c->top_layers; i++)
		json_array_append_new(top, json_integer(c->top[i]));
	for (size_t i = 0; i < c->plan.exceptions; i++)
		json_object_set_new(tables, c->plan.exception[i].table,
				    embedding_to(c->plan.exception[i].kind));
	const hel_training *t = &c->training;
	json_t *training =
	    json_pack("{s:i, s:i, s:i, s:f, s:f, s:f, s:s, s:f, s:i, s:i, s:i, s:I}", "epochs",
		      (int)t->epochs, "batch", (int)t->batch, "warmup", (int)t->warmup, "rate",
		      t->rate, "weight_decay", t->weight_decay, "gradient_clip", t->gradient_clip,
		      "table_optimizer", t->adagrad ? "adagrad" : "adam", "validation",
		      t->validation, "evaluations", (int)t->evaluations, "patience",
		      (int)t->patience, "test", (int)t->test, "seed", (json_int_t)t->seed);
	return json_pack(
	    "{s:i, s:o, s:o, s:{s:s, s:f, s:f}, s:b, s:f, s:o, s:I, s:I, s:I, s:o, s:o}",
	    "embedding_dim", (int)c->embedding_dim, "bottom", bottom, "top", top, "activation",
	    "kind", hel_activation_name(c->activation.kind), "a", c->activation.a, "b",
	    c->activation.b, "bottom_last_activation", (int)c->bottom_last_activation, "clip",
	    c->clip, "embedding", embedding_to(c->plan.kind), "threshold",
	    (json_int_t)c->plan.threshold, "min_count", (json_int_t)c->plan.min_count, "max_onehot",
	    (json_int_t)c->plan.max_onehot, "tables", tables, "training", training);
}

hel_status hel_dlrm_config_to_json(char **out, const hel_dlrm_config *c)
{
	hel_status st = HEL_OK;
	json_t *root = config_to(c);
	char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
	TRY_ALLOC(*out, text ? hel_strdup(text) : NULL);
done:
	free(text);
	json_decref(root);
	return st;
}

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
	json_t *root = json_loadb((const char *)text, text_size, 0, NULL);
	const char *expected = json_string_value(json_object_get(root, "weights_blake2b"));
	hel_hash_hex(found, weights, weights_size);
	if (expected && strcmp(expected, found) != 0)
		st = hel_fail(HEL_EHASH,
			      "weights.safetensors is damaged or belongs to another model.json");
	json_decref(root);
	return st;
}

/* Does the model.json in place name these weights? */
static bool names(const char *dir, const char *weights)
{
	char path[4096];
	uint8_t *text = NULL, *bytes = NULL;
	size_t text_size, size;
	snprintf(path, sizeof path, "%s/model.json", dir);
	const bool yes = hel_file_read(path, HEL_SCHEMA_TEXT_MAX, &text, &text_size) == HEL_OK &&
			 hel_file_read(weights, WEIGHTS_MAX, &bytes, &size) == HEL_OK &&
			 check_hash(text, text_size, bytes, size) == HEL_OK;
	hel_free(text);
	hel_free(bytes);
	return yes;
}

static hel_status model_json(char **out, const hel_dlrm *m, const char *hash)
{
	hel_status st = HEL_OK;
	char *schema = NULL, *fits = NULL;
	json_t *root = NULL;
	TRY(hel_schema_to_json(&schema, m->schema));
	/* the hash ties the two files together: a mixed-up copy is noticed */
	root =
	    json_pack("{s:i, s:s, s:o, s:o}", "helrm_model", MODEL_VERSION, "weights_blake2b", hash,
		      "config", config_to(&m->config), "schema", json_loads(schema, 0, NULL));
	if (m->approximation && root) {
		TRY(hel_approximations_to_json(&fits, m));
		json_object_set_new(root, "approximation", json_loads(fits, 0, NULL));
	}
	TRY_ALLOC(*out, root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL);
done:
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
		(void)link(path, previous); /* fails where there is no model yet */
	}
	TRY(hel_safetensors_write(m, path, hash));
	TRY(model_json(&text, m, hash));
	snprintf(path, sizeof path, "%s/model.json", dir);
	TRY(hel_file_write(path, text, strlen(text), 0644));
	(void)unlink(previous);
done:
	free(text);
	return st;
}

hel_status hel_model_json_read(hel_dlrm **out, const char *text, size_t size, size_t parameters)
{
	hel_status st = HEL_OK;
	json_error_t error;
	hel_dlrm_config config;
	hel_schema *schema = NULL;
	char *schema_text = NULL, *fits = NULL;
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
	config = hel_dlrm_config_default();
	TRY(config_from(&config, json_object_get(root, "config")));
	if (!json_object_get(root, "schema"))
		FAIL(HEL_EFORMAT, "model.json: no 'schema'");
	TRY_ALLOC(schema_text, json_dumps(json_object_get(root, "schema"), JSON_ENCODE_ANY));
	TRY(hel_schema_from_json(&schema, schema_text, strlen(schema_text)));
	if (!hel_dataset_by_name(schema->dataset))
		FAIL(HEL_EFORMAT, "model.json: unknown data set '%s'", schema->dataset);
	for (size_t i = 0; i < schema->table_count; i++)
		if (schema->table[i].coding != HEL_CODING_ONE_HOT)
			FAIL(HEL_EFORMAT,
			     "model.json: table %s has a coding, which compiled models have",
			     schema->table[i].name);
	TRY(hel_dlrm_new_zero(&m, &config, schema, parameters));
	schema = NULL;
	if (json_object_get(root, "approximation")) {
		TRY_ALLOC(fits,
			  json_dumps(json_object_get(root, "approximation"), JSON_ENCODE_ANY));
		TRY(hel_approximations_from_json(m, fits, strlen(fits)));
	}
	*out = m;
	m = NULL;
done:
	hel_dlrm_free(m);
	free(fits);
	free(schema_text);
	hel_schema_free(schema);
	json_decref(root);
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
	TRY(hel_file_read(path, HEL_SCHEMA_TEXT_MAX, &text, &text_size));
	TRY(read_weights(&weights, &weights_size, dir, text, text_size));
	TRY(hel_model_json_read(&m, (const char *)text, text_size, weights_size / sizeof(float)));
	TRY(hel_safetensors_read(m, weights, weights_size));
	*out = m;
	m = NULL;
done:
	hel_free(text);
	hel_free(weights);
	hel_dlrm_free(m);
	return st;
}
