/* refresh_op.h -- the op that refreshes: what it means in the clear, and what it costs. */
#ifndef HEL_VM_REFRESH_OP_H
#define HEL_VM_REFRESH_OP_H

#include "circuit/refresh.h"
#include "cost.h"
#include "prog/prog.h"

/** The op on slots. Returns the largest coefficient, where 1 is the end of what functions of the
 *  sine are fitted on: beyond it results are not those of the coefficient.
 *  Cost: 2^(2 index) products. */
double hel_refresh_op_clear(hel_complex *out, const hel_op *op, const hel_complex *x, size_t slots);
/** The way back: adds to turn_x by how much a result turns with each slot of x, given by how much
 * it turns with those of the op's value: Re(turn * change) is the result's change. */
void hel_refresh_op_back(hel_complex *turn_x, const hel_op *op, const hel_complex *x,
			 const hel_complex *turn, size_t slots);
/** What a run on ciphertexts counts. */
HEL_CHECKED hel_status hel_refresh_op_cost(hel_cost *out, const hel_refresher *r);
/** Whether parameters are what the op was written for. */
HEL_CHECKED hel_status hel_refresh_op_check(const hel_op *op, const hel_params *p);

#endif
