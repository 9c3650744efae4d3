/* builder.h -- ops written one after the other: what a compiler of programs is made of. Every call
 * appends, and leaves the number of the new value in `value`.
 */
#ifndef HEL_PROG_BUILDER_H
#define HEL_PROG_BUILDER_H

#include "prog.h"

typedef struct hel_builder {
	hel_program *p; /* with a manifest */
	size_t slots;	/* of one record */
	uint16_t layer;
	uint32_t value;	     /* the latest op */
	hel_complex *vector; /* room for all slots */
} hel_builder;

/** The next input of the manifest, whose features grow to hold what it reads; takes its pieces
 *  over.
 *  @retval HEL_EUNSUPPORTED more ciphertexts or features than a manifest may have. */
HEL_CHECKED hel_status hel_emit_input(hel_builder *b, hel_input in);
HEL_CHECKED hel_status hel_emit_layer(hel_builder *b, const char *text);
HEL_CHECKED hel_status hel_emit_op(hel_builder *b, hel_op op);
HEL_CHECKED hel_status hel_emit_unary(hel_builder *b, hel_op_kind kind);
/** value times factor plus constant, one level below `level`. */
HEL_CHECKED hel_status hel_emit_affine(hel_builder *b, uint32_t value, double factor,
				       double constant, unsigned level);

/** The sum of values at a level, products' scale or not; not rescaled. */
HEL_CHECKED hel_status hel_emit_sum(hel_builder *b, const uint32_t *value, size_t count,
				    unsigned level);
HEL_CHECKED hel_status hel_emit_rotate_sum(hel_builder *b, uint32_t value, const int32_t *step,
					   size_t count);
/** b->value, summed over slot bits, `radix` of them at a time. */
HEL_CHECKED hel_status hel_emit_fold(hel_builder *b, uint32_t bits, unsigned radix);

#endif
