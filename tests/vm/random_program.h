/* random_program.h -- programs for tests of what runs them. */
#ifndef HEL_RANDOM_PROGRAM_H
#define HEL_RANDOM_PROGRAM_H

#include "../testing.h"
#include "prog/prog.h"

#define FEATURES 16

static inline void random_vector(hel_program *p, hel_prng *g, unsigned log_slots, uint32_t *index)
{
	const size_t slots = (size_t)1 << log_slots;
	hel_complex *v = hel_alloc(slots, sizeof *v);
	for (size_t i = 0; i < slots; i++)
		v[i] = (hel_complex){hel_prng_normal(g) / 6, hel_prng_normal(g) / 6};
	assert_ok(hel_program_add_vector(p, v, log_slots, index));
	hel_free(v);
}

static inline int32_t random_step(hel_prng *g)
{
	static const int32_t steps[] = {0, 1, 2, 3, -1, 16, 32};
	return steps[hel_prng_u64(g) % HEL_ARRAY_LEN(steps)];
}

static inline void add(hel_program *p, hel_op op)
{
	assert_ok(hel_program_add_op(p, &op));
}

/* linear, rotations, bias and square in turn until no level is left */
static inline hel_program *random_program(hel_params_spec spec, uint8_t log_batch, hel_prng *g)
{
	const unsigned log_slots = spec.log_n - 1u - log_batch;
	hel_program *p = hel_alloc(1, sizeof *p);
	hel_manifest *m = p->manifest = hel_alloc(1, sizeof *m);
	m->params = spec;
	m->log_batch = log_batch;
	m->features = FEATURES;
	m->inputs = 2;
	m->input = hel_alloc(2, sizeof *m->input);
	for (int i = 0; i < 2; i++)
		m->input[i] = (hel_input){
		    .level = spec.levels,
		    /* the second one in imaginary parts, too */
		    .layout = {
			(uint8_t)log_slots, 4, {1, 2, 3, i ? (uint8_t)log_slots : 5}, FEATURES}};
	assert_ok(hel_program_add_layer(p, "random"));
	add(p, (hel_op){.kind = HEL_OP_INPUT, .index = 0});
	add(p, (hel_op){.kind = HEL_OP_INPUT, .index = 1});
	uint32_t value = 1, value_above = 0, index;
	bool first = true;
	for (unsigned level = spec.levels; level > 0; level--) {
		const unsigned kind = first ? 3 : (unsigned)(hel_prng_u64(g) % 5);
		if (kind == 0) {
			add(p, (hel_op){.kind = HEL_OP_SQUARE, .value = value});
		} else if (kind == 1 && value_above > 1) {
			/* a product, and a sum with a value of a higher level */
			add(p, (hel_op){.kind = HEL_OP_MUL, .value = value, .index = value});
			hel_op op = {.kind = HEL_OP_WEIGHTED_SUM, .index = level, .terms = 3};
			op.term = hel_alloc(3, sizeof *op.term);
			op.factor = hel_alloc(4, sizeof *op.factor);
			const uint32_t from[3] = {p->ops - 1, value, value_above};
			/* 3 is no factor that a product and its sum are divided with at once */
			const double factor[4] = {1 + (double)(hel_prng_u64(g) % 3), -0.5,
						  hel_prng_normal(g) / 2, 0.5};
			for (int k = 0; k < 3; k++)
				op.term[k].value = from[k];
			memcpy(op.factor, factor, sizeof factor);
			add(p, op);
		} else {
			hel_op op = {.kind = HEL_OP_LINEAR,
				     .terms = 1 + (uint32_t)(hel_prng_u64(g) % 6)};
			op.term = hel_alloc(op.terms, sizeof *op.term);
			for (uint32_t k = 0; k < op.terms; k++) {
				op.term[k] = (hel_term){first ? k % 2 : value, 0, random_step(g),
							random_step(g)};
				random_vector(p, g, log_slots, &op.term[k].vector);
			}
			add(p, op);
		}
		first = false;
		if (hel_prng_u64(g) % 2) {
			hel_op op = {.kind = HEL_OP_ROTATE_SUM, .value = p->ops - 1, .steps = 2};
			op.step = hel_alloc(2, sizeof *op.step);
			op.step[1] = random_step(g);
			if (hel_prng_u64(g) % 2) /* with a conjugation */
				op.step[1] =
				    (op.step[1] & ((1 << log_slots) - 1)) + (1 << log_slots);
			add(p, op);
		}
		add(p, (hel_op){.kind = HEL_OP_RESCALE, .value = p->ops - 1});
		if (hel_prng_u64(g) % 2) {
			random_vector(p, g, log_slots, &index);
			add(p, (hel_op){
				   .kind = HEL_OP_ADD_PLAIN, .value = p->ops - 1, .index = index});
		}
		value_above = value;
		value = p->ops - 1;
	}
	return p;
}

#endif
