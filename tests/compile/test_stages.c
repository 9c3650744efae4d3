/* Exact identities, each by what it saves: levels, stages, rows, before and after. That they are
 * exact is for test_compile, which runs programs. */
#include "compile/stages.h"
#include "random_graph.h"

static hel_dlrm *model_of(const char *config, size_t dense, size_t tables)
{
	hel_prng g;
	hel_dlrm_config c;
	hel_dlrm *m;
	test_prng(&g, 1);
	assert_ok(hel_dlrm_config_from_json(&c, config, strlen(config)));
	assert_ok(hel_dlrm_new(&m, &c, random_schema(&g, dense, tables, 12), 1));
	return m;
}

static hel_stages *stages_of(const hel_dlrm *m, hel_way way)
{
	hel_stages *s;
	assert_ok(hel_stages_new(&s, m, way));
	return s;
}

static unsigned levels_of(const hel_dlrm *m, hel_way way)
{
	hel_stages *s = stages_of(m, way);
	const unsigned levels = hel_stages_levels(s);
	hel_stages_free(s);
	return levels;
}

static size_t count_maps(const hel_stages *s, hel_stage_map map)
{
	size_t n = 0;
	for (size_t i = 0; i < s->count; i++)
		n += s->stage[i].map == map;
	return n;
}

static const hel_way plain = {.monomials = false}, sum = {.sum = true},
		     fused = {.fuse = true, .sum = true};

/* A cross layer, x (W x + b) + x, is one stage with one matrix; two of them under a linear top are
 * a product of three maps. */
static void test_cross_layers(void **state)
{
	(void)state;
	static const char *const config[] = {
	    "{\"architecture\": \"dcn\", \"cross_layers\": 1, \"top\": [1]}",
	    "{\"architecture\": \"dcn\", \"cross_layers\": 2, \"top\": [1]}"};
	hel_dlrm *one = model_of(config[0], 5, 4), *two = model_of(config[1], 5, 4);
	hel_stages *s = stages_of(one, plain);
	assert_int_equal(3, s->count); /* lookup, product, logit */
	assert_int_equal(HEL_THEN_PRODUCT, s->stage[1].then);
	assert_int_equal(1, s->stage[1].factors);
	assert_int_equal(1, s->stage[2].sources); /* x is in the product */
	hel_stages_free(s);
	assert_int_equal(4, levels_of(one, plain)); /* lookup, map, product, logit */
	assert_int_equal(3, levels_of(one, sum));
	assert_int_equal(5, levels_of(two, plain)); /* stage by stage: 6 */
	assert_int_equal(4, levels_of(two, sum));
	assert_int_equal(3, levels_of(two, fused));
	s = stages_of(two, sum);
	assert_int_equal(3, s->count);
	assert_int_equal(2, s->stage[1].factors);
	hel_stages_free(s);
	hel_dlrm_free(one);
	hel_dlrm_free(two);
}

/* Members of an ensemble stand in one ciphertext, layer by layer. */
static void test_ensembles(void **state)
{
	(void)state;
	hel_dlrm *m =
	    model_of("{\"architecture\": \"mlp\", \"top\": [7, 5, 1], \"members\": 3}", 5, 4);
	hel_stages *s = stages_of(m, fused);
	assert_int_equal(3, s->count);
	assert_int_equal(21, s->stage[0].rows);
	assert_int_equal(15, s->stage[1].rows);
	assert_int_equal(4, hel_stages_levels(s));
	hel_stages_free(s);
	hel_dlrm_free(m);
}

/* What stands beside the deep tower costs it no level: deepfm ends in the tower's last squares. */
static void test_rest_of_the_logit(void **state)
{
	(void)state;
	hel_dlrm *mlp = model_of("{\"architecture\": \"mlp\", \"top\": [7, 5, 1]}", 5, 4),
		 *deepfm = model_of("{\"architecture\": \"deepfm\", \"top\": [7, 5, 1]}", 5, 4);
	assert_int_equal(levels_of(mlp, sum), levels_of(deepfm, sum));
	assert_int_equal(levels_of(mlp, plain), levels_of(deepfm, plain));
	hel_dlrm_free(mlp);
	hel_dlrm_free(deepfm);
}

/* Squares with positive and with negative weights are the parts of complex squares: half as many.
 */
static void test_paired_squares(void **state)
{
	(void)state;
	hel_dlrm *m = model_of("{\"architecture\": \"mlp\", \"top\": [100, 1]}", 5, 4);
	const hel_tensor *top = hel_dlrm_top(m, 1, false);
	for (size_t i = 0; i < 100; i++)
		m->parameter[top->offset + i] = i % 2 ? -1 : 1;
	hel_stages *s = stages_of(m, sum);
	assert_int_equal(50, s->stage[s->count - 2].rows);
	assert_int_equal(HEL_THEN_PRODUCT, s->stage[s->count - 2].then);
	hel_stages_free(s);
	for (size_t i = 0; i < 100; i++) /* nothing to pair */
		m->parameter[top->offset + i] = 1;
	s = stages_of(m, sum);
	assert_int_equal(100, s->stage[s->count - 2].rows);
	assert_int_equal(HEL_THEN_SQUARE, s->stage[s->count - 2].then);
	hel_stages_free(s);
	hel_dlrm_free(m);
}

/* All pairs of nine tables and a bottom tower: one level more than concatenation, and no row for
 * each element of each pair. Few tables: rows. */
static void test_dot(void **state)
{
	(void)state;
	static const char *const config[] = {"{\"bottom\": [8, 6, 4], \"bottom_last_activation\": "
					     "true, \"embedding_dim\": 4, \"top\": [9, 1]}",
					     "{\"bottom\": [8, 6, 4], \"bottom_last_activation\": "
					     "true, \"embedding_dim\": 4, \"top\": [9, 1], "
					     "\"interaction\": \"dot\"}"};
	const hel_way best = {.monomials = true, .sum = true};
	hel_dlrm *cat = model_of(config[0], 5, 9), *dot = model_of(config[1], 5, 9),
		 *few = model_of(config[1], 5, 3);
	assert_int_equal(levels_of(cat, best) + 1, levels_of(dot, best));
	hel_stages *s = stages_of(dot, best);
	assert_int_equal(1, count_maps(s, HEL_MAP_PAIRS));
	assert_int_equal(1, count_maps(s, HEL_MAP_MEET));
	assert_int_equal(1, count_maps(s, HEL_MAP_PLACE));
	for (size_t i = 0; i < s->count; i++)
		if (s->stage[i].map == HEL_MAP_PAIRS) /* 4 shifts of 16 places */
			assert_int_equal(64, s->stage[i].rows);
	hel_stages_free(s);
	s = stages_of(few, best);
	assert_int_equal(0, count_maps(s, HEL_MAP_PAIRS));
	hel_stages_free(s);
	hel_dlrm_free(cat);
	hel_dlrm_free(dot);
	hel_dlrm_free(few);
}

/* Every stage ends at the level of the highest that reads it. */
static void test_levels(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 20; i++) {
		hel_prng g;
		test_prng(&g, 900 + i);
		hel_dlrm *m =
		    random_graph(&g, (model_size){2, 8, 4, 12, 4, 6}, HEL_ACT_QUADRATIC, 1 + i % 4);
		hel_stages *s = stages_of(m, i % 2 ? plain : fused);
		for (size_t k = 0; k + 1 < s->count; k++) {
			unsigned most = 0;
			for (size_t j = k + 1; j < s->count; j++)
				for (size_t n = 0; n < s->stage[j].sources; n++)
					if (s->stage[j].source[n].stage == (int)k)
						most = HEL_MAX(most, hel_stage_level(s, j));
			assert_int_equal(most, hel_stage_end(s, k));
		}
		assert_int_equal(0, hel_stage_end(s, s->count - 1));
		hel_stages_free(s);
		hel_dlrm_free(m);
	}
}

/* Which stage computes a node, as inspect shows it: every product has one, and affine nodes have
 * none. Stages that were taken back hand over theirs. */
static void test_nodes(void **state)
{
	(void)state;
	static const char *const config[] = {
	    "{\"architecture\": \"dcn\", \"cross_layers\": 2, \"top\": [1]}",
	    "{\"architecture\": \"deepfm\", \"top\": [7, 5, 1]}",
	    "{\"architecture\": \"two-tower\", \"top\": [6, 4, 1]}",
	    "{\"architecture\": \"mlp\", \"top\": [7, 5, 1], \"members\": 3}",
	    ("{\"bottom\": [8, 4], \"bottom_last_activation\": true, \"interaction\": \"dot\", "
	     "\"embedding_dim\": 4}")};
	for (size_t c = 0; c < HEL_ARRAY_LEN(config); c++)
		for (unsigned way = 0; way < 3; way++) {
			hel_dlrm *m = model_of(config[c], 5, 9);
			hel_stages *s = stages_of(m, way == 0 ? plain : way == 1 ? sum : fused);
			for (size_t i = 0; i < m->graph->nodes; i++) {
				const int stage = s->node_stage[i];
				if (!hel_node_multiplies(m->graph->node[i].kind))
					assert_int_equal(HEL_MULTIPLIED_OUT, stage);
				else
					assert_true(stage >= 0 && stage < (int)s->count &&
						    (s->stage[stage].then || s->stage[stage].map));
			}
			hel_stages_free(s);
			hel_dlrm_free(m);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cross_layers), cmocka_unit_test(test_rest_of_the_logit),
	    cmocka_unit_test(test_ensembles),	 cmocka_unit_test(test_paired_squares),
	    cmocka_unit_test(test_dot),		 cmocka_unit_test(test_levels),
	    cmocka_unit_test(test_nodes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
