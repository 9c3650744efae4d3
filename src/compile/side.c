#include "side.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* An array's members that are chosen. */
static json_t *chosen(const json_t *array, const bool *choose)
{
	json_t *out = json_array();
	for (size_t i = 0; i < json_array_size(array); i++)
		if (choose[i])
			json_array_append(out, json_array_get(array, i));
	return out;
}

/* The data set's columns; those of the other part are ignored. */
static json_t *columns_of(const hel_dataset *set, const bool *dense, const bool *table, bool labels)
{
	char *text = NULL;
	if (hel_dataset_to_json(&text, set) != HEL_OK)
		return NULL;
	json_t *all = json_loads(text, 0, NULL), *columns = json_object_get(all, "columns");
	hel_free(text);
	for (size_t i = 0; i < set->columns && i < json_array_size(columns); i++) {
		const hel_column *c = &set->column[i];
		const bool keep = c->kind == HEL_DENSE	       ? dense[c->nth]
				  : c->kind == HEL_CATEGORICAL ? table[c->nth]
				  : c->kind == HEL_LABEL       ? labels
							       : true;
		if (!keep)
			json_array_set_new(
			    columns, i, json_pack("{s:s, s:s}", "name", c->name, "kind", "ignore"));
	}
	return all;
}

/* Tables of the other side that stood before each of those that are chosen. */
static void count_moves(const json_t *tables, const hel_schema *whole, const bool *table)
{
	for (size_t i = 0, k = 0; i < whole->table_count; i++)
		if (table[i]) {
			const size_t moved = whole->table[i].moved + i - k;
			if (moved)
				json_object_set_new(json_array_get(tables, k), "moved",
						    json_integer((json_int_t)moved));
			k++;
		}
}

static hel_status numbers_of(uint32_t **out, const bool *choose, size_t count)
{
	hel_status st = HEL_OK;
	size_t n = 0;
	TRY_ALLOC(*out, hel_alloc(count + 1, sizeof **out));
	for (size_t i = 0; i < count; i++)
		if (choose[i])
			(*out)[n++] = (uint32_t)i;
done:
	return st;
}

hel_status hel_side_new(hel_side *out, const hel_schema *whole, const bool *dense,
			const bool *table, bool labels)
{
	hel_status st = HEL_OK;
	char *text = NULL, *less = NULL;
	json_t *root = NULL;
	hel_side p = {0};
	TRY(hel_schema_to_json(&text, whole));
	TRY_ALLOC(root, json_loads(text, 0, NULL));
	json_object_set_new(root, "columns", columns_of(whole->set, dense, table, labels));
	json_object_set_new(root, "dense", chosen(json_object_get(root, "dense"), dense));
	json_object_set_new(root, "tables", chosen(json_object_get(root, "tables"), table));
	count_moves(json_object_get(root, "tables"), whole, table);
	TRY_ALLOC(less, json_dumps(root, JSON_REAL_PRECISION(17)));
	TRY(hel_schema_from_json(&p.schema, less, strlen(less)));
	TRY(numbers_of(&p.dense, dense, whole->dense_count));
	TRY(numbers_of(&p.table, table, whole->table_count));
	*out = p;
	p = (hel_side){0};
done:
	hel_side_clear(&p);
	hel_free(text);
	free(less);
	json_decref(root);
	return st;
}

void hel_side_clear(hel_side *p)
{
	hel_schema_free(p->schema);
	hel_free(p->dense);
	hel_free(p->table);
	memset(p, 0, sizeof *p);
}

/* Where a table's words and entries begin. */
typedef struct table_place {
	size_t word;
	uint32_t entry;
} table_place;

static table_place place_of(const hel_schema *s, size_t table)
{
	table_place at = {0, 0};
	for (size_t t = 0; t < table; t++) {
		at.word += hel_table_words(&s->table[t]);
		at.entry += (uint32_t)hel_table_width(&s->table[t]);
	}
	return at;
}

/* Entries of one table, counted from another place; weights of bags stay. */
static void move_words(uint32_t *to, const uint32_t *from, const hel_table_field *t, uint32_t less,
		       uint32_t more)
{
	const size_t places = hel_table_places(t), words = hel_table_words(t);
	for (size_t i = 0; i < words; i++)
		to[i] = i < places && from[i] != HEL_NO_HOT ? from[i] - less + more : from[i];
}

void hel_side_take(const hel_side *p, const hel_schema *whole, double *dense, uint32_t *hots,
		   const double *all_dense, const uint32_t *all_hots)
{
	for (size_t i = 0; i < p->schema->dense_count; i++)
		dense[i] = all_dense[p->dense[i]];
	for (size_t i = 0; i < p->schema->table_count; i++) {
		const table_place own = place_of(p->schema, i), all = place_of(whole, p->table[i]);
		move_words(hots + own.word, all_hots + all.word, &p->schema->table[i], all.entry,
			   own.entry);
	}
}

void hel_side_put(const hel_side *p, const hel_schema *whole, double *all_dense, uint32_t *all_hots,
		  const double *dense, const uint32_t *hots)
{
	for (size_t i = 0; i < p->schema->dense_count; i++)
		all_dense[p->dense[i]] = dense[i];
	for (size_t i = 0; i < p->schema->table_count; i++) {
		const table_place own = place_of(p->schema, i), all = place_of(whole, p->table[i]);
		move_words(all_hots + all.word, hots + own.word, &p->schema->table[i], own.entry,
			   all.entry);
	}
}
