/* Random graphs of all kinds of nodes: single against double precision, gradients against
 * differences, JSON there and back; and graphs that are none. */
#include "../features/cohort.h"
#include "model/accuracy.h"
#include "model/architectures.h"
#include "model/model_file.h"
#include "model/network.h"
#include "model/train.h"
#include <math.h>

#define GRAPHS 30
#define ROWS 5

static hel_records cohort;

static hel_schema *make_schema(uint32_t base)
{
	hel_schema *s;
	assert_ok(
	    hel_schema_fit(&s, hel_dataset_by_name("heart"), &cohort, NULL, cohort.count, 3, base));
	return s;
}

static uint32_t below(hel_prng *g, size_t n)
{
	return (uint32_t)(hel_prng_u64(g) % n);
}

static uint32_t add(hel_graph *g, hel_node n, const uint32_t *input, size_t inputs)
{
	snprintf(n.name, sizeof n.name, "n%zu", g->nodes);
	n.input = (uint32_t *)input;
	n.inputs = inputs;
	assert_ok(hel_graph_add(g, &n));
	return (uint32_t)g->nodes - 1;
}

/* A random node as wide as `width`, if need be a layer of its own. */
static uint32_t of_width(hel_graph *g, hel_prng *r, size_t width)
{
	for (int tries = 0; tries < 20; tries++) {
		const uint32_t i = below(r, g->nodes);
		if (g->node[i].width == width)
			return i;
	}
	const uint32_t x = below(r, g->nodes);
	return add(g, (hel_node){.kind = HEL_NODE_LINEAR, .width = width, .bias = below(r, 2)}, &x,
		   1);
}

static void add_random(hel_graph *g, hel_prng *r)
{
	static const hel_activation acts[] = {
	    {HEL_ACT_SQUARE, 0, 0}, {HEL_ACT_QUADRATIC, 0.1, 0.5}, {HEL_ACT_SILU, 0, 0},
	    {HEL_ACT_GELU, 0, 0},   {HEL_ACT_SIGMOID, 0, 0},	   {HEL_ACT_QUADRATIC, 1, 1}};
	hel_node n = {.kind = HEL_NODE_LINEAR + below(r, HEL_NODE_KINDS - HEL_NODE_LINEAR)};
	uint32_t input[4] = {below(r, g->nodes)};
	const size_t width = g->node[input[0]].width;
	size_t inputs = 1 + below(r, 4);
	n.width = 1 + below(r, 6);
	n.bias = below(r, 2);
	n.self = below(r, 2);
	n.upper = below(r, 2);
	n.factor = 2 * hel_prng_unit(r) - 1;
	n.activation = acts[below(r, HEL_ARRAY_LEN(acts))];
	if (n.kind == HEL_NODE_LINEAR || n.kind == HEL_NODE_ACTIVATION || n.kind == HEL_NODE_SCALE)
		inputs = 1;
	if (n.kind == HEL_NODE_MULTIPLY)
		inputs = 2;
	if (n.kind == HEL_NODE_DOT)
		inputs = HEL_MAX(inputs, 2);
	for (size_t i = 1; i < inputs; i++)
		input[i] = n.kind == HEL_NODE_CONCAT ? below(r, g->nodes) : of_width(g, r, width);
	add(g, n, input, inputs);
}

/* What nobody reads is concatenated for the logit. */
static void finish(hel_graph *g)
{
	uint32_t open[256];
	size_t count = 0;
	for (uint32_t i = 0; i < g->nodes; i++) {
		bool read = false;
		for (size_t k = i + 1; k < g->nodes; k++)
			for (size_t l = 0; l < g->node[k].inputs; l++)
				read |= g->node[k].input[l] == i;
		if (!read)
			open[count++] = i;
	}
	const uint32_t all = add(g, (hel_node){.kind = HEL_NODE_CONCAT}, open, count);
	add(g, (hel_node){.kind = HEL_NODE_LINEAR, .width = 1, .bias = true}, &all, 1);
}

static hel_dlrm *random_model(uint64_t seed)
{
	hel_prng r;
	hel_graph *g;
	hel_dlrm *m;
	hel_dlrm_config c = hel_dlrm_config_default();
	hel_schema *s = make_schema(seed % 3 ? 0 : 3);
	test_prng(&r, 1000 + seed);
	assert_ok(hel_graph_new(&g, s));
	add(g, (hel_node){.kind = HEL_NODE_DENSE}, NULL, 0);
	for (uint32_t i = 0; i < 4 + below(&r, 10); i++)
		add(g,
		    (hel_node){.kind = HEL_NODE_EMBED,
			       .table = below(&r, s->table_count),
			       .width = 1 + below(&r, 4)},
		    NULL, 0);
	for (uint32_t i = 0; i < 5 + below(&r, 12); i++)
		add_random(g, &r);
	finish(g);
	assert_ok(hel_graph_check(g));
	c.architecture = HEL_ARCHITECTURE_GRAPH;
	assert_ok(hel_dlrm_of_graph(&m, &c, g, s, HEL_MAX_PARAMETERS));
	for (size_t i = 0; i < m->parameters; i++)
		m->parameter[i] = (float)(0.4 * hel_prng_normal(&r));
	return m;
}

static double loss_of(const hel_dlrm *m, const hel_samples *s, const uint32_t *rows)
{
	double loss = 0, z;
	for (size_t i = 0; i < ROWS; i++) {
		assert_ok(hel_dlrm_logit(&z, m, s->value + rows[i] * s->dense,
					 s->hot + rows[i] * s->hots));
		loss += (fmax(z, 0) - z * s->label[rows[i]] + log1p(exp(-fabs(z)))) / ROWS;
	}
	return loss;
}

/* Of parameter k by the passes in single precision. */
static double gradient_of(const hel_network *n, size_t k)
{
	const hel_dlrm *m = n->m;
	for (size_t i = 0; i < m->graph->nodes; i++) {
		const hel_node *node = &m->graph->node[i];
		for (size_t w = 0; w < 2; w++) {
			const hel_tensor *t = &m->tensor[node->tensor + w];
			if (!node->rows[w] || k < t->offset ||
			    k >= t->offset + t->rows * t->columns)
				continue;
			if (!t->table)
				return (double)n->gradient[t->dense + k - t->offset];
			const size_t row = (k - t->offset) / node->width,
				     column = (k - t->offset) % node->width;
			double sum = 0;
			for (size_t r = 0; r < n->count; r++)
				for (size_t d = 0; d < node->places; d++)
					if (n->samples->hot[n->row[r] * n->samples->hots +
							    node->place + d] == node->entry + row)
						sum +=
						    (double)n->delta[i][r * node->width + column];
			return sum;
		}
	}
	fail();
	return 0;
}

static double worst_gradient(hel_dlrm *m, const hel_network *n, const hel_samples *s,
			     const uint32_t *rows)
{
	double worst = 0;
	const size_t step = m->parameters / 150 + 1;
	for (size_t k = 0; k < m->parameters; k += step) {
		const float kept = m->parameter[k], h = 1e-3f;
		m->parameter[k] = kept + h;
		const double up = loss_of(m, s, rows), high = (double)m->parameter[k];
		m->parameter[k] = kept - h;
		const double down = loss_of(m, s, rows), low = (double)m->parameter[k];
		m->parameter[k] = kept;
		const double slope = (up - down) / (high - low);
		worst = fmax(worst, fabs(slope - gradient_of(n, k)) / (1 + fabs(slope)));
	}
	return worst;
}

static void test_random_graphs(void **state)
{
	(void)state;
	size_t kinds[HEL_NODE_KINDS] = {0};
	double worst = 0;
	for (uint64_t seed = 0; seed < GRAPHS; seed++) {
		hel_dlrm *m = random_model(seed);
		hel_samples s;
		hel_network n;
		double z;
		const uint32_t rows[ROWS] = {0, 7, 9, 31, 58};
		for (size_t i = 0; i < m->graph->nodes; i++)
			kinds[m->graph->node[i].kind]++;
		assert_ok(hel_samples_new(&s, m->schema, &cohort, NULL, cohort.count,
					  HEL_UNKNOWN_IS_ERROR));
		assert_ok(hel_network_init(&n, m, ROWS + 3, true));
		hel_network_forward(&n, &s, rows, ROWS);
		for (size_t i = 0; i < ROWS; i++) {
			assert_ok(hel_dlrm_logit(&z, m, s.value + rows[i] * s.dense,
						 s.hot + rows[i] * s.hots));
			assert_within(z, hel_network_logits(&n)[i], 1e-4 * fmax(1, fabs(z)));
		}
		hel_network_backward(&n, ROWS);
		assert_within(loss_of(m, &s, rows), n.loss / ROWS, 1e-4 * fmax(1, n.loss));
		const double here = worst_gradient(m, &n, &s, rows);
		if (!(here < 2e-3))
			print_message("graph %d: gradient error %.2g\n", (int)seed, here);
		worst = fmax(worst, here);
		hel_network_clear(&n);
		hel_samples_clear(&s);
		hel_dlrm_free(m);
	}
	print_message("%d graphs, largest gradient error %.2g\n", GRAPHS, worst);
	assert_less(worst, 2e-3);
	for (size_t k = 0; k < HEL_NODE_KINDS; k++)
		assert_more(kinds[k], 5);
}

static void test_json(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < GRAPHS; seed++) {
		hel_dlrm *m = random_model(seed);
		hel_graph *back;
		json_t *written = hel_graph_write(m->graph);
		assert_ok(hel_graph_read(&back, written, m->schema));
		json_t *again = hel_graph_write(back);
		assert_true(json_equal(written, again));
		assert_int_equal(m->graph->nodes, back->nodes);
		json_decref(written);
		json_decref(again);
		hel_graph_free(back);
		hel_dlrm_free(m);
	}
}

static void test_architectures(void **state)
{
	(void)state;
	static const char *const configs[] = {
	    "{\"architecture\": \"dlrm\", \"interaction\": \"dot\"}",
	    "{\"architecture\": \"dlrm\", \"interaction\": \"dot\", \"interaction_self\": true}",
	    "{\"architecture\": \"dcn\", \"cross_layers\": 2}",
	    ("{\"architecture\": \"dcn\", \"cross_layers\": 3, \"cross_rank\": 5, \"cross\": "
	     "\"parallel\"}"),
	    "{\"architecture\": \"fm\"}",
	    "{\"architecture\": \"deepfm\"}",
	    "{\"architecture\": \"wide-deep\", \"bottom\": []}",
	    "{\"architecture\": \"two-tower\", \"item_columns\": [\"cp\", \"thal\"]}",
	    "{\"architecture\": \"mlp\", \"activation\": {\"kind\": \"gelu\"}}"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(configs); i++) {
		hel_dlrm_config c;
		hel_dlrm *m;
		hel_samples s;
		hel_metrics before, after;
		double *logits = hel_alloc(cohort.count, sizeof *logits);
		assert_ok(hel_dlrm_config_from_json(&c, configs[i], strlen(configs[i])));
		c.training.epochs = 30;
		c.training.weight_decay = 0.1;
		assert_ok(hel_dlrm_new(&m, &c, make_schema(0), 3));
		assert_ok(hel_samples_new(&s, m->schema, &cohort, NULL, cohort.count,
					  HEL_UNKNOWN_IS_ERROR));
		assert_ok(hel_dlrm_logits(logits, m, &s, NULL));
		assert_ok(hel_metrics_of(&before, logits, s.label, s.count));
		assert_ok(hel_dlrm_train(m, &s, NULL));
		assert_ok(hel_dlrm_logits(logits, m, &s, NULL));
		assert_ok(hel_metrics_of(&after, logits, s.label, s.count));
		print_message("%s: log loss %.3f -> %.3f\n", hel_architecture_name(c.architecture),
			      before.log_loss, after.log_loss);
		assert_less(after.log_loss, 0.62);
		assert_less(after.log_loss, before.log_loss);
		hel_free(logits);
		hel_samples_clear(&s);
		hel_dlrm_free(m);
	}
}

/* {"graph": ...} that are refused, and what is said. */
static const struct {
	const char *graph, *said;
} wrong[] = {
    {"{}", "must be an array"},
    {"[]", "without nodes"},
    {"[5]", "node 0 is not an object"},
    {"[{\"kind\": \"dense\"}]", "'name' must be a text"},
    {"[{\"name\": \"x\", \"kind\": \"convolution\"}]", "of kind 'convolution'; known are"},
    {"[{\"name\": \"x\", \"kind\": \"dense\", \"width\": 3}]", "unknown key 'width'"},
    {"[{\"name\": \"x\", \"kind\": \"dense\"}]", "expected 1 element, found 5"},
    {"[{\"name\": \"x\", \"kind\": \"embed\", \"table\": \"none\", \"width\": 1}]",
     "no table 'none'"},
    {"[{\"name\": \"x\", \"kind\": \"embed\", \"table\": \"sex\", \"width\": 0}]",
     "'width' must be a whole number from 1"},
    {"[{\"name\": \"x\", \"kind\": \"embed\", \"table\": \"sex\", \"width\": 2, \"inputs\": "
     "[\"x\"]}]",
     "no node 'x' before it"},
    {"[{\"name\": \"a\", \"kind\": \"scale\", \"factor\": 1, \"inputs\": [\"b\"]}, {\"name\": "
     "\"b\", \"kind\": \"scale\", \"factor\": 1, \"inputs\": [\"a\"]}]",
     "no node 'b' before it (missing, or a cycle)"},
    {"[{\"name\": \"d\", \"kind\": \"dense\"}, {\"name\": \"d\", \"kind\": \"dense\"}]",
     "two nodes are called 'd'"},
    {"[{\"name\": \"d\", \"kind\": \"dense\"}, {\"name\": \"e\", \"kind\": \"embed\", \"table\": "
     "\"sex\", \"width\": 2}, {\"name\": \"a\", \"kind\": \"add\", \"inputs\": [\"d\", \"e\"]}]",
     "'d' is 5 wide, 'e' 2; expected one width"},
    {"[{\"name\": \"d\", \"kind\": \"dense\"}, {\"name\": \"e\", \"kind\": \"embed\", \"table\": "
     "\"sex\", \"width\": 1}]",
     "node 'd' (dense): no node reads it"},
    {"[{\"name\": \"d\", \"kind\": \"dense\"}, {\"name\": \"p\", \"kind\": \"dot\", \"order\": "
     "\"left\", \"inputs\": [\"d\", \"d\"]}]",
     "'order' must be \"lower\" or \"upper\""},
    {"[{\"name\": \"d\", \"kind\": \"dense\"}, {\"name\": \"s\", \"kind\": \"scale\", \"factor\": "
     "\"two\", \"inputs\": [\"d\"]}]",
     "'factor' must be a number"},
    {"[{\"name\": \"d\", \"kind\": \"dense\"}, {\"name\": \"s\", \"kind\": \"activation\", "
     "\"activation\": {\"kind\": \"step\"}, \"inputs\": [\"d\"]}]",
     "kinds are relu"},
    {"[{\"name\": \"d\", \"kind\": \"dense\"}, {\"name\": \"l\", \"kind\": \"linear\", \"width\": "
     "100000, \"inputs\": [\"d\"]}]",
     "from 1 to 65536"},
};

static void test_wrong_graphs(void **state)
{
	(void)state;
	hel_schema *s = make_schema(0);
	hel_graph *g = NULL;
	for (size_t i = 0; i < HEL_ARRAY_LEN(wrong); i++) {
		json_t *o = json_loads(wrong[i].graph, 0, NULL);
		assert_non_null(o);
		assert_status(HEL_EFORMAT, hel_graph_read(&g, o, s));
		if (!strstr(hel_error_detail(), wrong[i].said))
			fail_msg("%s: said '%s', expected '%s'", wrong[i].graph, hel_error_detail(),
				 wrong[i].said);
		json_decref(o);
	}
	json_t *many = json_array();
	for (size_t i = 0; i < 1000000; i++)
		json_array_append_new(many, json_object());
	assert_status(HEL_ELIMIT, hel_graph_read(&g, many, s));
	json_decref(many);
	/* twice as wide with every node */
	many = json_array();
	json_array_append_new(many, json_pack("{s:s, s:s}", "name", "0", "kind", "dense"));
	for (int i = 0; i < 40; i++) {
		char name[16], before[16];
		snprintf(name, sizeof name, "%d", i + 1);
		snprintf(before, sizeof before, "%d", i);
		json_array_append_new(many, json_pack("{s:s, s:s, s:[s, s]}", "name", name, "kind",
						      "concat", "inputs", before, before));
	}
	assert_status(HEL_ELIMIT, hel_graph_read(&g, many, s));
	json_decref(many);
	hel_schema_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_graphs),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_architectures),
	    cmocka_unit_test(test_wrong_graphs),
	};
	make_cohort(&cohort, 200, 1);
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	hel_records_clear(&cohort);
	return failed;
}
