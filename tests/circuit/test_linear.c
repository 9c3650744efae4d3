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

/* --- the check against transforms run one rotation at a time ---------------------------- */

#define TINY 64 /* slots */
#define MOST_SOURCES 5

typedef struct tiny {
	hel_linear t;
	hel_linear_source source[MOST_SOURCES];
	int32_t map[MOST_SOURCES][TINY], target[TINY];
} tiny;

static uint32_t below(hel_prng *g, uint32_t n)
{
	return (uint32_t)(hel_prng_u64(g) % n);
}

/* A random layout in random bits, which are returned; garbage in some slots of some. */
static uint32_t random_map(int32_t *map, hel_prng *g, size_t width)
{
	hel_layout l = {.log_slots = 6, .width = (uint32_t)width};
	while (1u << l.bits < width) {
		const uint8_t bit = (uint8_t)below(g, 6);
		if (!(hel_layout_mask(&l) >> bit & 1))
			l.position[l.bits++] = bit;
	}
	hel_layout_map(map, &l, false);
	for (size_t p = 0; p < TINY && below(g, 4) == 0; p++)
		map[p] = HEL_SLOT_ANY;
	return hel_layout_mask(&l);
}

/* Every second one is nearly what a compiler would write: folds spare outputs, diagonals take what
 * folds leave. Sources share maps and diagonals with those before them, or do not. */
static void random_transform(tiny *x, hel_prng *g)
{
	static const uint8_t widths[] = {1, 2, 3, 4, 7, 8, 16, 64};
	x->t = (hel_linear){.slots = TINY,
			    .rows = 1 + below(g, TINY),
			    .sources = 1 + below(g, MOST_SOURCES),
			    .source = x->source,
			    .folds = below(g, TINY) & below(g, TINY),
			    .target = x->target};
	const bool sensible = below(g, 2);
	const uint32_t out = random_map(x->target, g, x->t.rows);
	if (sensible)
		x->t.folds &= ~out;
	uint32_t mask = 0;
	for (size_t k = 0; k < x->t.sources; k++) {
		hel_linear_source *s = &x->source[k];
		const bool same = k && below(g, 2);
		*s = (hel_linear_source){.map = x->map[k], .width = widths[below(g, 8)]};
		if (same) {
			s->map = s[-1].map;
			s->width = s[-1].width;
		} else
			mask = random_map(x->map[k], g, s->width);
		s->diagonals = sensible		  ? mask & ~x->t.folds
			       : k && below(g, 2) ? s[-1].diagonals
						  : below(g, TINY) & below(g, TINY);
	}
}

/* What slots hold in the end for random weights and inputs, as sums modulo 2^64 of one product
 * after the other; and what each row should hold. */
static void run_tiny(uint64_t *slot, uint64_t *row, const tiny *x, hel_prng *g)
{
	static uint64_t weight[MOST_SOURCES][TINY][TINY], input[MOST_SOURCES][TINY];
	uint64_t before[TINY];
	hel_prng_bytes(g, weight, sizeof weight);
	hel_prng_bytes(g, input, sizeof input);
	memset(slot, 0, TINY * sizeof *slot);
	memset(row, 0, TINY * sizeof *row);
	for (size_t k = 0; k < x->t.sources; k++) {
		const hel_linear_source *s = &x->source[k];
		for (size_t r = 0; r < x->t.rows; r++)
			for (size_t e = 0; e < s->width; e++)
				row[r] += weight[k][r][e] * input[k][e];
		for (size_t p = 0; p < TINY; p++)
			for (size_t by = 0; by < TINY && x->target[p] >= 0; by++) {
				const int32_t e = s->map[(p + by) % TINY];
				if ((by & s->diagonals) == by && e >= 0)
					slot[p] += weight[k][x->target[p]][e] * input[k][e];
			}
	}
	for (size_t step = 1; step < TINY; step *= 2)
		if (x->t.folds & step) {
			memcpy(before, slot, sizeof before);
			for (size_t p = 0; p < TINY; p++)
				slot[p] += before[(p + step) % TINY];
		}
}

static void test_check(void **state)
{
	(void)state;
	const uint8_t seed[HEL_SEED_BYTES] = "check";
	hel_prng g;
	size_t rows = 0, zeros = 0, wrong = 0;
	hel_prng_init(&g, seed, 0);
	for (int i = 0; i < 5000; i++) {
		tiny x;
		int32_t result[TINY];
		uint64_t slot[TINY], row[TINY];
		random_transform(&x, &g);
		run_tiny(slot, row, &x, &g);
		assert_ok(hel_linear_check(result, &x.t));
		for (size_t p = 0; p < TINY; p++) {
			const int32_t e = x.target[p];
			const int32_t want = e >= 0 && slot[p] == row[e] ? e
					     : e < 0 && slot[p] == 0	 ? HEL_SLOT_ZERO
									 : HEL_SLOT_ANY;
			assert_int_equal(result[p], want);
			rows += want >= 0;
			zeros += want == HEL_SLOT_ZERO;
			wrong += want == HEL_SLOT_ANY;
		}
	}
	print_message("%zu slots are right, %zu zero, %zu wrong\n", rows, zeros, wrong);
	assert_less(5000, HEL_MIN(rows, HEL_MIN(zeros, wrong)));
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
	    cmocka_unit_test(test_check),
	    cmocka_unit_test(test_mismatches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
