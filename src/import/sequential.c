#include "sequential.h"
#include "normalisation.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef enum sort { LINEAR, NORMALISATION, SLOPES } sort;

/* What is called PREFIX.NUMBER[SUFFIX]. */
typedef struct entry {
	unsigned number;
	sort sort;
} entry;

typedef struct reader {
	hel_tower *t;
	const hel_checkpoint *c;
	const hel_import_config *config;
	const char *prefix, *suffix;
	bool apart;
	entry *entry;
	size_t entries;
	hel_normalisation pending; /* of an activation: folded into the layer after it */
	char pending_name[HEL_NAME_MAX];
	const json_t *listed; /* what stands at each number; NULL: unsaid */
} reader;

/* "PREFIX.NUMBER SUFFIX.part": the number, or -1. */
static long number_in(const reader *r, const char *name, const char *part)
{
	const size_t n = strlen(r->prefix), s = strlen(r->suffix);
	if (strncmp(name, r->prefix, n) != 0 || name[n] != '.' ||
	    !isdigit((unsigned char)name[n + 1]))
		return -1;
	char *end;
	const long v = strtol(name + n + 1, &end, 10);
	return v < 100000 && strncmp(end, r->suffix, s) == 0 && end[s] == '.' &&
		       strcmp(end + s + 1, part) == 0
		   ? v
		   : -1;
}

static hel_status note(reader *r, long number, sort what)
{
	size_t at = 0;
	if (r->entries == HEL_MAX_FOREIGN_LAYERS)
		return hel_fail(HEL_ELIMIT, "'%s': at most %d layers are supported", r->prefix,
				HEL_MAX_FOREIGN_LAYERS);
	while (at < r->entries && r->entry[at].number < (unsigned)number)
		at++;
	memmove(r->entry + at + 1, r->entry + at, (r->entries - at) * sizeof *r->entry);
	r->entry[at] = (entry){(unsigned)number, what};
	r->entries++;
	return HEL_OK;
}

static hel_status find_entries(reader *r)
{
	hel_status st = HEL_OK;
	for (size_t i = 0; i < r->c->count; i++) {
		const hel_stored *t = &r->c->tensor[i];
		const long mean = number_in(r, t->name, "running_mean"),
			   weight = number_in(r, t->name, "weight");
		char name[HEL_NAME_MAX];
		if (mean >= 0)
			TRY(note(r, mean, NORMALISATION));
		if (weight < 0)
			continue;
		snprintf(name, sizeof name, "%s.%ld%s", r->prefix, weight, r->suffix);
		const bool normalises = hel_checkpoint_find(r->c, "%s.running_mean", name),
			   bias = hel_checkpoint_find(r->c, "%s.bias", name);
		if (t->dimensions > 1)
			TRY(note(r, weight, LINEAR));
		else if (!normalises)
			TRY(note(r, weight, bias ? NORMALISATION : SLOPES));
	}
done:
	return st;
}

/* --- what is listed ---------------------------------------------------------------------- */

static const char *word_at(const reader *r, size_t number)
{
	const json_t *v = json_array_get(r->listed, number);
	const char *text = json_string_value(json_is_object(v) ? json_object_get(v, "kind") : v);
	return text ? text : "";
}

static bool is_one_of(const char *word, const char *const *words)
{
	while (*words && strcasecmp(word, *words) != 0)
		words++;
	return *words != NULL;
}

/* What is listed at a number, which refusals name. */
static hel_status activation_at(hel_activation *out, bool *none, const reader *r, size_t number)
{
	char why[400];
	const hel_status st = hel_import_activation(out, none, json_array_get(r->listed, number));
	if (st != HEL_EFORMAT)
		return st;
	snprintf(why, sizeof why, "%s", hel_error_detail());
	return hel_fail(st, "%s.%zu is '%.40s': %s", r->prefix, number, word_at(r, number), why);
}

/* Whether an activation is listed from `first` to before `end`; it is that of the last layer. */
static hel_status take_listed(bool *found, reader *r, size_t first, size_t end)
{
	static const char *const nothing[] = {"dropout", "flatten", "identity", NULL};
	hel_status st = HEL_OK;
	*found = false;
	for (size_t i = first; i < end; i++) {
		hel_activation act = {HEL_ACT_RELU, 0, 0};
		bool none = false;
		if (is_one_of(word_at(r, i), nothing))
			continue;
		TRY(activation_at(&act, &none, r, i));
		if (*found || !r->t->count || r->pending.width)
			FAIL(HEL_EUNSUPPORTED,
			     "import config: 'layers' lists '%s' at %s.%zu, and no layer right "
			     "before it",
			     word_at(r, i), r->prefix, i);
		*found = true;
		r->t->step[r->t->count - 1].after = HEL_AFTER_OWN;
		r->t->step[r->t->count - 1].activation = act;
	}
done:
	return st;
}

/* What has weights is listed as what it is. */
static hel_status check_listed(const reader *r)
{
	static const char *const words[][4] = {
	    [LINEAR] = {"linear", NULL},
	    [NORMALISATION] = {"batchnorm1d", "batchnorm", NULL},
	    [SLOPES] = {"prelu", NULL},
	};
	for (size_t i = 0; i < r->entries; i++)
		if (!is_one_of(word_at(r, r->entry[i].number), words[r->entry[i].sort]))
			return hel_fail(
			    HEL_EFORMAT,
			    "import config: 'layers' lists '%.40s' at %s.%u, the weights have "
			    "%s",
			    word_at(r, r->entry[i].number), r->prefix, r->entry[i].number,
			    words[r->entry[i].sort][0]);
	for (size_t i = 0, k = 0; i < json_array_size(r->listed); i++) {
		const bool stored = k < r->entries && r->entry[k].number == i;
		k += stored;
		if (!stored && is_one_of(word_at(r, i), (const char *const[]){"linear", "prelu",
									      "batchnorm1d", NULL}))
			return hel_fail(
			    HEL_EFORMAT,
			    "import config: 'layers' lists '%.40s' at %s.%zu, where the "
			    "weights have nothing",
			    word_at(r, i), r->prefix, i);
	}
	return HEL_OK;
}

/* --- one after the other ------------------------------------------------------------------ */

/* Whether nothing but what is folded stands between an entry and the one before it. */
static hel_status follows(bool *out, reader *r, size_t i)
{
	hel_status st = HEL_OK;
	bool activated = false;
	const entry *e = &r->entry[i];
	*out = i && !r->apart && (r->config->no_activation || e->number == e[-1].number + 1);
	if (r->listed) {
		TRY(take_listed(&activated, r, i ? e[-1].number + 1 : 0, e->number));
		*out = i && !activated;
	}
done:
	return st;
}

static void name_of(char out[HEL_NAME_MAX], const reader *r, const entry *e)
{
	snprintf(out, HEL_NAME_MAX, "%s.%u%s", r->prefix, e->number, r->suffix);
}

static hel_status take_layer(reader *r, const char *name, bool joined)
{
	hel_status st = HEL_OK;
	hel_tower *t = r->t;
	hel_layer l = {0};
	TRY(hel_layer_read(&l, t, name, hel_checkpoint_find(r->c, "%s.weight", name),
			   hel_checkpoint_find(r->c, "%s.bias", name)));
	const size_t gives = t->count ? hel_tower_outputs(t) : l.columns;
	if (l.columns != gives)
		FAIL(HEL_EFORMAT, "%s takes %zu inputs, the layer before gives %zu", name,
		     l.columns, gives);
	if (r->pending.width) {
		TRY(hel_normalisation_fold_before(&l, &r->pending, r->pending_name));
		hel_normalisation_clear(&r->pending);
		t->folded++;
	}
	if (t->count && joined) {
		TRY(hel_layer_multiply_out(&t->step[t->count - 1].layer, &l));
		t->multiplied_out++;
	} else {
		hel_step *s = &t->step[t->count++];
		*s = (hel_step){.layer = l};
		l = (hel_layer){0};
		snprintf(s->name, sizeof s->name, "%s", name);
	}
done:
	hel_layer_clear(&l);
	return st;
}

/* Where something stands on both sides, either may be the activation and the other a dropout. */
static hel_status take_normalisation(reader *r, size_t i, const char *name, bool joined)
{
	hel_status st = HEL_OK;
	if (joined && r->t->count) {
		TRY(hel_step_normalise(r->t, r->t->count - 1, r->c, r->config, name));
		goto done;
	}
	if (r->pending.width)
		FAIL(HEL_EUNSUPPORTED, "'%s' normalises what '%s' has normalised", name,
		     r->pending_name);
	TRY(hel_normalisation_read(&r->pending, r->c, name, r->config->batchnorm_eps));
	snprintf(r->pending_name, sizeof r->pending_name, "%s", name);
	if (i + 1 == r->entries)
		FAIL(HEL_EUNSUPPORTED,
		     "'%s' normalises the last layer's activations, and no layer follows it; fold "
		     "it "
		     "into what reads them",
		     name);
	if (!r->listed && r->entry[i + 1].number != r->entry[i].number + 1)
		FAIL(HEL_EUNSUPPORTED,
		     "'%s' is a hel_normalisation with something on both sides of it, of which "
		     "either "
		     "may be the activation: --config must say \"layers\": {\"%s\": [\"Linear\", "
		     "\"ReLU\", ...]}",
		     name, r->prefix);
done:
	return st;
}

static hel_status take_entry(reader *r, size_t i)
{
	hel_status st = HEL_OK;
	const entry *e = &r->entry[i];
	const hel_tower *t = r->t;
	char name[HEL_NAME_MAX];
	bool next;
	name_of(name, r, e);
	TRY(follows(&next, r, i));
	const bool joined = next && e[-1].sort != SLOPES && !r->pending.width;
	if (e->sort == LINEAR)
		TRY(take_layer(r, name, joined));
	else if (e->sort == NORMALISATION)
		TRY(take_normalisation(r, i, name, joined));
	else if (next && t->count)
		TRY(hel_step_slope(r->t, t->count - 1, r->c, name));
	else
		FAIL(HEL_EUNSUPPORTED,
		     "'%s' is a PReLU, or a normalisation, and no layer stands before it", name);
done:
	return st;
}

/* What is listed is all that there is: without an activation behind it a layer has none. */
static hel_status take_entries(reader *r)
{
	hel_status st = HEL_OK;
	bool activated = true;
	if (r->listed)
		TRY(check_listed(r));
	for (size_t i = 0; i < r->entries; i++)
		TRY(take_entry(r, i));
	if (r->listed && r->entries)
		TRY(take_listed(&activated, r, r->entry[r->entries - 1].number + 1,
				json_array_size(r->listed)));
	hel_step *last = r->t->count ? &r->t->step[r->t->count - 1] : NULL;
	if (last && !activated && last->after == HEL_AFTER_USUAL)
		last->after = HEL_AFTER_NONE;
done:
	return st;
}

hel_status hel_tower_read(hel_tower *t, const hel_checkpoint *c, const hel_import_config *config,
			  const char *prefix, const char *suffix, bool apart)
{
	hel_status st = HEL_OK;
	reader r = {
	    .t = t, .c = c, .config = config, .prefix = prefix, .suffix = suffix, .apart = apart};
	TRY_ALLOC(r.entry, hel_alloc(HEL_MAX_FOREIGN_LAYERS + 1, sizeof *r.entry));
	r.listed = hel_import_layers(config, prefix);
	if (!r.listed && !config->activation_said && !*suffix && !apart)
		r.listed = hel_checkpoint_sequential(c, prefix);
	TRY(find_entries(&r));
	TRY(take_entries(&r));
done:
	hel_normalisation_clear(&r.pending);
	hel_free(r.entry);
	return st;
}
