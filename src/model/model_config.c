#include "model_config.h"
#include "features/cells.h"
#include "graph.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *hel_architecture_name(hel_architecture architecture)
{
	static const char *const names[HEL_ARCHITECTURES] = {
#define X(architecture, name) name,
	    HEL_ARCHITECTURE_LIST(X)
#undef X
	};
	return architecture < HEL_ARCHITECTURES ? names[architecture] : "?";
}

hel_architecture hel_architecture_by_name(const char *name)
{
	hel_architecture a = 0;
	while (a < HEL_ARCHITECTURES && strcmp(name, hel_architecture_name(a)) != 0)
		a++;
	return a;
}

hel_dlrm_config hel_dlrm_config_default(void)
{
	return (hel_dlrm_config){
	    .members = 1,
	    .embedding_dim = 4,
	    .bottom = {4},
	    .bottom_layers = 1,
	    .top = {8, 1},
	    .top_layers = 2,
	    .cross_layers = 1,
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
	if (!set->dense)
		c.bottom_layers = 0;
	if (set->small)
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

hel_dlrm_config hel_dlrm_config_codesigned(const hel_dataset *set)
{
	hel_dlrm_config c = hel_dlrm_config_for(set);
	if (set != hel_dataset_by_name("criteo"))
		return c;
	c.members = 4;
	c.top[0] = 31; /* four squares of 31, and what is linear: within 128 */
	c.plan.kind = (hel_embedding){.own = HEL_ALL_VALUES, .buckets = 16};
	c.plan.max_onehot = 4096;
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
	return wrong(key, "an embedding: full, hash(ROWS), digits(BASE), frequent(VALUES), "
			  "rates(BUCKETS), frequent(VALUES)+digits(BASE) or "
			  "frequent(VALUES)+rates(BUCKETS)");
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

/* One of two words. */
static hel_status choice(bool *second, const json_t *o, const char *key, const char *a,
			 const char *b)
{
	char expected[64];
	const json_t *v = json_object_get(o, key);
	const char *text = json_string_value(v);
	snprintf(expected, sizeof expected, "\"%s\" or \"%s\"", a, b);
	if (v && (!text || (strcmp(text, a) != 0 && strcmp(text, b) != 0)))
		return wrong(key, expected);
	if (v)
		*second = strcmp(text, b) == 0;
	return HEL_OK;
}

static hel_status item_columns_from(hel_dlrm_config *c, const json_t *o)
{
	hel_status st = HEL_OK;
	const json_t *a = json_object_get(o, "item_columns");
	if (!a)
		return st;
	if (!json_is_array(a) || json_array_size(a) > HEL_MAX_ITEM_COLUMNS)
		TRY(wrong("item_columns", "an array of at most 64 names of columns"));
	c->item_columns = json_array_size(a);
	for (size_t i = 0; i < c->item_columns; i++) {
		const char *name = json_string_value(json_array_get(a, i));
		if (!name || strlen(name) >= HEL_NAME_MAX)
			TRY(wrong("item_columns", "an array of names of columns"));
		snprintf(c->item_column[i], HEL_NAME_MAX, "%s", name);
	}
done:
	return st;
}

static hel_status architecture_from(hel_dlrm_config *c, const json_t *o)
{
	hel_status st = HEL_OK;
	const json_t *name = json_object_get(o, "architecture"),
		     *self = json_object_get(o, "interaction_self");
	if (name) {
		c->architecture = json_is_string(name)
				      ? hel_architecture_by_name(json_string_value(name))
				      : HEL_ARCHITECTURES;
		if (c->architecture == HEL_ARCHITECTURES)
			TRY(wrong("architecture", HEL_ARCHITECTURE_NAMES));
	}
	if (self && !json_is_boolean(self))
		TRY(wrong("interaction_self", "true or false"));
	if (self)
		c->interaction_self = json_is_true(self);
	TRY(choice(&c->interaction_dot, o, "interaction", "cat", "dot"));
	TRY(choice(&c->cross_parallel, o, "cross", "stacked", "parallel"));
	TRY(whole(&c->cross_layers, o, "cross_layers", 1, HEL_MAX_CROSS_LAYERS));
	TRY(whole(&c->cross_rank, o, "cross_rank", 0, HEL_MAX_WIDTH));
	TRY(whole(&c->members, o, "members", 1, HEL_MAX_MEMBERS));
	TRY(item_columns_from(c, o));
done:
	return st;
}

hel_status hel_dlrm_config_read(hel_dlrm_config *out, const json_t *o)
{
	hel_status st = HEL_OK;
	static const char *const keys[] = {
	    "architecture", "embedding_dim",	"bottom",	"top",
	    "activation",   "interaction",	"cross_layers", "cross_rank",
	    "cross",	    "interaction_self", "item_columns", "members",
	    "clip",	    "embedding",	"threshold",	"bottom_last_activation",
	    "min_count",    "max_onehot",	"tables",	"training"};
	static const char *const train_keys[] = {"epochs",	"batch",	   "warmup",
						 "rate",	"weight_decay",	   "gradient_clip",
						 "seed",	"table_optimizer", "validation",
						 "evaluations", "patience",	   "test"};
	hel_dlrm_config c = *out;
	if (!json_is_object(o))
		FAIL(HEL_EFORMAT, "model config: expected a JSON object");
	TRY(reject_unknown(o, keys, HEL_ARRAY_LEN(keys)));
	TRY(architecture_from(&c, o));
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
	if (act)
		TRY(hel_activation_read(&c.activation, act));
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
	json_t *root = NULL;
	const char *foreign = hel_skip_mark(&text, &size);
	if (foreign)
		FAIL(HEL_EFORMAT, "model config: %s, expected UTF-8", foreign);
	root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
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
	json_t *items = json_array();
	for (size_t i = 0; i < c->item_columns; i++)
		json_array_append_new(items, json_string(c->item_column[i]));
	json_t *root = json_pack("{s:s, s:i, s:i, s:s, s:b, s:i, s:i, s:s, s:o}", "architecture",
				 hel_architecture_name(c->architecture), "members", (int)c->members,
				 "embedding_dim", (int)c->embedding_dim, "interaction",
				 c->interaction_dot ? "dot" : "cat", "interaction_self",
				 (int)c->interaction_self, "cross_layers", (int)c->cross_layers,
				 "cross_rank", (int)c->cross_rank, "cross",
				 c->cross_parallel ? "parallel" : "stacked", "item_columns", items);
	json_t *rest = json_pack(
	    "{s:o, s:o, s:o, s:b, s:f, s:o, s:I, s:I, s:I, s:o, s:o}", "bottom", bottom, "top", top,
	    "activation", hel_activation_write(c->activation), "bottom_last_activation",
	    (int)c->bottom_last_activation, "clip", c->clip, "embedding",
	    embedding_to(c->plan.kind), "threshold", (json_int_t)c->plan.threshold, "min_count",
	    (json_int_t)c->plan.min_count, "max_onehot", (json_int_t)c->plan.max_onehot, "tables",
	    tables, "training", training);
	json_object_update(root, rest);
	json_decref(rest);
	return root;
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
