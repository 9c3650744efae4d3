#include "propose.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define TEXT_BYTES ((size_t)4 << 20) /* of a line at most; a longer one is no row */
#define STEP_ROWS 4096		     /* between two words of progress */

typedef struct proposer {
	hel_proposal *out;
	const char *label;
	bool json, begun;
	char separator;
	size_t columns;
	char (*name)[HEL_NAME_MAX]; /* [HEL_MAX_COLUMNS] */
	hel_column_stats **stats;
	hel_cell *cell;
	const char *path;
	size_t line;
	uint64_t before, total; /* bytes of files */
	hel_progress *progress;
} proposer;

/* --- columns ----------------------------------------------------------------------------- */

static hel_status add_column(proposer *p, hel_cell name)
{
	hel_status st = HEL_OK;
	char *to = p->name[p->columns];
	if (p->columns == HEL_MAX_COLUMNS)
		FAIL(HEL_EDATA, "%s:%zu: more than %d columns", p->path, p->line, HEL_MAX_COLUMNS);
	if (!name.size || name.size >= HEL_NAME_MAX)
		FAIL(HEL_EDATA, "%s:%zu: the name of column %zu must have 1 to %d bytes", p->path,
		     p->line, p->columns + 1, HEL_NAME_MAX - 1);
	memcpy(to, name.at, name.size);
	to[name.size] = 0;
	if (!hel_is_text(to))
		FAIL(HEL_EDATA, "%s:%zu: the name of column %zu is not plain UTF-8", p->path,
		     p->line, p->columns + 1);
	TRY(hel_column_stats_new(&p->stats[p->columns]));
	p->columns++;
done:
	return st;
}

static size_t column_named(const proposer *p, const char *name, size_t size)
{
	size_t i = 0;
	while (i < p->columns &&
	       (strlen(p->name[i]) != size || memcmp(p->name[i], name, size) != 0))
		i++;
	return i;
}

static bool says(hel_cell c, const char *text)
{
	return strlen(text) == c.size && memcmp(text, c.at, c.size) == 0;
}

/* The most frequent of those that may separate cells. */
static char separator_of(const char *line, const char *end)
{
	static const char tried[] = "\t,;|";
	size_t count[4] = {0}, best = 1;
	for (const char *at = line; at < end; at++) {
		const char *found = strchr(tried, *at);
		count[found && *at ? (size_t)(found - tried) : 0] += found && *at;
	}
	for (size_t i = 0; i < 4; i++)
		best = count[i] > count[best] ? i : best;
	return tried[best];
}

/* Names, where one of them is the label's; *header: the row is no record. */
static hel_status learn_names(proposer *p, size_t count, bool *header)
{
	hel_status st = HEL_OK;
	char name[32], *end;
	*header = false;
	for (size_t i = 0; i < count; i++)
		*header |= says(p->cell[i], p->label);
	const unsigned long number = strtoul(p->label, &end, 10);
	if (!*header && (*end || number < 1 || number > count))
		FAIL(HEL_EDATA,
		     "%s: no column is called '%.40s'; without a header the label is a number from "
		     "1 to %zu",
		     p->path, p->label, count);
	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof name, "c%zu", i + 1);
		TRY(add_column(p, *header ? p->cell[i] : hel_cell_of(name, strlen(name))));
	}
done:
	return st;
}

/* --- rows -------------------------------------------------------------------------------- */

static void leave_out(proposer *p, const char *reason)
{
	if (!p->out->left_out++)
		snprintf(p->out->first_left_out, sizeof p->out->first_left_out, "%.60s:%zu: %.80s",
			 strrchr(p->path, '/') ? strrchr(p->path, '/') + 1 : p->path, p->line,
			 reason);
}

static hel_status take_object(proposer *p, const char *line, const char *end)
{
	hel_status st = HEL_OK;
	hel_json *json = NULL;
	st = hel_json_read(&json, line, (size_t)(end - line));
	if (st == HEL_EFORMAT || (st == HEL_OK && hel_json_root(json)->kind != HEL_JSON_OBJECT)) {
		leave_out(p, "no JSON object");
		st = HEL_OK;
		goto done;
	}
	TRY(st);
	const hel_json_value *root = hel_json_root(json);
	for (const hel_json_value *v = root->first; v; v = v->next) {
		const size_t n = strlen(v->name);
		if (column_named(p, v->name, n) == p->columns)
			TRY(add_column(p, (hel_cell){v->name, n}));
	}
	for (size_t i = 0; i < p->columns; i++)
		hel_column_stats_value(p->stats[i], hel_json_member(root, p->name[i]));
	p->out->rows++;
done:
	hel_json_free(json);
	return st;
}

static hel_status take_cells(proposer *p, char *line, char *end, bool first)
{
	hel_status st = HEL_OK;
	char reason[HEL_REASON_MAX];
	size_t count;
	bool header = false;
	if (!p->begun)
		p->separator = separator_of(line, end);
	if (!hel_split_line(p->cell, &count, line, end, p->separator, reason)) {
		leave_out(p, reason);
		goto done;
	}
	if (!p->begun)
		TRY(learn_names(p, count, &header));
	else if (first) /* each file may have the header */
		header = count && says(p->cell[0], p->name[0]) &&
			 (count < 2 || says(p->cell[1], p->name[1]));
	p->begun = true;
	if (header)
		goto done;
	if (count != p->columns) {
		hel_print(reason, sizeof reason, "%zu cells, expected %zu", count, p->columns);
		leave_out(p, reason);
		goto done;
	}
	for (size_t i = 0; i < count; i++)
		hel_column_stats_cell(p->stats[i], p->cell[i]);
	p->out->rows++;
done:
	return st;
}

static hel_status take_line(proposer *p, char *line, char *end, bool first)
{
	if (hel_line_is_blank(line, end, p->separator))
		return HEL_OK;
	if (first)
		p->json = *hel_cell_of(line, (size_t)(end - line)).at == '{';
	if (p->json)
		return take_object(p, line, end);
	return take_cells(p, line, end, first);
}

static hel_status read_file(proposer *p, char *text)
{
	hel_status st = HEL_OK;
	gzFile file = NULL;
	size_t size = 0;
	bool first = true, ended = false;
	file = strcmp(p->path, "-") == 0 ? gzdopen(dup(STDIN_FILENO), "rb") : gzopen(p->path, "rb");
	if (!file)
		FAIL(HEL_EIO, "cannot open %s: %s", p->path, strerror(errno));
	gzbuffer(file, 1 << 18);
	for (p->line = 0; !ended;) {
		const int got = gzread(file, text + size, (unsigned)(TEXT_BYTES - size));
		int error = Z_OK;
		const char *why = gzerror(file, &error);
		if (got < 0 || (error != Z_OK && error != Z_STREAM_END))
			FAIL(HEL_EIO, "cannot read %s: %s", p->path,
			     error == Z_ERRNO ? strerror(errno) : why);
		ended = got == 0;
		size += (size_t)got;
		char *at = text, *end = text + size;
		const char *foreign =
		    first && !p->line ? hel_skip_mark((const char **)&at, &(size_t){size}) : NULL;
		if (foreign)
			FAIL(HEL_EDATA, "%s is %s, expected UTF-8", p->path, foreign);
		for (char *next; at < end; at = next) {
			char *newline = memchr(at, '\n', (size_t)(end - at));
			if (!newline && !ended)
				break;
			next = newline ? newline + 1 : end;
			p->line++;
			TRY(take_line(p, at, newline ? newline : end, first));
			first = false;
			if (p->total && p->line % STEP_ROWS == 0)
				hel_progress_step(p->progress,
						  (double)(p->before + (uint64_t)gzoffset(file)) /
						      (double)p->total);
		}
		size = (size_t)(end - at);
		if (size == TEXT_BYTES)
			FAIL(HEL_EDATA, "%s:%zu: a line of over %zu MB", p->path, p->line + 1,
			     TEXT_BYTES >> 20);
		memmove(text, at, size);
	}
done:
	if (file)
		gzclose(file);
	return st;
}

/* --- all of it ----------------------------------------------------------------------------- */

static hel_status describe(proposer *p, const char *name)
{
	hel_status st = HEL_OK;
	hel_dataset *set = NULL;
	char *text = NULL;
	size_t label = column_named(p, p->label, strlen(p->label));
	if (label == p->columns && !p->json && p->columns)
		label = strtoul(p->label, NULL, 10) - 1;
	if (label >= p->columns)
		FAIL(HEL_EDATA, "no column is called '%.40s'", p->label);
	TRY_ALLOC(set, hel_alloc(1, sizeof *set));
	set->uses = 1;
	snprintf(set->name, sizeof set->name, "%s", name);
	set->separator = p->separator ? p->separator : ',';
	set->columns = p->columns;
	TRY_ALLOC(set->column, hel_alloc(p->columns, sizeof *set->column));
	TRY_ALLOC(p->out->column, hel_alloc(p->columns, sizeof *p->out->column));
	bool any[HEL_MARKERS] = {false}, seen;
	for (size_t i = 0; i < p->columns; i++) {
		hel_column *c = &set->column[i];
		*c = (hel_column){.plus = 1, .high = 1, .bag.most = 1, .most = 1};
		memcpy(c->name, p->name[i], sizeof c->name);
		TRY(hel_column_stats_kind(c, &p->out->column[i], p->stats[i], i == label));
		for (unsigned k = 0; k < HEL_MARKERS; k++) {
			const char *marker = hel_column_marker(p->stats[i], k, &seen);
			if (seen && !any[k])
				snprintf(set->missing_text[set->missing_texts++], HEL_NAME_MAX,
					 "%s", marker);
			any[k] |= seen;
		}
	}
	/* through its own text: nothing is proposed that could not be read */
	TRY(hel_dataset_to_json(&text, set));
	TRY(hel_dataset_from_json(&p->out->set, text, strlen(text)));
done:
	hel_free(text);
	hel_dataset_drop(set);
	return st;
}

void hel_proposal_clear(hel_proposal *p)
{
	hel_dataset_drop(p->set);
	hel_free(p->column);
	*p = (hel_proposal){0};
}

hel_status hel_propose(hel_proposal *out, const char *name, const char *label,
		       const char *const *paths, size_t count, hel_progress *progress)
{
	hel_status st = HEL_OK;
	hel_proposal result = {0};
	proposer p = {.out = &result, .label = label, .progress = progress};
	char *text = NULL;
	struct stat info;
	TRY_ALLOC(p.name, hel_alloc(HEL_MAX_COLUMNS, sizeof *p.name));
	TRY_ALLOC(p.stats, hel_alloc(HEL_MAX_COLUMNS, sizeof *p.stats));
	TRY_ALLOC(p.cell, hel_alloc(HEL_MAX_COLUMNS, sizeof *p.cell));
	TRY_ALLOC(text, hel_alloc_raw(TEXT_BYTES, 1));
	for (size_t i = 0; i < count; i++)
		p.total += stat(paths[i], &info) ? 0 : (uint64_t)info.st_size;
	for (size_t i = 0; i < count; i++) {
		p.path = paths[i];
		TRY(read_file(&p, text));
		p.before += stat(paths[i], &info) ? 0 : (uint64_t)info.st_size;
	}
	if (!result.rows)
		FAIL(HEL_EDATA, "%s holds no row%s%s", paths[0],
		     result.left_out ? "; the first: " : "", result.first_left_out);
	TRY(describe(&p, name));
	*out = result;
	result = (hel_proposal){0};
done:
	for (size_t i = 0; p.stats && i < p.columns; i++)
		hel_column_stats_free(p.stats[i]);
	hel_free(p.stats);
	hel_free(p.name);
	hel_free(p.cell);
	hel_free(text);
	hel_proposal_clear(&result);
	return st;
}
