/* A plan in words that programs can read: stored with the program, shown by inspect. */
#include "explain.h"
#include "features/coding.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

static json_t *bits_json(uint32_t mask)
{
	json_t *a = json_array();
	for (int bit = 0; mask >> bit; bit++)
		if (mask >> bit & 1)
			json_array_append_new(a, json_integer(bit));
	return a;
}

static double ms(double seconds)
{
	return round(1e6 * seconds) / 1e3;
}

/* The inputs a stage reads from the client. */
static json_t *fresh_json(const hel_packing *k)
{
	size_t count = 0;
	uint32_t field = 0;
	bool complex = false;
	for (size_t i = 0; i < k->sources; i++)
		if (k->source[i].fresh) {
			count++;
			field |= hel_layout_mask(&k->source[i].layout);
			complex |= hel_layout_is_complex(&k->source[i].layout);
		}
	count = k->blocks ? k->blocks->inputs : count;
	return count ? json_pack("{s:I, s:b, s:o}", "ciphertexts", (json_int_t)count, "complex",
				 complex, "bits", bits_json(field))
		     : json_null();
}

/* How the tables of a lookup travel. */
static json_t *codings_json(const hel_blocks *b)
{
	json_t *o = json_object();
	for (size_t i = 0; i < b->schema.table_count; i++)
		json_object_set_new(o, b->schema.table[i].name,
				    json_string(hel_coding_name(b->schema.table[i].coding)));
	return json_pack("{s:o, s:I, s:i, s:I}", "tables", o, "vectors", (json_int_t)b->sources,
			 "places", 1 << b->shape.log_places, "selections",
			 (json_int_t)b->shape.selections);
}

/* The nodes that are part of a stage's maps: those behind `node` that no stage computes. */
static void gather(bool *in, const hel_stages *s, uint32_t node)
{
	const hel_graph *g = s->model->graph;
	in[node] = true;
	for (uint32_t i = node + 1; i-- > 0;)
		for (size_t k = 0; in[i] && k < g->node[i].inputs; k++)
			in[g->node[i].input[k]] |=
			    s->node_stage[g->node[i].input[k]] == HEL_MULTIPLIED_OUT;
}

/* What a stage computes of the graph: names, in order; tables as how many. */
static hel_status nodes_json(json_t **out, const hel_stages *s, size_t stage)
{
	hel_status st = HEL_OK;
	const hel_graph *g = s->model->graph;
	const bool lookup = s->stage[stage].map == HEL_MAP_TABLES;
	bool *in = NULL, looked_up = false, mapped = false;
	size_t tables = 0;
	TRY_ALLOC(in, hel_alloc(g->nodes, sizeof *in));
	for (size_t i = 0; i < s->count; i++)
		looked_up |= s->stage[i].map == HEL_MAP_TABLES;
	for (uint32_t i = 0; i < g->nodes; i++)
		if (lookup)
			in[i] = g->node[i].kind == HEL_NODE_EMBED;
		else if (s->node_stage[i] == (int)stage) {
			gather(in, s, i);
			mapped = true;
		}
	if (stage + 1 == s->count)
		gather(in, s, (uint32_t)g->nodes - 1);
	else if (!mapped && !lookup)
		in[s->stage[stage].node] = true;
	*out = json_array();
	for (size_t i = 0; i < g->nodes; i++)
		if (in[i] && g->node[i].kind == HEL_NODE_EMBED)
			tables += lookup || !looked_up;
		else if (in[i])
			json_array_append_new(*out, json_string(g->node[i].name));
	if (tables) {
		char text[40];
		snprintf(text, sizeof text, "%zu table%s", tables, tables > 1 ? "s" : "");
		json_array_insert_new(*out, 0, json_string(text));
	}
done:
	hel_free(in);
	return st;
}

static json_t *stage_json(const hel_stages *s, size_t i, const hel_plan *plan)
{
	const hel_stage *stage = &s->stage[i];
	const hel_packing *k = &plan->packing[i];
	const hel_plan_note *n = &plan->note[i];
	json_int_t width = 0, blocks = k->blocks ? (json_int_t)k->blocks->used : 0;
	json_t *from = json_array();
	for (size_t j = 0; j < stage->sources; j++) {
		width += (json_int_t)stage->source[j].width;
		json_array_append_new(from,
				      stage->source[j].stage < 0
					  ? json_string("client")
					  : json_string(s->stage[stage->source[j].stage].name));
	}
	json_t *o = json_pack(
	    "{s:s, s:o, s:i, s:i, s:I, s:I, s:s, s:o, s:o, s:o, s:o, s:i, s:o, s:b, s:I, s:f, s:f}",
	    "name", stage->name, "from", from, "level", (int)hel_stage_level(s, i), "ends",
	    (int)hel_stage_end(s, i), "columns", width, "rows", (json_int_t)stage->rows, "then",
	    hel_stage_then_name(stage->then), "client", fresh_json(k), "babies",
	    bits_json(k->baby_bits), "giants", bits_json(k->giant_bits), "folds",
	    bits_json(k->folds), "fold_radix", (int)k->fold_radix, "out",
	    bits_json(hel_layout_mask(&k->out)), "product", hel_stage_multiplies(stage), "blocks",
	    blocks, "ms", ms(n->value), "up_to_here_ms", ms(n->up_to_here));
	if (k->blocks)
		json_object_set_new(o, "lookup", codings_json(k->blocks));
	if (k->scatter)
		json_object_set_new(o, "rotations", json_integer((json_int_t)k->scatter->count));
	if (n->has_runner_up)
		json_object_set_new(
		    o, "runner_up",
		    json_pack("{s:f, s:o, s:o, s:o, s:o, s:I}", "up_to_here_ms", ms(n->runner_up),
			      "out", bits_json(n->out), "folds", bits_json(n->folds), "babies",
			      bits_json(n->baby_bits), "giants", bits_json(n->giant_bits), "inputs",
			      (json_int_t)n->inputs));
	return o;
}

static json_t *alternative_json(const hel_alternative *a)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:b, s:b, s:b, s:b, s:i, s:I, s:f}", "log_n",
			 (int)a->spec.log_n, "levels", (int)a->spec.levels, "alpha",
			 (int)a->spec.alpha, "special", (int)a->spec.special, "monomials",
			 a->way.monomials, "fused", a->way.fuse, "sum_of_squares", a->way.sum,
			 "grid", a->way.grid, "powers", (int)a->way.powers, "inputs",
			 (json_int_t)a->inputs, "ms", ms(a->value));
}

hel_status hel_plan_explain(char **out, const hel_stages *s, const hel_plan *plan,
			    const hel_params *params, const char *objective,
			    const hel_alternative *alternatives, size_t count)
{
	hel_status st = HEL_OK;
	json_t *stages = json_array(), *others = json_array(), *all = NULL;
	char *text = NULL;
	for (size_t i = 0; i < s->count; i++) {
		json_t *stage = stage_json(s, i, plan), *nodes = NULL;
		json_array_append_new(stages, stage);
		TRY(nodes_json(&nodes, s, i));
		json_object_set_new(stage, "nodes", nodes);
	}
	for (size_t i = 0; i < count; i++)
		json_array_append_new(others, alternative_json(&alternatives[i]));
	all = json_pack("{s:s, s:i, s:i, s:f, s:O, s:O}", "objective", objective, "log_n",
			(int)params->spec.log_n, "slot_bits",
			(int)(params->spec.log_n - 1u - plan->log_batch), "ms", ms(plan->value),
			"stages", stages, "alternatives", others);
	text = all ? json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
	TRY_ALLOC(text, text);
	TRY_ALLOC(*out, hel_strdup(text));
done:
	free(text);
	json_decref(stages);
	json_decref(others);
	json_decref(all);
	return st;
}

hel_status hel_plan_explain_form(char **plan, const hel_graph *g, const hel_squares *squares)
{
	hel_status st = HEL_OK;
	json_t *all = json_loads(*plan, 0, NULL), *nodes = json_array();
	char *text = NULL, *copy = NULL;
	for (size_t i = 0; i < g->nodes; i++)
		if (g->node[i].kind != HEL_NODE_EMBED && g->node[i].kind != HEL_NODE_DENSE)
			json_array_append_new(nodes, json_string(g->node[i].name));
	json_object_set_new(all, "form",
			    json_pack("{s:O, s:I, s:I}", "nodes", nodes, "rank",
				      (json_int_t)squares->rank, "squares",
				      (json_int_t)squares->kept));
	text = all ? json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
	TRY_ALLOC(text, text);
	TRY_ALLOC(copy, hel_strdup(text));
	hel_free(*plan);
	*plan = copy;
done:
	free(text);
	json_decref(nodes);
	json_decref(all);
	return st;
}
