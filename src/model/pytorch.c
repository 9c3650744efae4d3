/* Models trained elsewhere (facebookresearch/dlrm in PyTorch): weights in safetensors, and a schema
 * that says which value every row of a table belongs to. */
#include "pytorch.h"
#include "features/cells.h"
#include "features/hash.h"
#include "safetensors.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_MOST 1e6F /* beyond, a file is damaged or its bytes are swapped */
#define LOGIT_MOST 1e9	 /* no programs hold more */
#define TRIED_RECORDS 64

/* A layer as it will be: read, and multiplied out with those that follow it without an activation.
 */
typedef struct layer {
	size_t rows, columns;
	float *weight, *bias;
} layer;

/* Which layers of a tower there are: numbers in nn.Sequential, ascending. */
typedef struct tower_layers {
	unsigned number[HEL_MAX_LAYERS];
	layer layer[HEL_MAX_LAYERS];
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
	else if (strstr(name, "running_") || strstr(name, "num_batches"))
		why = "a normalisation is not; fold it into the layer before";
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

/* A bias belongs to a weight. */
static hel_status check_bias(const importer *im, const char *name)
{
	char weight[HEL_NAME_MAX];
	snprintf(weight, sizeof weight, "%.*sweight", (int)(strlen(name) - strlen("bias")), name);
	return json_object_get(im->file.header, weight)
		   ? HEL_OK
		   : hel_fail(HEL_EFORMAT, "tensor '%.60s' has no '%.60s'", name, weight);
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
		if (strcmp(name, "__metadata__") == 0)
			continue;
		if (number_in(name, "bot_l", "bias") >= 0 ||
		    number_in(name, "top_l", "bias") >= 0) {
			TRY(check_bias(im, name));
			continue;
		}
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

static void layer_clear(layer *l)
{
	hel_free(l->weight);
	hel_free(l->bias);
	*l = (layer){0};
}

/* A bias that is not there is 0. */
static hel_status read_layer(layer *l, importer *im, const char *tower, unsigned number)
{
	hel_status st = HEL_OK;
	char name[HEL_NAME_MAX];
	hel_stored_tensor weight, bias;
	snprintf(name, sizeof name, "%s.%u.weight", tower, number);
	TRY(hel_safetensors_find(&weight, &im->file, name));
	if (weight.dimensions != 2)
		FAIL(
		    HEL_EUNSUPPORTED,
		    "'%s' is a vector: a normalisation or an activation with weights, which is not "
		    "supported; fold it into the layer before",
		    name);
	*l = (layer){.rows = weight.rows, .columns = weight.columns};
	TRY_ALLOC(l->weight, hel_alloc(l->rows * l->columns, sizeof(float)));
	TRY_ALLOC(l->bias, hel_alloc(l->rows, sizeof(float)));
	TRY(hel_stored_tensor_read(l->weight, &weight, 0, l->rows * l->columns, name));
	snprintf(name, sizeof name, "%s.%u.bias", tower, number);
	if (!json_object_get(im->file.header, name)) {
		im->report->no_bias++;
		goto done;
	}
	TRY(hel_safetensors_find(&bias, &im->file, name));
	if (bias.rows != l->rows || bias.columns != 1 || bias.dimensions != 1)
		FAIL(HEL_EFORMAT, "'%s' does not have %zu entries", name, l->rows);
	TRY(hel_stored_tensor_read(l->bias, &bias, 0, l->rows, name));
done:
	return st;
}

/* b after a, with nothing between them: one layer, b (a x + c) + d, in double precision. */
static hel_status multiply_out(layer *a, layer *b)
{
	hel_status st = HEL_OK;
	layer out = {.rows = b->rows, .columns = a->columns};
	double *sum = NULL;
	TRY_ALLOC(sum, hel_alloc(out.columns, sizeof *sum));
	TRY_ALLOC(out.weight, hel_alloc(out.rows * out.columns, sizeof(float)));
	TRY_ALLOC(out.bias, hel_alloc(out.rows, sizeof(float)));
	for (size_t r = 0; r < out.rows; r++) {
		double bias = (double)b->bias[r];
		memset(sum, 0, out.columns * sizeof *sum);
		for (size_t k = 0; k < a->rows; k++) {
			const double w = (double)b->weight[r * b->columns + k];
			bias += w * (double)a->bias[k];
			for (size_t c = 0; c < out.columns; c++)
				sum[c] += w * (double)a->weight[k * a->columns + c];
		}
		out.bias[r] = (float)bias;
		for (size_t c = 0; c < out.columns; c++)
			out.weight[r * out.columns + c] = (float)sum[c];
	}
	layer_clear(a);
	layer_clear(b);
	*a = out;
	out = (layer){0};
done:
	hel_free(sum);
	layer_clear(&out);
	return st;
}

static hel_status read_tower(importer *im, tower_layers *t, const char *tower)
{
	hel_status st = HEL_OK;
	size_t kept = 0;
	for (size_t i = 0; i < t->count; i++) {
		layer *l = &t->layer[i];
		TRY(read_layer(l, im, tower, t->number[i]));
		if (i && l->columns != t->layer[kept - 1].rows)
			FAIL(HEL_EFORMAT, "%s.%u takes %zu inputs, the layer before gives %zu",
			     tower, t->number[i], l->columns, t->layer[kept - 1].rows);
		if (i && t->number[i] == t->number[i - 1] + 1) {
			TRY(multiply_out(&t->layer[kept - 1], l));
			im->report->multiplied_out++;
		} else if (kept++ < i) {
			t->layer[kept - 1] = *l;
			*l = (layer){0};
		}
	}
	t->count = kept;
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
	TRY(read_tower(im, &im->bottom, "bot_l"));
	TRY(read_tower(im, &im->top, "top_l"));
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
	if (im->bottom.count && im->bottom.layer[0].columns != dense)
		FAIL(HEL_EFORMAT, "bot_l.%u takes %zu inputs, the schema has %zu dense columns",
		     im->bottom.number[0], im->bottom.layer[0].columns, dense);
	const size_t dim = tables ? im->table[0].columns : 1,
		     bottom =
			 im->bottom.count ? im->bottom.layer[im->bottom.count - 1].rows : dense,
		     takes = im->top.layer[0].columns, cat = bottom + tables * dim,
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
		    is_top ? im->top.layer[i - im->bottom.count].rows : im->bottom.layer[i].rows;
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

/* Every row has one value: a text, which becomes what a record's cell becomes, "" for missing, null
 * for all that are not listed. */
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
		if (!json_is_null(value) && !text)
			return hel_fail(HEL_EFORMAT,
					"schema: value %zu of %s is neither null nor a text", i,
					name);
		if (text) {
			char canonical[HEL_VALUE_MAX], reason[HEL_REASON_MAX];
			if (!hel_cell_category(canonical, im->set, name,
					       hel_cell_of(text, strlen(text)), reason))
				return hel_fail(
				    HEL_EFORMAT,
				    "schema: value %zu, '%.20s', can be in no record: %s", i, text,
				    reason);
			json_string_set((json_t *)value, canonical);
			empty += !*canonical;
		}
		null += json_is_null(value);
	}
	if (null > 1 || empty > 1)
		return hel_fail(HEL_EFORMAT, "schema: %s lists %s twice", name,
				null > 1 ? "null" : "the missing value");
	return HEL_OK;
}

/* Texts that are in no other row. */
static hel_status check_distinct(const json_t *values, const char *name)
{
	hel_status st = HEL_OK;
	json_t *seen = json_object(), *value;
	size_t i;
	json_array_foreach((json_t *)values, i, value)
	{
		const char *text = json_string_value(value);
		if (!text || !*text)
			continue;
		if (json_object_get(seen, text))
			FAIL(HEL_EFORMAT, "schema: %s lists '%s' twice", name, text);
		json_object_set_new_nocheck(seen, text, json_true());
	}
done:
	json_decref(seen);
	return st;
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
	TRY(check_distinct(values, t->name));
	qsort(t->value, t->values, sizeof *t->value, compare_values);
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
	TRY(check_distinct(values, s->table[table].name));
	TRY(hel_table_know(s, table, hash, count, true));
	im->report->collisions += count - s->table[table].values;
done:
	hel_free(hash);
	return st;
}

static hel_status check_keys(const json_t *object, const char *where, const char *const *known)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)object, key, value)
	{
		size_t k = 0;
		while (known[k] && strcmp(known[k], key) != 0)
			k++;
		if (!known[k])
			return hel_fail(HEL_EFORMAT, "schema: unknown key '%.40s' in %s", key,
					where);
	}
	return HEL_OK;
}

static hel_status check_all_keys(const json_t *schema)
{
	static const char *const root[] = {"dataset", "clip", "dense", "tables", NULL},
				 *const dense[] = {"name", "mean", "deviation", NULL},
				 *const table[] = {"name", "values", NULL};
	hel_status st = HEL_OK;
	const json_t *o;
	size_t i;
	TRY(check_keys(schema, "the schema", root));
	json_array_foreach(json_object_get(schema, "dense"), i, o)
	    TRY(check_keys(o, "a dense column", dense));
	json_array_foreach(json_object_get(schema, "tables"), i, o)
	    TRY(check_keys(o, "a table", table));
done:
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
	TRY(check_all_keys(im->schema));
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
		if (!json_is_number(mean) || !json_is_number(deviation) ||
		    !hel_dense_is_plausible(f))
			FAIL(HEL_EFORMAT,
			     "schema: %s needs numbers 'mean' (at most 1e15) and 'deviation' (1e-9 "
			     "to "
			     "1e15): 0 and 1 when the model takes values as they are",
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

static void copy_tower(const importer *im, hel_dlrm *m, bool is_top)
{
	const tower_layers *t = is_top ? &im->top : &im->bottom;
	for (size_t i = 0; i < t->count; i++)
		for (int bias = 0; bias < 2; bias++) {
			const hel_tensor *x =
			    is_top ? hel_dlrm_top(m, i, bias) : hel_dlrm_bottom(m, i, bias);
			memcpy(m->parameter + x->offset,
			       bias ? t->layer[i].bias : t->layer[i].weight,
			       x->rows * x->columns * sizeof(float));
		}
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
			if (fabsf(m->parameter[t->offset + k]) > WEIGHT_MOST)
				FAIL(HEL_EFORMAT,
				     "weights: '%s' holds %g; are the bytes in another order?",
				     t->name, (double)m->parameter[t->offset + k]);
	}
	TRY_ALLOC(dense, hel_alloc(m->schema->dense_count, sizeof *dense));
	TRY_ALLOC(hots, hel_alloc(hel_schema_hots(m->schema), sizeof *hots));
	hel_prng_init(&g, seed, 0);
	for (size_t i = 0; i < TRIED_RECORDS; i++) {
		hel_schema_random(m->schema, &g, dense, hots);
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
	if (!hel_skip_mark(&schema, &schema_size))
		FAIL(HEL_EFORMAT, "schema: UTF-16, expected UTF-8");
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
	copy_tower(im, m, false);
	copy_tower(im, m, true);
	for (size_t t = 0; t < im->tables; t++)
		TRY(copy_table(im, m, t));
	TRY(check_sane(m));
	*out = m;
	m = NULL;
done:
	if (im) {
		for (size_t i = 0; i < HEL_MAX_LAYERS; i++) {
			layer_clear(&im->bottom.layer[i]);
			layer_clear(&im->top.layer[i]);
		}
		hel_safetensors_close(&im->file);
		json_decref(im->schema);
	}
	hel_free(im);
	hel_schema_free(s);
	hel_dlrm_free(m);
	return st;
}
