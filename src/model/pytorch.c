/* Models trained elsewhere (facebookresearch/dlrm in PyTorch): weights in safetensors, and a schema
 * that says which value every row of a table belongs to. */
#include "pytorch.h"
#include "features/hash.h"
#include "safetensors.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Which layers of a tower there are: numbers in nn.Sequential, ascending. */
typedef struct tower_layers {
	unsigned number[HEL_MAX_LAYERS];
	hel_stored_tensor weight[HEL_MAX_LAYERS], bias[HEL_MAX_LAYERS];
	size_t count;
} tower_layers;

typedef struct importer {
	hel_safetensors file;
	tower_layers bottom, top;
	size_t tables;
	hel_stored_tensor table[HEL_MAX_TABLES];
	json_t *schema; /* as given */
	const hel_dataset *set;
	hel_import_report *report;
} importer;

/* --- tensors -------------------------------------------------------------------------- */

/* "prefix.NUMBER.suffix": the number, or -1. */
static long number_in(const char *name, const char *prefix, const char *suffix)
{
	const size_t n = strlen(prefix);
	if (strncmp(name, prefix, n) != 0 || name[n] != '.' || !isdigit((unsigned char)name[n + 1]))
		return -1;
	char *end;
	const long v = strtol(name + n + 1, &end, 10);
	return *end == '.' && strcmp(end + 1, suffix) == 0 && v < 100000 ? v : -1;
}

static hel_status unknown_tensor(const char *name)
{
	const char *why = "only bot_l, emb_l and top_l with weight and bias are";
	if (strstr(name, "weight_q") || strstr(name, "weight_r"))
		why = "quotient-remainder tables are not; train full ones";
	else if (strstr(name, "embs") || strstr(name, "proj"))
		why = "tables of mixed dimensions are not; train all with one dimension";
	else if (strncmp(name, "v_W_l", 5) == 0)
		why = "weighted pooling is not; train without it";
	return hel_fail(HEL_EUNSUPPORTED, "tensor '%.60s' is not supported: %s", name, why);
}

static hel_status note_layer(tower_layers *t, long number, const char *name)
{
	size_t at = 0;
	if (t->count == HEL_MAX_LAYERS)
		return hel_fail(HEL_ELIMIT, "'%.60s': at most %d layers per tower are supported",
				name, HEL_MAX_LAYERS);
	while (at < t->count && t->number[at] < (unsigned)number)
		at++;
	memmove(t->number + at + 1, t->number + at, (t->count - at) * sizeof *t->number);
	t->number[at] = (unsigned)number;
	t->count++;
	return HEL_OK;
}

static hel_status find_tensors(importer *im)
{
	hel_status st = HEL_OK;
	const char *name;
	json_t *value;
	json_object_foreach(im->file.header, name, value)
	{
		const long bottom = number_in(name, "bot_l", "weight"),
			   top = number_in(name, "top_l", "weight"),
			   table = number_in(name, "emb_l", "weight");
		if (strcmp(name, "__metadata__") == 0 || number_in(name, "bot_l", "bias") >= 0 ||
		    number_in(name, "top_l", "bias") >= 0)
			continue;
		if (bottom >= 0)
			TRY(note_layer(&im->bottom, bottom, name));
		else if (top >= 0)
			TRY(note_layer(&im->top, top, name));
		else if (table >= 0 && table < HEL_MAX_TABLES)
			im->tables = HEL_MAX(im->tables, (size_t)table + 1);
		else
			TRY(unknown_tensor(name));
	}
done:
	return st;
}

static hel_status find_tower(importer *im, tower_layers *t, const char *tower)
{
	hel_status st = HEL_OK;
	char name[HEL_NAME_MAX];
	for (size_t i = 0; i < t->count; i++) {
		snprintf(name, sizeof name, "%s.%u.weight", tower, t->number[i]);
		TRY(hel_safetensors_find(&t->weight[i], &im->file, name));
		snprintf(name, sizeof name, "%s.%u.bias", tower, t->number[i]);
		TRY(hel_safetensors_find(&t->bias[i], &im->file, name));
		if (t->bias[i].rows != t->weight[i].rows || t->bias[i].columns != 1)
			FAIL(HEL_EFORMAT, "'%s' does not have %zu entries", name,
			     t->weight[i].rows);
		if (i && t->weight[i].columns != t->weight[i - 1].rows)
			FAIL(HEL_EFORMAT, "%s.%u takes %zu inputs, the layer before gives %zu",
			     tower, t->number[i], t->weight[i].columns, t->weight[i - 1].rows);
	}
done:
	return st;
}

/* Widths from shapes; what they mean is checked against the schema's columns. */
static hel_status take_shapes(importer *im, hel_dlrm_config *c, size_t dense, size_t tables)
{
	hel_status st = HEL_OK;
	char name[HEL_NAME_MAX];
	if (!im->top.count)
		FAIL(HEL_EFORMAT, "weights: no layer 'top_l.N.weight'");
	TRY(find_tower(im, &im->bottom, "bot_l"));
	TRY(find_tower(im, &im->top, "top_l"));
	for (size_t i = 0; i < im->tables; i++) {
		snprintf(name, sizeof name, "emb_l.%zu.weight", i);
		TRY(hel_safetensors_find(&im->table[i], &im->file, name));
		if (im->table[i].columns != im->table[0].columns)
			FAIL(HEL_EUNSUPPORTED,
			     "'%s' has dimension %zu, the first table %zu: one dimension for all "
			     "is supported",
			     name, im->table[i].columns, im->table[0].columns);
	}
	if (im->tables != tables)
		FAIL(HEL_EFORMAT, "the weights have %zu tables, the schema %zu", im->tables,
		     tables);
	if (im->bottom.count && im->bottom.weight[0].columns != dense)
		FAIL(HEL_EFORMAT, "bot_l.%u takes %zu inputs, the schema has %zu dense columns",
		     im->bottom.number[0], im->bottom.weight[0].columns, dense);
	const size_t dim = tables ? im->table[0].columns : 1,
		     bottom =
			 im->bottom.count ? im->bottom.weight[im->bottom.count - 1].rows : dense,
		     takes = im->top.weight[0].columns, cat = bottom + tables * dim,
		     pairs = tables * (tables + 1) / 2;
	if (takes != cat && (takes == bottom + pairs || takes == bottom + pairs + tables + 1))
		FAIL(HEL_EUNSUPPORTED,
		     "top_l.%u takes %zu inputs: the 'dot' interaction, which is not supported; "
		     "train with --arch-interaction-op=cat (%zu inputs)",
		     im->top.number[0], takes, cat);
	if (takes != cat)
		FAIL(HEL_EFORMAT, "top_l.%u takes %zu inputs, concatenation gives %zu",
		     im->top.number[0], takes, cat);
	if (dim > 4096)
		FAIL(HEL_ELIMIT, "tables of dimension %zu, at most 4096 are supported", dim);
	c->embedding_dim = (uint32_t)dim;
	c->bottom_layers = im->bottom.count;
	c->top_layers = im->top.count;
	for (size_t i = 0; i < im->bottom.count + im->top.count; i++) {
		const bool is_top = i >= im->bottom.count;
		const size_t rows =
		    is_top ? im->top.weight[i - im->bottom.count].rows : im->bottom.weight[i].rows;
		if (rows > HEL_MAX_WIDTH)
			FAIL(HEL_ELIMIT, "a layer of %zu outputs, at most %d are supported", rows,
			     HEL_MAX_WIDTH);
		if (is_top)
			c->top[i - im->bottom.count] = (uint32_t)rows;
		else
			c->bottom[i] = (uint32_t)rows;
	}
done:
	return st;
}

/* --- the schema ------------------------------------------------------------------------- */

static const json_t *values_of(const importer *im, size_t table)
{
	return json_object_get(json_array_get(json_object_get(im->schema, "tables"), table),
			       "values");
}

/* Every row has one value: a text, "" for missing, null for all that are not listed. */
static hel_status check_values(const importer *im, size_t table, const char *name)
{
	const json_t *values = values_of(im, table), *value;
	size_t i, empty = 0, null = 0;
	const size_t rows = im->table[table].rows;
	if (!json_is_array(values) || json_array_size(values) != rows)
		return hel_fail(
		    HEL_EFORMAT,
		    "schema: 'values' of %s must list the %zu rows of emb_l.%zu, it has "
		    "%zu entries",
		    name, rows, table, json_array_size(values));
	json_array_foreach((json_t *)values, i, value)
	{
		const char *text = json_string_value(value);
		if (!json_is_null(value) &&
		    (!text || strlen(text) >= HEL_VALUE_MAX || !hel_is_text(text)))
			return hel_fail(HEL_EFORMAT,
					"schema: value %zu of %s is neither null nor a text of at "
					"most %d bytes",
					i, name, HEL_VALUE_MAX - 1);
		null += json_is_null(value);
		empty += text && !*text;
	}
	if (null > 1 || empty > 1)
		return hel_fail(HEL_EFORMAT, "schema: %s lists '%s' twice", name,
				null > 1 ? "null" : "");
	return HEL_OK;
}

static int compare_values(const void *a, const void *b)
{
	return strcmp(a, b);
}

static hel_status text_vocabulary(const importer *im, hel_table_field *t, size_t table)
{
	hel_status st = HEL_OK;
	const json_t *values = values_of(im, table), *value;
	size_t i;
	TRY_ALLOC(t->value, hel_alloc(json_array_size(values), sizeof *t->value));
	json_array_foreach((json_t *)values, i, value)
	{
		const char *text = json_string_value(value);
		if (text && *text)
			snprintf(t->value[t->values++], HEL_VALUE_MAX, "%s", text);
	}
	qsort(t->value, t->values, sizeof *t->value, compare_values);
	for (uint32_t k = 1; k < t->values; k++)
		if (strcmp(t->value[k - 1], t->value[k]) == 0)
			FAIL(HEL_EFORMAT, "schema: %s lists '%s' twice", t->name, t->value[k]);
	t->digits = 1;
done:
	return st;
}

static hel_status hashed_vocabulary(const importer *im, hel_schema *s, size_t table)
{
	hel_status st = HEL_OK;
	uint32_t *hash = NULL, count = 0;
	const json_t *values = values_of(im, table), *value;
	size_t i;
	TRY_ALLOC(hash, hel_alloc(json_array_size(values), sizeof *hash));
	json_array_foreach((json_t *)values, i, value)
	{
		const char *text = json_string_value(value);
		if (text && *text)
			hash[count++] = hel_value_hash(text, strlen(text));
	}
	s->table[table].digits = 1;
	TRY(hel_table_know(s, table, hash, count, true));
	im->report->collisions += count - s->table[table].values;
done:
	hel_free(hash);
	return st;
}

static hel_status make_schema(importer *im, hel_schema **out, const uint8_t *weights, size_t size)
{
	hel_status st = HEL_OK;
	hel_schema *s = NULL;
	const json_t *dense = json_object_get(im->schema, "dense"),
		     *tables = json_object_get(im->schema, "tables");
	uint8_t hash[HEL_HASH_BYTES];
	size_t d = 0, t = 0;
	TRY(hel_schema_new(&s, json_array_size(dense), json_array_size(tables)));
	snprintf(s->dataset, sizeof s->dataset, "%s", im->set->name);
	const json_t *clip = json_object_get(im->schema, "clip");
	s->clip = json_number_value(clip);
	if (!json_is_number(clip) || !(s->clip > 0 && s->clip <= 1000))
		FAIL(HEL_EFORMAT,
		     "schema: 'clip' must be a number above 0 and up to 1000: the range "
		     "of standardised values that clients send");
	for (size_t i = 0; i < im->set->columns; i++) {
		const hel_column *c = &im->set->column[i];
		const json_t *o = json_array_get(c->kind == HEL_DENSE ? dense : tables,
						 c->kind == HEL_DENSE ? d : t);
		const char *name = json_string_value(json_object_get(o, "name"));
		if (c->kind == HEL_LABEL)
			continue;
		if (!name || strcmp(name, c->name) != 0)
			FAIL(HEL_EFORMAT, "schema: %s column %zu is '%.40s', expected '%s'",
			     c->kind == HEL_DENSE ? "dense" : "table", c->kind == HEL_DENSE ? d : t,
			     name ? name : "?", c->name);
		if (c->kind == HEL_CATEGORICAL) {
			snprintf(s->table[t].name, HEL_NAME_MAX, "%s", name);
			t++;
			continue;
		}
		hel_dense_field *f = &s->dense[d++];
		const json_t *mean = json_object_get(o, "mean"),
			     *deviation = json_object_get(o, "deviation");
		snprintf(f->name, sizeof f->name, "%s", name);
		f->mean = json_number_value(mean);
		f->deviation = json_number_value(deviation);
		if (!json_is_number(mean) || !json_is_number(deviation) || !(f->deviation > 0))
			FAIL(
			    HEL_EFORMAT,
			    "schema: %s needs numbers 'mean' and 'deviation' > 0 (0 and 1 when the "
			    "model takes values as they are)",
			    name);
	}
	if (d != s->dense_count || t != s->table_count)
		FAIL(HEL_EFORMAT, "schema: %zu dense columns and %zu tables, '%s' has %zu and %zu",
		     s->dense_count, s->table_count, im->set->name, d, t);
	hel_hash(hash, weights, size);
	memcpy(s->salt, hash, sizeof s->salt);
	*out = s;
	s = NULL;
done:
	hel_schema_free(s);
	return st;
}

static hel_status fill_vocabularies(importer *im, hel_schema *s)
{
	hel_status st = HEL_OK;
	for (size_t t = 0; t < s->table_count; t++) {
		TRY(check_values(im, t, s->table[t].name));
		TRY(im->set->hashed ? hashed_vocabulary(im, s, t)
				    : text_vocabulary(im, &s->table[t], t));
	}
done:
	return st;
}

/* --- weights ----------------------------------------------------------------------------- */

static hel_status copy_tower(const importer *im, hel_dlrm *m, bool is_top)
{
	hel_status st = HEL_OK;
	const tower_layers *t = is_top ? &im->top : &im->bottom;
	for (size_t i = 0; i < t->count; i++)
		for (int bias = 0; bias < 2; bias++) {
			const hel_tensor *x =
			    is_top ? hel_dlrm_top(m, i, bias) : hel_dlrm_bottom(m, i, bias);
			TRY(hel_stored_tensor_read(m->parameter + x->offset,
						   bias ? &t->bias[i] : &t->weight[i], 0,
						   x->rows * x->columns, x->name));
		}
done:
	return st;
}

/* Row of our table for a listed value; the first of two values that share one keeps it. */
static uint32_t row_of(const hel_schema *s, size_t table, const char *text)
{
	const hel_table_field *t = &s->table[table];
	uint32_t row;
	if (t->hashed) {
		hel_table_hots(&row, s, table, 0, hel_value_hash(text, strlen(text)));
		return row;
	}
	const char *found = bsearch(text, t->value, t->values, sizeof *t->value, compare_values);
	return 1 + (uint32_t)((found - *t->value) / HEL_VALUE_MAX);
}

/* Row 0 is the missing value's; hashed tables end in the row of all others. Where the model has no
 * row for either, the other one serves, and zero where it has neither. */
static hel_status copy_table(const importer *im, hel_dlrm *m, size_t table)
{
	hel_status st = HEL_OK;
	const json_t *values = values_of(im, table), *value;
	const hel_tensor *x = hel_dlrm_table(m, table);
	const size_t dim = x->columns;
	size_t i, missing = SIZE_MAX, other = SIZE_MAX;
	float *to = m->parameter + x->offset;
	uint8_t *seen = NULL;
	TRY_ALLOC(seen, hel_alloc(x->rows, 1));
	json_array_foreach((json_t *)values, i, value)
	{
		const char *text = json_string_value(value);
		if (!text)
			other = i;
		else if (!*text)
			missing = i;
		if (!text || !*text)
			continue;
		const uint32_t row = row_of(m->schema, table, text);
		if (!seen[row]++)
			TRY(hel_stored_tensor_read(to + row * dim, &im->table[table], i * dim, dim,
						   x->name));
	}
	const size_t first = missing == SIZE_MAX ? other : missing,
		     last = other == SIZE_MAX ? missing : other;
	if (first != SIZE_MAX)
		TRY(hel_stored_tensor_read(to, &im->table[table], first * dim, dim, x->name));
	if (last != SIZE_MAX && m->schema->table[table].hashed)
		TRY(hel_stored_tensor_read(to + (x->rows - 1) * dim, &im->table[table], last * dim,
					   dim, x->name));
	im->report->no_missing_row += first == SIZE_MAX;
done:
	hel_free(seen);
	return st;
}

hel_status hel_dlrm_import(hel_dlrm **out, hel_import_report *report, const hel_dlrm_config *config,
			   const char *schema, size_t schema_size, const uint8_t *weights,
			   size_t size)
{
	hel_status st = HEL_OK;
	importer *im = NULL;
	hel_schema *s = NULL;
	hel_dlrm *m = NULL;
	json_error_t error;
	hel_dlrm_config c = *config;
	*report = (hel_import_report){0};
	TRY_ALLOC(im, hel_alloc(1, sizeof *im));
	im->report = report;
	im->schema = json_loadb(schema, schema_size, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(im->schema))
		FAIL(HEL_EFORMAT, "schema, line %d: %s", error.line,
		     im->schema ? "expected a JSON object" : error.text);
	const char *name = json_string_value(json_object_get(im->schema, "dataset"));
	im->set = name ? hel_dataset_by_name(name) : NULL;
	if (!im->set)
		FAIL(HEL_EFORMAT, "schema: 'dataset' must be one of: %s", hel_dataset_names());
	TRY(hel_safetensors_open(&im->file, weights, size));
	TRY(find_tensors(im));
	TRY(make_schema(im, &s, weights, size));
	TRY(take_shapes(im, &c, s->dense_count, s->table_count));
	TRY(fill_vocabularies(im, s));
	c.clip = s->clip;
	c.plan = hel_embedding_plan_default();
	TRY(hel_dlrm_new_zero(&m, &c, s, HEL_MAX_PARAMETERS));
	s = NULL;
	TRY(copy_tower(im, m, false));
	TRY(copy_tower(im, m, true));
	for (size_t t = 0; t < im->tables; t++)
		TRY(copy_table(im, m, t));
	*out = m;
	m = NULL;
done:
	if (im) {
		hel_safetensors_close(&im->file);
		json_decref(im->schema);
	}
	hel_free(im);
	hel_schema_free(s);
	hel_dlrm_free(m);
	return st;
}
