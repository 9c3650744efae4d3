/* The sum of those rows of a table that the record names: one, or those of a bag with their
 * weights. Its gradient is sparse and the trainer's: it reads the node's delta. */
#include "node.h"
#include <string.h>

static hel_status shape(hel_node *n, const hel_graph *g)
{
	hel_status st = HEL_OK;
	const hel_schema *s = g->schema;
	TRY(hel_node_arity(n, 0, 0));
	if (n->table >= s->table_count)
		TRY(hel_node_fail(n, "table %u of %zu", n->table, s->table_count));
	if (!n->width || n->width > HEL_MAX_WIDTH)
		TRY(hel_node_fail(n, "'width' must be a whole number from 1 to %d", HEL_MAX_WIDTH));
	n->place = n->entry = 0;
	for (uint32_t t = 0; t < n->table; t++) {
		n->place += (uint32_t)hel_table_words(&s->table[t]);
		n->entry += (uint32_t)hel_table_width(&s->table[t]);
	}
	n->places = (uint32_t)hel_table_places(&s->table[n->table]);
	n->weighted = s->table[n->table].bag.limit > 0;
	n->rows[0] = hel_table_width(&s->table[n->table]);
	n->columns[0] = n->width;
	if (!n->rows[0])
		TRY(hel_node_fail(n, "table %s has no rows", s->table[n->table].name));
done:
	return st;
}

static void evaluate(const hel_record_pass *p, const hel_node *n, double *value)
{
	const float *table = hel_node_tensor(p->m, n, 0);
	memset(value, 0, n->width * sizeof *value);
	for (uint32_t d = 0; d < n->places; d++) {
		const uint32_t hot = p->hots[n->place + d];
		if (hot == HEL_NO_HOT)
			continue;
		const double w =
		    n->weighted ? (double)hel_word_weight(p->hots[n->place + n->places + d]) : 1;
		for (size_t k = 0; k < n->width; k++)
			value[k] += w * (double)table[(hot - n->entry) * n->width + k];
	}
}

static void add_bag(float *value, const hel_node *n, const float *table, const uint32_t *word)
{
	for (uint32_t d = 0; d < n->places; d++) {
		const uint32_t hot = word[d];
		const float w = hel_word_weight(word[n->places + d]);
		for (size_t k = 0; hot != HEL_NO_HOT && k < n->width; k++)
			value[k] += w * table[(hot - n->entry) * n->width + k];
	}
}

static void forward(const hel_network *p, const hel_node *n, float *value)
{
	const float *table = hel_node_tensor(p->m, n, 0);
	const hel_samples *s = p->samples;
	memset(value, 0, p->count * n->width * sizeof *value);
	for (size_t i = 0; n->weighted && i < p->count; i++)
		add_bag(value + i * n->width, n, table, s->hot + p->row[i] * s->hots + n->place);
	if (n->weighted)
		return;
	for (size_t i = 0; i < p->count; i++, value += n->width)
		for (uint32_t d = 0; d < n->places; d++) {
			const uint32_t hot = s->hot[p->row[i] * s->hots + n->place + d];
			for (size_t k = 0; hot != HEL_NO_HOT && k < n->width; k++)
				value[k] += table[(hot - n->entry) * n->width + k];
		}
}

static void backward(const hel_network *p, const hel_node *n, const float *value,
		     const float *delta)
{
	(void)p, (void)n, (void)value, (void)delta;
}

static hel_status read(hel_node *n, const json_t *o, const hel_schema *s)
{
	const char *name = json_string_value(json_object_get(o, "table"));
	const json_int_t width = json_integer_value(json_object_get(o, "width"));
	n->width = width > 0 ? (size_t)width : 0;
	for (n->table = 0; name && n->table < s->table_count; n->table++)
		if (strcmp(s->table[n->table].name, name) == 0)
			return HEL_OK;
	return hel_node_fail(n, "the schema has no table '%.40s'", name ? name : "");
}

static void write(json_t *o, const hel_node *n, const hel_schema *s)
{
	json_object_set_new(o, "table", json_string(s->table[n->table].name));
	json_object_set_new(o, "width", json_integer((json_int_t)n->width));
}

const hel_node_type hel_node_embed = {shape, evaluate, forward,		  backward,
				      read,  write,    {"table", "width"}};
