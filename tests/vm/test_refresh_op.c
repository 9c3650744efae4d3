/* One refresh in a program: ciphertexts against the clear machine, whose sums over roots of unity
 * and libm's sine know nothing of theirs; keys, errors and counts as the shape machine says. */
#include "../ckks/fixture.h"
#include "ckks/eval.h"
#include "counting.h"
#include "vm/clear.h"
#include "vm/encrypted.h"
#include "vm/refresh_op.h"
#include "vm/shape.h"
#include <complex.h>

#define TURN 0.09

enum { LOG_N = 10, LEVELS = 9, BABIES = 8, RUNS = 16 };

static const size_t slots = (size_t)1 << (LOG_N - 1);

typedef struct fixture {
	hel_params *params;
	hel_program *p;
	hel_shape shape;
	hel_secret_key *secret;
	hel_keys *keys;
	hel_loaded *loaded;
	size_t n;
	double *features; /* RUNS vectors within the range */
} fixture;

static void add(hel_program *p, hel_op op)
{
	assert_ok(hel_program_add_op(p, &op));
}

static void rescale(hel_program *p)
{
	add(p, (hel_op){.kind = HEL_OP_RESCALE, .value = p->ops - 1});
}

/* What brings values into coefficients, by all diagonals: row p is the polynomial's value at
 * zeta^(5^p), zeta of order 2 n. */
static void add_transform(hel_program *p, const hel_params *params, size_t n)
{
	hel_op op = {.kind = HEL_OP_LINEAR, .terms = (uint32_t)n};
	hel_complex *v = hel_alloc(slots, sizeof *v);
	size_t *power = hel_alloc(n / 2, sizeof *power);
	op.term = hel_alloc(n, sizeof *op.term);
	power[0] = 1;
	for (size_t i = 1; i < n / 2; i++)
		power[i] = power[i - 1] * 5 % (2 * n);
	for (size_t d = 0; d < n; d++) {
		const size_t giant = d - d % BABIES;
		for (size_t q = 0; q < slots; q++) {
			const size_t at = q + slots - giant;
			const size_t root = power[at % (n / 2)] * ((at + d) % n) % (2 * n);
			const double complex w = TURN / hel_refresh_unit(params) *
						 cexp(I * M_PI * (double)root / (double)n);
			v[q] = (hel_complex){creal(w), cimag(w)};
		}
		op.term[d] = (hel_term){0, 0, (int32_t)(d % BABIES), (int32_t)giant};
		assert_ok(hel_program_add_vector(p, v, LOG_N - 1, &op.term[d].vector));
	}
	add(p, op);
	hel_free(power);
	hel_free(v);
}

/* Input, layer, refresh, half of the sine. */
static hel_program *make_program(const hel_params *params, unsigned log_values)
{
	const size_t n = (size_t)1 << log_values;
	hel_program *p = hel_alloc(1, sizeof *p);
	hel_manifest *m = p->manifest = hel_alloc(1, sizeof *m);
	m->params = hel_params_get_spec(params);
	m->features = (uint32_t)n;
	m->inputs = 1;
	m->input = hel_alloc(1, sizeof *m->input);
	m->input[0] =
	    (hel_input){.level = 1, .layout = {LOG_N - 1, (uint8_t)log_values, {0}, (uint32_t)n}};
	for (unsigned i = 0; i < log_values; i++)
		m->input[0].layout.position[i] = (uint8_t)i;
	assert_ok(hel_program_add_layer(p, "refreshed"));
	add(p, (hel_op){.kind = HEL_OP_INPUT});
	add_transform(p, params, n);
	rescale(p);
	hel_op refresh = {.kind = HEL_OP_REFRESH, .value = p->ops - 1, .index = log_values};
	refresh.factor = hel_alloc(2, sizeof *refresh.factor);
	refresh.factor[0] = hel_refresh_unit(params);
	refresh.factor[1] = TURN;
	add(p, refresh);
	hel_op half = {.kind = HEL_OP_WEIGHTED_SUM, .index = 1, .terms = 1};
	half.term = hel_alloc(1, sizeof *half.term);
	half.factor = hel_alloc(2, sizeof *half.factor);
	half.term->value = p->ops - 1;
	half.factor[0] = 0.5;
	add(p, half);
	rescale(p);
	return p;
}

static void measure_shape(fixture *f)
{
	double *bound = hel_alloc(f->n, sizeof *bound);
	double *largest = hel_alloc(f->p->ops, sizeof *largest);
	for (size_t i = 0; i < f->n; i++)
		bound[i] = 1;
	/* a proof there is none */
	hel_ranges ranges = {.feature = bound};
	assert_status(HEL_ERANGE, hel_shape_run(&f->shape, f->p, f->params, &ranges, NULL));
	assert_ok(hel_clear_measure(largest, f->p, f->features, RUNS));
	ranges.measured = largest;
	hel_noise_gains *gains;
	assert_ok(hel_noise_gains_new(&gains, f->p, f->features, RUNS));
	assert_ok(hel_shape_run(&f->shape, f->p, f->params, &ranges, gains));
	hel_noise_gains_free(gains);
	assert_at_most(f->shape.bound, 0.5 * (1 + 1e-6)); /* of a sine that ends at 1 */
	hel_free(bound);
	hel_free(largest);
}

static void setup(fixture *f, unsigned log_values, uint64_t seed)
{
	hel_params_spec spec;
	hel_prng g;
	*f = (fixture){.n = (size_t)1 << log_values};
	test_prng(&g, seed);
	assert_ok(hel_refresh_params(&spec, LOG_N, LEVELS));
	assert_ok(hel_params_new_insecure_test(&f->params, &spec));
	f->p = make_program(f->params, log_values);
	f->features = hel_alloc(RUNS * f->n, sizeof *f->features);
	for (size_t i = 0; i < RUNS * f->n; i++)
		f->features[i] = 2 * hel_prng_unit(&g) - 1;
	measure_shape(f);
	hel_manifest *m = f->p->manifest;
	m->keys = f->shape.keys;
	m->key = hel_alloc(m->keys, sizeof *m->key);
	memcpy(m->key, f->shape.key, m->keys * sizeof *m->key);
	assert_ok(hel_secret_key_new(&f->secret, f->params));
	assert_ok(hel_keys_generate(&f->keys, f->secret, m->key, m->keys, NULL));
	assert_ok(hel_loaded_new(&f->loaded, f->p, f->params, NULL));
}

static void teardown(fixture *f)
{
	hel_loaded_free(f->loaded);
	hel_keys_free(f->keys);
	hel_secret_key_free(f->secret);
	hel_shape_clear(&f->shape);
	hel_program_free(f->p);
	hel_params_free(f->params);
	hel_free(f->features);
}

static hel_ct *encrypted_input(const fixture *f, const double *features, hel_complex *x)
{
	hel_pt *pt;
	hel_ct *ct;
	hel_input_fill(x, f->p->manifest->input, features);
	assert_ok(hel_encode(&pt, f->params, x, 1, HEL_FOR_ADD));
	assert_ok(hel_ct_new(&ct, f->params));
	assert_ok(hel_encrypt(ct, f->secret, pt));
	hel_pt_free(pt);
	return ct;
}

static hel_status run(const fixture *f, hel_ct **out, const hel_keys *keys, const hel_ct *in,
		      hel_pool *pool, const atomic_bool *stop)
{
	hel_eval *ev;
	hel_ct *result = NULL;
	hel_status st;
	assert_ok(hel_eval_new(&ev, f->params, keys, pool));
	ev->stop = stop;
	st = hel_ckks_run(&result, f->loaded, ev, (const hel_ct *const[]){in}, NULL);
	if (st == HEL_OK) { /* scratch lives as long as its evaluator */
		assert_ok(hel_ct_new(out, f->params));
		hel_ct_copy(*out, result);
	}
	hel_ct_free(result);
	hel_eval_free(ev);
	return st;
}

static void check(unsigned log_values)
{
	fixture f;
	setup(&f, log_values, log_values);
	hel_complex *x = hel_alloc(3 * slots, sizeof *x), *want = x + slots, *got = want + slots;
	hel_ct *in = encrypted_input(&f, f.features, x), *out, *same;
	assert_ok(hel_clear_run(want, f.p, (const hel_complex *const[]){x}));
	const double end = sin(2 * M_PI * TURN);
	for (size_t q = 0; q < slots; q++) { /* independent of the clear machine's sums, too */
		const size_t j =
		    hel_fft_value(log_values, hel_fft_skewed(log_values, LOG_N - 1, q));
		assert_within(want[q].re, sin(2 * M_PI * TURN * f.features[j]) / end / 2, 1e-6);
	}
	assert_ok(run(&f, &out, f.keys, in, NULL, NULL));
	assert_ok(hel_decrypt(got, f.secret, out));
	double square = 0;
	for (size_t q = 0; q < slots; q++)
		square += (got[q].re - want[q].re) * (got[q].re - want[q].re) / (double)slots;
	const double error = sqrt(square);
	print_message("2^%u values, %u keys: error 2^%.2f, predicted 2^%.2f\n", log_values,
		      f.shape.keys, log2(error), log2(f.shape.noise.slot));
	assert_within(log2(error / f.shape.noise.slot), 0, 0.4);
	hel_pool *pool = hel_pool_new(3);
	assert_non_null(pool);
	assert_ok(run(&f, &same, f.keys, in, pool, NULL));
	for (int half = 0; half < 2; half++)
		assert_memory_equal(out->part[half], same->part[half], 4 * f.params->ring.n);
	hel_pool_free(pool);
	hel_ct_free(same);
	hel_ct_free(out);
	hel_ct_free(in);
	hel_free(x);
	teardown(&f);
}

static void test_machines_agree(void **state)
{
	(void)state;
	check(4);
	check(6);
	check(9);
}

/* The sparse secret's keys are among those asked for, each is needed, and no other. */
static void test_keys(void **state)
{
	(void)state;
	fixture f;
	setup(&f, 4, 1);
	hel_complex *x = hel_alloc(slots, sizeof *x);
	hel_ct *in = encrypted_input(&f, f.features, x), *out;
	unsigned sparse = 0;
	for (uint32_t i = 0; i < f.shape.keys; i++) {
		const uint32_t galois = f.shape.key[i].galois;
		sparse += galois == HEL_ENCAPSULATE || galois == HEL_DECAPSULATE;
	}
	assert_int_equal(2, sparse);
	/* the manifest asks for fewer: the run itself misses each */
	hel_manifest *m = f.p->manifest;
	for (uint32_t i = 0; i < f.shape.keys; i++) {
		hel_keys *fewer;
		m->key[i] = f.shape.key[m->keys - 1];
		m->keys--;
		assert_ok(hel_keys_generate(&fewer, f.secret, m->key, m->keys, NULL));
		assert_status(HEL_EKEY, run(&f, &out, fewer, in, NULL, NULL));
		m->key[i] = f.shape.key[i];
		m->keys++;
		hel_keys_free(fewer);
	}
	hel_ct_free(in);
	hel_free(x);
	teardown(&f);
}

static void test_counts(void **state)
{
	(void)state;
	static const unsigned log_values[] = {3, 6, 9};
	for (size_t k = 0; k < HEL_ARRAY_LEN(log_values); k++) {
		fixture f;
		setup(&f, log_values[k], 2);
		hel_complex *x = hel_alloc(slots, sizeof *x);
		hel_ct *in = encrypted_input(&f, f.features, x), *out;
		f.params->ring.k = counting();
		counted = (hel_cost){0};
		assert_ok(run(&f, &out, f.keys, in, NULL, NULL));
		f.params->ring.k = real;
		assert_counted(&f.shape.layer[0].cost, log_values[k]);
		hel_ct_free(out);
		hel_ct_free(in);
		hel_free(x);
		teardown(&f);
	}
}

static void test_beyond_the_range(void **state)
{
	(void)state;
	fixture f;
	setup(&f, 4, 3);
	double *features = hel_alloc(f.n, sizeof *features);
	hel_complex *x = hel_alloc(2 * slots, sizeof *x);
	features[3] = 1.01;
	hel_input_fill(x, f.p->manifest->input, features);
	assert_status(HEL_ERANGE, hel_clear_run(x + slots, f.p, (const hel_complex *const[]){x}));
	assert_non_null(strstr(hel_error_detail(), "times the range"));
	features[3] = 1;
	hel_input_fill(x, f.p->manifest->input, features);
	assert_ok(hel_clear_run(x + slots, f.p, (const hel_complex *const[]){x}));
	hel_free(features);
	hel_free(x);
	teardown(&f);
}

static void test_cancelled(void **state)
{
	(void)state;
	fixture f;
	setup(&f, 4, 4);
	hel_complex *x = hel_alloc(slots, sizeof *x);
	hel_ct *in = encrypted_input(&f, f.features, x), *out = NULL;
	hel_eval *ev;
	hel_refresher *r;
	const atomic_bool stop = true;
	assert_ok(hel_refresher_new_program(&r, f.params, 4, NULL));
	assert_ok(hel_eval_new(&ev, f.params, f.keys, NULL));
	ev->stop = &stop;
	hel_ct *bottom;
	assert_ok(hel_ct_new(&bottom, f.params));
	assert_ok(hel_eval_drop(ev, bottom, in, 0));
	assert_status(HEL_ECANCEL, hel_refresh_sine(ev, bottom, bottom, r, 1));
	hel_eval_free(ev);
	hel_refresher_free(r);
	assert_status(HEL_ECANCEL, run(&f, &out, f.keys, in, NULL, &stop));
	hel_ct_free(bottom);
	hel_ct_free(in);
	hel_free(x);
	teardown(&f);
}

/* Programs that no compiler writes. */
static void test_refused(void **state)
{
	(void)state;
	fixture f;
	setup(&f, 4, 5);
	hel_program *p = f.p, *again = NULL;
	hel_loaded *loaded = NULL;
	hel_shape shape;
	uint32_t at = 0;
	while (p->op[at].kind != HEL_OP_REFRESH)
		at++;
	/* as a file, whatever the numbers */
	hel_manifest *m = p->manifest;
	m->model = hel_strdup("refreshed");
	m->schema = hel_strdup("{}");
	m->samples = 2;
	m->degree = 1;
	m->bound = m->unit = m->spread = 1;
	hel_writer w = {0};
	assert_ok(hel_program_write(&w, p));
	assert_ok(hel_program_read(&again, w.bytes, w.size));
	assert_memory_equal(&m->params, &again->manifest->params, sizeof m->params);
	assert_int_equal(p->op[at].index, again->op[at].index);
	assert_true(*p->op[at].factor == *again->op[at].factor);
	hel_program_free(again);
	again = NULL;
	static const uint32_t sizes[] = {0, 2, LOG_N, 13, 255};
	for (size_t i = 0; i < HEL_ARRAY_LEN(sizes); i++) {
		p->op[at].index = sizes[i];
		w.size = 0;
		assert_ok(hel_program_write(&w, p));
		assert_status(HEL_EFORMAT, hel_program_read(&again, w.bytes, w.size));
	}
	p->op[at].index = 4;
	static const double factors[][2] = {
	    {0.4, TURN}, {2, TURN}, {1, 0.126}, {1, 0.001}, {1, NAN}};
	for (size_t i = 0; i < HEL_ARRAY_LEN(factors); i++) {
		double kept[2];
		memcpy(kept, p->op[at].factor, sizeof kept);
		memcpy(p->op[at].factor, factors[i], sizeof kept);
		w.size = 0;
		assert_ok(hel_program_write(&w, p));
		assert_status(HEL_EFORMAT, hel_program_read(&again, w.bytes, w.size));
		memcpy(p->op[at].factor, kept, sizeof kept);
	}
	hel_writer_clear(&w);
	*p->op[at].factor *= 1.001;
	assert_status(HEL_EFORMAT, hel_loaded_new(&loaded, p, f.params, NULL));
	assert_status(HEL_EFORMAT, hel_shape_run(&shape, p, f.params,
						 &(hel_ranges){.feature = f.features}, NULL));
	*p->op[at].factor /= 1.001;
	/* above level 0, and with other parameters */
	p->op[at].value = 0;
	double *nothing = hel_alloc(p->ops, sizeof *nothing);
	assert_status(HEL_ELEVEL,
		      hel_shape_run(&shape, p, f.params,
				    &(hel_ranges){.feature = f.features, .measured = nothing},
				    NULL));
	hel_free(nothing);
	hel_params *other;
	assert_ok(hel_params_new_insecure_test(&other, &(hel_params_spec){LOG_N, 4, 1, 30, 1, 1}));
	assert_status(HEL_EPARAMS, hel_loaded_new(&loaded, p, other, NULL));
	hel_params_free(other);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_machines_agree), cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_counts),	   cmocka_unit_test(test_beyond_the_range),
	    cmocka_unit_test(test_cancelled),	   cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
