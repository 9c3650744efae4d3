/* What is found does not depend on who looks: any number of threads come to the same program. */
#include "compile/compile.h"
#include "random_graph.h"
#include <string.h>

#define MODELS 4

/* The compiled model's file, on so many threads; empty when it was refused. */
static void compiled(hel_writer *w, const hel_dlrm *m, hel_compile_options o, unsigned threads)
{
	hel_program *p = NULL;
	hel_compile_report r;
	hel_pool *pool = threads > 1 ? hel_pool_new(threads) : NULL;
	assert_true(threads == 1 || pool);
	o.pool = pool;
	if (hel_compile(&p, &r, m, &o) == HEL_OK) {
		assert_ok(hel_program_write(w, p));
		hel_compile_report_clear(&r);
	}
	hel_program_free(p);
	hel_pool_free(pool);
}

static void test_threads(void **state)
{
	(void)state;
	static const model_size small = {3, 20, 6, 30, 12, 9};
	unsigned programs = 0;
	for (unsigned i = 0; i < MODELS; i++) {
		hel_prng g;
		test_prng(&g, 4000 + i);
		hel_dlrm *m = i % 2 ? random_graph(&g, small, HEL_ACT_QUADRATIC, 1 + i % 3)
				    : random_model(&g, small, HEL_ACT_QUADRATIC);
		/* uploads that are dear: other codings are tried, too */
		const hel_compile_options o = {.accept_loss = true,
					       .goal = i < 2 ? HEL_LATENCY : HEL_QUERY};
		hel_writer one = {0}, many = {0};
		compiled(&one, m, o, 1);
		programs += one.size > 0;
		compiled(&many, m, o, 3);
		assert_int_equal(one.size, many.size);
		assert_memory_equal(one.bytes, many.bytes, one.size);
		hel_writer_clear(&many);
		hel_writer_clear(&one);
		hel_dlrm_free(m);
	}
	assert_int_equal(programs, MODELS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
