/* Weights from slot maps, and the encrypted product against the plain one. */
#include "../ckks/fixture.h"
#include "circuit/circuit.h"

/* Sums the slots as the folds do. */
static void fold(hel_complex *v, size_t slots, int32_t step)
{
	hel_complex *t = hel_alloc(slots, sizeof *t);
	for (size_t p = 0; p < slots; p++) {
		hel_complex u = v[(p + (size_t)step) % slots];
		t[p] = (hel_complex){v[p].re + u.re, v[p].im + u.im};
	}
	memcpy(v, t, slots * sizeof *t);
	hel_free(t);
}

typedef struct layer {
	hel_linear t;
	hel_linear_source source;
	int32_t *map, *target, *result, baby[64], giant[16];
	size_t babies, giants;
	hel_complex *matrix;
	double *x;
} layer;

/* n inputs at slot bits [at, at + k), m outputs on the bits of `out`; `diagonals` low field bits
 * by rotations (babies, then giants), the rest by folds. */
static void make_layer(layer *l, ckks_fixture *f, unsigned k, unsigned at, uint32_t out, size_t m,
		       unsigned babies, unsigned giants)
{
	const size_t n = ((size_t)1 << k) - (k > 1), slots = f->slots;
	memset(l, 0, sizeof *l);
	hel_layout in = {.bits = (uint8_t)k, .width = (uint32_t)n}, to = {.width = (uint32_t)m};
	for (unsigned i = 0; i < k; i++)
		in.position[i] = (uint8_t)(at + i);
	for (uint8_t b = 0; b < 16; b++)
		if (out >> b & 1)
			to.position[to.bits++] = b;
	l->map = hel_alloc(slots, sizeof *l->map);
	l->target = hel_alloc(slots, sizeof *l->target);
	l->result = hel_alloc(slots, sizeof *l->result);
	for (size_t p = 0; p < slots; p++) {
		l->map[p] = hel_layout_at(&in, p);
		l->target[p] = hel_layout_at(&to, p);
	}
	l->matrix = hel_alloc(m * n, sizeof *l->matrix);
	for (size_t i = 0; i < m * n; i++)
		l->matrix[i] = (hel_complex){hel_prng_normal(&f->g), hel_prng_normal(&f->g)};
	l->x = hel_alloc(n, sizeof *l->x);
	for (size_t i = 0; i < n; i++)
		l->x[i] = hel_prng_normal(&f->g);
	const unsigned diagonals = babies + giants;
	l->source = (hel_linear_source){.map = l->map,
					.width = n,
					.matrix = l->matrix,
					.diagonals = ((1u << diagonals) - 1) << at};
	l->t = (hel_linear){.slots = slots,
			    .rows = m,
			    .sources = 1,
			    .source = &l->source,
			    .folds = ((1u << (k - diagonals)) - 1) << (at + diagonals),
			    .target = l->target};
	l->babies = hel_subset_sums(l->baby, ((1u << babies) - 1) << at);
	l->giants = hel_subset_sums(l->giant, ((1u << giants) - 1) << (at + babies));
	assert_ok(hel_linear_check(l->result, &l->t));
}

static void free_layer(layer *l)
{
	hel_free(l->map);
	hel_free(l->target);
	hel_free(l->result);
	hel_free(l->matrix);
	hel_free(l->x);
}

static size_t right_slots(const layer *l, size_t slots)
{
	size_t right = 0;
	for (size_t p = 0; p < slots; p++)
		right += l->result[p] != HEL_SLOT_ANY;
	return right;
}

/* Runs the layer encrypted and compares every slot that the check calls right. */
static void run_layer(layer *l, ckks_fixture *f)
{
	const size_t slots = f->slots;
	hel_linear_term terms[256];
	size_t count = 0;
	hel_complex *v = hel_alloc(slots, sizeof *v);
	for (size_t p = 0; p < slots; p++)
		v[p] = (hel_complex){l->map[p] < 0 ? 0 : l->x[l->map[p]], 0};
	hel_ct *in = encrypted(f, v, 2), *out;
	assert_ok(hel_ct_new(&out, f->params));
	for (size_t g = 0; g < l->giants; g++)
		for (size_t b = 0; b < l->babies; b++) {
			hel_pt *pt;
			if (!hel_linear_weights(v, &l->t, 0, l->baby[b], l->giant[g]))
				continue;
			assert_ok(hel_encode(&pt, f->params, v, 2, HEL_FOR_MUL));
			terms[count++] = (hel_linear_term){in, pt, l->baby[b], l->giant[g]};
		}
	assert_ok(hel_linear_apply(f->ev, out, terms, count));
	assert_ok(hel_eval_rescale(f->ev, out, out));
	assert_ok(hel_decrypt(v, f->secret, out));
	for (int32_t step = 1; (size_t)step < slots; step *= 2)
		if (l->t.folds & (uint32_t)step)
			fold(v, slots, step);
	double worst = 0;
	for (size_t p = 0; p < slots; p++) {
		if (l->result[p] == HEL_SLOT_ANY)
			continue;
		hel_complex want = {0, 0};
		for (size_t i = 0; l->result[p] >= 0 && i < l->source.width; i++) {
			hel_complex w = l->matrix[(size_t)l->result[p] * l->source.width + i];
			want.re += w.re * l->x[i];
			want.im += w.im * l->x[i];
		}
		worst = fmax(worst, hypot(want.re - v[p].re, want.im - v[p].im));
	}
	assert_near("layer", worst, 0x1p-11);
	for (size_t i = 0; i < count; i++)
		hel_pt_free((hel_pt *)terms[i].weight);
	hel_ct_free(in);
	hel_ct_free(out);
	hel_free(v);
}

static void test_layouts(void **state)
{
	(void)state;
	ckks_fixture f;
	long rotations[64];
	for (int i = 0; i < 64; i++)
		rotations[i] = i < 31 ? i + 1 : (i - 29) * 16;
	ckks_setup(&f, (hel_params_spec){10, 2, 1, 30, 2, 3}, rotations, 60);
	static const struct {
		unsigned k, at;
		uint32_t out;
		size_t m;
		unsigned babies, giants;
		bool everywhere;
	} cases[] = {
	    {4, 5, 0x1f, 20, 0, 0, true},   /* elements on top, outputs below: folds only */
	    {4, 0, 0xf, 16, 2, 2, true},    /* all diagonals, baby and giant steps */
	    {4, 0, 0x7, 8, 2, 1, true},	    /* diagonals below one fold */
	    {5, 4, 0xff, 200, 2, 2, true},  /* top field, split */
	    {4, 0, 0x1e0, 12, 0, 0, false}, /* windows: a guard bit above the folds */
	    {3, 2, 0x1e3, 30, 1, 0, false}, {1, 8, 0xff, 256, 0, 0, true},
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++) {
		layer l;
		make_layer(&l, &f, cases[i].k, cases[i].at, cases[i].out, cases[i].m,
			   cases[i].babies, cases[i].giants);
		size_t right = right_slots(&l, f.slots);
		print_message("case %zu: right in %zu of %zu slots\n", i, right, f.slots);
		assert_true(cases[i].everywhere ? right == f.slots
						: right < f.slots && right > f.slots / 20);
		run_layer(&l, &f);
		free_layer(&l);
	}
	ckks_teardown(&f);
}

/* Slots that may hold anything get no weight, and what depends on them is called wrong. */
static void test_garbage_is_shunned(void **state)
{
	(void)state;
	ckks_fixture f;
	ckks_setup(&f, (hel_params_spec){10, 2, 1, 30, 2, 3}, NULL, 0);
	layer l;
	make_layer(&l, &f, 4, 5, 0x1f, 20, 0, 0);
	for (size_t p = 0; p < f.slots; p += 7)
		l.map[p] = HEL_SLOT_ANY;
	assert_ok(hel_linear_check(l.result, &l.t));
	assert_less(right_slots(&l, f.slots), f.slots);
	hel_complex *w = hel_alloc(f.slots, sizeof *w);
	hel_linear_weights(w, &l.t, 0, 0, 0);
	for (size_t p = 0; p < f.slots; p += 7) {
		assert_equal(w[p].re, 0);
		assert_equal(w[p].im, 0);
	}
	hel_free(w);
	free_layer(&l);
	ckks_teardown(&f);
}

static void test_mismatches(void **state)
{
	(void)state;
	ckks_fixture f;
	ckks_setup(&f, (hel_params_spec){10, 2, 1, 30, 2, 3}, NULL, 0);
	hel_complex *x = random_slots(&f);
	hel_ct *a = encrypted(&f, x, 2), *b = encrypted(&f, x, 1), *out;
	hel_pt *high, *low, *add;
	assert_ok(hel_ct_new(&out, f.params));
	assert_ok(hel_encode(&high, f.params, x, 2, HEL_FOR_MUL));
	assert_ok(hel_encode(&low, f.params, x, 1, HEL_FOR_MUL));
	assert_ok(hel_encode(&add, f.params, x, 2, HEL_FOR_ADD));
	hel_linear_term two[] = {{a, high, 0, 0}, {b, low, 0, 0}};
	assert_status(HEL_ELEVEL, hel_linear_apply(f.ev, out, two, 2));
	assert_status(HEL_ELEVEL, hel_linear_apply(f.ev, out, &(hel_linear_term){a, low, 0, 0}, 1));
	assert_status(HEL_EINVAL, hel_linear_apply(f.ev, out, &(hel_linear_term){a, add, 0, 0}, 1));
	assert_status(HEL_EINVAL, hel_linear_apply(f.ev, a, &(hel_linear_term){a, high, 0, 0}, 1));
	assert_status(HEL_EINVAL, hel_linear_apply(f.ev, out, two, 0));
	assert_status(HEL_EKEY, hel_linear_apply(f.ev, out, &(hel_linear_term){a, high, 9, 0}, 1));
	assert_status(HEL_EKEY, hel_linear_apply(f.ev, out, &(hel_linear_term){a, high, 0, 9}, 1));
	hel_pt_free(high);
	hel_pt_free(low);
	hel_pt_free(add);
	hel_ct_free(a);
	hel_ct_free(b);
	hel_ct_free(out);
	hel_free(x);
	ckks_teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_layouts),
	    cmocka_unit_test(test_garbage_is_shunned),
	    cmocka_unit_test(test_mismatches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
