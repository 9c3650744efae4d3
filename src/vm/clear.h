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

/** Slots of a term's result that follow one another in its vector and its source, too. */
typedef struct hel_term_run {
	size_t count, vector, source; /* vector: within its period */
} hel_term_run;

static inline hel_term_run hel_term_run_at(const hel_term *t, const hel_vector *v, size_t slot,
					   size_t slots)
{
	const size_t period = HEL_MIN((size_t)1 << v->log_period, slots);
	const size_t turned = (size_t)((int64_t)slot + t->giant) & (slots - 1);
	hel_term_run r = {.vector = turned & (period - 1)};
	r.source = (size_t)((int64_t)turned + t->baby) & (slots - 1);
	r.count = HEL_MIN(slots - slot, slots - turned);
	r.count = HEL_MIN(r.count, slots - r.source);
	r.count = HEL_MIN(r.count, period - r.vector);
	return r;
}

#endif
