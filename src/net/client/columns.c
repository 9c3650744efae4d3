/* What a record looks like, for those who draw a form. */
#include "base/json.h"
#include "client_inside.h"
#include <math.h>
#include <string.h>

static void put_finite(hel_json_writer *j, const char *name, double v)
{
	if (isfinite(v))
		hel_json_put_number(j, name, v);
}

/* In the units of the file: what compare_number (encrypt_query.c) takes without a doubt. */
static void put_number(hel_json_writer *j, const hel_schema *s, const hel_column *column)
{
	const hel_dense_field *f = &s->dense[column->nth];
	const double cut = s->clip * f->deviation;
	hel_json_put_text(j, "kind", "number");
	hel_json_put_bool(j, "whole", column->whole);
	put_finite(j, "mean", hel_column_raw(column, f->mean));
	put_finite(j, "low", hel_column_raw(column, fmax(f->mean - cut, f->low)));
	put_finite(j, "high", hel_column_raw(column, fmin(f->mean + cut, f->high)));
}

static void put_values(hel_json_writer *j, const hel_table_field *t)
{
	if (t->hashed) {
		hel_json_put_text(j, "values", t->modulo ? "ids" : "any");
		return;
	}
	hel_json_open(j, "values", '[');
	for (uint32_t i = 0; i < t->values; i++)
		hel_json_put_text(j, NULL, t->value[i]);
	hel_json_close(j, ']');
}

static void put_category(hel_json_writer *j, const hel_schema *s, const hel_column *column)
{
	const hel_bag *bag = &column->bag;
	const char separator[2] = {bag->separator, 0};
	hel_json_put_text(j, "kind", bag->limit ? "bag" : "category");
	put_values(j, &s->table[column->nth]);
	if (!bag->limit)
		return;
	hel_json_put_integer(j, "limit", bag->limit);
	hel_json_put_text(j, "separator", separator);
	hel_json_put_bool(j, "weighted", bag->weighted);
}

hel_status hel_client_columns(uint8_t **json, size_t *size, const hel_client *c)
{
	hel_json_writer j = {0};
	hel_json_open(&j, NULL, '{');
	hel_json_put_text(&j, "model", c->manifest->model);
	hel_json_put_text(&j, "dataset", c->set->name);
	hel_json_put_integer(&j, "batch", hel_client_batch(c));
	hel_json_put_bool(&j, "ranks", hel_client_ranks(c));
	hel_json_put_number(&j, "bits", c->manifest->bits);
	hel_json_put_number(&j, "error", hel_manifest_error(c->manifest));
	hel_json_open(&j, "columns", '[');
	for (size_t i = 0; i < c->set->columns; i++) {
		const hel_column *column = &c->set->column[i];
		if (column->kind != HEL_DENSE && column->kind != HEL_CATEGORICAL)
			continue;
		hel_json_open(&j, NULL, '{');
		hel_json_put_text(&j, "name", column->name);
		if (column->kind == HEL_DENSE)
			put_number(&j, c->schema, column);
		else
			put_category(&j, c->schema, column);
		hel_json_close(&j, '}');
	}
	hel_json_close(&j, ']');
	hel_json_close(&j, '}');
	return hel_json_take((char **)json, size, &j);
}
