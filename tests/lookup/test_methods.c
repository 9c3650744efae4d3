/* Every method in the clear and encrypted, against the table itself. */
#include "../ckks/fixture.h"
#include "lookup/lookup.h"
#include "vm/clear.h"
#include "vm/encrypted.h"

typedef struct request {
	hel_lookup *l;
	uint32_t *code;
	double *features;
	hel_complex **slots, **clear, **got; /* of inputs and results */
} request;

static float *random_table(hel_prng *g, size_t count)
{
	float *v = hel_alloc(count, sizeof *v);
	assert_non_null(v);
	for (size_t i = 0; i < count; i++)
		v[i] = (float)hel_prng_normal(g) / 3;
	return v;
}

static hel_complex **new_vectors(size_t count, size_t slots)
{
	hel_complex **v = hel_alloc(count, sizeof *v);
	assert_non_null(v);
	for (size_t i = 0; i < count; i++) {
		v[i] = hel_alloc(slots, sizeof **v);
		assert_non_null(v[i]);
	}
	return v;
}

static void free_vectors(hel_complex **v, size_t count)
{
	for (size_t i = 0; i < count; i++)
		hel_free(v[i]);
	hel_free(v);
}

static void setup(request *r, const hel_lookup_spec *spec)
{
	memset(r, 0, sizeof *r);
	assert_ok(hel_lookup_new(&r->l, spec));
	const hel_manifest *m = r->l->program->manifest;
	const size_t slots = hel_params_slots(r->l->params);
	r->code =
	    hel_alloc(spec->batch * spec->tables * hel_lookup_code_width(spec), sizeof *r->code);
	r->features = hel_alloc(m->features, sizeof *r->features);
	r->slots = new_vectors(m->inputs, slots);
	r->clear = new_vectors(r->l->packing.results, slots);
	r->got = new_vectors(r->l->packing.results, slots);
	assert_true(r->code && r->features);
}

static void teardown(request *r)
{
	free_vectors(r->slots, r->l->program->manifest->inputs);
	free_vectors(r->clear, r->l->packing.results);
	free_vectors(r->got, r->l->packing.results);
	hel_free(r->code);
	hel_free(r->features);
	hel_lookup_free(r->l);
}

static uint32_t limit(const hel_lookup_spec *s, size_t table)
{
	return hel_lookup_keeps_rows(s->method) ? (uint32_t)s->table[table].rows : s->base;
}

/* 0: the first of all; 1: the last of all; 2: all numbers equal; others: random. */
static void choose_codes(request *r, unsigned round, hel_prng *g)
{
	const hel_lookup_spec *s = &r->l->spec;
	const size_t width = hel_lookup_code_width(s), all = s->batch * s->tables * width;
	for (size_t i = 0; i < all; i++) {
		const uint32_t below = limit(s, i / width % s->tables);
		r->code[i] = round == 0	  ? 0
			     : round == 1 ? below - 1
			     : round == 2 ? (uint32_t)(i / width % below)
					  : (uint32_t)(hel_prng_u64(g) % below);
	}
}

/* The largest difference of all outputs from the table's. */
static double worst(const request *r, hel_complex *const *result)
{
	const hel_lookup_spec *s = &r->l->spec;
	const size_t dim = s->table[0].dim, width = hel_lookup_code_width(s);
	double *got = hel_alloc(2 * dim, sizeof *got), *want = got + dim, most = 0;
	assert_non_null(got);
	for (size_t q = 0; q < s->batch; q++)
		for (size_t t = 0; t < s->tables; t++) {
			const uint32_t *code = r->code + (q * s->tables + t) * width;
			hel_lookup_read(got, r->l, (const hel_complex *const *)result, q, t, code);
			hel_lookup_truth(want, s, t, code);
			for (size_t k = 0; k < dim; k++)
				most = fmax(most, fabs(got[k] - want[k]));
		}
	hel_free(got);
	return most;
}

/* Slots hold outputs of the request or zero, nothing else: no sums of part of the rows. */
static void assert_nothing_else(const request *r)
{
	const hel_lookup_spec *s = &r->l->spec;
	const size_t slots = hel_params_slots(r->l->params), dim = s->table[0].dim;
	const size_t width = hel_lookup_code_width(s), step = r->l->packing.pairs ? 2 : 1;
	double *want = hel_alloc(s->batch * s->tables * (dim + 1), sizeof *want);
	assert_non_null(want);
	for (size_t i = 0; i < s->batch * s->tables; i++)
		hel_lookup_truth(want + i * dim, s, i % s->tables, r->code + i * width);
	for (size_t k = 0; k < r->l->packing.results; k++)
		for (size_t p = 0; p < slots; p += 1 + hel_mix(p) % 5) {
			const hel_complex v = {r->clear[k][p].re * r->l->norm,
					       r->clear[k][p].im * r->l->norm};
			bool known = hypot(v.re, v.im) < 1e-5;
			for (size_t i = 0; !known && i < s->batch * s->tables; i++)
				for (size_t d = 0; !known && d < dim; d += step) {
					const double im =
					    step == 2 && d + 1 < dim ? want[i * dim + d + 1] : 0;
					known = hypot(v.re - want[i * dim + d], v.im - im) < 1e-5;
				}
			assert_true(known);
		}
	hel_free(want);
}

static void run_clear(request *r)
{
	const hel_manifest *m = r->l->program->manifest;
	assert_ok(hel_lookup_fill(r->features, r->l, r->code));
	for (uint32_t i = 0; i < m->inputs; i++)
		hel_input_fill(r->slots[i], &m->input[i], r->features);
	assert_ok(hel_clear_run_many(r->clear, r->l->program, r->l->result, r->l->packing.results,
				     (const hel_complex *const *)r->slots));
}

typedef struct party {
	hel_secret_key *secret;
	hel_keys *keys;
	hel_eval *ev;
	hel_loaded *loaded;
	hel_ct **in, **out;
} party;

static void party_setup(party *c, const request *r)
{
	const hel_lookup *l = r->l;
	const hel_manifest *m = l->program->manifest;
	assert_ok(hel_secret_key_new(&c->secret, l->params));
	assert_ok(hel_keys_generate(&c->keys, c->secret, m->key, m->keys, NULL));
	assert_ok(hel_eval_new(&c->ev, l->params, c->keys, NULL));
	assert_ok(hel_loaded_new(&c->loaded, l->program, l->params, NULL));
	c->in = hel_alloc(m->inputs, sizeof *c->in);
	c->out = hel_alloc(l->packing.results, sizeof *c->out);
	assert_true(c->in && c->out);
	for (uint32_t i = 0; i < m->inputs; i++)
		assert_ok(hel_ct_new(&c->in[i], l->params));
}

static void party_teardown(party *c, const request *r)
{
	for (uint32_t i = 0; i < r->l->program->manifest->inputs; i++)
		hel_ct_free(c->in[i]);
	hel_free(c->in);
	hel_free(c->out);
	hel_loaded_free(c->loaded);
	hel_eval_free(c->ev);
	hel_keys_free(c->keys);
	hel_secret_key_free(c->secret);
}

/* Root mean square error of the results' real parts, against the clear machine. */
static double run_encrypted(party *c, request *r)
{
	const hel_lookup *l = r->l;
	const hel_manifest *m = l->program->manifest;
	const size_t slots = hel_params_slots(l->params);
	double square = 0;
	for (uint32_t i = 0; i < m->inputs; i++) {
		hel_pt *pt;
		assert_ok(hel_encode(&pt, l->params, r->slots[i], m->input[i].level, HEL_FOR_ADD));
		assert_ok(hel_encrypt(c->in[i], c->secret, pt));
		hel_pt_free(pt);
	}
	assert_ok(hel_ckks_run_many(c->out, l->result, l->packing.results, c->loaded, c->ev,
				    (const hel_ct *const *)c->in, NULL));
	for (size_t k = 0; k < l->packing.results; k++) {
		assert_ok(hel_decrypt(r->got[k], c->secret, c->out[k]));
		for (size_t p = 0; p < slots; p++)
			square += pow(r->got[k][p].re - r->clear[k][p].re, 2);
		hel_ct_free(c->out[k]);
	}
	return sqrt(square / (double)(slots * l->packing.results));
}

static void check_method(const hel_lookup_spec *spec, hel_prng *g)
{
	request r;
	party c;
	setup(&r, spec);
	const hel_params_spec ps = hel_params_get_spec(r.l->params);
	party_setup(&c, &r);
	for (unsigned round = 0; round < 4; round++) {
		choose_codes(&r, round, g);
		run_clear(&r);
		/* weights are single precision */
		assert_less(worst(&r, r.clear), 4e-6 * r.l->norm);
		assert_nothing_else(&r);
		const double error = run_encrypted(&c, &r);
		const double predicted = r.l->shape.noise.slot;
		assert_within(log2(error / predicted), 0, 2);
		const double largest = worst(&r, r.got) / (0.9 * r.l->norm);
		if (round == 3)
			print_message(
			    "%-7s base %2u digits %u batch %4zu: N=2^%u, %u levels, %zu in, "
			    "%zu out, %u keys: error 2^%.1f, predicted 2^%.1f, worst 2^%.1f\n",
			    hel_lookup_name(spec->method), spec->base, spec->digits, spec->batch,
			    ps.log_n, ps.levels, (size_t)r.l->program->manifest->inputs,
			    r.l->packing.results, r.l->shape.keys, log2(error), log2(predicted),
			    log2(largest));
		assert_less(largest, 0x1p-11);
	}
	party_teardown(&c, &r);
	teardown(&r);
}

static void test_codes(void **state)
{
	(void)state;
	static const struct {
		hel_lookup_method method;
		unsigned base, digits;
		size_t tables, batch, dim;
	} cases[] = {
	    {HEL_LOOKUP_DIGITS, 8, 8, 1, 1, 50}, {HEL_LOOKUP_DIGITS, 8, 8, 1, 40, 50},
	    {HEL_LOOKUP_DIGITS, 3, 2, 5, 3, 7},	 {HEL_LOOKUP_DIGITS, 8, 8, 1, 100, 90},
	    {HEL_LOOKUP_POWERS, 8, 8, 1, 1, 50}, {HEL_LOOKUP_POWERS, 8, 8, 1, 300, 50},
	    {HEL_LOOKUP_POWERS, 5, 3, 2, 2, 9},	 {HEL_LOOKUP_POWERS, 64, 2, 1, 1, 16},
	    {HEL_LOOKUP_ROOTS, 8, 8, 1, 1, 50},	 {HEL_LOOKUP_ROOTS, 4, 5, 1, 100, 20},
	    {HEL_LOOKUP_ROOTS, 6, 3, 2, 1, 5},	 {HEL_LOOKUP_CODED, 4, 2, 1, 1, 20},
	};
	hel_prng g;
	test_prng(&g, 60);
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++) {
		hel_table table[8];
		for (size_t t = 0; t < cases[i].tables; t++) {
			const size_t rows = cases[i].base * cases[i].digits;
			table[t] =
			    (hel_table){rows, cases[i].dim, random_table(&g, rows * cases[i].dim)};
		}
		check_method(&(hel_lookup_spec){.method = cases[i].method,
						.tables = cases[i].tables,
						.table = table,
						.base = cases[i].base,
						.digits = cases[i].digits,
						.batch = cases[i].batch},
			     &g);
		for (size_t t = 0; t < cases[i].tables; t++)
			hel_free((float *)table[t].value);
	}
}

static void test_rows(void **state)
{
	(void)state;
	static const struct {
		hel_lookup_method method;
		size_t rows[4], tables, batch, dim;
	} cases[] = {
	    {HEL_LOOKUP_FULL, {500}, 1, 1, 50},
	    {HEL_LOOKUP_FULL, {20000, 3, 700}, 3, 1, 16},
	    {HEL_LOOKUP_FULL, {1, 90}, 2, 5, 3},
	    {HEL_LOOKUP_GRID, {5000}, 1, 1, 16},
	    {HEL_LOOKUP_GRID, {100000, 3, 700, 12000}, 4, 1, 16},
	    {HEL_LOOKUP_GRID, {40, 1}, 2, 3, 5},
	};
	hel_prng g;
	test_prng(&g, 61);
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++) {
		hel_table table[4];
		for (size_t t = 0; t < cases[i].tables; t++)
			table[t] = (hel_table){cases[i].rows[t], cases[i].dim,
					       random_table(&g, cases[i].rows[t] * cases[i].dim)};
		check_method(&(hel_lookup_spec){.method = cases[i].method,
						.tables = cases[i].tables,
						.table = table,
						.batch = cases[i].batch},
			     &g);
		for (size_t t = 0; t < cases[i].tables; t++)
			hel_free((float *)table[t].value);
	}
}

/* What does not exist is refused before anything is encrypted, and leaves the features alone. */
static void test_refuses(void **state)
{
	(void)state;
	hel_prng g;
	test_prng(&g, 62);
	float *value = random_table(&g, 64 * 4);
	const hel_table table = {64, 4, value};
	for (int method = 0; method < HEL_LOOKUP_METHODS; method++) {
		const hel_lookup_spec spec = {.method = (hel_lookup_method)method,
					      .tables = 1,
					      .table = &table,
					      .base = 4,
					      .digits = 16,
					      .batch = 2};
		request r;
		if (method == HEL_LOOKUP_CODED)
			continue; /* the same code, and slow */
		setup(&r, &spec);
		choose_codes(&r, 3, &g);
		const size_t last = spec.batch * hel_lookup_code_width(&spec) - 1;
		r.features[0] = 7;
		r.code[last] = limit(&spec, 0);
		assert_status(HEL_EDATA, hel_lookup_fill(r.features, r.l, r.code));
		assert_non_null(strstr(hel_error_detail(), "lookup 1"));
		r.code[last] = UINT32_MAX - 1;
		assert_status(HEL_EDATA, hel_lookup_fill(r.features, r.l, r.code));
		assert_equal(r.features[0], 7);
		teardown(&r);
	}
	hel_lookup *l = NULL;
	hel_lookup_method method;
	hel_lookup_spec bad = {HEL_LOOKUP_DIGITS, 1, &table, 4, 15, 1, 0, 0};
	assert_status(HEL_EINVAL, hel_lookup_new(&l, &bad)); /* 60 rows expected */
	bad = (hel_lookup_spec){HEL_LOOKUP_POWERS, 1, &table, 65, 1, 1, 0, 0};
	assert_status(HEL_EINVAL, hel_lookup_new(&l, &bad));
	bad = (hel_lookup_spec){HEL_LOOKUP_FULL, 1, &table, 0, 0, 5000, 12, 0};
	assert_status(HEL_EUNSUPPORTED, hel_lookup_new(&l, &bad)); /* more lanes than slots */
	assert_non_null(strstr(hel_error_detail(), "2^12"));
	bad = (hel_lookup_spec){HEL_LOOKUP_DIGITS, 1, &table, 4, 16, 1, 12, 40};
	assert_status(HEL_EUNSUPPORTED, hel_lookup_new(&l, &bad)); /* no such precision */
	assert_non_null(strstr(hel_error_detail(), "bits"));
	value[5] = NAN;
	bad = (hel_lookup_spec){HEL_LOOKUP_DIGITS, 1, &table, 4, 16, 1, 0, 0};
	assert_status(HEL_EDATA, hel_lookup_new(&l, &bad));
	assert_null(l);
	assert_status(HEL_EINVAL, hel_lookup_method_parse(&method, "fast"));
	assert_non_null(strstr(hel_error_detail(), "powers"));
	uint32_t code[16];
	assert_ok(hel_lookup_code(code, &bad, 27));
	assert_int_equal(3, code[0]);
	assert_int_equal(2, code[1]);
	assert_int_equal(1, code[2]);
	bad.digits = 2;
	assert_status(HEL_EDATA, hel_lookup_code(code, &bad, 16));
	hel_free(value);
}

/* Parts of a table, the second one's weights on disk: their results add up to the whole table's. */
static void test_parts(void **state)
{
	(void)state;
	enum { ROWS = 900, HALF = ROWS / 2, DIM = 6 };
	hel_prng g;
	test_prng(&g, 63);
	float *value = random_table(&g, ROWS * DIM);
	const hel_table whole = {ROWS, DIM, value}, low = {HALF, DIM, value};
	const hel_table high = {ROWS - HALF, DIM, value + HALF * DIM};
	static const hel_lookup_method methods[] = {HEL_LOOKUP_FULL, HEL_LOOKUP_GRID};
	for (size_t i = 0; i < HEL_ARRAY_LEN(methods); i++) {
		hel_lookup_spec spec = {
		    .method = methods[i], .tables = 1, .table = &whole, .batch = 1};
		request r;
		party c;
		hel_lookup *second;
		hel_loaded *in_memory;
		assert_ok(hel_lookup_norm(&spec.norm, &spec));
		spec.table = &low;
		setup(&r, &spec);
		party_setup(&c, &r);
		assert_ok(hel_lookup_like(&second, r.l, &high));
		in_memory = c.loaded;
		/* the first part holds nothing of it, the second one everything */
		r.code[0] = HEL_LOOKUP_NONE;
		run_clear(&r);
		assert_equal(worst(&r, r.clear), 0);
		run_encrypted(&c, &r);
		hel_complex *empty = hel_alloc(hel_params_slots(r.l->params), sizeof *empty);
		memcpy(empty, r.got[0], hel_params_slots(r.l->params) * sizeof *empty);

		hel_lookup *first = r.l;
		r.l = second;
		r.code[0] = ROWS - HALF - 1;
		memset(second->program->hash, 1, HEL_HASH_BYTES); /* as if it had been written */
		assert_ok(hel_loaded_open(
		    &c.loaded, second->program, second->params, NULL,
		    &(hel_load_options){.cache = "test_parts.tmp", .cache_only = true}));
		assert_int_equal(0, remove("test_parts.tmp"));
		hel_loaded_prefetch(c.loaded);
		run_clear(&r);
		run_encrypted(&c, &r);
		hel_loaded_release(c.loaded);
		run_encrypted(&c, &r); /* read from disk again */
		for (size_t p = 0; p < hel_params_slots(first->params); p++) {
			r.got[0][p].re += empty[p].re;
			r.got[0][p].im += empty[p].im;
		}
		assert_less(worst(&r, r.got), 0x1p-11 * first->norm);
		hel_loaded_free(c.loaded);
		c.loaded = in_memory;
		r.l = first;
		hel_lookup_free(second);
		hel_free(empty);
		/* larger numbers than the first part's do not fit */
		value[ROWS * DIM - 1] *= 100;
		assert_status(HEL_EINVAL, hel_lookup_like(&second, first, &high));
		value[ROWS * DIM - 1] /= 100;
		party_teardown(&c, &r);
		teardown(&r);
	}
	hel_free(value);
}

/* Memory that runs out anywhere is an error and leaves nothing behind (the leak sanitizer looks).
 */
static void test_out_of_memory(void **state)
{
	(void)state;
	hel_prng g;
	test_prng(&g, 64);
	float *value = random_table(&g, 16 * 4);
	const hel_table table = {16, 4, value};
	for (int method = 0; method < HEL_LOOKUP_METHODS; method++) {
		const hel_lookup_spec spec = {.method = (hel_lookup_method)method,
					      .tables = 1,
					      .table = &table,
					      .base = 4,
					      .digits = 4,
					      .batch = 1};
		if (method == HEL_LOOKUP_CODED)
			continue; /* a large ring: slow */
		bool failed = true;
		for (long n = 1; failed; n += 1 + n / 6) {
			hel_lookup *l = NULL;
			hel_alloc_fail_at(n);
			const hel_status st = hel_lookup_new(&l, &spec);
			hel_alloc_fail_at(0);
			failed = st == HEL_ENOMEM;
			assert_true(failed || st == HEL_OK);
			assert_int_equal(failed, l == NULL);
			hel_lookup_free(l);
		}
	}
	hel_free(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_codes),	  cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_parts),	  cmocka_unit_test(test_refuses),
	    cmocka_unit_test(test_out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
