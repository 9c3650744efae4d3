/* Random DLRMs through the compiler: the program in the clear and encrypted against the model. */
#include "compile/blocks.h"
#include "compile/compile.h"
#include "features/coding.h"
#include "net/client/client_inside.h"
#include "random_graph.h"
#include "vm/clear.h"
#include "vm/encrypted.h"
#include <time.h>

/* Encrypted runs beyond these are left out: CI machines are small. */
#define MOST_BYTES (4ull << 30)
#define MOST_SECONDS 20
#define GRAPHS 30

/* Encrypts the inputs, with the record last in its batch and zeros before it, runs the program,
 * decrypts: the logit, and how far the record's slots stray. */
static double run_encrypted(const hel_program *p, const double *features, double *spread,
			    hel_pool *pool)
{
	const hel_manifest *m = p->manifest;
	hel_params *params;
	hel_secret_key *secret;
	hel_keys *keys;
	hel_eval *ev;
	hel_loaded *loaded;
	hel_ct **in = hel_alloc(m->inputs, sizeof *in), *out;
	assert_ok(hel_params_new(&params, &m->params)); /* secure, as always */
	assert_ok(hel_secret_key_new(&secret, params));
	assert_ok(hel_keys_generate(&keys, secret, m->key, m->keys, pool));
	assert_ok(hel_eval_new(&ev, params, keys, pool));
	assert_ok(hel_loaded_new(&loaded, p, params, pool));
	const size_t slots = hel_params_slots(params), batch = (size_t)1 << m->log_batch;
	hel_complex *v = hel_alloc(slots, sizeof *v), *own = hel_alloc(slots, sizeof *own);
	for (uint32_t i = 0; i < m->inputs; i++) {
		hel_pt *pt;
		hel_input_fill(own, &m->input[i], features);
		for (size_t q = 0; q < slots / batch; q++)
			v[q * batch + batch - 1] = own[q];
		assert_ok(hel_encode(&pt, params, v, m->input[i].level, HEL_FOR_ADD));
		assert_ok(hel_ct_new(&in[i], params));
		assert_ok(hel_encrypt(in[i], secret, pt));
		hel_pt_free(pt);
	}
	assert_ok(hel_ckks_run(&out, loaded, ev, (const hel_ct *const *)in, NULL));
	assert_ok(hel_decrypt(v, secret, out));
	double logit = v[batch - 1].re;
	*spread = 0;
	for (size_t i = batch - 1; i < slots; i += batch)
		*spread = fmax(*spread, hypot(v[i].re - logit, v[i].im));
	for (uint32_t i = 0; i < m->inputs; i++)
		hel_ct_free(in[i]);
	hel_free(in);
	hel_ct_free(out);
	hel_free(v);
	hel_free(own);
	hel_loaded_free(loaded);
	hel_eval_free(ev);
	hel_keys_free(keys);
	hel_secret_key_free(secret);
	hel_params_free(params);
	return logit;
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What the next model's layers are to tell. */
static const char *must_say;

/* How a model came out. */
typedef enum outcome { REFUSED, COMPILED, RAN } outcome;

/* The program in the clear against the model, on records like those it was made for, and once
 * encrypted. A model may be refused, with a reason. */
static outcome check_model(hel_prng *g, const hel_dlrm *m, const hel_compile_options *o)
{
	hel_program *p = NULL;
	hel_compile_report r;
	describe_model(m);
	const double start = seconds();
	const hel_status st = hel_compile(&p, &r, m, o);
	if (st == HEL_EUNSUPPORTED || st == HEL_ERANGE) {
		print_message("  REFUSED in %.1f s: %s\n", seconds() - start, hel_error_detail());
		assert_more(strlen(hel_error_detail()), 40);
		assert_null(p);
		return REFUSED;
	}
	assert_ok(st);
	const hel_manifest *mf = p->manifest;
	print_message("  compiled in %.1f s: N=2^%u, %u records, %u levels, %u inputs, %u keys of "
		      "%.0f MB, %.0f MB for weights and run, %.2f s, %.1f bits, bounds %s\n",
		      seconds() - start, mf->params.log_n, 1u << mf->log_batch, mf->params.levels,
		      mf->inputs, mf->keys, (double)r.key_bytes / 1e6, (double)r.memory_bytes / 1e6,
		      r.seconds, mf->bits, mf->measured ? "measured" : "proved");
	hel_schema *told;
	assert_ok(hel_schema_from_json(&told, mf->schema, strlen(mf->schema)));
	assert_int_equal(mf->features, hel_features_width(told, mf->degree));
	for (size_t t = 0; o->coding && t < m->schema->table_count; t++)
		assert_true(o->coding[t] == HEL_CODINGS || o->coding[t] == told->table[t].coding);
	const size_t dense = m->schema->dense_count, hots = hel_schema_hots(m->schema);
	double *x = hel_alloc(dense + mf->features, sizeof *x), *features = x + dense, want, got;
	uint32_t *hot = hel_alloc(hots, sizeof *hot);
	for (int n = 0; n < 5; n++) {
		hel_schema_random(m->schema, g, x, hot);
		hel_features_fill(features, told, x, hot, mf->degree);
		assert_ok(hel_dlrm_logit(&want, m, x, hot));
		assert_ok(hel_clear_run_features(&got, p, features));
		got *= mf->unit;
		/* single precision weights, against the size of logits */
		if (!(fabs(want - got) < 1e-4 * fmax(mf->spread, fabs(want))))
			fail_msg("program %.9g, model %.9g", got, want);
		assert_at_most(fabs(want), mf->bound);
	}
	for (uint32_t i = 0; must_say && i < p->layers; i++)
		if (strstr(p->layer[i], must_say))
			must_say = NULL;
	assert_null(must_say);
	const bool runs = r.key_bytes + r.memory_bytes <= MOST_BYTES && r.seconds <= MOST_SECONDS;
	if (runs) {
		double spread, secret = run_encrypted(p, features, &spread, o->pool);
		print_message("  encrypted %.6f, clear %.6f, slots within %.1g, after %.1f s\n",
			      secret, want, spread, seconds() - start);
		/* one slot, against the program in the clear: weights are single precision */
		assert_within(secret, got / mf->unit, 32 * r.shape.noise.slot);
		assert_less(spread, 32 * r.shape.noise.slot); /* one slot, the worst */
	}
	hel_compile_report_clear(&r);
	hel_program_free(p);
	hel_schema_free(told);
	hel_free(x);
	hel_free(hot);
	return runs ? RAN : COMPILED;
}

static uint64_t rounds(void)
{
	const char *text = getenv("HELRM_TEST_ROUNDS");
	return text ? strtoull(text, NULL, 10) : 12;
}

/* The first ones are small; HELRM_TEST_ROUNDS=30 goes on to models as large as there may be. */
static void test_random_models(void **state)
{
	(void)state;
	static const model_size small = {3, 20, 6, 30, 12, 9}, middle = {4, 100, 20, 500, 32, 13},
				large = {6, 700, 40, 5000, 64, 20};
	unsigned count[RAN + 1] = {0}, of_kind[HEL_ACT_KINDS] = {0};
	hel_pool *pool = hel_pool_new(2);
	assert_non_null(pool);
	for (uint64_t i = 0; i < rounds(); i++) {
		hel_prng g;
		test_prng(&g, 1000 + i);
		const hel_activation_kind kind = i % HEL_ACT_KINDS;
		hel_dlrm *m = random_model(&g, i < 12 ? small : i % 2 ? middle : large, kind);
		const hel_compile_options o = {.accept_loss = true,
					       .no_monomials = i % 4 == 1,
					       .no_fusion = i % 4 == 2,
					       .goal = between(&g, 0, HEL_GOALS - 1),
					       .log_batch = i % 3 ? 0 : between(&g, 1, 5),
					       .pool = pool};
		const outcome came = check_model(&g, m, &o);
		if (i < 12) /* every small one of these seeds runs */
			assert_int_equal(RAN, came);
		count[came]++;
		of_kind[kind] += came == RAN;
		hel_dlrm_free(m);
	}
	print_message("%u ran encrypted, %u compiled, %u refused\n", count[RAN], count[COMPILED],
		      count[REFUSED]);
	assert_true(rounds() < 12 || 2 * count[RAN] > rounds());
	for (uint64_t kind = 0; kind < HEL_ACT_KINDS && kind < rounds(); kind++)
		assert_more(of_kind[kind], 0);
	hel_pool_free(pool);
}

/* Graphs that are no chain, encrypted: 30 of them, the last third with polynomials. */
static void test_random_graphs(void **state)
{
	(void)state;
	static const model_size small = {2, 8, 4, 12, 4, 6};
	unsigned count[RAN + 1] = {0};
	hel_pool *pool = hel_pool_new(2);
	assert_non_null(pool);
	for (uint64_t i = 0; i < GRAPHS; i++) {
		hel_prng g;
		test_prng(&g, 7000 + i);
		hel_dlrm *m = random_graph(&g, small, i % 3 == 2 ? HEL_ACT_RELU : HEL_ACT_QUADRATIC,
					   1 + i % 4);
		const hel_compile_options o = {
		    .no_fusion = i % 2, .accept_loss = true, .pool = pool};
		assert_false(m->chain.whole);
		count[check_model(&g, m, &o)]++;
		hel_dlrm_free(m);
	}
	print_message("%u ran encrypted, %u compiled, %u refused\n", count[RAN], count[COMPILED],
		      count[REFUSED]);
	assert_int_equal(count[RAN], GRAPHS);
	hel_pool_free(pool);
}

/* Architectures with more than one product on a way: encrypted, over nine tables, so that pairs of
 * tables are taken in one product of ciphertexts. */
static void test_architectures(void **state)
{
	(void)state;
	static const char *const config[] = {
	    "{\"interaction\": \"dot\", \"bottom\": [6, 4], \"bottom_last_activation\": true, "
	    "\"embedding_dim\": 4, \"activation\": {\"kind\": \"quadratic\", \"a\": 0.3, \"b\": "
	    "0.5}}",
	    "{\"interaction\": \"dot\", \"bottom\": [3], \"embedding_dim\": 3, "
	    "\"interaction_self\": true}",
	    "{\"interaction\": \"dot\", \"bottom\": [4, 3], \"embedding_dim\": 3, \"activation\": "
	    "{\"kind\": \"relu\"}}",
	    "{\"architecture\": \"dcn\", \"cross_layers\": 2, \"top\": [1], \"embedding_dim\": 2}",
	    "{\"architecture\": \"dcn\", \"cross_layers\": 3, \"top\": [5, 1], \"embedding_dim\": "
	    "2}",
	    "{\"architecture\": \"dcn\", \"cross_layers\": 2, \"top\": [1], \"embedding_dim\": 2, "
	    "\"members\": 4}",
	    "{\"architecture\": \"deepfm\", \"embedding_dim\": 3, \"top\": [70, 6, 1]}",
	    "{\"architecture\": \"two-tower\", \"top\": [8, 4, 1], \"embedding_dim\": 3}",
	    "{\"architecture\": \"wide-deep\", \"top\": [9, 5, 1], \"embedding_dim\": 2, "
	    "\"activation\": "
	    "{\"kind\": \"silu\"}}"};
	hel_pool *pool = hel_pool_new(2);
	for (size_t i = 0; i < HEL_ARRAY_LEN(config); i++) {
		hel_prng g;
		hel_dlrm_config c;
		hel_dlrm *m;
		test_prng(&g, 300 + i);
		assert_ok(hel_dlrm_config_from_json(&c, config[i], strlen(config[i])));
		assert_ok(hel_dlrm_new(&m, &c, random_schema(&g, 5, 9, 12), i));
		hel_samples x = random_samples(&g, m->schema);
		if (c.activation.kind != HEL_ACT_QUADRATIC && c.activation.kind != HEL_ACT_SQUARE)
			assert_ok(hel_dlrm_approximate(m, &x, 3, HEL_LEAST_SQUARES, 2));
		const hel_compile_options o = {.accept_loss = true, .pool = pool};
		print_message("%s\n", config[i]);
		assert_int_equal(RAN, check_model(&g, m, &o));
		hel_samples_clear(&x);
		hel_dlrm_free(m);
	}
	hel_pool_free(pool);
}

/* Pairs of as many tables as there are slots for: half of them in imaginary parts. */
static void test_many_pairs(void **state)
{
	(void)state;
	static const char text[] =
	    "{\"interaction\": \"dot\", \"bottom\": [20, 16], \"embedding_dim\": 16, \"top\": "
	    "[8, 1], \"activation\": {\"kind\": \"quadratic\", \"a\": 0.1, \"b\": 0.5}}";
	hel_prng g;
	hel_dlrm_config c;
	hel_dlrm *m;
	hel_pool *pool = hel_pool_new(2);
	test_prng(&g, 400);
	assert_ok(hel_dlrm_config_from_json(&c, text, strlen(text)));
	assert_ok(hel_dlrm_new(&m, &c, random_schema(&g, 5, 24, 1500), 1));
	const hel_compile_options o = {.accept_loss = true, .pool = pool, .max_log_n = 14};
	must_say = "(the imaginary part)";
	assert_int_equal(RAN, check_model(&g, m, &o));
	hel_dlrm_free(m);
	hel_pool_free(pool);
}

/* More one-hot entries than slots: several ciphertexts. */
static void test_wide_tables(void **state)
{
	(void)state;
	hel_prng g;
	test_prng(&g, 7);
	hel_dlrm_config c = hel_dlrm_config_default();
	hel_dlrm *m;
	assert_ok(hel_dlrm_new(&m, &c, random_schema(&g, 5, 3, 9000), 1));
	assert_int_equal(RAN, check_model(&g, m, &(hel_compile_options){0}));
	hel_dlrm_free(m);
}

/* One coding for all tables that it can carry; any for the others. */
static void want(hel_coding *coding, const hel_schema *s, hel_coding wanted)
{
	for (size_t i = 0; i < s->table_count; i++) {
		const uint32_t order = hel_table_order(&s->table[i]);
		const bool can = wanted == HEL_CODING_ONE_HOT ||
				 (wanted == HEL_CODING_GRID ? s->table[i].digits == 1
							    : order <= HEL_CODE_ORDER_MAX);
		coding[i] = can ? wanted : HEL_CODINGS;
	}
}

/* Every way for entries to travel, alone and side by side, in tables of rows and of digits. */
static void test_codings(void **state)
{
	(void)state;
	static const hel_coding all[] = {HEL_CODING_GRID, HEL_CODING_POWERS, HEL_CODING_ROOTS,
					 HEL_CODING_CODED, HEL_CODINGS};
	hel_pool *pool = hel_pool_new(2);
	for (unsigned i = 0; i < (rounds() < 30 ? 1 : 2) * HEL_ARRAY_LEN(all) + 1; i++) {
		hel_prng g;
		hel_coding coding[6];
		hel_dlrm *m;
		test_prng(&g, 70 + i);
		hel_dlrm_config c = hel_dlrm_config_default();
		c.embedding_dim = between(&g, 1, 9);
		c.top[0] = 12;
		assert_ok(hel_dlrm_new(&m, &c, random_schema(&g, 4, 6, i < 5 ? 14 : 60), i));
		if (all[i % 5] < HEL_CODINGS)
			want(coding, m->schema, all[i % 5]);
		else /* side by side */
			for (uint32_t t = 0; t < 6; t++) {
				hel_coding one[6];
				want(one, m->schema, t % HEL_CODINGS);
				coding[t] = one[t];
			}
		const hel_compile_options o = {
		    .coding = coding, .pool = pool, .log_batch = i % 3 == 2 ? 2 : 0};
		for (size_t t = 0; t < 6; t++)
			print_message("%s ", coding[t] == HEL_CODINGS ? "any"
								      : hel_coding_name(coding[t]));
		assert_int_equal(RAN, check_model(&g, m, &o));
		hel_dlrm_free(m);
	}
	hel_pool_free(pool);
}

/* A schema of hashed tables, each of `digits` digits in base `base`. */
static hel_schema *hashed_schema(size_t tables, uint32_t base, uint32_t digits)
{
	hel_schema *s;
	assert_ok(hel_schema_new(&s, 2, tables));
	s->clip = 3;
	strcpy(s->dataset, "criteo");
	for (size_t i = 0; i < 2; i++) {
		snprintf(s->dense[i].name, HEL_NAME_MAX, "d%zu", i);
		s->dense[i].deviation = 1;
	}
	for (size_t i = 0; i < tables; i++) {
		snprintf(s->table[i].name, HEL_NAME_MAX, "t%zu", i);
		s->table[i].base = base;
		s->table[i].digits = digits;
		assert_ok(hel_table_know(s, i, NULL, 0, true));
	}
	return s;
}

static unsigned tables_by(const hel_program *p, hel_coding coding)
{
	hel_schema *s;
	unsigned count = 0;
	assert_ok(hel_schema_from_json(&s, p->manifest->schema, strlen(p->manifest->schema)));
	for (size_t i = 0; i < s->table_count; i++)
		count += s->table[i].coding == coding;
	hel_schema_free(s);
	return count;
}

/* Where queries are dear, the planner leaves one-hot entries by itself: digits become powers, long
 * tables a grid; where a limit says so, too. */
static void test_small_queries(void **state)
{
	(void)state;
	static const struct {
		size_t tables;
		uint32_t base, digits;
		hel_coding coding;
		size_t max_query;
	} models[] = {{3, 16000, 1, HEL_CODING_GRID, 600000}, {64, 32, 24, HEL_CODING_POWERS, 0}};
	/* the second is large: left to runs that are long anyway */
	const size_t count = rounds() < 30 ? 1 : 2;
	hel_pool *pool = hel_pool_new(2);
	for (size_t i = 0; i < count; i++) {
		hel_prng g;
		hel_program *p;
		hel_dlrm *m;
		hel_compile_report r[2];
		test_prng(&g, 90 + i);
		hel_dlrm_config c = hel_dlrm_config_default();
		c.embedding_dim = 2;
		c.top[0] = 8;
		assert_ok(hel_dlrm_new(
		    &m, &c, hashed_schema(models[i].tables, models[i].base, models[i].digits), i));
		const hel_compile_options small = {.pool = pool,
						   .accept_loss = true,
						   .no_fusion = true,
						   .goal = models[i].max_query ? HEL_LATENCY
									       : HEL_QUERY,
						   .max_query_bytes = models[i].max_query};
		for (int k = 0; k < 2; k++) {
			const hel_compile_options fast = {
			    .pool = pool, .accept_loss = true, .no_fusion = true};
			assert_ok(hel_compile(&p, &r[k], m, k ? &small : &fast));
			print_message("%s: %zu bytes, %.1f ms, %u of %zu tables by %s\n",
				      k ? "small" : "fast", r[k].query_bytes, 1e3 * r[k].seconds,
				      tables_by(p, models[i].coding), models[i].tables,
				      hel_coding_name(models[i].coding));
			assert_true(!k || tables_by(p, models[i].coding) == models[i].tables);
			hel_compile_report_clear(&r[k]);
			hel_program_free(p);
		}
		assert_int_equal(RAN, check_model(&g, m, &small));
		hel_dlrm_free(m);
	}
	hel_pool_free(pool);
}

/* A selection is bounded as if every place passed. Where that outgrows the modulus and bounds must
 * be proved, entries stay one-hot. */
static void test_proved_small_queries(void **state)
{
	(void)state;
	hel_dlrm_config c = hel_dlrm_config_default();
	hel_program *p;
	hel_compile_report r;
	hel_dlrm *m;
	if (rounds() < 30)
		skip();
	c.embedding_dim = 2;
	for (c.top_layers = 0; c.top_layers < 4; c.top_layers++)
		c.top[c.top_layers] = c.top_layers < 3 ? 8 : 1;
	assert_ok(hel_dlrm_new(&m, &c, hashed_schema(3, 16000, 1), 1));
	hel_compile_options o = {.goal = HEL_QUERY, .accept_loss = true, .no_fusion = true};
	for (int proved = 0; proved < 2; proved++) {
		o.proved_only = proved;
		assert_ok(hel_compile(&p, &r, m, &o));
		assert_int_equal(proved ? 0 : 3, tables_by(p, HEL_CODING_GRID));
		assert_int_equal(!proved, p->manifest->measured);
		hel_compile_report_clear(&r);
		hel_program_free(p);
	}
	hel_dlrm_free(m);
}

/* The root of one of two rows is 1 or -1: its imaginary part shows nothing, its real part all of
 * it. The last weight is negative, which makes a sum of squares complex, so that imaginary parts
 * end where the root is multiplied. */
static void test_bound_of_roots(void **state)
{
	(void)state;
	static const hel_coding coding[] = {HEL_CODING_POWERS, HEL_CODING_ONE_HOT};
	hel_dlrm_config c = hel_dlrm_config_default();
	hel_program *p;
	hel_compile_report r;
	hel_schema *s;
	hel_dlrm *m;
	c.embedding_dim = 1;
	c.bottom_layers = 0;
	c.top_layers = 2;
	c.top[0] = c.top[1] = 1;
	c.activation.kind = HEL_ACT_SQUARE;
	assert_ok(hel_schema_new(&s, 0, 2));
	s->clip = 3;
	strcpy(s->dataset, "criteo");
	for (size_t i = 0; i < 2; i++) {
		snprintf(s->table[i].name, HEL_NAME_MAX, "t%zu", i);
		s->table[i].digits = 1;
		assert_ok(hel_table_know(s, i, NULL, 0, true));
		assert_int_equal(2, hel_table_width(&s->table[i]));
	}
	assert_ok(hel_dlrm_new(&m, &c, s, 1));
	for (size_t i = 0; i < 2; i++) {
		float *row = m->parameter + hel_dlrm_table(m, i)->offset;
		row[0] = i ? 0 : 3;
		row[1] = -row[0];
		m->parameter[hel_dlrm_top(m, 0, false)->offset + i] = 1;
	}
	m->parameter[hel_dlrm_top(m, 1, false)->offset] = -1;
	assert_ok(hel_compile(&p, &r, m, &(hel_compile_options){.coding = coding}));
	double want = 0, dense[1] = {0}; /* there are none */
	for (uint32_t k = 0; k < 4; k++) {
		const uint32_t hot[] = {k % 2, 2 + k / 2};
		double logit;
		assert_ok(hel_dlrm_logit(&logit, m, dense, hot));
		want = fmax(want, fabs(logit));
	}
	print_message("bound %.9g, largest logit %.9g\n", p->manifest->bound, want);
	assert_true(!p->manifest->measured);
	assert_more(p->manifest->bound, want * (1 - 1e-6));
	assert_less(p->manifest->bound, 2 * want);
	hel_compile_report_clear(&r);
	hel_program_free(p);
	hel_dlrm_free(m);
}

/* Without activations the logit is linear in the record: the bound is what its weights allow when
 * of every table one row is looked up. Here from the model's tensors, there from the program. */
static void test_bound_of_a_linear_model(void **state)
{
	(void)state;
	for (uint64_t round = 0; round < 6; round++) {
		hel_prng g;
		hel_program *p;
		hel_compile_report r;
		hel_dlrm *m;
		test_prng(&g, 40 + round);
		hel_dlrm_config c = hel_dlrm_config_default();
		c.embedding_dim = 3;
		c.bottom_layers = 0;
		c.top_layers = 1;
		c.top[0] = 1;
		hel_schema *s = random_schema(&g, 4, 5, round >= 3 ? 3000 : 40);
		const size_t onehots = hel_schema_onehots(s), places = hel_schema_hots(s);
		assert_ok(hel_dlrm_new(&m, &c, s, round));
		const float *w = hel_tensor_data(m, hel_dlrm_top(m, 0, false));
		double want = fabs((double)hel_tensor_data(m, hel_dlrm_top(m, 0, true))[0]);
		for (size_t i = 0; i < s->dense_count; i++, w++)
			want += s->clip * fabs((double)*w);
		const size_t width = hel_features_width(s, 1);
		uint32_t *group = hel_alloc(width, sizeof *group), *entry = group + s->dense_count;
		double *range = hel_alloc(width, sizeof *range);
		double *most = hel_alloc(places, sizeof *most);
		assert_int_equal(places, hel_features_ranges(range, group, s, 1));
		hel_free(range);
		for (size_t t = 0; t < s->table_count; t++, w += 3) {
			const float *row = hel_tensor_data(m, hel_dlrm_table(m, t));
			for (size_t i = hel_table_width(&s->table[t]); i; i--, row += 3, entry++) {
				double v = 0;
				for (int k = 0; k < 3; k++)
					v += (double)w[k] * (double)row[k];
				most[*entry] = fmax(most[*entry], fabs(v));
			}
		}
		for (size_t k = 0; k < places; k++)
			want += most[k];
		assert_ok(hel_compile(&p, &r, m, &(hel_compile_options){0}));
		print_message("%zu entries in %zu groups: bound %.9g, from tensors %.9g\n", onehots,
			      places, p->manifest->bound, want);
		/* the magnitude of a complex slot says less than its real part, and embedding
		 * vectors in a ciphertext of their own no longer tell who goes with whom */
		bool loose = p->layers > 1;
		for (uint32_t i = 0; i < p->manifest->inputs; i++)
			loose |= hel_layout_is_complex(&p->manifest->input[i].layout);
		const double over = p->manifest->bound / want - 1;
		assert_true(!p->manifest->measured);
		assert_more(over, -1e-5);
		assert_less(over, (loose ? 1 : 1e-5));
		hel_compile_report_clear(&r);
		hel_program_free(p);
		hel_dlrm_free(m);
		hel_free(group);
		hel_free(most);
	}
}

/* Polynomials in rings that are shared by more and more records, where imaginary parts are used and
 * folds go round in other ways: bounds hardly depend on it. */
static void test_polynomials_in_batches(void **state)
{
	(void)state;
	for (uint64_t round = 0; round < 2; round++) {
		hel_prng g;
		hel_dlrm *m;
		hel_samples records;
		double bound = 0;
		test_prng(&g, 60 + round);
		hel_dlrm_config c = hel_dlrm_config_default();
		c.activation.kind = HEL_ACT_RELU;
		assert_ok(hel_dlrm_new(&m, &c, random_schema(&g, 5, 4, 8), round));
		records = random_samples(&g, m->schema);
		assert_ok(hel_dlrm_approximate(m, &records, 7, HEL_LEAST_SQUARES, 2));
		for (unsigned log_batch = 0; log_batch <= 8; log_batch += log_batch ? 1 : 5) {
			hel_program *p;
			hel_compile_report r;
			bool complex = false;
			const hel_compile_options o = {.log_batch = log_batch, .records = &records};
			assert_ok(hel_compile(&p, &r, m, &o));
			for (uint32_t i = 0; i < p->manifest->inputs; i++)
				complex |= hel_layout_is_complex(&p->manifest->input[i].layout);
			print_message("%zu entries, %u records%s: bound %.3g\n",
				      hel_schema_onehots(m->schema), 1u << log_batch,
				      complex ? ", imaginary parts" : "", p->manifest->bound);
			bound = log_batch ? bound : p->manifest->bound;
			assert_true(!p->manifest->measured);
			assert_less(p->manifest->bound, 1.05 * bound);
			hel_compile_report_clear(&r);
			hel_program_free(p);
		}
		const hel_compile_options o = {.log_batch = 6, .records = &records};
		assert_int_equal(RAN, check_model(&g, m, &o));
		hel_samples_clear(&records);
		hel_dlrm_free(m);
	}
}

static void test_refuses(void **state)
{
	(void)state;
	hel_prng g;
	test_prng(&g, 8);
	hel_dlrm_config c = hel_dlrm_config_default();
	hel_dlrm *m;
	hel_program *p = NULL;
	hel_compile_report r;
	c.activation.kind = HEL_ACT_RELU;
	assert_ok(hel_dlrm_new(&m, &c, random_schema(&g, 5, 3, 5), 1));
	assert_status(HEL_EUNSUPPORTED, hel_compile(&p, &r, m, &(hel_compile_options){0}));
	assert_non_null(strstr(hel_error_detail(), "layer top_l.0: relu"));
	hel_dlrm_free(m);
	c = hel_dlrm_config_default();
	for (c.top_layers = 0; c.top_layers < 9; c.top_layers++)
		c.top[c.top_layers] = c.top_layers < 8 ? 6 : 1;
	assert_ok(hel_dlrm_new(&m, &c, random_schema(&g, 5, 3, 5), 1));
	assert_status(HEL_EUNSUPPORTED,
		      hel_compile(&p, &r, m, &(hel_compile_options){.max_log_n = 13}));
	print_message("%s\n", hel_error_detail());
	assert_non_null(strstr(hel_error_detail(), "needs 16 levels"));
	assert_non_null(strstr(hel_error_detail(), "top_l.4 2"));
	assert_null(p);
	hel_dlrm_free(m);
	/* batches: more than the format has, more than there are slots for */
	c = hel_dlrm_config_default();
	assert_ok(hel_dlrm_new(&m, &c, random_schema(&g, 5, 3, 5), 1));
	assert_status(
	    HEL_EINVAL,
	    hel_compile(&p, &r, m, &(hel_compile_options){.log_batch = HEL_MAX_LOG_BATCH + 1}));
	assert_status(
	    HEL_EUNSUPPORTED,
	    hel_compile(&p, &r, m, &(hel_compile_options){.max_log_n = 12, .log_batch = 9}));
	print_message("%s\n", hel_error_detail());
	assert_non_null(strstr(hel_error_detail(), "4 slots for each of 512 records"));
	assert_null(p);
	hel_dlrm_free(m);
}

/* Codings that a table cannot have, with what to do; and digits so long that planning must leave
 * out packings of a slot for each block, thousands of vectors. */
static void test_refuses_codings(void **state)
{
	(void)state;
	static const struct {
		uint32_t base, digits;
		hel_coding coding;
		const char *reason;
	} bad[] = {
	    {63, 2, HEL_CODING_ROOTS, "a digit, none included, has 65; train it with shorter"},
	    {64, 1, HEL_CODING_POWERS, "the table has 65; train it with digits"},
	    {4, 2, HEL_CODING_GRID, "grid takes one entry at a time"}};
	hel_dlrm_config c = hel_dlrm_config_default();
	hel_dlrm *m;
	hel_program *p = NULL;
	hel_compile_report r;
	c.embedding_dim = 1;
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++) {
		assert_ok(hel_dlrm_new(&m, &c, hashed_schema(1, bad[i].base, bad[i].digits), 1));
		assert_status(
		    HEL_EUNSUPPORTED,
		    hel_compile(&p, &r, m, &(hel_compile_options){.coding = &bad[i].coding}));
		assert_non_null(strstr(hel_error_detail(), bad[i].reason));
		hel_dlrm_free(m);
	}
	static const hel_coding roots = HEL_CODING_ROOTS;
	hel_stages *s;
	unsigned packings = 0;
	assert_ok(hel_dlrm_new(&m, &c, hashed_schema(1, 62, 32), 1));
	assert_ok(hel_stages_new(&s, m, (hel_way){.coding = &roots}));
	for (unsigned log_blocks = 0; log_blocks <= 13; log_blocks++) {
		hel_blocks *b;
		assert_ok(hel_blocks_new(&b, s, 13, (hel_blocks_shape){.log_blocks = log_blocks}));
		assert_true(!b || b->sources <= 512);
		packings += b != NULL;
		hel_blocks_free(b);
	}
	assert_int_equal(12, packings); /* with 4 slots for each block, not with 2 */
	hel_stages_free(s);
	hel_dlrm_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_models),
	    cmocka_unit_test(test_random_graphs),
	    cmocka_unit_test(test_architectures),
	    cmocka_unit_test(test_many_pairs),
	    cmocka_unit_test(test_wide_tables),
	    cmocka_unit_test(test_codings),
	    cmocka_unit_test(test_small_queries),
	    cmocka_unit_test(test_proved_small_queries),
	    cmocka_unit_test(test_bound_of_roots),
	    cmocka_unit_test(test_bound_of_a_linear_model),
	    cmocka_unit_test(test_polynomials_in_batches),
	    cmocka_unit_test(test_refuses),
	    cmocka_unit_test(test_refuses_codings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
