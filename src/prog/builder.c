/* Ops are appended one by one; whoever writes a program lays them out. */
#include "builder.h"
#include <string.h>

#define MAX_RADIX 8 /* more would never be the cheapest */

hel_status hel_emit_op(hel_builder *b, hel_op op)
{
	op.layer = b->layer;
	hel_status st = hel_program_add_op(b->p, &op);
	if (st != HEL_OK)
		hel_op_clear(&op);
	else
		b->value = b->p->ops - 1;
	return st;
}

hel_status hel_emit_unary(hel_builder *b, hel_op_kind kind)
{
	return hel_emit_op(b, (hel_op){.kind = kind, .value = b->value});
}

hel_status hel_emit_layer(hel_builder *b, const char *text)
{
	b->layer = (uint16_t)b->p->layers;
	return hel_program_add_layer(b->p, text);
}

hel_status hel_emit_affine(hel_builder *b, uint32_t value, double factor, double constant,
			   unsigned level)
{
	hel_status st = HEL_OK;
	hel_op op = {.kind = HEL_OP_WEIGHTED_SUM, .index = level, .terms = 1};
	TRY_ALLOC(op.term, hel_alloc(1, sizeof *op.term));
	TRY_ALLOC(op.factor, hel_alloc(2, sizeof *op.factor));
	op.term[0].value = value;
	op.factor[0] = factor;
	op.factor[1] = constant;
	st = hel_emit_op(b, op); /* takes the arrays over, or frees them */
	op = (hel_op){0};
	TRY(st);
	TRY(hel_emit_unary(b, HEL_OP_RESCALE));
done:
	hel_op_clear(&op);
	return st;
}

hel_status hel_emit_sum(hel_builder *b, const uint32_t *value, size_t count, unsigned level)
{
	hel_status st = HEL_OK;
	hel_op op = {.kind = HEL_OP_WEIGHTED_SUM, .index = level, .terms = (uint32_t)count};
	TRY_ALLOC(op.term, hel_alloc(count, sizeof *op.term));
	TRY_ALLOC(op.factor, hel_alloc(count + 1, sizeof *op.factor));
	for (size_t i = 0; i < count; i++) {
		op.term[i].value = value[i];
		op.factor[i] = 1;
	}
	st = hel_emit_op(b, op); /* takes the arrays over, or frees them */
	op = (hel_op){0};
done:
	hel_op_clear(&op);
	return st;
}

hel_status hel_emit_rotate_sum(hel_builder *b, uint32_t value, const int32_t *step, size_t count)
{
	hel_status st = HEL_OK;
	hel_op op = {.kind = HEL_OP_ROTATE_SUM, .value = value, .steps = (uint32_t)count};
	TRY_ALLOC(op.step, hel_alloc(count, sizeof *op.step));
	memcpy(op.step, step, count * sizeof *op.step);
	st = hel_emit_op(b, op);
done:
	return st;
}

hel_status hel_emit_fold(hel_builder *b, uint32_t bits, unsigned radix)
{
	hel_status st = HEL_OK;
	int32_t step[1 << MAX_RADIX];
	if (!radix || radix > MAX_RADIX)
		FAIL(HEL_EINVAL, "%u slot bits summed at once, expected 1 to %d", radix, MAX_RADIX);
	while (bits) {
		const uint32_t before = bits;
		for (unsigned i = 0; i < radix; i++)
			bits &= bits - 1;
		TRY(hel_emit_rotate_sum(b, b->value, step, hel_subset_sums(step, before ^ bits)));
	}
done:
	return st;
}

/* Room for one more; arrays are doubled. */
static hel_status grow_inputs(hel_manifest *m)
{
	hel_status st = HEL_OK;
	hel_input *more;
	if (m->inputs & (m->inputs - 1))
		return HEL_OK;
	TRY_ALLOC(more, hel_alloc(m->inputs ? 2 * (size_t)m->inputs : 1, sizeof *more));
	if (m->inputs)
		memcpy(more, m->input, m->inputs * sizeof *more);
	hel_free(m->input);
	m->input = more;
done:
	return st;
}

hel_status hel_emit_input(hel_builder *b, hel_input in)
{
	hel_status st = HEL_OK;
	hel_manifest *m = b->p->manifest;
	const uint64_t end = in.pieces ? m->features : (uint64_t)in.first + in.layout.width;
	if (m->inputs == HEL_MAX_INPUTS || end > HEL_MAX_FEATURES)
		FAIL(HEL_EUNSUPPORTED, "a query of more than %d ciphertexts or 2^26 numbers",
		     HEL_MAX_INPUTS);
	TRY(grow_inputs(m));
	m->features = (uint32_t)HEL_MAX(m->features, end);
	m->input[m->inputs] = in;
	in.piece = NULL;
	TRY(hel_emit_op(b, (hel_op){.kind = HEL_OP_INPUT, .index = m->inputs++}));
done:
	hel_free(in.piece);
	return st;
}
