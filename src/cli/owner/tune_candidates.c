/* What tune tries: every network under every plan. */
#include "tune.h"
#include <stdlib.h>
#include <string.h>

/* On top of the base configuration, which keeps its layers over dense values, its training and its
 * exceptions for single tables. */
static const char builtin[] =
    "{\"networks\": {"
    "\"one squaring, 32\": {\"architecture\": \"dlrm\", \"interaction\": \"cat\","
    "  \"top\": [32, 1]},"
    "\"one squaring, 128\": {\"architecture\": \"dlrm\", \"interaction\": \"cat\","
    "  \"top\": [128, 1]},"
    "\"one squaring, 32, dim 8\": {\"architecture\": \"dlrm\", \"interaction\": \"cat\","
    "  \"top\": [32, 1], \"embedding_dim\": 8},"
    "\"dcn 1\": {\"architecture\": \"dcn\", \"cross_layers\": 1, \"top\": [1]},"
    "\"dcn 1, rank 32\": {\"architecture\": \"dcn\", \"cross_layers\": 1, \"cross_rank\": 32,"
    "  \"top\": [1]},"
    "\"dcn 1, dim 8\": {\"architecture\": \"dcn\", \"cross_layers\": 1, \"top\": [1],"
    "  \"embedding_dim\": 8},"
    "\"dcn 2\": {\"architecture\": \"dcn\", \"cross_layers\": 2, \"top\": [1]},"
    "\"dcn 2, dim 8\": {\"architecture\": \"dcn\", \"cross_layers\": 2, \"top\": [1],"
    "  \"embedding_dim\": 8},"
    "\"deepfm, 128\": {\"architecture\": \"deepfm\", \"top\": [128, 1]}},"
    "\"plans\": {"
    "\"1024, rates(8)\": {\"embedding\": \"frequent(all)+rates(8)\", \"max_onehot\": 1024},"
    "\"4096, rates(16)\": {\"embedding\": \"frequent(all)+rates(16)\", \"max_onehot\": 4096},"
    "\"16384, rates(16)\": {\"embedding\": \"frequent(all)+rates(16)\","
    "  \"max_onehot\": 16384},"
    "\"1024\": {\"embedding\": \"full\", \"max_onehot\": 1024},"
    "\"4096\": {\"embedding\": \"full\", \"max_onehot\": 4096},"
    "\"16384\": {\"embedding\": \"full\", \"max_onehot\": 16384},"
    "\"65536\": {\"embedding\": \"full\", \"max_onehot\": 65536}},"
    "\"members\": [1, 4],"
    "\"references\": {"
    "\"relu, 128-64, full tables\": {\"architecture\": \"dlrm\", \"interaction\": \"cat\","
    "  \"top\": [128, 64, 1], \"activation\": {\"kind\": \"relu\"}, \"embedding\": \"full\","
    "  \"max_onehot\": 0, \"training\": {\"rate\": 3e-3}},"
    "\"logistic regression, full tables\": {\"architecture\": \"mlp\", \"top\": [1],"
    "  \"embedding_dim\": 1, \"embedding\": \"full\", \"max_onehot\": 0}}}";

/* The base configuration with changes. */
static hel_status change(hel_dlrm_config *out, const hel_dlrm_config *base, const char *name,
			 const json_t *changes)
{
	hel_status st = HEL_OK;
	char *text = NULL;
	hel_dlrm_config c = *base;
	if (!hel_is_text(name) || strlen(name) >= HEL_TUNE_NAME)
		FAIL(HEL_EFORMAT, "candidates: a name must be a text of at most %d bytes",
		     HEL_TUNE_NAME - 1);
	TRY_ALLOC(text, json_dumps(changes, JSON_ENCODE_ANY));
	TRY(hel_dlrm_config_update(&c, text, strlen(text)));
	c.members = 1;
	*out = c;
done:
	free(text);
	return st;
}

static void add_plan(hel_tuning *t, const char *name, const hel_embedding_plan *plan)
{
	hel_tune_plan *p = &t->plan[t->plans++];
	snprintf(p->name, sizeof p->name, "%s", name);
	p->plan = *plan;
}

static void add_trial(hel_tuning *t, const char *network, const hel_dlrm_config *config,
		      size_t plan, bool reference)
{
	hel_trial *x = &t->trial[t->trials++];
	*x = (hel_trial){.config = *config, .plan = plan, .reference = reference};
	x->config.plan = t->plan[plan].plan;
	if (reference || !*network || !*t->plan[plan].name)
		snprintf(x->name, sizeof x->name, "%s%s", network,
			 reference ? "" : t->plan[plan].name);
	else
		snprintf(x->name, sizeof x->name, "%s; %s", network, t->plan[plan].name);
}

static hel_status read_plans(hel_tuning *t, json_t *list)
{
	hel_status st = HEL_OK;
	const char *name;
	json_t *changes;
	hel_dlrm_config c;
	json_object_foreach(list, name, changes)
	{
		TRY(change(&c, &t->base, name, changes));
		if (!(c.plan.kind.buckets && hel_arg(t->args, "no-rates")))
			add_plan(t, name, &c.plan);
	}
	if (!t->plans)
		add_plan(t, "", &t->base.plan);
done:
	return st;
}

/* What --config says is a candidate among those that are built in. */
static hel_status read_networks(hel_tuning *t, json_t *list, bool given)
{
	hel_status st = HEL_OK;
	const char *name;
	json_t *changes;
	hel_dlrm_config c;
	const size_t plans = t->plans;
	json_object_foreach(list, name, changes)
	{
		TRY(change(&c, &t->base, name, changes));
		for (size_t p = 0; p < plans; p++)
			add_trial(t, name, &c, p, false);
	}
	const bool configured = !given && hel_arg(t->args, "config");
	for (size_t p = 0; p < plans && (configured || !json_object_size(list)); p++)
		add_trial(t, configured ? "as configured" : "", &t->base, p, false);
done:
	return st;
}

/* Each with the plan that its own configuration names. */
static hel_status read_references(hel_tuning *t, json_t *list)
{
	hel_status st = HEL_OK;
	const char *name;
	json_t *changes;
	hel_dlrm_config c;
	json_object_foreach(list, name, changes)
	{
		TRY(change(&c, &t->base, name, changes));
		add_plan(t, name, &c.plan);
		add_trial(t, name, &c, t->plans - 1, true);
	}
done:
	return st;
}

static hel_status read_members(hel_tuning *t, json_t *list)
{
	hel_status st = HEL_OK;
	size_t i;
	json_t *value;
	json_array_foreach(list, i, value)
	{
		const json_int_t m = json_integer_value(value);
		if (m < 1 || m > HEL_MAX_MEMBERS || i >= HEL_TUNE_MEMBERS)
			FAIL(HEL_EFORMAT,
			     "candidates: \"members\" must be at most %d numbers from 1 to %d",
			     HEL_TUNE_MEMBERS, HEL_MAX_MEMBERS);
		if ((uint64_t)m <= t->seeds)
			t->member[t->members++] = (size_t)m;
	}
	if (!t->members)
		t->member[t->members++] = 1;
done:
	return st;
}

static hel_status check_shape(json_t *o)
{
	static const char *const names[] = {"networks", "plans", "references"};
	const char *key;
	json_t *value;
	bool good = json_is_object(o);
	for (size_t i = 0; good && i < HEL_ARRAY_LEN(names); i++)
		good =
		    !json_object_get(o, names[i]) || json_is_object(json_object_get(o, names[i]));
	json_object_foreach(o, key, value)
	{
		good = good && (strcmp(key, "members") == 0
				    ? json_is_array(value)
				    : strcmp(key, names[0]) == 0 || strcmp(key, names[1]) == 0 ||
					  strcmp(key, names[2]) == 0);
	}
	if (good && json_object_size(json_object_get(o, "networks")) +
			    json_object_size(json_object_get(o, "plans")) >
			0)
		return HEL_OK;
	return hel_fail(HEL_EFORMAT,
			"candidates: expected {\"networks\": {NAME: CONFIG, ...}, \"plans\": "
			"{NAME: CONFIG, ...}, \"members\": [1, 4], \"references\": {NAME: CONFIG, "
			"...}}");
}

static hel_status read_all(hel_tuning *t, json_t *o, bool given)
{
	hel_status st = HEL_OK;
	TRY(check_shape(o));
	json_t *networks = json_object_get(o, "networks"), *plans = json_object_get(o, "plans"),
	       *references = json_object_get(o, "references");
	const size_t lines = json_object_size(references),
		     trials = (json_object_size(networks) + 1) * (json_object_size(plans) + 1);
	if (trials + lines > HEL_TUNE_MOST)
		FAIL(HEL_ELIMIT, "candidates: more than %d networks under plans", HEL_TUNE_MOST);
	TRY_ALLOC(t->plan, hel_alloc(json_object_size(plans) + 1 + lines, sizeof *t->plan));
	TRY_ALLOC(t->trial, hel_alloc(trials + lines, sizeof *t->trial));
	TRY(read_plans(t, plans));
	TRY(read_networks(t, networks, given));
	TRY(read_references(t, references));
	TRY(read_members(t, json_object_get(o, "members")));
done:
	return st;
}

hel_status hel_tune_candidates(hel_tuning *t)
{
	hel_status st = HEL_OK;
	uint8_t *text = NULL;
	size_t size;
	json_t *o = NULL;
	json_error_t error;
	const bool given = hel_arg(t->args, "candidates") != NULL;
	if (given)
		TRY(hel_arg_file(&text, &size, t->args, "candidates"));
	o = given ? json_loadb((const char *)text, size, JSON_REJECT_DUPLICATES, &error)
		  : json_loads(builtin, 0, &error);
	if (!o)
		FAIL(HEL_EFORMAT, "candidates, line %d: %s", error.line, error.text);
	TRY(read_all(t, o, given));
done:
	hel_free(text);
	json_decref(o);
	return st;
}
