/* Pairs of many tables in one product, and of whatever is multiplied with all of them: pairs.h. */
#include "features/coding.h"
#include "lowering.h"
#include <string.h>

#define FEWEST_PLACES 8 /* tables whose pairs are worth stages of their own (pairs.h) */
#define NO_PLACE UINT32_MAX

/* What a dot node reads: whole rows of tables, which get places, and others. */
typedef struct dot {
	size_t places, shifts;
	unsigned low;	 /* bits that number places, and one more */
	uint32_t *place; /* per input */
	uint32_t *table; /* per place */
	uint32_t *other; /* per input that has none: its number among those */
	size_t others;
} dot;

static void dot_clear(dot *d)
{
	hel_free(d->place);
	hel_free(d->table);
	hel_free(d->other);
}

/* The table whose whole row an expression is, or -1. */
static int whole_row(const hel_lowering *l, const hel_expression *e)
{
	const size_t dim = l->s->dim;
	size_t first = 0;
	bool whole = true;
	if (e->rows != dim || e->parts != 1 || e->part[0].of != HEL_OF_TABLES)
		return -1;
	const hel_map_part *p = &e->part[0];
	while (first < p->width && p->matrix[first] == 0)
		first++;
	for (size_t r = 0; r < dim; r++) {
		whole &= e->bias[r] == 0;
		for (size_t c = 0; c < p->width; c++)
			whole &= p->matrix[r * p->width + c] == (c == first + r);
	}
	return whole && first % dim == 0 ? (int)(first / dim) : -1;
}

/* Tables from the largest on. */
static hel_status sort_tables(hel_stages *s)
{
	hel_status st = HEL_OK;
	const hel_schema *schema = s->model->schema;
	if (s->falling)
		return HEL_OK;
	TRY_ALLOC(s->falling, hel_alloc(schema->table_count, sizeof *s->falling));
	for (uint32_t t = 0; t < schema->table_count; t++) {
		uint32_t at = t;
		for (; at && hel_table_width(&schema->table[s->falling[at - 1]]) <
				 hel_table_width(&schema->table[t]);
		     at--)
			s->falling[at] = s->falling[at - 1];
		s->falling[at] = t;
	}
done:
	return st;
}

/* Places for all tables that stand alone; few of them get none. */
static hel_status give_places(dot *d, const hel_lowering *l, const hel_node *n,
			      const hel_expression *const *in)
{
	hel_status st = HEL_OK;
	const size_t tables = l->m->schema->table_count;
	uint32_t *reader = NULL;
	bool distinct = true;
	TRY_ALLOC(d->place, hel_alloc(n->inputs, sizeof *d->place));
	TRY_ALLOC(d->other, hel_alloc(n->inputs, sizeof *d->other));
	TRY_ALLOC(d->table, hel_alloc(tables, sizeof *d->table));
	TRY_ALLOC(reader, hel_alloc(tables, sizeof *reader));
	for (uint32_t k = 0; k < n->inputs; k++) {
		const int table = whole_row(l, in[k]);
		d->place[k] = NO_PLACE;
		if (table < 0) {
			d->other[k] = (uint32_t)d->others++;
			continue;
		}
		distinct &= !reader[table];
		reader[table] = k + 1;
	}
	for (size_t i = 0; distinct && n->inputs >= d->others + FEWEST_PLACES && i < tables; i++) {
		const uint32_t t = l->s->falling[i];
		if (!reader[t])
			continue;
		d->place[reader[t] - 1] = (uint32_t)d->places;
		d->table[d->places++] = t;
	}
	d->shifts = d->places / 2 + n->self;
	d->low = hel_log2_ceil(d->places);
done:
	hel_free(reader);
	return st;
}

static hel_status push_place(hel_lowering *l, const dot *d, const char *name)
{
	hel_status st = HEL_OK;
	hel_stage *stage = NULL;
	char rows[HEL_NAME_MAX];
	if (l->lookup < 0)
		TRY(hel_lower_lookup(l));
	snprintf(rows, sizeof rows, "%.*s.rows", HEL_NAME_MAX - 8, name);
	TRY(hel_stages_add(&stage, l->s, rows, (size_t)1 << (hel_log2_ceil(l->s->dim) + d->low), 1,
			   1));
	stage->map = HEL_MAP_PLACE;
	stage->sources = 1;
	stage->source[0] =
	    (hel_stage_source){.stage = l->lookup, .width = l->s->dim * l->m->schema->table_count};
	TRY_ALLOC(stage->place, hel_alloc(d->places, sizeof *stage->place));
	memcpy(stage->place, d->table, d->places * sizeof *stage->place);
	stage->places = d->places;
done:
	return st;
}

/* Pairs of the latest stage's places. */
static hel_status push_pairs(hel_expression *out, hel_lowering *l, const dot *d, const hel_node *n)
{
	hel_status st = HEL_OK;
	hel_stage *stage = NULL;
	const int place = (int)l->s->count - 1;
	TRY(hel_stages_add(&stage, l->s, n->name, d->shifts << d->low, 1, 1));
	stage->map = HEL_MAP_PAIRS;
	stage->sources = 1;
	stage->source[0] = (hel_stage_source){.stage = place, .width = l->s->stage[place].rows};
	stage->places = d->places;
	stage->self = n->self;
	TRY(hel_lower_value(out, l, 1, 0));
done:
	return st;
}

/* Whether an expression is a stage's squares, element by element and all of one scale. */
static bool is_square(const hel_lowering *l, const hel_expression *e)
{
	if (e->parts != 1 || e->part[0].of < 0 || e->rows != e->part[0].width ||
	    l->s->stage[e->part[0].of].then != HEL_THEN_SQUARE)
		return false;
	const double *w = e->part[0].matrix;
	bool whole = w[0] != 0;
	for (size_t r = 0; r < e->rows; r++)
		for (size_t c = 0; c < e->rows; c++)
			whole &= w[r * e->rows + c] == (r == c ? w[0] : 0);
	return whole;
}

/* A vector's inner products with all places: scale (x + shift), where x is squares, or a stage that
 * is made of it. */
static hel_status push_meeting(hel_expression *out, hel_lowering *l, const hel_expression *e,
			       const dot *d, int place, const char *name)
{
	hel_status st = HEL_OK;
	hel_stage *stage = NULL, *vector;
	char text[HEL_NAME_MAX];
	const bool squares = is_square(l, e);
	const double scale = squares ? e->part[0].matrix[0] : 1;
	int x = squares ? e->part[0].of : (int)l->s->count;
	if (!squares)
		TRY(hel_lower_stage(l, (hel_maps){.real = e}, name, HEL_THEN_NOTHING, &vector));
	l->s->stage[x].in_a_row = true;
	snprintf(text, sizeof text, "%.*s.pairs", HEL_NAME_MAX - 8, name);
	TRY(hel_stages_add(&stage, l->s, text, (size_t)1 << d->low, 1, 2));
	stage->map = HEL_MAP_MEET;
	stage->sources = 2;
	stage->source[0] = (hel_stage_source){.stage = x, .width = e->rows};
	stage->source[1] = (hel_stage_source){.stage = place, .width = l->s->stage[place].rows};
	stage->places = d->places;
	TRY_ALLOC(stage->bias[0], hel_alloc(e->rows, sizeof *stage->bias[0]));
	for (size_t k = 0; squares && k < e->rows; k++)
		stage->bias[0][k].re = e->bias[k] / scale;
	TRY(hel_lower_value(out, l, scale, 0));
done:
	return st;
}

/* Pairs of those that have no places. */
static hel_status push_others(hel_expression *out, hel_lowering *l, const hel_node *n, const dot *d,
			      const hel_expression *const *in, const uint32_t *pair, size_t *count)
{
	hel_status st = HEL_OK;
	hel_expression all = {0};
	uint32_t *both = NULL;
	TRY_ALLOC(both, hel_alloc(2 * n->width, sizeof *both));
	*count = 0;
	for (size_t i = 0; i < n->width; i++)
		if (d->place[pair[i]] == NO_PLACE && d->place[pair[n->width + i]] == NO_PLACE) {
			both[*count] = pair[i];
			both[n->width + (*count)++] = pair[n->width + i];
		}
	if (!*count)
		goto done;
	TRY(hel_expression_join(&all, in, n->inputs));
	TRY(hel_lower_pairs(out, l, &all, both, both + n->width, *count, in[0]->rows, n->name));
done:
	hel_free(both);
	hel_expression_clear(&all);
	return st;
}

/* Where the product of two places stands among those of shifted places. */
static uint32_t shifted_pair(const dot *d, uint32_t a, uint32_t b, bool self)
{
	const uint32_t n = (uint32_t)d->places;
	uint32_t shift = (b + n - a) % n, from = a;
	if (shift > n / 2) {
		shift = n - shift;
		from = b;
	}
	return (shift - !self) << d->low | from;
}

/* Of each pair: its row among all products. */
static void number_pairs(uint32_t *row, const hel_node *n, const dot *d, const uint32_t *pair)
{
	const uint32_t shifted = (uint32_t)(d->shifts << d->low), each = 1u << d->low;
	uint32_t next = shifted + (uint32_t)d->others * each;
	for (size_t i = 0; i < n->width; i++) {
		const uint32_t a = pair[i], b = pair[n->width + i];
		const uint32_t p = d->place[a], q = d->place[b];
		if (p != NO_PLACE && q != NO_PLACE)
			row[i] = shifted_pair(d, p, q, n->self);
		else if (p == NO_PLACE && q == NO_PLACE)
			row[i] = next++;
		else
			row[i] = shifted + d->other[p == NO_PLACE ? a : b] * each +
				 (p == NO_PLACE ? q : p);
	}
}

/* Pairs of many tables in one product; each other vector times all tables in one; pairs of others
 * as they are. */
hel_status hel_lower_packed_dot(bool *packed, hel_expression *out, hel_lowering *l, uint32_t i,
				const hel_expression *const *in, const uint32_t *pair)
{
	hel_status st = HEL_OK;
	const hel_node *n = &l->g->node[i];
	dot d = {0};
	hel_expression *part = NULL, all = {0};
	const hel_expression **parts = NULL;
	uint32_t *row = NULL;
	size_t count = 0;
	TRY(sort_tables(l->s));
	TRY(give_places(&d, l, n, in));
	*packed = d.places > 0;
	if (!*packed)
		goto done;
	TRY_ALLOC(part, hel_alloc(d.others + 2, sizeof *part));
	TRY_ALLOC(parts, hel_alloc(d.others + 2, sizeof(*parts)));
	TRY_ALLOC(row, hel_alloc(n->width, sizeof *row));
	TRY(push_place(l, &d, n->name));
	const int place = (int)l->s->count - 1;
	TRY(push_pairs(&part[0], l, &d, n));
	for (size_t k = 0; k < n->inputs; k++)
		if (d.place[k] == NO_PLACE)
			TRY(push_meeting(&part[1 + d.other[k]], l, in[k], &d, place,
					 l->g->node[n->input[k]].name));
	TRY(push_others(&part[1 + d.others], l, n, &d, in, pair, &count));
	number_pairs(row, n, &d, pair);
	for (size_t k = 0; k < d.others + 2; k++)
		parts[k] = &part[k];
	TRY(hel_expression_join(&all, parts, d.others + 1 + (count > 0)));
	TRY(hel_expression_pick(out, &all, row, n->width));
done:
	for (size_t k = 0; part && k < d.others + 2; k++)
		hel_expression_clear(&part[k]);
	hel_free(part);
	hel_free(parts);
	hel_free(row);
	hel_expression_clear(&all);
	dot_clear(&d);
	return st;
}
