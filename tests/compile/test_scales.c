/* The price of precision: what more bits cost one model. */
#include "compile/compile.h"
#include "compile/scales.h"
#include "random_model.h"
#include "vm/digit_size.h"

static hel_dlrm *small_model(void)
{
	hel_prng g;
	hel_dlrm *m;
	hel_dlrm_config c = hel_dlrm_config_default();
	test_prng(&g, 3);
	c.embedding_dim = 4;
	c.bottom_layers = 1;
	c.bottom[0] = c.top[0] = c.top[1] = 8;
	c.top_layers = 3;
	c.top[2] = 1;
	c.bottom_last_activation = true;
	c.activation = (hel_activation){.kind = HEL_ACT_QUADRATIC, .a = 0.3, .b = 0.5};
	assert_ok(hel_dlrm_new(&m, &c, random_schema(&g, 5, 3, 40), 3));
	hel_samples x = random_samples(&g, m->schema);
	settle(m, &x);
	hel_samples_clear(&x);
	return m;
}

/* Of all ways the cheapest that is precise enough, whatever is wanted; and where none is, the
 * cheapest nearly as precise as any. */
static void test_wishes(void **state)
{
	(void)state;
	hel_dlrm *m = small_model();
	hel_program *p;
	hel_compile_report r;
	hel_precision precision;
	static hel_digits way[HEL_DIGIT_WAYS];
	double has[HEL_DIGIT_WAYS], most = -INFINITY, price = 0;
	unsigned scales = 0;
	assert_ok(hel_compile(&p, &r, m, &(hel_compile_options){.accept_loss = true}));
	const double spread = p->manifest->spread / p->manifest->unit;
	assert_ok(hel_precision_new(&precision, p, m, m->schema, NULL));
	/* a chain longer than the program's own, in a ring that it fills */
	const hel_params_spec planned = {.log_n = 14,
					 .levels = 10,
					 .primes_per_level = 1,
					 .scale_bits = 30,
					 .alpha = 1,
					 .special = 1};
	const size_t ways = hel_digits_list(way, &planned, hel_cost_model_default());
	for (size_t i = 0; i < ways; i++) {
		hel_params *params;
		hel_noise noise;
		assert_ok(hel_params_new(&params, &way[i].spec));
		assert_ok(hel_precision_noise(&noise, &precision, p, params));
		has[i] = log2(spread / (sqrt(2 / M_PI) * noise.score));
		most = fmax(most, has[i]);
		hel_params_free(params);
	}
	for (double wish = most - 6; wish <= most + 2; wish += 0.5) {
		choice c = {.params = NULL};
		bool changed;
		assert_ok(hel_params_new(&c.params, &planned));
		assert_ok(hel_choose_scales(&changed, &c, p, &precision, wish, spread, 0, 0,
					    hel_cost_model_default()));
		const hel_params_spec *s = &c.params->spec;
		size_t i = 0, first = 0;
		while (memcmp(&way[i].spec, s, sizeof *s) != 0)
			assert_less(++i, ways);
		while (has[first] < (wish <= most ? wish : most - 0.3))
			first++;
		print_message("%.1f bits wanted, %.2f: scale 2^%u, digits of %u, %u special\n",
			      wish, has[i], s->scale_bits, s->alpha, s->special);
		assert_int_equal(i, first);
		if (wish <= most) {
			assert_at_least(way[i].seconds, price);
			price = way[i].seconds;
		}
		scales |= 1u << s->scale_bits;
		hel_params_free(c.params);
		/* with the cheapest left: the next that is precise enough */
		size_t next = first + 1;
		while (next < ways && !(has[next] >= wish))
			next++;
		assert_ok(hel_params_new(&c.params, &planned));
		const hel_status st = hel_choose_scales(&changed, &c, p, &precision, wish, spread,
							0, 1, hel_cost_model_default());
		assert_int_equal(st, wish <= most && next < ways ? HEL_OK : HEL_EUNSUPPORTED);
		if (st == HEL_OK)
			assert_memory_equal(&way[next].spec, &c.params->spec, sizeof *s);
		hel_params_free(c.params);
	}
	assert_more(__builtin_popcount(scales), 1);
	hel_precision_clear(&precision);
	hel_compile_report_clear(&r);
	hel_program_free(p);
	hel_dlrm_free(m);
}

/* Cheapest first, and all of them secure. */
static void test_list(void **state)
{
	(void)state;
	static hel_digits way[HEL_DIGIT_WAYS];
	const hel_params_spec chain = {
	    .log_n = 14, .levels = 10, .primes_per_level = 1, .scale_bits = 30};
	const size_t ways = hel_digits_list(way, &chain, hel_cost_model_default());
	assert_more(ways, 10);
	unsigned scales = 0;
	for (size_t i = 0; i < ways; i++) {
		hel_params *p;
		assert_ok(hel_params_new(&p, &way[i].spec));
		hel_params_free(p);
		assert_true(!i || way[i - 1].seconds <= way[i].seconds);
		assert_true(way[i].spec.special >= way[i].spec.alpha);
		scales |= 1u << way[i].spec.scale_bits;
	}
	assert_int_equal(scales, 31u << 26);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_wishes),
					   cmocka_unit_test(test_list)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
