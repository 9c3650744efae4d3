#include "model_config.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

hel_dlrm_config hel_dlrm_config_default(void)
{
	return (hel_dlrm_config){
	    .embedding_dim = 4,
	    .bottom = {4},
	    .bottom_layers = 1,
	    .top = {8, 1},
	    .top_layers = 2,
	    .activation = {HEL_ACT_QUADRATIC, 0.1, 0.5},
	    .clip = 3,
	    .plan = hel_embedding_plan_default(),
	    .training = {.epochs = 100,
			 .batch = 32,
			 .warmup = 50,
			 .rate = 3e-3,
			 .weight_decay = 3,
			 .gradient_clip = 1,
			 .evaluations = 4,
			 .patience = 3,
			 .seed = 1},
	};
}

hel_dlrm_config hel_dlrm_config_for(const hel_dataset *set)
{
	hel_dlrm_config c = hel_dlrm_config_default();
	if (!set->hashed)
		return c;
	c.embedding_dim = c.bottom[0] = 16;
	c.top[0] = 128;
	c.activation = (hel_activation){HEL_ACT_QUADRATIC, 1, 1};
	c.training.epochs = 1;
	c.training.batch = 128;
	c.training.warmup = 100;
	c.training.rate = 5e-3;
	c.training.weight_decay = 0;
	c.training.test = 7;
	return c;
}

hel_split hel_dlrm_split(const hel_dlrm_config *c)
{
	return (hel_split){c->training.seed, c->training.test, c->training.validation};
}

hel_status hel_dlrm_text_base(uint32_t *base, const hel_dlrm_config *c)
{
	const hel_embedding e = c->plan.kind;
	*base = e.base;
	if ((e.own == HEL_ALL_VALUES && !e.base) || (!e.own && e.base && !e.digits))
		return HEL_OK;
	return hel_fail(HEL_EUNSUPPORTED,
			"this data set has small vocabularies: expected the embedding 'full' or "
			"'digits(BASE)'");
}

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

hel_status hel_dlrm_config_read(hel_dlrm_config *out, const json_t *o)
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
	TRY(hel_dlrm_config_read(c, root));
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

json_t *hel_dlrm_config_write(const hel_dlrm_config *c)
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
	json_t *root = hel_dlrm_config_write(c);
	char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
	TRY_ALLOC(*out, text ? hel_strdup(text) : NULL);
done:
	free(text);
	json_decref(root);
	return st;
}
