/* Random programs on three machines: ckks against clear, its error against shape's. */
#include "../ckks/fixture.h"
#include "random_program.h"
#include "vm/clear.h"
#include "vm/encrypted.h"
#include "vm/shape.h"

#define MAX_LOG_BATCH 3
#define RUNS 16 /* simulated, for one that is measured */

/* The slots of both inputs with all records, and each record's own run in the clear. */
static void run_records(hel_complex *x, hel_complex *want, const hel_program *p,
			const double *feature)
{
	const hel_manifest *m = p->manifest;
	const size_t records = (size_t)1 << m->log_batch;
	const size_t own = (size_t)1 << hel_manifest_log_slots(m);
	hel_complex *one = hel_alloc(3 * own, sizeof *one);
	const hel_complex *const in[] = {one, one + own};
	for (size_t r = 0; r < records; r++) {
		for (size_t i = 0; i < 2; i++) {
			hel_input_fill(one + i * own, &m->input[i], feature + r * FEATURES);
			for (size_t q = 0; q < own; q++)
				x[(i * own + q) * records + r] = one[i * own + q];
		}
		assert_ok(hel_clear_run(one + 2 * own, p, in));
		for (size_t q = 0; q < own; q++)
			want[q * records + r] = one[2 * own + q];
	}
	hel_free(one);
}

static void test_machines_agree(void **state)
{
	(void)state;
	const hel_params_spec spec = {10, 5, 1, 30, 2, 3};
	unsigned ran = 0;
	for (uint64_t round = 0; round < 12; round++) {
		hel_prng g;
		test_prng(&g, 100 + round);
		const unsigned log_batch = round % (MAX_LOG_BATCH + 1), records = 1u << log_batch;
		hel_program *p = random_program(spec, (uint8_t)log_batch, &g);
		hel_params *params;
		hel_shape shape;
		double bound[FEATURES], feature[FEATURES << MAX_LOG_BATCH];
		double samples[RUNS * FEATURES];
		assert_ok(hel_params_new_insecure_test(&params, &spec));
		for (int i = 0; i < FEATURES; i++)
			bound[i] = 1;
		for (unsigned i = 0; i < FEATURES * records; i++)
			feature[i] = 2 * hel_prng_unit(&g) - 1;
		for (unsigned i = 0; i < RUNS * FEATURES; i++)
			samples[i] = feature[i % (FEATURES * records)];
		hel_noise_gains *gains;
		assert_ok(hel_noise_gains_new(&gains, p, samples, RUNS));
		const hel_status fits =
		    hel_shape_run(&shape, p, params, &(hel_ranges){.feature = bound}, gains);
		hel_noise_gains_free(gains);
		if (fits == HEL_ERANGE) { /* its values could outgrow the modulus */
			hel_params_free(params);
			hel_program_free(p);
			continue;
		}
		assert_ok(fits);
		ran++;
		p->manifest->keys = shape.keys;
		p->manifest->key = hel_alloc(shape.keys, sizeof *shape.key);
		memcpy(p->manifest->key, shape.key, shape.keys * sizeof *shape.key);

		/* exactly the keys that shape asks for, no more */
		hel_secret_key *secret;
		hel_keys *keys;
		hel_eval *ev;
		hel_loaded *loaded;
		assert_ok(hel_secret_key_new(&secret, params));
		assert_ok(hel_keys_generate(&keys, secret, shape.key, shape.keys, NULL));
		assert_ok(hel_eval_new(&ev, params, keys, NULL));
		assert_ok(hel_loaded_new(&loaded, p, params, NULL));

		const size_t slots = hel_params_slots(params);
		hel_complex *x = hel_alloc(2 * slots, sizeof *x),
			    *want = hel_alloc(slots, sizeof *want);
		hel_complex *got = hel_alloc(slots, sizeof *got);
		run_records(x, want, p, feature);
		hel_ct *in[2], *out;
		for (size_t i = 0; i < 2; i++) {
			hel_pt *pt;
			assert_ok(hel_encode(&pt, params, x + i * slots, spec.levels, HEL_FOR_ADD));
			assert_ok(hel_ct_new(&in[i], params));
			assert_ok(hel_encrypt(in[i], secret, pt));
			hel_pt_free(pt);
		}
		const hel_ct *const in_ct[] = {in[0], in[1]};
		assert_ok(hel_ckks_run(&out, loaded, ev, in_ct, NULL));
		assert_ok(hel_decrypt(got, secret, out));
		/* whatever the number of threads, bit for bit */
		static const unsigned threads[] = {2, 3, 8};
		for (size_t t = 0; t < HEL_ARRAY_LEN(threads); t++) {
			hel_pool *pool = hel_pool_new(threads[t]);
			hel_eval *many;
			hel_ct *same;
			assert_non_null(pool);
			assert_ok(hel_eval_new(&many, params, keys, pool));
			assert_ok(hel_ckks_run(&same, loaded, many, in_ct, NULL));
			for (int half = 0; half < 2; half++)
				assert_memory_equal(out->part[half], same->part[half],
						    4 * params->limbs[0] * params->ring.n);
			hel_ct_free(same);
			hel_eval_free(many);
			hel_pool_free(pool);
		}
		double square = 0, largest = 0;
		for (size_t i = 0; i < slots; i++) {
			double re = got[i].re - want[i].re, im = got[i].im - want[i].im;
			square += (re * re + im * im) / (double)slots;
			largest = fmax(largest, hypot(want[i].re, want[i].im));
		}
		double error = sqrt(square / 2);
		print_message(
		    "%u records, %u ops, %u keys: error 2^%.1f, predicted 2^%.1f; largest %.3g of "
		    "%.3g\n",
		    records, p->ops, shape.keys, log2(error), log2(shape.noise.slot), largest,
		    shape.bound);
		assert_within(log2(error / shape.noise.slot), 0,
			      0.8); /* one run: one in 500 is off by .6 */
		assert_at_most(largest, shape.bound * (1 + 1e-6));

		/* without one of the keys: an error, not a number */
		if (shape.keys) {
			hel_keys *fewer;
			hel_eval *poor;
			hel_ct *none = NULL;
			assert_ok(
			    hel_keys_generate(&fewer, secret, shape.key + 1, shape.keys - 1, NULL));
			assert_ok(hel_eval_new(&poor, params, fewer, NULL));
			assert_status(HEL_EKEY, hel_ckks_run(&none, loaded, poor, in_ct, NULL));
			assert_null(none);
			hel_eval_free(poor);
			hel_keys_free(fewer);
		}
		hel_ct_free(in[0]);
		hel_ct_free(in[1]);
		hel_ct_free(out);
		hel_free(x);
		hel_free(want);
		hel_free(got);
		hel_loaded_free(loaded);
		hel_eval_free(ev);
		hel_keys_free(keys);
		hel_secret_key_free(secret);
		hel_shape_clear(&shape);
		hel_params_free(params);
		hel_program_free(p);
	}
	assert_at_least(ran, 6);
}

/* shape refuses what ckks could not run. */
static void test_shape_refuses(void **state)
{
	(void)state;
	const hel_params_spec spec = {10, 2, 1, 30, 2, 3};
	hel_params *params;
	hel_shape shape;
	double bound[FEATURES];
	assert_ok(hel_params_new_insecure_test(&params, &spec));
	for (int i = 0; i < FEATURES; i++)
		bound[i] = 1;
	static const struct {
		hel_op_kind kind[5];
		hel_status status;
	} cases[] = {
	    {{HEL_OP_SQUARE, HEL_OP_SQUARE, HEL_OP_KINDS}, HEL_ESCALE},
	    {{HEL_OP_RESCALE, HEL_OP_KINDS}, HEL_ESCALE},
	    {{HEL_OP_SQUARE, HEL_OP_RESCALE, HEL_OP_KINDS}, HEL_ELEVEL}, /* ends above level 0 */
	    {{HEL_OP_SQUARE, HEL_OP_RESCALE, HEL_OP_SQUARE, HEL_OP_RESCALE, HEL_OP_SQUARE},
	     HEL_ELEVEL},
	};
	for (size_t c = 0; c < HEL_ARRAY_LEN(cases); c++) {
		hel_program *p = hel_alloc(1, sizeof *p);
		hel_manifest *m = p->manifest = hel_alloc(1, sizeof *m);
		m->params = spec;
		m->inputs = 1;
		m->input = hel_alloc(1, sizeof *m->input);
		m->input[0] = (hel_input){.level = 2, .layout = {9, 4, {1, 2, 3, 5}, FEATURES}};
		assert_ok(hel_program_add_layer(p, "the layer"));
		add(p, (hel_op){.kind = HEL_OP_INPUT});
		for (int i = 0; i < 5 && cases[c].kind[i] != HEL_OP_KINDS; i++)
			add(p, (hel_op){.kind = cases[c].kind[i], .value = p->ops - 1});
		assert_status(
		    cases[c].status,
		    hel_shape_run(&shape, p, params, &(hel_ranges){.feature = bound}, NULL));
		hel_program_free(p);
	}
	bound[3] = 1e9; /* squared twice: beyond any modulus here */
	hel_program *p = hel_alloc(1, sizeof *p);
	hel_manifest *m = p->manifest = hel_alloc(1, sizeof *m);
	m->params = spec;
	m->inputs = 1;
	m->input = hel_alloc(1, sizeof *m->input);
	m->input[0] = (hel_input){.level = 2, .layout = {9, 4, {1, 2, 3, 5}, FEATURES}};
	assert_ok(hel_program_add_layer(p, "the layer"));
	add(p, (hel_op){.kind = HEL_OP_INPUT});
	add(p, (hel_op){.kind = HEL_OP_SQUARE});
	assert_status(HEL_ERANGE,
		      hel_shape_run(&shape, p, params, &(hel_ranges){.feature = bound}, NULL));
	assert_non_null(strstr(hel_error_detail(), "the layer"));
	hel_program_free(p);
	hel_params_free(params);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_machines_agree),
	    cmocka_unit_test(test_shape_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
