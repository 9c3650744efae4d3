/* Bounds that know groups, against every record there is. */
#include "../ckks/fixture.h"
#include "vm/clear.h"
#include "vm/shape.h"

#define LOG_SLOTS 6
#define SLOTS (1u << LOG_SLOTS)
#define DENSE 2
#define ANGLES 8
#define GROUPS 3
#define FEATURES_MAX 16

/* Dense features, the two parts of a root of unity, then one-hot entries in groups of consecutive
 * ones. */
typedef struct space {
	uint32_t features, first[GROUPS + 1];
	double bound[FEATURES_MAX];
	uint32_t group[FEATURES_MAX];
	hel_ranges ranges;
} space;

static void random_space(space *s, hel_prng *g)
{
	*s = (space){.features = DENSE + 2};
	for (uint32_t i = 0; i < FEATURES_MAX; i++)
		s->group[i] = i == DENSE ? HEL_COSINE : HEL_NO_GROUP;
	for (uint32_t k = 0; k < GROUPS; k++) {
		s->first[k] = s->features;
		for (uint32_t n = 1 + hel_prng_u64(g) % 4; n; n--)
			s->group[s->features++] = k;
	}
	s->first[GROUPS] = s->features;
	for (uint32_t i = 0; i < s->features; i++)
		s->bound[i] = i < DENSE ? 3 : 1;
	s->ranges = (hel_ranges){s->bound, s->group, GROUPS, NULL};
}

/* Record number n of all: dense values at their ends, an angle, and one entry of each group or
 * none. */
static bool record(double *features, const space *s, uint32_t n)
{
	for (uint32_t i = 0; i < s->features; i++)
		features[i] = 0;
	for (uint32_t i = 0; i < DENSE; i++, n /= 2)
		features[i] = n % 2 ? s->bound[i] : -s->bound[i];
	features[DENSE] = cos(2 * M_PI * (n % ANGLES) / ANGLES);
	features[DENSE + 1] = sin(2 * M_PI * (n % ANGLES) / ANGLES);
	n /= ANGLES;
	for (uint32_t k = 0; k < GROUPS; k++) {
		const uint32_t width = s->first[k + 1] - s->first[k];
		if (n % (width + 1))
			features[s->first[k] + n % (width + 1) - 1] = 1;
		n /= width + 1;
	}
	return n == 0;
}

static void add(hel_program *p, hel_op op)
{
	char name[16];
	snprintf(name, sizeof name, "%u", p->ops);
	op.layer = (uint16_t)p->layers; /* one for every op: the dry run tells its bound */
	assert_ok(hel_program_add_layer(p, name));
	assert_ok(hel_program_add_op(p, &op));
}

static void random_positions(hel_layout *l, hel_prng *g, unsigned places)
{
	uint8_t all[LOG_SLOTS + 1];
	for (uint8_t i = 0; i < places; i++)
		all[i] = i;
	for (unsigned j = 0; j < l->bits; j++) {
		const size_t k = j + hel_prng_u64(g) % (places - j);
		l->position[j] = all[k];
		all[k] = all[j];
	}
}

/* All features in one input, or one-hot entries in pieces that may repeat; imaginary parts. */
static void random_input(hel_input *in, hel_prng *g, const space *s, bool pieces, bool imaginary)
{
	*in = (hel_input){.level = 2};
	in->layout = (hel_layout){.log_slots = LOG_SLOTS, .bits = 4, .width = s->features};
	random_positions(&in->layout, g, LOG_SLOTS + imaginary);
	if (!pieces)
		return;
	in->log_piece = 2;
	in->pieces = 4;
	in->piece = hel_alloc(in->pieces, sizeof *in->piece);
	in->layout.width = in->pieces << in->log_piece;
	for (uint32_t k = 0; k < in->pieces; k++) {
		const uint32_t group = (uint32_t)(hel_prng_u64(g) % GROUPS);
		in->piece[k] = (hel_piece){s->first[group], s->first[group + 1] - s->first[group]};
	}
}

static void random_vector(hel_program *p, hel_prng *g, bool imaginary, uint32_t *index)
{
	hel_complex v[SLOTS];
	for (size_t i = 0; i < SLOTS; i++)
		v[i] = (hel_complex){hel_prng_u64(g) % 4 ? hel_prng_normal(g) : 0,
				     imaginary ? hel_prng_normal(g) : 0};
	assert_ok(hel_program_add_vector(p, v, LOG_SLOTS, index));
}

static void add_rotations(hel_program *p, hel_prng *g, bool imaginary)
{
	static const int32_t steps[] = {1, 2, 3, 4, 8, -1, 16, 32, 0};
	hel_op op = {.kind = HEL_OP_ROTATE_SUM, .value = p->ops - 1, .steps = 2};
	op.step = hel_alloc(op.steps, sizeof *op.step);
	op.step[1] = steps[hel_prng_u64(g) % HEL_ARRAY_LEN(steps)];
	if (imaginary && hel_prng_u64(g) % 3 == 0)
		op.step[1] = (int32_t)(SLOTS + hel_prng_u64(g) % SLOTS);
	else if (imaginary && hel_prng_u64(g) % 2) { /* as folds do: the sum is real */
		const int32_t step = (int32_t)(hel_prng_u64(g) % SLOTS);
		hel_free(op.step);
		op.steps = 4;
		op.step = hel_alloc(op.steps, sizeof *op.step);
		op.step[1] = step;
		op.step[2] = SLOTS;
		op.step[3] = (int32_t)SLOTS + step;
	}
	add(p, op);
}

/* Linear in two inputs, rotations before and after a rescaling, a bias; then a square. */
static hel_program *random_program(hel_prng *g, const space *s, uint64_t round)
{
	hel_program *p = hel_alloc(1, sizeof *p);
	hel_manifest *m = p->manifest = hel_alloc(1, sizeof *m);
	const bool imaginary = round % 3 == 1;
	uint32_t index;
	m->params = (hel_params_spec){LOG_SLOTS + 1, 2, 1, 30, 2, 3};
	m->features = s->features;
	m->inputs = 2;
	m->input = hel_alloc(2, sizeof *m->input);
	random_input(&m->input[0], g, s, false, imaginary);
	random_input(&m->input[1], g, s, round % 2, imaginary);
	add(p, (hel_op){.kind = HEL_OP_INPUT, .index = 0});
	add(p, (hel_op){.kind = HEL_OP_INPUT, .index = 1});
	hel_op op = {.kind = HEL_OP_LINEAR, .terms = 1 + (uint32_t)(hel_prng_u64(g) % 6)};
	op.term = hel_alloc(op.terms, sizeof *op.term);
	for (uint32_t k = 0; k < op.terms; k++) {
		op.term[k] = (hel_term){k % 2, 0, (int32_t)(hel_prng_u64(g) % SLOTS),
					k % 3 ? 0 : (int32_t)(hel_prng_u64(g) % SLOTS)};
		random_vector(p, g, imaginary, &op.term[k].vector);
	}
	add(p, op);
	for (unsigned n = (unsigned)(hel_prng_u64(g) % 4); n; n--)
		add_rotations(p, g, imaginary);
	add(p, (hel_op){.kind = HEL_OP_RESCALE, .value = p->ops - 1});
	random_vector(p, g, imaginary, &index);
	add(p, (hel_op){.kind = HEL_OP_ADD_PLAIN, .value = p->ops - 1, .index = index});
	add_rotations(p, g, imaginary);
	add(p, (hel_op){.kind = HEL_OP_SQUARE, .value = p->ops - 1});
	add(p, (hel_op){.kind = HEL_OP_RESCALE, .value = p->ops - 1});
	return p;
}

/* largest[op]: of |slot|, over this record and those before */
static void run(double *largest, const hel_program *p, const double *features)
{
	hel_complex in[2][SLOTS];
	hel_complex(*slots)[SLOTS] = hel_alloc(p->ops, sizeof *slots);
	const hel_complex *const inputs[2] = {in[0], in[1]};
	const hel_complex *value[32];
	for (int i = 0; i < 2; i++)
		hel_input_fill(in[i], &p->manifest->input[i], features);
	for (uint32_t i = 0; i < p->ops; i++) {
		hel_clear_op(slots[i], p, &p->op[i], value, inputs);
		value[i] = slots[i];
		for (size_t k = 0; k < SLOTS; k++)
			largest[i] = fmax(largest[i], hypot(slots[i][k].re, slots[i][k].im));
	}
	hel_free(slots);
}

static void test_every_record(void **state)
{
	(void)state;
	double tightest = INFINITY, gained = 1;
	for (uint64_t round = 0; round < 60; round++) {
		hel_prng g;
		space s;
		hel_shape shape, plain;
		hel_params *params;
		double features[FEATURES_MAX], largest[32] = {0};
		test_prng(&g, 500 + round);
		random_space(&s, &g);
		hel_program *p = random_program(&g, &s, round);
		assert_ok(hel_params_new_insecure_test(&params, &p->manifest->params));
		assert_ok(hel_shape_run(&shape, p, params, &s.ranges, NULL));
		assert_ok(
		    hel_shape_run(&plain, p, params, &(hel_ranges){.feature = s.bound}, NULL));
		for (uint32_t n = 0; record(features, &s, n); n++)
			run(largest, p, features);
		for (uint32_t i = 0; i < p->ops; i++) {
			if (!(largest[i] <= shape.layer[i].bound * (1 + 1e-9)))
				fail_msg("round %u op %u: %g, bound %g", (unsigned)round, i,
					 largest[i], shape.layer[i].bound);
			assert_at_most(shape.layer[i].bound, plain.layer[i].bound * (1 + 1e-9));
			tightest = fmin(tightest, shape.layer[i].bound / largest[i]);
			gained = fmin(gained, shape.layer[i].bound / plain.layer[i].bound);
		}
		hel_shape_clear(&shape);
		hel_shape_clear(&plain);
		hel_params_free(params);
		hel_program_free(p);
	}
	print_message("bounds within %.3g of what records reach; without groups up to %.3g times "
		      "as large\n",
		      tightest, 1 / gained);
	assert_less(tightest, 1 + 1e-6);
	assert_less(gained, 0.8);
}

/* What a layer does: diagonals and folds over all index bits. Each entry is seen once, so the bound
 * is the sum of each group's largest weight, as computed from the matrix. */
static void test_is_exact_for_a_layer(void **state)
{
	(void)state;
	hel_prng g;
	space s;
	hel_shape shape;
	hel_params *params;
	test_prng(&g, 900);
	random_space(&s, &g);
	hel_program *p = hel_alloc(1, sizeof *p);
	hel_manifest *m = p->manifest = hel_alloc(1, sizeof *m);
	m->params = (hel_params_spec){LOG_SLOTS + 1, 1, 1, 30, 2, 3};
	m->features = s.features;
	m->inputs = 1;
	m->input = hel_alloc(1, sizeof *m->input);
	/* index bits 0 and 3 by rotation, 4 and 5 by folds; rows in bits 1 and 2 */
	m->input[0] = (hel_input){1, 0, 0, {LOG_SLOTS, 4, {3, 0, 5, 4}, s.features}, 0, NULL};
	double matrix[4][FEATURES_MAX], want = 0;
	for (int row = 0; row < 4; row++) {
		double sum = 0, most[GROUPS] = {0};
		for (uint32_t i = 0; i < s.features; i++) {
			const double w = matrix[row][i] = (float)hel_prng_normal(&g);
			if (i < DENSE + 2)
				sum += s.bound[i] * fabs(w);
			else
				most[s.group[i]] = fmax(most[s.group[i]], fabs(w));
		}
		for (int k = 0; k < GROUPS; k++)
			sum += most[k];
		want = fmax(want, sum);
	}
	add(p, (hel_op){.kind = HEL_OP_INPUT});
	hel_op op = {.kind = HEL_OP_LINEAR, .terms = 4};
	op.term = hel_alloc(op.terms, sizeof *op.term);
	static const int32_t diagonals[] = {0, 1, 8, 9};
	for (uint32_t k = 0; k < 4; k++) {
		hel_complex v[SLOTS];
		op.term[k].baby = diagonals[k];
		for (size_t i = 0; i < SLOTS; i++) {
			const int32_t e =
			    hel_input_at(m->input, (i + (size_t)diagonals[k]) % SLOTS);
			v[i] = (hel_complex){e < 0 ? 0 : matrix[i >> 1 & 3][e], 0};
		}
		assert_ok(hel_program_add_vector(p, v, LOG_SLOTS, &op.term[k].vector));
	}
	add(p, op);
	op = (hel_op){.kind = HEL_OP_ROTATE_SUM, .value = 1, .steps = 4};
	op.step = hel_alloc(op.steps, sizeof *op.step);
	for (int k = 0; k < 4; k++)
		op.step[k] = 16 * k;
	add(p, op);
	add(p, (hel_op){.kind = HEL_OP_RESCALE, .value = 2});
	assert_ok(hel_params_new_insecure_test(&params, &m->params));
	assert_ok(hel_shape_run(&shape, p, params, &s.ranges, NULL));
	print_message("bound %.9g, from the matrix %.9g\n", shape.bound, want);
	assert_within(shape.bound / want, 1, 1e-6);
	hel_shape_clear(&shape);
	hel_params_free(params);
	hel_program_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_record),
	    cmocka_unit_test(test_is_exact_for_a_layer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
