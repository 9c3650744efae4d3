/* Tables on their way to stages: rows side by side, codings, the lookup. */
#include "codings.h"
#include "features/coding.h"
#include "lowering.h"
#include "model/node.h"
#include <math.h>
#include <string.h>

/* Rows of tables that several nodes read stand side by side. */
hel_status hel_lower_place_tables(hel_lowering *l)
{
	hel_status st = HEL_OK;
	hel_stages *s = l->s;
	const size_t tables = l->m->schema->table_count;
	uint32_t *used = NULL;
	TRY_ALLOC(used, hel_alloc(tables, sizeof *used));
	s->dim = 1;
	for (size_t i = 0; i < l->g->nodes; i++) {
		const hel_node *n = &l->g->node[i];
		if (n->kind != HEL_NODE_EMBED)
			continue;
		l->column[i] = used[n->table];
		used[n->table] += (uint32_t)n->width;
		s->dim = HEL_MAX(s->dim, used[n->table]);
	}
done:
	hel_free(used);
	return st;
}

/* The model's rows where one node reads a table in full width, else rows of our own. */
hel_status hel_lower_fill_tables(hel_lowering *l)
{
	hel_status st = HEL_OK;
	hel_stages *s = l->s;
	const hel_schema *schema = l->m->schema;
	size_t room = 0;
	float *own;
	TRY_ALLOC(s->table, hel_alloc(schema->table_count, sizeof *s->table));
	for (size_t i = 0; i < l->g->nodes; i++) {
		const hel_node *n = &l->g->node[i];
		if (n->kind == HEL_NODE_EMBED && n->width == s->dim)
			s->table[n->table] = hel_node_tensor(l->m, n, 0);
	}
	for (size_t t = 0; t < schema->table_count; t++)
		room += s->table[t] ? 0 : hel_table_width(&schema->table[t]) * s->dim;
	TRY_ALLOC(s->rows, hel_alloc(room, sizeof *s->rows));
	own = s->rows;
	for (size_t t = 0; t < schema->table_count; t++) {
		if (s->table[t])
			continue;
		s->table[t] = own;
		for (size_t i = 0; i < l->g->nodes; i++) {
			const hel_node *n = &l->g->node[i];
			if (n->kind != HEL_NODE_EMBED || n->table != t)
				continue;
			for (size_t r = 0; r < n->rows[0]; r++)
				memcpy(own + r * s->dim + l->column[i],
				       hel_node_tensor(l->m, n, 0) + r * n->width,
				       n->width * sizeof *own);
		}
		own += hel_table_width(&schema->table[t]) * s->dim;
	}
done:
	return st;
}

hel_status hel_lower_measure_tables(hel_lowering *l)
{
	hel_status st = HEL_OK;
	const size_t dim = l->s->dim, tables = l->m->schema->table_count;
	TRY_ALLOC(l->mean, hel_alloc(dim * tables, sizeof *l->mean));
	TRY_ALLOC(l->spread, hel_alloc(dim * tables, sizeof *l->spread));
	for (size_t t = 0; t < tables; t++) {
		const hel_table_field *field = &l->m->schema->table[t];
		/* each of a table's places names one of its rows */
		const double rows = (double)hel_table_width(field) / field->digits;
		double *mean = l->mean + t * dim, *spread = l->spread + t * dim;
		for (size_t i = 0; i < hel_table_width(field) * dim; i++) {
			const double x = (double)l->s->table[t][i];
			mean[i % dim] += x / rows;
			spread[i % dim] += x * x / rows;
		}
		for (size_t d = 0; d < dim; d++)
			spread[d] = sqrt(spread[d]);
	}
done:
	return st;
}

/* What codes leave to constants: powers of a root the mean over all numbers of each digit. */
static hel_status lookup_constants(hel_stage *lookup, const hel_stages *s)
{
	hel_status st = HEL_OK;
	const hel_schema *schema = s->model->schema;
	for (size_t t = 0; t < schema->table_count; t++) {
		const size_t rows = hel_table_width(&schema->table[t]);
		const double left = hel_code_of(s->coding[t])->constant(s->order[t]);
		if (left == 0)
			continue;
		if (!lookup->bias[0])
			TRY_ALLOC(lookup->bias[0],
				  hel_alloc(lookup->rows, sizeof *lookup->bias[0]));
		for (size_t i = 0; i < rows * s->dim; i++)
			lookup->bias[0][t * s->dim + i % s->dim].re +=
			    left * (double)s->table[t][i];
	}
done:
	return st;
}

/* All embedding vectors, one after the other. */
hel_status hel_lower_lookup(hel_lowering *l)
{
	hel_status st = HEL_OK;
	const hel_schema *schema = l->m->schema;
	hel_stage *stage = NULL;
	TRY(hel_stages_add(&stage, l->s, "embeddings", l->s->dim * schema->table_count, 1, 1));
	l->lookup = (int)l->s->count - 1;
	stage->map = HEL_MAP_TABLES;
	stage->sources = 1;
	stage->source[0] =
	    (hel_stage_source){.stage = HEL_FROM_FEATURES, .width = hel_schema_onehots(schema)};
	for (size_t t = 0; t < schema->table_count; t++)
		if (hel_code_of(l->s->coding[t])->selects)
			stage->then = HEL_THEN_SELECT;
	TRY(lookup_constants(stage, l->s));
done:
	return st;
}

/* How each table travels: as it must, or as the way says. */
static void choose_coding(hel_coding *coding, uint32_t *order, const hel_table_field *t,
			  const hel_way *way, hel_coding wanted)
{
	*order = hel_table_order(t);
	*coding = wanted;
	if (wanted == HEL_CODINGS && way->powers && *order <= way->powers &&
	    hel_table_can_be(t, HEL_CODING_POWERS, *order))
		*coding = HEL_CODING_POWERS;
	else if (wanted == HEL_CODINGS)
		*coding = way->grid && hel_table_can_be(t, HEL_CODING_GRID, 1) ? HEL_CODING_GRID
									       : HEL_CODING_ONE_HOT;
}

/* Equality is tested in a whole ciphertext at once: all tables share its order. */
void hel_lower_codings(hel_stages *s)
{
	const hel_schema *schema = s->model->schema;
	uint32_t most[HEL_CODINGS] = {0};
	for (size_t i = 0; i < schema->table_count; i++) {
		choose_coding(&s->coding[i], &s->order[i], &schema->table[i], &s->way,
			      s->way.coding ? s->way.coding[i] : HEL_CODINGS);
		most[s->coding[i]] = HEL_MAX(most[s->coding[i]], s->order[i]);
	}
	for (hel_coding c = 0; c < HEL_CODINGS; c++) {
		const hel_code *code = hel_code_of(c);
		if (!most[c])
			continue;
		most[c] = code->power_of_two ? 1u << hel_log2_ceil(most[c]) : most[c];
		s->code_levels = HEL_MAX(s->code_levels, code->levels(most[c]));
	}
	for (size_t i = 0; i < schema->table_count; i++)
		if (hel_code_of(s->coding[i])->equal_order)
			s->order[i] = most[s->coding[i]];
}
