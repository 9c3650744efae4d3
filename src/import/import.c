/* A checkpoint becomes a model: the form that knows its names builds a graph, and every tensor of
 * the graph is filled from where the form says that it is. */
#include "import.h"
#include "features/cells.h"
#include "importer.h"
#include <math.h>
#include <string.h>

#define WEIGHT_MOST 1e6F /* beyond, a file is damaged or its bytes are swapped */
#define LOGIT_MOST 1e9	 /* no programs hold more */
#define TRIED_RECORDS 64

static const hel_form *const forms[] = {&hel_form_dlrm, &hel_form_torchrec, &hel_form_deepctr,
					&hel_form_pytorch_fm};

/* --- what it is ---------------------------------------------------------------------------- */

/* What stands before a root of the form in a tensor's name, or SIZE_MAX. */
static size_t before_root(const hel_form *form, const char *name)
{
	for (const char *at = name; at; at = strchr(at, '.')) {
		at += at > name;
		for (size_t i = 0; i < HEL_ARRAY_LEN(form->roots) && form->roots[i]; i++)
			if (strncmp(at, form->roots[i], strlen(form->roots[i])) == 0)
				return (size_t)(at - name);
	}
	return SIZE_MAX;
}

/* The form of the first tensor that is of one, and what stands before all of its names. */
static hel_status recognise(const hel_form **out, hel_importer *im)
{
	hel_status st = HEL_OK;
	char known[256] = "", *prefix = NULL;
	const char *said = hel_import_said(&im->config, "prefix");
	*out = NULL;
	for (size_t i = 0; i < im->file.count; i++) {
		const char *name = im->file.tensor[i].name;
		for (size_t k = 0; k < HEL_ARRAY_LEN(forms); k++) {
			const size_t n = before_root(forms[k], name);
			if (n == SIZE_MAX || hel_import_ignores(&im->config, name) ||
			    (said && (strlen(said) != n || strncmp(said, name, n) != 0)))
				continue;
			if (prefix && (strlen(prefix) != n || strncmp(prefix, name, n) != 0))
				FAIL(HEL_EUNSUPPORTED,
				     "weights: both '%.60s' and '%.*s' stand before the names of a "
				     "model: --config must say \"prefix\": one of them",
				     prefix, (int)HEL_MIN(n, (size_t)60), name);
			if (!prefix)
				TRY_ALLOC(prefix, hel_alloc(n + 1, 1));
			memcpy(prefix, name, n);
			*out = *out ? *out : forms[k];
			break;
		}
	}
	for (size_t k = 0; k < HEL_ARRAY_LEN(forms); k++)
		snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", k ? ", " : "",
			 forms[k]->name);
	if (!*out)
		FAIL(HEL_EUNSUPPORTED,
		     "weights: tensors such as '%.80s' are of no form that is known (%s); "
		     "docs/import.md lists their names, docs/models.md says how to write a graph "
		     "of one's own",
		     im->file.tensor[0].name, known);
	TRY(hel_checkpoint_below(&im->file, prefix));
done:
	hel_free(prefix);
	return st;
}

/* A bias belongs to a weight. */
static hel_status check_bias(const hel_importer *im, const char *name)
{
	const size_t n = strlen(name), tail = strlen("bias");
	if (n <= tail || strcmp(name + n - tail, "bias") != 0)
		return HEL_OK;
	const int before = (int)(n - tail);
	return hel_checkpoint_find(&im->file, "%.*sweight", before, name)
		   ? HEL_OK
		   : hel_fail(HEL_EFORMAT, "tensor '%.80s' has no '%.*sweight'", name,
			      HEL_MIN(before, 80), name);
}

/* Layers that are listed are in the file. */
static hel_status check_layers(const hel_importer *im)
{
	const json_t *layers = json_object_get(im->config.root, "layers"), *list;
	const char *key;
	char prefix[HEL_NAME_MAX];
	json_object_foreach((json_t *)layers, key, list)
	{
		snprintf(prefix, sizeof prefix, "%.60s.", key);
		if (!hel_checkpoint_has(&im->file, prefix))
			return hel_fail(
			    HEL_EFORMAT,
			    "import config: 'layers' lists '%.60s', of which the weights "
			    "have nothing",
			    key);
	}
	return HEL_OK;
}

/* Layers that are kept in parts, or are none that is known: what they are, and what would help. */
static hel_status check_kinds(const hel_importer *im)
{
	static const struct {
		const char *part, *what;
	} kinds[] = {
	    {".weight_orig", "a pruned or spectrally normalised layer; call prune.remove or "
			     "remove_spectral_norm, and save it again"},
	    {".weight_g", "a weight_norm; call remove_weight_norm, and save it again"},
	    {".parametrizations.",
	     "a parametrised layer; call remove_parametrizations, and save it "
	     "again"},
	    {".in_proj_weight", "attention, whose softmax no polynomial is"},
	    {".weight_ih_l", "a recurrent layer"},
	    {".weight_hh_l", "a recurrent layer"},
	    {".lora_A", "an adapter; merge it into the weights, and save them again"},
	    {".zero_point", "a quantised layer; save it before it is quantised"},
	    {"._packed_params", "a quantised layer; save it before it is quantised"},
	};
	for (size_t i = 0; i < im->file.count; i++) {
		const char *name = im->file.tensor[i].name;
		for (size_t k = 0; k < HEL_ARRAY_LEN(kinds); k++)
			if (strstr(name, kinds[k].part) && !hel_import_ignores(&im->config, name))
				return hel_fail(HEL_EUNSUPPORTED,
						"tensor '%.80s' is not supported: it is of %s",
						name, kinds[k].what);
	}
	return HEL_OK;
}

static hel_status refuse(const hel_form *form, const hel_stored *t)
{
	const char *reason = form->reason ? form->reason(t->name) : NULL;
	return hel_fail(HEL_EUNSUPPORTED, "tensor '%.80s' is not supported: %s", t->name,
			reason ? reason
			       : "no part of this form; if scores do not depend on it, --config "
				 "'{\"ignore\": [NAME]}' leaves it out");
}

static bool left_out(const hel_importer *im, const hel_stored *t)
{
	return t->taken || hel_import_ignores(&im->config, t->name) ||
	       (t->outside && hel_import_said(&im->config, "prefix"));
}

/* A tensor of another model than the form's is named before shapes are found not to fit. */
static hel_status check_parts(const hel_importer *im, const hel_form *form)
{
	for (size_t i = 0; i < im->file.count; i++) {
		const hel_stored *t = &im->file.tensor[i];
		size_t k = 0;
		while (k < HEL_ARRAY_LEN(form->parts) && form->parts[k] &&
		       strncmp(t->name, form->parts[k], strlen(form->parts[k])) != 0)
			k++;
		if ((k == HEL_ARRAY_LEN(form->parts) || !form->parts[k]) && !left_out(im, t))
			return refuse(form, t);
	}
	return HEL_OK;
}

/* What nobody took would change scores. */
static hel_status check_all_taken(const hel_importer *im, const hel_form *form)
{
	hel_status st = HEL_OK;
	for (size_t i = 0; i < im->file.count; i++) {
		const hel_stored *t = &im->file.tensor[i];
		if (t->taken || left_out(im, t))
			continue;
		TRY(check_bias(im, t->name));
		TRY(refuse(form, t));
	}
done:
	return st;
}

/* --- weights ----------------------------------------------------------------------------- */

static hel_status fill(hel_dlrm *m, const hel_importer *im)
{
	hel_status st = HEL_OK;
	for (size_t i = 0; i < m->graph->nodes; i++) {
		const hel_source *s = &im->source[i];
		const hel_tensor *t = &m->tensor[m->graph->node[i].tensor];
		if (s->table)
			TRY(hel_importer_rows(m->parameter + t->offset, im, s));
		if (!s->layer)
			continue;
		memcpy(m->parameter + t->offset, s->layer->weight,
		       t->rows * t->columns * sizeof(float));
		if (m->graph->node[i].bias)
			memcpy(m->parameter + t[1].offset, s->layer->bias, t->rows * sizeof(float));
	}
done:
	return st;
}

/* Weights and scores that no model of these records has: damaged, or in another byte order. */
static hel_status check_sane(const hel_dlrm *m)
{
	hel_status st = HEL_OK;
	const uint8_t seed[HEL_SEED_BYTES] = {0};
	hel_prng g;
	double *dense = NULL, logit;
	uint32_t *hots = NULL;
	for (size_t i = 0; i < m->tensors; i++) {
		const hel_tensor *t = &m->tensor[i];
		for (size_t k = 0; k < t->rows * t->columns; k++)
			if (!(fabsf(m->parameter[t->offset + k]) <= WEIGHT_MOST))
				FAIL(HEL_EFORMAT,
				     "weights: '%s' holds %g; are the bytes in another order?",
				     t->name, (double)m->parameter[t->offset + k]);
	}
	TRY_ALLOC(dense, hel_alloc(m->schema->dense_count, sizeof *dense));
	TRY_ALLOC(hots, hel_alloc(hel_schema_hots(m->schema), sizeof *hots));
	hel_prng_init(&g, seed, 0);
	for (size_t i = 0; i < TRIED_RECORDS; i++) {
		hel_import_random(m, &g, dense, hots);
		TRY(hel_dlrm_logit(&logit, m, dense, hots));
		if (!(fabs(logit) <= LOGIT_MOST))
			FAIL(
			    HEL_EFORMAT,
			    "weights: a record within the schema's ranges scores %g; scores beyond "
			    "%g are not supported",
			    logit, LOGIT_MOST);
	}
done:
	hel_free(dense);
	hel_free(hots);
	return st;
}

/* --- all of it --------------------------------------------------------------------------- */

static hel_status read_schema(hel_importer *im, const hel_dataset *given, hel_text text)
{
	hel_status st = HEL_OK;
	json_error_t error;
	const char *foreign = hel_skip_mark(&text.at, &text.size);
	if (foreign)
		FAIL(HEL_EFORMAT, "schema: %s, expected UTF-8", foreign);
	im->schema_json = json_loadb(text.at, text.size, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(im->schema_json))
		FAIL(HEL_EFORMAT, "schema, line %d: %s", error.line,
		     im->schema_json ? "expected a JSON object" : error.text);
	TRY(hel_importer_dataset(im, given));
done:
	return st;
}

static void importer_free(hel_importer *im)
{
	if (!im)
		return;
	for (size_t i = 0; im->table && i < HEL_MAX_TABLES; i++)
		hel_table_clear(&im->table[i]);
	for (size_t i = 0; im->wide && i < HEL_MAX_TABLES; i++)
		hel_table_clear(&im->wide[i]);
	hel_tower_clear(&im->bottom);
	hel_tower_clear(&im->top);
	hel_tower_clear(&im->cross);
	hel_graph_free(im->b.g);
	hel_schema_free(im->schema);
	hel_dataset_drop(im->set);
	hel_checkpoint_clear(&im->file);
	json_decref(im->schema_json);
	hel_free(im->source);
	hel_free(im->table);
	hel_free(im->wide);
	hel_free(im->order);
	hel_free(im);
}

static hel_status importer_new(hel_importer **out, hel_import_report *report,
			       const hel_import_config *config, const hel_dataset *given,
			       hel_text schema, const uint8_t *weights, size_t size)
{
	hel_status st = HEL_OK;
	hel_importer *im = NULL;
	uint8_t hash[HEL_HASH_BYTES];
	TRY_ALLOC(im, hel_alloc(1, sizeof *im));
	im->report = report;
	im->config = *config;
	TRY_ALLOC(im->source, hel_alloc(HEL_MAX_NODES, sizeof *im->source));
	TRY_ALLOC(im->table, hel_alloc(HEL_MAX_TABLES, sizeof *im->table));
	TRY_ALLOC(im->wide, hel_alloc(HEL_MAX_TABLES, sizeof *im->wide));
	TRY_ALLOC(im->order, hel_alloc(HEL_MAX_TABLES, sizeof *im->order));
	TRY(read_schema(im, given, schema));
	TRY(hel_checkpoint_open(&im->file, weights, size,
				hel_import_said(&im->config, "state_dict")));
	hel_hash(hash, weights, size);
	memcpy(im->salt, hash, sizeof im->salt);
	*out = im;
	im = NULL;
done:
	importer_free(im);
	return st;
}

/* What a record says and the model does not read. */
static void tell_unread(hel_importer *im)
{
	size_t i = 0;
	while (i < im->b.g->nodes && im->b.g->node[i].kind != HEL_NODE_DENSE)
		i++;
	if (i == im->b.g->nodes && im->schema->dense_count)
		hel_importer_say(im, "the schema's %zu dense columns are not read by the model",
				 im->schema->dense_count);
}

/* Of models that no builder makes the graph says all; that of a chain describes itself. */
static hel_status make_model(hel_dlrm **out, hel_importer *im)
{
	hel_status st = HEL_OK;
	hel_dlrm_config c = hel_dlrm_config_default();
	c.architecture = HEL_ARCHITECTURE_GRAPH;
	c.activation = im->config.activation;
	c.clip = im->schema->clip;
	TRY(im->b.status);
	TRY(hel_graph_check(im->b.g));
	tell_unread(im);
	TRY(hel_dlrm_of_graph(out, &c, im->b.g, im->schema, HEL_MAX_PARAMETERS));
	im->b.g = NULL;
	im->schema = NULL;
	if ((*out)->chain.whole)
		(*out)->config.architecture = HEL_ARCHITECTURE_DLRM;
done:
	return st;
}

hel_status hel_import(hel_dlrm **out, hel_import_report *report, const hel_import_config *config,
		      const hel_dataset *set, hel_text schema, const uint8_t *weights, size_t size)
{
	hel_status st = HEL_OK;
	hel_importer *im = NULL;
	hel_dlrm *m = NULL;
	const hel_form *form;
	*report = (hel_import_report){0};
	TRY(importer_new(&im, report, config, set, schema, weights, size));
	TRY(recognise(&form, im));
	TRY(check_kinds(im));
	TRY(hel_importer_take_polynomials(im));
	TRY(check_parts(im, form));
	TRY(check_layers(im));
	TRY(form->import(im));
	TRY(im->b.status);
	TRY(hel_importer_count_polynomials(im));
	TRY(check_all_taken(im, form));
	TRY(make_model(&m, im));
	im->schema = m->schema; /* rows are numbered by it */
	st = fill(m, im);
	im->schema = NULL;
	TRY(st);
	TRY(hel_importer_polynomials(m, im));
	TRY(check_sane(m));
	*out = m;
	m = NULL;
done:
	importer_free(im);
	hel_dlrm_free(m);
	return st;
}
