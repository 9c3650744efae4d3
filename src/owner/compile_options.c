/* What a program shall be like: "NAME=VALUE", as the options of `helrm compile`. */
#include "base/text.h"
#include "features/coding.h"
#include "model/approximation.h"
#include "owner_inside.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* "12.5" */
static hel_status bits_of(double *out, const char *text)
{
	char *end = NULL;
	*out = hel_number_of(text, &end);
	if (end == text || *end || !(*out >= 1 && *out <= 60))
		return hel_fail(HEL_EINVAL, "bits %.40s: expected a number from 1 to 60", text);
	return HEL_OK;
}

static hel_status whole_of(uint64_t *out, const char *name, const char *text, uint64_t low,
			   uint64_t high)
{
	char *end;
	errno = 0;
	const unsigned long long v = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || v < low || v > high)
		return hel_fail(HEL_EINVAL,
				"%s is '%.40s', expected a whole number from %llu to %llu", name,
				text, (unsigned long long)low, (unsigned long long)high);
	*out = v;
	return HEL_OK;
}

static hel_status goal_of(hel_goal *out, const char *text)
{
	for (*out = 0; *out < HEL_GOALS; ++*out)
		if (strcmp(text, hel_goal_name(*out)) == 0)
			return HEL_OK;
	return hel_fail(HEL_EINVAL, "optimize %.40s: expected latency, keys, query or throughput",
			text);
}

/* "grid" for all tables, "thal=grid" for one; what is said last holds. Laboratory names of one-hot
 * entries are understood, too. */
static hel_status add_coding(hel_compile_wishes *w, const char *text, const hel_schema *s)
{
	const char *sign = strchr(text, '='), *name = sign ? sign + 1 : text;
	const size_t length = sign ? (size_t)(sign - text) : 0;
	bool found = !sign;
	if (strcmp(name, "full") == 0 || strcmp(name, "digits") == 0)
		name = hel_coding_name(HEL_CODING_ONE_HOT);
	const hel_coding c = hel_coding_by_name(name);
	if (c == HEL_CODINGS && strcmp(name, "auto") != 0)
		return hel_fail(
		    HEL_EINVAL,
		    "lookup %.80s: expected auto, onehot (or full, digits), grid, powers, "
		    "roots or coded, for one table TABLE=METHOD",
		    text);
	for (size_t i = 0; i < s->table_count; i++)
		if (!sign ||
		    (strncmp(s->table[i].name, text, length) == 0 && !s->table[i].name[length])) {
			w->coding[i] = c;
			w->codes_named[i] = sign != NULL;
			found = true;
		}
	return found ? HEL_OK
		     : hel_fail(HEL_EINVAL, "lookup %.80s: the model has no table '%.*s'", text,
				(int)HEL_MIN(length, (size_t)HEL_NAME_MAX), text);
}

static bool is_word(const char *name, const char *word, size_t size)
{
	return strlen(name) == size && memcmp(name, word, size) == 0;
}

/* "C3,C7": columns of items; "none" where the data set names some, and records are to be scored. */
static hel_status add_public(hel_compile_wishes *w, const char *text, const hel_schema *s)
{
	w->shares = strcmp(text, "none") != 0 || hel_dataset_column(s->set, text);
	if (!w->shares)
		return HEL_OK;
	for (const char *word = text; *word;) {
		const size_t size = strcspn(word, ",");
		bool found = !size;
		for (size_t i = 0; i < s->dense_count; i++)
			if (is_word(s->dense[i].name, word, size))
				w->public_dense[i] = found = true;
		for (size_t i = 0; i < s->table_count; i++)
			if (is_word(s->table[i].name, word, size))
				w->public_table[i] = found = true;
		if (!found)
			return hel_fail(HEL_EINVAL, "public: the model has no column '%.*s'",
					(int)HEL_MIN(size, (size_t)HEL_NAME_MAX), word);
		word += size + (word[size] == ',');
	}
	return HEL_OK;
}

/* What the data set's description says of its columns. */
static void add_described(hel_compile_wishes *w, const hel_dataset *set)
{
	for (size_t i = 0; i < set->columns; i++) {
		const hel_column *c = &set->column[i];
		if (c->public && c->kind == HEL_DENSE)
			w->public_dense[c->nth] = w->shares = true;
		if (c->public && c->kind == HEL_CATEGORICAL)
			w->public_table[c->nth] = w->shares = true;
	}
}

/* "relu=poly:7" for a model with relu. */
static hel_status activation_of(hel_fit_choice *out, const char *text, const hel_dlrm *m)
{
	unsigned *degree = &out->degree;
	hel_approximation_kind *kind = &out->kind;
	const char *name = hel_activation_name(m->config.activation.kind);
	const char *rest = text + strlen(name);
	char after;
	if (strncmp(text, name, strlen(name)) != 0 || (*rest && *rest != '='))
		return hel_fail(HEL_EINVAL,
				"activation %.60s: the model's activation is %s, so expected %s, "
				"%s=refresh or %s=poly:N",
				text, name, name, name, name);
	out->refreshed = strcmp(rest, "=refresh") == 0;
	if (!*rest || out->refreshed) /* placement decides */
		return HEL_OK;
	*kind = strncmp(rest, "=chebyshev:", 11) == 0 ? HEL_INTERPOLATION : HEL_LEAST_SQUARES;
	const bool poly = strncmp(rest, "=poly:", 6) == 0;
	rest += *kind == HEL_INTERPOLATION ? 11 : poly ? 6 : strlen(rest);
	if (sscanf(rest, "%u%c", degree, &after) != 1)
		return hel_fail(HEL_EINVAL,
				"activation %.60s: expected %s=poly:N (least squares) or "
				"%s=chebyshev:N, N a degree from 2 to %d",
				text, name, name, HEL_MAX_APPROXIMATION);
	return HEL_OK;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

/* The value of "NAME=VALUE" or "NAME", NULL for another name. */
static const char *value_of(const char *option, const char *name)
{
	const size_t length = strlen(name);
	if (strncmp(option, name, length) != 0 || (option[length] && option[length] != '='))
		return NULL;
	return option[length] ? option + length + 1 : option + length;
}

/* A flag is there, "yes" or "no". */
static hel_status flag_of(bool *out, const char *name, const char *value)
{
	*out = !*value || strcmp(value, "yes") == 0;
	return *out || strcmp(value, "no") == 0
		   ? HEL_OK
		   : hel_fail(HEL_EINVAL, "%s is '%.40s', expected yes or no", name, value);
}

static hel_status read_option(hel_compile_wishes *w, const hel_recommender *r, const char *option,
			      const char **calibration, uint64_t *batch, bool *described)
{
	hel_compile_options *o = &w->options;
	const char *v;
	uint64_t n = 0;
	hel_status st = HEL_OK;
	const struct {
		const char *name;
		bool *out;
	} flag[] = {{"accept-loss", &o->accept_loss},
		    {"proved", &o->proved_only},
		    {"no-monomials", &o->no_monomials},
		    {"no-fusion", &o->no_fusion}};
	const struct {
		const char *name;
		size_t *out, unit;
		uint64_t most;
	} limit[] = {{"max-keys", &o->max_key_bytes, 1000000, 1u << 20},
		     {"max-query", &o->max_query_bytes, 1000, 1u << 30},
		     {"max-memory", &o->max_memory_bytes, 1000000, 1u << 24}};
	for (size_t i = 0; i < HEL_ARRAY_LEN(flag); i++)
		if ((v = value_of(option, flag[i].name)))
			return flag_of(flag[i].out, flag[i].name, v);
	for (size_t i = 0; i < HEL_ARRAY_LEN(limit); i++)
		if ((v = value_of(option, limit[i].name))) {
			TRY(whole_of(&n, limit[i].name, v, 1, limit[i].most));
			*limit[i].out = n * limit[i].unit;
			return HEL_OK;
		}
	if ((v = value_of(option, "name")))
		o->name = v;
	else if ((v = value_of(option, "public"))) {
		*described = false;
		TRY(add_public(w, v, r->m->schema));
	} else if ((v = value_of(option, "calibration")))
		*calibration = v;
	else if ((v = value_of(option, "bits")))
		TRY(bits_of(&o->bits, v));
	else if ((v = value_of(option, "optimize")))
		TRY(goal_of(&o->goal, v));
	else if ((v = value_of(option, "lookup")))
		TRY(add_coding(w, v, r->m->schema));
	else if ((v = value_of(option, "activation"))) {
		w->replaces = true;
		w->kind = r->m->config.activation.kind;
		w->fit = (hel_fit_choice){0};
		TRY(activation_of(&w->fit, v, r->m));
	} else if ((v = value_of(option, "max-log-n"))) {
		TRY(whole_of(&n, "max-log-n", v, 12, 17));
		o->max_log_n = (unsigned)n;
	} else if ((v = value_of(option, "plan-rank"))) {
		TRY(whole_of(&n, "plan-rank", v, 0, 1000));
		o->plan_rank = (unsigned)n;
	} else if ((v = value_of(option, "digits-rank"))) {
		TRY(whole_of(&n, "digits-rank", v, 0, 1000));
		o->digits_rank = (unsigned)n;
	} else if ((v = value_of(option, "batch"))) {
		TRY(whole_of(batch, "batch", v, 1, 1 << HEL_MAX_LOG_BATCH));
		if (*batch & (*batch - 1))
			FAIL(HEL_EINVAL, "batch %.40s: expected a power of two from 1 to %d", v,
			     1 << HEL_MAX_LOG_BATCH);
	} else {
		FAIL(HEL_EINVAL, "'%.60s' is no option of compile", option);
	}
done:
	return st;
}

hel_status hel_compile_wishes_read(hel_compile_wishes *w, const hel_recommender *r,
				   const char *const *option, size_t options)
{
	hel_status st = HEL_OK;
	uint64_t batch = 0;
	bool described = true;
	const char *calibration = NULL;
	*w = (hel_compile_wishes){
	    .options = {.name = r->directory ? last_part(r->directory) : r->m->schema->dataset,
			.max_log_n = 17}};
	for (size_t i = 0; i < HEL_MAX_TABLES; i++)
		w->coding[i] = HEL_CODINGS;
	for (size_t i = 0; i < options; i++)
		TRY(read_option(w, r, option[i], &calibration, &batch, &described));
	if (described)
		add_described(w, r->m->schema->set);
	if (strlen(w->options.name) > HEL_MODEL_NAME_MAX || !*w->options.name ||
	    !hel_is_text(w->options.name))
		FAIL(HEL_EINVAL,
		     "the model's name must be plain text of at most %d bytes; see the option name",
		     HEL_MODEL_NAME_MAX);
	TRY(hel_calibration_choose(&w->machine, &w->calibrated, calibration));
	w->options.log_batch = batch ? (unsigned)__builtin_ctzll(batch)
			       : w->options.goal == HEL_THROUGHPUT ? HEL_ANY_BATCH
								   : 0;
	w->options.machine = &w->machine.model;
	w->options.coding = w->coding;
done:
	return st;
}
