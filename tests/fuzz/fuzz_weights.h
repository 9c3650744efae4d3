/* fuzz_weights.h -- a tiny program whose encoded weights go into a file. */
#ifndef HEL_FUZZ_WEIGHTS_H
#define HEL_FUZZ_WEIGHTS_H

#include "fuzz_params.h"
#include "vm/weight.h"

/* Sealed, so that it has a hash. */
static inline hel_program *fuzz_weights_program(const hel_params *params)
{
	const unsigned log_slots = params->spec.log_n - 1u;
	hel_program *p = hel_alloc(1, sizeof *p);
	hel_complex *x = hel_alloc((size_t)1 << log_slots, sizeof *x);
	hel_writer w = {0};
	uint32_t vector[2];
	fuzz_expect(p && x && (p->manifest = hel_alloc(1, sizeof *p->manifest)) != NULL);
	hel_manifest *m = p->manifest;
	m->model = hel_strdup("tiny");
	m->schema = hel_strdup("{}");
	m->params = params->spec;
	m->inputs = m->features = 1;
	m->input = hel_alloc(1, sizeof *m->input);
	fuzz_expect(m->model && m->schema && m->input);
	m->input[0] =
	    (hel_input){.level = params->spec.levels, .layout = {(uint8_t)log_slots, 0, {0}, 1}};
	for (int v = 0; v < 2; v++) {
		for (size_t i = 0; i < (size_t)1 << log_slots; i++)
			x[i].re = 0.125 * (double)(i + 1) * (v ? -1 : 1);
		fuzz_expect(hel_program_add_vector(p, x, log_slots, &vector[v]) == HEL_OK);
	}
	hel_op linear = {.kind = HEL_OP_LINEAR, .terms = 2};
	fuzz_expect((linear.term = hel_alloc(2, sizeof *linear.term)) != NULL);
	linear.term[0] = (hel_term){0, vector[0], 0, 0};
	linear.term[1] = (hel_term){0, vector[1], 1, 0};
	const hel_op ops[] = {{.kind = HEL_OP_INPUT},
			      linear,
			      {.kind = HEL_OP_RESCALE, .value = 1},
			      {.kind = HEL_OP_ADD_PLAIN, .value = 2, .index = vector[0]}};
	fuzz_expect(hel_program_add_layer(p, "tiny") == HEL_OK);
	for (size_t i = 0; i < HEL_ARRAY_LEN(ops); i++)
		fuzz_expect(hel_program_add_op(p, &ops[i]) == HEL_OK);
	fuzz_expect(hel_program_write(&w, p) == HEL_OK);
	hel_writer_clear(&w);
	hel_free(x);
	return p;
}

#endif
