/* Tables whose names say which column they are of, not in which order a model reads them. */
#include "importer.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* NAME of PREFIX NAME .weight: NAME has no dots. */
static size_t name_in(const char *tensor, const char *prefix)
{
	const size_t n = strlen(prefix);
	const char *dot = strncmp(tensor, prefix, n) == 0 ? strchr(tensor + n, '.') : NULL;
	return dot && dot > tensor + n && strcmp(dot, ".weight") == 0 ? (size_t)(dot - tensor) - n
								      : 0;
}

typedef struct found {
	char name[HEL_NAME_MAX];
	hel_stored *weight;
	long number; /* at the end of the name, -1: none */
} found;

static hel_status collect(found *out, size_t *count, const hel_checkpoint *c, const char *prefix)
{
	*count = 0;
	for (size_t i = 0; i < c->count; i++) {
		const char *tensor = c->tensor[i].name;
		const size_t size = name_in(tensor, prefix);
		if (!size)
			continue;
		if (*count == HEL_MAX_TABLES)
			return hel_fail(HEL_ELIMIT, "more than %d tables", HEL_MAX_TABLES);
		if (size >= HEL_NAME_MAX)
			return hel_fail(HEL_ELIMIT, "a table's name of more than %d bytes",
					HEL_NAME_MAX - 1);
		found *f = &out[(*count)++];
		snprintf(f->name, sizeof f->name, "%.*s", (int)size, tensor + strlen(prefix));
		f->weight = &c->tensor[i];
		const char *digits = f->name + size;
		while (digits > f->name && isdigit((unsigned char)digits[-1]))
			digits--;
		f->number = *digits && strlen(digits) < 9 ? strtol(digits, NULL, 10) : -1;
	}
	return HEL_OK;
}

static int by_number(const void *a, const void *b)
{
	const found *x = a, *y = b;
	return (x->number > y->number) - (x->number < y->number);
}

/* All names are one word and a number of their own. */
static bool are_numbered(const found *f, size_t count)
{
	const size_t stem = count ? strcspn(f->name, "0123456789") : 0;
	for (size_t i = 0; i < count; i++) {
		if (f[i].number < 0 || strncmp(f[i].name, f->name, stem) != 0 ||
		    strspn(f[i].name + stem, "0123456789") != strlen(f[i].name + stem))
			return false;
		for (size_t k = 0; k < i; k++)
			if (f[k].number == f[i].number)
				return false;
	}
	return true;
}

/* As safetensors' own writer leaves them, whatever order they had. */
static bool are_sorted(const found *f, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (strcmp(f[i - 1].name, f[i].name) > 0)
			return false;
	return true;
}

/* The configuration's "tables": every name once. */
static hel_status as_said(found *f, size_t count, const json_t *said)
{
	hel_status st = HEL_OK;
	if (json_array_size(said) != count)
		FAIL(HEL_EFORMAT, "import config: 'tables' lists %zu, the weights have %zu",
		     json_array_size(said), count);
	for (size_t i = 0; i < count; i++) {
		const char *name = json_string_value(json_array_get(said, i));
		size_t k = i;
		while (k < count && name && strcmp(f[k].name, name) != 0)
			k++;
		if (!name || k == count)
			FAIL(HEL_EFORMAT,
			     "import config: 'tables' lists '%.60s', which is no table of the "
			     "weights, or twice",
			     name ? name : "");
		const found t = f[i];
		f[i] = f[k];
		f[k] = t;
	}
done:
	return st;
}

/* The column of a table: of the same name, but for TorchRec's "t_". */
static size_t column_named(const hel_importer *im, const char *name)
{
	const hel_column *c = hel_dataset_column(im->set, name);
	if (!c && strncmp(name, "t_", 2) == 0)
		c = hel_dataset_column(im->set, name + 2);
	return c && c->kind == HEL_CATEGORICAL ? c->nth : SIZE_MAX;
}

static bool names_match(const hel_importer *im, const found *f, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (column_named(im, f[i].name) == SIZE_MAX)
			return false;
	return true;
}

static bool as_in_schema(const hel_importer *im, const found *f, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (column_named(im, f[i].name) != i)
			return false;
	return true;
}

static hel_status put_in_order(hel_importer *im, found *f, size_t count, bool matters)
{
	hel_status st = HEL_OK;
	const json_t *said = json_object_get(im->config.root, "tables");
	if (said) {
		TRY(as_said(f, count, said));
	} else if (count > 1 && are_sorted(f, count) && !im->file.ordered) {
		if (are_numbered(f, count))
			qsort(f, count, sizeof *f, by_number);
		else if (matters && !as_in_schema(im, f, count))
			FAIL(HEL_EUNSUPPORTED,
			     "the file has its tables in alphabetical order ('%s', '%s', ...), "
			     "which "
			     "need not be that in which the model reads them: --config must say "
			     "\"tables\": [names in the model's order]",
			     f[0].name, f[1].name);
		if (matters)
			hel_importer_say(im,
					 "tables in the order %s, %s, ... (assumed; --config says "
					 "otherwise)",
					 f[0].name, f[1].name);
	}
done:
	return st;
}

hel_status hel_importer_named_tables(hel_importer *im, const char *prefix, bool matters)
{
	hel_status st = HEL_OK;
	found *f = NULL;
	TRY_ALLOC(f, hel_alloc(HEL_MAX_TABLES, sizeof *f));
	TRY(collect(f, &im->tables, &im->file, prefix));
	TRY(put_in_order(im, f, im->tables, matters));
	const bool match = names_match(im, f, im->tables);
	for (size_t i = 0; i < im->tables; i++) {
		const size_t column = match ? column_named(im, f[i].name) : i;
		hel_foreign_table *t = &im->table[column];
		im->order[i] = (uint32_t)column;
		if (t->first)
			FAIL(HEL_EFORMAT, "the tables '%s' and '%s' are of one column", t->name,
			     f[i].name);
		TRY(hel_table_full(t, f[i].weight, 0, f[i].weight->rows));
		snprintf(t->name, sizeof t->name, "%s", f[i].name);
	}
done:
	hel_free(f);
	return st;
}
