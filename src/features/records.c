#include "records.h"
#include "base/json.h"
#include "cells.h"
#include <math.h>
#include <string.h>

#define MAX_FILE ((size_t)UINT32_MAX)

void hel_records_clear(hel_records *r)
{
	hel_free_secret(r->value, r->count * r->dense * sizeof *r->value);
	hel_free_secret(r->cell, r->count * r->tables * sizeof *r->cell);
	hel_free_secret(r->label, r->count);
	hel_free_secret(r->state, r->count);
	hel_free_secret(r->entry, r->entries * sizeof *r->entry);
	hel_free_secret(r->text, r->texts);
	memset(r, 0, sizeof *r);
}

/* A text with zeros behind it, up to the next multiple of 16 bytes. */
static void stamp_text(hel_writer *w, const char *text)
{
	const uint8_t zeros[16] = {0};
	const size_t size = strlen(text);
	hel_write_bytes(w, text, size);
	hel_write_bytes(w, zeros, 16 - size % 16);
}

void hel_records_stamp(uint8_t out[HEL_HASH_BYTES], const hel_records *r)
{
	uint8_t parts[3][HEL_HASH_BYTES];
	hel_writer w = {0};
	hel_hash(parts[0], r->value, r->count * r->dense * sizeof *r->value);
	for (size_t i = 0; i < r->count * r->tables; i++) {
		const hel_span s = r->cell[i];
		if (!s.count)
			stamp_text(&w, "");
		if (s.count > 1)
			hel_write_u64(&w, s.count);
		for (size_t k = s.first; k < s.first + s.count; k++) {
			stamp_text(&w, hel_records_text(r, k));
			if (r->entry[k].weight != 1)
				hel_write_f64(&w, r->entry[k].weight);
		}
	}
	hel_hash(parts[1], w.bytes, w.size);
	hel_hash(parts[2], r->label, r->count);
	hel_hash(out, parts, sizeof parts);
	if (w.bytes)
		hel_wipe(w.bytes, w.size);
	hel_writer_clear(&w);
}

/* --- a row ------------------------------------------------------------------------------- */

/* A row as it is read. */
typedef struct reading {
	hel_records *r;
	bool labelled;
	hel_status status; /* of memory */
} reading;

static hel_status regrow(void **array, size_t old, size_t new, size_t size)
{
	void *bigger = hel_alloc(new, size);
	if (!bigger)
		return hel_fail(HEL_ENOMEM, "out of memory for %zu records", new);
	if (old)
		memcpy(bigger, *array, old * size);
	hel_free_secret(*array, old * size);
	*array = bigger;
	return HEL_OK;
}

/* Room for one more of what fills up one by one: capacities are powers of two. */
static hel_status reserve(void **array, size_t used, size_t size)
{
	if (used && (used & (used - 1)))
		return HEL_OK;
	return regrow(array, used, used ? 2 * used : 1, size);
}

/* The same for `more` bytes. */
static hel_status reserve_text(hel_records *r, size_t more)
{
	size_t room = r->texts ? (size_t)1 << hel_log2_ceil(r->texts) : 0, need = r->texts + more;
	void *text = r->text;
	if (need <= room)
		return HEL_OK;
	const hel_status st = regrow(&text, r->texts, (size_t)1 << hel_log2_ceil(need), 1);
	r->text = text;
	return st;
}

static hel_status records_reserve(hel_records *r)
{
	hel_status st = HEL_OK;
	void *value = r->value, *cell = r->cell, *label = r->label, *state = r->state;
	TRY(reserve(&value, r->count, r->dense * sizeof *r->value));
	r->value = value;
	TRY(reserve(&cell, r->count, r->tables * sizeof *r->cell));
	r->cell = cell;
	TRY(reserve(&label, r->count, 1));
	r->label = label;
	TRY(reserve(&state, r->count, 1));
	r->state = state;
done:
	return st;
}

static hel_status add_entry(hel_records *r, hel_span *cell, const char *text, size_t size,
			    double weight)
{
	hel_status st = HEL_OK;
	void *entry = r->entry;
	TRY(reserve(&entry, r->entries, sizeof *r->entry));
	r->entry = entry;
	TRY(reserve_text(r, size + 1));
	if (!cell->count++)
		cell->first = r->entries;
	r->entry[r->entries++] = (hel_entry){r->texts, weight};
	memcpy(r->text + r->texts, text, size + 1);
	r->texts += size + 1;
done:
	return st;
}

static void take_dense(void *arg, const hel_column *c, double v)
{
	hel_records *r = ((reading *)arg)->r;
	r->value[r->count * r->dense + c->nth] = v;
}

static bool take_entry(void *arg, const hel_column *c, const char *text, size_t size, double weight,
		       char reason[HEL_REASON_MAX])
{
	reading *k = arg;
	hel_records *r = k->r;
	k->status = add_entry(r, &r->cell[r->count * r->tables + c->nth], text, size, weight);
	if (k->status != HEL_OK)
		snprintf(reason, HEL_REASON_MAX, "out of memory");
	return k->status == HEL_OK;
}

static void take_label(void *arg, uint8_t label)
{
	reading *k = arg;
	k->r->label[k->r->count] = label;
	k->labelled = true;
}

static void take_cut(void *arg, const hel_column *c)
{
	hel_records *r = ((reading *)arg)->r;
	(void)c;
	r->state[r->count] |= HEL_RECORD_CUT;
}

static hel_row_sink sink_of(reading *k)
{
	return (hel_row_sink){k, take_dense, take_entry, take_label, take_cut};
}

/* An empty row at the end. */
static hel_status begin_row(hel_records *r)
{
	hel_status st = HEL_OK;
	TRY(records_reserve(r));
	for (size_t i = 0; i < r->dense; i++)
		r->value[r->count * r->dense + i] = NAN;
	memset(r->cell + r->count * r->tables, 0, r->tables * sizeof *r->cell);
	r->label[r->count] = r->state[r->count] = 0;
done:
	return st;
}

/* --- a text ------------------------------------------------------------------------------ */

typedef struct parser {
	hel_records *r;
	const hel_dataset *set;
	const char *file;
	bool take; /* what is not as described is an unreadable record */
	hel_cell *cell;
	hel_row_form *form;
	char where[HEL_WHERE_MAX]; /* the row, for messages */
} parser;

/* The row that was begun cannot be read. */
static hel_status give_up(parser *p, const char *reason)
{
	hel_status st = HEL_OK;
	hel_records *r = p->r;
	if (!p->take)
		FAIL(HEL_EDATA, "%s: %s", p->where, reason);
	TRY(begin_row(r));
	if (!*r->unreadable)
		snprintf(r->unreadable, sizeof r->unreadable, "%.100s", reason);
	r->state[r->count++] = HEL_RECORD_UNREADABLE;
	r->labelled = false;
done:
	return st;
}

static hel_status end_row(parser *p, const reading *k, bool ok, const char *reason)
{
	hel_records *r = p->r;
	if (k->status != HEL_OK)
		return k->status;
	if (!ok)
		return give_up(p, reason);
	if (!k->labelled && r->labelled)
		memcpy(r->unlabelled, p->where, sizeof r->unlabelled);
	r->labelled &= k->labelled;
	r->count++;
	return HEL_OK;
}

static hel_status parse_object(parser *p, const hel_json_value *object)
{
	hel_status st = HEL_OK;
	char reason[HEL_REASON_MAX];
	reading k = {.r = p->r};
	const hel_row_sink sink = sink_of(&k);
	TRY(begin_row(p->r));
	TRY(end_row(p, &k, hel_read_object(&sink, p->set, object, reason), reason));
done:
	return st;
}

static hel_status parse_json(parser *p, const char *text, size_t size)
{
	hel_status st = HEL_OK;
	hel_json *json = NULL;
	size_t number = 0;
	st = hel_json_read(&json, text, size);
	if (st == HEL_EFORMAT && p->take) {
		TRY(give_up(p, hel_error_detail()));
		goto done;
	}
	if (st != HEL_OK)
		FAIL(st == HEL_EFORMAT ? HEL_EDATA : st, "%s, %s", p->file, hel_error_detail());
	const hel_json_value *root = hel_json_root(json);
	const hel_json_value *object = root->kind == HEL_JSON_ARRAY ? root->first : root;
	for (; object; object = object->next) {
		snprintf(p->where, sizeof p->where, "%.*s: record %zu", HEL_WHERE_MAX - 32, p->file,
			 ++number);
		TRY(parse_object(p, object));
	}
done:
	hel_json_free(json);
	return st;
}

/* The first row of a file decides what its cells are. *header: it is no record. */
static bool learn_form(parser *p, size_t count, bool *header, char reason[HEL_REASON_MAX])
{
	const bool ok = hel_row_form_of(p->form, p->set, p->cell, count, reason);
	*header = p->form->header;
	if (!ok && p->take) { /* of a record to take, what looks like a header is none */
		*header = false;
		p->form->set = NULL;
	}
	return ok;
}

static hel_status parse_row(parser *p, char *line, char *end)
{
	hel_status st = HEL_OK;
	char reason[HEL_REASON_MAX];
	size_t count;
	bool header = false;
	reading k = {.r = p->r};
	const hel_row_sink sink = sink_of(&k);
	const bool first = !p->form->set;
	bool ok =
	    hel_split_line(p->cell, &count, line, end, p->set->separator, reason) &&
	    (first ? learn_form(p, count, &header, reason) : hel_row_fits(p->form, count, reason));
	if (ok && header)
		goto done;
	TRY(begin_row(p->r));
	ok = ok && hel_read_cells(&sink, p->form, p->cell, reason);
	TRY(end_row(p, &k, ok, reason));
done:
	return st;
}

/* Lines of cells, or of JSON objects. */
static hel_status parse_lines(parser *p, char *text, size_t size, bool json)
{
	hel_status st = HEL_OK;
	size_t line = 0;
	hel_json *object = NULL;
	for (char *next, *at = text, *end = text + size; at < end; at = next) {
		char *newline = memchr(at, '\n', (size_t)(end - at)),
		     *stop = newline ? newline : end;
		next = newline ? newline + 1 : end;
		snprintf(p->where, sizeof p->where, "%.*s:%zu", HEL_WHERE_MAX - 24, p->file,
			 ++line);
		if (hel_line_is_blank(at, stop, p->set->separator))
			continue;
		if (!json) {
			TRY(parse_row(p, at, stop));
			continue;
		}
		st = hel_json_read(&object, at, (size_t)(stop - at));
		if (st == HEL_EFORMAT)
			TRY(give_up(p, "no JSON object"));
		else {
			TRY(st);
			TRY(parse_object(p, hel_json_root(object)));
		}
		hel_json_free(object);
		object = NULL;
	}
done:
	hel_json_free(object);
	return st;
}

/* The first line is a whole object, and there are more lines. */
static bool is_json_lines(const char *text, size_t size)
{
	hel_json *json = NULL;
	const char *end = memchr(text, '\n', size);
	if (!end || hel_line_is_blank(end + 1, text + size, 0))
		return false;
	const bool yes = hel_json_read(&json, text, (size_t)(end - text)) == HEL_OK;
	hel_json_free(json);
	return yes;
}

static hel_status parse(parser *p, const char *text, size_t size)
{
	hel_status st = HEL_OK;
	char *copy = NULL;
	const char *foreign = hel_skip_mark(&text, &size);
	if (foreign)
		FAIL(HEL_EDATA, "%s is %s, expected UTF-8", p->file, foreign);
	if (memchr(text, 0, size))
		FAIL(HEL_EDATA, "%s contains a zero byte: not a text file", p->file);
	TRY_ALLOC(copy, hel_alloc(size + 1, 1));
	memcpy(copy, text, size);
	TRY_ALLOC(p->cell, hel_alloc(HEL_MAX_COLUMNS, sizeof *p->cell));
	TRY_ALLOC(p->form, hel_alloc(1, sizeof *p->form));
	const size_t blank = strspn(copy, " \t\r\n");
	const char start = copy[blank];
	const bool lines = start == '{' && is_json_lines(copy + blank, size - blank);
	TRY((start == '{' || start == '[') && !lines ? parse_json(p, copy, size)
						     : parse_lines(p, copy, size, lines));
	if (!p->r->count && !p->take)
		FAIL(HEL_EDATA, "%s holds no record", p->file);
done:
	hel_free(p->form);
	hel_free(p->cell);
	hel_free_secret(copy, copy ? size : 0);
	return st;
}

hel_status hel_records_parse(hel_records *out, const hel_dataset *set, const char *name,
			     const char *text, size_t size)
{
	hel_records r = {.dense = set->dense, .tables = set->tables, .labelled = true};
	parser p = {.r = &r, .set = set, .file = name};
	const hel_status st = parse(&p, text, size);
	if (st == HEL_OK)
		*out = r;
	else
		hel_records_clear(&r);
	return st;
}

/* Records to stand in for what a text does not hold; a text of more has them itself. */
#define MOST_MISSING ((size_t)1 << 16)

hel_status hel_records_take(hel_records *out, const hel_dataset *set, const char *name,
			    const char *text, size_t size, size_t least)
{
	hel_status st = HEL_OK;
	hel_records r = {.dense = set->dense, .tables = set->tables, .labelled = true};
	parser p = {.r = &r, .set = set, .file = name, .take = true};
	if (least > HEL_MAX(size, MOST_MISSING))
		FAIL(HEL_EINVAL, "record %zu of %s, a text of %zu bytes", least, name, size);
	st = parse(&p, text, size);
	if (st != HEL_OK && st != HEL_EDATA)
		goto done;
	const bool no_text = st == HEL_EDATA;
	for (st = HEL_OK; r.count < least;)
		TRY(give_up(&p, no_text ? hel_error_detail() : "there is no such record"));
	*out = r;
	r = (hel_records){0};
done:
	hel_records_clear(&r);
	return st;
}

hel_status hel_records_count(size_t *out, const char *name, const char *text, size_t size)
{
	hel_status st = HEL_OK;
	hel_json *json = NULL;
	size_t count = 0, blank = 0;
	const char *foreign = hel_skip_mark(&text, &size);
	if (foreign)
		FAIL(HEL_EDATA, "%s is %s, expected UTF-8", name, foreign);
	if (memchr(text, 0, size))
		FAIL(HEL_EDATA, "%s contains a zero byte: not a text file", name);
	while (blank < size && strchr(" \t\r\n", text[blank]))
		blank++;
	const char start = blank < size ? text[blank] : 0;
	if ((start == '{' || start == '[') && !is_json_lines(text + blank, size - blank)) {
		st = hel_json_read(&json, text, size);
		if (st != HEL_OK)
			FAIL(st == HEL_EFORMAT ? HEL_EDATA : st, "%s, %s", name,
			     hel_error_detail());
		const hel_json_value *root = hel_json_root(json);
		count = root->kind == HEL_JSON_ARRAY ? root->count : 1;
	} else
		for (const char *p = text, *end = text + size, *next; p < end; p = next + 1) {
			next = memchr(p, '\n', (size_t)(end - p));
			next = next ? next : end;
			count += !hel_line_is_blank(p, next, 0);
		}
	if (!count)
		FAIL(HEL_EDATA, "%s holds no record", name);
	*out = count;
done:
	hel_json_free(json);
	return st;
}

static bool object_looks_like(const hel_dataset *set, const hel_json_value *v)
{
	for (v = v && v->kind == HEL_JSON_ARRAY ? v->first : v; v && v->kind == HEL_JSON_OBJECT;) {
		for (const hel_json_value *m = v->first; m; m = m->next)
			if (!hel_dataset_column(set, m->name))
				return false;
		return v->first != NULL;
	}
	return false;
}

static bool line_looks_like(const hel_dataset *set, const char *line, size_t size)
{
	char reason[HEL_REASON_MAX], *copy = hel_alloc(size + 1, 1);
	hel_cell *cell = hel_alloc(HEL_MAX_COLUMNS, sizeof *cell);
	hel_row_form *form = hel_alloc(1, sizeof *form);
	size_t count;
	bool yes = true; /* without memory, whoever asks fails soon enough */
	if (copy && cell && form) {
		memcpy(copy, line, size);
		yes = hel_split_line(cell, &count, copy, copy + size, set->separator, reason) &&
		      hel_row_form_of(form, set, cell, count, reason);
	}
	hel_free(form);
	hel_free(cell);
	hel_free_secret(copy, copy ? size : 0);
	return yes;
}

bool hel_records_look_like(const hel_dataset *set, const char *text, size_t size)
{
	hel_json *json = NULL;
	const char *end = text + size, *stop;
	if (hel_skip_mark(&text, &size))
		return false;
	while (text < end && strchr(" \t\r\n", *text) && *text != set->separator)
		text++;
	if (text == end)
		return false;
	stop = memchr(text, '\n', (size_t)(end - text));
	if (*text != '{' && *text != '[')
		return line_looks_like(set, text, (size_t)((stop ? stop : end) - text));
	if (is_json_lines(text, (size_t)(end - text)))
		end = stop;
	const bool yes = hel_json_read(&json, text, (size_t)(end - text)) == HEL_OK &&
			 object_looks_like(set, hel_json_root(json));
	hel_json_free(json);
	return yes;
}

/* --- files --------------------------------------------------------------------------------- */

/* Appends all rows of b to a. */
static hel_status append(hel_records *a, const hel_records *b)
{
	hel_status st = HEL_OK;
	for (size_t i = 0; i < b->count; i++, a->count++) {
		TRY(begin_row(a));
		memcpy(a->value + a->count * a->dense, b->value + i * b->dense,
		       b->dense * sizeof *b->value);
		for (size_t t = 0; t < b->tables; t++) {
			const hel_span s = hel_records_cell(b, i, t);
			for (size_t k = s.first; k < s.first + s.count; k++) {
				const char *text = hel_records_text(b, k);
				TRY(add_entry(a, &a->cell[a->count * a->tables + t], text,
					      strlen(text), b->entry[k].weight));
			}
		}
		a->label[a->count] = b->label[i];
		a->state[a->count] = b->state[i];
	}
	if (a->labelled && !b->labelled)
		memcpy(a->unlabelled, b->unlabelled, sizeof a->unlabelled);
	a->labelled &= b->labelled;
done:
	return st;
}

hel_status hel_records_read(hel_records *out, const hel_dataset *set, const char *const *paths,
			    size_t count)
{
	hel_status st = HEL_OK;
	hel_records all = {.dense = set->dense, .tables = set->tables, .labelled = true},
		    part = {0};
	uint8_t *bytes = NULL;
	size_t size = 0;
	for (size_t i = 0; i < count; i++) {
		TRY(hel_input_read(paths[i], MAX_FILE, &bytes, &size));
		if (size > 2 && bytes[0] == 0x1f && bytes[1] == 0x8b)
			FAIL(HEL_EFORMAT,
			     "%s is a gz file; unpack the rows that are wanted first: zcat "
			     "%s | head -n 1000 > rows.txt",
			     paths[i], paths[i]);
		TRY(hel_records_parse(&part, set, paths[i], (const char *)bytes, size));
		if (i) {
			TRY(append(&all, &part));
			hel_records_clear(&part);
		} else {
			all = part;
			part = (hel_records){0};
		}
		hel_free_secret(bytes, size);
		bytes = NULL;
	}
	*out = all;
	all = (hel_records){0};
done:
	hel_free_secret(bytes, bytes ? size : 0);
	hel_records_clear(&part);
	hel_records_clear(&all);
	return st;
}
