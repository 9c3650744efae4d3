/* onehot.h -- bounds that know how much of a table is set: one entry, or a bag; and what the shape
 * machine, which shape.c and onehot.c share, knows of a value.
 */
#ifndef HEL_VM_ONEHOT_H
#define HEL_VM_ONEHOT_H

#include "shape.h"
#include "vm.h"

typedef struct hel_onehots hel_onehots;

typedef struct shape_value {
	unsigned level;
	bool product; /* scale squared, to be rescaled */
	bool is_complex;
	double *bound; /* of |v|, per slot */
	/* A function of the value of op `root`: at both signs of each point. NULL: itself. */
	double (*curve)[2];
	size_t root;
	int32_t *feature;     /* of an input: hel_input_at, imaginary parts behind the slots */
	hel_onehots *onehots; /* of a linear function of inputs; NULL: not followed */
} shape_value;

typedef struct shape_machine {
	hel_machine base;
	const hel_program *p;
	const hel_params *params;
	const hel_ranges *ranges;
	hel_fusion *fusion;
	bool *modular;
	double **bound; /* kept for every root of a curve, per slot */
	hel_shape *out;
	size_t slots;
} shape_machine;

/* An input's slot holds a root of unity: as a whole it is no larger than each of its parts. */
static inline bool holds_root(const shape_machine *s, const shape_value *input, size_t slot)
{
	const int32_t re = input->feature[slot], im = input->feature[slot + s->slots];
	return s->ranges->group && re >= 0 && im == re + 1 && s->ranges->group[re] == HEL_COSINE;
}

/* --- onehot.c ---------------------------------------------------------------------------- */

/* Each lowers v->bound, which already holds for entries that are set independently, to what groups
 * allow, where v is a linear function of inputs. */
HEL_CHECKED hel_status hel_onehots_linear(const shape_machine *s, shape_value *v, const hel_op *op);
HEL_CHECKED hel_status hel_onehots_rotate_sum(const shape_machine *s, shape_value *v,
					      const shape_value *x, const hel_op *op);
/* v = x, plus a vector unless it is NULL */
HEL_CHECKED hel_status hel_onehots_pass(const shape_machine *s, shape_value *v,
					const shape_value *x, const hel_vector *added);
void hel_onehots_free(hel_onehots *h);

#endif
