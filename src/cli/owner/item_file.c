#include "item_file.h"
#include "features/cells.h"
#include <stdlib.h>
#include <string.h>

#define ITEMS_MAX ((size_t)8 << 30) /* bytes of a file */

static bool is_word(const char *name, const char *word, size_t size)
{
	return strlen(name) == size && memcmp(name, word, size) == 0;
}

/* --- files of items ------------------------------------------------------------------------------
 */

typedef struct header {
	char *line; /* a copy, that cells point into */
	hel_cell cell[HEL_MAX_COLUMNS];
	size_t count, id; /* id: the cell that names ids */
	char separator;
} header;

static size_t cell_named(const header *h, const char *name)
{
	size_t i = 0;
	while (i < h->count && !is_word(name, h->cell[i].at, h->cell[i].size))
		i++;
	return i;
}

/* The column of --id; or "id", "item_id", "item"; or the first. */
static hel_status find_id(header *h, const hel_args *args)
{
	static const char *const usual[] = {"id", "item_id", "item"};
	const char *given = hel_arg(args, "id");
	if (given) {
		h->id = cell_named(h, given);
		return h->id < h->count
			   ? HEL_OK
			   : hel_fail(HEL_EINVAL, "--id %.60s: %.200s has no such column", given,
				      hel_arg(args, "items"));
	}
	for (size_t k = 0; k < HEL_ARRAY_LEN(usual); k++)
		if ((h->id = cell_named(h, usual[k])) < h->count)
			return HEL_OK;
	h->id = 0;
	return HEL_OK;
}

static hel_status read_header(header *h, const hel_args *args, const hel_schema *s,
			      const char *text, size_t size)
{
	hel_status st = HEL_OK;
	char reason[HEL_REASON_MAX];
	const char *path = hel_arg(args, "items"), *mark = hel_skip_mark(&text, &size);
	const size_t length = strcspn(text, "\n");
	if (mark)
		FAIL(HEL_EDATA, "%s: %s is not read: expected UTF-8", path, mark);
	TRY_ALLOC(h->line, hel_alloc(length + 1, 1));
	memcpy(h->line, text, length);
	h->separator = s->set->separator;
	if (!strchr(h->line, h->separator) && strchr(h->line, ','))
		h->separator = ',';
	if (!hel_split_line(h->cell, &h->count, h->line, h->line + length, h->separator, reason))
		FAIL(HEL_EDATA, "%s:1: %s", path, reason);
	bool known = false;
	for (size_t i = 0; i < s->set->columns; i++)
		known |= cell_named(h, s->set->column[i].name) < h->count;
	if (!known)
		FAIL(HEL_EDATA, "%s:1: no column that the model knows: expected a header", path);
	TRY(find_id(h, args));
done:
	return st;
}

/* Public columns as the model describes them, others as ignored ones. */
static hel_status dataset_of(const hel_dataset **out, const header *h, const hel_schema *s)
{
	hel_status st = HEL_OK;
	hel_dataset *set = NULL;
	char *text = NULL, *more = NULL, name[HEL_NAME_MAX];
	json_t *root = NULL;
	TRY(hel_dataset_to_json(&text, s->set));
	TRY_ALLOC(root, json_loads(text, 0, NULL));
	json_t *columns = json_object_get(root, "columns");
	json_object_set_new(root, "separator", json_string((char[]){h->separator, 0}));
	for (size_t i = 0; i < h->count; i++) {
		const hel_cell c = h->cell[i];
		if (!c.size || c.size >= sizeof name)
			FAIL(HEL_EDATA, "column %zu has a name of %zu bytes, expected 1 to %zu",
			     i + 1, c.size, sizeof name - 1);
		memcpy(name, c.at, c.size);
		name[c.size] = 0;
		if (!hel_dataset_column(s->set, name))
			json_array_append_new(
			    columns, json_pack("{s:s, s:s}", "name", name, "kind", "ignore"));
	}
	TRY_ALLOC(more, json_dumps(root, JSON_REAL_PRECISION(17)));
	TRY(hel_dataset_from_json(&set, more, strlen(more)));
	*out = set;
done:
	hel_free(text);
	free(more);
	json_decref(root);
	return st;
}

/* The ids as they stand, cut out of the text in place. */
static hel_status cut_ids(hel_item_file *f, const header *h, const hel_args *args, size_t size,
			  size_t rows)
{
	hel_status st = HEL_OK;
	char reason[HEL_REASON_MAX];
	hel_cell *cell = NULL;
	size_t count, row = 0, line = 0;
	const char *text = f->text;
	size_t left = size;
	hel_skip_mark(&text, &left);
	TRY_ALLOC(cell, hel_alloc(HEL_MAX_COLUMNS, sizeof *cell));
	TRY_ALLOC(f->id, hel_alloc(rows + 1, sizeof *f->id));
	for (char *next, *at = f->text + (text - f->text), *end = f->text + size; at < end;
	     at = next) {
		char *newline = memchr(at, '\n', (size_t)(end - at)),
		     *stop = newline ? newline : end;
		next = newline ? newline + 1 : end;
		line++;
		if (hel_line_is_blank(at, stop, h->separator))
			continue;
		if (!hel_split_line(cell, &count, at, stop, h->separator, reason) ||
		    count <= h->id || row > rows)
			FAIL(HEL_EDATA, "%s:%zu: no id", hel_arg(args, "items"), line);
		if (row++) { /* the header comes first */
			char *id = f->text + (cell[h->id].at - f->text);
			id[cell[h->id].size] = 0;
			f->id[row - 2] = id;
			if (!*id)
				FAIL(HEL_EDATA, "%s:%zu: the item has no id",
				     hel_arg(args, "items"), line);
		}
	}
	if (row != rows + 1)
		FAIL(HEL_EDATA, "%s: %zu items, %zu ids", hel_arg(args, "items"), rows, row - 1);
done:
	hel_free(cell);
	return st;
}

hel_status hel_item_file_read(hel_item_file *out, const hel_args *args, const hel_dlrm *public)
{
	hel_status st = HEL_OK;
	hel_item_file f = {0};
	header *h = NULL;
	const hel_dataset *set = NULL;
	hel_records records = {0};
	uint8_t *bytes = NULL;
	size_t size;
	const char *path = hel_arg(args, "items");
	TRY(hel_input_read(path, ITEMS_MAX, &bytes, &size));
	f.text = (char *)bytes;
	TRY_ALLOC(h, hel_alloc(1, sizeof *h));
	TRY(read_header(h, args, public->schema, f.text, size));
	TRY(dataset_of(&set, h, public->schema));
	TRY(hel_records_parse(&records, set, path, f.text, size));
	if (!records.count)
		FAIL(HEL_EDATA, "%s: no items", path);
	TRY(hel_samples_new(&f.samples, public->schema, &records, NULL, records.count,
			    HEL_UNKNOWN_IS_MISSING));
	TRY(cut_ids(&f, h, args, size, records.count));
	*out = f;
	f = (hel_item_file){0};
done:
	hel_item_file_clear(&f);
	hel_records_clear(&records);
	hel_dataset_drop(set);
	if (h)
		hel_free(h->line);
	hel_free(h);
	return st;
}

void hel_item_file_clear(hel_item_file *f)
{
	hel_free(f->text);
	hel_free(f->id);
	hel_samples_clear(&f->samples);
	memset(f, 0, sizeof *f);
}
