/* clear.h -- the clear machine: a program on slot vectors of doubles. */
#ifndef HEL_VM_CLEAR_H
#define HEL_VM_CLEAR_H

#include "prog/prog.h"

/** slots[i]: the slot values of input i, of one record. result: all of its slots. */
HEL_CHECKED hel_status hel_clear_run(hel_complex *result, const hel_program *p,
				     const hel_complex *const *slots);
/** result[i]: all slots of the value of op number op[i], as in hel_vm_run_many. */
HEL_CHECKED hel_status hel_clear_run_many(hel_complex *const *result, const hel_program *p,
					  const uint32_t *op, size_t count,
					  const hel_complex *const *slots);
/** The same for a feature vector, filled into the inputs as the client fills them: the logit.
 *  @retval HEL_ERANGE not every slot of the result holds it: something else would be sent. */
HEL_CHECKED hel_status hel_clear_run_features(double *logit, const hel_program *p,
					      const double *features);

/** largest[op] becomes the largest |slot| after that op, over `count` feature vectors, one after
 * the other, unless it was larger. */
HEL_CHECKED hel_status hel_clear_measure(double *largest, const hel_program *p,
					 const double *features, size_t count);

/** One op: out from the values of the ops before it and the slots of all inputs. */
void hel_clear_op(hel_complex *out, const hel_program *p, const hel_op *op,
		  const hel_complex *const *value, const hel_complex *const *in);

#endif
