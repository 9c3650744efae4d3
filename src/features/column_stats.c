/* One pass over cells: counts, ranges, and distinct values by HyperLogLog (Flajolet et al. 2007).
 */
#include "column_stats.h"
#include "hash.h"
#include <ctype.h>
#include <math.h>
#include <string.h>

#define LOG_REGISTERS 12 /* standard error 1.04 / sqrt(2^12) = 1.6 % */
#define REGISTERS (1u << LOG_REGISTERS)
#define WORDS 8		 /* different texts that are kept: enough for a label */
#define MOST_LISTED 1000 /* values of a category that is worth reading */
#define FEW 20		 /* whole numbers with no more values are categories */
#define SKEWED 50	 /* largest over mean: a logarithm helps */

typedef struct sketch {
	uint8_t rank[REGISTERS];
	bool used;
} sketch;

/* Separators of entries that are tried; the last: a JSON array. */
static const char tried[] = "|;,^";
#define TRIED HEL_ARRAY_LEN(tried) /* the zero stands for JSON */

static const char *const markers[HEL_MARKERS] = {"NA",	 "N/A",	 "na",	 "nan",	 "NaN",
						 "null", "NULL", "None", "none", "\\N"};

typedef struct pieces {
	uint64_t cells, pieces, weighted; /* cells with more than one; all; those with a weight */
	uint32_t most;
	double weight;
	sketch distinct;
} pieces;

struct hel_column_stats {
	uint64_t rows, missing, numbers, wholes, pointed, long_texts, json, bad;
	double low, high, sum;
	bool marked[HEL_MARKERS];
	char word[WORDS][HEL_NAME_MAX];
	uint64_t word_count[WORDS];
	size_t words; /* WORDS + 1: more */
	sketch distinct;
	pieces *split; /* [TRIED] */
};

hel_status hel_column_stats_new(hel_column_stats **out)
{
	hel_status st = HEL_OK;
	hel_column_stats *s = NULL;
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	s->low = INFINITY;
	s->high = -INFINITY;
	TRY_ALLOC(s->split, hel_alloc(TRIED, sizeof *s->split));
	*out = s;
	s = NULL;
done:
	hel_column_stats_free(s);
	return st;
}

void hel_column_stats_free(hel_column_stats *s)
{
	if (s)
		hel_free(s->split);
	hel_free(s);
}

const char *hel_column_marker(const hel_column_stats *s, unsigned k, bool *seen)
{
	*seen = s->marked[k];
	return markers[k];
}

/* --- sketches ---------------------------------------------------------------------------- */

static void sketch_add(sketch *s, const char *text, size_t size)
{
	const uint64_t h = hel_mix((uint64_t)hel_value_hash(text, size) << 32 | (uint32_t)size);
	const uint64_t rest = h << LOG_REGISTERS;
	const uint8_t rank = (uint8_t)(rest ? 1 + __builtin_clzll(rest) : 64);
	uint8_t *r = &s->rank[h >> (64 - LOG_REGISTERS)];
	*r = HEL_MAX(*r, rank);
	s->used = true;
}

static double sketch_count(const sketch *s)
{
	double sum = 0, empty = 0;
	if (!s->used)
		return 0;
	for (size_t i = 0; i < REGISTERS; i++) {
		sum += ldexp(1, -s->rank[i]);
		empty += !s->rank[i];
	}
	const double alpha = 0.7213 / (1 + 1.079 / REGISTERS),
		     raw = alpha * REGISTERS * REGISTERS / sum;
	return raw <= 2.5 * REGISTERS && empty > 0 ? round(REGISTERS * log(REGISTERS / empty))
						   : raw;
}

/* --- cells ------------------------------------------------------------------------------- */

static void add_word(hel_column_stats *s, hel_cell c)
{
	size_t i = 0;
	if (s->words > WORDS)
		return;
	while (i < s->words && (strlen(s->word[i]) != c.size || memcmp(s->word[i], c.at, c.size)))
		i++;
	if (i == s->words && (i == WORDS || c.size >= HEL_NAME_MAX)) {
		s->words = WORDS + 1;
		return;
	}
	if (i == s->words) {
		memcpy(s->word[i], c.at, c.size);
		s->words++;
	}
	s->word_count[i]++;
}

static void add_piece(pieces *p, hel_cell c)
{
	double w;
	const char *colon = memrchr(c.at, ':', c.size);
	p->pieces++;
	if (colon &&
	    hel_cell_number(&w, (hel_cell){colon + 1, (size_t)(c.at + c.size - colon) - 1})) {
		p->weighted++;
		p->weight = fmax(p->weight, fabs(w));
		c.size = (size_t)(colon - c.at);
	}
	sketch_add(&p->distinct, c.at, c.size);
}

static void split_cell(pieces *p, hel_cell c, char separator)
{
	uint32_t count = 0;
	if (!memchr(c.at, separator, c.size))
		return;
	for (const char *at = c.at, *end = c.at + c.size; at <= end; at++) {
		const char *next = memchr(at, separator, (size_t)(end - at));
		next = next ? next : end;
		const hel_cell piece = hel_cell_of(at, (size_t)(next - at));
		if (piece.size) {
			add_piece(p, piece);
			count++;
		}
		at = next;
	}
	p->cells += count > 1;
	p->most = HEL_MAX(p->most, count);
}

static void split_json(hel_column_stats *s, const hel_json_value *all)
{
	pieces *p = &s->split[TRIED - 1];
	char number[40];
	for (const hel_json_value *v = all->first; v; v = v->next) {
		if (v->name) { /* {"VALUE": WEIGHT} */
			sketch_add(&p->distinct, v->name, strlen(v->name));
			p->weighted++;
			p->pieces++;
			p->weight = fmax(p->weight, fabs(v->number));
		} else
			add_piece(p, hel_value_cell(number, v));
	}
	s->json++;
	p->cells += all->count > 1;
	p->most = HEL_MAX(p->most, all->count);
}

static bool is_missing(hel_column_stats *s, hel_cell c)
{
	if (!c.size || (c.size == 1 && *c.at == '?'))
		return true;
	for (unsigned k = 0; k < HEL_MARKERS; k++)
		if (strlen(markers[k]) == c.size && memcmp(markers[k], c.at, c.size) == 0)
			return s->marked[k] = true;
	return false;
}

void hel_column_stats_cell(hel_column_stats *s, hel_cell c)
{
	double v;
	hel_json *json = NULL;
	s->rows++;
	if (is_missing(s, c)) {
		s->missing++;
		return;
	}
	sketch_add(&s->distinct, c.at, c.size);
	add_word(s, c);
	if (hel_cell_number(&v, c)) {
		s->numbers++;
		s->wholes += v == floor(v);
		s->pointed += memchr(c.at, '.', c.size) != NULL;
		s->low = fmin(s->low, v);
		s->high = fmax(s->high, v);
		s->sum += v;
		return;
	}
	s->long_texts += c.size >= HEL_VALUE_MAX;
	if (*c.at == '[' && hel_json_read(&json, c.at, c.size) == HEL_OK)
		split_json(s, hel_json_root(json));
	else
		for (size_t i = 0; i + 1 < TRIED; i++)
			split_cell(&s->split[i], c, tried[i]);
	hel_json_free(json);
}

void hel_column_stats_value(hel_column_stats *s, const hel_json_value *v)
{
	char number[40];
	if (!v || (v->kind != HEL_JSON_ARRAY && v->kind != HEL_JSON_OBJECT)) {
		hel_column_stats_cell(s, hel_value_cell(number, v));
		return;
	}
	s->rows++;
	if (v->count)
		split_json(s, v);
	else
		s->missing++;
}

/* --- what it is -------------------------------------------------------------------------- */

/* Names that people give to what is no quantity: ...id, ...code, ...type, C1. */
static bool names_a_category(const char *name)
{
	static const char *const ends[] = {"id",   "code", "type", "category", "class",
					   "user", "item", "zip",  "hour",     "device",
					   "site", "app",  "ip",   "weekday",  "day"};
	const size_t size = strlen(name);
	if (size > 1 && *name == 'C' && strspn(name + 1, "0123456789") == size - 1)
		return true;
	for (size_t i = 0; i < HEL_ARRAY_LEN(ends); i++) {
		const size_t n = strlen(ends[i]);
		if (size < n || strcasecmp(name + size - n, ends[i]) != 0)
			continue;
		/* "user_id", "userId" and "id", not "paid" */
		if (size == n || !isalpha((unsigned char)name[size - n - 1]) ||
		    isupper((unsigned char)name[size - n]))
			return true;
	}
	return false;
}

static bool names_a_time(const char *name)
{
	return strcasestr(name, "time") || strcasestr(name, "date");
}

static void category(hel_column *c, const hel_column_report *r, double distinct)
{
	c->kind = HEL_CATEGORICAL;
	c->values = distinct <= MOST_LISTED && (double)(r->rows - r->missing) >= 2 * distinct
			? HEL_LISTED
			: HEL_HASHED;
}

/* The separator that most cells have, when their pieces are fewer than they are. */
static const pieces *bag_of(const hel_column_stats *s, const hel_column_report *r, char *separator)
{
	const pieces *best = NULL;
	const uint64_t there = r->rows - r->missing;
	*separator = 0;
	if (s->json && 10 * s->json >= 9 * there)
		return &s->split[TRIED - 1];
	for (size_t i = 0; i + 1 < TRIED; i++) {
		const pieces *p = &s->split[i];
		if (20 * p->cells < there || (best && p->cells <= best->cells) ||
		    sketch_count(&p->distinct) > 0.8 * r->distinct)
			continue;
		best = p;
		*separator = tried[i];
	}
	return best;
}

static void bag(hel_column *c, hel_column_report *r, const pieces *p, char separator)
{
	r->distinct = sketch_count(&p->distinct);
	r->entries = p->most;
	category(c, r, r->distinct);
	c->bag.limit = HEL_MIN(HEL_MAX(p->most, 1u), (uint32_t)HEL_MAX_BAG);
	c->bag.separator = separator;
	c->bag.weighted = p->pieces && p->weighted == p->pieces;
	if (c->bag.weighted)
		c->bag.most = fmin(fmax(p->weight, 1), HEL_MAX_BAG_WEIGHT);
	snprintf(r->why, sizeof r->why, "up to %u entries%s", p->most,
		 c->bag.weighted ? " with weights" : "");
}

static void ignore(hel_column *c, hel_column_report *r, const char *why)
{
	c->kind = HEL_IGNORED;
	snprintf(r->why, sizeof r->why, "%s", why);
}

static void number(hel_column *c, hel_column_report *r, const hel_column_stats *s)
{
	const uint64_t there = r->rows - r->missing;
	const bool whole = s->wholes == s->numbers, all_differ = r->distinct > 0.93 * (double)there;
	if (whole && there > 100 && all_differ && names_a_category(c->name)) {
		ignore(c, r, "every row has another one");
		return;
	}
	if (whole && !names_a_time(c->name) && (r->distinct <= FEW || names_a_category(c->name))) {
		category(c, r, r->distinct);
		c->form = s->pointed ? HEL_FORM_NUMBER : HEL_FORM_EXACT;
		snprintf(r->why, sizeof r->why, "%s",
			 r->distinct <= FEW ? "few whole numbers" : "by its name");
		return;
	}
	c->kind = HEL_DENSE;
	c->log = s->low >= 0 && s->high > SKEWED * s->sum / (double)HEL_MAX(there, 1u);
	snprintf(r->why, sizeof r->why, "%.6g to %.6g", s->low, s->high);
}

static bool is_positive_word(const char *word)
{
	static const char *const words[] = {"yes",   "y",	 "true", "t",
					    "click", "positive", "pos",	 "good"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(words); i++)
		if (strcasecmp(word, words[i]) == 0)
			return true;
	return false;
}

static hel_status label_kind(hel_column *c, hel_column_report *r, const hel_column_stats *s)
{
	c->kind = HEL_LABEL;
	const uint64_t there = r->rows - r->missing;
	if (there && s->numbers == there) {
		c->threshold = s->wholes < there || s->low < 0 || s->high > 1;
		c->above = c->threshold ? (s->low + s->high) / 2 : 0;
		snprintf(r->why, sizeof r->why,
			 c->threshold ? "%.6g to %.6g: positive above %.6g; is it?"
				      : "%.6g to %.6g",
			 s->low, s->high, c->above);
		return HEL_OK;
	}
	if (s->words != 2)
		return hel_fail(HEL_EDATA,
				"column '%s' is no label: it has neither numbers nor two texts",
				c->name);
	const int positive = is_positive_word(s->word[0])   ? 0
			     : is_positive_word(s->word[1]) ? 1
							    : s->word_count[0] > s->word_count[1];
	c->words = true;
	memcpy(c->positive, s->word[positive], sizeof c->positive);
	memcpy(c->negative, s->word[!positive], sizeof c->negative);
	snprintf(r->why, sizeof r->why, "positive is '%.40s'; is it?", c->positive);
	return HEL_OK;
}

hel_status hel_column_stats_kind(hel_column *c, hel_column_report *r, const hel_column_stats *s,
				 bool label)
{
	char separator;
	*r = (hel_column_report){.rows = s->rows,
				 .missing = s->missing,
				 .distinct = sketch_count(&s->distinct),
				 .low = s->low,
				 .high = s->high};
	const uint64_t there = s->rows - s->missing;
	const pieces *p = bag_of(s, r, &separator);
	if (label)
		return label_kind(c, r, s);
	if (!there || (r->distinct <= 1 && !s->json))
		ignore(c, r, "one value at most");
	else if (s->numbers == there)
		number(c, r, s);
	else if (p)
		bag(c, r, p, separator);
	else if (s->long_texts)
		ignore(c, r, "texts of more than 255 bytes");
	else if (there > 100 && r->distinct > 0.93 * (double)there)
		ignore(c, r, "every row has another one");
	else
		category(c, r, r->distinct);
	return HEL_OK;
}
