/* Published files as a stream: one task reads and inflates the next piece of text while the others
 * parse the lines of the present one. */
#include "scan.h"
#include "cells.h"
#include "hash.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define TEXT_BYTES ((size_t)4 << 20) /* of one piece of text */
#define PARTS 16		     /* tasks a piece is parsed in */
#define LINE_BYTES ((size_t)1 << 20) /* a longer line is no row */
#define PROVISIONAL 0x80000000u	     /* a number in the dictionary of a part */

hel_status hel_block_init(hel_block *b, const hel_dataset *set, size_t rows)
{
	hel_status st = HEL_OK;
	*b = (hel_block){.count = rows, .dense = set->dense, .words = set->words};
	TRY_ALLOC(b->label, hel_alloc(rows, 1));
	TRY_ALLOC(b->value, hel_alloc(rows * b->dense, sizeof *b->value));
	TRY_ALLOC(b->hash, hel_alloc(rows * b->words, sizeof *b->hash));
done:
	if (st != HEL_OK)
		hel_block_clear(b);
	return st;
}

void hel_block_clear(hel_block *b)
{
	hel_free(b->label);
	hel_free(b->value);
	hel_free(b->hash);
	memset(b, 0, sizeof *b);
}

/* One row as parsed: a record of `size` bytes in a part's array. */
typedef struct row_form {
	size_t dense, words, size;
} row_form;

/* Lines from `at` to `end`, and what they hold. */
typedef struct part {
	char *at, *end;
	uint8_t *rows; /* [count] records: hashes, values, label */
	size_t count, capacity, lines, malformed;
	size_t shown_line[HEL_MALFORMED_SHOWN];
	char shown[HEL_MALFORMED_SHOWN][HEL_REASON_MAX];
	hel_dictionary *dictionary; /* of texts that are not in the scanner's yet; or NULL */
} part;

typedef struct scanner {
	const hel_dataset *set;
	row_form form;
	hel_row_form columns;	    /* of the present file */
	bool json;		    /* the present file has an object in each line */
	hel_dictionary *dictionary; /* or NULL */
	const char *path;
	gzFile file;
	char *text[2], *carry; /* two pieces of text in turn; what the next one starts with */
	size_t size[2], carried;
	bool ended;
	int reading; /* which text is being filled; the other one is being parsed */
	part part[PARTS];
	hel_block block; /* being filled */
	size_t filled;
	hel_scan_report *report;
} scanner;

/* --- a line --------------------------------------------------------------------- */

/* A record as it is filled. */
typedef struct filling {
	const scanner *s;
	part *k;
	uint32_t *word;
	float *value;
	uint8_t *label;
	bool labelled;
	const hel_column *bag; /* whose entries come, and how many have */
	size_t entries;
	hel_status status;
} filling;

static void take_dense(void *arg, const hel_column *c, double v)
{
	((filling *)arg)->value[c->nth] = (float)v;
}

/* Dictionaries of parts are added to that of the file in the order of the rows. */
static hel_status number_of_text(uint32_t *out, const filling *f, const hel_column *c,
				 const char *text, size_t size)
{
	hel_status st = HEL_OK;
	*out = hel_dictionary_find(f->s->dictionary, c->nth, text, size);
	if (!*out) {
		TRY(hel_dictionary_add(out, f->k->dictionary, c->nth, text, size));
		*out |= PROVISIONAL;
	}
done:
	return st;
}

static bool take_entry(void *arg, const hel_column *c, const char *text, size_t size, double weight,
		       char reason[HEL_REASON_MAX])
{
	filling *f = arg;
	uint32_t *word = f->word + c->word;
	if (f->bag != c)
		f->entries = 0;
	f->bag = c;
	word += f->entries++;
	if (c->bag.weighted) {
		const float w = (float)weight;
		memcpy(word + c->bag.limit, &w, sizeof w);
	}
	if (c->values != HEL_LISTED)
		*word = c->values == HEL_MODULO ? 1 + (uint32_t)strtoul(text, NULL, 10)
						: hel_value_hash(text, size);
	else
		f->status = number_of_text(word, f, c, text, size);
	if (f->status != HEL_OK)
		snprintf(reason, HEL_REASON_MAX, "%s", hel_status_text(f->status));
	return f->status == HEL_OK;
}

static void take_label(void *arg, uint8_t label)
{
	filling *f = arg;
	*f->label = label;
	f->labelled = true;
}

static bool read_object(const hel_row_sink *sink, const hel_dataset *set, const char *line,
			const char *end, hel_status *status, char reason[HEL_REASON_MAX])
{
	hel_json *json = NULL;
	const hel_status st = hel_json_read(&json, line, (size_t)(end - line));
	bool ok = st == HEL_OK;
	if (ok)
		ok = hel_read_object(sink, set, hel_json_root(json), reason);
	else if (st == HEL_EFORMAT)
		snprintf(reason, HEL_REASON_MAX, "no JSON object: %.100s", hel_error_detail());
	else
		*status = st;
	hel_json_free(json);
	return ok;
}

/* Fills one record; false leaves the reason. Takes quotes out of the line. */
static bool parse_line(uint8_t *record, hel_status *status, const scanner *s, part *k, char *line,
		       char *end, char reason[HEL_REASON_MAX])
{
	hel_cell cell[HEL_MAX_COLUMNS];
	filling f = {.s = s, .k = k, .word = (uint32_t *)(void *)record};
	const hel_row_sink sink = {&f, take_dense, take_entry, take_label, NULL};
	size_t count;
	bool ok;
	f.value = (float *)(void *)(f.word + s->form.words);
	f.label = (uint8_t *)(f.value + s->form.dense);
	memset(f.word, 0, s->form.words * sizeof *f.word);
	if (s->json)
		ok = read_object(&sink, s->set, line, end, &f.status, reason);
	else
		ok = hel_split_line(cell, &count, line, end, s->set->separator, reason) &&
		     hel_row_fits(&s->columns, count, reason) &&
		     hel_read_cells(&sink, &s->columns, cell, reason);
	if (ok && !f.labelled)
		snprintf(reason, HEL_REASON_MAX, "the row has no label");
	*status = f.status;
	return ok && f.labelled;
}

static hel_status part_reserve(part *k, size_t size)
{
	if (k->count < k->capacity)
		return HEL_OK;
	const size_t capacity = k->capacity ? 2 * k->capacity : 1024;
	uint8_t *rows = hel_alloc(capacity, size);
	if (!rows)
		return hel_fail(HEL_ENOMEM, "out of memory for %zu rows", capacity);
	if (k->count)
		memcpy(rows, k->rows, k->count * size);
	hel_free(k->rows);
	k->rows = rows;
	k->capacity = capacity;
	return HEL_OK;
}

static hel_status parse_part(const scanner *s, part *k)
{
	hel_status st = HEL_OK;
	k->count = k->lines = k->malformed = 0;
	if (k->dictionary)
		hel_dictionary_empty(k->dictionary);
	for (char *p = k->at; p < k->end;) {
		char *newline = memchr(p, '\n', (size_t)(k->end - p));
		char *end = newline ? newline : k->end;
		char *next = newline ? newline + 1 : k->end;
		char reason[HEL_REASON_MAX];
		k->lines++;
		if (hel_line_is_blank(p, end, s->set->separator)) {
			p = next;
			continue;
		}
		TRY(part_reserve(k, s->form.size));
		const bool ok =
		    parse_line(k->rows + k->count * s->form.size, &st, s, k, p, end, reason);
		TRY(st);
		if (ok)
			k->count++;
		else {
			if (k->malformed < HEL_MALFORMED_SHOWN) {
				k->shown_line[k->malformed] = k->lines;
				snprintf(k->shown[k->malformed], sizeof k->shown[0], "%s", reason);
			}
			k->malformed++;
		}
		p = next;
	}
done:
	return st;
}

/* --- pieces of text --------------------------------------------------------------- */

static hel_status open_file(scanner *s, const char *path)
{
	hel_status st = HEL_OK;
	struct stat info = {0};
	const bool standard = strcmp(path, "-") == 0;
	/* not to wait for a pipe's writer before it is known to be one */
	int fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &info))
		FAIL(HEL_EIO, "cannot open %s: %s", path, strerror(errno));
	if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode))
		FAIL(HEL_EIO, "%s is neither a regular file nor a pipe", path);
	if (!standard && fcntl(fd, F_SETFL, O_RDONLY) < 0)
		FAIL(HEL_EIO, "cannot open %s: %s", path, strerror(errno));
	TRY_ALLOC(s->file, gzdopen(fd, "rb"));
	fd = -1;
	gzbuffer(s->file, 1 << 18);
	s->path = path;
	s->ended = false;
	s->carried = 0;
done:
	if (fd >= 0)
		close(fd);
	return st;
}

/* Fills text[reading] after what was left of the piece before; keeps the last line for the next. */
static hel_status read_text(scanner *s)
{
	hel_status st = HEL_OK;
	char *text = s->text[s->reading];
	size_t size = s->carried;
	memcpy(text, s->carry, size);
	s->carried = 0;
	while (size < TEXT_BYTES) {
		int got = gzread(s->file, text + size, (unsigned)(TEXT_BYTES - size));
		int error = Z_OK;
		const char *why = gzerror(s->file, &error);
		/* a gz file that ends too early gives what it has and then this error */
		if (got < 0 || (error != Z_OK && error != Z_STREAM_END))
			FAIL(error == Z_BUF_ERROR ? HEL_ETRUNC : HEL_EIO, "cannot read %s: %s",
			     s->path,
			     error == Z_BUF_ERROR ? "the gz file ends too early"
			     : error == Z_ERRNO	  ? strerror(errno)
						  : why);
		if (got == 0) {
			s->ended = true;
			break;
		}
		size += (size_t)got;
	}
	if (!s->ended) {
		const char *newline = memrchr(text, '\n', size);
		const size_t whole = newline ? (size_t)(newline - text) + 1 : 0;
		if (size - whole > LINE_BYTES)
			FAIL(HEL_EDATA, "%s has a line of over %zu kB: no row of '%s'", s->path,
			     LINE_BYTES >> 10, s->set->name);
		s->carried = size - whole;
		memcpy(s->carry, text + whole, s->carried);
		size = whole;
	}
	s->size[s->reading] = size;
done:
	return st;
}

/* Cuts a piece of text at line ends into parts of about equal size. */
static void cut(scanner *s, char *text, size_t size)
{
	char *at = text, *end = text + size;
	for (size_t i = 0; i < PARTS; i++) {
		char *cut = text + size * (i + 1) / PARTS;
		if (cut < at)
			cut = at;
		if (cut < end) {
			char *newline = memchr(cut, '\n', (size_t)(end - cut));
			cut = newline ? newline + 1 : end;
		}
		s->part[i].at = at;
		s->part[i].end = cut;
		at = cut;
	}
}

/* Task 0 reads the next piece; the others parse the present one. */
static hel_status work(void *arg, size_t i)
{
	scanner *s = arg;
	if (i > 0)
		return parse_part(s, &s->part[i - 1]);
	return s->ended ? HEL_OK : read_text(s);
}

/* --- rows into blocks --------------------------------------------------------------- */

/* Texts that the part saw first get the next numbers. */
static hel_status add_texts(scanner *s, const part *k, uint32_t *word)
{
	hel_status st = HEL_OK;
	if (!k->dictionary || !hel_dictionary_size(k->dictionary))
		goto done;
	for (size_t i = 0; i < s->set->columns; i++) {
		const hel_column *c = &s->set->column[i];
		if (c->kind != HEL_CATEGORICAL || c->values != HEL_LISTED)
			continue;
		for (size_t e = c->word; e < c->word + HEL_MAX(c->bag.limit, 1u); e++)
			if (word[e] & PROVISIONAL) {
				const char *text = hel_dictionary_text(k->dictionary, c->nth,
								       word[e] & ~PROVISIONAL);
				TRY(hel_dictionary_add(&word[e], s->dictionary, c->nth, text,
						       strlen(text)));
			}
	}
done:
	return st;
}

static void append_row(scanner *s, const uint8_t *record)
{
	const uint32_t *hash = (const uint32_t *)(const void *)record;
	const float *value = (const float *)(const void *)(hash + s->form.words);
	const size_t row = s->filled++;
	for (size_t t = 0; t < s->form.words; t++)
		s->block.hash[t * HEL_BLOCK_ROWS + row] = hash[t];
	for (size_t k = 0; k < s->form.dense; k++)
		s->block.value[k * HEL_BLOCK_ROWS + row] = value[k];
	s->block.label[row] = *(const uint8_t *)(value + s->form.dense);
}

/* The last block is shorter: its columns move together. */
static void shorten(hel_block *b, size_t rows)
{
	for (size_t t = 0; t < b->words; t++)
		memmove(b->hash + t * rows, b->hash + t * b->count, rows * sizeof *b->hash);
	for (size_t k = 0; k < b->dense; k++)
		memmove(b->value + k * rows, b->value + k * b->count, rows * sizeof *b->value);
	b->count = rows;
}

static hel_status collect(scanner *s, size_t *line, uint64_t max_malformed,
			  hel_status (*take)(void *arg, const hel_block *block), void *arg)
{
	hel_status st = HEL_OK;
	hel_scan_report *r = s->report;
	for (size_t i = 0; i < PARTS; i++) {
		const part *k = &s->part[i];
		for (size_t b = 0; b < HEL_MIN(k->malformed, (size_t)HEL_MALFORMED_SHOWN) &&
				   r->malformed + b < HEL_MALFORMED_SHOWN;
		     b++)
			hel_print(r->shown[r->malformed + b], sizeof r->shown[0], "%.60s:%zu: %s",
				  strrchr(s->path, '/') ? strrchr(s->path, '/') + 1 : s->path,
				  *line + k->shown_line[b], k->shown[b]);
		r->malformed += k->malformed;
		*line += k->lines;
		if (r->malformed > max_malformed)
			FAIL(HEL_EDATA,
			     "%llu malformed row%s in the first %zu lines, %llu are allowed (see "
			     "--max-malformed); the first: %s",
			     (unsigned long long)r->malformed, r->malformed > 1 ? "s" : "", *line,
			     (unsigned long long)max_malformed, r->shown[0]);
		for (size_t row = 0; row < k->count; row++) {
			TRY(add_texts(s, k, (uint32_t *)(void *)(k->rows + row * s->form.size)));
			append_row(s, k->rows + row * s->form.size);
			if (s->filled < HEL_BLOCK_ROWS)
				continue;
			TRY(take(arg, &s->block));
			s->filled = 0;
		}
		r->rows += k->count;
	}
done:
	return st;
}

static void show_progress(const scanner *s, hel_progress *progress, uint64_t before, uint64_t total)
{
	char text[40];
	const double now = hel_clock();
	if (!progress || !total)
		return;
	snprintf(text, sizeof text, "%.0f rows/s",
		 (double)s->report->rows / fmax(now - progress->start, 1e-3));
	hel_progress_note(progress, (double)(before + (uint64_t)gzoffset(s->file)) / (double)total,
			  text);
}

/* What the first row of a file says about its columns. *skip: bytes before the first row of values,
 * *line: lines in them. A row that says nothing (a malformed one) is left to the parser. */
static hel_status learn_columns(scanner *s, size_t *skip, size_t *line)
{
	hel_status st = HEL_OK;
	hel_cell cell[HEL_MAX_COLUMNS];
	char reason[HEL_REASON_MAX], *copy = NULL;
	const char *text = s->text[s->reading], *p = text;
	size_t size = s->size[s->reading], count;
	const char *foreign = hel_skip_mark(&p, &size);
	if (foreign)
		FAIL(HEL_EDATA, "%s is %s, expected UTF-8", s->path, foreign);
	const char *end = p + size, *next = p, *stop = p;
	for (*line = 0; next < end; ++*line) {
		const char *newline = memchr(next, '\n', (size_t)(end - next));
		p = next;
		stop = newline ? newline : end;
		next = newline ? newline + 1 : end;
		if (!hel_line_is_blank(p, stop, s->set->separator))
			break;
	}
	s->json = p < stop && *hel_cell_of(p, (size_t)(stop - p)).at == '{';
	s->columns = (hel_row_form){.set = s->set, .cells = s->set->columns, .labelled = true};
	for (size_t i = 0; i < s->set->columns; i++)
		s->columns.column[i] = (uint16_t)i;
	TRY_ALLOC(copy, hel_alloc((size_t)(stop - p) + 1, 1)); /* quotes stay for the parser */
	memcpy(copy, p, (size_t)(stop - p));
	const bool learned =
	    !s->json &&
	    hel_split_line(cell, &count, copy, copy + (stop - p), s->set->separator, reason) &&
	    hel_row_form_of(&s->columns, s->set, cell, count, reason);
	if (s->columns.header && (!learned || !s->columns.labelled))
		FAIL(HEL_EDATA, "%s:%zu: %s", s->path, *line + 1,
		     learned ? "there is no column of labels" : reason);
	*skip = (size_t)((s->columns.header ? next : p) - text);
	*line += s->columns.header;
	if (!learned || !s->columns.labelled) /* the published order, with labels */
		s->columns.cells = s->set->columns;
done:
	hel_free(copy);
	return st;
}

static hel_status scan_file(scanner *s, const char *path, uint64_t max_malformed, hel_pool *pool,
			    hel_progress *progress, uint64_t before, uint64_t total,
			    hel_status (*take)(void *arg, const hel_block *block), void *arg)
{
	hel_status st = HEL_OK;
	size_t line = 0, skip = 0;
	TRY(open_file(s, path));
	s->reading = 0;
	TRY(read_text(s));
	TRY(learn_columns(s, &skip, &line));
	for (bool more = true; more; skip = 0) {
		more = !s->ended;
		cut(s, s->text[s->reading] + skip, s->size[s->reading] - skip);
		s->reading ^= 1;
		TRY(hel_pool_try(pool, PARTS + 1, work, s));
		TRY(collect(s, &line, max_malformed, take, arg));
		show_progress(s, progress, before, total);
	}
done:
	if (s->file)
		gzclose(s->file);
	s->file = NULL;
	return st;
}

static void scanner_clear(scanner *s)
{
	hel_free(s->text[0]);
	hel_free(s->text[1]);
	hel_free(s->carry);
	for (size_t i = 0; i < PARTS; i++) {
		hel_free(s->part[i].rows);
		hel_dictionary_free(s->part[i].dictionary);
	}
	hel_block_clear(&s->block);
}

static bool lists(const hel_dataset *set)
{
	for (size_t i = 0; i < set->columns; i++)
		if (set->column[i].kind == HEL_CATEGORICAL && set->column[i].values == HEL_LISTED)
			return true;
	return false;
}

hel_status hel_scan(hel_scan_report *report, hel_dictionary *dictionary, const hel_dataset *set,
		    const char *const *paths, size_t count, uint64_t max_malformed, hel_pool *pool,
		    hel_progress *progress, hel_status (*take)(void *arg, const hel_block *block),
		    void *arg)
{
	hel_status st = HEL_OK;
	scanner s = {.set = set, .report = report, .dictionary = dictionary};
	uint64_t total = 0, before = 0;
	struct stat info;
	memset(report, 0, sizeof *report);
	if (!hel_dataset_nth(set, HEL_LABEL, 0))
		FAIL(HEL_EINVAL, "the columns of '%s' have no label", set->name);
	TRY(hel_block_init(&s.block, set, HEL_BLOCK_ROWS));
	s.form = (row_form){.dense = s.block.dense, .words = s.block.words};
	s.form.size = (4 * (s.form.dense + s.form.words) + 1 + 3) / 4 * 4;
	s.columns.set = set;
	for (size_t i = 0; lists(set) && i < PARTS; i++)
		TRY(hel_dictionary_new(&s.part[i].dictionary, set));
	TRY_ALLOC(s.text[0], hel_alloc(TEXT_BYTES, 1));
	TRY_ALLOC(s.text[1], hel_alloc(TEXT_BYTES, 1));
	TRY_ALLOC(s.carry, hel_alloc(LINE_BYTES, 1));
	for (size_t i = 0; i < count; i++)
		total += stat(paths[i], &info) ? 0 : (uint64_t)info.st_size;
	for (size_t i = 0; i < count; i++) {
		TRY(scan_file(&s, paths[i], max_malformed, pool, progress, before, total, take,
			      arg));
		before += stat(paths[i], &info) ? 0 : (uint64_t)info.st_size;
	}
	if (s.filled) {
		shorten(&s.block, s.filled);
		TRY(take(arg, &s.block));
	}
	if (!report->rows)
		FAIL(HEL_EDATA, "%s holds no row", paths[0]);
done:
	scanner_clear(&s);
	return st;
}
